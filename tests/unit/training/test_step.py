"""One step of training, against the same step written out."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from archcheck.training.failures import RunFailed
from archcheck.training.step import TrainingStep
from tests.unit.training.conftest import make_recipe

CPU = torch.device("cpu")


def step_of(network: nn.Module, training: str = "", input: str = "[B, 2]") -> TrainingStep:  # noqa: A002
    return TrainingStep(network, make_recipe(training, input), CPU, torch.zeros(4, 2), None)


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    return torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5], [-2.0, 1.0]]), torch.tensor([0, 1, 1, 0])


def twins() -> tuple[nn.Linear, nn.Linear]:
    torch.manual_seed(0)
    ours, theirs = nn.Linear(2, 2), nn.Linear(2, 2)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def test_a_step_is_forward_loss_backward_update(batch: tuple[Tensor, Tensor]) -> None:
    ours, theirs = twins()
    loss, outputs = step_of(ours, "optimizer: {name: SGD, lr: 0.5}")(*batch)
    expected = nn.functional.cross_entropy(theirs(batch[0]), batch[1])
    weight, bias = torch.autograd.grad(expected, list(theirs.parameters()))
    assert float(loss) == pytest.approx(float(expected))
    assert torch.allclose(outputs, theirs(batch[0]))
    assert torch.allclose(ours.weight, theirs.weight - 0.5 * weight)
    assert torch.allclose(ours.bias, theirs.bias - 0.5 * bias)


def test_the_gradients_norm_is_clipped(batch: tuple[Tensor, Tensor]) -> None:
    ours, theirs = twins()
    step_of(ours, "optimizer: {name: SGD, lr: 1.0}\nclip_grad_norm: 0.01")(*batch)
    moved = torch.cat([(ours.weight - theirs.weight).flatten(), ours.bias - theirs.bias])
    assert float(moved.norm()) == pytest.approx(0.01, rel=1e-3)


def test_lbfgs_takes_several_looks_in_a_step(batch: tuple[Tensor, Tensor]) -> None:
    """A quadratic in two unknowns: solved in one step of many iterations."""
    network = nn.Linear(2, 1, bias=False)
    step = step_of(
        network, "optimizer: {name: LBFGS, lr: 1.0, max_iter: 50, line_search_fn: strong_wolfe}\nloss: MSELoss"
    )
    step(batch[0], batch[0] @ torch.tensor([[2.0], [-3.0]]))
    assert torch.allclose(network.weight, torch.tensor([[2.0, -3.0]]), atol=1e-3)


class Named(NamedTuple):
    logits: Tensor
    aux: Tensor


@dataclass
class Output:
    loss: None
    logits: Tensor


class Wrapped(nn.Module):
    """A network that wraps its answer, and takes its input by keyword."""

    def __init__(self, wrap: Any) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 2)
        self.wrap = wrap

    def forward(self, *, pixels: Tensor) -> Any:
        return self.wrap(self.fc(pixels))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda y: y,
        lambda y: (y, y * 0),
        lambda y: [y],
        lambda y: {"aux": y * 0, "logits": y},
        lambda y: {"out": y, "aux": y * 0},
        lambda y: {"anything": y},
        lambda y: Named(y, y * 0),
        lambda y: Output(None, y),
    ],
    ids=["tensor", "tuple", "list", "logits", "out", "one", "namedtuple", "dataclass"],
)
def test_an_answer_may_be_wrapped_and_an_input_named(wrap: Any, batch: tuple[Tensor, Tensor]) -> None:
    network = Wrapped(wrap)
    step = step_of(network, input="{pixels: [B, 2]}")
    assert torch.allclose(step.predict(batch[0]), network.fc(batch[0]))
    step(*batch)


@pytest.mark.parametrize("answer", [None, "text", (), {"a": 1}, [None]])
def test_an_answer_without_a_tensor_is_told(answer: Any, batch: tuple[Tensor, Tensor]) -> None:
    network = Wrapped(lambda _: answer)
    with pytest.raises(RunFailed, match=r"the network returns .*, expected a tensor to train on"):
        step_of(network, input="{pixels: [B, 2]}")(*batch)


class Several(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 2)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.fc(a) - self.fc(b)  # type: ignore[no-any-return]


@pytest.mark.parametrize("pack", [lambda x: (x, x), lambda x: {"a": x, "b": x}])
def test_several_inputs_go_by_position_or_name(pack: Any, batch: tuple[Tensor, Tensor]) -> None:
    step = step_of(Several(), input="[[B, 2], [B, 2]]")
    inputs = pack(batch[0])
    assert isinstance(inputs, tuple | Mapping)
    assert torch.equal(step.predict(inputs), torch.zeros(4, 2))


def test_a_lazy_network_knows_its_sizes_before_the_optimizer_asks() -> None:
    lazy = nn.LazyLinear(3)
    step = step_of(nn.Sequential(lazy, nn.LazyBatchNorm1d(), nn.Linear(3, 2)), "init: zeros")
    assert sum(parameter.numel() for parameter in step.parameters) == 2 * 3 + 3 + 6 + 3 * 2 + 2
    assert torch.equal(lazy.weight, torch.zeros(3, 2))


def test_bf16_computes_in_bf16_and_answers_in_float32(batch: tuple[Tensor, Tensor]) -> None:
    seen: list[torch.dtype] = []
    network = nn.Linear(2, 2)
    network.register_forward_hook(lambda _module, _args, output: seen.append(output.dtype))
    _, outputs = step_of(network, "precision: bf16")(*batch)
    assert seen == [torch.bfloat16]
    assert outputs.dtype == network.weight.dtype == torch.float32


def test_channels_last_is_the_layout_of_inputs_and_weights() -> None:
    seen: list[bool] = []
    conv = nn.Conv2d(3, 4, 3)
    network = nn.Sequential(conv, nn.Flatten(), nn.Linear(4 * 36, 2))
    conv.register_forward_pre_hook(
        lambda _module, args: seen.append(args[0].is_contiguous(memory_format=torch.channels_last))
    )
    recipe = make_recipe("memory_format: channels_last", "[B, 3, 8, 8]")
    inputs = torch.randn(4, 3, 8, 8)
    TrainingStep(network, recipe, CPU, inputs, None)(inputs, torch.tensor([0, 1, 0, 1]))
    assert seen == [True]
    assert conv.weight.is_contiguous(memory_format=torch.channels_last)


def test_a_network_without_trainable_parameters_is_told() -> None:
    for network in (nn.Identity(), nn.Linear(2, 2).requires_grad_(False)):
        with pytest.raises(RunFailed, match="the network has no trainable parameter"):
            step_of(network)


@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("clang++") is None, reason="needs a C++ compiler")
def test_a_compiled_step_is_the_same_step(batch: tuple[Tensor, Tensor]) -> None:
    ours, theirs = twins()
    step_of(ours, "compile: true\noptimizer: {name: SGD, lr: 0.5}")(*batch)
    step_of(theirs, "optimizer: {name: SGD, lr: 0.5}")(*batch)
    assert torch.allclose(ours.weight, theirs.weight, atol=1e-6)
