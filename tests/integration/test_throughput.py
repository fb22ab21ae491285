"""`throughput` and `faster_than`: networks are timed, and held against floors, a revision, saved runs and other specs.

Nearly everywhere what two processes measure is given by hand, as four values that are all the same, and their
intervals are by hand too, with quantiles from a table of Student's t. Those at the end are real.
"""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from archcheck.throughput.records import SpeedRecord
from archcheck.throughput.regression.interval import judge, ratio_interval
from archcheck.throughput.regression.paired_benchmark import PairedResult, ReferenceResult, run_paired
from archcheck.throughput.regression.workers import WorkerFailed, WorkerRequest
from tests.integration.conftest import Project

NETS = """
import torch
from torch import nn

def net(features=3, classes=2):
    return nn.Linear(features, classes)

class Calls(nn.Linear):
    '''Calls something in a forward pass on real data.'''
    def __init__(self, what):
        super().__init__(3, 2)
        self.what = what
    def forward(self, x):
        return super().forward(x) if x.is_meta else globals()[self.what](self, super().forward(x))

def raises(net, x):
    raise KeyError("no such head")
def raises_in_training(net, x):
    return raises(net, x) if net.training else x
def leaves(net, x):
    raise SystemExit(3)
def speaks(net, x):
    print("a word from forward")
    return x
def flat(net, x):
    return x[:, 0]
"""

SPEC = """\
build: fast:net
input: [B, 3]
throughput:
  batch_size: 4
"""


class Fast(Project):
    """A project whose network is timed in a moment."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        super().__init__(pytester)
        self.write("fast.py", NETS)

    def timed(self, text: str = SPEC, *args: str) -> pytest.RunResult:
        """The throughput item of the spec `net`, run."""
        self.spec("net", text)
        return self.run("-m", "archcheck_throughput", "-rs", *args)

    def pytest(self, *args: str) -> pytest.RunResult:
        """`pytest ARGS`, with pytest-benchmark by its own name, as it is loaded where nothing is switched off."""
        names = ["archcheck.plugin", "xdist.plugin"] + (["benchmark"] if "no:benchmark" not in args else [])
        run = self.pytester.runpytest_subprocess if "-n" in args else self.pytester.runpytest_inprocess
        result = run(*(option for name in names for option in ("-p", name)), *args)
        output = result.stdout.str() + result.stderr.str()
        assert "INTERNALERROR" not in output
        assert "Traceback" not in output
        return result

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(self.path), *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self) -> str:
        """Everything as it is now. Returns the revision as messages call it."""
        if not (self.path / ".git").exists():
            self.git("init", "-q", "-b", "main")
        self.git("add", "--all")
        self.git("commit", "-qm", "as it is now")
        return f"HEAD ({self.git('rev-parse', 'HEAD')[:7]})"

    def saved(self) -> list[Path]:
        return sorted(self.path.glob(".benchmarks/*/*.json"))


class FakePairedRuns:
    """Stands for `run_paired`: the ratios of the times that it finds, one run after the other."""

    def __init__(self) -> None:
        self.found: list[float | WorkerFailed] = [1.0]
        self.asked: list[tuple[WorkerRequest, WorkerRequest, float]] = []
        self.meanwhile: Callable[[WorkerRequest, WorkerRequest], object] = lambda left, right: None

    def __call__(self, left: WorkerRequest, right: WorkerRequest, limit: float) -> PairedResult:
        self.asked.append((left, right, limit))
        self.meanwhile(left, right)
        found = self.found.pop(0) if len(self.found) > 1 else self.found[0]
        if isinstance(found, WorkerFailed):
            raise found
        values = (math.log(found),) * 4
        interval = ratio_interval(values)
        return PairedResult(values, interval, judge(interval, limit), 0.01 * found, 0.01, 1.0)


class FakeReferenceRuns:
    """Stands for `run_against_reference`: how long a step takes, in references."""

    def __init__(self) -> None:
        self.ratio = 1.0
        self.problem = ""
        self.asked: list[tuple[str | None, Sequence[float]]] = []

    def __call__(
        self, request: WorkerRequest, reference: str | None, then: Sequence[float] = (), limit: float = math.inf
    ) -> ReferenceResult:
        self.asked.append((reference, then))
        if self.problem:
            return ReferenceResult(None, (), self.problem)
        return ReferenceResult(reference or "the operations", (math.log(self.ratio),) * 4)


class FakeSpeeds:
    """Stands for `measure_speed`: examples per second, one time after the other, the last one for good."""

    def __init__(self) -> None:
        self.rates = [1000.0]
        self.macs_per_sec: float | None = 3e9

    def __call__(
        self, spec_file: Any, plan: Any, device: Any, rootdir: Any, time_rounds: Callable[..., Sequence[float]]
    ) -> SpeedRecord:
        time_rounds(lambda: None, 5)
        rate = self.rates.pop(0) if len(self.rates) > 1 else self.rates[0]
        size = plan.recipe.batch_size
        return SpeedRecord(
            plan.mode, "cpu", 1, plan.recipe.precision, size, rate, size / rate, self.macs_per_sec, 10e9, 2_500, 0.0
        )


@pytest.fixture
def fast(project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fast:
    monkeypatch.setattr("archcheck.throughput.speed_measurement.ROUNDS_SEC", 0.0)
    monkeypatch.setattr("archcheck.throughput.speed_measurement.PEAK_SEC", 0.001)
    monkeypatch.setattr("archcheck.throughput.workload.WARM_UP_SEC", 0.0)
    monkeypatch.setattr("cpuinfo.get_cpu_info", dict)  # a second
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "somebody")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "somebody@example.com")
    temporary = tmp_path / "temporary"
    temporary.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return Fast(project.pytester)


@pytest.fixture
def paired_runs(monkeypatch: pytest.MonkeyPatch) -> FakePairedRuns:
    fake = FakePairedRuns()
    monkeypatch.setattr("archcheck.throughput.session.run_paired", fake)
    return fake


@pytest.fixture
def reference_runs(monkeypatch: pytest.MonkeyPatch) -> FakeReferenceRuns:
    fake = FakeReferenceRuns()
    monkeypatch.setattr("archcheck.throughput.session.run_against_reference", fake)
    return fake


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> FakeSpeeds:
    fake = FakeSpeeds()
    monkeypatch.setattr("archcheck.throughput.speed_measurement.measure_speed", fake)
    return fake


def message(result: pytest.RunResult, item: str = "net: throughput") -> str:
    """What a failing item says, all of it."""
    output = result.stdout.str()
    assert "archcheck/" not in output
    (text,) = re.findall(rf"^_+ {item} _+\n((?:(?:[^=_\-\n].*)?\n)+)", output, re.MULTILINE)
    return str(text).rstrip("\n")


def reason(result: pytest.RunResult) -> str:
    """Why the only item was skipped, and where."""
    result.assert_outcomes(skipped=1)
    (text,) = re.findall(r"^SKIPPED \[1\] (.*)$", result.stdout.str(), re.MULTILINE)
    return str(text)


def figures_row(result: pytest.RunResult, spec: str = "specs/net.arch.yaml") -> list[str]:
    """A spec's line in the table of figures: spec, mode, device, precision, batch, examples/s, and so on."""
    table = re.split(r"^spec +mode .*$", result.stdout.str(), flags=re.MULTILINE)[1]
    (line,) = [line for line in table.splitlines() if line.startswith(f"{spec} ")]
    return re.split(r"\s{2,}", line.strip())


