"""A device that workers share: beside each other, and alone where memory runs out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from archcheck.checks.outcome import Outcome
from archcheck.findings import Mismatch
from archcheck.pytest_plugin.device_lock import DeviceLock

LACKS = Outcome(
    (Mismatch(("training",), "batch_size", "the forward pass: out of memory; a smaller batch_size needs less"),)
)
OTHER = Outcome((Mismatch(("training",), "build", "the forward pass raised ValueError: x"),))


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "cuda-0")


def answering(*outcomes: Outcome) -> tuple[Callable[[], Outcome], list[Outcome]]:
    left = list(outcomes)
    return lambda: left.pop(0), left


@pytest.mark.parametrize("outcome", [Outcome(), OTHER])
def test_what_does_not_lack_memory_is_measured_once(path: str, outcome: Outcome) -> None:
    released: list[str] = []
    measure, left = answering(outcome, LACKS)
    assert DeviceLock(path, lambda: released.append("")).run(measure) == outcome
    assert (len(left), len(released)) == (1, 1)


def test_what_lacks_memory_beside_others_is_measured_again(path: str) -> None:
    released: list[str] = []
    measure, left = answering(LACKS, Outcome())
    assert DeviceLock(path, lambda: released.append("")).run(measure) == Outcome()
    assert (len(left), len(released)) == (0, 2)


def test_what_lacks_memory_alone_too_is_told(path: str) -> None:
    measure, left = answering(LACKS, LACKS, Outcome())
    (found,) = DeviceLock(path, lambda: None).run(measure).mismatches
    assert found.problem == LACKS.mismatches[0].problem
    assert found.notes == (
        ("note", "out of memory alone on the device, too: other workers of pytest-xdist waited meanwhile"),
    )
    assert len(left) == 1


def test_the_second_time_waits_until_the_others_are_through(path: str) -> None:
    """Each lock opens the file anew, as another process does."""
    beside, finish, log = threading.Event(), threading.Event(), list[str]()

    def neighbour() -> Outcome:
        beside.set()
        finish.wait(20)
        log.append("neighbour done")
        return Outcome()

    other = threading.Thread(target=DeviceLock(path, lambda: None).run, args=(neighbour,))
    other.start()
    beside.wait(20)
    tries: list[str] = []

    def measure() -> Outcome:
        tries.append("")
        log.append(f"try {len(tries)}")
        if len(tries) == 1:
            threading.Timer(0.2, finish.set).start()
            return LACKS
        return Outcome()

    assert DeviceLock(path, lambda: None).run(measure) == Outcome()
    other.join()
    assert log == ["try 1", "neighbour done", "try 2"]


def test_other_devices_are_not_waited_for(path: str) -> None:
    def inside(lock: DeviceLock) -> Callable[[], Outcome]:
        return lambda: lock.run(answering(LACKS, Outcome())[0])

    assert DeviceLock(path, lambda: None).run(inside(DeviceLock(f"{path}1", lambda: None))) == Outcome()
