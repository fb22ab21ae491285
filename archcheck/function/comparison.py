"""Compare what a network computes with what was recorded: the first layer that differs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Final

from archcheck.findings import Keys, Mismatch
from archcheck.function.digested_layers import DIGEST_KINDS, OUTPUT, SHORT_KINDS, DigestedLayer, calls_inside, layers_of
from archcheck.function.layer_matching import LayerPair, pair_layers
from archcheck.function.origin import first_origin, taken_by, taken_on_the_way_out
from archcheck.function.records import DifferingCall, FunctionRecord
from archcheck.function.section import recorded_numbers, rounded, section_update
from archcheck.function.tolerances import TOLERANCE, inside_tolerance
from archcheck.spec.layer_keys import format_layer_key, parse_layer_key
from archcheck.spec.lock import LOCK, RecordedFunction
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.crashes import describe_crash
from archcheck.structure.layer_pairing import have_same_names
from archcheck.structure.records import Crash, FlowRecord, ForwardRecord, ModuleRecord, StructureTrace
from archcheck.text.words import listed

_NOISE: Final = {"float64": 1e-12, "float32": 1e-6}  # smaller differences don't count: inputs and weights are about 1
_COMBINED: Final = ("buffers", "initial", "gradient", "inputs")  # sums of parts of either sign, which may cancel out
_SAME_INPUTS: Final = 1e-5  # numbers that two machines draw and compute differ less
_PART: Final = 20.0  # about the size of each part
_SAME_VALUES: Final = 1e-3  # of a mean and an rms, which are recorded with four digits
_CLEAR: Final = 1e-4  # less comes of other layers: how much a small gradient counts depends on the network's largest
SeenFlow = tuple[ForwardRecord, FlowRecord]
_OF_PARAMETERS: Final = ("buffers", "initial", "gradient")  # absent where there are none


@dataclass(frozen=True, slots=True)
class FunctionDifference:
    """A network that computes something else than its spec recorded.

    Attributes:
        mismatch: with the edits of an update.
        call: the first call of a module that differs, and what was recorded of it; None where the run died.
        is_behind_new: layers that weren't recorded run right before it.
    """

    mismatch: Mismatch
    call: DifferingCall | None = None
    is_behind_new: bool = False


def compare_function(
    spec_file: SpecFile,
    record: FunctionRecord,
    trace: StructureTrace,
    *,
    is_live: bool = False,
    flow: Callable[[], FlowRecord | None] = lambda: None,
    moved: Callable[[], Mapping[str, str | None]] = dict,
) -> FunctionDifference | None:
    """Return the first layer that differs, if the network as a whole does.

    What the parameters start from is not compared for a live network, which may be trained. flow: follows what each
    call of the trace takes, where that's needed to find a difference that passes by layers that agree. moved: finds the
    labels that recorded layers have now, by those that they had; None where a layer is gone.
    """
    function = spec_file.recorded
    assert function is not None
    if record.crash is not None:
        return FunctionDifference(_crash_mismatch(record.crash, record.stage))
    if function.inputs_from is not None and not _is_same(function.inputs_from, record.made_inputs):
        mismatch = _other_inputs(function.inputs_from, record.made_inputs)
        return FunctionDifference(replace(mismatch, edits=section_update(spec_file, record, trace)))
    kinds = _comparison_with(function, record, is_live).differing_kinds(
        recorded_numbers(function.output), record.root.numbers
    )
    if not kinds:
        return None
    if record.untrainable is not None and set(kinds) <= {"gradient", "inputs"}:
        return FunctionDifference(_crash_mismatch(record.untrainable, "backward"))
    comparison = _comparison_under_names(spec_file, record, moved(), is_live)
    found = comparison.first_difference(kinds, lambda: _seen_flow(trace, flow))
    mismatch = replace(found.mismatch, edits=section_update(spec_file, record, trace))
    if found.label is None and found.kind in _OF_PARAMETERS:
        mismatch = _named_outside(mismatch, found.kind, comparison.expected, trace)
    numbers = comparison.expected_output if found.label is None else comparison.expected[found.label]
    call = ("", 0) if found.layer is None else (found.layer.name, found.layer.index)
    inner = None if found.inner is None else (found.inner.name, found.inner.index)
    differing = DifferingCall(*call, found.kind, numbers, inner, comparison.expected_output)
    return FunctionDifference(mismatch, differing, found.is_behind_new)


def num_agreeing(spec_file: SpecFile, record: FunctionRecord, moved: Mapping[str, str | None]) -> int:
    """Return how many of the recorded layers put out what they did in eval mode, the network as a whole among them.

    `moved` has the labels of now by those that were recorded; None where a layer is gone.
    """
    if record.crash is not None:
        return 0
    comparison = _comparison_under_names(spec_file, record, moved, is_live=False)
    agreeing = sum(comparison.agrees(label, layer) for label, layer in comparison.pairs())
    return agreeing + ("eval" not in comparison.differing_kinds(comparison.expected_output, record.root.numbers))


def _comparison_under_names(
    spec_file: SpecFile, record: FunctionRecord, moved: Mapping[str, str | None], is_live: bool
) -> Comparison:
    """Return the comparison with what was recorded, under the labels of now."""
    function, rows = spec_file.recorded, spec_file.spec.layers
    assert function is not None
    labels = _labels_now(function.layers, moved)
    function = function.model_copy(update={"layers": {now: function.layers[old] for now, old in labels.items()}})
    written = {now: rows[old].type for now, old in labels.items() if old in rows}
    types = {now: kind.rpartition(".")[2] for now, kind in written.items() if kind is not None}
    return replace(_comparison_with(function, record, is_live), expected_types=types, recorded_as=labels)


def _labels_now(labels: Iterable[str], moved: Mapping[str, str | None]) -> dict[str, str]:
    """Return the labels of recorded layers by those that they have now; a layer whose label is another's has none."""
    taken = {now for old, now in moved.items() if now != old}
    now_by_old = ((old, moved.get(old, old)) for old in labels)
    return {now: old for old, now in now_by_old if now is not None and (now != old or now not in taken)}


