"""The `function` section of a lock, made from a record."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from archcheck.findings import Edit, Keys, Mismatch
from archcheck.function.digested_layers import DIGEST_KINDS, OUTPUT, calls_inside, layers_of
from archcheck.function.records import FunctionRecord
from archcheck.function.tolerances import DIGITS, READABLE_DIGITS, TOLERANCE, inside_tolerance
from archcheck.spec.inputs import input_names
from archcheck.spec.layer_keys import parse_layer_key
from archcheck.spec.lock import LOCK, Digests, RecordedFunction
from archcheck.spec.models import Function
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.layer_selection import default_depth, matching_modules
from archcheck.structure.records import StructureTrace
from archcheck.text.yaml_flow import format_flow

PLANNED_KEYS: Final = ("input", "at", "precision", "budget")  # of how a function is recorded; `train` is tried


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
    """Return the numbers in a row of a lock by their kinds."""
    return {key: value for key, value in row.model_dump(exclude={"inside"}).items() if value is not None}


def listed_names(spec_file: SpecFile, trace: StructureTrace, depth: int) -> set[str]:
    """Return the modules whose digests are recorded: those that the spec lists by name, and the first `depth` levels.

    A glob may stand for hundreds, each of which would have a line of its own.
    """
    keys = (parse_layer_key(text) for text in spec_file.spec.layers)
    named = {name for key in keys if not key.is_glob for name in matching_modules(key, trace)}
    return named | {
        name
        for name, module in trace.modules.items()
        if name and name.count(".") < depth and not module.is_parametrization
    }


def function_section(record: FunctionRecord, plan: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the section as a plain value; `plan` is what comes before the digests."""
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
    large = {"large": int(record.large)} if record.large != RecordedFunction.model_fields["large"].default else {}
    opened = {"opened": list(record.opened)}
    made = {"inputs_from": record.made_inputs}
    section = {
        **plan,
        **made,
        **large,
        **opened,
        "gains": gains,
        "dtypes": _plain_dtypes(record),
        "layers": {label: row for label, row in layers.items() if row},
    }
    always = ("train", "dtypes")  # no dtypes are another thing than dtypes that nobody looked for
    kept = {key: value for key, value in section.items() if value or key in always or isinstance(value, float)}
    return {**kept, OUTPUT: output}


def _plain_dtypes(record: FunctionRecord) -> dict[str, dict[str, int]]:
    return {name: dict(counts) for name, counts in record.dtypes.items()}


def with_dtypes(section: Mapping[str, Any], record: FunctionRecord) -> dict[str, Any]:
    """Return the section of an older lock with the dtypes that the network's code names, in their place."""
    before = {key: value for key, value in section.items() if key not in ("layers", OUTPUT)}
    return {**before, "dtypes": _plain_dtypes(record), **section}


def outdated_key(spec_file: SpecFile) -> str | None:
    """Return the key by which a spec runs its function otherwise than it was recorded; None where there is none."""
    spec, recorded, wanted = spec_file.spec, spec_file.recorded, spec_file.spec.function
    if recorded is None:
        return None
    names = input_names(spec.input if recorded.input is None else recorded.input)
    if spec.train_input is not None:
        names |= input_names(spec.train_input)
    if recorded.at.keys() != names.keys():
        return "at"
    set_keys = wanted.model_fields_set - {"budget"} if isinstance(wanted, Function) else ()
    return next((key for key in sorted(set_keys) if getattr(wanted, key) != getattr(recorded, key)), None)


def recorded_otherwise(spec_file: SpecFile, key: str) -> Mismatch:
    """Say that a spec runs its function otherwise than it was recorded."""
    recorded, value = spec_file.recorded, spec_file.document.value.get("function")
    lock = spec_file.lock()
    assert recorded is not None
    assert lock is not None
    is_written = isinstance(value, dict) and key in value
    expected = format_flow(value[key]) if is_written else "a size of each of the input's dimensions"
    actual = format_flow(lock.value["function"].get(key, getattr(recorded, key)))
    keys: Keys = ("function", key) if is_written else (LOCK, "function", key)
    notes = (("note", "an update records the function anew"),)
    return Mismatch(keys, key, "the function was recorded otherwise", expected, actual, notes=notes)


def section_update(spec_file: SpecFile, record: FunctionRecord, trace: StructureTrace) -> tuple[Edit, ...]:
    """Return the edit that brings a spec's lock up to date, with the same rows as long as there are those layers."""
    lock, function = spec_file.lock(), spec_file.recorded
    assert lock is not None
    assert function is not None
    if not all(math.isfinite(number) for key, number in record.root.numbers.items() if key not in ("large", "other")):
        return ()
    labels = {layer.label: layer.name for layer in layers_of(record)}
    kept = {labels[label] for label in function.layers if label in labels}
    names: Iterable[str] = kept | _numbered_beside(kept, labels.values())
    if not function.layers.keys() <= labels.keys():
        names = listed_names(spec_file, trace, default_depth(trace))
    written = lock.value["function"]
    plan = {key: written[key] for key in (*PLANNED_KEYS, "train") if key in written}
    section = function_section(record, plan, names)
    rows = {label: _as_written(row) for label, row in function.layers.items()}
    for label, row in section.get("layers", {}).items():
        section["layers"][label] = _keep_close(rows.get(label, {}), row, function.precision)
    section[OUTPUT] = _keep_close(_as_written(function.output), section[OUTPUT], function.precision)
    return (Edit((LOCK, "function"), section),)


def _numbered_beside(names: Iterable[str], others: Iterable[str]) -> set[str]:
    """Return the layers that are numbered as some are, beside them: one more renumbers those behind it."""
    known = {name.rstrip("0123456789") for name in names if name[-1].isdecimal()}
    return {name for name in others if name.rstrip("0123456789") in known}


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
