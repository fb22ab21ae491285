"""What an operation may have been in the network that was recorded: mistakes that people make, turned round.

Each family looks at an operation as it was called, and proposes what to compute in its place.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

Slot = tuple[int | str, int | None]  # an argument's position or keyword; within it, the position in a list
Unary = Callable[[Tensor], Any]
Key = tuple[Any, ...]
_Join = Callable[[Tensor, Tensor], Tensor]
Act = Callable[["Called"], Any]

# ------------------------------------------------------------------------------------------- an operation


@dataclass(frozen=True, slots=True)
class Source:
    """A tensor that was there when an operation was called; `key` finds it again in another run."""

    key: Key
    text: str
    tensor: Tensor

    @property
    def is_input(self) -> bool:
        """Whether it went into a module that was running."""
        return bool(self.key[0] == "in")


@dataclass(frozen=True, slots=True)
class Called:
    """An operation as the network called it.

    out: what came out of it, where it has run. fresh: the arguments that no operation nearby has just computed for it.
    sources: other tensors that were there. found: those that a repair asked for, by key. mode: of the pass. factor,
    shift: what the layer's output would have to be multiplied by, or what would have to be added to it.
    """

    func: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    out: Any = None
    fresh: frozenset[Slot] = frozenset()
    sources: Sequence[Source] = ()
    found: Mapping[Key, Tensor] = field(default_factory=dict)
    mode: str = "eval mode"
    factor: float | None = None
    shift: float | None = None

    def run(self) -> Any:
        """Compute it."""
        return self.func(*self.args, **self.kwargs)

    @property
    def name(self) -> str:
        """What it's called by, however it was written: `add` for `a + b`, `a += b` and `torch.add(a, b)`."""
        name: str = getattr(self.func, "__name__", "").strip("_")
        return _SYNONYMS.get(name, name)

    @property
    def title(self) -> str:
        """The name, with the slope that some activations have."""
        slope = self.setting("negative_slope") if self.name == "leaky_relu" else None
        approximate = self.name == "gelu" and self.setting("approximate") == "tanh"
        return f"{self.name}({slope:g})" if slope is not None else "gelu(tanh)" if approximate else self.name

    @property
    def operands(self) -> list[tuple[Slot, Tensor]]:
        """The tensors among its arguments, weights included."""
        found: list[tuple[Slot, Tensor]] = []
        places: Iterable[tuple[int | str, Any]] = (*enumerate(self.args), *self.kwargs.items())
        for place, value in places:
            if isinstance(value, Tensor):
                found.append(((place, None), value))
            elif isinstance(value, list | tuple):
                found += [((place, i), one) for i, one in enumerate(value) if isinstance(one, Tensor)]
        return found

    @property
    def x(self) -> Tensor:
        """The first of them."""
        return self.operands[0][1]

    @property
    def result(self) -> Tensor:
        """The first tensor that came out."""
        return self.out if isinstance(self.out, Tensor) else self.out[0]

    def with_operand(self, slot: Slot, value: Any) -> Called:
        """The same with another argument."""
        place, within = slot
        if within is not None:
            whole = list(self.args[place] if isinstance(place, int) else self.kwargs[place])
            whole[within] = value
            value = whole
        if isinstance(place, int):
            return replace(self, args=(*self.args[:place], value, *self.args[place + 1 :]))
        return replace(self, kwargs={**self.kwargs, place: value})

    def setting(self, name: str) -> Any:
        """An argument by its name; what torch takes where it isn't given."""
        if name in self.kwargs:
            return self.kwargs[name]
        names = list(_parameters(self.name))
        if name in names and names.index(name) < len(self.args):
            return self.args[names.index(name)]
        return _parameters(self.name).get(name)

    def changed(self, changes: Mapping[str, Any]) -> Called:
        """The same with other settings."""
        args, kwargs, names = list(self.args), dict(self.kwargs), list(_parameters(self.name))
        for name, value in changes.items():
            if name not in kwargs and name in names and names.index(name) < len(args):
                args[names.index(name)] = value
            else:
                kwargs[name] = value
        return replace(self, args=tuple(args), kwargs=kwargs)


OUTPUT: Final = "the output"


def the_output(value: Any) -> Any:
    """What a layer returns, as if it were an operation's."""
    return value


