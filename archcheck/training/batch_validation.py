"""Checks that a data set, a network and a recipe go together, on a batch before the first step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from archcheck.data.splits import label_range
from archcheck.spec.inputs import InputPattern, LiteralInput
from archcheck.spec.models import Named
from archcheck.training.component_kinds import COMPONENT_KINDS, component_arguments, is_numbers, tensor_arguments
from archcheck.training.failures import RunFailed
from archcheck.training.metrics import ignored_label, takes_classes
from archcheck.training.recipe import Recipe


class BatchValidator:
    """Checks batches of inputs, outputs and labels against a recipe; each check raises `RunFailed`.

    num_classes: of the data set; None where the number isn't known.
    """

    def __init__(self, recipe: Recipe, num_classes: int | None) -> None:
        self._recipe = recipe
        self._num_classes = num_classes
        self._ignored = ignored_label(recipe.loss)
        self._num_outputs: int | None = None

    def check_inputs(self, inputs: Any) -> None:
        """Check that the data set's inputs have the shape that the spec's `input` gives."""
        written = self._recipe.input
        arguments = [*written.values()] if isinstance(written, dict) else written
        arguments = arguments if isinstance(arguments, Sequence) else [arguments]
        given = [one for one in arguments if not isinstance(one, LiteralInput)]
        if len(given) != 1 or not isinstance(given[0], InputPattern) or not isinstance(inputs, Tensor):
            return
        pattern = given[0]
        shape, sizes = tuple(inputs.shape), dict[str, int]()
        fits = len(shape) == len(pattern.dims)
        for position, (dim, size) in enumerate(zip(pattern.dims, shape, strict=False)):
            if position and not dim.names:
                fits = fits and dim.evaluate({}) == size
            elif position and dim.names == {dim.text}:
                fits = fits and sizes.setdefault(dim.text, size) == size
        if not fits:
            expected = f"[{', '.join(dim.text for dim in pattern.dims)}]"
            found = f"[{', '.join(['B', *map(str, shape[1:])])}]"
            key = "resize" if len(shape) == 4 and self._recipe.resize else "dataset"
            raise RunFailed(f"the training's inputs are {found}, the spec's `input` is {expected}", key)

    def check_outputs(self, outputs: Tensor, targets: Tensor) -> None:
        """Check that the network's outputs fit the targets and the loss."""
        loss = self._recipe.loss.name
        if outputs.ndim < 2 and takes_classes(loss):
            problem = f"the network returns {list(outputs.shape)}, expected [B, number of classes]"
            if not targets.is_floating_point():
                raise RunFailed(problem, "build")
            raise RunFailed(f"{problem}: no accuracy is known for {loss} of one score for each example", "loss")
        if targets.is_floating_point():
            if outputs.shape != targets.shape:
                shapes = f"the network returns {list(outputs.shape)}, the data set's targets are {list(targets.shape)}"
                classes = ", or whole numbers as classes" if takes_classes(loss) else ""
                raise RunFailed(f"{shapes}: expected the same{classes}", "dataset")
            check_loss_weights(self._recipe.loss, outputs)
            return
        if not takes_classes(loss):
            problem = f"the data set has classes, {loss} is for float targets; CrossEntropyLoss is for classes"
            raise RunFailed(problem, "loss")
        expected = [*outputs.shape[:1], *outputs.shape[2:]]
        if self._ignored is not None and list(targets.shape) != expected:
            shapes = f"the network returns {list(outputs.shape)}, the data set's targets are {list(targets.shape)}"
            raise RunFailed(f"{shapes}: expected {expected} of {loss}", "dataset")
        self._num_outputs = outputs.shape[1]
        if self._num_classes is not None and self._num_outputs != self._num_classes:
            problem = f"the network has {self._num_outputs} outputs, the data set {self._num_classes} classes"
            raise RunFailed(problem, "args" if self._recipe.args else "build")
        check_loss_weights(self._recipe.loss, outputs)

    def check_labels(self, targets: Tensor) -> None:
        """Check the labels of a batch before the loss gets them: on a GPU, one out of range ends the whole process."""
        labels = label_range(targets, self._ignored)
        if labels is not None:
            self.check_label_range(*labels)

    def check_label_range(self, smallest: int, largest: int) -> None:
        """Check that the network has outputs for the smallest and the largest label."""
        outputs = self._num_outputs
        if outputs is not None and (smallest < 0 or largest >= outputs):
            wrong = smallest if smallest < 0 else largest
            has = f"the network has {outputs} outputs, for labels 0 to {outputs - 1}"
            raise RunFailed(f"label {wrong} is out of range: {has}", "dataset")


def check_loss_weights(loss: Named, outputs: Tensor) -> None:
    """Check that a loss has as many weights as the network has outputs, or for yes-or-no losses a single one.

    outputs: (B, K, ...), or (B,).

    Raises:
        RunFailed: there are more or fewer; it's about `loss.weight`, as that argument is called.
    """
    make, given = COMPONENT_KINDS["loss"].find(loss.name), component_arguments(loss)
    for arg in tensor_arguments(make, given) if make is not None else ():
        if not is_numbers(given[arg]):
            continue
        shape = torch.tensor(given[arg]).shape
        fits = shape == outputs.shape[1:2] if takes_classes(loss.name) else _broadcasts(shape, outputs.shape)
        if not fits:
            expected = f"expected {outputs.shape[-1] if outputs.ndim < 2 else outputs.shape[1]} numbers"
            found = len(given[arg]) if isinstance(given[arg], list) else "a single one"
            raise RunFailed(f"{expected}, one for each output of the network, found {found}", f"loss.{arg}")


def _broadcasts(shape: torch.Size, to: torch.Size) -> bool:
    try:
        return bool(torch.broadcast_shapes(shape, to) == to)  # type: ignore[no-untyped-call]
    except RuntimeError:
        return False
