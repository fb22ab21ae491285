"""Something put between each module of a network and its forward, for as long as it is watched."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


class ForwardWatcher(ABC):
    """Watches the calls of one network's modules; what is noted of them is its subclasses' affair."""

    def __init__(self) -> None:
        self.failed_in = ""
        self._failure: BaseException | None = None

    @abstractmethod
    def watched(self, name: str, module: nn.Module) -> Callable[..., Any]:
        """What is called in the place of a module's forward."""

    @abstractmethod
    def amend(self, name: str, out: Any) -> None:
        """The output of a module's last call, as the module's own hooks have left it."""

    def blame(self, error: BaseException) -> str:
        """The name of the innermost module that raised `error`."""
        return self.failed_in if self._failure is error else ""

    def entry(self, model: nn.Module) -> Callable[..., Any]:
        """What to call for a forward pass; inside TorchScript, nothing can be watched."""
        return self.watched("", model) if isinstance(model, torch.jit.ScriptModule) else model

    @contextmanager
    def watching(self, modules: Mapping[str, nn.Module]) -> Iterator[None]:
        """Put this recorder between each module and its forward; afterwards the modules are as they were."""
        modules = {name: m for name, m in modules.items() if not isinstance(m, torch.jit.ScriptModule)}
        own = {name: vars(module).get("forward") for name, module in modules.items()}
        hooked = {name: module for name, module in modules.items() if module._forward_hooks}
        handles = [module.register_forward_hook(self._amended(name)) for name, module in hooked.items()]
        for name, module in modules.items():
            vars(module)["forward"] = self.watched(name, module)
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            for name, module in modules.items():
                if own[name] is None:
                    vars(module).pop("forward", None)
                else:
                    vars(module)["forward"] = own[name]

    def _amended(self, name: str) -> Callable[..., None]:
        """A hook behind a module's own hooks, which may have replaced the output."""
        return lambda _, __, out: self.amend(name, out)

    def note_failure(self, name: str, error: BaseException) -> None:
        """Remember the innermost module that raised an error."""
        if self._failure is not error:  # raised anew, or seen for the first time
            self._failure, self.failed_in = error, name

    def forget_failure(self) -> None:
        """Before another forward pass."""
        self._failure, self.failed_in = None, ""


def eager(module: nn.Module) -> Callable[..., Any]:
    """The module's forward, without torch.compile."""
    if isinstance(module, torch.jit.ScriptModule):
        return module
    inner = module._modules.get("_orig_mod")
    return inner if type(module).__name__ == "OptimizedModule" and inner is not None else module.forward
