"""Operations called with other settings than were recorded."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import torch
from torch import Tensor

from archcheck.function.diagnosis.activations import DROPOUT_RATES
from archcheck.function.diagnosis.op_calls import EPSILONS, REDUCTIONS, OpCall
from archcheck.function.diagnosis.substitutions import Substitution, article

_TINY_EPSILON: Final = 1e-8  # what is smaller beside a variance of about 1 changes no digest
_OF_A_MODE: Final = frozenset({"training", "use_input_stats", "dropout_p"})  # which eval mode sets otherwise

Changes = Callable[[OpCall], Iterable[Mapping[str, Any]]]


def _each(name: str, *values: Any) -> Changes:
    return lambda _: [{name: value} for value in values]


def _toggled(name: str) -> Changes:
    return lambda call: [{name: not call.setting(name)}]


def _axes(call: OpCall) -> Iterator[Mapping[str, Any]]:
    ndim = call.x.ndim
    yield from ({"dim": dim} for dim in range(-1, -ndim - 1, -1))
    if call.name in REDUCTIONS:
        yield from ({"dim": pair} for pair in itertools.combinations(range(ndim), 2))


def _scalar(value: Any) -> int | None:
    """Return a setting that is the same for all axes; None where it isn't."""
    values = set(value) if isinstance(value, list | tuple) else {value}
    only = values.pop() if len(values) == 1 else None
    return only if isinstance(only, int) else None


def _convolutions(call: OpCall) -> Iterator[Mapping[str, Any]]:
    """Yield other paddings, dilations and strides, those with the same output size first."""
    stride, padding, dilation = (_scalar(call.setting(name)) for name in ("stride", "padding", "dilation"))
    sizes = call.operands[1][1].shape[2:]
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


