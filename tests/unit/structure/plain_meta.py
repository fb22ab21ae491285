"""The ordinary meta forward, the ground truth that traces are compared with: torch's own code and nothing of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from archcheck.structure.meta.building import build_on_meta
from archcheck.structure.records import MappingRecord, OpaqueRecord, SequenceRecord, TensorRecord, ValueRecord

ATEN = torch.ops.aten
# By hand, of the shapes of what goes in: torch has no formula for these.
FLOPS: dict[Any, Callable[..., int]] = {
    ATEN.mv: lambda matrix, *_, **__: 2 * prod(matrix),
    ATEN.vdot: lambda vector, *_, **__: 2 * prod(vector),
    ATEN._trilinear: lambda x, weight, *_, **__: 2 * x[0] * prod(weight),
    ATEN._euclidean_dist: lambda x, y, *_, **__: 2 * prod(x) * y[-2],
}


class PlainForward(NamedTuple):
    calls: list[tuple[str, ValueRecord]]  # in order of entry
    output: ValueRecord
    macs: int


def plain_record(value: Any) -> ValueRecord:
    if isinstance(value, Tensor):
        return TensorRecord(tuple(value.shape), str(value.dtype).removeprefix("torch."))
    if isinstance(value, tuple | list):
        return SequenceRecord(tuple(map(plain_record, value)), getattr(value, "_fields", None))
    if isinstance(value, Mapping):
        return MappingRecord({key: plain_record(item) for key, item in value.items()})
    return OpaqueRecord(type(value).__name__)


def plain_forward(model: nn.Module, *args: Tensor) -> PlainForward:
    """Run a model whose parameters are on meta, watched by forward hooks and counted by FlopCounterMode."""
    entered: list[list[Any]] = []
    running: list[list[Any]] = []
    names = {module: name for name, module in model.named_modules()}

    def enter(module: nn.Module, _: Any) -> None:
        running.append([names[module], None])
        entered.append(running[-1])

    def leave(_: nn.Module, __: Any, out: Any) -> None:
        running.pop()[1] = plain_record(out)

    for module in names:
        module.register_forward_pre_hook(enter)
        module.register_forward_hook(leave)
        for name, buffer in module._buffers.items():
            module._buffers[name] = None if buffer is None else buffer.to("meta")
    model.eval()
    with torch.no_grad(), torch.device("meta"), FlopCounterMode(display=False, custom_mapping=FLOPS) as counter:
        out = model(*args)
    return PlainForward([(name, out) for name, out in entered], plain_record(out), counter.get_total_flops() // 2)


def plain_call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Any, int]:
    """What one function returns on meta, and its multiply-adds."""
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=FLOPS) as counter:
        out = function(*args, **kwargs)
    return out, counter.get_total_flops() // 2


def assert_equals_plain_meta(trace: Any, make: Callable[[], nn.Module], *shapes: tuple[int, ...]) -> None:
    forward = trace.forwards[0]
    assert (trace.device, forward.crash) == ("meta", None)
    plain = plain_forward(build_on_meta(make), *(torch.empty(shape, device="meta") for shape in shapes))
    assert [(call.name, call.output) for call in forward.calls] == plain.calls
    assert (forward.output, forward.macs) == (plain.output, plain.macs)
