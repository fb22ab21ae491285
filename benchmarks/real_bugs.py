"""Bugs of public repositories, by the method that notices them: `python benchmarks/real_bugs.py [NETWORK...]`.

Each is rebuilt small, as the edit that turns a sound network into one with the bug. `archcheck new` writes the spec of
the sound one, `archcheck.verify` reads the other one; the methods beside it are those of `defects.py`. With `--confirm`
brute force shows, without archcheck, that each differs where it is said to, and that no refactoring does.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Final

import torch
from defect_zoo.case import Bug, Family, Rewrite, family_names, load_family
from defects import METHODS, Tally, Verdict, confirm_cases, is_sound, judge_family
from structure import describe_machine
from tabulate import tabulate

ZOO: Final = "real_bug_zoo"


def main(arguments: list[str]) -> int:
    """Run the networks named on the command line, or all of them."""
    warnings.simplefilter("ignore")  # what networks full of mistakes warn of is no news here
    torch.set_num_threads(1)
    names = [name for name in arguments if name != "--confirm"] or family_names(ZOO)
    families = [load_family(name, ZOO) for name in names]
    if "--confirm" in arguments:
        return confirm_cases(families)
    start, tally = time.perf_counter(), judge(families)
    print(describe_machine(), f"\n{time.perf_counter() - start:.0f} s\n")
    print("\n\n".join(format_bugs(tally)))
    return 0 if is_sound(tally) else 1


def judge(families: Sequence[Family]) -> Tally:
    """Every bug and every refactoring, by every method."""
    return Tally([verdict for family in families for verdict in judge_family(family)])


def format_bugs(tally: Tally) -> Iterator[str]:
    """A table of the bugs, one line on the refactorings, and what went wrong."""
    bugs = tally.of(Bug)
    headers = ["bug", "source", *METHODS, "layer named", "first line of archcheck"]
    yield tabulate([*(_row(one) for one in bugs), _totals(bugs)], headers, tablefmt="github")
    rewrites = tally.of(Rewrite)
    counts = ", ".join(f"{method} {sum(method in one.alarms for one in rewrites)}" for method in METHODS)
    yield f"Of {len(rewrites)} refactorings that keep the function, alarms of: {counts}."
    yield from (f"- alarm: {one.title}: {one.message}" for one in rewrites if METHODS[-1] in one.alarms)


def _row(verdict: Verdict) -> list[str]:
    assert isinstance(verdict.case, Bug)
    marks = ["x" if method in verdict.alarms else "" for method in METHODS]
    layer = verdict.layer or ""
    if METHODS[-1] not in verdict.alarms:
        layer = "missed"
    elif not verdict.named_right:
        layer += f" (wrong: {' or '.join(verdict.case.layers)})"
    return [verdict.case.name, verdict.case.source, *marks, layer, verdict.message.replace("|", r"\|")]


def _totals(bugs: Sequence[Verdict]) -> list[str]:
    counts = [str(sum(method in one.alarms for one in bugs)) for method in METHODS]
    return [f"{len(bugs)} bugs", "", *counts, f"{sum(one.named_right for one in bugs)} right", ""]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
