"""Every shortcut returns what the ordinary meta forward returns: shape, dtype, strides and multiply-adds."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from archcheck.spec.inputs import ForwardInput, TensorInput
from archcheck.structure.meta.building import build_on_meta
from archcheck.structure.meta.forward_modes import ForwardMode
from archcheck.structure.meta.ops import shortcuts
from archcheck.structure.meta.tensors import REFUSED
from archcheck.structure.trace import trace_structure

from ..plain_meta import plain_call, plain_forward


class MacCounter:
    macs = 0

    def __init__(self) -> None:
        self.uncounted: set[str] = set()


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def described(value: Any) -> list[Any]:
    return [(tuple(x.shape), x.stride(), x.dtype) if isinstance(x, Tensor) else x for x in tree_leaves(value)]


def standard(x: Tensor) -> Tensor:
    return x


def permuted(x: Tensor) -> Tensor:
    return torch.empty_like(x.transpose(0, -1).contiguous()).transpose(0, -1) if x.ndim > 1 else x


def gapped(x: Tensor) -> Tensor:
    return torch.cat([x, x], -1).narrow(-1, 0, x.shape[-1]) if x.ndim else x


def expanded(x: Tensor) -> Tensor:
    return x.narrow(0, 0, 1).expand(x.shape) if x.ndim else x


def channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


LAYOUTS = (standard, permuted, gapped, expanded, channels_last)

IMAGE = (2, 6, 8, 8)
ROWS = (3, 5, 6)

CALLS: dict[str, tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]] = {
    "relu": (F.relu, (IMAGE,)),
    "relu in place": (lambda x: F.relu(x, inplace=True), (IMAGE,)),
    "sigmoid": (torch.sigmoid, (ROWS,)),
    "gelu": (lambda x: F.gelu(x, approximate="tanh"), (ROWS,)),
    "silu": (F.silu, (IMAGE,)),
    "hardswish": (F.hardswish, (IMAGE,)),
    "hardtanh": (F.hardtanh, (IMAGE,)),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.2), (IMAGE,)),
    "elu": (F.elu, (IMAGE,)),
    "softplus": (F.softplus, (IMAGE,)),
    "glu": (F.glu, (ROWS,)),
    "prelu": (F.prelu, (IMAGE, (6,))),
    "clamp": (lambda x: x.clamp(min=0.0), (ROWS,)),
    "power": (lambda x: x**2, (ROWS,)),
    "softmax": (lambda x: x.softmax(-1), (ROWS,)),
    "log_softmax": (lambda x: F.log_softmax(x, 1), (ROWS,)),
    "dropout": (lambda x: F.dropout(x, training=False), (ROWS,)),
    "normalize": (lambda x: F.normalize(x, dim=-1), (ROWS,)),
    "roll": (lambda x: torch.roll(x, (1, 2), (1, 2)), (IMAGE,)),
    "add": (torch.add, (IMAGE, IMAGE)),
    "subtract from a number": (lambda x: 1 - x, (IMAGE,)),
    "divide a number": (lambda x: 1 / x, (IMAGE,)),
    "broadcast": (torch.mul, (IMAGE, (6, 1, 1))),
    "broadcast first": (torch.mul, ((6, 1, 1), IMAGE)),
    "broadcast both": (torch.sub, ((2, 1, 5), (4, 1))),
    "add in place": (lambda x, y: x.add_(y), (ROWS, (6,))),
    "compare": (lambda x, y: x > y, (ROWS, ROWS)),
    "masked_fill": (lambda x, y: x.masked_fill(y > 0, 0.0), (ROWS, (5, 6))),
    "cat": (lambda x, y: torch.cat([x, y], 1), ((2, 3, 4), (2, 5, 4))),
    "stack": (lambda x, y: torch.stack([x, y], -1), (ROWS, ROWS)),
    "mean": (lambda x: x.mean((2, 3), keepdim=True), (IMAGE,)),
    "mean of all": (torch.mean, (ROWS,)),
    "batch_norm": (lambda x, m, v: F.batch_norm(x, m, v), (IMAGE, (6,), (6,))),
    "batch_norm in training": (lambda x: F.batch_norm(x, None, None, training=True), (IMAGE,)),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (6,), w, b), (ROWS, (6,), (6,))),
    "rms_norm": (lambda x, w: F.rms_norm(x, (6,), w), (ROWS, (6,))),
    "group_norm": (lambda x, w: F.group_norm(x, 3, w, w), (IMAGE, (6,))),
    "instance_norm": (F.instance_norm, (IMAGE,)),
    "max_pool2d": (lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True), (IMAGE,)),
    "max_pool2d with indices": (lambda x: F.max_pool2d(x, 2, return_indices=True), (IMAGE,)),
    "max_pool1d dilated": (lambda x: F.max_pool1d(x, 2, dilation=2), ((2, 3, 9),)),
    "max_pool3d": (lambda x: F.max_pool3d(x, (1, 2, 2)), ((2, 3, 4, 5, 6),)),
    "avg_pool1d": (lambda x: F.avg_pool1d(x, 3, 2, 1, ceil_mode=True), ((2, 3, 8),)),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, (2, 3), stride=(2, 1)), (IMAGE,)),
    "avg_pool3d": (lambda x: F.avg_pool3d(x, 2), ((2, 3, 4, 5, 6),)),
    "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, (None, 3)), (IMAGE,)),
    "adaptive_max_pool2d": (lambda x: F.adaptive_max_pool2d(x, 2), (IMAGE,)),
    "nearest": (lambda x: F.interpolate(x, scale_factor=1.5), (IMAGE,)),
    "bilinear": (lambda x: F.interpolate(x, size=(5, 9), mode="bilinear", align_corners=True), (IMAGE,)),
    "conv1d": (lambda x, w: F.conv1d(x, w, stride=2), ((2, 4, 9), (6, 4, 3))),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, padding=(1, 0)), (IMAGE, (4, 6, 3, 3), (4,))),
    "conv2d same": (lambda x, w: F.conv2d(x, w, padding="same", dilation=2), (IMAGE, (4, 6, 2, 3))),
    "conv2d depthwise": (lambda x, w: F.conv2d(x, w, groups=6), (IMAGE, (12, 1, 3, 3))),
    "conv2d grouped": (lambda x, w: F.conv2d(x, w, groups=2, dilation=2), (IMAGE, (4, 3, 3, 3))),
    "conv2d of one image": (F.conv2d, ((6, 8, 8), (4, 6, 3, 3))),
    "conv3d": (F.conv3d, ((2, 3, 4, 5, 6), (4, 3, 2, 2, 2))),
    "conv_transpose1d": (lambda x, w: F.conv_transpose1d(x, w, stride=2), ((2, 4, 5), (4, 3, 3))),
    "conv_transpose2d": (
        lambda x, w: F.conv_transpose2d(x, w, None, 2, 1, 1, groups=2, dilation=2),
        (IMAGE, (6, 2, 3, 3)),
    ),
    "conv_transpose3d": (F.conv_transpose3d, ((2, 3, 4, 5, 6), (3, 2, 2, 2, 2))),
    "linear": (F.linear, (ROWS, (4, 6), (4,))),
    "linear of a vector": (F.linear, ((6,), (4, 6))),
    "matmul": (torch.matmul, ((2, 3, 4, 5), (2, 3, 5, 6))),
    "matmul with one matrix": (lambda x, y: x @ y, (ROWS, (6, 2))),
    "matmul broadcast": (torch.matmul, ((4, 1, 2, 3), (5, 3, 2))),
    "matrix and vector": (torch.matmul, ((4, 3), (3,))),
    "mm": (torch.mm, ((4, 3), (3, 2))),
    "bmm": (torch.bmm, ((2, 4, 3), (2, 3, 5))),
    "addmm": (torch.addmm, ((2,), (4, 3), (3, 2))),
    "baddbmm": (lambda x, a, b: torch.baddbmm(x, a, b, alpha=0.5), ((2, 4, 5), (2, 4, 3), (2, 3, 5))),
    "einsum": (lambda x, y: torch.einsum("bhid,bhjd->bhij", x, y), ((2, 3, 4, 5), (2, 3, 6, 5))),
    "tensordot": (lambda x, y: torch.tensordot(x, y, 1), (ROWS, (6, 2))),
    "bilinear form": (F.bilinear, ((3, 4), (3, 5), (2, 4, 5))),
    "cdist": (torch.cdist, ((2, 30, 4), (2, 40, 4))),
    "attention": (F.scaled_dot_product_attention, ((2, 4, 6, 8), (2, 4, 5, 8), (2, 4, 5, 3))),
    "causal attention": (lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True), ((2, 4, 6, 8),)),
    "masked attention": (lambda q, m: F.scaled_dot_product_attention(q, q, q, m), ((2, 4, 6, 8), (6, 6))),
    "grouped-query attention": (
        lambda q, k: F.scaled_dot_product_attention(q, k, k, enable_gqa=True),
        ((2, 4, 6, 8), (2, 2, 6, 8)),
    ),
    "unfold and fold": (lambda x: F.fold(F.unfold(x, 3), (8, 8), 3), (IMAGE,)),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2), ((2, 8, 3, 3),)),
    "affine grid": (lambda x, t: F.grid_sample(x, F.affine_grid(t, [2, 6, 8, 8])), (IMAGE, (2, 2, 3))),
}


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
@pytest.mark.parametrize("name", CALLS)
def test_call_equals_plain_meta(name: str, layout: Callable[[Tensor], Tensor]) -> None:
    function, shapes = CALLS[name]
    first, *others = (meta(*shape) for shape in shapes)
    counter = MacCounter()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # grid_sample's, about align_corners
        try:
            expected, macs = plain_call(function, layout(first), *others)
        except RuntimeError:
            with pytest.raises(RuntimeError, match=r"\S"), ForwardMode(counter), torch.no_grad():
                function(layout(first), *others)
            return
        with ForwardMode(counter), torch.no_grad():
            out = function(layout(first), *others)

    assert described(out) == described(expected)
    assert counter.macs == macs


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["relu", "add", "conv2d", "linear", "layer_norm", "max_pool2d with indices", "matmul"])
def test_dtype_is_kept(name: str, dtype: torch.dtype) -> None:
    function, shapes = CALLS[name]
    args = [meta(*shape, dtype=dtype) for shape in shapes]

    with ForwardMode(MacCounter()), torch.no_grad():
        out = function(*args)

    assert described(out) == described(plain_call(function, *args)[0])


# ---------------------------------------------------------------------------------------------- at random


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


# ---------------------------------------------------------------------------------------------- modules


class Chained(nn.Module):
    """Applies a recurrent or an attention module and passes on what it returns first."""

    def __init__(self, *stages: nn.Module) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> Tensor:
        for stage in self.stages:
            x = stage(x)[0]
        return x


def encoder(**options: Any) -> nn.Module:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, **options), 2, enable_nested_tensor=False)


ACTIVATIONS = (
    "ReLU ReLU6 ELU SELU CELU GELU SiLU Mish Hardswish Hardsigmoid Hardtanh Hardshrink Softshrink Tanhshrink Softsign "
    "Softplus LogSigmoid Sigmoid Tanh LeakyReLU PReLU RReLU"
)

MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[tuple[int, ...], ...]]] = {
    "Transformer": (lambda: nn.Transformer(32, 4, 2, 2, 64), ((7, 2, 32), (5, 2, 32))),
    "Transformer batch_first norm_first": (
        lambda: nn.Transformer(32, 4, 2, 2, 64, batch_first=True, norm_first=True),
        ((2, 7, 32), (2, 5, 32)),
    ),
    "TransformerEncoder": (lambda: encoder(batch_first=True), ((2, 7, 32),)),
    "TransformerEncoder gelu": (lambda: encoder(activation="gelu"), ((7, 2, 32),)),
    "TransformerDecoder": (
        lambda: nn.TransformerDecoder(nn.TransformerDecoderLayer(32, 4, 64), 2),
        ((7, 2, 32), (5, 2, 32)),
    ),
    "MultiheadAttention": (lambda: nn.MultiheadAttention(32, 4), ((7, 2, 32), (5, 2, 32), (5, 2, 32))),
    "MultiheadAttention batch_first": (lambda: nn.MultiheadAttention(32, 4, batch_first=True), ((2, 7, 32),) * 3),
    "MultiheadAttention unbatched": (lambda: nn.MultiheadAttention(32, 4), ((7, 32), (5, 32), (5, 32))),
    "MultiheadAttention kdim": (
        lambda: nn.MultiheadAttention(32, 4, kdim=16, vdim=24),
        ((7, 2, 32), (5, 2, 16), (5, 2, 24)),
    ),
    "MultiheadAttention add_bias_kv": (
        lambda: nn.MultiheadAttention(32, 4, bias=False, add_bias_kv=True, add_zero_attn=True),
        ((7, 2, 32), (5, 2, 32), (5, 2, 32)),
    ),
    "LSTM": (lambda: nn.LSTM(8, 16, 2), ((5, 3, 8),)),
    "LSTM bidirectional": (lambda: nn.LSTM(8, 16, 2, bidirectional=True, batch_first=True), ((3, 5, 8),)),
    "LSTM projected": (lambda: nn.LSTM(8, 16, 2, proj_size=6, bidirectional=True), ((5, 3, 8),)),
    "LSTM of one sequence": (lambda: nn.LSTM(8, 16, bias=False), ((5, 8),)),
    "GRU": (lambda: nn.GRU(8, 16, 2, bidirectional=True, batch_first=True), ((3, 5, 8),)),
    "RNN": (lambda: nn.RNN(8, 16, 2, nonlinearity="relu"), ((5, 3, 8),)),
    "RNN tanh": (lambda: nn.RNN(8, 16, batch_first=True), ((3, 5, 8),)),
    "recurrent chain": (lambda: Chained(nn.LSTM(8, 6, batch_first=True), nn.GRU(6, 4, batch_first=True)), ((3, 5, 8),)),
    "LSTMCell": (lambda: nn.LSTMCell(8, 16), ((3, 8),)),
    "GRUCell": (lambda: nn.GRUCell(8, 16), ((3, 8),)),
    "activations": (lambda: nn.Sequential(*(getattr(nn, name)() for name in ACTIVATIONS.split())), ((2, 3, 4),)),
    "activations in place": (
        lambda: nn.Sequential(nn.ReLU(True), nn.SiLU(True), nn.LeakyReLU(0.1, True), nn.GLU(), nn.Softmax(1)),
        ((2, 3, 4),),
    ),
    "norms": (
        lambda: nn.Sequential(
            nn.GroupNorm(2, 8), nn.InstanceNorm2d(8, affine=True), nn.InstanceNorm2d(8, track_running_stats=True),
            nn.LayerNorm((8, 6, 6)), nn.RMSNorm(6), nn.LocalResponseNorm(3), nn.BatchNorm2d(8, affine=False),
            nn.BatchNorm2d(8, track_running_stats=False),
        ),
        ((2, 8, 6, 6),),
    ),
    "BatchNorm1d": (lambda: nn.Sequential(nn.BatchNorm1d(8)), ((2, 8),)),
    "pools": (
        lambda: nn.Sequential(
            nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.AvgPool2d(3, 2, ceil_mode=True), nn.LPPool2d(2, 2),
            nn.AdaptiveMaxPool2d(3), nn.AdaptiveAvgPool2d((None, 2)), nn.Flatten(),
        ),
        ((2, 3, 33, 33),),
    ),
    "upsampling": (
        lambda: nn.Sequential(
            nn.Upsample(scale_factor=2), nn.Upsample(scale_factor=2, mode="bilinear"), nn.PixelShuffle(2),
            nn.PixelUnshuffle(2), nn.ChannelShuffle(2), nn.ZeroPad2d(1), nn.ReflectionPad2d(1),
        ),
        ((2, 8, 4, 4),),
    ),
    "convolutions": (
        lambda: nn.Sequential(
            nn.Conv2d(4, 8, 3, groups=4), nn.Conv2d(8, 8, 3, dilation=2, padding="same"),
            nn.Conv2d(8, 6, (1, 3), (2, 1), padding=1, padding_mode="reflect"),
            nn.ConvTranspose2d(6, 4, 3, stride=2, output_padding=1, groups=2),
        ),
        ((2, 4, 16, 16),),
    ),
    "channels_last weights": (
        lambda: nn.Sequential(nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8), nn.ReLU()).to(memory_format=torch.channels_last),
        ((2, 4, 8, 8),),
    ),
    "weight_norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 8, 3)), ((2, 3, 8, 8),)),
    "spectral_norm": (lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(3, 8)), ((2, 3),)),
    "Bilinear": (lambda: nn.Bilinear(8, 6, 5), ((3, 2, 8), (3, 2, 6))),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
@pytest.mark.parametrize("name", MODULES)
def test_module_equals_plain_meta(name: str) -> None:
    make, shapes = MODULES[name]

    trace = trace_structure(make, [ForwardInput(tuple(TensorInput(shape) for shape in shapes))])

    assert_equals_plain_meta(trace, make, *shapes)


@pytest.mark.parametrize("make", [lambda: nn.Embedding(50, 8), lambda: nn.EmbeddingBag(50, 8)])
def test_embedding_equals_plain_meta(make: Callable[[], nn.Module]) -> None:
    trace = trace_structure(make, [ForwardInput((TensorInput((3, 5), "int64", below=50),))])

    plain = plain_forward(build_on_meta(make), meta(3, 5, dtype=torch.int64))
    assert trace.forwards[0].output == plain.output


def assert_equals_plain_meta(trace: Any, make: Callable[[], nn.Module], *shapes: tuple[int, ...]) -> None:
    forward = trace.forwards[0]
    assert (trace.device, forward.crash) == ("meta", None)
    plain = plain_forward(build_on_meta(make), *(meta(*shape) for shape in shapes))
    assert [(call.name, call.output) for call in forward.calls] == plain.calls
    assert (forward.output, forward.macs) == (plain.output, plain.macs)


# ---------------------------------------------------------------------------------------------- model zoos


def classifiers() -> list[str]:
    import torchvision

    names: list[str] = torchvision.models.list_models(module=torchvision.models)
    return names


@pytest.mark.filterwarnings("ignore:.*initialization:FutureWarning")
@pytest.mark.parametrize("name", classifiers())
def test_classifier_equals_plain_meta_and_what_is_published(name: str) -> None:
    import torchvision

    def make() -> nn.Module:
        model: nn.Module = torchvision.models.get_model(name, weights=None)
        return model

    inputs = [ForwardInput((TensorInput((size, 3, 224, 224)),), sizes={"B": size}) for size in (2, 3)]
    trace = trace_structure(make, inputs)

    assert_equals_plain_meta(trace, make, (2, 3, 224, 224))
    assert trace.forwards[1].calls[-1].output is not None
    for weights in torchvision.models.get_model_weights(name):
        if getattr(weights.transforms, "keywords", {}).get("crop_size") == 224:
            # GoogLeNet's figure leaves out the auxiliary heads, which its constructor makes.
            assert trace.root.num_params == (13_004_888 if name == "googlenet" else weights.meta["num_params"])
            assert trace.macs is not None
            assert round(trace.macs / 1e9, 3) == weights.meta["_ops"]


def test_there_are_80_classifiers() -> None:
    assert len(classifiers()) == 80


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", ["vit_tiny_patch16_224", "levit_128s", "efficientvit_b0", "nfnet_f0", "xcit_nano_12_p16_224"]
)
def test_timm_model_equals_plain_meta(name: str) -> None:
    timm = pytest.importorskip("timm")
    size = timm.get_pretrained_cfg(name).input_size

    def make() -> nn.Module:
        model: nn.Module = timm.create_model(name)
        return model

    trace = trace_structure(make, [ForwardInput((TensorInput((2, *size)),), sizes={"B": 2})])

    assert_equals_plain_meta(trace, make, (2, *size))
