"""What goes wrong in a training run, in one line, with the part of the recipe that it is about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from archcheck.network.exceptions import one_line, raised_at
from archcheck.training.records import TrainingFault

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


class RunFailed(Exception):  # noqa: N818 - a finding, not a fault of ours
    """Ends a run with what was found."""

    def __init__(self, message: str, key: str) -> None:
        super().__init__(message)
        self.fault = TrainingFault(message, key)


@contextmanager
def errors_attributed_to(key: str, doing: str, rootdir: Path | None = None) -> Iterator[None]:
    """Turn whatever is raised inside into a finding about `key`: `DOING raised TYPE: MESSAGE (FILE:LINE)`."""
    try:
        yield
    except RunFailed:
        raise
    except (Exception, SystemExit) as error:
        if _is_of_a_worker(error):
            raise RunFailed(f"a worker process of the data set died: {one_line(error)}", "dataset") from error
        if is_out_of_memory(error):
            reason = "out of memory; a smaller batch_size or resize needs less"
            raise RunFailed(f"{doing}: {reason}", "batch_size") from error
        where = raised_at(error, rootdir, own_only=True)
        raise RunFailed(f"{doing} raised {one_line(error)}{f' ({where})' if where else ''}", key) from error


def _is_of_a_worker(error: BaseException) -> bool:
    """Torch tells of a worker's end by a signal, wherever the main process happens to be."""
    return isinstance(error, RuntimeError) and "DataLoader worker (pid" in str(error)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on the device or on the CPU."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _OUT_OF_MEMORY)
