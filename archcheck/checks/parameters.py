"""The check `parameters`: counts per layer, total, trainable and buffers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from archcheck.checks.check import Check, CheckContext, Needs, Recording
from archcheck.checks.moved_layers import MovedLayers
from archcheck.checks.outcome import Outcome
from archcheck.checks.recording import record_structure
from archcheck.checks.shapes import find_moved, rows_may_have_moved
from archcheck.findings import Change, Edit, Keys, Mismatch, Removal
from archcheck.spec.layer_keys import parse_layer_key
from archcheck.spec.models import Spec
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.crashes import describe_crash
from archcheck.structure.layer_selection import limit_glob, matching_modules
from archcheck.structure.records import StructureTrace
from archcheck.text.words import listed


def check_parameters(
    spec_file: SpecFile, trace: StructureTrace, find_moved: Callable[[], MovedLayers] = MovedLayers
) -> list[Mismatch]:
    """Compare the counts listed per layer, then total, trainable and buffers.

    `find_moved` finds where the listed layers are now; it's asked where something isn't so.
    """
    spec = spec_file.spec
    if trace.uninitialized:
        return [_uncounted(spec, trace)]
    found: list[Mismatch] = []
    counts = {text: layer.parameters for text, layer in spec.layers.items() if layer.parameters is not None}
    if not all(_is_as_listed(text, count, trace) for text, count in counts.items()):
        moved = find_moved()
        found = [one for text, count in counts.items() for one in _check_row(text, count, moved, trace)]
        if rows_may_have_moved(spec, trace):
            found = [replace(one, edits=()) for one in found]
        others = [one for one in found if one.edits == moved.changes.get(str(one.keys[1]))]
        found = [replace(one, follows=one in others[1:]) for one in found]
    found = _mark_consequences(sorted(found, key=lambda mismatch: mismatch.order), trace)
    return found if spec.parameters is None else [*found, *_check_totals(spec_file, trace)]


def _mark_consequences(found: Sequence[Mismatch], trace: StructureTrace) -> list[Mismatch]:
    """Mark layers around others whose counts are off by just what those inside are."""
    off = {one.subject: trace.modules[one.subject].num_params - int(one.expected or 0) for one in found}
    return [replace(one, follows=True) if off[one.subject] == _off_inside(one.subject, off) else one for one in found]


def _off_inside(name: str, off: Mapping[str, int]) -> int | None:
    """Return by how much the layers inside one are off in all, each counted once; None where none is listed."""
    inside = [other for other in off if other.startswith(f"{name}.")]
    outermost = [other for other in inside if not any(other.startswith(f"{one}.") for one in inside)]
    return sum(off[one] for one in outermost) if outermost else None


def _uncounted(spec: Spec, trace: StructureTrace) -> Mismatch:
    names = listed(trace.uninitialized)
    reason = f"forward stopped at {describe_crash(trace.died[1])}" if trace.died else "the forward never calls them"
    keys: Keys = ("parameters",) if spec.parameters is not None else ("layers",)
    return Mismatch(keys, "parameters", f"lazy layers without parameters yet: {names}", notes=(("note", reason),))


def _is_as_listed(text: str, count: int, trace: StructureTrace) -> bool:
    return {trace.modules[name].num_params for name in matching_modules(parse_layer_key(text), trace)} == {count}


def _check_row(text: str, expected: int, moved: MovedLayers, trace: StructureTrace) -> list[Mismatch]:
    """Compare the count of a row; where it's of another layer now, that layer's, and else tell that it's another."""
    found = _check_layer_parameters(text, text, expected, trace)
    if text in moved.repacked or text not in moved.changes:
        return found  # what was split or merged is told by `shapes`
    elsewhere = _check_layer_parameters(text, moved.keys[text], expected, trace) if text in moved.keys else []
    told = f"it is {moved.keys[text]} now" if text in moved.keys else "it is gone, another layer has its name"
    changes = moved.changes[text]
    return elsewhere or [replace(one, notes=(*one.notes, ("note", told)), edits=changes) for one in found]


