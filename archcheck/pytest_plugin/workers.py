"""Whether this process runs items for another one that collected them: pytest-xdist's, or that of an executor."""

from __future__ import annotations

import pytest

EXECUTOR = "archcheck-executor"  # the name of the plugin of the process that submits
REPORT = "archcheck-report"  # and of what gathers a report
HOST_KEY = pytest.StashKey[bool]()  # whether this process runs checks for an executor


def is_worker(config: pytest.Config) -> bool:
    """Return whether tables, reports and updates are another process's."""
    return hasattr(config, "workerinput") or HOST_KEY in config.stash
