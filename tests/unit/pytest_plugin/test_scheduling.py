from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from xdist.scheduler import LoadScheduling

from archcheck.pytest_plugin.scheduling import WholeSpecScheduling

TESTS = [f"tests/test_{name}.py::test_{i}" for name in "ab" for i in range(50)]


def checks(name: str) -> list[str]:
    return [f"specs/{name}.arch.yaml::{check}" for check in ("spec", "shapes", "parameters", "health", "function")]


class Worker:
    """A worker that does whatever it is given: an item when it knows the next one, or that none follows."""

    shutting_down = False

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.given: list[int] = []
        self.num_done = 0

    def may_begin(self) -> bool:
        left = len(self.given) - self.num_done
        return left > 1 or (left == 1 and self.shutting_down)

    def has_ended(self) -> bool:
        return self.shutting_down and self.num_done == len(self.given)

    def send_runtest_some(self, items: list[int]) -> None:
        self.given += items

    def shutdown(self) -> None:
        self.shutting_down = True


class Run:
    """A run of some items by workers that take turns at a test each; `together` has for each item who else was there.

    crashes: items at which a worker dies; another one comes in its place.
    """

    def __init__(
        self,
        scheduling: Any,
        items: list[str],
        num_workers: int,
        rootpath: Path = Path(),
        crashes: frozenset[str] = frozenset(),
    ) -> None:
        options = {"tx": ["popen"] * num_workers, "maxschedchunk": None}
        config = SimpleNamespace(getvalue=options.get, getoption=options.get, rootpath=rootpath)
        self.scheduler, self.items, self.crashes = scheduling(config), items, set(crashes)
        self.workers = [Worker(f"gw{i}") for i in range(num_workers)]
        self.together: dict[str, int] = {}
        self.crashed: list[str] = []
        for worker in self.workers:
            self.add(worker)
        self.scheduler.schedule()
        self.given = self.finish()

    def add(self, worker: Worker) -> None:
        self.scheduler.add_node(worker)
        self.scheduler.add_node_collection(worker, self.items)

    def finish(self) -> list[list[str]]:
        while self.scheduler.nodes:
            turns = [worker for worker in self.scheduler.nodes if worker.may_begin() or worker.has_ended()]
            if not turns:
                assert self.scheduler.tests_finished, "the workers wait for each other"
            for worker in turns:
                self.take_turn(worker)
            if self.scheduler.tests_finished:
                for worker in self.scheduler.nodes:
                    worker.shutdown()
        return [[self.items[i] for i in worker.given[: worker.num_done]] for worker in self.workers]

    def take_turn(self, worker: Worker) -> None:
        if worker.has_ended():
            assert self.scheduler.remove_node(worker) is None
            return
        item = self.items[worker.given[worker.num_done]]
        if item in self.crashes:
            self.crashes.remove(item)
            self.crashed.append(self.scheduler.remove_node(worker))
            self.workers.append(Worker(f"gw{len(self.workers)}"))
            self.add(self.workers[-1])
            self.scheduler.schedule()
            return
        self.together[item] = len(self.scheduler.nodes)
        worker.num_done += 1
        self.scheduler.mark_test_complete(worker, worker.given[worker.num_done - 1])


def shares(scheduling: Any, items: list[str], num_workers: int) -> list[list[str]]:
    """Return what each worker does."""
    return Run(scheduling, items, num_workers).given


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


# ----------------------------------------------------------------------------------------- what is timed

SPEC = "build: torch.nn:Identity\ninput: [B, 3]\nCLAIMS"


def timed(name: str) -> list[str]:
    return [*checks(name), f"specs/{name}.arch.yaml::throughput"]


@pytest.mark.parametrize("num_workers", [1, 2, 3, 8])
@pytest.mark.parametrize("names", ["a", "ab", "abcdefghijklmnop"])
@pytest.mark.parametrize("beside", [[], TESTS[:3], TESTS])
def test_what_is_timed_is_run_at_the_end_and_alone(num_workers: int, names: str, beside: list[str]) -> None:
    items = [item for name in names for item in timed(name)] + beside
    run = Run(WholeSpecScheduling, items, num_workers)
    assert sorted(item for given in run.given for item in given) == sorted(items)
    assert {run.together[item] for item in items if item.endswith("::throughput")} == {1}
    assert sum(any(item.endswith("::throughput") for item in given) for given in run.given) == 1


@pytest.mark.parametrize("num_workers", [1, 2, 3])
@pytest.mark.parametrize("at", ["health", "throughput"])
def test_a_worker_that_dies_is_no_reason_to_time_beside_others(num_workers: int, at: str) -> None:
    items = [item for name in "abcd" for item in timed(name)]
    crash = f"specs/b.arch.yaml::{at}"
    run = Run(WholeSpecScheduling, items, num_workers, crashes=frozenset([crash]))
    assert run.crashed == [crash]
    assert sorted([crash, *(item for given in run.given for item in given)]) == sorted(items)
    assert {alone for item, alone in run.together.items() if item.endswith("::throughput")} == {1}


@pytest.mark.parametrize("num_workers", [1, 2, 5])
def test_nothing_but_what_is_timed(num_workers: int) -> None:
    items = [f"specs/{name}.arch.yaml::throughput" for name in "abc"]
    run = Run(WholeSpecScheduling, items, num_workers)
    assert sorted(item for given in run.given for item in given) == items
    assert set(run.together.values()) == {1}


def claiming(folder: Path, claims: dict[str, str]) -> list[str]:
    """Write specs that make claims. Return their items."""
    (folder / "specs").mkdir()
    for name, claim in claims.items():
        (folder / f"specs/{name}.arch.yaml").write_text(SPEC.replace("CLAIMS", f"claims: {claim}" if claim else ""))
    return [item for name in claims for item in [*checks(name), f"specs/{name}.arch.yaml::claims"]]


def test_specs_that_are_better_than_one_another_are_one_workers(tmp_path: Path) -> None:
    claims = {**dict.fromkeys("abcdefgh", ""), "b": "{better_than: {spec: g}}", "e": "{better_than: [{spec: g}]}"}
    items = claiming(tmp_path, claims)
    given = Run(WholeSpecScheduling, items, 3, tmp_path).given
    assert sorted(item for part in given for item in part) == sorted(items)
    assert workers_of(given, "b") == workers_of(given, "g") == workers_of(given, "e")
    assert len(workers_of(given, "b")) == 1


def test_claims_are_timed_where_one_is_about_speed(tmp_path: Path) -> None:
    items = claiming(tmp_path, {"a": "{better_than: {spec: b}}", "b": "{faster_than: {spec: c, by: 2}}", "c": ""})
    run = Run(WholeSpecScheduling, items, 2, tmp_path)
    last = [item for given in run.given for item in given if run.together[item] == 1 and item.endswith("::claims")]
    assert "specs/b.arch.yaml::claims" in last
    workers = [given for given in run.given if "specs/a.arch.yaml::claims" in given]
    assert workers[0].index("specs/a.arch.yaml::claims") == len(checks("a"))


def test_claims_that_cannot_be_read_are_left_to_the_end(tmp_path: Path) -> None:
    items = claiming(tmp_path, {"a": "{better_than: {spec: nobody}}", "b": "", "c": "nonsense"})
    run = Run(WholeSpecScheduling, items, 2, tmp_path)
    assert sorted(item for given in run.given for item in given) == sorted(items)
