"""Listed layers that were split into several, or merged into one: their outputs add up to what the rows say.

Such as one layer of queries, keys and values that is three now, beside each other and of one input.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from archcheck.findings import Change, Removal, Rename
from archcheck.spec.layer_keys import LayerKey, format_inner_key, parse_layer_key
from archcheck.spec.models import Layer
from archcheck.spec.values import TensorPattern
from archcheck.structure.layer_selection import ROOT, matching_modules
from archcheck.structure.records import FlowRecord, StructureTrace, TensorRecord
from archcheck.text.words import listed

_Shapes = list[tuple[int, ...]]  # of an output, at each size


@dataclass(frozen=True, slots=True)
class RepackedRows:
    """Rows whose layers were split or merged: their keys in the file, and the keys of what is in their place."""

    before: tuple[str, ...]
    now: tuple[str, ...]

    def changes(self) -> list[Change]:
        """Return what gives the first row the first of the new keys, and drops the others."""
        first, *others = self.before
        gone = [Removal(("layers", text), self.now[0]) for text in others]
        return [Rename(("layers", first), self.now[0]), *gone]

    def told(self) -> str:
        """Say what happened."""
        return tell_repacked(self.before, self.now)


def tell_repacked(before: Sequence[str], now: Sequence[str]) -> str:
    """Say of the first of some layers that they were merged, or of a single one that it was split."""
    others = before[1:]
    return f"was {f'merged with {listed(others, 6)} to' if others else 'split into'} {listed(now, 6)}"


@dataclass(frozen=True, slots=True)
class _Part:
    """Layers that one key speaks of, what comes out of each, and how many parameters each has; None if that varies."""

    key: str
    shapes: _Shapes | None
    num_params: int | None


def find_repacked_rows(
    layers: Mapping[str, Layer],
    keys: Mapping[str, str],
    recorded: Collection[str],
    trace: StructureTrace,
    flow: Callable[[], FlowRecord | None],
) -> list[RepackedRows]:
    """Find the rows of layers that were split, or merged.

    `keys` has those that rows are known to have now, `recorded` the names of the layers that were there before. `flow`
    follows what each call takes.
    """
    gone: dict[str, list[str]] = {}
    for text, now in keys.items():
        key = parse_layer_key(now)
        around, _, own = key.pattern.rpartition(".")
        if not matching_modules(key, trace) and key.call is None and not parse_layer_key(own).is_glob:
            gone.setdefault(around, []).append(text)
    found: list[RepackedRows] = []
    for around, texts in gone.items():
        before = [_row(text, layers[text], trace) for text in texts]
        for parts in _new_parts(around, keys, recorded, trace):
            found += _splits(before, parts, trace, flow)
            found += _merges(before, parts)
    told = [text for one in found for text in one.before]
    return [one for one in found if all(told.count(text) == 1 for text in one.before)]


def _row(text: str, layer: Layer, trace: StructureTrace) -> _Part:
    """Return what a row says."""
    pattern = layer.output if "output" in layer.model_fields_set else None
    shapes = [pattern.evaluate(one.sizes) for one in trace.forwards] if isinstance(pattern, TensorPattern) else None
    return _Part(text, shapes, layer.parameters)


def _new_parts(
    around: str, keys: Mapping[str, str], recorded: Collection[str], trace: StructureTrace
) -> Iterator[list[_Part]]:
    """Yield the layers in some modules that weren't there before, those of one type together, as they run."""
    parents = set(matching_modules(parse_layer_key(around), trace)) if around else {ROOT}
    listed_now = {name for key in keys.values() for name in matching_modules(parse_layer_key(key), trace)}
    types: dict[str, dict[str, None]] = {}
    for call in trace.forwards[0].calls:
        parent, _, last = call.name.rpartition(".")
        if call.name and parent in parents and call.name not in listed_now and call.name not in recorded:
            types.setdefault(trace.modules[call.name].type_name, {})[format_inner_key(around, last)] = None
    for names in types.values():
        yield [_part(parse_layer_key(name), trace) for name in names]


def _part(key: LayerKey, trace: StructureTrace) -> _Part:
    names = matching_modules(key, trace)
    seen = [{call.output for call in forward.calls if call.name in names} for forward in trace.forwards]
    outputs = [some.pop() if len(some) == 1 else None for some in seen]
    shapes = [one.shape for one in outputs if isinstance(one, TensorRecord)]
    counts = {trace.modules[name].num_params for name in names}
    return _Part(key.text, shapes if len(shapes) == len(seen) else None, counts.pop() if len(counts) == 1 else None)


def _splits(
    before: Sequence[_Part], parts: Sequence[_Part], trace: StructureTrace, flow: Callable[[], FlowRecord | None]
) -> Iterator[RepackedRows]:
    for row in before:
        for some in _runs(parts):
            if _make_up(some, row) and _take_the_same([one.key for one in some], trace, flow):
                yield RepackedRows((row.key,), tuple(one.key for one in some))
                break


def _merges(before: Sequence[_Part], parts: Sequence[_Part]) -> Iterator[RepackedRows]:
    for part in parts:
        for some in _runs(before):
            if _make_up(some, part):
                yield RepackedRows(tuple(one.key for one in some), (part.key,))
                break


def _runs(parts: Sequence[_Part]) -> Iterator[Sequence[_Part]]:
    """Yield several layers that come one after another, as many as there are first."""
    for number in range(len(parts), 1, -1):
        for start in range(len(parts) - number + 1):
            yield parts[start : start + number]


def _make_up(parts: Sequence[_Part], whole: _Part) -> bool:
    """Return whether layers are parts of another, by their outputs and, where these aren't known, their parameters."""
    counts = [one.num_params for one in parts if one.num_params is not None]
    have_counts = len(counts) == len(parts) and whole.num_params is not None
    shapes = [one.shapes for one in parts if one.shapes is not None]
    if whole.shapes is None or len(shapes) < len(parts):
        return have_counts and 0 < sum(counts) == whole.num_params
    return any(_add_up(shapes, whole.shapes, dim) for dim in range(1, len(whole.shapes[0])))


def _add_up(parts: Sequence[_Shapes], whole: _Shapes, dim: int) -> bool:
    """Return whether outputs that are put behind each other along a dimension have the shape of another."""
    for at, shape in enumerate(whole):
        those = [one[at] for one in parts]
        if any(len(one) != len(shape) for one in those) or sum(one[dim] for one in those) != shape[dim]:
            return False
        if any(one[:dim] + one[dim + 1 :] != shape[:dim] + shape[dim + 1 :] for one in those):
            return False
    return True


def _take_the_same(keys: Sequence[str], trace: StructureTrace, flow: Callable[[], FlowRecord | None]) -> bool:
    """Return whether layers take the same, in the first of the modules that they are in, as far as that's seen."""
    seen = flow()
    names = [matching_modules(parse_layer_key(key), trace)[0] for key in keys]
    calls = {call.name: position for position, call in reversed([*enumerate(trace.forwards[0].calls)])}
    return seen is None or len({seen.sources.get(calls[name]) for name in names}) == 1
