"""The floating-point dtypes that a network's code names and its tensors have, now and as it was recorded. Pure.

The check's own numbers can't show these, as everything is computed in double precision.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from archcheck.findings import Change, Keys, Mismatch
from archcheck.function.digested_layers import OUTPUT
from archcheck.function.records import FunctionRecord
from archcheck.function.section import section_update
from archcheck.spec.lock import LOCK
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.records import StructureTrace
from archcheck.text.words import listed

_HELD: Final = "holds "
_NAMED: Final = 8


def with_held_dtypes(record: FunctionRecord, trace: StructureTrace) -> FunctionRecord:
    """Return a record that also has the dtypes of what each module holds, as the network is built."""
    held = {
        name: {f"{_HELD}{dtype}": count for dtype, count in module.dtypes.items()}
        for name, module in trace.modules.items()
        if module.dtypes
    }
    both = {name: {**record.dtypes.get(name, {}), **held.get(name, {})} for name in {**record.dtypes, **held}}
    return replace(record, dtypes=both)


def compare_dtypes(
    spec_file: SpecFile, record: FunctionRecord, trace: StructureTrace, *, is_live: bool = False
) -> Mismatch | None:
    """Return the first module that names other dtypes, where the network as a whole does; None of an older lock.

    So modules may have other names, and what one of them did another may do. What a live network holds isn't compared,
    as it may have been converted.
    """
    function = spec_file.recorded
    if function is None or function.dtypes is None or record.crash is not None:
        return None
    expected = {name: _compared(counts, is_live) for name, counts in function.dtypes.items()}
    actual = {name: _compared(counts, is_live) for name, counts in record.dtypes.items()}
    more, fewer = _apart(sum(expected.values(), Counter()), sum(actual.values(), Counter()))
    if not more and not fewer:
        return None
    edits = section_update(spec_file, record, trace)
    differing = [
        name
        for name in trace.modules
        if _has_part(more, fewer, expected.get(name, Counter()), actual.get(name, Counter()))
    ]
    if not differing:  # what was recorded has other names now
        return _mismatch("", sum(expected.values(), Counter()), sum(actual.values(), Counter()), edits)
    first, *others = differing
    found = _mismatch(first, expected.get(first, Counter()), actual.get(first, Counter()), edits)
    also = (("also", listed([name or "the network itself" for name in others], _NAMED)),) if others else ()
    return replace(found, notes=(*found.notes, *also))


def _compared(counts: Mapping[str, int], is_live: bool) -> Counter[str]:
    return Counter({label: count for label, count in counts.items() if not (is_live and label.startswith(_HELD))})


def _apart(expected: Counter[str], actual: Counter[str]) -> tuple[Counter[str], Counter[str]]:
    """Return what is there more often than it should, and what less often."""
    return actual - expected, expected - actual


def _has_part(more: Counter[str], fewer: Counter[str], expected: Counter[str], actual: Counter[str]) -> bool:
    """Return whether a module has a part in what there is too much or too little of."""
    own_more, own_fewer = _apart(expected, actual)
    return bool(own_more & more or own_fewer & fewer)


def _mismatch(name: str, expected: Counter[str], actual: Counter[str], edits: tuple[Change, ...]) -> Mismatch:
    notes = (("cause", "; ".join(_causes(*_apart(expected, actual)))),)
    keys: Keys = (LOCK, "function", "dtypes", name) if name else (LOCK, "function", OUTPUT)
    subject, module = name or "forward", name or None
    return Mismatch(keys, subject, "names other dtypes", _shown(expected), _shown(actual), module, notes, edits)


def _shown(counts: Counter[str]) -> str:
    return listed([label if n == 1 else f"{n} {label}" for label, n in sorted(counts.items())], _NAMED) or "none"


def _causes(more: Counter[str], fewer: Counter[str]) -> Iterator[str]:
    for label, count in sorted(more.items()):
        yield f"{_described(label, count)} that {'was' if count == 1 else 'were'}n't there"
    for label, count in sorted(fewer.items()):
        yield f"{_described(label, count)} {'is' if count == 1 else 'are'} gone"


def _described(label: str, count: int) -> str:
    """Return in words what a label stands for."""
    if label.startswith(_HELD):
        dtype = label.removeprefix(_HELD)
        return f"a tensor of {dtype}" if count == 1 else f"{count} tensors of {dtype}"
    if label.startswith("autocast"):
        block = f"autocast block ({label.removeprefix('autocast').strip() or 'on'})"
        return f"an {block}" if count == 1 else f"{count} of the {block}"
    return f"a cast to {label}" if count == 1 else f"{count} casts to {label}"
