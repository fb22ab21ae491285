"""`--archcheck-against`: a network is held against the one of another revision."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from archcheck.throughput.regression.workers import WorkerRequest
from tests.integration.throughput.timed_project import (
    NETS,
    SPEC,
    FakeFigures,
    FakePairs,
    FakeReferences,
    TimedProject,
    against,
    figures_row,
    message,
    reason,
)


def test_slower_than_the_revision_fails(fast: TimedProject, pairs: FakePairs) -> None:
    pairs.found = [1.25]
    result, label = against(fast)
    result.assert_outcomes(failed=1)
    # t of 9 degrees of freedom is 3.250, the deviation sqrt(6 * 0.015^2 / 9 / 4): 1.25 * exp(+-0.0199).
    assert message(result).splitlines() == [
        f"specs/net.arch.yaml:3: throughput: slower than {label}: a step takes 25.0 % longer",
        "  expected  at most 7.5 % longer",
        "  actual    +25.0 % (99 % sure: +22.5 % to +27.5 %)",
        "  measured  train, batch 4, fp32 on cpu, 1 thread",
        "  again     pytest --archcheck specs/net.arch.yaml -k throughput --archcheck-against HEAD",
    ]
    assert figures_row(result)[-1] == f"0.80x {label}"


def test_a_limit_of_its_own_is_pointed_at_and_taken(fast: TimedProject, pairs: FakePairs) -> None:
    pairs.found = [1.25]
    result, label = against(fast, SPEC + "  max_regression: 20%\n")
    first, expected, *_ = message(result).splitlines()
    assert first == f"specs/net.arch.yaml:5: throughput: slower than {label}: a step takes 25.0 % longer"
    assert expected == "  expected  at most 20 % longer"
    assert [limit for *_, limit in pairs.asked] == [pytest.approx(1.2)]


def test_what_is_to_be_typed_again_is_quoted(fast: TimedProject, pairs: FakePairs) -> None:
    pairs.found = [1.25]
    fast.spec("a net", SPEC)
    fast.commit()
    result = fast.run("-k", "throughput", "--archcheck-against", "HEAD@{0}")
    again = message(result, "a net: throughput").splitlines()[-1]
    assert again.endswith("pytest --archcheck 'specs/a net.arch.yaml' -k throughput --archcheck-against 'HEAD@{0}'")


def test_not_slower_than_the_revision_passes(fast: TimedProject, pairs: FakePairs) -> None:
    pairs.found = [1.01]
    result, label = against(fast)
    result.assert_outcomes(passed=1)
    assert figures_row(result)[-1] == f"0.99x {label}"
    assert "faster than" not in result.stdout.str()


def test_too_close_to_tell_is_no_verdict(fast: TimedProject, pairs: FakePairs) -> None:
    pairs.found = [1.08]
    result, label = against(fast)
    why = (
        f"can't tell whether it is slower than {label} by more than 7.5 %: +8.0 % (99 % sure: +5.9 % to +10.2 %); "
        "a quieter machine, or a wider max_regression, makes it clear"
    )
    assert reason(result) == f"specs/net.arch.yaml:3: {why}"
    result, _ = against(fast, SPEC + "# \n", "--archcheck-strict")
    assert message(result).startswith("specs/net.arch.yaml:3: not measured: can't tell whether it is slower than HEAD")


def test_faster_than_the_revision_is_told_below_the_table(fast: TimedProject, pairs: FakePairs) -> None:
    pairs.found = [0.8]
    result, label = against(fast)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"specs/net.arch.yaml: faster than {label}: 1.25x"])


def test_what_was_saved_does_not_matter_then(fast: TimedProject, pairs: FakePairs, references: FakeReferences) -> None:
    against(fast, SPEC)[0].assert_outcomes(passed=1)
    assert references.asked == []


def test_a_run_that_is_saved_has_a_measure_all_the_same(
    fast: TimedProject, pairs: FakePairs, references: FakeReferences
) -> None:
    against(fast, SPEC, "--benchmark-autosave")[0].assert_outcomes(passed=1)
    assert references.asked == [(None, ())]


def test_a_minimum_comes_first(fast: TimedProject, pairs: FakePairs, figures: FakeFigures) -> None:
    result, _ = against(fast, SPEC + "  min_examples_per_sec: 2000\n")
    assert "fewer examples per second than the minimum" in message(result)
    assert pairs.asked == []


def test_the_working_tree_is_compared_as_it_is(fast: TimedProject, pairs: FakePairs) -> None:
    """With changes that aren't committed, and untouched by it; the work is that of the spec as it is here."""
    fast.spec("net", SPEC)
    fast.write(".gitignore", "__pycache__/\n")  # which importing makes
    fast.commit()
    fast.write("fast.py", NETS + "# changed\n")
    fast.spec("net", SPEC.replace("4", "8"))
    state = fast.git("status", "--porcelain")
    seen: list[str] = []

    def look(left: WorkerRequest, right: WorkerRequest) -> None:
        for one in (left, right):
            assert one.tree is not None
            assert one.spec == one.tree / "specs" / "net.arch.yaml"
            seen.append((one.tree / "fast.py").read_text())

    pairs.meanwhile = look
    fast.run("-k", "throughput", "--archcheck-against", "HEAD", "-p", "no:cacheprovider").assert_outcomes(passed=1)
    assert [text.endswith("# changed\n") for text in seen] == [True, False]
    ((here, there, _),) = pairs.asked
    assert here.work is None
    assert there.work == {"mode": "train", "batch_size": 8, "resize": None, "precision": "fp32"}
    assert fast.git("status", "--porcelain") == state


@pytest.mark.parametrize("options", [[], ["-x"]])
def test_the_revision_is_checked_out_once_and_gone_afterwards(
    fast: TimedProject, pairs: FakePairs, options: list[str]
) -> None:
    for name in "abc":
        fast.spec(name, SPEC)
    fast.commit()
    trees: list[Path | None] = []
    pairs.meanwhile = lambda left, right: trees.append(right.tree)
    pairs.found = [1.0, 1.25, 1.0]
    result = fast.run("-k", "throughput", "--archcheck-against", "HEAD", *options)
    result.assert_outcomes(passed=1 if options else 2, failed=1)
    assert len(trees) == (2 if options else 3)
    (there,) = set(trees)
    assert there is not None
    assert not there.exists()
    assert fast.git("worktree", "list", "--porcelain").count("worktree ") == 1
    assert list(Path(tempfile.gettempdir()).iterdir()) == []


def test_nothing_is_checked_out_where_nothing_is_timed(
    fast: TimedProject, pairs: FakePairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archcheck.throughput.session.checked_out", None)
    fast.spec("net", SPEC)
    fast.run("-k", "not throughput", "--archcheck-against", "HEAD").assert_outcomes(passed=2, skipped=1)
