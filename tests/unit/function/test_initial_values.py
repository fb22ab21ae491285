"""What weights start from, measured: torch's own initialisers, told from one another and from their own other seeds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archcheck.function.initial_comparison import Start, compare_starts
from archcheck.function.initial_values import measure_starts, record_starts

SHAPE = (48, 32, 3, 3)  # 13,824 numbers; fan-in 288, fan-out 432


class Net(nn.Module):
    def __init__(self, initialise: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(SHAPE))
        initialise(self.weight)


def starts(record: dict[str, dict[str, Any]]) -> dict[str, Start]:
    return {name: Start.from_plain(one) for name, one in record.items()}


def differences(recorded: Callable[[], nn.Module], now: Callable[[], nn.Module], seed: int = 0) -> list[str]:
    return [one.what for one in compare_starts(starts(record_starts(recorded)), measure_starts(now, seed))]


INITIALISERS: dict[str, Callable[[Tensor], Any]] = {
    "default": lambda weight: nn.init.kaiming_uniform_(weight, a=math.sqrt(5)),
    "kaiming normal": nn.init.kaiming_normal_,
    "fan-out": lambda weight: nn.init.kaiming_normal_(weight, mode="fan_out"),
    "no gain": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="linear"),
    "kaiming uniform": nn.init.kaiming_uniform_,
    "truncated": lambda weight: nn.init.trunc_normal_(weight, 0.0, math.sqrt(2 / 288), -2 * math.sqrt(2 / 288),
                                                      2 * math.sqrt(2 / 288)),
    "xavier": nn.init.xavier_uniform_,
    "orthogonal": lambda weight: nn.init.orthogonal_(weight, gain=1.7),  # with a gain of 1 its moments are "no gain"'s
    "sparse": lambda weight: nn.init.sparse_(weight.view(48, -1), 0.5),
    "shifted": lambda weight: nn.init.normal_(weight, 1.0, math.sqrt(2 / 288)),
}  # fmt: skip


@pytest.mark.parametrize("now", INITIALISERS)
@pytest.mark.parametrize("recorded", INITIALISERS)
def test_each_initialiser_is_told_from_every_other(recorded: str, now: str) -> None:
    found = differences(lambda: Net(INITIALISERS[recorded]), lambda: Net(INITIALISERS[now]), seed=11)
    assert bool(found) == (recorded != now)


def test_the_moments_are_those_of_the_distribution() -> None:
    (recorded,) = record_starts(lambda: Net(nn.init.kaiming_normal_)).values()
    assert recorded["shape"] == list(SHAPE)
    assert recorded["std"] == pytest.approx(math.sqrt(2 / 288), rel=0.02)
    assert recorded["mean"] == pytest.approx(0, abs=0.002)
    assert 3.5 < recorded["largest"] < 5


def network(width: int = 20) -> nn.Module:
    return nn.Sequential(nn.Linear(8, width), nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, 10), nn.Embedding(9, 7))


def test_many_seeds_are_no_difference() -> None:
    recorded = starts(record_starts(network))
    for seed in range(200):
        assert compare_starts(recorded, measure_starts(network, seed)) == []


def test_small_parameters_are_put_together_and_constants_left_out() -> None:
    record = record_starts(network)
    assert record.keys() == {"0.weight", "3.weight", "*.bias", "*.weight"}
    assert record["*.bias"]["shape"] == [20 + 20 + 10]  # the layer norm's, too, as constants among them
    assert record["*.weight"]["shape"] == [20 + 63]
    assert record_starts(lambda: nn.Sequential(nn.LayerNorm(100))) == {}


def test_the_generators_are_left_as_they_were() -> None:
    before = torch.get_rng_state()
    record_starts(network)
    measure_starts(network, 3)
    assert torch.equal(torch.get_rng_state(), before)


class OneRow(nn.Module):
    """Draws one row and repeats it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, 64).repeat(64, 1))


class Scaled(nn.Module):
    """Draws how large its numbers are, too."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(64, 64) * torch.rand(1).mul(3).exp())


def test_numbers_that_hang_together_are_counted_once_or_left_out() -> None:
    assert record_starts(OneRow).get("weight", {"count": 64})["count"] == 64
    assert record_starts(Scaled) == {}
    recorded = starts(record_starts(OneRow))
    for seed in range(100):
        assert compare_starts(recorded, measure_starts(OneRow, seed)) == []


def test_what_has_no_numbers_is_left_out() -> None:
    assert record_starts(lambda: nn.LazyLinear(5)) == {}
    assert record_starts(lambda: nn.Linear(100, 5, device="meta")) == {}
    assert record_starts(lambda: nn.ReLU()) == {}


def seeded() -> nn.Linear:
    torch.manual_seed(5)
    return nn.Linear(40, 30)


def wrong() -> nn.Module:
    network = seeded()
    nn.init.normal_(network.weight, std=1.0)
    return network


def test_what_seeds_itself_is_held_too() -> None:
    assert differences(seeded, seeded, seed=9) == []
    assert differences(seeded, wrong) == ["standard deviation"]


def filters(factor: float = 1.0) -> nn.Module:
    network = nn.Module()
    network.weight = nn.Parameter(torch.randn(14, 8, 16, dtype=torch.cfloat) * factor)
    return network


def test_complex_numbers_have_two_parts() -> None:
    assert differences(filters, filters, seed=9) == []
    assert differences(filters, lambda: filters(1.2)) == ["standard deviation"]


class OfRankOne(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(16, 1) @ torch.randn(1, 16))


class Cauchy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(16, 16).cauchy_())


@pytest.mark.parametrize("make", [OfRankOne, Cauchy, Scaled])
def test_what_no_moment_tells_is_left_out(make: Callable[[], nn.Module]) -> None:
    assert record_starts(make) == {}
