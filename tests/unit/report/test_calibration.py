"""A calibration as text."""

from __future__ import annotations

from pathlib import Path

from archcheck.report.calibration import format_minimum, format_runs
from tests.unit.training.calibrating import FIVE, FULL, FakeTrainer, run, spec_of


def test_the_report_shows_every_run_and_the_arithmetic(tmp_path: Path) -> None:
    runs = run(spec_of(tmp_path, FULL.replace("epochs: 2", "accuracy: 0.9")), FakeTrainer(FIVE), measure_speed=False)
    lines = format_runs(runs).splitlines()
    assert lines[0].split() == ["seed", "train", "accuracy", "test", "accuracy", "examples/s", "seconds"]
    assert lines[2].split() == ["0", "0.9000", "0.8300", "1,000", "4.5"]
    assert format_minimum(runs, 0.793) == (
        "mean 0.8420, standard deviation 0.0084, factor 5.741 for 5 seeds\n"
        "minimum 0.793 (was 0.9): 99% of sound runs reach it, with 95% confidence"
    )
