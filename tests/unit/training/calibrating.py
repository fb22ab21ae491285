"""A calibration of a trainer that trains nothing: its accuracies and its steps' times are given."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from archcheck.recording.calibration import calibrated_text, check_editable
from archcheck.spec.spec_file import SpecFile, read_spec
from archcheck.training.calibration import (
    CalibrationRuns,
    Choices,
    calibrate,
    set_minimum,
)
from archcheck.training.failures import RunFailed
from archcheck.training.recipe import Recipe, resolve_recipe
from archcheck.training.records import EpochRecord, TrainingFault, TrainingRecord

HEAD = "build: nets:small\ninput: [B, 1, 28, 28]\n"
FULL = HEAD + "training:\n  dataset: fashion-mnist-mini  # small\n  epochs: 2\n# the end\n"
BOTH = HEAD + "training:\n  dataset: fashion-mnist\n  epochs: 20\n  accuracy: 0.93\n  quick: {epochs: 2}\n"

FIVE = [0.83, 0.84, 0.84, 0.85, 0.85]  # mean 0.842, std 0.00837: 0.842 - 5.741 * 0.00837 = 0.7939
COSTS = {("fp32", "contiguous"): 1.0, ("fp32", "channels_last"): 0.8, ("bf16", "contiguous"): 1.25}


class FakeTrainer:
    """Runs whose accuracies are given, and steps that take the time they are said to, on a clock of its own."""

    num_classes: int | None = 10
    num_test_examples: int | None = 1000
    has_graphs = False
    graph_cost = 0.5

    def __init__(self, accuracies: list[float], costs: dict[tuple[str, str], float] | None = None) -> None:
        self.accuracies = accuracies
        self.fp32_accuracies = accuracies
        self.costs = costs or COSTS
        self.compiled_cost = 0.5
        self.trained: list[Recipe] = []
        self.now = 0.0
        self.fault: TrainingFault | None = None

    def train(self, recipe: Recipe) -> TrainingRecord:
        self.trained.append(recipe)
        accuracies = self.accuracies if recipe.precision == "bf16" else self.fp32_accuracies
        test = accuracies[recipe.seed % len(accuracies)]
        epochs = (EpochRecord(0, 2.3, 0.1, 0.1, 900.0, 2.0, 0.5), EpochRecord(1, 0.5, 0.9, test, 1100.0, 2.0))
        return TrainingRecord(epochs, recipe.kind, recipe.seed, "cpu", recipe.precision, fault=self.fault)

    def prepare_step(self, recipe: Recipe) -> Callable[[], None]:
        key = (recipe.precision, recipe.memory_format)
        if key not in self.costs:
            raise RuntimeError("no kernel\nfor this")
        if math.isnan(self.costs[key]):
            raise RunFailed("the forward pass raised KeyError: 'x'", "build")
        cost = self.costs[key] * (self.compiled_cost if recipe.compile else 1)
        cost *= self.graph_cost if recipe.graph else 1
        if math.isnan(cost):
            raise RunFailed("the forward pass raised RuntimeError: operation not permitted", "graph")

        def step() -> None:
            self.now += cost * (1 + self.now / 1000)  # the machine slows down all the while

        return step

    def synchronize(self) -> None:
        pass

    def clock(self) -> float:
        return self.now


def spec_of(folder: Path, text: str = FULL) -> SpecFile:
    path = folder / "small.arch.yaml"
    path.write_bytes(text.encode())
    return read_spec(path, "small.arch.yaml")


def run(spec_file: SpecFile, trainer: FakeTrainer, kind: str = "full", **choices: object) -> CalibrationRuns:
    recipe = resolve_recipe(spec_file.spec, "quick" if kind == "quick" else "full")
    chosen = Choices(**choices)  # type: ignore[arg-type]
    check_editable(spec_file, recipe, with_settings=chosen.measure_speed)
    said: list[str] = []
    return calibrate(spec_file, trainer, recipe, chosen, said.append, trainer.clock)


def written(spec_file: SpecFile, runs: CalibrationRuns) -> str:
    return calibrated_text(spec_file, runs, set_minimum(runs))[1]
