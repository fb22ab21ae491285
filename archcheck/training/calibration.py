"""Calibration of a recipe: a minimum accuracy that sound runs reach, from several seeds, and the fastest settings."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Literal, Protocol

from archcheck.errors import UsageError
from archcheck.network.exceptions import one_line
from archcheck.network.torch_state import default_torch_settings
from archcheck.spec.spec_file import SpecFile
from archcheck.training.failures import RunFailed
from archcheck.training.recipe import Recipe
from archcheck.training.records import TrainingFault, TrainingRecord
from archcheck.training.tolerance_bound import lower_bound, one_sided_factor

MIN_SPEEDUP = 1.05  # over the plainest setting, for another to be worth a line in the spec
MIN_RATIO = 0.5  # a setting slower than this isn't measured again
NUM_ROUNDS = 7
WARM_UP_STEPS = 3
# One setting's turn in a round: long against the clock's resolution, short against changes of the machine's speed.
TURN_SEC = 0.1
MAX_STEPS = 50

SETTING_KEYS = ("precision", "memory_format", "compile", "graph")

Report = Callable[[str], None]


class CalibrationTrainer(Protocol):
    """The part of `trainer.Trainer` that a calibration needs."""

    @property
    def num_classes(self) -> int | None:
        """The number of classes to guess among; None for a regression, or where it isn't known."""

    @property
    def num_test_examples(self) -> int | None:
        """The size of the test set; None where it isn't known."""

    def train(self, recipe: Recipe) -> TrainingRecord:
        """Train once, from the start."""

    def prepare_step(self, recipe: Recipe) -> Callable[[], None]:
        """Return a function that takes one training step on real data, without waiting for the device."""

    @property
    def has_graphs(self) -> bool:
        """Whether the device can run a step as a graph."""

    def synchronize(self) -> None:
        """Wait for the device."""


@dataclass(frozen=True, slots=True)
class Choices:
    """The choices of a user: how many runs, and whether precision, memory format and compilation are measured."""

    num_seeds: int = 5
    measure_speed: bool = True
    compile: bool = False
    check_precision: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """A way to compute the steps of a run; the results of all settings are the same up to rounding."""

    precision: Literal["fp32", "bf16"] = "fp32"
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    compile: bool = False
    graph: bool = False

    @staticmethod
    def of(recipe: Recipe) -> Setting:
        """Return the setting of a recipe."""
        return Setting(recipe.precision, recipe.memory_format, recipe.compile, recipe.graph)

    def apply(self, recipe: Recipe) -> Recipe:
        """Return a recipe with this setting."""
        return replace(recipe, **asdict(self))

    def __str__(self) -> str:
        ways = (", compiled" if self.compile else "") + (", graph" if self.graph else "")
        return f"{self.precision}, {self.memory_format}{ways}"


@dataclass(frozen=True, slots=True)
class Timing:
    """A setting's speed as a multiple of the plainest setting's; None where a step failed, for the reason `failure`."""

    setting: Setting
    ratio: float | None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class CalibrationRuns:
    """The measurements of a calibration.

    old: the recipe that the spec gives. recipe: the same with the chosen setting.
    timings: the settings' speeds; empty where they weren't measured.
    records: a run for each seed by `recipe`. fp32_records: the same in fp32, where that was to be checked.
    chance: the accuracy of guessing. resolution: one example's share of the test set. Both are 0 where not known.
    """

    old: Recipe
    recipe: Recipe
    timings: tuple[Timing, ...]
    records: tuple[TrainingRecord, ...]
    fp32_records: tuple[TrainingRecord, ...] = ()
    chance: float = 0.0
    resolution: float = 0.0

    @property
    def accuracies(self) -> list[float]:
        """The final accuracy of each run."""
        return [record.final_accuracy for record in self.records if record.final_accuracy is not None]


# ------------------------------------------------------------------------------------------- measuring


