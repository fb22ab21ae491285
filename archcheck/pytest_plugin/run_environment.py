"""What a run is made with: versions, the machine, the commit, the CI job."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from archcheck import __version__
from archcheck.report.run_record import Environment
from archcheck.system.distributions import versions_of

_PACKAGES: Final = ("torch", "torchvision", "numpy", "pytest", "pytest-benchmark", "timm", "transformers", "lightning")
_GIT_SEC: Final = 20  # a file system that hangs is no reason for a run to


def environment_of(config: pytest.Config, machine: Mapping[str, Any]) -> Environment:
    """Return what a run was made with; `machine` is what a process that has torch tells of its device."""
    commit, is_dirty = _commit_of(config.rootpath)
    return Environment(
        archcheck=__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        packages=versions_of(_PACKAGES),
        device=machine.get("device"),
        cpu=machine.get("cpu"),
        threads=machine.get("threads"),
        commit=commit,
        is_dirty=is_dirty,
        seed=config.getoption("archcheck_seed"),
        job=_job(os.environ),
    )


def _commit_of(folder: Path) -> tuple[str | None, bool | None]:
    """Return the commit of a working tree, and whether files that git knows differ from it; None without git."""
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return None, None
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return commit.strip(), None if changes is None else bool(changes.strip())


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), "--no-optional-locks", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_GIT_SEC, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


def _job(variables: Mapping[str, str]) -> str | None:
    """Return the address of the job of GitHub's or GitLab's."""
    if "GITHUB_RUN_ID" in variables:
        names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
        server, repository, run = (variables.get(name, "") for name in names)
        return f"{server}/{repository}/actions/runs/{run}"
    return variables.get("CI_JOB_URL")
