"""`archcheck = specs` in the ini file: a plain `pytest` verifies the specs beside its tests; and without it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.integration.project import SMALL, Project

CHECKS = ("spec", "shapes", "parameters", "compute", "health")


@pytest.fixture
def tested(project: Project) -> Project:
    """A project with a spec, one of no concern, two tests and the switch."""
    project.spec()
    project.write("examples/other.arch.yaml", SMALL)
    project.write("tests/test_one.py", "def test_one(): pass\ndef test_two(): pass\n")
    return switched(project, "archcheck = specs\n")


def switched(project: Project, text: str) -> Project:
    project.write("pytest.ini", f"[pytest]\n{text}")
    return project


def collected(project: Project, *args: str) -> dict[str, list[str]]:
    """Return the names of the items that a run collects, by file."""
    result = project.pytest("--collect-only", "-q", *args)
    found: dict[str, list[str]] = {}
    for line in result.stdout.lines:
        path, separator, name = line.partition("::")
        if separator:
            found.setdefault(path, []).append(name)
    return found


def usage_error(project: Project, *args: str) -> str:
    """Return what a run says that can't start."""
    result = project.pytest(*args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    return result.stderr.str()


SPEC = {"specs/small.arch.yaml": list(CHECKS)}
TESTS = {"tests/test_one.py": ["test_one", "test_two"]}


def test_tests_and_specs_run_together(tested: Project) -> None:
    result = tested.pytest()
    result.assert_outcomes(passed=7)
    result.stdout.fnmatch_lines(["specs/small.arch.yaml *nets:small *11_926 *"])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\narchcheck = specs\ntestpaths = tests\n"),
        ("tox.ini", "[pytest]\narchcheck = specs\ntestpaths = tests\n"),
        ("setup.cfg", "[tool:pytest]\narchcheck = specs\ntestpaths = tests\n"),
        ("pyproject.toml", '[tool.pytest.ini_options]\narchcheck = "specs"\ntestpaths = ["tests"]\n'),
        pytest.param(
            "pyproject.toml",
            '[tool.pytest]\narchcheck = ["specs"]\ntestpaths = ["tests"]\n',
            marks=pytest.mark.skipif(pytest.version_tuple < (9,), reason="pytest reads it since 9.0"),
        ),
        ("pytest.ini", "[pytest]\naddopts = --archcheck\ntestpaths = tests\n"),
        ("pytest.ini", "[pytest]\naddopts = --archcheck\n"),
        ("pytest.ini", "[pytest]\narchcheck = spec*\n"),
        ("pytest.ini", "[pytest]\narchcheck = specs/small.arch.yaml\n"),
    ],
)
def test_the_switch_stands_where_pytest_is_configured(tested: Project, name: str, text: str) -> None:
    (tested.path / "pytest.ini").unlink()
    tested.write(name, text)
    assert collected(tested) == SPEC | TESTS


def test_several_folders_may_be_named(tested: Project) -> None:
    switched(tested, "archcheck = specs docs/specs\ntestpaths = tests\n")
    tested.write("docs/specs/more.arch.yaml", SMALL)
    assert collected(tested) == SPEC | TESTS | {"docs/specs/more.arch.yaml": list(CHECKS)}


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["tests/test_one.py"], TESTS),
        (["tests/test_one.py::test_two"], {"tests/test_one.py": ["test_two"]}),
        (["tests"], TESTS),
        (["."], SPEC | TESTS),
        (["specs"], SPEC),
        (["specs/small.arch.yaml"], SPEC),
        (["specs/small.arch.yaml::shapes"], {"specs/small.arch.yaml": ["shapes"]}),
        (["tests", "specs/small.arch.yaml::health"], TESTS | {"specs/small.arch.yaml": ["health"]}),
        (["examples/other.arch.yaml::spec"], {"examples/other.arch.yaml": ["spec"]}),
        (["--archcheck"], SPEC),
        (["--archcheck", "tests", "examples"], TESTS | {"examples/other.arch.yaml": list(CHECKS)}),
        (["-m", "not archcheck"], TESTS),
        (["-m", "archcheck"], SPEC),
        (["-k", "shapes or two"], {"specs/small.arch.yaml": ["shapes"], "tests/test_one.py": ["test_two"]}),
        (["--ignore", "specs"], TESTS),
    ],
)
def test_paths_and_selections_mean_what_they_do_for_tests(
    tested: Project, paths: Sequence[str], expected: dict[str, list[str]]
) -> None:
    assert collected(tested, *paths) == expected


