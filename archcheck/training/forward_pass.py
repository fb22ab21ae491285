"""A network as a recipe runs it: on its device, in its layout and precision, compiled or not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archcheck.spec.inputs import iter_input_patterns
from archcheck.training.failures import RunFailed, errors_attributed_to
from archcheck.training.recipe import Recipe


class ForwardPass:
    """A network's forward pass on batches as they come from a data set.

    Raises:
        RunFailed: the network can't be moved to the device, laid out, or run.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, device: torch.device, example: Any, rootdir: Path | None):
        """`example`: a batch of inputs on the device, for networks that know their sizes only when they see one."""
        self.network, self.recipe, self.device, self._rootdir = network, recipe, device, rootdir
        # A map of one input passes it by keyword.
        self._keyword = next(iter(recipe.input)) if isinstance(recipe.input, dict) and len(recipe.input) == 1 else None
        dtypes = [getattr(torch, pattern.dtype) for _, pattern in iter_input_patterns(recipe.input)]
        self._dtype = next((dtype for dtype in dtypes if dtype.is_floating_point), torch.float32)
        with errors_attributed_to("build", f"moving the network to {device}", rootdir):
            network.to(device)
        if recipe.memory_format == "channels_last":
            with errors_attributed_to("memory_format", "channels_last", rootdir):
                network.to(memory_format=torch.channels_last)
        self._materialise(example)
        self._compiled: Any = network

    def compile(self) -> None:
        """Compile it where the recipe asks for that; once everything that changes the network is done.

        The compiled form shares the network's parameters; evaluation goes by the network itself, whose last batch has
        another size.
        """
        with errors_attributed_to("compile", "torch.compile", self._rootdir):
            self._compiled = _compiled(self.network) if self.recipe.compile else self.network

    def __call__(self, inputs: Any) -> Tensor:
        """The network's outputs, by its compiled form where there is one. Shape (B, ...), float32."""
        return self._run(self._compiled, inputs)

    def predict(self, inputs: Any) -> Tensor:
        """The network's outputs as it is, compiled or not. Shape (B, ...), float32."""
        return self._run(self.network, inputs)

    def _run(self, forward: Any, inputs: Any) -> Tensor:
        bf16 = self.recipe.precision == "bf16"
        blamed = ("build", "the forward pass") if forward is self.network else ("compile", "the compiled forward pass")
        # Without the cache: within another autocast, it would keep the weights of the first step for all others.
        cast = torch.autocast(self.device.type, torch.bfloat16, enabled=bf16, cache_enabled=False)
        with errors_attributed_to(*blamed, self._rootdir), cast:
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
