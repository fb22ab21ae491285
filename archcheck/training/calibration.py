"""A minimum accuracy that sound runs don't miss, and the settings that pay: measured once, written into the spec."""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean, median, stdev
from typing import Any, Literal, Protocol

import torch

from archcheck.errors import UsageError
from archcheck.findings import Edit
from archcheck.network.exceptions import one_line
from archcheck.network.torch_state import default_torch_settings
from archcheck.recording.edits import apply_edits
from archcheck.spec.models import Spec
from archcheck.spec.spec_file import SpecFile, read_spec
from archcheck.text.tables import format_table
from archcheck.training.failures import RunFailed
from archcheck.training.recipe import Recipe
from archcheck.training.records import TrainingFault, TrainingRecord
from archcheck.training.tolerance_bound import CONFIDENCE, COVERAGE, LEAST_STD, lower_bound, one_sided_factor

PAYS = 1.05  # what a setting must gain over the plainest to be worth a line in the spec
HOPELESS = 0.5  # a setting this slow needs no second look
ROUNDS = 7
WARM_UP_STEPS = 3
SLOT_SEC = 0.1  # one setting's turn in a round: long against the clock's resolution, short against a machine's moods
STEPS_AT_MOST = 50

SETTING_KEYS = ("precision", "memory_format", "compile")

Say = Callable[[str], None]


class Runner(Protocol):
    """What a calibration asks of a trainer."""

    @property
    def num_classes(self) -> int | None:
        """How many classes there are to guess among; None for a regression, or where nobody knows."""

    @property
    def num_test_examples(self) -> int | None:
        """The size of the test set, where it is known."""

    def train(self, recipe: Recipe) -> TrainingRecord:
        """One run from the start."""

    def prepare_step(self, recipe: Recipe) -> Callable[[], None]:
        """A function that does one training step on real data and returns before the device is through with it."""

    def synchronize(self) -> None:
        """Wait for the device."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What to calibrate: how many runs, and whether precision, memory format and compilation are chosen too."""

    num_seeds: int = 5
    measure_speed: bool = True
    compile: bool = False
    check_precision: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """How the steps of a run are computed; what is computed is the same up to rounding."""

    precision: Literal["fp32", "bf16"] = "fp32"
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    compile: bool = False

    def applied_to(self, recipe: Recipe) -> Recipe:
        """A recipe with this setting."""
        return replace(recipe, precision=self.precision, memory_format=self.memory_format, compile=self.compile)

    def __str__(self) -> str:
        return f"{self.precision}, {self.memory_format}{', compiled' if self.compile else ''}"


