"""The progress of a training run, on a terminal and without one."""

from __future__ import annotations

import os
import re
import shutil
import sys
from typing import IO

import pytest

from tests.integration.project import Project
from tests.integration.training.toys import TOYS, accuracy, scripted
from tests.preloaded import PreloadedPopen


def test_without_a_terminal_an_epoch_is_a_line(toys: Project) -> None:
    result = accuracy(toys, scripted([0.25, 0.75], 0.7))
    assert re.findall(r"^specs/toy\.arch\.yaml: (.*?)  [\d_]+ examples/s", result.stdout.str(), re.MULTILINE) == [
        "epoch 1/2  loss 1.6269  train 0.250  test 0.250",
        "epoch 2/2  loss 0.6269  train 0.750  test 0.750",
    ]


@pytest.mark.parametrize("arguments", [["-q"], ["-qq"], ["-p", "no:terminal"]])
def test_where_quiet_is_asked_for_nothing_is_said(toys: Project, arguments: list[str]) -> None:
    result = accuracy(toys, scripted([0.25, 0.75], 0.7), *arguments)
    assert result.ret == 0
    assert "epoch 1/2" not in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize("arguments", [["-s"], ["--capture=no"], ["--capture=sys"], ["-v"]])
def test_progress_is_told_under_any_capturing(toys: Project, arguments: list[str]) -> None:
    result = accuracy(toys, scripted([0.25, 0.75], 0.7), *arguments)
    result.assert_outcomes(passed=1)
    assert result.stdout.str().count(": epoch ") == 2


@pytest.mark.parametrize("capture", ["fd", "sys"])
def test_progress_is_no_captured_output(toys: Project, capture: str) -> None:
    toys.write("talk.py", TOYS.replace("time.sleep(self.sleep)", "print('forward here')"))
    result = accuracy(toys, scripted([0.25, 0.5], 0.7).replace("toys:", "talk:"), f"--capture={capture}")
    captured = result.stdout.str().partition("Captured stdout call")[2].partition("=====")[0]
    assert "forward here" in captured
    assert "epoch 1/2" not in captured
    assert "epoch 1/2" in result.stdout.str()


@pytest.mark.skipif(not hasattr(os, "openpty") or shutil.which("stty") is None, reason="needs a terminal")
def test_on_a_terminal_one_line_is_rewritten(toys: Project) -> None:
    toys.spec("toy", scripted([0.25, 0.75], 0.7).replace("0.75]}", "0.75], sleep: 0.15}"))
    output = on_terminal(toys, "-m", "archcheck_accuracy", "-v")
    live = re.findall(r"\rtoy: (epoch [^\r\n]*?) *(?=\r)", output)
    assert any(re.match(r"epoch 2/2 +\d+%  loss 0\.\d{4}  test 0\.250  ", line) for line in live), output
    assert "1 passed" in output
    assert all(line.rstrip() == "" or ": epoch" not in line for line in last_writings(output)), output


def on_terminal(project: Project, *arguments: str) -> str:
    """Return what pytest writes on a terminal."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "pytest", "-p", "archcheck.plugin", "--archcheck", *arguments]
    with PreloadedPopen(
        command, cwd=project.path, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        with os.fdopen(ours, "rb", buffering=0) as terminal:
            output = b"".join(iter(lambda: written_to(terminal), b"")).decode()
    assert process.wait() == 0, output
    return output


def written_to(terminal: IO[bytes]) -> bytes:
    """Return what has been written to a terminal since; nothing where nobody has it open any more."""
    try:
        return terminal.read(65536)
    except OSError:
        return b""


def last_writings(output: str) -> list[str]:
    """Return what is left of each line on the screen when everything is written."""
    return [line.rsplit("\r", 1)[-1] for line in output.replace("\r\n", "\n").split("\n")]
