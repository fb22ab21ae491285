"""Which mistakes each method notices, and which rewrites it stumbles over: `python benchmarks/defects.py [FAMILY...]`.

Small networks of many families get defects that people really make, most of which keep every shape and every count,
and rewrites that keep the function. Four methods say what they make of them. With `--confirm` none of them is asked:
brute force, with copied weights, then shows that every defect differs where it is said to, and that no rewrite does.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch
from defect_zoo.case import Defect, Family, Rewrite, apply_edits, family_names, load_family
from defect_zoo.confirm import find_first_differences, is_equivalent
from defect_zoo.values import flatten, make_inputs
from defect_zoo.weights import load
from device import stops_on_gpu
from structure import describe_machine
from tabulate import tabulate

if TYPE_CHECKING:
    from archcheck.findings import Mismatch

METHODS: Final = ("totals", "per-layer shapes", "seeded snapshot", "archcheck")
STRUCTURE: Final = ("spec", "shapes", "parameters", "compute")
FUNCTION: Final = ("function", "health")
MIN_NAMED_RIGHT: Final = 0.95
SPEC: Final = "net.arch.yaml"
ORIGINAL: Final = Rewrite("the original", ())


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the methods said of one case, the layer that archcheck named first, and its first line."""

    family: str
    case: Defect | Rewrite
    alarms: frozenset[str]
    layer: str | None = None
    message: str = ""

    @property
    def title(self) -> str:
        """The case's name for people."""
        return f"{self.family}: {self.case.name}"

    @property
    def named_right(self) -> bool:
        """True where archcheck pointed at a layer that may be called the first to differ."""
        return isinstance(self.case, Defect) and self.layer in self.case.layers


@dataclass(slots=True)
class Tally:
    """All verdicts."""

    verdicts: list[Verdict] = field(default_factory=list)

    def of(self, kind: type[Defect] | type[Rewrite], family: str | None = None) -> list[Verdict]:
        """Those of defects or of rewrites."""
        return [one for one in self.verdicts if isinstance(one.case, kind) and family in (None, one.family)]


def main(arguments: list[str]) -> int:
    """Run the families named on the command line, or all of them."""
    warnings.simplefilter("ignore")  # what networks full of mistakes warn of is no news here
    torch.set_num_threads(1)
    confirm = "--confirm" in arguments
    names = [name for name in arguments if name != "--confirm"] or family_names()
    families = [load_family(name) for name in names]
    if confirm:
        return confirm_cases(families)
    start, tally = time.perf_counter(), Tally()
    for family in families:
        tally.verdicts += judge_family(replace(family, rewrites=(ORIGINAL, *family.rewrites)))
        print(family.name, file=sys.stderr, flush=True)
    print(describe_machine(), f"\n{time.perf_counter() - start:.0f} s\n")
    print(format_tally(tally))
    return 0 if is_sound(tally) else 1


# ---------------------------------------------------------------------------------------------- the methods


def judge_family(family: Family) -> Iterator[Verdict]:
    """Every case of a family, by every method.

    Where archcheck alarms on the very network that it wrote the spec of, its verdict on a case is worth nothing.
    """
    original = _snapshot(family.source, family.inputs)
    with tempfile.TemporaryDirectory() as folder:
        spec, complaint = record_spec(family, Path(folder))
        complaint = complaint or _ask_archcheck(family.source, spec, is_rewrite=False).message
        for case in family.cases:
            changed = apply_edits(family.source, case.edits)
            if complaint:
                answer = _no_verdict(f"alarm on the sound network: {complaint}", isinstance(case, Rewrite))
            else:
                answer = _ask_archcheck(changed, spec, is_rewrite=isinstance(case, Rewrite))
            alarms = answer.alarms | _compare(original, _snapshot(changed, family.inputs))
            yield Verdict(family.name, case, alarms, answer.layer, answer.message)


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What a hand-written test would keep of a network: its parameters, and its output under a seed."""

    num_params: int
    output: list[torch.Tensor]


def _snapshot(source: str, inputs: tuple[str, ...]) -> _Snapshot | None:
    torch.manual_seed(0)
    try:
        model = load(source).eval()
        output = flatten(make_inputs(inputs, num_examples=2, dtype=torch.float32).run(model))
    except (RuntimeError, ValueError, TypeError):
        return None
    return _Snapshot(sum(value.numel() for value in model.parameters()), output)


def _compare(original: _Snapshot | None, changed: _Snapshot | None) -> set[str]:
    if original is None or changed is None:
        return {"totals", "seeded snapshot"}
    ours, theirs = original.output, changed.output
    if original.num_params != changed.num_params or [a.shape for a in ours] != [b.shape for b in theirs]:
        return {"totals", "seeded snapshot"}
    return set() if all(torch.allclose(a, b) for a, b in zip(ours, theirs, strict=True)) else {"seeded snapshot"}


def record_spec(family: Family, folder: Path) -> tuple[Path, str]:
    """Return the spec, and what kept it from being recorded in full, if anything did."""
    from archcheck.cli.command_line import main as archcheck
    from archcheck.spec.file_names import lock_path

    (folder / "net.py").write_text(family.source, encoding="utf-8")
    inputs = [word for text in family.inputs for word in ("--input", text)]
    with _quietly(folder) as printed:
        status = archcheck(["new", "net.py:build", *inputs, "--output", SPEC])
    spec = folder / SPEC
    complete = status == 0 and lock_path(spec).exists()
    return spec, "" if complete else f"archcheck new, status {status}: {' '.join(printed.getvalue().split())}"


@dataclass(frozen=True, slots=True)
class _Answer:
    """Which of archcheck's two methods complain, the layer named first, and the first line of all checks."""

    alarms: frozenset[str]
    layer: str | None = None
    message: str = ""


