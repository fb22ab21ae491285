"""Which layers of a network cost something else than before, and how that came about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Final

from archcheck.cost.places import format_line
from archcheck.cost.records import LayerCost
from archcheck.cost.table import layer_label
from archcheck.structure.layer_pairing import have_same_names
from archcheck.text.tables import format_table
from archcheck.text.units import format_amount
from archcheck.text.words import counted

_ROWS_AT_MOST: Final = 10
_COPIES: Final = ("clone", "copy_", "contiguous")
_CONVERTS: Final = "_to_copy "
_WIDE: Final = ("float32", "float64")


@dataclass(frozen=True, slots=True)
class LayerDifference:
    """What a layer costs more than before, less where negative, and how that came about, as far as can be told."""

    layer: str
    memory: int
    traffic: int
    operations: int
    line: tuple[str, int] | None
    how: tuple[str, ...]


def compare_layers(old: Mapping[str, LayerCost], new: Mapping[str, LayerCost], by: str) -> list[LayerDifference]:
    """Return the layers that differ, the largest difference of the figure `by` first."""
    found = [one for name, before, now in _paired(old, new) if (one := _difference(name, before, now)) is not None]
    key = by if by in ("memory", "traffic", "operations") else "operations"
    return sorted(found, key=lambda one: (-abs(getattr(one, key)), -abs(one.traffic), -abs(one.memory)))


def _paired(
    old: Mapping[str, LayerCost], new: Mapping[str, LayerCost]
) -> Iterator[tuple[str, LayerCost | None, LayerCost | None]]:
    """Pair layers by name, or where most have other names those that do the same in the same order."""
    if have_same_names(len(old.keys() & new.keys()), max(len(old), len(new))):
        for name in dict.fromkeys([*new, *old]):
            yield name, old.get(name), new.get(name)
        return
    left, right = list(old.items()), list(new.items())
    done = [[layer.num_operations and sorted(layer.operations.items()) for _, layer in side] for side in (left, right)]
    matcher = SequenceMatcher(a=[*map(str, done[0])], b=[*map(str, done[1])], autojunk=False)
    for _, start, end, other_start, other_end in matcher.get_opcodes():
        for before, now in zip_longest(left[start:end], right[other_start:other_end]):
            yield (now or before)[0], before and before[1], now and now[1]


def _difference(layer: str, old: LayerCost | None, new: LayerCost | None) -> LayerDifference | None:
    before, now = old or LayerCost(), new or LayerCost()
    memory = now.total_memory - before.total_memory
    traffic, operations = now.traffic - before.traffic, now.num_operations - before.num_operations
    if not (memory or traffic or operations) and before.operations == now.operations:
        return None
    how = ["new"] if old is None else ["gone"] if new is None else list(_causes(before, now))
    gained = Counter(now.operations) - Counter(before.operations)
    if old is not None and now.kept_memory > before.kept_memory:
        told = max(now.kept, key=lambda name: (name in gained, now.kept[name]))
        how.append(f"keeps {format_amount(now.kept_memory - before.kept_memory)} more of its forward pass ({told})")
    seen = [now.lines.get(operation) for operation in (*gained, *now.kept, *now.operations)]
    return LayerDifference(
        layer, memory, traffic, operations, next((line for line in seen if line is not None), None), tuple(how)
    )


def _causes(old: LayerCost, new: LayerCost) -> Iterator[str]:
    """Yield what a layer does that it didn't do before, and what it does no longer."""
    is_as_often = new.calls == old.calls
    if not is_as_often:
        yield f"runs {counted(new.calls, 'time')}, before {old.calls}"  # which says why there are more operations
    gained = Counter(new.operations) - Counter(old.operations)
    lost = Counter(old.operations) - Counter(new.operations)
    for name, number in gained.items():
        what = _in_words(name, lost)
        if what or is_as_often:
            yield _times(number, what or f"{name} more")
    for name, number in lost.items():
        if name.startswith(_CONVERTS) or (is_as_often and name.removesuffix("_") not in gained):
            yield _times(number, f"{_in_words(name, {}) or name} less")


def _in_words(name: str, lost: Mapping[str, int]) -> str | None:
    """Return what an operation is in the words of those who have it there by mistake; None where it's none of those."""
    if f"{name}_" in lost:
        return f"{name}, before in place ({name}_)"
    if name.startswith(_CONVERTS):
        dtype = name.removeprefix(_CONVERTS)
        return f"{'upcast' if dtype in _WIDE else 'conversion'} to {dtype}"
    return f"copy ({name})" if name in _COPIES else None


def _times(number: int, what: str) -> str:
    return f"{number} x {what}" if number > 1 else what


def format_differences(differences: Sequence[LayerDifference]) -> str:
    """Return a table of layers that differ; what doesn't fit is counted."""
    rows = [
        (
            layer_label(one.layer),
            _signed(one.memory),
            _signed(one.traffic),
            f"{one.operations:+d}" if one.operations else "-",
            format_line(one.line),
            ", ".join(one.how) or "-",
        )
        for one in differences[:_ROWS_AT_MOST]
    ]
    headers = ("layer", "memory", "traffic", "operations", "line", "how")
    table = format_table(rows, headers, ("left", "right", "right", "right", "left", "left"), "plain")
    more = len(differences) - _ROWS_AT_MOST
    return f"{table}\nand {more} more" if more > 0 else table


def _signed(number: int) -> str:
    return "-" if not number else f"{'+' if number > 0 else ''}{format_amount(number)}"
