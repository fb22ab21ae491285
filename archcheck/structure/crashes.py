"""Forward passes that stopped with an error: in words, and as mismatches."""

from __future__ import annotations

import re
from typing import NamedTuple

from archcheck.findings import Keys, Mismatch
from archcheck.network.exceptions import absent_accelerator
from archcheck.spec.layer_keys import parse_layer_key
from archcheck.spec.models import Spec
from archcheck.structure.records import (
    Crash,
    ForwardRecord,
    StructureTrace,
)

# One error has as many texts as torch has kernels for it.
_SHAPE_ERRORS = [
    (
        re.compile(r"RuntimeError: (?:\w+: )?mat1 and mat2 shapes cannot be multiplied \(\d+x(\d+) and (\d+)x\d+\)"),
        "features",
    ),
    (
        re.compile(r"RuntimeError: a and b must have same reduction dim, but got \[.*?(\d+)\] X \[(\d+), \d+\]\.?"),
        "features",
    ),
    (
        re.compile(
            r"RuntimeError: Given (?:groups|transposed)=\d+, weight of size \[.*?\], expected input\[.*?\] "
            r"to have (?P<expected>\d+) channels, but got (?P<actual>\d+) channels instead"
        ),
        "channels",
    ),
]


class SizeMismatch(NamedTuple):
    """What came into a layer and what it was made for; `span` is where the error's text says so."""

    actual: int
    expected: int
    what: str
    span: tuple[int, int]


def find_size_mismatch(text: str) -> SizeMismatch | None:
    """Return the sizes that one of torch's most common shape errors tells, None where it's another error."""
    for pattern, what in _SHAPE_ERRORS:
        match = pattern.search(text)
        if match:
            groups = match.groupdict() or {"actual": match[1], "expected": match[2]}
            return SizeMismatch(int(groups["actual"]), int(groups["expected"]), what, match.span())
    return None


def explain(text: str) -> str:
    """Reword torch's most common shape errors in terms of a layer: what comes in and what it was made for."""
    found = find_size_mismatch(text)
    if found is None:
        return text
    start, end = found.span
    return f"{text[:start]}{found.actual} {found.what} in, {found.expected} expected{text[end:]}"


def describe_stop(trace: StructureTrace) -> str | None:
    """Return why the forward didn't get through, None where it did."""
    if trace.died is not None:
        return f"the forward stopped at {explain(describe_crash(trace.died[1]))}"
    if trace.uninitialized:
        return f"the forward never calls the lazy layers {', '.join(trace.uninitialized)}"
    return None


def crash_mismatch(spec: Spec, died: ForwardRecord, crash: Crash) -> Mismatch:
    """Return a crash as a mismatch at the line that lists its layer (or the nearest one around it, or the build)."""
    sizes = ", ".join(f"{name}={size}" for name, size in died.sizes.items())
    notes = [("at", sizes)] if sizes else []
    if crash.where:
        notes.append(("raised", crash.where))
    absent = absent_accelerator(crash.error)
    if absent is not None:
        notes.append(("note", absent))
    shown = crash.module or "the network's own forward"
    keys = _listed_around(spec, crash.module)
    module = crash.module or None
    return Mismatch(keys, shown, "forward stopped here", "an output", crash.error, module, tuple(notes))


def describe_crash(crash: Crash) -> str:
    """Return a crash in one line: the module and the error, with the user's line where it is known."""
    where = f" ({crash.where})" if crash.where else ""
    return f"{crash.module or 'the network itself'}: {crash.error}{where}"


def _listed_around(spec: Spec, name: str) -> Keys:
    parts = name.split(".") if name else []
    for length in range(len(parts), 0, -1):
        outer = ".".join(parts[:length])
        for text in spec.layers:
            if parse_layer_key(text).matches(outer):
                return ("layers", text)
    return ("build",)
