from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from xdist.scheduler import LoadScheduling

from archcheck.pytest_plugin.scheduling import WholeSpecScheduling

TESTS = [f"tests/test_{name}.py::test_{i}" for name in "ab" for i in range(50)]


def checks(name: str) -> list[str]:
    return [f"specs/{name}.arch.yaml::{check}" for check in ("spec", "shapes", "parameters", "health", "function")]


class Worker:
    """A worker that does whatever it is given."""

    shutting_down = False

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.given: list[int] = []

    def send_runtest_some(self, items: list[int]) -> None:
        self.given += items

    def shutdown(self) -> None:
        self.shutting_down = True


def shares(scheduling: Any, items: list[str], num_workers: int) -> list[list[str]]:
    """Return what each worker is given, where the workers take turns at a test each."""
    options = {"tx": ["popen"] * num_workers, "maxschedchunk": None}
    scheduler = scheduling(SimpleNamespace(getvalue=options.get, getoption=options.get))
    workers = [Worker(f"gw{i}") for i in range(num_workers)]
    for worker in workers:
        scheduler.add_node(worker)
        scheduler.add_node_collection(worker, items)
    scheduler.schedule()
    done = dict.fromkeys(range(num_workers), 0)
    while any(done[i] < len(worker.given) for i, worker in enumerate(workers)):
        for i, worker in enumerate(workers):
            if done[i] < len(worker.given):
                scheduler.mark_test_complete(worker, worker.given[done[i]])
                done[i] += 1
    return [[items[i] for i in worker.given] for worker in workers]


def workers_of(found: list[list[str]], name: str) -> set[int]:
    return {i for i, items in enumerate(found) for item in items if item.startswith(f"specs/{name}.")}


@pytest.mark.parametrize("num_workers", [1, 2, 3, 8, 40])
@pytest.mark.parametrize("names", ["a", "ab", "abcdefghijklmnopqrstuvwxyz"])
@pytest.mark.parametrize("beside", [[], TESTS[:3], TESTS])
def test_the_checks_of_a_spec_are_one_workers(num_workers: int, names: str, beside: list[str]) -> None:
    items = [item for name in names for item in checks(name)]
    for order in (items + beside, beside + items):
        found = shares(WholeSpecScheduling, order, num_workers)
        assert sorted(item for given in found for item in given) == sorted(order)
        assert {len(workers_of(found, name)) for name in names} == {1}


def test_two_specs_occupy_two_workers() -> None:
    found = shares(WholeSpecScheduling, checks("a") + checks("b"), 2)
    assert found == [checks("a"), checks("b")]


def test_many_specs_are_shared_out_evenly() -> None:
    items = [item for i in range(60) for item in checks(f"net{i}")]
    assert all(60 <= len(given) <= 90 for given in shares(WholeSpecScheduling, items, 4))


def test_ordinary_tests_go_where_they_went() -> None:
    assert shares(WholeSpecScheduling, TESTS, 3) == shares(LoadScheduling, TESTS, 3)
