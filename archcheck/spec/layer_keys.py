"""The keys of `layers`: module names, globs, calls."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LayerKey:
    """A key of `layers`: a module's name or a glob, and the call it speaks of where it ends in `[k]`."""

    text: str
    pattern: str
    call: int | None

    @property
    def is_glob(self) -> bool:
        """Whether the key may speak of several modules."""
        return "*" in self.pattern or "?" in self.pattern

    def matches(self, name: str) -> bool:
        """Return whether a module's dotted name fits: `*` and `?` stay within a part of it, `**` crosses dots."""
        return _glob(self.pattern).fullmatch(name) is not None if self.is_glob else name == self.pattern


@functools.lru_cache(maxsize=4096)
def parse_layer_key(text: str) -> LayerKey:
    """Parse a key such as `b2.*` or `attn[1]`."""
    match = re.fullmatch(r"(.+)\[(\d{1,9})\]", text)
    return LayerKey(text, match[1], int(match[2])) if match else LayerKey(text, text, None)


@functools.lru_cache(maxsize=4096)
def _glob(pattern: str) -> re.Pattern[str]:
    pieces = re.split(r"(\*\*\.|\*\*|\*|\?)", pattern)
    known = {"**.": r"(?:.*\.)?", "**": ".*", "*": r"[^.]*", "?": r"[^.]"}
    return re.compile("".join(known.get(piece, re.escape(piece)) for piece in pieces))
