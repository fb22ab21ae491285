"""Weights filled in the order in which a forward pass first uses them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from archcheck.function.fingerprint import grouped_convolution as grouped
from archcheck.function.fingerprint.number_pool import fill_from_pool, squeezed_shape, uniform

_WIDER: Final = {
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.float32: torch.float64,
    torch.complex64: torch.complex128,
    torch.complex32: torch.complex128,
}
_VIEWS: Final = frozenset({"T", "mT", "H", "mH", "data", "real", "imag"})  # attributes through which values are read
# Functions that read no values of a tensor.
_QUERY_NAMES: Final = (
    "size dim numel stride is_contiguous data_ptr element_size storage_offset requires_grad_ type_as new_zeros "
    "new_ones new_empty new_full new_tensor zeros_like ones_like empty_like full_like rand_like randn_like __len__ "
    "is_floating_point is_complex ndimension nelement"
)
_QUERIES: Final = frozenset(_QUERY_NAMES.split())
_STATISTICS_SPREAD: Final = 0.3
_USUAL_SPREAD: Final = (0.35, 4.0)  # of a layer's output, which needs no gain
_WANTED_SPREAD: Final = 0.5
_MAX_GAIN: Final = 2  # a larger one would saturate the next layer


class WeightFiller:
    """Fills a network's parameters and buffers with fixed numbers, in the order in which they are first used.

    A tensor's numbers depend on its shape and on how many of that shape were used before it. So the order in which
    modules are registered plays no part, and that of tensors of different shapes doesn't either.

    Attributes:
        keys: by identity, the key in the number pool of the numbers that a tensor got.
        gains: by position among the weights, the power of 2 by which a weight is larger than usual.
        positions: by identity, a weight's position among the weights, in the order of first use.
    """

    def __init__(self, params: Iterable[Tensor], statistics: Iterable[Tensor], gains: Mapping[int, int]) -> None:
        self._waiting: dict[int, tuple[str, Tensor]] = {id(one): ("weight", one) for one in params}
        self._waiting |= {id(one): ("state", one) for one in statistics}
        self._ranks: dict[str, int] = {}
        self._num_weights = 0
        self.gains = dict(gains)
        self.keys: dict[int, str] = {}
        self.positions: dict[int, int] = {}

    def fill_used(self, values: Any) -> list[Tensor]:
        """Fill the tensors among some arguments that are still to be filled. Returns the weights among them."""
        if not self._waiting:
            return []
        filled: list[Tensor] = []
        self._fill_within(values, filled)
        return filled

    def refill(self, tensor: Tensor) -> None:
        """Give a parameter its numbers once more."""
        position = self.positions.get(id(tensor), -1)
        _fill_param(tensor, self.keys[id(tensor)], self.gains.get(position, 0))

    def fill_unused(self) -> None:
        """Fill the tensors that no pass has used, in the order of registration."""
        for _, tensor in list(self._waiting.values()):
            self._fill(tensor)

    def _fill_within(self, value: Any, filled: list[Tensor]) -> None:
        if isinstance(value, Tensor):
            owner = value if id(value) in self._waiting else value._base
            if owner is not None and id(owner) in self._waiting and self._fill(owner):
                filled.append(owner)
        elif isinstance(value, list | tuple):
            for item in value:
                self._fill_within(item, filled)
        elif isinstance(value, dict):
            for item in value.values():
                self._fill_within(item, filled)

    def _fill(self, tensor: Tensor) -> bool:
        """Give a tensor its numbers. Returns whether it's a weight: a matrix or a kernel."""
        kind, _ = self._waiting.pop(id(tensor))
        group = f"{kind} {squeezed_shape(tensor.shape)}"
        rank = self._ranks[group] = self._ranks.get(group, -1) + 1
        key = self.keys[id(tensor)] = f"{group} {rank}"
        is_matrix = kind == "weight" and len(squeezed_shape(tensor.shape)) > 1
        with torch.no_grad():
            if kind == "state":
                perturb_statistics(tensor.detach(), key)
            else:
                _fill_param(tensor, key, self.gains.get(self._num_weights, 0) if is_matrix else 0)
        if is_matrix:
            self.positions[id(tensor)] = self._num_weights
            self._num_weights += 1
        return is_matrix


def _fill_param(param: Tensor, key: str, gain: int) -> None:
    values = param.detach()
    flat = torch.view_as_real(values).view(-1) if values.is_complex() else values.view(-1)
    fill_weight(flat, param.shape, key, gain)


def perturb_statistics(buffer: Tensor, key: str) -> None:
    """Give each channel a value of its own, around the constant that a running statistic starts from."""
    noise = uniform(buffer.shape, key, buffer.device).to(buffer.dtype)
    scale = torch.where(buffer == 0, torch.ones_like(buffer), buffer.abs())
    buffer.add_(noise * scale, alpha=_STATISTICS_SPREAD)


