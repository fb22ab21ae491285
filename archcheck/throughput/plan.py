"""What a `throughput` section times, complete: what it says, the training recipe for the rest, defaults after that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from archcheck.findings import Keys
from archcheck.spec.dims import BATCH
from archcheck.spec.inputs import (
    ForwardInput,
    InputValue,
    TensorInput,
    input_names,
    iter_input_patterns,
    make_forward_input,
)
from archcheck.spec.models import Named, Spec, Throughput, Training
from archcheck.training.recipe import Recipe, RecipeKind, resolve_recipe

Mode: TypeAlias = Literal["train", "inference"]

DEFAULT_MAX_REGRESSION = 0.075
# The keys of `throughput` that say what is timed; the others say how fast it has to be.
WORKLOAD_KEYS = ("mode", "batch_size", "resize", "precision")


@dataclass(frozen=True, slots=True)
class SpeedPlan:
    """What is timed, every choice made, nothing measured.

    recipe: with the batch size, resize and precision that count here; `args` and `input` are the network's.
    has_training: the spec has a recipe; without one a step minimises the mean square of the outputs by plain SGD.
    sizes: of the input's free dimensions.
    """

    mode: Mode
    recipe: Recipe
    has_training: bool
    sizes: Mapping[str, int]
    max_regression: float
    own_keys: frozenset[str]

    def make_inputs(self) -> ForwardInput:
        """The batch that goes in; images have the size that `resize` says."""
        made = make_forward_input(self.recipe.input, self.sizes)
        resize = self.recipe.resize
        if resize is None or len(made.args) + len(made.kwargs) != 1:
            return made
        if made.args:
            return replace(made, args=(_resized(made.args[0], resize),))
        return replace(made, kwargs={key: _resized(value, resize) for key, value in made.kwargs.items()})

    def describe(self) -> dict[str, Any]:
        """What two runs have to have in common to be compared."""
        batch, recipe = self.make_inputs(), self.recipe
        shapes = [_shapes(item) for item in (*batch.args, *batch.kwargs.values())]
        return {
            "mode": self.mode,
            "precision": recipe.precision,
            "batch_size": recipe.batch_size,
            "input": ", ".join(shapes),
        }

    def describe_step(self) -> str:
        """A step in words: `[64, 1, 28, 28] by SGD and CrossEntropyLoss`."""
        shapes = self.describe()["input"]
        if self.mode == "inference":
            return str(shapes)
        loss = self.recipe.loss.name if self.has_training else "the mean square of the outputs"
        return f"{shapes} by {self.recipe.optimizer.name} and {loss}"

    def work(self) -> dict[str, Any]:
        """The keys of `throughput` that give another spec this one's work."""
        resize = self.recipe.resize
        return {
            "mode": self.mode,
            "batch_size": self.recipe.batch_size,
            "resize": list(resize) if resize is not None else None,
            "precision": self.recipe.precision,
        }

    def place(self, key: str) -> Keys:
        """Where a key is written: in `throughput`, or where the recipe has it."""
        return ("throughput", key) if key in self.own_keys else self.recipe.place(key)


def resolve_plan(spec: Spec, kind: RecipeKind, work: Mapping[str, Any] | None = None) -> SpeedPlan:
    """The plan of a spec: its `throughput`, with the keys of `work` instead of its own."""
    section = spec.throughput or Throughput()
    if work is not None:
        section = section.model_copy(update={key: work[key] for key in WORKLOAD_KEYS})
    trained = spec if spec.training is not None else spec.model_copy(update={"training": _untrained()})
    recipe = resolve_recipe(trained, kind)
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
        has_training=spec.training is not None,
        sizes={**first, BATCH: recipe.batch_size},
        max_regression=section.max_regression or DEFAULT_MAX_REGRESSION,
        own_keys=frozenset(own),
    )


def _untrained() -> Training:
    return Training(dataset=Named(name="none"))


def _batch_size(spec: Spec, recipe: Recipe, asked: int) -> int:
    """The batch size asked for, or that of a network that takes no other."""
    if BATCH in input_names(recipe.input):
        return asked
    first = next(pattern for _, pattern in iter_input_patterns(recipe.input))
    sizes = {name: sizes[0] for name, sizes in spec.sizes.items()}
    return int(first.dims[0].evaluate(sizes)) if first.dims else 1


def _resized(value: InputValue, resize: tuple[int, int]) -> InputValue:
    """Images of another size; anything else as it is."""
    if not isinstance(value, TensorInput) or len(value.shape) != 4 or not value.dtype.startswith(("float", "bfloat")):
        return value
    return replace(value, shape=(*value.shape[:2], *resize))


def _shapes(value: Any) -> str:
    if isinstance(value, TensorInput):
        return f"[{', '.join(map(str, value.shape))}]"
    return ", ".join(map(_shapes, value.values() if isinstance(value, Mapping) else value))
