"""The numbers that everything is filled with."""

from __future__ import annotations

import hashlib
import zlib

import pytest
import torch

from archcheck.function.fingerprint.number_pool import LENGTH, pool, squeezed_shape, start_of, uniform

CPU = torch.device("cpu")


def test_the_numbers_come_from_a_hash_function() -> None:
    digits = hashlib.shake_256(b"archcheck").digest(12)
    whole = [int.from_bytes(digits[i : i + 4], "little", signed=True) for i in (0, 4, 8)]
    assert pool(CPU)[:3].tolist() == [(number + 0.5) / 2**31 for number in whole]


def test_the_numbers_do_not_depend_on_torchs_generator() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = uniform((50,), "a key", CPU)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert torch.equal(one, uniform((50,), "a key", CPU))


def test_the_numbers_are_evenly_spread_between_minus_one_and_one() -> None:
    numbers = pool(CPU)
    counts = torch.histc(numbers, bins=10, min=-1, max=1)
    assert numbers.dtype == torch.float64
    assert float(numbers.abs().max()) < 1
    assert float(numbers.abs().min()) > 0
    assert counts.sum() == LENGTH
    assert float((counts / LENGTH - 0.1).abs().max()) < 0.002


def test_a_key_says_where_its_numbers_begin() -> None:
    start = zlib.crc32(b"input 0") % LENGTH
    assert start_of("input 0") == start
    assert torch.equal(uniform((2, 3), "input 0", CPU).view(-1), pool(CPU)[start : start + 6])


def test_more_numbers_than_there_are_begin_again() -> None:
    many = uniform((LENGTH + 5,), "k", CPU)
    assert torch.equal(many[LENGTH:], many[:5])
    first = LENGTH - start_of("k")
    assert torch.equal(many[first : first + 10], pool(CPU)[:10])


@pytest.mark.parametrize(
    ("shape", "expected"), [((1, 8, 1, 1), (8,)), ((8,), (8,)), ((3, 1, 5), (3, 5)), ((), ()), ((1, 1), ())]
)
def test_a_squeezed_shape_is_without_its_ones(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert squeezed_shape(shape) == expected
