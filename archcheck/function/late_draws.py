"""Networks built without drawing their large weights: of each no more numbers are drawn than are looked at.

The numbers of a weight that is drawn at once don't hang together, nor do they after arithmetic with constants; so a few
of them say what all would. Where anything else reads or writes to a weight meanwhile, all of it is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from archcheck.function.fingerprint.late_values import LARGE, LateValues, reads_values

aten = torch.ops.aten

_DRAWS: Final = frozenset({aten.normal_.default, aten.uniform_.default, aten.exponential_.default})
_OVERWRITING: Final = frozenset({aten.fill_.Scalar, aten.fill_.Tensor, aten.zero_.default, aten.copy_.default})
_COMPARISONS: Final = (aten.lt.Scalar, aten.gt.Scalar)
_FAR: Final = 9.0  # standard deviations, which a normal number is beyond once in 10**18 times
_ARITHMETIC: Final = frozenset(
    [
        *(aten.mul_.Tensor, aten.mul_.Scalar, aten.div_.Tensor, aten.div_.Scalar, aten.add_.Tensor, aten.add_.Scalar),
        *(aten.sub_.Tensor, aten.sub_.Scalar, aten.erfinv_.default, aten.clamp_.default, aten.clamp_min_.default),
        aten.clamp_max_.default,
    ]
)


@dataclass(slots=True)
class _Steps:
    """What is done to a weight, one after the other: a draw, and arithmetic."""

    calls: list[tuple[Any, Sequence[Any], Any]] = field(default_factory=list)

    def are_never_beyond(self, func: Any, bound: Any) -> bool:
        """Return whether normal numbers are all on one side of a bound that is far out, as trunc_normal_ asks."""
        draw, given, _ = self.calls[0]
        if draw is not aten.normal_.default or len(self.calls) > 1 or not isinstance(bound, int | float):
            return False
        mean, std = given[0] if given else 0.0, given[1] if len(given) > 1 else 1.0
        distance = mean - bound if func is aten.lt.Scalar else bound - mean
        return bool(distance > _FAR * std)

    def __call__(self, tensor: Tensor) -> None:
        for func, args, kwargs in self.calls:
            func(tensor, *args, **kwargs)


class LateDraws(TorchDispatchMode):
    """Draws large weights only when they are read.

    Attributes:
        late: those that nothing has read so far.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.late = LateValues()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled while this is on, and guarding against that takes a third of the time

    def draw_some(self, weight: Tensor, count: int) -> Tensor | None:
        """Draw so many numbers of a weight that hasn't been drawn; None where it has."""
        steps = self.late.waiting(weight)
        if steps is None:
            return None
        values = torch.empty(count, dtype=weight.dtype)
        steps(values)
        return values

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        first = args[0] if args else None
        steps = self.late.waiting(first)
        if isinstance(first, Tensor) and func in _DRAWS and _is_plain(first, kwargs):
            self.late.put_off(first, _Steps([(func, args[1:], kwargs)]))
            return first
        if isinstance(steps, _Steps) and func in _ARITHMETIC and not any(isinstance(one, Tensor) for one in args[1:]):
            steps.calls.append((func, args[1:], kwargs))
            return first
        if isinstance(steps, _Steps) and func in _COMPARISONS and steps.are_never_beyond(func, args[1]):
            return torch.zeros((), dtype=torch.bool).expand(args[0].shape)
        if steps is not None and func in _OVERWRITING:
            self.late.give_up(args[0])
        if self.late and (not isinstance(func, torch._ops.OpOverload) or reads_values(func)):
            self.late.make((args, kwargs))
        return func(*args, **kwargs)


def _is_plain(tensor: Tensor, kwargs: Any) -> bool:
    """Return whether a draw may be put off: a large one on the CPU, over all of a memory, from the usual generator."""
    if tensor.numel() < LARGE or not tensor.is_floating_point() or tensor.device.type != "cpu":
        return False
    is_whole = tensor.numel() * tensor.element_size() == tensor.untyped_storage().nbytes()
    return is_whole and kwargs.get("generator") is None
