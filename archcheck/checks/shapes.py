"""The check `shapes`: types and output shapes of the listed layers, and the network's output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from archcheck.checks.check import Check, CheckContext, Needs, Recording
from archcheck.checks.consequences import mark_consequences
from archcheck.checks.moved_layers import MovedLayers, find_moved_layers
from archcheck.checks.new_layers import new_layer_rows
from archcheck.checks.outcome import Outcome
from archcheck.checks.recording import record_structure
from archcheck.checks.renamed_layers import AreSame
from archcheck.checks.shifted_layers import OTHER_LAYER, OTHER_OUTPUT, OTHER_PARAMETERS
from archcheck.errors import BuildError, NotMeasured
from archcheck.findings import AFTER_ALL, Change, Edit, Keys, Mismatch, Removal
from archcheck.function.comparison import same_layers
from archcheck.function.section import section_update
from archcheck.spec.dims import BATCH
from archcheck.spec.layer_keys import LayerKey, format_layer_key, parse_layer_key
from archcheck.spec.models import Layer, Spec
from archcheck.spec.spec_file import SpecFile
from archcheck.spec.values import (
    ANY_NUMBER,
    EMPTY,
    EmptyPattern,
    RepeatedPattern,
    TensorPattern,
    ValuePattern,
    format_times,
)
from archcheck.structure.crashes import crash_mismatch, describe_crash
from archcheck.structure.layer_selection import limit_glob, matching_modules, no_module_mismatch
from archcheck.structure.patterns import (
    dimension_names,
    format_pattern,
    format_sizes,
    format_value,
    infer_value,
    named_items,
    repeated,
)
from archcheck.structure.records import (
    CallRecord,
    EmptyRecord,
    ForwardRecord,
    MappingRecord,
    ModuleRecord,
    OpaqueRecord,
    SequenceRecord,
    StructureTrace,
    TensorRecord,
    ValueRecord,
)
from archcheck.text.words import listed, times

# ------------------------------------------------------------------------------------------- shapes


def check_shapes(
    spec_file: SpecFile, trace: StructureTrace, moved: MovedLayers | None = None, new: Sequence[str] = ()
) -> list[Mismatch]:
    """Compare every listed layer's type and output, and the network's output, at every size that was tried.

    `moved` says where the listed layers are now, `new` has the layers that could be listed.
    """
    spec, moved = spec_file.spec, moved or MovedLayers()
    calls = [_calls_by_name(forward) for forward in trace.forwards]
    found: list[Mismatch] = []
    for text, layer in spec.layers.items():
        if text in moved.repacked:
            found.append(_repacked_mismatch(text, layer, moved, trace, calls))
        elif text in moved.changes:
            found.append(_moved_mismatch(text, layer, moved, trace, calls))
        elif not matching_modules(parse_layer_key(text), trace):
            found.append(_gone_mismatch(parse_layer_key(text), trace, moved.ambiguous.get(text), new))
        else:
            found += _check_layer(text, text, layer, trace, calls)
    if spec.output is not None:
        found += _check_network_output(spec, trace)
    return _with_crash(spec, trace, sorted(found, key=lambda mismatch: mismatch.order))


def _check_layer(text: str, now: str, layer: Layer, trace: StructureTrace, calls: _Calls) -> list[Mismatch]:
    """Compare the type and output of the layers that a row speaks of, whose key is `now`."""
    key = parse_layer_key(now)
    names = matching_modules(key, trace)
    found: list[Mismatch] = []
    if layer.type is not None:
        found += limit_glob(key, _check_type(text, layer.type, names, trace, calls))
    if "output" in layer.model_fields_set:
        found += limit_glob(key, _check_layer_output(layer.output, text, key, names, trace, calls))
    return found


def _misfit(now: str, layer: Layer, trace: StructureTrace, found: Sequence[Mismatch]) -> str | None:
    """Say what isn't as the spec says of a layer, in the layers of a key; None where everything fits.

    `found` is what isn't of its type and output.
    """
    for one in found:
        return one.problem + (f": expected {one.expected}, found {one.actual}" if one.expected else "")
    counts = _counts(now, trace)
    if layer.parameters is None or counts == {layer.parameters}:
        return None
    return f"parameters differ: expected {layer.parameters}, found {listed(sorted(map(str, counts)), 3)}"


def _counts(now: str, trace: StructureTrace) -> set[int]:
    return {trace.modules[name].num_params for name in matching_modules(parse_layer_key(now), trace)}


def _moved_mismatch(text: str, layer: Layer, moved: MovedLayers, trace: StructureTrace, calls: _Calls) -> Mismatch:
    """Return the mismatch of a row that doesn't speak of the layer any more that it was written for.

    What isn't so of that layer is accepted with its key: there is no other row to tell it at.
    """
    key, changes = parse_layer_key(text), moved.changes[text]
    names = matching_modules(key, trace)
    problem = "is another layer now" if text in moved.keys else "is gone, another layer has its name"
    mismatch = Mismatch(("layers", text), text, problem) if names else no_module_mismatch(key, trace)
    happened = moved.shifted.get(text)
    notes = [("note", happened)] if happened else []
    order = mismatch.order
    if text in moved.keys:
        now = moved.keys[text]
        found = _check_layer(text, now, layer, trace, calls)
        misfit = _misfit(now, layer, trace, found)
        why = "what it computes tells" if text in moved.by_function else "everything fits that the spec says of it"
        told = f"it is {now} now: {why}" if misfit is None else f"in its place is {now} now: {misfit}"
        notes = [("note", told), *notes]
        changes = (*(edit for one in found for edit in one.edits), *changes)
        order = min(_first_returned(name, calls) for name in names) if names else order
    is_misread = not names and text in trace.modules
    notes = list(mismatch.notes) if is_misread else notes
    return replace(mismatch, notes=tuple(notes), edits=changes, order=order, follows=happened == "")


def _repacked_mismatch(text: str, layer: Layer, moved: MovedLayers, trace: StructureTrace, calls: _Calls) -> Mismatch:
    """Return the mismatch of a row whose layer was split or merged; the first of several that were merged tells it."""
    told, now, changes = moved.repacked[text], moved.keys.get(text), moved.changes[text]
    if now is None:
        return Mismatch(("layers", text), text, "is in another layer now", edits=changes, follows=True)
    found, counts = _check_layer(text, now, layer, trace, calls), _counts(now, trace)
    edits = [edit for one in found for edit in one.edits]
    if layer.parameters is not None and len(counts) == 1:
        edits.append(Edit(("layers", text, "parameters"), counts.pop()))
    order = min(_first_returned(name, calls) for name in matching_modules(parse_layer_key(now), trace))
    notes = (("note", "their outputs add up to what the spec says: an update writes their rows"),)
    return Mismatch(("layers", text), text, told, notes=notes, edits=(*edits, *changes), order=order)


def _gone_mismatch(key: LayerKey, trace: StructureTrace, several: Sequence[str] | None, new: Sequence[str]) -> Mismatch:
    """Return the mismatch of a key that names no module; `several` are those that may be meant, if there are any."""
    mismatch = no_module_mismatch(key, trace)
    if several is not None:
        hint = f"it may be {listed(several, 6)} now: write the one that is meant"
        return replace(mismatch, notes=(("note", hint),))
    added = f", and adds {listed(new, 6)}" if new else ""
    dropped = f"nothing else fits what the spec says of it: --archcheck-update=all drops the row{added}"
    return replace(mismatch, notes=(*mismatch.notes, ("note", dropped)), edits=(Removal(("layers", key.text)),))


def find_moved(context: CheckContext) -> MovedLayers:
    """Find where the listed layers are now: by the recorded function, where there is one, and the trace."""
    trace = context.network.trace
    if trace.died is not None:
        return MovedLayers()
    calls = [_calls_by_name(forward) for forward in trace.forwards]

    def misfit(now: str, layer: Layer) -> int:
        counts, found = _counts(now, trace), _check_layer(now, now, layer, trace, calls)
        key = parse_layer_key(now)
        times = [len(calls[0].get(name, ())) for name in matching_modules(key, trace)]
        is_called = key.call is None or all(key.call < one for one in times)
        if not counts or not is_called or any(one.keys[-1:] == ("type",) for one in found):
            return OTHER_LAYER
        differ = layer.parameters is not None and counts != {layer.parameters}
        return (OTHER_PARAMETERS if differ else 0) + (OTHER_OUTPUT if found else 0)

    recorded = context.spec_file.recorded
    labels = [] if recorded is None else list(recorded.layers)
    function = partial(_recorded_layers, context)
    return find_moved_layers(context.spec_file, labels, trace, misfit, function, context.network.flow)


def rows_may_have_moved(spec: Spec, trace: StructureTrace) -> bool:
    """Return whether rows may speak of other layers now, and nothing tells of which: the forward died.

    None may be rewritten then. Without a row whose layer is of another type, they are taken to be of the same layers.
    """
    if trace.died is None:
        return False
    typed = [(parse_layer_key(text), layer.type) for text, layer in spec.layers.items() if layer.type is not None]
    return any(not _is_type(kind, trace.modules[name]) for key, kind in typed for name in matching_modules(key, trace))


def _recorded_layers(context: CheckContext) -> tuple[AreSame | None, Sequence[Change]]:
    """Return whether a recorded layer and one of now compute the same, and what records them anew under their names.

    None and nothing where that can't be told.
    """
    if context.spec_file.recorded is None:
        return None, ()
    try:
        _, record = context.network.function_of(context.spec_file)
    except (BuildError, NotMeasured):
        return None, ()
    same = same_layers(context.spec_file, record)
    return same, () if same is None else section_update(context.spec_file, record, context.network.trace)


_Calls: TypeAlias = Sequence[Mapping[str, Sequence[CallRecord]]]  # by module, for every forward


def _calls_by_name(forward: ForwardRecord) -> dict[str, list[CallRecord]]:
    calls: dict[str, list[CallRecord]] = {}
    for call in forward.calls:
        calls.setdefault(call.name, []).append(call)
    return calls


def _check_type(text: str, expected: str, names: Sequence[str], trace: StructureTrace, calls: _Calls) -> list[Mismatch]:
    keys = ("layers", text, "type")
    actual = {name: _type_like(expected, trace.modules[name]) for name in names}
    # A glob's type can only be rewritten to one that all of its modules have, or else be left out.
    edits = (Edit(keys, actual[names[0]]) if len(set(actual.values())) == 1 else Removal(keys),) if names else ()
    return [
        Mismatch(keys, name, "type differs", expected, actual[name], name, (), edits, _first_returned(name, calls))
        for name in names
        if not _is_type(expected, trace.modules[name])
    ]


def _is_type(expected: str, module: ModuleRecord) -> bool:
    """Return whether a type written in a spec names a module's class: by the class's name, or with modules in front."""
    return expected in (module.type_name, module.qualified_type) or module.qualified_type.endswith("." + expected)


def _type_like(expected: str, module: ModuleRecord) -> str:
    return module.type_name if "." not in expected else module.qualified_type


def _first_returned(name: str, calls: _Calls) -> int:
    returned = [call.finished for by_name in calls for call in by_name.get(name, ()) if call.finished is not None]
    return returned[0] if returned else AFTER_ALL


@dataclass(frozen=True, slots=True)
class _Observation:
    """One value that a pattern speaks of, the sizes at which it was seen and when."""

    sizes: Mapping[str, int]
    value: ValueRecord
    order: int
    label: str  # "call [1]" where a module is called several times and the key speaks of all calls


def _check_layer_output(
    pattern: ValuePattern, text: str, key: LayerKey, names: Sequence[str], trace: StructureTrace, calls: _Calls
) -> list[Mismatch]:
    keys = ("layers", text, "output")
    found: list[Mismatch] = []
    agreed: list[tuple[str, list[_Observation]]] = []
    for name in names:
        seen, missing = _observe(key, name, trace, calls)
        if missing:
            gone = (Removal(("layers", text)),) if key.call is not None else ()
            found.append(Mismatch(("layers", text), name, missing, module=name, edits=gone))
        agreed.append((name, seen))
    everything = [one for _, seen in agreed for one in seen]
    for name, seen in agreed:
        # A glob's line can only be rewritten to what all of its layers show.
        subject = format_layer_key(name, key.call)
        found += _compare(keys, (subject, name), pattern, seen, trace, everything if key.is_glob else seen)
    return found


def _observe(key: LayerKey, name: str, trace: StructureTrace, calls: _Calls) -> tuple[list[_Observation], str | None]:
    """Return what a layer put out in every forward pass, and a mismatch where it put out nothing."""
    seen: list[_Observation] = []
    for forward, by_name in zip(trace.forwards, calls, strict=True):
        own = by_name.get(name, ())
        chosen = [call for call in own if key.call in (None, call.index)]
        if not chosen and forward.crash is None:
            return seen, _not_called(key, len(own), trace.modules[name])
        several = len(own) > 1 and key.call is None
        seen += [_observation(forward, call, several) for call in chosen if call.output is not None]
    return seen, None


def _not_called(key: LayerKey, calls: int, module: ModuleRecord) -> str | None:
    if calls:
        return f"has no call [{key.call}]: the forward calls it {times(calls)}, counted from 0"
    if key.is_glob and module.is_container:
        return None
    return "is never called by the forward"


def _observation(forward: ForwardRecord, call: CallRecord, several: bool) -> _Observation:
    assert call.output is not None
    order = call.finished if call.finished is not None else AFTER_ALL
    return _Observation(forward.sizes, call.output, order, f"call [{call.index}]" if several else "")


def _check_network_output(spec: Spec, trace: StructureTrace) -> list[Mismatch]:
    seen = [_Observation(f.sizes, f.output, AFTER_ALL - 1, "") for f in trace.forwards if f.output is not None]
    return _compare(("output",), ("output", None), spec.output, seen, trace, seen)


def _compare(
    keys: Keys,
    about: tuple[str, str | None],
    pattern: ValuePattern,
    seen: Sequence[_Observation],
    trace: StructureTrace,
    everything: Sequence[_Observation],
) -> list[Mismatch]:
    """Return at most one mismatch: the first place where a value differs from the pattern, and the edits to accept it.

    `about` is the subject and the module to describe; `everything` is what a rewritten pattern must hold for.
    """
    subject, module = about
    for one in seen:
        difference = _difference(pattern, one.value, one.sizes)
        if difference is None:
            continue
        order_of_names = dimension_names(trace)
        notes = [("at", text) for text in [_at(one, difference)] if text]
        return [
            Mismatch(
                (*keys, *difference.place), subject, difference.problem, difference.expected,
                _describe(seen, one, difference.path, order_of_names), module, tuple(notes),
                _edits(keys, pattern, everything, order_of_names), one.order,
            )
        ]  # fmt: skip
    return []


def _at(one: _Observation, difference: _Difference) -> str:
    """Say where a difference was seen, where the pattern alone leaves that open."""
    parts = [one.label] if one.label else []
    if any(name != BATCH for name in one.sizes) or difference.concrete:
        parts.append(", ".join(f"{name}={size}" for name, size in one.sizes.items()))
    if difference.concrete and parts:
        parts[-1] += f": {difference.concrete}"
    return ", ".join(parts)


# ------------------------------------------------------------------------------------------- values


@dataclass(frozen=True, slots=True)
class _Difference:
    """A difference at `path` of the value, and at `place` of the pattern as it's written."""

    path: Keys
    place: Keys
    problem: str
    expected: str
    concrete: str = ""


