"""Calibration: the runs, the settings that are worth it, and the minimum that the runs give."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from archcheck.errors import UsageError
from archcheck.report.calibration import format_minimum, format_runs
from archcheck.training.calibration import (
    Setting,
    Timing,
    choose_setting,
    set_minimum,
)
from archcheck.training.recipe import Recipe
from archcheck.training.records import TrainingFault
from tests.unit.training.calibrating import COSTS, FIVE, FULL, HEAD, FakeTrainer, run, spec_of, written


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
    shared = HEAD + "training:\n  dataset: cifar10\n  accuracy: &least\n    0.5\n  clip_grad_norm: *least\n"
    with pytest.raises(UsageError, match=r"small.arch.yaml:\d+: .* shared by an alias\); edit it by hand"):
        run(spec_of(tmp_path, shared), trainer)
    assert not trainer.trained


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
    assert lines[0].split() == ["precision", "memory", "format", "compile", "graph", "speed"]
    assert lines[3].split() == ["fp32", "channels_last", "no", "no", "1.25", "chosen"]
    assert lines[5].split()[-7:] == ["-", "failed:", "RuntimeError:", "no", "kernel", "for", "this"]


def test_a_gain_that_is_noise_changes_nothing(tmp_path: Path) -> None:
    spec_file = spec_of(tmp_path)
    runs = run(spec_file, FakeTrainer(FIVE, {**COSTS, ("fp32", "channels_last"): 0.96}))
    assert runs.recipe == runs.old
    assert "memory_format" not in written(spec_file, runs)


def test_compiling_is_tried_where_asked_for(tmp_path: Path) -> None:
    spec_file = spec_of(tmp_path)
    assert all(not one.setting.compile for one in run(spec_file, FakeTrainer(FIVE)).timings)
    runs = run(spec_file, FakeTrainer(FIVE), compile=True)
    assert str(runs.timings[-1].setting) == "fp32, channels_last, compiled"
    assert "  memory_format: channels_last\n  compile: true\n  accuracy: 0.793\n" in written(spec_file, runs)


def test_a_graph_is_tried_where_the_device_has_those(tmp_path: Path) -> None:
    spec_file, trainer = spec_of(tmp_path), FakeTrainer(FIVE)
    trainer.has_graphs = True
    runs = run(spec_file, trainer)
    assert str(runs.timings[-1].setting) == "fp32, channels_last, graph"
    assert "  memory_format: channels_last\n  graph: true\n  accuracy: 0.793\n" in written(spec_file, runs)
    assert format_runs(runs).splitlines()[6].split() == ["fp32", "channels_last", "no", "yes", "2.50", "chosen"]


def test_a_step_that_can_be_no_graph_says_why(tmp_path: Path) -> None:
    spec_file, trainer = spec_of(tmp_path), FakeTrainer(FIVE)
    trainer.has_graphs, trainer.graph_cost = True, math.nan
    runs = run(spec_file, trainer)
    assert not runs.recipe.graph
    assert "failed: the forward pass raised RuntimeError: operation not permitted" in format_runs(runs)


def test_a_graph_has_to_pay_by_itself() -> None:
    plain, bf16 = Timing(Setting(), 1.0), Timing(Setting("bf16"), 2.0)
    graph, compiled = Setting("bf16", graph=True), Setting("bf16", compile=True)
    assert choose_setting([plain, bf16, Timing(graph, 2.05)]) == bf16.setting
    assert choose_setting([plain, bf16, Timing(graph, 2.2)]) == graph
    assert choose_setting([plain, bf16, Timing(graph, 2.2), Timing(compiled, 2.25)]) == graph
    assert choose_setting([plain, bf16, Timing(graph, 2.2), Timing(compiled, 2.4)]) == compiled


def test_compiling_has_to_pay_by_itself() -> None:
    plain, bf16 = Timing(Setting(), 1.0), Timing(Setting("bf16"), 2.0)
    assert choose_setting([plain, bf16, Timing(Setting("bf16", compile=True), 2.05)]) == bf16.setting
    assert choose_setting([plain, bf16, Timing(Setting("bf16", compile=True), 2.2)]) == Setting("bf16", compile=True)
    assert choose_setting([plain, Timing(Setting("bf16"), None, "no kernel")]) == plain.setting


def test_a_network_that_can_not_train_is_told_at_its_place(tmp_path: Path) -> None:
    trainer = FakeTrainer(FIVE, {("fp32", "contiguous"): math.nan})
    with pytest.raises(UsageError, match=r"^small.arch.yaml:1: the forward pass raised KeyError: 'x'; nothing was wri"):
        run(spec_of(tmp_path), trainer)


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
