"""Arguments of a spec against the signature of a function."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from archcheck.data.arguments import check_call_arguments
from archcheck.errors import DataError


def load(
    context: object, /, *, path: str, size: int = 1, scale: float = 1.0, grey: bool = False,
    kind: Literal["a", "b"] = "a", p: float | None = None,
) -> None:  # fmt: skip
    """Something to be called with arguments of every type."""


@pytest.mark.parametrize(
    "args",
    [
        {"path": "x"},
        {"path": "x", "size": 2, "scale": 3, "grey": True, "kind": "b", "p": 0.5},
        {"path": "x", "p": 1},
    ],
)
def test_arguments_of_the_types_that_are_annotated_pass(args: dict[str, Any]) -> None:
    check_call_arguments(load, args, "load")


@pytest.mark.parametrize(
    ("args", "arg", "message"),
    [
        ({}, "path", "load is missing its argument 'path'"),
        ({"path": "x", "sise": 1}, "sise", "load accepts no argument 'sise': did you mean 'size'"),
        ({"path": 1}, "path", "load: expected a text as path, found 1"),
        ({"path": "x", "size": 1.5}, "size", "load: expected a whole number as size, found 1.5"),
        ({"path": "x", "size": True}, "size", "load: expected a whole number as size, found true"),
        ({"path": "x", "scale": "1"}, "scale", "load: expected a number as scale, found '1'"),
        ({"path": "x", "grey": 1}, "grey", "load: expected <class 'bool'> as grey, found 1"),
        ({"path": "x", "kind": "c"}, "kind", "load: expected a or b as kind, found 'c'"),
        ({"path": "x", "p": "x"}, "p", "load: expected a number as p, found 'x'"),
        ({"path": "x", "p": 1.5}, "p", "load: expected a probability, from 0 to 1 as p, found 1.5"),
    ],
)
def test_other_arguments_are_told_with_their_names(args: dict[str, Any], arg: str, message: str) -> None:
    with pytest.raises(DataError, match=f"^{message}") as raised:
        check_call_arguments(load, args, "load")
    assert raised.value.arg == arg


def test_what_is_passed_by_position_is_no_argument_of_a_spec() -> None:
    with pytest.raises(DataError, match="accepts no argument 'context'"):
        check_call_arguments(load, {"path": "x", "context": 1}, "load")