# ---------------------------------------------------------------------------------------------- figures


def test_without_a_saved_run_it_is_measured_and_there_is_no_verdict(fast: Fast) -> None:
    result = fast.timed()  # all of it real
    assert reason(result) == ("specs/net.arch.yaml:3: no saved run of this spec; save one with --benchmark-autosave")
    spec, mode, device, precision, batch, rate, macs, of_peak, memory, compile_sec = figures_row(result)
    assert (spec, mode, device, precision, batch) == ("specs/net.arch.yaml", "train", "cpu, 1 thread", "fp32", "4")
    assert float(rate) > 0
    assert macs.endswith("MAC/s")
    assert of_peak.endswith("%")
    assert memory.endswith(" B")
    assert compile_sec == "-"


def test_strict_fails_what_has_no_verdict(fast: Fast) -> None:
    result = fast.timed(SPEC, "--archcheck-strict")
    result.assert_outcomes(failed=1)
    assert message(result) == (
        "specs/net.arch.yaml:3: not measured: no saved run of this spec; save one with --benchmark-autosave"
    )
    assert figures_row(result)[1] == "train"


def test_the_table_has_what_was_measured(fast: Fast, figures: FakeSpeeds) -> None:
    result = fast.timed(SPEC + "  mode: inference\n")
    assert figures_row(result)[1:] == [
        "inference", "cpu, 1 thread", "fp32", "4", "1_000", "3 GMAC/s", "30%", "2.5 kB", "-",
    ]  # fmt: skip


def test_what_nobody_knows_is_a_dash(fast: Fast, figures: FakeSpeeds) -> None:
    figures.macs_per_sec = None
    assert figures_row(fast.timed())[6:8] == ["-", "-"]


def test_a_recipe_is_timed_as_it_is_written(fast: Fast) -> None:
    """Its batch size, loss and optimizer; the data set need not be there."""
    recipe = "training:\n  dataset: csv\n  batch_size: 6\n  optimizer: {name: AdamW, lr: 0.1}\n"
    result = fast.timed(
        SPEC.replace("  batch_size: 4\n", "  mode: train\n").replace("throughput", recipe + "throughput")
    )
    assert reason(result).startswith("specs/net.arch.yaml:7: no saved run")
    assert figures_row(result)[4] == "6"


def test_pytest_benchmark_is_found_by_its_modules_name_too(fast: Fast) -> None:
    """How it is loaded where plugins aren't loaded by themselves, by pytest's own manual."""
    fast.spec("net", SPEC)
    result = fast.pytester.runpytest_inprocess(
        "-p", "archcheck.plugin", "-p", "pytest_benchmark.plugin", "--archcheck", "-k", "throughput", "-rs"
    )
    assert reason(result).startswith("specs/net.arch.yaml:3: no saved run")


# ---------------------------------------------------------------------------------------------- where nothing is timed


def test_side_by_side_nothing_is_timed(fast: Fast) -> None:
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


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("--benchmark-disable", "timing is switched off (--benchmark-disable)"),
        ("-pno:benchmark", "timing needs pytest-benchmark, which is switched off (-p no:benchmark)"),
    ],
    ids=["disabled", "no plugin"],
)
def test_timing_that_is_switched_off_is_no_verdict(fast: Fast, option: str, why: str) -> None:
    options = ["-p", option[2:]] if option.startswith("-p") else [option]
    result = fast.timed(SPEC, *options)
    assert reason(result) == f"specs/net.arch.yaml:3: {why}"
    assert "examples/s" not in result.stdout.str()
    result = fast.timed(SPEC, *options, "--archcheck-strict")
    assert message(result) == f"specs/net.arch.yaml:3: not measured: {why}"


def test_without_pytest_benchmark_its_options_are_unknown(fast: Fast) -> None:
    result = fast.timed(SPEC, "-p", "no:benchmark", "--benchmark-autosave")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*unrecognized arguments: --benchmark-autosave"])


def test_benchmarks_may_be_left_out(fast: Fast, paired_runs: FakePairedRuns) -> None:
    fast.spec("net", SPEC)
    result = fast.run("--benchmark-skip", "-rs")
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED *: Skipping benchmark (--benchmark-skip active)."])
    assert "examples/s" not in result.stdout.str()


def test_benchmarks_may_be_all_that_runs(fast: Fast, figures: FakeSpeeds) -> None:
    fast.spec("net", SPEC + "  min_examples_per_sec: 1\n")
    result = fast.run("--benchmark-only", "-rs")
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(["SKIPPED *: Skipping non-benchmark (--benchmark-only active)."])


def test_a_device_that_is_not_there_is_no_verdict(fast: Fast) -> None:
    if torch.backends.mps.is_available():
        pytest.skip("this machine has it")
    assert reason(fast.timed(SPEC, "--archcheck-device", "mps")) == (
        "specs/net.arch.yaml:3: no device 'mps': this machine has no MPS device"
    )


# -------------------------------------------------------------------------------- pytest-benchmark's files


def test_what_was_measured_is_in_the_file(fast: Fast, reference_runs: FakeReferenceRuns) -> None:
    reference_runs.ratio = 2.0
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
        "batch_size": 4, "input": "[4, 3]", "memory_format": "contiguous", "compile": False,
    }  # fmt: skip
    machine = saved["machine_info"]["archcheck"]
    assert machine.pop("cpu")
    assert machine == {"device": "cpu", "threads": 1, "torch": torch.__version__}


