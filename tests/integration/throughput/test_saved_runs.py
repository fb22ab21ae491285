"""A network is held against the runs that pytest-benchmark has saved."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.integration.throughput.timed_project import (
    SPEC,
    FakeReferences,
    TimedProject,
    figures_row,
    message,
    reason,
)


def saved_then(
    fast: TimedProject, references: FakeReferences, ratio: float, *args: str, text: str = SPEC
) -> pytest.RunResult:
    """Save a run, and return the result of another one, whose step takes `ratio` times as long."""
    fast.timed(text, "--benchmark-autosave").assert_outcomes(skipped=1)
    references.ratio = ratio
    return fast.timed(text, *args)


def test_slower_than_the_saved_run_fails_and_names_it(fast: TimedProject, references: FakeReferences) -> None:
    result = saved_then(fast, references, 1.25)
    (file,) = fast.saved()
    # t of 12 degrees of freedom is 3.055, the deviation sqrt(6 * 0.015^2 / 12 * (1/4 + 1/4)): 1.25 * exp(+-0.0229).
    assert message(result).splitlines() == [
        f"specs/net.arch.yaml:3: throughput: slower than the saved run ({file.relative_to(fast.path)}): "
        "a step takes 25.0 % longer",
        "  expected  at most 7.5 % longer",
        "  actual    +25.0 % (99 % sure: +22.2 % to +27.9 %)",
        "  measured  train, batch 4, fp32 on cpu, 1 thread",
        "  again     pytest --archcheck specs/net.arch.yaml -k throughput",
    ]
    assert figures_row(result)[-1] == "0.80x 0001"
    assert [reference for reference, _ in references.asked] == [None, "the operations"]
    assert references.asked[1][1] == pytest.approx([0.0] * 4)


def test_the_saved_runs_commit_is_told(fast: TimedProject, references: FakeReferences) -> None:
    fast.spec("net", SPEC)
    fast.commit()
    fast.write(".gitignore", "*\n")
    commit = fast.git("rev-parse", "HEAD")[:7]
    result = saved_then(fast, references, 1.25)
    assert f": slower than the saved run of {commit} (.benchmarks/" in message(result)


def test_a_report_has_the_saved_runs_like_this_one(fast: TimedProject, references: FakeReferences) -> None:
    fast.timed(SPEC.replace("4", "2"), "--benchmark-autosave")  # another batch size
    saved_then(fast, references, 1.01, "--archcheck-report", "run.json")
    (spec,) = json.loads((fast.path / "run.json").read_text())["specs"]
    (run,) = spec["speed"]["history"]
    saved = json.loads(fast.saved()[-1].read_text())
    assert run["examples_per_sec"] == pytest.approx(saved["benchmarks"][0]["extra_info"]["examples_per_sec"])
    assert (run["date"], run["commit"], run["verdict"]) == (saved["datetime"][:16].replace("T", " "), "-", None)


def test_not_slower_than_the_saved_run_passes(fast: TimedProject, references: FakeReferences) -> None:
    result = saved_then(fast, references, 1.01)
    result.assert_outcomes(passed=1)
    assert figures_row(result)[-1] == "0.99x 0001"


def test_faster_than_the_saved_run_is_worth_saving(fast: TimedProject, references: FakeReferences) -> None:
    result = saved_then(fast, references, 0.8)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "specs/net.arch.yaml: faster than the saved run (.benchmarks/*/0001_*.json): 1.25x; "
            "consider saving it (--benchmark-autosave)"
        ]
    )


def test_one_that_is_being_saved_is_not_asked_to_be(fast: TimedProject, references: FakeReferences) -> None:
    result = saved_then(fast, references, 0.8, "--benchmark-autosave")
    result.stdout.fnmatch_lines(["specs/net.arch.yaml: faster than the saved run (*): 1.25x"])
    assert "consider saving" not in result.stdout.str()


def test_too_close_to_the_saved_run_is_no_verdict(fast: TimedProject, references: FakeReferences) -> None:
    text = reason(saved_then(fast, references, 1.08))
    assert text.startswith("specs/net.arch.yaml:3: can't tell whether it is slower than the saved run (.benchmarks/")
    assert text.endswith(
        ") by more than 7.5 %: +8.0 % (99 % sure: +5.6 % to +10.5 %); "
        "a quieter machine, or a wider max_regression, makes it clear"
    )


def test_one_slow_run_is_saved_and_never_measured_by(fast: TimedProject, references: FakeReferences) -> None:
    saved_then(fast, references, 1.25, "--benchmark-autosave").assert_outcomes(failed=1)
    _, second = fast.saved()
    (entry,) = json.loads(second.read_text())["benchmarks"]
    assert entry["extra_info"]["archcheck"]["verdict"] == "slower"
    assert "/0001_" in message(fast.timed())


def test_the_last_run_that_was_not_slower_is_the_measure(fast: TimedProject, references: FakeReferences) -> None:
    saved_then(fast, references, 1.01, "--benchmark-autosave").assert_outcomes(passed=1)
    references.ratio = 1.25
    assert "/0002_" in message(fast.timed())


def test_of_several_specs_each_has_a_measure_of_its_own(fast: TimedProject, references: FakeReferences) -> None:
    fast.spec("other", SPEC)
    fast.run("-k", "throughput", "--benchmark-autosave").assert_outcomes(skipped=1)
    fast.spec("net", SPEC)
    result = fast.run("-k", "throughput", "-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED * specs/net.arch.yaml:3: no saved run of this spec; *"])


def edited(path: Path, edit: Callable[[Any], object]) -> None:
    """Change archcheck's own part of a saved run."""
    saved = json.loads(path.read_text())
    edit(saved["benchmarks"][0]["extra_info"]["archcheck"])
    path.write_text(json.dumps(saved))


