"""Weights that would make two builds one function: joined, split or transposed ones, found and tried."""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Final, Protocol

from archcheck.function.fingerprint.given_weights import WEIGHT
from archcheck.function.fingerprint.number_pool import squeezed_shape
from archcheck.function.records import FunctionRecord
from archcheck.function.renaming import renamings
from archcheck.function.weight_lines import as_lines
from archcheck.function.weight_matching import WeightMatching, fits_shape
from archcheck.spec.weight_expressions import (
    WeightArg,
    WeightCall,
    WeightExpression,
    WeightName,
    names_in,
)

_SEARCH_SEC: Final = 30.0
_MOST_WEIGHTS: Final = 400  # of one build: with more of them they aren't aligned
_MOST_PARTS: Final = 4  # of a weight that is made of several
_MOST_HEADS: Final = 64
_GAP_COST: Final = 6
_CHANGE_COST: Final = 1  # of a weight that isn't the other as it is


class Differ(Protocol):
    """Tells whether the two builds differ."""

    def __call__(self, matching: WeightMatching, *, only_eval: bool = False) -> bool:
        """Run the other with weights that match so; `only_eval` asks for its output in eval mode alone."""


def can_be_renamed(ours: FunctionRecord, theirs: FunctionRecord, differ: Differ) -> bool:
    """Return whether two builds are one function with their weights paired in another order than that of their use."""
    return _first_match(renamings(ours, theirs), differ, math.inf) is not None


def find_matching(ours: FunctionRecord, theirs: FunctionRecord, differ: Differ) -> dict[str, str] | None:
    """Return what a spec's `weights` would have to say for the two builds to match; None where nothing is found."""
    groups = align_weights(matrices(ours), matrices(theirs))
    found = _first_match(_candidates(ours, theirs, groups), differ, _SEARCH_SEC)
    return None if found is None else as_lines(found, ours, theirs)


def _first_match(candidates: Iterator[WeightMatching], differ: Differ, sec: float) -> WeightMatching | None:
    """Return the first candidate with which the builds don't differ, of those that are tried within so many seconds."""
    end = time.perf_counter() + sec
    tried: list[WeightMatching] = []
    for matching in candidates:
        if time.perf_counter() > end:
            return None
        if not matching.expressions or matching in tried:
            continue
        tried.append(matching)
        if not differ(matching, only_eval=True) and not differ(matching):
            return matching
    return None


# ------------------------------------------------------------------------------------------- candidates


@dataclass(frozen=True, slots=True)
class MatrixWeight:
    """A weight of one of the two builds; `layer` is its module's type."""

    name: str
    shape: tuple[int, ...]
    layer: str

    @property
    def bias(self) -> str:
        """What its bias would be called."""
        return re.sub(r"weight\Z", "bias", self.name)


@dataclass(frozen=True, slots=True)
class WeightGroup:
    """Weights of this network and of the other that are the same: one to one, or several that make up one."""

    ours: tuple[MatrixWeight, ...]
    theirs: tuple[MatrixWeight, ...]

    @property
    def swapped(self) -> WeightGroup:
        """The same seen from the other network."""
        return WeightGroup(self.theirs, self.ours)


@dataclass(frozen=True, slots=True)
class Packing:
    """How weights are packed otherwise.

    Attributes:
        order: in which a fused weight has its parts, by their order of use.
        transposed: the pairs of layer types that have their matrices the other way round.
        heads: of a weight that is fused head by head; 1 where it's whole part by whole part.
    """

    order: tuple[int, ...]
    transposed: frozenset[tuple[str, str]]
    heads: int = 1

    @property
    def swapped(self) -> Packing:
        """The same seen from the other network."""
        return Packing(self.order, frozenset((b, a) for a, b in self.transposed), self.heads)


def _candidates(
    ours: FunctionRecord, theirs: FunctionRecord, groups: Sequence[WeightGroup]
) -> Iterator[WeightMatching]:
    """Yield what could match, the likeliest first."""
    for packing in packings(groups):
        yield WeightMatching(_Builder(ours, theirs, packing).build(groups))


def packings(groups: Sequence[WeightGroup]) -> Iterator[Packing]:
    """Yield the ways in which weights that belong together may be packed, the likeliest first."""
    sizes = {max(len(group.ours), len(group.theirs)) for group in groups}
    most = max(sizes, default=1)
    orders = [*_hinted_orders(groups, most), *(permutations(range(most)) if most > 1 else [(0,)])]
    for heads in (1, *_possible_heads(groups)):
        for order in orders if heads == 1 else orders[:2]:
            for squares in _square_choices(groups):
                yield Packing(order, squares, heads)


