"""The main function of a worker process, which builds one workload and times steps of it on request.

A worker answers each line of JSON on standard input with one on standard output. It ends when standard input does, so
that it never outlives its parent. What a network prints goes to standard error. The parent's side is
`regression.workers`.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from archcheck.system.processes import take_pipes, tell_stacks
from archcheck.throughput.regression.workers import PROTOCOL


def main() -> None:
    """Serve the parent process until it closes the pipe."""
    requests, answers = take_pipes()
    tell_stacks()
    _send(answers, {"protocol": PROTOCOL})
    request = json.loads(requests.readline())
    with contextlib.suppress(BrokenPipeError):  # the parent is gone
        _serve(request, requests, answers)
    os._exit(0)  # without waiting for threads of the network


def _serve(request: Mapping[str, Any], requests: IO[str], answers: IO[str]) -> None:
    from archcheck.errors import ArchcheckError

    try:
        for answer in _answers(request, requests):
            _send(answers, answer)
    except ArchcheckError as error:
        _send(answers, {"error": type(error).__name__, "message": str(error).splitlines()[0]})
    except BrokenPipeError:
        raise
    except Exception as error:  # an error of archcheck, maybe as this revision's API differs
        from archcheck.network.exceptions import one_line

        _send(answers, {"error": "Crash", "message": f"measuring raised {one_line(error)}"})


def _answers(request: Mapping[str, Any], requests: IO[str]) -> Iterator[dict[str, Any]]:
    """Yield an answer when the workload is ready, then one for each line that comes in."""
    from archcheck.network.devices import choose_device
    from archcheck.network.torch_state import seeded
    from archcheck.spec.spec_file import read_spec
    from archcheck.throughput.code_provenance import explain_wrong_code
    from archcheck.throughput.plan import resolve_plan
    from archcheck.throughput.workload import Workload
    from archcheck.training.failures import RunFailed

    rootdir = Path(request["rootdir"]) if request["rootdir"] else None
    spec_file = read_spec(Path(request["spec"]), request["shown"], rootdir)
    plan = resolve_plan(spec_file.spec, request["kind"], request["work"])
    device = choose_device(request["device"])
    with seeded(plan.recipe.seed, device, request["num_threads"]):
        try:
            workload = Workload(spec_file, plan, device, rootdir)
            _pin_to(request["cpu"])
            first_step_sec, step_sec = workload.warm_up()
            facts = {"batch_size": plan.recipe.batch_size, "first_step_sec": first_step_sec, "step_sec": step_sec}
            yield facts | {
                "work": plan.describe_step(),
                "wrong_code": explain_wrong_code(request["tree"], request["foreign"]),
            }
            yield from _measurements(_CommandHandler(workload), requests)
        except RunFailed as failed:
            fault = failed.fault
            yield {"error": "RunFailed", "message": fault.message, "keys": list(plan.place(fault.key))}


def _pin_to(cpu: int | None) -> None:
    """Stay on one processor from now on; earlier, both sides would share it while they start at the same time."""
    if cpu is not None:
        with contextlib.suppress(OSError):  # it was taken offline a moment ago
            os.sched_setaffinity(0, {cpu})


def _measurements(handler: _CommandHandler, requests: IO[str]) -> Iterator[dict[str, Any]]:
    commands: dict[str, Callable[[Any], dict[str, Any]]] = {
        "step": handler.step, "reference": handler.reference, "prepare": handler.prepare,
    }  # fmt: skip
    for line in requests:
        command, argument = json.loads(line)
        yield commands[command](argument)


class _CommandHandler:
    """Carries out the parent's commands on a workload and the reference that it is measured against."""

    def __init__(self, workload: Any) -> None:
        self._workload = workload
        self._reference: Any = None

    def step(self, number: int) -> dict[str, Any]:
        """Time a number of steps."""
        return {"seconds": self._workload.run(number)}

    def prepare(self, text: str | None) -> dict[str, Any]:
        """Build the reference that a text describes, or record one of this step; `text` is None where neither works."""
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
        """Time a number of runs of the reference."""
        return {"seconds": self._reference.run(number)}


def _send(answers: IO[str], answer: Mapping[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
