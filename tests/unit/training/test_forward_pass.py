"""The forward pass of a network as its recipe runs it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from archcheck.training.failures import RunFailed
from archcheck.training.forward_pass import ForwardPass
from tests.unit.training.conftest import make_recipe

CPU = torch.device("cpu")


class Halves(nn.Module):
    """Half of what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def forward_pass(network: nn.Module, training: str = "", input: str = "[B, 2]") -> ForwardPass:  # noqa: A002
    return ForwardPass(network, make_recipe(training, input), CPU, torch.zeros(4, 2), Path.cwd())


def test_it_is_the_networks_own() -> None:
    outputs = forward_pass(Halves())(torch.tensor([[1.0, 2.0]]))
    assert outputs.tolist() == [[0.5, 1.0]]


def test_numpys_floats_become_the_specs() -> None:
    assert forward_pass(Halves())(torch.ones(1, 2, dtype=torch.float64)).dtype == torch.float32
    double = forward_pass(Halves().double(), input="{shape: [B, 2], dtype: float64}")
    seen: list[torch.dtype] = []
    double.network.register_forward_pre_hook(lambda _module, args: seen.append(args[0].dtype))
    double(torch.ones(1, 2))
    assert seen == [torch.float64]


def test_what_the_network_raises_is_told() -> None:
    with pytest.raises(RunFailed, match=r"^the forward pass raised RuntimeError: mat1 and mat2") as raised:
        forward_pass(nn.Linear(3, 2))(torch.zeros(1, 2))
    assert raised.value.fault.key == "build"


def test_a_network_that_cannot_be_moved_is_told() -> None:
    class Stuck(Halves):
        def to(self, *args: object, **kwargs: object) -> Stuck:
            raise ValueError("stuck")

    with pytest.raises(RunFailed, match=r"^moving the network to cpu raised ValueError: stuck"):
        forward_pass(Stuck())


def test_what_was_compiled_computes_and_the_network_itself_predicts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda network: lambda x: network(x) + 1)
    forward = forward_pass(Halves(), "compile: true")
    forward.compile()
    assert forward(torch.ones(1, 2)).tolist() == [[1.5, 1.5]]
    assert forward.predict(torch.ones(1, 2)).tolist() == [[0.5, 0.5]]


def test_a_compiled_pass_that_fails_is_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(inputs: Tensor) -> Tensor:
        raise RuntimeError("no graph")

    monkeypatch.setattr(torch, "compile", lambda network: broken)
    forward = forward_pass(Halves(), "compile: true")
    forward.compile()
    with pytest.raises(RunFailed, match=r"^the compiled forward pass raised RuntimeError: no graph") as raised:
        forward(torch.ones(1, 2))
    assert raised.value.fault.key == "compile"
