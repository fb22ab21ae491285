"""What is recorded stands in a lock beside the spec: missing, moved, damaged, outdated, converted."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

import archcheck
from archcheck.cli.command_line import main
from tests.integration.project import NETS as OTHERS
from tests.integration.project import SMALL, Project, RunResult, lock_of

NETS = """
from torch import nn

def net(width=4, names=("stem", "act", "fc")):
    layers = [nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 3)]
    module = nn.Sequential()
    for name, layer in zip(names, layers):
        module.add_module(name, layer)
    return module
"""
PATH = "specs/net.arch.yaml"
LOCK = "specs/net.arch.lock"


@pytest.fixture
def spec(project: Project) -> Path:
    """Record a network; return the path of its spec."""
    project.write("nets.py", NETS)
    assert main(["new", "nets:net", "--input", "B,8", "--output", PATH]) == 0
    return project.path / PATH


def told(result: RunResult, start: str) -> list[str]:
    return [line for line in result.stdout.str().splitlines() if line.startswith(start)]


# ------------------------------------------------------------------------------------------- missing


def test_a_spec_without_lock_is_skipped_with_the_command_that_records_it(project: Project, spec: Path) -> None:
    lock_of(spec).unlink()
    result = project.run("-rs")
    result.assert_outcomes(passed=5, skipped=1)
    command = f"pytest --archcheck {PATH} -k function --archcheck-update=new"
    result.stdout.fnmatch_lines([f"SKIPPED * nothing is recorded of the function: {command}"])
    note = f"{PATH}: function isn't verified: nothing is recorded of the function (-rs says what to do)"
    assert told(project.run(), note) == [note]
    project.run("--archcheck-strict").assert_outcomes(passed=5, failed=1)
    project.run(*command.split()[2:]).assert_outcomes(passed=1)
    project.run("--archcheck-strict").assert_outcomes(passed=6)


def test_a_lock_that_git_ignores_is_told_where_it_is_written(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write("nets.py", NETS)
    subprocess.run(["git", "init", "-q"], check=True)
    project.write(".gitignore", "*.lock\n")
    told = (
        f"archcheck: {LOCK}: git ignores this lock by .gitignore:1:*.lock, so that it won't be committed: "
        "add !*.arch.lock behind that line"
    )
    assert main(["new", "nets:net", "--input", "B,8", "--output", PATH]) == 0
    assert capsys.readouterr().err.splitlines()[-1] == told
    lock_of(project.path / PATH).unlink()
    assert told in project.run("--archcheck-update=new").outlines
    assert told not in project.run("--archcheck-update").outlines  # who has it knows


def test_a_lock_is_ignored_beside_several_others(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write("nets.py", NETS)
    subprocess.run(["git", "init", "-q"], check=True)
    project.write("specs/.gitignore", "*.lock\n")
    sizes = [f'{{"width": {width}}}' for width in (2, 3, 4)]
    args = [
        "new",
        "nets:net",
        "--input",
        "B,8",
        "--output",
        "specs",
        *(word for one in sizes for word in ("--args", one)),
    ]
    assert main(args) == 0
    (told,) = [line for line in capsys.readouterr().err.splitlines() if "git ignores" in line]
    assert re.match(r"archcheck: specs/net-\S+lock: git ignores this lock, and 2 more, by specs/.gitignore:1:", told)


def test_a_spec_that_says_nothing_of_its_function_may_be_ok(project: Project) -> None:
    text = SMALL.replace("function: off\n", "")
    assert archcheck.verify(project.spec(text=text)).ok
    asking = archcheck.verify(project.spec("asking", f"{text}function: {{at: {{B: 2}}}}\n"))
    assert list(asking.unmeasured) == ["function"]
    assert not asking.ok


def test_a_lock_without_spec_fails(project: Project, spec: Path) -> None:
    project.spec("other", SMALL.replace("nets:small", "../others.py:small"))
    project.write("others.py", OTHERS)
    spec.unlink()
    result = project.run()
    assert told(result, f"{LOCK}:1: there is no net.arch.yaml beside this lock: restore the spec, or delete the lock")
    result.assert_outcomes(passed=5, failed=1)


def test_a_renamed_spec_is_told_to_take_its_lock_along(project: Project, spec: Path) -> None:
    spec.rename(spec.with_name("other.arch.yaml"))
    result = project.run("-rs")
    result.assert_outcomes(passed=5, skipped=1, failed=1)
    moved = "was the spec renamed? git mv net.arch.lock other.arch.lock"
    result.stdout.fnmatch_lines([f"SKIPPED * nothing is recorded; {moved}"])
    assert told(result, f"{LOCK}:1: there is no net.arch.yaml beside this lock; was it renamed? git mv net.arch.lock")
    result = project.run("--archcheck-update=new", "-k", "function")
    assert told(result, "specs/other.arch.yaml:1: nothing was recorded, as this would be a new baseline; net.arch.lock")
    assert not spec.with_name("other.arch.lock").exists()
    lock_of(spec).rename(spec.with_name("other.arch.lock"))
    project.run().assert_outcomes(passed=6)


def test_a_lock_of_a_switched_off_function_is_left_alone(project: Project, spec: Path) -> None:
    lock_of(spec).write_text("no JSON")
    spec.write_text(f"{spec.read_text()}function: off\n")
    project.run().assert_outcomes(passed=5)


# ------------------------------------------------------------------------------------------- damaged

ANEW = r"restore it, or delete it and record it anew: pytest --archcheck specs/net\.arch\.yaml -k function .*=new"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "{\n",
            "<<<<<<< HEAD\n{\n",
            rf"git left a conflict here: keep either side as a whole \(git checkout --ours {LOCK}, or --theirs\), then",
        ),
        ('"layers": {', '"layers": {,', rf"this is no JSON \(.*\): {ANEW}"),
        ('"layers": {', '"opened": [18], "layers": {', rf"function.opened.*; {ANEW}"),
        ('"mean": ', '"maen": ', rf"function.layers.stem.maen: .*; {ANEW}"),
        ('"rms": ', '"rms": "x", "rns": ', rf"function.layers.stem.*; {ANEW}"),
    ],
)
def test_a_damaged_lock_fails_at_its_line_and_hides_nothing(
    project: Project, spec: Path, old: str, new: str, message: str
) -> None:
    text = lock_of(spec).read_text()
    assert old in text
    text = text.replace(old, new, 1)
    lock_of(spec).write_text(text)
    result = project.run("-v")
    result.assert_outcomes(passed=5, failed=1)
    line = text[: text.index(new)].count("\n") + 1
    assert re.search(rf"^{LOCK}:{line}: {message}", result.stdout.str(), re.MULTILINE), result.stdout.str()
    assert "Traceback" not in result.stdout.str()


def test_a_lock_of_a_later_version_says_so(project: Project, spec: Path) -> None:
    lock_of(spec).write_text('{"format": 7, "what": "nobody knows yet"}')
    message = "format 7 is of a later archcheck, this one knows 1: pip install -U pytest-archcheck"
    assert told(project.run(), f"{LOCK}:1: {message}")


def test_bytes_that_are_no_text_and_folders_are_told(project: Project, spec: Path) -> None:
    lock_of(spec).write_bytes(b"\xff\xfe\x00")
    assert told(project.run("-k", "function"), f"{LOCK}:1: encoded as UTF-16, expected UTF-8")
    lock_of(spec).unlink()
    lock_of(spec).mkdir()
    assert told(project.run("-k", "function"), f"{LOCK}:1: a directory, expected a file")


def test_a_conflict_is_mended_by_either_side_and_an_update(project: Project, spec: Path) -> None:
    ours = lock_of(spec).read_text()
    text = (
        spec.read_text().replace("\ninput", "\nargs: {width: 5}\ninput", 1).replace("parameters: 36", "parameters: 45")
    )
    spec.write_text(text)
    project.run("-k", "function").assert_outcomes(failed=1)
    project.run("-k", "function", "--archcheck-update").assert_outcomes(passed=1)
    theirs = lock_of(spec).read_text()
    assert theirs != ours
    marked = f"<<<<<<< HEAD\n{ours}=======\n{theirs}>>>>>>> other\n"
    lock_of(spec).write_text(marked)
    for update in ("--archcheck-update", "--archcheck-update=new", "--archcheck-update=all"):
        project.run(update).assert_outcomes(passed=5, failed=1)
        assert lock_of(spec).read_text() == marked  # both sides are still there
    lock_of(spec).write_text(ours)  # either side as a whole
    project.run("-k", "function", "--archcheck-update").assert_outcomes(passed=1)
    assert lock_of(spec).read_text() == theirs


# ------------------------------------------------------------------------------------------- outdated


@pytest.mark.parametrize(
    ("written", "expected", "actual"),
    [
        ("at: {B: 5}", "{B: 5}", "{B: 8}"),
        ("precision: float32", "float32", "float64"),
        ("train: false", "false", "true"),
    ],
)
def test_what_the_spec_asks_for_is_recorded_by_an_update(
    project: Project, spec: Path, written: str, expected: str, actual: str
) -> None:
    spec.write_text(f"{spec.read_text()}function: {{{written}}}\n")
    line = len(spec.read_text().splitlines())
    key = written.partition(":")[0]
    result = project.run("-k", "function")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            f"{PATH}:{line}: {key}: the function was recorded otherwise",
            f"  expected  {expected}",
            f"  actual    {actual}",
            f"  accept    pytest --archcheck {PATH} -k function --archcheck-update",
        ]
    )
    project.run("--archcheck-update").assert_outcomes(passed=6)
    recorded = json.loads(lock_of(spec).read_text())["function"]
    assert recorded[key] == {"at": {"B": 5}, "precision": "float32", "train": False}[key]
    project.run("--archcheck-strict").assert_outcomes(passed=6)


def test_other_dimensions_of_the_input_are_told(project: Project, spec: Path) -> None:
    spec.write_text(
        spec.read_text().replace("input: [B, 8]", "input: [N, 8]\nsizes: {N: [4, 2]}").replace("[B, ", "[N, ")
    )
    result = project.run("-k", "function")
    result.stdout.fnmatch_lines([f"{LOCK}:*: at: the function was recorded otherwise"])
    project.run("-k", "function", "--archcheck-update").assert_outcomes(passed=1)
    project.run("-k", "function").assert_outcomes(passed=1)


# ------------------------------------------------------------------------------------------- written


def test_an_update_writes_the_lock_before_the_spec_and_mends_what_a_crash_left(
    project: Project, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec.write_text(spec.read_text().replace("\ninput", "\nargs: {names: [first, act, last]}\ninput", 1))
    before = spec.read_text()

    def crash(path: Path, text: str) -> None:
        if path.name.endswith(".yaml"):
            raise OSError("no space left on device")
        path.write_text(text)

    with monkeypatch.context() as patch:
        patch.setattr("archcheck.pytest_plugin.session.write_atomically", crash)
        result = project.run("--archcheck-update")
    result.stdout.fnmatch_lines(["archcheck: not updated: no space left on device"])
    assert result.ret == 1
    assert spec.read_text() == before
    assert '"first": {' in lock_of(spec).read_text()
    project.run().assert_outcomes(passed=5, failed=1)  # the rows' names are not yet those of the network
    assert project.run("--archcheck-update").ret == 0
    assert "  first: " in spec.read_text()
    project.run("--archcheck-strict").assert_outcomes(passed=6)


def test_two_workers_write_one_lock(project: Project, spec: Path) -> None:
    lock = lock_of(spec)
    text = lock.read_text()
    lock.unlink()
    assert project.run("-n", "2", "--archcheck-update=new").ret == 0
    assert lock.read_text() == text


def test_new_overwrites_a_lock_only_where_it_is_meant(project: Project, spec: Path) -> None:
    spec.unlink()
    assert main(["new", "nets:net", "--input", "B,8", "--output", PATH]) == 2
    assert lock_of(spec).exists()
    project.write("chance.py", "import random\nfrom torch import nn\nclass Net(nn.Linear):\n"
                  "    def forward(self, x): return super().forward(x) * random.random()\n"
                  "def net(): return Net(8, 3)\n")  # fmt: skip
    assert main(["new", "chance:net", "--input", "B,8", "--output", PATH, "--force"]) == 0
    assert not lock_of(spec).exists()  # it was of another network


# ------------------------------------------------------------------------------------------- converted


def test_an_inline_record_is_refused_and_moved_by_an_update(project: Project, spec: Path) -> None:
    recorded = lock_of(spec).read_text()
    function = json.loads(recorded)["function"]
    inline = "\nfunction:  # recorded by archcheck, not written by hand\n" + "".join(
        f"  {key}: {json.dumps(value)}\n" for key, value in function.items()
    )
    text = spec.read_text()
    spec.write_text(f"{text}{inline}\ntraining: {{dataset: digits}}  # mine\n")
    lock_of(spec).unlink()
    result = project.run()
    result.assert_outcomes(failed=1)
    line = len(text.splitlines()) + 3
    assert told(result, f"{PATH}:{line}: function: what was recorded stands in a file of its own now")
    assert "move it there: --archcheck-update" in result.stdout.str()
    project.run("--archcheck-update").assert_outcomes(skipped=1)
    assert spec.read_text() == f"{text}\ntraining: {{dataset: digits}}  # mine\n"
    assert json.loads(lock_of(spec).read_text())["function"] == function
    project.run("-k", "function", "--archcheck-strict").assert_outcomes(passed=1)


def test_a_lock_named_by_a_shells_pattern_stands_for_its_spec(project: Project, spec: Path) -> None:
    project.run(PATH, LOCK, "-k", "shapes").assert_outcomes(passed=1)
    project.run(LOCK, "-k", "shapes").assert_outcomes(passed=1)
