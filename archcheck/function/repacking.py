"""Weights that are packed otherwise than they were recorded: a layer split into several, several merged into one.

What was recorded says names and shapes of the weights that are drawn. Where some are gone and what is new beside them
has as many numbers, the network is run with the numbers that the old ones had, put together or taken apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from archcheck.errors import ArchcheckError
from archcheck.function.equivalence import comparable
from archcheck.function.fingerprint.config import FingerprintConfig
from archcheck.function.fingerprint.fingerprint import fingerprint, fingerprint_in_eval_mode
from archcheck.function.fingerprint.given_weights import WEIGHT, group_of
from archcheck.function.fingerprint.number_pool import squeezed_shape
from archcheck.function.fingerprint.preparation import NetworkFactory
from archcheck.function.matching_search import (
    MatrixWeight,
    Packing,
    WeightGroup,
    align_weights,
    matrices,
    packings,
    repacked,
)
from archcheck.function.records import FunctionRecord
from archcheck.function.weight_lines import as_lines
from archcheck.function.weight_matching import Shapes

_SEARCH_SEC: Final = 5.0  # of processor time, in which packings are tried
Named = Sequence[tuple[str, tuple[int, ...]]]  # weights with their shapes
Agreement = Callable[[FunctionRecord], int]  # how many of the recorded layers compute what they did; more for all


@dataclass(frozen=True, slots=True)
class RepackedLayers:
    """Layers that were split, merged or turned: the names of those that were recorded, and of those that there are."""

    before: tuple[str, ...]
    now: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Repacking:
    """A network whose weights are packed otherwise, run with those that were recorded.

    Attributes:
        layers: that are packed otherwise.
        config: by which it was run.
        record: what came out, without the layers that were split or merged, as nothing recorded returns what they do.
        weights: what the weights of before are made of, as `equivalent_to` would say it of the code of before.
    """

    layers: tuple[RepackedLayers, ...]
    config: FingerprintConfig
    record: FunctionRecord
    weights: Mapping[str, str]

    @property
    def parted(self) -> set[str]:
        """The layers of before that aren't there any more as they were."""
        return {name for one in self.layers if len(one.before) != len(one.now) for name in one.before}


def find_repacking(
    build: NetworkFactory, config: FingerprintConfig, now: FunctionRecord, recorded: Shapes, agreement: Agreement
) -> Repacking | None:
    """Return how weights are packed otherwise, where any are: the way under which most is as it was recorded.

    `recorded` has the shapes of the weights that were recorded, by the names that they'd have now, in order.
    None where the network is less like what was recorded that way.
    """
    groups = weight_groups(recorded, now)
    before = _weights_before(now, groups)
    found: tuple[int, Packing] | None = None
    end_sec = time.process_time() + _SEARCH_SEC
    for packing in packings(groups) if groups else ():
        if found is not None and time.process_time() > end_sec:
            break
        matching = repacked(before, now, groups, packing)
        if not matching.expressions:
            continue
        try:
            run = fingerprint_in_eval_mode(build, replace(config, given=matching.given(before)))
        except ArchcheckError:
            continue
        agreeing = agreement(replace(comparable(run, matching.parted), made_inputs=now.made_inputs))
        if found is None or agreeing > found[0]:
            found = agreeing, packing
    if found is None or found[0] < agreement(now):
        return None
    matching = repacked(before, now, groups, found[1])
    config = replace(config, given=matching.given(before))
    record = replace(comparable(fingerprint(build, config), matching.parted), made_inputs=now.made_inputs)
    back = repacked(now, before, [one.swapped for one in groups], found[1].swapped)
    layers = tuple(RepackedLayers(_owners(one.ours), _owners(one.theirs)) for one in groups)
    return Repacking(layers, config, record, as_lines(back, now, before))


def weight_groups(recorded: Shapes, now: FunctionRecord) -> list[WeightGroup]:
    """Return the weights that are gone or have another shape, with those that are in their place."""
    new = [one for one in matrices(now) if recorded.get(one.name) != one.shape]
    gone = [
        MatrixWeight(name, shape, "")
        for name, shape in recorded.items()
        if len(squeezed_shape(shape)) > 1 and now.shapes.get(name) != shape
    ]
    return [one for one in align_weights(gone, new) if _is_repacked(one)]


def _is_repacked(group: WeightGroup) -> bool:
    """Return whether weights of another packing lie beside each other."""
    if len(group.ours) == len(group.theirs) and group.ours[0].shape == group.theirs[0].shape:
        return False  # another name
    around = [{owner.rpartition(".")[0] for owner in _owners(some)} for some in (group.ours, group.theirs)]
    return all(
        a == b or a.startswith(f"{b}.") or b.startswith(f"{a}.") or not (a and b) for a in around[0] for b in around[1]
    )


def _owners(weights: Sequence[MatrixWeight]) -> tuple[str, ...]:
    return tuple(one.name.rpartition(".")[0] or one.name for one in weights)


def _weights_before(now: FunctionRecord, groups: Sequence[WeightGroup]) -> FunctionRecord:
    """Return the weights of the network as it was recorded, with the keys of their numbers, in the order of use."""
    replaced: dict[str, Named] = {}
    for group in groups:
        first, *others = (one.name for one in group.theirs)
        replaced |= {first: [(one.name, one.shape) for one in group.ours], **dict.fromkeys(others, ())}
        biases = [one.bias for one in group.theirs if one.bias != one.name and one.bias in now.shapes]
        if len(biases) == len(group.theirs):
            total = sum(now.shapes[name][0] for name in biases)
            replaced |= dict.fromkeys(biases, ()) | {biases[0]: _biases_before(group.ours, total)}
    keys: dict[str, str] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    count: dict[str, int] = {}
    for name, shape, kind in _in_order(now, replaced):
        if kind.startswith(WEIGHT):
            number = count[kind] = count.get(kind, -1) + 1
            keys[name] = f"{kind} {number}"
        else:
            keys[name] = now.weights[name]
        shapes[name] = shape
    return FunctionRecord(
        (), keys, now.gains, now.large, now.opened, filled={**now.filled, **keys}, shapes=shapes, tied=now.tied
    )


def _in_order(now: FunctionRecord, replaced: Mapping[str, Named]) -> Iterator[tuple[str, tuple[int, ...], str]]:
    """Yield names, shapes, and the groups that their keys are of."""
    for name, key in now.weights.items():
        if name not in replaced:
            yield name, now.shapes[name], group_of(key)
        for other, shape in replaced.get(name, ()):
            yield other, shape, f"{WEIGHT}{squeezed_shape(shape)}"


def _biases_before(weights: Sequence[MatrixWeight], total: int) -> Named:
    """Return the biases that weights had, of so many numbers in all, as those in their place have some."""
    sizes = next(
        (one for one in ([w.shape[0] for w in weights], [w.shape[-1] for w in weights]) if sum(one) == total), []
    )
    return [(one.bias, (size,)) for one, size in zip(weights, sizes, strict=False)]
