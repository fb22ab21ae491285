"""YAML text to plain values that know where they were written.

Scalars follow the core schema of YAML 1.2, plus `_` between digits: `1e-3` is a number, `on` is text. Values are built
straight from the parser's event stream, without composing nodes first, so that nesting, aliases and tags are judged as
they come by: nothing deep or huge is ever built, and the text is read only once.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from archcheck.errors import Problem, SourceLoc, SpecError
from archcheck.text.words import quoted
from archcheck.text.yaml_scalars import resolve_scalar

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_VALUES = 100_000  # with every alias written out

BOM = "\ufeff"
EMPTY = "empty: expected a mapping with at least `build` and `input`"

_LINE_BREAK = re.compile(r"\r\n|\n|\r")
_REST_OF_LINE = re.compile(r"[^\r\n]*")

Key: TypeAlias = "str | int"


class Document:
    """A parsed file: its plain `value`, and where in `text` each part of it is written.

    `keys` in the methods below is the way from the top to a value: mapping keys as text, positions as int.
    """

    def __init__(self, path: str, text: str, value: Any, root: _Node) -> None:
        self.path = path
        self.text = text
        self.value = value
        self._positions: _Node | None = root
        self._lines = _Lines(text)

    @property
    def _root(self) -> _Node:
        if self._positions is None:
            _, self._positions = _Builder(self.text).build()
        return self._positions

    def release(self) -> None:
        """Let go of the positions, which take far more room than the text; the next question reads it again."""
        self._positions = None

    def locate(self, keys: Sequence[Key] = (), *, key: bool = False) -> SourceLoc:
        """Where the value at `keys` starts, or its key; where there is no such value, the deepest one on the way."""
        node, key_start = self._root, _start(self._root)
        for part in keys:
            child = _child(node, part)
            if child is None:
                break
            key_start, node = child
        return self.at(key_start if key else _start(node))

    def span(self, keys: Sequence[Key] = ()) -> tuple[int, int] | None:
        """The characters of `text` that are the value at `keys`, which may be replaced in place.

        Quotes and brackets included, comments and blank lines after a block left out; empty right behind the `:` or
        `-` of a value that isn't written at all. None where there is no such value, and where an anchor or alias
        shares it with another place.
        """
        node = self._find(keys, shared=False)
        return None if node is None else (node[0], node[1]) if isinstance(node, tuple) else (node.start, node.end)

    def is_flow(self, keys: Sequence[Key] = ()) -> bool:
        """Whether the value at `keys` is a list or mapping in brackets."""
        node = self._find(keys)
        return isinstance(node, _Mapping | _Sequence) and node.is_flow

    def at(self, offset: int) -> SourceLoc:
        """The place of a character of `text`."""
        return SourceLoc(self.path, *self._lines.at(offset))

    def _find(self, keys: Sequence[Key], *, shared: bool = True) -> _Node | None:
        node = self._root
        for part in keys:
            child = _child(node, part)
            if child is None or (isinstance(child[1], _Shared) and not shared):
                return None
            node = child[1]
        return node.target if isinstance(node, _Shared) else node


def read_document(path: Path, shown: str) -> Document:
    """Read and parse a file; `shown` is its path in messages.

    Raises:
        SpecError: the file can't be read, is no UTF-8, or is anything that `parse_document` refuses.
    """
    return parse_document(_read_text(path, shown), shown)


def parse_document(text: str, path: str) -> Document:
    """Parse the text of a file that holds one mapping; `path` is what messages call it.

    Raises:
        SpecError: the text is no YAML, or YAML that a spec may not use; all problems found, in file order.
    """
    if len(text) > MAX_BYTES:
        raise _whole_file_error(path, f"too large: a spec has at most {MAX_BYTES:,} bytes")
    builder = _Builder(text)
    value, node = builder.build()
    document = Document(path, text, value, node)
    if builder.problems:
        found = sorted(builder.problems, key=lambda problem: problem[0])
        raise SpecError([Problem(document.at(offset), message) for offset, message in found])
    return document


# ---------------------------------------------------------------------------------------------- reading the file


def _read_text(path: Path, shown: str) -> str:
    try:
        if path.exists() and not path.is_file():
            raise _whole_file_error(shown, "a directory, expected a file" if path.is_dir() else "not a regular file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _whole_file_error(shown, f"can't be read: {reason}") from error
    if len(data) > MAX_BYTES:
        raise _whole_file_error(shown, f"too large: a spec has at most {MAX_BYTES:,} bytes")
    return _decode(data, shown)


def _decode(data: bytes, shown: str) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _whole_file_error(shown, "encoded as UTF-16, expected UTF-8")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        message = f"not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}"
        raise SpecError([Problem(SourceLoc(shown, *_Lines(before).at(len(before))), message)]) from error


def _whole_file_error(path: str, message: str) -> SpecError:
    return SpecError([Problem(SourceLoc(path, 1, 1), message)])


# ---------------------------------------------------------------------------------------------- where things are


class _Lines:
    """The lines of a text, found when first asked for: most files are never complained about."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _starts(self) -> list[int]:
        first = 1 if self._text.startswith(BOM) else 0
        return [first, *(match.end() for match in _LINE_BREAK.finditer(self._text))]

    def at(self, offset: int) -> tuple[int, int]:
        """The line and column of a character, from 1."""
        offset = max(offset, self._starts[0])
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


