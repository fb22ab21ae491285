"""The command line of a run with `--archcheck`: the paths to look in, and how specs are trained and timed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from archcheck.errors import ArchcheckError, UsageError
from archcheck.pytest_plugin.spec_paths import spec_folders
from archcheck.pytest_plugin.usage import usage_errors_of_pytest
from archcheck.pytest_plugin.worker_devices import Place, own_place
from archcheck.system.processors import cpu_share
from archcheck.text.units import parse_bytes
from archcheck.training.options import RunOptions, parse_device, parse_seed


def run_options(config: pytest.Config) -> RunOptions:
    """Read the options of training.

    Raises:
        pytest.UsageError: one of them has no meaning.
    """
    option, place = config.getoption, place_of(config)
    data = option("archcheck_data") or os.environ.get("ARCHCHECK_DATA")
    with usage_errors_of_pytest():
        budget = option("archcheck_data_budget")
        return RunOptions(
            kind=option("archcheck_train"),
            device=place.device or parse_device(option("archcheck_device")),
            seed=parse_seed(option("archcheck_seed")),
            data_dir=_folder(config, data, must_exist=not option("archcheck_download")),
            download=option("archcheck_download"),
            checkpoints=_folder(config, option("archcheck_checkpoints")),
            data_budget_bytes=None if budget is None else parse_bytes(budget),
            spec_roots=tuple(spec_folders(config)),
            num_threads=num_threads(config),
            device_problem=place.problem,
        )


def place_of(config: pytest.Config) -> Place:
    """Return where a worker of pytest-xdist computes; one that says nothing for any other process."""
    return own_place(os.environ) if hasattr(config, "workerinput") else Place()


def num_threads(config: pytest.Config) -> int | None:
    """Return a worker's share of the processors: threads that share one spend their time waiting for each other."""
    return cpu_share() if hasattr(config, "workerinput") else None


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
    from archcheck.network.devices import choose_device
    from archcheck.throughput.machine import describe_device
    from archcheck.throughput.speed_measurement import num_timing_threads

    try:
        device = choose_device(config.getoption("archcheck_device"))
    except ArchcheckError as error:
        return {"device": str(error)}
    return describe_device(device) | {"threads": num_timing_threads(device)}
