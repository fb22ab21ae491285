"""What is timed: networks of a few weights, and what they see in a step."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archcheck.network.torch_state import seeded
from archcheck.spec.spec_file import parse_spec
from archcheck.throughput.peak_memory import resident_bytes
from archcheck.throughput.plan import resolve_plan
from archcheck.throughput.workload import Workload, num_steps_lasting
from archcheck.training.failures import RunFailed

CPU = torch.device("cpu")
HERE = "tests.unit.throughput.test_workload"
LINEAR = "build: torch.nn:Linear\nargs: {in_features: 3, out_features: 2, bias: false}\ninput: [B, 3]\n"


@pytest.fixture(autouse=True)
def _world() -> Iterator[None]:
    with seeded(0, CPU, 1):
        yield


def workload_of(text: str) -> Workload:
    spec_file = parse_spec(text, path=Path("small.arch.yaml"))
    return Workload(spec_file, resolve_plan(spec_file.spec, "full"), CPU, None)


def trained(training: str = "", text: str = LINEAR) -> Workload:
    """A workload by the keys of a recipe, at four examples."""
    return workload_of(f"{text}training: {{dataset: d, batch_size: 4{', ' if training else ''}{training}}}\n")


def built(network: str, size: str, training: str = "") -> Workload:
    """One of this module's networks."""
    return trained(training, f"build: {HERE}:{network}\ninput: {size}\n")


