"""A complete training recipe: the spec's `training`, changed by `quick` for a quick run, with defaults for the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from archcheck.findings import Keys
from archcheck.spec.models import CheckpointAccuracy, Named, Normalize, Spec, Training, TrainingKeys

RecipeKind: TypeAlias = Literal["quick", "full"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """The instructions for one training run, with every choice made.

    The fields are the keys of `training`; `accuracy`, `time_budget_sec` and `steps_per_epoch` are None where there is
    no bound. `args` and `input` are those of the network to train. quick_keys: the keys that `quick` gives.
    gives_epochs: the spec says how many; a loop may have a number of its own.
    loop: what trains the network instead, `module:callable` or `lightning`; it may have data of its own, so that there
    is no `dataset`.
    """

    kind: RecipeKind
    dataset: Named | None
    loop: str | None
    loop_args: dict[str, Any]
    datamodule: Named | None
    metric: str
    resize: tuple[int, int] | None
    augment: tuple[Named, ...]
    normalize: bool | Normalize
    loss: Named
    label_smoothing: float
    optimizer: Named
    scheduler: Named | None
    clip_grad_norm: float | None
    init: Named | None
    batch_size: int
    epochs: int
    steps_per_epoch: int | None
    precision: Literal["fp32", "bf16"]
    memory_format: Literal["contiguous", "channels_last"]
    compile: bool
    graph: bool
    seed: int
    time_budget_sec: float | None
    stop_at_accuracy: bool
    accuracy: float | None
    args: dict[str, Any]
    input: Any
    quick_keys: frozenset[str]
    gives_epochs: bool

    def to_the_end(self) -> Recipe:
        """Return the recipe without what ends a run early: runs of different lengths can't be compared."""
        return replace(self, accuracy=None, stop_at_accuracy=False, time_budget_sec=None)

    def place(self, key: str) -> Keys:
        """Return the place of a key in the spec, or of an argument such as `loss.weight`: in `quick` where that is."""
        key, *arguments = key.split(".")
        if key in self.quick_keys:
            return ("training", "quick", key, *arguments)
        return (key,) if key in ("build", "args", "input") else ("training", key, *arguments)


def resolve_recipe(spec: Spec, kind: RecipeKind) -> Recipe:
    """Return the recipe of a spec that has `training`; without `quick` both kinds are the same run."""
    training = spec.training
    assert training is not None
    quick = training.quick if kind == "quick" else None
    given = _given(training) | (_given(quick) if quick is not None else {})
    resize, init = given.get("resize"), given.get("init")
    return Recipe(
        kind=kind,
        dataset=given.get("dataset"),
        loop=given.get("loop"),
        loop_args=given.get("loop_args", {}),
        datamodule=given.get("datamodule"),
        metric=given.get("metric", "val_acc"),
        resize=(resize, resize) if isinstance(resize, int) else resize,
        augment=tuple(given.get("augment", ())),
        normalize=given.get("normalize", False),
        loss=given.get("loss", Named(name="CrossEntropyLoss")),
        label_smoothing=given.get("label_smoothing", 0.0),
        optimizer=given.get("optimizer", Named.model_validate({"name": "SGD", "lr": 0.1})),
        scheduler=given.get("scheduler"),
        clip_grad_norm=given.get("clip_grad_norm"),
        init=None if init is None or init.name == "default" else init,
        batch_size=given.get("batch_size", 128),
        epochs=given.get("epochs", 10),
        steps_per_epoch=given.get("steps_per_epoch"),
        precision=given.get("precision", "fp32"),
        memory_format=given.get("memory_format", "contiguous"),
        compile=given.get("compile", False),
        graph=given.get("graph", False),
        seed=given.get("seed", 0),
        time_budget_sec=given.get("time_budget"),
        stop_at_accuracy=given.get("stop_at_accuracy", True),
        accuracy=given.get("accuracy"),
        args={**spec.args, **(given.get("args") or {})},
        input=given.get("input") or spec.input,
        quick_keys=frozenset(_given(quick)) if quick is not None else frozenset(),
        gives_epochs="epochs" in given,
    )


def resolve_evaluation(spec: Spec, wanted: CheckpointAccuracy) -> Recipe:
    """Return the recipe by which a network with given weights is evaluated: `training`'s, with the keys of `wanted`."""
    keys = ("dataset", "resize", "normalize", "batch_size")
    given = {key: getattr(wanted, key) for key in keys if getattr(wanted, key) is not None} | {"loop": None}
    training = (spec.training or Training(dataset=wanted.dataset)).model_copy(update=given)
    return resolve_recipe(spec.model_copy(update={"training": training}), "full")


def _given(keys: TrainingKeys | Training) -> dict[str, Any]:
    """Return the keys that a section gives a value; an explicit null gives none."""
    values = {key: getattr(keys, key) for key in keys.model_fields_set if key != "quick"}
    return {key: value for key, value in values.items() if value is not None}