def test_a_run_that_is_not_saved_is_not_measured_beside_a_reference(
    fast: Fast, reference_runs: FakeReferenceRuns
) -> None:
    fast.timed()
    assert reference_runs.asked == []


def test_a_step_that_has_no_reference_is_saved_all_the_same(fast: Fast, reference_runs: FakeReferenceRuns) -> None:
    reference_runs.problem = "no operation of the step can be done again by itself"
    result = fast.timed(SPEC, "--benchmark-autosave")
    result.stdout.fnmatch_lines(
        [f"specs/net.arch.yaml: saved, but nothing to measure later runs by: {reference_runs.problem}"]
    )
    assert reason(fast.timed()) == (
        "specs/net.arch.yaml:3: the saved runs like this one are no measure: 1 without a reference"
    )


# ---------------------------------------------------------------------------------------------- floors

FLOORED = SPEC + "  min_examples_per_sec: 1000\n"


def test_a_rate_below_the_minimum_fails_at_its_line(fast: Fast, figures: FakeSpeeds) -> None:
    figures.rates = [600.0, 750.0, 700.0]
    result = fast.timed(FLOORED)
    result.assert_outcomes(failed=1)
    assert message(result).splitlines() == [
        "specs/net.arch.yaml:5: throughput: 25 % fewer examples per second than the minimum",
        "  expected  at least 1_000 examples/s",
        "  actual    750 examples/s",
        "  measured  train, batch 4, fp32 on cpu, 1 thread",
    ]
    assert figures_row(result)[5] == "750"


def test_a_minimum_for_this_device_is_pointed_at_there(fast: Fast, figures: FakeSpeeds) -> None:
    figures.rates = [500.0]
    result = fast.timed(SPEC + "  min_examples_per_sec:\n    NVIDIA H200: 20_000\n    cpu: 1_000\n")
    assert message(result).startswith("specs/net.arch.yaml:7: throughput: 50 % fewer examples per second")


def test_a_rate_far_below_the_minimum_is_told_in_plain_digits(fast: Fast, figures: FakeSpeeds) -> None:
    """As where a floor for a GPU is forgotten to be one by device."""
    result = fast.timed(SPEC + "  min_examples_per_sec: 1_000_000\n")
    assert re.search(r"throughput: (100|99\.9) % fewer examples per second", message(result))


def test_a_minimum_that_another_device_has_too_is_pointed_at_there(fast: Fast, figures: FakeSpeeds) -> None:
    figures.rates = [500.0]
    result = fast.timed(SPEC + "  min_examples_per_sec:\n    mps: 1_000\n    cpu: 1_000\n")
    assert message(result).startswith("specs/net.arch.yaml:7: throughput: 50 % fewer examples per second")


def test_one_slow_second_is_not_held_against_it(fast: Fast, figures: FakeSpeeds) -> None:
    """A minimum is meant for the machine, not for its busiest second."""
    figures.rates = [600.0, 750.0, 1100.0]
    fast.timed(FLOORED).assert_outcomes(passed=1)


def test_a_minimum_that_is_met_needs_no_saved_run(fast: Fast, figures: FakeSpeeds) -> None:
    fast.timed(FLOORED).assert_outcomes(passed=1)


def test_with_max_regression_it_is_held_against_both(fast: Fast, figures: FakeSpeeds) -> None:
    assert reason(fast.timed(FLOORED + "  max_regression: 5%\n")).startswith("specs/net.arch.yaml:3: no saved run")


def test_a_minimum_for_another_device_is_none_here(fast: Fast, figures: FakeSpeeds) -> None:
    text = SPEC + "  min_examples_per_sec: {NVIDIA H200: 20_000}\n"
    assert reason(fast.timed(text)).startswith("specs/net.arch.yaml:3: no saved run")


def test_a_utilization_below_the_minimum_fails_at_its_line(fast: Fast, figures: FakeSpeeds) -> None:
    result = fast.timed(SPEC + "  min_utilization: 0.4\n")
    assert message(result).splitlines() == [
        "specs/net.arch.yaml:5: throughput: less of the device's own peak than the minimum",
        "  expected  at least 0.4 of 10 GMAC/s",
        "  actual    0.3, 3 GMAC/s",
        "  measured  train, batch 4, fp32 on cpu, 1 thread",
    ]
    fast.timed(SPEC + "  min_utilization: 0.3\n").assert_outcomes(passed=1)


def test_a_utilization_that_cannot_be_counted_fails(fast: Fast, figures: FakeSpeeds) -> None:
    figures.macs_per_sec = None
    assert message(fast.timed(SPEC + "  min_utilization: 0.3\n")) == (
        "specs/net.arch.yaml:5: min_utilization: nobody knows the network's multiply-adds, "
        "which `min_utilization` counts"
    )


# ---------------------------------------------------------------------------------------------- another revision


def against(fast: Fast, text: str = SPEC, *args: str) -> tuple[pytest.RunResult, str]:
    """The throughput item held against HEAD, which is all as it is; and what messages call HEAD."""
    fast.spec("net", text)
    label = fast.commit()
    return fast.timed(text, "--archcheck-against", "HEAD", *args), label


def test_slower_than_the_revision_fails(fast: Fast, paired_runs: FakePairedRuns) -> None:
    paired_runs.found = [1.25]
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


def test_a_limit_of_its_own_is_pointed_at_and_taken(fast: Fast, paired_runs: FakePairedRuns) -> None:
    paired_runs.found = [1.25]
    result, label = against(fast, SPEC + "  max_regression: 20%\n")
    first, expected, *_ = message(result).splitlines()
    assert first == f"specs/net.arch.yaml:5: throughput: slower than {label}: a step takes 25.0 % longer"
    assert expected == "  expected  at most 20 % longer"
    assert [limit for *_, limit in paired_runs.asked] == [pytest.approx(1.2)]


def test_what_is_to_be_typed_again_is_quoted(fast: Fast, paired_runs: FakePairedRuns) -> None:
    paired_runs.found = [1.25]
    fast.spec("a net", SPEC)
    fast.commit()
    result = fast.run("-k", "throughput", "--archcheck-against", "HEAD@{0}")
    again = message(result, "a net: throughput").splitlines()[-1]
    assert again.endswith("pytest --archcheck 'specs/a net.arch.yaml' -k throughput --archcheck-against 'HEAD@{0}'")


def test_not_slower_than_the_revision_passes(fast: Fast, paired_runs: FakePairedRuns) -> None:
    paired_runs.found = [1.01]
    result, label = against(fast)
    result.assert_outcomes(passed=1)
    assert figures_row(result)[-1] == f"0.99x {label}"
    assert "faster than" not in result.stdout.str()


