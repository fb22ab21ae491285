"""Learning-rate schedules: checked, built for a recipe, and stepped after batches or epochs."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from archcheck.errors import BuildError
from archcheck.findings import Keys, Mismatch
from archcheck.network.call_arguments import check_arguments
from archcheck.spec.models import Named
from archcheck.text.words import clip, counted, shown
from archcheck.text.yaml_flow import format_flow
from archcheck.training.component_kinds import COMPONENT_KINDS, check_component, component_arguments
from archcheck.training.recipe import Recipe

# Stepped after every batch rather than every epoch, as their documentation asks.
_STEPPED_PER_BATCH = ("OneCycleLR", "CyclicLR")
# Made of other schedulers, a list of maps like the one of a single scheduler.
_OF_SCHEDULERS = ("SequentialLR", "ChainedScheduler")


def check_scheduler(keys: Keys, named: Named) -> Iterator[Mismatch]:
    """Check a scheduler's name and arguments, and of one that is made of others each of these at its own place.

    keys: its place in the spec.
    """
    if named.name not in _OF_SCHEDULERS:
        yield from check_component("scheduler", keys, named)
        return
    inner = component_arguments(named).get("schedulers")
    if not isinstance(inner, list) or not inner:
        example = "such as [{name: LinearLR, total_iters: 2}, {name: CosineAnnealingLR, T_max: 8}]"
        yield Mismatch((*keys, "schedulers"), "scheduler", f"{named.name}: expected a list of schedulers, {example}")
        return
    yield from _check_beside(keys, named, len(inner))
    for index, value in enumerate(inner):
        yield from _check_inner((*keys, "schedulers", index), named.name, value)


def _check_beside(keys: Keys, named: Named, num_schedulers: int) -> Iterator[Mismatch]:
    """Check the arguments beside the list of schedulers, the milestones above all."""
    make, given = COMPONENT_KINDS["scheduler"].find(named.name), component_arguments(named)
    assert make is not None, named.name
    try:
        accepts = functools.partial(make, optimizer=None)
        check_arguments(accepts, {"optimizer": None, **given}, f"torch.optim.lr_scheduler.{named.name}")
    except BuildError as error:
        yield Mismatch((*keys, error.arg) if error.arg else keys, "scheduler", str(error))
        return
    milestones = given.get("milestones", [])
    is_ascending = (
        isinstance(milestones, list)
        and all(type(one) is int and one > 0 for one in milestones)
        and sorted(set(milestones)) == milestones
    )
    if "milestones" in given and not (is_ascending and len(milestones) == num_schedulers - 1):
        expected = (
            f"{num_schedulers} schedulers take {counted(num_schedulers - 1, 'epoch')} to change over at, ascending"
        )
        yield Mismatch(
            (*keys, "milestones"), "scheduler", f"milestones: {expected}; found {clip(format_flow(milestones))}"
        )


def _check_inner(keys: Keys, outer: str, value: Any) -> Iterator[Mismatch]:
    one = _as_named(value)
    if one is None:
        yield Mismatch(keys, "scheduler", f"expected a scheduler, a name or a map with `name`, found {shown(value)}")
    elif one.name in (*_STEPPED_PER_BATCH, "ReduceLROnPlateau"):
        by = "the loss" if one.name == "ReduceLROnPlateau" else "batches"
        problem = f"{one.name} goes by {by}, and can't stand in {outer}, which is stepped once an epoch"
        yield Mismatch((*keys, "name"), "scheduler", problem)
    else:
        yield from check_scheduler(keys, one)


def _as_named(value: Any) -> Named | None:
    """Read a component that stands in a list: `StepLR`, or a map with its name; None where it is neither."""
    value = {"name": value} if isinstance(value, str) else value
    is_named = isinstance(value, dict) and isinstance(value.get("name"), str)
    return Named.model_validate(value) if is_named else None


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
    given = component_arguments(recipe.scheduler)
    if recipe.scheduler.name == "OneCycleLR" and not given.keys() & {"total_steps", "epochs", "steps_per_epoch"}:
        given["total_steps"] = recipe.epochs * num_batches
    scheduler = _build_scheduler(recipe.scheduler.name, given, optimizer)
    return LearningRateSchedule(scheduler, recipe.scheduler.name in _STEPPED_PER_BATCH)


def _build_scheduler(
    name: str, given: Mapping[str, Any], optimizer: torch.optim.Optimizer
) -> torch.optim.lr_scheduler.LRScheduler:
    make = COMPONENT_KINDS["scheduler"].find(name)
    assert make is not None, name
    if name in _OF_SCHEDULERS:
        named = [_as_named(one) for one in given["schedulers"]]
        inner = [_build_scheduler(one.name, component_arguments(one), optimizer) for one in named if one is not None]
        return make(**{**given, "optimizer": optimizer, "schedulers": inner})  # type: ignore[no-any-return]
    return make(optimizer, **given)  # type: ignore[no-any-return]
