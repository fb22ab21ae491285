"""Pure: what a network computed and what was recorded to mismatches, the first layer that differs first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from typing import Any, Final

from archcheck.findings import Edit, Keys, Mismatch
from archcheck.function.records import CallDigest, FunctionRecord
from archcheck.spec.layer_keys import LayerKey, parse_layer_key
from archcheck.spec.models import Digests, Function, Spec
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.crashes import describe_crash
from archcheck.structure.layer_selection import default_depth, matching_modules
from archcheck.structure.records import StructureTrace

TOLERANCE: Final = {"float64": 3e-8, "float32": 3e-3}
_DIGITS: Final = {"float64": 9, "float32": 4}
_RESEMBLING: Final = 0.5  # of the names of two types, such as MaxPool2d and AvgPool2d
_SKETCHED: Final = 4  # digits of what is there to be read by people
_INSIDE: Final = {"float64": 7, "float32": 4}  # digits of what is there to name a layer
_NEAR: Final = {"float64": 1e-6, "float32": 3e-3}  # relative: how near numbers of so few digits come
# How much each kind weighs in a number that stands for all; gradients differ in front of a mistake and not behind it.
_WEIGHTS: Final = {"eval": 1.0, "train": 0.7, "large": 0.03, "buffers": 0.011, "initial": 0.013}
_LEAST: Final = 1e-9  # of the largest number of its kind: what is smaller is noise, and no difference
SAME_NAMES: Final = 0.5  # below this share of common names the layers are matched by what they compute
KINDS: Final = {
    "eval": "the output differs",
    "train": "the output in train mode differs",
    "large": "the output at large values differs",
    "buffers": "its buffers after a step in train mode differ",
    "initial": "its parameters start from other constants",
    "gradient": "the gradients of its parameters differ",
    "inputs": "the gradient of the input differs",
}
_SHORT: Final = {
    "eval": "output",
    "train": "train mode",
    "large": "large values",
    "buffers": "buffers",
    "initial": "initial constants",
    "gradient": "gradients",
    "inputs": "input gradient",
}
_OF_PARAMETERS: Final = ("buffers", "initial", "gradient")  # absent where there are none
OUTPUT: Final = "output"
PLANNED: Final = ("input", "at", "precision", "budget")  # what an author may choose of how a function is recorded


@dataclass(frozen=True, slots=True)
class DigestedLayer:
    """A call with the name that messages and specs call it by."""

    label: str
    name: str
    index: int
    type_name: str
    numbers: Mapping[str, float]


def layers_of(record: FunctionRecord) -> list[DigestedLayer]:
    """The calls of a record, inner ones before those around them; the network itself is not among them."""
    times: dict[str, int] = {}
    for call in record.calls:
        times[call.name] = max(times.get(call.name, 0), call.index + 1)
    return [_layer(call, times[call.name] > 1) for call in record.calls if call.name]


def _layer(call: CallDigest, several: bool) -> DigestedLayer:
    label = f"{call.name}[{call.index}]" if several else call.name
    return DigestedLayer(label, call.name, call.index, call.type_name, call.numbers)


# ------------------------------------------------------------------------------------------- recording


def rounded(numbers: Mapping[str, float], precision: str) -> dict[str, float]:
    """Numbers with as many digits as mean something."""
    finite = {key: number for key, number in numbers.items() if math.isfinite(number)}
    digits = dict.fromkeys(KINDS, _DIGITS[precision])
    return {
        key: float(f"{finite[key]:.{digits.get(key, _SKETCHED)}g}") for key in Digests.model_fields if key in finite
    }


def listed_names(spec_file: SpecFile, trace: StructureTrace, depth: int) -> set[str]:
    """The modules whose digests a spec has: those that it lists, and those of the first levels."""
    named = {name for text in spec_file.spec.layers for name in matching_modules(parse_layer_key(text), trace)}
    return named | {name for name in trace.modules if name and name.count(".") < depth}


def function_section(record: FunctionRecord, plan: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """What a spec records of a function, as a plain value; `plan` is what comes before the digests."""
    wanted, precision = set(names), plan.get("precision", "float64")
    layers: dict[str, dict[str, Any]] = {
        one.label: rounded(one.numbers, precision) for one in layers_of(record) if one.name in wanted
    }
    calls = calls_inside(record, layers).items()
    inside = {label: [_sketch(one, precision) for one in those] for label, those in calls if those}
    for label, row in layers.items():
        row |= {"inside": inside[label]} if label in inside else {}
    whole = rounded(record.root.numbers, precision) | ({"inside": inside[OUTPUT]} if OUTPUT in inside else {})
    gains = {str(position): exponent for position, exponent in sorted(record.exponents.items())}
    large = {"large": int(record.large)} if record.large != Function.model_fields["large"].default else {}
    section = {**plan, **large, "gains": gains, "layers": {label: row for label, row in layers.items() if row}}
    kept = {key: value for key, value in section.items() if value or key == "train"}
    return {**kept, OUTPUT: whole}


def calls_inside(record: FunctionRecord, labels: Iterable[str]) -> dict[str, list[DigestedLayer]]:
    """The calls that are not among `labels`, by the one that returns next after them, or the output."""
    listed, found = set(labels), dict[str, list[DigestedLayer]]()
    waiting: list[DigestedLayer] = []
    for layer in layers_of(record):
        if layer.label in listed:
            found[layer.label], waiting = waiting, []
        elif "eval" in layer.numbers:
            waiting.append(layer)
    return {**found, OUTPUT: waiting}


def _sketch(layer: DigestedLayer, precision: str) -> float:
    return float(f"{_summary(layer.numbers):.{_INSIDE[precision]}g}")


def _summary(numbers: Mapping[str, float]) -> float:
    """One number for what a layer computes in all passes, and for what its parameters start from."""
    return sum(
        weight * numbers[kind] for kind, weight in _WEIGHTS.items() if math.isfinite(numbers.get(kind, math.nan))
    )


# ------------------------------------------------------------------------------------------- comparing


def check_function(
    spec_file: SpecFile, record: FunctionRecord, trace: StructureTrace, *, is_live: bool = False
) -> list[Mismatch]:
    """At most one mismatch: the first layer that differs, if the network as a whole does.

    What the parameters start from can't be told of a live network, which may be trained.
    """
    function = spec_file.spec.function
    assert isinstance(function, Function)
    if record.crash is not None:
        return [_crashed(record)]
    expected = {label: _numbers(row) for label, row in function.layers.items()}
    whole = _numbers(function.output) if function.output is not None else {}
    kinds = [kind for kind in KINDS if not (is_live and kind == "initial")]
    insides = {label: row.inside for label, row in function.layers.items()}
    insides[OUTPUT] = function.output.inside if function.output is not None else []
    if is_live and whole.get("initial") != rounded(record.root.numbers, function.precision).get("initial"):
        insides = {}  # a trained one, whose parameters started from elsewhere
    near = _NEAR[function.precision]
    comparison = Comparison(expected, whole, record, TOLERANCE[function.precision], kinds, insides=insides, near=near)
    different = comparison.differing(whole, record.root.numbers)
    if not different:
        return []
    return [replace(comparison.mismatch(different), edits=_edits(spec_file, record, trace))]


def _edits(spec_file: SpecFile, record: FunctionRecord, trace: StructureTrace) -> tuple[Edit, ...]:
    """What an update writes: the same rows with the numbers of now, as long as there are those layers."""
    function = spec_file.spec.function
    assert isinstance(function, Function)
    if not all(math.isfinite(number) for key, number in record.root.numbers.items() if key != "large"):
        return ()
    written = spec_file.document.value["function"]
    head = {key: written[key] for key in (*PLANNED, "train") if key in written}
    labels = {layer.label: layer.name for layer in layers_of(record)}
    names: Iterable[str] = {labels[label] for label in function.layers if label in labels}
    if not function.layers.keys() <= labels.keys():
        names = listed_names(spec_file, trace, default_depth(trace))
    section = function_section(record, head, names)
    precision = function.precision
    rows = {label: _written(row) for label, row in function.layers.items()}
    for label, row in section.get("layers", {}).items():
        section["layers"][label] = _kept(rows.get(label, {}), row, precision)
    if function.output is not None:
        section[OUTPUT] = _kept(_written(function.output), section[OUTPUT], precision)
    return (Edit(("function",), section),)


def _written(row: Digests) -> dict[str, Any]:
    return {**_numbers(row), "inside": list(row.inside)}


def _kept(old: Mapping[str, Any], new: Mapping[str, Any], precision: str) -> dict[str, Any]:
    """The new numbers, and the old ones where they only differ as two machines do."""
    return {
        key: old[key] if key in old and _is_close(old[key], number, precision) else number
        for key, number in new.items()
    }


def _is_close(a: Any, b: Any, precision: str) -> bool:
    if isinstance(a, list) or isinstance(b, list):
        near = _NEAR[precision]
        return len(a) == len(b) and all(abs(x - y) <= near * abs(x) for x, y in zip(a, b, strict=True))
    return bool(abs(a - b) <= TOLERANCE[precision] * abs(a))


def recorded_row(spec: Spec, keys: Keys) -> tuple[LayerKey, dict[str, float]] | None:
    """The layer that a mismatch's keys speak of, and what was recorded of it; None where they speak of no digest."""
    function = spec.function
    if not isinstance(function, Function) or keys[:1] != ("function",) or len(keys) < 3:
        return None
    if keys[1] == OUTPUT and function.output is not None:
        return LayerKey("", "", None), _numbers(function.output)
    label = str(keys[2])
    return (parse_layer_key(label), _numbers(function.layers[label])) if label in function.layers else None


