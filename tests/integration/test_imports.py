"""What a run imports: nothing of ours that is heavy before it is needed. In processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.project import SMALL

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "torchvision", "numpy", "yaml", "pydantic", "tabulate")

# Reports at the very end of a run which modules are loaded, through a plugin of the project's own.
SPY = """
import sys

def pytest_unconfigure(config):
    told = ("archcheck.", "torch._dynamo")
    print("LOADED", *sorted(name for name in sys.modules if "." not in name or name.startswith(told)))
"""


def loaded(folder: Path, *args: str) -> set[str]:
    """Return the top-level modules, and all of ours, that a pytest run in a fresh process has loaded."""
    (folder / "spy.py").write_text(SPY)
    environment = {
        **os.environ,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
    }
    command = [sys.executable, "-m", "pytest", "-p", "archcheck.plugin", "-p", "pytest_benchmark.plugin", "-p", "spy"]
    result = subprocess.run([*command, *args], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    line = next(line for line in result.stdout.splitlines() if line.startswith("LOADED"))
    return set(line.split()[1:])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "small.arch.yaml").write_text(SMALL)
    (tmp_path / "test_one.py").write_text("def test_one(): pass\n")
    (tmp_path / "nets.py").write_text(
        "from collections import OrderedDict\nfrom torch import nn\n"
        "def small():\n    return nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 6, 5, padding=2), act=nn.ReLU(),"
        " pool=nn.AvgPool2d(2), flat=nn.Flatten(), fc=nn.Linear(1176, 10)))\n"
    )
    return tmp_path


def test_an_ordinary_run_pays_nothing(folder: Path) -> None:
    modules = loaded(folder)
    assert not modules & set(HEAVY)
    assert {name for name in modules if name.startswith("archcheck")} == {
        "archcheck", "archcheck.plugin", "archcheck.errors", "archcheck.checks", "archcheck.checks.registry",
        "archcheck.spec", "archcheck.spec.file_names",
    }  # fmt: skip


def test_tests_by_path_pay_nothing_beside_specs(folder: Path) -> None:
    assert not loaded(folder, "-o", "archcheck=specs", "test_one.py") & set(HEAVY)


def test_help_and_markers_pay_nothing(folder: Path) -> None:
    assert not loaded(folder, "--markers") & set(HEAVY)


@pytest.mark.parametrize("switch", [["--archcheck"], ["-o", "archcheck=specs"]])
def test_collecting_specs_imports_no_torch(folder: Path, switch: list[str]) -> None:
    modules = loaded(folder, *switch, "--collect-only")
    assert {"yaml", "pydantic", "archcheck.spec.models"} <= modules
    assert not modules & {"torch", "torchvision", "numpy", "tabulate"}


def test_a_network_without_torchvision_imports_none(folder: Path) -> None:
    modules = loaded(folder, "--archcheck", "-k", "shapes")
    assert "torch" in modules
    assert not modules & {"torchvision", "timm", "sympy", "torchinfo"}


def test_a_spec_that_asks_for_no_graphs_imports_nothing_that_makes_them(folder: Path) -> None:
    assert not loaded(folder, "--archcheck") & {"onnx", "onnxscript", "onnxruntime", "torchvision"}
    assert "torch._dynamo" not in loaded(folder, "--archcheck", "-k", "shapes or parameters or compute")


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = f"import sys, archcheck, archcheck.plugin; print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