def _seen_flow(trace: StructureTrace, flow: Callable[[], FlowRecord | None]) -> SeenFlow | None:
    found = flow()
    return None if found is None else (trace.forwards[0], found)


def _named_outside(mismatch: Mismatch, kind: str, labels: Iterable[str], trace: StructureTrace) -> Mismatch:
    """Name the modules whose parameters or buffers no recorded layer has, as those that nothing calls: one differs."""
    recorded = {parse_layer_key(label).name for label in labels}
    names = [name for name in trace.modules if recorded.isdisjoint([name, *_modules_around(name)])]
    owners = [name for name in names if name and _num_own(name, kind, trace)]
    is_own = _num_own("", kind, trace) > 0
    if len(owners) == 1 and not is_own:
        return replace(mismatch, subject=format_layer_key(owners[0]), module=owners[0])
    outside = [*(["the network's own"] if is_own else []), *map(format_layer_key, owners)]
    where = f"in none of the recorded layers: {listed(outside, 6)}"
    return replace(mismatch, notes=(*mismatch.notes, ("where", where))) if outside else mismatch


def _num_own(name: str, kind: str, trace: StructureTrace) -> int:
    """Return how many numbers a module has in parameters or buffers of its own; those inside of it aren't counted."""

    def count(one: ModuleRecord) -> int:
        return one.num_buffers if kind == "buffers" else one.num_params

    inside = [one for other, one in trace.modules.items() if other and other.rpartition(".")[0] == name]
    return count(trace.modules[name]) - sum(map(count, inside))


def _is_same(recorded: float, made: float | None) -> bool:
    return made is not None and abs(made - recorded) <= _SAME_INPUTS * max(abs(recorded), 1.0)


