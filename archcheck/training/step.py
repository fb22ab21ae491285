"""One step of training: forward, loss, backward, update. The training loop repeats it, and `throughput` times it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archcheck.network.devices import graph_tools
from archcheck.structure.meta.module_tree import parameters_of
from archcheck.training.components import build_loss, build_optimizer, initialise_weights, may_be_fused
from archcheck.training.failures import RunFailed, errors_attributed_to
from archcheck.training.forward_pass import ForwardPass
from archcheck.training.graphed_pass import GraphedPass
from archcheck.training.recipe import Recipe


class TrainingStep:
    """A network on its device with loss and optimizer, ready for steps of training.

    Raises:
        RunFailed: a part of the recipe can't be built for this network.
    """

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        device: torch.device,
        example: Any,
        rootdir: Path | None,
        *,
        fused: bool = True,
        needs_graph: bool = False,
    ) -> None:
        """`example`: a batch of inputs on the device, from which lazy modules take their sizes.

        fused: whether the optimizer may do many updates in one operation, where it can.
        needs_graph: a step that can't be a graph, where the recipe asks for one, raises, and doesn't go on without.
        """
        self.network, self.recipe, self._rootdir = network, recipe, rootdir
        self._forward = ForwardPass(network, recipe, device, example, rootdir)
        with errors_attributed_to("init", f"initialising by {recipe.init.name if recipe.init else 'default'}", rootdir):
            initialise_weights(network, recipe.init)
        self.loss_name = recipe.loss.name  # in messages: `throughput` replaces the loss where a spec has no recipe
        self.parameters = [parameter for parameter in _trained_parameters(network) if parameter.requires_grad]
        if not self.parameters:
            raise RunFailed("the network has no trainable parameter", "build")
        with errors_attributed_to("loss", recipe.loss.name, rootdir):
            self.loss = build_loss(recipe).to(device)
        with errors_attributed_to("optimizer", recipe.optimizer.name, rootdir):
            self.optimizer = build_optimizer(recipe, self.parameters, fused=fused and may_be_fused(network))
        self._forward.compile()
        self._needs_graph = needs_graph and recipe.graph
        self._graphed = self._make_graphed_pass() if recipe.graph else None

    @property
    def graph_problem(self) -> str | None:
        """Why the recipe's `graph` has no effect, in one line; None where it has, or isn't asked for."""
        return self._graphed.problem if isinstance(self._graphed, GraphedPass) else self._graphed

    def _make_graphed_pass(self) -> GraphedPass | str:
        tools = graph_tools(self._forward.device)
        if tools is None:
            return f"torch has no graphs for {self._forward.device.type}"
        if isinstance(self.optimizer, torch.optim.LBFGS):
            return "LBFGS runs the network as often as it needs"
        return GraphedPass(self._backward, self.parameters, tools)

    def __call__(self, inputs: Any, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Take a step; return the loss before it, a scalar, and the outputs (B, ...), both on the device.

        With `graph: true` they are valid until the next step.
        """
        if isinstance(self.optimizer, torch.optim.LBFGS):
            return self._step_by_closure(inputs, targets)
        if isinstance(self._graphed, GraphedPass):
            loss, outputs = self._graphed(inputs, targets)
        else:
            self.optimizer.zero_grad(set_to_none=True)
            loss, outputs = self._backward(inputs, targets)
        if self._needs_graph and self.graph_problem is not None:
            raise RunFailed(self.graph_problem, "graph")
        # Not a part of a graph, which would keep the learning rate that it was captured with.
        with errors_attributed_to("optimizer", f"{self.recipe.optimizer.name}.step()", self._rootdir):
            self.optimizer.step()
        return loss, outputs

    def predict(self, inputs: Any) -> Tensor:
        """Return the outputs (B, ...), float32, of the network itself, compiled or not, as evaluation uses them."""
        return self._forward.predict(inputs)

    def compute_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar."""
        with errors_attributed_to("loss", self.loss_name, self._rootdir):
            loss: Tensor = self.loss(outputs, targets)
        if loss.ndim:
            raise RunFailed(f"{self.loss_name} gives {tuple(loss.shape)}, expected one number", "loss")
        return loss

    def _backward(self, inputs: Any, targets: Tensor) -> tuple[Tensor, Tensor]:
        outputs = self._forward(inputs)
        loss = self.compute_loss(outputs, targets)
        with errors_attributed_to("build", "the backward pass", self._rootdir):
            loss.backward()  # type: ignore[no-untyped-call]
            if self.recipe.clip_grad_norm is not None:
                nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip_grad_norm)
        return loss.detach(), outputs.detach()

    def _step_by_closure(self, inputs: Any, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Take a step of LBFGS, which evaluates the loss several times."""
        evaluations: list[tuple[Tensor, Tensor]] = []

        def closure() -> Tensor:
            self.optimizer.zero_grad(set_to_none=True)
            evaluations.append(self._backward(inputs, targets))
            return evaluations[-1][0]

        with errors_attributed_to("optimizer", f"{self.recipe.optimizer.name}.step()", self._rootdir):
            self.optimizer.step(closure)  # type: ignore[arg-type]
        return evaluations[0]


def _trained_parameters(network: nn.Module) -> Iterable[nn.Parameter]:
    """Return the parameters as the network's class gives them: it may have a `parameters()` of its own."""
    own = type(network).parameters
    return parameters_of(network) if own is nn.Module.parameters or not callable(own) else own(network)
