"""Weights are filled by the order in which they are first used, so that names and registration play no part."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from archcheck.function.fingerprint.number_pool import uniform
from archcheck.function.fingerprint.preparation import NetworkFactory
from archcheck.function.fingerprint.weight_filler import WeightFiller, choose_gain, fill_weight
from tests.unit.function.fingerprint.test_number_pool import CPU
from tests.unit.function.running import IMAGES, ROWS, Computed, difference, held_against, recorded


def base() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def two_linear(first: str = "a", second: str = "b", turned: bool = False) -> nn.Module:
    """The same as `base`, under other names and registered in either order."""
    layers = {first: nn.Linear(8, 16), second: nn.Linear(16, 4)}
    layers = dict(reversed(layers.items())) if turned else layers
    return Computed(lambda net, x: getattr(net, second)(F.relu(getattr(net, first)(x))), **layers)


def by_hand(net: Any, x: Tensor) -> Any:
    hidden = torch.addmm(net.b_in, x, net.w_in.t()).clamp(min=0)
    return torch.einsum("bi,oi->bo", hidden, net.w_out) + net.b_out


def bare() -> nn.Module:
    shapes = {"b_out": (4,), "w_out": (4, 16), "b_in": (16,), "w_in": (16, 8)}
    return Computed(by_hand, **{name: nn.Parameter(torch.zeros(shape).uniform_()) for name, shape in shapes.items()})


def listed() -> nn.Module:
    params = nn.ParameterList([torch.randn(4, 16), torch.randn(4), torch.randn(16, 8), torch.randn(16)])
    return Computed(lambda net, x: F.linear(F.linear(x, net.p[2], net.p[3]).relu(), net.p[0], net.p[1]), p=params)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(two_linear, id="renamed and functional"),
        pytest.param(lambda: two_linear(turned=True), id="registered the other way round"),
        pytest.param(lambda: two_linear("z", "a"), id="names that sort the other way round"),
        pytest.param(lambda: nn.Sequential(nn.Sequential(base())), id="packaged deeper"),
        pytest.param(bare, id="bare parameters and other operations"),
        pytest.param(listed, id="a list of parameters"),
        pytest.param(lambda: torch.compile(base()), id="torch.compile"),
        pytest.param(lambda: torch.fx.symbolic_trace(base()), id="torch.fx"),
        pytest.param(lambda: torch.jit.script(base()), id="TorchScript"),
    ],
)
def test_the_same_computation_is_the_same_function(other: NetworkFactory) -> None:
    assert difference(base, other) is None


def test_a_convolution_with_a_kernel_of_one_is_a_linear_layer() -> None:
    def linear(net: Any, x: Tensor) -> Any:
        out: Tensor = net.fc(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return out

    assert difference(lambda: nn.Conv2d(3, 6, 1), lambda: Computed(linear, fc=nn.Linear(3, 6)), IMAGES) is None


def test_the_order_of_use_counts() -> None:
    def used(net: Any, x: Tensor) -> Any:
        return torch.cat([net.a(x), net.b(x).abs()], 1)

    def turned(net: Any, x: Tensor) -> Any:
        second = net.b(x).abs()
        return torch.cat([net.a(x), second], 1)

    one, other = (lambda f=f: Computed(f, a=nn.Linear(8, 4), b=nn.Linear(8, 4)) for f in (used, turned))
    assert recorded(one).root.numbers["eval"] != recorded(other).root.numbers["eval"]


def test_the_order_of_tensors_of_different_shapes_does_not_count() -> None:
    def matmul_first(net: Any, x: Tensor) -> Any:
        return x @ net.fc.weight.t() + net.fc.bias

    def bias_first(net: Any, x: Tensor) -> Any:
        bias = net.fc.bias * 1
        return bias + x @ net.fc.weight.t()

    one, other = (lambda f=f: Computed(f, fc=nn.Linear(8, 4)) for f in (matmul_first, bias_first))
    assert difference(one, other) is None


@pytest.mark.parametrize("asked", ["shape", "dtype", "device", "requires_grad", "ndim", "size()", "numel()", "dim()"])
def test_asking_about_a_weight_is_no_use_of_it(asked: str) -> None:
    def forward(net: Any, x: Tensor) -> Any:
        found = getattr(net.b.weight, asked.removesuffix("()"))
        assert not asked.endswith("()") or found()
        return net.b(net.a(x))

    one = lambda f=forward: Computed(f, a=nn.Linear(8, 8), b=nn.Linear(8, 8))  # noqa: E731
    other = lambda: Computed(lambda net, x: net.b(net.a(x)), a=nn.Linear(8, 8), b=nn.Linear(8, 8))  # noqa: E731
    assert difference(one, other) is None


def test_shared_weights_are_filled_once() -> None:
    def shared() -> nn.Module:
        layer = nn.Linear(8, 8)
        return nn.Sequential(layer, nn.ReLU(), layer)

    def tied() -> nn.Module:
        net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
        net[2].weight, net[2].bias = net[0].weight, net[0].bias
        return net

    assert difference(shared, tied) is None


def test_weights_that_are_no_longer_shared_differ() -> None:
    def net(shared: bool) -> nn.Module:
        first, second = nn.Linear(8, 8), nn.Linear(8, 8)
        return nn.Sequential(first, nn.ReLU(), first if shared else second)

    assert difference(lambda: net(True), lambda: net(False)) == ("2", "the output differs")


def test_numbers_depend_on_the_shape_and_on_how_many_there_were() -> None:
    params = [torch.empty(shape) for shape in ((3, 9), (3, 9), (9,), (1, 9, 1, 1))]
    filler = WeightFiller(params, [], {})
    filler.fill_used(params[1])
    filler.fill_used({"k": [params[3], (params[0], params[2])]})
    assert [filler.keys[id(one)] for one in params] == [
        "weight (3, 9) 1", "weight (3, 9) 0", "weight (9,) 1", "weight (9,) 0"
    ]  # fmt: skip


def test_what_is_filled_once_stays() -> None:
    param = torch.empty(4, 9)
    filler = WeightFiller([param], [], {})
    assert filler.fill_used(param)[0] is param
    before = param.clone()
    assert filler.fill_used(param) == []
    filler.fill_unused()
    assert torch.equal(param, before)


def test_a_view_of_a_weight_fills_it() -> None:
    param = torch.full((4, 9), torch.nan)
    filler = WeightFiller([param], [], {})
    filler.fill_used(param[1:, 2])
    assert bool(param.isfinite().all())


def test_statistics_are_spread_around_the_constant_that_they_start_from() -> None:
    mean, variance = torch.zeros(64, dtype=torch.float64), torch.ones(64, dtype=torch.float64)
    filler = WeightFiller([], [("norm.running_mean", mean), ("norm.running_var", variance)], {})
    filler.fill_unused()
    assert 0 < float(mean.abs().max()) <= 0.3
    assert 0.7 <= float(variance.min()) < float(variance.max()) <= 1.3


@pytest.mark.parametrize(
    ("spread", "gain"), [(1.0, 0), (0.4, 0), (3.9, 0), (16.0, -5), (0.25, 1), (2.0**-5, 2), (0.0, 0)]
)
def test_a_gain_brings_a_spread_back_by_a_small_step_up_or_a_large_one_down(spread: float, gain: int) -> None:
    out = torch.tensor([[-1.0], [1.0]], dtype=torch.float64) * spread + 100
    assert choose_gain(out) == gain


def test_what_has_no_spread_gets_no_gain() -> None:
    assert choose_gain(torch.full((4, 3), torch.nan)) == 0
    assert choose_gain(torch.tensor([1, 2])) == 0
    assert choose_gain("text") == 0


def test_networks_compute_in_double_precision_whatever_they_ask_for() -> None:
    seen = []

    def forward(net: Any, x: Tensor) -> Any:
        wide = net.fc(x.float().to(torch.float16).type(torch.float32)) + torch.ones(4, dtype=torch.float32)
        seen.append(wide.dtype)
        return wide

    def plain(net: Any, x: Tensor) -> Any:
        out: Tensor = net.fc(x) + 1
        return out

    one, other = (lambda f=f: Computed(f, fc=nn.Linear(8, 4)) for f in (plain, forward))
    assert difference(one, other, ROWS) is None
    assert set(seen) == {torch.float64}


def filled(*shape: int, key: str = "k", gain: int = 0) -> torch.Tensor:
    tensor = torch.empty(shape, dtype=torch.float64)
    fill_weight(tensor.view(-1), shape, key, gain)
    return tensor


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


# ------------------------------------------------------------------------------------------- in networks


class Query(nn.Module):
    """One query that attends to all rows, written in several ways."""

    def __init__(self, attend: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.attend = attend
        self.query, self.keys = nn.Parameter(torch.randn(1, 1, 8)), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        keys = self.keys(x)
        out: Tensor = self.attend(self.query, keys).softmax(-1) @ keys  # (B, 1, T) @ (B, T, 8)
        return out


QUERIES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "product": lambda q, k: q @ k.mT,
    "divided before": lambda q, k: (q / 1.0) @ k.mT,
    "repeated": lambda q, k: q.repeat(len(k), 1, 1) @ k.mT,
    "sum": lambda q, k: (q * k).sum(-1)[:, None],
    "linear": lambda q, k: F.linear(k, q[0]).mT,
    "einsum": lambda q, k: torch.einsum("nqd,btd->bqt", q, k),
}


@pytest.mark.parametrize("way", QUERIES)
def test_whatever_uses_a_weight_its_numbers_are_those_of_its_shape(way: str) -> None:
    assert difference(lambda: Query(QUERIES["product"]), lambda: Query(QUERIES[way]), [2, 5, 8]) is None


def test_weights_of_other_shapes_may_be_used_in_another_order() -> None:
    """The kernels are scaled, as their outputs would be small."""

    def summed(net: Any, x: Tensor) -> Tensor:
        out: Tensor = net.wide(x * 0.1) + net.narrow(x * 0.1)
        return out.relu()

    def turned(net: Any, x: Tensor) -> Tensor:
        out: Tensor = net.narrow(x * 0.1) + net.wide(x * 0.1)
        return out.relu()

    def made(run: Callable[[Any, Tensor], Tensor]) -> NetworkFactory:
        return lambda: Computed(
            run, wide=nn.Conv2d(3, 4, 3, padding=1, bias=False), narrow=nn.Conv2d(3, 4, 1, bias=False)
        )

    record = recorded(made(summed), IMAGES)
    assert record.gains.keys() == {"4x3x3x3@0", "4x3@0"}
    assert held_against(record, made(turned), IMAGES) is None


@pytest.mark.parametrize("first", [True, False])
def test_a_drawn_buffer_is_the_same_as_a_frozen_parameter(first: bool) -> None:
    def projected(net: Any, x: Tensor) -> Tensor:
        out: Tensor = net.gain * (x @ net.directions).sin()
        return out

    def made(kind: Callable[[Tensor], Any]) -> NetworkFactory:
        return lambda: Computed(projected, directions=kind(torch.randn(8, 4)), gain=nn.Parameter(torch.ones(1)))

    buffer, param = made(lambda values: values), made(lambda values: nn.Parameter(values, requires_grad=False))
    assert (difference(buffer, param) if first else difference(param, buffer)) is None


def test_what_a_buffers_memory_held_before_plays_no_part() -> None:
    """Layers of Bayesian networks keep noise in such a buffer, and draw it anew in each pass."""

    def sampled(net: Any, x: Tensor) -> Tensor:
        weight: Tensor = net.mean + net.spread.exp() * net.noise.data.normal_()
        return x @ weight

    def made(was_there: float) -> nn.Module:
        noise = torch.empty(8, 4)
        with torch._C._DisableTorchDispatch():  # as if it had been there
            noise.fill_(was_there)
        mean, spread = nn.Parameter(torch.randn(8, 4)), nn.Parameter(torch.randn(8, 4))
        return Computed(sampled, mean=mean, spread=spread, noise=noise)

    assert difference(lambda: made(-1.0), lambda: made(1.0)) is None


def test_a_generator_of_ones_own_draws_as_torchs_does() -> None:
    def made(drawn: Callable[[], Tensor]) -> NetworkFactory:
        return lambda: Computed(lambda net, x: x @ net.weight, weight=nn.Parameter(drawn()))

    own = made(lambda: torch.randn(8, 4, generator=torch.Generator().manual_seed(3)))
    assert difference(made(lambda: torch.randn(8, 4)), own) is None
    noisy = lambda net, x: net.fc(x) + torch.randn(4, 8, generator=net.own)  # noqa: E731
    plain = lambda net, x: net.fc(x) + torch.randn(4, 8)  # noqa: E731
    with_own = lambda: Computed(noisy, fc=nn.Linear(8, 8), own=torch.Generator())  # type: ignore[arg-type] # noqa: E731
    assert difference(lambda: Computed(plain, fc=nn.Linear(8, 8)), with_own) is None
