"""`archcheck calibrate`: a minimum accuracy from several seeds, and the settings that pay, written into the spec."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from archcheck.cli.command_line import main
from archcheck.errors import UsageError
from archcheck.recording.calibration import calibrated_text, check_editable
from archcheck.report.calibration import format_minimum, format_runs
from archcheck.spec.spec_file import SpecFile, read_spec
from archcheck.training.calibration import (
    CalibrationRuns,
    Choices,
    Setting,
    Timing,
    calibrate,
    choose_setting,
    set_minimum,
)
from archcheck.training.failures import RunFailed
from archcheck.training.recipe import Recipe, resolve_recipe
from archcheck.training.records import EpochRecord, TrainingFault, TrainingRecord
from tests.integration.project import Project

HEAD = "build: nets:small\ninput: [B, 1, 28, 28]\n"
FULL = HEAD + "training:\n  dataset: fashion-mnist-mini  # small\n  epochs: 2\n# the end\n"
BOTH = HEAD + "training:\n  dataset: fashion-mnist\n  epochs: 20\n  accuracy: 0.93\n  quick: {epochs: 2}\n"

FIVE = [0.83, 0.84, 0.84, 0.85, 0.85]  # mean 0.842, std 0.00837: 0.842 - 5.741 * 0.00837 = 0.7939
COSTS = {("fp32", "contiguous"): 1.0, ("fp32", "channels_last"): 0.8, ("bf16", "contiguous"): 1.25}


class FakeTrainer:
    """Runs whose accuracies are given, and steps that take the time they are said to, on a clock of its own."""

    num_classes: int | None = 10
    num_test_examples: int | None = 1000

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


def test_measuring_speed_leaves_the_random_generators_alone(tmp_path: Path) -> None:
    class Drawing(FakeTrainer):
        def prepare_step(self, recipe: Recipe) -> Callable[[], None]:
            step = super().prepare_step(recipe)
            return lambda: (torch.rand(1), step())[1]

    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    run(spec_of(tmp_path), Drawing(FIVE))
    assert torch.equal(torch.rand(1), expected)


# ------------------------------------------------------------------------------------------- the runs and their minimum


def test_every_seed_trains_to_its_end_with_nothing_to_stop_it(tmp_path: Path) -> None:
    text = FULL.replace("epochs: 2", "epochs: 2\n  seed: 7\n  accuracy: 0.5\n  time_budget: 60 s")
    trainer = FakeTrainer(FIVE)
    run(spec_of(tmp_path, text), trainer, measure_speed=False)
    assert [recipe.seed for recipe in trainer.trained] == [7, 8, 9, 10, 11]
    asked = {(recipe.stop_at_accuracy, recipe.accuracy, recipe.time_budget_sec) for recipe in trainer.trained}
    assert asked == {(False, None, None)}


def test_the_minimum_comes_from_the_spread(tmp_path: Path) -> None:
    spec_file = spec_of(tmp_path)
    runs = run(spec_file, FakeTrainer(FIVE), measure_speed=False)
    assert set_minimum(runs) == 0.793
    text = written(spec_file, runs)
    assert text.startswith(FULL.replace("# the end\n", "  accuracy: 0.793\n  calibration: {mean: 0.842, std: 0.0084, "))
    assert text.endswith("}\n# the end\n")
    assert "seeds: 5, device: cpu, torch: " in text


def test_the_report_shows_every_run_and_the_arithmetic(tmp_path: Path) -> None:
    runs = run(spec_of(tmp_path, FULL.replace("epochs: 2", "accuracy: 0.9")), FakeTrainer(FIVE), measure_speed=False)
    lines = format_runs(runs).splitlines()
    assert lines[0].split() == ["seed", "train", "accuracy", "test", "accuracy", "examples/s", "seconds"]
    assert lines[2].split() == ["0", "0.9000", "0.8300", "1,000", "4.5"]
    assert format_minimum(runs, 0.793) == (
        "mean 0.8420, standard deviation 0.0084, factor 5.741 for 5 seeds\n"
        "minimum 0.793 (was 0.9): 99% of sound runs reach it, with 95% confidence"
    )


def test_what_was_calibrated_before_is_replaced(tmp_path: Path) -> None:
    spec_file = spec_of(tmp_path)
    before = written(spec_file, run(spec_file, FakeTrainer(FIVE), measure_speed=False))
    again = spec_of(tmp_path, before)
    after = written(again, run(again, FakeTrainer([one - 0.1 for one in FIVE]), num_seeds=10, measure_speed=False))
    # The same five twice: standard deviation 0.0078881, factor 3.981, so 0.742 - 0.0314 = 0.7106.
    old, new = "mean: 0.842, std: 0.0084, seeds: 5", "mean: 0.742, std: 0.0079, seeds: 10"
    assert after == before.replace("0.793", "0.71").replace(old, new)


def test_runs_that_agree_are_taken_to_spread_a_little(tmp_path: Path) -> None:
    runs = run(spec_of(tmp_path), FakeTrainer([0.9]), measure_speed=False)
    assert "standard deviation 0.0000 (taken as 0.0010), factor 5.741" in format_minimum(runs, set_minimum(runs))
    assert set_minimum(runs) == 0.894


def test_runs_that_differ_too_much_give_none(tmp_path: Path) -> None:
    runs = run(spec_of(tmp_path), FakeTrainer([0.71, 0.1, 0.7, 0.69, 0.72]), measure_speed=False)
    with pytest.raises(UsageError, match=r"the runs differ too much \(0.710, 0.100, .*\): no minimum separates sound"):
        set_minimum(runs)


def test_a_run_that_died_is_told_at_its_place(tmp_path: Path) -> None:
    trainer = FakeTrainer(FIVE)
    trainer.fault = TrainingFault("the loss is not a number at step 3", "epochs")
    with pytest.raises(UsageError, match=r"^small.arch.yaml:5: seed 0: the loss is not a number at step 3; nothing"):
        run(spec_of(tmp_path), trainer, measure_speed=False)
    assert len(trainer.trained) == 1


def test_what_can_not_be_done_is_told_before_anything_is_trained(tmp_path: Path) -> None:
    trainer = FakeTrainer(FIVE)
    with pytest.raises(UsageError, match="the spread of 2 runs at least"):
        run(spec_of(tmp_path), trainer, num_seeds=1)
    shared = HEAD + "training: {dataset: cifar10, accuracy: &least 0.5, clip_grad_norm: *least}\n"
    with pytest.raises(UsageError, match=r"small.arch.yaml:3: .* shared by an alias\); edit it by hand"):
        run(spec_of(tmp_path, shared), trainer)
    assert not trainer.trained


def test_a_spec_that_can_not_be_edited_is_told_before_anything_is_trained(
    here: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = "training: {dataset: fashion-mnist-mini, accuracy: &least 0.5, clip_grad_norm: *least}\n"
    path = here.spec(text=HEAD + shared)
    monkeypatch.setattr("archcheck.training.calibration._train_seeds", None)
    assert main(["calibrate", str(path), "--device", "cpu", "--no-speed"]) == 2
    first, last = capsys.readouterr().err.splitlines()
    assert first == "archcheck: the quick recipe with 5 seeds on cpu"
    assert last.endswith("shared by an alias); edit it by hand")


def test_a_spec_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    spec_file = spec_of(tmp_path)
    runs = run(spec_file, FakeTrainer(FIVE), measure_speed=False)
    spec_of(tmp_path, FULL.replace("the end", "a remark"))
    assert written(spec_file, runs).endswith("# a remark\n")
    spec_of(tmp_path, FULL.replace("epochs: 2", "epochs: 3"))
    with pytest.raises(UsageError, match="changed while it was being calibrated, nothing was written"):
        written(spec_file, runs)


# ------------------------------------------------------------------------------------------- where it is written


def test_a_quick_run_changes_quick_alone(tmp_path: Path) -> None:
    spec_file = spec_of(tmp_path, BOTH)
    text = written(spec_file, run(spec_file, FakeTrainer(FIVE), "quick"))
    assert text.startswith(BOTH.replace("2}\n", "2, memory_format: channels_last, accuracy: 0.793, calibration: {mean"))


def test_a_full_run_leaves_quick_as_it_was(tmp_path: Path) -> None:
    spec_file = spec_of(tmp_path, BOTH)
    text = written(spec_file, run(spec_file, FakeTrainer(FIVE), "full"))
    assert "\n  memory_format: channels_last\n  accuracy: 0.793\n  calibration: {" in text
    assert text.endswith("  quick: {epochs: 2, memory_format: contiguous}\n")


def test_without_quick_there_is_one_recipe(tmp_path: Path) -> None:
    spec_file = spec_of(tmp_path)
    runs = [run(spec_file, FakeTrainer(FIVE), kind) for kind in ("quick", "full")]
    assert written(spec_file, runs[0]) == written(spec_file, runs[1])


# ------------------------------------------------------------------------------------------- what pays


def test_settings_are_timed_in_turns_and_the_best_is_taken(tmp_path: Path) -> None:
    runs = run(spec_of(tmp_path), FakeTrainer(FIVE))
    ratios = {str(one.setting): one.ratio for one in runs.timings}
    assert ratios == {
        "fp32, contiguous": 1.0,
        "fp32, channels_last": pytest.approx(1.25, rel=0.02),
        "bf16, contiguous": pytest.approx(0.8, rel=0.02),
        "bf16, channels_last": None,
    }
    assert runs.recipe.memory_format == "channels_last"
    lines = format_runs(runs).splitlines()
    assert lines[0].split() == ["precision", "memory", "format", "compile", "speed"]
    assert lines[3].split() == ["fp32", "channels_last", "no", "1.25", "chosen"]
    assert lines[5].split()[-7:] == ["-", "failed:", "RuntimeError:", "no", "kernel", "for", "this"]


def test_a_gain_that_is_noise_changes_nothing(tmp_path: Path) -> None:
    spec_file = spec_of(tmp_path)
    runs = run(spec_file, FakeTrainer(FIVE, {**COSTS, ("fp32", "channels_last"): 0.96}))
    assert runs.recipe == runs.old
    assert "memory_format" not in written(spec_file, runs)


def test_a_setting_that_no_longer_pays_is_taken_back(tmp_path: Path) -> None:
    spec_file = spec_of(tmp_path, FULL.replace("epochs: 2", "precision: bf16  # fast"))
    text = written(spec_file, run(spec_file, FakeTrainer(FIVE, {**COSTS, ("fp32", "channels_last"): 1.0})))
    assert "\n  precision: fp32  # fast\n" in text


def test_compiling_is_tried_where_asked_for(tmp_path: Path) -> None:
    spec_file = spec_of(tmp_path)
    assert all(not one.setting.compile for one in run(spec_file, FakeTrainer(FIVE)).timings)
    runs = run(spec_file, FakeTrainer(FIVE), compile=True)
    assert str(runs.timings[-1].setting) == "fp32, channels_last, compiled"
    assert "  memory_format: channels_last\n  compile: true\n  accuracy: 0.793\n" in written(spec_file, runs)


def test_compiling_has_to_pay_by_itself() -> None:
    plain, bf16 = Timing(Setting(), 1.0), Timing(Setting("bf16"), 2.0)
    assert choose_setting([plain, bf16, Timing(Setting("bf16", compile=True), 2.05)]) == bf16.setting
    assert choose_setting([plain, bf16, Timing(Setting("bf16", compile=True), 2.2)]) == Setting("bf16", compile=True)
    assert choose_setting([plain, Timing(Setting("bf16"), None, "no kernel")]) == plain.setting


def test_a_network_that_can_not_train_is_told_at_its_place(tmp_path: Path) -> None:
    trainer = FakeTrainer(FIVE, {("fp32", "contiguous"): math.nan})
    with pytest.raises(UsageError, match=r"^small.arch.yaml:1: the forward pass raised KeyError: 'x'; nothing was wri"):
        run(spec_of(tmp_path), trainer)


# ------------------------------------------------------------------------------------------- bf16 against fp32

BF16 = {("fp32", "contiguous"): 1.0, ("bf16", "contiguous"): 0.5}


def test_bf16_and_fp32_are_shown_side_by_side(tmp_path: Path) -> None:
    trainer = FakeTrainer(FIVE, BF16)
    trainer.fp32_accuracies = [one + 0.01 for one in FIVE]
    runs = run(spec_of(tmp_path), trainer, check_precision=True)
    assert [recipe.precision for recipe in trainer.trained] == ["bf16"] * 5 + ["fp32"] * 5
    row = next(line for line in format_runs(runs).splitlines() if line.split()[:1] == ["4"])
    assert row.split() == ["4", "0.9000", "0.8500", "0.8600", "1,000", "4.5"]
    assert set_minimum(runs) == 0.793


def test_bf16_that_would_change_the_verdict_is_refused(tmp_path: Path) -> None:
    trainer = FakeTrainer(FIVE, BF16)
    trainer.fp32_accuracies = [0.7, *FIVE[1:]]
    runs = run(spec_of(tmp_path), trainer, check_precision=True)
    with pytest.raises(
        UsageError, match=r"in fp32, runs end below the minimum 0.793 .*\(seed 0: 0.7000\); nothing was"
    ):
        set_minimum(runs)


def test_fp32_needs_no_check(tmp_path: Path) -> None:
    trainer = FakeTrainer(FIVE)
    run(spec_of(tmp_path), trainer, check_precision=True)
    assert len(trainer.trained) == 5


# ------------------------------------------------------------------------------------------- the command

NETS = """
from torch import nn

