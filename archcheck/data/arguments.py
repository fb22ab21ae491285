"""Arguments of a spec checked against a function of archcheck: names by signature, types by annotation, and bounds."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from archcheck.errors import BuildError, DataError
from archcheck.network.call_arguments import check_arguments
from archcheck.text.words import shown

# Bounds beyond the type, by argument name: an argument of one name has the same bounds in every function.
_BOUNDS: Mapping[str, tuple[Callable[[Any], bool], str]] = types.MappingProxyType(
    {
        "head": (lambda value: value is None or value >= 1, "a number of examples, at least 1"),
        "p": (lambda value: 0 <= value <= 1, "a probability, from 0 to 1"),
        "padding": (lambda value: value >= 1, "a number of pixels, at least 1"),
        "test": (lambda value: not isinstance(value, (int, float)) or 0 < value < 1, "a share between 0 and 1"),
    }
)


def check_call_arguments(function: Callable[..., Any], args: Mapping[str, Any], name: str) -> None:
    """Check the names, types and bounds of arguments against the signature and annotations of `function`.

    Raises:
        DataError: an argument is unknown, missing or not what it should be; `arg` says which.
    """
    positional = function.__code__.co_posonlyargcount  # passed by archcheck, not by the spec
    try:
        check_arguments(functools.partial(function, *[None] * positional), args, name)
    except BuildError as error:
        raise DataError(str(error), arg=error.arg) from error
    hints = get_type_hints(function)
    for arg, value in args.items():
        if not _fits(value, hints[arg]):
            raise DataError(f"{name}: expected {_text(hints[arg])} as {arg}, found {shown(value)}", arg=arg)
        holds, expected = _BOUNDS.get(arg, (None, ""))
        if holds is not None and not holds(value):
            raise DataError(f"{name}: expected {expected} as {arg}, found {shown(value)}", arg=arg)


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) in (Union, types.UnionType):
        return any(_fits(value, option) for option in get_args(hint))
    if get_origin(hint) is Literal:
        return not isinstance(value, bool) and value in get_args(hint)
    if isinstance(value, bool) or hint is bool:  # true is no number
        return isinstance(value, bool) and hint is bool
    return isinstance(value, (int, float) if hint is float else hint)


_TYPE_NAMES = {str: "a text", int: "a whole number", float: "a number", type(None): "nothing"}


def _text(hint: Any) -> str:
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(_text(option) for option in get_args(hint) if option is not type(None))
    if get_origin(hint) is Literal:
        return " or ".join(map(str, get_args(hint)))
    return _TYPE_NAMES.get(hint, str(hint))
