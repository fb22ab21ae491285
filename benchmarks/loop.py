"""The daily loop, edit and run, against the bare cost on the same machine: `python benchmarks/loop.py [SECTION...]`.

Without arguments all sections run. Each run is a process of its own, with warm bytecode caches. Seconds of the clock
depend on who else uses the machine, seconds of the processor hardly do; ratios are taken of the latter.
"""

from __future__ import annotations

import contextlib
import json
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from startup import PLUGINS, environment
from structure import classifier_names, describe_machine
from tabulate import tabulate

NUM_SPECS: Final = 1000
NUM_MODULES: Final = 100
RUNS: Final = 3
LIMIT_SEC: Final = 4.0
COLLECTION_LIMIT_SEC: Final = 1.2
JOB_LIMIT_SEC: Final = 75.0
NEW_LIMIT_SEC: Final = 90.0
NUM_OF_TIMM: Final = 76
ROOT: Final = Path(__file__).resolve().parents[1]
SPECS: Final = ROOT / "specs"

_COLLECT: Final = """
import sys
import pytest
status = pytest.main(sys.argv[1:])
assert "torch" not in sys.modules
sys.exit(status)
"""

_STEPS: Final = """
import sys, time
from pathlib import Path
from archcheck.system.processors import let_waiting_threads_yield, num_cpus
let_waiting_threads_yield()
import torch
from archcheck.network.torch_state import default_torch_settings
from archcheck.spec.spec_file import read_spec
from archcheck.structure import work
from archcheck.training.options import RunOptions
from archcheck.training.trainer import Trainer, choose_recipe

options, root = RunOptions(kind="quick", device="cpu"), Path.cwd()
spec_file = read_spec(root / "specs" / sys.argv[1], rootdir=root)
trainer = Trainer(spec_file, choose_recipe(spec_file.spec, options), options, root)
choices = {"one": lambda work, allowed: 1, "all": lambda work, allowed: allowed, "paying": work.paying_threads}


def prepare(name):
    work._is_faster.cache_clear()  # a neighbour may have come or gone
    work.paying_threads = choices[name]
    torch.set_num_threads(num_cpus())
    step = trainer.prepare_step()
    step()
    return step


with default_torch_settings():
    prepared = {name: prepare(name) for name in choices}
    print("ready", flush=True)
    for line in sys.stdin:
        name = line.strip()
        step = prepare(name) if name == "paying" else prepared[name]
        step()
        start, steps = time.perf_counter(), 0
        while steps < 2 or time.perf_counter() - start < 0.3:
            step()
            steps += 1
        print(steps / (time.perf_counter() - start), torch.get_num_threads(), flush=True)
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


def _cost(command: list[str], folder: Path, statuses: Sequence[int] = (0,)) -> Cost:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment(str(folder / "bytecode")), capture_output=True, text=True, check=False
    )
    wall_sec, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in statuses:
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
    """`pytest --archcheck` of this repository, and where its time goes, check by check; and in two processes.

    Beside health, which computes the function's passes, and accuracy stands what `bare_job.py` takes for them.
    """
    seconds, by_check = _run_job()
    in_two, _ = _run_job("-p", "xdist", "-n", "2")
    bare = _run_bare_job()
    rows = [
        [check, f"{sec:.1f}", *([f"{bare[check]:.1f}", f"{sec / bare[check]:.2f}"] if check in bare else [])]
        for check, sec in sorted(by_check.items(), key=lambda entry: -entry[1])
    ]
    rows.append(["start, collection, tables", f"{seconds - sum(by_check.values()):.1f}"])
    rows += [["all", f"{seconds:.1f}"], ["all, with -n 2", f"{in_two:.1f}"]]
    columns = ["items", "clock s", "in bare torch s", "ratio"]
    return f"{tabulate(rows, columns, disable_numparse=True)}\nlimit {JOB_LIMIT_SEC:.0f} s"


def measure_job_beside_a_neighbour() -> str:
    """The same beside one busy process of one thread."""
    alone, _ = _run_job()
    with _neighbour():
        beside, _ = _run_job()
    rows = [["alone", f"{alone:.1f}"], ["beside one", f"{beside:.1f}"], ["ratio", f"{beside / alone:.2f}"]]
    return f"{tabulate(rows, ['pytest --archcheck', 'clock s'], disable_numparse=True)}\nlimit of the ratio 2.50"


def measure_rates_beside_a_neighbour() -> str:
    """Steps per second of every quick training, by one thread, all, or those that pay, alone or beside a process."""
    names = sorted(path.name for path in SPECS.glob("*.arch.yaml") if "\n  quick:" in path.read_text())
    rows, worst = [], {"one": 1.0, "all": 1.0, "paying": 1.0}
    for name in names:
        found, paying = _steps_per_sec(name)
        row = [name.removesuffix(".arch.yaml"), paying]
        for threads in worst:
            ratio = found["beside", threads] / max(found["alone", "one"], found["alone", "all"])
            worst[threads] = min(worst[threads], ratio)
            row += [f"{found['alone', threads]:.1f}", f"{found['beside', threads]:.1f}", f"{ratio:.2f}"]
        rows.append(row)
    columns = [f"{what}, {threads}" for threads in worst for what in ("alone", "beside", "ratio")]
    table = tabulate(rows, ["steps per second", "paying, alone and beside", *columns], disable_numparse=True)
    smallest = ", ".join(f"{value:.2f} with {threads}" for threads, value in worst.items())
    return f"{table}\nlimit of every ratio, to the better rate alone, 0.40; the smallest is {smallest}"


def _steps_per_sec(name: str) -> tuple[dict[tuple[str, str], float], str]:
    """Return a spec's steps of training per second, alone and beside a neighbour, and by how many threads that pay."""
    with subprocess.Popen(
        [sys.executable, "-c", _STEPS, name], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()  # it's ready

        def measure(threads: str) -> tuple[float, str]:
            print(threads, file=process.stdin, flush=True)
            rate, num_threads = process.stdout.readline().split()  # type: ignore[union-attr]
            return float(rate), num_threads

        rates: dict[tuple[str, str], list[float]] = {}
        paying = []
        for _ in range(2):
            for where, around in (("alone", contextlib.nullcontext()), ("beside", _neighbour())):
                with around:
                    for threads in ("one", "all", "paying"):
                        rate, num_threads = measure(threads)
                        rates.setdefault((where, threads), []).append(rate)
                paying.append(num_threads)
        process.stdin.close()
    return {what: statistics.mean(found) for what, found in rates.items()}, " ".join(paying)


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


def _run_bare_job() -> dict[str, float]:
    """Return the seconds of what checks compute, in bare torch; its waiting threads yield as ours do."""
    waiting = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
    command = [sys.executable, str(ROOT / "benchmarks" / "bare_job.py")]
    done = subprocess.run(
        command, cwd=ROOT, env={**environment(None), **waiting}, stdout=subprocess.PIPE, text=True, check=True
    )
    seconds: dict[str, float] = json.loads(done.stdout)
    return seconds


@contextlib.contextmanager
def _neighbour() -> Iterator[None]:
    """Keep a processor busy by a process of its own session, which Linux gives as much as ours, however nice it is."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True) as process:
        try:
            yield
        finally:
            process.kill()


# ---------------------------------------------------------------------------------------------- many new specs


def measure_new() -> str:
    """`archcheck new` on many networks, in as many processes as there are processors."""
    rows = []
    for what, targets in (
        ("torchvision's classifiers", [f"torchvision:{name}" for name in classifier_names()]),
        (f"{NUM_OF_TIMM} of timm", [f"timm:{name}" for name in _small_networks_of_timm()]),
    ):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            command = [sys.executable, "-m", "archcheck.cli", "new", *targets, "--output", "specs"]
            cost = _cost(command, folder, statuses=(0, 2))  # 2: not every network has a spec
            number = len(list(folder.glob("specs/*.arch.yaml")))
        rows.append([what, str(len(targets)), str(number), f"{cost.wall_sec:.1f}", f"{cost.cpu_sec:.1f}"])
    columns = ["archcheck new", "targets", "specs", "clock s", "processor s"]
    return f"{tabulate(rows, columns, disable_numparse=True)}\nlimit {NEW_LIMIT_SEC:.0f} s of the clock for each"


def _small_networks_of_timm() -> list[str]:
    """Return the smallest of the first network of each of timm's modules."""
    import timm
    import torch

    sizes = {}
    with warnings.catch_warnings(action="ignore"), torch.device("meta"):
        for name in (timm.list_models(module=module)[0] for module in timm.list_modules()):
            sizes[name] = sum(param.numel() for param in timm.create_model(name).parameters())
    return sorted(sizes, key=lambda name: (sizes[name], name))[:NUM_OF_TIMM]


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
