"""A sweep over the networks of some libraries: what to sweep over, and results that an interrupted one goes on from."""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from structure import describe_machine

from public_zoo.driver import Worker
from public_zoo.entry import Entry

Result = Mapping[str, Any]
Measure = Callable[[str, Entry, Path, Worker, Worker], dict[str, Any]]


def make_parser(description: str | None, libraries: Sequence[str], folder: str) -> argparse.ArgumentParser:
    """Return the options of a sweep: which networks, where the results go, and what to do again."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("libraries", nargs="*", metavar="LIBRARY", help=f"of {', '.join(libraries)}; default: all")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="networks by name, such as 'resnet*,Bert*'")
    parser.add_argument("--folder", type=Path, default=Path(folder), help="of specs and results")
    parser.add_argument("--again", action="store_true", help="measure again what has a result already")
    parser.add_argument(
        "--limit", type=float, default=60.0, metavar="SEC", help="of each step of a network; default 60"
    )
    parser.add_argument("--report", action="store_true", help="measure nothing, print the tables of what is there")
    return parser


def sweep(
    options: argparse.Namespace, entries: Callable[[str], Sequence[Entry]], measure: Measure
) -> tuple[list[str], list[Result]]:
    """Measure the networks asked for that have no result yet; return the libraries there are, and all their results."""
    options.folder.mkdir(parents=True, exist_ok=True)
    log = options.folder / "results.jsonl"
    known = {} if options.again else _read_results(log)
    networks = [(library, entry) for library in options.libraries for entry in _chosen(library, options.only, entries)]
    if not options.report:
        _measure_all([pair for pair in networks if (pair[0], pair[1].name) not in known], options, log, measure)
    wanted = {(library, entry.name) for library, entry in networks}
    results = [result for key, result in _read_results(log).items() if key in wanted]
    return list(dict.fromkeys(library for library, _ in networks)), results


def describe(libraries: Sequence[str]) -> str:
    """Return the machine, and the versions of the libraries."""
    known = [name for name in libraries if name != "torchvision"]
    return f"{describe_machine()}\n{', '.join(f'{name} {version(name)}' for name in known)}"


def _chosen(library: str, only: str, entries: Callable[[str], Sequence[Entry]]) -> list[Entry]:
    try:
        version(library)
        networks = entries(library)
    except ModuleNotFoundError as error:  # a distribution that isn't there, or a module
        print(f"{library}: not swept, {error.name} is not installed", file=sys.stderr)
        return []
    return [entry for entry in networks if any(fnmatch.fnmatch(entry.name, pattern) for pattern in only.split(","))]


def _measure_all(
    networks: Sequence[tuple[str, Entry]], options: argparse.Namespace, log: Path, measure: Measure
) -> None:
    """Measure one network after the other, and append each result as soon as it is there."""
    recorder = Worker(1, options.limit, options.folder / "recorder.log")
    verifier = Worker(2, options.limit, options.folder / "verifier.log")
    try:
        for library, entry in networks:
            made = measure(library, entry, options.folder, recorder, verifier)
            result = {
                "library": library,
                "network": entry.name,
                "target": entry.target,
                "at": round(time.time()),
                **made,
            }
            with log.open("a") as file:
                print(json.dumps(result), file=file)
            steps = (step["verdict"] for step in result.values() if isinstance(step, dict) and "verdict" in step)
            print(f"{library}:{entry.name}: {', '.join(steps)}", file=sys.stderr, flush=True)
    finally:
        recorder.close()
        verifier.close()


def _read_results(log: Path) -> dict[tuple[str, str], Result]:
    """Return the last result of each network."""
    lines = log.read_text().splitlines() if log.exists() else []
    results: Iterator[Result] = map(json.loads, lines)
    return {(result["library"], result["network"]): result for result in results}
