"""`faster_than`: one network is claimed to be faster than another."""

from __future__ import annotations

import pytest

from archcheck.throughput.regression.workers import WorkerFailed
from tests.integration.throughput.timed_project import SPEC, FakePairs, TimedProject, message, reason

CLAIM = "claims:\n  faster_than: {spec: other, by: 1.5}\n"


def claimed(fast: TimedProject, claim: str = CLAIM, *args: str) -> pytest.RunResult:
    """Run the claims of the spec `net`, which is timed with batches of 4; those of `other` are of 1."""
    fast.spec("other", SPEC.replace("4", "1"))
    fast.spec("net", SPEC + claim)
    return fast.run("-m", "archcheck_claims", "-rs", *args)


def test_a_network_that_is_faster_by_enough_passes(fast: TimedProject, pairs: FakePairs) -> None:
    pairs.found = [2.0]
    claimed(fast).assert_outcomes(passed=1)
    ((theirs, ours, limit),) = pairs.asked
    assert (theirs.shown, ours.shown, limit) == ("specs/other.arch.yaml", "specs/net.arch.yaml", 1.5)


def test_one_that_is_not_fails_with_both_rates(fast: TimedProject, pairs: FakePairs) -> None:
    pairs.found = [1.2]
    result = claimed(fast)
    result.assert_outcomes(failed=1)
    # An example takes 0.01 s here and 0.012 s there; 1.2 * exp(+-0.0199).
    assert message(result, "net: claims").splitlines() == [
        "specs/net.arch.yaml:6: faster_than: 1.20x as fast as other",
        "  expected  at least 1.5x",
        "  actual    1.200x (99 % sure: 1.176 to 1.224)",
        "  rates     100 examples/s, other 83.3",
    ]


def test_a_claim_too_close_to_tell_is_no_verdict(fast: TimedProject, pairs: FakePairs) -> None:
    pairs.found = [1.5]
    why = "faster than other: can't tell: 1.500x (99 % sure: 1.470 to 1.530), and 1.5x is claimed"
    assert reason(claimed(fast)) == f"specs/net.arch.yaml:6: {why}"
    result = claimed(fast, CLAIM, "--archcheck-strict")
    assert message(result, "net: claims") == f"specs/net.arch.yaml:6: not measured: {why}"


def test_a_claim_about_a_spec_that_is_not_there_is_told(fast: TimedProject, pairs: FakePairs) -> None:
    result = claimed(fast, CLAIM.replace("other", "otter"))
    assert message(result, "net: claims") == (
        "specs/net.arch.yaml:6: faster_than: no spec 'otter' in specs: did you mean 'other'?"
    )


def test_of_several_claims_each_is_verified(fast: TimedProject, pairs: FakePairs) -> None:
    pairs.found = [2.0, 1.2]
    both = "claims:\n  faster_than:\n    - {spec: other, by: 1.5}\n    - {spec: third, by: 1.5}\n"
    fast.spec("third", SPEC)
    result = claimed(fast, both)
    result.assert_outcomes(failed=1)
    assert message(result, "net: claims").startswith("specs/net.arch.yaml:8: faster_than: 1.20x as fast as third\n")


def test_a_claim_that_fails_is_told_before_one_that_is_open(fast: TimedProject, pairs: FakePairs) -> None:
    pairs.found = [1.5, 1.2]
    both = "claims:\n  faster_than:\n    - {spec: other, by: 1.5}\n    - {spec: other, by: 1.5}\n"
    result = claimed(fast, both)
    assert message(result, "net: claims").startswith("specs/net.arch.yaml:8: faster_than: 1.20x")


def test_a_claim_about_a_network_that_fails_names_it(fast: TimedProject, pairs: FakePairs) -> None:
    pairs.found = [WorkerFailed("a step: out of memory", "RunFailed", ("throughput",), "specs/other.arch.yaml")]
    assert message(claimed(fast), "net: claims") == (
        "specs/net.arch.yaml:6: faster_than: specs/other.arch.yaml can't be measured: a step: out of memory"
    )


def test_claims_need_no_benchmark(fast: TimedProject, pairs: FakePairs) -> None:
    """They are measured by processes of their own."""
    pairs.found = [2.0]
    claimed(fast, CLAIM, "-p", "no:benchmark").assert_outcomes(passed=1)
    claimed(fast, CLAIM, "--benchmark-disable").assert_outcomes(passed=1)
