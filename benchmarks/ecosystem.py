"""How much must be said of a public library's network, and what of its configuration is watched? See `--help`.

Each network is recorded three times over: by `archcheck new` from its target alone; with what goes in, as `--input` or
by a function; and then verified at once and in another process. Then its configuration is changed as somebody may by
mistake, and the spec verified against the network that is built now. Results are appended to a file, from which an
interrupted run goes on and the tables are made: `python benchmarks/ecosystem.py [LIBRARY...]`.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

from public_zoo.catalogue import ECOSYSTEM, ecosystem_entries
from public_zoo.driver import BENCHMARKS, Worker
from public_zoo.ecosystem_report import details, is_wrong, missed, summary
from public_zoo.entry import Entry
from public_zoo.sweep import describe, make_parser, sweep

RECORDED = ("full", "part")


def main(arguments: list[str]) -> int:
    """Sweep over the networks asked for, and print the tables. Returns the number of networks with something wrong."""
    options = make_parser(__doc__, list(ECOSYSTEM), "build/ecosystem").parse_args(arguments)
    options.libraries = options.libraries or list(ECOSYSTEM)
    libraries, results = sweep(options, ecosystem_entries, measure)
    print(describe(libraries), "\n")
    print(summary(results), "\n")
    print(details(results), "\n")
    print(missed(results))
    return sum(map(is_wrong, results))


def measure(library: str, entry: Entry, folder: Path, recorder: Worker, verifier: Worker) -> dict[str, Any]:
    """Return the result of one network: the verdict of each step, and of each change."""
    spec = folder / "specs" / library / f"{entry.name}.arch.yaml"
    alone = folder / "alone" / library / f"{entry.name}.arch.yaml"
    for path in (spec, alone):
        path.unlink(missing_ok=True)
    command = shlex.join(["archcheck", "new", *entry.arguments])
    result: dict[str, Any] = {"spec": str(spec), "command": f"PYTHONPATH={BENCHMARKS.name} {command}"}
    result["given"] = "inputs_from" if entry.inputs_from else "input"
    result["alone"] = _recorded(recorder, entry.alone, alone)
    if result["alone"]["verdict"] in RECORDED:
        result["alone_at_once"] = recorder.ask({"step": "verify", "spec": str(alone)})
    result["recorded"] = _recorded(recorder, entry.arguments, spec)
    if result["recorded"]["verdict"] in RECORDED:
        result["at_once"] = recorder.ask({"step": "verify", "spec": str(spec)})
        result["elsewhere"] = verifier.ask({"step": "verify", "spec": str(spec)})
        result["changes"] = [_changed(verifier, change, spec) for change in entry.changes]
    return result


def _recorded(recorder: Worker, arguments: list[str], spec: Path) -> dict[str, Any]:
    return recorder.ask({"step": "record", "arguments": arguments, "spec": str(spec)})


def _changed(verifier: Worker, change: Any, spec: Path) -> dict[str, Any]:
    return {"change": json.dumps(change), **verifier.ask({"step": "change", "spec": str(spec), "change": change})}


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
