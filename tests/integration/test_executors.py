"""Checks run by executors: real engines, real processes, and what may become of these."""

from __future__ import annotations

import importlib.util
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archcheck.cli.command_line import main
from tests.integration.processes import wait_for
from tests.integration.project import NETS, SMALL, Once, Project, lock_of

FACTORIES = """
def pool():
    from concurrent.futures import ProcessPoolExecutor
    return ProcessPoolExecutor(2)

def loky():
    import loky
    return loky.get_reusable_executor(max_workers=1)

def dask():
    from distributed import Client
    executor = Client(n_workers=1, threads_per_worker=1, dashboard_address=None).get_executor()
    executor.client = executor._client  # dask keeps no client that nobody holds
    return executor

def submitit():
    from archcheck.executors.submitit_executor import SubmititExecutor
    return SubmititExecutor("local", timeout_min=5)
"""
ENGINES = {
    "processes:2": "", "factories:pool": "", "factories:loky": "loky", "factories:dask": "distributed",
    "factories:submitit": "submitit", "ray": "ray",
}  # fmt: skip
CONFTEST = """
import sys

def pytest_sessionfinish():
    print("torch was imported:", "torch" in sys.modules)
"""
PLUGINS = ("-p", "archcheck.plugin")
FAULTS = """
import os, signal, time
from collections.abc import Iterator
from pathlib import Path
from torch import nn

HERE = Path(__file__).parent

def net():
    return nn.Linear(3, 2)

def dies():
    os._exit(7)

def crashes():
    import ctypes
    ctypes.string_at(0)

def dies_once():
    return _once(lambda: os.kill(os.getpid(), signal.SIGKILL))

def takes_its_host_along_once():
    return _once(lambda: os.kill(os.getppid(), signal.SIGKILL))

def takes_its_node_along_once():
    (HERE / "hanging.txt").write_text(str(os.getpid()))
    stat = Path("/proc", str(os.getppid()), "stat").read_text()
    raylet = int(stat.rpartition(")")[2].split()[1])
    return _once(lambda: (os.kill(raylet, signal.SIGKILL), time.sleep(1000)))

def slow():
    names = {"net_a", "net_b", "net_c"}
    until = time.monotonic() + 60
    while not all((HERE / name).exists() for name in names):
        assert time.monotonic() < until, "the others wait for this one"
        time.sleep(0.1)
    return net()

def net_a(): return _marked("net_a")
def net_b(): return _marked("net_b")
def net_c(): return _marked("net_c")

def _marked(name):
    (HERE / name).write_text("")
    return net()

def writes():
    (HERE / "weights.bin").write_bytes(b"0" * (4 << 20))
    return net()

def _once(act):
    mark = HERE / "mark.txt"
    if not mark.exists():
        mark.write_text("")
        act()
    return net()

def hangs():
    (HERE / "hanging.txt").write_text(str(os.getpid()))
    time.sleep(1000)
"""
MARKS = """
def pytest_runtest_logfinish(nodeid):
    if nodeid.endswith("::shapes"):
        name = nodeid.split("/")[-1].split(".")[0]
        (HERE / f"through-{name}").write_text("")
"""
LINEAR = "build: faults:{name}\ninput: [B, 3]\noutput: [B, 2]\nhealth: off\nfunction: off\n"


def write_specs(project: Project) -> None:
    """Write a spec that holds, one that doesn't, one that can't be read, and one whose network is another by now."""
    project.write("factories.py", FACTORIES)
    project.spec()
    project.broken("[B, 6, 14, 14]", "[B, 6, 12, 12]", name="wrong")
    project.spec("unreadable", "build: [\n")
    path = project.path / "specs" / "function.arch.yaml"
    assert main(["new", "nets:small", "--input", "B,1,28,28", "--output", str(path)]) == 0
    project.write("changed.py", NETS.replace("act=nn.ReLU()", "act=nn.GELU()"))
    path.write_text(path.read_text().replace("build: nets:small", "build: changed:small"))


