"""The executor `slurm`: requests are an array of jobs, by submitit."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, Final

from archcheck.errors import UsageError

FOLDER: Final = ".archcheck-jobs"  # what submitit writes, in the working directory


class SubmititExecutor:
    """Submits functions as jobs.

    Args:
        cluster: `slurm`, or `local` for processes of this machine; None: Slurm, which has to be there.
        parameters: those of submitit's `update_parameters`, such as `slurm_partition`, `timeout_min`, `gpus_per_node`.

    Raises:
        UsageError: submitit isn't installed, there is no Slurm, or it refuses the parameters.
    """

    def __init__(self, cluster: str | None = None, folder: str | os.PathLike[str] = FOLDER, **parameters: Any) -> None:
        try:
            import submitit
        except ImportError:
            raise UsageError("the executor slurm needs submitit: pip install 'pytest-archcheck[slurm]'") from None
        try:
            self._executor = submitit.AutoExecutor(folder=Path(folder).absolute(), cluster=cluster or "slurm")
            self._executor.update_parameters(name="archcheck", **parameters)
        except (RuntimeError, ValueError, NameError) as error:
            raise UsageError(f"the executor slurm: {str(error).splitlines()[0]}") from None
        self._jobs: list[Any] = []

    def batch(self) -> AbstractContextManager[None]:
        """Submit what is submitted inside as one array of jobs."""
        batch: AbstractContextManager[None] = self._executor.batch()
        return batch

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Any:
        """Have a function called in a job."""
        job = self._executor.submit(function, *args)
        self._jobs.append(job)
        return job

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave no job behind."""
        del wait
        for job in self._jobs if cancel_futures else ():
            with suppress(Exception):  # it has ended
                if not job.done():
                    job.cancel()
