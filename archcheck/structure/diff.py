"""Differences between two traces, the first divergence first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

from archcheck.structure.crashes import describe_crash, describe_stop, explain
from archcheck.structure.layer_pairing import call_label, have_same_names
from archcheck.structure.patterns import format_calls, format_output
from archcheck.structure.records import StructureTrace, layers_only
from archcheck.text.tables import format_table


@dataclass(frozen=True, slots=True)
class LayerCall:
    """One call of a module, with what two networks are compared by."""

    name: str
    type_name: str
    output: str
    num_params: int
    is_leaf: bool
    order: int

    @property
    def signature(self) -> tuple[str, str, int]:
        """The layer without its name: type, output and number of parameters."""
        return self.type_name, self.output, self.num_params


@dataclass(frozen=True, slots=True)
class Divergence:
    """A layer that differs, or that only one side has."""

    left: LayerCall | None
    right: LayerCall | None

    @property
    def name(self) -> str:
        """The layer's name, or both names where they differ."""
        names = dict.fromkeys(side.name for side in (self.left, self.right) if side is not None)
        return " / ".join(names)


def compare_layers(left: StructureTrace, right: StructureTrace) -> list[Divergence]:
    """Return the layers that differ, in the order in which they finish: inner ones before those around them."""
    only = [{one.name for one in layers_of(layers_only(trace))} for trace in (left, right)]
    by_name = have_same_names(len(only[0] & only[1]), len(only[0] | only[1]))
    if by_name:
        pairs = _paired(layers_of(left), layers_of(right))
    else:
        pairs = _paired_by_execution(layers_of(layers_only(left)), layers_of(layers_only(right)))
    return _told(_without_insides([pair for pair in pairs if not _alike(pair, by_name)]))


def _without_insides(divergences: list[Divergence]) -> list[Divergence]:
    """Drop what lies inside a block that only one side has: the block stands for it."""
    alone = {one.name for one in divergences if one.left is None or one.right is None}

    def is_inside(one: Divergence) -> bool:
        parts = one.name.split(".")
        return one.name in alone and any(".".join(parts[:i]) in alone for i in range(1, len(parts)))

    return [one for one in divergences if not is_inside(one)]


def _told(divergences: list[Divergence]) -> list[Divergence]:
    """Drop what computes the weights of layers that differ themselves: those stand for it."""
    names = {one.name.partition("[")[0] for one in divergences}

    def is_of_one(one: Divergence) -> bool:
        layer, is_inside, _ = one.name.partition(".parametrizations.")
        return bool(is_inside) and layer in names

    return [one for one in divergences if not is_of_one(one)]


def _alike(pair: Divergence, by_name: bool) -> bool:
    if pair.left is None or pair.right is None:
        return False
    return pair.left.signature == pair.right.signature and (not by_name or pair.left.name == pair.right.name)


def layers_of(trace: StructureTrace) -> list[LayerCall]:
    """Return every call of the first forward, in the order in which they returned."""
    outputs = format_calls(trace)
    forward = trace.forwards[0]
    times = forward.num_calls()
    around = {name.rpartition(".")[0] for name, module in trace.modules.items() if not module.is_parametrization}
    layers = []
    for position, call in enumerate(forward.calls):
        if not call.name or call.output is None:
            continue
        output = outputs[(call.name, call.index)]
        name = call_label(call.name, call.index, times[call.name])
        module = trace.modules[call.name]
        order = call.finished if call.finished is not None else position
        is_leaf = not module.has_children or (
            call.name not in around and f"{call.name}.parametrizations" in trace.modules
        )
        layers.append(LayerCall(name, module.type_name, output, module.num_params, is_leaf, order))
    return sorted(layers, key=lambda layer: layer.order)


