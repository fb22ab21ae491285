"""The process that measures: it makes one workload, and takes steps of it when it is told to.

It reads a line of JSON from standard input and answers with one, until standard input ends: when its parent is gone,
however that came about, so is it. What a network prints goes to standard error.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from archcheck.throughput.regression.workers import PROTOCOL


def main() -> None:
    """Serve one parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when it's over
    requests, answers = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # a network that reads its input would read ours
    _say(answers, {"protocol": PROTOCOL})
    request = json.loads(requests.readline())
    with contextlib.suppress(BrokenPipeError):  # nobody listens any more
        _serve(request, requests, answers)
    os._exit(0)  # threads of the network's own must not keep it


def _serve(request: Mapping[str, Any], requests: IO[str], answers: IO[str]) -> None:
    from archcheck.errors import ArchcheckError

    try:
        for answer in _answers(request, requests):
            _say(answers, answer)
    except ArchcheckError as error:
        _say(answers, {"error": type(error).__name__, "message": str(error).splitlines()[0]})
    except BrokenPipeError:
        raise
    except Exception as error:  # ours, or of a revision that does things in another way
        from archcheck.network.exceptions import one_line

        _say(answers, {"error": "Crash", "message": f"measuring raised {one_line(error)}"})


def _answers(request: Mapping[str, Any], requests: IO[str]) -> Iterator[dict[str, Any]]:
    """An answer when all is ready, then one for each line that comes in."""
    from archcheck.network.torch_state import seeded
    from archcheck.spec.spec_file import read_spec
    from archcheck.throughput.code_provenance import explain_wrong_code
    from archcheck.throughput.plan import resolve_plan
    from archcheck.throughput.workload import Workload
    from archcheck.training.devices import choose_device
    from archcheck.training.failures import RunFailed

    spec_file = read_spec(Path(request["spec"]), request["shown"])
    rootdir = Path(request["rootdir"]) if request["rootdir"] else None
    plan = resolve_plan(spec_file.spec, request["kind"], request["work"])
    device = choose_device(request["device"])
    with seeded(plan.recipe.seed, device, request["num_threads"]):
        try:
            workload = Workload(spec_file, plan, device, rootdir)
            _stay_on(request["cpu"])
            first_step_sec, step_sec = workload.warm_up()
            facts = {"batch_size": plan.recipe.batch_size, "first_step_sec": first_step_sec, "step_sec": step_sec}
            yield facts | {
                "work": plan.describe_step(),
                "wrong_code": explain_wrong_code(request["tree"], request["foreign"]),
            }
            yield from _measurements(_Bench(workload), requests)
        except RunFailed as failed:
            fault = failed.fault
            yield {"error": "RunFailed", "message": fault.message, "keys": list(plan.place(fault.key))}


def _stay_on(cpu: int | None) -> None:
    """From now on, as both sides start at once: on one processor that would take twice as long."""
    if cpu is not None:
        with contextlib.suppress(OSError):  # it was taken out of use a moment ago
            os.sched_setaffinity(0, {cpu})


def _measurements(bench: _Bench, requests: IO[str]) -> Iterator[dict[str, Any]]:
    commands: dict[str, Callable[[Any], dict[str, Any]]] = {
        "step": bench.step, "reference": bench.reference, "prepare": bench.prepare,
    }  # fmt: skip
    for line in requests:
        command, argument = json.loads(line)
        yield commands[command](argument)


class _Bench:
    """A workload, and beside it the reference that it's measured against."""

    def __init__(self, workload: Any) -> None:
        self._workload = workload
        self._reference: Any = None

    def step(self, number: int) -> dict[str, Any]:
        """Seconds for so many steps."""
        return {"seconds": self._workload.run(number)}

    def prepare(self, text: str | None) -> dict[str, Any]:
        """Make ready the reference that a text describes, or one of this very step. `text` is null where none works."""
        from archcheck.throughput.reference_workload import (
            InvalidReference,
            ReferenceWorkload,
            record_reference_workload,
        )

        try:
            text = text or record_reference_workload(self._workload.step, self._workload.device)
            if text is None:
                return {"text": None, "problem": "no operation of the step can be done again by itself"}
            self._reference = ReferenceWorkload(text, self._workload.device)
            seconds = min(self._reference.run(1) for _ in range(3))
        except (InvalidReference, RuntimeError) as error:
            return {"text": None, "problem": str(error).splitlines()[0]}
        return {"text": text, "step_sec": seconds}

    def reference(self, number: int) -> dict[str, Any]:
        """Seconds for the reference, so many times."""
        return {"seconds": self._reference.run(number)}


def _say(answers: IO[str], answer: Mapping[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