class _Mapping:
    """A mapping's extent and parts: key -> (the key's start and end, the value's node)."""

    __slots__ = ("end", "is_flow", "parts", "start")

    def __init__(self, start: int, is_flow: bool) -> None:
        self.start = start
        self.end = start
        self.is_flow = is_flow
        self.parts: dict[str, tuple[int, int, _Node]] = {}


class _Sequence:
    """A sequence's extent and parts."""

    __slots__ = ("end", "is_flow", "parts", "start")

    def __init__(self, start: int, is_flow: bool) -> None:
        self.start = start
        self.end = start
        self.is_flow = is_flow
        self.parts: list[_Node] = []


class _Shared:
    """A value with an anchor, or an alias of one: `start` and `end` are of this mention, `target` is what is meant."""

    __slots__ = ("end", "start", "target")

    def __init__(self, start: int, end: int, target: _Scalar | _Mapping | _Sequence) -> None:
        self.start = start
        self.end = end
        self.target = target


_Scalar: TypeAlias = tuple[int, int]  # start and end, nothing more: a thousand specs hold half a million of these
_Node: TypeAlias = "_Scalar | _Mapping | _Sequence | _Shared"


def _start(node: _Node) -> int:
    return node[0] if isinstance(node, tuple) else node.start


def _end(node: _Node) -> int:
    return node[1] if isinstance(node, tuple) else node.end


def _child(node: _Node, part: Key) -> tuple[int, _Node] | None:
    """Where the key of a part starts, and the part; the start of an item stands for its key."""
    if isinstance(node, _Shared):
        node = node.target
    if isinstance(node, _Mapping):
        found = node.parts.get(str(part))
        return None if found is None else (found[0], found[2])
    if isinstance(node, _Sequence) and isinstance(part, int) and 0 <= part < len(node.parts):
        return _start(node.parts[part]), node.parts[part]
    return None


# ---------------------------------------------------------------------------------------------- building the values


class _StopError(Exception):
    """The rest of the text can't or mustn't be read; the reason is among the problems already."""


@dataclass(slots=True)
class _Anchor:
    """What an alias repeats: the value, its node, and how many values and levels it has when written out."""

    value: Any
    node: _Scalar | _Mapping | _Sequence
    count: int
    height: int