def repacked(
    ours: FunctionRecord, theirs: FunctionRecord, groups: Sequence[WeightGroup], packing: Packing
) -> WeightMatching:
    """Return what the other's weights in some groups are made of; the others are what they were."""
    return WeightMatching(_Builder(ours, theirs, packing).build_groups(groups))


def matrices(record: FunctionRecord) -> list[MatrixWeight]:
    """Return the weights with two or more sizes, in the order of their first use."""
    types = {call.name: call.type_name for call in record.calls}
    found = []
    for name, key in record.weights.items():
        shape = record.shapes[name]
        if key.startswith(WEIGHT) and len(squeezed_shape(shape)) > 1:
            found.append(MatrixWeight(name, shape, types.get(name.rpartition(".")[0], "")))
    return found


def align_weights(ours: Sequence[MatrixWeight], theirs: Sequence[MatrixWeight]) -> list[WeightGroup]:
    """Align two sequences of weights at the least cost, as two texts are; returns the groups that belong together."""
    if max(len(ours), len(theirs)) > _MOST_WEIGHTS:
        return []
    best: dict[tuple[int, int], tuple[int, tuple[int, int]]] = {(0, 0): (0, (0, 0))}
    for i in range(len(ours) + 1):
        for j in range(len(theirs) + 1):
            if (i, j) not in best:
                continue
            for di, dj, cost in _steps(ours[i : i + _MOST_PARTS], theirs[j : j + _MOST_PARTS]):
                there, total = (i + di, j + dj), best[i, j][0] + cost
                if there not in best or total < best[there][0]:
                    best[there] = total, (i, j)
    groups: list[WeightGroup] = []
    at = (len(ours), len(theirs))
    while at != (0, 0):
        before = best[at][1]
        group = WeightGroup(tuple(ours[before[0] : at[0]]), tuple(theirs[before[1] : at[1]]))
        if group.ours and group.theirs:
            groups.insert(0, group)
        at = before
    return groups


def _steps(ours: Sequence[MatrixWeight], theirs: Sequence[MatrixWeight]) -> Iterator[tuple[int, int, int]]:
    """Yield how many weights may be taken next from both sides, and at what cost."""
    if ours:
        yield 1, 0, _GAP_COST
    if theirs:
        yield 0, 1, _GAP_COST
    if not ours or not theirs:
        return
    here, there = ours[0].shape, theirs[0].shape
    if squeezed_shape(here) == squeezed_shape(there):
        yield 1, 1, 0
    elif _are_transposed(here, there) or _flat(here) == _flat(there):
        yield 1, 1, _CHANGE_COST
    for number in range(2, len(ours) + 1):
        if _are_parts([one.shape for one in ours[:number]], there):
            yield number, 1, _CHANGE_COST
    for number in range(2, len(theirs) + 1):
        if _are_parts([one.shape for one in theirs[:number]], here):
            yield 1, number, _CHANGE_COST


def _are_transposed(one: Sequence[int], other: Sequence[int]) -> bool:
    return len(one) == len(other) == 2 and tuple(one) == tuple(other[::-1])


def _flat(shape: Sequence[int]) -> tuple[int, int]:
    """Return a kernel's shape as that of a matrix."""
    return shape[0], math.prod(shape[1:])


def _are_parts(parts: Sequence[Sequence[int]], whole: Sequence[int]) -> bool:
    """Return whether tensors of these shapes make up one along a dimension, as they are or the other way round."""
    rest = {tuple(part[1:]) for part in parts}, {tuple(part[:-1]) for part in parts}
    sums = sum(part[0] for part in parts), sum(part[-1] for part in parts)
    wholes = [tuple(whole), tuple(whole[::-1])] if len(whole) == 2 else [tuple(whole)]
    along_first = len(rest[0]) == 1 and (sums[0], *next(iter(rest[0]))) in wholes
    along_last = len(rest[1]) == 1 and (*next(iter(rest[1])), sums[1]) in wholes
    return along_first or (along_last and len(whole) == 2)


_ROLES: Final = ("q", "k", "v")  # in the order in which fused weights have them


def _hinted_orders(groups: Sequence[WeightGroup], most: int) -> Iterator[tuple[int, ...]]:
    """Yield the order in which the parts of a fused weight stand, by their names, where these say it."""
    for group in groups:
        parts = _parts_of(group)
        letters = [_own_name(one.name)[:1].lower() for one in parts]
        if len(parts) == most and sorted(letters) == sorted(_ROLES):
            yield tuple(letters.index(role) for role in _ROLES)
            return


def _own_name(name: str) -> str:
    """Return the part of a weight's name that tells it from its neighbours: `query` of `attention.query.weight`."""
    return name.removesuffix(".weight").rpartition(".")[2]


