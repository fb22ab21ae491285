"""When a number counts as brought back."""

from __future__ import annotations

import pytest

from archcheck.function.diagnosis.call_probe import TargetCall
from archcheck.function.fingerprint.digests import Digest
from archcheck.function.records import DifferingCall


@pytest.mark.parametrize(
    ("before", "found", "is_restored"),
    [
        (1.5, 1.000000001, True),
        (1.5, 1.00000002, False),  # what is recorded with 9 digits comes back with as many
        (1.000005, 1.000000001, True),
        (1.0000001, 1.00000000999, False),  # so small a difference disappears by many a change
        (1.5, 1.4, False),
    ],
)
def test_a_number_comes_back_far_closer_than_it_was(before: float, found: float, is_restored: bool) -> None:
    target = TargetCall(DifferingCall("a", 0, "train", {"train": 1.0}), 3e-8)
    assert target.is_restored(Digest(0.0, 1.0, found), Digest(0.0, 1.0, before)) is is_restored
