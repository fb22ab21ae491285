"""A calibration written into its spec: which keys, where, and what is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from archcheck.errors import UsageError
from tests.unit.training.calibrating import BOTH, COSTS, FIVE, FULL, FakeTrainer, run, spec_of, written


def test_what_was_calibrated_before_is_replaced(tmp_path: Path) -> None:
    spec_file = spec_of(tmp_path)
    before = written(spec_file, run(spec_file, FakeTrainer(FIVE), measure_speed=False))
    again = spec_of(tmp_path, before)
    after = written(again, run(again, FakeTrainer([one - 0.1 for one in FIVE]), num_seeds=10, measure_speed=False))
    # The same five twice: standard deviation 0.0078881, factor 3.981, so 0.742 - 0.0314 = 0.7106.
    old, new = "mean: 0.842, std: 0.0084, seeds: 5", "mean: 0.742, std: 0.0079, seeds: 10"
    assert after == before.replace("0.793", "0.71").replace(old, new)


def test_a_spec_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    spec_file = spec_of(tmp_path)
    runs = run(spec_file, FakeTrainer(FIVE), measure_speed=False)
    spec_of(tmp_path, FULL.replace("the end", "a remark"))
    assert written(spec_file, runs).endswith("# a remark\n")
    spec_of(tmp_path, FULL.replace("epochs: 2", "epochs: 3"))
    with pytest.raises(UsageError, match="changed while it was being calibrated, nothing was written"):
        written(spec_file, runs)


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


def test_a_setting_that_no_longer_pays_is_taken_back(tmp_path: Path) -> None:
    spec_file = spec_of(tmp_path, FULL.replace("epochs: 2", "precision: bf16  # fast"))
    text = written(spec_file, run(spec_file, FakeTrainer(FIVE, {**COSTS, ("fp32", "channels_last"): 1.0})))
    assert "\n  precision: fp32  # fast\n" in text
