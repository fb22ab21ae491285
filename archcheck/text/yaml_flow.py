"""Plain values as YAML's flow style, on one line."""

from __future__ import annotations

import json
import re
from typing import Any

from archcheck.text.yaml_scalars import resolve_scalar

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\-]*")
_NOT_FINITE = {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}
_PLAIN_TEXT = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_./+*()-]*")


def format_key(key: str) -> str:
    """Return a mapping key as YAML, quoted where it could be read as anything else."""
    return key if _PLAIN_KEY.fullmatch(key) else _quoted(key)


def _quoted(text: str) -> str:
    """Return a text in quotes: in single ones, where a backslash stands for itself, if it has any."""
    if "\\" in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False)


def format_flow(value: Any) -> str:
    """Return a plain value as flow-style YAML on one line, such that our own reader gives the same value back."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{format_key(str(key))}: {format_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(format_flow(item) for item in value) + "]"
    if isinstance(value, str):
        is_plain = _PLAIN_TEXT.fullmatch(value) and resolve_scalar(value) == value
        return value if is_plain else _quoted(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value) if isinstance(value, int) else _NOT_FINITE.get(repr(value), repr(value))
