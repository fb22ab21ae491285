"""What a gate that is shut for all usual numbers hides is seen under weights that open it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from archcheck.function.diagnosis.likely_cause import likely_cause
from archcheck.function.fingerprint import opened_gates
from archcheck.function.fingerprint.config import FingerprintConfig
from archcheck.function.fingerprint.fingerprint import fingerprint
from archcheck.function.fingerprint.opened_gates import SETS
from archcheck.function.fingerprint.preparation import NetworkFactory
from archcheck.function.health_probe import make_health_probe
from archcheck.function.records import DifferingCall, FunctionRecord
from archcheck.spec.lock import NUM_OPENED_SETS
from tests.unit.function.running import (
    ROWS,
    Computed,
    between,
    difference,
    held_against,
    inputs_of,
    numbers_of,
    recorded,
)

Stem = Callable[[Any, Tensor], Tensor]
Gate = Callable[[Tensor], Tensor]


def _usual_stem(net: Any, x: Tensor) -> Tensor:
    x = functional.relu(net.norm(net.first(x)))
    summed: Tensor = x + net.second(x)
    return summed


DEFECTS: Final[dict[str, Stem]] = {
    "a lost skip connection": lambda net, x: net.second(functional.relu(net.norm(net.first(x)))),
    "another activation": lambda net, x: (y := functional.gelu(net.norm(net.first(x)))) + net.second(y),
    "exchanged layers": lambda net, x: (y := net.norm(functional.relu(net.first(x)))) + net.second(y),
    "a detached branch": lambda net, x: (y := functional.relu(net.norm(net.first(x)))) + net.second(y.detach()),
    "a dropped layer": lambda net, x: (y := functional.relu(net.first(x))) + net.second(y),
}
GATES: Final[dict[str, Gate]] = {
    "hardsigmoid": lambda x: functional.hardsigmoid(30 * x - 120),
    "relu6": lambda x: functional.relu6(200 * x - 400) / 6,
    "clamp": lambda x: (1000 * x).abs().clamp(0.0, 1.0),
    "hardtanh": lambda x: functional.hardtanh(1000 * x),
    "softmax of a small temperature": lambda x: (x / 1e-4).softmax(-1),
    "sigmoid": lambda x: torch.sigmoid(-5000 * x.abs()),
    "two dead units": lambda x: functional.relu(x[:, :2] - 20),
    "a threshold": lambda x: x * (x > 12).to(x.dtype),
}


def _with(gate: Gate, stem: Stem = _usual_stem, **settings: Any) -> NetworkFactory:
    def make() -> nn.Module:
        norm = nn.BatchNorm1d(6, **settings)
        return Computed(lambda net, x: gate(stem(net, x)), first=nn.Linear(8, 6), norm=norm, second=nn.Linear(6, 6))

    return make


@pytest.fixture(scope="module", params=GATES)
def gated(request: pytest.FixtureRequest) -> tuple[Gate, FunctionRecord]:
    gate = GATES[request.param]
    return gate, recorded(_with(gate))


def test_usual_weights_let_no_gradient_through(gated: tuple[Gate, FunctionRecord]) -> None:
    gate, _ = gated
    numbers = recorded(_with(gate), opened=()).root.numbers
    assert abs(numbers.get("inputs", 0.0)) < 1e-30


def test_a_network_with_a_shut_gate_is_as_it_was_recorded(gated: tuple[Gate, FunctionRecord]) -> None:
    gate, record = gated
    assert record.opened
    assert "opened" in record.root.numbers
    assert held_against(record, _with(gate)) is None


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_before_a_shut_gate_is_seen(gated: tuple[Gate, FunctionRecord], defect: str) -> None:
    gate, record = gated
    assert held_against(record, _with(gate, DEFECTS[defect])) is not None


def test_another_epsilon_before_a_shut_gate_is_seen(gated: tuple[Gate, FunctionRecord]) -> None:
    gate, record = gated
    assert held_against(record, _with(gate, eps=1e-3)) is not None


def test_the_message_says_under_what_weights_an_output_differs() -> None:
    original, changed = (_with(GATES["clamp"], stem) for stem in (_usual_stem, DEFECTS["a lost skip connection"]))
    record = recorded(original)
    found = held_against(record, changed)
    assert found == ("output", "the output under weights that open its gates differs")


def test_a_network_whose_gradients_come_through_has_the_numbers_that_it_had() -> None:
    make = between(nn.ReLU, lambda: nn.BatchNorm1d(16), nn.Hardsigmoid)
    record = recorded(make)
    assert record.opened == ()
    assert record.root.numbers == recorded(make, opened=()).root.numbers
    assert "opened" not in record.root.numbers


def test_the_passes_behind_have_the_usual_weights() -> None:
    make = _with(GATES["hardsigmoid"])
    opened, usual = recorded(make).root.numbers, recorded(make, opened=()).root.numbers
    assert opened["large"] == usual["large"]
    assert {key: opened[key] for key in usual.keys() - {"gradient", "inputs"}} == {
        key: usual[key] for key in usual.keys() - {"gradient", "inputs"}
    }


def test_a_record_of_before_is_held_against_the_same_numbers() -> None:
    record = recorded(_with(GATES["hardsigmoid"]), opened=())
    assert record.opened == ()
    assert held_against(record, _with(GATES["hardsigmoid"])) is None


def test_a_gate_that_nothing_opens_leaves_no_trace() -> None:
    make = _with(lambda x: functional.hardsigmoid(-x.square() - 100))
    record = recorded(make)
    assert record.opened == ()
    assert difference(make, make) is None


def test_a_large_network_has_few_sets_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes seconds there; what is recorded is held however long that takes."""
    gate = GATES["a threshold"]
    factory = _with(gate)
    opened = recorded(factory).opened
    assert min(opened) >= opened_gates._LEAST_TRIES
    monkeypatch.setattr(opened_gates, "_SEARCH_SEC", 0.0)
    assert recorded(factory).opened == ()