def _possible_heads(groups: Sequence[WeightGroup]) -> list[int]:
    """Return by how many heads a weight could be fused, head by head."""
    sizes = {part.shape[0] for group in groups for part in _parts_of(group)}
    common = math.gcd(*sizes) if sizes else 1
    return [heads for heads in range(2, min(common, _MOST_HEADS + 1)) if common % heads == 0]


def _parts_of(group: WeightGroup) -> tuple[MatrixWeight, ...]:
    return group.ours if len(group.ours) > 1 else group.theirs if len(group.theirs) > 1 else ()


def _square_choices(groups: Sequence[WeightGroup]) -> list[frozenset[tuple[str, str]]]:
    """Return which pairs of layer types may be transposed, where shapes don't say: those that others say, all, none."""
    couples = [(one, other) for group in groups for one in group.ours for other in group.theirs]
    singles = [(group.ours[0], group.theirs[0]) for group in groups if len(group.ours) == len(group.theirs) == 1]
    told = frozenset(
        (one.layer, other.layer)
        for one, other in singles
        if _are_transposed(one.shape, other.shape) and one.shape != other.shape
    )
    every = frozenset((one.layer, other.layer) for one, other in couples)
    unlike = frozenset(pair for pair in every if pair[0] != pair[1])
    return list(dict.fromkeys([told, frozenset(), unlike, every]))