def test_too_close_to_tell_is_no_verdict(fast: Fast, paired_runs: FakePairedRuns) -> None:
    paired_runs.found = [1.08]
    result, label = against(fast)
    why = (
        f"can't tell whether it is slower than {label} by more than 7.5 %: +8.0 % (99 % sure: +5.9 % to +10.2 %); "
        "a quieter machine, or a wider max_regression, makes it clear"
    )
    assert reason(result) == f"specs/net.arch.yaml:3: {why}"
    result, _ = against(fast, SPEC + "# \n", "--archcheck-strict")
    assert message(result).startswith("specs/net.arch.yaml:3: not measured: can't tell whether it is slower than HEAD")


def test_faster_than_the_revision_is_told_below_the_table(fast: Fast, paired_runs: FakePairedRuns) -> None:
    paired_runs.found = [0.8]
    result, label = against(fast)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"specs/net.arch.yaml: faster than {label}: 1.25x"])


def test_what_was_saved_does_not_matter_then(
    fast: Fast, paired_runs: FakePairedRuns, reference_runs: FakeReferenceRuns
) -> None:
    against(fast, SPEC)[0].assert_outcomes(passed=1)
    assert reference_runs.asked == []


def test_a_run_that_is_saved_has_a_measure_all_the_same(
    fast: Fast, paired_runs: FakePairedRuns, reference_runs: FakeReferenceRuns
) -> None:
    against(fast, SPEC, "--benchmark-autosave")[0].assert_outcomes(passed=1)
    assert reference_runs.asked == [(None, ())]


def test_a_minimum_comes_first(fast: Fast, paired_runs: FakePairedRuns, figures: FakeSpeeds) -> None:
    result, _ = against(fast, SPEC + "  min_examples_per_sec: 2000\n")
    assert "fewer examples per second than the minimum" in message(result)
    assert paired_runs.asked == []


def test_the_working_tree_is_compared_as_it_is(fast: Fast, paired_runs: FakePairedRuns) -> None:
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

    paired_runs.meanwhile = look
    fast.run("-k", "throughput", "--archcheck-against", "HEAD", "-p", "no:cacheprovider").assert_outcomes(passed=1)
    assert [text.endswith("# changed\n") for text in seen] == [True, False]
    ((here, there, _),) = paired_runs.asked
    assert here.work is None
    assert there.work == {"mode": "train", "batch_size": 8, "resize": None, "precision": "fp32"}
    assert fast.git("status", "--porcelain") == state


@pytest.mark.parametrize("options", [[], ["-x"]])
def test_the_revision_is_checked_out_once_and_gone_afterwards(
    fast: Fast, paired_runs: FakePairedRuns, options: list[str]
) -> None:
    for name in "abc":
        fast.spec(name, SPEC)
    fast.commit()
    trees: list[Path | None] = []
    paired_runs.meanwhile = lambda left, right: trees.append(right.tree)
    paired_runs.found = [1.0, 1.25, 1.0]
    result = fast.run("-k", "throughput", "--archcheck-against", "HEAD", *options)
    result.assert_outcomes(passed=1 if options else 2, failed=1)
    assert len(trees) == (2 if options else 3)
    (there,) = set(trees)
    assert there is not None
    assert not there.exists()
    assert fast.git("worktree", "list", "--porcelain").count("worktree ") == 1
    assert list(Path(tempfile.gettempdir()).iterdir()) == []


def test_nothing_is_checked_out_where_nothing_is_timed(
    fast: Fast, paired_runs: FakePairedRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archcheck.throughput.session.checked_out", None)
    fast.spec("net", SPEC)
    fast.run("-k", "not throughput", "--archcheck-against", "HEAD").assert_outcomes(passed=2)


# ------------------------------------------------------------------------------- a revision that can't be measured


def test_a_revision_that_is_not_there_fails_and_the_others_go_on(fast: Fast, paired_runs: FakePairedRuns) -> None:
    fast.spec("net", SPEC + "output: [B, 2]\n")
    fast.commit()
    result = fast.run("--archcheck-against", "nope")
    result.assert_outcomes(passed=3, failed=1)
    assert message(result) == (
        f"specs/net.arch.yaml:3: --archcheck-against nope: no such revision in {fast.path}; "
        "give a branch, a tag or a commit, such as main or HEAD~1"
    )
    assert "examples/s" not in result.stdout.str()  # not a second is spent before it's told


def test_an_empty_revision_is_none(fast: Fast, paired_runs: FakePairedRuns) -> None:
    """As `--archcheck-against "$BASE"` is where the variable isn't set."""
    fast.spec("net", SPEC)
    fast.commit()
    result = fast.run("-k", "throughput", "--archcheck-against", "")
    assert result.ret in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.USAGE_ERROR)


def test_a_folder_without_history_has_no_other_revision(fast: Fast, paired_runs: FakePairedRuns) -> None:
    fast.spec("net", SPEC)
    result = fast.run("--archcheck-against", "main")
    result.assert_outcomes(passed=2, failed=1)
    assert message(result) == (
        f"specs/net.arch.yaml:3: --archcheck-against {fast.path}/specs: not in a git repository, "
        "so there is no other revision; run it inside one"
    )


def test_a_spec_that_is_new_since_has_no_verdict(fast: Fast, paired_runs: FakePairedRuns) -> None:
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


def test_a_spec_that_could_not_be_read_then_has_no_verdict(fast: Fast, paired_runs: FakePairedRuns) -> None:
    fast.spec("net", SPEC.replace("batch_size", "batchsize"))
    label = fast.commit()
    text = reason(fast.timed(SPEC, "--archcheck-against", "HEAD"))
    assert text.startswith(
        f"specs/net.arch.yaml:3: it can't be read there: specs/net.arch.yaml at {label}:4: unknown key 'batchsize'"
    )


def test_a_spec_without_throughput_then_is_given_it(fast: Fast, paired_runs: FakePairedRuns) -> None:
    """Or the first commit that has the section could never be compared."""
    fast.spec("net", SPEC.partition("throughput")[0])
    fast.commit()
    fast.timed(SPEC, "--archcheck-against", "HEAD").assert_outcomes(passed=1)


