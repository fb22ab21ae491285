"""What is written to pytest-benchmark's files."""

from __future__ import annotations

import json
import math

import pytest
import torch

from tests.integration.throughput.timed_project import SPEC, FakeReferences, TimedProject, reason


def test_what_was_measured_is_in_the_file(fast: TimedProject, references: FakeReferences) -> None:
    references.ratio = 2.0
    fast.timed("name: Linear\n" + SPEC, "--benchmark-json", "out.json", "--benchmark-autosave")
    saved = json.loads((fast.path / "out.json").read_text())
    (entry,) = saved["benchmarks"]
    assert (entry["name"], entry["fullname"], entry["group"]) == (
        "Linear", "specs/net.arch.yaml::throughput", "archcheck throughput",
    )  # fmt: skip
    assert entry["stats"]["rounds"] == len(entry["stats"]["data"]) == 5
    info = entry["extra_info"]
    assert (info["mode"], info["device"], info["num_threads"], info["precision"], info["batch_size"]) == (
        "train", "cpu", 1, "fp32", 4,
    )  # fmt: skip
    assert info["examples_per_sec"] == pytest.approx(4 / entry["stats"]["median"])
    assert info["step_sec"] == pytest.approx(entry["stats"]["median"])
    # A step is 3 passes of 4 examples of 3 x 2 multiply-adds.
    assert info["macs_per_sec"] == pytest.approx(72 / entry["stats"]["median"])
    assert info["utilization"] == pytest.approx(info["macs_per_sec"] / info["peak_macs_per_sec"])
    # Weights, input and targets alone are 8 + 12 numbers of 4 bytes.
    assert 80 < info["peak_memory_bytes"] < 10_000
    assert info["torch"] == torch.__version__
    ours = info["archcheck"]
    assert (ours["version"], ours["reference"], ours["verdict"]) == (1, "the operations", None)
    assert ours["log_ratios"] == pytest.approx([math.log(2)] * 4)
    fingerprint = ours["fingerprint"]
    assert fingerprint.pop("cpu")
    assert fingerprint == {
        "device": "cpu", "threads": 1, "torch": torch.__version__, "mode": "train", "precision": "fp32",
        "batch_size": 4, "input": "[4, 3]", "memory_format": "contiguous", "compile": False, "graph": False,
    }  # fmt: skip
    machine = saved["machine_info"]["archcheck"]
    assert machine.pop("cpu")
    assert machine == {"device": "cpu", "threads": 1, "torch": torch.__version__}


def test_a_run_that_is_not_saved_is_not_measured_beside_a_reference(
    fast: TimedProject, references: FakeReferences
) -> None:
    fast.timed()
    assert references.asked == []


def test_a_step_that_has_no_reference_is_saved_all_the_same(fast: TimedProject, references: FakeReferences) -> None:
    references.problem = "no operation of the step can be done again by itself"
    result = fast.timed(SPEC, "--benchmark-autosave")
    result.stdout.fnmatch_lines(
        [f"specs/net.arch.yaml: saved, but nothing to measure later runs by: {references.problem}"]
    )
    assert reason(fast.timed()) == (
        "specs/net.arch.yaml:3: the saved runs like this one are no measure: 1 without a reference"
    )


def test_a_file_in_the_place_of_the_folder_is_told(fast: TimedProject, references: FakeReferences) -> None:
    fast.write(".benchmarks", "")
    result = fast.timed(SPEC, "--benchmark-autosave")
    result.assert_outcomes(skipped=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["archcheck: .benchmarks*: not saved: *"])


def test_a_file_that_cannot_be_written_is_told(fast: TimedProject, references: FakeReferences) -> None:
    result = fast.timed(SPEC, "--benchmark-json", "nowhere/out.json")
    result.assert_outcomes(skipped=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["archcheck: nowhere/out.json: not written: No such file or directory"])


def test_an_exit_status_that_tells_more_is_kept(fast: TimedProject, references: FakeReferences) -> None:
    fast.write("conftest.py", "import pytest\ndef pytest_runtest_teardown(): pytest.exit('enough', 7)\n")
    assert fast.timed(SPEC, "--benchmark-json", "nowhere/out.json").ret == 7
