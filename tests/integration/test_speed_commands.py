"""`archcheck bench` and `archcheck history`."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from archcheck.cli.command_line import main
from tests.integration.project import Project

NETS = """
from torch import nn

class Loud(nn.Linear):
    def forward(self, x):
        print("a word from forward")
        return super().forward(x)

def net(features=3, classes=2):
    print("a word from the build")
    return Loud(features, classes)

class Raising(nn.Linear):
    def forward(self, x):
        if x.is_meta:
            return super().forward(x)
        raise KeyError("no such head")
"""

SPEC = """\
build: ../fast.py:net
input: [B, 3]
throughput:
  batch_size: 4
"""


@pytest.fixture
def here(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr("archcheck.throughput.speed_measurement.ROUNDS_SEC", 0.0)
    monkeypatch.setattr("archcheck.throughput.speed_measurement.PEAK_SEC", 0.001)
    monkeypatch.setattr("archcheck.throughput.workload.WARM_UP_SEC", 0.0)
    project.write("fast.py", NETS)
    return project


def cells(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


# ---------------------------------------------------------------------------------------------- bench


def test_specs_are_timed_here_and_now(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    here.spec("net", SPEC)
    here.spec("other", SPEC.partition("throughput")[0])
    assert main(["bench", "specs/net.arch.yaml", "specs/other.arch.yaml"]) == 0
    captured = capsys.readouterr()
    headers, _, first, second = captured.out.splitlines()
    assert cells(headers) == [
        "spec", "mode", "device", "precision", "batch", "examples/s", "MACs", "of peak", "of bound", "memory",
        "compile",
    ]  # fmt: skip
    assert cells(first)[:5] == ["specs/net.arch.yaml", "train", "cpu, 1 thread", "fp32", "4"]
    assert cells(second)[:5] == ["specs/other.arch.yaml", "train", "cpu, 1 thread", "fp32", "128"]
    # What a network prints is no part of what the command prints.
    assert "a word from forward" in captured.err
    assert "a word from the build" in captured.err


def test_the_quick_recipe_is_timed_where_it_is_asked_for(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    text = SPEC.partition("throughput")[0] + "training:\n  dataset: csv\n  batch_size: 8\n  quick: {batch_size: 2}\n"
    here.spec("net", text)
    batches = []
    for options in ([], ["--train", "full"], ["--train", "quick", "--device", "cpu"]):
        assert main(["bench", "specs/net.arch.yaml", *options]) == 0
        batches.append(cells(capsys.readouterr().out.splitlines()[-1])[4])
    assert batches == ["2", "8", "2"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SPEC.replace("input", "inputs"), "specs/bad.arch.yaml:2: unknown key 'inputs'*"),
        (SPEC.replace(":net", ":nut"), "specs/bad.arch.yaml:1: build: ../fast.py has no 'nut': did you mean 'net'?"),
        (
            SPEC.replace(":net", ":Raising\nargs: {in_features: 3, out_features: 2}"),
            "specs/bad.arch.yaml:1: build: the forward pass raised KeyError: 'no such head' (fast.py:17)",
        ),
    ],
    ids=["not valid", "not built", "raises"],
)
def test_a_spec_that_cannot_be_timed_keeps_none_from_it(
    here: Project, capsys: pytest.CaptureFixture[str], text: str, expected: str
) -> None:
    here.spec("bad", text)
    here.spec("net", SPEC)
    assert main(["bench", "specs/bad.arch.yaml", "specs/net.arch.yaml"]) == 2
    captured = capsys.readouterr()
    assert [cells(line)[0] for line in captured.out.splitlines()[2:]] == ["specs/net.arch.yaml"]
    pytest.LineMatcher(captured.err.splitlines()).fnmatch_lines([expected])
    assert "Traceback" not in captured.err


def test_a_spec_that_is_not_there_is_told(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "specs/gone.arch.yaml"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "archcheck: error: specs/gone.arch.yaml:1: there is no such file; write it: "
        "archcheck new module:callable --input B,3,224,224 --output specs/gone.arch.yaml\n"
    )


def test_a_device_that_is_not_known_is_told(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    here.spec("net", SPEC)
    assert main(["bench", "specs/net.arch.yaml", "--device", "abacus"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("archcheck: error: ")
    assert "'abacus'" in captured.err


def test_an_interrupt_ends_it_in_a_line(
    here: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("archcheck.throughput.speed_measurement.measure_speed", interrupted)
    here.spec("net", SPEC)
    assert main(["bench", "specs/net.arch.yaml"]) == 130
    assert capsys.readouterr().err.splitlines() == ["archcheck: interrupted"]


# ---------------------------------------------------------------------------------------------- history

FINGERPRINT = {"device": "cpu", "cpu": "Intel Xeon", "threads": 1, "torch": "2.15.0", "precision": "fp32",
               "mode": "train", "batch_size": 4, "input": "[4, 3]"}  # fmt: skip


def save(here: Project, number: int, rate: float, ratio: float, **changes: Any) -> Path:
    """Write a saved run as pytest-benchmark does."""
    ours = {"version": 1, "fingerprint": FINGERPRINT, "reference": "AAAA", "log_ratios": [math.log(ratio)] * 2}
    verdict = changes.pop("verdict", None)
    entry = {
        "fullname": changes.pop("fullname", "specs/net.arch.yaml::throughput"),
        "extra_info": {"examples_per_sec": rate, "archcheck": ours | {"verdict": verdict}},
    }
    document = {
        "commit_info": {"id": f"{number:07}" + "a" * 33, "dirty": False},
        "datetime": f"2026-11-22T08:5{number}:12.345678+00:00",
        "benchmarks": [entry],
    }
    folder = changes.pop("folder", ".benchmarks/m")
    return here.write(f"{folder}/{number:04}_run.json", json.dumps(document | changes, indent=4))


def test_saved_runs_are_a_table(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    here.spec("net", SPEC)
    save(here, 1, 1000.0, 1.25)
    save(here, 2, 500.0, 2.5, verdict="slower")
    save(here, 3, 7.0, 1.0, fullname="specs/other.arch.yaml::throughput")
    assert main(["history", "specs/net.arch.yaml"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    title, headers, _, first, second = captured.out.splitlines()
    assert title == "cpu, Intel Xeon, 1 thread, torch 2.15.0, fp32, train, batch 4, input [4, 3]"
    assert cells(headers) == [
        "date", "commit", "device", "torch", "precision", "batch", "examples/s", "against reference", "verdict",
        "speed",
    ]  # fmt: skip
    common = ["cpu, Intel Xeon", "2.15.0", "fp32", "4"]
    assert cells(first) == ["2026-11-22 08:51", "0000001", *common, "1_000", "1.250", "-", "#" * 30]
    assert cells(second) == [
        "2026-11-22 08:52", "0000002", *common, "500", "2.500", "slower", "#" * 15 + " -50 %",
    ]  # fmt: skip


@pytest.mark.parametrize("start", ["specs", ".."])
def test_it_is_found_from_elsewhere(
    here: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    spec = here.spec("net", SPEC)
    save(here, 1, 1000.0, 1.25)
    monkeypatch.chdir(here.path / start)
    storage = str(here.path / ".benchmarks")
    name = "net.arch.yaml" if start == "specs" else str(spec.relative_to(here.path.parent))
    assert main(["history", name, "--storage", storage]) == 0
    assert "0000001" in capsys.readouterr().out


def test_files_that_are_broken_are_told_beside_it(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    here.spec("net", SPEC)
    save(here, 1, 1000.0, 1.25)
    here.write(".benchmarks/m/0002_cut.json", '{"benchmarks": [')
    assert main(["history", "specs/net.arch.yaml"]) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 4
    (line,) = captured.err.splitlines()
    assert line.startswith("archcheck: .benchmarks/m/0002_cut.json: not a saved run of pytest-benchmark: not JSON: ")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["specs/gone.arch.yaml"], "specs/gone.arch.yaml: no such file"),
        (
            ["specs/other.arch.yaml"],
            ".benchmarks has no run of specs/other.arch.yaml; save one with --benchmark-autosave",
        ),
        (
            ["specs/net.arch.yaml", "--storage", "nowhere"],
            "nowhere: no folder of saved runs; pytest --archcheck --benchmark-autosave makes one",
        ),
        (
            ["specs/net.arch.yaml", "--storage", "fast.py"],
            "fast.py: no folder of saved runs; pytest --archcheck --benchmark-autosave makes one",
        ),
    ],
)
def test_what_is_not_there_is_told(
    here: Project, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    for name in ("net", "other"):
        here.spec(name, SPEC)
    save(here, 1, 1000.0, 1.25)
    assert main(["history", *arguments]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"archcheck: error: {expected}\n")


def test_what_runs_save_is_what_history_shows(
    here: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, preloaded_workers: None
) -> None:
    """All of it real, and the second run held against the first, though not for long."""
    monkeypatch.setattr("archcheck.throughput.regression.paired_benchmark.MEASURE_SEC", 0.1)
    monkeypatch.setattr("archcheck.throughput.regression.paired_benchmark.MIN_PROCESSES", 1)
    monkeypatch.setattr("cpuinfo.get_cpu_info", dict)  # a second
    here.spec("net", SPEC + "  max_regression: 90%\n")
    options = [option for name in ("archcheck.plugin", "benchmark") for option in ("-p", name)]
    options += ["--archcheck", "-k", "throughput", "--benchmark-autosave", "-s"]
    here.pytester.runpytest_inprocess(*options).assert_outcomes(skipped=1)
    here.pytester.runpytest_inprocess(*options).assert_outcomes(passed=1)
    capsys.readouterr()
    assert main(["history", "specs/net.arch.yaml"]) == 0
    _, _, _, first, second = capsys.readouterr().out.splitlines()
    assert [cells(line)[8] for line in (first, second)] == ["-", "not slower"]
    assert all(float(cells(line)[7]) > 0 for line in (first, second))
    # Measured against one reference, the change is known but for some percents.
    assert re.search(r"#+ [+-]\d+ %$", second)