def calibrate(
    spec_file: SpecFile,
    trainer: CalibrationTrainer,
    recipe: Recipe,
    choices: Choices,
    report: Report,
    clock: Callable[[], float] = time.perf_counter,
) -> CalibrationRuns:
    """Choose the fastest setting, then train once for each seed; `report` gets a line for each result.

    Raises:
        UsageError: fewer than two seeds, or a run that failed.
    """
    one_sided_factor(choices.num_seeds)  # refuses fewer than two
    try:
        is_measured = choices.measure_speed and recipe.loop is None  # a loop of the user's own decides them itself
        timings = measure_settings(trainer, recipe, choices, report, clock) if is_measured else ()
    except RunFailed as failed:
        raise _failure(spec_file, recipe, failed.fault) from None
    chosen = choose_setting(timings).apply(recipe) if timings else recipe
    records = _train_seeds(spec_file, trainer, chosen, choices.num_seeds, report)
    if chosen.precision == "bf16" and records[0].device == "cpu":
        report("bf16 pays on this CPU; on those that don't multiply it in hardware it is slow (--no-speed keeps fp32)")
    fp32: tuple[TrainingRecord, ...] = ()
    if choices.check_precision and chosen.precision == "bf16":
        fp32 = _train_seeds(spec_file, trainer, replace(chosen, precision="fp32"), choices.num_seeds, report)
    elif choices.check_precision and recipe.loop is None:
        report("fp32 it is: no other precision to check")
    is_accuracy = records[0].metric == "accuracy"
    chance, resolution = (
        1 / count if is_accuracy and count else 0.0 for count in (trainer.num_classes, trainer.num_test_examples)
    )
    return CalibrationRuns(recipe, chosen, timings, records, fp32, chance, resolution)


def _train_seeds(
    spec_file: SpecFile, trainer: CalibrationTrainer, recipe: Recipe, num: int, report: Report
) -> tuple[TrainingRecord, ...]:
    """Train with several seeds, each run to its last epoch, not to a minimum or a time budget."""
    records = []
    for seed in range(recipe.seed, recipe.seed + num):
        record = trainer.train(replace(recipe.to_the_end(), seed=seed))
        final = record.final_accuracy
        if record.fault is not None:
            raise _failure(spec_file, recipe, record.fault, f"seed {seed}: ")
        if final is None or not math.isfinite(final):
            raise UsageError(f"{spec_file.document.path}: seed {seed}: no accuracy came of it; nothing was written")
        records.append(record)
        rate = f", {record.examples_per_sec:,.0f} examples/s" if record.examples_per_sec else ""
        how = f" ({recipe.precision})" if recipe.loop is None else ""
        report(f"seed {seed}{how}: {record.metric} {final:.4f}{rate}, {duration_sec(record):.1f} s")
    return tuple(records)


def _failure(spec_file: SpecFile, recipe: Recipe, fault: TrainingFault, prefix: str = "") -> UsageError:
    place = spec_file.locate(recipe.place(fault.key))
    return UsageError(f"{place}: {prefix}{fault.message}; nothing was written")


def duration_sec(record: TrainingRecord) -> float:
    """Return the seconds that the training steps of a run took, its first step included."""
    return sum(epoch.duration_sec + epoch.first_step_sec for epoch in record.epochs)


def measure_settings(
    trainer: CalibrationTrainer, recipe: Recipe, choices: Choices, report: Report, clock: Callable[[], float]
) -> tuple[Timing, ...]:
    """Measure the speed of each setting, the plainest first.

    The fastest is also measured as a graph, where the device has those, and compiled, where that is asked for:
    compiling costs a minute.
    """
    compiled = recipe.compile and not choices.compile
    plain = Setting(compile=compiled)
    others = [
        Setting("fp32", "channels_last", compiled),
        Setting("bf16", "contiguous", compiled),
        Setting("bf16", "channels_last", compiled),
    ]
    with default_torch_settings():  # the steps draw random numbers
        timings = _measure(trainer, recipe, (plain, *others), clock)
        fastest = _fastest(timings).setting
        more = [replace(fastest, graph=True)] if trainer.has_graphs else []
        more += [replace(fastest, compile=True)] if choices.compile else []
        for setting in more:
            timings = (*timings, *_measure(trainer, recipe, (plain, setting), clock)[1:])
    for timing in timings:
        report(f"{timing.setting}: {'failed' if timing.ratio is None else f'{timing.ratio:.2f} times the speed'}")
    return timings


