"""`--archcheck-changed` beside other options, and with what may be wrong about what it keeps."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.changed.zoo_project import run_changed, verified
from tests.integration.project import Project, RunResult

NETS = """
import socket
from torch import nn
def small(): return nn.Linear(4, 4)
def wide(): return nn.Linear(4, 8)
def lonely():
    socket.getaddrinfo("127.0.0.1", 80)
    return nn.Linear(4, 4)
"""
SPEC = "build: networks:{}\ninput: [B, 4]\noutput: [B, {}]\nparameters: {}\nhealth: off\nfunction: off\n"
STORE = Path(".pytest_cache", "d", "archcheck", "unchanged.json")


@pytest.fixture
def three(project: Project) -> Project:
    """A repository with a spec that holds, one whose parameters aren't so, and one that reads the network."""
    project.write("networks.py", NETS)
    project.spec("small", SPEC.format("small", 4, 20))
    project.spec("wide", SPEC.format("wide", 8, 41))
    project.spec("lonely", SPEC.format("lonely", 4, 20))
    return project


def lines(result: RunResult) -> list[str]:
    """Return what a run says of what it left out."""
    return [line for line in result.outlines if line.startswith("archcheck:")]


def items(result: RunResult) -> list[str]:
    """Return the checks that a run has verified."""
    verdicts = ("PASSED", "FAILED", "SKIPPED")
    return sorted({line.split()[0] for line in result.outlines if line.split()[1:2] and line.split()[1] in verdicts})


def test_what_has_not_passed_runs_again(three: Project) -> None:
    assert run_changed(three).ret == 1
    again = run_changed(three)
    assert again.ret == 1
    assert items(again) == [
        "specs/lonely.arch.yaml::parameters",
        "specs/lonely.arch.yaml::shapes",
        "specs/lonely.arch.yaml::spec",
        "specs/wide.arch.yaml::parameters",
    ]
    again.stdout.re_match_lines_random([
        r"specs/lonely.arch.yaml +networks:lonely +20 +16 +ok +ok +ok +\d.*",
        r"specs/small.arch.yaml +networks:small +20 +16 +unchanged +unchanged +unchanged +0 ms",
        r"specs/wide.arch.yaml +networks:wide +40 +32 +unchanged +unchanged +FAILED .*",
        r"archcheck: 1 of 3 specs unchanged since \d{4}-\d\d-\d\d \d\d:\d\d UTC",
        r"archcheck: specs/lonely.arch.yaml runs every time: it reads the network",
        r"=+ 1 failed, 3 passed, 5 deselected\b.*",
    ])  # fmt: skip


def test_nothing_to_verify_is_no_failure(three: Project) -> None:
    run_changed(three, "specs/small.arch.yaml")
    again = run_changed(three, "specs/small.arch.yaml")
    assert again.ret == 0
    assert items(again) == []


def test_an_edit_is_named(three: Project) -> None:
    run_changed(three, "specs/small.arch.yaml")
    three.write("networks.py", NETS + "# edited\n")
    again = run_changed(three, "specs/small.arch.yaml")
    assert f"archcheck: specs/small.arch.yaml: {three.path / 'networks.py'} differs" in again.outlines


def test_what_is_not_selected_stays_as_it_was(three: Project) -> None:
    """A run of some checks neither loses what is known of others nor takes them for verified."""
    run_changed(three, "-k", "small and shapes")
    assert items(run_changed(three, "-k", "small")) == [
        "specs/small.arch.yaml::parameters",
        "specs/small.arch.yaml::spec",
    ]
    assert items(run_changed(three, "-m", "archcheck_shapes")) == [
        "specs/lonely.arch.yaml::shapes",
        "specs/wide.arch.yaml::shapes",
    ]


def test_a_check_by_its_node_id_is_left_out_too(three: Project) -> None:
    run_changed(three, "specs/small.arch.yaml")
    again = run_changed(three, "specs/small.arch.yaml::shapes")
    assert (again.ret, items(again)) == (0, [])
    again.stdout.fnmatch_lines(["*1 deselected*"])


