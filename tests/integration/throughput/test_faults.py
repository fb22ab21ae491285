"""What goes wrong where a network is timed is told at the line of the spec that is at fault."""

from __future__ import annotations

import pytest

from tests.integration.throughput.timed_project import (
    CALLS,
    FLOORED,
    SPEC,
    TRAINED,
    FakeFigures,
    TimedProject,
    message,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            CALLS.replace("WHAT", "raises"),
            "specs/net.arch.yaml:1: build: the forward pass raised KeyError: 'no such head' (fast.py:17)",
        ),
        (
            CALLS.replace("WHAT", "raises_in_training"),
            "specs/net.arch.yaml:1: build: the forward pass raised KeyError: 'no such head' (fast.py:17)",
        ),
        (
            CALLS.replace("WHAT", "leaves"),
            "specs/net.arch.yaml:1: build: the forward pass raised SystemExit: 3 (fast.py:21)",
        ),
        (
            CALLS.replace("WHAT", "flat") + TRAINED.replace("LINE", "batch_size: 4"),
            "specs/net.arch.yaml:1: build: the network returns [4], expected [B, number of classes] "
            "for CrossEntropyLoss",
        ),
        (
            SPEC + TRAINED.replace("LINE", "optimizer: {name: SGD, lr: -1.0}"),
            "specs/net.arch.yaml:7: optimizer: SGD raised ValueError: Invalid learning rate: -1.0",
        ),
        (
            SPEC + TRAINED.replace("LINE", "loss: {name: CrossEntropyLoss, weight: 3}"),
            "specs/net.arch.yaml:7: loss.weight: expected 2 numbers, one for each output of the network, found",
        ),
        (
            SPEC.replace("fast:net", "fast:net\nargs: {wide: 3}"),
            "specs/net.arch.yaml:2: build: ",
        ),
    ],
    ids=["raises", "raises in training", "leaves", "no classes", "bad optimizer", "bad loss", "bad argument"],
)  # fmt: skip
def test_what_goes_wrong_is_told_at_its_line(fast: TimedProject, text: str, expected: str) -> None:
    result = fast.timed(text)
    result.assert_outcomes(failed=1)
    # The last line; whether others precede it is the next test's matter.
    assert message(result).splitlines()[-1].startswith(expected)
    assert "examples/s" not in result.stdout.str()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("optimizer: {name: SGDD, lr: 0.1}", "optimizer: torch.optim has no 'SGDD': did you mean 'SGD'?"),
        ("loss: CrossEntropyLos", "loss: torch.nn has no 'CrossEntropyLos': did you mean 'CrossEntropyLoss'?"),
    ],
    ids=["optimizer", "loss"],
)
def test_what_torch_does_not_have_is_told_as_in_training(fast: TimedProject, line: str, expected: str) -> None:
    result = fast.timed(SPEC + TRAINED.replace("LINE", line))
    assert message(result).splitlines()[-1] == f"specs/net.arch.yaml:7: {expected}"


def test_what_goes_wrong_is_told_once(fast: TimedProject) -> None:
    assert message(fast.timed(CALLS.replace("WHAT", "raises"))) == (
        "specs/net.arch.yaml:1: build: the forward pass raised KeyError: 'no such head' (fast.py:17)"
    )


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (CALLS.replace("WHAT", "raises"), []),
        (SPEC.replace("fast:net", "fast:nothing"), []),
        (SPEC, ["--archcheck-against", "nope"]),
        (SPEC, ["--benchmark-disable", "--archcheck-strict"]),
    ],
    ids=["raises", "not built", "no revision", "disabled"],
)
def test_what_could_not_be_timed_is_no_warning(fast: TimedProject, text: str, options: list[str]) -> None:
    result = fast.timed(text, *options)
    result.assert_outcomes(failed=1)
    output = result.stdout.str() + result.stderr.str()
    assert "Benchmark fixture was not used" not in output


def test_a_network_that_fails_leaves_the_others_alone(fast: TimedProject, figures: FakeFigures) -> None:
    fast.spec("a", SPEC.replace("fast:net", "fast:nothing"))
    fast.spec("b", FLOORED)
    fast.run("-k", "throughput").assert_outcomes(passed=1, failed=1)