def _ask_archcheck(source: str, spec: Path, *, is_rewrite: bool) -> _Answer:
    """What archcheck says of a changed network.

    A rewrite may rename layers, and a spec that lists them then says so, as it should; so may it draw its weights by
    another initialiser, which isn't what these are about. What must stay silent is the function. That one
    mixes devices is no alarm where torch's fake tensors, moved to a GPU that isn't there, refuse it too.
    """
    import archcheck
    from archcheck.spec.file_names import lock_path
    from archcheck.spec.lock import LOCK

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "net.py").write_text(source, encoding="utf-8")
        for path in (spec, lock_path(spec)):
            shutil.copy(path, folder / path.name)
        try:
            with _quietly(folder):
                result = archcheck.verify(folder / SPEC)
        except Exception as error:  # archcheck's own
            return _no_verdict(f"{type(error).__name__}: {error}", is_rewrite)
    outcomes, unmeasured = result.outcomes, "; ".join(result.unmeasured.values())
    if is_rewrite:
        outcomes["function"] = [one for one in outcomes.get("function", []) if one.keys[:2] != (LOCK, "initial")]
        others = [one for one in outcomes.get("health", []) if not one.problem.startswith("mixes devices")]
        if len(others) < len(outcomes.get("health", [])) and stops_on_gpu(load(source), result.spec_file.spec):
            outcomes["health"] = others
    structure = any(outcomes.get(check) for check in STRUCTURE)
    function = any(outcomes.get(check) for check in FUNCTION)
    alarms = {"per-layer shapes"} if structure else set()
    if function or (structure and not is_rewrite) or (unmeasured and is_rewrite):
        alarms.add("archcheck")
    first = next((outcomes[check][0] for check in (*FUNCTION, *STRUCTURE[1:]) if outcomes.get(check)), None)
    layer = re.sub(r"\[\d+\]$", "", first.subject) if first else unmeasured or None
    return _Answer(frozenset(alarms), layer, _first_line(result.mismatches[0]) if result.mismatches else unmeasured)


def _no_verdict(reason: str, is_rewrite: bool) -> _Answer:
    """Wrong for a defect and for a rewrite alike."""
    return _Answer(frozenset({METHODS[-1]} if is_rewrite else ()), reason, reason)


def _first_line(mismatch: Mismatch) -> str:
    """A message's first line without its place, and the cause, where one was found."""
    cause = dict(mismatch.notes).get("cause")
    return f"{mismatch.subject}: {mismatch.problem}" + (f" ({cause})" if cause else "")


@contextlib.contextmanager
def _quietly(folder: Path) -> Iterator[io.StringIO]:
    """Work in a folder, with what is printed kept aside."""
    before, printed = Path.cwd(), io.StringIO()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            yield printed
    finally:
        os.chdir(before)


# ---------------------------------------------------------------------------------------------- the result


