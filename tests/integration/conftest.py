from __future__ import annotations

import gc
import importlib
import sys

import pytest

# pytester forgets what a run inside it has imported, so that the next run would import it again. What is imported here
# stays, which saves most of the time of each run; and torchvision can't be imported twice in one process.
import tabulate  # noqa: F401
import torchvision  # noqa: F401
import yaml  # noqa: F401

from tests.integration.project import Once, Project
from tests.preloaded import MODULES

for name in MODULES:
    importlib.import_module(name)
gc.freeze()  # each pytest run inside a test collects garbage at its end: there is none in what was imported here


@pytest.fixture(scope="module")
def once() -> Once:
    return Once()


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    # Modules of one test's project must not serve the next one's.
    monkeypatch.delitem(sys.modules, "nets", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # a run within a worker isn't one: it may measure
    return Project(pytester)