def _kernels(call: OpCall) -> Iterator[Mapping[str, Any]]:
    for kernel in (2, 3, 4, 5, 7):
        for padding in range(kernel // 2 + 1):
            stride = call.setting("stride") or call.setting("kernel_size")
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


def _pads(call: OpCall) -> Iterator[Mapping[str, Any]]:
    yield from ({"mode": mode} for mode in ("constant", "reflect", "replicate", "circular"))
    yield from ({"mode": "constant", "value": value} for value in (0.0, 1.0, -math.inf))
    pads = tuple(call.setting("pad"))
    for i in range(0, len(pads) - 1, 2):
        low, high = pads[i : i + 2]
        both = low + high
        for pair in ((high, low), (both, 0), (0, both), (both // 2, both - both // 2), (low + 1, high - 1)):
            yield {"pad": (*pads[:i], *pair, *pads[i + 2 :])}


def _divisors(name: str, size: Callable[[OpCall], int]) -> Changes:
    def changes(call: OpCall) -> Iterator[Mapping[str, Any]]:
        yield from ({name: number} for number in range(1, size(call) + 1) if size(call) % number == 0)

    return changes


def _masks(name: str) -> Changes:
    """Change a mask to none, or to its opposite."""

    def changes(call: OpCall) -> Iterator[Mapping[str, Any]]:
        mask = call.setting(name)
        if isinstance(mask, Tensor):
            yield {name: None}
            yield {name: ~mask if mask.dtype is torch.bool else mask.mT}

    return changes


_POOLS: Final = tuple(f"{kind}_pool{n}d" for kind in ("avg", "max") for n in (1, 2, 3))
_AVERAGES: Final = _POOLS[:3]
_NORMS: Final = ("batch_norm", "layer_norm", "group_norm", "rms_norm", "instance_norm", "normalize")
DROPOUTS: Final = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")
_CONVOLUTIONS: Final = ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
_ALONG: Final = ("softmax", "log_softmax", "normalize", "cumsum", "cumprod", "flip", "glu", *REDUCTIONS)
_SETTINGS: Final[tuple[tuple[tuple[str, ...], Changes], ...]] = (
    (DROPOUTS, _toggled("training")),
    (("batch_norm",), _toggled("training")),
    (("instance_norm",), _toggled("use_input_stats")),
    (DROPOUTS, _each("p", *DROPOUT_RATES)),
    (("rms_norm",), _each("eps", None)),  # the default, which in double precision is next to none
    (_NORMS, _each("eps", *EPSILONS)),
    (_AVERAGES, _toggled("count_include_pad")),
    (_POOLS, _toggled("ceil_mode")),
    (_POOLS, _kernels),
    (_ALONG, _axes),
    (("normalize",), _each("p", 1.0, 2.0, math.inf)),
    (("interpolate",), _modes),
    (("pad",), _pads),
    (("group_norm",), _divisors("num_groups", lambda call: call.x.shape[1])),
    (("var", "std"), _each("unbiased", True, False)),
    (("var", "std"), _each("correction", 1, 0)),
    (("tril", "triu"), _each("diagonal", -1, 0, 1)),
    (("masked_fill",), _each("value", -math.inf, 0.0, -1e9, -1e4)),
    (("local_response_norm",), _each("k", 1.0, 2.0, 0.0)),
    (("local_response_norm",), _each("alpha", 1e-4, 1e-3, 1e-2, 1e-5)),
    (("local_response_norm",), _each("beta", 0.75, 0.5, 1.0)),
    (("local_response_norm",), _each("size", 2, 3, 4, 5)),
    (("embedding_bag",), _each("mode", "mean", "sum", "max")),
    (("embedding_bag",), _each("padding_idx", None, 0, 1, -1)),
    (("scaled_dot_product_attention",), _toggled("is_causal")),
    (("scaled_dot_product_attention",), _masks("attn_mask")),
    (("scaled_dot_product_attention",), _each("dropout_p", *DROPOUT_RATES)),
    (("multi_head_attention_forward",), _masks("attn_mask")),
    (("multi_head_attention_forward",), _masks("key_padding_mask")),
    (("multi_head_attention_forward",), _toggled("add_zero_attn")),
    (("multi_head_attention_forward",), _divisors("num_heads", lambda call: call.x.shape[-1])),
    (("multi_head_attention_forward",), _each("dropout_p", *DROPOUT_RATES)),
)


def other_settings(call: OpCall) -> Iterator[Substitution]:
    """Change a setting of an operation."""
    for names, changes in _SETTINGS:
        if call.name in names:
            yield from _all_changed(call, changes)


def other_convolution(call: OpCall) -> Iterator[Substitution]:
    """Change the stride, padding or dilation of a convolution."""
    if call.name in _CONVOLUTIONS:
        yield from _all_changed(call, _convolutions)


def _all_changed(call: OpCall, changes: Changes) -> Iterator[Substitution]:
    for change in changes(call):
        different = {name: value for name, value in change.items() if _differs(call.setting(name), value)}
        if different:
            yield _changed(_changed_text(call, different), change)


def _differs(one: Any, other: Any) -> bool:
    return one is not other if isinstance(one, Tensor) or isinstance(other, Tensor) else bool(one != other)


def _changed(text: str, change: Mapping[str, Any]) -> Substitution:
    mode_only = not _OF_A_MODE.isdisjoint(change)
    return Substitution(text, lambda call: call.changed(change).run(), mode_only=mode_only)


def _changed_text(call: OpCall, change: Mapping[str, Any]) -> str:
    if "training" in change:
        if call.name == "batch_norm":
            whose = "its running statistics" if change["training"] else "the batch's statistics"
            return f"batch_norm takes {whose} in {call.mode}"
        if call.mode == "train mode" and not change["training"]:
            return f"{article(call.name)} too many"
        return f"{call.name} is {'off' if change['training'] else 'on'} in {call.mode}"
    now = ", ".join(f"{name}={_shown(call.setting(name))}" for name in change)
    recorded = ", ".join(
        (f"{name}={_shown(value)}" if len(change) > 1 else _recorded(call, name, value))
        for name, value in change.items()
    )
    return f"{call.name} {now} now, {recorded} was recorded"


def _recorded(call: OpCall, name: str, value: Any) -> str:
    """Return a setting as it was recorded; of an epsilon only that it was tiny, as any that is gives the same."""
    before = call.setting(name)
    is_tiny = name == "eps" and value is not None and value <= _TINY_EPSILON and (before or 0.0) > _TINY_EPSILON
    return f"at most {_shown(_TINY_EPSILON)}" if is_tiny else _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, Tensor):
        return "another mask"
    if isinstance(value, list | tuple) and len(set(value)) == 1:
        return _shown(value[0])
    return f"{value:g}" if isinstance(value, float) else "zeros" if value == "constant" else str(value)
