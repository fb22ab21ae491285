"""The modules of a network: their names, their types, and how many parameters and buffers are theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from archcheck.records import ModuleRecord


class NamedNetwork(NamedTuple):
    """Every module by its first `named_modules()` path, and further paths of the same modules."""

    modules: dict[str, nn.Module]
    aliases: dict[str, str]


def named_network(root: nn.Module) -> NamedNetwork:
    """As `named_modules()` with and without duplicates, in one walk that also ends on a network with a cycle."""
    modules: dict[str, nn.Module] = {}
    aliases: dict[str, str] = {}
    first: dict[int, str] = {}
    inside: set[int] = set()

    def walk(module: nn.Module, name: str) -> None:
        key = id(module)
        if key in first:
            aliases[name] = first[key]
        else:
            first[key] = name
            modules[name] = module
        if key in inside:
            return
        inside.add(key)
        prefix = name + "." if name else ""
        for child_name, child in module._modules.items():
            if child is not None:
                walk(child, prefix + child_name)
        inside.discard(key)

    walk(root, "")
    return NamedNetwork(modules, aliases)


def census(modules: Mapping[str, nn.Module]) -> dict[str, ModuleRecord]:
    """The record of every module, counts included."""
    below: dict[int, tuple[dict[int, Tensor], dict[int, Tensor]]] = {}
    records = {}
    for name, module in reversed(list(modules.items())):  # children come after their parents: count them first
        params, buffers = _own(module._parameters), _own(module._buffers)
        for child in module._modules.values():
            if child is not None and id(child) in below:
                child_params, child_buffers = below[id(child)]
                params |= child_params
                buffers |= child_buffers
        below[id(module)] = params, buffers
        records[name] = _record(name, module, params, buffers)
    return {name: records[name] for name in modules}


def _own(tensors: Mapping[str, Any]) -> dict[int, Any]:
    return {id(tensor): tensor for tensor in tensors.values() if tensor is not None and not is_lazy(tensor)}


def _record(name: str, module: nn.Module, params: dict[int, Tensor], buffers: dict[int, Tensor]) -> ModuleRecord:
    kind = type(module)
    scripted = isinstance(module, torch.jit.ScriptModule)
    sizes = [(param.numel(), param.requires_grad) for param in params.values()]
    return ModuleRecord(
        name=name,
        type_name=str(module.original_name) if scripted else kind.__name__,
        qualified_type=f"{kind.__module__}.{kind.__qualname__}",
        num_params=sum(size for size, _ in sizes),
        num_trainable_params=sum(size for size, trainable in sizes if trainable),
        num_buffers=sum(buffer.numel() for buffer in buffers.values()),
        is_container=not scripted and kind.forward is nn.Module.forward,
        has_children=bool(module._modules),
    )


def uninitialized(modules: Mapping[str, nn.Module]) -> Iterator[str]:
    """The names of the lazy modules whose parameters have no shape yet."""
    for name, module in modules.items():
        held = (*module._parameters.values(), *module._buffers.values())
        if any(tensor is not None and is_lazy(tensor) for tensor in held):
            yield name
