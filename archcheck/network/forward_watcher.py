"""Watching the calls of a network's modules, by a function put in the place of each module's forward."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


class ForwardWatcher(ABC):
    """Watches the calls of one network's modules; a subclass decides what is noted of them."""

    def __init__(self) -> None:
        self._failed_module = ""
        self._failure: BaseException | None = None

    @abstractmethod
    def wrap_forward(self, name: str, module: nn.Module) -> Callable[..., Any]:
        """Return the function that is called in the place of a module's forward."""

    @abstractmethod
    def note_final_output(self, name: str, out: Any) -> None:
        """Note the output of a module's last call as the module's own hooks have left it."""

    @contextmanager
    def watching(self, modules: Mapping[str, nn.Module]) -> Iterator[None]:
        """Put `wrap_forward` in the place of each module's forward; afterwards the modules are as they were."""
        modules = {name: m for name, m in modules.items() if not isinstance(m, torch.jit.ScriptModule)}
        own = {name: vars(module).get("forward") for name, module in modules.items()}
        hooked = {name: module for name, module in modules.items() if module._forward_hooks}
        handles = [module.register_forward_hook(self._last_hook(name)) for name, module in hooked.items()]
        for name, module in modules.items():
            vars(module)["forward"] = self.wrap_forward(name, module)
        try:
            with self._watching_calls(modules):
                yield
        finally:
            for handle in handles:
                handle.remove()
            for name, module in modules.items():
                if own[name] is None:
                    vars(module).pop("forward", None)
                else:
                    vars(module)["forward"] = own[name]

    @contextmanager
    def _watching_calls(self, modules: Mapping[str, nn.Module]) -> Iterator[None]:
        """Note what classes return that override `__call__`, which may change the output once more."""
        names = {id(module): name for name, module in modules.items()}
        own_calls = {
            kind: vars(kind)["__call__"]
            for one in {type(module) for module in modules.values()}
            for kind in one.__mro__
            if "__call__" in vars(kind) and issubclass(kind, nn.Module) and kind.__module__.partition(".")[0] != "torch"
        }
        try:
            for kind, call in own_calls.items():
                type.__setattr__(kind, "__call__", self._noted_call(call, names))
            yield
        finally:
            for kind, call in own_calls.items():
                type.__setattr__(kind, "__call__", call)

    def _noted_call(self, call: Callable[..., Any], names: Mapping[int, str]) -> Callable[..., Any]:
        @functools.wraps(call)
        def noted(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            out = call(module, *args, **kwargs)
            if id(module) in names:
                self.note_final_output(names[id(module)], out)
            return out

        return noted

    def _last_hook(self, name: str) -> Callable[..., None]:
        """Return a hook that runs behind a module's own hooks, which may have replaced the output."""
        return lambda _, __, out: self.note_final_output(name, out)

    def callable_for(self, model: nn.Module) -> Callable[..., Any]:
        """Return what to call for a forward pass of the network; inside TorchScript, no module can be watched."""
        return self.wrap_forward("", model) if isinstance(model, torch.jit.ScriptModule) else model

    def failing_module(self, error: BaseException) -> str:
        """Return the name of the innermost module that raised `error`; empty where no module did."""
        return self._failed_module if self._failure is error else ""

    def note_failure(self, name: str, error: BaseException) -> None:
        """Remember that a module raised `error`; the first module that says so is the innermost."""
        if self._failure is not error:
            self._failure, self._failed_module = error, name

    def forget_failure(self) -> None:
        """Forget what an earlier forward pass raised."""
        self._failure, self._failed_module = None, ""


def uncompiled_forward(module: nn.Module) -> Callable[..., Any]:
    """Return the module's forward without torch.compile."""
    if isinstance(module, torch.jit.ScriptModule):
        return module
    inner = module._modules.get("_orig_mod")
    return inner if type(module).__name__ == "OptimizedModule" and inner is not None else module.forward
