"""What the runs of specs have used, in this process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from archcheck.dependencies.facts import Fact, Surroundings, file_fact, listing_fact, variable_fact
from archcheck.dependencies.recorder import Recorder
from archcheck.dependencies.used import Used
from archcheck.system.audit import shared, tell_unseen


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    one = Recorder(Surroundings(sys.path))
    one.start()
    yield one
    one.stop()


def files_of(used: Used, folder: Path) -> list[str]:
    """Return the names of the files that were used in a folder."""
    paths = [Path(fact[1]) for fact in used.facts if fact[0] == "file"]
    return sorted(path.name for path in paths if path.parent == folder)


def test_what_is_read_is_the_running_specs(recorder: Recorder, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    with recorder.watching("a"):
        (tmp_path / "a.txt").read_text()
        (tmp_path / "b.txt").exists()
        (tmp_path / "c.txt").write_text("c")
        os.listdir(tmp_path)
        os.environ.get("ARCHCHECK_NOTHING")
    (tmp_path / "d.txt").exists()
    used = recorder.used_by("a")
    assert files_of(used, tmp_path) == ["a.txt", "b.txt"]
    assert {listing_fact(str(tmp_path)), variable_fact("ARCHCHECK_NOTHING")} <= set(used.facts)
    assert used.unknown == {}
    assert recorder.used_by("b").facts == {}


def test_what_our_own_processes_do_is_the_running_checks(recorder: Recorder) -> None:
    with recorder.watching("a") as first, shared("a run"):
        tell_unseen("it is read elsewhere")
    with recorder.watching("a") as second:
        pass
    with recorder.watching("b") as third, shared("a run"):
        pass
    assert first.unseen == third.unseen == {"it is read elsewhere": None}
    assert second.unseen == {}
    assert recorder.used_by("a").unknown == {}


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (lambda: subprocess.run([sys.executable, "-c", ""], check=True), "it starts another process"),
        (lambda: socket.getaddrinfo("127.0.0.1", 80), "it reads the network"),
        (lambda: dict(os.environ), "it reads the whole environment"),
    ],
)
def test_what_nobody_can_follow_is_told(recorder: Recorder, act: object, reason: str) -> None:
    with recorder.watching("a"):
        act()  # type: ignore[operator]
    assert list(recorder.used_by("a").unknown) == [reason]


def test_what_is_kept_for_others_counts_for_them(recorder: Recorder, tmp_path: Path) -> None:
    with recorder.watching("a"), shared("outer"):
        (tmp_path / "outer.txt").exists()
        with shared("inner"):
            (tmp_path / "inner.txt").exists()
        (tmp_path / "more.txt").exists()
    with recorder.watching("b"), shared("inner"):
        pass
    with recorder.watching("c"), shared("outer"):
        pass
    assert files_of(recorder.used_by("b"), tmp_path) == ["inner.txt"]
    assert files_of(recorder.used_by("c"), tmp_path) == ["inner.txt", "more.txt", "outer.txt"]


def test_a_value_is_that_of_the_first_look(recorder: Recorder, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    fact: Fact = file_fact(str(path))
    with recorder.watching("a"):
        path.exists()
        path.write_text("made by the run itself")
        path.read_text()
    assert recorder.used_by("a").facts[fact] == "absent"


def test_everything_is_as_before_when_it_stops() -> None:
    before = (os.stat, os.access, type(os.environ), __builtins__["__import__"])  # type: ignore[index]
    recorder = Recorder(Surroundings(sys.path))
    recorder.start()
    assert os.stat is not before[0]
    assert os.stat in os.supports_dir_fd
    recorder.stop()
    assert (os.stat, os.access, type(os.environ), __builtins__["__import__"]) == before  # type: ignore[index]
    assert all(function in (os.stat, os.access) or function.__name__ != "stat" for function in os.supports_dir_fd)


def test_an_odd_path_is_not_this_processs_end(recorder: Recorder) -> None:
    class Odd:
        def __fspath__(self) -> str:
            raise RuntimeError("odd")

    with recorder.watching("a"), pytest.raises(RuntimeError, match="odd"):
        os.stat(Odd())
    assert list(recorder.used_by("a").unknown) == ["archcheck lost track of what it reads (RuntimeError)"]