def test_a_process_of_the_revision_that_fails_is_no_verdict(fast: Fast, paired_runs: FakePairedRuns) -> None:
    fast.spec("net", SPEC)
    label = fast.commit()
    shown = f"specs/net.arch.yaml at {label}"
    paired_runs.found = [WorkerFailed("no module named 'gone'", "BuildError", shown=shown)]
    assert reason(fast.timed(SPEC, "--archcheck-against", "HEAD")) == (
        f"specs/net.arch.yaml:3: {label} can't be measured: no module named 'gone'"
    )


def test_a_process_of_this_tree_that_fails_is_a_failure_at_its_line(fast: Fast, paired_runs: FakePairedRuns) -> None:
    paired_runs.found = [
        WorkerFailed("a step: out of memory", "RunFailed", ("throughput", "batch_size"), "specs/net.arch.yaml")
    ]
    result, _ = against(fast)
    assert message(result).splitlines()[-1] == "specs/net.arch.yaml:4: batch_size: a step: out of memory"


# ---------------------------------------------------------------------------------------------- where it is run from


def test_it_may_be_run_from_a_subfolder(
    fast: Fast, paired_runs: FakePairedRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    paired_runs.found = [1.25]
    fast.spec("net", SPEC)
    label = fast.commit()
    monkeypatch.chdir(fast.path / "specs")
    result = fast.run("net.arch.yaml", "-k", "throughput", "--archcheck-against", "HEAD")
    first, *_, again = message(result).splitlines()
    assert first == f"net.arch.yaml:3: throughput: slower than {label}: a step takes 25.0 % longer"
    assert again == "  again     pytest --archcheck net.arch.yaml -k throughput --archcheck-against HEAD"


def test_the_project_may_be_a_folder_of_the_repository(
    fast: Fast, paired_runs: FakePairedRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast.write("ml/pytest.ini", "[pytest]\n")
    fast.write("ml/specs/net.arch.yaml", SPEC)
    fast.write("ml/fast.py", NETS)
    fast.commit()
    monkeypatch.chdir(fast.path / "ml")
    fast.run("-k", "throughput", "--archcheck-against", "HEAD").assert_outcomes(passed=1)
    ((here, there, _),) = paired_runs.asked
    assert there.tree is not None
    assert (here.tree, here.rootdir, here.spec) == (
        fast.path, fast.path / "ml", fast.path / "ml/specs/net.arch.yaml",
    )  # fmt: skip
    assert (there.cwd, there.rootdir, there.spec) == (
        there.tree / "ml", there.tree / "ml", there.tree / "ml/specs/net.arch.yaml",
    )  # fmt: skip
    assert there.foreign == fast.path


def test_a_spec_outside_the_repository_has_no_verdict(fast: Fast, paired_runs: FakePairedRuns, tmp_path: Path) -> None:
    fast.spec("net", SPEC)
    fast.commit()
    outside = tmp_path / "outside.arch.yaml"
    outside.write_text(SPEC)
    where = ("specs", str(outside), "--rootdir", str(fast.path), "-m", "archcheck_throughput")
    result = fast.run(*where, "-rs", "--archcheck-against", "HEAD")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines([f"*outside.arch.yaml:3: the spec isn't in the repository {fast.path}"])


def test_a_rootdir_outside_the_repository_does_not_matter(
    fast: Fast, paired_runs: FakePairedRuns, tmp_path: Path
) -> None:
    fast.spec("net", SPEC.replace("fast:net", "../fast.py:net"))
    fast.commit()
    result = fast.run("specs", "--rootdir", str(tmp_path), "-k", "throughput", "--archcheck-against", "HEAD")
    result.assert_outcomes(passed=1)


# ---------------------------------------------------------------------------------------------- saved runs


def saved_then(
    fast: Fast, reference_runs: FakeReferenceRuns, ratio: float, *args: str, text: str = SPEC
) -> pytest.RunResult:
    """A run that was saved, and another one whose step takes `ratio` times as long."""
    fast.timed(text, "--benchmark-autosave").assert_outcomes(skipped=1)
    reference_runs.ratio = ratio
    return fast.timed(text, *args)


def test_slower_than_the_saved_run_fails_and_names_it(fast: Fast, reference_runs: FakeReferenceRuns) -> None:
    result = saved_then(fast, reference_runs, 1.25)
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
    assert [reference for reference, _ in reference_runs.asked] == [None, "the operations"]
    assert reference_runs.asked[1][1] == pytest.approx([0.0] * 4)


def test_the_saved_runs_commit_is_told(fast: Fast, reference_runs: FakeReferenceRuns) -> None:
    fast.spec("net", SPEC)
    fast.commit()
    fast.write(".gitignore", "*\n")
    commit = fast.git("rev-parse", "HEAD")[:7]
    result = saved_then(fast, reference_runs, 1.25)
    assert f": slower than the saved run of {commit} (.benchmarks/" in message(result)


def test_not_slower_than_the_saved_run_passes(fast: Fast, reference_runs: FakeReferenceRuns) -> None:
    result = saved_then(fast, reference_runs, 1.01)
    result.assert_outcomes(passed=1)
    assert figures_row(result)[-1] == "0.99x 0001"


def test_faster_than_the_saved_run_is_worth_saving(fast: Fast, reference_runs: FakeReferenceRuns) -> None:
    result = saved_then(fast, reference_runs, 0.8)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "specs/net.arch.yaml: faster than the saved run (.benchmarks/*/0001_*.json): 1.25x; "
            "consider saving it (--benchmark-autosave)"
        ]
    )


def test_one_that_is_being_saved_is_not_asked_to_be(fast: Fast, reference_runs: FakeReferenceRuns) -> None:
    result = saved_then(fast, reference_runs, 0.8, "--benchmark-autosave")
    result.stdout.fnmatch_lines(["specs/net.arch.yaml: faster than the saved run (*): 1.25x"])
    assert "consider saving" not in result.stdout.str()


def test_too_close_to_the_saved_run_is_no_verdict(fast: Fast, reference_runs: FakeReferenceRuns) -> None:
    text = reason(saved_then(fast, reference_runs, 1.08))
    assert text.startswith("specs/net.arch.yaml:3: can't tell whether it is slower than the saved run (.benchmarks/")
    assert text.endswith(
        ") by more than 7.5 %: +8.0 % (99 % sure: +5.6 % to +10.5 %); "
        "a quieter machine, or a wider max_regression, makes it clear"
    )


def test_one_slow_run_is_saved_and_never_measured_by(fast: Fast, reference_runs: FakeReferenceRuns) -> None:
    saved_then(fast, reference_runs, 1.25, "--benchmark-autosave").assert_outcomes(failed=1)
    _, second = fast.saved()
    (entry,) = json.loads(second.read_text())["benchmarks"]
    assert entry["extra_info"]["archcheck"]["verdict"] == "slower"
    assert "/0001_" in message(fast.timed())