def is_sound(tally: Tally) -> bool:
    """True when nothing survives archcheck, nothing sets it off wrongly, and it points where it should."""
    defects = tally.of(Defect)
    killed = [one for one in defects if METHODS[-1] in one.alarms]
    alarmed = [one for one in tally.of(Rewrite) if METHODS[-1] in one.alarms]
    named = sum(one.named_right for one in killed)
    return len(killed) == len(defects) and not alarmed and named >= MIN_NAMED_RIGHT * len(killed)


def format_tally(tally: Tally) -> str:
    """Tables by family and by category, and the cases that went wrong."""
    families = list(dict.fromkeys(one.family for one in tally.verdicts))
    rows = [_row(name, tally.of(Defect, name), tally.of(Rewrite, name)) for name in families]
    rows.append(_row("all", tally.of(Defect), tally.of(Rewrite)))
    headers = ["family", "defects", *METHODS, "named right", "sound", *METHODS]
    parts = [
        "Defects noticed, and sound networks (originals and rewrites) that set a method off, by family:",
        tabulate(rows, headers, tablefmt="github"),
        _format_categories(tally.of(Defect)),
        *_format_lists(tally),
    ]
    return "\n\n".join(parts)


def _row(title: str, defects: Sequence[Verdict], rewrites: Sequence[Verdict]) -> list[str | int]:
    killed = [one for one in defects if METHODS[-1] in one.alarms]
    right = f"{sum(one.named_right for one in killed)} of {len(killed)}"
    return [title, len(defects), *_counts(defects), right, len(rewrites), *_counts(rewrites)]


def _counts(verdicts: Sequence[Verdict]) -> list[int]:
    return [sum(method in one.alarms for one in verdicts) for method in METHODS]


def _format_categories(defects: Sequence[Verdict]) -> str:
    found = Counter(one.case.category for one in defects if isinstance(one.case, Defect))
    rows: list[list[str | int]] = []
    for category in sorted(found):
        here = [one for one in defects if isinstance(one.case, Defect) and one.case.category == category]
        rows.append([category, len(here), *_counts(here)])
    return "By category:\n\n" + tabulate(rows, ["category", "defects", *METHODS], tablefmt="github")


def _format_lists(tally: Tally) -> Iterator[str]:
    killed = [one for one in tally.of(Defect) if METHODS[-1] in one.alarms]
    survived = [one for one in tally.of(Defect) if METHODS[-1] not in one.alarms]
    spared = [f"{one.title}: {one.layer}" if one.layer else one.title for one in survived]
    alarmed = [f"{one.title}: {one.layer}" for one in tally.of(Rewrite) if METHODS[-1] in one.alarms]
    wrong = [
        f"{one.title}: {one.layer} for {' or '.join(one.case.layers)}"
        for one in killed
        if isinstance(one.case, Defect) and not one.named_right
    ]
    if killed:
        yield f"First layer named right: {1 - len(wrong) / len(killed):.1%} of {len(killed)} defects noticed."
    for title, lines in (("Survivors", spared), ("False alarms", alarmed), ("Named wrongly", wrong)):
        yield "\n".join([f"{title}: {len(lines)}", *(f"- {line}" for line in lines)])


# ---------------------------------------------------------------------------------------------- brute force


def confirm_cases(families: Sequence[Family]) -> int:
    """Check the cases themselves; print those that aren't what they say."""
    wrong = [line for family in families for line in _confirm_family(family)]
    print(*wrong, sep="\n")
    num_defects, num_rewrites = (sum(len(getattr(one, kind)) for one in families) for kind in ("defects", "rewrites"))
    print(f"{len(families)} families, {num_defects} defects, {num_rewrites} rewrites: {len(wrong)} not as declared")
    return 1 if wrong else 0


def _confirm_family(family: Family) -> Iterator[str]:
    for case in family.cases:
        try:
            found = _confirm_case(family, case)
        except Exception as error:  # whatever a case does wrong is what is asked for
            found = f"{type(error).__name__}: {error}"
        if found is not None:
            yield f"{family.name}: {case.name}: {found}"


def _confirm_case(family: Family, case: Defect | Rewrite) -> str | None:
    changed = apply_edits(family.source, case.edits)
    if isinstance(case, Rewrite):
        return None if is_equivalent(family.source, changed, family.inputs) else "a rewrite that differs"
    found = find_first_differences(family.source, changed, family.inputs)
    declared = found and all(name in case.layers for name in found)
    return None if declared else f"first to differ: {found}, declared: {case.layers}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
