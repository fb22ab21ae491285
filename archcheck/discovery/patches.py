"""Images, videos and signals that an einops layer cuts into patches: their sizes, by its pattern and its positions."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from torch import nn
from torch.nn.parameter import is_lazy

_AXES: Final = re.compile(r"\(([^)]*)\)|(\S+)")
_CHANNELS: Final = 3  # where nobody says how many there are
_USUAL: Final = (224, 128, 64, 256, 32)
_FEWEST: Final = 4  # patches in a row: with fewer, what the network does between them may not show
_FRAMES: Final = 4  # groups of frames, where no positions tell their number


@dataclass(frozen=True, slots=True)
class Cut:
    """How an einops layer cuts an input into patches, each a row of features.

    axes: of the input, each the names that are put together in it. lengths: those that are known.
    """

    axes: Sequence[Sequence[str]]
    rows: Sequence[str]
    features: Sequence[str]
    lengths: Mapping[str, int]

    def factor(self, axis: Sequence[str]) -> int:
        """Return what the size of an axis is a multiple of."""
        return math.prod(self.lengths.get(name, 1) for name in axis)

    def num_channels(self, num_features: int | None) -> int:
        """Return the size of the axis that is as a whole in every patch, where a patch has so many features."""
        known = math.prod(self.lengths.get(name, 1) for name in self.features)
        return max((num_features or _CHANNELS * known) // known, 1)

    @property
    def is_whole_image(self) -> bool:
        """Return whether two axes are cut alike: height and width."""
        factors = [self.factor(axis) for axis in self.axes if len(axis) > 1]
        return len(factors) != len(set(factors))


def cut_of(module: nn.Module) -> Cut | None:
    """Return how a layer cuts its input into patches; None for one that doesn't."""
    pattern, lengths = getattr(module, "pattern", None), getattr(module, "axes_lengths", None)
    if not isinstance(pattern, str) or not isinstance(lengths, Mapping) or pattern.count("->") != 1:
        return None
    left, right = ([(one[0] or one[1]).split() for one in _AXES.findall(side)] for side in pattern.split("->"))
    known = {name: size for name, size in lengths.items() if type(size) is int}
    if len(left) < 3 or len(left[0]) != 1 or "..." in pattern or len(right) < 2:
        return None
    cut = Cut(left, [name for axis in right[1:-1] for name in axis], right[-1], known)
    inside = {name for axis in left if len(axis) > 1 for name in axis if name in known}
    return cut if inside and inside <= {*right[-1]} else None


def cut_inputs(name: str, cut: Cut, channels: int, modules: Mapping[str, nn.Module]) -> Iterator[list[int | str]]:
    """Yield shapes that a layer cuts into patches, those first for which the network has positions.

    name: of the layer, whose network's modules are `modules`.
    """
    sizes: list[list[int]] = []
    tables = list(_positions(name, modules))
    cut_axes = [axis for axis in cut.axes[1:] if len(axis) > 1]
    for axis in cut.axes[1:]:
        factor = cut.factor(axis)
        if len(axis) == 1:
            sizes.append([channels])
        elif not cut.is_whole_image or [cut.factor(one) for one in cut_axes].count(factor) > 1:
            sizes.append(_sides(factor, tables, is_one_of_two=cut.is_whole_image))
        else:
            sizes.append([*(rows * factor for table in tables for rows in table[:-1]), _FRAMES * factor])
    for choice in product(*map(dict.fromkeys, sizes)):
        if not cut.is_whole_image or _are_sides_equal(cut, choice):
            yield ["B", *choice]


def _are_sides_equal(cut: Cut, choice: Sequence[int]) -> bool:
    by_factor: dict[int, set[int]] = {}
    for axis, size in zip(cut.axes[1:], choice, strict=True):
        if len(axis) > 1:
            by_factor.setdefault(cut.factor(axis), set()).add(size)
    return all(len(found) == 1 for found in by_factor.values())


def _sides(factor: int, tables: Sequence[Sequence[int]], *, is_one_of_two: bool) -> list[int]:
    """Return sizes of a side that is cut into patches of so many pixels."""
    found = []
    for rows in (table[-1] for table in tables):
        for number in (rows, rows - 1, rows - 2):  # beside the patches there may be tokens
            root = math.isqrt(max(number, 0)) if is_one_of_two else number
            if root > 1 and (not is_one_of_two or root * root == number):
                found.append(root * factor)
    usual = [side for side in _USUAL if side % factor == 0 and side >= _FEWEST * factor]
    return [*found, *usual, _FEWEST * factor]


def _positions(name: str, modules: Mapping[str, nn.Module]) -> Iterator[list[int]]:
    """Yield how many positions each table of them has that stands beside a layer, or around it: of time, of space."""
    parts = name.split(".")
    for depth in range(len(parts) - 1, -1, -1):
        outer = ".".join(parts[:depth])
        module = modules.get(outer)
        held: list[tuple[str, Any]] = [] if module is None else list(module.named_parameters(recurse=False))
        held += [
            (key.rpartition(".")[2], one.weight)
            for key, one in modules.items()
            if isinstance(one, nn.Embedding) and key.rpartition(".")[0] == outer
        ]
        for key, tensor in held:
            if "pos" in key and not is_lazy(tensor) and tensor.ndim > 1:
                yield [size for size in tensor.shape[:-1] if size > 1] or [1]
