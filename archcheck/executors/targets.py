"""The executor that a name stands for: one of ours, or what a function of the user's returns."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from archcheck.errors import BuildError, UsageError
from archcheck.executors.dispatch import Executor
from archcheck.network.exceptions import one_line
from archcheck.network.imports import import_named
from archcheck.spec.target import parse_target
from archcheck.system.processors import num_cpus
from archcheck.text.words import kind_of, quoted

FORMS: Final = "processes[:N], ray, slurm, or module:function"
_PROCESSES: Final = re.compile(r"processes(?::(\d{1,4}))?")


@dataclass(frozen=True, slots=True)
class ExecutorChoice:
    """An executor by its name: `make` returns one, each time it is called; `share` run at a time on one host.

    Raises (`make`):
        UsageError: it can't be made, or can't serve the run.
    """

    name: str
    make: Callable[[], Executor]
    share: int = 1


def choose_executor(name: str, rootdir: Path, device: str) -> ExecutorChoice:
    """Return what a name stands for. Modules are looked for in `rootdir` first; `device` is what checks train on.

    Raises:
        UsageError: it stands for nothing.
    """
    processes = _PROCESSES.fullmatch(name)
    if processes is not None:
        number = int(processes[1] or num_cpus())
        if not number:
            raise UsageError(f"--archcheck-executor {name}: expected at least one process")
        return ExecutorChoice(name, lambda: _processes(number), share=number)
    if name == "ray":
        return ExecutorChoice(name, lambda: _ray(device))
    if name == "slurm":
        return ExecutorChoice(name, _slurm)
    return ExecutorChoice(name, lambda: _from_factory(name, rootdir))


def _processes(number: int) -> Executor:
    from archcheck.executors.thread_executor import ProcessesExecutor

    return ProcessesExecutor(number)


def _ray(device: str) -> Executor:
    from archcheck.executors.ray_executor import RayExecutor

    return RayExecutor(needs_gpu=device.startswith("cuda"))


def _slurm() -> Executor:
    from archcheck.executors.submitit_executor import SubmititExecutor

    return SubmititExecutor()


def _from_factory(name: str, rootdir: Path) -> Executor:
    option = f"--archcheck-executor {name}"
    try:
        target = parse_target(name)
    except BuildError:
        target = None
    if target is None or target.kind not in ("module", "path"):
        raise UsageError(f"--archcheck-executor: expected {FORMS}, found {quoted(name)}")
    try:
        factory = import_named(target, rootdir, rootdir)
    except BuildError as error:
        raise UsageError(f"{option}: {error}") from None
    if not callable(factory):
        raise UsageError(f"{option}: expected a function that returns an executor, found {kind_of(factory)}")
    try:
        executor = factory()
    except Exception as error:
        raise UsageError(f"{option}: the function raised {one_line(error)}") from error
    if not callable(getattr(executor, "submit", None)):
        raise UsageError(f"{option}: expected something with a method submit, found {quoted(type(executor).__name__)}")
    made: Executor = executor
    return made
