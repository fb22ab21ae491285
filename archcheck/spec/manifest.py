"""A manifest: the networks of a zoo in one list, each to have a spec of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from archcheck.errors import Problem, SourceLoc, SpecError
from archcheck.spec.document import Document, parse_document, read_text
from archcheck.spec.messages import in_order, problems_of
from archcheck.spec.models import Spec
from archcheck.spec.validation import check_spec
from archcheck.text.words import quoted, shown, unknown

KEYS: Final = ("name", "build", "args", "input", "inputs_from", "train_input", "sizes")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Entry:
    """One network of a manifest; `values` are the keys of its spec that the manifest gives, besides its build."""

    name: str
    build: str
    loc: SourceLoc
    values: dict[str, Any] = field(default_factory=dict)


def read_manifest(path: Path) -> list[Entry]:
    """Read a manifest: a list of maps with `name`, `build` and, where they're needed, further keys of a spec: `KEYS`.

    Raises:
        SpecError: it can't be read, or isn't that; all problems found, in file order.
    """
    if not path.exists():
        raise SpecError([Problem(SourceLoc(str(path), 1, 1), "there is no such manifest")])
    document = parse_document(read_text(path, str(path)), str(path), top=list)
    problems = in_order(_problems(document))
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
        yield from _problems_of_network(document, i, one)
        name = str(one.get("name")).casefold()
        if name in names and "name" in one:
            line = document.locate((names[name], "name")).line
            yield Problem(document.locate((i, "name")), f"name: {quoted(one['name'])} is the name in line {line}, too")
        names.setdefault(name, i)


def _problems_of_network(document: Document, i: int, network: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with the keys of one network; those that a spec has, too, are checked as there."""
    for key in network:
        if key not in KEYS:
            yield Problem(document.locate((i, key), key=True), unknown("key", key, KEYS))
    name = network.get("name")
    if "name" not in network:
        yield Problem(document.locate((i,)), "missing key `name`")
    elif not (isinstance(name, str) and _NAME.fullmatch(name)):
        expected = "expected letters, digits, _, - and ., as it's a file's name"
        yield Problem(document.locate((i, "name")), f"name: {expected}; found {shown(name)}")
    of_spec = {key: network[key] for key in KEYS[1:] if key in network}
    is_described = "input" in of_spec or "inputs_from" in of_spec
    try:
        spec = Spec.model_validate(of_spec if is_described else {**of_spec, "input": []})
    except ValidationError as error:
        details = [{**one, "loc": (i, *one["loc"])} for one in error.errors(include_url=False)]
        yield from (problem for _, problem in problems_of(document, details))
        return
    if is_described:  # else the dimensions aren't known
        yield from (Problem(document.locate((i, *keys)), message) for keys, message in check_spec(spec))
