"""What trained specs depend on, where they share data sets and runs with others."""

from __future__ import annotations

from tests.integration.changed.zoo_project import edit, run_changed
from tests.integration.project import Project, RunResult
from tests.integration.training.toys import SETS, TOYS, scripted

# Read when the data set is made: both specs train on the same.
READING = """
from pathlib import Path
import sets
def positions():
    assert Path(__file__).with_name("classes.txt").read_text().split()[0] == "2"
    return sets.positions()
"""


def items(result: RunResult) -> set[str]:
    """Return the checks that a run has verified."""
    return {line.split()[0] for line in result.outlines if line.split()[1:2] == ["PASSED"]}


def test_claims_depend_on_both_specs_and_what_they_train_on(project: Project) -> None:
    project.write("toys.py", TOYS)
    project.write("others.py", TOYS)
    project.write("sets.py", SETS)
    project.write("reading.py", READING)
    project.write("classes.txt", "2\n")
    claims = "claims:\n  better_than: {spec: worse, by: 0.2, quick: true}\n"
    for name, text in (
        ("worse", scripted([0.25, 0.5], 0.4).replace("toys:", "others:")),
        # Its own accuracy runs after the other's, and its claim after both.
        ("yet-better", scripted([0.25, 0.75], 0.7, more=claims)),
    ):
        project.spec(name, text.replace("sets:positions", "reading:positions") + "health: off\n")
    first = run_changed(project)
    assert first.ret == 0, first.stdout.str()
    everything = {
        f"specs/{name}.arch.yaml::{check}"
        for name, checks in (("worse", ("spec", "accuracy")), ("yet-better", ("spec", "accuracy", "claims")))
        for check in checks
    }
    assert items(first) == everything
    assert items(run_changed(project)) == set()
    edit(project.path / "classes.txt")
    trained = {one for one in everything if not one.endswith("::spec")}
    assert items(run_changed(project)) >= trained
    edit(project.path / "others.py")
    again = items(run_changed(project))
    assert "specs/yet-better.arch.yaml::claims" in again
    assert "specs/yet-better.arch.yaml::spec" not in again
