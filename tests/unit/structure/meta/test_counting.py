"""Multiply-adds of operations without a shortcut, by torch's own formulas."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from archcheck.structure.meta.counting import CountingMode, is_uncounted
from tests.unit.structure.meta.calls import MacCounter


def test_counts_are_half_of_torchs_flops() -> None:
    a, b, image, kernel = torch.ones(3, 4), torch.ones(4, 5), torch.ones(1, 2, 6, 6), torch.ones(3, 2, 3, 3)
    counter, flops = MacCounter(), FlopCounterMode(display=False)
    for mode in (flops, CountingMode(counter)):
        with mode:
            torch.conv2d(image, kernel)
            torch.mm(a, b)
    assert counter.macs == flops.get_total_flops() // 2 == 3 * 4 * 5 + 4 * 4 * 3 * 2 * 3 * 3
    assert counter.uncounted == set()


def test_products_without_a_formula_are_named() -> None:
    counter = MacCounter()
    with CountingMode(counter):
        torch.linalg.inv_ex(torch.eye(3))
        torch.exp(torch.ones(3))
    assert counter.macs == 0
    assert "aten::linalg_inv_ex" in counter.uncounted


@pytest.mark.parametrize(
    ("name", "uncounted"),
    [
        ("aten::linalg_svd", False), ("aten::_linalg_svd", True), ("aten::exp", False), ("mine::exp", True),
        ("quantized::conv2d", True), ("quantized::conv2d_stride", False), ("quantized::add", False),
        ("mkldnn::_linear_pointwise", True),
    ],
)  # fmt: skip
def test_what_may_multiply_matrices_is_known_by_name(name: str, uncounted: bool) -> None:
    assert is_uncounted(name) is uncounted
