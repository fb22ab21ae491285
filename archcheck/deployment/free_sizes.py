"""The sizes at which a network is run where some dimensions are free, and which axes of its inputs these are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves

from archcheck.spec.inputs import make_forward_input
from archcheck.spec.models import Spec
from archcheck.structure.meta.inputs import make_inputs

Sizes = Mapping[str, int]


def other_sizes(spec: Spec, base: Sizes, free: Sequence[str]) -> list[dict[str, int]]:
    """Return sizes at which nothing but the free dimensions is other than at `base`, each once."""
    found: list[dict[str, int]] = []
    for binding in spec.bindings():
        sizes = {**base, **{name: binding[name] for name in free}}
        if sizes != base and sizes not in found:
            found.append(sizes)
    return found


def free_axes(spec: Spec, base: Sizes, free: Sequence[str], *, train: bool = False) -> list[dict[int, str]]:
    """Return for each leaf of the arguments, in order, the axes that depend on a free dimension."""
    shapes = _shapes(spec, base, train=train)
    found: list[dict[int, str]] = [{} for _ in shapes]
    for name in free:
        value = next(binding[name] for binding in spec.bindings() if binding[name] != base[name])
        for axes, shape, other in zip(found, shapes, _shapes(spec, {**base, name: value}, train=train), strict=False):
            axes.update({axis: name for axis, pair in enumerate(zip(shape, other, strict=False)) if pair[0] != pair[1]})
    return found


def _shapes(spec: Spec, sizes: Sizes, *, train: bool) -> list[tuple[int, ...]]:
    leaves = tree_leaves(arguments_at(spec, sizes, "meta", train=train))
    return [tuple(one.shape) if isinstance(one, Tensor) else () for one in leaves]


def arguments_at(
    spec: Spec, sizes: Sizes, device: str = "cpu", *, train: bool = False, precision: str = "float32"
) -> tuple[list[Any], dict[str, Any]]:
    """Make the arguments of a forward pass at some sizes, the same every time."""
    inputs = (spec.train_inputs(sizes) if train else None) or make_forward_input(spec.input, sizes)
    return make_inputs(inputs.in_precision(precision), device)