class _Builder:
    """Builds the expressions for groups of weights."""

    def __init__(self, ours: FunctionRecord, theirs: FunctionRecord, packing: Packing) -> None:
        self._ours, self._theirs = ours, theirs
        self._order, self._transposed, self._heads = packing.order, packing.transposed, packing.heads
        self._found: dict[str, WeightExpression] = {}

    def build(self, groups: Sequence[WeightGroup]) -> dict[str, WeightExpression]:
        """Return what the other's weights are made of, but for those that their order says; `groups` has all of them.

        What it has no counterpart for is shared with another.
        """
        self.build_groups(groups)
        self._tie(groups)
        self._keep_in_order(groups)
        return self._in_order_of_use()

    def build_groups(self, groups: Sequence[WeightGroup]) -> dict[str, WeightExpression]:
        """Return what the other's weights in some groups are made of."""
        for group in groups:
            if len(group.ours) > 1:
                self._join(group)
            elif len(group.theirs) > 1:
                self._split(group)
            else:
                self._turn(group.ours[0], group.theirs[0])
        return self._in_order_of_use()

    def _in_order_of_use(self) -> dict[str, WeightExpression]:
        return {name: self._found[name] for name in self._theirs.weights if name in self._found}

    def _tie(self, groups: Sequence[WeightGroup]) -> None:
        """Match weights of the other that are left with the first one of their shape: this network's is shared.

        Where some of that shape are left of this network, too, they are used at another place among the others, as a
        table of positions before or behind the projections that it goes with: their own order pairs them.
        """
        ours = matrices(self._ours)
        aligned = {one.name for group in groups for one in group.ours}
        left = Counter(one.shape for one in ours if one.name not in aligned)
        matched = {one.name for group in groups for one in group.theirs}
        for one in matrices(self._theirs):
            shared = next((own for own in ours if own.shape == one.shape), None)
            if one.name in matched or shared is None:
                continue
            if left[one.shape] > 0:
                left[one.shape] -= 1
            else:
                self._found[one.name] = WeightName(shared.name)

    def _keep_in_order(self, groups: Sequence[WeightGroup]) -> None:
        """Match by name what is the same as it is, where what is left would be matched otherwise by its order."""
        same = [(group.ours[0], group.theirs[0]) for group in groups if len(group.ours) == len(group.theirs) == 1]
        same = [pair for pair in same if pair[1].name not in self._found]
        named = WeightMatching(self._found)
        sources = named.sources
        ours = [one for one in matrices(self._ours) if one.name not in sources]
        theirs = [one for one in matrices(self._theirs) if one.name not in self._found]
        by_order = {
            other.name: one.name
            for shape in {squeezed_shape(one.shape) for one in theirs}
            for one, other in zip(
                [one for one in ours if squeezed_shape(one.shape) == shape],
                [one for one in theirs if squeezed_shape(one.shape) == shape],
                strict=False,
            )
        }
        self._found |= {other.name: WeightName(one.name) for one, other in same if by_order.get(other.name) != one.name}

    def _turn(self, one: MatrixWeight, other: MatrixWeight) -> None:
        """Match two weights that are one, perhaps the other way round or of another shape."""
        name = WeightName(one.name)
        if squeezed_shape(one.shape) == squeezed_shape(other.shape):
            if self._are_turned(one, other):
                self._found[other.name] = _call("transpose", name)
        elif _are_transposed(one.shape, other.shape):
            self._found[other.name] = _call("transpose", name)
        else:
            self._found[other.name] = _call("reshape", name, *other.shape)

    def _join(self, group: WeightGroup) -> None:
        """Match several weights of this network with one of the other, and their biases."""
        parts, [whole] = self._ordered(group.ours), group.theirs
        names: list[WeightExpression] = [WeightName(one.name) for one in parts]
        turned = [_call("transpose", name) for name in names]
        shape = parts[0].shape
        options = [
            (False, self._joined(names, shape)),
            (False, _call("concat", *names, 1)),
            (True, _call("transpose", self._joined(names, shape))),
            (True, self._joined(turned, shape[::-1])),
        ]
        self._take(whole, options, self._are_turned(parts[0], whole))
        sizes = [
            one.shape[0 if self._theirs.shapes.get(whole.bias) == (sum(part.shape[0] for part in parts),) else -1]
            for one in parts
        ]
        if whole.bias != whole.name and self._theirs.shapes.get(whole.bias) == (sum(sizes),):
            biases = [_name_or_zeros(one.bias, self._ours, size) for one, size in zip(parts, sizes, strict=True)]
            if any(names_in(one) for one in biases):
                self._found[whole.bias] = self._joined(biases, sizes[:1])

    def _split(self, group: WeightGroup) -> None:
        """Match one weight of this network with several of the other, and their biases."""
        [whole], parts = group.ours, self._ordered(group.theirs)
        name, bias = WeightName(whole.name), WeightName(whole.bias)
        for i, part in enumerate(parts):
            rows, columns = ([one.shape[dim] for one in parts] for dim in (0, -1))
            options = [
                (False, self._part(name, i, rows, part.shape[1:])),
                (False, _call("split", name, _sizes(columns), i, 1)),
                (True, _call("transpose", self._part(name, i, columns, part.shape[:-1]))),
                (True, self._part(_call("transpose", name), i, rows, part.shape[1:])),
            ]
            self._take(part, options, self._are_turned(whole, part))
            sizes = next((one for one in (rows, columns) if self._ours.shapes.get(whole.bias) == (sum(one),)), None)
            if sizes is not None and whole.bias != whole.name and part.bias in self._theirs.shapes:
                self._found[part.bias] = self._part(bias, i, sizes, ())

    def _take(self, target: MatrixWeight, options: Sequence[tuple[bool, WeightExpression]], are_turned: bool) -> None:
        """Take the first option whose shape fits, of those that turn a weight where its layers say so."""
        for _, expression in sorted(options, key=lambda one: one[0] is not are_turned):
            if fits_shape(expression, self._ours, target.shape):
                self._found[target.name] = expression
                return

    def _joined(self, parts: Sequence[WeightExpression], shape: Sequence[int]) -> WeightExpression:
        """Return weights of one shape joined along their first dimension, or of each head after each other."""
        if self._heads == 1:
            return _call("concat", *parts)
        rows = [_call("reshape", one, self._heads, 1, shape[0] // self._heads, *shape[1:]) for one in parts]
        return _call("reshape", _call("concat", *rows, 1), len(parts) * shape[0], *shape[1:])

    def _part(self, whole: WeightExpression, which: int, sizes: Sequence[int], rest: Sequence[int]) -> WeightExpression:
        """Return the part that `_joined` would have put there."""
        if self._heads == 1:
            return _call("split", whole, _sizes(sizes), which)
        number, rows = len(sizes), sizes[which]
        by_head = _call("reshape", whole, self._heads, number, rows // self._heads, *rest)
        return _call("reshape", _call("split", by_head, number, which, 1), rows, *rest)

    def _ordered(self, parts: Sequence[MatrixWeight]) -> list[MatrixWeight]:
        return [parts[i] for i in self._order] if len(parts) == len(self._order) else list(parts)

    def _are_turned(self, one: MatrixWeight, other: MatrixWeight) -> bool:
        return (one.layer, other.layer) in self._transposed and len(one.shape) == len(other.shape) == 2


def _call(function: str, *args: WeightArg) -> WeightCall:
    return WeightCall(function, args)


def _sizes(sizes: Sequence[int]) -> WeightArg:
    """Return the number of equal parts, or the sizes of parts that aren't."""
    return len(sizes) if len(set(sizes)) == 1 else tuple(sizes)


def _name_or_zeros(name: str, record: FunctionRecord, size: int) -> WeightExpression:
    return WeightName(name) if name in record.weights else _call("zeros", size)