@dataclass(frozen=True, slots=True)
class Timing:
    """A setting's speed as a multiple of the plainest setting's; None where a step failed, and `failure` says how."""

    setting: Setting
    ratio: float | None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class CalibrationRuns:
    """What was measured: the settings' speeds, the runs with the setting chosen, and those in fp32 beside it.

    `old` is the recipe that the spec gives now, `recipe` the one with that setting. `chance` is the accuracy of
    guessing, `resolution` one example's share of the test set; 0 where they aren't known.
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
        return _accuracies(self.records)


def _accuracies(records: Iterable[TrainingRecord]) -> list[float]:
    return [record.final_accuracy for record in records if record.final_accuracy is not None]


# ------------------------------------------------------------------------------------------- measuring


def calibrate(
    spec_file: SpecFile,
    runner: Runner,
    recipe: Recipe,
    choices: Choices,
    say: Say,
    clock: Callable[[], float] = time.perf_counter,
) -> CalibrationRuns:
    """Choose the setting that pays, then train once for each seed; `say` is told of each step in one line.

    Raises:
        UsageError: fewer than two seeds, a spec that can't be edited in place, or a run that died.
    """
    one_sided_factor(choices.num_seeds)
    _require_editable(spec_file, recipe, choices)
    try:
        timings = measure_settings(runner, recipe, choices, say, clock) if choices.measure_speed else ()
    except RunFailed as failed:
        raise _died(spec_file, recipe, failed.fault) from None
    chosen = choose_setting(timings).applied_to(recipe) if timings else recipe
    records = _train_seeds(spec_file, runner, chosen, choices.num_seeds, say)
    if chosen.precision == "bf16" and records[0].device == "cpu":
        say("bf16 pays on this CPU; on those that don't multiply it in hardware it is slow (--no-speed keeps fp32)")
    fp32: tuple[TrainingRecord, ...] = ()
    if choices.check_precision and chosen.precision == "bf16":
        fp32 = _train_seeds(spec_file, runner, replace(chosen, precision="fp32"), choices.num_seeds, say)
    elif choices.check_precision:
        say("fp32 it is: no other precision to check")
    is_accuracy = records[0].metric == "accuracy"
    chance, resolution = (
        1 / count if is_accuracy and count else 0.0 for count in (runner.num_classes, runner.num_test_examples)
    )
    return CalibrationRuns(recipe, chosen, timings, records, fp32, chance, resolution)


def _train_seeds(spec_file: SpecFile, runner: Runner, recipe: Recipe, num: int, say: Say) -> tuple[TrainingRecord, ...]:
    """Runs that differ in their seed alone and end with their last epoch, not with a minimum or a time budget."""
    records = []
    for seed in range(recipe.seed, recipe.seed + num):
        record = runner.train(replace(recipe.to_the_end(), seed=seed))
        final = record.final_accuracy
        if record.fault is not None:
            raise _died(spec_file, recipe, record.fault, f"seed {seed}: ")
        if final is None or not math.isfinite(final):
            raise UsageError(f"{spec_file.document.path}: seed {seed}: no accuracy came of it; nothing was written")
        records.append(record)
        rate = f", {record.examples_per_sec:,.0f} examples/s" if record.examples_per_sec else ""
        say(f"seed {seed} ({recipe.precision}): {record.metric} {final:.4f}{rate}, {_duration_sec(record):.1f} s")
    return tuple(records)


def _died(spec_file: SpecFile, recipe: Recipe, fault: TrainingFault, which: str = "") -> UsageError:
    at = spec_file.locate(recipe.place(fault.key))
    return UsageError(f"{at}: {which}{fault.message}; nothing was written")


def _duration_sec(record: TrainingRecord) -> float:
    return sum(epoch.duration_sec + epoch.first_step_sec for epoch in record.epochs)


def measure_settings(
    runner: Runner, recipe: Recipe, choices: Choices, say: Say, clock: Callable[[], float]
) -> tuple[Timing, ...]:
    """The speed of each setting, the plainest first; compiled, which costs a minute, only the best where asked for."""
    compiled = recipe.compile and not choices.compile
    plain = Setting(compile=compiled)
    others = [
        Setting("fp32", "channels_last", compiled),
        Setting("bf16", "contiguous", compiled),
        Setting("bf16", "channels_last", compiled),
    ]
    with default_torch_settings():  # the steps draw random numbers
        timings = _measure(runner, recipe, (plain, *others), clock)
        if choices.compile:
            best = replace(_fastest(timings).setting, compile=True)
            timings = (*timings, *_measure(runner, recipe, (plain, best), clock)[1:])
    for timing in timings:
        say(f"{timing.setting}: {'failed' if timing.ratio is None else f'{timing.ratio:.2f} times the speed'}")
    return timings


def _measure(
    runner: Runner, recipe: Recipe, settings: Sequence[Setting], clock: Callable[[], float]
) -> tuple[Timing, ...]:
    """Settings in turns, so that a machine that slows down slows them all; each against the first within its round."""
    steps: dict[Setting, Callable[[], None]] = {}
    failures: dict[Setting, str] = {}
    for setting in settings:
        try:
            steps[setting] = _warmed_up(runner, setting.applied_to(recipe))
        except Exception as error:  # whatever torch says of it: this setting is not for this network
            if setting == settings[0]:
                raise
            failures[setting] = str(error) if isinstance(error, RunFailed) else one_line(error)
    plain = settings[0]
    estimate = _time_steps(runner, steps[plain], 1, clock)
    num_steps = min(STEPS_AT_MOST, max(1, round(SLOT_SEC / max(estimate, 1e-6))))
    ratios: dict[Setting, list[float]] = {setting: [] for setting in steps}
    for turn in range(ROUNDS):
        running = [one for one in steps if not (ratios[one] and ratios[one][0] < HOPELESS)]
        order = running[turn % len(running) :] + running[: turn % len(running)]
        spent = {one: _time_steps(runner, steps[one], num_steps, clock) for one in order}
        for one in order:
            ratios[one].append(spent[plain] / spent[one])
    return tuple(
        Timing(one, median(ratios[one])) if one in ratios else Timing(one, None, failures[one]) for one in settings
    )


def _warmed_up(runner: Runner, recipe: Recipe) -> Callable[[], None]:
    step = runner.prepare_step(recipe)
    for _ in range(WARM_UP_STEPS):
        step()
    runner.synchronize()
    return step


def _time_steps(runner: Runner, step: Callable[[], None], num_steps: int, clock: Callable[[], float]) -> float:
    """Seconds of wall clock for some steps, the device's work included."""
    runner.synchronize()
    start = clock()
    for _ in range(num_steps):
        step()
    runner.synchronize()
    return clock() - start


