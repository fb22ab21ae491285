"""Are known pairs of one function found equal? `python benchmarks/equivalent_pairs.py [PATTERN...]`.

Each pair is compared as `equivalent_to` compares: without a word on weights, then with the line that the message offers
or that the list of pairs has. Each defect that is planted in the first network has to be found then.
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import yaml
from pair_zoo.pairs import PAIRS, Build, Pair
from structure import describe_machine

from archcheck.checks.network_under_test import build_and_trace
from archcheck.findings import Mismatch
from archcheck.function.equivalence import Twin, compare_at_common_sizes
from archcheck.function.measure import fingerprint_as_planned
from archcheck.network.build import prepare_network
from archcheck.spec.spec_file import parse_spec
from archcheck.text.yaml_flow import format_flow

HERE: Final = Path(__file__).parent
_OFFER: Final = "they would match with weights: "


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of a pair: how it's equal ("" where it isn't), the seconds, and the defects that weren't seen."""

    pair: Pair
    equal: str
    seconds: float
    message: str
    missed: Sequence[str]
    weights: Mapping[str, str]


def main(arguments: list[str]) -> int:
    """Compare the pairs asked for and print the table. Returns how many aren't found equal, or hide a defect."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("patterns", nargs="*", default=["*"], metavar="PATTERN", help="of pairs, such as '*GPT*'")
    patterns = parser.parse_args(arguments).patterns
    print(describe_machine(), ", ".join(f"{one} {version(one)}" for one in ("timm", "transformers")), sep="\n")
    print("\n| pair | equal | seconds | planted, and found |\n|---|---|---|---|")
    chosen = [pair for pair in PAIRS if any(fnmatch.fnmatch(pair.name, pattern) for pattern in patterns)]
    verdicts = []
    for pair in chosen:
        verdict = judge(pair)
        verdicts.append(verdict)
        print(_row(verdict), flush=True)
    print()
    for verdict in verdicts:
        if verdict.weights:
            print(f"{verdict.pair.name}: {format_flow(dict(verdict.weights))}")
        if not verdict.equal:
            print(f"{verdict.pair.name}: {verdict.message}")
    return sum(not verdict.equal or bool(verdict.missed) for verdict in verdicts)


def judge(pair: Pair) -> Verdict:
    """Compare a pair, and the second with the first as each of the plants leaves it."""
    start = time.perf_counter()
    found = compare(pair.ours, replace(pair, weights={}))
    seconds = time.perf_counter() - start
    weights, equal = pair.weights, "at once"
    if found:
        offered = offer_of(found)
        weights, equal = offered or weights, "as offered" if offered else "as written by hand"
        found = compare(pair.ours, replace(pair, weights=weights)) if weights else found
    elif weights:
        weights = {}
    if found:
        equal = ""
    held = replace(pair, weights=weights)
    planted = [(plant, (pair.ours[0], {**pair.ours[1], "plant": plant})) for plant in pair.plants]
    missed = [plant for plant, build in planted if not compare(build, held)]
    return Verdict(pair, equal, seconds, _told(found), missed, weights)


def compare(ours: Build, pair: Pair) -> list[Mismatch]:
    """Compare a build with the second of a pair."""
    spec_file = parse_spec(_spec(ours, pair), "pair.arch.yaml", HERE / "pair.arch.yaml")
    built = build_and_trace(spec_file)
    if isinstance(built, Mismatch):
        raise SystemExit(f"{pair.name}: {built.problem}")
    config, record = fingerprint_as_planned(spec_file, built.make, built.trace)
    theirs = prepare_network(_target(pair.theirs), pair.theirs[1], HERE)
    twin = Twin(theirs, ("the first", "the second"), ("equivalent_to",), pair.weights)
    return compare_at_common_sizes(spec_file, built.make, config, record, twin)


def _spec(build: Build, pair: Pair) -> str:
    return f"build: {_target(build)}\nargs: {format_flow(dict(build[1]))}\ninput: {pair.input}\n"


def _target(build: Build) -> str:
    module, _, function = build[0].partition(":")
    return f"pair_zoo.{module}:{function}"


def offer_of(found: Sequence[Mismatch]) -> dict[str, str]:
    """Return the weights with which a message says that two builds would match."""
    lines = [text.removeprefix(_OFFER) for one in found for _, text in one.notes if text.startswith(_OFFER)]
    offered: Any = yaml.safe_load(lines[0]) if lines else {}
    return dict(offered)


def _told(found: Sequence[Mismatch]) -> str:
    return "; ".join(_lines(found))


def _lines(found: Sequence[Mismatch]) -> Iterator[str]:
    for one in found:
        yield f"{one.subject}: {one.problem} {one.expected} {one.actual} {dict(one.notes)}"


def _row(verdict: Verdict) -> str:
    planted = ", ".join(f"**{one} MISSED**" if one in verdict.missed else one for one in verdict.pair.plants)
    cells = (verdict.pair.name, verdict.equal or "**no**", f"{verdict.seconds:.1f}", planted)
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
