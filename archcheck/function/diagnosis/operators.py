"""Operations called in the place of others: pooling, reductions, operators, normalisations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from archcheck.function.diagnosis.op_calls import REDUCTIONS, OpCall, Slot, Unary, indexed
from archcheck.function.diagnosis.settings import DROPOUTS
from archcheck.function.diagnosis.substitutions import (
    Substitution,
    article,
    done_before,
    instead,
    is_data,
    operand_at,
    rebuilt,
)


def other_pooling(call: OpCall) -> Iterator[Substitution]:
    """Replace a maximum by an average, or the other way round."""
    kind, pool, dims = call.name.rpartition("_pool")[0].removeprefix("adaptive_"), "_pool", call.name[-2:]
    if pool not in call.name or kind not in ("avg", "max", "lp"):
        return
    adaptive = "adaptive_" if call.name.startswith("adaptive") else ""
    names = ("output_size",) if adaptive else ("kernel_size", "stride", "padding", "ceil_mode")
    for other in {"avg", "max"} - {kind}:
        name = f"{adaptive}{other}{pool}{dims}"
        options = {key: call.setting(key) for key in names if call.setting(key) is not None}
        yield instead(f"{call.name} now, {name} was recorded", partial(getattr(functional, name), **options))


def _along(function: Callable[..., Tensor], dim: Any, keepdim: bool) -> Unary:
    return lambda x: function(x, dim=tuple(range(x.ndim)) if dim is None else dim, keepdim=keepdim)


def _position(place: int, dim: int, keepdim: bool) -> Unary:
    return lambda x: x.narrow(dim, place % x.shape[dim], 1) if keepdim else x.select(dim, place)


def _reductions(dim: Any, keepdim: bool) -> Iterator[tuple[str, Unary]]:
    """Yield functions that reduce an axis to one value."""
    for function in (torch.mean, torch.sum, torch.amax, torch.amin, torch.logsumexp, torch.std, torch.var):
        yield function.__name__, _along(function, dim, keepdim)
    if isinstance(dim, int):
        yield "the last position", _position(-1, dim, keepdim)
        yield "the first position", _position(0, dim, keepdim)
    elif dim is not None and all(one in (-2, -1, 2, 3) for one in dim) and not keepdim:
        yield "the first position", lambda x: x[..., 0, 0]


def other_reduction(call: OpCall) -> Iterator[Substitution]:
    """Replace a reduction, or a selection of one position."""
    if call.name in REDUCTIONS and not (call.name in ("max", "min") and len(call.operands) > 1):
        for text, function in _reductions(call.setting("dim"), bool(call.setting("keepdim"))):
            yield _replaced(f"{call.name} now, {text} was recorded", function)
    if call.name == "getitem":
        index = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
        if all(isinstance(one, int) or one == slice(None) for one in index):
            dims = tuple(i for i, one in enumerate(index) if isinstance(one, int))
            for text, function in _reductions(dims[0] if len(dims) == 1 else dims, False):
                yield _replaced(f"{indexed(call)} now, {text} was recorded", function)


def _replaced(text: str, function: Unary) -> Substitution:
    def compute(call: OpCall) -> Any:
        out = function(call.x)
        has_positions = call.name in ("max", "min", "median") and call.setting("dim") is not None
        return rebuilt(call.run(), out) if has_positions else out

    return Substitution(text, compute)


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
_EXTRA: Final = MappingProxyType(
    {"add": "sum", "sub": "difference", "mul": "product", "div": "quotient", "rsub": "difference", "rdiv": "quotient"}
)
_SIGNS: Final = MappingProxyType({"add": "+", "sub": "-", "mul": "*", "div": "/"})


def other_sign(call: OpCall) -> Iterator[Substitution]:
    """Subtract instead of adding, or the other way round."""
    other = {"add": "a - b", "sub": "a + b"}.get(call.name)
    if other is not None and len(call.args) == 2:
        yield _applied_to_arguments(f"{_ARITHMETIC[call.name]} now, {other} was recorded", _BINARY[other])


def other_operator(call: OpCall) -> Iterator[Substitution]:
    """Replace an operator, such as a sum by a product."""
    if call.name in _ARITHMETIC and len(call.args) == 2:
        for text, function in _BINARY.items():
            yield _applied_to_arguments(f"{_ARITHMETIC[call.name]} now, {text} was recorded", function)
    for name, sign in _COMPARISONS.items() if call.name in _COMPARISONS else ():
        yield _applied_to_arguments(f"{_COMPARISONS[call.name]} now, {sign} was recorded", getattr(torch, name))
    if call.name in ("tril", "triu"):
        other = "triu" if call.name == "tril" else "tril"
        change = partial(getattr(torch, other), diagonal=call.setting("diagonal") or 0)
        yield instead(f"{call.name} now, {other} was recorded", change)


def _too_many_of(call: OpCall) -> str:
    """Say which arithmetic is too many: with a number, which one."""
    noun = f"{article(_EXTRA[call.name])} too many"
    numbers = [one for one in call.args if isinstance(one, int | float)]
    if len(numbers) != 1:
        return noun
    sign, number = _SIGNS[call.name.removeprefix("r")], f"{numbers[0]:.4g}"
    return f"{noun}: {number} {sign} x" if call.name in ("rsub", "rdiv") else f"{noun}: {sign} {number}"


def _applied_to_arguments(text: str, function: Callable[..., Any]) -> Substitution:
    return Substitution(text, lambda call: function(*call.args))


def _unchanged_argument(text: str, slot: Slot) -> Substitution:
    """Return one of the arguments unchanged."""
    return Substitution(text, lambda call: operand_at(call, slot).expand_as(call.run()))


def other_normalisation(call: OpCall) -> Iterator[Substitution]:
    """Replace a normalisation by another with the same scale and shift."""
    eps = call.setting("eps")
    options = {"eps": 1e-5 if eps is None else eps}
    if call.name in ("layer_norm", "rms_norm"):
        other = "rms_norm" if call.name == "layer_norm" else "layer_norm"

        def compute(it: OpCall) -> Any:
            shape, weight, bias = it.setting("normalized_shape"), it.setting("weight"), it.setting("bias")
            if other == "layer_norm":
                return functional.layer_norm(it.x, shape, weight, None, **options)
            made = functional.rms_norm(it.x, shape, weight, **options)
            return made if bias is None else made + bias

        yield Substitution(f"{call.name} now, {other} was recorded", compute)
    elif call.name in ("batch_norm", "group_norm", "instance_norm"):
        for name, function in _channel_norms():
            yield _scaled(f"{call.name} now, {name} was recorded", partial(function, **options))


def _scaled(text: str, norm: Callable[..., Any]) -> Substitution:
    """Normalise with the scale and shift of the operation."""
    return Substitution(text, lambda call: norm(call.x, weight=call.setting("weight"), bias=call.setting("bias")))


def _channel_norms() -> Iterator[tuple[str, Callable[..., Any]]]:
    yield "instance_norm", functional.instance_norm
    by_batch = partial(functional.batch_norm, running_mean=None, running_var=None, training=True)
    yield "batch_norm by the batch", by_batch
    for groups in (1, 2, 4, 8, 16, 32):
        yield f"group_norm of {groups}", partial(functional.group_norm, num_groups=groups)


def other_dropout(call: OpCall) -> Iterator[Substitution]:
    """Drop single elements instead of whole channels, or the other way round."""
    for other in DROPOUTS if call.name in DROPOUTS else ():
        yield _dropping(f"{call.name} now, {other} was recorded", getattr(functional, other))


def _dropping(text: str, function: Callable[..., Any]) -> Substitution:
    return Substitution(
        text, lambda call: function(call.x, p=call.setting("p"), training=bool(call.setting("training")))
    )


def other_softmax(call: OpCall) -> Iterator[Substitution]:
    """Take or leave the logarithm of a softmax, or mask its scores."""
    other = {"softmax": "log_softmax", "log_softmax": "softmax"}.get(call.name)
    if other is None:
        return
    dim = call.setting("dim")
    yield instead(f"{call.name} now, {other} was recorded", partial(getattr(torch, other), dim=dim))
    if call.x.ndim > 1 and isinstance(dim, int):
        for text, keep in (("a causal mask", torch.Tensor.tril), ("a mask of what comes before", torch.Tensor.triu)):
            change = partial(_masked, keep=keep)
            yield done_before(f"{text} is missing before {call.name}", call.operands[0][0], change)


def _masked(scores: Tensor, keep: Callable[[Tensor], Tensor]) -> Tensor:
    mask = keep(torch.ones(scores.shape[-2:], device=scores.device)) == 0
    return scores.masked_fill(mask, -math.inf)


def one_too_many(call: OpCall) -> Iterator[Substitution]:
    """Leave out an operation."""
    if call.name in _EXTRA and len(call.args) == 2:
        yield from (_unchanged_argument(_too_many_of(call), slot) for slot, _ in call.operands)
        return
    if call.name in DROPOUTS:  # whose own rule says more
        return
    floating = is_data(call.x) and call.result.is_floating_point()
    alike = call.x.shape == call.result.shape or call.name == "getitem"
    if alike and floating and call.name not in _NEVER_TOO_MANY:
        name = f"selection by {indexed(call)}" if call.name == "getitem" else call.name
        yield instead(f"{article(name)} too many", lambda x: x)


_NEVER_TOO_MANY: Final = frozenset(
    ["clone", "contiguous", "detach", "to", "type", "cpu", "zeros_like", "ones_like", "full_like", "empty_like"]
)
