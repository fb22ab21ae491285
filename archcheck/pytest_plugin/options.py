"""The command line of a run with `--archcheck`: the paths to look in, and how specs are trained and timed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from archcheck.errors import ArchcheckError, UsageError
from archcheck.spec.spec_file import SUFFIX
from archcheck.system.processors import num_cpus
from archcheck.text.paths import path_from
from archcheck.text.units import parse_bytes
from archcheck.training.options import RunOptions, parse_device, parse_seed


def choose_paths(config: pytest.Config) -> None:
    """Look in `archcheck_paths`, and only there, where the command line has no paths.

    Raises:
        pytest.UsageError: there is no spec file in the paths to look in.
    """
    root = config.rootpath
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args[:] = [str(root / path) for path in config.getini("archcheck_paths")]
    if config.option.pyargs or hasattr(config, "workerinput"):
        return  # a worker parses the command line anew; what there is to say, the controller has said
    start, skipped = config.invocation_params.dir, config.getini("norecursedirs")
    if not any(_has_spec(Path(start, argument.split("::")[0]), skipped) for argument in config.args):
        looked = ", ".join(path_from(Path(start, argument), start) for argument in config.args)
        raise pytest.UsageError(
            f"no spec file (*{SUFFIX}) in {looked}; write one: archcheck new module:callable --input B,3,224,224 "
            f"--output specs/, or say where they are: archcheck_paths in {config.inipath or 'pytest.ini'}"
        )


def _has_spec(path: Path, skipped: Sequence[str]) -> bool:
    """Return whether pytest would find a spec file at a path, or in a folder that it would go into."""
    if not path.is_dir():
        return path.name.endswith(SUFFIX)
    for _, folders, files in os.walk(path):
        if any(name.endswith(SUFFIX) for name in files):
            return True
        folders[:] = [name for name in folders if not any(fnmatch(name, pattern) for pattern in skipped)]
    return False


def run_options(config: pytest.Config) -> RunOptions:
    """Read the options of training.

    Raises:
        pytest.UsageError: one of them has no meaning.
    """
    option = config.getoption
    data = option("archcheck_data") or os.environ.get("ARCHCHECK_DATA")
    try:
        budget = option("archcheck_data_budget")
        return RunOptions(
            kind=option("archcheck_train"),
            device=parse_device(option("archcheck_device")),
            seed=parse_seed(option("archcheck_seed")),
            data_dir=_folder(config, data, must_exist=not option("archcheck_download")),
            download=option("archcheck_download"),
            checkpoints=_folder(config, option("archcheck_checkpoints")),
            data_budget_bytes=None if budget is None else parse_bytes(budget),
            spec_roots=tuple(config.rootpath / path for path in config.getini("archcheck_paths")),
            num_threads=_num_threads(config),
        )
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None


def _num_threads(config: pytest.Config) -> int | None:
    """Return a worker's share of the processors: threads that share one spend their time waiting for each other."""
    if not hasattr(config, "workerinput"):
        return None
    return max(1, num_cpus() // int(config.workerinput["workercount"]))


def _folder(config: pytest.Config, name: str | None, *, must_exist: bool = False) -> Path | None:
    """Return a folder named on the command line, from where pytest was started."""
    if not name:
        return None
    folder = Path(config.invocation_params.dir, Path(name).expanduser())
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{name} is no folder")
    if must_exist and not folder.exists():
        raise UsageError(f"--archcheck-data (or ARCHCHECK_DATA): there is no folder {name}")
    return folder


def machine_facts(config: pytest.Config) -> dict[str, Any]:
    """Return the device that is timed on, its threads, and torch's version."""
    from archcheck.throughput.machine import describe_device
    from archcheck.throughput.speed_measurement import num_timing_threads
    from archcheck.training.devices import choose_device

    try:
        device = choose_device(config.getoption("archcheck_device"))
    except ArchcheckError as error:
        return {"device": str(error)}
    return describe_device(device) | {"threads": num_timing_threads(device)}
