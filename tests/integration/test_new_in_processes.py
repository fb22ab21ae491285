"""`archcheck new --jobs`: several processes give what one gives, and none of them takes the others along."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from archcheck.cli.command_line import main
from tests.integration.processes import wait_for
from tests.integration.project import Project
from tests.preloaded import PreloadedPopen

ZOO = """
import os, signal, time, warnings
from pathlib import Path
from torch import nn

def wait_for(condition):
    while not condition():
        time.sleep(0.02)

def plain():
    return nn.Sequential(nn.Linear(3, 2), nn.ReLU())

def other():
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))

def patient():
    wait_for(Path("specs/other.arch.yaml").exists)
    return plain()

def killed():
    os.kill(os.getpid(), signal.SIGKILL)

def aborting():
    os.abort()

def leaving():
    os._exit(3)

def warning():
    warnings.warn("this way is old")
    return plain()

def warning_too():
    warning()
    return other()

def talking():
    print("building talking")
    return plain()

def asking():
    return nn.Linear(3, int(input("how many? ")))

def sleeping():
    Path("pid").write_text(str(os.getpid()))
    time.sleep(600)
"""


@pytest.fixture
def zoo(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project with networks of every temper, and processes that start with torch imported."""
    monkeypatch.setattr(
        "archcheck.cli.new_pool.subprocess", SimpleNamespace(PIPE=subprocess.PIPE, Popen=PreloadedPopen)
    )
    project.write("zoo.py", ZOO)
    yield project
    sys.modules.pop("zoo", None)


def files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path("specs").iterdir()}


def run_with_pipes(*arguments: str) -> tuple[int, str, str]:
    """Run a command; return its status, output and errors. Warnings are told as they are without pytest."""
    command = [sys.executable, "-m", "archcheck.cli", *arguments]
    with open("out", "wb") as out, open("err", "wb") as err, PreloadedPopen(command, stdout=out, stderr=err) as process:
        status = process.wait()
    return status, Path("out").read_text(), Path("err").read_text()


def test_files_output_and_status_are_those_of_one_process(zoo: Project) -> None:
    targets = ["zoo:talking", "zoo:warning", "nets:raising", "zoo:warning_too", "nowhere:Net", "zoo:other"]
    found = []
    for jobs in ("1", "3"):
        found.append((*run_with_pipes("new", *targets, "--output", "specs", "--force", "--jobs", jobs), files()))
    assert found[0] == found[1]
    status, out, err, written = found[1]
    assert status == 2
    assert out.splitlines()[-1] == "4 of 6 written"
    assert len(written) == 8
    assert err.count("UserWarning: this way is old") == 1
    assert err.index("building talking") < err.index("this way is old") < err.index("no such width")