def _paired(ours: list[LayerCall], theirs: list[LayerCall]) -> Iterator[Divergence]:
    """Pair the layers of one name; what only one side has stands where it runs."""
    matcher = SequenceMatcher(None, [one.name for one in ours], [one.name for one in theirs], autojunk=False)
    moved = {one.name: one for one in theirs}
    seen_right = {one.name for one in ours}
    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        if kind == "equal":
            yield from (Divergence(a, b) for a, b in zip(ours[start:end], theirs[other_start:other_end], strict=True))
            continue
        yield from (Divergence(a, moved.get(a.name)) for a in ours[start:end])
        yield from (Divergence(None, b) for b in theirs[other_start:other_end] if b.name not in seen_right)


def _paired_by_execution(ours: list[LayerCall], theirs: list[LayerCall]) -> Iterator[Divergence]:
    """Pair leaf layers by what they are and when they run, whatever their names."""
    ours = [layer for layer in ours if layer.is_leaf]
    theirs = [layer for layer in theirs if layer.is_leaf]
    keys = [one.signature for one in ours], [one.signature for one in theirs]
    for kind, start, end, other_start, other_end in SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        lefts, rights = ours[start:end], theirs[other_start:other_end]
        for i in range(max(len(lefts), len(rights))):
            yield Divergence(lefts[i] if i < len(lefts) else None, rights[i] if i < len(rights) else None)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two networks side by side: the layers that differ, the first one first, and the totals that do.

    totals: what each is of, and of the left and the right network. remark: what there is to say where no layer differs.
    """

    divergences: list[Divergence]
    totals: list[list[str]]
    remark: str
    differs: bool

    def layers(self) -> list[list[str]]:
        """Return each layer that differs, with what either side has."""
        return [[one.name, cell(one.left, one.right), cell(one.right, one.left)] for one in self.divergences]

    def text(self, names: tuple[str, str]) -> str:
        """Return it as text; `names` are those of the networks."""
        parts = [self.remark]
        if self.divergences:
            parts.append(format_table(self.layers(), ["layer", *names], ["left"] * 3, "simple"))
        if self.totals:
            parts.append(format_table(self.totals, ["total", *names], ["left"] * 3, "simple"))
        return "\n\n".join(filter(None, parts))


def compare_networks(left: StructureTrace, right: StructureTrace) -> Comparison:
    """Compare two networks."""
    divergences, totals = compare_layers(left, right), _totals(left, right)
    if divergences:
        return Comparison(divergences, totals, f"first divergence: {divergences[0].name}", True)
    if totals:
        return Comparison([], totals, "", True)
    alike, stop = f"{len(layers_of(left))} layer calls alike", describe_stop(left)
    if stop:
        return Comparison([], [], f"no difference before both stop ({alike}): {stop}", True)
    return Comparison([], [], f"no difference in structure: {alike}", False)


def cell(layer: LayerCall | None, other: LayerCall | None) -> str:
    """Return what one side has, as far as it differs from the other."""
    if layer is None:
        return "-"
    parts = [layer.type_name]
    if other is None or layer.output != other.output:
        parts.append(layer.output)
    if layer.num_params != (other.num_params if other is not None else 0):
        parts.append(f"{layer.num_params:_} parameters")
    return " ".join(parts)


def _totals(left: StructureTrace, right: StructureTrace) -> list[list[str]]:
    rows = [
        ["output", *(_output(side) for side in (left, right))],
        ["parameters", *(f"{side.root.num_params:_}" for side in (left, right))],
        ["frozen", *(f"{side.root.num_frozen_params:_}" for side in (left, right))],
        ["buffers", *(f"{side.root.num_buffers:_}" for side in (left, right))],
        ["macs", *("-" if side.macs is None else f"{side.macs:_}" for side in (left, right))],
    ]
    return [row for row in rows if row[1] != row[2]]


def _output(trace: StructureTrace) -> str:
    forward = trace.forwards[0]
    if forward.crash is not None:
        return f"stopped at {explain(describe_crash(forward.crash))}"
    return format_output(trace)
