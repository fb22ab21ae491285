"""The numbers that everything is filled with."""

from __future__ import annotations

import hashlib
import math
import zlib

import pytest
import torch

from archcheck.function.fingerprint.number_pool import LENGTH, fill_weight, pool, squeezed_shape, start_of, uniform

CPU = torch.device("cpu")


def filled(*shape: int, key: str = "k", gain: int = 0) -> torch.Tensor:
    tensor = torch.empty(shape, dtype=torch.float64)
    fill_weight(tensor.view(-1), shape, key, gain)
    return tensor


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


@pytest.mark.parametrize("shape", [(16,), (1, 16, 1, 1), ()])
def test_vectors_are_positive(shape: tuple[int, ...]) -> None:
    values = filled(*shape)
    assert 0.25 <= float(values.min()) <= float(values.max()) <= 1


@pytest.mark.parametrize("shape", [(64, 64), (512, 128), (2048, 512), (3000, 1000), (128, 64, 3, 3), (64, 2**15)])
def test_rows_of_weights_are_distinct(shape: tuple[int, ...]) -> None:
    rows = filled(*shape).view(shape[0], -1)
    assert len(torch.unique(rows[:, :4], dim=0)) == shape[0]


def test_weights_of_another_key_are_others() -> None:
    assert not torch.equal(filled(8, 8, key="weight (8, 8) 0"), filled(8, 8, key="weight (8, 8) 1"))


@pytest.mark.parametrize("shape", [(64, 256), (64, 32, 3, 3), (256, 1024)])
def test_weights_have_a_variance_of_three_by_the_number_of_inputs(shape: tuple[int, ...]) -> None:
    variance = float(filled(*shape).pow(2).mean()) * math.prod(shape[1:])
    assert variance == pytest.approx(3, rel=0.05)


def test_rows_are_nearly_centred_but_not_quite() -> None:
    rows = filled(64, 16)
    plain = uniform((64, 16), "k", CPU)
    ratio = rows.mean(1) / plain.mean(1) / (3**0.5 * (3 / 16) ** 0.5)
    assert torch.allclose(ratio, torch.full_like(ratio, 0.02))


def test_few_inputs_are_not_centred() -> None:
    assert torch.allclose(filled(64, 4) / uniform((64, 4), "k", CPU), torch.tensor(3 / 2, dtype=torch.float64))


def test_a_gain_is_a_power_of_two_on_top() -> None:
    assert torch.equal(filled(16, 16, gain=3), 8 * filled(16, 16))
