"""Where the lines of a text start, and where each part of a YAML value is written in it.

Offsets count characters of the text from 0, lines and columns from 1.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property
from typing import TypeAlias

BOM = "\ufeff"
LINE_BREAK = re.compile(r"\r\n|\n|\r")

Key: TypeAlias = "str | int"


class Lines:
    """The lines of a text, found when first asked for: most files are never complained about."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _starts(self) -> list[int]:
        first = 1 if self._text.startswith(BOM) else 0
        return [first, *(match.end() for match in LINE_BREAK.finditer(self._text))]

    def at(self, offset: int) -> tuple[int, int]:
        """Return the line and column of a character."""
        offset = max(offset, self._starts[0])
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


class MappingNode:
    """The extent of a mapping and its parts: key -> (the key's start and end, the value's node)."""

    __slots__ = ("end", "is_flow", "parts", "start")

    def __init__(self, start: int, is_flow: bool) -> None:
        self.start = start
        self.end = start
        self.is_flow = is_flow
        self.parts: dict[str, tuple[int, int, Node]] = {}


class SequenceNode:
    """The extent of a sequence and its parts."""

    __slots__ = ("end", "is_flow", "parts", "start")

    def __init__(self, start: int, is_flow: bool) -> None:
        self.start = start
        self.end = start
        self.is_flow = is_flow
        self.parts: list[Node] = []


class SharedNode:
    """An anchored value, or an alias of one: `start` and `end` are of this mention, `target` is what is meant."""

    __slots__ = ("end", "start", "target")

    def __init__(self, start: int, end: int, target: ScalarNode | MappingNode | SequenceNode) -> None:
        self.start = start
        self.end = end
        self.target = target


ScalarNode: TypeAlias = tuple[int, int]  # start and end, nothing more: a thousand specs hold half a million of these
Node: TypeAlias = "ScalarNode | MappingNode | SequenceNode | SharedNode"


def start_of(node: Node) -> int:
    """Return the offset at which a value starts."""
    return node[0] if isinstance(node, tuple) else node.start


def end_of(node: Node) -> int:
    """Return the offset behind a value."""
    return node[1] if isinstance(node, tuple) else node.end


def child_of(node: Node, part: Key) -> tuple[int, Node] | None:
    """Return where the key of a part starts, and the part; the start of an item stands for its key."""
    if isinstance(node, SharedNode):
        node = node.target
    if isinstance(node, MappingNode):
        found = node.parts.get(str(part))
        return None if found is None else (found[0], found[2])
    if isinstance(node, SequenceNode) and isinstance(part, int) and 0 <= part < len(node.parts):
        return start_of(node.parts[part]), node.parts[part]
    return None
