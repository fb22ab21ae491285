"""`claims`: what must hold between two specs, each of them trained by its recipe."""

from __future__ import annotations

import re

import pytest

from tests.integration.project import Project
from tests.integration.training.toys import failing_text, scripted

CLAIM = "claims:\n  better_than: {spec: OTHER, by: 0.2}\n"


def claims(project: Project, ours: list[float], theirs: list[float], claim: str, more: str = "") -> pytest.RunResult:
    """Claims of the spec `toy`, against the spec `other`; both networks' accuracies are given by epoch."""
    project.spec("toy", scripted(ours, 0.1, more=more) + claim.replace("OTHER", "other"))
    project.spec("other", scripted(theirs, 0.1, more=more))
    return project.run("-m", "archcheck_claims", "-rs")


def test_a_margin_that_is_there_passes(toys: Project) -> None:
    claims(toys, [0.5, 0.75], [0.75, 0.5], CLAIM).assert_outcomes(passed=1)


def test_one_that_is_not_fails_with_both_accuracies(toys: Project) -> None:
    result = claims(toys, [0.5, 0.6], [0.2, 0.5], CLAIM)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "specs/toy.arch.yaml:11: better_than: better than other by +0.100, not by enough",
            "  expected  0.500 of other and at least 0.2 more",
            "  actual    0.600",
            "  runs      * seed * this spec * other",
            "  * 0 * 0.600 * 0.500",
        ]
    )


def test_a_network_that_is_worse_is_said_to_be(toys: Project) -> None:
    result = claims(toys, [0.5], [0.6], CLAIM)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["specs/toy.arch.yaml:11: better_than: better than other by -0.100, not at all"])


def test_no_better_is_not_better(toys: Project) -> None:
    result = claims(toys, [0.5], [0.5], CLAIM.replace(", by: 0.2", ""))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*: better_than: better than other by +0.000, not at all"])


def test_a_margin_met_exactly_is_met(toys: Project) -> None:
    """0.9 - 0.8 is 0.0999... in binary."""
    claims(toys, [0.9], [0.8], CLAIM.replace("0.2", "0.1")).assert_outcomes(passed=1)


def test_both_are_trained_to_the_end(toys: Project) -> None:
    """Where their minimum of 0.1 would have stopped them, the claim would not hold."""
    claims(toys, [0.5, 0.5, 0.9], [0.5, 0.5, 0.6], CLAIM).assert_outcomes(passed=1)


def test_over_several_seeds_the_mean_counts(toys: Project) -> None:
    result = claims(toys, [0.6], [0.5], CLAIM.replace("by: 0.2", "by: 0.2, seeds: 3"))
    result.stdout.fnmatch_lines(["*: better_than: better than other by +0.100 over 3 seeds, not by enough"])
    rows = re.findall(r"^ +(\d) +0\.600 +0\.500$", result.stdout.str(), re.MULTILINE)
    assert rows == ["0", "1", "2"]


QUICK = "  quick:\n    batch_size: 25\n"


def test_a_claim_about_full_recipes_is_not_made_of_quick_ones(toys: Project) -> None:
    result = claims(toys, [0.75], [0.5], CLAIM, more=QUICK)
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(
        [
            "SKIPPED [[]1[]] specs/toy.arch.yaml:13: better than other: the claim is one about full recipes "
            "(--archcheck-train full); `quick: true` makes it one about quick ones"
        ]
    )
    toys.run("-m", "archcheck_claims", "--archcheck-train", "full").assert_outcomes(passed=1)


def test_one_about_quick_recipes_is_verified_by_them(toys: Project) -> None:
    claims(toys, [0.75], [0.5], CLAIM.replace("by: 0.2", "by: 0.2, quick: true"), more=QUICK).assert_outcomes(passed=1)