def faulty(project: Project, *names: str) -> None:
    project.write("factories.py", FACTORIES)
    project.write("faults.py", FAULTS)
    for name in names:
        project.spec(name, LINEAR.format(name=name))


def run(project: Project, *args: str) -> pytest.RunResult:
    return project.pytest_elsewhere(*PLUGINS, "--archcheck", *args)


def found(project: Project, *args: str) -> dict[str, Any]:
    """Return what a run has found of each spec, without what no two runs share."""
    run(project, "--archcheck-report", "run.json", *args)
    specs: list[dict[str, Any]] = json.loads((project.path / "run.json").read_text())["specs"]
    for spec in specs:
        for check in spec["checks"]:
            check.pop("duration_sec", None)
    return {spec["spec"]: spec for spec in specs}


@pytest.mark.parametrize("engine", ENGINES)
def test_the_result_is_that_of_a_run_here(project: Project, once: Once, engine: str) -> None:
    if ENGINES[engine] and importlib.util.find_spec(ENGINES[engine]) is None:
        pytest.skip(f"{ENGINES[engine]} isn't installed")
    write_specs(project)
    here = once("here", lambda: found(project))
    failing = {name for name, spec in here.items() if any(one["outcome"] == "failed" for one in spec["checks"])}
    assert failing == {f"specs/{name}.arch.yaml" for name in ("unreadable", "wrong", "function")}
    assert found(project, "--archcheck-executor", engine) == here


def test_messages_updates_and_the_table_are_those_of_a_run_here(project: Project) -> None:
    write_specs(project)
    result = run(project, "--archcheck-executor", "processes:2", "--archcheck-update")
    assert "archcheck: checks run by processes:2" in result.outlines
    result.stdout.fnmatch_lines(
        ["specs/unreadable.arch.yaml:*", "* archcheck *", "*unreadable*FAILED*", "*wrong*updated*", "*answered by:*"]
    )
    assert "[B, 6, 14, 14]" in (project.path / "specs" / "wrong.arch.yaml").read_text()
    lock = lock_of(project.path / "specs" / "function.arch.yaml")
    assert "changed:small" in lock.read_text()


def test_failed_checks_run_again_alone(project: Project) -> None:
    write_specs(project)
    run(project, "--archcheck-executor", "processes:1", "-p", "cacheprovider")
    result = run(project, "--archcheck-executor", "processes:1", "--lf", "-p", "cacheprovider")
    result.assert_outcomes(failed=4)


def test_the_process_that_submits_needs_no_torch(project: Project) -> None:
    project.spec()
    project.write("conftest.py", CONFTEST)
    command = [sys.executable, "-m", "pytest", *PLUGINS, "--archcheck", "--archcheck-executor", "processes:1"]
    done = subprocess.run(command, cwd=project.path, capture_output=True, text=True, check=False)
    assert "5 passed" in done.stdout
    assert "torch was imported: False" in done.stdout


def test_checks_run_beside_ordinary_tests_in_the_order_of_collection(project: Project) -> None:
    project.write("pytest.ini", "[pytest]\narchcheck = specs\narchcheck_executor = processes:1\ntestpaths = tests\n")
    project.write("tests/test_one.py", "def test_one(tmp_path): pass\n")
    project.spec()
    result = project.pytest_elsewhere(*PLUGINS, "-v")
    result.assert_outcomes(passed=6)
    assert next(line.split("::")[0] for line in result.outlines if "PASSED" in line) == "tests/test_one.py"


def test_nothing_is_left_to_run_after_the_first_failure(project: Project) -> None:
    faulty(project, "dies", "hangs")
    result = run(project, "--archcheck-executor", "processes:2", "-x")
    result.assert_outcomes(failed=1)
    assert not is_running(project.path / "hanging.txt")


def is_running(mark: Path) -> bool:
    """Return whether the process that wrote its number to a file is there."""
    return mark.exists() and Path("/proc", mark.read_text()).exists()


