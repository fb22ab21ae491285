"""Optimizers, schedulers, losses and initialisations by their names in torch: checked, and built for a recipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import nn

from archcheck.findings import Mismatch
from archcheck.spec.models import Named
from archcheck.structure.meta.module_tree import all_modules, parameters_of
from archcheck.training.component_kinds import COMPONENT_KINDS, check_component, component_arguments, tensor_arguments
from archcheck.training.recipe import Recipe
from archcheck.training.schedules import check_scheduler

_WEIGHT_LAYERS = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
)  # fmt: skip


# ------------------------------------------------------------------------------------------- checking


def check_components(recipe: Recipe) -> list[Mismatch]:
    """Check that torch has the components that a recipe names, and that they take its arguments."""
    found = [
        mismatch
        for key in COMPONENT_KINDS
        if (named := getattr(recipe, key)) is not None
        for mismatch in _check_named(recipe, key, named)
    ]
    if recipe.label_smoothing and recipe.loss.name != "CrossEntropyLoss":
        problem = f"{recipe.loss.name} smooths no labels: only CrossEntropyLoss does"
        found.append(Mismatch(recipe.place("label_smoothing"), "label_smoothing", problem))
    return found


def _check_named(recipe: Recipe, key: str, named: Named) -> Iterator[Mismatch]:
    if key == "scheduler":
        yield from check_scheduler(recipe.place(key), named)
    else:
        yield from check_component(key, recipe.place(key), named)


# ------------------------------------------------------------------------------------------- building


def build_loss(recipe: Recipe) -> nn.Module:
    """Build the loss of a recipe, label smoothing included. Raises whatever its constructor raises."""
    make = COMPONENT_KINDS["loss"].find(recipe.loss.name)
    assert make is not None, recipe.loss.name
    smoothing = {"label_smoothing": recipe.label_smoothing} if recipe.label_smoothing else {}
    given = component_arguments(recipe.loss)
    tensors = {arg: torch.tensor(given[arg], dtype=torch.float32) for arg in tensor_arguments(make, given)}
    loss: nn.Module = make(**{**smoothing, **given, **tensors})
    return loss


def build_optimizer(recipe: Recipe, parameters: Iterable[nn.Parameter], *, fused: bool = True) -> torch.optim.Optimizer:
    """Build the optimizer of a recipe, fused where it can be. Raises whatever its constructor raises."""
    make = COMPONENT_KINDS["optimizer"].find(recipe.optimizer.name)
    assert make is not None, recipe.optimizer.name
    parameters, given = list(parameters), component_arguments(recipe.optimizer)
    if fused and not given.keys() & {"fused", "foreach", "differentiable"}:
        try:
            return make(parameters, **given, fused=True)  # type: ignore[no-any-return]
        except (TypeError, RuntimeError):  # not fused for this optimizer, on this device, or for these parameters
            pass
    return make(parameters, **given)  # type: ignore[no-any-return]


def may_be_fused(network: nn.Module) -> bool:
    """Whether a fused optimizer takes the network: no complex parameters, no sparse gradients.

    Torch says so only in the first step, when it is too late to build another.
    """
    sparse = any(getattr(module, "sparse", False) for module in all_modules(network))
    return not sparse and all(parameter.is_floating_point() for parameter in parameters_of(network))


def initialise_weights(network: nn.Module, init: Named | None) -> None:
    """Initialise the weights of linear and convolutional layers, not their biases, in place; None: nothing."""
    if init is None:
        return
    fill = COMPONENT_KINDS["init"].find(init.name)
    assert fill is not None, init.name
    for module in all_modules(network):
        if isinstance(module, _WEIGHT_LAYERS):
            fill(module.weight, **component_arguments(init))
