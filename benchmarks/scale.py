"""Many specs on several workers: `python benchmarks/scale.py [NUM_SPECS]`, of which there are 1,000 without a number.

A thousand take about ten minutes of two quiet processors.

The specs are those of a few small networks under other names, with `shapes`, `parameters`, `compute`, `health` and
`function`. They are verified here, by processes of this machine, and by a real Ray cluster of two nodes on it; every
process has one thread. The results have to be the same. What more workers than processors would do is simulated, with
the costs that were measured.
"""

from __future__ import annotations

import heapq
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from structure import describe_machine
from tabulate import tabulate

NUM_SPECS: Final = 1000
NUM_NETWORKS: Final = 20
WORKERS: Final = (1, 2, 8, 64, 512)
EFFICIENCY_LIMIT: Final = 0.9
ITEM_LIMIT_SEC: Final = 0.020
MEMORY_LIMIT_MIB: Final = 300
SAMPLE_SEC: Final = 0.25
_MARK: Final = "ARCHCHECK_SCALE"  # the variable by which processes of a run are known, whoever has started them
_NETS: Final = """
from torch import nn

def network(width: int, depth: int) -> nn.Module:
    layers = [nn.Conv2d(3, width, 3, padding=1), nn.ReLU()]
    for _ in range(depth):
        layers += [nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))
"""
# Runs pytest, and says how much memory it had when all was imported and at most.
_RUN: Final = """
import resource, sys
import pytest
import archcheck.pytest_plugin.executing, archcheck.pytest_plugin.reporting
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
status = pytest.main(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_SELF)
print("measured", before, used.ru_maxrss, used.ru_utime + used.ru_stime)
sys.exit(status)
"""


class Run(NamedTuple):
    """A run: seconds of the clock, of processors for all processes and for the one that submits, MiB of that one."""

    wall_sec: float
    all_cpu_sec: float
    cpu_sec: float
    memory_mib: float
    specs: list[dict[str, Any]]

    @property
    def num_items(self) -> int:
        """The number of checks."""
        return sum(len(spec["checks"]) for spec in self.specs)


def main(num_specs: int) -> None:
    """Print the tables."""
    print(describe_machine(), "\n")
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "RAY_AUTH_MODE": "disabled"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_specs(folder, num_specs)
        few = _run(folder, "processes:1", "specs/network0000.arch.yaml")
        runs = {
            "here": _run(folder),
            "processes:1": _run(folder, "processes:1"),
            "processes:2": _run(folder, "processes:2"),
        }
        for nodes in (1, 2):
            mark = uuid.uuid4().hex
            with _ray_cluster(nodes, mark) as address:
                runs[f"ray, nodes: {nodes}"] = _run(folder, "ray", RAY_ADDRESS=address, **{_MARK: mark})
    print(_table(runs), "\n")
    print(_simulation(runs["here"], runs["processes:1"], few))