def _other_inputs(recorded: float, made: float | None) -> Mismatch:
    """Say that the network wasn't given what it was recorded with, so that nothing else can be told."""
    notes = (("note", "change it back, or accept what it makes now: the function is recorded anew"),)
    found = "none" if made is None else f"check {made:.6g}"
    keys: Keys = (LOCK, "function", "inputs_from")
    return Mismatch(keys, "inputs_from", "makes other inputs", f"check {recorded:.6g}", found, notes=notes)


def same_layers(spec_file: SpecFile, record: FunctionRecord) -> Callable[[str, str], bool] | None:
    """Return whether a recorded layer and one of now, by their labels, compute the same.

    None where the network as a whole doesn't compute what was recorded: then it's of no use to compare layers.
    """
    function = spec_file.recorded
    if function is None or record.crash is not None:
        return None
    comparison = _comparison_with(function, record, is_live=False)
    if comparison.differing_kinds(comparison.expected_output, record.root.numbers):
        return None
    layers = {layer.label: layer for layer in layers_of(record)}

    def are_same(label: str, now: str) -> bool:
        if label not in comparison.expected or now not in layers:
            return False
        return not comparison.differing_kinds(comparison.expected[label], layers[now].numbers)

    return are_same


def _comparison_with(function: RecordedFunction, record: FunctionRecord, is_live: bool) -> Comparison:
    expected = {label: recorded_numbers(row) for label, row in function.layers.items()}
    output = recorded_numbers(function.output)
    expected_inside = {label: row.inside for label, row in function.layers.items()}
    expected_inside[OUTPUT] = function.output.inside
    if is_live and output.get("initial") != rounded(record.root.numbers, function.precision).get("initial"):
        expected_inside = {}  # a trained network, whose parameters started from elsewhere
    return Comparison(
        expected,
        output,
        record,
        function.precision,
        [kind for kind in DIGEST_KINDS if not (is_live and kind == "initial")],
        expected_inside=expected_inside,
        inside_tolerance=inside_tolerance(chain.from_iterable(expected_inside.values()), function.precision),
    )


def _crash_mismatch(crash: Crash, stage: str) -> Mismatch:
    mode = {"eval": "eval mode", "train": "train mode", "backward": "computing gradients"}[stage]
    subject = crash.module or "forward"
    keys: Keys = (LOCK, "function", "layers", crash.module) if crash.module else (LOCK, "function")
    return Mismatch(keys, subject, f"stopped in {mode}", "an output", describe_crash(crash), crash.module)


@dataclass(frozen=True, slots=True)
class InnerDifference:
    """A call that differs and has no label of its own.

    Attributes:
        row: the label that its number is recorded under: of the layer that returns next.
        expected: its number.
        layer: the call.
    """

    row: str
    expected: float
    layer: DigestedLayer


