"""Tensors on meta whose values are computed beside them."""

from __future__ import annotations

import pytest
import torch

from archcheck.deployment.shadow_values import ShadowValues

ATEN = torch.ops.aten


def test_views_share_the_values_and_what_is_written_to_one_is_seen_in_the_other() -> None:
    values = ShadowValues()
    blank = values.place(torch.arange(6.0).reshape(2, 3))
    row = values.compute(ATEN.select.int, (blank, 0, 1), {})
    values.compute(ATEN.mul_.Tensor, (row, torch.tensor(10.0)), {})
    assert values.read(blank).tolist() == [[0, 1, 2], [30, 40, 50]]


def test_what_meta_cant_tell_has_the_shape_that_the_values_give_it() -> None:
    values = ShadowValues()
    found = values.compute(ATEN.nonzero.default, (values.place(torch.tensor([0, 1, 0, 1])),), {})
    assert found.device.type == "meta"
    assert values.read(found).tolist() == [[1], [3]]


def test_a_number_is_read() -> None:
    values = ShadowValues()
    assert values.compute(ATEN._local_scalar_dense.default, (values.place(torch.tensor(2.5)),), {}) == 2.5


def test_a_tensor_that_nothing_has_seen_has_no_values() -> None:
    with pytest.raises(NotImplementedError, match="a tensor on meta of which no values are known"):
        ShadowValues().read(torch.empty(2, device="meta"))
