"""A manifest: the networks of a zoo in one list, each to have a spec of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from archcheck.errors import ArchcheckError, Problem, SourceLoc, SpecError
from archcheck.spec.document import Document, parse_document, read_text
from archcheck.spec.target import parse_target
from archcheck.text.words import quoted, shown, unknown

KEYS: Final = ("name", "build", "args", "input", "sizes")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_MAPS: Final = ("args", "sizes")


@dataclass(frozen=True, slots=True)
class Entry:
    """One network of a manifest; `values` are the keys of its spec that the manifest gives, besides its build."""

    name: str
    build: str
    loc: SourceLoc
    values: dict[str, Any] = field(default_factory=dict)


def read_manifest(path: Path) -> list[Entry]:
    """Read a manifest: a list of maps with `name`, `build` and, where they're needed, `args`, `input` and `sizes`.

    Raises:
        SpecError: it can't be read, or isn't that; all problems found, in file order.
    """
    if not path.exists():
        raise SpecError([Problem(SourceLoc(str(path), 1, 1), "there is no such manifest")])
    document = parse_document(read_text(path, str(path)), str(path), top=list)
    problems = list(_problems(document))
    if problems:
        raise SpecError(problems)
    return [
        Entry(one["name"], one["build"], document.locate((i,)), {key: one[key] for key in KEYS[2:] if key in one})
        for i, one in enumerate(document.value)
    ]


def _problems(document: Document) -> Iterator[Problem]:
    names: dict[str, int] = {}
    for i, one in enumerate(document.value):
        if not isinstance(one, dict):
            yield Problem(document.locate((i,)), f"expected a map with name and build, found {shown(one)}")
            continue
        for key, value in one.items():
            problem = _problem(key, value)
            if problem is not None:
                yield Problem(document.locate((i, key), key=key not in KEYS), problem)
        for key in KEYS[:2]:
            if key not in one:
                yield Problem(document.locate((i,)), f"missing key `{key}`")
        name = str(one.get("name")).casefold()
        if name in names and "name" in one:
            line = document.locate((names[name], "name")).line
            yield Problem(document.locate((i, "name")), f"name: {quoted(one['name'])} is the name in line {line}, too")
        names.setdefault(name, i)


def _problem(key: str, value: Any) -> str | None:
    """Return what is wrong with one key of a network."""
    if key not in KEYS:
        return unknown("key", key, KEYS)
    if key == "name" and not (isinstance(value, str) and _NAME.fullmatch(value)):
        return f"name: expected letters, digits, _, - and ., as it's a file's name; found {shown(value)}"
    if key in _MAPS and not isinstance(value, dict):
        return f"{key}: expected a map, found {shown(value)}"
    if key != "build":
        return None
    try:
        parse_target(str(value))
    except ArchcheckError as error:
        return f"build: {error}"
    return None
