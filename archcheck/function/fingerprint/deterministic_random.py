"""Random draws that come out the same everywhere, while a network is built and while it runs."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from archcheck.function.fingerprint.number_pool import core, pour, uniform

aten = torch.ops.aten

_EXTREMES: Final = (0.9999, 0.0001)
_FEW: Final = 64  # numbers: one for each example, or for each head


class DrawSequence:
    """Numbers between 0 and 1: for the first draw of so many, for the second, and so on.

    Torch's own generator moves along, and which draw it is, is told by its state. So code that puts the state back to
    run again (gradient checkpointing does) draws again what it drew. Of the first several numbers one is nearly 1 and
    one nearly 0, so that every dropout drops something; of a few numbers, such as one for each example, always, so that
    each block that examples skip at random is skipped by one and not by another. A single one is in the middle.
    """

    def __init__(self, salt: str = "") -> None:
        self._salt = salt
        self._ranks: dict[tuple[int, int], int] = {}  # by the generator's state and the number of numbers
        self._next: dict[int, int] = {}

    def unit(self, shape: Any, device: Any) -> Tensor:
        """A float64 tensor."""
        count = math.prod(shape)
        rank = self._rank(count)
        made: Tensor = (uniform(shape, f"draw{self._salt} {count} {rank}", torch.device(device or "cpu")) + 1) / 2
        if rank == 0 and count == 1:
            return torch.full_like(made, 0.5)
        for position, extreme in enumerate(_EXTREMES[:count] if rank == 0 or 1 < count <= _FEW else ()):
            made.view(-1)[(rank + position) % count] = extreme
        return made

    def _rank(self, count: int) -> int:
        state = zlib.crc32(bytes(torch.default_generator.get_state().tolist()))
        torch.randint(2, (), generator=torch.default_generator)
        rank = self._ranks.setdefault((state, count), self._next.get(count, 0))
        self._next[count] = max(self._next.get(count, 0), rank + 1)
        return rank

    def like(self, tensor: Tensor) -> Tensor:
        """As many as a tensor has elements."""
        return self.unit(tensor.shape, tensor.device)

    def normal(self, like: Tensor) -> Tensor:
        """Of a normal distribution."""
        return _normal(self.like(like))


def _normal(unit: Tensor) -> Tensor:
    normal: Tensor = torch.erfinv(2 * unit - 1)
    return math.sqrt(2) * normal


# ------------------------------------------------------------------------------------------- torch's functions

_Values = Callable[..., Tensor]
_Rule = Callable[..., Any]


def _in_place(values: _Values) -> _Rule:
    return lambda draws, tensor, *args, **_: tensor.copy_(values(draws, tensor, *args))


def _out_of_place(values: _Values) -> _Rule:
    return lambda draws, tensor, *args, **_: values(draws, tensor, *args).to(tensor.dtype)


def _like(values: _Values) -> _Rule:
    def rule(
        draws: DrawSequence, tensor: Tensor, *args: Any, dtype: Any = None, device: Any = None, **_: Any
    ) -> Tensor:
        return values(draws, tensor, *args).to(dtype=dtype or tensor.dtype, device=device or tensor.device)

    return rule


def _made(values: _Values) -> _Rule:
    """A factory: its last positional argument is the shape."""

    def rule(draws: DrawSequence, *args: Any, dtype: Any = None, device: Any = None, **_: Any) -> Tensor:
        *numbers, shape = args
        return values(draws.unit(shape, device), *numbers).to(dtype or torch.get_default_dtype())

    return rule


def _whole(unit: Tensor, low: int, high: int) -> Tensor:
    return (low + (unit * (high - low)).floor()).clamp(max=high - 1)


def _integers(draws: DrawSequence, like: Tensor, low: int, high: int | None = None) -> Tensor:
    return _whole(draws.like(like), low, high) if high is not None else _whole(draws.like(like), 0, low)


def _uniform(draws: DrawSequence, like: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
    return low + (high - low) * draws.like(like)


def _gaussian(draws: DrawSequence, like: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    return mean + std * draws.normal(like)


def _bernoulli(draws: DrawSequence, like: Tensor, p: Any = 0.5) -> Tensor:
    drawn: Tensor = draws.like(like) >= 1 - p  # as `rand() > p` and `(keep + rand()).floor()`, which people write
    return drawn.double()


def _dropout(draws: DrawSequence, tensor: Tensor, p: float, train: bool | None) -> tuple[Tensor, Tensor]:
    if train is False:
        return tensor.clone(), torch.ones_like(tensor, dtype=torch.bool)
    mask = draws.like(tensor) >= p
    return tensor * mask / (1 - p), mask


def _rrelu(
    draws: DrawSequence,
    tensor: Tensor,
    noise: Tensor,
    low: float = 1 / 8,
    high: float = 1 / 3,
    train: bool = False,
    *_: Any,
) -> Tensor:
    slope = low + (high - low) * draws.like(tensor) if train else torch.full_like(tensor, (low + high) / 2)
    noise.copy_(torch.where(tensor <= 0, slope, torch.ones_like(slope)))
    return tensor * noise


def _permutation(draws: DrawSequence, size: int, *, device: Any = None, **_: Any) -> Tensor:
    return draws.unit((size,), device).argsort()


def _multinomial(draws: DrawSequence, weights: Tensor, count: int, replacement: bool = False, **_: Any) -> Tensor:
    """With replacement, where each number falls among the weights; without, by a race of exponential times."""
    if not replacement:
        return (torch.log(draws.like(weights)) / weights).topk(count, dim=-1).indices
    bounds = (weights / weights.sum(-1, keepdim=True)).cumsum(-1)
    unit = draws.unit((*weights.shape[:-1], count), weights.device).to(bounds.dtype)
    return torch.searchsorted(bounds, unit).clamp(max=weights.shape[-1] - 1)


def _dirichlet(draws: DrawSequence, alpha: Tensor, *_: Any) -> Tensor:
    drawn = _gamma(draws, alpha)
    return drawn / drawn.sum(-1, keepdim=True)


def _gamma(draws: DrawSequence, alpha: Tensor, *_: Any) -> Tensor:
    """Of the right mean; nothing here depends on the distribution."""
    return alpha * (0.5 + draws.like(alpha))


def _poisson(draws: DrawSequence, rate: Tensor, *_: Any) -> Tensor:
    return (rate + rate.sqrt() * draws.normal(rate)).round().clamp(min=0)


def _binomial(draws: DrawSequence, count: Tensor, prob: Tensor, *_: Any) -> Tensor:
    return torch.minimum((2 * count * prob * draws.like(count)).round(), count)


def _exponential(draws: DrawSequence, like: Tensor, rate: float = 1.0) -> Tensor:
    return -torch.log1p(-draws.like(like)) / rate


def _cauchy(draws: DrawSequence, like: Tensor, median: float = 0.0, sigma: float = 1.0) -> Tensor:
    return median + sigma * torch.tan(math.pi * (draws.like(like) - 0.5))


def _geometric(draws: DrawSequence, like: Tensor, p: float) -> Tensor:
    return (torch.log(draws.like(like)) / math.log1p(-p)).ceil().clamp(min=1)


@cache
def _rules() -> Mapping[Any, _Rule]:
    rules: dict[Any, _Rule] = {
        aten.bernoulli_.float: _in_place(_bernoulli),
        aten.bernoulli_.Tensor: _in_place(_bernoulli),
        aten.bernoulli.default: _out_of_place(lambda draws, probs: _bernoulli(draws, probs, probs)),
        aten.bernoulli.p: _out_of_place(_bernoulli),
        aten.uniform_.default: _in_place(_uniform),
        aten.normal_.default: _in_place(_gaussian),
        aten.log_normal_.default: _in_place(
            lambda draws, like, mean=1.0, std=2.0: _gaussian(draws, like, mean, std).exp()
        ),
        aten.exponential_.default: _in_place(_exponential),
        aten.cauchy_.default: _in_place(_cauchy),
        aten.geometric_.default: _in_place(_geometric),
        aten.random_.default: _in_place(lambda draws, like: _integers(draws, like, 2**24)),
        aten.random_.to: _in_place(_integers),
        aten.random_.__getattr__("from"): _in_place(_integers),
        aten.rand.default: _made(lambda unit: unit),
        aten.randn.default: _made(_normal),
        aten.randint.default: _made(lambda unit, high: _whole(unit, 0, high)),
        aten.randint.low: _made(_whole),
        aten.rand_like.default: _like(DrawSequence.like),
        aten.randn_like.default: _like(_gaussian),
        aten.randint_like.default: _like(_integers),
        aten.randint_like.low_dtype: _like(_integers),
        aten.normal.float_float: _made(lambda unit, mean, std: mean + std * _normal(unit)),
        aten.normal.Tensor_float: _out_of_place(lambda draws, mean, std=1.0: mean + std * draws.normal(mean)),
        aten.normal.float_Tensor: lambda draws, mean, std, **_: mean + std * draws.normal(std).to(std.dtype),
        aten.normal.Tensor_Tensor: _out_of_place(lambda draws, mean, std: mean + std * draws.normal(mean)),
        aten.poisson.default: _out_of_place(_poisson),
        aten.binomial.default: _out_of_place(_binomial),
        aten._standard_gamma.default: _out_of_place(_gamma),
        aten._sample_dirichlet.default: _out_of_place(_dirichlet),
        aten.multinomial.default: _multinomial,
        aten.randperm.default: _permutation,
        aten.native_dropout.default: _dropout,
        aten.rrelu_with_noise.default: _rrelu,
    }
    return MappingProxyType(rules)


# ------------------------------------------------------------------------------------------- the mode

_SETTING: Final = (aten.fill_.Scalar, aten.fill_.Tensor, aten.zero_.default, aten.copy_.default)
_UNSET: Final = frozenset({"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"})
_PATIENCE: Final = 3  # draws of one parameter: who draws more often than that waits for something


class DeterministicRandom(TorchDispatchMode):
    """Random numbers are replaced, of whatever calls below autograd draws them; `note` is told what drew them.

    `touch` is told of every tensor that goes into a call. Parameters aren't drawn as they are meant to be, since they
    get other values: `undrawn` has them by identity, unless something was written over them. Where it `traces`, it
    knows what was made of draws.
    """

    def __init__(
        self,
        draws: DrawSequence,
        note: Callable[[str], None] | None = None,
        touch: Callable[[Any], object] | None = None,
        *,
        traces: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._rules, self._draws = _rules(), draws
        self._note = note
        self._touch = touch
        self._times: dict[int, int] = {}
        self._traces = traces
        self._random: set[int] = set()  # where tensors lie that come from draws
        self.undrawn: dict[int, Tensor] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self._touch is not None:
            self._touch(args)
        out = self._called(func, args, kwargs or {})
        if self._traces:
            self._trace(func, args, out)
        return out

    def is_drawn(self, param: Tensor) -> bool:
        """Whether a parameter's values come from draws."""
        return id(param) in self.undrawn or _place(param) in self._random

    def _trace(self, func: Any, args: Any, out: Any) -> None:
        """What is made of draws is random, too; what is not has a place that may have been a random tensor's before."""
        sources = [one for one in tree_leaves(args[1:] if func in _SETTING else args) if isinstance(one, Tensor)]
        is_random = func in self._rules or func.overloadpacket.__name__ in _UNSET
        is_random = is_random or any(_place(one) in self._random or id(one) in self.undrawn for one in sources)
        for one in tree_leaves(out):
            if isinstance(one, Tensor):
                (self._random.add if is_random else self._random.discard)(_place(one))

    def _called(self, func: Any, args: Any, kwargs: Any) -> Any:
        rule = self._rules.get(func)
        if args and isinstance(args[0], Tensor) and args[0]._base is not None and func in _SETTING:
            self.undrawn.pop(id(args[0]._base), None)  # a part of it, such as an embedding's row of zeros
        if args and id(args[0]) in self.undrawn:
            if func in _SETTING:
                del self.undrawn[id(args[0])]
            elif _is_in_place(func) and self._is_patient(args[0]):
                return args[0]  # the arithmetic behind a draw: trunc_normal_ has some
            elif _is_beyond(func, args):
                # What draws again as long as values are out of bounds, such as trunc_normal_, needn't look at them all.
                return args[0].new_zeros((), dtype=torch.bool).expand(args[0].shape)
        if rule is None:
            if torch.Tag.nondeterministic_seeded in func.tags:
                self._tell(func, args)
            return func(*args, **kwargs)
        if args and isinstance(args[0], nn.Parameter) and _is_in_place(func) and self._is_patient(args[0], 1):
            self.undrawn[id(args[0])] = args[0]
            return _scribble(args[0])
        self._tell(func, args)
        return rule(self._draws, *args, **kwargs)

    def _is_patient(self, param: Tensor, more: int = 0) -> bool:
        """Whether a parameter hasn't been drawn again and again, until its values are what somebody waits for."""
        times = self._times[id(param)] = self._times.get(id(param), 0) + more
        return times <= _PATIENCE

    def _tell(self, func: Any, args: Any) -> None:
        """A draw; what could draw and doesn't, as dropout in eval mode, isn't one."""
        name = func.overloadpacket.__name__
        idle = (name == "native_dropout" and args[2:3] == (False,)) or (
            name == "rrelu_with_noise" and args[4:5] in ((), (False,))
        )
        if self._note is not None and not idle and "attention" not in name:
            self._note(name)


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _scribble(param: Tensor) -> Tensor:
    """Any values, the same every time: something may be made of them, such as the norm of a weight."""
    if param.is_contiguous() and param.is_floating_point():
        pour(param.detach().view(-1), f"undrawn {core(param.shape)}")
    return param


def _is_beyond(func: Any, args: Any) -> bool:
    """Whether a comparison asks for undrawn values that there aren't: they lie between -1 and 1."""
    return (func is aten.lt.Scalar and args[1] <= -1) or (func is aten.gt.Scalar and args[1] >= 1)


def _is_in_place(func: Any) -> bool:
    name: str = func.overloadpacket.__name__
    return name.endswith("_") and not name.endswith("__")
