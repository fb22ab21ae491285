"""Weights filled in the order in which a forward pass first uses them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from archcheck.function.fingerprint import fast_convolution as fast
from archcheck.function.fingerprint.derived_weights import DerivedWeights
from archcheck.function.fingerprint.double_precision import asks_for_one_dtype, named_precision, promoted, widened
from archcheck.function.fingerprint.given_weights import GivenWeights, KeySupply
from archcheck.function.fingerprint.grouped_products import grouped_mm
from archcheck.function.fingerprint.number_pool import fill_from_pool, squeezed_shape, uniform
from archcheck.function.fingerprint.spectral_norm import SpectralVectors
from archcheck.function.fingerprint.storages import storage_key, untransformed
from archcheck.network.named_devices import names_device, on_cpu

# Attributes and functions through which a tensor is seen, which read no values; what reads the view reads the tensor.
_VIEW_ATTRIBUTES: Final = frozenset({"real", "imag"})  # of a complex weight, which are another kind of numbers
_VIEW_NAMES: Final = (
    "detach t transpose permute unsqueeze squeeze view expand swapaxes swapdims movedim moveaxis reshape flatten "
    "unflatten ravel view_as reshape_as expand_as broadcast_to narrow select unbind split chunk tensor_split diagonal "
    "contiguous adjoint __getitem__"
)
# Functions that read no values of a tensor.
_QUERY_NAMES: Final = (
    "size dim numel stride is_contiguous data_ptr element_size storage_offset requires_grad_ type_as new_zeros "
    "new_ones new_empty new_full new_tensor zeros_like ones_like empty_like full_like rand_like randn_like __len__ "
    "is_floating_point is_complex ndimension nelement"
)
_QUERIES: Final = frozenset([*_QUERY_NAMES.split(), *_VIEW_NAMES.split()])
# Functions below autograd that do neither; what copies, such as `reshape` where it has to, is none of them.
_QUERIES_OF_ATEN: Final = _QUERIES.difference(["contiguous", "reshape", "flatten", "ravel"]).union(
    {"alias", "slice", "split_with_sizes", "_reshape_alias", "_unsafe_view"},
    {"is_same_size", "sym_size", "sym_numel", "sym_stride"},
)
_CONVOLUTIONS_OF_ATEN: Final = frozenset({"convolution", "_convolution"})
# Functions that read a single number for Python to decide by: what is read so first is a flag or a counter.
_SCALAR_READS: Final = frozenset(
    [
        "item",
        "tolist",
        "any",
        "all",
        "is_nonzero",
        "_local_scalar_dense",
        "__bool__",
        "__float__",
        "__int__",
        "__index__",
        "eq",
        "ne",
        "gt",
        "lt",
        "ge",
        "le",
        "__eq__",
        "__ne__",
        "__gt__",
        "__lt__",
        "__ge__",
        "__le__",
    ]
)
_OF_ROWS: Final = " of rows"  # a weight whose shape has one size only, used as a matrix
_MATRIX_KEY: Final = re.compile(rf"weight (\((?:\d+, )+\d+\)|\(.*\)({_OF_ROWS})) (\S+)")
_STATE_SPREAD: Final = 0.3
_USUAL_SPREAD: Final = (0.35, 4.0)  # of a layer's output, which needs no gain
_WANTED_SPREAD: Final = 0.5
_MAX_GAIN: Final = 2  # a larger one would saturate the next layer


class _State(NamedTuple):
    """The last part of a tensor's name, and the constant that it starts from."""

    name: str
    start: float

    @property
    def role(self) -> str:
        """What tells it from other state of its shape, in whatever order a frozen norm's four are read."""
        return self.name if self.name in _OF_FROZEN_NORM else f"of {self.start:g}"


_OF_FROZEN_NORM: Final = frozenset({"weight", "bias"})  # which other state has the constants of


