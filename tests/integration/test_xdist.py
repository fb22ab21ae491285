"""`pytest --archcheck -n 2`: two workers verify specs of all kinds, in one run that each test looks at."""

from __future__ import annotations

import re

import pytest

from archcheck.cli.command_line import main
from tests.integration.project import NETS, SMALL, Once, Project
from tests.integration.throughput.timed_project import NETS as TIMED
from tests.integration.throughput.timed_project import SPEC as THROUGHPUT
from tests.integration.training.toys import SETS, TOYS, scripted

ITEM = re.compile(r"^\[(gw\d)\] .*(PASSED|FAILED|SKIPPED) (specs/\S+|tests/\S+|elsewhere/\S+)", re.MULTILINE)


def write_structure(project: Project) -> None:
    """Write a spec that holds and one that does not, and what is not to be collected beside them."""
    project.spec()
    project.broken("[B, 6, 14, 14]", "[B, 6, 12, 12]", name="wrong")
    project.write("pytest.ini", "[pytest]\ntestpaths = tests\n")
    project.write("tests/test_one.py", "def test_one(): pass\n")
    project.write("elsewhere/other.arch.yaml", SMALL)


def write_function(project: Project) -> None:
    """Write a spec with the function of a network whose activation is another one by now."""
    path = project.path / "specs" / "function.arch.yaml"
    assert main(["new", "nets:small", "--input", "B,1,28,28", "--output", str(path)]) == 0
    project.write("changed.py", NETS.replace("act=nn.ReLU()", "act=nn.GELU()"))
    path.write_text(path.read_text().replace("build: nets:small", "build: changed:small"))


def write_training(project: Project) -> None:
    """Write a spec that reaches its accuracy and one that does not."""
    project.write("toys.py", TOYS)
    project.write("sets.py", SETS)
    project.spec("a", scripted([0.25, 0.75], 0.7))
    project.spec("b", scripted([0.25, 0.5], 0.7))


def write_throughput(project: Project) -> None:
    """Write a spec whose network is to be timed, and claimed to be faster than another."""
    project.write("fast.py", TIMED)
    project.spec("other", "build: fast:net\ninput: [B, 3]\n")
    project.spec("net", THROUGHPUT + "claims:\n  faster_than: {spec: other, by: 2.0}\n")


@pytest.fixture
def result(project: Project, once: Once) -> pytest.RunResult:
    def run() -> pytest.RunResult:
        for write in (write_structure, write_function, write_training, write_throughput):
            write(project)
        # pytest-benchmark goes by its own name here, as it is loaded where nothing is switched off.
        plugins = [option for name in ("archcheck.plugin", "xdist.plugin", "benchmark") for option in ("-p", name)]
        return project.pytest_elsewhere(*plugins, "--archcheck", "-n", "2", "-v", "-rsf")

    return once("two workers", run)


def outcomes(result: pytest.RunResult) -> dict[str, dict[str, str]]:
    """Return the outcomes of each file's items, by check."""
    found: dict[str, dict[str, str]] = {}
    for _, outcome, item in ITEM.findall(result.stdout.str()):
        path, check = item.split("::")
        found.setdefault(path, {})[check] = outcome
    return found


def test_two_workers_verify_the_same(result: pytest.RunResult) -> None:
    sound = dict.fromkeys(("spec", "shapes", "parameters", "compute", "health"), "PASSED")
    assert outcomes(result)["specs/small.arch.yaml"] == sound
    assert outcomes(result)["specs/wrong.arch.yaml"] == sound | {"shapes": "FAILED"}
    result.stdout.fnmatch_lines(
        [
            "specs/wrong.arch.yaml:5: pool: output shape differs",
            "specs/wrong.arch.yaml * nets:small * 11_926 * ok * FAILED * ok * ok * ok *",
            "specs/small.arch.yaml * nets:small * 11_926 * ok * ok * ok * ok * ok *",
            "FAILED specs/wrong.arch.yaml::shapes - pool: output shape differs",
        ]
    )


def test_workers_look_where_the_controller_looks(result: pytest.RunResult) -> None:
    specs = ("a", "b", "function", "net", "other", "small", "wrong")
    assert sorted(outcomes(result)) == [f"specs/{name}.arch.yaml" for name in specs]


def test_the_checks_of_a_spec_run_in_one_process(result: pytest.RunResult) -> None:
    workers: dict[str, set[str]] = {}
    for worker, _, item in ITEM.findall(result.stdout.str()):
        workers.setdefault(item.split("::")[0], set()).add(worker)
    workers.pop("specs/net.arch.yaml")  # what is timed of it may be another's
    assert {len(found) for found in workers.values()} == {1}
    assert set.union(*workers.values()) == {"gw0", "gw1"}


