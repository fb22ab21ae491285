"""One step of training: forward, loss, backward, update. The loop repeats it, and speed is measured on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archcheck.recipe import Recipe
from archcheck.training.components import build_loss, build_optimizer, initialise, may_be_fused
from archcheck.training.faults import RunFailed, blaming
from archcheck.values import iter_input_patterns


class TrainingStep:
    """A network on its device with everything that one step of its training takes.

    Raises:
        RunFailed: a part of the recipe can't be built for this network.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, device: torch.device, example: Any, rootdir: Path | None):
        """`example`: a batch of inputs on the device, for networks that know their sizes only when they see one."""
        self.network, self.recipe, self.device, self._rootdir = network, recipe, device, rootdir
        # A map of one input passes it by keyword.
        self._keyword = next(iter(recipe.input)) if isinstance(recipe.input, dict) and len(recipe.input) == 1 else None
        dtypes = [getattr(torch, pattern.dtype) for _, pattern in iter_input_patterns(recipe.input)]
        self._dtype = next((dtype for dtype in dtypes if dtype.is_floating_point), torch.float32)
        with blaming("build", f"moving the network to {device}", rootdir):
            network.to(device)
        if recipe.memory_format == "channels_last":
            with blaming("memory_format", "channels_last", rootdir):
                network.to(memory_format=torch.channels_last)
        self._materialise(example)
        with blaming("init", f"initialising by {recipe.init.name if recipe.init else 'default'}", rootdir):
            initialise(network, recipe.init)
        self.parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        if not self.parameters:
            raise RunFailed("the network has no trainable parameter", "build")
        with blaming("loss", recipe.loss.name, rootdir):
            self.loss = build_loss(recipe).to(device)
        with blaming("optimizer", recipe.optimizer.name, rootdir):
            self.optimizer = build_optimizer(recipe, self.parameters, fused=may_be_fused(network))
        # The compiled form shares the network's parameters; evaluation goes by the network itself, whose last batch
        # has another size.
        with blaming("compile", "torch.compile", rootdir):
            self._forward = _compiled(network) if recipe.compile else network

    def __call__(self, inputs: Any, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Take a step. Returns the loss before it, a scalar, and the outputs (B, ...), both on the device."""
        if isinstance(self.optimizer, torch.optim.LBFGS):
            return self._step_by_closure(inputs, targets)
        self.optimizer.zero_grad(set_to_none=True)
        loss, outputs = self._backward(inputs, targets)
        with blaming("optimizer", f"{self.recipe.optimizer.name}.step()", self._rootdir):
            self.optimizer.step()
        return loss, outputs

    def predict(self, inputs: Any) -> Tensor:
        """The network's outputs as it is, compiled or not: what evaluation uses. Shape (B, ...), float32."""
        return self._run(self.network, inputs)

    def compute_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch, a scalar."""
        with blaming("loss", self.recipe.loss.name, self._rootdir):
            loss: Tensor = self.loss(outputs, targets)
        if loss.ndim:
            raise RunFailed(f"{self.recipe.loss.name} gives {tuple(loss.shape)}, expected one number", "loss")
        return loss

    def _backward(self, inputs: Any, targets: Tensor) -> tuple[Tensor, Tensor]:
        outputs = self._run(self._forward, inputs)
        loss = self.compute_loss(outputs, targets)
        with blaming("build", "the backward pass", self._rootdir):
            loss.backward()  # type: ignore[no-untyped-call]
            if self.recipe.clip_grad_norm is not None:
                nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip_grad_norm)
        return loss.detach(), outputs.detach()

    def _step_by_closure(self, inputs: Any, targets: Tensor) -> tuple[Tensor, Tensor]:
        """For LBFGS, which evaluates the loss several times in one step."""
        seen: list[tuple[Tensor, Tensor]] = []

        def closure() -> Tensor:
            self.optimizer.zero_grad(set_to_none=True)
            seen.append(self._backward(inputs, targets))
            return seen[-1][0]

        with blaming("optimizer", f"{self.recipe.optimizer.name}.step()", self._rootdir):
            self.optimizer.step(closure)  # type: ignore[arg-type]
        return seen[0]

    def _run(self, forward: Any, inputs: Any) -> Tensor:
        bf16 = self.recipe.precision == "bf16"
        blamed = ("build", "the forward pass") if forward is self.network else ("compile", "the compiled forward pass")
        # Without the cache: within another autocast, it would keep the weights of the first step for all others.
        cast = torch.autocast(self.device.type, torch.bfloat16, enabled=bf16, cache_enabled=False)
        with blaming(*blamed, self._rootdir), cast:
            outputs = _tensor_of(self._called(forward, self._laid_out(inputs)))
        return outputs.float() if outputs.is_floating_point() else outputs

    def _called(self, forward: Any, inputs: Any) -> Any:
        if isinstance(inputs, Mapping):
            return forward(**inputs)
        if isinstance(inputs, (tuple, list)):
            return forward(*inputs)
        return forward(inputs) if self._keyword is None else forward(**{self._keyword: inputs})

    def _laid_out(self, inputs: Any) -> Any:
        """Inputs of the dtype that the spec gives them (NumPy's floats are float64), in the recipe's layout."""
        if isinstance(inputs, Tensor) and inputs.is_floating_point():
            inputs = inputs.to(self._dtype)
        if self.recipe.memory_format == "channels_last" and isinstance(inputs, Tensor) and inputs.ndim == 4:
            return inputs.contiguous(memory_format=torch.channels_last)
        return inputs

    def _materialise(self, example: Any) -> None:
        """Let lazy modules see their sizes before anything asks for their parameters."""
        if any(isinstance(parameter, nn.UninitializedParameter) for parameter in self.network.parameters()):
            with torch.no_grad():
                self.predict(example)


def _compiled(network: nn.Module) -> Any:
    # What was compiled for other networks counts against a limit, above which torch compiles nothing and says nothing.
    torch.compiler.reset()
    return torch.compile(network)


def _tensor_of(outputs: Any) -> Tensor:
    """The network's answer: its tensor, `logits` or `out` among named ones, else the first of several."""
    if isinstance(outputs, Tensor):
        return outputs
    for name in ("logits", "out"):
        found = outputs.get(name) if isinstance(outputs, Mapping) else getattr(outputs, name, None)
        if isinstance(found, Tensor):
            return found
    values = list(outputs.values()) if isinstance(outputs, Mapping) else outputs
    if isinstance(values, (tuple, list)) and values and isinstance(values[0], Tensor):
        return values[0]
    raise RunFailed(f"the network returns {type(outputs).__name__}, expected a tensor to train on", "build")
