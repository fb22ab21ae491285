"""The pytest plugin's options and wiring. Everything heavy is imported only where specs are to be verified."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from archcheck.checks.registry import CHECKS
from archcheck.spec.file_names import SUFFIX

if TYPE_CHECKING:
    from archcheck.pytest_plugin.fixture import Archcheck
    from archcheck.pytest_plugin.spec_paths import SpecPaths

SESSION = "archcheck-session"  # the name of the plugin that a run has where it verifies specs
CHOSE_DIST = pytest.StashKey[bool]()  # whether the user said how pytest-xdist distributes


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of archcheck."""
    group = parser.getgroup("archcheck", "archcheck: neural network architectures")
    group.addoption(
        "--archcheck",
        action="store_true",
        help="verify the spec files (*.arch.yaml) in the paths given, or in archcheck_paths where none is",
    )
    update = "--archcheck-update"
    # Three options rather than one with an optional value: a path after the bare flag stays a path.
    for option, mode, what in (
        (update, "changed", "rewrite recorded values that differ from what is measured, in place"),
        (f"{update}=new", "new", "add recorded sections that are absent"),
        (f"{update}=all", "all", "both"),
    ):
        group.addoption(option, action="store_const", const=mode, dest="archcheck_update", default=None, help=what)
    _add_training_options(group)
    group.addoption(
        "--archcheck-against",
        metavar="REV",
        help="hold `throughput` against this git revision, measured turn by turn with this tree",
    )
    group.addoption(
        "--archcheck-changed",
        action="store_true",
        help="leave out what has passed and would again: nothing that it depends on has changed since",
    )
    group.addoption("--archcheck-strict", action="store_true", help="fail what could not be measured, not skip it")
    group.addoption(
        "--archcheck-report",
        action="append",
        metavar="FILE",
        default=[],
        help="write the whole result to FILE.html, FILE.md or FILE.json; auto: to the summary of a job of GitHub "
        "Actions, where there is one; may be given several times",
    )
    _add_executor_options(group)
    _add_shard_options(group)
    parser.addini("archcheck_executor", "what runs the checks of --archcheck, as --archcheck-executor", default="")
    parser.addini(
        "archcheck", "where the spec files are that pytest verifies beside its tests", type="args", default=[]
    )
    parser.addini("archcheck_paths", "where --archcheck looks for spec files (default: specs)", type="args", default=[])


def _add_executor_options(group: pytest.OptionGroup) -> None:
    group.addoption(
        "--archcheck-executor",
        metavar="EXECUTOR",
        help="have the checks run elsewhere: processes[:N] on this machine, ray, slurm, or module:function, which "
        "returns anything with a method submit",
    )
    group.addoption(
        "--archcheck-item-timeout",
        metavar="SEC",
        help="end a check that an executor runs after so many seconds; it has failed",
    )


def _add_shard_options(group: pytest.OptionGroup) -> None:
    group.addoption(
        "--archcheck-shard",
        metavar="I/N",
        help="verify one of N parts of the specs, such as 2/8, for jobs that share out a run",
    )
    group.addoption(
        "--archcheck-durations",
        metavar="RUN.json",
        help="share out by how long checks took in an earlier run, as --archcheck-report RUN.json wrote it",
    )


def _add_training_options(group: pytest.OptionGroup) -> None:
    group.addoption(
        "--archcheck-train",
        choices=("auto", "quick", "full", "off"),
        default="auto",
        help="which recipe to train by; auto: the full one on an accelerator, the quick one elsewhere",
    )
    group.addoption(
        "--archcheck-device",
        metavar="DEVICE",
        default="auto",
        help="auto (the accelerator, else the CPU), or any that torch knows: cpu, cuda, cuda:1, xpu, mps",
    )
    group.addoption("--archcheck-seed", type=int, metavar="N", help="train with this seed instead of the spec's")
    group.addoption("--archcheck-data", metavar="DIR", help="where data sets are (default: $ARCHCHECK_DATA)")
    group.addoption("--archcheck-download", action="store_true", help="download data sets that are missing")
    group.addoption(
        "--archcheck-data-budget",
        metavar="SIZE",
        help="keep at most so much of a data set on the device, such as 2 GiB, and stream what is larger "
        "(default: a quarter of the free memory)",
    )
    group.addoption(
        "--archcheck-checkpoints", metavar="DIR", help="save each spec's best network as DIR/NAME/model_ACC.pt"
    )


