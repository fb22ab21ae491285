"""`--archcheck-against` where the revision can't be measured, and from where it is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from archcheck.throughput.regression.workers import WorkerFailed
from tests.integration.throughput.timed_project import (
    NETS,
    SPEC,
    FakePairs,
    TimedProject,
    against,
    figures_row,
    message,
    reason,
)


def test_a_revision_that_is_not_there_fails_and_the_others_go_on(fast: TimedProject, pairs: FakePairs) -> None:
    fast.spec("net", SPEC + "output: [B, 2]\n")
    fast.commit()
    result = fast.run("--archcheck-against", "nope")
    result.assert_outcomes(passed=3, failed=1, skipped=1)
    assert message(result) == (
        f"specs/net.arch.yaml:3: --archcheck-against nope: no such revision in {fast.path}; "
        "give a branch, a tag or a commit, such as main or HEAD~1"
    )
    assert "examples/s" not in result.stdout.str()  # not a second is spent before it's told


def test_an_empty_revision_is_none(fast: TimedProject, pairs: FakePairs) -> None:
    """`--archcheck-against "$BASE"` gives one where the variable isn't set."""
    fast.spec("net", SPEC)
    fast.commit()
    result = fast.run("-k", "throughput", "--archcheck-against", "")
    assert result.ret in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.USAGE_ERROR)


def test_a_folder_without_history_has_no_other_revision(fast: TimedProject, pairs: FakePairs) -> None:
    fast.spec("net", SPEC)
    result = fast.run("--archcheck-against", "main")
    result.assert_outcomes(passed=2, failed=1, skipped=1)
    assert message(result) == (
        f"specs/net.arch.yaml:3: --archcheck-against {fast.path}/specs: not in a git repository, "
        "so there is no other revision; run it inside one"
    )


def test_a_spec_that_is_new_since_has_no_verdict(fast: TimedProject, pairs: FakePairs) -> None:
    fast.spec("old", SPEC)
    label = fast.commit()
    fast.spec("net", SPEC)
    result = fast.run("-k", "throughput", "--archcheck-against", "HEAD", "-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(
        [f"SKIPPED [[]1[]] specs/net.arch.yaml:3: new since {label}, which has no specs/net.arch.yaml"]
    )
    assert figures_row(result)[-1] == "-"
    assert figures_row(result, "specs/old.arch.yaml")[-1] == f"1.00x {label}"


def test_a_spec_that_could_not_be_read_then_has_no_verdict(fast: TimedProject, pairs: FakePairs) -> None:
    fast.spec("net", SPEC.replace("batch_size", "batchsize"))
    label = fast.commit()
    text = reason(fast.timed(SPEC, "--archcheck-against", "HEAD"))
    assert text.startswith(
        f"specs/net.arch.yaml:3: it can't be read there: specs/net.arch.yaml at {label}:4: unknown key 'batchsize'"
    )


def test_a_spec_without_throughput_then_is_given_it(fast: TimedProject, pairs: FakePairs) -> None:
    """Or the first commit that has the section could never be compared."""
    fast.spec("net", SPEC.partition("throughput")[0])
    fast.commit()
    fast.timed(SPEC, "--archcheck-against", "HEAD").assert_outcomes(passed=1)


def test_a_process_of_the_revision_that_fails_is_no_verdict(fast: TimedProject, pairs: FakePairs) -> None:
    fast.spec("net", SPEC)
    label = fast.commit()
    shown = f"specs/net.arch.yaml at {label}"
    pairs.found = [WorkerFailed("no module named 'gone'", "BuildError", shown=shown)]
    assert reason(fast.timed(SPEC, "--archcheck-against", "HEAD")) == (
        f"specs/net.arch.yaml:3: {label} can't be measured: no module named 'gone'"
    )


def test_a_process_of_this_tree_that_fails_is_a_failure_at_its_line(fast: TimedProject, pairs: FakePairs) -> None:
    pairs.found = [
        WorkerFailed("a step: out of memory", "RunFailed", ("throughput", "batch_size"), "specs/net.arch.yaml")
    ]
    result, _ = against(fast)
    assert message(result).splitlines()[-1] == "specs/net.arch.yaml:4: batch_size: a step: out of memory"


def test_it_may_be_run_from_a_subfolder(fast: TimedProject, pairs: FakePairs, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs.found = [1.25]
    fast.spec("net", SPEC)
    label = fast.commit()
    monkeypatch.chdir(fast.path / "specs")
    result = fast.run("net.arch.yaml", "-k", "throughput", "--archcheck-against", "HEAD")
    first, *_, again = message(result).splitlines()
    assert first == f"net.arch.yaml:3: throughput: slower than {label}: a step takes 25.0 % longer"
    assert again == "  again     pytest --archcheck net.arch.yaml -k throughput --archcheck-against HEAD"


def test_the_project_may_be_a_folder_of_the_repository(
    fast: TimedProject, pairs: FakePairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast.write("ml/pytest.ini", "[pytest]\n")
    fast.write("ml/specs/net.arch.yaml", SPEC)
    fast.write("ml/fast.py", NETS)
    fast.commit()
    monkeypatch.chdir(fast.path / "ml")
    fast.run("-k", "throughput", "--archcheck-against", "HEAD").assert_outcomes(passed=1)
    ((here, there, _),) = pairs.asked
    assert there.tree is not None
    assert (here.tree, here.rootdir, here.spec) == (
        fast.path, fast.path / "ml", fast.path / "ml/specs/net.arch.yaml",
    )  # fmt: skip
    assert (there.cwd, there.rootdir, there.spec) == (
        there.tree / "ml", there.tree / "ml", there.tree / "ml/specs/net.arch.yaml",
    )  # fmt: skip
    assert there.foreign == fast.path


def test_a_spec_outside_the_repository_has_no_verdict(fast: TimedProject, pairs: FakePairs, tmp_path: Path) -> None:
    fast.spec("net", SPEC)
    fast.commit()
    outside = tmp_path / "outside.arch.yaml"
    outside.write_text(SPEC)
    where = ("specs", str(outside), "--rootdir", str(fast.path), "-m", "archcheck_throughput")
    result = fast.run(*where, "-rs", "--archcheck-against", "HEAD")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines([f"*outside.arch.yaml:3: the spec isn't in the repository {fast.path}"])


def test_a_rootdir_outside_the_repository_does_not_matter(fast: TimedProject, pairs: FakePairs, tmp_path: Path) -> None:
    fast.spec("net", SPEC.replace("fast:net", "../fast.py:net"))
    fast.commit()
    result = fast.run("specs", "--rootdir", str(tmp_path), "-k", "throughput", "--archcheck-against", "HEAD")
    result.assert_outcomes(passed=1)
