"""Random draws that come out the same everywhere, while a network is built and while it runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from archcheck.function.pool import core, pour, uniform

aten = torch.ops.aten


def _draw(like: Tensor) -> Tensor:
    return _draws(like.shape, like.device)


_EXTREMES: Final = (0.9999, 0.0001)


def _draws(shape: Any, device: Any) -> Tensor:
    """Numbers between 0 and 1, which depend on nothing but the shape.

    So a second run of the same code (gradient checkpointing, for one) draws the same. Of several, however few, one
    is nearly 1 and one nearly 0, so that every dropout drops something; a single one is in the middle.
    """
    made: Tensor = (uniform(shape, f"draw {core(shape)}", torch.device(device or "cpu")) + 1) / 2
    if made.numel() == 1:
        return torch.full_like(made, 0.5)
    for position, extreme in enumerate(_EXTREMES[: made.numel()]):
        made.view(-1)[position] = extreme
    return made


def _normal(unit: Tensor) -> Tensor:
    normal: Tensor = torch.erfinv(2 * unit - 1)
    return math.sqrt(2) * normal


_Rule = Callable[..., Tensor]


def _in_place(values: Callable[..., Tensor]) -> _Rule:
    def rule(tensor: Tensor, *args: Any, **_: Any) -> Tensor:
        return tensor.copy_(values(tensor, *args))

    return rule


def _out_of_place(values: Callable[..., Tensor]) -> _Rule:
    def rule(tensor: Tensor, *args: Any, **_: Any) -> Tensor:
        return values(tensor, *args).to(tensor.dtype)

    return rule


def _like(values: Callable[..., Tensor]) -> _Rule:
    def rule(tensor: Tensor, *args: Any, dtype: Any = None, device: Any = None, **_: Any) -> Tensor:
        return values(tensor, *args).to(dtype=dtype or tensor.dtype, device=device or tensor.device)

    return rule


def _made(values: Callable[..., Tensor]) -> _Rule:
    """A factory: its last positional argument is the shape."""

    def rule(*args: Any, dtype: Any = None, device: Any = None, **_: Any) -> Tensor:
        *numbers, shape = args
        blank = _draws(shape, device)
        return values(blank, *numbers).to(dtype or torch.get_default_dtype())

    return rule


def _whole(unit: Tensor, low: int, high: int) -> Tensor:
    return (low + (unit * (high - low)).floor()).clamp(max=high - 1)


def _dropout(tensor: Tensor, p: float, train: bool | None) -> tuple[Tensor, Tensor]:
    if train is False:
        return tensor.clone(), torch.ones_like(tensor, dtype=torch.bool)
    mask = _draw(tensor) < 1 - p
    return tensor * mask / (1 - p), mask


def _permutation(size: int, *, device: Any = None, **_: Any) -> Tensor:
    return _draws((size,), device).argsort()


def _uniform(like: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
    return low + (high - low) * _draw(like)


def _gaussian(like: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    return mean + std * _normal(_draw(like))


def _bernoulli(like: Tensor, p: Any = 0.5) -> Tensor:
    drawn: Tensor = _draw(like) < p
    return drawn.double()


def _integers(like: Tensor, low: int, high: int | None = None) -> Tensor:
    return _whole(_draw(like), low, high) if high is not None else _whole(_draw(like), 0, low)


@cache
def _rules() -> Mapping[Any, _Rule]:
    return MappingProxyType(
        {
            aten.bernoulli_.float: _in_place(_bernoulli),
            aten.bernoulli_.Tensor: _in_place(_bernoulli),
            aten.bernoulli.default: _out_of_place(lambda probs: _bernoulli(probs, probs)),
            aten.bernoulli.p: _out_of_place(_bernoulli),
            aten.uniform_.default: _in_place(_uniform),
            aten.normal_.default: _in_place(_gaussian),
            aten.exponential_.default: _in_place(lambda like, rate=1.0: -torch.log1p(-_draw(like)) / rate),
            aten.random_.default: _in_place(lambda like: _integers(like, 2**24)),
            aten.random_.to: _in_place(_integers),
            aten.random_.__getattr__("from"): _in_place(_integers),
            aten.rand.default: _made(lambda unit: unit),
            aten.randn.default: _made(_normal),
            aten.randint.default: _made(lambda unit, high: _whole(unit, 0, high)),
            aten.randint.low: _made(_whole),
            aten.rand_like.default: _like(_draw),
            aten.randn_like.default: _like(_gaussian),
            aten.randint_like.default: _like(_integers),
            aten.randint_like.low_dtype: _like(_integers),
            aten.normal.float_float: lambda mean, std, shape, **options: (
                mean + std * _made(_normal)(shape, **_factory(options))
            ),
            aten.normal.Tensor_float: _out_of_place(lambda mean, std=1.0: mean + std * _normal(_draw(mean))),
            aten.normal.float_Tensor: _out_of_place(lambda std, mean: mean + std * _normal(_draw(std))),
            aten.normal.Tensor_Tensor: _out_of_place(lambda mean, std: mean + std * _normal(_draw(mean))),
            aten.native_dropout.default: _dropout,  # type: ignore[dict-item]
            aten.randperm.default: _permutation,
        }
    )


def _factory(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: options[key] for key in ("dtype", "device") if key in options}


_SETTING: Final = (aten.fill_.Scalar, aten.fill_.Tensor, aten.zero_.default, aten.copy_.default)


class Steady(TorchDispatchMode):
    """Random numbers are replaced, of whatever calls below autograd draws them; `note` is told what drew them.

    `touch` is told of every tensor that goes into a call. Parameters aren't drawn as they are meant to be, since they
    get other values: `undrawn` has them by identity, unless a constant was written over them.
    """

    def __init__(self, note: Callable[[str], None] | None = None, touch: Callable[[Any], object] | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._rules = _rules()
        self._note = note
        self._touch = touch
        self.undrawn: dict[int, Tensor] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self._touch is not None:
            self._touch(args)
        rule = self._rules.get(func)
        if args and id(args[0]) in self.undrawn:
            if func in _SETTING:
                del self.undrawn[id(args[0])]
            elif _is_in_place(func):
                return args[0]  # the arithmetic behind a draw: trunc_normal_ has some
        if rule is None:
            if torch.Tag.nondeterministic_seeded in func.tags:
                self._tell(func, args)
            return func(*args, **(kwargs or {}))
        if args and isinstance(args[0], nn.Parameter) and _is_in_place(func):
            self.undrawn[id(args[0])] = args[0]
            return _scribble(args[0])
        self._tell(func, args)
        return rule(*args, **(kwargs or {}))

    def _tell(self, func: Any, args: Any) -> None:
        """A draw; what could draw and doesn't, as dropout in eval mode, isn't one."""
        name = func.overloadpacket.__name__
        idle = name == "native_dropout" and args[2:3] == (False,)
        if self._note is not None and not idle and "attention" not in name:
            self._note(name)


def _scribble(param: Tensor) -> Tensor:
    """Any values, the same every time: something may be made of them, such as the norm of a weight."""
    if param.is_contiguous() and param.is_floating_point():
        pour(param.detach().view(-1), f"undrawn {core(param.shape)}")
    return param


def _is_in_place(func: Any) -> bool:
    name: str = func.overloadpacket.__name__
    return name.endswith("_") and not name.endswith("__")