def test_runs_of_another_torch_are_no_measure(fast: TimedProject, references: FakeReferences) -> None:
    fast.timed(SPEC, "--benchmark-autosave")
    (file,) = fast.saved()
    edited(file, lambda ours: ours["fingerprint"].update(torch="2.0.1"))
    assert reason(fast.timed()) == (
        f"specs/net.arch.yaml:3: the saved runs differ: {file.name} has torch 2.0.1, not {torch.__version__}"
    )


def test_another_batch_size_is_another_work(fast: TimedProject, references: FakeReferences) -> None:
    fast.timed(SPEC, "--benchmark-autosave")
    (file,) = fast.saved()
    assert reason(fast.timed(SPEC.replace("4", "8"))) == (
        f"specs/net.arch.yaml:3: the saved runs differ: {file.name} has batch_size 4, not 8; input [4, 3], not [8, 3]"
    )


def test_a_reference_that_cannot_be_done_again_is_no_verdict(fast: TimedProject, references: FakeReferences) -> None:
    fast.timed(SPEC, "--benchmark-autosave")
    references.problem = "not a reference of ours"
    (file,) = fast.saved()
    assert reason(fast.timed()) == (
        f"specs/net.arch.yaml:3: {file.relative_to(fast.path)} can't be compared with: not a reference of ours"
    )


def test_files_that_are_broken_are_told_and_the_others_count(fast: TimedProject, references: FakeReferences) -> None:
    fast.timed(SPEC, "--benchmark-autosave")
    (file,) = fast.saved()
    text = file.read_text()
    file.with_name("0002_cut.json").write_text(text[: len(text) // 2])
    file.with_name("0003_foreign.json").write_text('{"a": 1}\n')
    result = fast.timed()
    result.assert_outcomes(passed=1)
    folder = file.parent.relative_to(fast.path)
    result.stdout.fnmatch_lines(
        [
            f"specs/net.arch.yaml: {folder}/0002_cut.json: not a saved run of pytest-benchmark: not JSON: *; "
            f"{folder}/0003_foreign.json: not a saved run of pytest-benchmark: benchmarks: *"
        ]
    )
    assert figures_row(result)[-1] == "1.00x 0001"


def test_where_all_are_broken_it_is_part_of_the_reason(fast: TimedProject, references: FakeReferences) -> None:
    fast.write(".benchmarks/m/0001_cut.json", '{"benchmarks": [')
    text = reason(fast.timed())
    assert text.startswith(
        "specs/net.arch.yaml:3: no saved run of this spec; save one with --benchmark-autosave; "
        ".benchmarks/m/0001_cut.json: not a saved run of pytest-benchmark: not JSON: "
    )
