"""The devices of a machine among the workers of pytest-xdist: given out before a worker imports torch.

The process that starts the workers decides, and imports no torch for it: where there may be an accelerator, another
process asks torch how many there are, and how much of each is free. A worker learns from its environment which one is
its own: the variable by which the driver hides the others, and `PLACE`, which says what else there is to know.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from glob import glob
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

PLACE: Final = "ARCHCHECK_WORKER_PLACE"
MIN_SHARE_BYTES: Final = 2 << 30  # of a device's free memory, for each of the workers that share it
ASK_SEC: Final = 120.0
# What hides devices from a process: by the kind, of ROCm's torch another one.
_VARIABLES: Final = {
    "cuda": "CUDA_VISIBLE_DEVICES",
    "hip": "HIP_VISIBLE_DEVICES",
    "xpu": "ZE_AFFINITY_MASK",
    "npu": "ASCEND_RT_VISIBLE_DEVICES",
}
# Files that there are where a driver is: NVIDIA's, AMD's, Intel's and others' renderers, Ascend's, of WSL.
_DRIVERS: Final = ("/dev/nvidia[0-9]*", "/dev/kfd", "/dev/dri/renderD*", "/dev/davinci[0-9]*", "/dev/dxg")
_ASK: Final = """
import json, torch
from archcheck.network.devices import count_devices, device_name, free_memory_bytes
one = torch.accelerator.current_accelerator(check_available=True)
found = [] if one is None else [torch.device(one.type, index) for index in range(count_devices(one.type))]
hides = "hip" if getattr(torch.version, "hip", None) else one and one.type
devices = [{"name": device_name(device), "free_bytes": free_memory_bytes(device)} for device in found]
print(json.dumps({"kind": one and one.type, "hides": hides, "devices": devices}))
"""


@dataclass(frozen=True, slots=True)
class Device:
    """A device as the process sees it that starts the workers."""

    name: str
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Machine:
    """The accelerators of a machine. kind: as torch calls it; hides: whose variable hides them."""

    kind: str
    hides: str
    devices: tuple[Device, ...]


NO_DEVICES: Final = Machine("", "", ())


@dataclass(frozen=True, slots=True)
class Place:
    """Where a worker computes.

    device: the name that it uses, such as `cuda`, or `mps:0` where nothing hides the others; empty: it has none.
    shown: the device as the user calls it. num_sharing: how many workers have the same one. problem: why it has none.
    lock: a file that those lock who share a device.
    """

    device: str = ""
    shown: str = ""
    num_sharing: int = 1
    problem: str = ""
    lock: str = ""

    @property
    def is_own(self) -> bool:
        """Return whether no other worker computes there."""
        return bool(self.device) and self.num_sharing == 1


# ---------------------------------------------------------------------------------------------- finding


def find_machine() -> Machine:
    """Return the accelerators of this machine, for this process; none where torch can't be asked."""
    if not _may_have_devices():
        return NO_DEVICES
    try:
        done = subprocess.run(
            [sys.executable, "-c", _ASK], capture_output=True, text=True, timeout=ASK_SEC, check=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )  # fmt: skip
        told = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return NO_DEVICES
    devices = tuple(Device(**one) for one in told["devices"])
    return Machine(told["kind"], told["hides"], devices) if devices else NO_DEVICES


def _may_have_devices() -> bool:
    """Whether it's worth a look, which takes seconds: torch isn't one for CPUs, and a driver is there."""
    try:
        if version("torch").endswith("+cpu"):
            return False
    except PackageNotFoundError:
        return False
    return not sys.platform.startswith("linux") or any(glob(pattern) for pattern in _DRIVERS)


# ---------------------------------------------------------------------------------------------- giving out


