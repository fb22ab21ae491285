"""A copy of a live network without its weights."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from archcheck.errors import UsageError
from archcheck.meta.tensors import META


def unwrapped(model: nn.Module) -> nn.Module:
    """The network inside what torch.compile or a data-parallel wrapper makes of it."""
    inner = getattr(model, "_orig_mod", None)
    if type(model).__name__ == "OptimizedModule" and isinstance(inner, nn.Module):
        return unwrapped(inner)
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return unwrapped(model.module)
    return model


def is_scripted(model: nn.Module) -> bool:
    """Whether some of it is TorchScript, whose weights live where Python can't reach."""
    return any(isinstance(module, torch.jit.ScriptModule) for module in model.modules())


def has_real_parameters(model: nn.Module) -> bool:
    """Whether a build made weights after all."""
    return any(not param.is_meta for param in model.parameters())


def copy_to_meta(model: nn.Module) -> nn.Module:
    """A deep copy in which every tensor is on meta; sharing, strides, laziness and `requires_grad` stay.

    Raises:
        UsageError: something that the network holds can't be copied.
    """
    memo = {id(tensor): to_meta(tensor) for tensor in _tensors(model)}
    with _CopyingMode():
        return _deep_copy(model, memo)


def copy_for_real(model: nn.Module) -> nn.Module:
    """A deep copy on the CPU.

    Raises:
        UsageError: something that the network holds can't be copied.
    """
    copied = _deep_copy(model, {}).cpu()
    for param, own in zip(model.parameters(), copied.parameters(), strict=True):
        own.requires_grad_(param.requires_grad)  # TorchScript forgets it
    return copied


def _deep_copy(model: nn.Module, memo: dict[int, Any]) -> nn.Module:
    try:
        return copy.deepcopy(model, memo)
    except Exception as error:
        raise UsageError(
            f"{type(model).__name__} can't be copied ({type(error).__name__}: {error}); "
            "give a callable that builds it instead"
        ) from error


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    for module in model.modules():
        for held in (module._parameters, module._buffers, vars(module)):
            yield from (value for value in held.values() if isinstance(value, Tensor))


def to_meta(tensor: Tensor) -> Tensor:
    """The same tensor without its values."""
    if is_lazy(tensor):
        return _lazy_to_meta(tensor)
    if tensor.layout is torch.strided and type(tensor) in (Tensor, nn.Parameter):
        blank = torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device=META)
    else:
        blank = tensor.detach().to(META)
    made = nn.Parameter(blank, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else blank
    if not isinstance(tensor, nn.Parameter):
        made.requires_grad_(tensor.requires_grad)
    made.__dict__.update(tensor.__dict__)
    return made


def _lazy_to_meta(tensor: Any) -> Tensor:
    made = type(tensor)(tensor.requires_grad, device=META, dtype=tensor.dtype)
    made.__dict__.update(tensor.__dict__)
    return made  # type: ignore[no-any-return]


class _CopyingMode(TorchFunctionMode):
    """Tensors found anywhere else in a network (in a list, in a dict) lose their values while it is copied, too."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is Tensor.__deepcopy__:
            tensor, memo = args
            if id(tensor) not in memo:
                memo[id(tensor)] = to_meta(tensor)
            return memo[id(tensor)]
        if func is Tensor.clone and not is_lazy(args[0]):  # Parameter.__deepcopy__ clones its data
            return to_meta(args[0].detach())
        return func(*args, **kwargs)
