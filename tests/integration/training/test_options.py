"""The options of training: the recipe, the device, the seed and the data."""

from __future__ import annotations

import pytest
import torch

from tests.integration.project import Project
from tests.integration.training.toys import CLOUDS, accuracy, curves, failing_text, scripted

KINDS = scripted([0.6], 0.5, more="  quick:\n    accuracy: 0.7\n")


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [("auto", {"failed": 1}), ("quick", {"failed": 1}), ("full", {"passed": 1}), ("off", {"skipped": 1})],
)
def test_the_recipe_is_chosen_on_the_command_line(toys: Project, kind: str, outcome: dict[str, int]) -> None:
    arguments = ["--archcheck-train", kind, "--archcheck-device", "cpu"]
    accuracy(toys, KINDS, *arguments).assert_outcomes(**outcome)


def test_training_that_is_off_is_skipped_and_fails_where_strict(toys: Project) -> None:
    result = accuracy(toys, KINDS, "--archcheck-train=off", "-rs")
    result.stdout.fnmatch_lines(["SKIPPED [[]1[]] specs/toy.arch.yaml:4: training is off (--archcheck-train off)"])
    strict = accuracy(toys, KINDS, "--archcheck-train=off", "--archcheck-strict")
    assert failing_text(strict) == "specs/toy.arch.yaml:4: not measured: training is off (--archcheck-train off)"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("kind", ["auto", "quick"])
def test_a_device_that_is_not_there_is_no_verdict(toys: Project, kind: str) -> None:
    arguments = ["--archcheck-device", "cuda", "--archcheck-train", kind]
    result = accuracy(toys, KINDS, *arguments, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(
        ["SKIPPED [[]1[]] specs/toy.arch.yaml:4: no device 'cuda': this machine has no CUDA device"]
    )
    accuracy(toys, KINDS, *arguments, "--archcheck-strict").assert_outcomes(failed=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--archcheck-device", "gpu"],
            "expected auto or a device that torch knows, found 'gpu'; this machine has cpu",
        ),
        (["--archcheck-seed", "-1"], "expected a seed from 0 to 4294967295, found -1"),
        (["--archcheck-data-budget", "much"], "expected an amount of memory such as 500 MB or 2 GiB, found 'much'"),
        (["--archcheck-data", "nowhere"], "--archcheck-data (or ARCHCHECK_DATA): there is no folder nowhere"),
        (["--archcheck-checkpoints", "toys.py"], "toys.py is no folder"),
        (["--archcheck-train", "half"], "argument --archcheck-train: invalid choice: 'half'"),
    ],
)
def test_an_option_without_meaning_is_a_usage_error(toys: Project, arguments: list[str], message: str) -> None:
    result = accuracy(toys, KINDS, *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr.str()


def test_without_the_flag_the_options_mean_nothing(toys: Project) -> None:
    toys.spec("toy", KINDS)
    toys.pytester.makepyfile("def test_one(): pass")
    toys.pytest("--archcheck-device", "gpu", "--archcheck-seed", "3").assert_outcomes(passed=1)


def test_a_seed_changes_the_run_and_is_told(toys: Project) -> None:
    text = CLOUDS.replace("0.97", "1.0").replace("lr: 0.1", "lr: 1.0e-9")  # where it starts is where it ends
    first, again, other = (accuracy(toys, text, "--archcheck-seed", seed) for seed in ("1", "1", "2"))
    assert curves(first) == curves(again) != curves(other)
    first.stdout.fnmatch_lines(["  again     --archcheck-train quick --archcheck-seed 1"])


def test_warnings_as_errors_fail_no_sound_run(toys: Project) -> None:
    text = CLOUDS.replace("  epochs: 2\n", "  epochs: 2\n  scheduler: {name: StepLR, step_size: 1}\n")
    warnings = "-W", "error", "-W", "ignore::pytest.PytestAssertRewriteWarning"  # of this very harness, before pytest 9
    accuracy(toys, text.replace("sets:clouds", "sets:streamed"), *warnings).assert_outcomes(passed=1)


def test_last_failed_trains_only_what_failed(toys: Project) -> None:
    toys.spec("fine", scripted([0.5], 0.4))
    path = toys.spec("toy", scripted([0.5], 0.6))
    toys.run("-m", "archcheck_accuracy").assert_outcomes(passed=1, failed=1)
    path.write_text(scripted([0.5], 0.4))
    toys.run("-m", "archcheck_accuracy", "--lf").assert_outcomes(passed=1)


def test_exitfirst_trains_nothing_more(toys: Project) -> None:
    toys.spec("a", scripted([0.5], 0.6))
    toys.spec("b", scripted([0.5], 0.4))
    result = toys.run("-m", "archcheck_accuracy", "-x")
    result.assert_outcomes(failed=1)
    assert "specs/b.arch.yaml: epoch" not in result.stdout.str()