def test_the_last_run_that_was_not_slower_is_the_measure(fast: Fast, reference_runs: FakeReferenceRuns) -> None:
    saved_then(fast, reference_runs, 1.01, "--benchmark-autosave").assert_outcomes(passed=1)
    reference_runs.ratio = 1.25
    assert "/0002_" in message(fast.timed())


def test_of_several_specs_each_has_a_measure_of_its_own(fast: Fast, reference_runs: FakeReferenceRuns) -> None:
    fast.spec("other", SPEC)
    fast.run("-k", "throughput", "--benchmark-autosave").assert_outcomes(skipped=1)
    fast.spec("net", SPEC)
    result = fast.run("-k", "throughput", "-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED * specs/net.arch.yaml:3: no saved run of this spec; *"])


def edited(path: Path, edit: Callable[[Any], object]) -> None:
    """A saved run's part that is ours, changed."""
    saved = json.loads(path.read_text())
    edit(saved["benchmarks"][0]["extra_info"]["archcheck"])
    path.write_text(json.dumps(saved))


def test_runs_of_another_torch_are_no_measure(fast: Fast, reference_runs: FakeReferenceRuns) -> None:
    fast.timed(SPEC, "--benchmark-autosave")
    (file,) = fast.saved()
    edited(file, lambda ours: ours["fingerprint"].update(torch="2.0.1"))
    assert reason(fast.timed()) == (
        f"specs/net.arch.yaml:3: the saved runs differ: {file.name} has torch 2.0.1, not {torch.__version__}"
    )


def test_another_batch_size_is_another_work(fast: Fast, reference_runs: FakeReferenceRuns) -> None:
    fast.timed(SPEC, "--benchmark-autosave")
    (file,) = fast.saved()
    assert reason(fast.timed(SPEC.replace("4", "8"))) == (
        f"specs/net.arch.yaml:3: the saved runs differ: {file.name} has batch_size 4, not 8; input [4, 3], not [8, 3]"
    )


def test_a_reference_that_cannot_be_done_again_is_no_verdict(fast: Fast, reference_runs: FakeReferenceRuns) -> None:
    fast.timed(SPEC, "--benchmark-autosave")
    reference_runs.problem = "not a reference of ours"
    (file,) = fast.saved()
    assert reason(fast.timed()) == (
        f"specs/net.arch.yaml:3: {file.relative_to(fast.path)} can't be compared with: not a reference of ours"
    )


def test_files_that_are_broken_are_told_and_the_others_count(fast: Fast, reference_runs: FakeReferenceRuns) -> None:
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


def test_where_all_are_broken_it_is_part_of_the_reason(fast: Fast, reference_runs: FakeReferenceRuns) -> None:
    fast.write(".benchmarks/m/0001_cut.json", '{"benchmarks": [')
    text = reason(fast.timed())
    assert text.startswith(
        "specs/net.arch.yaml:3: no saved run of this spec; save one with --benchmark-autosave; "
        ".benchmarks/m/0001_cut.json: not a saved run of pytest-benchmark: not JSON: "
    )


def test_a_file_in_the_place_of_the_folder_is_told(fast: Fast, reference_runs: FakeReferenceRuns) -> None:
    fast.write(".benchmarks", "")
    result = fast.timed(SPEC, "--benchmark-autosave")
    result.assert_outcomes(skipped=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["archcheck: .benchmarks*: not saved: *"])


def test_a_file_that_cannot_be_written_is_told(fast: Fast, reference_runs: FakeReferenceRuns) -> None:
    result = fast.timed(SPEC, "--benchmark-json", "nowhere/out.json")
    result.assert_outcomes(skipped=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["archcheck: nowhere/out.json: not written: No such file or directory"])


def test_an_exit_status_that_tells_more_is_kept(fast: Fast, reference_runs: FakeReferenceRuns) -> None:
    fast.write("conftest.py", "import pytest\ndef pytest_runtest_teardown(): pytest.exit('enough', 7)\n")
    assert fast.timed(SPEC, "--benchmark-json", "nowhere/out.json").ret == 7


# ---------------------------------------------------------------------------------------------- networks at fault

CALLS = SPEC.replace("fast:net", "fast:Calls\nargs: {what: WHAT}")
TRAINED = "training:\n  dataset: csv\n  LINE\n"


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
            "specs/net.arch.yaml:7: loss: ",
        ),
        (
            SPEC.replace("fast:net", "fast:net\nargs: {wide: 3}"),
            "specs/net.arch.yaml:2: build: ",
        ),
    ],
    ids=["raises", "raises in training", "leaves", "no classes", "bad optimizer", "bad loss", "bad argument"],
)  # fmt: skip
def test_what_goes_wrong_is_told_at_its_line(fast: Fast, text: str, expected: str) -> None:
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
def test_what_torch_does_not_have_is_told_as_in_training(fast: Fast, line: str, expected: str) -> None:
    result = fast.timed(SPEC + TRAINED.replace("LINE", line))
    assert message(result).splitlines()[-1] == f"specs/net.arch.yaml:7: {expected}"


def test_what_goes_wrong_is_told_once(fast: Fast) -> None:
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
def test_what_could_not_be_timed_is_no_warning(fast: Fast, text: str, options: list[str]) -> None:
    result = fast.timed(text, *options)
    result.assert_outcomes(failed=1)
    output = result.stdout.str() + result.stderr.str()
    assert "Benchmark fixture was not used" not in output


def test_a_network_that_fails_leaves_the_others_alone(fast: Fast, figures: FakeSpeeds) -> None:
    fast.spec("a", SPEC.replace("fast:net", "fast:nothing"))
    fast.spec("b", FLOORED)
    fast.run("-k", "throughput").assert_outcomes(passed=1, failed=1)


# ---------------------------------------------------------------------------------------------- claims

CLAIM = "claims:\n  faster_than: {spec: other, by: 1.5}\n"


def claimed(fast: Fast, claim: str = CLAIM, *args: str) -> pytest.RunResult:
    """The claims of the spec `net`, which is timed by fours; `other` is by ones."""
    fast.spec("other", SPEC.replace("4", "1"))
    fast.spec("net", SPEC + claim)
    return fast.run("-m", "archcheck_claims", "-rs", *args)


