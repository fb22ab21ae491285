"""A pass as a graph: it computes what it computes without one, on each batch."""

from __future__ import annotations

import copy
import inspect
import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from archcheck.network.devices import GraphTools, graph_tools
from archcheck.text.paths import path_below
from archcheck.training.failures import RunFailed
from archcheck.training.graphed_pass import EAGER_STEPS, GraphedPass
from archcheck.training.step import TrainingStep
from tests.unit.training.conftest import make_recipe
from tests.unit.training.graphs import CPUModule, CUDALikeModule, cpu_tools

CPU = torch.device("cpu")


class Reading(nn.Module):
    """A network that looks at a value."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x) if float(x.sum()) > -1e9 else x


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> CPUModule:
    """Have the CPU make graphs."""
    tools, module = cpu_tools()
    monkeypatch.setattr("archcheck.training.step.graph_tools", lambda device: tools)
    return module


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def batches(number: int, size: int = 16) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    inputs = [torch.randn(size, 4, generator=generator) for _ in range(number)]
    return [(one, (one[:, 0] > 0).long()) for one in inputs]


def trained(net: nn.Module, recipe: str, data: list[tuple[Tensor, Tensor]]) -> tuple[list[float], TrainingStep]:
    """Train a network, with the learning rate halved in the middle; return its losses."""
    step = TrainingStep(net.train(), make_recipe(recipe, "[B, 4]"), CPU, data[0][0], None)
    losses = []
    for number, (inputs, targets) in enumerate(data):
        if number == len(data) // 2:
            for group in step.optimizer.param_groups:
                group["lr"] /= 2
        losses.append(float(step(inputs, targets)[0]))
    return losses, step


@pytest.mark.parametrize(
    "keys",
    [
        "optimizer: {name: SGD, lr: 0.1, momentum: 0.9}",
        "optimizer: {name: Adam, lr: 0.01}",
        "optimizer: {name: SGD, lr: 0.5}\nclip_grad_norm: 0.1",
        "optimizer: {name: SGD, lr: 0.1}\nlabel_smoothing: 0.1",
    ],
)
def test_a_graph_trains_as_the_steps_that_it_stands_for(module: CPUModule, keys: str) -> None:
    plain, graphed = network(), network()
    expected, _ = trained(plain, f"{keys}\ngraph: false", batches(8))
    losses, step = trained(graphed, f"{keys}\ngraph: true", batches(8))
    assert step.graph_problem is None
    assert [one.num_replays for one in module.graphs] == [8 - EAGER_STEPS]
    assert losses == pytest.approx(expected, rel=1e-5)
    for ours, theirs in zip(graphed.state_dict().values(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_first_steps_run_beside_what_is_captured(module: CPUModule) -> None:
    trained(network(), "graph: true", batches(EAGER_STEPS + 1))
    beside = ["side waits for current", "on side", "current waits for side"]
    assert module.log == [*beside * EAGER_STEPS, "capture, thread_local"]


def test_a_batch_of_another_size_runs_without_the_graph(module: CPUModule) -> None:
    data = [*batches(4), *batches(1, size=5), *batches(2)]
    expected, _ = trained(network(), "graph: false", data)
    losses, _ = trained(network(), "graph: true", data)
    assert losses == pytest.approx(expected, rel=1e-5)
    assert [one.num_replays for one in module.graphs] == [4 - EAGER_STEPS + 2]


def test_evaluation_between_steps_is_no_part_of_it(module: CPUModule) -> None:
    net, data = network(), batches(6)
    step = TrainingStep(net.train(), make_recipe("graph: true", "[B, 4]"), CPU, data[0][0], None)
    for inputs, targets in data:
        step(inputs, targets)
        net.eval()
        with torch.no_grad():
            outputs = step.predict(inputs[:3])
        assert torch.equal(outputs, copy.deepcopy(net)(inputs[:3]))
        net.train()
    assert len(module.graphs) == 1


def test_what_can_not_be_captured_goes_on_without_and_says_why(module: CPUModule) -> None:
    torch.manual_seed(3)
    expected, _ = trained(Reading(), "graph: false", batches(5))
    torch.manual_seed(3)
    losses, step = trained(Reading(), "graph: true", batches(5))
    assert losses == expected
    assert step.graph_problem is not None
    assert "RuntimeError: operation not permitted when stream is capturing" in step.graph_problem
    assert len(module.graphs) == 1
    assert module.current.name == "current"


def test_what_waits_for_the_device_is_told_and_never_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    tools, module = cpu_tools(CUDALikeModule)
    monkeypatch.setattr("archcheck.training.step.graph_tools", lambda device: tools)
    torch.manual_seed(3)
    expected, _ = trained(Reading(), "graph: false", batches(5))
    torch.manual_seed(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        losses, step = trained(Reading(), "graph: true", batches(5))
    assert losses == expected
    line = inspect.getsourcelines(Reading.forward)[1] + 1
    assert step.graph_problem == f"{path_below(Path(__file__))}:{line} waits for the device, which a graph can't"
    assert module.graphs == []


def test_what_a_network_warns_of_is_still_told_where_waits_are_noted() -> None:
    tools, module = cpu_tools(CUDALikeModule)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with tools.noted_waits() as waits:
            warnings.warn("of the network", stacklevel=1)
            assert float(torch.ones(1)) == 1
    assert [(str(one.message), Path(one.filename)) for one in told] == [("of the network", Path(__file__))]
    assert len(waits) == 1
    assert isinstance(module, CUDALikeModule)
    assert module.mode == "default"


def test_a_network_that_waits_for_nothing_is_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    tools, module = cpu_tools(CUDALikeModule)
    monkeypatch.setattr("archcheck.training.step.graph_tools", lambda device: tools)
    _, step = trained(network(), "graph: true", batches(5))
    assert step.graph_problem is None
    assert [one.num_replays for one in module.graphs] == [5 - EAGER_STEPS]


def test_calibration_is_told_that_there_is_no_graph(module: CPUModule) -> None:
    data = batches(EAGER_STEPS + 1)
    step = TrainingStep(
        Reading().train(), make_recipe("graph: true", "[B, 4]"), CPU, data[0][0], None, needs_graph=True
    )
    for inputs, targets in data[:-1]:
        step(inputs, targets)
    with pytest.raises(RunFailed, match="operation not permitted when stream is capturing") as failed:
        step(*data[-1])
    assert failed.value.fault.key == "graph"


def test_lbfgs_runs_the_network_as_often_as_it_needs(module: CPUModule) -> None:
    _, step = trained(network(), "graph: true\noptimizer: {name: LBFGS}", batches(2))
    assert step.graph_problem == "LBFGS runs the network as often as it needs"
    assert module.graphs == []


def test_a_device_without_graphs_trains_without() -> None:
    assert graph_tools(CPU) is None
    _, step = trained(network(), "graph: true", batches(2))
    assert step.graph_problem == "torch has no graphs for cpu"


def test_a_pass_without_gradients_for_a_parameter_leaves_none() -> None:
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))

    def run(inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        loss = (used * inputs).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach(), inputs

    tools: GraphTools = cpu_tools()[0]
    graphed = GraphedPass(run, [used, unused], tools)
    for factor in range(1, 6):
        graphed(torch.full((2,), float(factor)), torch.zeros(1))
        assert used.grad is not None
        assert used.grad.tolist() == [factor, factor]
        assert unused.grad is None


on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.mark.accelerator
@on_a_gpu
def test_a_gpu_goes_on_where_it_can_capture_nothing() -> None:
    device, data = torch.device("cuda", 0), batches(EAGER_STEPS + 4)
    net = nn.Sequential(Reading(), nn.Dropout(0.1)).to(device).train()
    step = TrainingStep(net, make_recipe("graph: true", "[B, 4]"), device, data[0][0].to(device), None)
    losses = [float(step(inputs.to(device), targets.to(device))[0]) for inputs, targets in data]
    assert step.graph_problem is not None
    assert all(0 < loss < 10 for loss in losses)
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    torch.cuda.empty_cache()  # an allocator for which a capture is still going on raises


@pytest.mark.accelerator
@on_a_gpu
@pytest.mark.parametrize(
    "keys", ["optimizer: {name: Adam, lr: 0.01}", "optimizer: {name: SGD, lr: 0.1, momentum: 0.9}"]
)
def test_a_graph_of_a_gpu_trains_as_the_steps_that_it_stands_for(keys: str) -> None:
    device, losses = torch.device("cuda", 0), []
    for graph in ("false", "true"):
        net = network().to(device)
        data = [(inputs.to(device), targets.to(device)) for inputs, targets in batches(12)]
        step = TrainingStep(net.train(), make_recipe(f"{keys}\ngraph: {graph}", "[B, 4]"), device, data[0][0], None)
        losses.append([float(step(*batch)[0]) for batch in data])
        assert step.graph_problem is None
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
