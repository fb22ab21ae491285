"""Timing within a pytest item: by pytest-benchmark's fixture, or by a plain clock in a worker of pytest-xdist."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import pytest

from archcheck.pytest_plugin.options import place_of
from archcheck.pytest_plugin.workers import HOST_KEY, is_worker
from archcheck.throughput.session import NoStopwatch, SavedRuns, SpeedRefused, Stopwatch

TIMES_ALONE: Final = "archcheck_times_alone"  # what a worker is told where its items are timed when nothing else runs
_SESSION: Final = "pytest-benchmark"  # the name under which it registers its session
_NO_BENCHMARK: Final = "timing needs pytest-benchmark, which is switched off (-p no:benchmark)"
_DISABLED: Final = "timing is switched off (--benchmark-disable)"


def has_benchmark(config: pytest.Config) -> bool:
    """Return whether there's a fixture to ask for; under xdist pytest-benchmark would warn of each item that does."""
    return config.pluginmanager.has_plugin(_SESSION) and not is_worker(config)


def stopwatch_of(item: pytest.Function) -> Stopwatch:
    """Return what the steps of an item's network are timed by."""
    if HOST_KEY in item.config.stash:
        return NoStopwatch("other checks run at the same time where an executor runs them; run it without one")
    return WorkerStopwatch(item) if hasattr(item.config, "workerinput") else BenchmarkStopwatch(item)


def _saved_runs(session: Any, fullname: str) -> SavedRuns:
    """Return where pytest-benchmark saves its runs."""
    folder: Path | None = getattr(session.storage, "path", None)
    is_saving, is_reported = bool(session.save or session.autosave), bool(session.json or session.compare)
    return SavedRuns(folder, fullname, is_saving, is_reported)


class BenchmarkStopwatch:
    """Times the steps of one item's network with its `benchmark` fixture."""

    is_shared = ""

    def __init__(self, item: pytest.Function) -> None:
        self._config = item.config
        self._benchmark: Any = item.funcargs.get("benchmark")

    @property
    def is_off(self) -> str:
        """Return why nothing can be timed in this session; empty where it can."""
        if self._benchmark is None:
            return _NO_BENCHMARK
        return "" if self._benchmark.enabled else _DISABLED

    @property
    def saved_runs(self) -> SavedRuns:
        """Return where pytest-benchmark saves its runs."""
        return _saved_runs(self._config.pluginmanager.get_plugin(_SESSION), self._benchmark.fullname)

    @contextmanager
    def measuring(self, name: str) -> Iterator[None]:
        """Measure the spec of this name inside; an exception that leaves the block voids the measurement."""
        self._benchmark.name, self._benchmark.group = name, "archcheck throughput"
        try:
            yield
        except SpeedRefused:
            raise
        except BaseException:
            self._benchmark.has_error = True  # a run that was cut short isn't one to save
            raise

    def time_rounds(self, function: Callable[[], object], number: int) -> list[float]:
        """Call a function so many times; return the seconds that each call took."""
        self._benchmark.pedantic(function, rounds=number)
        return list(self._benchmark.stats.stats.data)

    def attach(self, extra_info: Mapping[str, Any]) -> None:
        """Save information along with the run."""
        self._benchmark.extra_info.update(extra_info)


class WorkerStopwatch:
    """Times the steps of one item's network in a worker of pytest-xdist, where pytest-benchmark is off.

    The scheduler has seen to it that no other item runs meanwhile, unless somebody else distributes the items.
    """

    def __init__(self, item: pytest.Function) -> None:
        self._config, self._fullname = item.config, item.nodeid
        self._session: Any = item.config.pluginmanager.get_plugin(_SESSION)

    @property
    def is_shared(self) -> str:
        """Return why nothing can be timed fairly; empty where no other items run at the same time."""
        times_alone = self._config.workerinput.get(TIMES_ALONE)  # type: ignore[attr-defined]  # of pytest-xdist
        if times_alone or place_of(self._config).is_own:
            return ""
        return "as items are distributed, several run at a time, so that none can be timed; run it without --dist or -n"

    @property
    def is_off(self) -> str:
        """Return why nothing can be timed in this session; empty where it can."""
        if self.is_shared:
            return self.is_shared
        if self._session is None:
            return _NO_BENCHMARK
        if self._config.getoption("benchmark_disable") or self._session.skip:
            return _DISABLED
        saved = self.saved_runs
        if saved.is_saving or saved.is_reported:
            return "under pytest-xdist pytest-benchmark saves and reports nothing; run it without -n"
        return ""

    @property
    def saved_runs(self) -> SavedRuns:
        """Return where runs without pytest-xdist are saved."""
        return _saved_runs(self._session, self._fullname)

    def measuring(self, name: str) -> AbstractContextManager[None]:  # noqa: ARG002 - nothing is saved by it
        """Measure the spec of this name inside."""
        return nullcontext()

    def time_rounds(self, function: Callable[[], object], number: int) -> list[float]:
        """Call a function so many times; return the seconds that each call took."""
        from archcheck.throughput.speed_measurement import time_calls

        return time_calls(function, number)

    def attach(self, extra_info: Mapping[str, Any]) -> None:
        """Save nothing."""