def small():
    print("hello")
    return nn.Sequential(nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(288, 10))
"""
TRAINING = "training:\n  dataset: fashion-mnist-mini\n  epochs: 3\n  optimizer: {name: SGD, lr: 0.1}  # tame\n"


@pytest.fixture
def here(project: Project) -> Project:
    project.write("nets.py", NETS)
    return project


def test_the_command_writes_what_it_shows(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    path = here.spec(text=HEAD + TRAINING)
    arguments = ["calibrate", "specs/small.arch.yaml", "--seeds", "3", "--device", "cpu", "--no-speed"]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    text = path.read_text()
    assert text.startswith(HEAD + TRAINING)
    training = read_spec(path).spec.training
    assert training is not None
    assert training.calibration is not None
    assert training.accuracy is not None
    assert training.calibration.seeds == 3
    assert training.calibration.device == "cpu"
    assert 0.1 < training.accuracy < training.calibration.mean
    assert f"+  accuracy: {training.accuracy!r}" in out
    assert "hello" not in out
    assert re.search(r"^archcheck: seed 2 \(fp32\): accuracy 0\.\d{4}, [\d,]+ examples/s, [\d.]+ s$", err, re.MULTILINE)
    assert out.endswith(
        "specs/small.arch.yaml: written; verify it: pytest --archcheck specs/small.arch.yaml -k accuracy\n"
    )


def test_the_same_seeds_give_the_same_minimum(here: Project) -> None:
    path = here.spec(text=HEAD + TRAINING)
    arguments = ["calibrate", "specs/small.arch.yaml", "--seeds", "2", "--device", "cpu", "--no-speed"]
    texts = []
    for _ in range(2):
        path.write_text(HEAD + TRAINING)
        assert main(arguments) == 0
        texts.append(path.read_text())
    assert texts[0] == texts[1]


def test_a_dry_run_writes_nothing(
    here: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archcheck.training.calibration.TURN_SEC", 0.01)
    path = here.spec(text=HEAD + TRAINING)
    assert main(["calibrate", str(path), "--seeds", "3", "--device", "cpu", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert path.read_text() == HEAD + TRAINING
    assert "\n+  calibration: {mean: 0." in out
    assert "written" not in out
    speeds = [line.split()[:2] for line in out.splitlines()[2:6]]
    assert speeds == [
        ["fp32", "contiguous"], ["fp32", "channels_last"], ["bf16", "contiguous"], ["bf16", "channels_last"],
    ]  # fmt: skip


def test_an_interruption_is_one_line_and_writes_nothing(
    here: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = here.spec(text=HEAD + TRAINING)

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("archcheck.training.calibration._train_seeds", interrupt)
    assert main(["calibrate", str(path), "--device", "cpu", "--no-speed"]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "archcheck: interrupted, nothing was written"
    assert path.read_text() == HEAD + TRAINING


@pytest.mark.parametrize(
    ("training", "arguments", "message"),
    [
        ("", [], r"small.arch.yaml: no `training` to calibrate; add one, such as training: {dataset: NAME}"),
        (TRAINING, ["--seeds", "1"], "a minimum is set from the spread of 2 runs at least"),
        (TRAINING.replace("lr: 0.1", "lr: 1e9"), [], r"small.arch.yaml:6: seed 0: the loss "),
        (TRAINING.replace("SGD", "SDG"), [], r"small.arch.yaml:6: .*SDG"),
        (TRAINING, ["--device", "tpu"], "expected a device: auto, cpu, cuda, cuda:N or mps, found 'tpu'"),
    ],
)
def test_what_stands_in_the_way_is_one_line(
    here: Project, capsys: pytest.CaptureFixture[str], training: str, arguments: list[str], message: str
) -> None:
    path = here.spec(text=HEAD + training)
    assert main(["calibrate", "specs/small.arch.yaml", "--device", "cpu", "--no-speed", *arguments]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("archcheck: error: ")
    assert re.search(message, last)
    assert path.read_text() == HEAD + training
