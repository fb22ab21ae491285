"""Which outputs only follow from others: those that are as the spec says once the others are."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from archcheck.checks.network_under_test import NetworkUnderTest
from archcheck.errors import BuildError
from archcheck.findings import Mismatch
from archcheck.spec.layer_keys import LayerKey, parse_layer_key
from archcheck.spec.models import Spec
from archcheck.spec.values import TensorPattern, ValuePattern
from archcheck.structure.records import ForwardRecord, SequenceRecord, StructureTrace, TensorRecord, ValueRecord

SEARCH_SEC: Final = 2.0  # of processor time
CAUSES_AT_MOST: Final = 8  # behind so many it's no longer about one mistake


def mark_consequences(
    found: Sequence[Mismatch],
    spec: Spec,
    network: NetworkUnderTest,
    check: Callable[[StructureTrace], Sequence[Mismatch]],
) -> list[Mismatch]:
    """Mark mismatches of outputs that only follow from those before them.

    The network is run again as if the first layer that differs put out what the spec says. What is as the spec says
    then has no other cause; the first of the rest has one of its own, and is put right in the next run. What isn't
    proven to follow isn't marked. `check` returns the mismatches of a trace.
    """
    if len(found) < 2 or network.is_live or network.trace.device != "meta":
        return list(found)
    search = _Search(spec, network, check)
    causes, waiting, following = [found[0]], [one for one in found[1:] if _output_key(one) is not None], []
    deadline = time.process_time() + SEARCH_SEC
    try:
        while waiting and len(causes) <= CAUSES_AT_MOST and time.process_time() < deadline:
            proven = search.following(causes, waiting)
            following += proven
            waiting = [one for one in waiting if one not in proven]
            causes += waiting[:1]
            del waiting[:1]
    except BuildError:  # another time it was built
        pass
    return [replace(one, follows=True) if one in following else one for one in found]


def _output_key(mismatch: Mismatch) -> LayerKey | None:
    """Return the key of the layer whose output differs, that of nothing for the network's; None for anything else."""
    keys = mismatch.keys
    if keys[:1] == ("output",):
        return parse_layer_key("")
    return parse_layer_key(str(keys[1])) if keys[:1] == ("layers",) and keys[2:3] == ("output",) else None


@dataclass(frozen=True, slots=True)
class _Search:
    spec: Spec
    network: NetworkUnderTest
    check: Callable[[StructureTrace], Sequence[Mismatch]]

    def following(self, causes: Sequence[Mismatch], waiting: Sequence[Mismatch]) -> list[Mismatch]:
        """Return the mismatches that are none, at any size, once the causes are put right."""
        from archcheck.structure.as_if import trace_as_if

        left = list(waiting)
        for item, before in zip(self.spec.forward_inputs(), self.network.trace.forwards, strict=True):
            outputs = self._expected(causes, before)
            if not left or not outputs:
                return []
            trace = trace_as_if(self.network.make, item, outputs)
            wrong = {_place(one) for one in self.check(trace)}
            left = [one for one in left if _place(one) not in wrong and _is_seen(one, before, trace.forwards[0])]
        return left

    def _expected(self, causes: Sequence[Mismatch], forward: ForwardRecord) -> dict[str, dict[int, ValueRecord]]:
        """Return what the causes are to put out in a forward pass, by module and number of the call."""
        from archcheck.structure.as_if import can_be_made

        outputs: dict[str, dict[int, ValueRecord]] = {}
        for one in causes:
            key = _output_key(one)
            if key is None or one.module is None:
                continue
            pattern = self.spec.layers[key.text].output
            for call in forward.calls:
                if call.name == one.module and key.call in (None, call.index) and call.output is not None:
                    record = _as_expected(pattern, call.output, forward.sizes)
                    if record is not None and can_be_made(record):
                        outputs.setdefault(call.name, {})[call.index] = record
        return outputs


def _place(mismatch: Mismatch) -> tuple[object, ...]:
    """Return what a mismatch speaks of: a layer, all layers of a glob, the output, or anything else."""
    key = _output_key(mismatch)
    if key is None:
        return (*mismatch.keys, mismatch.subject)
    return (key.text, None if key.is_glob else mismatch.module)


def _is_seen(mismatch: Mismatch, before: ForwardRecord, after: ForwardRecord) -> bool:
    """Return whether a layer was run as often as before, so that not being wrong says something."""
    key = _output_key(mismatch)
    if mismatch.module is None or key is None:
        return after.output is not None
    name, index = mismatch.module, key.call
    ran = [
        sum(call.name == name and index in (None, call.index) and call.output is not None for call in one.calls)
        for one in (before, after)
    ]
    return 0 < ran[0] <= ran[1]


def _as_expected(pattern: ValuePattern, record: ValueRecord, sizes: Mapping[str, int]) -> ValueRecord | None:
    """Return a value with the shapes that its pattern has; None where that isn't built as the value is."""
    if isinstance(pattern, TensorPattern) and isinstance(record, TensorRecord):
        return TensorRecord(pattern.evaluate(sizes), record.dtype)
    if isinstance(pattern, tuple) and isinstance(record, SequenceRecord) and len(pattern) == len(record.items):
        parts = [_as_expected(one, item, sizes) for one, item in zip(pattern, record.items, strict=True)]
        known = tuple(part for part in parts if part is not None)
        return SequenceRecord(known, record.fields) if len(known) == len(parts) else None
    return None
