"""Building a network without weights: its constructor runs as written, and neither allocates nor initialises."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from types import CodeType, MappingProxyType
from typing import Any, Final

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from archcheck.structure.meta.counting import UnreadCounter
from archcheck.structure.meta.ops import functions_named, shortcuts
from archcheck.structure.meta.placement import Rule, allocate_blank, placement_rules, run_on_meta
from archcheck.structure.meta.tensors import NUMBERS, REFUSED

_FILLING: Final = (
    "zero_ fill_ uniform_ normal_ trunc_normal_ erfinv_ bernoulli_ exponential_ clamp_ mul_ add_ sub_ div_"
)
_RESET: Final = "reset_parameters"
_INITIALISING: Final = ("kaiming_uniform_", "kaiming_normal_", "normal_", "constant_", "uniform_", "trunc_normal_")


def _skip_fill(func: Any, args: Any, kwargs: Any) -> Any:
    """Skip in-place arithmetic with numbers on a tensor without values."""
    tensor = args[0]
    if tensor.is_meta and (len(args) == 1 or all(type(arg) in NUMBERS for arg in args[1:])):
        return tensor
    return func(*args, **kwargs)


def _skip_init(func: Any, args: Any, kwargs: Any) -> Any:
    tensor = args[0] if args else kwargs.get("tensor")
    return tensor if isinstance(tensor, nn.Parameter) or tensor.is_meta else func(*args, **kwargs)


def _by_shortcut(shortcut: Callable[..., Any]) -> Rule:
    def rule(func: Any, args: Any, kwargs: Any) -> Any:
        try:
            result = shortcut(UnreadCounter(), *args, **kwargs)
        except Exception:  # arguments of another kind than expected: torch has the better message
            result = NotImplemented
        return run_on_meta(func, args, kwargs) if result is NotImplemented or result is REFUSED else result

    return rule


@cache
def _build_rules() -> Mapping[Any, Rule]:
    computed = {func: _by_shortcut(shortcut) for func, shortcut in shortcuts().items()}
    filling = dict.fromkeys(functions_named(_FILLING), _skip_fill)
    initialising = {getattr(nn.init, name): _skip_init for name in _INITIALISING}
    return {**computed, **placement_rules(), torch.empty: _allocate_weight, **filling, **initialising}


def _do_nothing() -> None:
    """Stand in for `reset_parameters` of a layer without weights."""


@cache
def _fillers() -> Mapping[CodeType, Callable[..., Any]]:
    """Return by constructor of torch's commonest layers the `reset_parameters` at its end, which only fills weights."""
    layers: tuple[Any, ...] = (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.Linear, nn.LayerNorm)
    return MappingProxyType({layer.__init__.__code__: layer.reset_parameters for layer in layers})


def _allocate_weight(func: Any, args: Any, kwargs: Any) -> Any:
    """Tell a layer that makes its weight not to fill it: that takes a third of the time of building a network."""
    caller = sys._getframe(2)  # below `__torch_function__`
    fill = _fillers().get(caller.f_code)
    if fill is not None:
        layer = caller.f_locals["self"]
        if type(layer).reset_parameters is fill:
            vars(layer)[_RESET] = _do_nothing
    return allocate_blank(func, args, kwargs)


def restore_reset_parameters(modules: Iterable[nn.Module]) -> None:
    """Give the layers of a build their own `reset_parameters` back."""
    for module in modules:
        vars(module).pop(_RESET, None)


class BuildMode(TorchFunctionMode):
    """Runs a constructor as written, but neither allocates nor initialises its weights."""

    def __init__(self) -> None:
        super().__init__()
        self._rules = _build_rules()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        rule = self._rules.get(func)
        if rule is not None:
            return rule(func, args, kwargs or {})
        if kwargs:
            return run_on_meta(func, args, kwargs)
        try:
            return func(*args)
        except Exception:
            return run_on_meta(func, args, {})
