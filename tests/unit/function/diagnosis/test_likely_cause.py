"""The cause of a difference, found by undoing it: a network is recorded, a mistake is made in it, and gets its name."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from archcheck.function.diagnosis.likely_cause import likely_cause
from archcheck.function.fingerprint.config import FingerprintConfig
from archcheck.function.fingerprint.fingerprint import fingerprint
from archcheck.function.fingerprint.preparation import NetworkFactory
from archcheck.function.records import DifferingCall
from tests.unit.function.diagnosis.asking import LINEAR, SQUARE, Forward, Layers, asked, cause, computing
from tests.unit.function.running import IMAGES, ROWS, WORDS, inputs_of

NORMED: Layers = {**SQUARE, "norm": partial(nn.BatchNorm1d, 8)}
CONVOLUTIONS: Layers = {"a": partial(nn.Conv2d, 3, 6, 3, padding=1), "b": partial(nn.Conv2d, 6, 4, 3)}
WIDER: Layers = {"a": CONVOLUTIONS["a"], "b": partial(nn.Linear, 6, 4)}


class Case(NamedTuple):
    """A forward as it was recorded and as it is now, and what is said of it."""

    recorded: Forward
    now: Forward
    message: str
    layers: Layers = LINEAR
    pattern: Any = ROWS


def halves(net: Any, x: Tensor, order: tuple[int, int]) -> Tensor:
    parts = net.a(x).chunk(2, dim=1)
    out: Tensor = parts[order[0]].tanh() * parts[order[1]].sigmoid()
    return out


def attention(net: Any, x: Tensor, causal: bool = False) -> Tensor:
    scores = net.a(x) @ net.b(x).mT * 8**-0.5  # (B, T, T)
    if causal:
        scores = scores.masked_fill(torch.ones(5, 5).tril() == 0, -torch.inf)
    out: Tensor = scores.softmax(-1) @ net.c(x)
    return out


def masked(net: Any, x: Tensor, keep: Callable[[Tensor], Tensor]) -> Tensor:
    scores = (net.a(x) @ net.b(x).mT).masked_fill(keep(torch.ones(5, 5)) == 0, -torch.inf)  # (B, T, T)
    out: Tensor = scores.softmax(-1) @ net.c(x)
    return out


def heads(net: Any, x: Tensor, *, transposed: bool) -> Tensor:
    split = net.a(x).view(2, 5, 2, 4).transpose(1, 2) if transposed else net.a(x).view(2, 2, 5, 4)
    out: Tensor = split.cumsum(2)
    return out


class Decays(nn.Module):
    """A scale that a network computes with itself."""

    def __init__(self) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.zeros(8))


def decayed(net: Any, x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    out: Tensor = net.b(net.a(x) * -function(net.decays.log.float()))
    return out


def crossed(net: Any, x: Tensor, *, has_difference: bool) -> Tensor:
    """Products of pairs, as the square of a sum less the sum of squares."""
    y = net.a(x)
    squared = y.sum(1, keepdim=True) ** 2
    squares = (y * y).sum(1, keepdim=True)
    terms = squared - squares if has_difference else squared
    return net.b(terms.sum(1))  # type: ignore[no-any-return]


CASES = {
    "lost exp of a parameter": Case(
        partial(decayed, function=torch.exp),
        partial(decayed, function=lambda x: x),
        "an exp is missing on the parameter that goes into neg",
        {**SQUARE, "decays": Decays},
    ),
    "difference from what is still computed": Case(
        partial(crossed, has_difference=True),
        partial(crossed, has_difference=False),
        "a difference is missing: what sum gave, which is not used now, subtracted from what goes into sum",
        SQUARE,
        WORDS,
    ),
    "further sum": Case(
        lambda net, x: net.b(net.a(x)),
        lambda net, x: net.b(net.a(x) + 1),
        "a sum too many: + 1",
    ),
    "further difference from a number": Case(
        lambda net, x: net.b(net.a(x).sigmoid()),
        lambda net, x: net.b(1 - net.a(x).sigmoid()),
        "a difference too many: 1 - x",
    ),
    "further quotient": Case(
        lambda net, x: net.b(net.a(x)),
        lambda net, x: net.b(net.a(x) / 3),
        "a quotient too many: / 3",
    ),
    "further activation of what is between -1 and 1": Case(
        lambda net, x: net.b(net.a(x).sin()),
        lambda net, x: net.b(net.a(x).sin().tanh()),
        "a tanh too many",
    ),
    "further activation of what is positive": Case(
        lambda net, x: net.b(net.a(x).sigmoid()),
        lambda net, x: net.b(net.a(x).sigmoid().sigmoid()),
        "a sigmoid too many",
    ),
    "another of two weights": Case(
        lambda net, x: net.b(net.a(x) * net.c.bias[1]),
        lambda net, x: net.b(net.a(x) * net.c.bias[0]),
        "x[0] now, x[1] was recorded",
        {**LINEAR, "c": partial(nn.Linear, 3, 2)},
    ),
    "another end": Case(
        lambda net, x: net.b(net.a(x)[:, -1]),
        lambda net, x: net.b(net.a(x)[:, 0]),
        "x[:, 0] now, x[:, -1] was recorded",
        SQUARE,
        WORDS,
    ),
    "channels dropped": Case(
        lambda net, x: net.b(F.dropout2d(net.a(x), 0.3, net.training)),
        lambda net, x: net.b(F.dropout(net.a(x), 0.3, net.training)),
        "dropout now, dropout2d was recorded",
        CONVOLUTIONS,
        IMAGES,
    ),
    "an instance normalised": Case(
        lambda net, x: F.instance_norm(net.a(x), weight=net.a.bias, bias=net.a.bias),
        lambda net, x: F.batch_norm(net.a(x), None, None, net.a.bias, net.a.bias, training=True),
        "batch_norm now, instance_norm was recorded",
        {"a": CONVOLUTIONS["a"]},
        IMAGES,
    ),
    "activation": Case(
        lambda net, x: net.b(F.gelu(net.a(x))),
        lambda net, x: net.b(F.silu(net.a(x))),
        "an activation: silu now, gelu was recorded",
    ),
    "slope": Case(
        lambda net, x: net.b(F.leaky_relu(net.a(x), 0.2)),
        lambda net, x: net.b(F.leaky_relu(net.a(x))),
        "an activation: leaky_relu(0.01) now, leaky_relu(0.2) was recorded",
    ),
    "activation in place": Case(
        lambda net, x: net.b(net.a(x).tanh_()),
        lambda net, x: net.b(net.a(x).sigmoid_()),
        "an activation: sigmoid now, tanh was recorded",
    ),
    "lost activation": Case(
        lambda net, x: net.b(net.a(x).relu()),
        lambda net, x: net.b(net.a(x)),
        "a relu is missing before linear",
    ),
    "further activation": Case(
        lambda net, x: net.b(net.a(x)).sigmoid(),
        lambda net, x: net.b(net.a(x)).relu().sigmoid(),
        "a relu too many",
    ),
    "activation seen at large values only": Case(
        lambda net, x: net.b(F.relu6(net.a(x).sigmoid() * 3 + net.a.bias)),
        lambda net, x: net.b(F.relu(net.a(x).sigmoid() * 3 + net.a.bias)),
        "an activation: relu now, relu6 was recorded",
    ),
    "pooling": Case(
        lambda net, x: net.b(F.avg_pool2d(net.a(x), 2)),
        lambda net, x: net.b(F.max_pool2d(net.a(x), 2)),
        "max_pool2d now, avg_pool2d was recorded",
        CONVOLUTIONS,
        IMAGES,
    ),
    "padding counted": Case(
        lambda net, x: net.b(F.avg_pool2d(net.a(x), 2, 2, 1, count_include_pad=False)),
        lambda net, x: net.b(F.avg_pool2d(net.a(x), 2, 2, 1)),
        "avg_pool2d count_include_pad=True now, False was recorded",
        CONVOLUTIONS,
        IMAGES,
    ),
    "dilation": Case(
        lambda net, x: net.a(x),
        lambda net, x: F.conv2d(x, net.a.weight, net.a.bias, padding=2, dilation=2),
        "conv2d dilation=2, padding=2 now, dilation=1, padding=1 was recorded",
        {"a": CONVOLUTIONS["a"]},
        IMAGES,
    ),
    "stride": Case(
        lambda net, x: F.conv2d(x, net.a.weight, net.a.bias, stride=2),
        lambda net, x: F.conv2d(x, net.a.weight, net.a.bias),
        "conv2d stride=1 now, 2 was recorded",
        {"a": CONVOLUTIONS["a"]},
        IMAGES,
    ),
    "softmax": Case(
        lambda net, x: net.b(net.a(x)).log_softmax(1),
        lambda net, x: net.b(net.a(x)).log_softmax(0),
        "log_softmax dim=0 now, -1 was recorded",
    ),
    "lost skip": Case(
        lambda net, x: net.b(net.a(x).tanh() + x),
        lambda net, x: net.b(net.a(x).tanh()),
        "a skip connection is missing: the input of the network added to tanh",
        SQUARE,
    ),
    "further skip": Case(
        lambda net, x: net.b(net.a(x)),
        lambda net, x: net.b(net.a(x) + x),
        "a sum too many",
        SQUARE,
    ),
    "another skip": Case(
        lambda net, x: net.c(net.b(net.a(x)) + x),
        lambda net, x: net.c(net.b(net.a(x)) + net.a(x)),
        "add took the input of the network as its second argument when it was recorded",
        SQUARE,
    ),
    "order of a concatenation": Case(
        lambda net, x: net.b(torch.cat([net.a(x), x], 1)),
        lambda net, x: net.b(torch.cat([x, net.a(x)], 1)),
        "concatenation: another order",
        {"a": partial(nn.Linear, 8, 8), "b": partial(nn.Linear, 16, 4)},
    ),
    "order of a split": Case(
        partial(halves, order=(0, 1)),
        partial(halves, order=(1, 0)),
        "the parts of a split in another order",
    ),
    "epsilon": Case(
        lambda net, x: F.layer_norm(net.a(x), (16,), eps=1e-3),
        lambda net, x: F.layer_norm(net.a(x), (16,)),
        "layer_norm eps=1e-05 now, 0.001 was recorded",
    ),
    "tiny epsilon": Case(  # 1e-12 and 0 would do as well
        lambda net, x: F.group_norm(net.a(x), 1, eps=1e-8),
        lambda net, x: F.group_norm(net.a(x), 1),
        "group_norm eps=1e-05 now, at most 1e-08 was recorded",
    ),
    "epsilon by default": Case(  # that of the dtype
        lambda net, x: F.rms_norm(net.a(x), (16,)),
        lambda net, x: F.rms_norm(net.a(x), (16,), eps=1e-6),
        "rms_norm eps=1e-06 now, None was recorded",
    ),
    "norm and activation": Case(
        lambda net, x: net.b(F.layer_norm(net.a(x).relu(), (16,))),
        lambda net, x: net.b(F.layer_norm(net.a(x), (16,)).relu()),
        "layer_norm and relu in the other order",
    ),
    "further norm": Case(
        lambda net, x: net.b(net.a(x)),
        lambda net, x: net.b(F.layer_norm(net.a(x), (16,))),
        "a layer_norm too many",
    ),
    "batch's statistics in eval mode": Case(
        lambda net, x: net.b(net.norm(net.a(x))),
        lambda net, x: net.b(F.batch_norm(net.a(x), *_statistics(net), training=True)),
        "batch_norm takes the batch's statistics in eval mode",
        NORMED,
    ),
    "running statistics in train mode": Case(
        lambda net, x: net.b(F.batch_norm(net.a(x), *_statistics(net), training=net.training)),
        lambda net, x: net.b(F.batch_norm(net.a(x), *_statistics(net), training=False)),
        "batch_norm takes its running statistics in train mode",
        NORMED,
    ),
    "dropout in eval mode": Case(
        lambda net, x: net.b(F.dropout(net.a(x), 0.3, training=net.training)),
        lambda net, x: net.b(F.dropout(net.a(x), 0.3)),
        "dropout is on in eval mode",
    ),
    "rate of dropout": Case(
        lambda net, x: net.b(F.dropout(net.a(x), 0.2, training=net.training)),
        lambda net, x: net.b(F.dropout(net.a(x), 0.5, training=net.training)),
        "dropout p=0.5 now, 0.2 was recorded",
    ),
    "lost dropout": Case(
        lambda net, x: net.b(F.dropout(net.a(x), 0.4, training=net.training)),
        lambda net, x: net.b(net.a(x)),
        "a dropout(p=0.4) is missing before linear",
    ),
    "something else that is drawn": Case(
        lambda net, x: net.b(net.a(x)),
        lambda net, x: net.b(net.a(x) + 0.1 * torch.randn(4, 16)),
        "it draws random numbers in eval mode: dropout that stays on?",
    ),
    "scale": Case(
        attention,
        lambda net, x: (net.a(x) @ net.b(x).mT).softmax(-1) @ net.c(x),
        "a factor of 0.3536 is missing after matmul",
        SQUARE,
        WORDS,
    ),
    "lost scale": Case(
        lambda net, x: F.linear(x, net.a.weight) * 0.37,
        lambda net, x: F.linear(x, net.a.weight),
        "a factor of 0.37 is missing after linear",
    ),
    "pixels": Case(
        lambda net, x: F.linear(x / 255, net.a.weight, net.a.bias),
        lambda net, x: F.linear(x, net.a.weight, net.a.bias),
        "a factor of 0.003922 is missing before linear",
    ),
    "causal mask": Case(
        partial(attention, causal=True),
        attention,
        "a causal mask is missing before softmax",
        SQUARE,
        WORDS,
    ),
    "other triangle": Case(
        lambda net, x: masked(net, x, torch.tril),
        lambda net, x: masked(net, x, torch.triu),
        "triu now, tril was recorded",
        SQUARE,
        WORDS,
    ),
    "operator": Case(
        lambda net, x: net.c(net.a(x) * net.b(x)),
        lambda net, x: net.c(net.a(x) + net.b(x)),
        "a + b now, a * b was recorded",
        SQUARE,
    ),
    "heads": Case(
        partial(heads, transposed=True),
        partial(heads, transposed=False),
        "view: into [2, 5, 2, 4], with axes 1 and 2 exchanged, when it was recorded",
        SQUARE,
        WORDS,
    ),
    "last position": Case(
        lambda net, x: net.b(net.a(x)[:, -1]),
        lambda net, x: net.b(net.a(x).mean(1)),
        "mean now, the last position was recorded",
        SQUARE,
        WORDS,
    ),
    "readout": Case(
        lambda net, x: net.b(net.a(x).mean((2, 3))),
        lambda net, x: net.b(net.a(x).amax((2, 3))),
        "amax now, mean was recorded",
        WIDER,
        IMAGES,
    ),
    "interpolation": Case(
        lambda net, x: net.b(F.interpolate(net.a(x), scale_factor=2, mode="bilinear", align_corners=True)),
        lambda net, x: net.b(F.interpolate(net.a(x), scale_factor=2, mode="bilinear")),
        "interpolate align_corners=None now, True was recorded",
        CONVOLUTIONS,
        IMAGES,
    ),
    "padding": Case(
        lambda net, x: net.b(F.pad(net.a(x), (1, 1, 1, 1))),
        lambda net, x: net.b(F.pad(net.a(x), (1, 1, 1, 1), mode="reflect")),
        "pad mode=reflect now, zeros was recorded",
        CONVOLUTIONS,
        IMAGES,
    ),
    "twice a number, not a skip connection": Case(
        lambda net, x: net.b(torch.sin(2 * math.pi * net.a(x))),
        lambda net, x: net.b(torch.sin(math.pi * net.a(x))),
        "mul 3.142 now, 6.283 was recorded",
    ),
    "a half of a mask, no activation": Case(
        lambda net, x: net.b(net.a(x) * ((x[:, :1] > 0).double() / 2)),
        lambda net, x: net.b(net.a(x) * (x[:, :1] > 0).double()),
        "a factor of 0.5 is missing after mul",
    ),
    "a sum for a difference": Case(
        lambda net, x: net.b(net.a(x).tanh() - net.a(x).sigmoid()),
        lambda net, x: net.b(net.a(x).tanh() + net.a(x).sigmoid()),
        "a + b now, a - b was recorded",
    ),
    "a bound that many would do for": Case(
        lambda net, x: net.b(net.a(x * (x < 0.25))),
        lambda net, x: net.b(net.a(x * (x < 0.5))),
        "lt 0.5 now, a smaller number was recorded",
    ),
    "a power": Case(
        lambda net, x: net.b(net.a(x).abs().pow(-0.5)),
        lambda net, x: net.b(net.a(x).abs().pow(-1.0)),
        "pow -1 now, -0.5 was recorded",
    ),
    "in every step": Case(
        lambda net, x: net.b(F.gelu(net.a(F.gelu(net.a(x))))),
        lambda net, x: net.b(F.silu(net.a(F.silu(net.a(x))))),
        "an activation: silu now, gelu was recorded",
        SQUARE,
    ),
}


def _statistics(net: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return net.norm.running_mean, net.norm.running_var, net.norm.weight, net.norm.bias


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_called_by_its_name(name: str) -> None:
    case = CASES[name]
    original, changed = (computing(forward, case.layers) for forward in (case.recorded, case.now))
    assert cause(original, changed, case.pattern) == case.message


def test_what_mends_the_first_layer_and_not_the_network_is_no_cause() -> None:
    """Of a transform the other way round, the real part is mended by a factor, and the imaginary part is not."""

    def split(transform: Callable[..., Tensor]) -> NetworkFactory:
        def forward(net: Any, x: Tensor) -> Tensor:
            z = transform(x)
            out: Tensor = net.a(z.real) + net.b(z.imag)
            return out

        return computing(forward, SQUARE)

    assert cause(split(torch.fft.fft), split(torch.fft.ifft)) is None


# ------------------------------------------------------------------------------------------- the network


class Block(nn.Module):
    """A layer with an activation behind it, both of which a spec may list or not."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.fc, self.activation = nn.Linear(8, 8), activation

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(self.fc(x))
        return out


