"""Optimizers, schedulers, losses and initialisations by their names in torch: checked, and built for a recipe."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules.loss import _Loss

from archcheck.errors import BuildError
from archcheck.findings import Mismatch
from archcheck.network.call_arguments import check_arguments
from archcheck.spec.models import Named
from archcheck.structure.meta.module_tree import all_modules, parameters_of
from archcheck.text.words import did_you_mean
from archcheck.training.recipe import Recipe

# Stepped after every batch rather than every epoch, as their documentation asks.
_STEPPED_PER_BATCH = ("OneCycleLR", "CyclicLR")
_WEIGHT_LAYERS = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ComponentKind:
    """A kind of component, and where torch has those of that kind.

    module: torch's module of them. base: their base class; None for functions.
    suffix: ends the name in torch (`xavier_uniform_`), not in a spec.
    num_given: how many first arguments archcheck gives rather than the spec: the parameters, the optimizer, the weight.
    """

    module: Any
    base: type | None = None
    suffix: str = ""
    num_given: int = 1

    def find(self, name: str) -> Callable[..., Any] | None:
        """Return the class or function of this name; None where torch has none of this kind."""
        found = getattr(self.module, name + self.suffix, None) if not name.startswith("_") else None
        if self.base is None:
            return found if callable(found) else None
        return found if isinstance(found, type) and issubclass(found, self.base) and found is not self.base else None

    def names(self) -> list[str]:
        """List the names of this kind, as a spec writes them."""
        known = (name.removesuffix(self.suffix) for name in vars(self.module) if name.endswith(self.suffix))
        return [name for name in known if self.find(name) is not None]


COMPONENT_KINDS = {
    "optimizer": ComponentKind(torch.optim, torch.optim.Optimizer),
    "scheduler": ComponentKind(torch.optim.lr_scheduler, torch.optim.lr_scheduler.LRScheduler),
    "loss": ComponentKind(nn, _Loss, num_given=0),
    "init": ComponentKind(nn.init, suffix="_"),
}


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
    kind, keys = COMPONENT_KINDS[key], recipe.place(key)
    make = kind.find(named.name)
    if make is None:
        hint = did_you_mean(named.name, kind.names())
        yield Mismatch((*keys, "name"), key, f"{kind.module.__name__} has no {named.name + kind.suffix!r}{hint}")
        return
    try:
        accepts = functools.partial(make, *[None] * kind.num_given)
        check_arguments(accepts, component_arguments(named), f"{kind.module.__name__}.{make.__name__}")
    except BuildError as error:
        yield Mismatch((*keys, error.arg) if error.arg else keys, key, str(error))


def component_arguments(named: Named) -> dict[str, Any]:
    """Return the arguments that a spec gives a component."""
    return dict(named.model_extra or {})


# ------------------------------------------------------------------------------------------- building


def build_loss(recipe: Recipe) -> nn.Module:
    """Build the loss of a recipe, label smoothing included. Raises whatever its constructor raises."""
    make = COMPONENT_KINDS["loss"].find(recipe.loss.name)
    assert make is not None, recipe.loss.name
    smoothing = {"label_smoothing": recipe.label_smoothing} if recipe.label_smoothing else {}
    loss: nn.Module = make(**{**smoothing, **component_arguments(recipe.loss)})
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


@dataclass(frozen=True, slots=True)
class LearningRateSchedule:
    """A learning-rate scheduler, or none, that is stepped after batches or after epochs."""

    scheduler: torch.optim.lr_scheduler.LRScheduler | None
    per_batch: bool = False

    def after_batch(self) -> None:
        """Step a scheduler that goes by batches."""
        if self.scheduler is not None and self.per_batch:
            self.scheduler.step()

    def after_epoch(self, test_loss: float) -> None:
        """Step a scheduler that goes by epochs; `ReduceLROnPlateau` gets the loss on the test set."""
        if self.scheduler is None or self.per_batch:
            return
        if isinstance(self.scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            self.scheduler.step(test_loss)
        else:
            self.scheduler.step()


def build_schedule(recipe: Recipe, optimizer: torch.optim.Optimizer, num_batches: int) -> LearningRateSchedule:
    """Build the schedule of a recipe. Raises whatever the scheduler's constructor raises."""
    if recipe.scheduler is None:
        return LearningRateSchedule(None)
    make = COMPONENT_KINDS["scheduler"].find(recipe.scheduler.name)
    assert make is not None, recipe.scheduler.name
    given = component_arguments(recipe.scheduler)
    if recipe.scheduler.name == "OneCycleLR" and not given.keys() & {"total_steps", "epochs", "steps_per_epoch"}:
        given["total_steps"] = recipe.epochs * num_batches
    return LearningRateSchedule(make(optimizer, **given), recipe.scheduler.name in _STEPPED_PER_BATCH)


def initialise_weights(network: nn.Module, init: Named | None) -> None:
    """Initialise the weights of linear and convolutional layers, not their biases, in place; None: nothing."""
    if init is None:
        return
    fill = COMPONENT_KINDS["init"].find(init.name)
    assert fill is not None, init.name
    for module in all_modules(network):
        if isinstance(module, _WEIGHT_LAYERS):
            fill(module.weight, **component_arguments(init))
