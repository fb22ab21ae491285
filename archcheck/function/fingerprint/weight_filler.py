"""Weights filled in the order in which a forward pass first uses them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from archcheck.function.fingerprint import grouped_convolution as grouped
from archcheck.function.fingerprint.number_pool import core, fill_weight, uniform

_WIDER: Final = {
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.float32: torch.float64,
    torch.complex64: torch.complex128,
    torch.complex32: torch.complex128,
}
_VIEWS: Final = frozenset({"T", "mT", "H", "mH", "data", "real", "imag"})  # attributes through which values are read
# What only asks about a tensor.
_ASKED: Final = (
    "size dim numel stride is_contiguous data_ptr element_size storage_offset requires_grad_ type_as new_zeros "
    "new_ones new_empty new_full new_tensor zeros_like ones_like empty_like full_like rand_like randn_like __len__ "
    "is_floating_point is_complex ndimension nelement"
)
_ASKING: Final = frozenset(_ASKED.split())
_STATE_SPREAD: Final = 0.3
_USUAL: Final = (0.35, 4.0)  # the spread of a layer's output that needs no help
_WANTED: Final = 0.5
_MOST: Final = 2  # that a weight is raised by at once: a large leap saturates the next layer


class WeightFiller:
    """The fixed numbers that a network's parameters and buffers get, one after the other.

    A tensor's numbers depend on its shape and on how many of that shape were used before it. So the order in which
    modules are registered plays no part, and that of tensors of different shapes doesn't either.

    Attributes:
        keys: by identity, which numbers a tensor got.
        exponents: by position among the weights: the power of 2 by which one is larger than usual.
    """

    def __init__(self, params: Iterable[Tensor], states: Iterable[Tensor], exponents: Mapping[int, int]) -> None:
        self._waiting: dict[int, tuple[str, Tensor]] = {id(one): ("weight", one) for one in params}
        self._waiting |= {id(one): ("state", one) for one in states}
        self._ranks: dict[str, int] = {}
        self._num_weights = 0
        self.exponents = dict(exponents)
        self.keys: dict[int, str] = {}
        self.positions: dict[int, int] = {}

    def touch(self, values: Any) -> list[Tensor]:
        """Fill what is among some arguments and hasn't been; returns the weights that were."""
        if not self._waiting:
            return []
        found: list[Tensor] = []
        self._look(values, found)
        return found

    def refill(self, tensor: Tensor) -> None:
        """Give a parameter its numbers once more."""
        position = self.positions.get(id(tensor), -1)
        _fill_param(tensor, self.keys[id(tensor)], self.exponents.get(position, 0))

    def fill_rest(self) -> None:
        """Fill what no pass has used, in the order of registration."""
        for _, tensor in list(self._waiting.values()):
            self._fill(tensor)

    def _look(self, value: Any, found: list[Tensor]) -> None:
        if isinstance(value, Tensor):
            owner = value if id(value) in self._waiting else value._base
            if owner is not None and id(owner) in self._waiting and self._fill(owner):
                found.append(owner)
        elif isinstance(value, list | tuple):
            for item in value:
                self._look(item, found)
        elif isinstance(value, dict):
            for item in value.values():
                self._look(item, found)

    def _fill(self, tensor: Tensor) -> bool:
        """Give a tensor its numbers. Returns whether it's a matrix or a kernel."""
        kind, _ = self._waiting.pop(id(tensor))
        family = f"{kind} {core(tensor.shape)}"
        rank = self._ranks[family] = self._ranks.get(family, -1) + 1
        key = self.keys[id(tensor)] = f"{family} {rank}"
        is_matrix = kind == "weight" and len(core(tensor.shape)) > 1
        with torch.no_grad():
            if kind == "state":
                stir(tensor.detach(), key)
            else:
                _fill_param(tensor, key, self.exponents.get(self._num_weights, 0) if is_matrix else 0)
        if is_matrix:
            self.positions[id(tensor)] = self._num_weights
            self._num_weights += 1
        return is_matrix


def _fill_param(param: Tensor, key: str, exponent: int) -> None:
    values = param.detach()
    flat = torch.view_as_real(values).view(-1) if values.is_complex() else values.view(-1)
    fill_weight(flat, param.shape, key, exponent)


def stir(state: Tensor, key: str) -> None:
    """Values of its own for each channel, around the constant that a running statistic starts from."""
    noise = uniform(state.shape, key, state.device).to(state.dtype)
    scale = torch.where(state == 0, torch.ones_like(state), state.abs())
    state.add_(noise * scale, alpha=_STATE_SPREAD)


class FillOnFirstUse(TorchFunctionMode):
    """Fills weights as they are used, and computes in double precision whatever the network asks for."""

    def __init__(
        self, fills: WeightFiller, *, widen: bool, adjust: Callable[[Tensor, Any], bool] | None = None
    ) -> None:
        super().__init__()
        self._fills = fills
        self._widen = widen
        self._adjust = adjust

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name == "__get__":
            if getattr(getattr(func, "__self__", None), "__name__", "") in _VIEWS:
                self._fills.touch(args)
            return func(*args, **kwargs)
        filled = self._fills.touch((args, kwargs)) if name not in _ASKING else []
        if self._widen:
            func, args, kwargs = _widened(func, args, kwargs)
        out = self._called(func, args, kwargs)
        if filled and self._adjust is not None and func in _linear() and self._adjust(filled[0], out):
            out = self._called(func, args, kwargs)
        return out

    def _called(self, func: Any, args: Any, kwargs: Any) -> Any:
        try:
            return _faster().get(func, func)(*args, **kwargs)
        except RuntimeError as error:
            if not self._widen or not any(word in str(error) for word in ("dtype", "Double", "double")):
                raise
            return func(*_promoted(args), **_promoted(kwargs))


@cache
def _linear() -> frozenset[Any]:
    """The functions that meet data with a weight."""
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
def _faster() -> Mapping[Any, Any]:
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


def choose_exponent(out: Any) -> int:
    """The power of 2 that brings a layer's output to a usual spread; 0 where it has one, or none at all.

    The spread is what tells examples apart: a mean that all of them share is no signal. That it is kept where it is,
    layer by layer, also keeps a network from amplifying its own rounding errors.
    """
    if not isinstance(out, Tensor) or not out.is_floating_point() or out.ndim < 2:
        return 0
    centred = out - out.mean(0, keepdim=True) if len(out) > 1 else out - out.mean()
    spread = float(centred.pow(2).mean().sqrt())
    scale = float(out.abs().max())
    if not math.isfinite(spread) or spread <= 1e-9 * scale or _USUAL[0] <= spread <= _USUAL[1]:
        return 0
    return min(round(math.log2(_WANTED / spread)), _MOST)
