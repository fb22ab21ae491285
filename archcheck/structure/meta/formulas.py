"""Multiply-adds of operations: by `torch.utils.flop_counter`, and by own formulas for products that it leaves out."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import prod
from typing import Any, TypeAlias

import torch
from torch import Tensor

FlopFormula: TypeAlias = Callable[..., int]
"""Takes what an operation takes, and its result as `out_val`."""


@cache
def flop_formulas() -> dict[Any, FlopFormula]:
    """Return the formulas by operation; as torch's own do, they count a multiply-add as two."""
    from torch.utils.flop_counter import flop_registry  # here, as it takes 70 ms that few networks need

    aten = torch.ops.aten
    own = {getattr(aten, name): _doubled(macs) for names, macs in _MACS.items() for name in names.split()}
    return {**flop_registry, **own}


def _doubled(macs: Callable[..., int]) -> FlopFormula:
    def flops(*args: Any, out_val: Any, **_: Any) -> int:
        return 2 * macs(out_val, *args)

    return flops


def _of_matrix_and_vector(_: Tensor, matrix: Tensor, *__: Any) -> int:
    return matrix.numel()


def _of_added_matrix_and_vector(_: Tensor, __: Tensor, matrix: Tensor, *___: Any) -> int:
    return matrix.numel()


def _of_matrices(_: Tensor, a: Tensor, b: Tensor, *__: Any) -> int:
    return a.numel() * b.shape[-1]


def _of_added_matrices(out: Tensor, _: Tensor, a: Tensor, b: Tensor, *__: Any) -> int:
    return _of_matrices(out, a, b)


def _of_groups(_: Tensor, a: Tensor, b: Tensor, *__: Any) -> int:
    """Groups of matrices: a dimension of each, or ranges of rows or columns of one."""
    groups = a.shape[0] if a.ndim == b.ndim == 3 else 1
    return groups * prod(a.shape[-2:]) * b.shape[-1]


def _of_time_batch_channels(out: Tensor, _: Tensor, weight: Tensor, *__: Any) -> int:
    return out.numel() * prod(weight.shape[:2])


def _of_three(_: Tensor, a: Tensor, b: Tensor, c: Tensor, *expanded: Any) -> int:
    """Every product of an element of each, as `bilinear` adds them up; `expanded` are the dimensions each lacks."""
    sizes: dict[int, int] = {}
    for tensor, missing in zip((a, b, c), expanded[:3], strict=True):
        own = [dim for dim in range(tensor.ndim + len(missing)) if dim not in missing]
        for dim, size in zip(own, tensor.shape, strict=True):
            sizes[dim] = max(size, sizes.get(dim, 1))
    return prod(sizes.values())


def _of_distances(out: Tensor, a: Tensor, *_: Any) -> int:
    """Distances of pairs: as many as the product of the same rows has."""
    return out.numel() * a.shape[-1]


def _of_attention(_: Any, query: Tensor, key: Tensor, value: Tensor, *__: Any) -> int:
    """Scores, and what they pick; queries of several heads may share the keys of one, which torch 2.11 refuses."""
    return prod(query.shape[:-1]) * key.shape[-2] * (query.shape[-1] + value.shape[-1])


def _of_attention_backward(_: Any, __: Tensor, query: Tensor, key: Tensor, value: Tensor, *___: Any) -> int:
    """The scores once more, and gradients of them, of queries and keys, and of values."""
    return prod(query.shape[:-1]) * key.shape[-2] * (3 * query.shape[-1] + 2 * value.shape[-1])


_MACS: dict[str, Callable[..., int]] = {
    "mv dot vdot": _of_matrix_and_vector,
    "addmv addmv_": _of_added_matrix_and_vector,
    "_int_mm": _of_matrices,
    "addbmm addbmm_ addmm_ baddbmm_ _addmm_activation": _of_added_matrices,
    "_grouped_mm": _of_groups,
    "conv_tbc": _of_time_batch_channels,
    "_trilinear": _of_three,
    "_cdist_forward _euclidean_dist _pdist_forward": _of_distances,
    "_scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_flash_attention "
    "_scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention": _of_attention,
    "_scaled_dot_product_flash_attention_for_cpu_backward _scaled_dot_product_flash_attention_backward "
    "_scaled_dot_product_efficient_attention_backward _scaled_dot_product_cudnn_attention_backward": (
        _of_attention_backward
    ),
}
