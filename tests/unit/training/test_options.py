"""What the command line says of training, torch not needed."""

from __future__ import annotations

import pytest

from archcheck.errors import UsageError
from archcheck.text.units import parse_bytes
from archcheck.training.options import parse_device, parse_seed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("1_000_000", 1_000_000),
        ("500 MB", 500_000_000),
        ("500mb", 500_000_000),
        ("2 GiB", 2_147_483_648),
        ("1.5 KiB", 1536),
        ("3k", 3000),
        ("1 TB", 1_000_000_000_000),
        (" 7 B ", 7),
    ],
)
def test_an_amount_of_memory_in_bytes(text: str, expected: int) -> None:
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "much", "-1 GB", "1 XB", "1 GiBs", "GB", "1e9", "nan", "_", "1.2.3 MB"])
def test_anything_else_is_no_amount(text: str) -> None:
    with pytest.raises(UsageError, match="expected an amount of memory such as 500 MB or 2 GiB, found"):
        parse_bytes(text)


@pytest.mark.parametrize("name", ["auto", "cpu", "cuda", "cuda:0", "cuda:15", "mps"])
def test_devices(name: str) -> None:
    assert parse_device(name) == name


@pytest.mark.parametrize(
    "name", ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "cpu:0", "CUDA", "cuda:0\n", "mps:0", "meta"]
)
def test_names_that_are_no_devices(name: str) -> None:
    with pytest.raises(UsageError, match="expected a device: auto, cpu, cuda, cuda:N or mps, found"):
        parse_device(name)


@pytest.mark.parametrize("seed", [None, 0, 1, 2**32 - 1])
def test_seeds(seed: int | None) -> None:
    assert parse_seed(seed) == seed


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_numbers_that_are_no_seeds(seed: int) -> None:
    with pytest.raises(UsageError, match=f"expected a seed from 0 to 4294967295, found {seed}"):
        parse_seed(seed)