def blocks(activation: Callable[[], nn.Module]) -> NetworkFactory:
    return lambda: nn.Sequential(*(Block(activation()) for _ in range(3)))


def test_what_runs_in_a_layers_own_modules_may_be_the_cause() -> None:
    message = "an activation: relu now, elu was recorded"
    assert asked(blocks(nn.ELU), blocks(nn.ReLU), "0") == message


def test_one_mistake_in_several_places_is_found_in_all_of_them() -> None:
    message = "an activation: relu now, elu was recorded (3 times)"
    assert asked(blocks(nn.ELU), blocks(nn.ReLU), "") == message


def test_the_second_call_of_a_layer_is_another() -> None:
    def twice(activation: Callable[[Tensor], Tensor]) -> NetworkFactory:
        return computing(lambda net, x: net.a(activation(net.a(x))), SQUARE)

    assert asked(twice(torch.relu), twice(torch.tanh), "a", 1) == "an activation: tanh now, relu was recorded"


def test_the_first_call_that_differs_may_end_before_the_layer_that_has_the_numbers() -> None:
    def net(approximate: str) -> NetworkFactory:
        return lambda: nn.Sequential(nn.Linear(8, 8), nn.GELU(approximate), nn.Linear(8, 8))

    message = "an activation: gelu(tanh) now, gelu was recorded"
    assert asked(net("none"), net("tanh"), "2", inner=("1", 0)) == message