def choose_setting(timings: Sequence[Timing]) -> Setting:
    """The fastest setting where it pays, else the plainest, which stands first; compiling has to pay by itself."""
    plain = timings[0]
    fastest = _fastest([one for one in timings if one.setting.compile == plain.setting.compile])
    best = fastest if _ratio(fastest) >= PAYS else plain
    compiled = _fastest(timings)
    return (compiled if _ratio(compiled) >= PAYS * _ratio(best) else best).setting


def _fastest(timings: Sequence[Timing]) -> Timing:
    return max(timings, key=_ratio)


def _ratio(timing: Timing) -> float:
    return timing.ratio or 0.0


# ------------------------------------------------------------------------------------------- the minimum


def set_minimum(runs: CalibrationRuns) -> float:
    """The minimum that the runs give.

    Raises:
        UsageError: no minimum separates sound from broken, or bf16 decides otherwise than fp32.
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


def calibration_edits(spec: Spec, recipe: Recipe, values: Mapping[str, Any]) -> list[Edit]:
    """Edits by which the keys of `values` change runs of this kind and no others.

    They go to `quick` where a quick run was calibrated and there is one. What `quick` took over of a full run's
    settings, it keeps.
    """
    quick = spec.training.quick if spec.training is not None else None
    own = ("training", "quick") if recipe.kind == "quick" and quick is not None else ("training",)
    edits = [Edit((*own, key), value) for key, value in values.items()]
    if recipe.kind == "full" and quick is not None:
        taken_over = [key for key in SETTING_KEYS if key in values and getattr(quick, key) is None]
        edits += [Edit(("training", "quick", key), getattr(recipe, key)) for key in taken_over]
    return edits


def _measured_values(runs: CalibrationRuns, minimum: float) -> dict[str, Any]:
    """What the spec is to say; a setting that its runs have anyway needs no line."""
    pairs = ((key, getattr(runs.old, key), getattr(runs.recipe, key)) for key in SETTING_KEYS)
    settings = {key: new for key, old, new in pairs if new != old}
    return {**settings, "accuracy": minimum, "calibration": _record(runs)}


def _record(runs: CalibrationRuns) -> dict[str, Any]:
    return {
        "mean": round(mean(runs.accuracies), 4),
        "std": round(stdev(runs.accuracies), 4),
        "seeds": len(runs.records),
        "device": runs.records[0].device,
        "torch": str(torch.__version__),
        "date": datetime.date.today().isoformat(),
    }


def _require_editable(spec_file: SpecFile, recipe: Recipe, choices: Choices) -> None:
    """Raise UsageError, before anything is trained, where what will be measured can't be written into the file."""
    record = {"mean": 0.5, "std": 0.0, "seeds": 2, "device": "cpu", "torch": "2", "date": "2000-01-01"}
    values: dict[str, Any] = {"accuracy": 1e-9, "calibration": record}
    if choices.measure_speed:
        values = {"precision": "bf16", "memory_format": "channels_last", "compile": True, **values}
    document, edits = spec_file.document, calibration_edits(spec_file.spec, recipe, values)
    apply_edits(document.text, document.path, edits, {})


