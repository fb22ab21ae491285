"""YAML text to plain values that know where they were written.

Scalars follow the core schema of YAML 1.2, plus `_` between digits: `1e-3` is a number, `on` is text.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from archcheck.errors import Problem, SourceLoc, SpecError
from archcheck.spec.document_builder import DocumentBuilder
from archcheck.spec.positions import Key, Lines, MappingNode, Node, SequenceNode, SharedNode, child_of, start_of
from archcheck.text.words import did_you_mean

MAX_BYTES = 1 << 20


class Document:
    """A parsed file: its plain `value`, and where in `text` each part of it is written.

    `keys` in the methods below is the way from the top to a value: mapping keys as text, positions as int.
    """

    def __init__(self, path: str, text: str, value: Any, root: Node) -> None:
        self.path = path
        self.text = text
        self.value = value
        self._positions: Node | None = root
        self._lines = Lines(text)

    @property
    def _root(self) -> Node:
        if self._positions is None:
            _, self._positions = DocumentBuilder(self.text, type(self.value)).build()
        return self._positions

    def release(self) -> None:
        """Drop the positions, which take far more room than the text; it is read again when one is asked for."""
        self._positions = None

    def locate(self, keys: Sequence[Key] = (), *, key: bool = False) -> SourceLoc:
        """Return where the value at `keys` starts, or its key; without such a value, the deepest one on the way."""
        node, key_start = self._root, start_of(self._root)
        for part in keys:
            child = child_of(node, part)
            if child is None:
                break
            key_start, node = child
        return self.at(key_start if key else start_of(node))

    def span(self, keys: Sequence[Key] = (), *, shared: bool = False) -> tuple[int, int] | None:
        """Return the start and end in `text` of the value at `keys`, which may be replaced in place.

        Quotes and brackets are included, comments and blank lines after a block left out. A value that isn't written
        at all has an empty span right behind its `:` or `-`. None where there is no such value, and where an anchor or
        alias shares it with another place, unless `shared` asks for it where its anchor is.
        """
        node = self._find(keys, shared=shared)
        return None if node is None else (node[0], node[1]) if isinstance(node, tuple) else (node.start, node.end)

    def key_span(self, keys: Sequence[Key]) -> tuple[int, int] | None:
        """Return the start and end in `text` of the key of an entry of a map, quotes included; None where it's none."""
        node = self._find(keys[:-1], shared=False)
        found = node.parts.get(str(keys[-1])) if isinstance(node, MappingNode) else None
        return None if found is None else found[:2]

    def mentions(self, keys: Sequence[Key]) -> dict[tuple[Key, ...], tuple[int, int]]:
        """Return all places of the value at `keys`, or of one around it, that an anchor shares, in order.

        With the start and end of what is written there, of which the first is the anchor and the value itself.
        Nothing where none is shared.
        """
        node = self._root
        for part in keys:
            child = child_of(node, part)
            if child is None:
                return {}
            node = child[1]
            if isinstance(node, SharedNode):
                same = [(at, one) for at, one in _shared_nodes(self._root, ()) if one.target is node.target]
                same.sort(key=lambda item: item[1].start)
                return {at: (one.start, one.end) for at, one in same}
        return {}

    def is_flow(self, keys: Sequence[Key] = ()) -> bool:
        """Return whether the value at `keys` is a list or mapping in brackets."""
        node = self._find(keys)
        return isinstance(node, MappingNode | SequenceNode) and node.is_flow

    def at(self, offset: int) -> SourceLoc:
        """Return the line and column of a character of `text`."""
        return SourceLoc(self.path, *self._lines.at(offset))

    def _find(self, keys: Sequence[Key], *, shared: bool = True) -> Node | None:
        node = self._root
        for part in keys:
            child = child_of(node, part)
            if child is None or (isinstance(child[1], SharedNode) and not shared):
                return None
            node = child[1]
        return node.target if isinstance(node, SharedNode) else node


def _shared_nodes(node: Node, place: tuple[Key, ...]) -> Iterator[tuple[tuple[Key, ...], SharedNode]]:
    parts: dict[Key, Node] = {}
    if isinstance(node, MappingNode):
        parts = {key: part for key, (_, _, part) in node.parts.items()}
    elif isinstance(node, SequenceNode):
        parts = dict(enumerate(node.parts))
    for key, part in parts.items():
        if isinstance(part, SharedNode):
            yield (*place, key), part
        yield from _shared_nodes(part, (*place, key))


def read_document(path: Path, shown: str) -> Document:
    """Read and parse a file; `shown` is how messages call it.

    Raises:
        SpecError: the file can't be read, is no UTF-8, or is anything that `parse_document` refuses.
    """
    return parse_document(read_text(path, shown), shown)


def parse_document(text: str, path: str, *, top: type[dict[str, Any]] | type[list[Any]] = dict) -> Document:
    """Parse the text of a file that holds one mapping, or one list; `path` is what messages call it.

    Raises:
        SpecError: the text is no YAML, or YAML that a spec may not use; all problems found, in file order.
    """
    if len(text) > MAX_BYTES:
        raise _whole_file_error(path, f"too large: expected at most {MAX_BYTES:,} bytes")
    conflict = re.search(r"^<{7} ", text, re.MULTILINE)
    if conflict is not None:
        line = text.count("\n", 0, conflict.start()) + 1
        raise SpecError(
            [Problem(SourceLoc(path, line, 1), "git left a conflict here: keep what you want of both sides")]
        )
    builder = DocumentBuilder(text, top)
    value, node = builder.build()
    document = Document(path, text, value, node)
    if builder.problems:
        found = sorted(builder.problems, key=lambda problem: problem[0])
        raise SpecError([Problem(document.at(offset), message) for offset, message in found])
    return document


# ---------------------------------------------------------------------------------------------- reading the file


def read_text(path: Path, shown: str, max_bytes: int = MAX_BYTES) -> str:
    """Return the text of a file; `shown` is how messages call it. Raises SpecError where it can't be read."""
    try:
        if not path.is_file() and path.exists():
            raise _whole_file_error(shown, "a directory, expected a file" if path.is_dir() else "not a regular file")
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except FileNotFoundError as error:
        told = f"there is no such file{_nearest(path, shown)}"
        if path.is_symlink():
            told = f"a link to {path.readlink()}, which isn't there: restore that, or remove the link"
        raise _whole_file_error(shown, told) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _whole_file_error(shown, f"can't be read: {reason}") from error
    if len(data) > max_bytes:
        raise _whole_file_error(shown, f"too large: expected at most {max_bytes:,} bytes")
    return _decode(data, shown)


def _nearest(path: Path, shown: str) -> str:
    """Return what to do about a file that isn't there: take one that is called much like it, or write it."""
    close = did_you_mean(path.name, (one.name for one in sorted(path.parent.glob("*.yaml"))))
    return close or f"; write it: archcheck new module:callable --input B,3,224,224 --output {shlex.quote(shown)}"


def _decode(data: bytes, shown: str) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _whole_file_error(shown, "encoded as UTF-16, expected UTF-8")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        message = f"not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}"
        raise SpecError([Problem(SourceLoc(shown, *Lines(before).at(len(before))), message)]) from error


def _whole_file_error(path: str, message: str) -> SpecError:
    return SpecError([Problem(SourceLoc(path, 1, 1), message)])
