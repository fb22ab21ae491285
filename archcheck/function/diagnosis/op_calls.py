"""Operations as a network called them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

Slot = tuple[int | str, int | None]  # an argument's position or keyword, and the position in a list within it
Unary = Callable[[Tensor], Any]
Key = tuple[Any, ...]  # identifies a tensor across passes
Compute = Callable[["OpCall"], Any]

EPSILONS: Final = (1e-5, 1e-6, 1e-3, 1e-12, 1e-8, 1e-2, 0.0)


@dataclass(frozen=True, slots=True)
class Source:
    """A tensor that existed when an operation was called.

    Attributes:
        key: finds it again in another pass.
        role: what it is to the operation, whichever of a network's layers that runs in.
        is_unused: whether an operation gave it, and none takes it.
        later_than: the arguments of the operation that were made before it.
    """

    key: Key
    text: str
    tensor: Tensor
    role: str = ""
    is_unused: bool = False
    later_than: frozenset[Slot] = frozenset()

    @property
    def is_input(self) -> bool:
        """Whether it's the input of a module."""
        return bool(self.key[0] == "in")


class KeptNumber(NamedTuple):
    """A number among a module's attributes; `is_taken` says whether an operation of the module takes it."""

    name: str
    value: float
    is_taken: bool


@dataclass(frozen=True, slots=True)
class OpCall:
    """An operation as the network called it.

    Attributes:
        out: its output, where it has run.
        insertion_slots: the arguments before which an operation may be missing: those that no operation nearby
            computed for this one alone.
        sources: other tensors that existed by then.
        fetched: the tensors that a substitution needs, by key.
        mode: of the pass.
        output_factor: the number by which the layer's output differs from the recorded one, where that's all.
        output_shift: the difference of the recorded mean from the mean of the layer's output.
        numbers: that the module keeps which ran it.
        is_of_weights: whether it was computed from parameters alone.
    """

    func: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    out: Any = None
    insertion_slots: frozenset[Slot] = frozenset()
    sources: Sequence[Source] = ()
    fetched: Mapping[Key, Tensor] = field(default_factory=dict)
    mode: str = "eval mode"
    output_factor: float | None = None
    output_shift: float | None = None
    numbers: tuple[KeptNumber, ...] = ()
    is_of_weights: bool = False

    def run(self) -> Any:
        """Compute the output. Raises ValueError where torch's kernel would write beyond its operands."""
        if self.func is torch._weight_norm:
            _require_magnitudes(*self.args, **self.kwargs)
        return self.func(*self.args, **self.kwargs)

    @property
    def name(self) -> str:
        """The function's name, however it was written: `add` for `a + b`, `a += b` and `torch.add(a, b)`."""
        name: str = getattr(self.func, "__name__", "").strip("_")
        return _SYNONYMS.get(name, name)

    @property
    def is_in_place(self) -> bool:
        """Whether it writes its output to where its first argument is."""
        name = getattr(self.func, "__name__", "")
        return (name.endswith("_") and not name.endswith("__")) or self.kwargs.get("inplace") is True

    @property
    def title(self) -> str:
        """The name, with the slope that some activations have."""
        slope = self.setting("negative_slope") if self.name == "leaky_relu" else None
        approximate = self.name == "gelu" and self.setting("approximate") == "tanh"
        return f"{self.name}({slope:g})" if slope is not None else "gelu(tanh)" if approximate else self.name

    @property
    def operands(self) -> list[tuple[Slot, Tensor]]:
        """The tensors among its arguments, weights included."""
        return operands_in(self.args, self.kwargs)

    @property
    def x(self) -> Tensor:
        """The first tensor among the arguments."""
        return self.operands[0][1]

    @property
    def result(self) -> Tensor:
        """The first tensor of the output."""
        return self.out if isinstance(self.out, Tensor) else self.out[0]

    def with_operand(self, slot: Slot, value: Any) -> OpCall:
        """Return the same call with another argument."""
        place, within = slot
        if within is not None:
            whole = list(self.args[place] if isinstance(place, int) else self.kwargs[place])
            whole[within] = value
            value = whole
        if isinstance(place, int):
            return replace(self, args=(*self.args[:place], value, *self.args[place + 1 :]))
        return replace(self, kwargs={**self.kwargs, place: value})

    def setting(self, name: str) -> Any:
        """Return an argument by its name, or torch's default where it isn't given."""
        if name in self.kwargs:
            return self.kwargs[name]
        names = list(_parameters(self.name))
        if name in names and names.index(name) < len(self.args):
            return self.args[names.index(name)]
        return _parameters(self.name).get(name)

    def changed(self, changes: Mapping[str, Any]) -> OpCall:
        """Return the same call with other settings."""
        args, kwargs, names = list(self.args), dict(self.kwargs), list(_parameters(self.name))
        for name, value in changes.items():
            if name not in kwargs and name in names and names.index(name) < len(args):
                args[names.index(name)] = value
            else:
                kwargs[name] = value
        return replace(self, args=tuple(args), kwargs=kwargs)


