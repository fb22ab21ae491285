"""Batches of somebody else's map-style data set: fetched item by item, in worker processes where that helps.

Whatever a data set raises becomes one line. A batch's random numbers depend on its seed alone, not on the worker that
makes it, so that the number of workers changes nothing but the speed.
"""

from __future__ import annotations

import multiprocessing
import pickle
import sys
import warnings
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from archcheck.data.images import is_pil_image, pixels
from archcheck.data.randomness import derive_seed, own_random_state
from archcheck.errors import ArchcheckError, DataError
from archcheck.network.exceptions import one_line, one_line_with_place
from archcheck.system.processors import num_cpus
from archcheck.text.words import kind_of

MAX_WORKERS = 4
Batch: TypeAlias = tuple[Any, Tensor]


@dataclass(frozen=True, slots=True)
class Ask:
    """One batch as asked for: which items, and the seed of the random numbers that they may draw."""

    indices: list[int]
    seed: int


def fetch_batch(dataset: Any, asked: Ask) -> Batch:
    """The items of one batch, stacked: inputs (a tensor, or a tuple or dict of them) and targets (int64 or float32).

    Raises:
        DataError: an item raised, is no pair, or doesn't stack with the others.
    """
    with own_random_state(asked.seed):
        items = [_fetch_item(dataset, index) for index in asked.indices]
        try:
            inputs, targets = default_collate(items)
        except Exception as error:
            raise DataError(f"the items of a batch can't be stacked: {one_line(error)}") from error
    if not isinstance(targets, Tensor):
        raise DataError(
            f"item {asked.indices[0]}: expected a number or a tensor as target, found {kind_of(items[0][1])}"
        )
    return tuple(inputs) if isinstance(inputs, list) else inputs, plain_targets(targets)


def plain_targets(targets: Tensor) -> Tensor:
    """Targets as losses take them: classes as int64, Python's and NumPy's floats as float32."""
    if not targets.is_floating_point():
        return targets.to(torch.int64)
    return targets.to(torch.float32) if targets.dtype == torch.float64 else targets


def _fetch_item(dataset: Any, index: int) -> tuple[Any, Any]:
    try:
        item = dataset[index]
    except ArchcheckError:  # of our own data sets, which say it in one line
        raise
    except (Exception, SystemExit) as error:
        raise DataError(f"item {index} of the data set raised {one_line_with_place(error)}") from error
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        found = f"{kind_of(item)} of {len(item)}" if isinstance(item, (tuple, list)) else kind_of(item)
        raise DataError(f"item {index} of the data set is {found}, expected a pair (input, target)")
    inputs, target = item
    return pixels(inputs) if is_pil_image(inputs) else inputs, target


# ---------------------------------------------------------------------------------------------- workers


@dataclass(frozen=True, slots=True)
class _Failure:
    """A `DataError` on its way out of a worker, which would otherwise arrive as a traceback in text."""

    message: str


class _Fetcher(Dataset[Any]):
    """The data set as the loader's workers see it: whole batches, and failures as values."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __getitems__(self, asked: Ask) -> Batch | _Failure:
        try:
            return fetch_batch(self.dataset, asked)
        except ArchcheckError as error:
            return _Failure(str(error))


def _as_it_is(batch: Any) -> Any:
    return batch


def stream_batches(
    dataset: Any, asks: Sequence[Ask], num_workers: int, pin_memory: bool
) -> Generator[Batch, None, None]:
    """The batches asked for, on the host and in order; the workers end with the iterator, however it ends.

    Raises:
        DataError: see `fetch_batch`; or a worker died.
    """
    loader: DataLoader[Any] = DataLoader(
        _Fetcher(dataset),
        batch_sampler=asks,  # type: ignore[arg-type]  # what it yields goes to __getitems__ as it is
        collate_fn=_as_it_is,
        num_workers=num_workers,
        pin_memory=pin_memory,
        multiprocessing_context=_start_method() if num_workers else None,
        generator=torch.Generator(),  # the loader draws a seed: not from the process's own generator
    )
    batches = _started(loader)
    try:
        for _ in asks:
            yield _next(batches)
    finally:
        # Dropping the iterator would do the same, but tracebacks keep it alive after an error or Ctrl-C.
        if num_workers:
            batches._shutdown_workers()


def _started(loader: DataLoader[Any]) -> Any:
    with warnings.catch_warnings():
        # Python 3.12 warns of fork beside threads (torch's pools); workers are forked before they use any of those.
        warnings.filterwarnings("ignore", message=".*fork", category=DeprecationWarning)
        return iter(loader)


def _next(batches: Any) -> Batch:
    try:
        batch = next(batches)
    except (RuntimeError, OSError, EOFError) as error:  # a worker died, with batches on their way or without
        raise DataError(f"loading a batch of the data set raised {one_line(error)}") from error
    if isinstance(batch, _Failure):
        raise DataError(batch.message)
    inputs, targets = batch
    return inputs, targets


def choose_num_workers(dataset: Any, num_batches: int) -> int:
    """How many worker processes to fetch with: up to 4, none where the data set can't travel to them."""
    if multiprocessing.current_process().daemon:  # such processes may have no children
        return 0
    if _start_method() != "fork" and not _is_picklable(dataset):
        return 0
    return min(MAX_WORKERS, num_cpus(), num_batches)


def _start_method() -> str:
    # A forked worker has the user's modules and the data set already, whether they can be pickled and found or not.
    return "fork" if sys.platform == "linux" else "spawn"


def _is_picklable(dataset: Any) -> bool:
    try:
        pickle.dumps(dataset)
    except Exception:  # pickling runs the user's code
        return False
    return True


def first_item(dataset: Any) -> Batch:
    """The first item as a batch of one, to see what the data set holds."""
    return fetch_batch(dataset, Ask([0], derive_seed("first item")))
