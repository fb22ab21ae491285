"""Random draws come out the same whatever the generators' state is, and are told of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.checkpoint import checkpoint

from archcheck.function.fingerprint.deterministic_random import DeterministicRandom, DrawSequence
from archcheck.function.fingerprint.preparation import NetworkFactory
from tests.unit.function.running import (
    WORDS,
    Applied,
    Computed,
    difference,
    drawn_in,
    held_against,
    numbers_of,
    recorded,
)

DRAWS: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "rand": (lambda x: x + torch.rand(4, 8), "rand"),
    "randn": (lambda x: x + torch.randn(x.shape), "randn"),
    "rand_like": (lambda x: x + torch.rand_like(x), "rand_like"),
    "randn_like": (lambda x: x + torch.randn_like(x), "randn_like"),
    "randint": (lambda x: x + torch.randint(2, 9, (8,)), "randint"),
    "randint_like": (lambda x: x + torch.randint_like(x, 5), "randint_like"),
    "randperm": (lambda x: x[:, torch.randperm(8)], "randperm"),
    "normal_": (lambda x: x + torch.empty_like(x).normal_(1, 2), "normal_"),
    "uniform_": (lambda x: x + torch.empty(4, 8).uniform_(-1, 1), "uniform_"),
    "exponential_": (lambda x: x + torch.empty_like(x).exponential_(), "exponential_"),
    "bernoulli_": (lambda x: x * torch.empty_like(x).bernoulli_(0.3), "bernoulli_"),
    "bernoulli": (lambda x: x * torch.bernoulli(torch.full_like(x, 0.5)), "bernoulli"),
    "normal": (lambda x: x + torch.normal(0.0, 1.0, (4, 8)), "normal"),
    "normal of means": (lambda x: x + torch.normal(x, 1.0), "normal"),
    "native_dropout": (lambda x: torch.native_dropout(x, 0.5, True)[0], "native_dropout"),
    "gumbel_softmax": (F.gumbel_softmax, "exponential_"),
    "a generator of its own": (lambda x: x + torch.rand(4, 8, generator=torch.Generator()), "rand"),
    "dropout in eval mode": (F.dropout, "bernoulli_"),
    "alpha_dropout": (lambda x: F.alpha_dropout(x, training=True), "bernoulli_"),
    "seeded by the clock": (lambda x: x + torch.rand(4, 8) * (torch.seed() != -1), "rand"),
}
SILENT: dict[str, tuple[NetworkFactory, list[int]]] = {
    "dropout": (lambda: nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.3), nn.Linear(8, 4)), [4, 8]),
    "attention": (lambda: attention(0.3), WORDS),
    "transformer": (lambda: nn.TransformerEncoderLayer(8, 2, 16, 0.2, batch_first=True), WORDS),
    "LSTM": (lambda: recurrent(nn.LSTM, 0.3), WORDS),
    "GRU": (lambda: recurrent(nn.GRU, 0.3), WORDS),
    "stochastic depth": (lambda: nn.Sequential(nn.Linear(8, 8), Skipped(0.4), nn.Linear(8, 4)), [4, 8]),
}


class Skipped(nn.Module):
    """Stochastic depth: in train mode some examples skip."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        return x * (torch.rand(len(x), 1) >= self.rate) / (1 - self.rate) if self.training else x


def attention(dropout: float) -> nn.Module:
    def forward(net: Any, x: Tensor) -> Any:
        out: Tensor = net.attention(x, x, x)[0]
        return out

    return Computed(forward, attention=nn.MultiheadAttention(8, 2, dropout=dropout, batch_first=True))


def recurrent(kind: Any, dropout: float) -> nn.Module:
    return Computed(lambda net, x: net.rnn(x)[0], rnn=kind(8, 6, num_layers=2, dropout=dropout, batch_first=True))


def drawing(function: Callable[[Tensor], Tensor]) -> NetworkFactory:
    return lambda: nn.Sequential(Applied(function), nn.Linear(8, 4))


@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_is_the_same_whatever_the_seed(name: str) -> None:
    make = drawing(DRAWS[name][0])
    torch.manual_seed(1)
    record = recorded(make)
    torch.manual_seed(2)
    assert held_against(record, make, seed=1) is None