class Seeing(nn.Module):
    """Notes what it's called with, and how."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 2)
        self.seen: list[Any] = []
        self.modes: list[tuple[bool, ...]] = []

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        self.seen.append(kwargs or args)
        self.modes.append((self.training, torch.is_grad_enabled(), torch.is_inference_mode_enabled()))
        values = [*args, *kwargs.values()]
        nested = values[0].values() if isinstance(values[0], Mapping) else values[0]
        first = values[0] if isinstance(values[0], Tensor) else next(iter(nested))
        return self.fc(first.float()[:, :3])  # type: ignore[no-any-return]


# ------------------------------------------------------------------------------------------- nothing changes


@pytest.mark.parametrize(
    "optimizer",
    [
        "{name: SGD, lr: 0.5, momentum: 0.9, nesterov: true, weight_decay: 0.1}", "{name: AdamW, lr: 0.5}",
        "{name: Adam, lr: 0.5, weight_decay: 0.1}", "Adagrad", "RMSprop", "Adadelta", "ASGD", "Adafactor", "LBFGS",
        "Rprop",
        "{name: LBFGS, line_search_fn: strong_wolfe}",
    ],
)  # fmt: skip
def test_steps_change_no_weight(optimizer: str) -> None:
    workload = trained(f"optimizer: {optimizer}")
    weight = workload.network.get_parameter("weight")
    before = weight.detach().clone()
    workload.run(5)
    assert torch.equal(weight, before)
    assert weight.grad is not None
    assert float(weight.grad.abs().sum()) > 0


def test_every_group_of_parameters_stays() -> None:
    workload = built("deep", "[B, 3]", "optimizer: {name: Adam, lr: 0.5}")
    before = [one.detach().clone() for one in workload.network.parameters()]
    workload.run(5)
    assert all(map(torch.equal, before, workload.network.parameters()))


def deep() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))


def test_torch_is_afterwards_as_before() -> None:
    def state() -> tuple[Any, ...]:
        settings = torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()
        return settings, torch.get_rng_state().tolist(), random.getstate(), torch.is_inference_mode_enabled()

    before = state()
    for mode in ("train", "inference"):
        with seeded(7, CPU, 1):
            workload_of(f"{LINEAR}throughput: {{mode: {mode}, batch_size: 4, precision: bf16}}\n").run(2)
        assert state() == before


def test_a_network_that_others_use_too_is_left_alone() -> None:
    workload = built("SHARED", "[B, 3]")
    workload.run(2)
    assert SHARED[1].num_batches_tracked == 0
    assert SHARED.training


SHARED = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


# ------------------------------------------------------------------------------------------- what a step is


def test_a_step_of_training_normalises_by_its_batch() -> None:
    """The look at the outputs beforehand is none: it counts no batch."""
    workload = built("normalised", "[B, 3]")
    workload.run(2)
    norm = workload.network.get_submodule("1")
    outputs = nn.functional.linear(workload.inputs, workload.network.get_parameter("0.weight"))
    assert norm.num_batches_tracked == 2
    assert torch.allclose(norm.running_mean, 0.19 * outputs.mean(0), atol=1e-6)  # type: ignore[arg-type]


def normalised() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2, bias=False), nn.BatchNorm1d(2))


def test_it_has_gradients_even_where_the_caller_has_none() -> None:
    workload = built("Seeing", "[B, 3]")
    with torch.no_grad():
        workload.run(1)
    assert workload.network.modes[-1] == (True, True, False)  # type: ignore[index]


def test_a_step_of_inference_has_none_and_runs_in_evaluation_mode() -> None:
    text = f"build: {HERE}:Seeing\ninput: [B, 3]\nthroughput: {{mode: inference, batch_size: 4}}\n"
    workload = workload_of(text)
    workload.run(2)
    assert workload.network.modes == [(False, False, True)] * 2
    assert workload.network.get_parameter("fc.weight").grad is None


def test_a_run_takes_as_many_steps_as_asked() -> None:
    workload = built("Seeing", "[B, 3]")
    before = len(workload.network.seen)  # type: ignore[arg-type]
    assert workload.run(3) > 0
    workload.step()
    assert len(workload.network.seen) == before + 4  # type: ignore[arg-type]


def test_without_training_a_step_minimises_the_outputs_mean_square() -> None:
    """The gradient of mean(y²) for y = x Wᵀ of 4 x 2 numbers: 2 yᵀ x / 8."""
    workload = workload_of(LINEAR + "throughput: {batch_size: 4}\n")
    workload.step()
    weight = workload.network.get_parameter("weight")
    assert weight.grad is not None
    assert torch.allclose(weight.grad, (workload.inputs @ weight.T).T @ workload.inputs / 4, atol=1e-6)


@pytest.mark.parametrize("network", ["Score", "Sum"])
def test_without_training_any_output_will_do(network: str) -> None:
    workload = workload_of(f"build: {HERE}:{network}\ninput: [B, 3]\nthroughput: {{batch_size: 4}}\n")
    assert workload.run(1) > 0


class Score(nn.Module):
    """One number for each example."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x)[:, 0]  # type: ignore[no-any-return]


