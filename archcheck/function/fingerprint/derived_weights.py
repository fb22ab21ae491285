"""Weights that are computed from those of another network: joined, split, transposed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor

from archcheck.errors import UsageError
from archcheck.function.fingerprint.given_weights import GivenWeights
from archcheck.function.fingerprint.number_pool import squeezed_shape
from archcheck.spec.weight_expressions import WeightCall, WeightExpression, WeightName, names_in


class DerivedWeights:
    """Parameters of a network, and the weights of another one that they are computed from.

    Attributes:
        names: of the parameters.
        sources: the other's weights, by their keys in the number pool; whoever changes them calls `compute`.
        keys: by identity, what stands for the key of a parameter that has no numbers of its own.
        users: by the key of a source, the names of the parameters that are computed from it.
    """

    def __init__(self, given: GivenWeights, params: Mapping[str, Tensor]) -> None:
        self._targets = {name: params[name] for name in given.derived if name in params}
        self._expressions = {name: given.derived[name] for name in self._targets}
        self.names = self._targets.keys()
        self.keys = {id(param): f"derived {name}" for name, param in self._targets.items()}
        self._key_of = {name: key for name, (key, _) in given.sources.items()}
        like = next(iter(self._targets.values()), None)
        self.sources = {} if like is None else {key: like.new_empty(shape) for key, shape in given.sources.values()}
        self.users: dict[str, set[str]] = {}
        for name, expression in self._expressions.items():
            for source in names_in(expression):
                self.users.setdefault(self._key_of[source], set()).add(name)

    def is_trained(self, key: str) -> bool:
        """Return whether any of what is computed from a source is trained."""
        return any(self._targets[name].requires_grad for name in self.users[key])

    def compute(self) -> None:
        """Compute the parameters from what the sources are now."""
        with torch.no_grad():
            for name, made in self._made(self.sources).items():
                self._targets[name].detach().copy_(made)

    def pull_back(self, gradients: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the gradients of the sources, by key, for those of parameters, by name."""
        with torch.enable_grad():
            leaves = {key: one.detach().requires_grad_() for key, one in self.sources.items()}
            made = {name: one for name, one in self._made(leaves).items() if name in gradients and one.requires_grad}
            if not made:
                return {}
            found = torch.autograd.grad(
                list(made.values()), list(leaves.values()), [gradients[name] for name in made], allow_unused=True
            )
        return {key: one for key, one in zip(leaves, found, strict=True) if one is not None}

    def _made(self, sources: Mapping[str, Tensor]) -> dict[str, Tensor]:
        by_name = {name: sources[key] for name, key in self._key_of.items()}
        return {
            name: evaluate(self._expressions[name], by_name, like).reshape(like.shape)
            for name, like in self._targets.items()
        }


# ------------------------------------------------------------------------------------------- expressions


def evaluate(expression: WeightExpression, weights: Mapping[str, Tensor], like: Tensor) -> Tensor:
    """Compute an expression; constants in it are made as `like` is.

    Raises:
        UsageError: shapes don't fit; both are told.
    """
    if not isinstance(expression, WeightCall):
        return weights[expression.name]
    tensors = [evaluate(arg, weights, like) for arg in expression.args if isinstance(arg, WeightName | WeightCall)]
    numbers: list[Any] = [arg for arg in expression.args if isinstance(arg, int | tuple)]
    try:
        if expression.function in _CONSTANTS:
            _require(min(numbers) >= 0, f"of {numbers}: sizes are 0 or more")
            return like.new_full(numbers, _CONSTANTS[expression.function])
        return _COMPUTED[expression.function](tensors, numbers)
    except UsageError as error:
        raise UsageError(f"{expression.function} {error}") from None


def fits(found: Sequence[int], wanted: Sequence[int]) -> bool:
    """Return whether a shape is the wanted one but for sizes of 1."""
    return squeezed_shape(found) == squeezed_shape(wanted)


def _concat(tensors: Sequence[Tensor], numbers: Sequence[Any]) -> Tensor:
    [dim] = numbers or [0]
    first = tensors[0]
    for one in tensors:
        _require_dims(one, [dim])
        others = [[size for i, size in enumerate(part.shape) if i != dim % part.ndim] for part in (first, one)]
        _require(
            one.ndim == first.ndim and others[0] == others[1],
            f"of {_shape(first)} and {_shape(one)}, which differ in more than dimension {dim}",
        )
    return torch.cat(list(tensors), dim)


def _split(tensors: Sequence[Tensor], numbers: Sequence[Any]) -> Tensor:
    [tensor], (parts, which, dim) = tensors, (*numbers, 0)[:3]
    _require_dims(tensor, [dim])
    size = tensor.shape[dim]
    if isinstance(parts, int):
        _require(parts > 0 and size % parts == 0, f"of {_shape(tensor)} into {parts} equal parts along dimension {dim}")
        parts = (size // parts,) * parts
    _require(
        min(parts) >= 0 and sum(parts) == size,
        f"of {_shape(tensor)} into parts of {list(parts)}, which are {sum(parts)} in all along dimension {dim}",
    )
    _require(0 <= which < len(parts), f"has parts 0 to {len(parts) - 1}, found {which}")
    return tensor.narrow(dim, sum(parts[:which]), parts[which])


def _transpose(tensors: Sequence[Tensor], _: Sequence[Any]) -> Tensor:
    [tensor] = tensors
    _require(tensor.ndim > 1, f"of {_shape(tensor)}, which has no two dimensions")
    return tensor.transpose(0, 1)


def _permute(tensors: Sequence[Tensor], numbers: Sequence[Any]) -> Tensor:
    [tensor] = tensors
    _require(sorted(numbers) == list(range(tensor.ndim)), f"of {_shape(tensor)} to dimensions {list(numbers)}")
    return tensor.permute(*numbers)


def _reshape(tensors: Sequence[Tensor], numbers: Sequence[Any]) -> Tensor:
    [tensor] = tensors
    free, known = list(numbers).count(-1), math.prod(size for size in numbers if size != -1)
    is_whole = known > 0 and tensor.numel() % known == 0 if free == 1 else known == tensor.numel()
    _require(free < 2 and is_whole and min(numbers) >= -1, f"of {_shape(tensor)} to {list(numbers)}")
    return tensor.reshape(*numbers)


_CONSTANTS: Final = MappingProxyType({"zeros": 0.0, "ones": 1.0})
_COMPUTED: Final[Mapping[str, Callable[[Sequence[Tensor], Sequence[Any]], Tensor]]] = MappingProxyType(
    {"concat": _concat, "split": _split, "transpose": _transpose, "permute": _permute, "reshape": _reshape}
)


def _require(is_so: bool, problem: str) -> None:
    if not is_so:
        raise UsageError(problem)


def _require_dims(tensor: Tensor, dims: Sequence[int]) -> None:
    for dim in dims:
        _require(-tensor.ndim <= dim < tensor.ndim, f"of {_shape(tensor)}, which has no dimension {dim}")


def _shape(tensor: Tensor) -> str:
    return str(list(tensor.shape))
