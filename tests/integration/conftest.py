from __future__ import annotations

import importlib
import pkgutil
import sys

import pytest
import tabulate  # noqa: F401
import torchvision  # noqa: F401
import yaml  # noqa: F401

import archcheck
from tests.integration.project import Once, Project

# pytester forgets what a run inside it has imported, so that the next run would import it again. What is imported here
# stays, which saves most of the time of each run; and torchvision can't be imported twice in one process.
for module in pkgutil.walk_packages(archcheck.__path__, "archcheck."):
    importlib.import_module(module.name)


@pytest.fixture(scope="module")
def once() -> Once:
    return Once()


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    # Modules of one test's project must not serve the next one's.
    monkeypatch.delitem(sys.modules, "nets", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return Project(pytester)
