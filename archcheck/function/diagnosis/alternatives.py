"""What an operation may have been in the network that was recorded: mistakes that people make, turned round.

Each family looks at an operation as it was called, and proposes what to compute in its place.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from archcheck.function.diagnosis.op_calls import (
    EPSILONS,
    REDUCTIONS,
    OpCall,
    Slot,
    Substitution,
    SubstitutionRule,
    Unary,
    article,
    done_before,
    indexed,
    instead,
    is_data,
    missing_around,
    operand_at,
    rebuilt,
)
from archcheck.function.diagnosis.rearrangements import (
    exchanged_operands,
    missing_factor,
    missing_operand,
    missing_skip,
    other_axes,
    other_index,
    other_layout,
    other_number,
    other_order,
    other_tensor,
)

# ------------------------------------------------------------------------------------------- functions of one tensor


def _leaky(slope: float) -> Unary:
    return partial(functional.leaky_relu, negative_slope=slope)


ACTIVATIONS: Final[Mapping[str, Unary]] = MappingProxyType(
    {
        "relu": torch.relu,
        "gelu": functional.gelu,
        "gelu(tanh)": partial(functional.gelu, approximate="tanh"),
        "silu": functional.silu,
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
        "softplus": functional.softplus,
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
_RATES: Final = (0.0, 0.5, 0.1, 0.2, 0.25, 0.3, 0.4, 0.6, 0.75, 0.8, 0.9, 0.05, 0.15, 0.35)
_OTHER_ACTIVATIONS: Final = frozenset(
    {"prelu", "rrelu", "threshold", "hardshrink", "softshrink", "tanhshrink", "clamp"}
)


def _dropouts() -> Iterator[tuple[str, Unary]]:
    for rate in _RATES[1:]:
        yield f"dropout(p={rate:g})", partial(functional.dropout, p=rate)
    for rate in _RATES[1:6]:
        yield f"dropout2d(p={rate:g})", partial(functional.dropout2d, p=rate)


_COMMON: Final = ("relu", "gelu", "silu", "sigmoid", "tanh")


def other_activation(called: OpCall) -> Iterator[Substitution]:
    """Another activation than was recorded, or one too many."""
    activation = any(name.partition("(")[0] == called.name for name in ACTIVATIONS) or called.name in _OTHER_ACTIVATIONS
    if not activation and called.name not in _FUNCTIONS:
        return
    now = f"{'an activation: ' if activation else ''}{called.title} now"
    for text, function in (*ACTIVATIONS.items(), *_FUNCTIONS.items()):
        yield instead(f"{now}, {text} was recorded", function)
    yield instead(f"{article(called.title)} too many", lambda x: x)


def missing_activation(called: OpCall) -> Iterator[Substitution]:
    """One of the usual activations that got lost; in train mode, a dropout."""
    for text in _COMMON:
        yield from missing_around(called, article(text), ACTIVATIONS[text], is_data)
    for text, function in _dropouts() if called.mode == "train mode" else ():
        yield from missing_around(called, article(text), function, is_data)


def missing_function(called: OpCall) -> Iterator[Substitution]:
    """Another function of one tensor that got lost."""
    for text, function in (*ACTIVATIONS.items(), *_NORMALISATIONS.items(), *_FUNCTIONS.items()):
        if text not in _COMMON:
            yield from missing_around(called, article(text), function, is_data)


# ------------------------------------------------------------------------------------------- settings

Changes = Callable[[OpCall], Iterable[Mapping[str, Any]]]


def _each(name: str, *values: Any) -> Changes:
    return lambda _: [{name: value} for value in values]


def _toggled(name: str) -> Changes:
    return lambda called: [{name: not called.setting(name)}]


def _axes(called: OpCall) -> Iterator[Mapping[str, Any]]:
    ndim = called.x.ndim
    yield from ({"dim": dim} for dim in range(-1, -ndim - 1, -1))
    if called.name in REDUCTIONS:
        yield from ({"dim": pair} for pair in itertools.combinations(range(ndim), 2))


def _scalar(value: Any) -> int | None:
    """A setting that is the same for all axes."""
    values = set(value) if isinstance(value, list | tuple) else {value}
    only = values.pop() if len(values) == 1 else None
    return only if isinstance(only, int) else None


def _convolutions(called: OpCall) -> Iterator[Mapping[str, Any]]:
    """Other paddings, dilations and strides, those of the same output first."""
    stride, padding, dilation = (_scalar(called.setting(name)) for name in ("stride", "padding", "dilation"))
    sizes = called.operands[1][1].shape[2:]
    if stride is None or padding is None or dilation is None or not sizes:
        return
    for other in (1, 2, 3, 4, 6, 8):
        yield {"dilation": other, "padding": padding + (other - dilation) * (sizes[0] - 1) // 2}
    for other in (1, 2, 4):
        yield {"stride": other}
    for other in range(padding + 4):
        yield {"padding": other}
    for other, step in itertools.product((1, 2, 3, 4), (1, 2)):
        yield {"dilation": other, "padding": other * (sizes[0] - 1) // 2, "stride": step}


def _kernels(called: OpCall) -> Iterator[Mapping[str, Any]]:
    for kernel in (2, 3, 4, 5, 7):
        for padding in range(kernel // 2 + 1):
            stride = called.setting("stride") or called.setting("kernel_size")
            yield {"kernel_size": kernel, "padding": padding, "stride": stride}
            yield {"kernel_size": kernel, "padding": padding, "stride": stride, "ceil_mode": True}
    yield {"divisor_override": 1}
    yield {"divisor_override": None}


def _modes(_: OpCall) -> Iterator[Mapping[str, Any]]:
    for mode in ("nearest", "bilinear", "bicubic", "linear", "area", "nearest-exact", "trilinear"):
        if mode in ("nearest", "area", "nearest-exact"):
            yield {"mode": mode, "align_corners": None}
        else:
            yield {"mode": mode, "align_corners": False}
            yield {"mode": mode, "align_corners": True}


def _pads(called: OpCall) -> Iterator[Mapping[str, Any]]:
    yield from ({"mode": mode} for mode in ("constant", "reflect", "replicate", "circular"))
    yield from ({"mode": "constant", "value": value} for value in (0.0, 1.0, -math.inf))
    pads = tuple(called.setting("pad"))
    for i in range(0, len(pads) - 1, 2):
        low, high = pads[i : i + 2]
        both = low + high
        for pair in ((high, low), (both, 0), (0, both), (both // 2, both - both // 2), (low + 1, high - 1)):
            yield {"pad": (*pads[:i], *pair, *pads[i + 2 :])}


def _divisors(name: str, size: Callable[[OpCall], int]) -> Changes:
    def changes(called: OpCall) -> Iterator[Mapping[str, Any]]:
        yield from ({name: number} for number in range(1, size(called) + 1) if size(called) % number == 0)

    return changes


def _masks(name: str) -> Changes:
    """No mask, or its opposite."""

    def changes(called: OpCall) -> Iterator[Mapping[str, Any]]:
        mask = called.setting(name)
        if isinstance(mask, Tensor):
            yield {name: None}
            yield {name: ~mask if mask.dtype is torch.bool else mask.mT}

    return changes


_POOLS: Final = tuple(f"{kind}_pool{n}d" for kind in ("avg", "max") for n in (1, 2, 3))
_AVERAGES: Final = _POOLS[:3]
_NORMS: Final = ("batch_norm", "layer_norm", "group_norm", "rms_norm", "instance_norm", "normalize")
_DROPOUTS: Final = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")
_CONVOLUTIONS: Final = ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
_ALONG: Final = ("softmax", "log_softmax", "normalize", "cumsum", "cumprod", "flip", "glu", *REDUCTIONS)
_SETTINGS: Final[tuple[tuple[tuple[str, ...], Changes], ...]] = (
    (_DROPOUTS, _toggled("training")),
    (("batch_norm",), _toggled("training")),
    (("instance_norm",), _toggled("use_input_stats")),
    (_DROPOUTS, _each("p", *_RATES)),
    (_NORMS, _each("eps", *EPSILONS)),
    (_AVERAGES, _toggled("count_include_pad")),
    (_POOLS, _toggled("ceil_mode")),
    (_POOLS, _kernels),
    (_ALONG, _axes),
    (("normalize",), _each("p", 1.0, 2.0, math.inf)),
    (("interpolate",), _modes),
    (("pad",), _pads),
    (("group_norm",), _divisors("num_groups", lambda called: called.x.shape[1])),
    (("var", "std"), _each("unbiased", True, False)),
    (("var", "std"), _each("correction", 1, 0)),
    (("tril", "triu"), _each("diagonal", -1, 0, 1)),
    (("masked_fill",), _each("value", -math.inf, 0.0, -1e9, -1e4)),
    (("local_response_norm",), _each("k", 1.0, 2.0, 0.0)),
    (("local_response_norm",), _each("alpha", 1e-4, 1e-3, 1e-2, 1e-5)),
    (("local_response_norm",), _each("beta", 0.75, 0.5, 1.0)),
    (("local_response_norm",), _each("size", 2, 3, 4, 5)),
    (("scaled_dot_product_attention",), _toggled("is_causal")),
    (("scaled_dot_product_attention",), _masks("attn_mask")),
    (("scaled_dot_product_attention",), _each("dropout_p", *_RATES)),
    (("multi_head_attention_forward",), _masks("attn_mask")),
    (("multi_head_attention_forward",), _masks("key_padding_mask")),
    (("multi_head_attention_forward",), _toggled("add_zero_attn")),
    (("multi_head_attention_forward",), _divisors("num_heads", lambda called: called.x.shape[-1])),
    (("multi_head_attention_forward",), _each("dropout_p", *_RATES)),
)


def other_settings(called: OpCall) -> Iterator[Substitution]:
    """An operation with another argument than was recorded."""
    for names, changes in _SETTINGS:
        if called.name in names:
            yield from _all_changed(called, changes)


def other_convolution(called: OpCall) -> Iterator[Substitution]:
    """A convolution with another stride, padding or dilation."""
    if called.name in _CONVOLUTIONS:
        yield from _all_changed(called, _convolutions)


def _all_changed(called: OpCall, changes: Changes) -> Iterator[Substitution]:
    for change in changes(called):
        told = {name: value for name, value in change.items() if _differs(called.setting(name), value)}
        if told:
            yield _changed(_changed_text(called, told), change)


def _differs(one: Any, other: Any) -> bool:
    return one is not other if isinstance(one, Tensor) or isinstance(other, Tensor) else bool(one != other)


def _changed(text: str, change: Mapping[str, Any]) -> Substitution:
    return Substitution(text, lambda called: called.changed(change).run())


def _changed_text(called: OpCall, change: Mapping[str, Any]) -> str:
    if "training" in change:
        if called.name == "batch_norm":
            whose = "its running statistics" if change["training"] else "the batch's statistics"
            return f"batch_norm takes {whose} in {called.mode}"
        if called.mode == "train mode" and not change["training"]:
            return f"{article(called.name)} too many"
        return f"{called.name} is {'off' if change['training'] else 'on'} in {called.mode}"
    now = ", ".join(f"{name}={_shown(called.setting(name))}" for name in change)
    recorded = ", ".join(
        (f"{name}={_shown(value)}" if len(change) > 1 else _shown(value)) for name, value in change.items()
    )
    return f"{called.name} {now} now, {recorded} was recorded"


def _shown(value: Any) -> str:
    if isinstance(value, Tensor):
        return "another mask"
    if isinstance(value, list | tuple) and len(set(value)) == 1:
        return _shown(value[0])
    return f"{value:g}" if isinstance(value, float) else "zeros" if value == "constant" else str(value)


# ------------------------------------------------------------------------------------------- one operation for another


def other_pooling(called: OpCall) -> Iterator[Substitution]:
    """A maximum for an average, or the other way round."""
    kind, pool, dims = called.name.rpartition("_pool")[0].removeprefix("adaptive_"), "_pool", called.name[-2:]
    if pool not in called.name or kind not in ("avg", "max", "lp"):
        return
    adaptive = "adaptive_" if called.name.startswith("adaptive") else ""
    names = ("output_size",) if adaptive else ("kernel_size", "stride", "padding", "ceil_mode")
    for other in {"avg", "max"} - {kind}:
        name = f"{adaptive}{other}{pool}{dims}"
        options = {key: called.setting(key) for key in names if called.setting(key) is not None}
        yield instead(f"{called.name} now, {name} was recorded", partial(getattr(functional, name), **options))


def _along(function: Callable[..., Tensor], dim: Any, keepdim: bool) -> Unary:
    return lambda x: function(x, dim=tuple(range(x.ndim)) if dim is None else dim, keepdim=keepdim)


def _position(place: int, dim: int, keepdim: bool) -> Unary:
    return lambda x: x.narrow(dim, place % x.shape[dim], 1) if keepdim else x.select(dim, place)


def _reductions(dim: Any, keepdim: bool) -> Iterator[tuple[str, Unary]]:
    """What makes one value of those along an axis."""
    for function in (torch.mean, torch.sum, torch.amax, torch.amin, torch.logsumexp, torch.std, torch.var):
        yield function.__name__, _along(function, dim, keepdim)
    if isinstance(dim, int):
        yield "the last position", _position(-1, dim, keepdim)
        yield "the first position", _position(0, dim, keepdim)
    elif dim is not None and all(one in (-2, -1, 2, 3) for one in dim) and not keepdim:
        yield "the first position", lambda x: x[..., 0, 0]


def other_reduction(called: OpCall) -> Iterator[Substitution]:
    """Another way to make one value of many."""
    if called.name in REDUCTIONS and not (called.name in ("max", "min") and len(called.operands) > 1):
        for text, function in _reductions(called.setting("dim"), bool(called.setting("keepdim"))):
            yield _replaced(f"{called.name} now, {text} was recorded", function)
    if called.name == "getitem":
        index = called.args[1] if isinstance(called.args[1], tuple) else (called.args[1],)
        if all(isinstance(one, int) or one == slice(None) for one in index):
            dims = tuple(i for i, one in enumerate(index) if isinstance(one, int))
            for text, function in _reductions(dims[0] if len(dims) == 1 else dims, False):
                yield _replaced(f"{indexed(called)} now, {text} was recorded", function)


def _replaced(text: str, function: Unary) -> Substitution:
    def act(called: OpCall) -> Any:
        out = function(called.x)
        return rebuilt(called.run(), out) if called.name in ("max", "min", "median") and _has_dim(called) else out

    return Substitution(text, act)


def _has_dim(called: OpCall) -> bool:
    return called.setting("dim") is not None


_BINARY: Final[Mapping[str, Callable[[Any, Any], Any]]] = MappingProxyType(
    {
        "a + b": lambda a, b: a + b,
        "a * b": lambda a, b: a * b,
        "a - b": lambda a, b: a - b,
        "b - a": lambda a, b: b - a,
        "a / b": lambda a, b: a / b,
        "b / a": lambda a, b: b / a,
        "the larger": torch.maximum,
        "(a - b)²": lambda a, b: (a - b) ** 2,
    }
)
_ARITHMETIC: Final = MappingProxyType({"add": "a + b", "sub": "a - b", "mul": "a * b", "div": "a / b", "rdiv": "b / a"})
_COMPARISONS: Final = MappingProxyType({"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "eq": "==", "ne": "!="})
_EXTRA: Final = MappingProxyType({"add": "sum", "sub": "difference", "mul": "product", "div": "quotient"})


def other_operator(called: OpCall) -> Iterator[Substitution]:
    """A sum for a product and the like; and one that is too many."""
    if called.name in _ARITHMETIC and len(called.args) == 2:
        for text, function in _BINARY.items():
            yield _of_arguments(f"{_ARITHMETIC[called.name]} now, {text} was recorded", function)
        for slot, _ in called.operands if called.name in _EXTRA else ():
            yield _only(f"{article(_EXTRA[called.name])} too many", slot)
    for name, sign in _COMPARISONS.items() if called.name in _COMPARISONS else ():
        yield _of_arguments(f"{_COMPARISONS[called.name]} now, {sign} was recorded", getattr(torch, name))
    if called.name in ("tril", "triu"):
        other = "triu" if called.name == "tril" else "tril"
        change = partial(getattr(torch, other), diagonal=called.setting("diagonal") or 0)
        yield instead(f"{called.name} now, {other} was recorded", change)


def _of_arguments(text: str, function: Callable[..., Any]) -> Substitution:
    return Substitution(text, lambda called: function(*called.args))


def _only(text: str, slot: Slot) -> Substitution:
    """One of the arguments as it is."""
    return Substitution(text, lambda called: operand_at(called, slot).expand_as(called.run()))


def other_normalisation(called: OpCall) -> Iterator[Substitution]:
    """One normalisation for another, with the same scale and shift."""
    weight, bias, eps = (called.setting(name) for name in ("weight", "bias", "eps"))
    options = {"eps": 1e-5 if eps is None else eps}
    if called.name in ("layer_norm", "rms_norm"):
        other = "rms_norm" if called.name == "layer_norm" else "layer_norm"

        def act(it: OpCall) -> Any:
            shape, weight, bias = it.setting("normalized_shape"), it.setting("weight"), it.setting("bias")
            if other == "layer_norm":
                return functional.layer_norm(it.x, shape, weight, None, **options)
            made = functional.rms_norm(it.x, shape, weight, **options)
            return made if bias is None else made + bias

        yield Substitution(f"{called.name} now, {other} was recorded", act)
    elif called.name in ("batch_norm", "group_norm", "instance_norm"):
        for name, function in _channel_norms(weight, bias, options):
            yield instead(f"{called.name} now, {name} was recorded", function)


def _channel_norms(weight: Any, bias: Any, options: Mapping[str, float]) -> Iterator[tuple[str, Unary]]:
    scaled: dict[str, Any] = {"weight": weight, "bias": bias, **options}
    yield "instance_norm", partial(functional.instance_norm, **scaled)
    yield (
        "batch_norm by the batch",
        partial(functional.batch_norm, running_mean=None, running_var=None, training=True, **scaled),
    )
    for groups in (1, 2, 4, 8, 16, 32):
        yield f"group_norm of {groups}", partial(functional.group_norm, num_groups=groups, **scaled)


def other_dropout(called: OpCall) -> Iterator[Substitution]:
    """Single elements for whole channels, or the other way round."""
    for other in _DROPOUTS if called.name in _DROPOUTS else ():
        function = partial(getattr(functional, other), p=called.setting("p"), training=bool(called.setting("training")))
        yield instead(f"{called.name} now, {other} was recorded", function)


def other_softmax(called: OpCall) -> Iterator[Substitution]:
    """With or without the logarithm; over scores that are masked or aren't."""
    other = {"softmax": "log_softmax", "log_softmax": "softmax"}.get(called.name)
    if other is None:
        return
    dim = called.setting("dim")
    yield instead(f"{called.name} now, {other} was recorded", partial(getattr(torch, other), dim=dim))
    if called.x.ndim > 1 and isinstance(dim, int):
        for text, keep in (("a causal mask", torch.Tensor.tril), ("a mask of what comes before", torch.Tensor.triu)):
            change = partial(_masked, keep=keep)
            yield done_before(f"{text} is missing before {called.name}", called.operands[0][0], change)


