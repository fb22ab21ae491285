"""A run ends when its minimum is confirmed, or when its time is spent."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from tests.integration.project import Project
from tests.integration.training.toys import accuracy, failing_text, scripted


@pytest.mark.parametrize(
    ("curve", "least", "epochs"),
    [
        ([0.9, 0.9, 0.1], 0.8, 2),  # two in a row
        ([0.9, 0.5, 0.9, 0.8, 0.1], 0.8, 4),  # one may be luck
        ([0.5, 0.5, 0.9], 0.8, 3),  # the last one needs no other
    ],
)
def test_a_run_ends_when_the_minimum_is_confirmed(toys: Project, curve: list[float], least: float, epochs: int) -> None:
    result = accuracy(toys, scripted(curve, least), "--junitxml=out.xml", "-o", "junit_family=xunit1")
    result.assert_outcomes(passed=1)
    properties = {
        one.attrib["name"]: one.attrib["value"] for one in ET.parse(toys.path / "out.xml").getroot().iter("property")
    }
    assert properties["archcheck_epochs"] == str(epochs)


@pytest.mark.parametrize("curve", [[0.9, 0.9, 0.1], [0.5, 0.9, 0.1]])
def test_a_run_that_may_not_stop_early_is_judged_by_its_end(toys: Project, curve: list[float]) -> None:
    result = accuracy(toys, scripted(curve, 0.8, more="  stop_at_accuracy: false\n"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*:9: accuracy: 0.100 after 3 epochs, 0.700 below the minimum"])


def test_a_run_ends_with_its_time_budget(toys: Project) -> None:
    text = scripted([0.5], 0.8, epochs=1_000_000_000, more="  time_budget: 0.2 s\n").replace(
        "[0.5]}", "[0.5], sleep: 0.05}"
    )
    message = failing_text(accuracy(toys, text))
    assert re.fullmatch(
        r"specs/toy\.arch\.yaml:10: time_budget: the time budget of 0\.2 s is spent in epoch \d of 1000000000"
        r"(, accuracy 0\.500)?",
        message,
    )


def test_a_budget_in_quick_is_pointed_at_there(toys: Project) -> None:
    text = scripted([0.5], 0.8, epochs=100, more="  time_budget: 60\n  quick:\n    time_budget: 0.1 s\n").replace(
        "[0.5]}", "[0.5], sleep: 0.05}"
    )
    assert failing_text(accuracy(toys, text)).startswith(
        "specs/toy.arch.yaml:12: time_budget: the time budget of 0.1 s"
    )