class Stack(nn.Module):
    """Layers that each add to what they take, as `join` says, given what they take and return."""

    def __init__(self, join: Callable[[Tensor, Any], Tensor], layer: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.join, self.layers, self.head = join, nn.ModuleList(layer() for _ in range(3)), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.join(x, layer(x))
        out: Tensor = self.head(x)
        return out


class Pair(nn.Linear):
    """A layer that returns two things."""

    def forward(self, x: Tensor) -> Any:
        return super().forward(x), x


class Inner(nn.Module):
    """A block, whose second layer may take what its first gave, beside what is computed of that."""

    def __init__(self, *, is_joined: bool) -> None:
        super().__init__()
        self.a, self.mid, self.b, self.is_joined = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8), is_joined

    def forward(self, x: Tensor) -> Tensor:
        first = self.a(x)
        out: Tensor = self.mid(first).tanh()
        return self.b(out + first if self.is_joined else out)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("layer", "part"), [(partial(nn.Linear, 8, 8), lambda y: y), (partial(Pair, 8, 8), itemgetter(0))]
)
def test_a_skip_connection_around_each_layer_of_a_loop(
    layer: Callable[[], nn.Module], part: Callable[[Any], Tensor]
) -> None:
    original = partial(Stack, lambda x, y: x + part(y), layer)
    changed = partial(Stack, lambda _, y: part(y), layer)
    assert cause(original, changed) == "a skip connection is missing around layers.0"


