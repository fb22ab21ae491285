"""A run of training on the terminal while it goes on: one live line, or in a log one line an epoch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from archcheck.pytest_plugin.workers import is_worker
from archcheck.spec.file_names import spec_name
from archcheck.text.units import format_rate, format_seconds

if TYPE_CHECKING:
    from archcheck.training.callbacks import TrainingProgress

Watch = Callable[["TrainingProgress"], None]


@contextmanager
def showing(config: pytest.Config, label: str) -> Iterator[Watch | None]:
    """Give a function to tell a run's progress to; None where nobody is to be told (`-q`, a worker of xdist)."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or is_worker(config) or config.get_verbosity() < 0:
        yield None
        return
    line = _Line(config, reporter, label)
    try:
        yield line.update
    finally:
        line.clear()


class ToldWarnings(logging.Handler):
    """Writes what we warn of while a check runs, such as a slow source of inputs: nobody knows what it waits for."""

    def __init__(self, config: pytest.Config) -> None:
        super().__init__(logging.WARNING)
        self._config = config

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line around pytest's capturing; called in any thread."""
        reporter: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        capture: Any = self._config.pluginmanager.get_plugin("capturemanager")
        if reporter is None:
            return
        with capture.global_and_fixture_disabled() if capture is not None else nullcontext():
            reporter.ensure_newline()
            reporter.write_line(f"archcheck: {record.getMessage()}")


class _Line:
    """The line of one run. Written around pytest's capturing, so that it never ends up in a test's captured output."""

    def __init__(self, config: pytest.Config, reporter: Any, label: str) -> None:
        self._reporter = reporter
        self._capture: Any = config.pluginmanager.get_plugin("capturemanager")
        self._label = label
        self._is_live = bool(reporter.isatty)
        self._is_open = False

    def update(self, progress: TrainingProgress) -> None:
        if not self._is_live and progress.finished is None:
            return
        with self._uncaptured():
            if not self._is_live:
                self._reporter.write_line(f"{self._label}: {format_progress(progress)}")
                return
            if not self._is_open:
                self._reporter.ensure_newline()
                self._is_open = True
            width = self._reporter._tw.fullwidth - 1
            name = spec_name(Path(self._label))  # a line has little room
            self._reporter.rewrite(f"{name}: {format_progress(progress)}"[:width], erase=True)

    def clear(self) -> None:
        """Leave an empty line for what pytest writes next."""
        if self._is_open:
            with self._uncaptured():
                self._reporter.rewrite("", erase=True)
                self._reporter.rewrite("")

    def _uncaptured(self) -> Any:
        return self._capture.global_and_fixture_disabled() if self._capture is not None else nullcontext()


def format_progress(progress: TrainingProgress) -> str:
    """Return `epoch 2/10  loss 0.412  test 0.843  11_600 examples/s  12 s left`; `test` is of the last epoch."""
    parts = [f"epoch {progress.epoch}/{progress.num_epochs}" if progress.num_epochs else f"epoch {progress.epoch}"]
    if progress.finished is None:
        parts[0] += f" {progress.fraction:4.0%}"
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.4f}")
    if progress.finished is not None and progress.finished.train_accuracy is not None:
        parts.append(f"train {progress.finished.train_accuracy:.3f}")
    if progress.accuracy is not None:
        parts.append(f"test {progress.accuracy:.3f}")
    if progress.examples_per_sec:
        parts.append(f"{format_rate(progress.examples_per_sec)} examples/s")
    if progress.left_sec > 0:
        parts.append(f"{format_seconds(progress.left_sec)} left")
    return "  ".join(parts)
