"""What the command line says of training."""

from __future__ import annotations

import pytest

from archcheck.errors import UsageError
from archcheck.training.options import parse_device, parse_seed


@pytest.mark.parametrize("name", ["auto", "cpu", "cpu:0", "cuda", "cuda:0", "cuda:15", "mps", "mps:0", "xpu:1", "hpu"])
def test_devices(name: str) -> None:
    assert parse_device(name) == name


@pytest.mark.parametrize("name", ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "CUDA", "cuda:0\n", "cuda:300", "meta"])
def test_names_that_are_no_devices(name: str) -> None:
    with pytest.raises(UsageError, match="expected auto or a device that torch knows, found"):
        parse_device(name)


@pytest.mark.parametrize("seed", [None, 0, 1, 2**32 - 1])
def test_seeds(seed: int | None) -> None:
    assert parse_seed(seed) == seed


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_numbers_that_are_no_seeds(seed: int) -> None:
    with pytest.raises(UsageError, match=f"expected a seed from 0 to 4294967295, found {seed}"):
        parse_seed(seed)
