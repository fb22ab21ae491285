"""Products of groups of rows, each with a matrix of its own, in double precision, which torch's own doesn't know."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def grouped_mm(
    mat_a: Tensor, mat_b: Tensor, *, offs: Tensor | None = None, bias: Tensor | None = None, out_dtype: Any = None
) -> Tensor:
    """`torch.nn.functional.grouped_mm`, in double precision of what a layer of experts multiplies; else torch's own.

    The groups of rows end at `offs`. Rows behind the last one, which torch doesn't write to, are 0.
    """
    of_rows = mat_a.ndim == 2 and mat_b.ndim == 3 and offs is not None
    if not of_rows or mat_a.dtype is not torch.float64 or bias is not None or out_dtype is not None:
        return functional.grouped_mm(mat_a, mat_b, offs=offs, bias=bias, out_dtype=out_dtype)
    assert offs is not None
    ends = offs.tolist()
    rest = mat_a.new_zeros(len(mat_a) - ends[-1], mat_b.shape[-1])
    groups = [mat_a[start:end] @ matrix for (start, end), matrix in zip(pairwise([0, *ends]), mat_b, strict=True)]
    return torch.cat([*groups, rest])