def test_a_network_that_is_faster_by_enough_passes(fast: Fast, paired_runs: FakePairedRuns) -> None:
    paired_runs.found = [2.0]
    claimed(fast).assert_outcomes(passed=1)
    ((theirs, ours, limit),) = paired_runs.asked
    assert (theirs.shown, ours.shown, limit) == ("specs/other.arch.yaml", "specs/net.arch.yaml", 1.5)


def test_one_that_is_not_fails_with_both_rates(fast: Fast, paired_runs: FakePairedRuns) -> None:
    paired_runs.found = [1.2]
    result = claimed(fast)
    result.assert_outcomes(failed=1)
    # An example takes 0.01 s here and 0.012 s there; 1.2 * exp(+-0.0199).
    assert message(result, "net: claims").splitlines() == [
        "specs/net.arch.yaml:6: faster_than: 1.20x as fast as other",
        "  expected  at least 1.5x",
        "  actual    1.200x (99 % sure: 1.176 to 1.224)",
        "  rates     100 examples/s, other 83.3",
    ]


def test_a_claim_too_close_to_tell_is_no_verdict(fast: Fast, paired_runs: FakePairedRuns) -> None:
    paired_runs.found = [1.5]
    why = "faster than other: can't tell: 1.500x (99 % sure: 1.470 to 1.530), and 1.5x is claimed"
    assert reason(claimed(fast)) == f"specs/net.arch.yaml:6: {why}"
    result = claimed(fast, CLAIM, "--archcheck-strict")
    assert message(result, "net: claims") == f"specs/net.arch.yaml:6: not measured: {why}"


def test_a_claim_about_a_spec_that_is_not_there_is_told(fast: Fast, paired_runs: FakePairedRuns) -> None:
    result = claimed(fast, CLAIM.replace("other", "otter"))
    assert message(result, "net: claims") == (
        "specs/net.arch.yaml:6: faster_than: no spec 'otter' in specs: did you mean 'other'?"
    )


def test_of_several_claims_each_is_verified(fast: Fast, paired_runs: FakePairedRuns) -> None:
    paired_runs.found = [2.0, 1.2]
    both = "claims:\n  faster_than:\n    - {spec: other, by: 1.5}\n    - {spec: third, by: 1.5}\n"
    fast.spec("third", SPEC)
    result = claimed(fast, both)
    result.assert_outcomes(failed=1)
    assert message(result, "net: claims").startswith("specs/net.arch.yaml:8: faster_than: 1.20x as fast as third\n")


def test_a_claim_that_fails_is_told_before_one_that_is_open(fast: Fast, paired_runs: FakePairedRuns) -> None:
    paired_runs.found = [1.5, 1.2]
    both = "claims:\n  faster_than:\n    - {spec: other, by: 1.5}\n    - {spec: other, by: 1.5}\n"
    result = claimed(fast, both)
    assert message(result, "net: claims").startswith("specs/net.arch.yaml:8: faster_than: 1.20x")


def test_a_claim_about_a_network_that_fails_names_it(fast: Fast, paired_runs: FakePairedRuns) -> None:
    paired_runs.found = [WorkerFailed("a step: out of memory", "RunFailed", ("throughput",), "specs/other.arch.yaml")]
    assert message(claimed(fast), "net: claims") == (
        "specs/net.arch.yaml:6: faster_than: specs/other.arch.yaml can't be measured: a step: out of memory"
    )


def test_claims_need_no_benchmark(fast: Fast, paired_runs: FakePairedRuns) -> None:
    """They are measured by processes of their own."""
    paired_runs.found = [2.0]
    claimed(fast, CLAIM, "-p", "no:benchmark").assert_outcomes(passed=1)
    claimed(fast, CLAIM, "--benchmark-disable").assert_outcomes(passed=1)


# ---------------------------------------------------------------------------------------------- an item like any other


@pytest.mark.parametrize("options", [["-k", "throughput"], ["-m", "archcheck_throughput"]])
def test_it_is_chosen_like_any_test(fast: Fast, figures: FakeSpeeds, options: list[str]) -> None:
    fast.spec("net", FLOORED + "output: [B, 2]\n")
    result = fast.run(*options, "-v")
    result.assert_outcomes(passed=1, deselected=3)
    result.stdout.fnmatch_lines(["specs/net.arch.yaml::throughput PASSED*"])


def test_last_failed_times_only_what_failed(fast: Fast, figures: FakeSpeeds) -> None:
    fast.spec("a", FLOORED)
    fast.spec("b", FLOORED.replace("1000", "2000"))
    fast.run().assert_outcomes(passed=5, failed=1)
    result = fast.run("--lf")
    result.assert_outcomes(failed=1)
    assert figures_row(result, "specs/b.arch.yaml")[5] == "1_000"


def test_junit_has_the_figures(fast: Fast, figures: FakeSpeeds, paired_runs: FakePairedRuns) -> None:
    paired_runs.found = [1.25]
    _, label = against(fast, SPEC, "--junitxml", "junit.xml")
    (case,) = ET.parse(fast.path / "junit.xml").getroot().iter("testcase")
    properties = {one.attrib["name"]: one.attrib["value"] for one in case.iter("property")}
    assert properties == {
        "archcheck_mode": "train", "archcheck_device": "cpu", "archcheck_num_threads": "1",
        "archcheck_precision": "fp32", "archcheck_batch_size": "4", "archcheck_examples_per_sec": "1000.0",
        "archcheck_step_sec": "0.004", "archcheck_macs_per_sec": "3000000000.0",
        "archcheck_peak_macs_per_sec": "10000000000.0", "archcheck_peak_memory_bytes": "2500",
        "archcheck_compile_sec": "0.0", "archcheck_utilization": "0.3", "archcheck_speedup": "0.8",
        "archcheck_against": label, "archcheck_verdict": "slower",
    }  # fmt: skip
    (failure,) = case.iter("failure")
    assert failure.attrib["message"].startswith("specs/net.arch.yaml:3: throughput: slower than HEAD")


def test_what_a_network_prints_is_captured(fast: Fast) -> None:
    result = fast.timed(CALLS.replace("WHAT", "speaks"))
    assert "a word from forward" not in result.stdout.str()


# ---------------------------------------------------------------------------------------------- real processes

SLOWER = """
class Again(nn.Linear):
    def forward(self, x):
        for _ in range(100):
            x = x + 0.0
        return super().forward(x)

def net():
    return Again(3, 2)
"""


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """One pair of processes and a few turns."""
    monkeypatch.setattr("archcheck.throughput.regression.paired_benchmark.MEASURE_SEC", 0.1)
    monkeypatch.setattr("archcheck.throughput.regression.paired_benchmark.MIN_PROCESSES", 1)


