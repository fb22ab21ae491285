"""The records of calls and of values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from archcheck.structure.meta.recorder import Recorder
from archcheck.structure.records import MappingRecord, OpaqueRecord, SequenceRecord, TensorRecord, ValueRecord


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclass
class Output:
    logits: Tensor
    cache: object = None


@pytest.mark.parametrize(
    ("value", "record"),
    [
        (torch.ones(2, 3), TensorRecord((2, 3))),
        (torch.ones((), dtype=torch.int64), TensorRecord((), "int64")),
        (None, OpaqueRecord("NoneType")),
        (Output, OpaqueRecord("type")),
        ([torch.ones(1), 2], SequenceRecord((TensorRecord((1,)), OpaqueRecord("int")))),
        (Pair(torch.ones(1), 2), SequenceRecord((TensorRecord((1,)), OpaqueRecord("int")), ("left", "right"))),
        (torch.ones(3).max(0), SequenceRecord((TensorRecord(()), TensorRecord((), "int64")), ("values", "indices"))),
        ({3: torch.ones(1)}, MappingRecord({"3": TensorRecord((1,))})),
        (Output(torch.ones(1)), MappingRecord({"logits": TensorRecord((1,)), "cache": OpaqueRecord("NoneType")})),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_are_recorded_without_their_tensors(value: Any, record: ValueRecord) -> None:
    assert Recorder().record(value) == record


def test_a_list_that_contains_itself_ends() -> None:
    endless: list[Any] = []
    endless.append(endless)
    depth, record = 0, Recorder().record(endless)
    while isinstance(record, SequenceRecord):
        depth, record = depth + 1, record.items[0]
    assert (depth, record) == (17, OpaqueRecord("list"))


def test_calls_are_numbered_and_start_anew_with_every_pass() -> None:
    model, recorder = nn.Sequential(nn.ReLU(), nn.Identity()), Recorder(shortcuts=False)
    with recorder.watching(dict(model.named_modules())):
        for size in (2, 3):
            forward = recorder.begin({"B": size})
            model(model[0](torch.ones(size)))
            calls = [(call.name, call.index, call.finished) for call in forward.calls]
            assert calls == [("0", 0, 0), ("", 0, 3), ("0", 1, 1), ("1", 0, 2)]
            assert {call.output for call in forward.calls} == {TensorRecord((size,))}
