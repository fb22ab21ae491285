"""Patterns of measured values: inferring what a spec would say of them, and showing values and patterns as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archcheck.spec.dim_inference import infer_shape
from archcheck.spec.dims import BATCH
from archcheck.spec.values import ANY_NUMBER, EMPTY, EmptyPattern, RepeatedPattern, format_times, repeat_count
from archcheck.structure.records import (
    EmptyRecord,
    MappingRecord,
    OpaqueRecord,
    SequenceRecord,
    StructureTrace,
    TensorRecord,
    ValueRecord,
)
from archcheck.text.yaml_flow import format_key

MANY = 3  # equal items of a list, or more, are written once, with their number


def named_items(value: ValueRecord) -> Mapping[str, ValueRecord] | None:
    """Return the named parts of a value (dict, dataclass, namedtuple), None where its parts have no names."""
    if isinstance(value, MappingRecord):
        return value.items
    if isinstance(value, SequenceRecord) and value.fields is not None:
        return dict(zip(value.fields, value.items, strict=True))
    return None


def format_sizes(shape: Sequence[int]) -> str:
    """Return sizes as a shape is written: `[2, 64]`."""
    return f"[{', '.join(map(str, shape))}]"


def format_pattern(pattern: Any) -> str:
    """Return a pattern, or dimensions that were inferred, as written in a spec."""
    if pattern is None:
        return "null"
    if isinstance(pattern, EmptyPattern) or pattern in EMPTY:
        return f'"{pattern.kind if isinstance(pattern, EmptyPattern) else pattern}"'
    if isinstance(pattern, RepeatedPattern):
        count = ANY_NUMBER if pattern.count is None else format_times(pattern.count.text)
        return f"[{format_pattern(pattern.item)}, {count}]"
    if isinstance(pattern, dict):
        return "{" + ", ".join(f"{format_key(key)}: {format_pattern(item)}" for key, item in pattern.items()) + "}"
    if isinstance(pattern, (tuple, list)):
        return "[" + ", ".join(format_pattern(item) for item in pattern) + "]"
    return str(pattern)


def infer_value(values: Sequence[ValueRecord], sizes: Sequence[Mapping[str, int]], names: Sequence[str]) -> Any:
    """Infer what a spec would say of values seen at several sizes: dimensions in lists and maps; None is no tensor.

    An empty list, tuple or dict is the text that stands for it. A list of many that are alike, or of as many as the
    sizes say, has one of them and how often it comes: `12 times`, `B times`, `...`.

    Raises:
        ValueError: no pattern fits them all.
    """
    first = values[0]
    lengths = [_length(value) for value in values]
    if len(set(lengths)) > 1 and None not in lengths:
        return _inferred_repetition(values, sizes, names)
    if any(type(value) is not type(first) for value in values):
        raise ValueError("the value is built differently at different sizes")
    if isinstance(first, TensorRecord):
        return _inferred_shape([value.shape for value in values if isinstance(value, TensorRecord)], sizes, names)
    if isinstance(first, SequenceRecord) and first.fields is None:
        columns = zip(*(value.items for value in values if isinstance(value, SequenceRecord)), strict=True)
        items = [infer_value(column, sizes, names) for column in columns]
        is_repeated = len(items) >= MANY and all(item == items[0] for item in items)
        return [items[0], format_times(len(items))] if is_repeated else items
    if isinstance(first, EmptyRecord):
        if any(value != first for value in values):
            raise ValueError("the value is built differently at different sizes")
        return first.kind
    maps = [items for items in map(named_items, values) if items is not None]
    if not maps:
        return None
    if any(items.keys() != maps[0].keys() for items in maps):
        raise ValueError("the names of the outputs depend on the size")
    return {key: infer_value([items[key] for items in maps], sizes, names) for key in maps[0]}


def _length(value: ValueRecord) -> int | None:
    """Return how many items a list or tuple has; None where it's none, or its items have names."""
    if isinstance(value, EmptyRecord):
        return 0 if value.kind != "{}" else None
    return len(value.items) if isinstance(value, SequenceRecord) and value.fields is None else None


