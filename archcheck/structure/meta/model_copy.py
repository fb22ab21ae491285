"""Copying a live network: to meta without its weights, or to the CPU."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from archcheck.errors import UsageError
from archcheck.network.exceptions import type_and_first_line
from archcheck.structure.meta.module_tree import all_modules, parameters_of
from archcheck.structure.meta.tensors import META, PLAIN_TYPES

GIVEN: Final = "_archcheck_given"
"""An attribute of a copied network's parameters that keep their values, as they aren't trained: a fixed filter."""


class CannotCopyError(UsageError):
    """A network holds something that can't be copied; `reason` says what."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}; give a callable that builds it instead")
        self.reason = reason


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the network inside a wrapper of torch.compile or of data-parallel training."""
    inner = getattr(model, "_orig_mod", None)
    if type(model).__name__ == "OptimizedModule" and isinstance(inner, nn.Module):
        return unwrapped(inner)
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return unwrapped(model.module)
    return model


def is_scripted(modules: Iterable[nn.Module]) -> bool:
    """Whether some of a network is TorchScript, whose weights live where Python can't reach."""
    return any(isinstance(module, torch.jit.ScriptModule) for module in modules)


def has_real_parameters(modules: Iterable[nn.Module]) -> bool:
    """Whether any parameter has values."""
    return any(param is not None and not param.is_meta for m in modules for param in m._parameters.values())


def copy_to_meta(model: nn.Module) -> nn.Module:
    """Copy a network deeply, every tensor to meta; sharing, strides, laziness and `requires_grad` stay.

    Raises:
        CannotCopyError: something that the network holds can't be copied.
    """
    return _copied(model, _blank)


def copy_to_cpu(model: nn.Module) -> nn.Module:
    """Copy a network deeply, to the CPU.

    Raises:
        UsageError: something that the network holds can't be copied, or has no values as it is on meta.
    """
    copied = _copied(model, _with_values)
    if is_scripted(all_modules(copied)):
        copied.cpu()
        for param, own in zip(parameters_of(model), parameters_of(copied), strict=True):
            own.requires_grad_(param.requires_grad)  # TorchScript forgets it
    return copied


_Converter = Callable[[Tensor], Tensor]


def _copied(model: nn.Module, convert: _Converter) -> nn.Module:
    try:
        memo: dict[int, Any] = {id(tensor): _replica(tensor, convert) for tensor in _tensors(model)}
        memo |= {id(generator): _same_generator(generator) for generator in _generators(model)}
        with _CopyingMode(convert):
            for module in reversed(all_modules(model)):  # the innermost first: a deep network needs no deep stack
                copy.deepcopy(module, memo)
            return copy.deepcopy(model, memo)
    except _NoValuesError:
        raise UsageError(
            f"{type(model).__name__} is on meta, where tensors have no values; give one that has them"
        ) from None
    except Exception as error:
        raise CannotCopyError(f"{type(model).__name__} can't be copied ({type_and_first_line(error)})") from error


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    for module in all_modules(model):
        if not isinstance(module, torch.jit.ScriptModule):  # copies itself
            for held in (module._parameters, module._buffers, vars(module)):
                yield from (value for value in held.values() if isinstance(value, Tensor))


def _generators(model: nn.Module) -> Iterator[torch.Generator]:
    for module in all_modules(model):
        yield from (value for value in vars(module).values() if isinstance(value, torch.Generator))


def _same_generator(generator: torch.Generator) -> torch.Generator:
    made = torch.Generator()
    return made.set_state(generator.get_state()) if generator.device.type == "cpu" else made


def _blank(tensor: Tensor) -> Tensor:
    """Return the same tensor without its values; a nested one, which can't be on meta, with them."""
    if tensor.is_nested and tensor.layout is torch.strided:
        return tensor.detach().clone()
    if tensor.layout is torch.strided and type(tensor) in PLAIN_TYPES:
        return torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device=META)
    return tensor.detach().to(META)


class _NoValuesError(Exception):
    """A tensor on meta was to be copied to another device."""


def _with_values(tensor: Tensor) -> Tensor:
    """Return a copy of a tensor on the CPU."""
    try:
        return tensor.detach().to("cpu", copy=True)
    except NotImplementedError:
        if tensor.is_meta:
            raise _NoValuesError from None
        raise


def _replica(tensor: Any, convert: _Converter) -> Tensor:
    """Return a tensor elsewhere that is the same to a network: a parameter if it was one, with the same attributes."""
    made: Tensor
    if is_lazy(tensor):
        device = convert(torch.empty(0)).device
        lazy: Any = type(tensor)
        made = lazy(tensor.requires_grad, device=device, dtype=tensor.dtype)
    elif isinstance(tensor, nn.Parameter):
        made = nn.Parameter(convert(tensor), tensor.requires_grad)
    else:
        made = convert(tensor).requires_grad_(tensor.requires_grad)
    made.__dict__.update(tensor.__dict__)
    return made


class _CopyingMode(TorchFunctionMode):
    """Converts the tensors found anywhere else in a network (in a list, in a dict) while it is copied."""

    def __init__(self, convert: _Converter) -> None:
        super().__init__()
        self._convert = convert

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.__deepcopy__:
            tensor, memo = args
            if id(tensor) not in memo:
                memo[id(tensor)] = _replica(tensor, self._convert)
            return memo[id(tensor)]
        if func is Tensor.clone and not is_lazy(args[0]):  # Parameter.__deepcopy__ clones its data
            return self._convert(args[0])
        return func(*args, **(kwargs or {}))
