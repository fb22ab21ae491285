"""Are others' networks recorded, and green? `python benchmarks/public_networks.py [LIBRARY...]`, see `--help`.

Each network is recorded by `archcheck new`, verified at once in the same process, and verified in another process with
two threads: every check but training and speed. What health finds is declared as its hints say, and verified again.
Results are appended to a file, from which an interrupted run goes on and the tables are made.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from public_zoo.catalogue import PUBLIC, public_entries
from public_zoo.driver import BENCHMARKS, Worker
from public_zoo.entry import Entry
from public_zoo.report import details, is_red, summary
from public_zoo.sweep import describe, make_parser, sweep

SAMPLE: Final = 60  # specs that `pytest -n 2` verifies in one run


def main(arguments: list[str]) -> int:
    """Sweep over the networks asked for, and print the tables. Returns the number of networks with an alarm."""
    parser = make_parser(__doc__, list(PUBLIC), "build/public_networks")
    parser.add_argument(
        "--pytest", type=int, nargs="?", const=SAMPLE, metavar="N", help="verify N of the specs under pytest -n 2, too"
    )
    options = parser.parse_args(arguments)
    options.libraries = options.libraries or list(PUBLIC)
    libraries, results = sweep(options, public_entries, _measure)
    print(describe(libraries), "\n")
    print(summary(results), "\n")
    print(details(results))
    if options.pytest:
        print(f"\n{_verify_under_xdist(results, options.pytest)}")
    return sum(map(is_red, results))


def _measure(library: str, entry: Entry, folder: Path, recorder: Worker, verifier: Worker) -> dict[str, Any]:
    """Return the result of one network: each step's verdict, message and time."""
    spec = folder / "specs" / library / f"{entry.name}.arch.yaml"
    spec.unlink(missing_ok=True)
    command = shlex.join(["archcheck", "new", *entry.arguments])
    result: dict[str, Any] = {"spec": str(spec), "command": f"PYTHONPATH={BENCHMARKS.name} {command}"}
    result["recorded"] = recorder.ask({"step": "record", "arguments": entry.arguments, "spec": str(spec)})
    if result["recorded"]["verdict"] in ("full", "part"):
        result["at_once"] = recorder.ask({"step": "verify", "spec": str(spec)})
        result["elsewhere"] = verifier.ask({"step": "verify", "spec": str(spec)})
    return result


def _verify_under_xdist(results: Sequence[Mapping[str, Any]], size: int) -> str:
    """Verify a sample of the specs, taken evenly over all of them, by one run of `pytest -n 2`, and return its end."""
    specs = [result["spec"] for result in results if "at_once" in result]
    sample = specs[:: max(1, len(specs) // size)][:size]
    path = os.pathsep.join([str(BENCHMARKS), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "pytest", "--archcheck", "-n", "2", "-q", "-rf", "--tb=no", *sample]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path})
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR")) or " passed" in line]
    return "\n".join([f"pytest -n 2 over {len(sample)} of these specs: exit status {done.returncode}", *lines])


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
