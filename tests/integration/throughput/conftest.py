from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from tests.integration.project import Project
from tests.integration.throughput.timed_project import FakeFigures, FakePairs, FakeReferences, TimedProject


@pytest.fixture
def fast(project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> TimedProject:
    """A project whose network is timed in a moment, with settings of git's and a temporary folder of its own."""
    monkeypatch.setattr("archcheck.throughput.speed_measurement.ROUNDS_SEC", 0.0)
    monkeypatch.setattr("archcheck.throughput.speed_measurement.PEAK_SEC", 0.001)
    monkeypatch.setattr("archcheck.throughput.workload.WARM_UP_SEC", 0.0)
    monkeypatch.setattr("cpuinfo.get_cpu_info", dict)  # a second
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "somebody")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "somebody@example.com")
    temporary = tmp_path / "temporary"
    temporary.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return TimedProject(project.pytester)


@pytest.fixture
def pairs(monkeypatch: pytest.MonkeyPatch) -> FakePairs:
    fake = FakePairs()
    for user in ("archcheck.throughput.regression.gate", "archcheck.checks.claims"):
        monkeypatch.setattr(f"{user}.run_paired", fake)
    return fake


@pytest.fixture
def references(monkeypatch: pytest.MonkeyPatch) -> FakeReferences:
    fake = FakeReferences()
    monkeypatch.setattr("archcheck.throughput.regression.gate.run_against_reference", fake)
    return fake


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> FakeFigures:
    fake = FakeFigures()
    monkeypatch.setattr("archcheck.throughput.speed_measurement.measure_speed", fake)
    return fake


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch, preloaded_workers: None) -> None:
    """Measure with one pair of processes and a few turns."""
    monkeypatch.setattr("archcheck.throughput.regression.paired_benchmark.MEASURE_SEC", 0.1)
    monkeypatch.setattr("archcheck.throughput.regression.paired_benchmark.MIN_PROCESSES", 1)
