"""Where tensors live while there is no device but meta: allocating, moving, and constants that stay on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor
from torch.utils._pytree import tree_any, tree_map

from archcheck.network.named_devices import accelerator_type
from archcheck.structure.meta.ops import functions_named
from archcheck.structure.meta.tensors import META

# Their values are the network's weights or its state: never needed, so never made.
_ALLOCATING: Final = (
    "empty zeros ones rand randn empty_strided full randint empty_like zeros_like ones_like full_like rand_like "
    "randn_like randint_like empty_permuted"
)
# Their values are often read while a network is built (stochastic depths, position tables), and they are small.
_VALUED: Final = "arange linspace logspace tensor as_tensor scalar_tensor eye tril_indices triu_indices randperm range"
_MOVING: Final = "cuda cpu xpu ipu npu mtia hpu"


def _allocate(func: Any, args: Any, kwargs: Any) -> Any:
    kwargs.pop("generator", None)  # those of other devices
    kwargs.pop("pin_memory", None)
    kwargs["device"] = META
    return func(*args, **kwargs)


def allocate_blank(func: Any, args: Any, kwargs: Any) -> Any:
    """Allocate what zeros, ones or randn would: `empty` is the cheapest of them."""
    if kwargs.get("out") is not None:
        return _allocate(func, args, kwargs)
    return _allocate(torch.empty, args, kwargs)


def _valued(func: Any, args: Any, kwargs: Any) -> Any:
    """Make a tensor with its values on the CPU, whatever the default device, unless asked for on meta."""
    device = kwargs.get("device")
    if device is None or torch.device(device).type != "meta":
        kwargs = {**kwargs, "device": "cpu"}
    return func(*args, **kwargs)


def _to(func: Any, args: Any, kwargs: Any) -> Any:
    """Call Tensor.to with a dtype as it is, but meta for any device: everything is there or goes there when it must."""
    tensor, *rest = args
    moved = [_without_device(arg) for arg in rest]
    options = {key: _without_device(value) for key, value in kwargs.items()}
    if not tensor.is_meta and META not in (*moved, *options.values()):
        return func(*args, **kwargs)
    return func(tensor, *moved, **options)


def _without_device(value: Any) -> Any:
    if isinstance(value, torch.device | str):
        return META
    if type(value) is int:  # a CUDA ordinal
        return META
    if isinstance(value, Tensor) and not value.is_meta:
        return torch.empty(0, dtype=value.dtype, device=META)
    return value


def _move(func: Any, args: Any, kwargs: Any) -> Any:
    """Answer cuda(), cpu() and the like: what is on meta stays there."""
    tensor = args[0]
    if tensor.is_meta:
        return tensor
    return func(*args, **kwargs) if func is Tensor.cpu else tensor.to(META)


def _type(func: Any, args: Any, kwargs: Any) -> Any:
    """Answer `type(torch.cuda.FloatTensor)`, which asks for a dtype as well."""
    found = accelerator_type(args[1]) if len(args) > 1 and args[0].is_meta else None
    return func(*args, **kwargs) if found is None else args[0].to(found[1].dtype)


def _record_stream(*_: Any) -> None:
    """Do nothing, as there is no memory to be kept."""


Rule: TypeAlias = Callable[[Any, Any, Any], Any]
"""Called as rule(function, args, kwargs) in the place of a function of torch."""


@cache
def placement_rules() -> Mapping[Any, Rule]:
    """Return by torch function the rule that says where its result lives."""
    rules: dict[Any, Rule] = dict.fromkeys(functions_named(_ALLOCATING), _allocate)
    rules |= dict.fromkeys((torch.zeros, torch.ones, torch.rand, torch.randn, torch.empty), allocate_blank)
    rules |= dict.fromkeys(functions_named(_VALUED), _valued)
    rules |= dict.fromkeys(functions_named(_MOVING), _move)
    return MappingProxyType({**rules, Tensor.to: _to, Tensor.type: _type, Tensor.record_stream: _record_stream})


def run_on_meta(func: Any, args: Any, kwargs: Any) -> Any:
    """Call a function of torch; constants on the CPU that meet meta tensors in it are moved to meta."""
    try:
        return func(*args, **kwargs)
    except Exception:
        moved = moved_to_meta(func, args, kwargs)
        if moved is None:
            raise
    return func(*moved[0], **moved[1])


def moved_to_meta(func: Any, args: Any, kwargs: Any) -> tuple[Any, Any] | None:
    """Return the arguments with every CPU tensor on meta; None where none is one, or where one would be written to."""
    both = (args, kwargs)
    if not tree_any(is_real, both) or not tree_any(_is_meta, both):
        return None
    name = getattr(func, "__name__", "")
    writes = name in ("__setitem__", "__set__") or (name.endswith("_") and not name.startswith("__"))
    if (writes and is_real(args[0])) or kwargs.get("out") is not None:
        return None  # its values would be lost unnoticed
    moved: tuple[Any, Any] = tree_map(lambda x: x.to(META) if is_real(x) else x, both)
    return moved


def is_real(x: Any) -> bool:
    """Whether something is a tensor with values."""
    return isinstance(x, Tensor) and not x.is_meta


def _is_meta(x: Any) -> bool:
    return isinstance(x, Tensor) and x.is_meta
