"""The workload that is timed: a network, a batch that is on the device already, and a step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archcheck.spec.inputs import ForwardInput
from archcheck.spec.spec_file import SpecFile
from archcheck.spec.tree import iter_leaves, map_leaves
from archcheck.structure.meta.inputs import make_inputs
from archcheck.structure.meta.module_tree import buffers_of, parameters_of, set_training
from archcheck.throughput.device_clock import DeviceClock
from archcheck.throughput.plan import SpeedPlan
from archcheck.training.batch_validation import check_loss_weights
from archcheck.training.failures import RunFailed, errors_attributed_to
from archcheck.training.forward_pass import ForwardPass
from archcheck.training.metrics import takes_classes
from archcheck.training.step import TrainingStep
from archcheck.training.trainer import build_unshared_network

WARM_UP_SEC = 0.3
MIN_WARM_UP_STEPS = 2
NEEDS_LEARNING_RATE = ("LBFGS", "Rprop")  # a learning rate of 0 would make another algorithm of them, or none


class Workload:
    """A network with one batch of random numbers, and a step of its training or inference on it.

    No data set is read. Learning rates are 0, which costs the same: weights changed by a thousand steps on one batch
    would be another workload.

    A workload has to be made and used within `seeded`.

    Raises:
        RunFailed: network and plan don't go together.
        BuildError: the network can't be imported or built.
    """

    def __init__(self, spec_file: SpecFile, plan: SpeedPlan, device: torch.device, rootdir: Path | None) -> None:
        self.plan, self.device, self._rootdir = plan, device, rootdir
        self._clock = DeviceClock(device)
        recipe = plan.recipe
        self.batch_size = recipe.batch_size
        self.network = build_unshared_network(spec_file, recipe, rootdir)
        with errors_attributed_to("batch_size", "making a batch", rootdir):
            made = make_batch(plan.make_inputs())
            self.inputs = map_leaves(lambda leaf: leaf.to(device) if isinstance(leaf, Tensor) else leaf, made)
        self._values: list[tuple[Tensor, Tensor]] = []  # of parameters, restored after each turn
        if plan.mode == "inference":
            self._tensors: list[Tensor] = []
            self._step = self._inference_step()
        else:
            self._step = self._training_step()

    def step(self) -> None:
        """Take one step without waiting for the device."""
        self._step()

    def run(self, num_steps: int) -> float:
        """Take a number of steps; return the seconds that the device took, by `DeviceClock`."""
        start = self._clock.now()
        for _ in range(num_steps):
            self._step()
        seconds = self._clock.now() - start
        with torch.no_grad():
            for parameter, value in self._values:
                parameter.copy_(value)
        return seconds

    def warm_up(self, share: float = 1.0) -> tuple[float, float]:
        """Take steps until they are at full speed; return the seconds of the first, and of the fastest after it.

        `share` is how much of the usual time may be spent on it.
        """
        with errors_attributed_to("build", "a step", self._rootdir):
            first = self.run(1)
            spent = [self.run(1) for _ in range(math.ceil(share * MIN_WARM_UP_STEPS))]
            while sum(spent) < share * WARM_UP_SEC:
                spent.append(self.run(1))
        return first, min(spent)

    def resident(self) -> Iterator[Tensor]:
        """Yield the tensors held between steps: batch, parameters, buffers, optimizer state; not gradients."""
        state = self._training.optimizer.state if self.plan.mode == "train" else {}
        held = (leaf for _, leaf in iter_leaves([self.inputs, self._tensors, state]))
        yield from (leaf for leaf in held if isinstance(leaf, Tensor))
        yield from buffers_of(self.network)
        yield from parameters_of(self.network)

    def _inference_step(self) -> Callable[[], None]:
        forward = ForwardPass(self.network, self.plan.recipe, self.device, self.inputs, self._rootdir)
        set_training(self.network, False)
        forward.compile()

        def step() -> None:
            with torch.inference_mode():
                forward(self.inputs)

        return step

    def _training_step(self) -> Callable[[], None]:
        training = TrainingStep(self.network, self.plan.recipe, self.device, self.inputs, self._rootdir)
        set_training(self.network, False)
        with torch.no_grad():
            outputs = training.predict(self.inputs)
        set_training(self.network, True)
        targets = give_targets(training, outputs, has_recipe=self.plan.has_training)
        self._tensors = [targets]
        if type(training.optimizer).__name__ in NEEDS_LEARNING_RATE:
            self._values = [(parameter, parameter.detach().clone()) for parameter in training.parameters]
        else:
            _zero_learning_rates(training.optimizer)
        self._training = training

        def step() -> None:
            with torch.enable_grad():
                training(self.inputs, targets)

        return step


def give_targets(training: TrainingStep, outputs: Tensor, *, has_recipe: bool) -> Tensor:
    """Return random targets for outputs; where the spec has no recipe, the step gets another loss."""
    if has_recipe:
        check_loss_weights(training.recipe.loss, outputs)
        return _make_targets(training.recipe.loss.name, outputs)
    training.loss, training.loss_name = _MeanSquare(), "the mean square of the outputs"
    return outputs


class _MeanSquare(nn.Module):
    """A loss for outputs of any shape, where the spec has no recipe."""

    def forward(self, outputs: Tensor, _: Tensor) -> Tensor:
        return outputs.float().square().mean()


def make_batch(item: ForwardInput, device: str = "cpu") -> Any:
    """Make inputs as a data set would give them: one tensor, a tuple for several, or a map for keywords."""
    args, kwargs = make_inputs(item, device)
    is_single = len(args) == 1 and isinstance(args[0], Tensor)
    return kwargs or (args[0] if is_single else tuple(args))


def _make_targets(loss: str, outputs: Tensor) -> Tensor:
    """Make targets of the form that a loss takes: classes (B, ...), or numbers from 0 to 1 in the outputs' shape."""
    if not takes_classes(loss):
        return torch.rand_like(outputs)
    if outputs.ndim < 2:
        shape = list(outputs.shape)
        raise RunFailed(f"the network returns {shape}, expected [B, number of classes] for {loss}", "build")
    return torch.randint(0, outputs.shape[1], (outputs.shape[0], *outputs.shape[2:]), device=outputs.device)


def _zero_learning_rates(optimizer: torch.optim.Optimizer) -> None:
    for group in optimizer.param_groups:
        rate = group.get("lr")
        if isinstance(rate, Tensor):
            rate.zero_()
        elif rate is not None:
            group["lr"] = 0.0


def num_steps_lasting(seconds: float, step_sec: float, *, least: int = 1, most: int = 1_000_000) -> int:
    """Return the number of steps that take about `seconds`, within `least` and `most`."""
    return max(least, min(most, math.ceil(seconds / max(step_sec, 1e-9))))
