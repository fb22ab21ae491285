"""The process that measures, by the lines that it reads and writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from archcheck.throughput.regression.workers import WorkerRequest
from tests.preloaded import PreloadedPopen

NETS = """
import threading, time
from torch import nn

def lingering():
    threading.Thread(target=time.sleep, args=(600,)).start()
    print("of no interest")
    return nn.Linear(3, 2)

def small():
    return nn.Linear(3, 2)
"""


def write(folder: Path, build: str, more: str = "") -> Path:
    """A module with networks, and a spec beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "archcheck_test_nets.py").write_text(NETS, encoding="utf-8")
    spec = folder / "small.arch.yaml"
    spec.write_text(f"build: {build}\ninput: [B, 3]\n{more}", encoding="utf-8")
    return spec


def answers(
    spec: Path, *lines: Any, sys_path: tuple[Path, ...] = (), popen: Any = PreloadedPopen, **changes: Any
) -> list[dict[str, Any]]:
    """Return what it says to a request and the lines after it, until its input ends."""
    request = WorkerRequest(spec, "specs/small.arch.yaml", rootdir=None, kind="full", device="cpu", num_threads=1)
    text = "\n".join([replace(request, **changes).as_json(), *map(json.dumps, lines), ""])
    process = popen(
        [sys.executable, "-P", "-c", "from archcheck.throughput.worker import main; main()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, sys_path), *sys.path])},
    )  # fmt: skip
    with process:
        output, _ = process.communicate(text, timeout=120)
    assert process.returncode == 0
    return [json.loads(line) for line in output.splitlines()]


def test_it_answers_line_by_line_and_ends_with_its_input(tmp_path: Path) -> None:
    """Whatever the network prints, and although a thread of it would go on for ten minutes."""
    spec = write(tmp_path, "archcheck_test_nets.py:lingering")
    work = {"mode": "inference", "batch_size": 5, "resize": None, "precision": "fp32"}
    greeting, facts, step, crash = answers(
        spec, ["step", 2], ["jump", 2], ["step", 1], work=work, popen=subprocess.Popen
    )
    assert greeting == {"protocol": 1}
    assert (facts["batch_size"], facts["wrong_code"]) == (5, "")
    assert step.keys() == {"seconds"}
    assert crash == {"error": "Crash", "message": "measuring raised KeyError: 'jump'"}


def test_code_of_the_tree_that_it_is_compared_with_is_refused(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    write(here, "archcheck_test_nets:small")
    spec = write(there, "archcheck_test_nets:small")
    _, facts = answers(spec, sys_path=(here,), tree=there, foreign=here)
    assert facts["wrong_code"] == f"archcheck_test_nets comes from {here}, so that both sides would run the same code"


def test_code_of_another_place_than_the_tree_is_refused(tmp_path: Path) -> None:
    installed, tree = tmp_path / "installed", tmp_path / "tree"
    write(installed, "archcheck_test_nets:small")
    spec = write(tree, "archcheck_test_nets:small")
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", "-C", str(tree), *command], check=True)
    _, facts = answers(spec, sys_path=(installed,), tree=tree)
    told = f"archcheck_test_nets comes from {installed}, not from {tree}: install it editable (pip install -e .)"
    assert facts["wrong_code"] == told


def test_code_of_the_tree_itself_is_welcome(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    write(here, "archcheck_test_nets:small")
    spec = write(there, "archcheck_test_nets:small")
    _, facts = answers(spec, sys_path=(there, here), tree=there, foreign=here)
    assert facts["wrong_code"] == ""


def test_a_spec_that_cannot_be_read_is_told_by_its_first_problem(tmp_path: Path) -> None:
    spec = write(tmp_path, "archcheck_test_nets.py:small", "layers: 5\nsizing: {}\n")
    _, told = answers(spec)
    message = "specs/small.arch.yaml:3: layers: expected a map of layer names, found 5"
    assert told == {"error": "SpecError", "message": message}


def test_a_part_of_the_recipe_that_does_not_fit_is_told_with_its_place(tmp_path: Path) -> None:
    training = "training:\n  dataset: d\n  loss: MSELoss\n  quick: {loss: GaussianNLLLoss}\n"
    _, told = answers(write(tmp_path, "archcheck_test_nets.py:small", training), kind="quick")
    assert told["error"] == "RunFailed"
    assert told["message"].startswith("GaussianNLLLoss raised TypeError: ")
    assert told["keys"] == ["training", "quick", "loss"]
