"""What a shortcut answers is what torch itself answers, for calls made up at random and in every dtype."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.utils._pytree import tree_map

from archcheck.structure.meta.forward_modes import ForwardMode
from archcheck.structure.meta.ops import shortcuts
from archcheck.structure.meta.tensors import REFUSED
from tests.unit.structure.meta.calls import IMAGE, ROWS, Call, MacCounter, described, meta
from tests.unit.structure.plain_meta import plain_call

CALLS: dict[str, Call] = {
    "relu": (F.relu, (IMAGE,)),
    "add": (torch.add, (IMAGE, IMAGE)),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, padding=(1, 0)), (IMAGE, (4, 6, 3, 3), (4,))),
    "linear": (F.linear, (ROWS, (4, 6), (4,))),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (6,), w, b), (ROWS, (6,), (6,))),
    "max_pool2d with indices": (lambda x: F.max_pool2d(x, 2, return_indices=True), (IMAGE,)),
    "matmul": (torch.matmul, ((2, 3, 4, 5), (2, 3, 5, 6))),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", CALLS)
def test_dtype_is_kept(name: str, dtype: torch.dtype) -> None:
    function, shapes = CALLS[name]
    args = [meta(*shape, dtype=dtype) for shape in shapes]

    with ForwardMode(MacCounter()), torch.no_grad():
        out = function(*args)

    assert described(out) == described(plain_call(function, *args)[0])


def random_tensor(rng: random.Random, shape: list[int], dtype: torch.dtype) -> Tensor:
    """Any layout that a tensor of this shape may have: permuted, with gaps, expanded."""
    kind = rng.choice(("standard", "standard", "permuted", "gapped", "expanded"))
    if kind == "permuted":
        order = rng.sample(range(len(shape)), len(shape))
        return meta(*(shape[i] for i in order), dtype=dtype).permute([order.index(i) for i in range(len(shape))])
    if kind == "gapped" and shape:
        dim = rng.randrange(len(shape))
        return meta(*shape[:dim], 2 * shape[dim], *shape[dim + 1 :], dtype=dtype).narrow(dim, 0, shape[dim])
    if kind == "expanded":
        return meta(*(rng.choice((1, size)) for size in shape), dtype=dtype).expand(shape)
    return meta(*shape, dtype=dtype)


def random_call(rng: random.Random) -> tuple[Callable[..., Any], list[Any], dict[str, Any]]:
    """Elementwise functions, normalisations and matrix products of small tensors, sizes of 1 being frequent."""
    dtype = rng.choice((torch.float32, torch.float32, torch.float64, torch.bfloat16, torch.int64))
    shape = [rng.choice((1, 1, 2, 3, 5)) for _ in range(rng.randint(1, 4))]
    smaller = [rng.choice((1, size)) for size in shape][rng.choice((0, 0, 1)) :]
    x, y = random_tensor(rng, shape, dtype), random_tensor(rng, smaller, dtype)
    dim = rng.randrange(-len(shape), len(shape))
    side = random_tensor(rng, [*shape[:-2], shape[-1], 4], dtype)
    choices: list[tuple[Callable[..., Any], list[Any], dict[str, Any]]] = [
        (F.relu, [x], {}),
        (torch.exp, [x], {}),
        (torch.add, [x, y], {}),
        (torch.mul, [y, x], {}),
        (Tensor.div, [x, 2.0], {}),
        (torch.lt, [y, x], {}),
        (Tensor.sub_, [x, y], {}),
        (Tensor.mean, [x, dim, rng.random() < 0.5], {}),
        (torch.cat, [[x, x], dim], {}),
        (torch.stack, [[x, x], dim], {}),
        (F.softmax, [x, dim], {}),
        (F.normalize, [x], {"dim": dim}),
        (F.layer_norm, [x, shape[-1:]], {"weight": random_tensor(rng, shape[-1:], dtype)}),
        (F.rms_norm, [x, tuple(shape)], {"weight": random_tensor(rng, shape, dtype)}),
        (F.linear, [x, random_tensor(rng, [3, shape[-1]], dtype)], {}),
        (torch.matmul, [x, side], {}),
        (Tensor.masked_fill, [x, random_tensor(rng, smaller, torch.bool), 0.0], {}),
    ]
    return rng.choice(choices)


def random_window(rng: random.Random) -> tuple[Callable[..., Any], list[Any], dict[str, Any]]:
    """Convolutions and pools of any geometry, also of those that torch refuses."""
    n = rng.randint(1, 3)
    channels, groups = rng.choice(((4, 1), (4, 2), (4, 4), (3, 1)))
    x = meta(rng.randint(1, 3), channels, *(rng.randint(1, 9) for _ in range(n)))
    kernel = [rng.randint(1, 4) for _ in range(n)]
    options: dict[str, Any] = {"stride": rng.randint(1, 3), "padding": rng.randint(0, 2)}
    kind = rng.choice(("conv", "conv_transpose", "avg_pool", "max_pool"))
    if kind == "conv":
        options |= {"groups": groups, "dilation": rng.randint(1, 2)}
        weight = meta(rng.choice((4, 5)), channels // groups, *kernel)
        return getattr(F, f"conv{n}d"), [x, weight, rng.choice((None, meta(4)))], options
    if kind == "conv_transpose":
        options |= {"groups": groups, "dilation": rng.randint(1, 2), "output_padding": rng.randint(0, 2)}
        return getattr(F, f"conv_transpose{n}d"), [x, meta(channels, 2, *kernel)], options
    if kind == "max_pool":
        options["dilation"] = rng.randint(1, 2)
    return getattr(F, f"{kind}{n}d"), [x, kernel], {**options, "ceil_mode": rng.random() < 0.5}


def real(args: list[Any]) -> Any:
    return tree_map(lambda x: torch.zeros_like(x, device="cpu") if isinstance(x, Tensor) else x, args)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("generate", [random_call, random_window])
def test_what_a_shortcut_answers_is_true(generate: Callable[[random.Random], Any], seed: int) -> None:
    rng = random.Random(seed)
    answered = 0
    for _ in range(400):
        try:
            function, args, kwargs = generate(rng)
        except RuntimeError:  # no tensor of that kind
            continue
        counter = MacCounter()
        try:
            out = shortcuts()[function](counter, *args, **kwargs)
        except (AttributeError, TypeError, ValueError):
            out = NotImplemented
        if out is REFUSED:
            with pytest.raises((RuntimeError, IndexError), match=r"\S"):
                function(*real(args), **kwargs)
        elif out is not NotImplemented:
            expected, macs = plain_call(function, *args, **kwargs)
            assert (described(out), counter.macs) == (described(expected), macs), (function, described(args), kwargs)
            answered += 1
        else:
            assert counter.macs == 0
    assert answered > 100
