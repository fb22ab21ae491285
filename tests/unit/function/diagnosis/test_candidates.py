"""Where the cause of a difference is looked for first."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from archcheck.function.diagnosis.likely_cause import likely_cause
from archcheck.function.fingerprint.config import FingerprintConfig
from archcheck.function.fingerprint.fingerprint import fingerprint
from archcheck.function.fingerprint.preparation import NetworkFactory
from archcheck.function.records import DifferingCall
from tests.unit.function.diagnosis.asking import LINEAR, Layers, asked, computing
from tests.unit.function.running import inputs_of


class Deep(nn.Module):
    """Residual layers with a tanh, and one with another activation."""

    def __init__(self, num_layers: int, odd: int = -1) -> None:
        super().__init__()
        self.layers, self.odd = nn.ModuleList(nn.Linear(4, 4) for _ in range(num_layers)), odd

    def forward(self, x: Tensor) -> Tensor:
        for i, layer in enumerate(self.layers):
            hidden = layer(x)
            x = x + 0.01 * (hidden.relu() if i == self.odd else hidden.tanh())
        return x


def test_what_ran_before_the_first_call_inside_that_differs_comes_first() -> None:
    config = FingerprintConfig(inputs_of([4, 4]))
    record = fingerprint(lambda: Deep(200), config)
    call = DifferingCall("", 0, "eval", record.root.numbers, inner=("layers.101", 0))
    found = likely_cause(lambda: Deep(200, odd=100), config, call)
    assert found == "an activation: relu now, tanh was recorded"


def test_nan_is_looked_into_where_it_begins() -> None:
    recorded = computing(lambda net, x: net.b(net.a(x).abs().log().sin()), LINEAR)
    now = computing(lambda net, x: net.b(net.a(x).log().sin()), LINEAR)
    assert asked(recorded, now, "b") == "an abs is missing before log"


def test_nan_from_the_layers_before_has_no_cause() -> None:
    num_passes = 0

    class Logarithm(nn.Module):
        def __init__(self, *, of_size: bool) -> None:
            super().__init__()
            self.of_size = of_size

        def forward(self, x: Tensor) -> Tensor:
            nonlocal num_passes
            num_passes += 1
            return (x.abs() if self.of_size else x).log()

    def build(of_size: bool) -> NetworkFactory:
        layers: Layers = {**LINEAR, "log": partial(Logarithm, of_size=of_size)}
        return computing(lambda net, x: net.b(net.log(net.a(x)).sin()), layers)

    recorded, now = build(of_size=True), build(of_size=False)
    assert asked(recorded, now, "b") is None
    assert num_passes < 10
