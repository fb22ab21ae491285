"""Compare what a network computes with what was recorded: the first layer that differs. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from typing import Final

from archcheck.findings import Keys, Mismatch
from archcheck.function.digested_layers import DIGEST_KINDS, OUTPUT, SHORT_KINDS, DigestedLayer, calls_inside, layers_of
from archcheck.function.records import DifferingCall, FunctionRecord
from archcheck.function.section import recorded_numbers, rounded, section_update
from archcheck.function.tolerances import INSIDE_TOLERANCE, TOLERANCE
from archcheck.spec.layer_keys import LayerKey, parse_layer_key
from archcheck.spec.models import Function
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.crashes import describe_crash
from archcheck.structure.layer_pairing import have_same_names
from archcheck.structure.records import StructureTrace

_SIMILAR_TYPES: Final = 0.5  # ratio of the names of two types, such as MaxPool2d and AvgPool2d
# Of the largest number of its kind in any layer: smaller differences are rounding errors of what was added and taken
# away again. Much less than the tolerance, which is relative to each layer's own numbers.
_NOISE: Final = {"float64": 1e-13, "float32": 1e-6}
_OF_PARAMETERS: Final = ("buffers", "initial", "gradient")  # absent where there are none


@dataclass(frozen=True, slots=True)
class FunctionDifference:
    """A network that computes something else than its spec recorded.

    Attributes:
        mismatch: with the edits of an update.
        call: the first call of a module that differs, and what was recorded of it; None where the run died.
    """

    mismatch: Mismatch
    call: DifferingCall | None = None


def compare_function(
    spec_file: SpecFile, record: FunctionRecord, trace: StructureTrace, *, is_live: bool = False
) -> FunctionDifference | None:
    """Return the first layer that differs, if the network as a whole does.

    What the parameters start from is not compared for a live network, which may be trained.
    """
    function = spec_file.spec.function
    assert isinstance(function, Function)
    if record.crash is not None:
        return FunctionDifference(_crash_mismatch(record))
    comparison = _comparison_with(function, record, is_live)
    kinds = comparison.differing_kinds(comparison.expected_output, record.root.numbers)
    if not kinds:
        return None
    found = comparison.first_difference(kinds)
    mismatch = replace(found.mismatch, edits=section_update(spec_file, record, trace))
    key = LayerKey("", "", None) if found.label is None else parse_layer_key(found.label)
    numbers = comparison.expected_output if found.label is None else comparison.expected[found.label]
    return FunctionDifference(mismatch, DifferingCall(key.pattern, key.call or 0, found.kind, numbers))


def _comparison_with(function: Function, record: FunctionRecord, is_live: bool) -> Comparison:
    expected = {label: recorded_numbers(row) for label, row in function.layers.items()}
    output = recorded_numbers(function.output) if function.output is not None else {}
    expected_inside = {label: row.inside for label, row in function.layers.items()}
    expected_inside[OUTPUT] = function.output.inside if function.output is not None else []
    if is_live and output.get("initial") != rounded(record.root.numbers, function.precision).get("initial"):
        expected_inside = {}  # a trained network, whose parameters started from elsewhere
    return Comparison(
        expected,
        output,
        record,
        function.precision,
        [kind for kind in DIGEST_KINDS if not (is_live and kind == "initial")],
        expected_inside=expected_inside,
    )


def _crash_mismatch(record: FunctionRecord) -> Mismatch:
    assert record.crash is not None
    mode = {"eval": "eval mode", "train": "train mode", "backward": "computing gradients"}[record.stage]
    subject = record.crash.module or "forward"
    return Mismatch(
        ("function",), subject, f"stopped in {mode}", "an output", describe_crash(record.crash), record.crash.module
    )


@dataclass(frozen=True, slots=True)
class LayerDifference:
    """The recorded layer that differs first (None for the network itself), in which kind, and the mismatch for it."""

    label: str | None
    kind: str
    mismatch: Mismatch


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
    """

    expected: Mapping[str, Mapping[str, float]]
    expected_output: Mapping[str, float]
    record: FunctionRecord
    precision: str = "float64"
    kinds: Sequence[str] = tuple(DIGEST_KINDS)
    notes: Sequence[tuple[str, str]] = ()
    expected_inside: Mapping[str, Sequence[float]] = field(default_factory=dict)
    expected_types: Mapping[str, str] = field(default_factory=dict)
    _largest: Mapping[str, float] = field(init=False)

    def __post_init__(self) -> None:
        rows = [*self.expected.values(), self.expected_output]
        largest = {kind: max(abs(row.get(kind, 0.0)) for row in rows) for kind in DIGEST_KINDS}
        object.__setattr__(self, "_largest", largest)  # once: layers are compared by the thousand

    def differing_kinds(self, expected: Mapping[str, float], actual: Mapping[str, float]) -> list[str]:
        """Return the kinds of numbers in which a layer differs."""
        compared = [kind for kind in self.kinds if kind in expected or kind in _OF_PARAMETERS]
        return [kind for kind in compared if not self._alike(kind, expected.get(kind), actual.get(kind))]

    def _alike(self, kind: str, expected: float | None, actual: float | None) -> bool:
        a, b = expected or 0.0, actual or 0.0
        # A NaN compares false, and is a difference.
        return abs(a - b) <= max(TOLERANCE[self.precision] * abs(a), _NOISE[self.precision] * self._largest[kind])

    def first_difference(self, kinds: Sequence[str]) -> LayerDifference:
        """Return the first layer that differs in the first of the kinds in which the network as a whole does."""
        kind = kinds[0]
        pair = self.first_layer(kind)
        label, layer = (None, None) if pair is None else pair
        mismatch = self._mismatch(label, layer, kinds)
        return LayerDifference(label, kind, self._named_inside(OUTPUT if label is None else label, mismatch))

    def _mismatch(self, label: str | None, layer: DigestedLayer | None, kinds: Sequence[str]) -> Mismatch:
        """Make the mismatch for a layer, or for the network itself."""
        kind = kinds[0]
        summary = ", ".join(SHORT_KINDS[one] for one in kinds)
        notes = [("differs", f"in the network as a whole: {summary}"), *self.notes]
        if label is None or layer is None:
            keys: Keys = ("function", OUTPUT, kind)
            subject, module, expected, actual = OUTPUT, None, self.expected_output, self.record.root.numbers
        else:
            keys = ("function", "layers", label, kind)
            subject, module, expected, actual = layer.label, layer.name, self.expected[label], layer.numbers
        if kind == "gradient" and kind not in actual:
            notes.append(("cause", "nothing comes back to it: detached, under no_grad, frozen or not used"))
        if label is not None and label != subject:
            notes.append(("recorded", f"as {label}"))
        return Mismatch(
            keys, subject, DIGEST_KINDS[kind], _shown(expected, kind), _shown(actual, kind), module, tuple(notes)
        )

    def _named_inside(self, label: str, mismatch: Mismatch) -> Mismatch:
        """Name the first call inside a layer that differs, where one does; such calls have no label of their own."""
        calls = calls_inside(self.record, self.expected).get(label, [])
        for expected, layer in zip(self.expected_inside.get(label, []), calls, strict=False):
            actual = layer.summary
            if abs(expected - actual) > INSIDE_TOLERANCE[self.precision] * abs(expected):
                where = ("recorded", f"inside {mismatch.subject}")
                return replace(
                    mismatch, subject=layer.label, expected=f"check {expected:.7g}", actual=f"check {actual:.7g}",
                    module=layer.name, notes=(*mismatch.notes, where),
                )  # fmt: skip
        return mismatch

    # ----------------------------------------------------------------------------------------- which layer

    def first_layer(self, kind: str) -> tuple[str, DigestedLayer] | None:
        """Return the first layer that differs in `kind`, by its label in `expected` and as it is now.

        None where only the network as a whole differs. Gradients are computed backwards: the last that is missing is
        the first that went wrong.
        """
        pairs = [(label, layer) for label, layer in self.pairs() if self._differs(label, layer, kind)]
        innermost = [pair for pair in pairs if not any(other[1].is_inside(pair[1]) for other in pairs)]
        if kind in _OF_PARAMETERS:
            innermost = [pair for pair in innermost if pair[1].index == 0]
            return (innermost[-1] if kind == "gradient" else innermost[0]) if innermost else None
        return pairs[0] if pairs else None

    def _differs(self, label: str, layer: DigestedLayer, kind: str) -> bool:
        return not self._alike(kind, self.expected[label].get(kind), layer.numbers.get(kind))

    def pairs(self) -> list[tuple[str, DigestedLayer]]:
        """Return labels in `expected` and the layers of now, in the order in which these return."""
        layers = layers_of(self.record)
        keys = {label: parse_layer_key(label) for label in self.expected}
        expected = {(key.pattern, key.call or 0): label for label, key in keys.items()}
        names = {layer.name for layer in layers}
        if not have_same_names(sum(name in names for name, _ in expected), len(expected)):
            return self._pairs_by_execution(layers)
        calls = {(layer.name, layer.index) for layer in layers}
        missing = iter([label for key, label in expected.items() if key not in calls])
        depth = max((name.count(".") for name, _ in expected), default=0)
        found = []
        for layer in layers:
            # A call more than there was takes the place of something else, and can only be held against the first.
            label = expected.get((layer.name, layer.index), expected.get((layer.name, 0)))
            if label is None and layer.name.count(".") <= depth:  # a new layer takes the place of one that's gone
                label = next(missing, None)
            if label is not None:
                found.append((label, layer))
        return found

    def _pairs_by_execution(self, layers: Sequence[DigestedLayer]) -> list[tuple[str, DigestedLayer]]:
        """Pair layers under other names: those that compute the same, in order, and the two that run next.

        Where layers are packed differently some have no counterpart, and are no difference; the first difference is
        behind the last layer that has one.
        """
        found: list[tuple[str, DigestedLayer]] = []
        position, last = 0, -1
        for i, (label, row) in enumerate(self.expected.items()):
            ahead = range(position, len(layers))
            match = next(
                (j for j in ahead if self._alike("eval", row.get("eval"), layers[j].numbers.get("eval"))), None
            )
            if match is not None:
                found.append((label, layers[match]))
                position, last = match + 1, i
        return [*found, *self._next_pair(list(self.expected)[last + 1 :], layers[position:])]

    def _next_pair(self, expected: Sequence[str], layers: Sequence[DigestedLayer]) -> list[tuple[str, DigestedLayer]]:
        """Pair the next two, unless one has no counterpart and the one behind it is of a type like the other's."""
        near = [(expected[:1], layers[:1]), (expected[1:2], layers[:1]), (expected[:1], layers[1:2])]
        pairs = [pair for labels, those in near for pair in zip(labels, those, strict=False)]
        types = [(self.expected_types.get(label, ""), layer.type_name) for label, layer in pairs]
        similarity = [SequenceMatcher(None, ours, theirs).ratio() for ours, theirs in types]
        best = max(similarity, default=0.0)
        return [pairs[similarity.index(best) if best > _SIMILAR_TYPES else 0]] if pairs else []


def _shown(numbers: Mapping[str, float], kind: str) -> str:
    """Return the digest of a layer as a message has it."""
    check = numbers.get(kind)
    text = "none" if check is None else f"check {check:.7g}"
    if kind == "eval" and "mean" in numbers:
        return f"mean {numbers['mean']:.4g}, rms {numbers['rms']:.4g}, {text}"
    return text
