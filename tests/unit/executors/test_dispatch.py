"""Requests go out once, answers come back in order, whatever an executor does. The executors here run nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future
from contextlib import contextmanager
from typing import Any

import pytest

from archcheck.executors import dispatch as module
from archcheck.executors.dispatch import Dispatch
from archcheck.executors.records import Answer, Request, RunSetup, own_versions

SETUP = RunSetup("run", [], "/root", ".", [], "digest")
REQUESTS = [Request(SETUP, f"{name}.arch.yaml", "digest", ["spec", "shapes"]) for name in "abc"]


def answer(spec: str, **found: Any) -> dict[str, Any]:
    return Answer("nova", own_versions(), reports={"spec": spec}, **found).to_plain()


class Played:
    """An executor whose results are those of a function of the spec's name and of how often it was submitted."""

    def __init__(self, play: Callable[[str, int], Any]) -> None:
        self.play = play
        self.submitted: list[str] = []
        self.ended: list[dict[str, Any]] = []

    def submit(self, function: object, plain: Any) -> Any:
        spec = plain["spec"]
        self.submitted.append(spec)
        result: Future[Any] = Future()
        try:
            result.set_result(self.play(spec, self.submitted.count(spec)))
        except Exception as error:
            result.set_exception(error)
        return result

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.ended.append({"wait": wait, "cancel_futures": cancel_futures})


def run(executor: Any, requests: list[Request] = REQUESTS) -> tuple[list[Answer], list[str]]:
    told: list[str] = []
    dispatch = Dispatch(lambda: executor, requests, told.append)
    dispatch.start()
    answers = [dispatch.answer(index) for index in range(len(requests))]
    dispatch.close()
    return answers, told


def test_answers_come_in_the_order_of_requests() -> None:
    waiting: list[tuple[str, Future[Any]]] = []

    class Backwards:
        def submit(self, function: object, plain: Any) -> Future[Any]:
            waiting.append((plain["spec"], Future()))
            if len(waiting) == len(REQUESTS):
                for spec, future in reversed(waiting[:-1]):
                    threading.Timer(0.0, future.set_result, [answer(spec)]).start()
                waiting[-1][1].set_result(answer(waiting[-1][0]))
            return waiting[-1][1]

    answers, told = run(Backwards())
    assert [one.reports["spec"] for one in answers] == ["a.arch.yaml", "b.arch.yaml", "c.arch.yaml"]
    assert told == []


def test_what_raises_is_submitted_once_more() -> None:
    def play(spec: str, time: int) -> Any:
        if spec == "b.arch.yaml" and time == 1:
            raise ConnectionError("node lost")
        return answer(spec)

    executor = Played(play)
    answers, _ = run(executor)
    assert executor.submitted == ["a.arch.yaml", "b.arch.yaml", "c.arch.yaml", "b.arch.yaml"]
    assert not any(one.lost for one in answers)


def test_what_raises_twice_is_given_up_and_the_others_are_not() -> None:
    def play(spec: str, time: int) -> Any:
        if spec == "b.arch.yaml":
            raise ConnectionError("node lost")
        return answer(spec)

    answers, _ = run(Played(play))
    assert [bool(one.lost) for one in answers] == [False, True, False]
    why = "no host has given a result: ConnectionError: node lost"
    assert answers[1].lost == {"spec": why, "shapes": why}


@pytest.mark.parametrize("nonsense", [None, 3, {"what": 1}, {"host": "nova"}])
def test_a_result_that_is_no_answer_is_given_up(nonsense: object) -> None:
    answers, _ = run(Played(lambda *_: nonsense), REQUESTS[:1])
    assert "no host has given a result: TypeError" in answers[0].lost["spec"]


def test_a_host_that_refuses_is_named() -> None:
    answers, _ = run(Played(lambda *_: Answer("vega", own_versions(), refused="its sources differ").to_plain()))
    assert answers[0].lost["shapes"] == "vega has refused it: its sources differ"


def test_a_broken_executor_is_made_anew_for_what_has_no_answer() -> None:
    def first(spec: str, time: int) -> Any:
        if spec == "a.arch.yaml":
            return answer(spec)
        raise BrokenExecutor("a process was terminated")

    executors = [Played(first), Played(lambda spec, _: answer(spec))]
    waiting, told = iter(executors), list[str]()
    dispatch = Dispatch(lambda: next(waiting), REQUESTS, told.append)
    dispatch.start()
    answers = [dispatch.answer(index) for index in range(3)]
    assert executors[1].submitted == ["b.arch.yaml", "c.arch.yaml"]
    assert not any(one.lost for one in answers)
    assert executors[0].ended
    assert told == ["the executor broke (a process was terminated): 2 requests are submitted to another"]


def test_executors_that_break_at_once_are_not_made_forever() -> None:
    made = []

    def play(spec: str, time: int) -> Any:
        raise BrokenExecutor("a process was terminated")

    def make() -> Played:
        made.append(Played(play))
        return made[-1]

    dispatch = Dispatch(make, REQUESTS, lambda _: None)
    dispatch.start()
    assert "broke twice in a row" in dispatch.answer(2).lost["spec"]
    assert len(made) == 2


def test_results_that_tell_nobody_when_they_are_done_are_waited_for() -> None:
    class Job:
        def __init__(self, plain: Any) -> None:
            self.plain = plain

        def result(self) -> Any:
            return answer(self.plain["spec"])

    class Bare:
        def submit(self, function: object, plain: Any) -> Job:
            return Job(plain)

    answers, _ = run(Bare())
    assert [one.reports["spec"] for one in answers] == ["a.arch.yaml", "b.arch.yaml", "c.arch.yaml"]


def test_jobs_of_an_array_are_submitted_together() -> None:
    events: list[str] = []

    class Array(Played):
        @contextmanager
        def batch(self) -> Any:
            events.append(f"begun after {len(self.submitted)}")
            yield
            events.append(f"ended after {len(self.submitted)}")

    run(Array(lambda spec, _: answer(spec)))
    assert events == ["begun after 0", "ended after 3"]


def test_cancelling_reaches_every_result_and_the_executor() -> None:
    cancelled: list[str] = []

    class Pending(Played):
        def submit(self, function: object, plain: Any) -> Any:
            class Job:
                def result(self) -> Any:
                    threading.Event().wait()

                def done(self) -> bool:
                    return False

                def cancel(self) -> None:
                    cancelled.append(plain["spec"])
                    raise RuntimeError("too late")

            return Job()

    executor = Pending(lambda *_: None)
    dispatch = Dispatch(lambda: executor, REQUESTS, lambda _: None)
    dispatch.start()
    dispatch.cancel()
    assert cancelled == ["a.arch.yaml", "b.arch.yaml", "c.arch.yaml"]
    assert executor.ended == [{"wait": False, "cancel_futures": True}]


def test_other_versions_of_a_host_are_told_once() -> None:
    versions = {**own_versions(), "torch": "1.13.1"}
    _, told = run(Played(lambda *_: Answer("vega", versions, reports={"spec": ""}).to_plain()))
    assert told == [f"vega has torch 1.13.1 (here {own_versions()['torch']})"]


def test_it_is_told_where_nobody_takes_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENT_SEC", 0.0)
    first: Future[Any] = Future()

    class Idle:
        def submit(self, function: object, plain: Any) -> Future[Any]:
            return first

    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        first.set_result(answer("a.arch.yaml"))

    dispatch = Dispatch(Idle, REQUESTS[:1], tell)
    dispatch.start()
    dispatch.answer(0)
    assert told == ["no host has taken any of 1 requests for 0 s"]