def test_other_options_are_another_result(three: Project) -> None:
    run_changed(three, "specs/small.arch.yaml")
    again = run_changed(three, "specs/small.arch.yaml", "--archcheck-train", "full")
    assert verified(again) == {"small"}
    assert "archcheck: specs/small.arch.yaml: --archcheck-train differs" in again.outlines


def test_an_option_of_a_users_conftest_is_another_result(three: Project) -> None:
    three.write("conftest.py", "def pytest_addoption(parser): parser.addoption('--wide', action='store_true')\n")
    for number in ((), ("-n", "2")):
        run_changed(three, "specs/small.arch.yaml", *number)
        assert verified(run_changed(three, "specs/small.arch.yaml", *number)) == set()
        again = run_changed(three, "specs/small.arch.yaml", "--wide", *number)
        assert "archcheck: 0 of 1 specs unchanged" in again.outlines


MEASURING_ELSEWHERE = """
import pytest
from archcheck.system.audit import shared, tell_unseen
@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    if item.name == "parameters":
        with shared("a figure"):
            if "small" in str(item.path):  # which is asked first, and the other takes what it found
                tell_unseen("it is measured in processes of its own")
    return (yield)
"""


def test_only_the_check_that_is_measured_elsewhere_runs_every_time(three: Project) -> None:
    three.write("conftest.py", MEASURING_ELSEWHERE)
    three.spec("then", SPEC.format("wide", 8, 40))
    specs = ("specs/small.arch.yaml", "specs/then.arch.yaml")
    assert len(items(run_changed(three, *specs))) == 6
    again = run_changed(three, *specs)
    assert items(again) == [f"{spec}::parameters" for spec in specs]
    told = "runs every time: parameters, as it is measured in processes of its own"
    assert [line for line in again.outlines if "every time" in line] == [f"archcheck: {spec} {told}" for spec in specs]


WITH_VARIABLES = """
import os, pathlib, pytest, sys
class Variables:  # a plugin that takes variables from a file, as some installed ones do
    @pytest.hookimpl(tryfirst=True)
    def pytest_load_initial_conftests(self):
        os.environ["THREE_WIDTH"] = pathlib.Path("variables.txt").read_text()
sys.exit(pytest.main(sys.argv[1:], plugins=[Variables()]))
"""
BY_VARIABLE = "import os\nfrom torch import nn\ndef make(): return nn.Linear(4, int(os.environ['THREE_WIDTH']))\n"


def test_variables_that_plugins_set_count(three: Project) -> None:
    three.write("by_variable.py", BY_VARIABLE)
    three.spec("small", SPEC.format("small", 4, 20).replace("networks:small", "by_variable:make"))
    options = [option for name in three.plugins for option in ("-p", name)]
    command = [sys.executable, "-c", WITH_VARIABLES, *options, "--archcheck", "--archcheck-changed", "-v"]

    def run() -> str:
        done = subprocess.run([*command, "specs/small.arch.yaml"], cwd=three.path, capture_output=True, check=False)
        return done.stdout.decode()

    three.write("variables.txt", "4")
    assert "3 passed" in run()
    assert "1 of 1 specs unchanged" in run()
    three.write("variables.txt", "8")
    assert "specs/small.arch.yaml: the variable THREE_WIDTH differs" in run()


def test_strict_leaves_out_the_same(three: Project) -> None:
    run_changed(three)
    again = run_changed(three, "--archcheck-strict")
    assert verified(again) == {"lonely", "wide"}


def test_an_update_to_add_sections_leaves_nothing_out(three: Project) -> None:
    run_changed(three, "specs/small.arch.yaml")
    again = run_changed(three, "specs/small.arch.yaml", "--archcheck-update=new")
    assert verified(again) == {"small"}