_ALSO: Final = (
    "iadd=add radd=add isub=sub subtract=sub multiply=mul imul=mul rmul=mul divide=div truediv=div "
    "true_divide=div idiv=div itruediv=div rtruediv=rdiv mm=matmul bmm=matmul concat=cat concatenate=cat greater=gt "
    "greater_equal=ge less=lt less_equal=le"
)
_SYNONYMS: Final = MappingProxyType({**dict(pair.split("=") for pair in _ALSO.split()), "the_output": OUTPUT})
# The parameters of functions, in order, with what is taken where they aren't given; torch's own can't be asked.
_POOL: Final = "input kernel_size stride=None padding=0"
_SIGNATURES: Final = MappingProxyType(
    {
        "avg_pool": f"{_POOL} ceil_mode=False count_include_pad=True divisor_override=None",
        "max_pool": f"{_POOL} dilation=1 ceil_mode=False return_indices=False",
        "lp_pool": "input norm_type kernel_size stride=None ceil_mode=False",
        "conv": "input weight bias=None stride=1 padding=0 dilation=1 groups=1",
        "conv_transpose": "input weight bias=None stride=1 padding=0 output_padding=0 groups=1 dilation=1",
        "adaptive_avg_pool": "input output_size",
        "adaptive_max_pool": "input output_size return_indices=False",
        "softmax": "input dim",
        "log_softmax": "input dim",
        "batch_norm": "input running_mean running_var weight=None bias=None training=False momentum=0.1 eps=1e-05",
        "instance_norm": "input running_mean=None running_var=None weight=None bias=None use_input_stats=True "
        "momentum=0.1 eps=1e-05",
        "layer_norm": "input normalized_shape weight=None bias=None eps=1e-05",
        "rms_norm": "input normalized_shape weight=None eps=None",
        "group_norm": "input num_groups weight=None bias=None eps=1e-05",
        "local_response_norm": "input size alpha=0.0001 beta=0.75 k=1.0",
        "normalize": "input p=2.0 dim=1 eps=1e-12",
        "dropout": "input p=0.5 training=True inplace=False",
        "interpolate": "input size=None scale_factor=None mode=nearest align_corners=None",
        "pad": "input pad mode=constant value=None",
        "leaky_relu": "input negative_slope=0.01 inplace=False",
        "gelu": "input",
        "glu": "input dim=-1",
        "mean": "input dim=None keepdim=False",
        "var": "input dim=None unbiased=True keepdim=False",
        "cat": "tensors dim=0",
        "stack": "tensors dim=0",
        "chunk": "input chunks dim=0",
        "split": "input split_size dim=0",
        "unbind": "input dim=0",
        "flip": "input dims",
        "roll": "input shifts dims=None",
        "cumsum": "input dim",
        "tril": "input diagonal=0",
        "triu": "input diagonal=0",
        "masked_fill": "input mask value",
        "scaled_dot_product_attention": "query key value attn_mask=None dropout_p=0.0 is_causal=False scale=None",
        "multi_head_attention_forward": "query key value embed_dim_to_check num_heads in_proj_weight in_proj_bias "
        "bias_k bias_v add_zero_attn dropout_p out_proj_weight out_proj_bias training=True key_padding_mask=None "
        "need_weights=True attn_mask=None",
    }
)
_REDUCTIONS: Final = ("mean", "sum", "amax", "amin", "max", "min", "median", "logsumexp", "std", "var")


def _parameters(name: str) -> dict[str, Any]:
    """The parameters of a function by its name: those of `conv2d` are those of `conv`."""
    family = name[:-2] if name.endswith(("1d", "2d", "3d")) else name
    if name in _REDUCTIONS:
        family = "var" if name in ("std", "var") else "mean"
    elif family.endswith("dropout"):
        family = "dropout"
    words = [word.partition("=") for word in _SIGNATURES.get(family, "").split()]
    return {name: _literal(value) for name, _, value in words}


def _literal(text: str) -> Any:
    known = {"": None, "None": None, "True": True, "False": False}
    if text in known:
        return known[text]
    try:
        return int(text)
    except ValueError:
        return float(text) if text[0] in "-0123456789" else text


# ------------------------------------------------------------------------------------------- repairs


@dataclass(frozen=True, slots=True)
class Repair:
    """What to compute in an operation's place, and what that says of the network; `needs` are the tensors it takes."""

    text: str
    act: Act
    needs: tuple[Key, ...] = ()


Family = Callable[[Called], Iterator[Repair]]


def _after(text: str, change: Unary) -> Repair:
    """Something done to what comes out."""

    def act(called: Called) -> Any:
        out = called.run()
        if isinstance(out, Tensor):
            return change(out)
        return _rebuilt(out, change(out[0]))

    return Repair(text, act)


def _rebuilt(out: Any, first: Tensor) -> Any:
    """What an operation that returns several tensors gives with another first one; `max(dim)` has a type of its own."""
    parts = (first, *out[1:])
    return parts if type(out) is tuple else type(out)(parts)


def _before(text: str, slot: Slot, change: Unary) -> Repair:
    """Something done to what goes in."""
    return Repair(text, lambda called: called.with_operand(slot, change(_at(called, slot))).run())