def test_a_skip_connection_that_each_block_lost_inside() -> None:
    original, changed = (partial(Stack, lambda _, y: y, partial(Inner, is_joined=one)) for one in (True, False))
    message = "a skip connection is missing: the output of layers.0.a added to tanh"
    assert cause(original, changed) == message


def test_twice_a_number_is_no_skip_connection() -> None:
    layers: Layers = {**SQUARE, "off": nn.Identity}
    original = computing(lambda net, x: net.b(2 * net.off(net.a(x))), layers)
    assert (
        cause(original, computing(lambda net, x: net.b(net.off(net.a(x))), layers))
        == "a factor of 2 is missing before linear"
    )


def test_several_outputs_in_another_order() -> None:
    original = computing(lambda net, x: (net.a(x), net.b(net.a(x))), SQUARE)
    changed = computing(lambda net, x: (lambda h: (net.b(h), h))(net.a(x)), SQUARE)
    assert asked(original, changed, "") == "the outputs in another order"


def test_a_layer_with_a_hook_is_judged_by_what_the_hook_returns() -> None:
    def hooked(layer: Callable[[], nn.Module]) -> NetworkFactory:
        def make() -> nn.Module:
            net = nn.Sequential(nn.Linear(8, 8), layer())
            net[1].register_forward_hook(lambda _module, _args, out: out * 2)
            return net

        return make

    assert asked(hooked(nn.ELU), hooked(nn.ReLU), "1") == "an activation: relu now, elu was recorded"


