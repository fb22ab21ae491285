"""What is computed from shapes alone is what torch's own meta kernels give."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from archcheck.deployment.blank_results import blank_results

ATEN = torch.ops.aten


def meta(*sizes: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(sizes, dtype=dtype, device="meta")


def facts(value: Any) -> Any:
    parts = value if isinstance(value, tuple) else (value,)
    return [(one.shape, one.dtype, one.stride(), one.device) for one in parts]


IMAGE, LAST = meta(2, 3, 5, 7), meta(2, 3, 5, 7).contiguous(memory_format=torch.channels_last)
C = meta(3)
CALLS = [
    (ATEN.native_batch_norm.default, (IMAGE, C, C, C, C, True, 0.1, 1e-5)),
    (ATEN.native_batch_norm.default, (LAST, C, C, C, C, False, 0.1, 1e-5)),
    (ATEN.native_batch_norm.default, (IMAGE, None, None, None, None, True, 0.1, 1e-5)),
    (ATEN.native_layer_norm.default, (meta(2, 5, 3), [3], C, C, 1e-5)),
    (ATEN.native_layer_norm.default, (meta(2, 3, 5).transpose(1, 2), [3], None, None, 1e-5)),
    (ATEN._softmax.default, (meta(2, 3, 5).transpose(1, 2), -1, False)),
    (ATEN.addmm.default, (C, meta(2, 5), meta(5, 3))),
    *(
        (one, (tensor,))
        for one in (ATEN.relu.default, ATEN.gelu.default, ATEN.silu.default)
        for tensor in (IMAGE, LAST)
    ),
    (ATEN.hardtanh.default, (IMAGE.transpose(1, 2), 0.0, 6.0)),
]


@pytest.mark.parametrize(("func", "args"), CALLS, ids=lambda value: str(value) if not isinstance(value, tuple) else "")
def test_a_result_is_torchs_own(func: Any, args: Any) -> None:
    assert facts(blank_results()[func](*args)) == facts(func(*args))


@pytest.mark.parametrize(
    ("func", "args"),
    [
        (ATEN.sigmoid.default, (meta(2, dtype=torch.int64),)),
        (ATEN._softmax.default, (meta(2, 3, dtype=torch.float16), -1, True)),
        (ATEN.addmm.default, (C, meta(2, 5), meta(5, 3, dtype=torch.float64))),
    ],
)
def test_what_has_another_dtype_is_left_to_torch(func: Any, args: Any) -> None:
    assert blank_results()[func](*args) is NotImplemented