def _difference(
    pattern: ValuePattern, value: ValueRecord, sizes: Mapping[str, int], path: Keys = (), place: Keys = ()
) -> _Difference | None:
    """Return the first place where a value isn't what the pattern says; None where there is none."""
    if isinstance(pattern, TensorPattern) and isinstance(value, TensorRecord):
        expected = pattern.evaluate(sizes)
        if expected == value.shape:
            return None
        free = any(dim.names - {BATCH} for dim in pattern.dims)
        concrete = f"expected {format_sizes(expected)}, found {format_sizes(value.shape)}" if free else ""
        return _Difference(path, place, _where(path, "output shape differs"), str(pattern), concrete)
    if pattern is None:
        same = isinstance(value, OpaqueRecord) or (isinstance(value, MappingRecord) and value.type_name is not None)
        return None if same else _Difference(path, place, _where(path, "output differs"), "no tensor")
    if isinstance(pattern, EmptyPattern) and value == EmptyRecord(pattern.kind):
        return None
    parts = _parts(pattern, value, sizes)
    if parts is None:
        return _Difference(path, place, _where(path, "output differs"), format_pattern(pattern))
    in_place = isinstance(pattern, RepeatedPattern)  # all of its items are written as one
    steps = (
        _difference(inner, part, sizes, (*path, key), (*place, 0 if in_place else key)) for key, inner, part in parts
    )
    return next((step for step in steps if step is not None), None)