def test_two_workers_find_the_layer_whose_function_differs(result: pytest.RunResult) -> None:
    assert outcomes(result)["specs/function.arch.yaml"]["function"] == "FAILED"
    path = "specs/function.arch.yaml"
    result.stdout.fnmatch_lines([f"FAILED {path}::function - act: the output differs*"])


def test_two_workers_train_the_same(result: pytest.RunResult) -> None:
    assert outcomes(result)["specs/a.arch.yaml"]["accuracy"] == "PASSED"
    assert outcomes(result)["specs/b.arch.yaml"]["accuracy"] == "FAILED"
    result.stdout.fnmatch_lines(["specs/a.arch.yaml  quick *0.750*0.750*", "specs/b.arch.yaml  quick *0.500*0.500*"])
    assert "epoch 1/2" not in result.stdout.str()


def test_what_is_timed_is_timed_at_the_end(result: pytest.RunResult) -> None:
    timed = outcomes(result)["specs/net.arch.yaml"]
    # Its own rate is measured and has nothing to be held against; what it claims of another is wrong.
    assert (timed["throughput"], timed["claims"]) == ("SKIPPED", "FAILED")
    result.stdout.fnmatch_lines_random(
        ["SKIPPED [[]1[]] specs/net.arch.yaml:3: no saved run*", "*spec *mode *examples/s*"]
    )
    order = [item for _, _, item in ITEM.findall(result.stdout.str())]
    assert {item.partition("::")[0] for item in order[-2:]} == {"specs/net.arch.yaml"}
    assert {item.partition("::")[2] for item in order[-2:]} == {"throughput", "claims"}
    output = result.stdout.str() + result.stderr.str()
    assert "Benchmarks are automatically disabled" not in output
    assert "INTERNALERROR" not in output
    assert "Traceback" not in output


def write_timed(project: Project) -> None:
    project.write("fast.py", TIMED)
    for name in "ab":
        project.spec(name, THROUGHPUT)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--dist", "load"], "as items are distributed, several run at a time, so that none can be timed; *"),
        (["--benchmark-autosave"], "under pytest-xdist pytest-benchmark saves and reports nothing; run it without -n"),
        (["--benchmark-disable"], "timing is switched off (--benchmark-disable)"),
        (["-p", "no:benchmark"], "timing needs pytest-benchmark, which is switched off (-p no:benchmark)"),
    ],
)
def test_what_cannot_be_timed_in_workers_says_so(project: Project, options: list[str], reason: str) -> None:
    write_timed(project)
    plugins = ["-p", "archcheck.plugin", "-p", "xdist.plugin"]
    plugins += [] if "no:benchmark" in options else ["-p", "benchmark"]
    result = project.pytest_elsewhere(*plugins, "--archcheck", "-n", "2", "-rs", "-m", "archcheck_throughput", *options)
    for name in "ab":
        result.stdout.fnmatch_lines_random([f"SKIPPED [[]1[]] specs/{name}.arch.yaml:3: {reason}"])


def test_whoever_distributes_otherwise_has_nothing_timed(project: Project) -> None:
    write_timed(project)
    project.write(
        "conftest.py",
        """
        from xdist.scheduler import LoadScheduling
        def pytest_xdist_make_scheduler(config, log):
            return LoadScheduling(config, log)
        """,
    )
    plugins = [option for name in ("archcheck.plugin", "xdist.plugin", "benchmark") for option in ("-p", name)]
    result = project.pytest_elsewhere(*plugins, "--archcheck", "-n", "2", "-rs", "-m", "archcheck_throughput")
    result.stdout.fnmatch_lines_random(["SKIPPED [[]1[]] specs/a.arch.yaml:3: as items are distributed, several run *"])


SCHEDULER = """
def pytest_sessionstart(session):
    made = session.config.hook.pytest_xdist_make_scheduler(config=session.config, log=None)
    print("SCHEDULER", type(made).__name__)
"""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--archcheck", "-n", "2"], "WholeSpecScheduling"),
        (["-o", "archcheck=specs", "-n", "2"], "WholeSpecScheduling"),
        (["--archcheck", "-n", "2", "--dist", "loadfile"], "NoneType"),
        (["--archcheck", "-n", "2", "--dist", "load"], "NoneType"),
        (["--archcheck", "-n", "2", "-o", "addopts=--dist=worksteal"], "NoneType"),
        (["--archcheck", "-d", "--tx", "2*popen"], "NoneType"),
        (["-n", "2"], "NoneType"),
    ],
)
def test_who_says_how_tests_are_distributed_has_the_say(project: Project, options: list[str], expected: str) -> None:
    project.spec()
    project.write("conftest.py", SCHEDULER)
    plugins = [option for plugin in project.plugins for option in ("-p", plugin)]
    # Only collecting, xdist starts no workers, and has no scheduler of its own.
    result = project.pytester.runpytest_inprocess(*plugins, "--collect-only", "-s", *options)
    result.stdout.fnmatch_lines([f"SCHEDULER {expected}"])
