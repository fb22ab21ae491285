"""Constants are state where they wait for other values, or train mode writes to them; else they are what they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from archcheck.function.fingerprint.preparation import NetworkFactory
from tests.unit.function.running import IMAGES, Computed, difference, recorded


class Kept(nn.Module):
    """A layer, and a constant in a buffer or a frozen parameter."""

    def __init__(
        self, values: Tensor, run: Callable[[Any, Tensor], Any], *, frozen: bool = False, saved: bool = True
    ) -> None:
        super().__init__()
        self.fc, self.run = nn.Linear(8, 8), run
        if frozen:
            self.kept = nn.Parameter(values, requires_grad=False)
        else:
            self.register_buffer("kept", values, persistent=saved)

    @classmethod
    def zeros(cls, shape: tuple[int, ...], run: Callable[[Any, Tensor], Any]) -> Kept:
        """Make one with zeros of its own."""
        return cls(torch.zeros(shape), run)

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)


def _centred(net: Any, x: Tensor) -> Any:
    """Take away a running mean."""
    y = net.fc(x)
    centred = y - net.kept
    if net.training:
        with torch.no_grad():
            net.kept.mul_(0.9).add_(y.mean(0), alpha=0.1)
    return centred


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_a_centre_is_the_same_in_a_buffer_and_in_a_frozen_parameter(value: float) -> None:
    buffer = lambda: Kept(torch.full((8,), value), _centred)  # noqa: E731
    param = lambda: Kept(torch.full((8,), value), _centred, frozen=True)  # noqa: E731
    assert difference(buffer, param) is None
    assert difference(param, buffer) is None


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("value", [0.0, 0.5])
def test_a_centre_that_is_replaced_by_its_first_value_is_seen(value: float, frozen: bool) -> None:
    def uncentred(net: Any, x: Tensor) -> Any:
        _centred(net, x)
        return net.fc(x) - value

    centred = lambda: Kept(torch.full((8,), value), _centred, frozen=frozen)  # noqa: E731
    assert difference(centred, lambda: Kept(torch.full((8,), value), uncentred, frozen=frozen)) is not None


@pytest.mark.parametrize("shape", [(1,), (8,)])
def test_a_constant_is_the_same_in_a_buffer_and_in_the_code(shape: tuple[int, ...]) -> None:
    kept = lambda: Kept(torch.full(shape, 0.07), lambda net, x: net.fc(x) / net.kept)  # noqa: E731
    written = lambda: Computed(lambda net, x: net.fc(x) / 0.07, fc=nn.Linear(8, 8))  # noqa: E731
    other = lambda: Computed(lambda net, x: net.fc(x) / 0.1, fc=nn.Linear(8, 8))  # noqa: E731
    assert difference(kept, written) is None
    assert difference(written, kept) is None
    assert difference(kept, other) is not None


def test_a_kernel_of_one_value_is_an_average() -> None:
    def blurred(net: Any, x: Tensor) -> Any:
        return functional.conv2d(net.fc(x), net.kept, padding=1, groups=3)

    kernel = lambda: Kept(torch.full((3, 1, 3, 3), 1 / 9), blurred)  # noqa: E731
    pooled = lambda: Computed(lambda net, x: functional.avg_pool2d(net.fc(x), 3, 1, 1), fc=nn.Linear(8, 8))  # noqa: E731
    assert difference(kernel, pooled, IMAGES) is None


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_saved_zeros_and_ones_wait_for_other_values(value: float) -> None:
    """They are placeholders, such as a normaliser's mean: that nobody uses them any more is seen."""
    use = [lambda net, x: net.fc(x) + net.kept, lambda net, x: net.fc(x) * net.kept][int(value)]
    assert difference(lambda: Kept(torch.full((8,), value), use), lambda: Kept(torch.full((8,), value), _plain))
    without: NetworkFactory = lambda: Computed(lambda net, x: net.fc(x), fc=nn.Linear(8, 8))  # noqa: E731
    assert difference(lambda: Kept(torch.full((8,), value), use, saved=False), without) is None


def _plain(net: Any, x: Tensor) -> Any:
    return net.fc(x)


class Frozen(nn.Module):
    """A batch norm in four buffers, which are read in some order."""

    def __init__(self, run: Callable[[Any, Tensor], Any]) -> None:
        super().__init__()
        self.run = run
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((8,), value))

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)


def test_the_vectors_of_a_frozen_norm_may_be_read_in_any_order() -> None:
    def by_torch(net: Frozen, x: Tensor) -> Tensor:
        held = dict(net.named_buffers())
        return functional.batch_norm(x, held["running_mean"], held["running_var"], held["weight"], held["bias"])

    def by_hand(net: Frozen, x: Tensor) -> Tensor:
        held = dict(net.named_buffers())
        scale = held["weight"].reshape(1, -1) * (held["running_var"].reshape(1, -1) + 1e-5).rsqrt()
        return x * scale + (held["bias"] - held["running_mean"] * scale)

    def unscaled(net: Frozen, x: Tensor) -> Tensor:
        held = dict(net.named_buffers())
        return (x - held["running_mean"]) * (held["running_var"] + 1e-5).rsqrt() + held["bias"]

    assert difference(lambda: Frozen(by_torch), lambda: Frozen(by_hand)) is None
    assert difference(lambda: Frozen(by_torch), lambda: Frozen(unscaled)) is not None


def test_what_is_written_by_keyword_is_written() -> None:
    def noted(net: Any, x: Tensor) -> Any:
        y = net.fc(x)
        if net.training:
            torch.mean(y.detach(), dim=0, out=net.kept)
        return y

    assert difference(lambda: Kept(torch.zeros(8), noted), lambda: Kept(torch.zeros(8), _plain)) is not None


@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_single_number_of_state_is_seen(shape: tuple[int, ...]) -> None:
    scaled = lambda: Kept(torch.ones(shape), lambda net, x: net.fc(x) * net.kept)  # noqa: E731
    squared = lambda: Kept(torch.ones(shape), lambda net, x: net.fc(x) * net.kept**2)  # noqa: E731
    assert difference(scaled, scaled) is None
    assert difference(scaled, squared) is not None


@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_flag_is_left_as_it_is_so_that_what_it_guards_runs(shape: tuple[int, ...]) -> None:
    """Initialise a bias by the first batch, once."""

    def starting(scale: float) -> Callable[[Any, Tensor], Any]:
        def run(net: Any, x: Tensor) -> Any:
            y = net.fc(x)
            if net.training and not net.kept:
                with torch.no_grad():
                    net.fc.bias.copy_(scale * y.mean(0))
                    net.kept.fill_(1.0)
            return net.fc(x)

        return run

    once, doubled = (partial(Kept.zeros, shape, starting(scale)) for scale in (1.0, 2.0))
    assert difference(once, once) is None
    assert difference(once, doubled) is not None


def test_state_that_starts_from_zeros_is_positive() -> None:
    """It may be a mean of squares, of which a network takes the root."""
    make = lambda: Kept(torch.zeros(8), lambda net, x: net.fc(x) / (net.kept.sqrt() + 0.01))  # noqa: E731
    record = recorded(make)
    assert record.crash is None
    assert record.root.numbers["rms"] > 0.1
    assert difference(make, make) is None


def test_a_constant_that_two_modules_share_is_one() -> None:
    def make() -> nn.Module:
        kept = torch.full((8,), 0.5)
        return nn.Sequential(*(Kept(kept, lambda net, x: net.fc(x) * net.kept) for _ in range(2)))

    assert difference(make, make) is None
