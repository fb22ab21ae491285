"""Where tensors live while there is no device but meta."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from archcheck.structure.meta.placement import is_real, moved_to_meta, placement_rules, run_on_meta

META = torch.empty(2, device="meta")


def placed(func: object, *args: object, **kwargs: object) -> Tensor:
    result: Tensor = placement_rules()[func](func, args, kwargs)
    return result


def test_weights_are_made_on_meta_and_tables_on_the_cpu() -> None:
    assert placed(torch.zeros, 2, device="cpu").is_meta
    assert placed(torch.full, (2,), 3.0).is_meta
    assert placed(torch.arange, 3, device="cuda").tolist() == [0, 1, 2]
    assert placed(torch.arange, 3, device="meta").is_meta


def test_no_device_but_meta_is_moved_to() -> None:
    assert placed(Tensor.cuda, META).is_meta
    assert placed(Tensor.cuda, torch.ones(2)).is_meta
    assert placed(Tensor.cpu, torch.ones(2)).tolist() == [1, 1]
    assert placed(Tensor.to, META, "cuda").is_meta
    assert placed(Tensor.to, torch.ones(2), 0).is_meta
    assert placed(Tensor.to, torch.ones(2), torch.float64).tolist() == [1, 1]
    assert placed(Tensor.to, META, torch.ones(1, dtype=torch.float64)).dtype is torch.float64


def test_constants_follow_meta_tensors() -> None:
    constant = torch.arange(2.0)
    assert run_on_meta(torch.add, (META, constant), {}).is_meta
    moved = moved_to_meta(torch.stack, ([META, constant],), {})
    assert moved is not None
    assert not any(map(is_real, moved[0][0]))


def test_values_that_would_be_lost_stay() -> None:
    real = torch.ones(2)
    assert moved_to_meta(Tensor.add_, (real, META), {}) is None
    assert moved_to_meta(torch.add, (META, real), {"out": real}) is None
    assert moved_to_meta(torch.add, (real, real), {}) is None
    with pytest.raises(RuntimeError, match=r"\S"):
        run_on_meta(torch.add, (META, torch.ones(3)), {})
