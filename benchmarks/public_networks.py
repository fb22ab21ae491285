"""Are others' networks recorded, and green? `python benchmarks/public_networks.py [LIBRARY...]`, see `--help`.

Each network is recorded by `archcheck new`, verified at once in the same process, and verified in another process with
two threads: every check but training and speed. What health finds is declared as its hints say, and verified again.
Results are appended to a file, from which an interrupted run goes on and the tables are made.
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from public_zoo.driver import BENCHMARKS, Worker
from public_zoo.entry import Entry
from public_zoo.report import details, is_red, summary
from structure import describe_machine

LIBRARIES: Final = {
    "torchvision": ("public_zoo.vision", "TORCHVISION"),
    "timm": ("public_zoo.vision", "TIMM"),
    "transformers": ("public_zoo.language", "ENTRIES"),
    "diffusers": ("public_zoo.diffusion", "ENTRIES"),
    "torch_geometric": ("public_zoo.assorted", "GEOMETRIC"),
    "x-transformers": ("public_zoo.assorted", "X_TRANSFORMERS"),
    "monai": ("public_zoo.assorted", "MONAI"),
    "segmentation_models_pytorch": ("public_zoo.assorted", "SEGMENTATION"),
}
SAMPLE: Final = 60  # specs that `pytest -n 2` verifies in one run


def main(arguments: list[str]) -> int:
    """Sweep over the networks asked for, and print the tables. Returns the number of networks with an alarm."""
    options = _parse(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    log = options.folder / "results.jsonl"
    known = {} if options.again else _read_results(log)
    networks = [(library, entry) for library in options.libraries for entry in _entries(library, options.only)]
    if not options.report:
        _sweep([pair for pair in networks if (pair[0], pair[1].name) not in known], options, log)
    results = [result for key, result in _read_results(log).items() if key in {(n, e.name) for n, e in networks}]
    print(_describe(options.libraries), "\n")
    print(summary(results), "\n")
    print(details(results))
    if options.pytest:
        print(f"\n{_verify_under_xdist(results, options.pytest)}")
    return sum(map(is_red, results))


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("libraries", nargs="*", metavar="LIBRARY", help=f"of {', '.join(LIBRARIES)}; default: all")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="networks by name, such as 'resnet*,Bert*'")
    parser.add_argument("--folder", type=Path, default=Path("build/public_networks"), help="of specs and results")
    parser.add_argument("--again", action="store_true", help="measure again what has a result already")
    parser.add_argument(
        "--limit", type=float, default=60.0, metavar="SEC", help="of each step of a network; default 60"
    )
    parser.add_argument("--report", action="store_true", help="measure nothing, print the tables of what is there")
    parser.add_argument(
        "--pytest", type=int, nargs="?", const=SAMPLE, metavar="N", help="verify N of the specs under pytest -n 2, too"
    )
    options = parser.parse_args(arguments)
    options.libraries = options.libraries or list(LIBRARIES)
    unknown = set(options.libraries) - set(LIBRARIES)
    if unknown:
        parser.error(f"no such library: {', '.join(sorted(unknown))}")
    return options


def _entries(library: str, only: str) -> list[Entry]:
    module, name = LIBRARIES[library]
    try:
        entries: Sequence[Entry] = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        print(f"{library}: not swept, {error.name} is not installed", file=sys.stderr)
        return []
    return [entry for entry in entries if any(fnmatch.fnmatch(entry.name, pattern) for pattern in only.split(","))]


def _sweep(networks: Sequence[tuple[str, Entry]], options: argparse.Namespace, log: Path) -> None:
    """Record and verify one network after the other, and append each result as soon as it is there."""
    folder = options.folder
    recorder = Worker(1, options.limit, folder / "recorder.log")
    verifier = Worker(2, options.limit, folder / "verifier.log")
    try:
        for library, entry in networks:
            result = _measure(library, entry, folder, recorder, verifier)
            with log.open("a") as file:
                print(json.dumps(result), file=file)
            steps = (result.get(step, {}).get("verdict", "-") for step in ("recorded", "at_once", "elsewhere"))
            print(f"{library}:{entry.name}: {', '.join(steps)}", file=sys.stderr, flush=True)
    finally:
        recorder.close()
        verifier.close()


def _measure(library: str, entry: Entry, folder: Path, recorder: Worker, verifier: Worker) -> dict[str, Any]:
    """Return the result of one network: each step's verdict, message and time."""
    spec = folder / "specs" / library / f"{entry.name}.arch.yaml"
    spec.unlink(missing_ok=True)
    command = shlex.join(["archcheck", "new", *entry.arguments])
    result: dict[str, Any] = {"library": library, "network": entry.name, "target": entry.target, "spec": str(spec)}
    result |= {"command": f"PYTHONPATH={BENCHMARKS.name} {command}", "at": round(time.time())}
    result["recorded"] = recorder.ask({"step": "record", "arguments": entry.arguments, "spec": str(spec)})
    if result["recorded"]["verdict"] in ("full", "part"):
        result["at_once"] = recorder.ask({"step": "verify", "spec": str(spec)})
        result["elsewhere"] = verifier.ask({"step": "verify", "spec": str(spec)})
    return result


def _read_results(log: Path) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return the last result of each network."""
    lines = log.read_text().splitlines() if log.exists() else []
    results: Iterator[Mapping[str, Any]] = map(json.loads, lines)
    return {(result["library"], result["network"]): result for result in results}


def _describe(libraries: Sequence[str]) -> str:
    known = [name for name in libraries if name not in ("torchvision",)]
    return f"{describe_machine()}\n{', '.join(f'{name} {version(name)}' for name in known)}"


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
