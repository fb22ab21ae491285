"""Pydantic's errors in our words, each at the place of the file that it speaks of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from archcheck.errors import Problem
from archcheck.findings import Keys
from archcheck.spec.document import Document
from archcheck.spec.known_keys import known_keys
from archcheck.text.words import key_text, shown, unknown


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Return problems in the order of the file, each once."""
    unique = dict.fromkeys(problems)
    return sorted(unique, key=lambda problem: (problem.loc.line, problem.loc.column))


def problems_of(document: Document, details: Sequence[Any]) -> Iterator[tuple[Keys, Problem]]:
    """Yield pydantic's errors in our words, with the places that they speak of."""
    found: dict[tuple[Keys, Any], list[Any]] = {}
    for detail in details:
        loc = detail["loc"] + tuple(detail.get("ctx", {}).get("path", ()))
        missing = detail["loc"] if detail["type"] == "missing" else None  # several may be missing at one place
        found.setdefault((_document_keys(document.value, loc), missing), []).append(detail)
    for (keys, missing), here in found.items():
        # Where one of several allowed forms was meant and is wrong inside, the others have nothing to say.
        inside = any(other[: len(keys)] == keys and (other, lack) != (keys, missing) for other, lack in found)
        told = [detail for detail in here if detail["type"] in _OURS] if inside else here
        if told:
            yield keys, _problem(document, keys, told)


_OURS = ("extra_forbidden", "missing", "archcheck")


def _problem(document: Document, keys: Keys, details: Sequence[Any]) -> Problem:
    """Return what is wrong at one place: one message, or the several forms that would be right."""
    detail = next((detail for detail in details if detail["type"] in _OURS), details[0])
    kind, name = detail["type"], str(detail["loc"][-1])
    if kind == "extra_forbidden":
        return Problem(document.locate(keys, key=True), unknown("key", name, known_keys(keys[:-1])))
    if kind == "missing":
        return Problem(document.locate(keys), f"missing key `{name}`{_MISSING.get(detail['loc'], '')}")
    if kind == "archcheck":
        message = detail["ctx"]["message"]
    else:
        expected = " or ".join(dict.fromkeys(_expected(one) for one in details))
        message = f"expected {expected}, found {shown(detail['input'])}"
    names = [part for part in keys if isinstance(part, str)]
    return Problem(document.locate(keys), f"{key_text(names[-1])}: {message}" if names else message)


_MISSING = {
    ("build",): "; expected the callable that builds the network, such as build: mypackage.nets:resnet18",
    ("input",): "; expected the input's shape, such as input: [B, 3, 224, 224]",
}
_EXPECTED = {
    "string_type": "text",
    "string_too_short": "text",
    "dict_type": "a map",
    "model_type": "a map",
    "model_attributes_type": "a map",
    "list_type": "a list",
    "tuple_type": "a list",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
}
_BOUNDS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "of at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "of at most"),
}


def _expected(detail: Any) -> str:
    context = detail.get("ctx", {})
    if detail["type"] in _BOUNDS:
        bound, words = _BOUNDS[detail["type"]]
        return f"a number {words} {context[bound]:g}"
    if detail["type"] == "literal_error":
        return str(context["expected"])
    return _EXPECTED.get(detail["type"], str(detail["msg"][:1].lower() + detail["msg"][1:]))


def _document_keys(value: Any, loc: Sequence[str | int]) -> Keys:
    """Return the part of pydantic's location that is in the document (it also names union members and short forms)."""
    keys: list[str | int] = []
    for part in loc:
        in_list = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if in_list or (isinstance(value, dict) and part in value):
            keys.append(part)
            value = value[part]
    return tuple(keys)
