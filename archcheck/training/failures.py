"""Exceptions of a training run as its failure, in one line, with the part of the recipe that is to blame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from archcheck.network.exceptions import one_line, raised_at
from archcheck.training.records import OUT_OF_MEMORY, TrainingFault

_NEEDS_TWO = "Expected more than 1 value per channel when training"  # of a batch norm over a batch of one
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


class RunFailed(Exception):  # noqa: N818 - a finding about the spec, not an error of archcheck
    """A run, or one of its steps, can't go on; `fault` says why and which part of the recipe is to blame."""

    def __init__(self, message: str, key: str) -> None:
        super().__init__(message)
        self.fault = TrainingFault(message, key)


@contextmanager
def errors_attributed_to(key: str, doing: str, rootdir: Path | None = None) -> Iterator[None]:
    """Raise any exception of the block as `RunFailed` about `key`: `DOING raised TYPE: MESSAGE (FILE:LINE)`.

    Running out of memory is about `batch_size`, as is a batch of one that is too small for batch norm, and a worker
    process that died about `dataset`, whatever the key.
    """
    try:
        yield
    except RunFailed:
        raise
    except (Exception, SystemExit) as error:
        if _is_death_of_worker(error):
            raise RunFailed(f"a worker process of the data set died: {one_line(error)}", "dataset") from error
        if is_out_of_memory(error):
            reason = f"{OUT_OF_MEMORY}; a smaller batch_size or resize needs less"
            raise RunFailed(f"{doing}: {reason}", "batch_size") from error
        where = raised_at(error, rootdir, own_only=True)
        told = f"{doing} raised {one_line(error)}{f' ({where})' if where else ''}"
        if _NEEDS_TWO in str(error):
            raise RunFailed(f"{told}: batch norm takes a batch_size of 2 or more", "batch_size") from error
        raise RunFailed(told, key) from error


def _is_death_of_worker(error: BaseException) -> bool:
    """Whether torch reports a dead worker: it does so from a signal handler, whatever the main process is doing."""
    return isinstance(error, RuntimeError) and "DataLoader worker (pid" in str(error)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on the device or on the CPU."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _OUT_OF_MEMORY)
