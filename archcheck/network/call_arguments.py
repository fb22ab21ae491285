"""The names of a call's arguments, checked against what is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from archcheck.errors import BuildError
from archcheck.network.signatures import signature_of
from archcheck.text.words import did_you_mean, listed

PRETRAINED: Final = ("weights", "weights_backbone", "pretrained")  # a registered model is built without


def check_arguments(function: Callable[..., Any], args: Mapping[str, Any], name: str) -> None:
    """Check the names of `args` against what `function` takes; a function with `**kwargs` may still refuse some.

    Raises:
        BuildError: an argument is missing, unknown or fixed; its `arg` says which.
    """
    for arg, fixed in getattr(function, "keywords", {}).items():
        if arg in PRETRAINED and arg in args and args[arg] is not fixed:
            raise BuildError(f"{name} is built without pretrained weights: `{arg}` can't be set", arg=arg)
    try:
        parameters = signature_of(function).parameters.values()
    except (ValueError, TypeError):  # builtins may have none
        return
    accepted = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        for arg in args:
            if arg not in accepted:
                raise unknown_argument(name, arg, accepted)
    for p in parameters:
        if p.default is p.empty and p.name not in args and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
            raise BuildError(f"{name} is missing its argument {p.name!r} {_accepts(accepted)}", arg=p.name)
        if p.default is p.empty and p.kind is p.POSITIONAL_ONLY:
            raise BuildError(f"{name} takes {p.name!r} by position only, and args are passed by name", arg=p.name)


def unknown_argument(name: str, arg: str, accepted: list[str]) -> BuildError:
    """Return the error of an argument that something called `name` doesn't take."""
    message = f"{name} accepts no argument {arg!r}{did_you_mean(arg, accepted)} {_accepts(accepted)}"
    return BuildError(message, arg=arg)


def _accepts(names: list[str]) -> str:
    return f"(it accepts {listed(names) or 'none'})"