class Sum(Score):
    """One number."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).sum()


def seen_by(loss: type[nn.Module], monkeypatch: pytest.MonkeyPatch, workload: Workload) -> tuple[Tensor, Tensor]:
    seen: list[tuple[Tensor, Tensor]] = []
    forward = loss.forward

    def look(self: nn.Module, outputs: Tensor, targets: Tensor) -> Any:
        seen.append((outputs.detach(), targets))
        return forward(self, outputs, targets)

    monkeypatch.setattr(loss, "forward", look)
    workload.step()
    return seen[-1]


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss, nn.NLLLoss, nn.MultiMarginLoss])
def test_losses_of_classes_have_one_for_each_example(monkeypatch: pytest.MonkeyPatch, loss: type[nn.Module]) -> None:
    _, targets = seen_by(loss, monkeypatch, trained(f"loss: {loss.__name__}"))
    assert (targets.dtype, targets.shape) == (torch.int64, (4,))
    assert set(targets.tolist()) <= {0, 1}


def test_segmentation_has_one_for_each_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    workload = trained("", "build: torch.nn:Conv2d\nargs: {in_channels: 1, out_channels: 5, kernel_size: 3}\n"
                       "input: [B, 1, 8, 9]\n")  # fmt: skip
    _, targets = seen_by(nn.CrossEntropyLoss, monkeypatch, workload)
    assert (targets.dtype, targets.shape) == (torch.int64, (4, 6, 7))
    assert set(targets.flatten().tolist()) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(
    "loss",
    [
        nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss, nn.PoissonNLLLoss, nn.BCEWithLogitsLoss, nn.BCELoss,
        nn.SoftMarginLoss, nn.MultiLabelSoftMarginLoss,
    ],
)  # fmt: skip
def test_losses_of_numbers_have_one_for_each_output(monkeypatch: pytest.MonkeyPatch, loss: type[nn.Module]) -> None:
    outputs, targets = seen_by(loss, monkeypatch, built("squashed", "[B, 3]", f"loss: {loss.__name__}"))
    assert (targets.dtype, targets.shape) == (outputs.dtype, outputs.shape) == (torch.float32, (4, 2))
    assert bool(((targets >= 0) & (targets <= 1)).all())


def squashed() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2), nn.Sigmoid())


# ------------------------------------------------------------------------------------------- inputs


def test_whole_numbers_are_below_their_bound() -> None:
    text = "build: torch.nn:EmbeddingBag\nargs: {num_embeddings: 7, embedding_dim: 2}\n"
    workload = trained("", text + "input: {shape: [B, 50], below: 7}\n")
    assert (workload.inputs.dtype, workload.inputs.shape) == (torch.int64, (4, 50))
    assert set(workload.inputs.flatten().tolist()) == set(range(7))
    workload.run(1)


def shapes(value: Any) -> Any:
    if isinstance(value, Tensor):
        return list(value.shape)
    if isinstance(value, dict):
        return {key: shapes(item) for key, item in value.items()}
    return tuple(map(shapes, value))


@pytest.mark.parametrize("mode", ["train", "inference"])
@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ("[B, 3]", ([4, 3],)),
        ("[[B, 3], [B, 5]]", ([4, 3], [4, 5])),
        ("{pixels: [B, 3]}", {"pixels": [4, 3]}),
        ("{a: [B, 3], b: [[B, 5], [B]]}", {"a": [4, 3], "b": ([4, 5], [4])}),
        ("[[B, 3], {a: [B, 5]}]", ([4, 3], {"a": [4, 5]})),
        ("[[[B, 3], [B, 5]]]", (([4, 3], [4, 5]),)),
        ("[{a: [B, 3], b: [B, 5]}]", ({"a": [4, 3], "b": [4, 5]},)),
    ],
    ids=["one", "two", "keyword", "keywords", "map at the end", "one list", "one map"],
)
def test_inputs_are_passed_as_the_spec_has_them(given: str, seen: Any, mode: str) -> None:
    text = f"build: {HERE}:Seeing\ninput: {given}\nthroughput: {{mode: {mode}, batch_size: 4}}\n"
    workload = workload_of(text)
    workload.step()
    assert shapes(workload.network.seen[-1]) == seen  # type: ignore[index]


# ------------------------------------------------------------------------------------------- memory and time


def test_what_is_held_between_steps_is_batch_weights_and_the_optimizers_state() -> None:
    """Inputs 4 * 3 * 4 bytes, targets 4 * 8, the weight 6 * 4, and its momentum as much once there is one."""
    workload = trained("optimizer: {name: SGD, lr: 0.1, momentum: 0.9}")
    assert resident_bytes(workload.resident()) == 48 + 32 + 24
    workload.step()
    assert resident_bytes(workload.resident()) == 48 + 32 + 24 + 24


def test_inference_holds_batch_weights_and_buffers() -> None:
    """Inputs 48 bytes, weights 24 + 2 * 8, buffers 2 * 8 + 8."""
    text = f"build: {HERE}:normalised\ninput: [B, 3]\nthroughput: {{mode: inference, batch_size: 4}}\n"
    assert resident_bytes(workload_of(text).resident()) == 48 + 40 + 24


class Slow(nn.Linear):
    """Takes 5 seconds at first in training, then 2, then 1, of a clock that nothing else moves."""

    now = 0.0
    left = (1.0,)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - its base's name
        if self.training:
            Slow.now += self.left[0]
            Slow.left = self.left[1:] or self.left
        return super().forward(input)


def test_the_warm_up_tells_the_first_step_and_the_best_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Slow, "left", (5.0, 2.0, 1.0))
    monkeypatch.setattr(Slow, "now", 0.0)
    monkeypatch.setattr("archcheck.throughput.device_clock.DeviceClock.now", lambda clock: Slow.now)
    workload = trained("", LINEAR.replace("torch.nn:Linear", f"{HERE}:Slow"))
    assert workload.warm_up() == (5.0, 1.0)


def test_a_short_warm_up_of_a_slow_network_is_a_step_after_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Slow, "left", (5.0, 2.0, 1.0))
    monkeypatch.setattr(Slow, "now", 0.0)
    monkeypatch.setattr("archcheck.throughput.device_clock.DeviceClock.now", lambda clock: Slow.now)
    workload = trained("", LINEAR.replace("torch.nn:Linear", f"{HERE}:Slow"))
    assert workload.warm_up(share=0.2) == (5.0, 2.0)


@pytest.mark.parametrize(
    ("seconds", "step_sec", "expected"),
    [(1.0, 0.25, 4), (1.0, 0.3, 4), (1.0, 30.0, 2), (1.0, 1e-12, 50), (1.0, 0.0, 50)],
)
def test_steps_for_a_time_are_as_many_as_take_it(seconds: float, step_sec: float, expected: int) -> None:
    assert num_steps_lasting(seconds, step_sec, least=2, most=50) == expected


@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("clang++") is None, reason="needs a C++ compiler")
def test_a_compiled_step_is_the_same_step() -> None:
    grads = []
    for compiled in ("true", "false"):
        with seeded(3, CPU, 1):
            workload = trained(f"compile: {compiled}, loss: MSELoss")
            workload.run(2)
        grads.append(workload.network.get_parameter("weight").grad)
    assert grads[0] is not None
    assert grads[1] is not None
    assert torch.allclose(grads[0], grads[1], atol=1e-6)


# ------------------------------------------------------------------------------------------- what doesn't fit


@pytest.mark.parametrize(
    ("network", "training", "key", "message"),
    [
        ("deep", "loss: GaussianNLLLoss", "loss", "GaussianNLLLoss raised TypeError: "),
        ("deep", "loss: {name: MSELoss, reduction: none}", "loss", "MSELoss gives (4, 2), expected one number"),
        ("Score", "", "build", "the network returns [4], expected [B, number of classes] for CrossEntropyLoss"),
        ("nothing", "", "build", "the network has no trainable parameter"),
        ("deep", "optimizer: {name: SGD, lr: -1}", "optimizer", "SGD raised ValueError: Invalid learning rate: -1"),
        ("Raising", "", "build", "the forward pass raised ValueError: no luck ("),
    ],
)
def test_a_network_and_a_recipe_that_do_not_go_together_are_told(
    network: str, training: str, key: str, message: str
) -> None:
    with pytest.raises(RunFailed, match=f"^{re.escape(message)}") as raised:
        built(network, "[B, 3]", training).warm_up()
    assert raised.value.fault.key == key


def nothing() -> nn.Module:
    return nn.Flatten()


class Raising(nn.Linear):
    def __init__(self) -> None:
        super().__init__(3, 2)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - its base's name
        raise ValueError("no luck")


def test_a_batch_that_no_memory_holds_is_told() -> None:
    message = "^making a batch: out of memory; a smaller batch_size or resize needs less$"
    with pytest.raises(RunFailed, match=message) as raised:
        workload_of(LINEAR + "throughput: {batch_size: 1_000_000_000_000_000}\n")
    assert raised.value.fault.key == "batch_size"