def calibrated_text(spec_file: SpecFile, runs: CalibrationRuns, minimum: float) -> tuple[str, str]:
    """The spec's text as it is now and as it is to be; comments that were edited while the runs went on are kept.

    Raises:
        UsageError: the spec says something else by now, so that the runs aren't its own.
    """
    path = spec_file.document.path
    now = read_spec(spec_file.path, path)
    if now.spec != spec_file.spec:
        raise UsageError(f"{path}: changed while it was being calibrated, nothing was written; run it again")
    text, edits = now.document.text, calibration_edits(now.spec, runs.old, _measured_values(runs, minimum))
    return text, apply_edits(text, path, edits, {})


# ------------------------------------------------------------------------------------------- what is shown


def format_runs(runs: CalibrationRuns) -> str:
    """The settings with their speeds, where these were measured, and a row for each seed."""
    tables = [_format_timings(runs)] if runs.timings else []
    return "\n\n".join([*tables, _format_records(runs)])


def _format_timings(runs: CalibrationRuns) -> str:
    chosen = Setting(runs.recipe.precision, runs.recipe.memory_format, runs.recipe.compile)
    rows = [
        [
            one.setting.precision,
            one.setting.memory_format,
            "yes" if one.setting.compile else "no",
            "-" if one.ratio is None else f"{one.ratio:.2f}",
            "chosen" if one.setting == chosen else f"failed: {one.failure}" if one.failure else "",
        ]
        for one in runs.timings
    ]
    headers = ("precision", "memory format", "compile", "speed", "")
    return format_table(rows, headers, ("left", "left", "left", "right", "left"), "simple")


def _format_records(runs: CalibrationRuns) -> str:
    metric = runs.records[0].metric
    headers = ["seed", f"train {metric}", f"test {metric}", "examples/s", "seconds"]
    rows = [
        [
            str(one.seed),
            f"{one.epochs[-1].train_accuracy:.4f}",
            f"{one.final_accuracy:.4f}",
            f"{one.examples_per_sec:,.0f}" if one.examples_per_sec else "-",
            f"{_duration_sec(one):.1f}",
        ]
        for one in runs.records
    ]
    if runs.fp32_records:
        headers.insert(3, f"test {metric} in fp32")
        for row, one in zip(rows, runs.fp32_records, strict=True):
            row.insert(3, f"{one.final_accuracy:.4f}")
    return format_table(rows, headers, ["right"] * len(headers), "simple")


def format_minimum(runs: CalibrationRuns, minimum: float) -> str:
    """How the minimum comes about, and what it was."""
    found = runs.accuracies
    floor = max(LEAST_STD, runs.resolution)
    taken = f" (taken as {floor:.4f})" if stdev(found) < floor else ""
    old = "" if runs.old.accuracy is None else f" (was {runs.old.accuracy:g})"
    return (
        f"mean {mean(found):.4f}, standard deviation {stdev(found):.4f}{taken}, "
        f"factor {one_sided_factor(len(found)):.3f} for {len(found)} seeds\n"
        f"minimum {minimum:.3f}{old}: {COVERAGE:.0%} of sound runs reach it, with {CONFIDENCE:.0%} confidence"
    )


def quick_takes_over(spec: Spec, runs: CalibrationRuns) -> bool:
    """Whether quick runs take over a minimum that full ones gave, for want of one of their own."""
    quick = spec.training.quick if spec.training is not None else None
    return runs.recipe.kind == "full" and quick is not None and quick.accuracy is None