def _measure(
    trainer: CalibrationTrainer, recipe: Recipe, settings: Sequence[Setting], clock: Callable[[], float]
) -> tuple[Timing, ...]:
    """Time settings in turns, so that a machine that slows down slows them all; the first is each round's measure."""
    steps: dict[Setting, Callable[[], None]] = {}
    failures: dict[Setting, str] = {}
    for setting in settings:
        try:
            steps[setting] = _warmed_up_step(trainer, setting.apply(recipe))
        except Exception as error:  # torch may raise anything where a setting doesn't work for a network
            if setting == settings[0]:
                raise
            failures[setting] = str(error) if isinstance(error, RunFailed) else one_line(error)
    plain = settings[0]
    estimate = _time_steps(trainer, steps[plain], 1, clock)
    num_steps = min(MAX_STEPS, max(1, round(TURN_SEC / max(estimate, 1e-6))))
    ratios: dict[Setting, list[float]] = {setting: [] for setting in steps}
    for turn in range(NUM_ROUNDS):
        running = [one for one in steps if not (ratios[one] and ratios[one][0] < MIN_RATIO)]
        order = running[turn % len(running) :] + running[: turn % len(running)]
        spent = {one: _time_steps(trainer, steps[one], num_steps, clock) for one in order}
        for one in order:
            ratios[one].append(spent[plain] / spent[one])
    return tuple(
        Timing(one, median(ratios[one])) if one in ratios else Timing(one, None, failures[one]) for one in settings
    )


def _warmed_up_step(trainer: CalibrationTrainer, recipe: Recipe) -> Callable[[], None]:
    step = trainer.prepare_step(recipe)
    for _ in range(WARM_UP_STEPS):
        step()
    trainer.synchronize()
    return step


def _time_steps(
    trainer: CalibrationTrainer, step: Callable[[], None], num_steps: int, clock: Callable[[], float]
) -> float:
    """Return the wall-clock seconds of some steps, the device's work included."""
    trainer.synchronize()
    start = clock()
    for _ in range(num_steps):
        step()
    trainer.synchronize()
    return clock() - start


def choose_setting(timings: Sequence[Timing]) -> Setting:
    """Return the fastest setting where it is worth it, else the plainest, which comes first.

    A graph has to be worth it over the fastest setting without, and compiling over the fastest that isn't compiled.
    """
    best = timings[0]
    for graph, compiled in ((False, best.setting.compile), (True, best.setting.compile), (False, True)):
        alike = [one for one in timings if (one.setting.graph, one.setting.compile) == (graph, compiled)]
        if alike and _ratio(_fastest(alike)) >= MIN_SPEEDUP * _ratio(best):
            best = _fastest(alike)
    return best.setting


def _fastest(timings: Sequence[Timing]) -> Timing:
    return max(timings, key=_ratio)


def _ratio(timing: Timing) -> float:
    return timing.ratio or 0.0


# ------------------------------------------------------------------------------------------- the minimum


def set_minimum(runs: CalibrationRuns) -> float:
    """Return the minimum accuracy that the runs give.

    Raises:
        UsageError: no minimum separates sound runs from broken ones, or runs in fp32 miss the minimum of those in bf16.
    """
    bound = lower_bound(runs.accuracies, chance=runs.chance, resolution=runs.resolution)
    failing = [one for one in runs.fp32_records if (one.final_accuracy or 0) < bound]
    if failing:
        listed = ", ".join(f"seed {one.seed}: {one.final_accuracy:.4f}" for one in failing)
        raise UsageError(
            f"the verdict would depend on the precision: in fp32, runs end below the minimum {bound:.3f} that those in "
            f"bf16 give ({listed}); nothing was written; set precision: fp32 and calibrate with --no-speed"
        )
    return bound