def _parts(
    pattern: ValuePattern, value: ValueRecord, sizes: Mapping[str, int]
) -> list[tuple[str | int, ValuePattern, ValueRecord]] | None:
    """Pair a pattern with a value, part by part; None where they are built differently."""
    if isinstance(pattern, RepeatedPattern):
        items = _items_of_list(value)
        if items is None or (pattern.count is not None and pattern.count.evaluate(sizes) != len(items)):
            return None
        return [(i, pattern.item, part) for i, part in enumerate(items)]
    if isinstance(pattern, tuple) and isinstance(value, SequenceRecord) and len(pattern) == len(value.items):
        return [(i, inner, part) for i, (inner, part) in enumerate(zip(pattern, value.items, strict=True))]
    if isinstance(pattern, dict):
        named = named_items(value)
        if named is not None and pattern.keys() == named.keys():
            return [(key, inner, named[key]) for key, inner in pattern.items()]
    return None


def _items_of_list(value: ValueRecord) -> Sequence[ValueRecord] | None:
    """Return the items of a list or tuple, empty ones included; None of anything else."""
    if isinstance(value, EmptyRecord) and value.kind != "{}":
        return ()
    return value.items if isinstance(value, SequenceRecord) else None


def _where(path: Keys, problem: str) -> str:
    place = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return f"{problem} at {place}" if path else problem


