"""Examples per second of a spec's network, with utilization, memory and compile time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TypeAlias

import torch

from archcheck.errors import ArchcheckError
from archcheck.network.build import prepare_network
from archcheck.network.devices import device_name, release
from archcheck.network.torch_state import seeded
from archcheck.spec.dims import BATCH
from archcheck.spec.inputs import input_names
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.trace import trace_structure
from archcheck.throughput.peak_macs import measure_peak_macs_per_sec
from archcheck.throughput.peak_memory import measure_peak_memory_bytes
from archcheck.throughput.plan import SpeedPlan
from archcheck.throughput.records import SpeedRecord
from archcheck.throughput.workload import Workload, num_steps_lasting
from archcheck.training.failures import errors_attributed_to

ROUNDS_SEC = 1.0
MIN_ROUNDS, MAX_ROUNDS = 5, 2_000
PEAK_SEC = 0.15  # before the rounds, and as long after them, as the machine's speed changes every minute
# What a step counts as: a backward pass computes two products for each of the forward pass's.
FORWARD_PASSES_PER_STEP = {"train": 3, "inference": 1}

RoundTimer: TypeAlias = Callable[[Callable[[], object], int], Sequence[float]]
"""Calls a function a number of times; returns the seconds of each call."""


def num_timing_threads(device: torch.device) -> int | None:
    """Return the number of threads to time with: 1 on the CPU, None elsewhere.

    What a second thread gains depends on what else the machine is doing.
    """
    return 1 if device.type == "cpu" else None


def time_calls(function: Callable[[], object], number: int) -> list[float]:
    """Call a function `number` times; return the seconds of each call."""
    seconds = []
    for _ in range(number):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return seconds


def measure_speed(
    spec_file: SpecFile,
    plan: SpeedPlan,
    device: torch.device,
    rootdir: Path | None,
    time_rounds: RoundTimer,
    share: float = 1.0,
) -> SpeedRecord:
    """Build a spec's network and time steps of it. Torch's settings and random generators are restored afterwards.

    `share` is how much of the usual time is spent on it: less where the figures are only shown.

    Raises:
        RunFailed: network and plan don't go together, or memory runs out.
        BuildError: the network can't be built.
    """
    with seeded(plan.recipe.seed, device, num_timing_threads(device)):
        times = _time_steps(Workload(spec_file, plan, device, rootdir), time_rounds, rootdir, share)
    release(device)
    macs, examples_per_sec = _count_macs(spec_file, plan, rootdir), plan.recipe.batch_size / times.step_sec
    return SpeedRecord(
        mode=plan.mode,
        device=device_name(device),
        num_threads=num_timing_threads(device),
        precision=plan.recipe.precision,
        batch_size=plan.recipe.batch_size,
        examples_per_sec=examples_per_sec,
        step_sec=times.step_sec,
        macs_per_sec=None if macs is None else FORWARD_PASSES_PER_STEP[plan.mode] * macs * examples_per_sec,
        peak_macs_per_sec=times.peak_macs_per_sec,
        peak_memory_bytes=times.peak_memory_bytes,
        compile_sec=max(0.0, times.first_step_sec - times.step_sec) if plan.recipe.compile else 0.0,
    )


@dataclass(frozen=True, slots=True)
class _Times:
    """The times of a workload's steps, with peak rate and memory measured beside them."""

    first_step_sec: float
    step_sec: float
    peak_macs_per_sec: float
    peak_memory_bytes: int | None


def _time_steps(workload: Workload, time_rounds: RoundTimer, rootdir: Path | None, share: float) -> _Times:
    device, precision = workload.device, workload.plan.recipe.precision
    first_step_sec, step_sec = workload.warm_up(share)
    peak = measure_peak_macs_per_sec(device, precision, share * PEAK_SEC)
    number = num_steps_lasting(share * ROUNDS_SEC, step_sec, least=math.ceil(share * MIN_ROUNDS), most=MAX_ROUNDS)
    with errors_attributed_to("build", "a step", rootdir):
        rounds = time_rounds(lambda: workload.run(1), number)
        memory = measure_peak_memory_bytes(workload.step, device, workload.resident())
    peak = max(peak, measure_peak_macs_per_sec(device, precision, share * PEAK_SEC))
    return _Times(first_step_sec, median(rounds), peak, memory)


def _count_macs(spec_file: SpecFile, plan: SpeedPlan, rootdir: Path | None) -> int | None:
    """Count the multiply-adds of one example's forward pass at the timed size; None where they can't be counted."""
    two = replace(plan, sizes={**plan.sizes, BATCH: 2}).make_inputs()
    one = replace(plan, sizes={**plan.sizes, BATCH: 1}).make_inputs()
    try:
        make = prepare_network(spec_file.spec.build, plan.recipe.args, spec_file.path.resolve().parent, rootdir)
        trace = trace_structure(make, [two], one)
    except ArchcheckError:
        return None  # the network runs, so this concerns the count alone
    if trace.macs is None or trace.uncounted:
        return None
    # A network of one batch size was counted at that size.
    return trace.macs if BATCH in input_names(plan.recipe.input) else trace.macs // plan.recipe.batch_size
