"""An operation as a network called it, and what may be computed in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from torch import Tensor, nn

Slot = tuple[int | str, int | None]  # an argument's position or keyword; within it, the position in a list
Unary = Callable[[Tensor], Any]
Key = tuple[Any, ...]
Act = Callable[["OpCall"], Any]

EPSILONS: Final = (1e-5, 1e-6, 1e-3, 1e-12, 1e-8, 1e-2, 0.0)

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
class OpCall:
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

    def with_operand(self, slot: Slot, value: Any) -> OpCall:
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

    def changed(self, changes: Mapping[str, Any]) -> OpCall:
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
REDUCTIONS: Final = ("mean", "sum", "amax", "amin", "max", "min", "median", "logsumexp", "std", "var")


def _parameters(name: str) -> dict[str, Any]:
    """The parameters of a function by its name: those of `conv2d` are those of `conv`."""
    family = name[:-2] if name.endswith(("1d", "2d", "3d")) else name
    if name in REDUCTIONS:
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


def indexed(called: OpCall) -> str:
    """The index of a selection as code: `x[:, 0]`."""
    index = called.args[1] if isinstance(called.args[1], tuple) else (called.args[1],)
    return index_text(index)


def index_text(index: tuple[Any, ...]) -> str:
    """An index as code."""
    return f"x[{', '.join(map(_one_index, index))}]"


def _one_index(one: Any) -> str:
    if isinstance(one, slice):
        parts = [one.start, one.stop, *([one.step] if one.step is not None else [])]
        return ":".join("" if part is None else str(part) for part in parts)
    return "..." if one is Ellipsis else str(one) if isinstance(one, int | None) else "mask"


# ------------------------------------------------------------------------------------------- repairs


@dataclass(frozen=True, slots=True)
class Substitution:
    """What to compute in an operation's place, and what that says of the network; `needs` are the tensors it takes."""

    text: str
    act: Act
    needs: tuple[Key, ...] = ()


SubstitutionRule = Callable[[OpCall], Iterator[Substitution]]


def _after(text: str, change: Unary) -> Substitution:
    """Something done to what comes out."""

    def act(called: OpCall) -> Any:
        out = called.run()
        if isinstance(out, Tensor):
            return change(out)
        return rebuilt(out, change(out[0]))

    return Substitution(text, act)


def rebuilt(out: Any, first: Tensor) -> Any:
    """What an operation that returns several tensors gives with another first one; `max(dim)` has a type of its own."""
    parts = (first, *out[1:])
    return parts if type(out) is tuple else type(out)(parts)


def done_before(text: str, slot: Slot, change: Unary) -> Substitution:
    """Something done to what goes in."""
    return Substitution(text, lambda called: called.with_operand(slot, change(operand_at(called, slot))).run())


def operand_at(called: OpCall, slot: Slot) -> Any:
    """The tensor that went in there."""
    return dict(called.operands)[slot]


def is_data(tensor: Tensor) -> bool:
    """Whether a tensor is computed, and no weight."""
    return tensor.is_floating_point() and not isinstance(tensor, nn.Parameter)


def missing_around(called: OpCall, what: str, change: Unary, fits: Callable[[Tensor], bool]) -> Iterator[Substitution]:
    """The same done to what comes out, and to each argument that nothing nearby has computed for this alone."""
    if fits(called.result):
        where = "at the end" if called.name == OUTPUT else f"after {called.name}"
        yield _after(f"{what} is missing {where}", change)
    for slot, tensor in called.operands:
        if slot in called.fresh and fits(tensor):
            yield done_before(f"{what} is missing before {called.name}", slot, change)


def instead(text: str, function: Unary) -> Substitution:
    """Another function of the first tensor."""
    return Substitution(text, lambda called: function(called.x))


def article(word: str) -> str:
    """`a relu`, `an elu`."""
    return f"{'an' if word[:1] in 'aeio' or word[:3] in ('hsw', 'rms') else 'a'} {word}"
