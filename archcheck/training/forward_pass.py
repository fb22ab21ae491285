"""The forward pass of a network as a recipe runs it: on its device, in its precision and memory format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archcheck.network.devices import autocast
from archcheck.spec.inputs import LiteralInput, iter_input_patterns
from archcheck.structure.meta.module_tree import parameters_of
from archcheck.training.failures import RunFailed, errors_attributed_to
from archcheck.training.recipe import Recipe


class ForwardPass:
    """A network's forward pass on batches as a data set gives them.

    Raises:
        RunFailed: the network can't be moved to the device, converted to its memory format, or run.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, device: torch.device, example: Any, rootdir: Path | None):
        """`example`: a batch of inputs on the device, from which lazy modules take their sizes."""
        self.network, self.recipe, self.device, self._rootdir = network, recipe, device, rootdir
        named = recipe.input if isinstance(recipe.input, dict) else {}
        self._literals = {key: one.value for key, one in named.items() if isinstance(one, LiteralInput)}
        keywords = [key for key in named if key not in self._literals]
        self._keyword = keywords[0] if len(keywords) == 1 else None  # a map of one input passes it by that
        dtypes = [getattr(torch, pattern.dtype) for _, pattern in iter_input_patterns(recipe.input)]
        self._dtype = next((dtype for dtype in dtypes if dtype.is_floating_point), torch.float32)
        with errors_attributed_to("build", f"moving the network to {device}", rootdir):
            network.to(device)
        if recipe.memory_format == "channels_last":
            with errors_attributed_to("memory_format", "channels_last", rootdir):
                network.to(memory_format=torch.channels_last)
        if any(isinstance(parameter, nn.UninitializedParameter) for parameter in parameters_of(network)):
            with torch.no_grad():
                self.predict(example)
        self._compiled: Any = network

    def compile(self) -> None:
        """Compile the network where the recipe asks for that, after everything else that changes it.

        The compiled form shares the network's parameters. Evaluation uses the network itself, as its last batch has
        another size.
        """
        with errors_attributed_to("compile", "torch.compile", self._rootdir):
            if self.recipe.compile:
                # Compilations of other networks count towards a limit above which torch silently compiles nothing.
                torch.compiler.reset()
                self._compiled = torch.compile(self.network)

    def __call__(self, inputs: Any) -> Tensor:
        """Return the network's outputs (B, ...), float32, by its compiled form where there is one."""
        return self._run(self._compiled, inputs)

    def predict(self, inputs: Any) -> Tensor:
        """Return the outputs (B, ...), float32, of the network itself, whether it is compiled or not."""
        return self._run(self.network, inputs)

    def _run(self, forward: Any, inputs: Any) -> Tensor:
        bf16 = self.recipe.precision == "bf16"
        is_compiled = forward is not self.network
        key, doing = ("compile", "the compiled forward pass") if is_compiled else ("build", "the forward pass")
        with errors_attributed_to(key, doing, self._rootdir), autocast(self.device, torch.bfloat16 if bf16 else None):
            outputs = _first_tensor(self._call(forward, self._convert(inputs)))
        return outputs.float() if outputs.is_floating_point() else outputs

    def _call(self, forward: Any, inputs: Any) -> Any:
        if isinstance(inputs, Mapping):
            return forward(**{**self._literals, **inputs})
        if isinstance(inputs, (tuple, list)):
            return forward(*self._with_literals(inputs), **self._literals)
        if self._keyword is not None:
            return forward(**{self._keyword: inputs}, **self._literals)
        return forward(*self._with_literals([inputs]), **self._literals)

    def _with_literals(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """Put what the spec's positional inputs have as it is between those that the data set gives."""
        written = self.recipe.input if isinstance(self.recipe.input, tuple) else ()
        num_given = sum(not isinstance(one, LiteralInput) for one in written)
        if len(inputs) != num_given:
            return inputs
        given = iter(inputs)
        return [one.value if isinstance(one, LiteralInput) else next(given) for one in written]

    def _convert(self, inputs: Any) -> Any:
        """Convert inputs to the dtype of the spec's `input` (NumPy's floats are float64) and the memory format."""
        if isinstance(inputs, Tensor) and inputs.is_floating_point():
            inputs = inputs.to(self._dtype)
        if self.recipe.memory_format == "channels_last" and isinstance(inputs, Tensor) and inputs.ndim == 4:
            return inputs.contiguous(memory_format=torch.channels_last)
        return inputs


def _first_tensor(outputs: Any) -> Tensor:
    """Return the output to train on: a tensor itself, `logits` or `out` of named ones, else the first of several."""
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
