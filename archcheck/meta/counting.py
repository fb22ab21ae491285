"""Multiply-adds of operations that no shortcut knows, by the formulas of `torch.utils.flop_counter`."""

from __future__ import annotations

from typing import Any

from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode

from archcheck.meta.matmul import Meter


class CountingMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds the multiply-adds of everything that runs inside to a meter, as `FlopCounterMode` would count them.

    That class itself hooks every module of the process while it counts; this one only sees the calling thread.
    """

    supports_higher_order_operators = True

    def __init__(self, meter: Meter) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        from torch.utils.flop_counter import flop_registry  # here, because it takes 70 ms that few networks need

        self._meter = meter
        self._formulas = flop_registry

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        higher_order = isinstance(func, HigherOrderOperator)
        if higher_order and func.name() == "cond":
            chosen, if_true, if_false, operands = args
            with self:
                return (if_true if chosen else if_false)(*operands)
        key = func if higher_order else func._overloadpacket
        formula = self._formulas.get(key)
        if formula is None and not higher_order and _may_decompose(func):
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        out = func(*args, **kwargs)
        if formula is not None:
            self._meter.macs += formula(*args, **kwargs, out_val=out) // 2
        return out


def _may_decompose(func: Any) -> bool:
    return str(func) != "prim.device.default"