class WeightFiller:
    """Fills a network's parameters and buffers with fixed numbers, in the order in which they are first used.

    A tensor's numbers depend on its shape and on how many of that shape were used before it. So the order in which
    modules are registered plays no part, and that of tensors of different shapes doesn't either. A tensor is told by
    its memory: what a view of it is used for, it is used for.

    Args:
        params: parameters, which all get other numbers.
        state: by name, tensors that start from a constant and wait for another value, which get numbers around the
            constant.
        buffers: by kind, those that are "drawn", which get the numbers of the next of their shape that was built, and
            those that nobody wrote to ("unwritten"), which get numbers of their own.
        spectral: the vectors of weights with a spectral norm, which are made for the weight's numbers.
        kernels: weights of layers that multiply data with them, however the network itself uses them.
        supply: what hands out the keys of numbers.
        derived: parameters that are computed from another network's, which are none of `params`.

    Attributes:
        keys: by identity, the key in the number pool of the numbers that a tensor got.
        gains: the power of 2 by which a weight is larger than usual, by its sizes and how many of these were used
            before it, as `16x3x3x3@0`.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        state: Iterable[tuple[str, Tensor]],
        gains: Mapping[str, int],
        buffers: Mapping[str, Iterable[Tensor]] = MappingProxyType({}),
        spectral: Iterable[SpectralVectors] = (),
        kernels: Iterable[Tensor] = (),
        supply: KeySupply | None = None,
        derived: DerivedWeights | None = None,
    ) -> None:
        self._kernels = set(map(id, kernels))
        self._waiting: dict[int | None, tuple[str, Tensor]] = {}
        self._spectral = {id(vector): one for one in spectral for vector in one.tensors()}
        self._filled: list[Tensor] = []
        self._drawn: dict[str, list[Tensor]] = {}
        self._state: dict[int, _State] = {}  # by identity
        for one in params:
            self._wait(one, "weight")
        for name, one in state:
            self._state[id(one)] = _State(name.rpartition(".")[2], float(one.detach().reshape(-1)[0]))
            self._wait(one, "state")
        for kind, tensors in buffers.items():
            for one in tensors:
                self._wait(one, kind)
        self._waiting.pop(None, None)
        self._supply = supply or KeySupply()
        self.gains = dict(gains)
        self.keys: dict[int, str] = {}
        self._names: dict[int, str] = {}  # by identity, what a weight is called in `gains`
        self.derived = derived or DerivedWeights(GivenWeights(), {})
        self.keys |= self.derived.keys
        self._fill_sources()

    def _fill_sources(self, salt: str = "", *, negates: bool = False) -> None:
        """Fill what weights are derived from, and compute these."""
        for key, source in self.derived.sources.items():
            _fill_param(source, key + salt, self.gains.get(_gain_name(key), 0))
            if negates and source.ndim < 2:
                source.neg_()
        self.derived.compute()

    def _wait(self, tensor: Tensor, kind: str) -> None:
        sizes = squeezed_shape(tensor.shape)
        if id(tensor) in self._spectral:
            kind = "spectral"
        elif kind == "drawn" and len(sizes) > 1 and bool((tensor < 0).any()):
            kind = "weight"  # that isn't trained: a codebook, a random projection; what is never negative may be a mask
        elif kind == "drawn":
            self._drawn.setdefault(f"drawn {sizes}", []).append(tensor.detach().clone())
        self._waiting[storage_key(tensor)] = (kind, tensor)

    def fill_used(self, values: Any, *, as_kernels: bool = False) -> list[Tensor]:
        """Fill the tensors among some arguments that are still to be filled. Returns the weights among them.

        `as_kernels` says that a convolution takes them: a kernel to a single channel has the shape of a scale.
        """
        if not self._waiting:
            return []
        filled: list[Tensor] = []
        self._fill_within(values, filled, as_kernels)
        return filled

    def used_gains(self) -> dict[str, int]:
        """Return the gains of weights that there are."""
        names = set(self._names.values())
        return {name: gain for name, gain in self.gains.items() if name in names}

    def leave_flags(self, values: Any) -> None:
        """Leave the state of one number among some arguments as it is: it isn't computed with, but decided by."""
        for one in tree_leaves(values):
            if isinstance(one, Tensor) and one.numel() == 1:
                kind, _ = self._waiting.get(storage_key(one), ("", one))
                if kind == "state":
                    del self._waiting[storage_key(one)]

    def fill_used_below(self, func: Any, args: Any, kwargs: Any) -> None:
        """Fill the tensors among the arguments of a function below autograd that are still to be filled."""
        name = func.overloadpacket.__name__
        if self._waiting and name in _SCALAR_READS:
            self.leave_flags(args)
        if self._waiting and name not in _QUERIES_OF_ATEN:
            self._fill_within((args, kwargs), [], name in _CONVOLUTIONS_OF_ATEN)

    def is_weight(self, tensor: Tensor) -> bool:
        """Return whether a tensor got the numbers of a weight."""
        return self.keys.get(id(tensor), "").startswith("weight ")

    def refill(self, param: Tensor) -> None:
        """Give a parameter its numbers once more."""
        key = self.keys[id(param)]
        with _unseen():
            if self.computes(param):
                self._spectral[id(param)].compute()
            elif id(param) in self.derived.keys:
                self.derived.compute()
            elif id(param) in self._state:
                param.detach().fill_(self._state[id(param)].start)
                perturb_state(param.detach(), key)
            else:
                _fill_param(param, key, self._gain_of(param))

    def _gain_of(self, tensor: Tensor) -> int:
        return self.gains.get(self._names.get(id(tensor), ""), 0)

    def refill_all(self, salt: str, *, negates: bool = False) -> None:
        """Give all trained parameters other numbers, of the same keys with `salt`; `negates` makes biases negative."""
        with _unseen():
            for tensor in (one for one in self._filled if one.requires_grad):
                _fill_param(tensor, self.keys[id(tensor)] + salt, self._gain_of(tensor))
                if negates and tensor.ndim < 2:
                    tensor.detach().neg_()
            self._fill_sources(salt, negates=negates)
            for one in set(self._spectral.values()):
                one.compute()

    def computes(self, tensor: Tensor) -> bool:
        """Return whether a tensor is computed for a weight, so that a step has nothing to change in it."""
        return id(tensor) in self._spectral

    def scale(self, weight: Tensor, gain: int) -> None:
        """Multiply a weight that was filled by `2**gain`, and remember that."""
        with _unseen():
            weight.detach().mul_(2.0**gain)
        self.gains[self._names[id(weight)]] = gain

    def fill_unused(self) -> None:
        """Fill the tensors that no pass has used, in the order of registration; single numbers may be flags."""
        for kind, tensor in list(self._waiting.values()):
            if kind != "state" or tensor.numel() > 1:
                self._fill(tensor, False)

    def _fill_within(self, value: Any, filled: list[Tensor], as_kernels: bool) -> None:
        if isinstance(value, Tensor):
            found = self._waiting.get(storage_key(value))
            if found is not None and self._fill(found[1], as_kernels):
                filled.append(found[1])
        elif isinstance(value, list | tuple):
            for item in value:
                self._fill_within(item, filled, as_kernels)
        elif isinstance(value, dict):
            for item in value.values():
                self._fill_within(item, filled, as_kernels)

    def _fill(self, tensor: Tensor, as_kernel: bool) -> bool:
        """Give a tensor its numbers. Returns whether it's a weight: a matrix or a kernel."""
        kind, _ = self._waiting.pop(storage_key(tensor))
        sizes = squeezed_shape(tensor.shape)
        as_kernel = as_kernel or id(tensor) in self._kernels
        is_matrix = kind == "weight" and (len(sizes) > 1 or tensor.ndim == 2 or (as_kernel and tensor.ndim > 1))
        group = f"{kind} {sizes}" + (_OF_ROWS if is_matrix and len(sizes) < 2 else "")
        if kind == "state":
            group = f"{kind} {self._state[id(tensor)].role} {sizes}"
        key = self.keys[id(tensor)] = self._supply.take(id(tensor), group)
        with _unseen():
            if kind == "spectral":
                vectors = self._spectral[id(tensor)]
                self._fill_within(vectors.weight, [], False)
                vectors.compute()
            elif kind == "drawn":
                tensor.detach().copy_(self._drawn[group][int(key.rpartition(" ")[2])])
            elif kind == "state":
                perturb_state(tensor.detach(), key)
            else:
                self._filled.append(tensor)
                if is_matrix:
                    self._names[id(tensor)] = _gain_name(key)
                _fill_param(tensor, key, self._gain_of(tensor))
        return is_matrix