def test_a_spec_is_written_when_it_is_made_and_told_when_it_is_its_turn(
    zoo: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", "zoo:patient", "zoo:other", "--output", "specs", "-j", "2"]) == 0
    told = [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()[:2]]
    assert told == ["specs/patient.arch.yaml", "specs/other.arch.yaml"]


@pytest.mark.parametrize(
    ("target", "how"),
    [
        ("zoo:killed", "was killed by signal 9; was memory short?"),
        ("zoo:aborting", "was killed by signal 6 at zoo.py:24, in aborting"),
        ("zoo:leaving", "ended with status 3"),
    ],
)
def test_a_process_that_dies_fails_its_target_alone(
    zoo: Project, capsys: pytest.CaptureFixture[str], target: str, how: str
) -> None:
    assert main(["new", target, "zoo:plain", "zoo:other", "--output", "specs", "-j", "2"]) == 2
    out, err = capsys.readouterr()
    assert f"archcheck: error: {target}: the process that recorded it {how}\n" in err
    assert "Fatal Python error" not in err
    assert out.splitlines()[-1] == "2 of 3 written"
    assert sorted(files()) == ["other.arch.lock", "other.arch.yaml", "plain.arch.lock", "plain.arch.yaml"]


def test_what_was_killed_beside_others_is_made_once_more_alone(
    zoo: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo.write(
        "greedy.py",
        """
        import zoo
        from zoo import *

        def greedy():
            if Path("pid").exists():
                return plain()
            Path("pid").write_text(str(os.getpid()))
            zoo.killed()

        def is_gone():
            try:
                return os.kill(int(Path("pid").read_text() or 0), 0)
            except (FileNotFoundError, ValueError):
                return False
            except ProcessLookupError:
                return True

        def beside():
            if not Path("gone").exists():
                wait_for(is_gone)
                time.sleep(1)  # until the parent knows
                Path("gone").touch()
            return other()
        """,
    )
    assert main(["new", "greedy:greedy", "greedy:beside", "--output", "specs", "-j", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 of 2 written"


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_network_that_asks_for_input_reads_none_of_the_terminal(
    zoo: Project, capsys: pytest.CaptureFixture[str], jobs: str
) -> None:
    assert main(["new", "zoo:asking", "zoo:plain", "--output", "specs", "-j", jobs]) == 2
    assert "zoo:asking: building zoo:asking raised " in capsys.readouterr().err
    assert "plain.arch.yaml" in files()


def test_interactive_makes_one_after_the_other(zoo: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "zoo:plain", "--interactive", "-j", "2"]) == 2
    assert capsys.readouterr().err == (
        "archcheck: error: --interactive asks for one network after the other: leave out --jobs\n"
    )


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_keeps_what_is_written_and_leaves_no_process(zoo: Project, jobs: str) -> None:
    command = [sys.executable, "-m", "archcheck.cli", "new", "zoo:plain", "zoo:sleeping", "zoo:other", "zoo:patient"]
    with PreloadedPopen([*command, "--output", "specs", "-j", jobs], stdout=subprocess.PIPE) as process:
        wait_for(lambda: Path("pid").exists() and Path("pid").read_text() != "")
        wait_for(Path("specs/plain.arch.yaml").exists)
        os.kill(process.pid, signal.SIGINT)
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
        assert process.wait(60) == 130
    assert re.match(r"zoo:sleeping +- +not tried: interrupted", lines[-4])
    assert lines[-1] == f"{sum(path.suffix == '.yaml' for path in Path('specs').iterdir())} of 4 written"
    wait_for(lambda: not Path(f"/proc/{Path('pid').read_text()}").exists())


def run_on_a_terminal(*arguments: str) -> str:
    """Run a command with standard error on a terminal; return what that shows."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "archcheck.cli", *arguments]
    with open(theirs, "wb", buffering=0) as terminal:
        process = PreloadedPopen(command, stdout=subprocess.DEVNULL, stderr=terminal)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 4096)
        except OSError:  # all ends of the terminal are closed
            break
    os.close(ours)
    assert process.wait() == 0
    return shown.decode()


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_terminal_shows_which_of_how_many_is_made_and_for_how_long(zoo: Project, jobs: str) -> None:
    shown = run_on_a_terminal("new", "zoo:plain", "zoo:talking", "--output", "specs", "-j", jobs)
    assert re.search(r"0/2 in 0:\d\d: zoo:plain \(0:\d\d\)", shown)
    assert re.search(r"1/2 in 0:\d\d: ", shown)
    # The line makes room for what stays, and is gone at the end.
    assert "\rarchcheck: zoo:plain: assumed" in shown
    assert shown.endswith("\r")


def test_a_pipe_has_no_live_line(zoo: Project, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "zoo:plain", "zoo:other", "--output", "specs", "-j", "1"]) == 0
    out, err = capfd.readouterr()
    assert "\r" not in out + err
    assert err.splitlines() == [
        'archcheck: zoo:plain: assumed --input "B,3" from 0 (Linear takes 3 features)',
        'archcheck: zoo:other: assumed --input "B,4" from 0 (Linear takes 4 features)',
    ]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_network_is_let_go_of_before_the_next_is_built(
    zoo: Project, capsys: pytest.CaptureFixture[str], jobs: str
) -> None:
    """Also one that refers to itself, one that dies in its forward pass, and one that can't be built as a whole."""
    zoo.write(
        "held.py",
        """
        import weakref
        from torch import nn

        made = {}

        class Net(nn.Module):
            def __init__(self, name):
                super().__init__()
                alive = [other for other, ref in made.items() if other[0] != name and ref() is not None]
                assert not alive, f"{alive} is still there"
                made[name, len(made)] = weakref.ref(self)
                self.fc = nn.Linear(3, 2)
                self.me = [self]
                self.name = name
                assert name != "broken", "broken"

            def forward(self, x):
                assert self.name != "dying", "it dies"
                return self.fc(x).relu()

        def a(): return Net("a")
        def broken(): return Net("broken")
        def dying(): return Net("dying")
        def b(): return Net("b")
        def c(): return Net("c")
        def d(): return Net("d")
        """,
    )
    targets = [f"held:{name}" for name in ("a", "broken", "dying", "b", "c", "d")]
    assert main(["new", *targets, "--input", "B,3", "--output", "specs", "-j", jobs]) == 2
    out, err = capsys.readouterr()
    assert "is still there" not in err
    assert out.splitlines()[-1] == "4 of 6 written"