def _write_specs(folder: Path, num_specs: int) -> None:
    (folder / "nets.py").write_text(_NETS)
    for index in range(NUM_NETWORKS):
        arguments = json.dumps({"width": 8 + 4 * (index % 5), "depth": 2 + index // 5})
        command = [
            "new",
            "nets:network",
            "--args",
            arguments,
            "--input",
            "B,3,32,32",
            "--output",
            f"one/{index}.arch.yaml",
        ]
        _call([sys.executable, "-m", "archcheck.cli", *command], folder)
    (folder / "specs").mkdir()
    for index in range(num_specs):
        for suffix in (".arch.yaml", ".arch.lock"):
            text = (folder / "one" / f"{index % NUM_NETWORKS}{suffix}").read_text()
            (folder / "specs" / f"network{index:04}{suffix}").write_text(text)


def _run(folder: Path, executor: str | None = None, *paths: str, **variables: str) -> Run:
    command = [
        sys.executable,
        "-c",
        _RUN,
        "-p",
        "archcheck.plugin",
        "--archcheck",
        "--archcheck-report",
        "run.json",
        "-q",
    ]
    if executor is not None:
        command += ["--archcheck-executor", executor]
    marked = {_MARK: uuid.uuid4().hex, **variables}
    start = time.perf_counter()
    with _processor_time(marked[_MARK]) as all_cpu_sec:
        output = _call([*command, *paths], folder, **marked)
    wall_sec = time.perf_counter() - start
    before, peak, cpu_sec = map(float, output.rpartition("measured ")[2].split())
    specs = json.loads((folder / "run.json").read_text())["specs"]
    return Run(wall_sec, sum(all_cpu_sec.values()), cpu_sec, (peak - before) / 1024, specs)


@contextmanager
def _processor_time(mark: str) -> Iterator[dict[str, float]]:
    """Give what each process with a mark has used inside, by looking at all of them again and again.

    Those of a cluster are nobody's children whose time could be asked for.
    """
    used: dict[str, float] = {}
    before: dict[str, float] = {}
    is_over = threading.Event()

    def watch() -> None:
        others: set[str] = set()
        before.update(_processor_times(mark, others))
        while True:
            last = is_over.wait(SAMPLE_SEC)
            used.update({key: sec - before.get(key, 0.0) for key, sec in _processor_times(mark, others).items()})
            if last:
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield used
    finally:
        is_over.set()
        thread.join()


def _processor_times(mark: str, others: set[str]) -> dict[str, float]:
    """Return what each process with a mark has used; those without are added to `others`, and not looked at again."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            key = f"{path.name} {fields[19]}"  # with the time of its start
            if key in others:
                continue
            if f"{_MARK}={mark}".encode() in (path / "environ").read_bytes().split(b"\0"):
                found[key] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            elif float(Path("/proc/uptime").read_text().split()[0]) - int(fields[19]) / 100 > 1:  # it has its variables
                others.add(key)
    return found


def _call(command: Sequence[str], folder: Path, **variables: str) -> str:
    environment = {**os.environ, **variables}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


@contextmanager
def _ray_cluster(num_nodes: int, mark: str) -> Iterator[str]:
    """Start a cluster of nodes with a processor each on this machine, and give its address."""
    from ray.cluster_utils import Cluster

    os.environ[_MARK] = mark
    cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        for _ in range(num_nodes - 1):
            cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        yield cluster.address
    finally:
        cluster.shutdown()
        del os.environ[_MARK]


def _table(runs: dict[str, Run]) -> str:
    here, one, one_ray = runs["here"], runs["processes:1"], runs["ray, nodes: 1"]
    rows = []
    for name, run in runs.items():
        alone, number = {"processes:2": (one, 2), "ray, nodes: 2": (one_ray, 2)}.get(name, (None, 1))
        efficiency = "" if alone is None else f"{alone.wall_sec / number / run.wall_sec:.2f}"
        work = "" if alone is None else f"{alone.all_cpu_sec / run.all_cpu_sec:.2f}"
        overhead = "" if run is here or number > 1 else f"{1e3 * (run.wall_sec - here.wall_sec) / run.num_items:.1f}"
        same = "" if run is here else "the same" if _plain(run) == _plain(here) else "OTHERS"
        rows.append(
            [
                name,
                run.num_items,
                f"{run.wall_sec:.1f}",
                efficiency,
                f"{run.all_cpu_sec:.1f}",
                work,
                f"{run.cpu_sec:.1f}",
                overhead,
                f"{run.memory_mib:.0f}",
                same,
            ]
        )
    head = [
        "run by",
        "checks",
        "clock s",
        "efficiency",
        "processors s",
        "efficiency of these",
        "of the submitter s",
        "overhead ms a check",
        "memory MiB",
        "results",
    ]
    limits = (
        f"limits: efficiency {EFFICIENCY_LIMIT}, overhead {1e3 * ITEM_LIMIT_SEC:.0f} ms, memory {MEMORY_LIMIT_MIB} MiB"
    )
    table = tabulate(rows, head, disable_numparse=True)
    return f"{table}\n{limits}; memory: that of the process that submits, above its imports"


def _plain(run: Run) -> str:
    """Return what was found, without what no two runs share."""
    return json.dumps(
        [
            {**spec, "checks": [{**check, "duration_sec": None} for check in spec["checks"]]}
            for spec in sorted(run.specs, key=lambda spec: str(spec["spec"]))
        ],
        sort_keys=True,
    )


# ---------------------------------------------------------------------------------------------- more workers


def _simulation(here: Run, one: Run, few: Run) -> str:
    """Say how long the run would take on more workers, each of which starts once, and one process that submits."""
    costs = [sum(check["duration_sec"] for check in spec["checks"]) for spec in here.specs]
    cost_sec = statistics.median(costs)  # the first spec's has the imports
    start_sec = max(costs) - cost_sec
    each_sec = (one.cpu_sec - few.cpu_sec) / (len(one.specs) - len(few.specs))
    rows = []
    for number in WORKERS:
        seconds = _simulated(len(costs), cost_sec, start_sec, each_sec, number)
        alone = _simulated(len(costs), cost_sec, start_sec, each_sec, 1)
        rows.append([number, f"{seconds:.1f}", f"{alone / seconds:.1f}", f"{alone / seconds / number:.2f}"])
    table = tabulate(rows, ["workers", "clock s", "times as fast", "efficiency"], disable_numparse=True)
    return (
        f"simulated: a spec takes {cost_sec:.3f} s, a worker {start_sec:.1f} s to start, and the process that submits "
        f"{1e3 * each_sec:.1f} ms a spec,\nso that more than {cost_sec / each_sec:.0f} workers wait for it:\n\n{table}"
    )


def _simulated(num_specs: int, cost_sec: float, start_sec: float, each_sec: float, num_workers: int) -> float:
    """Return when the last answer is told: workers take specs in order, answers are taken one after the other."""
    free = [start_sec] * num_workers
    heapq.heapify(free)
    ends = []
    for _ in range(num_specs):
        end = heapq.heappop(free) + cost_sec
        ends.append(end)
        heapq.heappush(free, end)
    told = 0.0
    for end in sorted(ends):
        told = max(told, end) + each_sec
    return told


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else NUM_SPECS)