def _gain_name(key: str) -> str:
    """Return what a matrix or kernel with the numbers of a key is called in the gains; nothing of a vector's key."""
    match = _MATRIX_KEY.fullmatch(key)
    return "" if match is None else f"{'x'.join(re.findall('[0-9]+', match[1])) or 1}@{match[3]}"


@contextmanager
def _unseen() -> Iterator[None]:
    """Let nobody see what happens inside: no mode, no gradient, and no function such as `vmap`."""
    with torch._C._DisableTorchDispatch(), torch.no_grad(), untransformed():
        yield


def _fill_param(param: Tensor, key: str, gain: int) -> None:
    values = param.detach()
    packed = values.contiguous()
    flat = torch.view_as_real(packed).view(-1) if packed.is_complex() else packed.view(-1)
    fill_weight(flat, param.shape, key, gain, of_rows=_OF_ROWS in key)
    if packed is not values:
        values.copy_(packed)


def perturb_state(state: Tensor, key: str) -> None:
    """Give each channel a value of its own, around the constant that a running statistic starts from; above 0.

    What starts from 0 may be a count, or a mean of squares.
    """
    noise = uniform(state.shape, key, state.device).to(state.dtype)
    around = torch.where(state == 0, 0.55 + 0.45 * noise, state.abs() * noise)
    state.add_(around, alpha=_STATE_SPREAD)


