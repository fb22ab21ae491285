"""The CPU in the place of the accelerators that a network's code names: `.cuda()`, `device="cuda"`.

What runs on the CPU runs there as a whole then, on machines with an accelerator and on those without.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_ACCELERATORS: Final = ("cuda", "xpu", "mps", "npu", "hpu", "mtia", "ipu")
_CPU: Final = torch.device("cpu")


def on_cpu(func: Any, args: Any, kwargs: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Return a function of torch and its arguments with the CPU for an accelerator that they name."""
    if func in _moving():
        return Tensor.to, (args[0], _CPU), {}
    if func is Tensor.to and len(args) > 1 and _is_accelerator(args[1]):
        args = (args[0], _CPU, *args[2:])
    if "device" in kwargs and _is_accelerator(kwargs["device"]):
        kwargs = {**kwargs, "device": _CPU}
    return func, args, kwargs


def names_device(func: Any, kwargs: Mapping[str, Any]) -> bool:
    """Return whether a call of torch may name a device: most don't, and this is asked of every one."""
    return "device" in kwargs or func is Tensor.to or func in _moving()


class AcceleratorsOnCpu(TorchFunctionMode):
    """Lets code that names an accelerator run on the CPU."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        func, args, kwargs = on_cpu(func, args, kwargs or {})
        return func(*args, **kwargs)


@cache
def _moving() -> frozenset[Any]:
    return frozenset(method for kind in _ACCELERATORS if (method := getattr(Tensor, kind, None)) is not None)


def _is_accelerator(device: Any) -> bool:
    if isinstance(device, torch.device):
        return device.type in _ACCELERATORS
    if isinstance(device, str):
        return device.partition(":")[0] in _ACCELERATORS
    return type(device) is int  # the number of one
