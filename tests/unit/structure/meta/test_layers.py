"""Modules of torch.nn: as in the ordinary meta forward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from archcheck.spec.domains import Domain
from archcheck.spec.inputs import ForwardInput, TensorInput
from archcheck.structure.meta.building import build_on_meta
from archcheck.structure.trace import trace_structure
from tests.unit.structure.meta.calls import meta
from tests.unit.structure.plain_meta import assert_equals_plain_meta, plain_forward


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
    trace = trace_structure(make, [ForwardInput((TensorInput((3, 5), "int64", domain=Domain(below=50)),))])

    plain = plain_forward(build_on_meta(make), meta(3, 5, dtype=torch.int64))
    assert trace.forwards[0].output == plain.output