def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    """Decide how torch's threads wait, and watch what results depend on, before a conftest.py imports anything.

    Plugins that set environment variables are through by then: these come first, and pytest's own hook last.

    Raises:
        pytest.UsageError: an option of ours has made pytest's rootdir another.
    """
    options = early_config.known_args_namespace
    if any(str(one).startswith("--archcheck-") for one in args):
        from archcheck.pytest_plugin.rootdir import require_own_rootdir

        require_own_rootdir(early_config, args)
    if options.archcheck:
        from archcheck.system.processors import let_waiting_threads_yield

        let_waiting_threads_yield()
    if options.archcheck_changed:
        from archcheck.pytest_plugin.changed import start_watching

        start_watching(early_config)


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, object, object]:
    """Keep whether the user said how pytest-xdist distributes, before it puts in what it does by default."""
    config.stash[CHOSE_DIST] = config.getoption("dist", "no") != "no" or config.getoption("distload", False)
    return (yield)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and where specs are to be verified the collector and the report."""
    config.addinivalue_line("markers", "archcheck: verifies a spec file (archcheck)")
    for check, what in CHECKS.items():
        config.addinivalue_line("markers", f"archcheck_{check}: verifies {what} (archcheck)")
    paths = _spec_paths(config)
    if paths is None:
        _refuse_what_needs_specs(config)
        return
    if config.getoption("archcheck_against") == "":
        raise pytest.UsageError("--archcheck-against: expected a revision, such as main or HEAD^, found nothing")
    from archcheck.pytest_plugin.session import ArchcheckSession

    session = ArchcheckSession(config, paths, chose_dist=config.stash.get(CHOSE_DIST, True))
    config.pluginmanager.register(session, SESSION)
    _register_executor(config)
    _register_shard(config)
    if config.getoption("archcheck_report"):
        from archcheck.pytest_plugin.reporting import ReportSession
        from archcheck.pytest_plugin.workers import REPORT

        config.pluginmanager.register(ReportSession(config, session), REPORT)
    if config.getoption("archcheck_changed"):
        from archcheck.pytest_plugin.changed import ChangedSession
        from archcheck.pytest_plugin.workers import CHANGED

        config.pluginmanager.register(ChangedSession(config, session), CHANGED)


def _register_executor(config: pytest.Config) -> None:
    name = config.getoption("archcheck_executor") or config.getini("archcheck_executor")
    if not name:
        if config.getoption("archcheck_item_timeout") is not None:
            raise pytest.UsageError(
                "--archcheck-item-timeout is for --archcheck-executor; without one, pytest-timeout ends what takes long"
            )
        return
    from archcheck.pytest_plugin.workers import EXECUTOR, is_worker

    if not is_worker(config):
        from archcheck.pytest_plugin.executing import ExecutorSession

        config.pluginmanager.register(ExecutorSession(config, name), EXECUTOR)


def _register_shard(config: pytest.Config) -> None:
    if config.getoption("archcheck_shard") is not None:
        from archcheck.pytest_plugin.sharding import ShardSession

        config.pluginmanager.register(ShardSession(config))
    elif config.getoption("archcheck_durations") is not None:
        raise pytest.UsageError("--archcheck-durations does nothing without --archcheck-shard")


def _spec_paths(config: pytest.Config) -> SpecPaths | None:
    if not config.getoption("archcheck") and not config.getini("archcheck"):
        return None
    from archcheck.pytest_plugin.spec_paths import choose_paths

    return choose_paths(config)


def _refuse_what_needs_specs(config: pytest.Config) -> None:
    for option in ("update", "against", "changed", "report", "executor", "shard"):
        # In `addopts` these may stand for the runs that verify specs.
        is_meant = option in ("update", "against") or _is_typed(config, f"--archcheck-{option}")
        if config.getoption(f"archcheck_{option}") and is_meant:
            raise pytest.UsageError(f"--archcheck-{option} does nothing without --archcheck")
    if any(SUFFIX in argument for argument in config.args):
        from archcheck.pytest_plugin.spec_paths import refuse_specs

        refuse_specs(config)


def _is_typed(config: pytest.Config, option: str) -> bool:
    return any(str(one).split("=")[0] == option for one in config.invocation_params.args)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    """Say how specs are verified, where there was nothing but specs."""
    found_nothing = exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and not terminalreporter.stats.get("deselected")
    if found_nothing and not config.pluginmanager.has_plugin(SESSION):
        from archcheck.pytest_plugin.spec_paths import overlooked_specs

        command = overlooked_specs(config)
        if command is not None:
            terminalreporter.write_line(f"archcheck: there are specs, which are verified by: {command}")


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, object]) -> None:
    """Say in pytest-benchmark's files what was timed on."""
    if config.pluginmanager.has_plugin(SESSION):
        from archcheck.pytest_plugin.options import machine_facts

        machine_info["archcheck"] = machine_facts(config)


@pytest.fixture
def archcheck(request: pytest.FixtureRequest) -> Archcheck:
    """Verify a spec, or summarise a model, from a hand-written test: `archcheck.verify(...)`, `archcheck.summary(...)`.

    Paths of specs count from the test file's folder, or else from pytest's rootdir.
    """
    from archcheck.pytest_plugin.fixture import Archcheck

    return Archcheck(Path(request.path).parent, request.config.rootpath)
