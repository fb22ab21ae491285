"""The processors that a process may run on."""

from __future__ import annotations

import os

import pytest

from archcheck.system.processors import num_cpus


def test_processors_that_the_process_may_not_use_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    assert num_cpus() == 3


@pytest.mark.parametrize(("count", "expected"), [(8, 8), (None, 1)])
def test_a_system_without_affinity_counts_all_and_one_at_least(
    count: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert num_cpus() == expected
