"""`--archcheck-changed`: what was green and would be again is left out, counted, and told."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from archcheck.dependencies.conditions import MACHINE, THREADS, Conditions, conditions
from archcheck.dependencies.facts import Surroundings, distribution_fact, file_fact
from archcheck.dependencies.recorder import Recorder
from archcheck.dependencies.selection import MEASURED, Selection
from archcheck.dependencies.store import Green, SpecRecord, Store, StoreError, read_store, write_store
from archcheck.dependencies.used import Used
from archcheck.network.imports import file_of
from archcheck.pytest_plugin.items import SELECTION_KEY, CheckItem, SpecModule, UnchangedItem
from archcheck.pytest_plugin.options import num_threads
from archcheck.pytest_plugin.session import ArchcheckSession
from archcheck.pytest_plugin.worker_devices import PLACE
from archcheck.pytest_plugin.workers import HOST_KEY, SHARE_KEY, is_worker
from archcheck.spec.file_names import lock_path
from archcheck.text.paths import path_from

_FOLDER, _FILE = "archcheck", "unchanged.json"
_OUTPUT = "archcheck_changed"  # what a worker sends
_TIMED: Final = ("throughput", "claims")
# Every check runs these, and what they require.
_ALWAYS: Final = ("pytest_archcheck", "torch", "torchvision", "pytest", "numpy")
_WITHOUT_EFFECT: Final = {
    "archcheck_changed", "archcheck_report", "archcheck_strict", "archcheck_update",
    "archcheck_executor", "archcheck_item_timeout", "archcheck_shard", "archcheck_durations",
    "loadgroup",  # which pytest-xdist sets
}  # fmt: skip
# On other machines these may be others: engines set variables, and only what is trained goes by the processor.
_OF_MACHINES: Final = frozenset((MACHINE, THREADS, "the devices"))
_OF_HOSTS: Final = _OF_MACHINES | {"the environment"}
_OTHER_OPTIONS: Final = ("confcutdir", "importmode", "noconftest", "override_ini", "pythonwarnings")
_TOLD_AT_MOST = 10  # specs that run every time

WATCH_KEY = pytest.StashKey[Recorder]()
OPTIONS_KEY = pytest.StashKey[frozenset[str]]()  # those that there are before a `conftest.py` adds its own


def start_watching(config: pytest.Config) -> None:
    """Begin to watch what the code of this process reads and imports, until pytest is through."""
    recorder = config.stash[WATCH_KEY] = Recorder(Surroundings(sys.path))
    config.stash[OPTIONS_KEY] = frozenset(vars(config.known_args_namespace))
    recorder.start()
    config.add_cleanup(recorder.stop)


class ChangedSession:
    """The hooks of a run with `--archcheck-changed`, in a worker of pytest-xdist as well.

    Workers choose alike, by the one file that nobody writes before they are through, and send what they have found.
    """

    def __init__(self, config: pytest.Config, session: ArchcheckSession) -> None:
        self._config, self._session = config, session
        if WATCH_KEY not in config.stash:  # a `conftest.py` has loaded the plugin
            start_watching(config)
        self._recorder = config.stash[WATCH_KEY]
        self._surroundings = self._recorder.surroundings
        self._is_worker = is_worker(config)
        self._surroundings.set_variables({PLACE: None})  # which a worker of pytest-xdist alone is given
        self._path: Path | None = None
        # What is left out, the process that submits has chosen.
        store, self._problem = (Store(), "") if HOST_KEY in config.stash else self._read()
        self._surroundings.large = dict(store.large)
        update = config.getoption("archcheck_update")
        self._selection = config.stash[SELECTION_KEY] = Selection(
            store,
            self._surroundings,
            _conditions(config, self._surroundings),
            # What else the machine did while something was timed can't be known.
            never=_TIMED if config.getoption("archcheck_strict") else (),
            # A section that is to be added has no check yet that could have passed.
            is_off=update in ("new", "all"),
        )
        self._phases: dict[str, bool] = {}
        self._found = Store()
        self._left_out: dict[str, list[str]] = {}
        self._kept: dict[str, None] = {}  # in the order of collection
        self._reasons_sent: Mapping[str, str] = {}  # by a worker: what it collects is told of at the end
        self._elsewhere: dict[str, None] = {}  # why what has passed on hosts isn't kept

    def _read(self) -> tuple[Store, str]:
        """Return what earlier runs have kept, and why it can't be used; empty where it can."""
        cannot = "what passes can't be kept"
        if not self._config.pluginmanager.has_plugin("cacheprovider"):
            return Store(), f"{cannot} without pytest's cache (-p no:cacheprovider): all specs are verified"
        try:
            self._path = self._config.cache.mkdir(_FOLDER) / _FILE
        except OSError as error:
            return Store(), f"{cannot} in pytest's cache: {error.strerror or error}: all specs are verified"
        try:
            return read_store(self._path), ""
        except StoreError as error:
            return Store(), f"{self._shown(self._path)}: {error}: all specs are verified"

    def _shown(self, path: str | Path) -> str:
        return path_from(Path(path), self._config.invocation_params.dir)

    # --------------------------------------------------------------------------------------- what is left out

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Deselect what is unchanged, of what `-k` and `-m` have left."""
        left_out = [item for item in items if self._is_unchanged(item)]
        gone = set(map(id, left_out))
        for item in items:
            path = str(item.path)
            if id(item) in gone:
                self._left_out.setdefault(path, []).append(item.name)
            elif isinstance(item, CheckItem):
                self._kept[path] = None
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if id(item) not in gone]

    def _is_unchanged(self, item: pytest.Item) -> bool:
        if isinstance(item, CheckItem):
            return self._selection.is_unchanged(str(item.path), item.name)
        return isinstance(item, UnchangedItem)

    def pytest_report_collectionfinish(self) -> list[str]:
        """Say under `-v` why a spec that was green is verified again."""
        return self._describe(self._selection.reasons)

    def _describe(self, reasons: Mapping[str, str]) -> list[str]:
        if self._config.get_verbosity() <= 0:
            return []
        return [f"archcheck: {self._shown(path)}: {reasons[path]} differs" for path in self._kept if path in reasons]

    def _count(self) -> str:
        whole = [path for path in self._left_out if path not in self._kept]
        records = self._selection.store.specs
        dates = [records[path].green[name].passed_at for path in whole for name in self._left_out[path]]
        since = f" since {min(dates)} UTC" if dates else ""
        return f"{len(whole)} of {len({*self._left_out, *self._kept})} specs unchanged{since}"

    # --------------------------------------------------------------------------------------- what runs

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Watch a check, and keep what its result depends on where it has passed."""
        if not isinstance(item, CheckItem):
            return (yield)
        with self._recorder.watching(str(item.path)) as window:
            result = yield
        self._keep(item, [f"{item.name}, as {reason}" for reason in window.unseen])
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note whether a check has passed; of several attempts the last one counts."""
        has_passed = report.outcome == "passed" and not hasattr(report, "wasxfail")
        before = report.when == "setup" or self._phases.get(report.nodeid, False)
        self._phases[report.nodeid] = before and has_passed

    def _keep(self, item: CheckItem, unseen: list[str]) -> None:
        """Keep what a check depended on, if it has passed or can't come out otherwise; that it ran in any case.

        unseen: why it runs every time, whatever else of the spec does.
        """
        has_passed = self._phases.pop(item.nodeid, False) or item.is_settled
        if self._selection.is_off:
            return
        path, check = str(item.path), item.name
        self._found.ran.append((path, check))
        record = self._found.specs.setdefault(path, SpecRecord(build=item.found.build))
        counts = item.found.outcome.counts
        if counts is not None:
            record.num_params, record.macs = counts.num_params, counts.macs
        used = self._recorder.used_by(path, self._shared_files())
        self._add_what_all_use(used, item.path)
        record.content, record.checks = used.facts[file_fact(path)], _checks_of(item)
        record.unknown = list(dict.fromkeys([*record.unknown, *used.unknown, *unseen]))
        if used.unknown:
            record.green.clear()  # what the checks before have used is the spec's, too
        elif not unseen and has_passed and not item.found.outcome.is_update:
            facts = tuple(sorted(used.facts.items()))
            record.green[check] = Green(facts, self._selection.conditions, _now(), is_skipped=item.is_settled)

    def _add_what_all_use(self, used: Used, spec: Path) -> None:
        """Add what no reading shows: the spec, its lock and `conftest.py` files, there or not, and distributions."""
        root = self._config.rootpath
        folders = [folder for folder in spec.parents if folder == root or root in folder.parents]
        files = [spec, lock_path(spec), *(folder / "conftest.py" for folder in folders)]
        facts = [file_fact(str(file)) for file in files]
        modules = {*used.libraries, *(fact[1] for fact in used.facts if fact[0] == "import")}
        facts += map(distribution_fact, sorted(self._surroundings.distributions.behind(modules, _ALWAYS)))
        for fact in facts:
            used.facts.setdefault(fact, self._surroundings.value(fact))

    def _shared_files(self) -> list[str]:
        """Return the user's files among plugins, such as `conftest.py`: whatever they do, they may do to any spec."""
        plugins = (plugin for plugin in self._config.pluginmanager.get_plugins() if isinstance(plugin, ModuleType))
        files = (file_of(plugin) for plugin in plugins)
        return [file for file in files if file is not None and self._recorder.is_users(file)]

    # --------------------------------------------------------------------------------------- what runs elsewhere

    def take_found(self) -> Store:
        """Return what was found since this was asked for last, for the process that has submitted it."""
        found, self._found = self._found, Store()
        return found

    def add_found_by(self, host: str, items: Sequence[pytest.Item], used: Sequence[Mapping[str, Any]]) -> None:
        """Take what a host of an executor has found of some checks, which it may have lost.

        Kept is what the same conditions will hold for: next time this machine's are looked at, and not the host's.
        """
        if self._selection.is_off:
            return
        self._found.ran += [(str(item.path), item.name) for item in items]
        for found in map(Store.from_plain, used):
            for record in found.specs.values():
                record.green = {
                    name: self._as_here(one) for name, one in record.green.items() if self._holds_here(host, name, one)
                }
            self._found.merge(found)

    def _as_here(self, green: Green) -> Green:
        return replace(green, conditions=self._selection.conditions)

    def _holds_here(self, host: str, check: str, green: Green) -> bool:
        """Whether a host is what this machine is, as far as a check goes by it; if not, say so once."""
        here, ignored = self._selection.conditions, _OF_HOSTS - (_OF_MACHINES if check in MEASURED else set())
        names = (name for name in {**here, **green.conditions} if name not in ignored)
        differing = next((name for name in names if here.get(name) != green.conditions.get(name)), None)
        if differing is not None:
            what = f"{check} runs" if differing in _OF_MACHINES else "specs run"
            self._elsewhere[f"{what} every time on {host}: {differing} differs"] = None
        return differing is None

    # --------------------------------------------------------------------------------------- what is kept and told

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a worker of pytest-xdist has found; of one that died nothing is known."""
        sent = getattr(node, "workeroutput", {}).get(_OUTPUT)
        if sent is not None:
            self._found.merge(Store.from_plain(sent["found"]))
            self._found.ran += [(path, check) for path, check in sent["found"]["ran"]]
            self._left_out, self._kept, self._reasons_sent = sent["left out"], sent["kept"], sent["reasons"]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write what was found, or send it to the process that does; nothing to verify is no failure."""
        if self._is_worker:
            self._config.workeroutput[_OUTPUT] = {  # type: ignore[attr-defined]
                "found": self._found.to_plain(), "left out": self._left_out, "kept": self._kept,
                "reasons": dict(self._selection.reasons),
            }  # fmt: skip
            return
        self._write()
        for path, checks in self._left_out.items():
            self._session.add_unchanged(self._shown(path), self._selection.store.specs[path], checks)
        if self._left_out and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            session.exitstatus = pytest.ExitCode.OK

    def _write(self) -> None:
        if self._path is None or not self._found.ran:
            return
        store = self._selection.store
        store.merge(self._found)
        store.large |= self._surroundings.large
        store.forget_absent()
        try:
            write_store(self._path, store)
        except OSError as error:
            self._problem = f"{self._shown(self._path)} can't be written: {error.strerror or error}"

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Count what is unchanged, and name what runs every time."""
        if self._config.option.no_summary:
            return
        if self._left_out or self._kept:
            terminalreporter.write_line(f"\narchcheck: {self._count()}")
        for line in self._describe(self._reasons_sent):
            terminalreporter.write_line(line)
        unknown = {path: record.unknown for path, record in self._found.specs.items() if record.unknown}
        for path in sorted(unknown)[:_TOLD_AT_MOST]:
            terminalreporter.write_line(f"archcheck: {self._shown(path)} runs every time: {'; '.join(unknown[path])}")
        if len(unknown) > _TOLD_AT_MOST:
            terminalreporter.write_line(f"archcheck: and {len(unknown) - _TOLD_AT_MOST} more run every time")
        for line in self._elsewhere:
            terminalreporter.write_line(f"archcheck: {line}")
        if self._problem:
            terminalreporter.write_line(f"archcheck: {self._problem}", yellow=True)


def _checks_of(item: CheckItem) -> list[tuple[str, int]]:
    assert isinstance(item.parent, SpecModule)
    return list(item.parent.checks)


def _conditions(config: pytest.Config, surroundings: Surroundings) -> Conditions:
    """Return what every result of this run depends on."""
    option, ini = config.option, config.inipath
    before: frozenset[str] = config.stash[OPTIONS_KEY]
    ours = {name for name in vars(option) if name.startswith(("archcheck_", "benchmark_"))}
    users = vars(option).keys() - before
    options = {
        f"--{name.replace('_', '-')}": repr(getattr(option, name, None))
        for name in sorted({*ours, *users, *_OTHER_OPTIONS})
        if name not in _WITHOUT_EFFECT
    }
    plugins, share = config.pluginmanager.list_plugin_distinfo(), config.stash.get(SHARE_KEY, 1)
    others = {
        "the ini file": "none" if ini is None else surroundings.value(file_fact(str(ini))),
        "the rootdir": str(config.rootpath),
        "the working directory": str(config.invocation_params.dir),
        "the plugins": " ".join(sorted({f"{dist.project_name}-{dist.version}" for _, dist in plugins})),
        THREADS: str(num_threads(config)) if share == 1 else f"those of one of {share}",
    }
    return conditions(surroundings.distributions, surroundings.variables, options | others)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M")
