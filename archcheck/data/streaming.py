"""Batches of a user's map-style data set, fetched item by item, in worker processes where that helps.

Any exception of a data set becomes a `DataError` of one line. A batch's random numbers depend on its seed alone, not on
the worker that fetches it, so that the number of workers changes nothing but the speed.
"""

from __future__ import annotations

import multiprocessing
import pickle
import sys
import traceback
import warnings
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from archcheck.data.image_files import image_to_tensor, is_pil_image
from archcheck.data.seeds import derive_seed
from archcheck.errors import ArchcheckError, DataError
from archcheck.network.exceptions import one_line, one_line_with_place
from archcheck.network.torch_state import isolated_random_state
from archcheck.system.audit import tell_unseen
from archcheck.system.processors import num_cpus
from archcheck.text.words import kind_of

MAX_WORKERS = 4
Batch: TypeAlias = tuple[Any, Tensor]


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """A batch to fetch: the indices of its items, and the seed of the random numbers that the items may draw."""

    indices: list[int]
    seed: int


def fetch_batch(dataset: Any, request: BatchRequest) -> Batch:
    """Fetch and stack the items of a batch: inputs (a tensor, or a tuple or dict of them), targets (int64 or float32).

    Raises:
        DataError: an item raised, is no pair, or doesn't stack with the others.
    """
    with isolated_random_state(request.seed):
        items = [_fetch_item(dataset, index) for index in request.indices]
        try:
            inputs, targets = default_collate(items)
        except Exception as error:
            raise DataError(f"the items of a batch can't be stacked: {_why(items, request.indices, error)}") from error
    if not isinstance(targets, Tensor):
        raise DataError(
            f"item {request.indices[0]}: expected a number or a tensor as target, found {kind_of(items[0][1])}"
        )
    return tuple(inputs) if isinstance(inputs, list) else inputs, to_loss_dtype(targets)


def _why(items: Sequence[tuple[Any, Any]], indices: Sequence[int], error: Exception) -> str:
    """Say why items don't stack: the first one of another shape or kind than the one before, else as torch says it."""
    for place, what in enumerate(("input", "target")):
        forms = [_form(item[place]) for item in items]
        for index, form in zip(indices, forms, strict=True):
            if form != forms[0]:
                return f"the {what} of item {indices[0]} is {forms[0]}, that of item {index} is {form}"
    return one_line(error)


def _form(value: Any) -> str:
    """Return the shape of a tensor or an array, or what kind of object it is."""
    shape = getattr(value, "shape", None)
    return kind_of(value) if shape is None else f"{list(shape)}"


def to_loss_dtype(targets: Tensor) -> Tensor:
    """Convert targets to the dtype that losses take: classes to int64, Python's and NumPy's floats to float32."""
    if not targets.is_floating_point():
        return targets.to(torch.int64)
    return targets.to(torch.float32) if targets.dtype == torch.float64 else targets


def _fetch_item(dataset: Any, index: int) -> tuple[Any, Any]:
    try:
        item = dataset[index]
    except ArchcheckError:  # raised by archcheck's own data sets, in one line already
        raise
    except (Exception, SystemExit) as error:
        raise DataError(f"item {index} of the data set raised {one_line_with_place(error)}") from error
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        found = f"{kind_of(item)} of {len(item)}" if isinstance(item, (tuple, list)) else kind_of(item)
        raise DataError(f"item {index} of the data set is {found}, expected a pair (input, target)")
    inputs, target = item
    return image_to_tensor(inputs) if is_pil_image(inputs) else inputs, target


# ---------------------------------------------------------------------------------------------- workers


@dataclass(frozen=True, slots=True)
class _Failure:
    """A `DataError` as a value: raised in a worker it would arrive as the text of a traceback."""

    message: str


class _Fetcher(Dataset[Any]):
    """A data set of whole batches for the loader's workers, with failures as values."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __getitems__(self, request: BatchRequest) -> Batch | _Failure:
        try:
            return fetch_batch(self.dataset, request)
        except ArchcheckError as error:
            return _Failure(str(error))


def _unchanged(batch: Any) -> Any:  # no lambda: workers that are spawned get it pickled
    return batch


def stream_batches(
    dataset: Any, requests: Sequence[BatchRequest], num_workers: int, pin_memory: bool
) -> Generator[Batch, None, None]:
    """Yield the requested batches in order, on the host; the workers end with the iterator, however it ends.

    Raises:
        DataError: as `fetch_batch` raises it; or a worker died.
    """
    loader: DataLoader[Any] = DataLoader(
        _Fetcher(dataset),
        batch_sampler=requests,  # type: ignore[arg-type]  # what it yields goes to __getitems__ as it is
        collate_fn=_unchanged,
        num_workers=num_workers,
        pin_memory=pin_memory,
        multiprocessing_context=_start_method() if num_workers else None,
        generator=torch.Generator(),  # the loader draws a seed, and must not draw it from the process's own generator
    )
    if num_workers:
        tell_unseen("its data set is read in processes of its own")
    batches = _started(loader)
    try:
        for _ in requests:
            yield _next(batches)
    finally:
        # Dropping the iterator would end them too, but tracebacks keep it alive after an error or Ctrl-C.
        if num_workers:
            batches._shutdown_workers()


def _started(loader: DataLoader[Any]) -> Any:
    with warnings.catch_warnings():
        # Python 3.12 warns of fork beside threads (torch's pools); workers are forked before they use any of those.
        warnings.filterwarnings("ignore", message=".*fork", category=DeprecationWarning)
        try:
            return iter(loader)
        except BaseException as error:  # Ctrl-C above all, when some workers have started
            traceback.clear_frames(error.__traceback__)  # the iterator is there alone, and ends them when it is dropped
            raise


def _next(batches: Any) -> Batch:
    try:
        batch = next(batches)
    except (RuntimeError, OSError, EOFError) as error:  # a worker died, while sending a batch or between two
        raise DataError(f"loading a batch of the data set raised {one_line(error)}") from error
    if isinstance(batch, _Failure):
        raise DataError(batch.message)
    inputs, targets = batch
    return inputs, targets


def choose_num_workers(dataset: Any, num_batches: int) -> int:
    """Return the number of worker processes: up to 4, 0 where the data set can't be passed to a process."""
    if multiprocessing.current_process().daemon:  # such processes may have no children
        return 0
    if _start_method() != "fork" and not _is_picklable(dataset):
        return 0
    return min(MAX_WORKERS, num_cpus(), num_batches)


def _start_method() -> str:
    # A forked worker has the user's modules and the data set already, whether or not they can be pickled or imported.
    return "fork" if sys.platform == "linux" else "spawn"


def _is_picklable(dataset: Any) -> bool:
    try:
        pickle.dumps(dataset)
    except Exception:  # pickling runs the user's code
        return False
    return True


def fetch_first_item(dataset: Any) -> Batch:
    """Fetch the first item as a batch of one, to see what the data set holds."""
    return fetch_batch(dataset, BatchRequest([0], derive_seed("first item")))