def _masked(scores: Tensor, keep: Callable[[Tensor], Tensor]) -> Tensor:
    mask = keep(torch.ones(scores.shape[-2:], device=scores.device)) == 0
    return scores.masked_fill(mask, -math.inf)


def one_too_many(called: OpCall) -> Iterator[Substitution]:
    """An operation that wasn't there."""
    floating = is_data(called.x) and called.result.is_floating_point()
    alike = called.x.shape == called.result.shape or called.name == "getitem"
    if alike and floating and called.name not in _NO_FUNCTION:
        name = f"selection by {indexed(called)}" if called.name == "getitem" else called.name
        yield instead(f"{article(name)} too many", lambda x: x)


_NO_FUNCTION: Final = frozenset({"clone", "contiguous", "detach", "to", "type", "add", "sub", "mul", "div", "cpu"})


# In the order in which they are tried: mistakes that are often made and cost few runs to undo come first.
FAMILIES: Final[tuple[SubstitutionRule, ...]] = (
    other_settings,
    other_pooling,
    other_order,
    other_softmax,
    other_operator,
    other_reduction,
    missing_skip,
    other_activation,
    one_too_many,
    missing_activation,
    other_convolution,
    other_index,
    missing_function,
    missing_operand,
    other_normalisation,
    other_dropout,
    exchanged_operands,
    other_number,
    missing_factor,
    other_axes,
    other_layout,
    other_tensor,
)