def test_a_spec_that_an_update_has_changed_runs_again(three: Project) -> None:
    run_changed(three, "specs/wide.arch.yaml", "--archcheck-update")
    assert "parameters: 40" in (three.path / "specs" / "wide.arch.yaml").read_text()
    assert verified(run_changed(three, "specs/wide.arch.yaml")) == {"wide"}
    assert verified(run_changed(three, "specs/wide.arch.yaml")) == set()


def test_without_the_option_everything_runs(three: Project) -> None:
    run_changed(three, "specs/small.arch.yaml")
    again = three.run("-v", "specs/small.arch.yaml")
    assert verified(again) == {"small"}
    again.stdout.no_fnmatch_line("archcheck: *")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("{", "not JSON"),
        ('{"format": 7}', "expected format 2, found 7"),
        ("[]", "expected format 2, found none"),
        ('{"format": 2}', "not what archcheck writes: KeyError"),
        (
            '{"format":2,"facts":[["import","x","y"]],"groups":[],"conditions":[],"large":{},"ran":[],"specs":{}}',
            "not what archcheck writes: ValueError",
        ),
    ],
)
def test_a_foreign_file_is_told_and_replaced(three: Project, content: str, what: str) -> None:
    run_changed(three, "specs/small.arch.yaml")
    (three.path / STORE).write_text(content)
    again = run_changed(three, "specs/small.arch.yaml")
    assert verified(again) == {"small"}
    assert f"archcheck: {STORE}: {what}: all specs are verified" in again.outlines
    assert verified(run_changed(three, "specs/small.arch.yaml")) == set()


def test_without_a_cache_everything_runs(three: Project) -> None:
    for _ in range(2):
        result = run_changed(three, "specs/small.arch.yaml", "-p", "no:cacheprovider")
        assert verified(result) == {"small"}
        reason = "what passes can't be kept without pytest's cache (-p no:cacheprovider): all specs are verified"
        assert f"archcheck: {reason}" in result.outlines


def test_a_cache_that_cannot_be_written_is_told(three: Project) -> None:
    three.write("file", "")
    for _ in range(2):
        result = run_changed(three, "specs/small.arch.yaml", "-o", "cache_dir=file/cache")
        assert verified(result) == {"small"}
        result.stdout.fnmatch_lines(
            ["archcheck: what passes can't be kept in pytest's cache: *: all specs are verified"]
        )


def test_without_archcheck_it_is_refused(three: Project) -> None:
    result = three.pytest("--archcheck-changed")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --archcheck-changed does nothing without --archcheck"])


def test_in_addopts_it_stands_for_runs_that_verify_specs(three: Project) -> None:
    three.write("pytest.ini", "[pytest]\narchcheck = specs/small.arch.yaml\naddopts = --archcheck-changed\n")
    three.write("test_one.py", "def test_one(): pass\n")
    plugins = [option for plugin in three.plugins for option in ("-p", plugin)]
    for expected in ("4 passed", "1 passed, 3 deselected"):
        three.pytest_elsewhere(*plugins).stdout.re_match_lines([f"=+ {expected}\\b.*"])
    three.pytest_elsewhere(*plugins, "test_one.py").stdout.re_match_lines([r"=+ 1 passed\b.*"])


def test_workers_share_what_they_find(three: Project) -> None:
    assert run_changed(three, "-n", "2").ret == 1
    again = run_changed(three, "-n", "2")
    assert again.ret == 1
    again.stdout.re_match_lines_random([
        r"specs/small.arch.yaml +networks:small +20 +16 +unchanged +unchanged +unchanged .*",
        r"specs/wide.arch.yaml +networks:wide +40 +32 +unchanged +unchanged +FAILED .*",
        r"archcheck: 1 of 3 specs unchanged since .*",
        r"archcheck: specs/lonely.arch.yaml runs every time: it reads the network",
        r"=+ 1 failed, 3 passed\b.*",
    ])  # fmt: skip