@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_in_eval_mode_is_told_of(name: str) -> None:
    function, drawn = DRAWS[name]
    assert drawn_in(drawing(function)) == {"0": drawn}


@pytest.mark.parametrize("name", SILENT)
def test_what_draws_in_train_mode_alone_is_not_told_of(name: str) -> None:
    make, pattern = SILENT[name]
    assert drawn_in(make, pattern) == {}


@pytest.mark.parametrize("name", SILENT)
def test_draws_in_train_mode_are_the_same_whatever_the_seed(name: str) -> None:
    make, pattern = SILENT[name]
    torch.manual_seed(1)
    record = recorded(make, pattern)
    torch.manual_seed(2)
    assert held_against(record, make, pattern, seed=1) is None


@pytest.mark.parametrize(
    ("make", "other", "layer"),
    [
        (lambda: attention(0.3), lambda: attention(0.2), "attention"),
        (lambda: attention(0.3), lambda: attention(0.0), "attention"),
        (lambda: recurrent(nn.LSTM, 0.3), lambda: recurrent(nn.LSTM, 0.2), "rnn"),
        (lambda: recurrent(nn.GRU, 0.3), lambda: recurrent(nn.GRU, 0.0), "rnn"),
    ],
    ids=["attention", "attention without", "LSTM", "GRU without"],
)
def test_another_rate_is_seen_in_train_mode(make: NetworkFactory, other: NetworkFactory, layer: str) -> None:
    assert difference(make, other, WORDS) == (layer, "the output in train mode differs")


@pytest.mark.parametrize("reentrant", [False, True])
def test_gradient_checkpointing_draws_the_same_again(reentrant: bool) -> None:
    def net(checkpointed: bool) -> nn.Module:
        def forward(net: Any, x: Tensor) -> Any:
            hidden = checkpoint(net.inner, x, use_reentrant=reentrant) if checkpointed else net.inner(x)
            out: Tensor = net.head(hidden)
            return out

        inner = nn.Sequential(nn.Linear(8, 16), nn.Dropout(0.3), nn.ReLU())
        return Computed(forward, inner=inner, head=nn.Linear(16, 4))

    assert difference(lambda: net(False), lambda: net(True)) is None


def test_what_a_network_is_built_with_by_chance_is_the_same_whatever_the_seed() -> None:
    def build() -> nn.Module:
        signs = torch.randn(8).sign()
        return Computed(lambda net, x: net.fc(x * net.signs), fc=nn.Linear(8, 4), signs=signs)

    torch.manual_seed(1)
    record = recorded(build)
    torch.manual_seed(2)
    assert held_against(record, build, seed=1) is None


@pytest.mark.parametrize(
    ("function", "low", "high"),
    [
        (lambda: torch.rand(1000), 0, 1),
        (lambda: torch.randint(3, 7, (1000,)), 3, 6),
        (lambda: torch.empty(1000).uniform_(-2, 5), -2, 5),
        (lambda: torch.empty(1000).bernoulli_(0.2), 0, 1),
        (lambda: torch.empty(1000).exponential_(), 0, 100),
    ],
    ids=["rand", "randint", "uniform_", "bernoulli_", "exponential_"],
)
def test_draws_keep_to_their_range(function: Callable[[], Tensor], low: float, high: float) -> None:
    with DeterministicRandom(DrawSequence()):
        drawn = function()
    assert low <= float(drawn.min()) < float(drawn.max()) <= high


@pytest.mark.parametrize(
    "function",
    [
        lambda: torch.rand(2),
        lambda: torch.randint(3, (2,)),
        lambda: torch.randint(3, 7, (2,)),
        lambda: torch.randint(3, 7, (2,), generator=torch.Generator()),
        lambda: torch.randint(3, (2,), dtype=torch.int32),
        lambda: torch.randint(3, (2,), dtype=torch.float32),
        lambda: torch.randint_like(torch.zeros(2), 5),
        lambda: torch.randperm(3),
        lambda: torch.randperm(3, dtype=torch.int32),
        lambda: torch.multinomial(torch.ones(3), 2),
        lambda: torch.normal(0.0, 1.0, (2,)),
        lambda: torch.poisson(torch.ones(2)),
    ],
)
def test_draws_have_the_dtype_that_torch_gives_them(function: Callable[[], Tensor]) -> None:
    expected = function().dtype
    with DeterministicRandom(DrawSequence()):
        assert function().dtype == expected