def test_a_block_that_is_skipped_at_random_is_not_taken_for_one_behind_a_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """As stochastic depth skips it, in train mode only; what no set of weights opens costs a pass for each set."""

    def run(net: Any, x: Tensor) -> Tensor:
        keeps = torch.empty(()).bernoulli_(0.01) if net.training else 1.0
        summed: Tensor = functional.relu(net.first(x)) + net.second(x) * keeps
        return summed

    def make() -> nn.Module:
        return Computed(run, first=nn.Linear(8, 4), second=nn.Linear(8, 4))

    tried: list[int] = []
    monkeypatch.setattr(opened_gates, "use_set", lambda runner, number, perturbation=0.0: tried.append(number))
    assert recorded(make).opened == ()
    assert not tried


def test_what_is_never_used_is_no_reason_to_run_once_more() -> None:
    def make() -> nn.Module:
        return Computed(lambda net, x: net.fc(x), fc=nn.Linear(8, 4), spare=nn.Linear(8, 4))

    assert recorded(make).opened == ()


def test_a_dead_part_beside_one_that_lives_is_opened() -> None:
    def run(net: Any, x: Tensor) -> Tensor:
        return x + functional.hardsigmoid(net.excite(functional.relu(net.squeeze(x))) * 1000)

    def make() -> nn.Module:
        return Computed(run, squeeze=nn.Linear(8, 2), excite=nn.Linear(2, 8))

    def without_relu() -> nn.Module:
        return Computed(
            lambda net, x: x + functional.hardsigmoid(net.excite(net.squeeze(x)) * 1000),
            squeeze=nn.Linear(8, 2),
            excite=nn.Linear(2, 8),
        )

    record = recorded(make)
    assert record.opened
    assert held_against(record, make) is None
    assert held_against(record, without_relu) is not None