@pytest.mark.parametrize("engine", ["processes:2", "factories:pool"])
def test_ctrl_c_leaves_no_process(project: Project, engine: str) -> None:
    faulty(project, "hangs", "net")
    command = [sys.executable, "-m", "pytest", *PLUGINS, "--archcheck", "--archcheck-executor", engine]
    process = subprocess.Popen(command, cwd=project.path, stdout=subprocess.PIPE, text=True)
    mark = project.path / "hanging.txt"
    wait_for(lambda: mark.exists() and bool(mark.read_text()))
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in output
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    wait_for(lambda: not is_running(mark))


def test_ctrl_c_keeps_what_was_found_behind_a_check_that_hangs(project: Project) -> None:
    faulty(project, "hangs", "net")
    project.spec("wrong", LINEAR.format(name="net").replace("B, 2", "B, 9"))
    project.write("conftest.py", "import pathlib\nHERE = pathlib.Path(__file__).parent\n" + MARKS)
    command = [sys.executable, "-m", "pytest", *PLUGINS, "--archcheck", "--archcheck-report", "run.json"]
    command += ["--archcheck-executor", "processes:2"]
    process = subprocess.Popen(command, cwd=project.path, stdout=subprocess.PIPE, text=True)
    wait_for(lambda: (project.path / "through-wrong").exists() and (project.path / "hanging.txt").exists())
    time.sleep(1)  # the answer is on its way
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    specs = json.loads((project.path / "run.json").read_text())["specs"]
    found = {spec["name"]: [check["outcome"] for check in spec["checks"]] for spec in specs}
    assert found == {"net": ["passed", "passed"], "wrong": ["passed", "failed"]}


def test_warnings_that_are_errors_are_none_of_the_host_s(project: Project) -> None:
    faulty(project, "net")
    command = [sys.executable, "-m", "pytest", "-W", "error", *PLUGINS, "--archcheck", "--archcheck-executor"]
    done = subprocess.run([*command, "processes:1"], cwd=project.path, capture_output=True, text=True, check=False)
    assert "2 passed" in done.stdout


def test_a_check_that_ends_its_process_fails_with_the_reason_and_others_go_on(project: Project) -> None:
    faulty(project, "dies", "dies_once", "net")
    result = run(project, "--archcheck-executor", "processes:1")
    result.stdout.fnmatch_lines(
        ["specs/dies.arch.yaml:1: not verified: the process that ran it ended with status 7", "*dies.arch.yaml*FAILED*"]
    )
    assert not [line for line in result.outlines if line.startswith("FAILED") and "specs/dies.arch.yaml" not in line]
    assert (project.path / "mark.txt").exists()
    result.assert_outcomes(failed=2, passed=4)


def test_a_check_that_takes_too_long_fails_alone(project: Project) -> None:
    faulty(project, "hangs", "net")
    result = run(project, "--archcheck-executor", "processes:1", "--archcheck-item-timeout", "20", "-k", "shapes")
    result.assert_outcomes(failed=1, passed=1)
    at = f"faults.py:{FAULTS.splitlines().index('    time.sleep(1000)') + 1}, in hangs"
    result.stdout.fnmatch_lines([f"*not verified: it took longer than 20 s (--archcheck-item-timeout) at {at}"])


def test_a_crash_of_native_code_is_told_with_the_line_that_called_it(project: Project) -> None:
    faulty(project, "crashes")
    result = run(project, "--archcheck-executor", "processes:1", "-k", "spec")
    at = f"faults.py:{FAULTS.splitlines().index('    ctypes.string_at(0)') + 1}, in crashes"
    killed = f"the process that ran it was killed by signal 11 at {at}"
    result.stdout.fnmatch_lines([f"specs/crashes.arch.yaml:1: not verified: {killed}"])


def test_a_worker_of_a_pool_that_is_killed_loses_nothing(project: Project) -> None:
    faulty(project, "takes_its_host_along_once", "net")
    result = run(project, "--archcheck-executor", "factories:pool")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["archcheck: the executor broke (*requests are submitted to another"])