class FillOnFirstUse(TorchFunctionMode):
    """Fills weights as they are used; where it `widens`, computes in double precision whatever the network asks for.

    `adjust` is called with a weight that was just filled and its layer's output; where it returns True, the layer
    runs again. `note_precision` is called with each precision that a call names, and the call's arguments. What
    `stays_on_cpu` runs there, too, where the network asks for an accelerator.
    """

    def __init__(
        self,
        filler: WeightFiller,
        *,
        widens: bool,
        adjust: Callable[[Tensor, Any], bool] | None = None,
        note_precision: Callable[[torch.dtype, Any], None],
        stays_on_cpu: bool = False,
    ) -> None:
        super().__init__()
        self._filler = filler
        self._widens = widens
        self._adjust = adjust
        self._note_precision = note_precision
        self._stays_on_cpu = stays_on_cpu

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name == "__get__":
            if getattr(getattr(func, "__self__", None), "__name__", "") in _VIEW_ATTRIBUTES:
                self._filler.fill_used(args)
            return func(*args, **kwargs)
        if func is torch.ops.higher_order.cond:
            with self:
                return _branch(*args, **kwargs)
        if name in _SCALAR_READS:
            self._filler.leave_flags(args)
        is_product, is_convolution = func in _weight_products(), func in _convolutions()
        filled = [] if name in _QUERIES else self._filler.fill_used((args, kwargs), as_kernels=is_convolution)
        if self._stays_on_cpu and names_device(func, kwargs):
            func, args, kwargs = on_cpu(func, args, kwargs)
        named = named_precision(func, args, kwargs)
        if named is not None:
            self._note_precision(named, (*args, *kwargs.values()))
            if self._widens:
                func, args, kwargs = widened(func, args, kwargs)
        out = self._call(func, args, kwargs)
        if filled and is_product and self._adjust is not None and self._adjust(filled[0], out):
            out = self._call(func, args, kwargs)
        return out

    def _call(self, func: Any, args: Any, kwargs: Any) -> Any:
        try:
            return _replaced_functions().get(func, func)(*args, **kwargs)
        except RuntimeError as error:
            if not self._widens or not asks_for_one_dtype(error):
                raise
            return func(*promoted(args), **promoted(kwargs))


def _branch(pred: Any, true_fn: Callable[..., Any], false_fn: Callable[..., Any], operands: Any = ()) -> Any:
    """Run the branch of `torch.cond` that is taken, as its own code: torch's wants both compiled."""
    return true_fn(*operands) if bool(pred) else false_fn(*operands)


