"""Inputs that a user's callable makes: `inputs_from: module:callable`.

It is called with what it takes of `sizes` (the values of the free dimensions), `seed`, `device` and `train`, under
seeded generators, and returns a tuple of positional arguments, a dict of keyword arguments, or the only argument.
"""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from archcheck.errors import BuildError
from archcheck.network.build import resolve_target
from archcheck.network.imports import build_error, importing
from archcheck.network.signatures import signature_of
from archcheck.network.torch_state import isolated_random_state
from archcheck.spec.inputs import InputSource
from archcheck.spec.target import parse_target

SEED: Final = 0
SLOW_SEC: Final = 10.0
KEY: Final = "inputs_from"  # of the spec
_EXPECTED: Final = "a function that makes the inputs"


def call_source(
    source: InputSource, sizes: Mapping[str, int], *, train: bool = False
) -> tuple[list[Any], dict[str, Any]]:
    """Return the positional and keyword arguments that a source makes, on the CPU, to be had by the caller alone.

    It is called once for the same sizes and mode, as it may take its time: what it made is kept, and copies of that are
    returned. What can't be copied, such as a generator, is made anew.

    Raises:
        BuildError: it can't be imported or called, or raised.
    """
    with _errors_at_its_key():
        function = resolve_target(source.target, source.base_dir, source.rootdir, expected=_EXPECTED)
        given = {"sizes": dict(sizes), "seed": SEED, "device": torch.device("cpu"), "train": train}
        taken = {key: given[key] for key in _taken_arguments(function, source.target, list(given))}
        key = (tuple(sorted(sizes.items())) if "sizes" in taken else None, taken.get("train"))
        if key in source.made:
            made = copy.deepcopy(source.made[key])
        else:
            made = _call(function, source, taken)
            _keep(source, key, made)
    if isinstance(made, dict):
        return [], {str(key): value for key, value in made.items()}
    return list(made) if type(made) is tuple else [made], {}


def _keep(source: InputSource, key: Hashable, made: Any) -> None:
    """Keep a copy of what a source made, if it has one: a network may write to what it is given."""
    try:
        copied = copy.deepcopy(made)
    except Exception:  # whatever a user's class raises
        return
    originals = all_tensors(made)
    if not any(one is other for one in all_tensors(copied) for other in originals):
        source.made[key] = copied


def _call(function: Callable[..., Any], source: InputSource, arguments: Mapping[str, Any]) -> Any:
    """Call a source under seeded generators; what it made is no part of a graph, which couldn't be copied."""
    where = importing(parse_target(source.target), source.base_dir, source.rootdir)
    with where, isolated_random_state(SEED), _told_when_slow(source):
        try:
            made = function(**arguments)
        except (Exception, SystemExit) as error:
            raise build_error(f"calling {source.target}", error, source.rootdir) from error
    if any(one.is_meta for one in all_tensors(made)):
        raise BuildError(f"{source.target} makes tensors without values: expected none on the device meta")
    return map_tensors(lambda tensor: tensor.detach().clone(), made)


@contextmanager
def _errors_at_its_key() -> Iterator[None]:
    try:
        yield
    except BuildError as error:
        error.key = KEY
        raise


def _taken_arguments(function: Callable[..., Any], name: str, known: Sequence[str]) -> list[str]:
    """Return those of the known arguments that a function takes."""
    if isinstance(function, nn.Module):
        raise BuildError(f"{name} is a network, expected {_EXPECTED}")
    try:
        parameters = signature_of(function).parameters.values()
    except (ValueError, TypeError):  # builtins may have none
        return []
    for one in parameters:
        is_needed = one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
        if is_needed and (one.name not in known or one.kind is one.POSITIONAL_ONLY):
            raise BuildError(f"{name} asks for {one.name!r}, and is called with {', '.join(known)}, by name")
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return list(known)
    names = {one.name for one in parameters}
    return [key for key in known if key in names]


@contextmanager
def _told_when_slow(source: InputSource) -> Iterator[None]:
    """Tell who waits what for, once it takes long."""
    message = f"{KEY} {source.target} has taken {SLOW_SEC:.0f} s so far; smaller inputs do, made once and kept"
    timer = threading.Timer(SLOW_SEC, logging.getLogger("archcheck").warning, [message])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


# ------------------------------------------------------------------------------------------- what it returned


def map_tensors(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    """Return a copy of what a source made with every tensor changed, in containers and in objects that hold some."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, PackedSequence):
        return value._replace(data=change(value.data))  # its other tensors stay on the CPU
    if isinstance(value, list | tuple):
        items = [map_tensors(change, item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if type(value) is dict:
        return {key: map_tensors(change, item) for key, item in value.items()}
    if isinstance(value, type | nn.Module):
        return value
    if callable(getattr(type(value), "apply", None)):  # torch_geometric's data, TensorDict
        return copy.copy(value).apply(change)
    if hasattr(value, "__dict__") and not callable(value):
        try:
            made = copy.copy(value)
        except Exception:  # an open file, say, which is passed on as it is
            return value
        for name, item in list(vars(made).items()):
            object.__setattr__(made, name, map_tensors(change, item))
        return made
    return value


def all_tensors(value: Any) -> list[Tensor]:
    """Return the tensors in what a source made, in order."""
    found: list[Tensor] = []

    def noted(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    map_tensors(noted, value)
    return found
