"""`action.yml`: the shell steps of the action for GitHub, run in a project, with stand-ins for what only GitHub has."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.project import SMALL, Project
from tests.integration.reader import read_pages

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
INPUT = re.compile(r"\$\{\{ inputs\.([\w-]+) \}\}")
SCRIPTS = Path(sys.executable).parent


class Job:
    """A job on a runner, of which a step is done as GitHub does it."""

    def __init__(self, project: Project, inputs: Mapping[str, str]) -> None:
        self.project = project
        self.inputs = {**{name: one.get("default", "") for name, one in ACTION["inputs"].items()}, **inputs}
        self.temp = project.path / "runner"
        self.temp.mkdir(exist_ok=True)
        self.output, self.summary = self.temp / "output", self.temp / "summary"

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        (step,) = (one for one in STEPS if one.get("name") == name)
        assert "${{" not in step["run"], "an input inside a script would be read as commands"
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "COLUMNS"))},
            **{key: self.filled(value) for key, value in step.get("env", {}).items()},
            "PATH": os.pathsep.join([str(self.temp / "bin"), str(SCRIPTS), os.environ["PATH"]]),
            "PYTEST_ADDOPTS": "-p no:randomly -p no:cov -p no:hypothesispytest",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_OUTPUT": str(self.output),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "RUNNER_TEMP": str(self.temp),
        }
        folder = self.project.path / self.filled(step.get("working-directory", "."))
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    def filled(self, text: str) -> str:
        return INPUT.sub(lambda found: self.inputs[found[1]], text)


def job(project: Project, **inputs: str) -> Job:
    return Job(project, {name.replace("_", "-"): value for name, value in inputs.items()})


def test_a_green_run_has_a_summary_and_a_status(project: Project) -> None:
    project.spec()
    ran = job(project)
    done = ran.run("Verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout
    assert ran.output.read_text() == "status=0\n"
    assert (ran.temp / "archcheck" / "archcheck.xml").is_file()
    assert (project.path / ".pytest_cache" / "d" / "archcheck").is_dir()
    assert ran.run("Summary").returncode == 0
    assert "specs/small.arch.yaml" in ran.summary.read_text()


def test_a_failure_is_annotated_at_its_line_and_fails_the_job(project: Project) -> None:
    project.broken("11_926", "11_927")
    ran = job(project, changed="false")
    done = ran.run("Verify")
    assert done.returncode == 1
    assert "::error file=specs/small.arch.yaml,line=8" in done.stdout + done.stderr
    assert ran.output.read_text() == "status=1\n"
    assert not (project.path / ".pytest_cache" / "d" / "archcheck").exists()
    ran.run("Summary")
    assert "1 failed, 4 passed" in ran.summary.read_text() or "specs/small.arch.yaml" in ran.summary.read_text()


def test_paths_and_options_are_pytests(project: Project) -> None:
    project.spec("a")
    project.spec("b")
    project.write("elsewhere/c.arch.yaml", SMALL)
    ran = job(project, paths="specs/a.arch.yaml elsewhere", options="-m 'archcheck_shapes or archcheck_compute'")
    done = ran.run("Verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed, 6 deselected" in done.stdout


def test_it_runs_where_it_is_told(project: Project) -> None:
    project.write("models/specs/a.arch.yaml", SMALL)
    project.write("models/nets.py", (project.path / "nets.py").read_text())
    project.write("models/pytest.ini", "[pytest]\n")
    done = job(project, working_directory="models").run("Verify")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_run_that_found_nothing_fails_the_job_and_has_no_summary_to_break(project: Project) -> None:
    ran = job(project)
    done = ran.run("Verify")
    assert done.returncode == 4
    assert "no spec file (*.arch.yaml) in specs" in done.stderr
    assert ran.run("Summary").returncode == 0


@pytest.mark.parametrize(("install", "status"), [("pip install -e .", 0), ("false; pip unreached", 1)])
def test_archcheck_is_installed_and_then_the_project(project: Project, install: str, status: int) -> None:
    """A stand-in for pip, which takes minutes and a network, writes down what it is asked for."""
    ran = job(project, install=install)
    pip = ran.temp / "bin" / "pip"
    pip.parent.mkdir()
    pip.write_text(f'#!/bin/sh\necho "$@" >> {ran.temp}/asked\n')
    pip.chmod(pip.stat().st_mode | stat.S_IXUSR)
    assert ran.run("Install").returncode == status
    asked = (ran.temp / "asked").read_text().splitlines()
    assert asked[0] == f"install {ROOT} pytest-github-actions-annotate-failures"
    assert asked[1:] == (["install -e ."] if status == 0 else [])


def test_every_input_is_used_and_every_use_is_an_input() -> None:
    text = (ROOT / "action.yml").read_text("utf-8")
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == ACTION["inputs"].keys()


def test_every_step_either_uses_an_action_or_says_its_shell() -> None:
    """As GitHub demands of a composite action."""
    assert all(("uses" in step) != ("run" in step and step["shell"] == "bash") for step in STEPS)
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]) for step in STEPS if "uses" in step)


def test_the_documentation_uses_inputs_and_hooks_that_there_are() -> None:
    page = next(page for page in read_pages() if page.name == "docs/ci.md")
    written = {
        block.value: yaml.safe_load(block.text) for block in page.blocks if block.language == "yaml" and block.mark
    }
    workflow = written[".github/workflows/architectures.yml"]
    (used,) = (one for one in workflow["jobs"]["architectures"]["steps"] if "archcheck" in one["uses"])
    assert used["with"].keys() <= ACTION["inputs"].keys()
    offered = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    (repo,) = written[".pre-commit-config.yaml"]["repos"]
    assert [one["id"] for one in repo["hooks"]] == [one["id"] for one in offered]