def _describe(seen: Sequence[_Observation], one: _Observation, path: Keys, names: Sequence[str]) -> str:
    """Format the differing value in terms of the free dimensions, or as it was at one size where that can't be told."""
    try:
        values = [_inside(other.value, path) for other in seen]
        return format_pattern(infer_value(values, [other.sizes for other in seen], names))
    except (ValueError, KeyError, IndexError, TypeError):
        at = ", ".join(f"{name}={size}" for name, size in one.sizes.items())
        return format_value(_inside(one.value, path)) + (f" at {at}" if at else "")


def _inside(value: ValueRecord, path: Keys) -> ValueRecord:
    for key in path:
        items = named_items(value)
        if isinstance(value, SequenceRecord) and isinstance(key, int):
            value = value.items[key]
        elif items is not None:
            value = items[str(key)]
        else:
            raise KeyError(key)
    return value


def _edits(keys: Keys, pattern: ValuePattern, seen: Sequence[_Observation], names: Sequence[str]) -> tuple[Change, ...]:
    """Return the edits that accept the output: dimension by dimension where the rank stays, so that bytes are kept.

    What isn't one output of all of a glob's layers any more can only be left out.
    """
    try:
        inferred = infer_value([one.value for one in seen], [one.sizes for one in seen], names)
    except ValueError:
        is_of_glob = keys[:1] == ("layers",) and parse_layer_key(str(keys[1])).is_glob
        return (Removal(keys),) if is_of_glob else ()
    return tuple(_edits_inside(keys, pattern, inferred, [one.sizes for one in seen]))


