"""Weights that are packed otherwise than they were recorded, as the check `function` tells them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from archcheck.checks.check import CheckContext
from archcheck.checks.repacked_layers import tell_repacked
from archcheck.findings import Change, Keys, Mismatch
from archcheck.function.comparison import num_agreeing
from archcheck.spec.layer_keys import format_layer_key, parse_layer_key
from archcheck.spec.lock import LOCK, Lock
from archcheck.text.words import listed
from archcheck.text.yaml_flow import format_flow

if TYPE_CHECKING:
    from archcheck.function.repacking import RepackedLayers, Repacking


def find_repacked_weights(context: CheckContext, lock: Lock, labels: Mapping[str, str | None]) -> Repacking | None:
    """Return how weights are packed otherwise, with the network run under those that were recorded; None if none are.

    `labels` has those that recorded layers have now, by those that they had.

    Raises:
        BuildError, NotMeasured: the network can't be run.
    """
    from archcheck.function.repacking import find_repacking

    spec_file, network = context.spec_file, context.network
    config, record = network.function_of(spec_file)
    starts = {} if lock.initial is None else lock.initial
    shapes = {_renamed(name, labels): tuple(one.shape) for name, one in starts.items() if not name.startswith("*")}
    if record.crash is not None:
        return None
    return find_repacking(network.make, config, record, shapes, lambda run: num_agreeing(spec_file, run, labels))


def _renamed(weight: str, labels: Mapping[str, str | None]) -> str:
    """Return the name of a recorded weight in the layer that it's in now, or in what is around that layer."""
    owner = weight
    while owner:
        owner = owner.rpartition(".")[0]
        now = labels.get(format_layer_key(owner)) if owner else None
        if now is not None:
            return parse_layer_key(now).name + weight.removeprefix(owner)
    return weight


def without_parted(
    labels: Mapping[str, str | None], recorded: Iterable[str], repacking: Repacking
) -> dict[str, str | None]:
    """Return the labels of now, without those of layers that were split or merged."""
    parted = repacking.parted
    return {**labels, **{label: None for label in recorded if parse_layer_key(label).name in parted}}


def repacked_mismatches(
    context: CheckContext, repacking: Repacking, edits: tuple[Change, ...], *, is_same: bool
) -> list[Mismatch]:
    """Return what was split or merged, layers of all blocks in one; `is_same` says that nothing else differs."""
    told = "all else is as it was" if is_same else "what differs beside that is told above"
    notes = [("note", f"{told}: it was run with the recorded weights, packed as they are now")]
    weights = ("weights", f"of the code of before, for an equivalent_to: {format_flow(dict(repacking.weights))}")
    found: dict[tuple[str, ...], RepackedLayers] = {}
    for one in repacking.layers:
        found.setdefault(tuple(map(_general, (*one.before, *one.now))), one)
    shown = [_mismatch(context, one, notes, edits) for one in found.values()]
    return [*shown[:-1], replace(shown[-1], notes=(*shown[-1].notes, weights))]


def _mismatch(
    context: CheckContext, one: RepackedLayers, notes: Sequence[tuple[str, str]], edits: tuple[Change, ...]
) -> Mismatch:
    before, now = (list(dict.fromkeys(map(_general, some))) for some in (one.before, one.now))
    problem = tell_repacked(before, now)
    if len(before) == len(now):
        problem = "has its weight in another shape" + ("" if now == before else f", in {listed(now, 6)}")
    return Mismatch(_place(context, one.before), before[0], problem, notes=tuple(notes), edits=edits)


def _place(context: CheckContext, names: Sequence[str]) -> Keys:
    """Return the row of the first of some layers that has one, or else the line of the first in the lock."""
    rows = filter(None, map(context.spec_file.row_of, names))
    return next(rows, (LOCK, "function", "layers", format_layer_key(names[0])))


def _general(name: str) -> str:
    """Return the name of a layer that repeats as a glob."""
    return ".".join("*" if part.isdecimal() else part for part in name.split("."))
