"""What a host makes of a spec whose checks end their process one after the other. No process is started here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from archcheck.executors import host
from archcheck.executors.host import Event
from archcheck.executors.records import Answer, Request, RunSetup

CHECKS = ["spec", "shapes", "parameters", "health", "function"]


class Played:
    """A process in which some checks take too long."""

    def __init__(self, hanging: set[str]) -> None:
        self.hanging = hanging
        self.begun: list[str] = []

    def events(self, spec: str, checks: list[str]) -> Iterator[Event]:
        for check in list(checks):
            self.begun.append(check)
            yield "begin", check, None
            if check in self.hanging:
                raise host._Stopped("it took longer than 5 s", is_final=True)
            yield "end", check, ([{"outcome": "passed"}], [])

    def end(self) -> None:
        """It is started anew for the next check."""


def answer_of(hanging: set[str], monkeypatch: pytest.MonkeyPatch) -> tuple[Answer, list[str]]:
    process = Played(hanging)
    monkeypatch.setattr(host, "find_root", lambda *_: Path("/root"))
    monkeypatch.setattr(host, "_difference", lambda *_: "")
    monkeypatch.setattr(host, "_process_for", lambda *_: process)
    request = Request(RunSetup("run", [], "/root", ".", [], "digest"), "a.arch.yaml", "digest", CHECKS)
    return Answer.from_plain(host.run_spec(request.to_plain())), process.begun


def test_after_two_in_a_row_the_rest_is_not_run_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    answer, begun = answer_of(set(CHECKS), monkeypatch)
    assert begun == ["spec", "shapes"]
    assert list(answer.lost) == CHECKS
    assert answer.reports == {}
    assert answer.lost["shapes"] == "it took longer than 5 s"
    rest = "not run, as spec and shapes, one after the other, got no answer (it took longer than 5 s)"
    assert {answer.lost[name] for name in CHECKS[2:]} == {rest}


def test_one_that_ends_between_shows_that_others_may(monkeypatch: pytest.MonkeyPatch) -> None:
    answer, begun = answer_of({"spec", "parameters", "function"}, monkeypatch)
    assert begun == CHECKS
    assert list(answer.lost) == ["spec", "parameters", "function"]
    assert list(answer.reports) == ["shapes", "health"]
