"""What was built otherwise gets its name: weights that are computed from others, or shared."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

from archcheck.function.fingerprint.preparation import NetworkFactory
from tests.unit.function.diagnosis.asking import SQUARE, cause, computing
from tests.unit.function.running import IMAGES, ROWS

IMAGE_LAYERS = {"a": partial(nn.Conv2d, 3, 8, 3), "b": partial(nn.Conv2d, 8, 8, 3)}


def of_rows(net: Any, x: Tensor) -> Any:
    return net.c(net.b(net.a(x).tanh()).tanh())


def of_images(net: Any, x: Tensor) -> Any:
    return net.b(net.a(x).relu()).flatten(2).amax(2)


ROW_NET, IMAGE_NET = computing(of_rows, SQUARE), computing(of_images, IMAGE_LAYERS)


def changed(build: NetworkFactory, change: Callable[[Any], object]) -> NetworkFactory:
    """Return a factory of the same network with a change."""

    def made() -> nn.Module:
        network = build()
        change(network)
        return network

    return made


@pytest.mark.parametrize("compute", [weight_norm, spectral_norm, orthogonal])
@pytest.mark.parametrize(("build", "pattern"), [(ROW_NET, ROWS), (IMAGE_NET, IMAGES)])
def test_a_weight_that_was_computed_from_others_or_is_now(build: NetworkFactory, pattern: Any, compute: Any) -> None:
    computed = changed(build, lambda net: compute(net.b))
    name = compute.__name__
    with_article = f"{'an' if name == 'orthogonal' else 'a'} {name}"
    assert cause(computed, build, pattern) == f"{with_article} is missing on the weight"
    assert cause(build, computed, pattern) == f"{with_article} too many on the weight"


def test_a_weight_that_is_computed_in_another_way() -> None:
    normed = changed(ROW_NET, lambda net: weight_norm(net.b))
    spectral = changed(ROW_NET, lambda net: spectral_norm(net.b))
    assert cause(spectral, normed) == "weight_norm on the weight now, spectral_norm was recorded"


def test_the_weights_of_all_layers_of_a_kind() -> None:
    def normed(net: Any, x: Tensor) -> Any:
        return net.b(net.n(net.m(net.a(x).tanh()).tanh()))

    norm = partial(nn.LayerNorm, 8)
    plain = computing(normed, {"a": SQUARE["a"], "b": SQUARE["b"], "m": norm, "n": norm})
    computed = changed(plain, lambda net: [weight_norm(one) for one in (net.a, net.b)])
    assert cause(computed, plain) == "a weight_norm is missing on the weight (2 times)"
    assert cause(plain, computed) == "a weight_norm too many on the weight (2 times)"


def test_a_weight_that_is_shared_with_another_layer_or_was() -> None:
    shared = changed(ROW_NET, lambda net: setattr(net.c, "weight", net.a.weight))
    assert cause(shared, ROW_NET) == "weight is one of its own now, a.weight was recorded"
    assert cause(ROW_NET, shared) == "weight is a.weight now, one of its own was recorded"


def test_what_no_rebuild_mends_as_a_whole_gets_no_name() -> None:
    def of_two(net: Any, x: Tensor) -> Any:
        return of_rows(net, x).sinh() - x

    other = computing(of_two, SQUARE)
    assert cause(changed(other, lambda net: weight_norm(net.b)), ROW_NET) is None


def swapped(net: Any, x: Tensor) -> Any:
    return net.b(net.norm(net.act(net.a(x))))


def in_order(net: Any, x: Tensor) -> Any:
    return net.b(net.act(net.norm(net.a(x))))


@pytest.mark.parametrize(
    ("norm", "activation", "names"),
    [
        (partial(nn.LayerNorm, 8), nn.GELU, ("layer_norm", "gelu")),
        (partial(nn.BatchNorm1d, 8), nn.Tanh, ("batch_norm", "tanh")),
        (partial(nn.GroupNorm, 2, 8), nn.SiLU, ("group_norm", "silu")),
    ],
)
def test_a_norm_and_an_activation_in_the_other_order(norm: Any, activation: Any, names: tuple[str, str]) -> None:
    layers = {"a": SQUARE["a"], "norm": norm, "act": activation, "b": SQUARE["b"]}
    now, recorded = computing(in_order, layers), computing(swapped, layers)
    assert cause(recorded, now) == f"{names[0]} and {names[1]} in the other order"
    assert cause(now, recorded) == f"{names[1]} and {names[0]} in the other order"


@pytest.mark.parametrize(("now", "then"), [(None, 0), (0, None), (0, 1)])
def test_a_padding_index_of_a_bag(now: int | None, then: int | None) -> None:
    def bag(net: Any, x: Tensor, padding_idx: int | None) -> Tensor:
        return F.embedding_bag((x.abs() * 10).long() % 4, net.b.weight[:4], padding_idx=padding_idx)

    recorded, changed_now = (computing(partial(bag, padding_idx=one), SQUARE) for one in (then, now))
    assert cause(recorded, changed_now) == f"embedding_bag padding_idx={now} now, {then} was recorded"


def test_one_network_that_is_never_built_anew_is_not_rebuilt() -> None:
    network = ROW_NET()
    assert cause(changed(ROW_NET, lambda net: weight_norm(net.b)), lambda: network) is None
    assert not parametrize.is_parametrized(network)