def _edits_inside(
    keys: Keys, pattern: ValuePattern, inferred: Any, sizes: Sequence[Mapping[str, int]]
) -> Iterator[Edit]:
    if isinstance(pattern, TensorPattern) and _is_shape(inferred) and len(inferred) == len(pattern.dims):
        for position, (dim, new) in enumerate(zip(pattern.dims, inferred, strict=True)):
            if not _same_dim(dim.text, new, sizes):
                yield Edit((*keys, position), new)
    elif isinstance(pattern, RepeatedPattern):
        yield from _edits_of_repetition(keys, pattern, inferred, sizes)
    elif isinstance(pattern, tuple) and _has_items(_in_full(inferred, len(pattern)), len(pattern)):
        for position, (inner, part) in enumerate(zip(pattern, _in_full(inferred, len(pattern)), strict=True)):
            yield from _edits_inside((*keys, position), inner, part, sizes)
    elif isinstance(pattern, dict) and isinstance(inferred, dict) and pattern.keys() == inferred.keys():
        for key, inner in pattern.items():
            yield from _edits_inside((*keys, key), inner, inferred[key], sizes)
    elif not (pattern is None and inferred is None):
        yield Edit(keys, inferred)


def _edits_of_repetition(
    keys: Keys, pattern: RepeatedPattern, inferred: Any, sizes: Sequence[Mapping[str, int]]
) -> Iterator[Edit]:
    """Yield the edits of the one item that stands for all, and of their number where the spec has it."""
    found = repeated(inferred) or _as_repetition(inferred)
    if found is None:
        yield Edit(keys, inferred)
        return
    item, count = found
    yield from _edits_inside((*keys, 0), pattern.item, item, sizes)
    if pattern.count is not None and (count == ANY_NUMBER or not _same_dim(pattern.count.text, count, sizes)):
        yield Edit((*keys, 1), count if count == ANY_NUMBER else format_times(count))