def test_a_host_looks_at_nothing_but_what_is_asked_for(project: Project) -> None:
    """What lies beside a spec would be looked at for each: in a folder of a thousand that takes longer than a check."""
    faulty(project, "net")
    for folder in ("elsewhere", "specs/inner"):
        project.write(f"{folder}/net.arch.yaml", LINEAR.format(name="net"))
    project.write(
        "conftest.py",
        """
        def pytest_collect_file(file_path, parent):
            if not parent.config.pluginmanager.has_plugin("archcheck-executor"):  # which is where it is submitted
                with open("looked-at.txt", "a") as file:
                    print(file_path.parent.name, file_path.name, file=file)
        """,
    )
    run(project, "--archcheck-executor", "processes:1", "specs").assert_outcomes(passed=4)
    assert (project.path / "looked-at.txt").read_text().splitlines() == ["inner net.arch.yaml", "specs net.arch.yaml"]


def test_a_package_of_specs_is_set_up_on_a_host(project: Project) -> None:
    faulty(project)
    project.write("specs/deep/__init__.py", "def setup_module():\n    open('set-up.txt', 'w').close()\n")
    project.write("specs/deep/conftest.py", "import pytest\n@pytest.fixture(autouse=True)\ndef width(): assert False\n")
    project.write("specs/deep/net.arch.yaml", LINEAR.format(name="net"))
    run(project, "--archcheck-executor", "processes:1").assert_outcomes(errors=2)
    assert (project.path / "set-up.txt").exists()


def verdicts(project: Project) -> dict[str, list[str]]:
    """Return what a report says of each spec's checks, in which none is there twice."""
    specs = json.loads((project.path / "run.json").read_text())["specs"]
    assert len({spec["spec"] for spec in specs}) == len(specs)
    assert all(len({one["check"] for one in spec["checks"]}) == len(spec["checks"]) for spec in specs)
    return {spec["name"]: [check["outcome"] for check in spec["checks"]] for spec in specs}


