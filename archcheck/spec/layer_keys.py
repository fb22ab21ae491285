"""The keys of `layers`: module names, globs, calls."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Final

# `*`, `?` and a final `[k]` mean something in a key; a backslash before one of them, or before another backslash, takes
# that away: a module may have any name but one with a dot.
_CALL: Final = re.compile(r"((?:[^\\]|\\.)+)\[(\d{1,9})\]", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\([\\*?\[\]])")
_WILDCARDS: Final = {"**.": r"(?:.*\.)?", "**": ".*", "*": r"[^.]*", "?": r"[^.]"}
_PIECE: Final = re.compile(r"(\\[\\*?\[\]]|\*\*\.|\*\*|\*|\?)")


@dataclass(frozen=True, slots=True)
class LayerKey:
    """A key of `layers`: a module's name or a glob, and the call it speaks of where it ends in `[k]`."""

    text: str
    pattern: str
    call: int | None
    is_glob: bool = False  # whether it may speak of several modules

    @property
    def name(self) -> str:
        """The module's name, where the key is no glob."""
        return _ESCAPED.sub(r"\1", self.pattern) if "\\" in self.pattern else self.pattern

    def matches(self, name: str) -> bool:
        """Return whether a module's dotted name fits: `*` and `?` stay within a part of it, `**` crosses dots."""
        return _glob(self.pattern).fullmatch(name) is not None if self.is_glob else name == self.name


@functools.lru_cache(maxsize=4096)
def parse_layer_key(text: str) -> LayerKey:
    r"""Parse a key such as `b2.*`, `attn[1]` or `block\[0]`."""
    match = _CALL.fullmatch(text)
    pattern, call = (match[1], int(match[2])) if match else (text, None)
    return LayerKey(text, pattern, call, any(piece in _WILDCARDS for piece in _PIECE.split(pattern)))


def format_layer_key(name: str, call: int | None = None) -> str:
    """Return the key that speaks of one module, or of one of its calls, whatever characters its name has."""
    escaped = _without_call(_escaped(name))
    return escaped if call is None else f"{escaped}[{call}]"


def format_inner_key(key: str, part: str) -> str:
    """Return the key of what is called `part` in each of the modules that a key speaks of; "" is the network."""
    return _without_call(f"{key}.{_escaped(part)}" if key else _escaped(part))


def format_prefixes(key: LayerKey) -> list[str]:
    """Return the keys of what is around the modules that a key speaks of, from the outside, and last its own."""
    parts = key.pattern.split(".")
    return [_without_call(".".join(parts[:length])) for length in range(1, len(parts) + 1)]


def _escaped(name: str) -> str:
    return re.sub(r"[\\*?]", r"\\\g<0>", name)


def _without_call(key: str) -> str:
    """Return a key in which a name that ends as a call does isn't read as one."""
    if not _CALL.fullmatch(key):
        return key
    start = key.rindex("[")
    return f"{key[:start]}\\{key[start:]}"


@functools.lru_cache(maxsize=4096)
def _glob(pattern: str) -> re.Pattern[str]:
    pieces = _PIECE.split(pattern)
    return re.compile("".join(_WILDCARDS.get(one) or re.escape(_ESCAPED.sub(r"\1", one)) for one in pieces), re.DOTALL)
