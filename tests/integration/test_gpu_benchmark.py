"""`benchmarks/gpu.py` is rehearsed on the CPU: each step runs, and what one has found is kept."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ROWS = ("--rows", "vgg11-quarter-96")


def rehearse(out: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Return the exit status, the results as data, and as Markdown."""
    command = [sys.executable, "benchmarks/gpu.py", "--rehearse", "--out", str(out), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    log = (out / "log.txt").read_text() if (out / "log.txt").exists() else ""
    assert (out / "gpu.json").exists(), done.stderr[-2000:] + log[-2000:]
    return done.returncode, json.loads((out / "gpu.json").read_text()), (out / "gpu.md").read_text()


def test_each_step_runs_and_leaves_a_table(tmp_path: Path) -> None:
    status, results, text = rehearse(tmp_path, "--steps", "function,rate,train,memory,tests", "--limit", "300", *ROWS)
    assert [one["ended"] for one in results["steps"].values()] == ["done"] * 5, (tmp_path / "log.txt").read_text()
    assert status == 0
    assert not [row for one in results["steps"].values() for row in one["rows"] if row.get("problem")]
    assert results["steps"]["function"]["rows"][-1]["what"].startswith("2 passed")
    ours, d2l = results["steps"]["rate"]["rows"]
    assert (ours["network"], d2l["setting"]) == ("VGG-11/4, 96", "d2l's loop")
    assert min(ours["examples/s"], ours["limit/s"], d2l["examples/s"]) > 0
    (trained,) = results["steps"]["train"]["rows"]
    assert (trained["epochs"], trained["published accuracy"]) == (1, 0.911)
    assert {row["network"] for row in results["steps"]["memory"]["rows"]} == {"resnet18"}
    assert "| network | setting | examples/s |" in text
    assert results["device"] == "cpu (cpu)"


def test_what_comes_in_turns_ends_by_itself_before_its_time_is_over() -> None:
    spec = importlib.util.spec_from_file_location("gpu_benchmark", ROOT / "benchmarks" / "gpu.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["gpu_benchmark"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    now, done = [0.0], []
    for seconds in module.while_in_time([3.0, 1.0, 1.0, 1.0, 1.0], 7.5, lambda: now[0]):
        now[0] += seconds
        done.append(seconds)
    assert done == [3.0, 1.0, 1.0]  # 5 s are over, and the longest took 3 s


def test_a_step_that_takes_too_long_is_stopped_and_the_next_one_runs(tmp_path: Path) -> None:
    status, results, text = rehearse(tmp_path, "--steps", "gate,tests", "--limit", "4")
    assert status == 1
    assert results["steps"]["gate"]["ended"] == "stopped at its limit of 4 s"
    assert "## tests: the tests that need an accelerator" in text


def test_a_device_that_is_not_there_is_told_in_a_line(tmp_path: Path) -> None:
    command = [sys.executable, "benchmarks/gpu.py", "--out", str(tmp_path), "--device", "vulkan"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "no device 'vulkan': this machine has no VULKAN device\n"
