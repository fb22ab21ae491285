"""The modules of a network: their names, types and descriptions, and how many parameters and buffers are theirs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from archcheck.errors import BuildError
from archcheck.network.exceptions import type_and_first_line
from archcheck.structure.records import ModuleRecord


class NamedNetwork(NamedTuple):
    """Every module by its first `named_modules()` path, and further paths of the same modules."""

    modules: dict[str, nn.Module]
    aliases: dict[str, str]


def named_network(root: nn.Module) -> NamedNetwork:
    """Walk a network as `named_modules()` does with and without duplicates; ends on a network with a cycle, too."""
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


def all_modules(root: nn.Module) -> list[nn.Module]:
    """Return `list(root.modules())`: each module once and before those inside it, without nested generators."""
    found: dict[int, nn.Module] = {}
    waiting = [root]
    while waiting:
        module = waiting.pop()
        if id(module) not in found:
            found[id(module)] = module
            waiting += [child for child in reversed(module._modules.values()) if child is not None]
    return list(found.values())


# A network's attributes may have the names of nn.Module's methods (`self.modules = [...]`): whoever looks into a
# user's network asks these functions, and not the methods.


def named_params(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Return `dict(named_parameters())` of the network with these modules, whatever its attributes are called."""
    return _named_tensors((name, module._parameters) for name, module in modules.items())


def named_buffers(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Return `dict(named_buffers())` of the network with these modules, whatever its attributes are called."""
    return _named_tensors((name, module._buffers) for name, module in modules.items())


def _named_tensors(held: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[int, tuple[str, Tensor]] = {}
    for prefix, tensors in held:
        for name, tensor in tensors.items():
            if tensor is not None:
                found.setdefault(id(tensor), (f"{prefix}.{name}" if prefix else name, tensor))
    return dict(found.values())


def parameters_of(root: nn.Module) -> list[nn.Parameter]:
    """Return `list(root.parameters())`."""
    named: dict[str, Any] = {**named_params(named_network(root).modules)}
    return list(named.values())


def buffers_of(root: nn.Module) -> list[Tensor]:
    """Return `list(root.buffers())`."""
    return list(named_buffers(named_network(root).modules).values())


def set_training(model: nn.Module, training: bool) -> None:
    """Put a network into train or eval mode by its own `train()` and `eval()`.

    Every module's flag is set where something that can't be called stands in the place of one of them, or where a
    module has no modes, as an exported program.
    """
    modules = all_modules(model)
    if all(_has_method(module, name) for module in modules for name in ("train", "eval", "children")):
        try:
            model.train() if training else model.eval()
            return
        except NotImplementedError:
            pass
    for module in modules:
        module.training = training


def _has_method(module: nn.Module, name: str) -> bool:
    try:
        return callable(getattr(module, name))
    except Exception:  # a property of this name may do anything
        return False


class _Held(NamedTuple):
    """Numbers of elements by the tensor's identity: what is shared is there once."""

    params: dict[int, int]
    trainable: dict[int, int]
    buffers: dict[int, int]


def module_records(modules: Mapping[str, nn.Module]) -> dict[str, ModuleRecord]:
    """Return the record of every module by its name, counts included."""
    held: dict[int, _Held] = {}
    for module in reversed(list(modules.values())):  # children come after their parents: count them first
        _count_below(module, held)
    records = {name: _record(name, module, held[id(module)]) for name, module in modules.items()}
    lists = [name for name, module in modules.items() if isinstance(module, parametrize.ParametrizationList)]
    holders = {name.rpartition(".")[0] for name in lists}
    inside = tuple(f"{holder}." for holder in holders)
    for name in [name for name in records if name in holders or name.startswith(inside)] if lists else ():
        records[name] = replace(records[name], is_parametrization=True)
    return records


def _count_below(module: nn.Module, held: dict[int, _Held]) -> _Held:
    """Return what a module and everything below it hold; `held` has that of the modules that were counted before."""
    if id(module) not in held:
        own = held[id(module)] = _held_by(module)  # noted before its children: a network may contain itself
        for child in module._modules.values():
            if child is not None:
                for counts, more in zip(own, _count_below(child, held), strict=True):
                    counts.update(more)
    return held[id(module)]


def _held_by(module: nn.Module) -> _Held:
    if not module._parameters and not module._buffers:  # as most modules
        return _Held({}, {}, {})
    params = [p for p in module._parameters.values() if p is not None and not _is_lazy(p)]
    try:
        return _Held(
            {id(p): p.numel() for p in params},
            {id(p): p.numel() for p in params if p.requires_grad},
            {id(b): b.numel() for b in module._buffers.values() if b is not None and not _is_lazy(b)},
        )
    except Exception as error:  # of a class of their own, whose numbers are elsewhere
        told = type_and_first_line(error)
        raise BuildError(f"{type(module).__name__} has parameters that can't be counted ({told})") from error


def _is_lazy(tensor: Tensor) -> bool:
    return type(tensor) not in (nn.Parameter, Tensor) and is_lazy(tensor)


def _record(name: str, module: nn.Module, held: _Held) -> ModuleRecord:
    is_parametrized = "parametrizations" in module._modules
    kind: Any = parametrize.type_before_parametrizations(module) if is_parametrized else type(module)
    scripted = isinstance(module, torch.jit.ScriptModule)
    return ModuleRecord(
        name,
        str(module.original_name) if scripted else kind.__name__,
        f"{kind.__module__}.{kind.__qualname__}",
        sum(held.params.values()),
        sum(held.trainable.values()),
        sum(held.buffers.values()),
        is_container=not scripted and kind.forward is nn.Module.forward,
        has_children=bool(module._modules),
        dtypes=_unusual_dtypes(module),
    )


def _unusual_dtypes(module: nn.Module) -> dict[str, int]:
    """Count the parameters and buffers of a module itself by their floating-point dtype, without those of float32."""
    held = (*module._parameters.values(), *module._buffers.values())
    dtypes = [one.dtype for one in held if one is not None and one.dtype is not torch.float32]
    return dict(Counter(str(one).removeprefix("torch.") for one in dtypes if one.is_floating_point))


def uninitialized_modules(modules: Mapping[str, nn.Module]) -> Iterator[str]:
    """Yield the names of the lazy modules whose parameters have no shape yet."""
    for name, module in modules.items():
        held: tuple[Tensor | None, ...] = (*module._parameters.values(), *module._buffers.values())
        if any(tensor is not None and _is_lazy(tensor) for tensor in held):
            yield name


def describe_module(module: nn.Module) -> str:
    """Return a module in a line, without its children: `Conv2d(6, 16, kernel_size=(5, 5))`."""
    try:
        details = " ".join(module.extra_repr().split())
    except Exception:  # a user's extra_repr may be anything
        details = ""
    return f"{type(module).__name__}({details})"


class ModuleDescriptions(Mapping[str, str]):
    """The descriptions of modules by their names, each made when somebody asks for it; pickled as a dict."""

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        self._modules = modules

    def __getitem__(self, name: str) -> str:
        return describe_module(self._modules[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)