# In a process of its own: importing Ray puts other folders first on sys.path.
CLUSTER = """
import sys
from ray.cluster_utils import Cluster

noticed_soon = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500}
head = {"num_cpus": 0, "include_dashboard": False, "_system_config": noticed_soon}
cluster = Cluster(initialize_head=True, head_node_args=head)
try:
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    print("address", cluster.address, flush=True)
    sys.stdin.read()
finally:
    cluster.shutdown()
"""


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cluster of Ray's with two nodes of a processor each, beside the head, which runs nothing."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs Ray")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # as where the run is started
    with subprocess.Popen(
        [sys.executable, "-c", CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        address = next(line.split()[1] for line in process.stdout if line.startswith("address "))
        monkeypatch.setenv("RAY_ADDRESS", address)
        yield
        process.communicate()


@pytest.mark.usefixtures("nodes")
def test_a_node_of_a_cluster_that_is_lost_loses_nothing_and_leaves_no_process(project: Project) -> None:
    faulty(project, "net_a", "net_b", "net_c", "takes_its_node_along_once")
    run(project, "--archcheck-executor", "ray", "--archcheck-report", "run.json").assert_outcomes(passed=8)
    passed = ["passed", "passed"]
    assert verdicts(project) == dict.fromkeys(["net_a", "net_b", "net_c", "takes_its_node_along_once"], passed)
    wait_for(lambda: not is_running(project.path / "hanging.txt"))


def test_a_worker_of_dask_s_that_is_killed_loses_nothing(project: Project) -> None:
    if importlib.util.find_spec("distributed") is None:  # to import it changes how metadata is found
        pytest.skip("needs dask")
    faulty(project, "takes_its_host_along_once", "net")
    run(project, "--archcheck-executor", "factories:dask", "--archcheck-report", "run.json").assert_outcomes(passed=4)
    assert verdicts(project) == {"takes_its_host_along_once": ["passed"] * 2, "net": ["passed"] * 2}


def test_others_go_on_beside_a_slow_host(project: Project) -> None:
    faulty(project, "net_a", "net_b", "net_c", "slow")
    (project.path / "specs" / "slow.arch.yaml").rename(project.path / "specs" / "a_slow.arch.yaml")
    run(project, "--archcheck-executor", "factories:pool").assert_outcomes(passed=8)


def test_on_a_host_whose_disk_is_full_what_writes_fails_and_others_go_on(project: Project) -> None:
    faulty(project, "writes", "net")
    project.write(
        "disks.py",
        """
        import resource
        from concurrent.futures import ProcessPoolExecutor

        def no_file_may_grow():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

        def full():
            return ProcessPoolExecutor(1, initializer=no_file_may_grow)
        """,
    )
    result = run(project, "--archcheck-executor", "disks:full", "--archcheck-report", "run.json")
    assert verdicts(project) == {"net": ["passed", "passed"], "writes": ["failed", "failed"]}
    result.stdout.fnmatch_lines(["specs/writes.arch.yaml:1:*File too large*"])


@pytest.mark.parametrize("engine", ["processes:1", "factories:pool"])
def test_what_can_be_read_on_the_host_alone_is_lost_with_the_reason(project: Project, engine: str) -> None:
    faulty(project, "net", "net_a")
    project.write(
        "conftest.py",
        """
        import pytest

        class OfTheHost:
            def __reduce__(self):
                return __import__, ("no_such_module",)

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item):
            report = yield
            if item.nodeid.endswith("net.arch.yaml::shapes"):
                report.extra = OfTheHost()
            return report
        """,
    )
    result = run(project, "--archcheck-executor", engine, "--archcheck-report", "run.json")
    assert verdicts(project) == {"net": ["passed", "failed"], "net_a": ["passed", "passed"]}
    result.stdout.fnmatch_lines(
        ["specs/net.arch.yaml:3: not verified: what * has found can't be read here: ModuleNotFoundError: *"]
    )


def test_what_cannot_be_sent_is_lost_with_the_reason(project: Project) -> None:
    faulty(project, "net")
    project.write(
        "conftest.py",
        """
        import pytest

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item):
            report = yield
            if item.name == "shapes":
                report.extra = lambda: None
            return report
        """,
    )
    result = run(project, "--archcheck-executor", "processes:1")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["specs/net.arch.yaml:3: not verified: what it found can't be sent: *"])


# ------------------------------------------------------------------------------------------- other hosts


def elsewhere(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the project, as another host has it at another path."""
    copy = project.path.parent / f"{project.path.name}-elsewhere"
    shutil.copytree(project.path, copy)
    monkeypatch.setenv("ARCHCHECK_ROOT", str(copy))
    return copy


def test_a_host_may_have_the_checkout_elsewhere(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    write_specs(project)
    elsewhere(project, monkeypatch)
    result = run(project, "--archcheck-executor", "processes:1", "--archcheck-update", "-k", "wrong")
    result.assert_outcomes(passed=5)
    assert "[B, 6, 14, 14]" in (project.path / "specs" / "wrong.arch.yaml").read_text()


@pytest.mark.parametrize("name", ["nets.py", "specs/small.arch.yaml"])
def test_a_host_with_another_version_of_a_file_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    project.spec()
    copy = elsewhere(project, monkeypatch)
    (copy / name).write_text((copy / name).read_text() + "\n# newer\n")
    result = run(project, "--archcheck-executor", "processes:1")
    result.assert_outcomes(failed=5)
    result.stdout.re_match_lines(
        [
            r"specs/small.arch.yaml:1: not verified: .* has refused it: its sources in .* differ "
            r"\(digest [0-9a-f]{16}, [0-9a-f]{16} where the run was started\)"
        ]
    )


def test_a_host_without_the_spec_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.spec()
    shutil.rmtree(elsewhere(project, monkeypatch))
    result = run(project, "--archcheck-executor", "processes:1", "-k", "shapes")
    result.stdout.fnmatch_lines(["*refused it: there is no specs/small.arch.yaml in *, nor where ARCHCHECK_ROOT says"])


def test_a_host_on_which_no_process_can_be_started_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where its disk is full: there is nowhere to keep what processes write."""
    project.spec()
    project.write(
        "factories.py",
        """
        import tempfile
        from concurrent.futures import ThreadPoolExecutor

        def full():
            def no_space(*args, **kwargs):
                raise OSError(28, "No space left on device")
            import archcheck.executors.host as host
            host.tempfile.TemporaryFile = no_space
            return ThreadPoolExecutor(1)
        """,
    )
    result = run(project, "--archcheck-executor", "factories:full", "-k", "shapes")
    result.stdout.fnmatch_lines(["*has refused it: OSError: *No space left on device"])


# ------------------------------------------------------------------------------------------- the command line


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--archcheck-executor", "nosuch"], "--archcheck-executor: expected processes[[]:N], ray, slurm, or*'nosuch'"),
        (["--archcheck-executor", "processes", "-n2"], "*executor and -n can't be used together: one of them*"),
        (["--archcheck-executor", "processes", "--archcheck-against", "HEAD"], "*--archcheck-against can't be used*"),
        (["--archcheck-executor", "processes", "--pdb"], "*--pdb can't be used together: *"),
        (["--archcheck-executor", "processes", "--archcheck-item-timeout", "soon"], "*number of seconds above 0*soon"),
        (["--archcheck-executor", "processes", "--archcheck-item-timeout", "0"], "*a number of seconds above 0*0"),
        (["--archcheck-item-timeout", "3"], "--archcheck-item-timeout is for --archcheck-executor*pytest-timeout*"),
        (["--archcheck-shard", "9/8"], "--archcheck-shard: expected I/N with I from 1 to N, such as 2/8, found 9/8"),
        (["--archcheck-shard", "0/8"], "--archcheck-shard: expected I/N*found 0/8"),
        (["--archcheck-shard", "half"], "--archcheck-shard: expected I/N*found half"),
        (["--archcheck-durations", "run.json"], "--archcheck-durations does nothing without --archcheck-shard"),
        (["--archcheck-shard", "1/2", "--archcheck-durations", "no.json"], "--archcheck-durations *no.json: can't be*"),
    ],
)  # fmt: skip
def test_bad_options_are_told_in_one_line(project: Project, args: list[str], message: str) -> None:
    project.spec()
    result = project.run(*args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


# ------------------------------------------------------------------------------------------- shards


def test_shards_share_out_the_specs_by_how_long_they_took_and_join_to_one_page(project: Project) -> None:
    for name in ("a", "b", "c"):
        project.spec(name)
    project.run("--archcheck-report", "before.json")
    record = json.loads((project.path / "before.json").read_text())
    for spec in record["specs"]:
        for check in spec["checks"]:
            check["duration_sec"] = 10.0 if spec["spec"].startswith("specs/c") else 1.0
    (project.path / "before.json").write_text(json.dumps(record))
    by = ("--archcheck-durations", "before.json")
    one = project.run("--archcheck-shard", "1/2", *by, "--archcheck-report", "1.json")
    one.stdout.fnmatch_lines(["archcheck: shard 1/2: 1 of 3 specs"])
    one.assert_outcomes(passed=5, deselected=10)
    two = project.run("--archcheck-shard", "2/2", *by, "--archcheck-report", "2.json")
    two.assert_outcomes(passed=10, deselected=5)
    assert "specs/c.arch.yaml" in one.stdout.str()
    assert "specs/c.arch.yaml" not in two.stdout.str()
    assert main(["report", "1.json", "2.json", "--output", "all.json"]) == 0
    joined = json.loads((project.path / "all.json").read_text())
    assert sorted(spec["spec"] for spec in joined["specs"]) == [f"specs/{name}.arch.yaml" for name in "abc"]
    assert joined["verdict"] == "passed"


def test_a_shard_without_specs_is_no_failure(project: Project) -> None:
    project.spec("small", SMALL)
    assert project.run("--archcheck-shard", "2/2").ret == pytest.ExitCode.OK


@pytest.mark.parametrize("option", ["--archcheck-executor=processes", "--archcheck-shard=1/2"])
def test_without_specs_to_verify_the_options_mean_nothing(project: Project, option: str) -> None:
    result = project.pytest(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    name = option.partition("=")[0]
    result.stderr.fnmatch_lines([f"ERROR: {name} does nothing without --archcheck"])