def test_training_that_is_off_verifies_no_claim(toys: Project) -> None:
    claims(toys, [0.75], [0.5], CLAIM)
    result = toys.run("-m", "archcheck_claims", "--archcheck-train", "off", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED *: better than other: training is off (--archcheck-train off)"])
    toys.run("-m", "archcheck_claims", "--archcheck-train", "off", "--archcheck-strict").assert_outcomes(failed=1)


@pytest.mark.parametrize("name", ["other", "other.arch.yaml", "../specs/other.arch.yaml", "the other one"])
def test_the_other_spec_goes_by_its_file_or_its_name(toys: Project, name: str) -> None:
    toys.spec("toy", scripted([0.75], 0.1) + CLAIM.replace("OTHER", name))
    toys.spec("other", "name: the other one\n" + scripted([0.5], 0.1))
    toys.run("-m", "archcheck_claims").assert_outcomes(passed=1)


def test_a_spec_that_is_not_there_is_told_with_the_nearest(toys: Project) -> None:
    toys.spec("toy", scripted([0.75], 0.1) + CLAIM.replace("OTHER", "otter"))
    toys.spec("other", scripted([0.5], 0.1))
    assert failing_text(toys.run("-m", "archcheck_claims"), "claims") == (
        "specs/toy.arch.yaml:11: better_than: no spec 'otter' in specs: did you mean 'other'?"
    )


def test_two_specs_of_the_name_are_told(toys: Project) -> None:
    toys.spec("toy", scripted([0.75], 0.1) + CLAIM.replace("OTHER", "twin"))
    for name in "ab":
        toys.spec(name, "name: twin\n" + scripted([0.5], 0.1))
    text = failing_text(toys.run("-m", "archcheck_claims"), "claims")
    assert text.startswith("specs/toy.arch.yaml:11: better_than: more than one spec 'twin' in specs")


def test_a_broken_spec_to_compare_with_is_told(toys: Project) -> None:
    toys.spec("toy", scripted([0.75], 0.1) + CLAIM.replace("OTHER", "other"))
    toys.spec("other", scripted([0.5], 0.1).replace("input", "inputs"))
    text = failing_text(toys.run("-m", "archcheck_claims"), "claims")
    assert text.startswith("specs/toy.arch.yaml:11: better_than: specs/other.arch.yaml:1: ")


def test_one_without_training_is_told(toys: Project) -> None:
    toys.spec("toy", scripted([0.75], 0.1) + CLAIM.replace("OTHER", "other"))
    toys.spec("other", "build: nets:small\ninput: [B, 1, 28, 28]\n")
    assert failing_text(toys.run("-m", "archcheck_claims"), "claims") == (
        "specs/toy.arch.yaml:11: better_than: specs/other.arch.yaml has no `training` to be compared by"
    )


def test_a_run_of_the_other_that_fails_is_told_as_the_others(toys: Project) -> None:
    toys.spec("toy", scripted([0.75], 0.1) + CLAIM.replace("OTHER", "other"))
    toys.spec("other", scripted([0.5], 0.1).replace("lr: 0.1", "lr: -1.0"))
    assert failing_text(toys.run("-m", "archcheck_claims"), "claims") == (
        "specs/toy.arch.yaml:11: better_than: training other with seed 0: "
        "SGD raised ValueError: Invalid learning rate: -1.0"
    )
    toys.spec("other", scripted([0.5], 0.1).replace("SGD", "SGDD"))
    text = failing_text(toys.run("-m", "archcheck_claims"), "claims")
    assert text.startswith("specs/toy.arch.yaml:11: better_than: ")
    assert "torch.optim has no 'SGDD': did you mean 'SGD'?" in text
    assert "other" in text.partition("better_than: ")[2]


def test_several_claims_are_each_verified(toys: Project) -> None:
    both = "claims:\n  better_than:\n    - {spec: OTHER, by: 0.2}\n    - {spec: OTHER, by: 0.3}\n"
    result = claims(toys, [0.75], [0.5], both)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["specs/toy.arch.yaml:13: better_than: better than other by +0.250, not by enough"])


def test_a_claims_other_seeds_leave_the_checkpoint_alone(toys: Project) -> None:
    """One file for a spec, of the run that the spec's own seed gives."""
    toys.write(
        "seeded.py", "import torch, toys\ndef net(): return toys.Scripted([0.5 + torch.initial_seed() % 3 / 8])\n"
    )
    text = scripted([0.5], 0.1).replace("toys:Scripted\nargs: {curve: [0.5]}", "seeded:net")
    toys.spec("toy", text + CLAIM.replace("OTHER, by: 0.2", "other, by: 0.2, seeds: 3"))
    toys.spec("other", scripted([0.25], 0.1))
    toys.run("--archcheck-checkpoints", "kept", "-m", "archcheck_accuracy or archcheck_claims").assert_outcomes(
        passed=3
    )
    assert sorted(str(path.relative_to(toys.path)) for path in toys.path.rglob("*.pt")) == [
        "kept/other/model_0.25.pt", "kept/toy/model_0.50.pt",
    ]  # fmt: skip


def test_a_claim_that_is_not_verified_is_told_beside_one_that_fails(toys: Project) -> None:
    both = "claims:\n  better_than:\n    - {spec: OTHER, by: 0.3}\n    - {spec: OTHER, by: 0.4, quick: true}\n"
    result = claims(toys, [0.75], [0.5], both, more=QUICK)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "specs/toy.arch.yaml:*: better_than: better than other by +0.250, not by enough",
            "specs/toy.arch.yaml:*: not measured: better than other: the claim is one about full recipes*",
        ]
    )
