"""What a training run's record says of the whole run."""

from __future__ import annotations

import pytest

from archcheck.training.records import EpochRecord, TrainingRecord


def record(*epochs: EpochRecord) -> TrainingRecord:
    return TrainingRecord(epochs, "full", 0, "cpu", "fp32")


def epoch(number: int, accuracy: float, examples_per_sec: float, duration_sec: float) -> EpochRecord:
    return EpochRecord(number, 0.5, 0.9, accuracy, examples_per_sec, duration_sec)


def test_the_final_accuracy_is_the_last_epochs() -> None:
    assert record(epoch(1, 0.9, 1.0, 1.0), epoch(2, 0.8, 1.0, 1.0)).final_accuracy == 0.8
    assert record().final_accuracy is None


def test_the_rate_is_that_of_all_examples_over_all_seconds() -> None:
    # 100 * 3 + 400 * 1 = 700 examples in 4 seconds
    assert record(epoch(1, 0.5, 100.0, 3.0), epoch(2, 0.5, 400.0, 1.0)).examples_per_sec == pytest.approx(175)


def test_an_epoch_of_nothing_but_the_first_step_has_no_rate() -> None:
    assert record(epoch(1, 0.5, 0.0, 2.0)).examples_per_sec is None
    assert record(epoch(1, 0.5, 0.0, 2.0), epoch(2, 0.5, 50.0, 2.0)).examples_per_sec == pytest.approx(50)