@cache
def _convolutions() -> frozenset[Any]:
    return frozenset(
        [
            functional.conv1d,
            functional.conv2d,
            functional.conv3d,
            functional.conv_transpose1d,
            functional.conv_transpose2d,
            functional.conv_transpose3d,
        ]
    )


@cache
def _weight_products() -> frozenset[Any]:
    """Return the functions that multiply data with a weight."""
    products = (torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.mm, Tensor.mm, torch.bmm, torch.addmm)
    others = (functional.linear, torch.einsum, functional.bilinear, *_grouped_products())
    return frozenset({*others, *products}) | _convolutions()


@cache
def _replaced_functions() -> Mapping[Any, Any]:
    """Return what computes the same in double precision, faster or at all."""
    replaced = {functional.conv1d: fast.conv1d, functional.conv2d: fast.conv2d}
    return MappingProxyType(replaced | dict.fromkeys(_grouped_products(), grouped_mm))


def _grouped_products() -> tuple[Any, ...]:
    """Return torch's names of one function: what is seen of a call depends on the version."""
    return (functional.grouped_mm, torch._grouped_mm)


def choose_gain(out: Any) -> int:
    """Return the power of 2 that brings a layer's output to a usual spread; 0 where it has one, or none at all.

    The spread is what tells examples apart: a mean that all of them share is no signal. Keeping it the same, layer by
    layer, also keeps a network from amplifying its own rounding errors.
    """
    if not isinstance(out, Tensor) or not out.is_floating_point() or out.ndim < 2:
        return 0
    if torch._C._functorch.peek_interpreter_stack() is not None:  # of one example, whose spread says nothing
        return 0
    centred = out - out.mean(0, keepdim=True) if len(out) > 1 else out - out.mean()
    spread = float(centred.pow(2).mean().sqrt())
    scale = float(out.abs().max())
    if not math.isfinite(spread) or spread <= 1e-9 * scale or _USUAL_SPREAD[0] <= spread <= _USUAL_SPREAD[1]:
        return 0
    return min(round(math.log2(_WANTED_SPREAD / spread)), _MAX_GAIN)


VECTOR: Final = (0.25, 1.0)  # the range of biases, scales and other vectors


def fill_weight(flat: Tensor, shape: Sequence[int], key: str, gain: int = 0, *, of_rows: bool = False) -> None:
    """Fill a flat weight such that signals neither die nor grow over many layers, times `2**gain`.

    Vectors (biases, scales) are positive, between 0.25 and 1. Of matrices and kernels each row (all that goes to one
    output) is nearly centred, so that the mean which activations such as ReLU and sigmoid have doesn't drown, layer
    by layer, what tells one example from another; not quite, so that the mean is still seen. Their variance is 3 by
    the number of inputs: with centred rows a ReLU hands on a third of its variance. `of_rows` says of a weight with one
    size only that it's a matrix all the same, the weight of a layer with a single output or a single input.
    """
    sizes = squeezed_shape(shape)
    if len(sizes) < 2 and not of_rows:
        fill_from_pool(flat, key)
        low, high = VECTOR
        flat.mul_((high - low) / 2).add_((high + low) / 2)
        return
    rows = flat.view(shape[0] if of_rows else sizes[0], -1)
    num_inputs = rows.shape[1]
    scale = _GAIN * math.sqrt(3 / num_inputs) * 2.0**gain  # the pool's own variance is 1/3
    num_rows = max(_IN_CACHE // num_inputs, 2)
    for first in range(0, len(rows), num_rows):
        some = rows[first : first + num_rows]
        fill_from_pool(some.view(-1), key, first * num_inputs)
        if num_inputs >= _MIN_CENTRED:
            some.sub_(some.mean(1, keepdim=True), alpha=_CENTRED_SHARE)
        some.mul_(scale)


_IN_CACHE: Final = 2**16  # numbers that are worked on at a time: memory is what filling large weights waits for


_CENTRED_SHARE: Final = 0.98  # of the mean of a row's weights, which is taken away


_MIN_CENTRED: Final = 8  # weights in a row that is centred


_GAIN: Final = math.sqrt(3)