def places_of(wanted: str, num_workers: int, variables: Mapping[str, str]) -> list[tuple[Place, dict[str, str]]]:
    """Return the place of each worker, and the variables to set for it, for what `--archcheck-device` says."""
    machine = find_machine() if wanted.partition(":")[0] != "cpu" and num_workers else NO_DEVICES
    kind, _, index = wanted.partition(":")
    if kind not in ("auto", machine.kind):
        machine = NO_DEVICES
    if machine.devices and index:  # all of them are to use that one
        named = machine.devices[int(index)].name if int(index) < len(machine.devices) else "not there"
        return [(Place(wanted, f"{wanted} ({named})", num_workers), {}) for _ in range(num_workers)]
    return give_out(machine, num_workers, variables)


def give_out(machine: Machine, num_workers: int, variables: Mapping[str, str]) -> list[tuple[Place, dict[str, str]]]:
    """Return for each worker its place, and the variables to set for it.

    Where there are fewer workers than devices, they get the first ones. More of them share, each on the device that
    leaves it most free memory; those for which no device has enough left get none.

    variables: the environment of the process that starts them.
    """
    if not machine.devices:
        return [(Place(), {}) for _ in range(num_workers)]
    indices = _choose(tuple(one.free_bytes for one in machine.devices), num_workers)
    sharing = Counter(indices)
    return [_place(machine, index, sharing[index], variables) for index in indices]


def _choose(free_bytes: Sequence[int], num_workers: int) -> list[int | None]:
    """Return the index of each worker's device; None for a worker that finds none with memory for it."""
    chosen: list[int | None] = list(range(min(len(free_bytes), num_workers)))
    taken = Counter(chosen)
    while len(chosen) < num_workers:
        left, best = max((free / (taken[index] + 1), -index) for index, free in enumerate(free_bytes))
        index = -best if left >= MIN_SHARE_BYTES else None
        chosen.append(index)
        taken[index] += 1
    return chosen


def _place(
    machine: Machine, index: int | None, num_sharing: int, variables: Mapping[str, str]
) -> tuple[Place, dict[str, str]]:
    variable = _VARIABLES.get(machine.hides)
    if machine.hides == "hip" and variable not in variables and _VARIABLES["cuda"] in variables:
        variable = _VARIABLES["cuda"]  # which ROCm knows, too
    if index is None:
        counted = f"{len(machine.devices)} device{'s' if len(machine.devices) > 1 else ''}"
        problem = (
            f"this worker of pytest-xdist has no device: there are more workers than the memory of {counted} is "
            "enough for; start fewer (-n), or train on the CPU (--archcheck-device cpu)"
        )
        return Place(problem=problem), {} if variable is None else {variable: ""}
    shown = f"{machine.kind}:{index} ({machine.devices[index].name})"
    if variable is None:
        return Place(f"{machine.kind}:{index}", shown, num_sharing), {}
    return Place(machine.kind, shown, num_sharing), {variable: _visible(variables.get(variable), index)}


def _visible(caller: str | None, index: int) -> str:
    """Return what the variable has to be for one device of those that the caller sees."""
    entries = [one.strip() for one in (caller or "").split(",") if one.strip()]
    return entries[index] if index < len(entries) else str(index)


def describe(places: Mapping[str, Place]) -> str:
    """Say in one line who got what: `gw0 cuda:0 (NVIDIA H200), gw1 and gw2 cuda:1 (NVIDIA H200)`."""
    workers: dict[str, list[str]] = {}
    for worker, place in places.items():
        workers.setdefault(place.shown or "no device", []).append(worker)
    return ", ".join(f"{' and '.join(names)} {shown}" for shown, names in workers.items())


# ---------------------------------------------------------------------------------------------- a worker's side


def as_variable(place: Place) -> str:
    """Return a place as the value of the variable that a worker has."""
    return json.dumps(asdict(place))


def own_place(variables: Mapping[str, str]) -> Place:
    """Return the place of this worker; one of no device where nobody gave any out."""
    text = variables.get(PLACE)
    values: dict[str, Any] = json.loads(text) if text else {}
    return Place(**values)