def _at(called: Called, slot: Slot) -> Any:
    return dict(called.operands)[slot]


def _is_data(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and not isinstance(tensor, nn.Parameter)


def _missing(called: Called, what: str, change: Unary, fits: Callable[[Tensor], bool]) -> Iterator[Repair]:
    """The same done to what comes out, and to each argument that nothing nearby has computed for this alone."""
    if fits(called.result):
        where = "at the end" if called.name == OUTPUT else f"after {called.name}"
        yield _after(f"{what} is missing {where}", change)
    for slot, tensor in called.operands:
        if slot in called.fresh and fits(tensor):
            yield _before(f"{what} is missing before {called.name}", slot, change)


def _other(text: str, function: Unary) -> Repair:
    """Another function of the first tensor."""
    return Repair(text, lambda called: function(called.x))


def article(word: str) -> str:
    """`a relu`, `an elu`."""
    return f"{'an' if word[:1] in 'aeio' or word[:3] in ('hsw', 'rms') else 'a'} {word}"


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


def other_activation(called: Called) -> Iterator[Repair]:
    """Another activation than was recorded, or one too many."""
    activation = any(name.partition("(")[0] == called.name for name in ACTIVATIONS) or called.name in _OTHER_ACTIVATIONS
    if not activation and called.name not in _FUNCTIONS:
        return
    now = f"{'an activation: ' if activation else ''}{called.title} now"
    for text, function in (*ACTIVATIONS.items(), *_FUNCTIONS.items()):
        yield _other(f"{now}, {text} was recorded", function)
    yield _other(f"{article(called.title)} too many", lambda x: x)


def missing_activation(called: Called) -> Iterator[Repair]:
    """One of the usual activations that got lost; in train mode, a dropout."""
    for text in _COMMON:
        yield from _missing(called, article(text), ACTIVATIONS[text], _is_data)
    for text, function in _dropouts() if called.mode == "train mode" else ():
        yield from _missing(called, article(text), function, _is_data)


def missing_function(called: Called) -> Iterator[Repair]:
    """Another function of one tensor that got lost."""
    for text, function in (*ACTIVATIONS.items(), *_NORMALISATIONS.items(), *_FUNCTIONS.items()):
        if text not in _COMMON:
            yield from _missing(called, article(text), function, _is_data)


# ------------------------------------------------------------------------------------------- settings

Changes = Callable[[Called], Iterable[Mapping[str, Any]]]


def _each(name: str, *values: Any) -> Changes:
    return lambda _: [{name: value} for value in values]


def _toggled(name: str) -> Changes:
    return lambda called: [{name: not called.setting(name)}]


def _axes(called: Called) -> Iterator[Mapping[str, Any]]:
    ndim = called.x.ndim
    yield from ({"dim": dim} for dim in range(-1, -ndim - 1, -1))
    if called.name in _REDUCTIONS:
        yield from ({"dim": pair} for pair in itertools.combinations(range(ndim), 2))


def _scalar(value: Any) -> int | None:
    """A setting that is the same for all axes."""
    values = set(value) if isinstance(value, list | tuple) else {value}
    only = values.pop() if len(values) == 1 else None
    return only if isinstance(only, int) else None


def _convolutions(called: Called) -> Iterator[Mapping[str, Any]]:
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


def _kernels(called: Called) -> Iterator[Mapping[str, Any]]:
    for kernel in (2, 3, 4, 5, 7):
        for padding in range(kernel // 2 + 1):
            stride = called.setting("stride") or called.setting("kernel_size")
            yield {"kernel_size": kernel, "padding": padding, "stride": stride}
            yield {"kernel_size": kernel, "padding": padding, "stride": stride, "ceil_mode": True}
    yield {"divisor_override": 1}
    yield {"divisor_override": None}


def _modes(_: Called) -> Iterator[Mapping[str, Any]]:
    for mode in ("nearest", "bilinear", "bicubic", "linear", "area", "nearest-exact", "trilinear"):
        if mode in ("nearest", "area", "nearest-exact"):
            yield {"mode": mode, "align_corners": None}
        else:
            yield {"mode": mode, "align_corners": False}
            yield {"mode": mode, "align_corners": True}


def _pads(called: Called) -> Iterator[Mapping[str, Any]]:
    yield from ({"mode": mode} for mode in ("constant", "reflect", "replicate", "circular"))
    yield from ({"mode": "constant", "value": value} for value in (0.0, 1.0, -math.inf))
    pads = tuple(called.setting("pad"))
    for i in range(0, len(pads) - 1, 2):
        low, high = pads[i : i + 2]
        both = low + high
        for pair in ((high, low), (both, 0), (0, both), (both // 2, both - both // 2), (low + 1, high - 1)):
            yield {"pad": (*pads[:i], *pair, *pads[i + 2 :])}


def _divisors(name: str, size: Callable[[Called], int]) -> Changes:
    def changes(called: Called) -> Iterator[Mapping[str, Any]]:
        yield from ({name: number} for number in range(1, size(called) + 1) if size(called) % number == 0)

    return changes


def _masks(name: str) -> Changes:
    """No mask, or its opposite."""

    def changes(called: Called) -> Iterator[Mapping[str, Any]]:
        mask = called.setting(name)
        if isinstance(mask, Tensor):
            yield {name: None}
            yield {name: ~mask if mask.dtype is torch.bool else mask.mT}

    return changes


_EPSILONS: Final = (1e-5, 1e-6, 1e-3, 1e-12, 1e-8, 1e-2, 0.0)
_POOLS: Final = tuple(f"{kind}_pool{n}d" for kind in ("avg", "max") for n in (1, 2, 3))
_AVERAGES: Final = _POOLS[:3]
_NORMS: Final = ("batch_norm", "layer_norm", "group_norm", "rms_norm", "instance_norm", "normalize")
_DROPOUTS: Final = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")
_CONVOLUTIONS: Final = ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
_ALONG: Final = ("softmax", "log_softmax", "normalize", "cumsum", "cumprod", "flip", "glu", *_REDUCTIONS)
_SETTINGS: Final[tuple[tuple[tuple[str, ...], Changes], ...]] = (
    (_DROPOUTS, _toggled("training")),
    (("batch_norm",), _toggled("training")),
    (("instance_norm",), _toggled("use_input_stats")),
    (_DROPOUTS, _each("p", *_RATES)),
    (_NORMS, _each("eps", *_EPSILONS)),
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


def other_settings(called: Called) -> Iterator[Repair]:
    """An operation with another argument than was recorded."""
    for names, changes in _SETTINGS:
        if called.name in names:
            yield from _all_changed(called, changes)


def other_convolution(called: Called) -> Iterator[Repair]:
    """A convolution with another stride, padding or dilation."""
    if called.name in _CONVOLUTIONS:
        yield from _all_changed(called, _convolutions)


def _all_changed(called: Called, changes: Changes) -> Iterator[Repair]:
    for change in changes(called):
        told = {name: value for name, value in change.items() if _differs(called.setting(name), value)}
        if told:
            yield _changed(_changed_text(called, told), change)


def _differs(one: Any, other: Any) -> bool:
    return one is not other if isinstance(one, Tensor) or isinstance(other, Tensor) else bool(one != other)


def _changed(text: str, change: Mapping[str, Any]) -> Repair:
    return Repair(text, lambda called: called.changed(change).run())


def _changed_text(called: Called, change: Mapping[str, Any]) -> str:
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


def other_pooling(called: Called) -> Iterator[Repair]:
    """A maximum for an average, or the other way round."""
    kind, pool, dims = called.name.rpartition("_pool")[0].removeprefix("adaptive_"), "_pool", called.name[-2:]
    if pool not in called.name or kind not in ("avg", "max", "lp"):
        return
    adaptive = "adaptive_" if called.name.startswith("adaptive") else ""
    names = ("output_size",) if adaptive else ("kernel_size", "stride", "padding", "ceil_mode")
    for other in {"avg", "max"} - {kind}:
        name = f"{adaptive}{other}{pool}{dims}"
        options = {key: called.setting(key) for key in names if called.setting(key) is not None}
        yield _other(f"{called.name} now, {name} was recorded", partial(getattr(functional, name), **options))


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


def other_reduction(called: Called) -> Iterator[Repair]:
    """Another way to make one value of many."""
    if called.name in _REDUCTIONS and not (called.name in ("max", "min") and len(called.operands) > 1):
        for text, function in _reductions(called.setting("dim"), bool(called.setting("keepdim"))):
            yield _replaced(f"{called.name} now, {text} was recorded", function)
    if called.name == "getitem":
        index = called.args[1] if isinstance(called.args[1], tuple) else (called.args[1],)
        if all(isinstance(one, int) or one == slice(None) for one in index):
            dims = tuple(i for i, one in enumerate(index) if isinstance(one, int))
            for text, function in _reductions(dims[0] if len(dims) == 1 else dims, False):
                yield _replaced(f"{_indexed(called)} now, {text} was recorded", function)


def _replaced(text: str, function: Unary) -> Repair:
    def act(called: Called) -> Any:
        out = function(called.x)
        return _rebuilt(called.run(), out) if called.name in ("max", "min", "median") and _has_dim(called) else out

    return Repair(text, act)


def _has_dim(called: Called) -> bool:
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


def other_operator(called: Called) -> Iterator[Repair]:
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
        yield _other(f"{called.name} now, {other} was recorded", change)


def _of_arguments(text: str, function: Callable[..., Any]) -> Repair:
    return Repair(text, lambda called: function(*called.args))


def _only(text: str, slot: Slot) -> Repair:
    """One of the arguments as it is."""
    return Repair(text, lambda called: _at(called, slot).expand_as(called.run()))


def other_normalisation(called: Called) -> Iterator[Repair]:
    """One normalisation for another, with the same scale and shift."""
    weight, bias, eps = (called.setting(name) for name in ("weight", "bias", "eps"))
    options = {"eps": 1e-5 if eps is None else eps}
    if called.name in ("layer_norm", "rms_norm"):
        other = "rms_norm" if called.name == "layer_norm" else "layer_norm"

        def act(it: Called) -> Any:
            shape, weight, bias = it.setting("normalized_shape"), it.setting("weight"), it.setting("bias")
            if other == "layer_norm":
                return functional.layer_norm(it.x, shape, weight, None, **options)
            made = functional.rms_norm(it.x, shape, weight, **options)
            return made if bias is None else made + bias

        yield Repair(f"{called.name} now, {other} was recorded", act)
    elif called.name in ("batch_norm", "group_norm", "instance_norm"):
        for name, function in _channel_norms(weight, bias, options):
            yield _other(f"{called.name} now, {name} was recorded", function)


def _channel_norms(weight: Any, bias: Any, options: Mapping[str, float]) -> Iterator[tuple[str, Unary]]:
    scaled: dict[str, Any] = {"weight": weight, "bias": bias, **options}
    yield "instance_norm", partial(functional.instance_norm, **scaled)
    yield (
        "batch_norm by the batch",
        partial(functional.batch_norm, running_mean=None, running_var=None, training=True, **scaled),
    )
    for groups in (1, 2, 4, 8, 16, 32):
        yield f"group_norm of {groups}", partial(functional.group_norm, num_groups=groups, **scaled)


def other_dropout(called: Called) -> Iterator[Repair]:
    """Single elements for whole channels, or the other way round."""
    for other in _DROPOUTS if called.name in _DROPOUTS else ():
        function = partial(getattr(functional, other), p=called.setting("p"), training=bool(called.setting("training")))
        yield _other(f"{called.name} now, {other} was recorded", function)


def other_softmax(called: Called) -> Iterator[Repair]:
    """With or without the logarithm; over scores that are masked or aren't."""
    other = {"softmax": "log_softmax", "log_softmax": "softmax"}.get(called.name)
    if other is None:
        return
    dim = called.setting("dim")
    yield _other(f"{called.name} now, {other} was recorded", partial(getattr(torch, other), dim=dim))
    if called.x.ndim > 1 and isinstance(dim, int):
        for text, keep in (("a causal mask", torch.Tensor.tril), ("a mask of what comes before", torch.Tensor.triu)):
            change = partial(_masked, keep=keep)
            yield _before(f"{text} is missing before {called.name}", called.operands[0][0], change)


def _masked(scores: Tensor, keep: Callable[[Tensor], Tensor]) -> Tensor:
    mask = keep(torch.ones(scores.shape[-2:], device=scores.device)) == 0
    return scores.masked_fill(mask, -math.inf)


def one_too_many(called: Called) -> Iterator[Repair]:
    """An operation that wasn't there."""
    floating = _is_data(called.x) and called.result.is_floating_point()
    alike = called.x.shape == called.result.shape or called.name == "getitem"
    if alike and floating and called.name not in _NO_FUNCTION:
        name = f"selection by {_indexed(called)}" if called.name == "getitem" else called.name
        yield _other(f"{article(name)} too many", lambda x: x)


_NO_FUNCTION: Final = frozenset({"clone", "contiguous", "detach", "to", "type", "add", "sub", "mul", "div", "cpu"})


# ------------------------------------------------------------------------------------------- order


def _orders(count: int) -> Iterator[tuple[int, ...]]:
    """Other orders of a few things, the reverse first."""
    usual = tuple(range(count))
    yield usual[::-1]
    if count <= 4:
        yield from (order for order in itertools.permutations(usual) if order not in (usual, usual[::-1]))
    else:
        yield from ((*usual[:i], usual[i + 1], usual[i], *usual[i + 2 :]) for i in range(count - 1))


def other_order(called: Called) -> Iterator[Repair]:
    """Tensors put together, or taken apart, in another order."""
    if called.name in ("cat", "stack", "hstack", "vstack") and called.args and isinstance(called.args[0], list | tuple):
        word = "concatenation" if called.name == "cat" else called.name
        yield from (_put_in(order, f"{word}: another order") for order in _orders(len(called.args[0])))
    if called.name == OUTPUT and isinstance(called.out, tuple | list):
        yield from (_taken_out(order, "the outputs in another order") for order in _orders(len(called.out)))
    if called.name in ("chunk", "split", "unbind", "tensor_split", "split_with_sizes"):
        text = "the parts of a split in another order"
        yield from (_taken_out(order, text) for order in _orders(len(called.out)))
        yield Repair("the parts of a split interleaved when it was recorded", _interleaved)


def _put_in(order: Sequence[int], text: str) -> Repair:
    def act(called: Called) -> Any:
        return called.func([called.args[0][i] for i in order], *called.args[1:], **called.kwargs)

    return Repair(text, act)


def _taken_out(order: Sequence[int], text: str) -> Repair:
    def act(called: Called) -> Any:
        parts = called.run()
        return tuple(parts[i] for i in order)

    return Repair(text, act)


def _interleaved(called: Called) -> Any:
    count, dim = len(called.run()), called.setting("dim") or 0
    apart: Tensor = called.x.unflatten(dim, (-1, count))  # type: ignore[no-untyped-call]
    return apart.unbind(dim + 1 if dim >= 0 else dim)


def exchanged_operands(called: Called) -> Iterator[Repair]:
    """Arguments of one shape that changed places, or one that is transposed."""
    operands = [(slot, one) for slot, one in called.operands if slot[1] is None]
    for (one, a), (other, b) in itertools.combinations(operands[:5], 2):
        if a.shape == b.shape and called.name not in ("add", "mul"):
            yield _swapped(f"arguments of {called.name} changed places", one, other)
    if called.name in ("matmul", "linear", "einsum"):
        for slot, tensor in called.operands:
            if tensor.ndim > 1 and tensor.shape[-1] == tensor.shape[-2]:
                yield _before(f"{called.name}: an argument was transposed when it was recorded", slot, _transposed)
    if called.name == "where" and len(called.args) == 3:
        yield Repair("the choices of where changed places", lambda it: torch.where(it.args[0], it.args[2], it.args[1]))
    if called.name in ("masked_fill", "where"):
        mask: Slot = (1 if called.name == "masked_fill" else 0, None)
        yield _before(f"the mask of {called.name} the other way round", mask, torch.logical_not)


def _transposed(x: Tensor) -> Tensor:
    return x.mT


def _swapped(text: str, one: Slot, other: Slot) -> Repair:
    def act(called: Called) -> Any:
        return called.with_operand(one, _at(called, other)).with_operand(other, _at(called, one)).run()

    return Repair(text, act)


# ------------------------------------------------------------------------------------------- other tensors


def missing_skip(called: Called) -> Iterator[Repair]:
    """What goes into a module around it, which was added."""
    yield from _missing_operand(called, [one for one in called.sources if one.is_input], "a skip connection", torch.add)


def missing_operand(called: Called) -> Iterator[Repair]:
    """Another tensor from before that was added; any that was multiplied by."""
    others = [one for one in called.sources if not one.is_input]
    yield from _missing_operand(called, others, "a skip connection", torch.add)
    yield from _missing_operand(called, called.sources, "a product", torch.mul)


def _missing_operand(called: Called, sources: Iterable[Source], what: str, join: _Join) -> Iterator[Repair]:
    for source in sources:
        begin = f"{what} is missing: {source.text} {'added to' if join is torch.add else 'times'}"
        if _is_data(called.result) and source.tensor.shape == called.result.shape:
            yield _joined(f"{begin} {called.name}", source.key, join)
        for slot, tensor in called.operands:
            if slot in called.fresh and tensor.shape == source.tensor.shape and _is_data(tensor):
                yield _joined_before(f"{begin} what goes into {called.name}", source.key, join, slot)


def _joined(text: str, key: Key, join: _Join) -> Repair:
    return Repair(text, lambda called: join(called.run(), called.found[key]), (key,))


def _joined_before(text: str, key: Key, join: _Join, slot: Slot) -> Repair:
    def act(called: Called) -> Any:
        return called.with_operand(slot, join(_at(called, slot), called.found[key])).run()

    return Repair(text, act, (key,))


def other_tensor(called: Called) -> Iterator[Repair]:
    """An argument that was another tensor."""
    for slot, tensor in called.operands:
        for source in called.sources:
            if source.tensor is not tensor and source.tensor.shape == tensor.shape and _alike(source.tensor, tensor):
                yield _taking(f"{called.name} took {source.text}{_nth(called, slot)}", slot, source.key)


def _taking(text: str, slot: Slot, key: Key) -> Repair:
    return Repair(text, lambda called: called.with_operand(slot, called.found[key]).run(), (key,))


def _alike(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and not isinstance(other, nn.Parameter)


def _nth(called: Called, slot: Slot) -> str:
    data = [one for one, tensor in called.operands if not isinstance(tensor, nn.Parameter)]
    if len(data) < 2:
        return " when it was recorded"
    number = data.index(slot)
    return f" as its {('first', 'second', 'third')[number] if number < 3 else 'last'} argument when it was recorded"


# ------------------------------------------------------------------------------------------- numbers


def missing_factor(called: Called) -> Iterator[Repair]:
    """A factor or a constant that got lost, or crept in."""
    for number in _factors(called):
        yield from _missing(called, f"a factor of {number:.4g}", partial(torch.mul, other=number), _is_data)
    for number in dict.fromkeys((1.0, -1.0, *([called.shift] if called.shift else []))):
        yield from _missing(called, f"{number:+.4g}", partial(torch.add, other=number), _is_countable)


def _is_countable(x: Tensor) -> bool:
    return not isinstance(x, nn.Parameter) and x.dtype is not torch.bool


def _factors(called: Called) -> Iterator[float]:
    sizes = {size for _, one in called.operands for size in one.shape if size > 1}
    numbers = [0.5, 2.0, -1.0, 0.1, 10.0, 0.5**0.5, 2**0.5]
    for size in sorted(sizes):
        numbers += [size**-0.5, size**0.5, 1 / size, float(size)]
    if called.factor:
        numbers += [called.factor, -called.factor]
    yield from dict.fromkeys(numbers)


def other_number(called: Called) -> Iterator[Repair]:
    """An argument that was another number."""
    for place, value in enumerate(called.args):
        if isinstance(value, bool) or not isinstance(value, int | float) or called.name not in _WITH_NUMBERS:
            continue
        for other in _numbers(float(value)):
            yield _with_number(f"{called.name} {value:.4g} now, {other:.4g} was recorded", place, other)


def _with_number(text: str, place: int, number: float) -> Repair:
    return Repair(text, lambda called: called.with_operand((place, None), number).run())


_WITH_NUMBERS: Final = frozenset(
    [
        "add",
        "sub",
        "rsub",
        "mul",
        "div",
        "rdiv",
        "pow",
        "clamp",
        "clamp_min",
        "clamp_max",
        "lt",
        "le",
        "gt",
        "ge",
        "eq",
        "ne",
        "leaky_relu",
        "elu",
        "hardtanh",
        "softplus",
        "full",
        "full_like",
        "threshold",
        "masked_fill",
        "lerp",
        "where",
        "addcmul",
        "norm",
        "celu",
        "nan_to_num",
        "lp_pool1d",
        "lp_pool2d",
    ]
)


def _numbers(value: float) -> Iterator[float]:
    numbers = [
        0.0,
        1.0,
        -value,
        1 - value,
        value * 2,
        value / 2,
        value * 10,
        value / 10,
        value + 1,
        value - 1,
        value**2,
    ]
    numbers += [abs(value) ** 0.5, *_EPSILONS]
    if value:
        numbers += [1 / value, abs(value) ** -0.5]
    yield from (number for number in dict.fromkeys(numbers) if number != value)


# ------------------------------------------------------------------------------------------- axes


def other_axes(called: Called) -> Iterator[Repair]:
    """Values of the same shape that lie in another order."""
    if called.name in ("view", "reshape", "flatten", "unflatten"):
        yield from _readings(called)
    if called.name in ("transpose", "permute", "movedim", "swapaxes"):
        for order in _permutations(called.x.ndim):
            if tuple(called.x.shape[i] for i in order) == tuple(called.result.shape):
                text = f"{called.name}: the axes in the order {order} when it was recorded"
                yield _other(text, partial(torch.permute, dims=order))
    for text, change, fits in _turns(max(one.ndim for one in (called.result, *(one for _, one in called.operands)))):
        yield from _missing(called, text, change, fits)


def _permutations(ndim: int) -> Iterator[tuple[int, ...]]:
    usual = tuple(range(ndim))
    if ndim <= 4:
        yield from (order for order in itertools.permutations(usual) if order != usual)
        return
    for i, j in itertools.combinations(usual, 2):
        order = list(usual)
        order[i], order[j] = order[j], order[i]
        yield tuple(order)


def _readings(called: Called) -> Iterator[Repair]:
    """A reshape that reads axes in another order, before or behind."""
    shape = tuple(called.result.shape)
    for i, j in itertools.combinations(range(len(shape)), 2):
        other = list(shape)
        other[i], other[j] = other[j], other[i]
        text = f"{called.name}: into {other}, with axes {i} and {j} exchanged, when it was recorded"
        yield _other(text, _read_as(other, i, j))
    for order in _permutations(called.x.ndim):
        text = f"{called.name}: the axes came in the order {order} when it was recorded"
        yield _other(text, _read_after(order, shape))


def _read_as(shape: Sequence[int], i: int, j: int) -> Unary:
    return lambda x: x.reshape(tuple(shape)).transpose(i, j)


def _read_after(order: Sequence[int], shape: Sequence[int]) -> Unary:
    return lambda x: x.permute(tuple(order)).reshape(tuple(shape))


def _turns(ndim: int) -> Iterator[tuple[str, Unary, Callable[[Tensor], bool]]]:
    """Changes of the order along axes, with what they can be done to."""
    for dim in range(ndim):
        fits = partial(_is_long, dim)
        yield f"a flip of axis {dim}", partial(torch.flip, dims=(dim,)), fits
        for shift in (1, -1):
            yield f"a roll of axis {dim}", partial(torch.roll, shifts=shift, dims=dim), fits
        yield f"a roll by half of axis {dim}", partial(_half_rolled, dim), fits
    for i, j in itertools.combinations(range(ndim), 2):
        yield f"a transpose of axes {i} and {j}", partial(torch.transpose, dim0=i, dim1=j), partial(_is_square, i, j)


def _is_long(dim: int, x: Tensor) -> bool:
    return not isinstance(x, nn.Parameter) and x.ndim > dim and x.shape[dim] > 1


def _is_square(i: int, j: int, x: Tensor) -> bool:
    return _is_long(j, x) and x.shape[i] == x.shape[j]


def _half_rolled(dim: int, x: Tensor) -> Tensor:
    return x.roll(x.shape[dim] // 2, dim)


def other_index(called: Called) -> Iterator[Repair]:
    """Another position, or a window that begins elsewhere."""
    if called.name != "getitem":
        return
    index = called.args[1] if isinstance(called.args[1], tuple) else (called.args[1],)
    for place, one in enumerate(index):
        for other in _indices(one):
            whole = (*index[:place], other, *index[place + 1 :])
            yield _other(f"{_indexed(called)} now, {_index_text(whole)} was recorded", itemgetter(whole))


def _indices(one: Any) -> Iterator[Any]:
    if isinstance(one, int):
        yield from (other for other in (-1, 0, 1, -2, one + 1, one - 1) if other != one)
    elif (
        isinstance(one, slice) and one != slice(None) and all(isinstance(x, int | None) for x in (one.start, one.stop))
    ):
        start, stop = one.start, one.stop
        if one.step in (None, 1):
            yield (
                slice(-stop, None) if start is None and stop else slice(None, -start) if stop is None and start else one
            )
            for by in (1, -1):
                if start is not None and stop is not None and start + by >= 0:
                    yield slice(start + by, stop + by)
                elif start is None and stop is not None:
                    yield slice(1, stop + 1)
        else:
            yield slice(None if start else 1, stop, one.step)


def _indexed(called: Called) -> str:
    index = called.args[1] if isinstance(called.args[1], tuple) else (called.args[1],)
    return _index_text(index)


def _index_text(index: tuple[Any, ...]) -> str:
    return f"x[{', '.join(map(_one_index, index))}]"


def _one_index(one: Any) -> str:
    if isinstance(one, slice):
        parts = [one.start, one.stop, *([one.step] if one.step is not None else [])]
        return ":".join("" if part is None else str(part) for part in parts)
    return "..." if one is Ellipsis else str(one) if isinstance(one, int | None) else "mask"


def other_layout(called: Called) -> Iterator[Repair]:
    """An operation along other axes: batch for time, channels for tokens."""
    if called.name not in _ALONG_LAYOUT:
        return
    for i, j in itertools.combinations(range(called.x.ndim), 2):
        yield _turned(f"{called.name}: with axes {i} and {j} exchanged when it was recorded", i, j)


def _turned(text: str, i: int, j: int) -> Repair:
    def act(called: Called) -> Any:
        turned = called
        for slot, tensor in called.operands:
            if tensor.ndim > j and not isinstance(tensor, nn.Parameter):
                turned = turned.with_operand(slot, tensor.transpose(i, j))
        out = turned.run()
        return out.transpose(i, j) if isinstance(out, Tensor) else _rebuilt(out, out[0].transpose(i, j))

    return Repair(text, act)


_ALONG_LAYOUT: Final = frozenset(
    [
        "multi_head_attention_forward",
        "scaled_dot_product_attention",
        "lstm",
        "gru",
        "rnn_tanh",
        "layer_norm",
        "rms_norm",
        "linear",
    ]
)


# In the order in which they are tried: mistakes that are often made and cost few runs to undo come first.
FAMILIES: Final[tuple[Family, ...]] = (
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
