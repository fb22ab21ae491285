"""A spec's `function` section, made from a record."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from archcheck.findings import Edit
from archcheck.function.digested_layers import DIGEST_KINDS, OUTPUT, calls_inside, layers_of
from archcheck.function.records import FunctionRecord
from archcheck.function.tolerances import DIGITS, READABLE_DIGITS, TOLERANCE, inside_tolerance
from archcheck.spec.layer_keys import parse_layer_key
from archcheck.spec.models import Digests, Function
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.layer_selection import default_depth, matching_modules
from archcheck.structure.records import StructureTrace

PLANNED_KEYS: Final = ("input", "at", "precision", "budget")  # what an author may choose of how a function is recorded


def rounded(numbers: Mapping[str, float], precision: str) -> dict[str, float]:
    """Round numbers to their significant digits, and leave out those that aren't finite."""
    finite = {key: number for key, number in numbers.items() if math.isfinite(number)}
    digits = dict.fromkeys(DIGEST_KINDS, DIGITS[precision])
    return {
        key: float(f"{finite[key]:.{digits.get(key, READABLE_DIGITS)}g}")
        for key in Digests.model_fields
        if key in finite
    }


def recorded_numbers(row: Digests) -> dict[str, float]:
    """Return the numbers in a row of a spec by their kinds."""
    return {key: value for key, value in row.model_dump(exclude={"inside"}).items() if value is not None}


def listed_names(spec_file: SpecFile, trace: StructureTrace, depth: int) -> set[str]:
    """Return the modules whose digests a spec has: those that it lists by name, and those of the first `depth` levels.

    A glob may stand for hundreds, each of which would have a line of its own.
    """
    keys = (parse_layer_key(text) for text in spec_file.spec.layers)
    named = {name for key in keys if not key.is_glob for name in matching_modules(key, trace)}
    return named | {name for name in trace.modules if name and name.count(".") < depth}


def function_section(record: FunctionRecord, plan: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return a spec's `function` section as a plain value; `plan` is what comes before the digests."""
    wanted, precision = set(names), plan.get("precision", "float64")
    layers: dict[str, dict[str, Any]] = {
        one.label: rounded(one.numbers, precision) for one in layers_of(record) if one.name in wanted
    }
    inside = {
        label: [float(f"{call.summary:.{DIGITS[precision]}g}") for call in calls]
        for label, calls in calls_inside(record, layers).items()
        if calls
    }
    for label, row in layers.items():
        row |= {"inside": inside[label]} if label in inside else {}
    output = rounded(record.root.numbers, precision) | ({"inside": inside[OUTPUT]} if OUTPUT in inside else {})
    gains = dict(sorted(record.gains.items()))
    large = {"large": int(record.large)} if record.large != Function.model_fields["large"].default else {}
    made = {"inputs_from": record.made_inputs}
    section = {**plan, **made, **large, "gains": gains, "layers": {label: row for label, row in layers.items() if row}}
    kept = {key: value for key, value in section.items() if value or key == "train" or isinstance(value, float)}
    return {**kept, OUTPUT: output}


def section_update(spec_file: SpecFile, record: FunctionRecord, trace: StructureTrace) -> tuple[Edit, ...]:
    """Return the edit that brings a spec's section up to date, with the same rows as long as there are those layers."""
    function = spec_file.spec.function
    assert isinstance(function, Function)
    if not all(math.isfinite(number) for key, number in record.root.numbers.items() if key not in ("large", "other")):
        return ()
    written = spec_file.document.value["function"]
    plan = {key: written[key] for key in (*PLANNED_KEYS, "train") if key in written}
    labels = {layer.label: layer.name for layer in layers_of(record)}
    names: Iterable[str] = {labels[label] for label in function.layers if label in labels}
    if not function.layers.keys() <= labels.keys():
        names = listed_names(spec_file, trace, default_depth(trace))
    section = function_section(record, plan, names)
    precision = function.precision
    rows = {label: _as_written(row) for label, row in function.layers.items()}
    for label, row in section.get("layers", {}).items():
        section["layers"][label] = _keep_close(rows.get(label, {}), row, precision)
    if function.output is not None:
        section[OUTPUT] = _keep_close(_as_written(function.output), section[OUTPUT], precision)
    return (Edit(("function",), section),)


def _as_written(row: Digests) -> dict[str, Any]:
    return {**recorded_numbers(row), "inside": list(row.inside)}


def _keep_close(old: Mapping[str, Any], new: Mapping[str, Any], precision: str) -> dict[str, Any]:
    """Return the new numbers, and the old ones where they only differ as two machines do."""
    return {
        key: old[key] if key in old and _is_close(old[key], number, precision) else number
        for key, number in new.items()
    }


def _is_close(a: Any, b: Any, precision: str) -> bool:
    if isinstance(a, list) or isinstance(b, list):
        tolerance = inside_tolerance(a, precision)
        return len(a) == len(b) and all(abs(x - y) <= tolerance * abs(x) for x, y in zip(a, b, strict=True))
    return bool(abs(a - b) <= TOLERANCE[precision] * abs(a))