def test_an_edit_is_named_where_workers_collect(three: Project) -> None:
    run_changed(three, "-n", "2", "specs/small.arch.yaml")
    three.write("networks.py", NETS + "# edited\n")
    again = run_changed(three, "-n", "2", "specs/small.arch.yaml")
    assert again.outlines.count(f"archcheck: specs/small.arch.yaml: {three.path / 'networks.py'} differs") == 1


def test_workers_with_nothing_to_do(three: Project) -> None:
    run_changed(three, "-n", "2", "specs/small.arch.yaml")
    again = run_changed(three, "-n", "2", "specs/small.arch.yaml")
    assert again.ret == 0
    assert "archcheck: 1 of 1 specs unchanged" in again.stdout.str()


ELSEWHERE = ("--archcheck-executor", "processes:2")


def test_what_hosts_have_verified_is_left_out(three: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the threads of each are limited, as several share a machine."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    first = run_changed(three, *ELSEWHERE)
    assert len(items(first)) == 9
    again = run_changed(three, *ELSEWHERE)
    assert items(again) == [
        "specs/lonely.arch.yaml::parameters",
        "specs/lonely.arch.yaml::shapes",
        "specs/lonely.arch.yaml::spec",
        "specs/wide.arch.yaml::parameters",
    ]
    assert [line.rpartition(" since ")[0] or line for line in lines(again) if "specs" in line] == [
        "archcheck: 1 of 3 specs unchanged",
        "archcheck: specs/lonely.arch.yaml runs every time: it reads the network",
    ]


def test_a_check_that_a_host_loses_runs_again(three: Project) -> None:
    three.write(
        "conftest.py", "import os\ndef pytest_runtest_setup(item):\n    os.path.exists('ill') and os._exit(3)\n"
    )
    run_changed(three, *ELSEWHERE, "specs/small.arch.yaml")
    assert items(run_changed(three, *ELSEWHERE, "specs/small.arch.yaml")) == []
    three.write("ill", "")
    assert len(items(run_changed(three, *ELSEWHERE, "specs/small.arch.yaml"))) == 3
    (three.path / "ill").unlink()
    assert len(items(run_changed(three, *ELSEWHERE, "specs/small.arch.yaml"))) == 3


def test_what_a_host_with_another_checkout_has_verified_is_not_kept(
    three: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = three.path.parent / f"{three.path.name}-elsewhere"
    shutil.copytree(three.path, copy)
    monkeypatch.setenv("ARCHCHECK_ROOT", str(copy))
    for _ in range(2):
        result = run_changed(three, "--archcheck-executor", "processes:1", "specs/small.arch.yaml")
        assert len(items(result)) == 3
        result.stdout.fnmatch_lines(["archcheck: specs run every time on *: the rootdir differs"])


def test_a_module_that_was_imported_too_early_is_told(three: Project) -> None:
    three.write("early.py", "import networks\n")
    for _ in range(2):
        result = run_changed(three, "-p", "early", "specs/small.arch.yaml")
        assert verified(result) == {"small"}
        reasons = "; ".join(f"{name} was imported before archcheck could watch" for name in ("early.py", "networks.py"))
        assert f"archcheck: specs/small.arch.yaml runs every time: {reasons}" in result.outlines


def test_a_spec_of_which_nothing_is_recorded_is_left_out_until_something_is(three: Project) -> None:
    path = three.spec("small", SPEC.format("small", 4, 20).replace("function: off\n", ""))
    assert items(run_changed(three, str(path))) == [
        f"specs/small.arch.yaml::{check}" for check in ("function", "parameters", "shapes", "spec")
    ]
    again = run_changed(three, str(path))
    assert items(again) == []
    row = next(line.split() for line in again.outlines if line.startswith("specs/small"))
    assert row.count("skipped") == 1
    assert row.count("unchanged") == 3
    assert three.run(str(path), "--archcheck-update=new", "-k", "function").ret == 0
    assert "specs/small.arch.yaml::function" in items(run_changed(three, str(path)))
