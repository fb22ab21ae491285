"""`--archcheck-report`: what is written, when, where to, and what a run that can't write says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from archcheck.cli.command_line import main
from archcheck.report.run_record import run_json_schema
from tests.integration.project import PLUGINS, SMALL, Project
from tests.preloaded import PreloadedPopen

RAISING = """
import pytest

@pytest.fixture(autouse=True)
def broken():
    raise OSError('no disk')
"""
WRONG = SMALL.replace("[B, 6, 14, 14]", "[B, 6, 12, 12]")


def read(path: Path) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(path.read_text("utf-8"))
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    jsonschema.Draft202012Validator(run_json_schema()).validate(plain)
    return plain


def outcomes(plain: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {spec["spec"]: {one["check"]: one["outcome"] for one in spec["checks"]} for spec in plain["specs"]}


def test_the_record_of_a_run_with_a_failure(project: Project) -> None:
    project.spec()
    project.spec("wrong", WRONG)
    result = project.run("--archcheck-report", "out/run.json")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["archcheck: report: out/run.json"])
    plain = read(project.path / "out" / "run.json")
    assert (plain["format"], plain["version"], plain["verdict"]) == ("archcheck-report", 1, "failed")
    assert [spec["spec"] for spec in plain["specs"]] == ["specs/wrong.arch.yaml", "specs/small.arch.yaml"]
    wrong = plain["specs"][0]
    assert {name for name, outcome in outcomes(plain)["specs/wrong.arch.yaml"].items() if outcome == "failed"} == {
        "shapes"
    }
    (failed,) = [check for check in wrong["checks"] if check["outcome"] == "failed"]
    (failure,) = failed["failures"]
    assert (failure["file"], failure["line"], failure["subject"]) == ("specs/wrong.arch.yaml", 5, "pool")
    assert (failure["expected"], failure["actual"]) == ("[B, 6, 12, 12]", "[B, 6, 14, 14]")
    assert failure["excerpt"][3] == {"number": 5, "text": "  pool: [B, 6, 12, 12]  # halved"}
    assert failed["accept"] == "pytest --archcheck specs/wrong.arch.yaml -k shapes --archcheck-update"
    assert wrong["first_difference"] == "pool"


def test_the_layers_of_a_network_in_the_order_of_execution(project: Project) -> None:
    project.spec()
    project.run("--archcheck-report", "run.json")
    (spec,) = read(project.path / "run.json")["specs"]
    assert (spec["parameters"], spec["macs"]) == (11_926, 129_360)
    layers = [(one["name"], one["output"], one["parameters"], one["macs"], one["depth"]) for one in spec["layers"]]
    assert layers == [
        ("conv", "[B, 6, 28, 28]", 156, 117_600, 0),
        ("act", "[B, 6, 28, 28]", None, None, 0),
        ("pool", "[B, 6, 14, 14]", None, None, 0),
        ("flat", "[B, 1176]", None, None, 0),
        ("fc", "[B, 10]", 11_770, 11_760, 0),
    ]


def test_an_update_that_can_not_be_written_is_a_failure_of_the_record_too(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project.broken("11_926", "1")
    replacing = os.replace

    def refuse(source: str, target: str) -> None:
        if Path(target) == path:
            raise OSError(28, "No space left on device")
        replacing(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    project.run("--archcheck-update", "--archcheck-report", "run.json")
    monkeypatch.undo()
    plain = read(project.path / "run.json")
    (checks,) = outcomes(plain).values()
    assert (plain["verdict"], checks["parameters"]) == ("failed", "failed")
    (failed,) = [one for one in plain["specs"][0]["checks"] if one["outcome"] == "failed"]
    problem = failed["failures"][0]["problem"]
    assert problem.startswith("not updated: ")
    assert problem.endswith("small.arch.yaml: can't be written: No space left on device")


def test_calls_inside_others_are_deeper_and_repeated_ones_numbered(project: Project) -> None:
    project.write(
        "deep.py",
        """
        from torch import nn

        class Twice(nn.Module):
            def __init__(self):
                super().__init__()
                self.block = nn.Sequential(nn.Linear(4, 4), nn.ReLU())

            def forward(self, x):
                return self.block(self.block(x))
        """,
    )
    project.spec("deep", "build: deep:Twice\ninput: [B, 4]\nfunction: off\nhealth: off\n")
    project.run("--archcheck-report", "run.json")
    (spec,) = read(project.path / "run.json")["specs"]
    assert [(one["name"], one["depth"], one["parameters"]) for one in spec["layers"]] == [
        ("block[0]", 0, 20), ("block.0[0]", 1, 20), ("block.1[0]", 1, None),
        ("block[1]", 0, None), ("block.0[1]", 1, None), ("block.1[1]", 1, None),
    ]  # fmt: skip


def test_workers_send_what_they_find_to_the_one_that_writes(project: Project) -> None:
    project.spec()
    project.spec("wrong", WRONG)
    project.pytest_elsewhere(*plugins(), "--archcheck", "-n", "2", "--archcheck-report", "run.json")
    alone = project.path / "alone.json"
    project.pytest_elsewhere(*plugins(), "--archcheck", "--archcheck-report", str(alone))
    together, one_process = read(project.path / "run.json"), read(alone)
    for plain in (together, one_process):
        for spec in plain["specs"]:
            for check in spec["checks"]:
                del check["duration_sec"]
    assert together["specs"] == one_process["specs"]
    assert together["runs"][0]["environment"]["device"] == "cpu"


def plugins() -> list[str]:
    return [option for plugin in PLUGINS for option in ("-p", plugin)]


def test_what_a_run_leaves_out_after_its_first_failure_is_counted(project: Project) -> None:
    project.spec("a", WRONG)
    project.spec("b")
    project.run("-x", *(f"--archcheck-report=run.{kind}" for kind in ("json", "md", "html")))
    plain = read(project.path / "run.json")
    assert list(outcomes(plain)) == ["specs/a.arch.yaml"]
    num_ran = len(plain["specs"][0]["checks"])
    assert plain["runs"][0]["num_not_run"] == plain["totals"]["not_run"] == 2 * 5 - num_ran
    order = ["spec", "shapes", "parameters", "compute", "health"]
    assert plain["runs"][0]["not_run"] == {"specs/a.arch.yaml": order[num_ran:], "specs/b.arch.yaml": order}
    assert f"{2 * 5 - num_ran} not run" in (project.path / "run.md").read_text()
    page = (project.path / "run.html").read_text()
    assert f'<p class="warning">{2 * 5 - num_ran} checks had no turn.</p>' in page
    assert f"<li>specs/b.arch.yaml: {', '.join(order)}</li>" in page


def test_ctrl_c_leaves_a_report_of_what_was_done(project: Project) -> None:
    project.spec("a")
    project.write(
        "slow.py",
        """
        import pathlib, time

        def net():
            pathlib.Path("started").touch()
            time.sleep(60)
        """,
    )
    project.spec("b", "build: slow:net\ninput: [B, 4]\nfunction: off\n")
    command = [sys.executable, "-m", "pytest", *plugins(), "--archcheck", "--archcheck-report", "run.json"]
    with PreloadedPopen(command, cwd=project.path, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT) as process:
        while not (project.path / "started").exists():
            assert process.poll() is None
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait() == 2
    plain = read(project.path / "run.json")
    assert plain["verdict"] == "interrupted"
    assert set(outcomes(plain)["specs/a.arch.yaml"].values()) == {"passed"}


def test_a_broken_spec_has_its_problems_in_the_report(project: Project) -> None:
    project.spec("broken", SMALL.replace("macs:", "mac:"))
    project.run("--archcheck-report", "run.json")
    (check,) = read(project.path / "run.json")["specs"][0]["checks"]
    assert check["failures"][0]["problem"] == "unknown key 'mac'; did you mean macs?"
    assert check["failures"][0]["excerpt"][-2]["text"] == "mac: 129_360"


def test_a_check_that_could_not_be_made_has_its_reason(project: Project) -> None:
    project.spec(text=SMALL.replace("function: off\n", ""))
    project.run("--archcheck-report", "run.json")
    plain = read(project.path / "run.json")
    (reason,) = [one["reason"] for one in plain["specs"][0]["checks"] if one["outcome"] == "skipped"]
    assert reason.startswith("nothing is recorded of the function: pytest --archcheck ")


def test_what_a_fixture_raises_is_an_error_of_the_check(project: Project) -> None:
    project.spec()
    project.write("conftest.py", RAISING)
    project.run("--archcheck-report", "run.json")
    plain = read(project.path / "run.json")
    assert set(outcomes(plain)["specs/small.arch.yaml"].values()) == {"error"}
    assert "OSError: no disk" in plain["specs"][0]["checks"][0]["traceback"]


@pytest.mark.parametrize("options", [(), ("-n", "2")])
def test_what_is_left_out_as_unchanged_is_in_the_report(project: Project, options: tuple[str, ...]) -> None:
    project.spec()
    changed = (*plugins(), "--archcheck", "--archcheck-changed", *options)
    project.pytest_elsewhere(*changed)
    project.pytest_elsewhere(*changed, "--archcheck-report", "run.json")
    plain = read(project.path / "run.json")
    assert set(outcomes(plain)["specs/small.arch.yaml"].values()) == {"unchanged"}
    assert plain["verdict"] == "passed"


def test_a_path_counts_from_where_pytest_was_started(project: Project) -> None:
    project.spec()
    project.write("conftest.py", "import os, pathlib\npathlib.Path('elsewhere').mkdir()\nos.chdir('elsewhere')\n")
    project.run("--archcheck-report", "run.json", "--archcheck-report", "run.md")
    assert (project.path / "run.json").exists()
    assert (project.path / "run.md").read_text("utf-8").startswith("## ✅ archcheck: passed: 1 spec\n")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("run.txt", "--archcheck-report run.txt: expected a file that ends with .html, .md or .json, or auto"),
        ("nets.py/run.json", "--archcheck-report nets.py/run.json: can't be written: "),
        ("folder.json", "--archcheck-report folder.json: is a folder"),
    ],
)
def test_a_file_that_cannot_be_written_is_told_before_anything_runs(project: Project, name: str, problem: str) -> None:
    project.spec()
    (project.path / "folder.json").mkdir()
    result = project.run("--archcheck-report", name)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {problem}*"])


def test_a_report_of_no_specs_is_a_usage_error(project: Project) -> None:
    project.write("test_one.py", "def test_one(): pass\n")
    result = project.pytest("--archcheck-report=run.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --archcheck-report does nothing without --archcheck"])


def test_auto_appends_to_the_summary_of_the_job(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.spec()
    summary = project.write("summary.md", "what was there\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    project.run("--archcheck-report", "auto")
    assert summary.read_text("utf-8").startswith("what was there\n## ✅ archcheck: passed: 1 spec\n")


def test_auto_does_nothing_elsewhere(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.spec()
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    before = set(os.listdir(project.path))
    result = project.run("--archcheck-report", "auto", "-p", "no:cacheprovider")
    assert result.ret == 0
    assert "archcheck: report" not in result.stdout.str()
    assert {name for name in os.listdir(project.path) if not name.startswith(("__pycache__", "."))} == before


# ------------------------------------------------------------------------------------------- `archcheck report`


def test_a_page_and_a_summary_are_made_from_the_data_of_shards(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in (("small", SMALL), ("wrong", WRONG)):
        project.spec(name, text)
        project.run(f"specs/{name}.arch.yaml", "--archcheck-report", f"{name}.json")
    capsys.readouterr()
    outputs = [option for name in ("out/page.html", "all.md", "all.json") for option in ("--output", name)]
    assert main(["report", "small.json", "wrong.json", *outputs]) == 0
    assert capsys.readouterr().out == "out/page.html: written\nall.md: written\nall.json: written\n"
    plain = read(project.path / "all.json")
    assert (plain["verdict"], len(plain["runs"]), plain["totals"]) == ("failed", 2, {"failed": 1, "passed": 9})
    assert "specs/small.arch.yaml" in (project.path / "out" / "page.html").read_text("utf-8")
    assert (project.path / "all.md").read_text("utf-8").startswith("## ❌ archcheck: failed: 1 of 2 specs\n")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["run.json", "--output", "page.txt"], "--output page.txt: expected a file that ends with .html, .md or .json"),
        (["absent.json", "--output", "page.html"], "absent.json: can't be read: No such file or directory"),
        (["nets.py", "--output", "page.html"], "nets.py: expected a report that --archcheck-report FILE.json wrote, "),
        (["run.json", "--output", "nets.py/page.html"], "nets.py/page.html: can't be written: "),
    ],
)
def test_what_cannot_be_made_into_a_report_is_told(
    project: Project, capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str
) -> None:
    project.spec()
    project.run("--archcheck-report", "run.json")
    capsys.readouterr()
    assert main(["report", *arguments]) == 2
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["html", "md", "json"])
def test_a_report_is_made_from_data_without_torch(project: Project, suffix: str) -> None:
    project.spec()
    project.run("--archcheck-report", "run.json")
    code = (
        "import sys; from archcheck.cli.command_line import main; "
        f"assert main(['report', 'run.json', '--output', 'again.{suffix}']) == 0; assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=project.path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
