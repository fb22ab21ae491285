"""Accuracy items: a spec's network is trained for real, and held against the minimum that the spec promises."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from tests.integration.project import Project
from tests.integration.training.toys import CLOUDS, accuracy, curves, failing_text, scripted


def test_a_network_that_learns_passes_and_is_in_the_table(toys: Project) -> None:
    result = accuracy(toys, scripted([0.25, 0.5, 0.75], 0.7))
    result.assert_outcomes(passed=1)
    # The loss by hand: right examples have log(1 + exp(-2)) = 0.1269, wrong ones 2.1269; the last epoch's is 0.6269.
    result.stdout.fnmatch_lines(
        [
            "spec * recipe * device * precision * seed * epochs * loss * train * test * examples/s",
            "specs/toy.arch.yaml *quick *cpu *fp32 * 0 * 3 *0.6269 *0.750 *0.750 *",
        ]
    )


def test_one_that_misses_the_minimum_fails_with_its_curve(toys: Project) -> None:
    result = accuracy(toys, scripted([0.25, 0.75, 0.5], 0.8))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "specs/toy.arch.yaml:9: accuracy: 0.500 after 3 epochs, 0.300 below the minimum",
            "  expected  at least 0.8",
            "  actual    0.5",
            "  recipe    quick, fp32 on cpu, * thread*",
            "  curve     *epoch * loss * train accuracy * test accuracy * examples/s",
            "  note      the best epoch was 2, with 0.750",
            "  again     --archcheck-train quick --archcheck-seed 0",
        ]
    )
    # 0.1269 + 2 * (the share that is wrong)
    assert curves(result) == [
        ("1", "1.6269", "0.250", "0.250"),
        ("2", "0.6269", "0.750", "0.750"),
        ("3", "1.1269", "0.500", "0.500"),
    ]


def test_a_hair_below_the_minimum_is_below_it(toys: Project) -> None:
    result = accuracy(toys, scripted([0.5], 0.5001))
    assert failing_text(result).endswith("accuracy: 0.500 after 1 epoch, 0.0001 below the minimum")
    accuracy(toys, scripted([0.5], 0.5)).assert_outcomes(passed=1)


def test_a_minimum_in_quick_is_pointed_at_there(toys: Project) -> None:
    text = scripted([0.5], 0.4, more="  quick:\n    epochs: 1\n    accuracy: 0.9\n")
    assert failing_text(accuracy(toys, text)).startswith("specs/toy.arch.yaml:12: accuracy: ")
    text = scripted([0.5], 0.9, more="  quick:\n    epochs: 1\n")
    assert failing_text(accuracy(toys, text)).startswith("specs/toy.arch.yaml:9: accuracy: ")


def test_junit_has_the_line_and_the_figures(toys: Project) -> None:
    accuracy(toys, scripted([0.5], 0.8), "--junitxml=out.xml", "-o", "junit_family=xunit1")
    (case,) = ET.parse(toys.path / "out.xml").getroot().iter("testcase")
    assert (case.attrib["file"], case.attrib["line"]) == ("specs/toy.arch.yaml", "8")  # counted from 0
    properties = {one.attrib["name"]: one.attrib["value"] for one in case.iter("property")}
    assert float(properties.pop("archcheck_examples_per_sec")) > 0
    assert float(properties.pop("archcheck_first_step_sec")) > 0
    assert float(properties.pop("archcheck_loss")) == pytest.approx(1.126928, abs=1e-5)
    assert properties == {
        "archcheck_recipe": "quick", "archcheck_device": "cpu", "archcheck_precision": "fp32", "archcheck_seed": "0",
        "archcheck_epochs": "1", "archcheck_train_accuracy": "0.5", "archcheck_test_accuracy": "0.5",
    }  # fmt: skip


def test_without_a_minimum_there_is_no_verdict(toys: Project) -> None:
    text = CLOUDS.replace("  accuracy: 0.97\n", "")
    result = accuracy(toys, text, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(
        [
            "SKIPPED [[]1[]] specs/toy.arch.yaml:3: the quick recipe has no `accuracy` to reach; "
            "archcheck calibrate specs/toy.arch.yaml measures one"
        ]
    )


@pytest.mark.parametrize("data", ["clouds_twice", "streamed_twice"])
def test_a_test_set_that_is_the_training_set_is_told(toys: Project, data: str) -> None:
    told = "the test set holds the examples of the training set: the accuracy says nothing of new ones"
    result = accuracy(toys, CLOUDS.replace("sets:clouds", f"sets:{data}"))
    result.assert_outcomes(passed=1)
    assert f"specs/toy.arch.yaml: {told}" in result.outlines
    assert told not in accuracy(toys, CLOUDS.replace("clouds", "streamed")).stdout.str()


def test_a_minimum_that_one_answer_reaches_is_told(toys: Project) -> None:
    """The examples of `scripted` are of one class, those of the clouds of two."""
    told = "the minimum of 0.7 says nothing of the network: one answer to all test examples reaches 1.000"
    assert told in accuracy(toys, scripted([0.75], 0.7)).stdout.str()
    assert "says nothing" not in accuracy(toys, CLOUDS).stdout.str()
