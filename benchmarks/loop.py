"""The daily loop, edit and run, against the bare cost on the same machine: `python benchmarks/loop.py [SECTION...]`.

Without arguments all sections run. Each run is a process of its own, with warm bytecode caches. Seconds of the clock
depend on who else uses the machine, seconds of the processor hardly do; ratios are taken of the latter.
"""

from __future__ import annotations

import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from startup import PLUGINS, environment
from structure import describe_machine
from tabulate import tabulate

NUM_SPECS: Final = 1000
NUM_MODULES: Final = 100
RUNS: Final = 3
LIMIT_SEC: Final = 4.0

_SPEC: Final = (
    "build: package.module{module}:make\nargs: {{width: {width}}}\ninput: [B, {width}]\noutput: [B, {width}]\n"
)
_MODULE: Final = """\
from torch import nn
from package import common
{other}

def make(width: int = 8) -> nn.Module:
    return nn.Sequential(common.layer(width), nn.ReLU(), common.layer(width))
"""
_COMMON: Final = "from torch import nn\n\n\ndef layer(width: int) -> nn.Module:\n    return nn.Linear(width, width)\n"


class Cost(NamedTuple):
    """Seconds of a run: the clock's, the processor's, and those of the clock that pytest's items took."""

    wall_sec: float
    cpu_sec: float
    items_sec: float


def main(sections: list[str]) -> None:
    """Run the sections named on the command line, or all of them."""
    print(describe_machine(), "\n")
    for name in sections or SECTIONS:
        print(f"## {name}\n\n{SECTIONS[name]()}\n", flush=True)


# ---------------------------------------------------------------------------------------------- what has changed


def measure_changed() -> str:
    """One edit among 1,000 specs of a package of 100 modules, against the imports that its one spec needs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_package(folder)
        pytest = [sys.executable, "-m", "pytest", *PLUGINS, "--archcheck", "--durations=0", "--durations-min=0"]
        changed = [*pytest, "--archcheck-changed"]
        edited, module = folder / "specs" / "network0500.arch.yaml", folder / "package" / "module99.py"
        runs: Mapping[str, Callable[[], Cost]] = {
            "import torch, pytest": lambda: _cost([sys.executable, "-c", "import torch, pytest"], folder),
            "that spec alone": lambda: _cost([*pytest, f"specs/{edited.name}"], folder),
            "nothing edited": lambda: _cost(changed, folder),
            "one spec edited": lambda: _edited(edited, changed, folder),
            "its module edited": lambda: _edited(module, changed, folder),
        }
        first = _cost(changed, folder)
        found = {what: [run() for _ in range(RUNS + 1)][1:] for what, run in runs.items()}
    medians = {what: Cost(*map(statistics.median, zip(*costs, strict=True))) for what, costs in found.items()}
    bare = medians["import torch, pytest"]
    rows: list[tuple[str, Cost]] = [("all of them, the first time", first), *medians.items()]
    table = tabulate(
        [
            [
                what, f"{cost.wall_sec:.2f}", f"{cost.wall_sec - cost.items_sec:.2f}", f"{cost.cpu_sec:.2f}",
                f"{cost.cpu_sec / bare.cpu_sec:.2f}",
            ]
            for what, cost in rows
        ],
        [f"median of {RUNS} runs", "clock s", "without items s", "processor s", "ratio to the imports"],
        disable_numparse=True,
    )  # fmt: skip
    return f"{table}\nlimit for one spec edited, without its items: {LIMIT_SEC:.2f} s"


def _write_package(folder: Path) -> None:
    (folder / "specs").mkdir()
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").touch()
    (folder / "package" / "common.py").write_text(_COMMON)
    for index in range(NUM_MODULES - 2):
        other = f"from package import module{index // 2:02}" if index else ""
        (folder / "package" / f"module{index:02}.py").write_text(_MODULE.format(other=other))
    # One that a single spec uses.
    (folder / "package" / "module99.py").write_text(_MODULE.format(other=""))
    for index in range(NUM_SPECS):
        module = 99 if index == 500 else index % (NUM_MODULES - 2)
        text = _SPEC.format(module=f"{module:02}", width=8 + index % 7)
        (folder / "specs" / f"network{index:04}.arch.yaml").write_text(text)


def _edited(path: Path, command: list[str], folder: Path) -> Cost:
    with path.open("a") as file:
        file.write("# edited\n")
    return _cost(command, folder)


def _cost(command: list[str], folder: Path) -> Cost:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment(str(folder / "bytecode")), capture_output=True, text=True, check=False
    )
    wall_sec, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    cpu_sec = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    items_sec = sum(map(float, re.findall(r"^([\d.]+)s (?:call|setup|teardown) ", done.stdout, re.M)))
    return Cost(wall_sec, cpu_sec, items_sec)


SECTIONS: Final[Mapping[str, Callable[[], str]]] = {"changed": measure_changed}

if __name__ == "__main__":
    main(sys.argv[1:])