class _Builder:
    """Turns one text's event stream into values and nodes; problems are (offset, message)."""

    def __init__(self, text: str) -> None:
        self.problems: list[tuple[int, str]] = []
        self._text = text
        self._lines = _Lines(text)
        self._next: Callable[[], Any]
        # libyaml doesn't count a byte-order mark in its offsets and Python's parser does, so neither gets it.
        self._shift = 1 if text.startswith(BOM) else 0
        self._anchors: dict[str, _Anchor | None] = {}  # None while the anchored value is still being read
        self._count = 0
        self._deepest = 0  # of the values read since it was last set back

    def build(self) -> tuple[Any, _Node]:
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

    def _document(self) -> tuple[Any, _Node]:
        self._next()  # the stream's start
        if type(self._next()).__name__ != "DocumentStartEvent":
            self._stop(0, EMPTY)
        first: Any = self._next()
        value, node = self._value(first, 1)
        if value is None and not isinstance(node, _Shared) and _start(node) == _end(node):
            self._stop(0, EMPTY)
        if not isinstance(value, dict):
            self._report(first.start_mark.index, f"expected a mapping at the top, found {_kind(value)}")
        self._next()  # the document's end
        following = self._next()
        if type(following).__name__ == "DocumentStartEvent":
            self._report(following.start_mark.index, "a second document starts here: expected one spec to a file")
        return value, node

    def _value(self, event: Any, depth: int) -> tuple[Any, _Node]:
        """The value that starts with `event`, and its node."""
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
        return self._plain(event, depth, kind)

    def _word(self, event: Any, depth: int) -> tuple[Any, _Scalar] | None:
        """The value of an ordinary plain scalar without further ado, as most of a spec is made of them; else None."""
        if type(event).__name__ != "ScalarEvent" or event.style or event.anchor is not None or event.tag is not None:
            return None
        self._count += 1
        if depth > self._deepest:
            self._deepest = depth
        return self._scalar(event)

    def _plain(self, event: Any, depth: int, kind: str) -> tuple[Any, _Scalar | _Mapping | _Sequence]:
        """A value whose tag and anchor have been dealt with."""
        if kind == "ScalarEvent":
            return self._scalar(event)
        if depth > MAX_DEPTH:
            self._stop(event.start_mark.index, f"nested too deeply: more than {MAX_DEPTH} levels")
        return self._mapping(event, depth) if kind == "MappingStartEvent" else self._sequence(event, depth)

    def _scalar(self, event: Any) -> tuple[Any, _Scalar]:
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
        """Where the text of a `|` or `>` scalar ends: blank lines after it are no part of it unless it says so."""
        header, _, _ = _REST_OF_LINE.match(self._text, start)[0].partition("#")  # type: ignore[index]
        if "+" in header:
            return end
        last = start + len(self._text[start:end].rstrip(" \t\r\n"))
        return _REST_OF_LINE.match(self._text, last).end()  # type: ignore[union-attr]

    def _mapping(self, event: Any, depth: int) -> tuple[dict[str, Any], _Mapping]:
        shift, value = self._shift, {}
        node = _Mapping(event.start_mark.index + shift, bool(event.flow_style))
        while type(event := self._next()).__name__ != "MappingEndEvent":
            key = self._key(event, depth)
            start, end = event.start_mark.index + shift, event.end_mark.index + shift
            part_event = self._next()
            part, part_node = self._word(part_event, depth + 1) or self._value(part_event, depth + 1)
            if key is None:
                continue
            if key in node.parts:
                first_line, _ = self._lines.at(node.parts[key][0])
                self._report(event.start_mark.index, f"duplicate key {quoted(key)}, first on line {first_line}")
                continue
            value[key] = part
            node.parts[key] = (start, end, part_node)
            # The end of a block, as the parser has it, is behind the comments and blank lines that follow.
            node.end = _end(part_node)
        if node.is_flow:
            node.end = event.end_mark.index + shift
        return value, node

    def _key(self, event: Any, depth: int) -> str | None:
        """A mapping key as text; None, with the problem noted and the key skipped, for anything else."""
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

    def _sequence(self, event: Any, depth: int) -> tuple[list[Any], _Sequence]:
        value = []
        node = _Sequence(event.start_mark.index + self._shift, bool(event.flow_style))
        while type(event := self._next()).__name__ != "SequenceEndEvent":
            part, part_node = self._word(event, depth + 1) or self._value(event, depth + 1)
            value.append(part)
            node.parts.append(part_node)
            node.end = _end(part_node)
        if node.is_flow:
            node.end = event.end_mark.index + self._shift
        return value, node

    # A value is shared, not copied, wherever its alias stands; but whoever walks the result walks it every time. So
    # the bounds on values and levels hold for the result with every alias written out.

    def _anchored(self, event: Any, depth: int) -> tuple[Any, _Shared]:
        self._anchors[event.anchor] = None
        count, deepest, self._deepest = self._count, self._deepest, depth
        value, node = self._plain(event, depth, type(event).__name__)
        height = self._deepest - depth
        self._anchors[event.anchor] = _Anchor(value, node, self._count - count + 1, height)
        self._deepest = max(deepest, self._deepest)
        return value, _Shared(_start(node), _end(node), node)

    def _alias(self, event: Any, depth: int) -> tuple[Any, _Shared]:
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
        return anchor.value, _Shared(index + self._shift, event.end_mark.index + self._shift, anchor.node)

    def _report(self, index: int, message: str) -> None:
        self.problems.append((index + self._shift, message))

    def _stop(self, index: int, message: str) -> NoReturn:
        self._report(index, message)
        raise _StopError

    def _syntax_problem(self, error: Any) -> tuple[int, str]:
        """PyYAML's own error, which spreads over many lines, as one line."""
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
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    return f"{'text' if isinstance(value, str) else 'the value'} {quoted(str(value))}"
