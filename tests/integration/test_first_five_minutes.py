"""From nothing to a green run on a network of one's own, and to the first red one, in surroundings that people have.

Each run is a process of its own. Plugins that aren't installed are left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.integration.project import RunResult
from tests.preloaded import PreloadedPopen

NET = """\
from torch import nn


class Net(nn.Module):
    def __init__(self, width: int = 3):
        super().__init__()
        self.first = nn.Linear(4, width)
        self.act = nn.ReLU()
        self.last = nn.Linear(width, 2)

    def forward(self, x):
        return self.last(self.act(self.first(x)))
"""
TESTS = """\
import pytest


@pytest.mark.parametrize("number", range(6))
def test_number(number):
    assert number < 6
"""
STRICT = """\
[pytest]
archcheck = specs
addopts = --strict-markers --strict-config
xfail_strict = true
filterwarnings =
    error
    ignore::pytest.PytestAssertRewriteWarning
"""
PLUGINS = ("archcheck.plugin", "pytest_benchmark.plugin")
BROKEN = "build: [\n"
COMMAND = "import sys; from archcheck.cli.command_line import main; sys.exit(main())"


class Newcomer:
    """Somebody in a folder of their own, who has installed archcheck."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def archcheck(self, *args: str) -> RunResult:
        """Run `archcheck ARGS`."""
        return self.python("-c", COMMAND, *args)

    def pytest(self, *args: str, plugins: tuple[str, ...] = (), start: str = ".") -> RunResult:
        """Run `pytest ARGS` with some plugins beside ours, in a folder below."""
        options = [option for name in (*PLUGINS, *plugins) for option in ("-p", name)]
        return self.python("-m", "pytest", *options, *args, start=start)

    def python(self, *args: str, start: str = ".") -> RunResult:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV_", "CI"))}
        env = {**kept, "COLUMNS": "80", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        with PreloadedPopen(
            [sys.executable, *args], cwd=self.folder / start, env=env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process:  # fmt: skip
            output, _ = process.communicate()
        return RunResult(process.wait(), output.splitlines(), [], 0.0)

    def lose_the_activation(self, name: str) -> None:
        path = self.folder / name
        path.write_text(path.read_text("utf-8").replace("self.act(self.first(x))", "self.first(x)"), encoding="utf-8")


@pytest.fixture
def newcomer(tmp_path: Path) -> Newcomer:
    return Newcomer(tmp_path)


@pytest.fixture
def settled(newcomer: Newcomer) -> Newcomer:
    """A newcomer with a network in a package, its spec, tests, and a strict ini file."""
    newcomer.write("mynets/__init__.py", "")
    newcomer.write("mynets/small.py", NET)
    newcomer.write("tests/test_numbers.py", TESTS)
    newcomer.write("pytest.ini", STRICT)
    result = newcomer.archcheck("new", "mynets.small:Net", "--input", "B,4", "--output", "specs/")
    assert result.ret == 0, str(result.stdout)
    return newcomer


# ------------------------------------------------------------------------------------------- layouts


@pytest.mark.parametrize(
    ("folder", "target"),
    [("src/shop", "shop.nets:Net"), ("shop", "shop.nets:Net"), (".", "nets:Net"), ("models", "models/nets.py:Net")],
)
def test_a_network_of_ones_own_is_green_and_then_red(newcomer: Newcomer, folder: str, target: str) -> None:
    newcomer.write(f"{folder}/nets.py", NET)
    result = newcomer.archcheck("new", target, "--input", "B,4", "--output", "specs/")
    assert result.outlines == ["specs/Net.arch.yaml: written; verify it: pytest --archcheck specs/Net.arch.yaml"]
    assert newcomer.pytest(*result.outlines[0].partition("pytest ")[2].split()).ret == 0

    newcomer.lose_the_activation(f"{folder}/nets.py")
    result = newcomer.pytest("--archcheck")
    result.assert_outcomes(passed=4, failed=2)
    result.stdout.fnmatch_lines(
        [
            "specs/Net.arch.yaml:6: act: is never called by the forward",
            "FAILED specs/Net.arch.yaml::shapes - act: is never called by the forward",
        ]
    )


def test_in_an_empty_folder_the_first_command_is_told(newcomer: Newcomer) -> None:
    result = newcomer.pytest("--archcheck")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = (line for line in result.outlines if line.startswith("ERROR: "))
    assert line.startswith("ERROR: no spec file (*.arch.yaml) in specs; write one: archcheck new module:callable ")


# ------------------------------------------------------------------------------------------- surroundings


# By module: the names that a plugin goes by, and the options that set it going.
BESIDE = {
    "pytest_randomly": (("randomly",), ()),
    "pytest_cov": (("pytest_cov",), ("--cov=mynets",)),
    "pytest_timeout": (("timeout",), ("--timeout=300",)),
    "pytest_rerunfailures": (("rerunfailures",), ("--reruns=1",)),
    "pytest_html": (("metadata", "html", "html_fixtures"), ("--html=out.html", "--self-contained-html")),
    "pytest_sugar": (("sugar",), ("--force-sugar",)),
    "xdist": (("xdist",), ("-n", "2")),
}
TOGETHER = tuple(name for name in BESIDE if name != "pytest_sugar")


@pytest.mark.parametrize("names", [*((name,) for name in BESIDE if name != "xdist"), TOGETHER], ids="-".join)
def test_beside_other_plugins_and_a_strict_ini_file(settled: Newcomer, names: tuple[str, ...]) -> None:
    names = tuple(name for name in names if find_spec(name))
    if not names:
        pytest.skip("not installed")
    settled.write("specs/broken.arch.yaml", BROKEN)
    plugins = tuple(plugin for name in names for plugin in BESIDE[name][0])
    result = settled.pytest(*(option for name in names for option in BESIDE[name][1]), plugins=plugins)
    text = str(result.stdout)
    assert result.ret == pytest.ExitCode.TESTS_FAILED, text
    assert "specs/broken.arch.yaml:2: not valid YAML: " in text
    assert "FAILED specs/broken.arch.yaml::spec - not valid YAML: " in text
    assert [line.split()[1:9] for line in result.outlines if line.startswith("specs/Net.arch.yaml  ")] == [
        ["mynets.small:Net", "23", "18", ".", ".", ".", ".", "."]
    ]
    assert "12 passed" in text
    assert "1 failed" in text
    assert "INTERNALERROR" not in text
    assert "Traceback" not in text
    if "xdist" not in names:  # under which coverage warns of workers that import nothing, and others of their sockets
        assert "warning" not in text.lower()
    if "pytest_cov" in names:
        result.stdout.fnmatch_lines(["mynets/small.py * 100%"])
    if "pytest_rerunfailures" in names:
        assert "1 rerun" in text
    if "pytest_html" in names:
        assert "specs/broken.arch.yaml::spec" in (settled.folder / "out.html").read_text("utf-8")


def test_pytest_rich_shows_what_differs(settled: Newcomer) -> None:
    pytest.importorskip("pytest_rich")
    settled.write("specs/broken.arch.yaml", BROKEN)
    # pytest-rich takes over where it sees a terminal only.
    settled.write("on_a_terminal.py", "import sys, pytest\nsys.stdout.isatty = lambda: True\nsys.exit(pytest.main())\n")
    plugins = [option for name in (*PLUGINS, "pytest_rich.plugin") for option in ("-p", name)]
    result = settled.python("on_a_terminal.py", *plugins, "--rich", "specs")
    assert result.ret == 1
    text = " ".join(str(result.stdout).split())
    assert "specs/broken.arch.yaml:2: not valid YAML: " in text
    assert "= archcheck =" in text


REPORTER = """
import pytest

@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    config.pluginmanager.unregister(config.pluginmanager.getplugin("terminalreporter"))
"""


def test_tables_and_updates_are_shown_where_a_plugin_has_replaced_pytest_s_reporter(settled: Newcomer) -> None:
    settled.write("reporter.py", REPORTER)  # does as pytest-rich does
    spec = settled.folder / "specs" / "Net.arch.yaml"
    settled.write("specs/Net.arch.yaml", spec.read_text("utf-8").replace("macs: 18", "macs: 19"))
    options = ("-p", "reporter", "--archcheck", "specs/Net.arch.yaml", "--archcheck-update", "-k", "compute")
    text = str(settled.pytest(*options).stdout)
    assert text.count("= archcheck =") == 1
    assert "-macs: 19\n+macs: 18" in text


@pytest.mark.parametrize(
    ("start", "args"),
    [
        ("elsewhere", ("-c", "../pytest.ini", "--archcheck")),
        ("elsewhere", ("--rootdir", "..", "--archcheck")),
        ("elsewhere", ("-c", "../pytest.ini", "..")),
        ("mynets", ("--archcheck",)),
        (".", ("-p", "no:terminal", "--archcheck")),
        (".", ("-p", "no:cacheprovider", "-p", "no:benchmark", "--capture=no", "--import-mode=importlib")),
    ],
)
def test_wherever_it_is_started_it_is_green_and_then_red(settled: Newcomer, start: str, args: tuple[str, ...]) -> None:
    (settled.folder / "elsewhere").mkdir()
    result = settled.pytest(*args, start=start)
    assert result.ret == 0, str(result.stdout)
    settled.lose_the_activation("mynets/small.py")
    assert settled.pytest(*args, start=start).ret == pytest.ExitCode.TESTS_FAILED


# ------------------------------------------------------------------------------------------- notebooks

CELLS = [
    NET,
    'import archcheck\n\nmodel = Net()\narchcheck.summary(model, "B,4")',
    'result = archcheck.verify("specs/Net.arch.yaml", model)\nassert result.ok, str(result)\nresult',
    "Net.forward = lambda self, x: self.last(self.first(x))",
    'result = archcheck.verify("specs/Net.arch.yaml", Net())\nassert not result.ok\nprint(result)',
]
DIFFERS = "specs/Net.arch.yaml:6: act: is never called by the forward"


def test_the_cells_of_a_notebook(settled: Newcomer) -> None:
    """As a notebook runs them: in `__main__`, which has no file."""
    result = settled.python("-c", "\n".join(CELLS))
    assert result.ret == 0, str(result.stdout)
    result.stdout.fnmatch_lines([DIFFERS])


def test_a_notebook(settled: Newcomer, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    cells: list[dict[str, object]] = [
        {"cell_type": "code", "source": cell, "metadata": {}, "outputs": [], "execution_count": None} for cell in CELLS
    ]
    notebook = nbformat.from_dict({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4})
    nbclient.NotebookClient(notebook, resources={"metadata": {"path": str(settled.folder)}}).execute()
    shown = json.dumps(notebook["cells"])
    assert DIFFERS in shown
    assert "<table" in notebook["cells"][1]["outputs"][0]["data"]["text/html"]
    assert "<table" in notebook["cells"][2]["outputs"][0]["data"]["text/html"]