def _inferred_repetition(
    values: Sequence[ValueRecord], sizes: Sequence[Mapping[str, int]], names: Sequence[str]
) -> list[Any]:
    """Infer lists of different lengths: all items of all of them are alike."""
    seen = [(item, at) for value, at in zip(values, sizes, strict=True) for item in _items(value)]
    item = infer_value([one for one, _ in seen], [at for _, at in seen], names)
    counts = [(len(_items(value)),) for value in values]
    found = infer_shape(counts, sizes, [name for name in names if name != BATCH]) if min(counts) > (0,) else None
    return [item, ANY_NUMBER if found is None else format_times(found[0])]


def _items(value: ValueRecord) -> Sequence[ValueRecord]:
    return value.items if isinstance(value, SequenceRecord) else ()


def repeated(inferred: Any) -> tuple[Any, str] | None:
    """Return what an inferred list has of a repetition: the item and how often it comes; None where it's none."""
    count = repeat_count(inferred) if isinstance(inferred, list) and len(inferred) == 2 else None
    return None if count is None else (inferred[0], count)


def _inferred_shape(
    shapes: Sequence[tuple[int, ...]], sizes: Sequence[Mapping[str, int]], names: Sequence[str]
) -> list[int | str]:
    if len({len(shape) for shape in shapes}) != 1:
        raise ValueError("the number of dimensions depends on the size")
    inferred = infer_shape(shapes, sizes, [name for name in names if name != BATCH])
    if inferred is None:
        raise ValueError("no arithmetic on the free dimensions gives these sizes")
    return inferred


def format_value(value: ValueRecord) -> str:
    """Return a measured value as text, with its sizes as numbers."""
    if isinstance(value, TensorRecord):
        return format_sizes(value.shape)
    if isinstance(value, OpaqueRecord):
        return value.type_name
    if isinstance(value, EmptyRecord):
        return f'"{value.kind}"'
    items = named_items(value)
    if items is not None:
        return "{" + ", ".join(f"{format_key(key)}: {format_value(item)}" for key, item in items.items()) + "}"
    assert isinstance(value, SequenceRecord)
    return "[" + ", ".join(format_value(item) for item in value.items) + "]"


def dimension_names(trace: StructureTrace) -> list[str]:
    """Return the free dimensions that the forwards were tried with, in order."""
    return list(dict.fromkeys(name for forward in trace.forwards for name in forward.sizes))


def infer_calls(trace: StructureTrace) -> dict[tuple[str, int], Any]:
    """Infer what a spec would say of every call's output, by module name and call index.

    Calls that didn't return in every forward, or whose output no pattern fits, are left out.
    """
    names = dimension_names(trace)
    sizes = [forward.sizes for forward in trace.forwards]
    seen: dict[tuple[str, int], list[ValueRecord]] = {}
    for forward in trace.forwards:
        for call in forward.calls:
            if call.output is not None:
                seen.setdefault((call.name, call.index), []).append(call.output)
    inferred: dict[tuple[str, int], Any] = {}
    for key, values in seen.items():
        if len(values) == len(sizes):
            try:
                inferred[key] = infer_value(values, sizes, names)
            except ValueError:
                continue
    return inferred


def infer_output(trace: StructureTrace) -> Any:
    """Infer what a spec would say of the network's output.

    Raises:
        ValueError: no pattern fits, or a forward didn't get through.
    """
    outputs = [forward.output for forward in trace.forwards if forward.output is not None]
    if not outputs or len(outputs) != len(trace.forwards):
        raise ValueError("the forward did not get through")
    return infer_value(outputs, [forward.sizes for forward in trace.forwards], dimension_names(trace))


def format_calls(trace: StructureTrace) -> dict[tuple[str, int], str]:
    """Return every call's output as text: in free dimensions where a pattern fits, else as it was at the first size."""
    texts = {
        (call.name, call.index): format_value(call.output)
        for call in trace.forwards[0].calls
        if call.output is not None
    }
    return texts | {key: format_pattern(value) for key, value in infer_calls(trace).items() if value is not None}


def format_output(trace: StructureTrace) -> str:
    """Return the network's output as text, likewise."""
    try:
        return format_pattern(infer_output(trace))
    except ValueError:
        output = trace.forwards[0].output
        return format_value(output) if output is not None else "-"
