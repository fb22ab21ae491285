"""Revisions measured by real processes, in the shortest time possible."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from archcheck.throughput.regression.paired_benchmark import PairedResult, run_paired
from archcheck.throughput.regression.workers import WorkerRequest
from tests.integration.processes import wait_for
from tests.integration.throughput.timed_project import (
    CALLS,
    NETS,
    SPEC,
    FakePairs,
    TimedProject,
    figures_row,
    message,
    reason,
)
from tests.preloaded import PreloadedPopen

SLOWER = """
class Again(nn.Linear):
    def forward(self, x):
        for _ in range(100):
            x = x + 0.0
        return super().forward(x)

def net():
    return Again(3, 2)
"""


def test_a_change_that_costs_time_fails(fast: TimedProject, brief: None) -> None:
    fast.spec("net", SPEC)
    label = fast.commit()
    fast.write("fast.py", NETS + SLOWER)
    result = fast.timed(SPEC, "--archcheck-against", "HEAD")
    assert message(result).startswith(f"specs/net.arch.yaml:3: throughput: slower than {label}: a step takes ")
    assert float(figures_row(result)[-1].partition("x")[0]) < 0.8


def test_a_network_that_could_not_be_built_then_is_no_verdict(fast: TimedProject, brief: None) -> None:
    fast.write("fast.py", NETS.replace("def net", "def not_yet"))
    fast.spec("net", SPEC)
    label = fast.commit()
    fast.write("fast.py", NETS)
    assert reason(fast.timed(SPEC, "--archcheck-against", "HEAD")) == (
        f"specs/net.arch.yaml:3: {label} can't be measured: fast has no 'net': did you mean 'not_yet'?"
    )


def test_code_that_is_the_same_on_both_sides_is_no_verdict(
    fast: TimedProject, brief: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
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


def test_another_input_than_the_revisions_is_no_verdict(fast: TimedProject, brief: None) -> None:
    """Real processes: what goes in there is known when it is built there."""
    fast.write("fast.py", "from torch import nn\n\ndef net():\n    return nn.LazyLinear(2)\n")
    fast.spec("net", SPEC)
    fast.commit()
    fast.spec("net", SPEC.replace("[B, 3]", "[B, 5]"))
    text = reason(fast.run("-k", "throughput", "-rs", "--archcheck-against", "HEAD"))
    loss = "by SGD and the mean square of the outputs"
    assert text.endswith(f"can't be measured: a step is [4, 3] {loss} there and [4, 5] {loss} here")


def test_a_network_that_reads_its_input_finds_none(fast: TimedProject, brief: None) -> None:
    """Real processes: they are told what to do by their standard input."""
    fast.write("fast.py", "import subprocess\nsubprocess.run(['cat'])\n" + NETS)
    fast.spec("net", SPEC)
    label = fast.commit()
    against = figures_row(fast.run("-k", "throughput", "--archcheck-against", "HEAD"))[-1]
    assert re.fullmatch(rf"\d\.\d\dx {re.escape(label)}", against)  # a verdict needs more turns than these


DYING = """
import os, signal, sys, time

def dies(net, x):
    if sys.argv[0] == "-c":  # in a process that measures
        net.since = getattr(net, "since", None) or time.monotonic()
        if time.monotonic() - net.since > 0.5:  # it has been warming up for 0.3 s
            os.kill(os.getpid(), signal.SIGNAL)
    return x
"""


@pytest.mark.parametrize(
    ("signal", "how"), [("SIGKILL", "9; was memory short?"), ("SIGABRT", "6 at fast.py:{line}, in dies")]
)
def test_a_process_that_is_killed_fails_its_item_and_no_other(
    fast: TimedProject, brief: None, pairs: FakePairs, monkeypatch: pytest.MonkeyPatch, signal: str, how: str
) -> None:
    text = CALLS.replace("WHAT", "dies")
    for name in "ab":
        fast.spec(name, text)
    fast.write("fast.py", NETS + "def dies(net, x): return x\n")
    fast.commit()
    dying = NETS + DYING.replace("SIGNAL", signal)
    fast.write("fast.py", dying)
    line = 1 + next(i for i, text in enumerate(dying.splitlines()) if signal in text)

    def only_a(left: WorkerRequest, right: WorkerRequest, limit: float) -> PairedResult:
        return run_paired(left, right, limit) if "a.arch" in left.shown else pairs(left, right, limit)

    monkeypatch.setattr("archcheck.throughput.regression.gate.run_paired", only_a)
    result = fast.run("-k", "throughput", "--archcheck-against", "HEAD")
    result.assert_outcomes(passed=1, failed=1)
    assert message(result, "a: throughput").splitlines()[-1] == (
        "specs/a.arch.yaml:4: throughput: the process that measures specs/a.arch.yaml was killed by signal "
        + how.format(line=line)
    )


MARKING = """
import os, sys

def marks(net, x):
    if sys.argv[0] == "-c":  # in a process that measures
        open(os.environ["MARK"] + str(os.getpid()), "w").close()
    return x
"""


# Of each side: the one that measures, and, where it's forked, what forks and what watches it.
NUM_PROCESSES = 6 if hasattr(os, "pidfd_open") else 2

BRIEF = """
import archcheck.throughput.speed_measurement as figures
figures.ROUNDS_SEC, figures.PEAK_SEC = 0.0, 0.001
"""


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
def test_an_interrupt_leaves_no_process_and_no_checkout(fast: TimedProject) -> None:
    fast.write("fast.py", NETS + MARKING)
    fast.write("conftest.py", BRIEF)
    fast.spec("net", CALLS.replace("WHAT", "marks"))
    fast.commit()
    temporary = fast.path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-m", "pytest", "-p", "archcheck.plugin", "-p", "benchmark", "--archcheck"]
    with PreloadedPopen(
        [*command, "-k", "throughput", "--archcheck-against", "HEAD"],
        cwd=fast.path, env={**os.environ, "TMPDIR": str(temporary), "MARK": str(fast.path / "mark")},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            wait_for(lambda: any(fast.path.glob("mark*")) and len(measuring(temporary)) == NUM_PROCESSES)
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    wait_for(lambda: measuring(temporary) == [])  # those around them end by themselves, a moment later
    assert fast.git("worktree", "list", "--porcelain").count("worktree ") == 1
    assert list(temporary.iterdir()) == []
    assert "Traceback" not in output


def measuring(temporary: Path) -> list[str]:
    """Return the processes that measure for whoever has this folder for temporary files, and those around them."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = ((process / name).read_bytes() for name in ("cmdline", "environ"))
        except OSError:
            continue  # gone, or somebody else's
        if b"archcheck.throughput.worker" in command and os.fsencode(temporary) in environment:
            found.append(process.name)
    return found
