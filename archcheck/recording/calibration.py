"""A calibration written into its spec: the minimum accuracy, its record, and the settings that were chosen."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from statistics import mean, stdev
from typing import Any

from archcheck.errors import UsageError
from archcheck.findings import Edit
from archcheck.recording.edits import apply_edits
from archcheck.spec.models import Spec
from archcheck.spec.spec_file import SpecFile, read_spec
from archcheck.training.calibration import SETTING_KEYS, CalibrationRuns
from archcheck.training.recipe import Recipe


def check_editable(spec_file: SpecFile, recipe: Recipe, *, with_settings: bool) -> None:
    """Check, before anything is trained, that the results of a calibration can be written into the spec in place.

    with_settings: the settings are measured too.

    Raises:
        UsageError: a value can't be replaced or added in place.
    """
    record = {"mean": 0.5, "std": 0.0, "seeds": 2, "device": "cpu", "torch": "2", "date": "2000-01-01"}
    values: dict[str, Any] = {"accuracy": 1e-9, "calibration": record}
    if with_settings:
        values = {"precision": "bf16", "memory_format": "channels_last", "compile": True, "graph": True, **values}
    document, edits = spec_file.document, calibration_edits(spec_file.spec, recipe, values)
    apply_edits(document.text, document.path, edits, {})


def calibration_edits(spec: Spec, recipe: Recipe, values: Mapping[str, Any]) -> list[Edit]:
    """Return edits by which the keys of `values` change runs of the recipe's kind and no others.

    They go to `quick` where a quick run was calibrated and the spec has a `quick`. Settings that `quick` inherited from
    the full recipe are written into it, so that it keeps them.
    """
    quick = spec.training.quick if spec.training is not None else None
    own = ("training", "quick") if recipe.kind == "quick" and quick is not None else ("training",)
    edits = [Edit((*own, key), value) for key, value in values.items()]
    if recipe.kind == "full" and quick is not None:
        inherited = [key for key in SETTING_KEYS if key in values and getattr(quick, key) is None]
        edits += [Edit(("training", "quick", key), getattr(recipe, key)) for key in inherited]
    return edits


def _measured_values(runs: CalibrationRuns, minimum: float) -> dict[str, Any]:
    """Return the keys to write: minimum, record, and the settings that differ from those of the spec."""
    pairs = ((key, getattr(runs.old, key), getattr(runs.recipe, key)) for key in SETTING_KEYS)
    settings = {key: new for key, old, new in pairs if new != old}
    return {**settings, "accuracy": minimum, "calibration": _record(runs)}


def _record(runs: CalibrationRuns) -> dict[str, Any]:
    import torch

    return {
        "mean": round(mean(runs.accuracies), 4),
        "std": round(stdev(runs.accuracies), 4),
        "seeds": len(runs.records),
        "device": runs.records[0].device,
        "torch": str(torch.__version__),
        "date": datetime.date.today().isoformat(),
    }


def calibrated_text(spec_file: SpecFile, runs: CalibrationRuns, minimum: float) -> tuple[str, str]:
    """Return the spec's text now and with the results; comments edited since the calibration began are kept.

    Raises:
        UsageError: the spec has other values by now, so that the runs aren't its own.
    """
    path = spec_file.document.path
    now = read_spec(spec_file.path, path)
    if now.spec != spec_file.spec:
        raise UsageError(f"{path}: changed while it was being calibrated, nothing was written; run it again")
    text, edits = now.document.text, calibration_edits(now.spec, runs.old, _measured_values(runs, minimum))
    return text, apply_edits(text, path, edits, {})


def quick_inherits_minimum(spec: Spec, runs: CalibrationRuns) -> bool:
    """Whether quick runs inherit the minimum of full runs, as `quick` has none of its own."""
    quick = spec.training.quick if spec.training is not None else None
    return runs.recipe.kind == "full" and quick is not None and quick.accuracy is None
