"""A search takes no longer than it may."""

from __future__ import annotations

import time

import pytest

from archcheck.function.diagnosis.budget import Budget
from archcheck.function.diagnosis.likely_cause import likely_cause
from archcheck.function.diagnosis.pass_notes import PassStopped
from archcheck.function.fingerprint.config import FingerprintConfig
from archcheck.function.fingerprint.fingerprint import fingerprint
from archcheck.function.records import DifferingCall
from tests.unit.function.diagnosis.test_candidates import Deep
from tests.unit.function.running import inputs_of


def work(sec: float) -> None:
    end = time.process_time() + sec
    while time.process_time() < end:
        pass


def test_work_is_counted() -> None:
    budget = Budget(0.05)
    budget.check()
    work(0.06)
    with pytest.raises(PassStopped, match=r"^$"):
        budget.check()
    budget.extend(10)
    budget.check()


def test_what_is_spent_stays_spent() -> None:
    budget = Budget(0.01)
    work(0.02)
    for _ in range(3):
        with pytest.raises(PassStopped, match=r"^$"):
            budget.check()


def test_waiting_counts_less_but_ends() -> None:
    budget = Budget(0.1)
    time.sleep(0.15)
    budget.check()
    time.sleep(0.3)
    with pytest.raises(PassStopped, match=r"^$"):
        budget.check()


def test_a_deep_network_keeps_to_its_time() -> None:
    config = FingerprintConfig(inputs_of([4, 4]), train=False)
    record = fingerprint(lambda: Deep(1500), config)
    began = time.process_time()
    likely_cause(lambda: Deep(1500, odd=3), config, DifferingCall("", 0, "eval", record.root.numbers), 0.5)
    assert time.process_time() - began < 0.5 + 3.0  # one build and one pass can't be cut short
