"""What weights start from, measured: torch's own initialisers, told from one another and from their own other seeds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy
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
    before = starts(record_starts(recorded))
    return [one.what for one in compare_starts(before, measure_starts(now, seed, before))]


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


# ----------------------------------------------------------------------------------------------------- buffers


class Held(nn.Module):
    """Has a buffer, a table of constants that is none of the drawn ones, and a parameter that isn't drawn."""

    def __init__(self, make: Callable[[], Tensor], name: str = "held", *, saved: bool = True) -> None:
        super().__init__()
        self.register_buffer(name, make(), persistent=saved)
        self.register_buffer("table", torch.arange(2304.0).view(24, 96).sin())
        self.scale = nn.Parameter(torch.ones(96))


def own_generator(scale: float = 1.0) -> Tensor:
    return torch.randn(24, 96, generator=torch.Generator().manual_seed(3)) * scale


def of_numpy(scale: float = 1.0) -> Tensor:
    return torch.from_numpy(numpy.random.normal(0, scale, (24, 96)))


BUFFERS: dict[str, tuple[Callable[[], Tensor], Callable[[], Tensor], str]] = {
    "a normal distribution for a uniform one": (
        lambda: torch.rand(24, 96), lambda: torch.randn(24, 96) * 12**-0.5 + 0.5, "largest"),
    "a uniform one for a normal one": (lambda: torch.randn(24, 96), lambda: torch.rand(24, 96), "mean"),
    "lost scale": (lambda: torch.randn(24, 96) * 10, lambda: torch.randn(24, 96), "standard deviation"),
    "lost normalisation": (
        lambda: nn.functional.normalize(torch.randn(24, 96)), lambda: torch.randn(24, 96), "standard deviation"),
    "zeros": (lambda: torch.randn(24, 96), lambda: torch.zeros(24, 96), "constant"),
    "a table": (lambda: torch.rand(24, 96), lambda: torch.linspace(0, 5, 24 * 96).view(24, 96), "mean"),
    "NumPy": (of_numpy, lambda: of_numpy(3), "standard deviation"),
    "a seed of its own": (own_generator, lambda: own_generator(3), "standard deviation"),
    "a mask's rate": (lambda: torch.rand(24, 96) < 0.1, lambda: torch.rand(24, 96) < 0.2, "mean"),
    "a mask of numbers": (
        lambda: torch.bernoulli(torch.full((24, 96), 0.5)), lambda: torch.bernoulli(torch.full((24, 96), 0.3)), "mean"),
    "signs": (lambda: torch.randn(24, 96), lambda: torch.randn(24, 96).sign(), "largest"),
    "complex numbers": (
        lambda: torch.randn(24, 96, dtype=torch.cfloat), lambda: torch.randn(24, 96, dtype=torch.cfloat) * 2,
        "standard deviation"),
    "a small one": (lambda: torch.randn(60), lambda: torch.randn(60) * 9, "standard deviation"),
    "half precision": (lambda: torch.randn(24, 96).half(), lambda: torch.randn(24, 96).half() / 2,
                       "standard deviation"),
}  # fmt: skip


@pytest.mark.parametrize("saved", [True, False])
@pytest.mark.parametrize("kind", BUFFERS)
def test_how_a_buffer_is_drawn_is_told_and_no_other_seed(kind: str, saved: bool) -> None:
    before, after, what = BUFFERS[kind]
    recorded = starts(record_starts(lambda: Held(before, saved=saved)))
    assert len(recorded) == 1
    for seed in range(10):
        assert compare_starts(recorded, measure_starts(lambda: Held(before), seed, recorded)) == []
    for finds in (False, True):
        now = measure_starts(lambda: Held(after), 0, recorded, finds_buffers=finds)
        assert [one.what for one in compare_starts(recorded, now)] == [what]


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.zeros(24, 96),
        lambda: torch.full((64, 64), -math.inf).triu(1),
        lambda: torch.full((100,), math.nan),
        lambda: torch.randperm(2304),
        lambda: torch.randint(9, (24, 96)),
        lambda: torch.randn(24, 96).to_sparse(),
        lambda: torch.randn(24, 96, device="meta"),
        lambda: torch.quantize_per_tensor(torch.randn(24, 96), 0.1, 0, torch.qint8),
        lambda: torch.nested.nested_tensor([torch.randn(70), torch.randn(80)]),
        lambda: nn.parameter.UninitializedBuffer(),
        lambda: torch.empty(0),
        lambda: torch.rand(()) < 0.5,  # a single one tells nothing, nor does a mask of one draw for all
        lambda: (torch.rand(1, 96) < 0.5).expand(96, 96),
        lambda: torch.randn(24, 96) * torch.rand(()).mul(3).exp(),
    ],
)
def test_buffers_that_are_constant_or_have_no_moments_are_left_out(make: Callable[[], Tensor]) -> None:
    assert record_starts(lambda: Held(make)) == {}


def test_small_buffers_are_apart_from_parameters_whose_names_end_alike() -> None:
    def make() -> nn.Module:
        network = nn.Module()
        network.a, network.b = nn.Linear(3, 40), nn.Module()
        network.b.register_buffer("bias", torch.randn(30) + 5)
        return network

    record = record_starts(make)
    assert record.keys() == {"a.weight", "*.bias", "*.bias (buffers)"}
    assert record["*.bias (buffers)"]["mean"] == pytest.approx(5, abs=0.5)


def test_a_buffer_of_another_name_is_found_and_a_table_is_none() -> None:
    recorded = starts(record_starts(lambda: Held(lambda: torch.randn(24, 96))))

    def compared(make: Callable[[], Tensor]) -> list[str]:
        now = measure_starts(lambda: Held(make, "other"), 0, recorded)
        return [one.what for one in compare_starts(recorded, now)]

    assert compared(lambda: torch.randn(24, 96)) == []
    assert compared(lambda: torch.randn(24, 96) * 3) == ["standard deviation"]
    assert compared(lambda: own_generator(3)) == ["standard deviation"]
    assert compared(lambda: torch.zeros(24, 96)) == []  # as a lost one, which isn't told here
    assert compared(lambda: torch.arange(2304.0).view(24, 96)) == []


def test_a_buffer_that_nobody_knows_is_measured_where_it_is_to_be_found() -> None:
    def names(finds: bool) -> set[str]:
        return set(measure_starts(lambda: Held(lambda: torch.randn(24, 96)), 0, {"scale"}, finds_buffers=finds))

    assert names(False) == {"scale"}
    assert names(True) == {"scale", "held"}


def test_a_buffer_that_shares_memory_with_a_parameter_has_its_moments() -> None:
    def make(size: int = 40) -> nn.Module:
        network = nn.Linear(size, size)
        network.register_buffer("same", network.weight.detach())
        network.register_buffer("copied", network.weight.detach().clone())
        return network

    record = record_starts(make)
    assert record["same"] == record["copied"] == record["weight"]
    large = record_starts(lambda: make(1024))  # which isn't drawn whole
    assert large["same"]["std"] == pytest.approx(large["weight"]["std"], rel=0.02)
    assert differences(make, make, seed=9) == []
