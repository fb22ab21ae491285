"""The rootdir of a run whose options have paths: pytest looks for it before it knows the options of plugins."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.project import Project


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder that isn't the project's."""
    return tmp_path_factory.mktemp("elsewhere")


@pytest.mark.parametrize("option", ["--archcheck-report", "--archcheck-durations", "--archcheck-data"])
def test_a_path_that_makes_the_rootdir_another_is_refused(project: Project, elsewhere: Path, option: str) -> None:
    project.spec()
    path = elsewhere / "run.json"
    path.touch()
    result = project.run(option, str(path))
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        [
            f"ERROR: {option} {path}: pytest takes that for a path to collect from, and so rootdir {elsewhere.parent} "
            f"with no ini file instead of rootdir {project.path} with pytest.ini: write {option}={path}"
        ]
    )


def test_what_is_told_to_write_works(project: Project, elsewhere: Path) -> None:
    project.spec()
    (elsewhere / "run.json").touch()
    project.run(f"--archcheck-report={elsewhere / 'run.json'}").assert_outcomes(passed=5)
    assert (elsewhere / "run.json").stat().st_size


def test_a_lost_ini_file_is_refused_where_the_rootdir_is_given(project: Project, elsewhere: Path) -> None:
    project.spec()
    result = project.run("--rootdir", str(project.path), "--archcheck-data", str(elsewhere))
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"*rootdir {project.path} with no ini file instead of *: write *={elsewhere}"])


def test_paths_from_the_environment_are_looked_at(
    project: Project, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.spec()
    monkeypatch.setenv("PYTEST_ADDOPTS", f"--archcheck-data {elsewhere}")
    result = project.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: --archcheck-data {elsewhere}: *: write --archcheck-data={elsewhere}"])


def test_paths_that_change_nothing_may_stand_behind_a_space(
    project: Project, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project.spec()
    (project.path / "out").mkdir()
    (project.path / "out" / "run.json").touch()
    project.run("--archcheck-report", "out/run.json", "-k", "shapes").assert_outcomes(passed=1, deselected=4)
    project.run("--archcheck-update", str(path), "-k", "shapes").assert_outcomes(passed=1, deselected=4)
    project.run("specs", "--archcheck-data", str(elsewhere), "-k", "shapes").assert_outcomes(passed=1, deselected=4)


def test_paths_in_the_ini_file_come_too_late_to_matter(project: Project, elsewhere: Path) -> None:
    project.spec()
    project.write("pytest.ini", f"[pytest]\naddopts = --archcheck-data {elsewhere}\n")
    project.run("-k", "shapes").assert_outcomes(passed=1, deselected=4)
