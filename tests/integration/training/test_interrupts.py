"""Interrupts, and worker processes that die: a run ends cleanly and leaves no process."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.processes import wait_for
from tests.integration.project import Project
from tests.integration.training.toys import CALLS, CLOUDS, accuracy, failing_text, scripted
from tests.preloaded import PreloadedPopen


def test_an_interrupt_ends_cleanly_with_the_results_so_far(toys: Project) -> None:
    toys.spec("a", scripted([0.25], 0.2))
    toys.spec("b", CALLS.replace("WHAT", "interrupted"))
    toys.spec("c", CLOUDS)
    # In a process of its own: an interrupt inside this one would be taken for the user's.
    result = toys.pytest_elsewhere(
        "-p", "archcheck.plugin", "--archcheck", "-m", "archcheck_accuracy", "--archcheck-checkpoints", "kept"
    )
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["specs/a.arch.yaml  quick *0.250*", "*KeyboardInterrupt*"])
    assert [path.name for path in (toys.path / "kept").rglob("*") if path.is_file()] == ["model_0.25.pt"]


def test_an_interrupt_that_a_loop_keeps_to_itself_is_not_lost(toys: Project) -> None:
    toys.write(
        "loops.py",
        """
        import os, signal
        def fit(model):
            try:
                os.kill(os.getpid(), signal.SIGINT)
                while True: pass
            except KeyboardInterrupt:
                return 1.0
        """,
    )
    toys.spec("toy", "build: toys:linear\ninput: [B, 2]\ntraining: {loop: 'loops:fit', accuracy: 0.5}\n")
    result = toys.pytest_elsewhere("-p", "archcheck.plugin", "--archcheck", "-m", "archcheck_accuracy")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*KeyboardInterrupt*"])


def test_an_interrupt_that_python_drops_ends_a_loop_at_its_next_report(toys: Project) -> None:
    toys.write(
        "loops.py",
        """
        import os, signal
        class Worker:
            def __del__(self):
                os.kill(os.getpid(), signal.SIGINT)
                for _ in range(1000): pass
        def fit(model, report):
            Worker()
            report(1, 1.0, 0.9)
            open("went_on", "w").close()
        """,
    )
    toys.spec("toy", "build: toys:linear\ninput: [B, 2]\ntraining: {loop: 'loops:fit', accuracy: 0.5}\n")
    result = toys.pytest_elsewhere("-p", "archcheck.plugin", "--archcheck", "-m", "archcheck_accuracy")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert not (toys.path / "went_on").exists()


def test_an_interrupt_while_workers_fetch_leaves_no_process(toys: Project) -> None:
    toys.write(
        "slow.py",
        """
        import time
        from torch.utils.data import Dataset
        import torch
        class Slow(Dataset):
            def __len__(self): return 10_000
            def __getitem__(self, index):
                if index > 8: open("fetching", "w").close()
                time.sleep(0.01)
                return torch.zeros(2), 0
        class Few(Slow):
            def __len__(self): return 8
        def data(): return Slow(), Few()
        """,
    )
    toys.spec("toy", CLOUDS.replace("sets:clouds", "slow:data"))
    command = [sys.executable, "-m", "pytest", "--archcheck", "-m", "archcheck_accuracy", "-p", "archcheck.plugin"]
    with PreloadedPopen(
        command, cwd=toys.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        try:
            wait_for((toys.path / "fetching").exists)
            workers = children(process.pid)
            os.kill(process.pid, signal.SIGINT)
            output, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    wait_for(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def test_no_worker_process_outlives_a_run(toys: Project) -> None:
    accuracy(toys, CLOUDS.replace("sets:clouds", "sets:streamed")).assert_outcomes(passed=1)
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("status", [0, 3])
def test_a_worker_that_dies_is_told_as_such(toys: Project, status: int) -> None:
    """In the middle of things: with batches on their way, and while the network is at work."""
    toys.write(
        "dying.py",
        f"""
        import os, time, torch, toys
        from sets import Streamed, clouds
        class Dying(Streamed):
            home, served = os.getpid(), 0
            def __getitem__(self, index):
                self.served += 1
                if os.getpid() != self.home and self.served > 40:
                    os._exit({status})
                return super().__getitem__(index)
        class Slow(torch.nn.Linear):
            def forward(self, x):
                if self.training and x.device.type != "meta":
                    time.sleep(0.3)
                return super().forward(x)
        def net(): return Slow(2, 2)
        def data():
            train, test = clouds()
            return Dying(train), Streamed(test)
        """,
    )
    text = CLOUDS.replace("sets:clouds", "dying:data").replace("toys:linear", "dying:net").replace("64", "16")
    found = failing_text(accuracy(toys, text))
    assert re.match(r"specs/toy\.arch\.yaml:4: dataset: .*worker", found), found
