"""Functions of one tensor that differ, are missing or are too many: activations, dropout, softmax and the like."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

import torch
from torch import nn
from torch.nn import functional

from archcheck.function.diagnosis.op_calls import OpCall, Unary
from archcheck.function.diagnosis.substitutions import (
    Substitution,
    article,
    done_before,
    instead,
    is_data,
    missing_around,
)


def _leaky(slope: float) -> Unary:
    return partial(functional.leaky_relu, negative_slope=slope)


ACTIVATIONS: Final[Mapping[str, Unary]] = MappingProxyType(
    {
        "relu": torch.relu,
        "gelu": functional.gelu,
        "gelu(tanh)": partial(functional.gelu, approximate="tanh"),
        "silu": functional.silu,
        "softplus": functional.softplus,
        "leaky_relu(0.01)": _leaky(0.01),
        "leaky_relu(0.1)": _leaky(0.1),
        "leaky_relu(0.2)": _leaky(0.2),
        "leaky_relu(0.3)": _leaky(0.3),
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "relu6": functional.relu6,
        "elu": functional.elu,
        "selu": functional.selu,
        "celu": functional.celu,
        "hardswish": functional.hardswish,
        "hardsigmoid": functional.hardsigmoid,
        "hardtanh": functional.hardtanh,
        "mish": functional.mish,
        "softsign": functional.softsign,
        "logsigmoid": functional.logsigmoid,
        "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    }
)


_FUNCTIONS: Final[Mapping[str, Unary]] = MappingProxyType(
    {
        "abs": torch.abs,
        "square": torch.square,
        "exp": torch.exp,
        "sqrt": torch.sqrt,
        "rsqrt": torch.rsqrt,
        "log": torch.log,
        "log1p": torch.log1p,
        "reciprocal": torch.reciprocal,
        "neg": torch.neg,
        "1 - x": lambda x: 1 - x,
        "sin": torch.sin,
        "cos": torch.cos,
    }
)
_NORMALISATIONS: Final[Mapping[str, Unary]] = MappingProxyType(
    {
        "softmax": lambda x: x.softmax(-1),
        "softmax over axis 1": lambda x: x.softmax(1),
        "log_softmax": lambda x: x.log_softmax(-1),
        "log_softmax over axis 1": lambda x: x.log_softmax(1),
        "normalize": functional.normalize,
        "normalize over the last axis": lambda x: functional.normalize(x, dim=-1),
        "layer_norm": lambda x: functional.layer_norm(x, x.shape[-1:]),
        "clamp(min=0, max=1)": lambda x: x.clamp(0, 1),
        "clamp(min=-1, max=1)": lambda x: x.clamp(-1, 1),
    }
)
DROPOUT_RATES: Final = (0.0, 0.5, 0.1, 0.2, 0.25, 0.3, 0.4, 0.6, 0.75, 0.8, 0.9, 0.05, 0.15, 0.35)
_COMMON: Final = ("relu", "gelu", "silu", "sigmoid", "tanh")
_OTHER_ACTIVATIONS: Final = frozenset(
    {"prelu", "rrelu", "threshold", "hardshrink", "softshrink", "tanhshrink", "clamp"}
)


def _dropouts() -> Iterator[tuple[str, Unary]]:
    for rate in DROPOUT_RATES[1:]:
        yield f"dropout(p={rate:g})", partial(functional.dropout, p=rate)
    for rate in DROPOUT_RATES[1:6]:
        yield f"dropout2d(p={rate:g})", partial(functional.dropout2d, p=rate)


def other_activation(call: OpCall) -> Iterator[Substitution]:
    """Replace an activation, or leave it out."""
    activation = any(name.partition("(")[0] == call.name for name in ACTIVATIONS) or call.name in _OTHER_ACTIVATIONS
    if not activation and call.name not in _FUNCTIONS:
        return
    now = f"{'an activation: ' if activation else ''}{call.title} now"
    yield instead(f"{article(call.title)} too many", lambda x: x)  # before those that do nothing to some values
    functions = {**{text: ACTIVATIONS[text] for text in _COMMON}, **ACTIVATIONS, **_FUNCTIONS}
    for text, function in functions.items():
        yield instead(f"{now}, {text} was recorded", function)


def missing_activation(call: OpCall) -> Iterator[Substitution]:
    """Insert one of the usual activations; in train mode, a dropout."""
    for text in _COMMON:
        yield from missing_around(call, article(text), ACTIVATIONS[text], is_data)
    for text, function in _dropouts() if call.mode == "train mode" else ():
        yield from missing_around(call, article(text), function, is_data, mode_only=True)


_OF_WEIGHTS: Final = (
    "exp",
    "softplus",
    "sigmoid",
    "tanh",
    "relu",
    "abs",
    "square",
    "softmax",
    "normalize over the last axis",
)
_TAKEN_AS_IT_IS: Final = re.compile(r"linear|bilinear|conv.*|.*_norm|embedding.*|prelu|lstm|gru|rnn.*|multi_head.*")


def missing_function_of_a_weight(call: OpCall) -> Iterator[Substitution]:
    """Insert a function that keeps a parameter above 0 or within bounds, where the network computes with it itself."""
    functions = {**ACTIVATIONS, **_FUNCTIONS, **_NORMALISATIONS}
    for slot, tensor in () if _TAKEN_AS_IT_IS.fullmatch(call.name) else call.operands:
        for text in _OF_WEIGHTS if isinstance(tensor, nn.Parameter) and tensor.ndim else ():
            yield done_before(
                f"{article(text)} is missing on the parameter that goes into {call.name}", slot, functions[text]
            )


def missing_function(call: OpCall) -> Iterator[Substitution]:
    """Insert another function of one tensor."""
    for text, function in (*ACTIVATIONS.items(), *_NORMALISATIONS.items(), *_FUNCTIONS.items()):
        if text not in _COMMON:
            yield from missing_around(call, article(text), function, is_data)