class FillOnFirstUse(TorchFunctionMode):
    """Fills weights as they are used; where it `widens`, computes in double precision whatever the network asks for.

    `adjust` is called with a weight that was just filled and its layer's output; where it returns True, the layer
    runs again.
    """

    def __init__(
        self, filler: WeightFiller, *, widens: bool, adjust: Callable[[Tensor, Any], bool] | None = None
    ) -> None:
        super().__init__()
        self._filler = filler
        self._widens = widens
        self._adjust = adjust

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name == "__get__":
            if getattr(getattr(func, "__self__", None), "__name__", "") in _VIEWS:
                self._filler.fill_used(args)
            return func(*args, **kwargs)
        filled = self._filler.fill_used((args, kwargs)) if name not in _QUERIES else []
        if self._widens:
            func, args, kwargs = _widened(func, args, kwargs)
        out = self._call(func, args, kwargs)
        if filled and self._adjust is not None and func in _weight_products() and self._adjust(filled[0], out):
            out = self._call(func, args, kwargs)
        return out

    def _call(self, func: Any, args: Any, kwargs: Any) -> Any:
        try:
            return _faster_functions().get(func, func)(*args, **kwargs)
        except RuntimeError as error:
            if not self._widens or not any(word in str(error) for word in ("dtype", "Double", "double")):
                raise
            return func(*_promoted(args), **_promoted(kwargs))


@cache
def _weight_products() -> frozenset[Any]:
    """Return the functions that multiply data with a weight."""
    convolutions = (
        functional.conv1d,
        functional.conv2d,
        functional.conv3d,
        functional.conv_transpose1d,
        functional.conv_transpose2d,
        functional.conv_transpose3d,
    )
    products = (torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.mm, Tensor.mm, torch.bmm, torch.addmm)
    return frozenset({functional.linear, torch.einsum, functional.bilinear, *convolutions, *products})


@cache
def _faster_functions() -> Mapping[Any, Any]:
    return MappingProxyType({functional.conv1d: grouped.conv1d, functional.conv2d: grouped.conv2d})


@cache
def _casts() -> Mapping[Any, torch.dtype]:
    casts = {Tensor.float: torch.float64, Tensor.half: torch.float64, Tensor.bfloat16: torch.float64}
    return MappingProxyType(casts)


def _widened(func: Any, args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
    if func in _casts():
        return Tensor.to, (args[0], torch.float64), {}
    if any(isinstance(arg, torch.dtype) for arg in args):
        args = tuple(_WIDER.get(arg, arg) if isinstance(arg, torch.dtype) else arg for arg in args)
    if kwargs.get("dtype") is not None:
        kwargs = {**kwargs, "dtype": _WIDER.get(kwargs["dtype"], kwargs["dtype"])}
    return func, args, kwargs


def _promoted(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.to(_WIDER.get(value.dtype, value.dtype))
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return type(value)(_promoted(item) for item in value)
    return {key: _promoted(item) for key, item in value.items()} if isinstance(value, dict) else value


def choose_gain(out: Any) -> int:
    """Return the power of 2 that brings a layer's output to a usual spread; 0 where it has one, or none at all.

    The spread is what tells examples apart: a mean that all of them share is no signal. Keeping it the same, layer by
    layer, also keeps a network from amplifying its own rounding errors.
    """
    if not isinstance(out, Tensor) or not out.is_floating_point() or out.ndim < 2:
        return 0
    centred = out - out.mean(0, keepdim=True) if len(out) > 1 else out - out.mean()
    spread = float(centred.pow(2).mean().sqrt())
    scale = float(out.abs().max())
    if not math.isfinite(spread) or spread <= 1e-9 * scale or _USUAL_SPREAD[0] <= spread <= _USUAL_SPREAD[1]:
        return 0
    return min(round(math.log2(_WANTED_SPREAD / spread)), _MAX_GAIN)


VECTOR: Final = (0.25, 1.0)  # the range of biases, scales and other vectors


def fill_weight(flat: Tensor, shape: Sequence[int], key: str, gain: int = 0) -> None:
    """Fill a flat weight such that signals neither die nor grow over many layers, times `2**gain`.

    Vectors (biases, scales) are positive, between 0.25 and 1. Of matrices and kernels each row (all that goes to one
    output) is nearly centred, so that the mean which activations such as ReLU and sigmoid have doesn't drown, layer
    by layer, what tells one example from another; not quite, so that the mean is still seen. Their variance is 3 by
    the number of inputs: with centred rows a ReLU hands on a third of its variance.
    """
    fill_from_pool(flat, key)
    sizes = squeezed_shape(shape)
    if len(sizes) < 2:
        low, high = VECTOR
        flat.mul_((high - low) / 2).add_((high + low) / 2)
        return
    rows = flat.view(sizes[0], -1)
    num_inputs = rows.shape[1]
    if num_inputs >= _MIN_CENTRED:
        rows.sub_(rows.mean(1, keepdim=True), alpha=_CENTRED_SHARE)
    rows.mul_(_GAIN * math.sqrt(3 / num_inputs) * 2.0**gain)  # the pool's own variance is 1/3


_CENTRED_SHARE: Final = 0.98  # of the mean of a row's weights, which is taken away


_MIN_CENTRED: Final = 8  # weights in a row that is centred


_GAIN: Final = math.sqrt(3)