def _require_magnitudes(v: Tensor, g: Tensor, dim: int = 0) -> None:
    """Raise ValueError unless there is a magnitude for each slice of a weight under weight norm."""
    if dim in (0, v.ndim - 1) and g.numel() != v.shape[dim]:
        raise ValueError(f"{v.shape[dim]} slices have {g.numel()} magnitudes")


def operands_in(args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[tuple[Slot, Tensor]]:
    """Return the tensors among an operation's arguments, and in lists of them."""
    found: list[tuple[Slot, Tensor]] = []
    places: Iterable[tuple[int | str, Any]] = (*enumerate(args), *kwargs.items())
    for place, value in places:
        if isinstance(value, Tensor):
            found.append(((place, None), value))
        elif isinstance(value, list | tuple):
            found += [((place, i), one) for i, one in enumerate(value) if isinstance(one, Tensor)]
    return found


OUTPUT: Final = "the output"


def the_output(value: Any) -> Any:
    """Return a layer's output, such that it counts as an operation's."""
    return value


_SYNONYM_PAIRS: Final = (
    "iadd=add radd=add isub=sub subtract=sub multiply=mul imul=mul rmul=mul divide=div truediv=div "
    "true_divide=div idiv=div itruediv=div rtruediv=rdiv mm=matmul bmm=matmul concat=cat concatenate=cat greater=gt "
    "greater_equal=ge less=lt less_equal=le"
)
_SYNONYMS: Final = MappingProxyType({**dict(pair.split("=") for pair in _SYNONYM_PAIRS.split()), "the_output": OUTPUT})
# The parameters of functions, in order, with their defaults; torch's own signatures can't be inspected.
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
        "embedding_bag": "input weight offsets=None max_norm=None norm_type=2.0 scale_grad_by_freq=False mode=mean "
        "sparse=False per_sample_weights=None include_last_offset=False padding_idx=None",
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
REDUCTIONS: Final = ("mean", "sum", "amax", "amin", "max", "min", "median", "logsumexp", "std", "var")


def _parameters(name: str) -> dict[str, Any]:
    """Return the parameters of a function with their defaults; `conv2d` has those of `conv`."""
    shared = name[:-2] if name.endswith(("1d", "2d", "3d")) else name
    if name in REDUCTIONS:
        shared = "var" if name in ("std", "var") else "mean"
    elif shared.endswith("dropout"):
        shared = "dropout"
    words = [word.partition("=") for word in _SIGNATURES.get(shared, "").split()]
    return {name: _literal(value) for name, _, value in words}


def _literal(text: str) -> Any:
    known = {"": None, "None": None, "True": True, "False": False}
    if text in known:
        return known[text]
    try:
        return int(text)
    except ValueError:
        return float(text) if text[0] in "-0123456789" else text


def indexed(call: OpCall) -> str:
    """Return the index of a selection as code: `x[:, 0]`."""
    index = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
    return index_text(index)


def index_text(index: tuple[Any, ...]) -> str:
    """Return an index as code."""
    return f"x[{', '.join(map(_one_index, index))}]"


def _one_index(one: Any) -> str:
    if isinstance(one, slice):
        parts = [one.start, one.stop, *([one.step] if one.step is not None else [])]
        return ":".join("" if part is None else str(part) for part in parts)
    return "..." if one is Ellipsis else str(one) if isinstance(one, int | None) else "mask"