def test_sets_under_which_rounding_errors_grow_are_not_taken() -> None:
    def chaotic(x: Tensor) -> Tensor:
        for _ in range(60):  # the logistic map doubles a difference each time
            x = 4 * torch.sigmoid(x) * (1 - torch.sigmoid(x)) * 10 - 5
        return functional.hardtanh(1e6 * (x + 100))

    make = _with(chaotic)
    record = recorded(make)
    assert held_against(record, make) is None


def test_a_lock_names_sets_that_there_are() -> None:
    assert len(SETS) == NUM_OPENED_SETS


class _Experts(nn.Module):
    """A layer of experts of which each row takes one: those that no row takes aren't called."""

    def __init__(self, number: int, odd: int | None) -> None:
        super().__init__()
        self.router = nn.Linear(16, number, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(16, 16), nn.GELU() if i == odd else nn.ReLU()) for i in range(number)
        )

    def forward(self, x: Tensor) -> Tensor:
        weight, chosen = self.router(x).softmax(-1).max(-1)
        out = torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            rows = torch.where(chosen == i)[0]
            if len(rows):
                out[rows] = weight[rows, None] * expert(x[rows])
        return out


def _of_experts(odd: int | None = None, number: int = 6) -> NetworkFactory:
    return between(lambda: _Experts(number, odd))


def test_experts_that_no_row_takes_are_called_under_other_weights() -> None:
    record = recorded(_of_experts())
    called = {call.name for call in record.calls if "eval" in call.numbers and call.name.count(".") == 2}
    assert len(called) < 6  # under the usual weights: there are four rows
    assert record.opened
    assert held_against(record, _of_experts()) is None
    found = [held_against(record, _of_experts(odd)) for odd in range(6)]
    named = [one[0].split(".")[2] for one in found if one is not None and one[0].startswith("1.experts.")]
    assert len(named) > len(called)
    assert named == [str(odd) for odd in range(6) if found[odd] is not None]


class _LastNeverChosen(_Experts):
    """Lost an output of its router: no weights choose the last expert."""

    def __init__(self, number: int, odd: int | None) -> None:
        super().__init__(number, odd)
        self.router = nn.Linear(16, number - 1, bias=False)


@pytest.mark.parametrize(("experts", "unused"), [(_Experts, set()), (_LastNeverChosen, {"1.experts.5.0"})])
def test_health_sees_which_experts_are_never_used_where_a_lock_names_no_sets(
    experts: Callable[[int, int | None], nn.Module], unused: set[str]
) -> None:
    build = between(lambda: experts(6, None))
    config = FingerprintConfig(inputs_of(ROWS), opened=())
    usual = fingerprint(build, config)
    assert {f"1.experts.{i}" for i in range(6)} - {call.name for call in usual.calls}
    health = fingerprint(build, config, make_health_probe(build, None)).health
    assert health is not None
    assert {name.rpartition(".")[0] for name in health.no_gradient} == unused


def test_parameters_that_are_never_used_have_nothing_tried_for_them_where_nothing_is_chosen_by_values() -> None:
    unused = lambda: Computed(lambda net, x: net.used(x), used=nn.Linear(8, 4), unused=nn.Linear(8, 4))  # noqa: E731
    assert recorded(unused).opened == ()


def test_of_what_is_seen_under_one_set_of_weights_the_cause_is_told() -> None:
    gate = GATES["sigmoid"]
    other = _with(gate, DEFECTS["another activation"])
    record = recorded(_with(gate))
    assert len(record.opened) == 1
    numbers = numbers_of(record)
    call = DifferingCall("second", 0, "opened", numbers["second"], whole=numbers["output"])
    config = FingerprintConfig(inputs_of(ROWS), gains=record.gains, large=record.large, opened=record.opened)
    assert likely_cause(other, config, call) == "an activation: gelu now, relu was recorded"
    assert likely_cause(other, replace(config, opened=(0, 2)), call) is None  # of which only the sum is recorded
