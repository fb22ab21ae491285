"""What recording and verifying a function takes: `python benchmarks/function.py [NAME...]`, torchvision's classifiers.

Each network is recorded and verified in a process of its own, whose peak memory is that of the network. Times are in
seconds of this machine; beside them stands the same process's time for one plain training step in single precision
(forward, backward, two images of 224 pixels, or of 299), as a measure of machine and network.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any, Final

from structure import classifier_names, describe_machine
from tabulate import tabulate

TIME_SEC: Final = 2.0
MEMORY_GIB: Final = 2.0
LARGEST_USUAL: Final = 130_000_000


def main(names: list[str]) -> int:
    """Measure the networks named, or all of them. Returns the number of those over their budget."""
    print(describe_machine(), "\n")
    rows = []
    for name in names or classifier_names():
        rows.append(measured_alone(name))
        print("  ".join(rows[-1]), file=sys.stderr, flush=True)  # all of them take a while
    headers = ["network", "parameters", "at", "input", "record s", "verify s", "of a step", "GiB", "findings", "budget"]
    print(tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True))
    over = [row[0] for row in rows if is_over(row)]
    print(f"\n{len(rows)} networks, over their budget: {', '.join(over) or 'none'}")
    alarms = [row[0] for row in rows if row[-2] != "0"]
    print(f"differences from what was recorded, or findings of health: {', '.join(alarms) or 'none'}")
    return len(over) + len(alarms)


def is_over(row: list[str]) -> bool:
    """Whether recording or verifying took more than the spec grants, or than is usual."""
    seconds, gib = TIME_SEC, MEMORY_GIB
    if row[-1] != "-":
        parts = dict(part.split(": ") for part in row[-1].split(", "))
        seconds = float(parts.get("time", f"{seconds} s").split()[0])
        gib = float(parts.get("memory", f"{gib} GiB").split()[0])
    return max(float(row[4]), float(row[5])) > seconds or float(row[7]) > gib


def measured_alone(name: str) -> list[str]:
    """A row of the table, measured in a fresh process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(name, theirs))
    process.start()
    theirs.close()
    try:
        row: list[str] = ours.recv()
    except EOFError:
        row = [name, "-", "died", "-", "inf", "inf", "-", "inf", "-", "-"]
    process.join()
    return row


def _measure(name: str, out: Any) -> None:
    warnings.simplefilter("ignore")
    out.send(measure(name))
    out.close()


def measure(name: str) -> list[str]:
    """Record and verify a classifier's function."""
    import torchvision

    from archcheck.checks.health import check_health
    from archcheck.deployment.records import DeviceRecord
    from archcheck.findings import Edit
    from archcheck.function.comparison import compare_function
    from archcheck.function.fingerprint.config import CPU
    from archcheck.function.fingerprint.number_pool import pool
    from archcheck.function.measure import measure_function, network_factory, record_section
    from archcheck.recording.lock_writer import changed_lock, format_lock
    from archcheck.spec.file_names import lock_path
    from archcheck.spec.lock import LOCK
    from archcheck.spec.spec_file import read_spec
    from archcheck.structure.trace import trace_structure

    pool(CPU)  # made once in a run
    torchvision.models.get_model("alexnet", weights=None, num_classes=2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.arch.yaml")
        side = side_of(name)
        path.write_text(f"build: torchvision:{name}\ninput: [B, 3, {side}, {side}]\n", encoding="utf-8")
        spec_file = read_spec(path)
        build = network_factory(spec_file, None)
        trace = trace_structure(build, spec_file.spec.forward_inputs())
        start = time.perf_counter()
        section = record_section(spec_file, build, trace).section
        recording = time.perf_counter() - start
        lock = changed_lock({}, spec_file.spec.build, [Edit((LOCK, "function"), section)])
        lock_path(path).write_text(format_lock(lock), encoding="utf-8")
        spec_file = read_spec(path)
        start = time.perf_counter()
        _, record = measure_function(spec_file, build, trace)
        verifying = time.perf_counter() - start
    assert record.health is not None
    differs = compare_function(spec_file, record, trace) is not None
    findings = differs + len(check_health(spec_file, record.health, DeviceRecord(), trace.modules))
    gib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    figures = [f"{gib:.2f}", str(findings)]
    return _row(name, trace.root.num_params, section, (recording, verifying), figures)


def side_of(name: str) -> int:
    """Of the images that a network was made for."""
    return 299 if name == "inception_v3" else 224


def _row(
    name: str, num_params: int, section: dict[str, Any], seconds: tuple[float, float], more: list[str]
) -> list[str]:
    recording, verifying = seconds
    at = ", ".join(f"{key}={size}" for key, size in section["at"].items())
    budget = ", ".join(f"{key}: {value}" for key, value in section.get("budget", {}).items())
    side = str(section.get("input", [side_of(name)])[-1])
    step = verifying / step_seconds(name)
    figures = [f"{recording:.2f}", f"{verifying:.2f}", f"{step:.1f}", *more]
    return [name, f"{num_params:_}", at, side, *figures, budget or "-"]


def step_seconds(name: str) -> float:
    """One training step as it's usually done, in single precision, after one to warm up."""
    import torch
    import torchvision

    model = torchvision.models.get_model(name, weights=None).train()
    images = torch.rand(2, 3, side_of(name), side_of(name))
    for _ in range(2):
        start = time.perf_counter()
        out = model(images)
        (out if isinstance(out, torch.Tensor) else out[0]).sum().backward()
        seconds = time.perf_counter() - start
    return seconds


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) and 1)
