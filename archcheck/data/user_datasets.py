"""A user's own data set: a callable, `module:callable` or `file.py:callable`, that returns (train, test)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from torch.utils.data import IterableDataset, TensorDataset

from archcheck.data.context import DataContext
from archcheck.data.seeds import derive_seed
from archcheck.data.splits import ArraySplit, LoadedDataset, Split
from archcheck.data.streaming import fetch_first_item, to_loss_dtype
from archcheck.errors import BuildError, DataError
from archcheck.network.call_arguments import check_arguments
from archcheck.network.exceptions import one_line, one_line_with_place
from archcheck.network.imports import import_named, importing
from archcheck.network.torch_state import isolated_random_state
from archcheck.spec.target import Target, parse_target
from archcheck.text.words import kind_of

_EXPECTED = "expected (train, test), two data sets with __len__ and __getitem__"


def resolve_user_dataset(text: str, args: Mapping[str, Any], context: DataContext) -> tuple[Target, Callable[..., Any]]:
    """Import the callable that a target names and check its arguments, without calling it.

    Raises:
        DataError: the callable can't be imported, or doesn't take the arguments.
    """
    try:
        target = parse_target(text)
        if target.kind not in ("module", "path"):
            raise DataError(f"{text}: expected module:callable or path/to/file.py:callable")
        function = import_named(target, context.base_dir, context.rootdir)
        if not callable(function):
            raise DataError(f"{target.text} is {kind_of(function)}, expected a callable that returns (train, test)")
        check_arguments(function, args, target.text)
    except BuildError as error:
        where = f" (at {error.where})" if error.where else ""
        raise DataError(f"{error}{where}", arg=error.arg) from error
    return target, function


def load_user_dataset(text: str, args: Mapping[str, Any], context: DataContext) -> LoadedDataset:
    """Call the callable that a target names, and return its data set.

    A `TensorDataset` of two tensors becomes an `ArraySplit`; other data sets are streamed, as their items may differ
    each time they are fetched.

    Raises:
        DataError: the callable can't be imported, or raises, or returns no pair of map-style data sets of pairs.
    """
    target, function = resolve_user_dataset(text, args, context)
    with importing(target, context.base_dir, context.rootdir), isolated_random_state(derive_seed("data target")):
        try:
            returned = function(**copy.deepcopy(dict(args)))
        except (Exception, SystemExit) as error:
            raise DataError(f"calling {text} raised {one_line_with_place(error, context.rootdir)}") from error
        if isinstance(returned, LoadedDataset):
            return returned
        if not isinstance(returned, (tuple, list)) or len(returned) != 2:
            found = (
                f"{kind_of(returned)} of {len(returned)}" if isinstance(returned, (tuple, list)) else kind_of(returned)
            )
            raise DataError(f"{text} returned {found}, {_EXPECTED}")
        train, test = (_split(part, f"{text}: {name}") for part, name in zip(returned, ("train", "test"), strict=True))
    return LoadedDataset(text, train, test)


def _split(part: Any, name: str) -> Split:
    if isinstance(part, ArraySplit):
        return part
    if isinstance(part, IterableDataset):
        raise DataError(f"{name} is an IterableDataset, {_EXPECTED}: batches are shuffled by index")
    if not hasattr(part, "__len__") or not hasattr(part, "__getitem__"):
        raise DataError(f"{name} is {kind_of(part)}, {_EXPECTED}")
    try:
        length = len(part)
    except (Exception, SystemExit) as error:
        raise DataError(f"{name}: its length raised {one_line(error)}") from error
    if not length:
        raise DataError(f"{name} has no examples")
    if type(part) is TensorDataset and len(part.tensors) == 2:
        return ArraySplit(part.tensors[0], to_loss_dtype(part.tensors[1]))
    try:
        fetch_first_item(part)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    split: Split = part
    return split
