"""Random draws replaced by fixed numbers, while a network is built and while it runs."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Set
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from archcheck.function.fingerprint.late_values import CONSTANT, LARGE, UNINITIALIZED, LateValues, reads_values
from archcheck.function.fingerprint.number_pool import fill_from_pool, squeezed_shape, uniform
from archcheck.function.fingerprint.storages import StorageSet, storage_key

aten = torch.ops.aten

_EXTREMES: Final = (0.9999, 0.0001)
_MAX_FEW: Final = 64  # numbers: one for each example, or for each head


class DrawSequence:
    """Fixed numbers between 0 and 1 for each draw, by how many are drawn and how often as many were drawn before.

    A draw is identified by the state of torch's own generator, which moves along. So code that puts the state back to
    run again (gradient checkpointing does) draws again what it drew. The first draw of several numbers has one that is
    nearly 1 and one that is nearly 0, so that every dropout drops something; a draw of a few numbers, such as one for
    each example, always has them, so that each block that examples skip at random is skipped by one and not by
    another. The first single number is 0.5.

    Args:
        salt: another one gives other numbers.
        fixed_seeds: what a generator draws that was given one of these is the same under any salt.

    Attributes:
        seeds: those of the generators that have drawn.
    """

    def __init__(self, salt: str = "", fixed_seeds: Set[int] = frozenset()) -> None:
        self.salt = salt
        self.seeds: set[int] = set()
        self._fixed_seeds = fixed_seeds
        self._is_fixed = False
        self._ranks: dict[tuple[int, int], int] = {}  # by the generator's state and the number of numbers
        self._next: dict[int, int] = {}

    def drawn_by(self, generator: torch.Generator | None) -> DrawSequence:
        """Return the sequence itself, for a draw of a generator; torch's own if it's None."""
        seed = (generator or torch.default_generator).initial_seed()
        self.seeds.add(seed)
        self._is_fixed = seed in self._fixed_seeds
        return self

    def unit(self, shape: Any, device: Any) -> Tensor:
        """Draw a float64 tensor of numbers between 0 and 1."""
        count = math.prod(shape)
        rank = self._rank(count)
        salt = "" if self._is_fixed else self.salt
        made: Tensor = (uniform(shape, f"draw{salt} {count} {rank}", torch.device(device or "cpu")) + 1) / 2
        if rank == 0 and count == 1:
            return torch.full_like(made, 0.5)
        for position, extreme in enumerate(_EXTREMES[:count] if rank == 0 or 1 < count <= _MAX_FEW else ()):
            made.view(-1)[(rank + position) % count] = extreme
        return made

    def _rank(self, count: int) -> int:
        state = zlib.crc32(bytes(torch.default_generator.get_state().tolist()))
        torch.randint(2, (), generator=torch.default_generator)
        rank = self._ranks.setdefault((state, count), self._next.get(count, 0))
        self._next[count] = max(self._next.get(count, 0), rank + 1)
        return rank

    @property
    def is_used(self) -> bool:
        """Return whether anything was drawn."""
        return bool(self._next)

    def like(self, tensor: Tensor) -> Tensor:
        """Draw as many numbers between 0 and 1 as a tensor has elements."""
        return self.unit(tensor.shape, tensor.device)

    def normal(self, like: Tensor) -> Tensor:
        """Draw as many numbers of a normal distribution as a tensor has elements."""
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


def _made(values: _Values, default: torch.dtype | None = None) -> _Rule:
    """Make the rule of a factory function, whose last positional argument is the shape.

    default: the dtype where none is given, instead of torch's own; none is given either where it's the schema's.
    """

    def rule(draws: DrawSequence, *args: Any, dtype: Any = None, device: Any = None, **_: Any) -> Tensor:
        *numbers, shape = args
        return values(draws.unit(shape, device), *numbers).to(dtype or default or torch.get_default_dtype())

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


def _permutation(draws: DrawSequence, size: int, *, dtype: Any = None, device: Any = None, **_: Any) -> Tensor:
    return draws.unit((size,), device).argsort().to(dtype or torch.int64)


def _multinomial(draws: DrawSequence, weights: Tensor, count: int, replacement: bool = False, **_: Any) -> Tensor:
    """Draw with replacement by where numbers fall among the weights, without by a race of exponential times."""
    if not replacement:
        return (torch.log(draws.like(weights)) / weights).topk(count, dim=-1).indices
    bounds = (weights / weights.sum(-1, keepdim=True)).cumsum(-1)
    unit = draws.unit((*weights.shape[:-1], count), weights.device).to(bounds.dtype)
    return torch.searchsorted(bounds, unit).clamp(max=weights.shape[-1] - 1)


def _dirichlet(draws: DrawSequence, alpha: Tensor, *_: Any) -> Tensor:
    drawn = _gamma(draws, alpha)
    return drawn / drawn.sum(-1, keepdim=True)


def _gamma(draws: DrawSequence, alpha: Tensor, *_: Any) -> Tensor:
    """Draw numbers of the right mean; nothing here depends on their distribution."""
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
        aten.randint.default: _made(lambda unit, high: _whole(unit, 0, high), torch.int64),
        aten.randint.low: _made(_whole, torch.int64),
        aten.rand.generator: _made(lambda unit: unit),
        aten.randn.generator: _made(_normal),
        aten.randint.generator: _made(lambda unit, high: _whole(unit, 0, high), torch.int64),
        aten.randint.low_generator: _made(_whole, torch.int64),
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
        aten.randperm.generator: _permutation,
        aten.native_dropout.default: _dropout,
        aten.rrelu_with_noise.default: _rrelu,
    }
    return MappingProxyType(rules)


# ------------------------------------------------------------------------------------------- the mode

_WRITING: Final = (aten.fill_.Scalar, aten.fill_.Tensor, aten.zero_.default, aten.copy_.default)
_LIFTS: Final = frozenset({"lift", "lift_fresh", "lift_fresh_copy"})  # what torch.tensor() ends with
_UNIFORM: Final = (aten.rand.default, aten.rand.generator, aten.rand_like.default)
_HALF: Final = 0.5
_BELOW: Final = (aten.lt.Scalar, aten.le.Scalar)
_MAX_DRAWS: Final = 3  # of one parameter: code that draws more often waits for certain values


class DeterministicRandom(TorchDispatchMode):
    """Replaces the random numbers that any function below autograd draws.

    Parameters aren't drawn, since they get other values later: they keep fixed ones until something is written over
    them. Large ones get these only when something reads them, as touching so much memory takes longer than all else.

    Args:
        note: is called with the name of each function that draws.
        use: is called with every function and its arguments, before it runs.
        traces_draws: whether to follow which tensors are made, and which are computed from draws.

    Attributes:
        late: the parameters that nothing has read so far, and which have no values yet.
    """

    supports_higher_order_operators = True  # such as cond and flex_attention, which run what they are given

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Keep torch from importing dynamo for it, which takes seconds: nothing is compiled while it's on."""
        return False

    def __init__(
        self,
        draws: DrawSequence,
        note: Callable[[str], None] | None = None,
        use: Callable[[Any, Any, Any], object] | None = None,
        *,
        traces_draws: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._rules, self._draws = _rules(), draws
        self._note = note
        self._use = use
        self._num_draws: dict[int, int] = {}  # by a parameter's identity
        self._traces_draws = traces_draws
        self._made = StorageSet()
        self._random = StorageSet()  # what was computed from draws
        self._unwritten = StorageSet()  # memory that holds whatever was there before
        self._foreign = StorageSet()  # what was computed from tensors that were there before, drawn or not
        self._undrawn = StorageSet()  # parameters
        self.late = LateValues()  # of large ones among them that nothing has read
        self._fresh = StorageSet()  # numbers between 0 and 1 that nothing has looked at
        self._num_fresh = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not isinstance(func, torch._ops.OpOverload):
            self.late.make((args, kwargs))
            return func(*args, **(kwargs or {}))
        if self._use is not None:
            self._use(func, args, kwargs or {})
        if self._num_fresh:
            self._look_at_fresh(func, args)
        out = self._call(func, args, kwargs or {})
        if self._traces_draws:
            self._trace(func, args, out)
        return out

    @property
    def seeds(self) -> frozenset[int]:
        """The seeds of the generators that have drawn."""
        return frozenset(self._draws.seeds)

    def is_drawn(self, tensor: Tensor) -> bool:
        """Return whether a tensor's values come from draws."""
        return tensor in self._undrawn or tensor in self._random

    def is_unwritten(self, tensor: Tensor) -> bool:
        """Return whether a tensor has the values that its memory happened to have."""
        return tensor in self._unwritten

    def is_foreign(self, tensor: Tensor) -> bool:
        """Return whether a tensor was computed from tensors that were there before, such as a layer that is copied."""
        return tensor in self._foreign

    def has_made(self, tensor: Tensor) -> bool:
        """Return whether a tensor's memory was allocated under this mode."""
        return tensor in self._made

    def _trace(self, func: Any, args: Any, out: Any) -> None:
        """Mark results computed from draws as random, and unmark others."""
        inputs = [one for one in tree_leaves(args) if isinstance(one, Tensor)]
        sources = inputs[1:] if func in _WRITING else [] if func.overloadpacket.__name__ in CONSTANT else inputs
        is_unwritten = func.overloadpacket.__name__ in UNINITIALIZED
        is_random = func in self._rules or is_unwritten or any(map(self.is_drawn, sources))
        is_unwritten = is_unwritten or (func not in self._rules and any(map(self.is_unwritten, sources)))
        is_lift = func.overloadpacket.__name__ in _LIFTS
        is_foreign = not is_lift and any(one in self._foreign or one not in self._made for one in sources)
        keys = set(map(storage_key, inputs))
        for one in tree_leaves(out):
            if isinstance(one, Tensor):
                (self._random.add if is_random else self._random.discard)(one)
                (self._unwritten.add if is_unwritten else self._unwritten.discard)(one)
                (self._foreign.add if is_foreign else self._foreign.discard)(one)
                if is_lift or storage_key(one) not in keys:
                    self._made.add(one)

    def _call(self, func: Any, args: Any, kwargs: Any) -> Any:
        rule = self._rules.get(func)
        if self.late and reads_values(func) and not self._is_left_out(func, args, rule):
            self.late.make((args, kwargs))
        if args and isinstance(args[0], Tensor) and self._undrawn and args[0] in self._undrawn:
            if func in _WRITING:  # all of it, or a part, such as an embedding's row of zeros
                self._undrawn.discard(args[0])
            elif isinstance(args[0], nn.Parameter) and _is_in_place(func) and self._is_rarely_drawn(args[0]):
                return args[0]  # arithmetic behind a draw, as in trunc_normal_
            elif _is_beyond(func, args):
                # Code that draws again while values are out of bounds, as trunc_normal_ does, needn't look at them all.
                return args[0].new_zeros((), dtype=torch.bool).expand(args[0].shape)
        if rule is None:
            if torch.Tag.nondeterministic_seeded in func.tags:
                self._report(func, args)
            return func(*args, **kwargs)
        if args and isinstance(args[0], nn.Parameter) and _is_in_place(func) and self._is_rarely_drawn(args[0], 1):
            self._undrawn.add(args[0])
            return self._with_fixed_values(args[0])
        self._report(func, args)
        out = rule(self._draws.drawn_by(kwargs.get("generator")), *args, **kwargs)
        if func in _UNIFORM or (func is aten.uniform_.default and args[1:] in ((), (0,), (0, 1))):
            self._fresh.add(out)
            self._num_fresh += 1
        return out

    def _look_at_fresh(self, func: Any, args: Any) -> None:
        """Turn fresh numbers round that are first asked which are below a large one.

        What `rand() < p` keeps at a high rate is then what `bernoulli(p)` does; at a low one it says what to drop.
        """
        for one in tree_leaves(args):
            if isinstance(one, Tensor) and one in self._fresh:
                self._fresh.discard(one)
                self._num_fresh -= 1
                if func in _BELOW and args[1] > _HALF:
                    one.neg_().add_(1)

    def _with_fixed_values(self, param: Tensor) -> Tensor:
        if not self._traces_draws or param.numel() < LARGE or param.ndim < 2:
            return _fill_undrawn(param, self._draws.salt)
        self.late.put_off(param, lambda one: _fill_undrawn(one, self._draws.salt))
        return param

    def _is_left_out(self, func: Any, args: Any, rule: _Rule | None) -> bool:
        """Return whether a function isn't run for an undrawn parameter; note where it writes over all of it."""
        first = args[0] if args else None
        if first is None or self.late.waiting(first) is None:
            return False
        is_param = isinstance(first, nn.Parameter)
        if func in _WRITING or (rule is not None and _is_in_place(func) and not is_param):
            self.late.give_up(first)
            return False
        is_arithmetic = _is_in_place(func) and self._num_draws.get(id(first), 0) <= _MAX_DRAWS
        return is_param and (is_arithmetic or _is_beyond(func, args))

    def _is_rarely_drawn(self, param: Tensor, more: int = 0) -> bool:
        """Count `more` draws of a parameter, and check that it isn't drawn again and again until its values fit."""
        count = self._num_draws[id(param)] = self._num_draws.get(id(param), 0) + more
        return count <= _MAX_DRAWS

    def _report(self, func: Any, args: Any) -> None:
        """Report a draw; a function that could draw and doesn't, as dropout in eval mode, isn't one."""
        name = func.overloadpacket.__name__
        idle = (name == "native_dropout" and args[2:3] == (False,)) or (
            name == "rrelu_with_noise" and args[4:5] in ((), (False,))
        )
        if self._note is not None and not idle and "attention" not in name:
            self._note(name)


def _fill_undrawn(param: Tensor, salt: str) -> Tensor:
    """Give a parameter any fixed values: something may be computed from them, such as the norm of a weight."""
    if param.is_contiguous() and param.is_floating_point():
        fill_from_pool(param.detach().view(-1), f"undrawn{salt} {squeezed_shape(param.shape)}")
    return param


def _is_beyond(func: Any, args: Any) -> bool:
    """Return whether a comparison asks for values outside of -1 to 1, where undrawn values lie."""
    return (func is aten.lt.Scalar and args[1] <= -1) or (func is aten.gt.Scalar and args[1] >= 1)


def _is_in_place(func: Any) -> bool:
    name: str = func.overloadpacket.__name__
    return name.endswith("_") and not name.endswith("__")
