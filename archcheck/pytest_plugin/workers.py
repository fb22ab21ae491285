"""Whether this process runs items for another one that collected them: pytest-xdist's, or that of an executor."""

from __future__ import annotations

from pathlib import Path

import pytest

from archcheck.spec.file_names import SUFFIX
from archcheck.text.paths import path_from

EXECUTOR = "archcheck-executor"  # the name of the plugin of the process that submits
REPORT = "archcheck-report"  # and of what gathers a report
CHANGED = "archcheck-changed"  # and of what keeps what has passed
HOST_KEY = pytest.StashKey[bool]()  # whether this process runs checks for an executor
SHARE_KEY = pytest.StashKey[int]()  # how many processes of an executor share a host


def is_check(nodeid: str) -> bool:
    """Return whether a node id names a check of a spec."""
    return f"{SUFFIX}::" in nodeid


def named_check(config: pytest.Config, nodeid: str) -> tuple[Path, str, str] | None:
    """Return the spec that a node id names, what messages call it, and its check; None where it names another test."""
    path, separator, check = nodeid.partition(f"{SUFFIX}::")
    if not separator:
        return None
    spec = config.rootpath / f"{path}{SUFFIX}"
    return spec, path_from(spec, config.invocation_params.dir), check


def is_worker(config: pytest.Config) -> bool:
    """Return whether tables, reports and updates are another process's."""
    return hasattr(config, "workerinput") or HOST_KEY in config.stash
