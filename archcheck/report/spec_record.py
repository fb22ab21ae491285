"""What was found of one spec, as records of a report: made where it was found, in a worker of pytest-xdist as well."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from archcheck.checks.outcome import Outcome
from archcheck.errors import Problem, SourceLoc
from archcheck.findings import Mismatch
from archcheck.report.mismatches import MISMATCHES_AT_MOST, labelled_notes, location
from archcheck.report.run_record import (
    Calibrated,
    CheckOutcome,
    Claim,
    Epoch,
    ExcerptLine,
    Failure,
    Layer,
    Training,
)
from archcheck.spec.file_names import lock_path
from archcheck.spec.models import Spec
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.crashes import explain
from archcheck.structure.records import StructureTrace
from archcheck.text.words import clip
from archcheck.training.recipe import RecipeKind, resolve_recipe
from archcheck.training.records import TrainingRecord

EXCERPT_LINES = 3  # before a line, and behind it
LINE_CHARS = 400  # of a line of an excerpt: those of a lock may have thousands
_EXCERPTS_AT_MOST = 20  # of a check


# ------------------------------------------------------------------------------------------- failures


def failures_of_mismatches(
    spec_file: SpecFile, mismatches: Sequence[Mismatch], trace: StructureTrace | None
) -> tuple[Failure, ...]:
    """Return the first of some mismatches as failures, each at its line; one of a lock, which is wide, stays out."""
    excerpts, shown = _Excerpts(spec_file.path), spec_file.document.path
    found = []
    for number, one in enumerate(mismatches[:MISMATCHES_AT_MOST]):
        loc = location(spec_file, one)
        found.append(
            Failure(
                file=loc.path,
                line=loc.line,
                problem=one.problem,
                subject=one.subject,
                expected=one.expected,
                actual=None if one.actual is None else explain(one.actual),
                module=trace.descriptions.get(one.module) if trace is not None and one.module is not None else None,
                cause=next((text for label, text in one.notes if label == "cause"), None),
                notes=tuple(note for note in labelled_notes(one) if note[0] != "cause"),
                excerpt=excerpts.around(loc) if number < _EXCERPTS_AT_MOST and loc.path == shown else (),
            )
        )
    return tuple(found)


def failures_of_problems(path: Path, problems: Sequence[Problem]) -> tuple[Failure, ...]:
    """Return what is wrong with a file as failures."""
    excerpts = _Excerpts(path)
    return tuple(
        Failure(one.loc.path, one.loc.line, one.message, excerpt=excerpts.around(one.loc))
        for one in problems[:MISMATCHES_AT_MOST]
    )


class _Excerpts:
    """Excerpts of a spec and of its lock, each read once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: dict[Path, list[str]] = {}

    def around(self, loc: SourceLoc) -> tuple[ExcerptLine, ...]:
        is_lock = loc.path.endswith(lock_path(self._path).name)
        path = lock_path(self._path) if is_lock else self._path
        if path not in self._lines:
            self._lines[path] = _lines_of(path)
        first = max(loc.line - EXCERPT_LINES, 1)
        lines = self._lines[path][first - 1 : loc.line + EXCERPT_LINES]
        return tuple(ExcerptLine(number, clip(text, LINE_CHARS)) for number, text in enumerate(lines, first))


def _lines_of(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def first_difference(layers: Iterable[Layer], mismatches: Sequence[Mismatch]) -> str | None:
    """Return the layer that the first mismatch speaks of, as far as it speaks of one."""
    names = {layer.name for layer in layers} - {""}
    ordered = sorted(mismatches, key=lambda one: one.order)
    spoken_of = (name for one in ordered for name in (one.subject, one.module) if name in names)
    return next(spoken_of, None)


# ------------------------------------------------------------------------------------------- training


def training_of(spec: Spec, record: TrainingRecord) -> Training:
    """Return a training run with what its spec says of it."""
    kind: RecipeKind = "quick" if record.kind == "quick" else "full"
    recipe = resolve_recipe(spec, kind) if spec.training is not None else None
    return Training(
        recipe=record.kind,
        seed=record.seed,
        device=record.device,
        precision=record.precision,
        metric=record.metric,
        epochs=tuple(
            Epoch(
                one.epoch, finite(one.loss), finite(one.train_accuracy), finite(one.test_accuracy),
                finite(one.examples_per_sec) or None, finite(one.duration_sec),
            )
            for one in record.epochs
        ),
        final_accuracy=finite(record.final_accuracy),
        minimum=recipe.accuracy if recipe is not None else None,
        full_minimum=_full_minimum(spec) if kind == "quick" else None,
        published=spec.training.published if spec.training is not None else None,
        calibration=_calibration(spec, kind),
        fault=record.fault.message if record.fault is not None else None,
    )  # fmt: skip


def _full_minimum(spec: Spec) -> float | None:
    training = spec.training
    return training.accuracy if training is not None and training.quick is not None else None


def _calibration(spec: Spec, kind: str) -> Calibrated | None:
    """Return the runs behind the minimum that holds for a kind of recipe."""
    training = spec.training
    if training is None:
        return None
    quick = training.quick if kind == "quick" else None
    found = quick.calibration if quick is not None and quick.accuracy is not None else training.calibration
    return None if found is None else Calibrated(found.mean, found.std, found.seeds, found.device)


def finite(value: float | None) -> float | None:
    """Return a number that JSON has; None for infinities and what is no number."""
    return value if value is not None and math.isfinite(value) else None


def plain_figures(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return figures of a check without what JSON doesn't have."""
    return {name: value for name, value in figures.items() if not isinstance(value, float) or math.isfinite(value)}


# ------------------------------------------------------------------------------------------- claims


def claims_of(spec: Spec, outcome: Outcome, whole: CheckOutcome, failure: str | None) -> tuple[Claim, ...]:
    """Return each claim of a spec with what became of it; `whole` and `failure` are the check's own."""
    return tuple(_claims(spec, outcome, whole, failure))


def _claims(spec: Spec, outcome: Outcome, whole: CheckOutcome, failure: str | None) -> Iterator[Claim]:
    for key in sorted(spec.claims.model_fields_set) if spec.claims is not None else ():
        given = getattr(spec.claims, key) or []
        for index, claim in enumerate(given if isinstance(given, list) else [given]):
            keys = ("claims", key, index) if isinstance(given, list) else ("claims", key)
            found = partial(Claim, key, claim.spec, claim.by)
            wrong = next((one for one in outcome.mismatches if one.keys[: len(keys)] == keys), None)
            unmeasured = next((one for one in outcome.unmeasured if one.keys == keys), None)
            if wrong is not None:
                yield found("failed", f"{wrong.problem}{'' if wrong.actual is None else f': {wrong.actual}'}")
            elif unmeasured is not None:
                yield found("skipped", unmeasured.reason)
            elif outcome.mismatches or outcome.unmeasured or whole == "passed":
                yield found("passed")
            else:
                yield found(whole, failure)


def spec_of(spec_file: SpecFile | None) -> Mapping[str, Any]:
    """Return what a spec says of itself."""
    if spec_file is None:
        return {}
    return {"name": spec_file.name, "source": spec_file.spec.source}
