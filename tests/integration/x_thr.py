""""""

from __future__ import annotations

from tests.integration.throughput.timed_project import SPEC, TimedProject


def test_side_by_side_nothing_is_timed(fast: TimedProject) -> None:
    """In processes of their own."""
    fast.spec("other", "build: fast:net\ninput: [B, 3]\n")
    fast.spec("net", SPEC + "claims:\n  faster_than: {spec: other, by: 2.0}\n")
    result = fast.run("-n", "2", "-m", "archcheck_throughput or archcheck_claims", "-rs")
    result.assert_outcomes(skipped=2)
    why = "under pytest-xdist several items run at a time, so that none can be timed; run it without -n"
    result.stdout.fnmatch_lines_random(
        [
            f"SKIPPED [[]1[]] specs/net.arch.yaml:3: {why}",
            f"SKIPPED [[]1[]] specs/net.arch.yaml:6: faster than other: {why}",
        ]
    )
    assert "Benchmarks are automatically disabled" not in result.stdout.str() + result.stderr.str()
