"""The daily loop, edit and run, against the bare cost on the same machine: `python benchmarks/loop.py [SECTION...]`.

Without arguments all sections run. Each run is a process of its own, with warm bytecode caches. Seconds of the clock
depend on who else uses the machine, seconds of the processor hardly do; ratios are taken of the latter.
"""

from __future__ import annotations

import contextlib
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from startup import PLUGINS, environment
from structure import describe_machine
from tabulate import tabulate

NUM_SPECS: Final = 1000
NUM_MODULES: Final = 100
RUNS: Final = 3
LIMIT_SEC: Final = 4.0
COLLECTION_LIMIT_SEC: Final = 1.2
JOB_LIMIT_SEC: Final = 75.0
NEW_LIMIT_SEC: Final = 90.0
ROOT: Final = Path(__file__).resolve().parents[1]
SPECS: Final = ROOT / "specs"

_COLLECT: Final = """
import sys
import pytest
status = pytest.main(sys.argv[1:])
assert "torch" not in sys.modules
sys.exit(status)
"""

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


# ---------------------------------------------------------------------------------------------- collection


def measure_collection() -> str:
    """Collect 1,000 specs with locks, without torch, against a start of pytest that collects one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "specs").mkdir()
        own = sorted(SPECS.glob("*.arch.yaml"))
        for index in range(NUM_SPECS):
            spec = own[index % len(own)]
            stem = spec.name.removesuffix(".arch.yaml")
            for suffix in (".arch.yaml", ".arch.lock"):
                shutil.copy(spec.with_name(stem + suffix), folder / "specs" / f"{stem}-{index:04}{suffix}")
        command = [sys.executable, "-c", _COLLECT, *PLUGINS, "--archcheck", "--collect-only", "-q"]
        one = f"specs/{own[0].name.removesuffix('.arch.yaml')}-0000.arch.yaml"
        runs = {"one of them": [*command, one], f"{NUM_SPECS:,} specs with locks": command}
        found = {what: [_cost(run, folder) for _ in range(RUNS + 1)][1:] for what, run in runs.items()}
    medians = {what: Cost(*map(statistics.median, zip(*costs, strict=True))) for what, costs in found.items()}
    rows = [[what, f"{cost.wall_sec:.2f}", f"{cost.cpu_sec:.2f}"] for what, cost in medians.items()]
    ours, bare = medians[f"{NUM_SPECS:,} specs with locks"], medians["one of them"]
    rows.append(["difference", f"{ours.wall_sec - bare.wall_sec:.2f}", f"{ours.cpu_sec - bare.cpu_sec:.2f}"])
    table = tabulate(rows, [f"median of {RUNS} runs", "clock s", "processor s"], disable_numparse=True)
    return f"{table}\nlimit for the difference: {COLLECTION_LIMIT_SEC:.2f} s"


# ---------------------------------------------------------------------------------------------- the main job


def measure_job() -> str:
    """`pytest --archcheck` of this repository, and where its time goes, check by check; and in two processes."""
    seconds, by_check = _run_job()
    in_two, _ = _run_job("-p", "xdist", "-n", "2")
    rows = [[check, f"{sec:.1f}"] for check, sec in sorted(by_check.items(), key=lambda entry: -entry[1])]
    rows.append(["start, collection, tables", f"{seconds - sum(by_check.values()):.1f}"])
    rows += [["all", f"{seconds:.1f}"], ["all, with -n 2", f"{in_two:.1f}"]]
    return f"{tabulate(rows, ['items', 'clock s'], disable_numparse=True)}\nlimit {JOB_LIMIT_SEC:.0f} s"


def measure_job_beside_a_neighbour() -> str:
    """The same beside one busy process of one thread that everybody else goes before."""
    alone, _ = _run_job()
    with _neighbour():
        beside, _ = _run_job()
    rows = [["alone", f"{alone:.1f}"], ["beside one", f"{beside:.1f}"], ["ratio", f"{beside / alone:.2f}"]]
    return f"{tabulate(rows, ['pytest --archcheck', 'clock s'], disable_numparse=True)}\nlimit of the ratio 2.50"


def measure_rates_beside_a_neighbour() -> str:
    """Examples per second of every quick training, alone and beside one busy process, in turns."""
    names = sorted(path.name for path in SPECS.glob("*.arch.yaml") if "\n  quick:" in path.read_text())
    rows, worst = [], 1.0
    for name in names:
        alone = [_rate(name)]
        with _neighbour():
            beside = _rate(name)
        alone.append(_rate(name))
        quiet = statistics.mean(alone)
        worst = min(worst, beside / quiet)
        rows.append([name.removesuffix(".arch.yaml"), f"{quiet:,.0f}", f"{beside:,.0f}", f"{beside / quiet:.2f}"])
    table = tabulate(rows, ["spec", "alone", "beside one", "ratio"], disable_numparse=True)
    return f"{table}\nlimit of every ratio 0.40; the smallest is {worst:.2f}"


def _run_job(*options: str) -> tuple[float, dict[str, float]]:
    """Return the seconds of the whole run, and those of the items of each check."""
    durations = ("--durations=0", "--durations-min=0")
    command = [sys.executable, "-m", "pytest", *PLUGINS, *options, "--archcheck", *durations]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment(None), capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    by_check: dict[str, float] = {}
    for sec, check in re.findall(r"^([\d.]+)s (?:call|setup|teardown) +\S+::(\w+)$", done.stdout, re.M):
        by_check[check] = by_check.get(check, 0.0) + float(sec)
    return seconds, by_check


def _rate(name: str) -> float:
    command = [sys.executable, "-m", "pytest", *PLUGINS, "--archcheck", f"specs/{name}", "-k", "accuracy"]
    done = subprocess.run(command, cwd=ROOT, env=environment(None), capture_output=True, text=True, check=False)
    row = re.search(rf"^specs/{re.escape(name)} +quick .* ([\d_]+)$", done.stdout, re.M)
    if row is None:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return float(row[1].replace("_", ""))


@contextlib.contextmanager
def _neighbour() -> Iterator[None]:
    """Keep a processor busy by a process that everybody else goes before."""
    with subprocess.Popen(["nice", "-n", "19", sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


# ---------------------------------------------------------------------------------------------- many new specs


def measure_new() -> str:
    """`archcheck new` on all of torchvision's classifiers, in as many processes as there are processors."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        target = "torchvision:*"
        bare = _cost([sys.executable, "-c", "import torch, torchvision"], folder)
        cost = _cost([sys.executable, "-m", "archcheck.cli", "new", target, "--output", "specs"], folder)
        number = len(list(folder.glob("specs/*.arch.yaml")))
    rows = [
        ["import torch, torchvision", f"{bare.wall_sec:.1f}", f"{bare.cpu_sec:.1f}"],
        [f"archcheck new '{target}', {number} specs", f"{cost.wall_sec:.1f}", f"{cost.cpu_sec:.1f}"],
    ]
    table = tabulate(rows, ["", "clock s", "processor s"], disable_numparse=True)
    return f"{table}\nlimit {NEW_LIMIT_SEC:.0f} s"


SECTIONS: Final[Mapping[str, Callable[[], str]]] = {
    "collection": measure_collection,
    "changed": measure_changed,
    "job": measure_job,
    "neighbour-job": measure_job_beside_a_neighbour,
    "neighbour-rates": measure_rates_beside_a_neighbour,
    "new": measure_new,
}

if __name__ == "__main__":
    main(sys.argv[1:])