def _as_repetition(inferred: Any) -> tuple[Any, str] | None:
    """Return a list of equal values as one of them and their number."""
    if not isinstance(inferred, list) or _is_shape(inferred) or any(item != inferred[0] for item in inferred):
        return None
    return inferred[0], str(len(inferred))


def _in_full(inferred: Any, count: int) -> Any:
    """Return a repetition with all its items where it has that many."""
    found = repeated(inferred)
    return [found[0]] * count if found is not None and found[1] == str(count) else inferred


def _is_shape(inferred: Any) -> bool:
    return isinstance(inferred, list) and all(isinstance(dim, (int, str)) and dim not in EMPTY for dim in inferred)


def _has_items(inferred: Any, count: int) -> bool:
    return isinstance(inferred, list) and len(inferred) == count and repeated(inferred) is None


def _same_dim(text: str, new: int | str, sizes: Sequence[Mapping[str, int]]) -> bool:
    from archcheck.spec.dims import parse_dim

    old_dim, new_dim = parse_dim(text), parse_dim(new)
    return all(old_dim.evaluate(at) == new_dim.evaluate(at) for at in sizes)


# ------------------------------------------------------------------------------------------- crashes


def _with_crash(spec: Spec, trace: StructureTrace, mismatches: list[Mismatch]) -> list[Mismatch]:
    """Add a forward that died: as a note to the first mismatch, which explains it, or else as a mismatch of its own."""
    if trace.died is None:
        return mismatches
    died, crash = trace.died
    if rows_may_have_moved(spec, trace):
        mismatches = [replace(one, edits=()) for one in mismatches]
    if mismatches and mismatches[0].order < AFTER_ALL:
        first, *rest = mismatches
        note = ("note", f"forward then stopped at {describe_crash(crash)}")
        return [replace(first, notes=(*first.notes, note)), *rest]
    return [*mismatches, crash_mismatch(spec, died, crash)]


# ------------------------------------------------------------------------------------------- counts


class ShapesCheck(Check):
    """Compare every listed layer's type and output, and the network's output, at every size that was tried."""

    name = "shapes"
    needs = Needs.STRUCTURE
    recorded = ("layers", "output")

    def place(self, spec: Spec) -> Keys | None:
        """Return the place of `layers`, or else of `output`."""
        if not spec.layers and spec.output is None:
            return None
        return ("layers",) if spec.layers else ("output",)

    def run(self, context: CheckContext) -> Outcome:
        """Compare the shapes."""
        moved, trace = find_moved(context), context.network.trace
        is_gone = not all(matching_modules(parse_layer_key(moved.key(text)), trace) for text in context.spec.layers)
        rows = new_layer_rows(context.spec_file, trace, moved) if is_gone else []
        new = [str(row.added[-1]) for row in rows]
        check = partial(check_shapes, context.spec_file, moved=moved)
        found = check(trace, new=new)
        found = mark_consequences(found, context.spec, context.network, check)
        return Outcome(context.network.with_domain_hint(context.spec_file, found))

    def refuse_update(self, context: CheckContext, mismatches: Sequence[Mismatch]) -> list[Mismatch]:
        """Return the mismatches that an update can't accept; a forward that died is always one."""
        left = super().refuse_update(context, mismatches)
        died = context.network.trace.died
        return [crash_mismatch(context.spec, *died)] if died is not None and not left else left

    def record(self, context: CheckContext) -> Recording:
        """Record the layer table or the output, and rows for layers that are new beside those that are listed."""
        recording = record_structure(context, self.absent(context.spec))
        if context.network.trace.died is not None:
            return recording
        rows = new_layer_rows(context.spec_file, context.network.trace, find_moved(context))
        return replace(recording, edits=rows)


CHECK = ShapesCheck()
