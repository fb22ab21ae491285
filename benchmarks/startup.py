"""Collection and start-up, measured in processes of their own; a part of `benchmarks/structure.py`.

Bytecode caches are on, as they are for users: a run first warms them in a folder of its own, whatever the environment
says. Plugins other than those that archcheck itself needs are not loaded, as their import is no cost of ours.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tabulate import tabulate

NUM_SPECS: Final = 1000
RUNS: Final = 9

LAYER: Final = "  stage{0}.block{1}.conv: {{type: Conv2d, output: [B, 64, H/4, W/4], parameters: 36_928}}"
SPEC: Final = """\
name: network{index}
source: written for a benchmark
build: nets:network
args: {{in_channels: 3, num_classes: 10}}
input: [B, 3, H, W]
sizes: {{H: [224, 96], W: [224, 96]}}

layers:
{layers}
output: [B, 10]
parameters: {{total: 11_178_378, trainable: 11_178_378}}
macs: 1.73 G
"""

_COLLECT: Final = """
import contextlib, io, sys, time
import pytest, yaml, pydantic
import archcheck.pytest_plugin.session
with contextlib.redirect_stdout(io.StringIO()) as out:
    start = time.perf_counter()
    status = pytest.main(["--archcheck", "--collect-only", "-q", *sys.argv[1:]])
    seconds = time.perf_counter() - start
assert status == 0, out.getvalue()
assert "torch" not in sys.modules
print(seconds)
"""
PLUGINS: Final = ("-p", "archcheck.plugin", "-p", "pytest_benchmark.plugin")


def measure_collection() -> str:
    """Seconds to collect 1,000 specs of 80 lines, imports aside."""
    with tempfile.TemporaryDirectory() as folder:
        specs = Path(folder, "specs")
        specs.mkdir()
        layers = "\n".join(LAYER.format(i // 10, i % 10) for i in range(69))
        for index in range(NUM_SPECS):
            text = SPEC.format(index=index, layers=layers)
            (specs / f"network{index:04}.arch.yaml").write_text(text)
        command = [sys.executable, "-c", _COLLECT, *PLUGINS]
        seconds = [float(_run(command, folder).stdout) for _ in range(3)]
    lines = text.count("\n")
    rows = [[f"{NUM_SPECS:,} specs of {lines} lines", *(f"{value:.2f}" for value in spread(seconds)), "3.00"]]
    return tabulate(rows, ["collected, without torch", "min s", "median s", "max s", "limit s"], disable_numparse=True)


def measure_cold_start() -> str:
    """One small spec from a cold start against the imports that it can't do without, turn by turn."""
    root = str(Path(__file__).parents[1])
    ours = [sys.executable, "-m", "pytest", *PLUGINS, "--archcheck", "specs/lenet5.arch.yaml", "-k", "shapes"]
    peer = [sys.executable, "-c", "import torch, pytest"]
    ratio = _compare("pytest --archcheck specs/lenet5.arch.yaml -k shapes", ours, "import torch, pytest", peer, root)
    return ratio + "\nlimit 1.35"


def measure_plugin_overhead() -> str:
    """An ordinary run of one test with the plugin and without it, turn by turn."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_one.py").write_text("def test_one(): pass\n")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "pytest_benchmark.plugin"]
        ours = [*command, "-p", "archcheck.plugin"]
        table = _compare("pytest with archcheck", ours, "pytest without", command, folder, runs=25)
    return table + "\nlimit 10 ms more"


def _compare(
    title: str, ours: Sequence[str], peer_title: str, peer: Sequence[str], folder: str, runs: int = RUNS
) -> str:
    with tempfile.TemporaryDirectory() as caches:
        for command in (ours, peer):
            _run(command, folder, caches)
        pairs = [(_timed(ours, folder, caches), _timed(peer, folder, caches)) for _ in range(runs)]
    mine, theirs = (list(side) for side in zip(*pairs, strict=True))
    rows = [[name, *(f"{value:.3f}" for value in spread(side))] for name, side in ((title, mine), (peer_title, theirs))]
    rows.append(["ratio, pair by pair", *(f"{value:.3f}" for value in spread([a / b for a, b in pairs]))])
    rows.append(["difference in ms", *(f"{value * 1e3:.1f}" for value in spread([a - b for a, b in pairs]))])
    return tabulate(rows, [f"{runs} runs each, in turn", "min s", "median s", "max s"], disable_numparse=True)


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """The smallest of some values, their median, and the largest."""
    return min(values), statistics.median(values), max(values)


def _timed(command: Sequence[str], folder: str, caches: str) -> float:
    start = time.perf_counter()
    _run(command, folder, caches)
    return time.perf_counter() - start


def _run(command: Sequence[str], folder: str, caches: str | None = None) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(command, cwd=folder, env=environment(caches), capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{result.stdout}{result.stderr}")
    return result


def environment(caches: str | None) -> Mapping[str, str]:
    """The variables of a process that loads no other plugins, and keeps its bytecode in a folder of its own."""
    variables = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    if caches is not None:
        variables.pop("PYTHONDONTWRITEBYTECODE", None)
        variables["PYTHONPYCACHEPREFIX"] = caches
    return variables
