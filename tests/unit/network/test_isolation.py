"""What surrounds a forward pass is as it was afterwards."""

from __future__ import annotations

import gc
import random
import sys

import pytest
import torch

from archcheck.network.isolation import gc_paused, isolated_user_code, raised_recursion_limit


def test_settings_gradients_and_random_numbers_come_back() -> None:
    torch.manual_seed(3)
    random.seed(3)
    expected = torch.rand(2), random.random()
    torch.manual_seed(3)
    random.seed(3)
    with isolated_user_code():
        assert not torch.is_grad_enabled()
        torch.set_default_dtype(torch.float64)
        torch.rand(5)
        random.random()
    assert torch.get_default_dtype() is torch.float32
    assert torch.is_grad_enabled()
    assert torch.equal(torch.rand(2), expected[0])
    assert random.random() == expected[1]


def test_settings_come_back_after_an_error() -> None:
    def fails() -> None:
        with isolated_user_code():
            torch.set_default_dtype(torch.float64)
            raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        fails()
    assert torch.get_default_dtype() is torch.float32


@pytest.mark.parametrize(("depth", "more"), [(0, 0), (49, 0), (50, 150), (200, 600)])
def test_the_recursion_limit_grows_with_the_depth_of_the_modules(depth: int, more: int) -> None:
    before = sys.getrecursionlimit()
    with raised_recursion_limit(["", ".".join("m" * (depth + 1))]):
        assert sys.getrecursionlimit() == before + more
    assert sys.getrecursionlimit() == before


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_collection_is_paused_and_as_it_was_afterwards(enabled: bool) -> None:
    assert gc.isenabled()
    try:
        gc.enable() if enabled else gc.disable()
        with gc_paused():
            assert not gc.isenabled()
        assert gc.isenabled() is enabled
    finally:
        gc.enable()
