"""`archcheck lint`: what is wrong with spec files and locks, told without torch; and as a hook of pre-commit."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from archcheck.cli.command_line import main
from tests.integration.project import SMALL, Project, lock_of

ROOT = Path(__file__).parents[2]
SOUND = SMALL.replace("function: off\n", "")
(HOOK,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))


@pytest.fixture
def lint(project: Project, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run `archcheck lint ARGS`; return the exit status and the lines on stdout."""

    def run(*args: str) -> tuple[int, list[str]]:
        status = main(["lint", *args])
        return status, capsys.readouterr().out.splitlines()

    return run


def test_a_sound_spec_has_nothing_to_tell(project: Project, lint: Any) -> None:
    project.spec()
    assert lint("specs/small.arch.yaml") == (0, [])


def test_a_missing_lock_is_a_warning(project: Project, lint: Any) -> None:
    project.spec(text=SOUND)
    told = (
        "nothing is recorded of the function: "
        "pytest --archcheck specs/small.arch.yaml -k function --archcheck-update=new"
    )
    assert lint("specs") == (0, [f"specs/small.arch.yaml:1:1: warning: {told}"])
    place = "file=specs/small.arch.yaml,line=1,col=1"
    assert lint("--format", "github", "specs") == (0, [f"::warning {place},title=archcheck lint::{told}"])


def test_every_problem_is_told_at_its_line_and_column(project: Project, lint: Any) -> None:
    project.spec(text=SMALL.replace("macs: 129_360", "mac: 129_360").replace("[B, 6, 14, 14]", "[B, 6, 14, x y]"))
    status, (shape, key) = lint("specs/small.arch.yaml")
    assert status == 1
    assert re.match(r"specs/small\.arch\.yaml:5:\d+: pool: .*'x y'", shape)
    assert key == "specs/small.arch.yaml:9:1: unknown key 'mac'; did you mean macs?"


def test_a_link_to_nothing_does_not_hide_another(project: Project, lint: Any) -> None:
    project.spec("broken", "build: [\n")
    (project.path / "specs" / "gone.arch.yaml").symlink_to("nowhere.yaml")
    status, lines = lint("specs/broken.arch.yaml", "specs/gone.arch.yaml")
    assert status == 1
    assert [line.split(":")[0] for line in lines] == ["specs/broken.arch.yaml", "specs/gone.arch.yaml"]


def test_one_broken_file_does_not_hide_another(project: Project, lint: Any) -> None:
    project.spec("a", "build: [nets:small\n")
    project.spec("b", "build: nets:small\n")
    status, lines = lint("specs/a.arch.yaml", "specs/b.arch.yaml")
    assert status == 1
    assert [line.split(": ")[0] for line in lines] == ["specs/a.arch.yaml:2:1", "specs/b.arch.yaml:1:1"]
    assert "not valid YAML" in lines[0]
    assert "missing key `input`" in lines[1]


# ------------------------------------------------------------------------------------------- locks


@pytest.fixture
def recorded(project: Project) -> Path:
    """The path of a spec whose function is recorded."""
    assert main(["new", "nets.py:small", "--input", "B,1,28,28", "--output", "specs/net.arch.yaml"]) == 0
    return project.path / "specs" / "net.arch.yaml"


