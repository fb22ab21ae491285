"""A session's measurements of speed: the device, the plan of a spec, its figures, and requests to other processes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from archcheck.errors import ArchcheckError, BuildError, NotMeasured, UsageError
from archcheck.findings import Mismatch, build_failure
from archcheck.spec.spec_file import SpecFile
from archcheck.throughput.plan import SpeedPlan, resolve_plan
from archcheck.throughput.records import SpeedRecord
from archcheck.throughput.regression.workers import WorkerRequest
from archcheck.throughput.regression.worktree import Revision, checked_out
from archcheck.training.options import RunOptions

if TYPE_CHECKING:
    import torch

    from archcheck.throughput.speed_measurement import RoundTimer


@dataclass(frozen=True, slots=True)
class SavedRuns:
    """The runs that pytest-benchmark saves.

    folder: where they lie, None where that is no folder. fullname: what it calls this item's. is_saving: whether it
    will save this one. is_reported: whether its figures go elsewhere, too, such as into a JSON file.
    """

    folder: Path | None
    fullname: str
    is_saving: bool
    is_reported: bool = False


class Stopwatch(Protocol):
    """Times the steps of a network, for a check that needs a quiet processor."""

    @property
    def is_shared(self) -> str:
        """Return why nothing can be timed fairly, as other items run at the same time; empty where none do."""

    @property
    def is_off(self) -> str:
        """Return why no figures can be measured; empty where they can."""

    @property
    def saved_runs(self) -> SavedRuns:
        """Return where earlier runs are saved, and whether this one will be."""

    def measuring(self, name: str) -> AbstractContextManager[None]:
        """Measure the spec of this name inside; an exception that leaves the block voids the measurement."""

    def time_rounds(self, function: Callable[[], object], number: int) -> list[float]:
        """Call a function so many times; return the seconds that each call took."""

    def attach(self, extra_info: Mapping[str, Any]) -> None:
        """Save information along with the run."""


class NoStopwatch:
    """Stands where nothing is timed: `reason` says why."""

    saved_runs = SavedRuns(None, "", False)

    def __init__(self, reason: str) -> None:
        self.is_shared = self.is_off = reason

    def measuring(self, name: str) -> AbstractContextManager[None]:
        """Refuse to measure."""
        raise NotMeasured(f"{name}: {self.is_off}")

    def time_rounds(self, function: Callable[[], object], number: int) -> list[float]:
        """Refuse to time."""
        raise NotMeasured(f"{number} calls of {function}: {self.is_off}")

    def attach(self, extra_info: Mapping[str, Any]) -> None:
        """Refuse to keep anything."""
        raise NotMeasured(f"{', '.join(extra_info)}: {self.is_off}")


class SpeedSession:
    """Measures specs as a session's options say.

    against: the revision to compare with, checked out when it's first needed; `close` removes it.
    """

    def __init__(self, options: RunOptions, rootdir: Path, against: str | None = None) -> None:
        self._options = options
        self._rootdir = rootdir
        self.against = against
        self._stack = ExitStack()
        self._revision: Revision | ArchcheckError | None = None

    def close(self) -> None:
        """Remove what was checked out."""
        self._stack.close()

    def revision(self, start: Path) -> Revision:
        """Return the revision to compare with, of the repository around the first `start` that was asked for.

        Raises:
            UsageError: there's none; each time.
        """
        if self._revision is None:
            assert self.against is not None
            try:
                self._stack.enter_context(_ended_by_sigterm())
                self._revision = self._stack.enter_context(checked_out(self.against, start))
            except ArchcheckError as error:
                self._revision = error
        if isinstance(self._revision, ArchcheckError):
            raise UsageError(f"--archcheck-against {self._revision}")
        return self._revision

    def device(self) -> torch.device:
        """Return the device to measure on. Raises NotMeasured where there's no such device."""
        from archcheck.network.devices import choose_device

        if self._options.device_problem:
            raise NotMeasured(self._options.device_problem)
        return choose_device(self._options.device)

    def plan(self, spec_file: SpecFile) -> SpeedPlan:
        """Return what to time of a spec. Raises NotMeasured as `device` does."""
        kind = self._options.kind
        if kind in ("quick", "full"):
            return resolve_plan(spec_file.spec, kind)
        return resolve_plan(spec_file.spec, "quick" if self.device().type == "cpu" else "full")

    def figures(self, spec_file: SpecFile, plan: SpeedPlan, time_rounds: RoundTimer, share: float = 1.0) -> SpeedRecord:
        """Time a spec here and now, in a share of the usual time. Raises SpeedRefused where that can't be done."""
        from archcheck.throughput.speed_measurement import measure_speed
        from archcheck.training.components import check_components
        from archcheck.training.failures import RunFailed

        for mismatch in check_components(plan.recipe):
            raise SpeedRefused(mismatch)
        try:
            return measure_speed(spec_file, plan, self.device(), self._rootdir, time_rounds, share)
        except RunFailed as failed:
            fault = failed.fault
            raise SpeedRefused(Mismatch(plan.place(fault.key), fault.key, fault.message)) from None
        except BuildError as error:
            raise SpeedRefused(build_failure(plan.recipe.args, plan.place("args"), error)) from None

    def conditions(self, plan: SpeedPlan) -> dict[str, Any]:
        """Return what two runs must have in common for their speeds to be compared."""
        from archcheck.throughput.machine import describe_device
        from archcheck.throughput.speed_measurement import num_timing_threads

        device, recipe = self.device(), plan.recipe
        ways = {"memory_format": recipe.memory_format, "compile": recipe.compile, "graph": recipe.graph}
        return describe_device(device) | {"threads": num_timing_threads(device)} | plan.conditions() | ways

    def request(self, spec_file: SpecFile, plan: SpeedPlan, *, tree: Path | None = None) -> WorkerRequest:
        """Return a request for a process that measures a spec as it is here."""
        from archcheck.throughput.speed_measurement import num_timing_threads

        device = self.device()
        return WorkerRequest(
            spec=spec_file.path.resolve(), shown=spec_file.document.path, rootdir=self._rootdir,
            kind=plan.recipe.kind, device=str(device), num_threads=num_timing_threads(device), tree=tree,
        )  # fmt: skip


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Clear up on SIGTERM as on Ctrl-C: CI sends it when its patience is at an end."""
    if signal.getsignal(signal.SIGTERM) != signal.SIG_DFL or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


class SpeedRefused(Exception):  # noqa: N818 - a verdict, not a fault
    """Nothing could be timed: what is wrong with the spec or its network."""

    def __init__(self, mismatch: Mismatch) -> None:
        super().__init__(mismatch.problem)
        self.mismatch = mismatch