def test_statistics_that_eval_mode_overwrites_are_those_of_before() -> None:
    def counted(net: Any, x: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
        out: Tensor = net.b(activation(net.norm(net.a(x))))
        net.norm.running_mean.add_(1)
        return out

    original, changed = (computing(partial(counted, activation=one), NORMED) for one in (torch.tanh, torch.sigmoid))
    assert asked(original, changed, "b") == "an activation: sigmoid now, tanh was recorded"


def test_a_network_that_draws_with_pythons_generator_runs_the_same_each_time() -> None:
    def drawing(net: Any, x: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
        out: Tensor = net.a(x) * random.random()
        return net.b(activation(out) * random.random())  # type: ignore[no-any-return]

    original, changed = (computing(partial(drawing, activation=one), SQUARE) for one in (torch.tanh, torch.sigmoid))
    assert asked(original, changed, "b") == "an activation: sigmoid now, tanh was recorded"


def test_state_that_one_layer_leaves_for_another_is_not_lost() -> None:
    def forward(net: Any, x: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
        return net.c(activation(net.keeper(x) + net.keeper.kept))  # type: ignore[no-any-return]

    class Keeper(nn.Module):
        kept: Tensor

        def forward(self, x: Tensor) -> Tensor:
            self.kept = x.cos()
            return x.sin()

    layers: Layers = {**SQUARE, "keeper": Keeper}
    original, changed = (computing(partial(forward, activation=one), layers) for one in (torch.tanh, torch.sigmoid))
    assert asked(original, changed, "c") == "an activation: sigmoid now, tanh was recorded"


# ------------------------------------------------------------------------------------------- nothing to say


def picky(activation: Callable[[Tensor], Tensor], *, catching: bool) -> NetworkFactory:
    """A network that won't have other values than it usually has."""

    def forward(net: Any, x: Tensor) -> Tensor:
        hidden = activation(net.a(x))
        try:
            if bool((hidden > 0.999).any()) or bool((hidden < 0).any()):
                raise ValueError("not between 0 and 1")
        except ValueError:
            if not catching:
                raise
        return net.b(hidden)  # type: ignore[no-any-return]

    return computing(forward, LINEAR)


@pytest.mark.parametrize("catching", [True, False])
def test_a_network_that_fails_under_other_values_is_no_failure(catching: bool) -> None:
    original, changed = picky(lambda x: x.sigmoid() * 0.5, catching=catching), picky(torch.sigmoid, catching=catching)
    assert asked(original, changed, "b") == "a factor of 0.5 is missing before linear"
    assert asked(picky(lambda x: x.sin().abs() * 0.9, catching=catching), changed, "b") is None


def test_a_network_that_cannot_be_built_or_run_gives_no_cause() -> None:
    def broken() -> nn.Module:
        raise RuntimeError("no")

    def stops(net: Any, x: Tensor) -> Tensor:
        raise SystemExit(3)

    original = computing(lambda net, x: net.b(net.a(x)), LINEAR)
    assert asked(original, broken, "a") is None
    assert asked(original, computing(stops, LINEAR), "a") is None


def test_a_layer_that_is_not_called_any_more_gives_no_cause() -> None:
    original = computing(lambda net, x: net.b(net.a(x)), SQUARE)
    assert asked(original, computing(lambda net, x: net.b(x), SQUARE), "a") is None


def test_a_difference_that_nothing_undoes_gives_no_cause() -> None:
    original = computing(lambda net, x: net.b(net.a(x).erf()), LINEAR)
    assert asked(original, computing(lambda net, x: net.b(net.a(x).sinc()), LINEAR), "b") is None


def test_a_layer_that_does_not_differ_has_no_cause() -> None:
    make = computing(lambda net, x: net.b(net.a(x)), LINEAR)
    assert asked(make, make, "b") is None


def test_without_time_nothing_is_tried() -> None:
    def never() -> nn.Module:
        raise AssertionError("built")

    original = blocks(nn.ELU)
    assert asked(original, never, "0", deadline_sec=0) is None
    assert asked(original, blocks(nn.ReLU), "0", deadline_sec=1e-6) is None


@pytest.mark.parametrize("kind", ["gradient", "buffers", "initial", "inputs"])
def test_other_differences_than_of_what_layers_return_have_no_cause(kind: str) -> None:
    assert asked(blocks(nn.ELU), blocks(nn.ReLU), "0", kind=kind) is None


# ------------------------------------------------------------------------------------------- the caller


def test_what_a_network_prints_and_warns_of_stays_unheard(capsys: pytest.CaptureFixture[str]) -> None:
    def loud(activation: Callable[[Tensor], Tensor]) -> NetworkFactory:
        def forward(net: Any, x: Tensor) -> Tensor:
            print("forward")  # noqa: T201
            warnings.warn("slow", stacklevel=1)
            return net.b(activation(net.a(x)))  # type: ignore[no-any-return]

        return computing(forward, LINEAR)

    config = FingerprintConfig(inputs_of(ROWS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        record = fingerprint(loud(torch.tanh), config)
    capsys.readouterr()
    numbers = next(call.numbers for call in record.calls if call.name == "b")
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        call = DifferingCall("b", 0, "eval", numbers)
        found = likely_cause(loud(torch.relu), replace(config, gains=record.gains), call)
    assert found == "an activation: relu now, tanh was recorded"
    assert capsys.readouterr() == ("", "")
    assert not heard


def test_the_callers_settings_and_generators_stay_as_they_are() -> None:
    torch.manual_seed(7)
    random.seed(7)
    before = (torch.get_rng_state(), random.getstate(), torch.get_default_dtype(), torch.is_grad_enabled())
    asked(blocks(nn.ELU), blocks(nn.ReLU), "0")
    after = (torch.get_rng_state(), random.getstate(), torch.get_default_dtype(), torch.is_grad_enabled())
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