@pytest.mark.parametrize("name", ["specs/net.arch.yaml", "specs/net.arch.lock"])
def test_a_lock_that_cannot_be_read_is_told_by_either_name(
    recorded: Path, lint: Any, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    capsys.readouterr()
    assert lint(name) == (0, [])
    text = lock_of(recorded).read_text().replace('"layers"', '"layers', 1)
    lock_of(recorded).write_text(text)
    status, (line,) = lint(name)
    assert status == 1
    assert re.match(r"specs/net\.arch\.lock:\d+:1: this is no JSON", line)


def test_a_spec_and_its_lock_are_both_told_and_once(
    recorded: Path, lint: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    recorded.write_text(recorded.read_text().replace("macs:", "mac:"))
    lock_of(recorded).write_text("<<<<<<< ours\n")
    status, lines = lint("specs/net.arch.lock", "specs/net.arch.yaml", "specs")
    assert status == 1
    assert [line.split(": ")[1] for line in lines] == [
        "unknown key 'mac'; did you mean macs?",
        "git left a conflict here",
    ]


def test_a_lock_that_was_recorded_otherwise_does_not_go_with_its_spec(
    recorded: Path, lint: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    at = json.loads(lock_of(recorded).read_text())["function"]["at"]
    recorded.write_text(f"{recorded.read_text()}function: {{at: {{B: {at['B'] + 1}}}}}\n")
    status, (line,) = lint("specs/net.arch.yaml")
    assert status == 1
    expected = f"expected {{B: {at['B'] + 1}}}, found {{B: {at['B']}}}"
    assert f": at: the function was recorded otherwise: {expected}; record it anew: pytest --archcheck" in line


def test_a_lock_without_spec_is_told_with_what_to_do(
    recorded: Path, lint: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    recorded.rename(recorded.with_name("renamed.arch.yaml"))
    told = "there is no net.arch.yaml beside this lock; was it renamed? git mv net.arch.lock renamed.arch.lock"
    warning = "nothing is recorded; was the spec renamed? git mv net.arch.lock renamed.arch.lock"
    lines = [f"specs/net.arch.lock:1:1: {told}", f"specs/renamed.arch.yaml:1:1: warning: {warning}"]
    assert lint("specs") == (1, lines)


def test_a_lock_that_git_ignores_is_a_warning(
    project: Project, recorded: Path, lint: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    subprocess.run(["git", "init", "-q"], check=True)
    project.write(".gitignore", "dist/\n*.lock\n")
    told = (
        "git ignores this lock by .gitignore:2:*.lock, so that it won't be committed: add !*.arch.lock behind that line"
    )
    assert lint("specs") == (0, [f"specs/net.arch.lock:1:1: warning: {told}"])
    project.write(".gitignore", "dist/\n*.lock\n!*.arch.lock\n")
    assert lint("specs") == (0, [])
    project.write(".gitignore", "specs/\n")  # both are meant to stay out
    assert lint("specs") == (0, [])


# ------------------------------------------------------------------------------------------- which files


def test_without_files_it_is_what_pytest_verifies(project: Project, lint: Any) -> None:
    project.write("pytest.ini", "[pytest]\narchcheck_paths = models/*/specs\naddopts = --no-such-option\n")
    project.write("models/a/specs/deep/one.arch.yaml", "input: [B]\n")
    project.spec("elsewhere", "input: [B]\n")
    status, (line,) = lint()
    assert status == 1
    assert line.startswith("models/a/specs/deep/one.arch.yaml:1:1: missing key `build`")


def test_a_folder_is_gone_through_but_for_what_pytest_leaves_out(project: Project, lint: Any) -> None:
    for folder in ("a/b", ".cache", "node_modules/x"):
        project.write(f"all/{folder}/one.arch.yaml", "input: [B]\n")
    status, lines = lint("all")
    assert (status, len(lines)) == (1, 1)
    assert lines[0].startswith("all/a/b/one.arch.yaml:1:1: ")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nets.py"], "nets.py: expected a spec (*.arch.yaml) or a lock (*.arch.lock)"),
        (["specs/no.arch.yaml"], "specs/no.arch.yaml: there is no such file or folder"),
        (["empty"], "empty: no spec file (*.arch.yaml) in this folder"),
        ([], "specs: there is no such file or folder"),
    ],
)
def test_what_cannot_be_linted_is_a_usage_error(
    project: Project, capsys: pytest.CaptureFixture[str], args: list[str], message: str
) -> None:
    (project.path / "empty").mkdir()
    assert main(["lint", *args]) == 2
    assert capsys.readouterr().err == f"archcheck: error: {message}\n"


def test_annotations_of_github_are_escaped(project: Project, lint: Any) -> None:
    project.spec("a,b", SMALL.replace("macs: 129_360", "macs: 100%"))
    status, (line,) = lint("--format", "github", "specs")
    assert status == 1
    start = "::error file=specs/a%2Cb.arch.yaml,line=9,col=7,title=archcheck lint::macs: expected "
    assert line.startswith(start)
    assert line.endswith("found '100%25'")


# ------------------------------------------------------------------------------------------- as a hook


def test_the_hook_takes_specs_and_locks_and_nothing_else() -> None:
    names = ["specs/a.arch.yaml", "a.arch.lock", "a.yaml", "a.arch.yaml.orig", "uv.lock", "arch.yaml"]
    assert [name for name in names if re.search(HOOK["files"], name)] == ["specs/a.arch.yaml", "a.arch.lock"]


def test_the_hook_runs_without_torch(project: Project) -> None:
    project.spec("wrong", SMALL.replace("macs:", "mac:"))
    project.write("torch.py", "raise RuntimeError('imported')\n")
    command = shlex.split(HOOK["entry"])
    command[0] = str(Path(sys.executable).parent / command[0])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(project.path), str(ROOT)])}
    done = subprocess.run(
        [*command, "specs/wrong.arch.yaml"], capture_output=True, text=True, check=False, env=environment
    )
    assert done.stdout == "specs/wrong.arch.yaml:9:1: unknown key 'mac'; did you mean macs?\n"
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(shutil.which("pre-commit") is None, reason="pre-commit is not installed")
def test_pre_commit_runs_it(project: Project) -> None:
    project.spec("wrong", SMALL.replace("macs:", "mac:"))
    hook = yaml.safe_dump([{"repo": "local", "hooks": [HOOK]}])
    project.write(".pre-commit-config.yaml", f"repos:\n{hook}")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for command in ("git init -q", "git add -A", "pre-commit run"):
        done = subprocess.run(shlex.split(command), capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1
    assert "specs/wrong.arch.yaml:9:1: unknown key 'mac'; did you mean macs?" in done.stdout
