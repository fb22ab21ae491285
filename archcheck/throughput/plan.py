"""A complete plan of what a spec's `throughput` times: the section's keys, else the recipe's, else defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from archcheck.findings import Keys
from archcheck.spec.dims import BATCH
from archcheck.spec.inputs import (
    ForwardInput,
    InputValue,
    LiteralInput,
    TensorInput,
    input_names,
    iter_input_patterns,
    make_forward_input,
)
from archcheck.spec.models import Named, Spec, Throughput, Training
from archcheck.training.recipe import Recipe, RecipeKind, resolve_recipe

Mode: TypeAlias = Literal["train", "inference"]

DEFAULT_MAX_REGRESSION = 0.075
# The keys of `throughput` that give what is timed; the others give how fast it has to be.
WORKLOAD_KEYS = ("mode", "batch_size", "resize", "precision")


@dataclass(frozen=True, slots=True)
class SpeedPlan:
    """The plan of a speed measurement, with every choice made: what is timed, and how fast it has to be.

    recipe: with the batch size, resize and precision of `throughput`; `args` and `input` are the network's.
    has_training: the spec has a recipe; without one, or with a loop of the user's own, a step minimises the mean square
    of the outputs by plain SGD.
    sizes: of the input's free dimensions.
    max_regression: how much longer a step may take, 0.1 for 10 %.
    own_keys: the keys that `throughput` gives itself.
    """

    mode: Mode
    recipe: Recipe
    has_training: bool
    sizes: Mapping[str, int]
    max_regression: float
    own_keys: frozenset[str]

    def make_inputs(self) -> ForwardInput:
        """Return the input of a step; images have the size that `resize` gives."""
        made = make_forward_input(self.recipe.input, self.sizes)
        resize = self.recipe.resize
        given = [value for value in (*made.args, *made.kwargs.values()) if not isinstance(value, LiteralInput)]
        if resize is None or len(given) != 1:
            return made
        args = tuple(_resized(value, resize) for value in made.args)
        return replace(made, args=args, kwargs={key: _resized(value, resize) for key, value in made.kwargs.items()})

    def conditions(self) -> dict[str, Any]:
        """Return what has to be equal in two plans for their speeds to be comparable."""
        batch, recipe = self.make_inputs(), self.recipe
        shapes = [f"[{', '.join(map(str, one.shape))}]" for one in batch.tensors()]
        made = [f"what {batch.source.target} makes"] if batch.source is not None else shapes
        return {
            "mode": self.mode,
            "precision": recipe.precision,
            "batch_size": recipe.batch_size,
            "input": ", ".join(made),
        }

    def describe_step(self) -> str:
        """Describe a step in words: `[64, 1, 28, 28] by SGD and CrossEntropyLoss`."""
        shapes = self.conditions()["input"]
        if self.mode == "inference":
            return str(shapes)
        loss = self.recipe.loss.name if self.has_training else "the mean square of the outputs"
        return f"{shapes} by {self.recipe.optimizer.name} and {loss}"

    def workload_keys(self) -> dict[str, Any]:
        """Return the keys of `throughput` by which another spec is timed on the same workload."""
        resize = self.recipe.resize
        return {
            "mode": self.mode,
            "batch_size": self.recipe.batch_size,
            "resize": list(resize) if resize is not None else None,
            "precision": self.recipe.precision,
        }

    def place(self, key: str) -> Keys:
        """Return the place of a key in the spec: in `throughput`, or where the recipe has it."""
        return ("throughput", key) if key in self.own_keys else self.recipe.place(key)


def resolve_plan(spec: Spec, kind: RecipeKind, work: Mapping[str, Any] | None = None) -> SpeedPlan:
    """Return the plan of a spec.

    work: keys of `throughput` that replace the spec's own, as `SpeedPlan.workload_keys` gives them.
    """
    section = spec.throughput or Throughput()
    if work is not None:
        section = section.model_copy(update={key: work[key] for key in WORKLOAD_KEYS})
    defaults = {"training": spec.training or Training(dataset=Named(name="none"))}
    recipe = resolve_recipe(spec.model_copy(update=defaults), kind)
    own = {key: getattr(section, key) for key in section.model_fields_set if getattr(section, key) is not None}
    resize = work["resize"] if work is not None else own.get("resize", recipe.resize)
    recipe = replace(
        recipe,
        batch_size=_batch_size(spec, recipe, own.get("batch_size", recipe.batch_size)),
        resize=(resize, resize) if isinstance(resize, int) else resize and tuple(resize),
        precision=own.get("precision", recipe.precision),
    )
    first = {name: sizes[0] for name, sizes in spec.sizes.items()}
    return SpeedPlan(
        mode=section.mode,
        recipe=recipe,
        has_training=spec.training is not None and recipe.loop is None,
        sizes={**first, BATCH: recipe.batch_size},
        max_regression=section.max_regression or DEFAULT_MAX_REGRESSION,
        own_keys=frozenset(own),
    )


def _batch_size(spec: Spec, recipe: Recipe, asked: int) -> int:
    """Return the batch size asked for, or the only one that the network takes."""
    if BATCH in input_names(recipe.input):
        return asked
    first = next((pattern for _, pattern in iter_input_patterns(recipe.input)), None)
    sizes = {name: sizes[0] for name, sizes in spec.sizes.items()}
    return int(first.dims[0].evaluate(sizes)) if first is not None and first.dims else 1


def _resized(value: InputValue, resize: tuple[int, int]) -> InputValue:
    """Return images at another size, and any other input unchanged."""
    if not isinstance(value, TensorInput) or len(value.shape) != 4 or not value.dtype.startswith(("float", "bfloat")):
        return value
    return replace(value, shape=(*value.shape[:2], *resize))