@dataclass(frozen=True, slots=True)
class LayerDifference:
    """The first difference.

    Attributes:
        label: of the recorded layer that differs first; None for the network itself.
        layer: what it's held against.
        inner: the first call before it or inside it that differs, which has no label of its own.
        kind: of the numbers that differ.
        is_behind_new: layers that weren't recorded run right before it.
    """

    label: str | None
    layer: DigestedLayer | None
    inner: DigestedLayer | None
    kind: str
    mismatch: Mismatch
    is_behind_new: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """Expected digests beside those of a record.

    Attributes:
        expected: the numbers of each layer, by label.
        expected_output: the numbers of the network as a whole.
        precision: of the computation.
        kinds: of digests that are compared.
        notes: for the message.
        expected_inside: by label, a number for each call before that one which has no label of its own.
        expected_types: by label, the name of the layer's type, where it's known.
        recorded_as: by label, the one under which a layer was recorded that has another name now.
    """

    expected: Mapping[str, Mapping[str, float]]
    expected_output: Mapping[str, float]
    record: FunctionRecord
    precision: str = "float64"
    kinds: Sequence[str] = tuple(DIGEST_KINDS)
    notes: Sequence[tuple[str, str]] = ()
    expected_inside: Mapping[str, Sequence[float]] = field(default_factory=dict)
    inside_tolerance: float = TOLERANCE["float64"]
    expected_types: Mapping[str, str] = field(default_factory=dict)
    recorded_as: Mapping[str, str] = field(default_factory=dict)

    def differing_kinds(self, expected: Mapping[str, float], actual: Mapping[str, float]) -> list[str]:
        """Return the kinds of numbers in which a layer differs."""
        compared = [kind for kind in self.kinds if kind in expected or kind in _OF_PARAMETERS]
        return [kind for kind in compared if not self._alike(kind, expected.get(kind), actual.get(kind))]

    def _alike(self, kind: str, expected: float | None, actual: float | None, tolerance: float = 0.0) -> bool:
        a, b = expected or 0.0, actual or 0.0
        scale = max(abs(a), _PART) if kind in _COMBINED else abs(a)
        # A NaN compares false, and is a difference.
        return abs(a - b) <= max(max(TOLERANCE[self.precision], tolerance) * scale, _NOISE[self.precision])

    def first_difference(
        self, kinds: Sequence[str], flow: Callable[[], SeenFlow | None] = lambda: None
    ) -> LayerDifference:
        """Return the first layer that differs in the first of the kinds in which the network as a whole does.

        flow: a forward pass, and where what its calls take comes from.
        """
        kind = kinds[0]
        pair = self.first_layer(kind, flow)
        label, layer = (None, None) if pair is None else pair
        mismatch = self._mismatch(label, layer, kinds)
        row = OUTPUT if label is None else label
        new, gone = (self._new_before(row), self._gone_before(row)) if self._have_same_names() else ([], [])
        told = [("new", new), ("gone", gone)]
        notes = tuple(("note", f"{how} before it: {listed(names, 4)}") for how, names in told if names)
        mismatch = replace(mismatch, notes=(*mismatch.notes, *notes))
        found = self._difference_inside(row)
        earlier = None if kind in _COMBINED else self._origin(row, layer, flow)
        if earlier is not None:
            behind = () if layer is None else (layer.label, *mismatch.behind)
            keys: Keys = (LOCK, "function", "layers", self._recorded(earlier.row), kind)
            mismatch = replace(mismatch, keys=keys, behind=behind)
            found = earlier
        if found is None:
            return LayerDifference(label, layer, None, kind, mismatch, bool(new))
        mismatch = _named_inside(mismatch, found, self._recorded(found.row))
        return LayerDifference(label, layer, found.layer, kind, mismatch, bool(new))

    def _recorded(self, label: str) -> str:
        return self.recorded_as.get(label, label)

    def _origin(
        self, row: str, layer: DigestedLayer | None, flow: Callable[[], SeenFlow | None]
    ) -> InnerDifference | None:
        """Return the first call that the difference of a layer comes from, where it lies before layers that agree."""
        rows = [*(label for label, _ in self.pairs()), OUTPUT]
        known = [one for label in rows[: rows.index(row)] for one in self._differences_inside(label)]
        seen = flow() if known else None
        if seen is None:
            return None
        known += self._differences_inside(row)
        differing = {(one.layer.name, one.layer.index): one.layer for one in known}
        found = first_origin(layer, differing, *seen)
        return next((one for one in known if one.layer is found and one.row != row), None)

    def _mismatch(self, label: str | None, layer: DigestedLayer | None, kinds: Sequence[str]) -> Mismatch:
        """Make the mismatch for a layer, or for the network itself."""
        kind = kinds[0]
        summary = ", ".join(SHORT_KINDS[one] for one in kinds)
        notes = [("differs", f"in the network as a whole: {summary}"), *self.notes]
        if label is None or layer is None:
            keys: Keys = (LOCK, "function", OUTPUT, kind)
            subject, module, expected, actual = OUTPUT, None, self.expected_output, self.record.root.numbers
        else:
            keys = (LOCK, "function", "layers", self._recorded(label), kind)
            subject, module, expected, actual = layer.label, layer.name, self.expected[label], layer.numbers
        if kind == "inputs" and not expected.get(kind):
            notes.append(("cause", "nothing came back to it when it was recorded: it was detached, or under no_grad"))
        if kind == "inputs" and not actual.get(kind):
            notes.append(("cause", "nothing comes back to it: detached, or under no_grad"))
        if kind == "gradient" and kind not in actual:
            notes.append(("cause", "nothing comes back to it: detached, under no_grad, frozen or not used"))
        if label is not None and self._recorded(label) != subject:
            notes.append(("recorded", f"as {self._recorded(label)}"))
        return Mismatch(
            keys, subject, DIGEST_KINDS[kind], _shown(expected, kind), _shown(actual, kind), module, tuple(notes),
            behind=() if layer is None else self._behind(layer, kind),
        )  # fmt: skip

    def _behind(self, first: DigestedLayer, kind: str) -> tuple[str, ...]:
        """Return the layers that differ behind one, in the order in which they return."""
        if kind in _OF_PARAMETERS:  # which every layer has for itself
            return ()
        differing = [layer for label, layer in self.pairs() if self._differs(label, layer, kind)]
        return tuple(layer.label for layer in differing[differing.index(first) + 1 :])

    def _difference_inside(self, label: str) -> InnerDifference | None:
        """Return the first call inside a layer that differs; None where none does."""
        return next(self._compared_inside(label), None)

    def _differences_inside(self, label: str) -> list[InnerDifference]:
        """Return the calls inside a layer that differ; none where others are called than were."""
        is_known = len(self._calls_inside(label)) == len(self.expected_inside.get(label, []))
        return list(self._compared_inside(label)) if is_known else []

    def _compared_inside(self, label: str) -> Iterator[InnerDifference]:
        for expected, layer in zip(self.expected_inside.get(label, []), self._calls_inside(label), strict=False):
            if abs(expected - layer.summary) > self.inside_tolerance * abs(expected):
                yield InnerDifference(label, expected, layer)

    def _have_same_names(self) -> bool:
        """Return whether layers are held against their own records, so that those in no pair are new or gone."""
        own = [label for label, layer in self.pairs() if label == layer.label]
        return bool(self.recorded_as) and have_same_names(len(own), len(self.expected))

    def _new_before(self, row: str) -> list[str]:
        """Return the layers that run between a recorded one and the one before it, where none ran; outer ones alone."""
        if self.expected_inside.get(row) != []:
            return []  # which of them are new isn't known
        calls = self._calls_inside(row)
        inside = tuple(f"{layer.name}." for layer in calls)
        return [f"{layer.label} ({layer.type_name})" for layer in calls if not layer.name.startswith(inside)]

    def _gone_before(self, row: str) -> list[str]:
        """Return what was recorded between a layer and the last one before it that is still there; outer ones alone."""
        held = {label for label, _ in self.pairs()}
        labels = list(self.expected)
        before = labels[: labels.index(row)] if row in self.expected else labels
        last = max((i for i, label in enumerate(before) if label in held), default=-1)
        gone = before[last + 1 :]
        inside = tuple(f"{parse_layer_key(label).name}." for label in gone)
        return [label for label in gone if not label.startswith(inside)]

    def _calls_inside(self, label: str) -> list[DigestedLayer]:
        """Return the calls that have no label of their own and return before that of a label."""
        now = {label: layer.label for label, layer in self.pairs()}
        return calls_inside(self.record, now.values()).get(now.get(label, label), [])

    # ----------------------------------------------------------------------------------------- which layer

    def first_layer(self, kind: str, flow: Callable[[], SeenFlow | None] = lambda: None) -> LayerPair | None:
        """Return the first layer that differs in `kind`, by its label in `expected` and as it is now.

        None where only the network as a whole differs. A layer that differs, and of which layers that agree are all
        that takes anything, was only written otherwise. Gradients are computed backwards: the last that is missing is
        the first that went wrong.
        """
        pairs = [(label, layer) for label, layer in self.pairs() if self._differs(label, layer, kind)]
        if kind not in _OF_PARAMETERS:
            return self._first_that_matters(pairs, kind, flow) if pairs else None
        outer = {name for _, layer in pairs for name in _modules_around(layer.name)}
        innermost = [pair for pair in pairs if pair[1].name not in outer and pair[1].index == 0]
        if kind == "gradient":
            clear = [(label, layer) for label, layer in innermost if self._differs(label, layer, kind, _CLEAR)]
            return (clear or innermost)[-1] if innermost else None
        return innermost[0] if innermost else None

    def _first_that_matters(
        self, differing: Sequence[LayerPair], kind: str, flow: Callable[[], SeenFlow | None]
    ) -> LayerPair:
        """Return the first of the layers that differ whose difference reaches the network's output."""
        pairs = self.pairs()
        agreeing = [pair for pair in pairs if not self._differs(*pair, kind)]
        seen = flow() if any(pair in agreeing for pair in pairs[pairs.index(differing[0]) :]) else None
        if seen is None:
            return differing[0]
        agree = {(layer.name, layer.index) for _, layer in agreeing}
        taken = taken_on_the_way_out(agree, *seen)
        if kind == "eval":
            by_agreeing = taken_by(agree, *seen)
            alike = [layer for label, layer in differing if self._has_the_same_values(label, layer)]
            taken -= {(layer.name, layer.index) for layer in alike} & by_agreeing

        def is_taken(layer: DigestedLayer) -> bool:
            inside = f"{layer.name}."
            return (layer.name, layer.index) in taken or any(name.startswith(inside) for name, _ in taken)

        return next((pair for pair in differing if is_taken(pair[1])), differing[0])

    def _has_the_same_values(self, label: str, layer: DigestedLayer) -> bool:
        """Return whether a layer puts out what it did in another order: such as with its axes exchanged."""
        pairs = [(self.expected[label].get(key), layer.numbers.get(key)) for key in ("mean", "rms")]
        return all(a is not None and b is not None and abs(a - b) <= _SAME_VALUES * abs(a) for a, b in pairs)

    def agrees(self, label: str, layer: DigestedLayer) -> bool:
        """Return whether a layer puts out in eval mode what was recorded under a label."""
        return not self._differs(label, layer, "eval")

    def _differs(self, label: str, layer: DigestedLayer, kind: str, tolerance: float = 0.0) -> bool:
        return not self._alike(kind, self.expected[label].get(kind), layer.numbers.get(kind), tolerance)

    def pairs(self) -> list[LayerPair]:
        """Return labels in `expected` and the layers of now, in the order in which these return."""

        def is_same(label: str, layer: DigestedLayer) -> bool:
            return self._alike("eval", self.expected[label].get("eval"), layer.numbers.get("eval"))

        return pair_layers(list(self.expected), layers_of(self.record), is_same, self.expected_types)


def _named_inside(mismatch: Mismatch, found: InnerDifference, row: str) -> Mismatch:
    """Name a call inside a layer, which has no label of its own, instead of the layer, which was called `row`."""
    return replace(
        mismatch,
        subject=found.layer.label,
        expected=f"check {found.expected:.7g}",
        actual=f"check {found.layer.summary:.7g}",
        module=found.layer.name,
        notes=(*mismatch.notes, ("recorded", f"inside {row}")),
    )


def _modules_around(name: str) -> Iterator[str]:
    """Yield the names of the modules that a module lies in."""
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _shown(numbers: Mapping[str, float], kind: str) -> str:
    """Return the digest of a layer as a message has it."""
    check = numbers.get(kind)
    if kind == "initial":
        return "all of them are drawn" if check is None else f"some start from constants (check {check:.7g})"
    text = "none" if check is None else f"check {check:.7g}"
    if kind == "eval" and "mean" in numbers:
        return f"mean {numbers['mean']:.4g}, rms {numbers['rms']:.4g}, {text}"
    return text
