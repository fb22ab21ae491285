"""The calls of layers in a record, with the names that messages and specs call them by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from archcheck.function.records import FunctionRecord
from archcheck.structure.layer_pairing import call_label

OUTPUT: Final = "output"  # stands for the network itself
DIGEST_KINDS: Final = {
    "eval": "the output differs",
    "train": "the output in train mode differs",
    "large": "the output at large values differs",
    "other": "the output under other weights differs",
    "bounds": "the output at very large or small inputs differs",
    "opened": "the output under weights that open its gates differs",
    "buffers": "its buffers after a step in train mode differ",
    "initial": "its parameters start from other constants",
    "gradient": "the gradients of its parameters differ",
    "inputs": "the gradient of the input differs",
}
SHORT_KINDS: Final = {
    "eval": "output",
    "train": "train mode",
    "large": "large values",
    "other": "other weights",
    "bounds": "extreme inputs",
    "opened": "opened gates",
    "buffers": "buffers",
    "initial": "initial constants",
    "gradient": "gradients",
    "inputs": "input gradient",
}
# How much each kind weighs in a number that stands for all; gradients differ in front of a mistake and not behind it.
_SUMMARY_WEIGHTS: Final = {"eval": 1.0, "train": 0.7, "large": 0.03, "buffers": 0.011, "initial": 0.013}


@dataclass(frozen=True, slots=True)
class DigestedLayer:
    """A call with the name that messages and specs call it by."""

    label: str
    name: str
    index: int
    type_name: str
    numbers: Mapping[str, float]

    @property
    def summary(self) -> float:
        """One number for what the layer computes in all passes, and for what its parameters start from."""
        return sum(
            weight * self.numbers[kind]
            for kind, weight in _SUMMARY_WEIGHTS.items()
            if math.isfinite(self.numbers.get(kind, math.nan))
        )


def layers_of(record: FunctionRecord) -> list[DigestedLayer]:
    """Return the calls of a record, inner ones before those around them; the network itself is not among them."""
    num_calls: dict[str, int] = {}  # calls that raised aren't in the record, and count nevertheless
    for call in record.calls:
        num_calls[call.name] = max(num_calls.get(call.name, 0), call.index + 1)
    return [
        DigestedLayer(
            call_label(call.name, call.index, num_calls[call.name]),
            call.name,
            call.index,
            call.type_name,
            call.numbers,
        )
        for call in record.calls
        if call.name
    ]


def calls_inside(record: FunctionRecord, labels: Iterable[str]) -> dict[str, list[DigestedLayer]]:
    """Return the calls that are not among `labels`, by the one of them that returns next, or by the output."""
    listed, found = set(labels), dict[str, list[DigestedLayer]]()
    waiting: list[DigestedLayer] = []
    for layer in layers_of(record):
        if "eval" not in layer.numbers:
            continue
        if layer.label in listed:
            found[layer.label], waiting = waiting, []
        else:
            waiting.append(layer)
    return {**found, OUTPUT: waiting}