def test_drawn_whole_numbers_can_cut_and_index() -> None:
    class Crop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)
            self.columns = list(range(8))[: torch.randint(5, 7, (1,)).item()]  # type: ignore[index]

        def forward(self, x: Tensor) -> Tensor:
            first = torch.randint(0, 4, (1,)).item()
            x = x[:, first : first + 4]
            return self.fc(x)[torch.randint(len(x), (2,))]  # type: ignore[no-any-return]

    assert "fc" in numbers_of(recorded(Crop))


def test_draws_have_the_mean_and_spread_that_they_should() -> None:
    with DeterministicRandom(DrawSequence()):
        normal = torch.empty(100_000).normal_(3, 2)
        kept = torch.empty(100_000).bernoulli_(0.2)
    assert float(normal.mean()) == pytest.approx(3, abs=0.05)
    assert float(normal.std()) == pytest.approx(2, rel=0.02)
    assert float(kept.mean()) == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(
    "kept",
    [
        lambda: torch.bernoulli(torch.full((50,), 0.8)),
        lambda: torch.rand(50) > 0.2,
        lambda: torch.rand(50) < 0.8,
        lambda: torch.rand_like(torch.zeros(50)) < 0.8,
        lambda: torch.empty(50).uniform_(0, 1) < 0.8,
        lambda: (torch.rand(50) + 0.8).floor(),
        lambda: ~(torch.rand(50) < 0.2),
        lambda: [(drawn := torch.rand(50)) < 0.8, drawn < 0.8][1],
    ],
)
def test_what_is_kept_with_a_rate_is_the_same_however_it_is_written(kept: Callable[[], Tensor]) -> None:
    with DeterministicRandom(DrawSequence()):
        expected = torch.empty(50).bernoulli_(0.8)
    with DeterministicRandom(DrawSequence()):
        assert torch.equal(kept().float(), expected)
        assert 0.6 < expected.mean() < 0.95


def test_a_permutation_is_one() -> None:
    with DeterministicRandom(DrawSequence()):
        order = torch.randperm(50)
    assert order.sort().values.tolist() == list(range(50))
    assert order.tolist() != list(range(50))


def test_outside_of_it_torch_draws_as_ever() -> None:
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    with DeterministicRandom(DrawSequence()):
        torch.rand(4)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(4), expected)


def test_of_a_few_numbers_one_keeps_and_one_drops_whichever_draw_it_is() -> None:
    draws = DrawSequence()
    for _ in range(20):
        dropped = draws.unit((4, 1), "cpu") < 0.5  # as `rand() < rate`: at any rate from 0.0002 to 0.9998
        numbers = draws.unit((4, 1), "cpu").flatten().tolist()
        assert max(numbers) > 0.9998
        assert min(numbers) < 0.0002
        assert bool(dropped.any())
        assert not bool(dropped.all())


def test_each_block_that_examples_skip_at_random_gets_its_gradient_in_train_mode() -> None:
    def forward(net: Any, x: Tensor) -> Tensor:
        for block in net.blocks:
            x = x + block(x)
        return x

    def blocks() -> nn.Module:
        kept = nn.ModuleList(nn.Sequential(nn.Linear(8, 8), Skipped(0.5)) for _ in range(12))
        return Computed(forward, blocks=kept)

    record = recorded(blocks, [2, 8])
    assert all("gradient" in call.numbers for call in record.calls if call.type_name == "Linear")


def test_weights_that_are_drawn_again_until_they_are_within_bounds_take_one_draw() -> None:
    param, asked = nn.Parameter(torch.empty(30, 30)), []

    class Noted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = param
            nn.init.trunc_normal_(param, std=0.02)
            asked.extend([bool((param < -1).any()), bool((param > 1).any()), bool((param > 0).any())])

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.weight

    with DeterministicRandom(DrawSequence(), traces_draws=True) as mode:
        Noted()
    assert asked == [False, False, True]
    assert mode.is_drawn(param)
