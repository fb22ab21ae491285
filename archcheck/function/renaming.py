"""Weights of two builds paired one by one, where the order in which they're used doesn't say which are the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Final

from archcheck.function.fingerprint.given_weights import WEIGHT, group_of
from archcheck.function.records import FunctionRecord
from archcheck.function.weight_matching import WeightMatching
from archcheck.spec.weight_expressions import WeightName

_MOST_BLOCKS: Final = 400
_LONGEST_RUN: Final = 4  # of weights of one shape that are used one after another: queries, keys, values, and output
_MOST_PERMUTED: Final = 3  # of a run

Pairs = list[tuple[int, int]]  # of blocks of this network and of the other


@dataclass(slots=True)
class _Block:
    """A matrix or kernel with what is used behind it, before the next one: a bias, a norm. Names by key's group."""

    name: str
    group: str
    companions: dict[str, list[str]] = field(default_factory=dict)


def renamings(ours: FunctionRecord, theirs: FunctionRecord) -> Iterator[WeightMatching]:
    """Yield ways to pair the weights of two builds, the likeliest first; none where their shapes aren't the same."""
    if Counter(map(group_of, ours.filled.values())) != Counter(map(group_of, theirs.filled.values())):
        return
    if ours.shapes == theirs.shapes and ours.filled.keys() == theirs.filled.keys():
        if ours.filled != theirs.filled:
            yield WeightMatching({name: WeightName(name) for name in ours.filled})
        return
    here, there = _blocks(ours), _blocks(theirs)
    if len(here) > _MOST_BLOCKS:
        return
    by_key = {key: name for name, key in ours.filled.items()}
    usual = {name: by_key.get(key) for name, key in theirs.filled.items()}
    aligned = [_aligned(here, there, late=late) for late in (False, True)]
    for pairs in (*aligned, *_permuted(here, aligned[0])):
        names = _paired(here, there, pairs, ours, theirs)
        if names != usual:
            yield WeightMatching({name: WeightName(own) for name, own in names.items()})


def _blocks(record: FunctionRecord) -> list[_Block]:
    found = [_Block("", "")]
    for name, key in record.filled.items():
        group = group_of(key)
        if group.startswith(WEIGHT) and ("of rows" in group or ", " in group):
            found.append(_Block(name, group))
        else:
            found[-1].companions.setdefault(group, []).append(name)
    return found


def _aligned(ours: Sequence[_Block], theirs: Sequence[_Block], *, late: bool = False) -> Pairs:
    """Align two sequences such that most blocks have a counterpart; of several ways take an early or a `late` one."""
    lengths = [[0] * (len(theirs) + 1) for _ in range(len(ours) + 1)]
    for i in reversed(range(len(ours))):
        for j in reversed(range(len(theirs))):
            same = ours[i].group == theirs[j].group
            lengths[i][j] = max(lengths[i + 1][j], lengths[i][j + 1], lengths[i + 1][j + 1] + 1 if same else 0)
    pairs: Pairs = []
    i = j = 0
    while i < len(ours) and j < len(theirs):
        skips = lengths[i + 1][j] == lengths[i][j]
        if ours[i].group == theirs[j].group and lengths[i + 1][j + 1] + 1 == lengths[i][j] and not (late and skips):
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif skips:
            i += 1
        else:
            j += 1
    return pairs


def _permuted(ours: Sequence[_Block], pairs: Pairs) -> Iterator[Pairs]:
    """Yield pairs in which all runs of one length have another order: queries, keys and values called in turn."""
    runs = _runs(ours, pairs)
    for length in sorted({len(run) for run in runs}, reverse=True):
        for order in list(permutations(range(min(length, _MOST_PERMUTED))))[1:]:
            changed = dict(pairs)
            for run in (run for run in runs if len(run) == length):
                changed |= {run[place][0]: run[other][1] for place, other in enumerate(order)}
            yield sorted(changed.items())


def _runs(ours: Sequence[_Block], pairs: Pairs) -> list[Pairs]:
    """Return the short runs of pairs of one group, one right behind the other."""
    runs: list[Pairs] = []
    for before, pair in zip([None, *pairs], pairs, strict=False):
        if before is not None and ours[before[0]].group == ours[pair[0]].group:
            runs[-1].append(pair)
        else:
            runs.append([pair])
    return [run for run in runs if 1 < len(run) <= _LONGEST_RUN]


def _paired(
    ours: Sequence[_Block], theirs: Sequence[_Block], pairs: Pairs, here: FunctionRecord, there: FunctionRecord
) -> dict[str, str]:
    """Return this network's weights by the other's: paired block by block, and what is left by its order."""
    names: dict[str, str] = {}
    for i, j in pairs:
        if ours[i].name:
            names[theirs[j].name] = ours[i].name
        for group, companions in theirs[j].companions.items():
            names |= dict(zip(companions, ours[i].companions.get(group, ()), strict=False))
    left = [name for name in here.filled if name not in set(names.values())]
    for name in (name for name in there.filled if name not in names):
        same = next(one for one in left if group_of(here.filled[one]) == group_of(there.filled[name]))
        left.remove(same)
        names[name] = same
    return names