def test_from_a_folder_below_the_root_only_what_lies_there_is_run(
    tested: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tested.path / "tests")
    assert collected(tested) == TESTS
    monkeypatch.chdir(tested.path / "specs")
    assert collected(tested) == SPEC


def test_tests_that_lie_beside_specs_are_not_run_unasked(tested: Project) -> None:
    """Neither where `testpaths` leaves them out, nor by `--archcheck` alone."""
    tested.write("specs/test_unasked.py", "def test_it(): assert False\n")
    switched(tested, "archcheck = specs\ntestpaths = tests\n")
    assert collected(tested) == SPEC | TESTS
    assert collected(tested, "--archcheck") == SPEC
    assert collected(tested, "specs") == SPEC | {"specs/test_unasked.py": ["test_it"]}


def test_all_of_the_root_may_hold_specs_while_tests_stay_where_they_are(tested: Project) -> None:
    tested.write("test_outside.py", "def test_it(): assert False\n")
    switched(tested, "archcheck = .\ntestpaths = tests\n")
    assert collected(tested) == SPEC | TESTS | {"examples/other.arch.yaml": list(CHECKS)}


def test_last_failed_knows_specs_and_tests(tested: Project) -> None:
    path = tested.broken("11_926", "11_927")
    tested.pytest().assert_outcomes(passed=6, failed=1)
    path.write_text(path.read_text().replace("11_927", "11_926"))
    tested.pytest("--lf").assert_outcomes(passed=1)
    tested.pytest("--lf", "--lfnf=none").assert_outcomes(deselected=7)


def test_an_update_needs_no_flag_beside_it(tested: Project) -> None:
    path = tested.broken("11_926", "11_927")
    assert tested.pytest("--archcheck-update").ret == 0
    assert path.read_text() == SMALL


# ------------------------------------------------------------------------------------------- what isn't there is told


def test_a_folder_that_is_not_there_is_told(tested: Project) -> None:
    switched(tested, "archcheck = spesc\n")
    assert f"archcheck in pytest.ini: there is no spesc in {tested.path}: did you mean 'specs'?" in usage_error(tested)
    switched(tested, "archcheck = specs architectures\n")
    command = "archcheck new module:callable --input B,3,224,224 --output specs/"
    message = f"archcheck in pytest.ini: there is no architectures in {tested.path}; write a spec: {command}"
    assert message in usage_error(tested)
    assert collected(tested, "tests") == TESTS


def test_a_folder_without_specs_is_told(tested: Project) -> None:
    switched(tested, "archcheck = tests\n")
    message = "no spec file (*.arch.yaml) in tests; write one: archcheck new module:callable --input B,3,224,224 "
    assert message in usage_error(tested)


def test_a_folder_that_pytest_does_not_go_into_is_told(tested: Project) -> None:
    (tested.path / "specs").rename(tested.path / ".specs")
    switched(tested, "archcheck = .specs\n")
    assert "archcheck in pytest.ini: pytest doesn't go into .specs; " in usage_error(tested)
    switched(tested, "archcheck = .specs\ntestpaths = tests\n")
    assert collected(tested) == TESTS | {".specs/small.arch.yaml": list(CHECKS)}


# ------------------------------------------------------------------------------------------- without the switch


def test_a_spec_without_the_flag_is_told_with_the_command(tested: Project) -> None:
    switched(tested, "")
    message = usage_error(tested, "specs/small.arch.yaml::shapes", "tests", "-k", "a or b")
    assert "specs/small.arch.yaml::shapes: specs are verified with --archcheck: pytest --archcheck " in message
    assert message.rstrip().endswith("specs/small.arch.yaml::shapes tests -k 'a or b'")


def test_nothing_but_specs_is_told_with_the_command(project: Project) -> None:
    project.write("models/deep specs/small.arch.yaml", SMALL)
    for arguments in ((), ("models",)):
        result = project.pytest(*arguments)
        assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
        command = "pytest --archcheck 'models/deep specs'"
        result.stdout.fnmatch_lines([f"archcheck: there are specs, which are verified by: {command}"])


def test_where_tests_are_or_no_specs_nothing_is_said(tested: Project) -> None:
    switched(tested, "")
    assert "archcheck:" not in tested.pytest("tests").stdout.str()
    assert "archcheck:" not in tested.pytest("-k", "nothing").stdout.str()
    (tested.path / "tests" / "test_one.py").unlink()
    assert "archcheck:" not in tested.pytest("tests").stdout.str()