def test_a_change_that_costs_time_fails(fast: Fast, brief: None) -> None:
    fast.spec("net", SPEC)
    label = fast.commit()
    fast.write("fast.py", NETS + SLOWER)
    result = fast.timed(SPEC, "--archcheck-against", "HEAD")
    assert message(result).startswith(f"specs/net.arch.yaml:3: throughput: slower than {label}: a step takes ")
    assert float(figures_row(result)[-1].partition("x")[0]) < 0.8


def test_a_network_that_could_not_be_built_then_is_no_verdict(fast: Fast, brief: None) -> None:
    fast.write("fast.py", NETS.replace("def net", "def not_yet"))
    fast.spec("net", SPEC)
    label = fast.commit()
    fast.write("fast.py", NETS)
    assert reason(fast.timed(SPEC, "--archcheck-against", "HEAD")) == (
        f"specs/net.arch.yaml:3: {label} can't be measured: fast has no 'net': did you mean 'not_yet'?"
    )


def test_code_that_is_the_same_on_both_sides_is_no_verdict(
    fast: Fast, brief: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A package that is installed by copying it, in place of the one in the tree."""
    fast.write("src/shadowed/__init__.py", NETS)
    fast.spec("net", SPEC.replace("fast:", "shadowed:"))
    fast.commit()
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "shadowed").mkdir(parents=True)
    (elsewhere / "shadowed" / "__init__.py").write_text(NETS)
    monkeypatch.syspath_prepend(str(elsewhere))
    text = reason(fast.timed(SPEC.replace("fast:", "shadowed:"), "--archcheck-against", "HEAD"))
    assert text.endswith(
        f"can't be measured: shadowed comes from {elsewhere}, not from {fast.path}: "
        "install it editable (pip install -e .)"
    )


def test_another_input_than_the_revisions_is_no_verdict(fast: Fast, brief: None) -> None:
    """Real processes: what goes in there is known when it is built there."""
    fast.write("fast.py", "from torch import nn\n\ndef net():\n    return nn.LazyLinear(2)\n")
    fast.spec("net", SPEC)
    fast.commit()
    fast.spec("net", SPEC.replace("[B, 3]", "[B, 5]"))
    text = reason(fast.run("-k", "throughput", "-rs", "--archcheck-against", "HEAD"))
    loss = "by SGD and the mean square of the outputs"
    assert text.endswith(f"can't be measured: a step is [4, 3] {loss} there and [4, 5] {loss} here")


def test_a_network_that_reads_its_input_finds_none(fast: Fast, brief: None) -> None:
    """Real processes: they are told what to do by their standard input."""
    fast.write("fast.py", "import subprocess\nsubprocess.run(['cat'])\n" + NETS)
    fast.spec("net", SPEC)
    fast.commit()
    fast.run("-k", "throughput", "--archcheck-against", "HEAD").assert_outcomes(passed=1)


def test_a_minimum_for_other_devices_is_told(fast: Fast, reference_runs: FakeReferenceRuns) -> None:
    result = fast.timed(SPEC + "  min_examples_per_sec: {NVIDA H200: 30}\n")
    result.stdout.fnmatch_lines(["specs/net.arch.yaml: `min_examples_per_sec` says nothing of cpu"])


DYING = """
import os, signal, sys, time

def dies(net, x):
    if "_pytest.main" not in sys.modules:
        net.since = getattr(net, "since", None) or time.monotonic()
        if time.monotonic() - net.since > 0.5:  # it has been warming up for 0.3 s
            os.kill(os.getpid(), signal.SIGKILL)
    return x
"""


def test_a_process_that_is_killed_fails_its_item_and_no_other(
    fast: Fast, brief: None, paired_runs: FakePairedRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = CALLS.replace("WHAT", "dies")
    for name in "ab":
        fast.spec(name, text)
    fast.write("fast.py", NETS + "def dies(net, x): return x\n")
    fast.commit()
    fast.write("fast.py", NETS + DYING)

    def only_a(left: WorkerRequest, right: WorkerRequest, limit: float) -> PairedResult:
        return run_paired(left, right, limit) if "a.arch" in left.shown else paired_runs(left, right, limit)

    monkeypatch.setattr("archcheck.throughput.session.run_paired", only_a)
    result = fast.run("-k", "throughput", "--archcheck-against", "HEAD")
    result.assert_outcomes(passed=1, failed=1)
    assert message(result, "a: throughput").splitlines()[-1] == (
        "specs/a.arch.yaml:4: throughput: the process that measures specs/a.arch.yaml was killed by signal 9; "
        "was memory short?"
    )


MARKING = """
import os, sys

def marks(net, x):
    if "_pytest.main" not in sys.modules:
        open(os.environ["MARK"] + str(os.getpid()), "w").close()
    return x
"""
BRIEF = """
import archcheck.throughput.speed_measurement as figures
figures.ROUNDS_SEC, figures.PEAK_SEC = 0.0, 0.001
"""


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
def test_an_interrupt_leaves_no_process_and_no_checkout(fast: Fast) -> None:
    fast.write("fast.py", NETS + MARKING)
    fast.write("conftest.py", BRIEF)
    fast.spec("net", CALLS.replace("WHAT", "marks"))
    fast.commit()
    temporary = fast.path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-m", "pytest", "-p", "archcheck.plugin", "-p", "benchmark", "--archcheck"]
    # A background job of a shell ignores Ctrl-C, and its children with it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        [*command, "-k", "throughput", "--archcheck-against", "HEAD"],
        cwd=fast.path, env={**os.environ, "TMPDIR": str(temporary), "MARK": str(fast.path / "mark")},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            wait_for(lambda: any(fast.path.glob("mark*")))
            workers = measuring(temporary)
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=30)
        finally:
            process.kill()
            signal.signal(signal.SIGINT, before)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    assert len(workers) == 2
    assert measuring(temporary) == []
    assert fast.git("worktree", "list", "--porcelain").count("worktree ") == 1
    assert list(temporary.iterdir()) == []
    assert "Traceback" not in output


def measuring(temporary: Path) -> list[str]:
    """The processes that measure for whoever has this folder for temporary files."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = ((process / name).read_bytes() for name in ("cmdline", "environ"))
        except OSError:
            continue  # gone, or somebody else's
        if b"archcheck.throughput.worker" in command and os.fsencode(temporary) in environment:
            found.append(process.name)
    return found


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