def _numbers(row: Digests) -> dict[str, float]:
    return {key: value for key, value in row.model_dump(exclude={"inside"}).items() if value is not None}


def _crashed(record: FunctionRecord) -> Mismatch:
    assert record.crash is not None
    mode = {"eval": "eval mode", "train": "train mode", "backward": "computing gradients"}[record.stage]
    subject = record.crash.module or "forward"
    return Mismatch(
        ("function",), subject, f"stopped in {mode}", "an output", describe_crash(record.crash), record.crash.module
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Recorded digests (`expected` by layer, `whole` of the network) beside those of a record."""

    expected: Mapping[str, Mapping[str, float]]
    whole: Mapping[str, float]
    record: FunctionRecord
    tolerance: float
    kinds: Sequence[str] = tuple(KINDS)
    notes: Sequence[tuple[str, str]] = ()
    insides: Mapping[str, Sequence[float]] = field(default_factory=dict)
    near: float = _NEAR["float64"]
    types: Mapping[str, str] = field(default_factory=dict)
    _largest: Mapping[str, float] = field(init=False)

    def __post_init__(self) -> None:
        rows = [*self.expected.values(), self.whole]
        largest = {kind: max(abs(row.get(kind, 0.0)) for row in rows) for kind in KINDS}
        object.__setattr__(self, "_largest", largest)  # once: layers are compared by the thousand

    def differing(self, expected: Mapping[str, float], actual: Mapping[str, float]) -> list[str]:
        """The kinds of numbers in which a layer differs from what was recorded."""
        compared = [kind for kind in self.kinds if kind in expected or kind in _OF_PARAMETERS]
        return [kind for kind in compared if not self._alike(kind, expected.get(kind), actual.get(kind))]

    def _alike(self, kind: str, expected: float | None, actual: float | None) -> bool:
        a, b = expected or 0.0, actual or 0.0
        # A NaN compares false, and is a difference.
        return abs(a - b) <= max(self.tolerance * abs(a), _LEAST * self._largest[kind])

    def mismatch(self, kinds: Sequence[str]) -> Mismatch:
        """What differs in the network as a whole, told of the first layer in which it does."""
        kind = kinds[0]
        pair = self.first_layer(kind)
        if pair is None:
            keys: Keys = ("function", OUTPUT, kind)
            return self._inside(
                OUTPUT, self._told(keys, OUTPUT, None, self.whole, self.record.root.numbers, kind, kinds)
            )
        label, layer = pair
        keys = ("function", "layers", label, kind)
        return self._inside(
            label, self._told(keys, layer.label, layer.name, self.expected[label], layer.numbers, kind, kinds)
        )

    def _inside(self, label: str, found: Mismatch) -> Mismatch:
        """The same, told of a layer inside that has no line of its own, where it's one of those that differs first."""
        calls = calls_inside(self.record, self.expected).get(label, [])
        recorded = self.insides.get(label, [])
        for expected, layer in zip(recorded, calls, strict=False):
            actual = _summary(layer.numbers)
            if abs(expected - actual) > self.near * abs(expected):
                where = ("recorded", f"inside {found.subject}")
                return replace(
                    found, subject=layer.label, expected=f"check {expected:.7g}", actual=f"check {actual:.7g}",
                    module=layer.name, notes=(*found.notes, where),
                )  # fmt: skip
        return found

    def _told(
        self,
        keys: Keys,
        subject: str,
        module: str | None,
        expected: Mapping[str, float],
        actual: Mapping[str, float],
        kind: str,
        kinds: Sequence[str],
    ) -> Mismatch:
        also = [_SHORT[other] for other in kinds if other != kind]
        notes = [("differs", f"in the network as a whole: {', '.join([_SHORT[kind], *also])}"), *self.notes]
        if kind == "gradient" and kind not in actual:
            notes.append(("cause", "nothing comes back to it: detached, under no_grad, frozen or not used"))
        recorded = keys[2] if keys[1] == "layers" else subject
        if recorded != subject:
            notes.append(("recorded", f"as {recorded}"))
        return Mismatch(keys, subject, KINDS[kind], _shown(expected, kind), _shown(actual, kind), module, tuple(notes))

    # ----------------------------------------------------------------------------------------- which layer

    def first_layer(self, kind: str) -> tuple[str, DigestedLayer] | None:
        """The first layer that differs in `kind`, by its recorded name and as it is now; None for none but the whole.

        Gradients come from behind: the last one that is missing is the first that went wrong.
        """
        pairs = [(label, layer) for label, layer in self.pairs() if self._differs(label, layer, kind)]
        innermost = [pair for pair in pairs if not any(_is_inside(other[1], pair[1]) for other in pairs)]
        if kind in _OF_PARAMETERS:
            innermost = [pair for pair in innermost if pair[1].index == 0]
            return (innermost[-1] if kind == "gradient" else innermost[0]) if innermost else None
        return pairs[0] if pairs else None

    def _differs(self, label: str, layer: DigestedLayer, kind: str) -> bool:
        return not self._alike(kind, self.expected[label].get(kind), layer.numbers.get(kind))

    def pairs(self) -> list[tuple[str, DigestedLayer]]:
        """Recorded layers and those of now, in the order in which these return."""
        layers = layers_of(self.record)
        expected = {(key.pattern, key.call or 0): label for label, key in self._keys()}
        names = {layer.name for layer in layers}
        if sum(name in names for name, _ in expected) < SAME_NAMES * len(expected):
            return self._pairs_by_execution(layers)
        calls = {(layer.name, layer.index) for layer in layers}
        missing = iter([label for key, label in expected.items() if key not in calls])
        depth = max((name.count(".") for name, _ in expected), default=0)
        found = []
        for layer in layers:
            # A call more than there was takes the place of something else, and can only be held against the first.
            label = expected.get((layer.name, layer.index), expected.get((layer.name, 0)))
            if label is None and layer.name.count(".") <= depth:  # a new one has the place of one that's no more
                label = next(missing, None)
            if label is not None:
                found.append((label, layer))
        return found

    def _keys(self) -> Iterator[tuple[str, LayerKey]]:
        return ((label, parse_layer_key(label)) for label in self.expected)

    def _pairs_by_execution(self, layers: Sequence[DigestedLayer]) -> list[tuple[str, DigestedLayer]]:
        """Layers under other names: those that compute the same, one after the other, and the two that run next.

        Where layers are packed otherwise some have no counterpart, and are no difference; what is behind the last that
        has one is where the two part.
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
        return [*found, *self._parting(list(self.expected)[last + 1 :], layers[position:])]

    def _parting(self, expected: Sequence[str], layers: Sequence[DigestedLayer]) -> list[tuple[str, DigestedLayer]]:
        """The next two, unless one of them has no counterpart and the one behind it is of a type like the other's."""
        near = [(expected[:1], layers[:1]), (expected[1:2], layers[:1]), (expected[:1], layers[1:2])]
        pairs = [pair for labels, those in near for pair in zip(labels, those, strict=False)]
        likeness = [SequenceMatcher(None, self.types.get(label, ""), layer.type_name).ratio() for label, layer in pairs]
        best = max(likeness, default=0.0)
        return [pairs[likeness.index(best) if best > _RESEMBLING else 0]] if pairs else []


def _is_inside(inner: DigestedLayer, outer: DigestedLayer) -> bool:
    return inner.name != outer.name and inner.name.startswith(outer.name + ".")


def _shown(numbers: Mapping[str, float], kind: str) -> str:
    """The digest of a layer, as a message has it."""
    check = numbers.get(kind)
    text = "none" if check is None else f"check {check:.7g}"
    if kind == "eval" and "mean" in numbers:
        return f"mean {numbers['mean']:.4g}, rms {numbers['rms']:.4g}, {text}"
    return text
