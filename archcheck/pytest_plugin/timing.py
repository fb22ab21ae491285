"""Timing within a pytest item, by pytest-benchmark's fixture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from archcheck.pytest_plugin.options import place_of
from archcheck.throughput.session import SavedRuns, SpeedRefused, Stopwatch

_SESSION = "pytest-benchmark"  # the name under which it registers its session
_SWITCHED_OFF = "timing is switched off (--benchmark-disable)"


def shared_processor(config: pytest.Config) -> str:
    """Return why nothing can be timed fairly; empty where no other items run on the same device at the same time."""
    place = place_of(config)
    if hasattr(config, "workerinput") and (not place.device or place.num_sharing > 1):
        return "under pytest-xdist several items run at a time, so that none can be timed; run it without -n"
    return ""


def has_benchmark(config: pytest.Config) -> bool:
    """Return whether there's a fixture to ask for; under xdist pytest-benchmark would warn of each item that does."""
    return config.pluginmanager.has_plugin(_SESSION) and not hasattr(config, "workerinput")


def stopwatch_of(item: pytest.Function) -> Stopwatch:
    """Return what times the steps of an item's network."""
    has_own_device = hasattr(item.config, "workerinput") and not shared_processor(item.config)
    return WorkerStopwatch(item) if has_own_device else BenchmarkStopwatch(item)


class WorkerStopwatch:
    """Times the steps of one item's network in a worker of pytest-xdist that has a device for itself.

    pytest-benchmark measures and saves nothing there. Its saved runs are there to be compared with.
    """

    is_shared = ""

    def __init__(self, item: pytest.Function) -> None:
        self._config, self._fullname = item.config, item.nodeid

    @property
    def is_off(self) -> str:
        """Return why nothing can be timed in this session; empty where it can."""
        return _SWITCHED_OFF if self._config.getoption("benchmark_disable", False) else ""

    @property
    def saved_runs(self) -> SavedRuns:
        """Return where pytest-benchmark has saved its runs."""
        session: Any = self._config.pluginmanager.get_plugin(_SESSION)
        return SavedRuns(getattr(getattr(session, "storage", None), "path", None), self._fullname, is_saving=False)

    @contextmanager
    def measuring(self, name: str) -> Iterator[None]:  # noqa: ARG002 - as of any stopwatch
        """Measure the spec of this name inside."""
        yield

    def time_rounds(self, function: Callable[[], object], number: int) -> list[float]:
        """Call a function so many times; return the seconds that each call took."""
        from archcheck.throughput.speed_measurement import time_calls

        return time_calls(function, number)

    def attach(self, extra_info: Mapping[str, Any]) -> None:
        """Keep nothing: no run is saved."""


class BenchmarkStopwatch:
    """Times the steps of one item's network with its `benchmark` fixture."""

    def __init__(self, item: pytest.Function) -> None:
        self._config = item.config
        self._benchmark: Any = item.funcargs.get("benchmark")

    @property
    def is_shared(self) -> str:
        """Return why nothing can be timed fairly; empty where no other items run at the same time."""
        return shared_processor(self._config)

    @property
    def is_off(self) -> str:
        """Return why nothing can be timed in this session; empty where it can."""
        if self.is_shared:
            return self.is_shared
        if self._benchmark is None:
            return "timing needs pytest-benchmark, which is switched off (-p no:benchmark)"
        return "" if self._benchmark.enabled else _SWITCHED_OFF

    @property
    def saved_runs(self) -> SavedRuns:
        """Return where pytest-benchmark saves its runs."""
        session: Any = self._config.pluginmanager.get_plugin(_SESSION)
        folder = getattr(session.storage, "path", None)
        is_saving, is_reported = bool(session.save or session.autosave), bool(session.json or session.compare)
        return SavedRuns(folder, self._benchmark.fullname, is_saving, is_reported)

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
