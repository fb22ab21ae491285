"""The step that a spec's `cost` is of: the section's keys, else the recipe's, else one example by SGD in float32."""

from __future__ import annotations

from dataclasses import dataclass, replace

from archcheck.findings import Keys
from archcheck.spec.dims import BATCH
from archcheck.spec.inputs import ForwardInput
from archcheck.spec.models import Cost, Named, Spec, Training
from archcheck.throughput.plan import SpeedPlan, resolve_plan
from archcheck.training.recipe import Recipe, resolve_recipe


@dataclass(frozen=True, slots=True)
class CostPlan:
    """The step to measure, with every choice made.

    speed: the same step as `throughput` would time it. inputs: what goes into the network.
    """

    speed: SpeedPlan
    inputs: ForwardInput
    section: Cost
    has_training: bool

    @property
    def recipe(self) -> Recipe:
        """How the network is trained."""
        return self.speed.recipe

    def place(self, key: str) -> Keys:
        """Return the place of a key in the spec: in `cost`, or where the recipe has it."""
        first = key.partition(".")[0]
        if first in ("build", "args", "input"):
            return (first,)
        if first in self.section.model_fields_set or not self.has_training:
            return ("cost", *key.split(".")) if first in self.section.model_fields_set else ("cost",)
        return self.recipe.place(key)

    def describe(self) -> str:
        """Describe the step in words: `training on [64, 1, 28, 28] by SGD and CrossEntropyLoss in bf16`."""
        what = "training on" if self.speed.mode == "train" else "inference on"
        precision = "" if self.recipe.precision == "fp32" else f" in {self.recipe.precision}"
        return f"{what} {self.speed.describe_step()}{precision}"


def resolve_cost_plan(spec: Spec) -> CostPlan:
    """Return the plan of a spec; the recipe is the one in full, as cost is the same on every machine.

    What a loop of the user's own does in a step is as little known as without `training`.
    """
    section, loop_batch = spec.cost or Cost(), None
    if spec.training is not None and spec.training.loop is not None:
        loop_batch, spec = spec.training.batch_size, spec.model_copy(update={"training": None})
    default = Training.model_validate({"dataset": Named(name="none"), "batch_size": loop_batch or 1})
    recipe = resolve_recipe(spec.model_copy(update={"training": spec.training or default}), "full")
    work = {
        "mode": section.mode,
        "batch_size": section.batch_size or recipe.batch_size,
        "resize": recipe.resize,
        "precision": section.precision or recipe.precision,
    }
    speed = resolve_plan(spec, "full", work)
    recipe = replace(speed.recipe, optimizer=section.optimizer or recipe.optimizer, compile=False, init=None)
    inputs = speed.make_inputs()
    if section.mode == "train" and spec.train_input is not None:
        inputs = spec.train_inputs({**speed.sizes, BATCH: recipe.batch_size}) or inputs
        recipe = replace(recipe, input=spec.train_input)
    return CostPlan(replace(speed, recipe=recipe), inputs, section, spec.training is not None)
