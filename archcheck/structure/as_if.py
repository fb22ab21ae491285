"""A forward pass as if some layers put out something else, to see what only follows from what they put out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch import nn

from archcheck.spec.inputs import ForwardInput
from archcheck.structure.meta.model_copy import unwrapped
from archcheck.structure.meta.module_tree import named_network
from archcheck.structure.records import SequenceRecord, StructureTrace, TensorRecord, ValueRecord
from archcheck.structure.trace import trace_structure

Outputs: TypeAlias = Mapping[str, Mapping[int, ValueRecord]]  # by module, and number of its call


def trace_as_if(make: Callable[[], nn.Module], item: ForwardInput, outputs: Outputs) -> StructureTrace:
    """Trace one forward pass on the meta device in which the calls in `outputs` put out what is given, and don't run.

    A record is one that `can_be_made` says yes to.
    """
    replaced: list[nn.Module] = []

    def make_replaced() -> nn.Module:
        model = make()
        modules = named_network(unwrapped(model)).modules if isinstance(model, nn.Module) else {}
        for name, records in outputs.items():
            if name in modules and "forward" not in vars(modules[name]):
                replaced.append(modules[name])
                vars(modules[name])["forward"] = _replacement(modules[name].forward, records)
        return model

    with _restored(replaced):
        return trace_structure(make_replaced, [item], only_meta=True)


@contextmanager
def _restored(replaced: list[nn.Module]) -> Iterator[None]:
    """Give modules their own forward back: a build may return one instance every time."""
    try:
        yield
    finally:
        for module in replaced:
            vars(module).pop("forward", None)


def _replacement(forward: Callable[..., Any], records: Mapping[int, ValueRecord]) -> Callable[..., Any]:
    """Return a forward that makes what is recorded for a call, and runs for the others."""
    num_calls = 0

    def replacement(*args: Any, **kwargs: Any) -> Any:
        nonlocal num_calls
        num_calls += 1
        record = records.get(num_calls - 1)
        return forward(*args, **kwargs) if record is None else _made(record)

    return replacement


def can_be_made(record: ValueRecord) -> bool:
    """Return whether a value is made of tensors in tuples, so that it can be made from its record."""
    if isinstance(record, SequenceRecord):
        return record.fields is None and all(map(can_be_made, record.items))
    return isinstance(record, TensorRecord)


def _made(record: ValueRecord) -> Any:
    if isinstance(record, SequenceRecord):
        return tuple(map(_made, record.items))
    assert isinstance(record, TensorRecord)
    return torch.empty(record.shape, dtype=getattr(torch, record.dtype), device="meta")
