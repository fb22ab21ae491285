"""The process that records and verifies: a request a line on standard input, an answer a line on standard output."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import time
import traceback
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from public_zoo.entry import laid_over

if TYPE_CHECKING:
    from archcheck.findings import Mismatch

Answer = dict[str, Any]


def serve() -> None:
    """Answer requests until there are no more. What a network prints goes to standard error."""
    warnings.simplefilter("ignore")  # libraries', about weights and versions
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        begun = time.process_time()  # of all threads: what others do on this machine doesn't count
        answer = answer_to(request)
        _send(answers, {**answer, "sec": round(time.process_time() - begun, 2), "peak_gib": _peak_gib()})


def answer_to(request: Mapping[str, Any]) -> Answer:
    """Record, verify, or verify against a changed network, and say how it went; a crash is an answer, too."""
    try:
        if request["step"] == "record":
            return _record(request["arguments"], Path(request["spec"]))
        if request["step"] == "change":
            return _verify_changed(Path(request["spec"]), request["change"])
        return _verify(Path(request["spec"]))
    except (Exception, SystemExit) as error:
        return {"verdict": "crashed", "message": _where(error)}


def _record(arguments: list[str], spec: Path) -> Answer:
    """Do `archcheck new`, and say how much of the network the spec has, and what was said of the rest."""
    from archcheck.cli.command_line import main

    said, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(errors):
        status = main(["new", *arguments, "--output", str(spec), "--force"])
    message = errors.getvalue().strip()
    if status:
        return {"verdict": "not", "message": message}
    return {"verdict": "full" if _is_full(spec) else "part", "message": message}


def _is_full(path: Path) -> bool:
    """Whether a spec promises all that one can: the output, the multiply-adds and the function in both modes."""
    from archcheck.spec.spec_file import read_spec

    spec_file = read_spec(path)
    spec, recorded = spec_file.spec, spec_file.recorded
    return spec.output is not None and spec.macs is not None and recorded is not None and recorded.train


def _verify(spec: Path) -> Answer:
    """Verify a spec as `archcheck.verify` does: every check but training and speed.

    What health finds is written into the spec as its hints say, if they say so for all of it, and verified again.
    """
    import archcheck
    from archcheck.report.mismatches import format_mismatches

    result = archcheck.verify(spec)
    red = [name for name, mismatches in result.outcomes.items() if mismatches]
    if not red:
        dark = "; ".join(f"{name}: {reason}" for name, reason in result.unmeasured.items())
        return {"verdict": "unmeasured" if dark else "green", "checks": list(result.unmeasured), "message": dark}
    message = format_mismatches(result.spec_file, result.mismatches, result.trace)
    allowed = _allowed(result.mismatches)
    if allowed:
        spec.write_text(f"{spec.read_text()}\nhealth: {json.dumps(allowed)}\n")
        if archcheck.verify(spec).ok:
            return {"verdict": "declared", "checks": red, "message": message}
    return {"verdict": "red", "checks": red, "message": message}


def _verify_changed(path: Path, change: Mapping[str, Any]) -> Answer:
    """Verify a spec against the network that is built from changed arguments, and say which checks notice.

    The function is asked only where nothing else notices. Health never is: it doesn't know one network from another.
    """
    from archcheck.network.build import build_network
    from archcheck.report.mismatches import format_mismatches
    from archcheck.spec.spec_file import read_spec
    from archcheck.verification import verify_spec

    spec_file = read_spec(path, rootdir=Path.cwd())
    args = laid_over(spec_file.spec.args, change)
    build_network(spec_file.spec.build, args, path.parent, Path.cwd())
    for left_out in ({"function": "off"}, {}):
        spec = spec_file.spec.model_copy(update={"args": args, **left_out})
        result = verify_spec(replace(spec_file, spec=spec), Path.cwd())
        red = {name: found for name, found in result.outcomes.items() if found and name != "health"}
        if red:
            message = format_mismatches(
                result.spec_file, [one for found in red.values() for one in found], result.trace
            )
            return {"verdict": "caught", "checks": list(red), "message": message}
    return {"verdict": "missed", "checks": [], "message": "; ".join(result.unmeasured.values())}


def _allowed(mismatches: Iterable[Mismatch]) -> dict[str, list[str]]:
    """Return what the findings' hints would excuse, by key of `health`; nothing where a finding has no hint."""
    import yaml

    allowed: dict[str, list[str]] = {}
    for mismatch in mismatches:
        hint = dict(mismatch.notes).get("allow")
        if hint is None:
            return {}
        for key, names in yaml.safe_load(hint)["health"].items():
            allowed.setdefault(key, []).extend(names)
    return allowed


def _where(error: BaseException) -> str:
    """Return an error's one line, then its traceback from our code on."""
    lines = "".join(traceback.format_exception(error))
    return f"{type(error).__name__}: {error}\n{lines[-4000:]}"


def _peak_gib() -> float:
    import resource

    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)


def _send(answers: TextIO, answer: Answer) -> None:
    print(json.dumps(answer), file=answers, flush=True)
