"""Snapshots of what a network holds besides its weights, so that every forward pass sees it as it was built."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from types import ModuleType
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin

from archcheck.structure.meta.layers import SHORTCUTS

STANDARD_ATTRIBUTES: Final = frozenset(vars(nn.Module())) | {"forward"}  # a watcher sets `forward` on the instance
_ATOMS: Final = frozenset({int, float, bool, str, bytes, complex, type(None), torch.dtype, torch.device, torch.Size})
_OPAQUE: Final = (nn.Module, torch.Generator, type, ModuleType)
_SELF_WILLED: Final = (LazyModuleMixin, torch.jit.ScriptModule)
_MUTABLE: Final = (list, set, deque)
_HOOKS: Final = tuple(name for name in vars(nn.Module()) if "hooks" in name)  # dicts that hooks are registered in
_MAX_DEPTH: Final = 6  # of containers in containers
_MAX_ITEMS: Final = 1000  # of a container that is looked into

_Own = tuple[dict[Any, Any], dict[Any, Any]]


class NetworkSnapshot:
    """The attributes of every module, and of the containers and plain objects among them, by identity.

    Lazy modules are left out: becoming what they are is what their first forward pass is for. The values of tensors
    are not kept; on the CPU, where they matter, `restore` says whether they are lost.
    """

    def __init__(self, modules: Iterable[nn.Module], values: bool) -> None:
        self._dicts: list[_Own] = []
        self._layers: list[_Own] = []
        self._containers: list[tuple[Any, list[Any]]] = []
        self._versions: list[tuple[Tensor, int]] = []
        self._values = values
        self._seen: set[int] = set()
        for module in modules:
            if not isinstance(module, _SELF_WILLED):
                self._note_module(module)

    def restore(self, keep_layers: bool = False) -> bool:
        """Put back what was there. Returns whether values have been overwritten, which nothing can put back.

        `keep_layers`: a layer or a parameter that the network made in its forward pass stays, to be counted.
        """
        for own, before in self._dicts if keep_layers else (*self._dicts, *self._layers):
            if not _same(own, before):
                own.clear()
                own.update(before)
        for container, items in self._containers:
            if not _same(list(container), items):
                container.clear()
                (container.update if isinstance(container, set) else container.extend)(items)
        return any(tensor._version != version for tensor, version in self._versions)

    def has_changed(self) -> bool:
        """Whether an attribute is another than it was, or has another value; `training` is none."""
        for own, before in self._dicts:
            if own.keys() - STANDARD_ATTRIBUTES != before.keys() - STANDARD_ATTRIBUTES:
                return True
            for key, value in before.items():
                if key not in STANDARD_ATTRIBUTES and own[key] is not value and not _same(own[key], value):
                    return True
        return any(not _same(list(container), items) for container, items in self._containers)

    def _note_module(self, module: nn.Module) -> None:
        own, params, buffers = vars(module), module._parameters, module._buffers
        common = type(module) in SHORTCUTS  # which gain nothing that they were built without: the cheap way
        self._dicts.append((own, own.copy()))
        self._dicts += [(hooks, hooks.copy()) for hooks in map(own.get, _HOOKS) if hooks is not None]
        if buffers or not common:
            self._dicts.append((buffers, buffers.copy()))
        if params or not common:
            self._layers.append((params, params.copy()))
        if not common:
            self._layers.append((module._modules, module._modules.copy()))
        if self._values:
            for tensor in (*params.values(), *buffers.values()):
                self._note(tensor, 0)
        if not common:
            for name in own.keys() - STANDARD_ATTRIBUTES:
                self._note(own[name], 0)

    def _note(self, value: Any, depth: int) -> None:
        """Note a value that may change without being replaced."""
        if type(value) in _ATOMS or id(value) in self._seen or depth > _MAX_DEPTH:
            return
        self._seen.add(id(value))
        if isinstance(value, Tensor):
            if self._values:
                with suppress(RuntimeError):  # an inference tensor has no version
                    self._versions.append((value, value._version))
        elif isinstance(value, _MUTABLE):
            self._containers.append((value, list(value)))
            self._note_all(value, depth)
        elif isinstance(value, (tuple, frozenset)):
            self._note_all(value, depth)
        elif not isinstance(value, _OPAQUE) and not callable(value):
            own = value if isinstance(value, dict) else getattr(value, "__dict__", None)
            if type(own) is dict or isinstance(value, dict):
                self._dicts.append((own, dict(own)))  # type: ignore[arg-type]
                self._note_all(own.values(), depth)  # type: ignore[union-attr]

    def _note_all(self, values: Any, depth: int) -> None:
        try:
            items = list(values) if len(values) <= _MAX_ITEMS else []
        except Exception:  # a user's own tuple may refuse to say how long it is
            return
        for value in items:
            self._note(value, depth + 1)


def _same(a: Any, b: Any) -> bool:
    """Whether two containers are equal; identical items are never compared: tensors, for one, can't be."""
    try:
        return bool(a == b)
    except Exception:
        return False
