"""A parser's event stream to plain values and the nodes that say where they are written.

Values are built straight from the events, without composing YAML nodes first, so that nesting, aliases and tags are
judged as they come by: nothing deep or huge is ever built, and the text is read only once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from archcheck.spec.positions import (
    BOM,
    Lines,
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    SharedNode,
    end_of,
    start_of,
)
from archcheck.text.words import quoted
from archcheck.text.yaml_scalars import resolve_scalar

MAX_DEPTH = 64
MAX_VALUES = 100_000  # with every alias written out
EMPTY = "empty: expected a mapping with at least `build` and `input`"
EMPTY_LIST = "empty: expected a list of maps, each with `name` and `build`"

_REST_OF_LINE = re.compile(r"[^\r\n]*")


class _StopError(Exception):
    """The rest of the text can't or mustn't be read; the reason is among the builder's problems."""


@dataclass(slots=True)
class _Anchor:
    """An anchored value for its aliases: with its node, and how many values and levels it has when written out."""

    value: Any
    node: ScalarNode | MappingNode | SequenceNode
    count: int
    height: int


class DocumentBuilder:
    """Builds the values and nodes of one text from its events; `problems` are (offset, message)."""

    def __init__(self, text: str, top: type = dict) -> None:
        self._top = top
        self.problems: list[tuple[int, str]] = []
        self._text = text
        self._lines = Lines(text)
        self._next: Callable[[], Any]
        # libyaml doesn't count a byte-order mark in its offsets and Python's parser does, so neither gets it.
        self._shift = 1 if text.startswith(BOM) else 0
        self._anchors: dict[str, _Anchor | None] = {}  # None while the anchored value is still being read
        self._count = 0
        self._deepest = 0  # of the values read since it was last set back

    def build(self) -> tuple[Any, Node]:
        """Return the value of the text and its node; None and an empty node where the text can't be read to its end."""
        import yaml

        if (second := self._text.find(BOM, 1)) > 0:  # invisible, and part of a key or not depending on where it stands
            self._report(second - self._shift, f"character U+{ord(BOM):04X} is not allowed")
            return None, (0, 0)
        try:
            # A PyYAML that was built without libyaml has the same parser in Python, only slower.
            self._next = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(self._text[self._shift :]).get_event
            return self._document()
        except yaml.YAMLError as error:
            self.problems.append(self._syntax_problem(error))
        except UnicodeEncodeError as error:
            self._report(error.start, f"character U+{ord(error.object[error.start]):04X} is not allowed")
        except _StopError:
            pass
        return None, (0, 0)

    def _document(self) -> tuple[Any, Node]:
        self._next()  # the stream's start
        if type(self._next()).__name__ != "DocumentStartEvent":
            self._stop(0, EMPTY if self._top is dict else EMPTY_LIST)
        first: Any = self._next()
        value, node = self._value(first, 1)
        if value is None and not isinstance(node, SharedNode) and start_of(node) == end_of(node):
            self._stop(0, EMPTY if self._top is dict else EMPTY_LIST)
        if not isinstance(value, self._top):
            expected = "a mapping" if self._top is dict else "a list"
            self._report(first.start_mark.index, f"expected {expected} at the top, found {_kind(value)}")
        self._next()  # the document's end
        following = self._next()
        if type(following).__name__ == "DocumentStartEvent":
            self._report(following.start_mark.index, "a second document starts here: expected one spec to a file")
        return value, node

    def _value(self, event: Any, depth: int) -> tuple[Any, Node]:
        """Build the value that starts with `event`."""
        self._count += 1
        if depth > self._deepest:
            self._deepest = depth
        kind = type(event).__name__
        if kind == "AliasEvent":
            return self._alias(event, depth)
        if event.tag is not None:
            self._report(event.start_mark.index, f"tags are not allowed: {quoted(event.tag)}")
        if event.anchor is not None:
            return self._anchored(event, depth)
        return self._without_tag(event, depth, kind)

    def _plain_scalar(self, event: Any, depth: int) -> tuple[Any, ScalarNode] | None:
        """Build a plain scalar on a short way, as most of a spec is made of them; None for any other event."""
        if type(event).__name__ != "ScalarEvent" or event.style or event.anchor is not None or event.tag is not None:
            return None
        self._count += 1
        if depth > self._deepest:
            self._deepest = depth
        return self._scalar(event)

    def _without_tag(self, event: Any, depth: int, kind: str) -> tuple[Any, ScalarNode | MappingNode | SequenceNode]:
        """Build a value whose tag and anchor have been dealt with."""
        if kind == "ScalarEvent":
            return self._scalar(event)
        if depth > MAX_DEPTH:
            self._stop(event.start_mark.index, f"nested too deeply: more than {MAX_DEPTH} levels")
        return self._mapping(event, depth) if kind == "MappingStartEvent" else self._sequence(event, depth)

    def _scalar(self, event: Any) -> tuple[Any, ScalarNode]:
        text, start = event.value, event.start_mark.index + self._shift
        if event.style:  # quoted or block: text, whatever it looks like
            end = event.end_mark.index + self._shift
            return text, (start, self._block_end(start, end) if event.style in "|>" else end)
        try:
            return resolve_scalar(text), (start, event.end_mark.index + self._shift)
        except ValueError as error:
            self._report(event.start_mark.index, str(error))
            return 0, (start, start)

    def _block_end(self, start: int, end: int) -> int:
        """Return where the text of a `|` or `>` scalar ends: blank lines after it belong to it only if it says so."""
        header, _, _ = _REST_OF_LINE.match(self._text, start)[0].partition("#")  # type: ignore[index]
        if "+" in header:
            return end
        last = start + len(self._text[start:end].rstrip(" \t\r\n"))
        return _REST_OF_LINE.match(self._text, last).end()  # type: ignore[union-attr]

    def _mapping(self, event: Any, depth: int) -> tuple[dict[str, Any], MappingNode]:
        shift, value = self._shift, {}
        node = MappingNode(event.start_mark.index + shift, bool(event.flow_style))
        while type(event := self._next()).__name__ != "MappingEndEvent":
            key = self._key(event, depth)
            start, end = event.start_mark.index + shift, event.end_mark.index + shift
            part_event = self._next()
            part, part_node = self._plain_scalar(part_event, depth + 1) or self._value(part_event, depth + 1)
            if key is None:
                continue
            if key in node.parts:
                first_line, _ = self._lines.at(node.parts[key][0])
                self._report(event.start_mark.index, f"duplicate key {quoted(key)}, first on line {first_line}")
                continue
            value[key] = part
            node.parts[key] = (start, end, part_node)
            # The end of a block, as the parser has it, is behind the comments and blank lines that follow.
            node.end = end_of(part_node)
        if node.is_flow:
            node.end = event.end_mark.index + shift
        return value, node

    def _key(self, event: Any, depth: int) -> str | None:
        """Return a mapping key as text; for anything else report the problem, skip the key and return None."""
        kind, index = type(event).__name__, event.start_mark.index
        if kind != "ScalarEvent":
            self._report(index, f"expected text as a key, found {_KEY_KINDS[kind]}")
            self._value(event, depth + 1)
            return None
        key: str = event.value
        if event.tag is not None:
            self._report(index, f"tags are not allowed: {quoted(event.tag)}")
        elif event.anchor is not None:
            self._report(index, f"expected text as a key, found the anchor &{event.anchor}")
        elif not key and not event.style:
            self._report(index, "expected a key before the colon")
        elif key == "<<" and not event.style:
            self._report(index, "merge keys (<<) are not allowed")
        else:
            return key
        return None

    def _sequence(self, event: Any, depth: int) -> tuple[list[Any], SequenceNode]:
        value = []
        node = SequenceNode(event.start_mark.index + self._shift, bool(event.flow_style))
        while type(event := self._next()).__name__ != "SequenceEndEvent":
            part, part_node = self._plain_scalar(event, depth + 1) or self._value(event, depth + 1)
            value.append(part)
            node.parts.append(part_node)
            node.end = end_of(part_node)
        if node.is_flow:
            node.end = event.end_mark.index + self._shift
        return value, node

    # A value is shared, not copied, wherever its alias stands; but whoever walks the result walks it every time. So
    # the bounds on values and levels hold for the result with every alias written out.

    def _anchored(self, event: Any, depth: int) -> tuple[Any, SharedNode]:
        self._anchors[event.anchor] = None
        count, deepest, self._deepest = self._count, self._deepest, depth
        value, node = self._without_tag(event, depth, type(event).__name__)
        height = self._deepest - depth
        self._anchors[event.anchor] = _Anchor(value, node, self._count - count + 1, height)
        self._deepest = max(deepest, self._deepest)
        return value, SharedNode(start_of(node), end_of(node), node)

    def _alias(self, event: Any, depth: int) -> tuple[Any, SharedNode]:
        index, name = event.start_mark.index, event.anchor
        if name not in self._anchors:
            self._stop(index, f"alias *{name} has no anchor &{name} before it")
        anchor = self._anchors[name]
        if anchor is None:
            self._stop(index, f"alias *{name} is part of what it stands for")
        self._count += anchor.count - 1
        self._deepest = max(self._deepest, depth + anchor.height)
        if self._count > MAX_VALUES:
            self._stop(index, f"too many values: more than {MAX_VALUES:,} with every alias written out")
        if depth + anchor.height > MAX_DEPTH:
            self._stop(index, f"nested too deeply: more than {MAX_DEPTH} levels with every alias written out")
        return anchor.value, SharedNode(index + self._shift, event.end_mark.index + self._shift, anchor.node)

    def _report(self, index: int, message: str) -> None:
        self.problems.append((index + self._shift, message))

    def _stop(self, index: int, message: str) -> NoReturn:
        self._report(index, message)
        raise _StopError

    def _syntax_problem(self, error: Any) -> tuple[int, str]:
        """Return an error of PyYAML, which spreads over many lines, as one line with its offset."""
        if hasattr(error, "character"):  # the reader's: a character that YAML doesn't allow anywhere
            found = max(self._text.find(chr(error.character), self._shift), 0)
            return found, f"character U+{error.character:04X} is not allowed"
        offset = min(error.problem_mark.index + self._shift, len(self._text))
        if self._text[offset : offset + 1] == "\t":
            return offset, "not valid YAML: a tab can't indent or separate here, use spaces"
        if "nesting depth" in error.problem:  # newer releases of libyaml have a bound of their own
            return offset, f"nested too deeply: more than {MAX_DEPTH} levels"
        message = f"not valid YAML: {error.problem}"
        if error.context:
            begun, _ = self._lines.at(error.context_mark.index + self._shift)
            message += f" {error.context} (from line {begun})"
        return offset, " ".join(message.split())


_KEY_KINDS = {"AliasEvent": "an alias", "MappingStartEvent": "a mapping", "SequenceStartEvent": "a list"}


def _kind(value: object) -> str:
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "a mapping"
    if value is None:
        return "nothing"
    return f"{'text' if isinstance(value, str) else 'the value'} {quoted(str(value))}"
