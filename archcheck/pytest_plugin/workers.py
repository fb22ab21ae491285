"""Whether this process runs items for another one that collected them: pytest-xdist's, or that of an executor."""

from __future__ import annotations

import pytest

EXECUTOR = "archcheck-executor"  # the name of the plugin of the process that submits
REPORT = "archcheck-report"  # and of what gathers a report
HOST_KEY = pytest.StashKey[int]()  # how many run on this machine, in a process that runs checks for an executor


def is_worker(config: pytest.Config) -> bool:
    """Return whether tables, reports and updates are another process's."""
    return hasattr(config, "workerinput") or HOST_KEY in config.stash


def num_workers(config: pytest.Config) -> int | None:
    """Return how many processes like this one share the machine; None where it isn't a worker."""
    if HOST_KEY in config.stash:
        return config.stash[HOST_KEY]
    return int(config.workerinput["workercount"]) if hasattr(config, "workerinput") else None