def _check_layer_parameters(text: str, now: str, expected: int, trace: StructureTrace) -> list[Mismatch]:
    """Compare the count of the layers that a row speaks of, whose key is `now`."""
    key = parse_layer_key(now)
    names = matching_modules(key, trace)
    keys = ("layers", text, "parameters")
    counts = {trace.modules[name].num_params for name in names}
    # What isn't one count any more can only be left out.
    edits = (Edit(keys, counts.pop()) if len(counts) == 1 else Removal(keys),)
    positions = {name: position for position, name in enumerate(reversed(trace.modules))}
    found = [
        _count_mismatch(keys, name, "parameters differ", expected, trace.modules[name].num_params, edits, name)
        for name in names
        if trace.modules[name].num_params != expected
    ]
    # The modules inside come before the one around them, as they explain it.
    ordered = [replace(one, order=_inner_first(one.subject, positions)) for one in found]
    return limit_glob(key, ordered)


def _inner_first(name: str, positions: Mapping[str, int]) -> int:
    depth = name.count(".")
    return (100 - min(depth, 99)) * len(positions) + (len(positions) - positions[name])


def _check_totals(spec_file: SpecFile, trace: StructureTrace) -> list[Mismatch]:
    spec, root = spec_file.spec, trace.root
    assert spec.parameters is not None
    short = not isinstance(spec_file.document.value["parameters"], dict)
    listed: list[tuple[str, str, int | None, int]] = [
        ("total", "parameters", spec.parameters.total, root.num_params),
        ("trainable", "trainable parameters", spec.parameters.trainable, root.num_trainable_params),
        ("buffers", "buffers", spec.parameters.buffers, root.num_buffers),
    ]
    found = []
    for field, subject, expected, actual in listed:
        if expected is not None and expected != actual:
            keys: Keys = ("parameters",) if short else ("parameters", field)
            one = _count_mismatch(keys, subject, "count differs", expected, actual, (Edit(keys, actual),), None)
            unlisted = _unlisted(spec, trace) if field == "total" and spec.layers else ""
            found.append(replace(one, notes=(("note", f"not listed: {unlisted}"),)) if unlisted else one)
    return found


def _unlisted(spec: Spec, trace: StructureTrace) -> str:
    """List the outermost modules with parameters that no line of the spec covers: an unexpected count may be theirs."""
    named = {name for text in spec.layers for name in matching_modules(parse_layer_key(text), trace)}
    around = {".".join(name.split(".")[:i]) for name in named for i in range(1, name.count(".") + 1)}
    counts = [
        f"{name} ({module.num_params:_})"
        for name, module in trace.modules.items()
        if name and module.num_params and not _is_covered(name, named, around)
    ]
    return listed(counts, limit=6) if counts else ""


def _is_covered(name: str, listed: set[str], around: set[str]) -> bool:
    parts = name.split(".")
    outer = [".".join(parts[:i]) for i in range(1, len(parts))]
    # Listed itself or by a module around it; or around listed ones; or inside an unlisted one that is told already.
    return name in around or name in listed or any(one in listed or one not in around for one in outer)


def _count_mismatch(
    keys: Keys, subject: str, problem: str, expected: int, actual: int, edits: tuple[Change, ...], module: str | None
) -> Mismatch:
    difference = f"{actual - expected:+_}"
    return Mismatch(keys, subject, problem, f"{expected:_}", f"{actual:_} ({difference})", module, (), edits)


class ParametersCheck(Check):
    """Compare the counts listed per layer, then total, trainable and buffers."""

    name = "parameters"
    needs = Needs.STRUCTURE
    recorded = ("parameters",)

    def place(self, spec: Spec) -> Keys | None:
        """Return the place of `parameters`, or else of the layers that list theirs."""
        if spec.parameters is not None:
            return ("parameters",)
        return ("layers",) if any(layer.parameters is not None for layer in spec.layers.values()) else None

    def run(self, context: CheckContext) -> Outcome:
        """Compare the counts."""
        return Outcome(tuple(check_parameters(context.spec_file, context.network.trace, partial(find_moved, context))))

    def record(self, context: CheckContext) -> Recording:
        """Record the counts of the network."""
        return record_structure(context, self.absent(context.spec))


CHECK = ParametersCheck()
