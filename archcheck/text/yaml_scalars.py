"""Plain YAML scalars to values, by the core schema of YAML 1.2 and `_` between digits."""

from __future__ import annotations

import re
from functools import lru_cache

MAX_INTEGER_CHARS = 300  # Python refuses to print integers of more than 4,300 digits, and may be told to refuse earlier
_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_INTEGER = re.compile(rf"[-+]?{_DIGITS}")
_OCTAL = re.compile(r"0o[0-7]+(?:_[0-7]+)*")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*")
_FLOAT = re.compile(rf"[-+]?(?:\.{_DIGITS}|{_DIGITS}(?:\.(?:{_DIGITS})?)?)(?:[eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"([-+]?)\.(?:inf|Inf|INF)")
_NUMBER_STARTS = frozenset("-+.0123456789")
_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


@lru_cache(maxsize=4096)
def resolve_scalar(text: str) -> str | int | float | bool | None:
    """Return the value of a plain scalar.

    Raises:
        ValueError: an integer of more digits than anyone can mean.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    if _INTEGER.fullmatch(text):
        return int(_bounded(text))
    if _FLOAT.fullmatch(text):
        return float(text)
    if _OCTAL.fullmatch(text) or _HEXADECIMAL.fullmatch(text):
        return int(_bounded(text), 0)
    if infinity := _INFINITY.fullmatch(text):
        return float(infinity[1] + "inf")
    return text


def _bounded(text: str) -> str:
    if len(text) > MAX_INTEGER_CHARS:
        raise ValueError(f"an integer of {len(text):,} characters: expected at most {MAX_INTEGER_CHARS}")
    return text
