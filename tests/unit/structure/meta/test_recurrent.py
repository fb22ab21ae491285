"""Recurrent layers: as in the ordinary meta forward."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import Tensor, nn

from archcheck.spec.inputs import ForwardInput, TensorInput
from archcheck.structure.trace import trace_structure
from tests.unit.structure.plain_meta import assert_equals_plain_meta


class Chained(nn.Module):
    """Applies a recurrent or an attention module and passes on what it returns first."""

    def __init__(self, *stages: nn.Module) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> Tensor:
        for stage in self.stages:
            x = stage(x)[0]
        return x


MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "LSTM": (lambda: nn.LSTM(8, 16, 2), (5, 3, 8)),
    "LSTM bidirectional": (lambda: nn.LSTM(8, 16, 2, bidirectional=True, batch_first=True), (3, 5, 8)),
    "LSTM projected": (lambda: nn.LSTM(8, 16, 2, proj_size=6, bidirectional=True), (5, 3, 8)),
    "LSTM of one sequence": (lambda: nn.LSTM(8, 16, bias=False), (5, 8)),
    "GRU": (lambda: nn.GRU(8, 16, 2, bidirectional=True, batch_first=True), (3, 5, 8)),
    "RNN": (lambda: nn.RNN(8, 16, 2, nonlinearity="relu"), (5, 3, 8)),
    "RNN tanh": (lambda: nn.RNN(8, 16, batch_first=True), (3, 5, 8)),
    "recurrent chain": (lambda: Chained(nn.LSTM(8, 6, batch_first=True), nn.GRU(6, 4, batch_first=True)), (3, 5, 8)),
    "LSTMCell": (lambda: nn.LSTMCell(8, 16), (3, 8)),
    "GRUCell": (lambda: nn.GRUCell(8, 16), (3, 8)),
}


@pytest.mark.parametrize("name", MODULES)
def test_module_equals_plain_meta(name: str) -> None:
    make, shape = MODULES[name]

    trace = trace_structure(make, [ForwardInput((TensorInput(shape),))])

    assert_equals_plain_meta(trace, make, shape)
