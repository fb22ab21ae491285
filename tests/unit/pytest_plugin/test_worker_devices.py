"""Devices among workers: by number and by free memory, told by the variables of their drivers."""

from __future__ import annotations

import json
import subprocess
from types import SimpleNamespace
from typing import Any

import pytest

from archcheck.pytest_plugin import worker_devices
from archcheck.pytest_plugin.worker_devices import (
    NO_DEVICES,
    PLACE,
    Device,
    Machine,
    Place,
    as_variable,
    describe,
    find_machine,
    give_out,
    own_place,
    places_of,
)

GIB = 1 << 30


def machine(*free_gib: float, kind: str = "cuda", hides: str = "cuda") -> Machine:
    return Machine(kind, hides, tuple(Device(f"GPU {index}", int(GIB * one)) for index, one in enumerate(free_gib)))


def shown(found: list[tuple[Place, dict[str, str]]]) -> list[str]:
    return [place.shown.partition(" ")[0] or "none" for place, _ in found]


# ---------------------------------------------------------------------------------------------- giving out


@pytest.mark.parametrize(
    ("free", "num_workers", "expected"),
    [
        ((10, 10), 2, ["cuda:0", "cuda:1"]),
        ((1, 1, 80), 2, ["cuda:0", "cuda:1"]),  # the first ones
        ((10, 10), 4, ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]),
        ((10, 30), 5, ["cuda:0", "cuda:1", "cuda:1", "cuda:1", "cuda:1"]),  # a quarter of 30 is more than half of 10
        ((5,), 3, ["cuda:0", "cuda:0", "none"]),  # 5/2 is enough for two, 5/3 isn't for three
        ((1,), 1, ["cuda:0"]),  # it's the worker's own, however full
    ],
)
def test_workers_get_a_device_or_share_by_free_memory(
    free: tuple[float, ...], num_workers: int, expected: list[str]
) -> None:
    assert shown(give_out(machine(*free), num_workers, {})) == expected


def test_it_is_known_how_many_share() -> None:
    found = give_out(machine(10, 10), 3, {})
    assert [place.num_sharing for place, _ in found] == [2, 1, 2]


@pytest.mark.parametrize(
    ("hides", "variables", "expected"),
    [
        ("cuda", {}, [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}]),
        (
            "cuda",
            {"CUDA_VISIBLE_DEVICES": "5, GPU-8932f937"},
            [{"CUDA_VISIBLE_DEVICES": "5"}, {"CUDA_VISIBLE_DEVICES": "GPU-8932f937"}],
        ),
        ("hip", {"HIP_VISIBLE_DEVICES": "3,1"}, [{"HIP_VISIBLE_DEVICES": "3"}, {"HIP_VISIBLE_DEVICES": "1"}]),
        ("hip", {"CUDA_VISIBLE_DEVICES": "3,1"}, [{"CUDA_VISIBLE_DEVICES": "3"}, {"CUDA_VISIBLE_DEVICES": "1"}]),
        ("xpu", {}, [{"ZE_AFFINITY_MASK": "0"}, {"ZE_AFFINITY_MASK": "1"}]),
        ("npu", {}, [{"ASCEND_RT_VISIBLE_DEVICES": "0"}, {"ASCEND_RT_VISIBLE_DEVICES": "1"}]),
        ("other", {}, [{}, {}]),
    ],
)
def test_the_drivers_variable_is_an_index_into_the_callers(
    hides: str, variables: dict[str, str], expected: list[dict[str, str]]
) -> None:
    found = give_out(machine(10, 10, hides=hides), 2, variables)
    assert [one for _, one in found] == expected


def test_where_nothing_hides_the_others_a_device_is_named_by_its_index() -> None:
    found = give_out(machine(10, 10, kind="tpu", hides="tpu"), 2, {})
    assert [place.device for place, _ in found] == ["tpu:0", "tpu:1"]
    assert [place.device for place, _ in give_out(machine(10, 10), 2, {})] == ["cuda", "cuda"]


def test_a_worker_without_device_sees_none_and_knows_why() -> None:
    place, variables = give_out(machine(5), 3, {})[2]
    assert (place.device, variables) == ("", {"CUDA_VISIBLE_DEVICES": ""})
    assert place.problem == (
        "this worker of pytest-xdist has no device: there are more workers than the memory of 1 device is enough for; "
        "start fewer (-n), or train on the CPU (--archcheck-device cpu)"
    )


def test_without_accelerators_nothing_changes() -> None:
    assert give_out(NO_DEVICES, 2, {}) == [(Place(), {}), (Place(), {})]


# ---------------------------------------------------------------------------------------------- what was asked for


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("auto", ["cuda:0", "cuda:1"]),
        ("cuda", ["cuda:0", "cuda:1"]),
        ("cuda:1", ["cuda:1", "cuda:1"]),
        ("cpu", ["none", "none"]),
        ("mps", ["none", "none"]),
    ],
)
def test_a_device_that_was_named_is_that_of_all(
    monkeypatch: pytest.MonkeyPatch, wanted: str, expected: list[str]
) -> None:
    monkeypatch.setattr(worker_devices, "find_machine", lambda: machine(10, 10))
    found = places_of(wanted, 2, {})
    assert shown(found) == expected
    assert [place.num_sharing for place, _ in found] == ([2, 2] if wanted == "cuda:1" else [1, 1])


def test_who_got_what_is_one_line() -> None:
    places = [place for place, _ in give_out(machine(10, 4, 1), 6, {})]
    workers = dict(zip(("gw0", "gw1", "gw2", "gw3", "gw4", "gw5"), places, strict=True))
    assert describe(workers) == "gw0 and gw3 and gw4 and gw5 cuda:0 (GPU 0), gw1 cuda:1 (GPU 1), gw2 cuda:2 (GPU 2)"
    assert describe({"gw0": Place(problem="full")}) == "gw0 no device"


def test_a_worker_reads_its_place_from_its_environment() -> None:
    place = Place("cuda", "cuda:1 (GPU 1)", 2)
    assert own_place({PLACE: as_variable(place)}) == place
    assert own_place({}) == Place()


# ---------------------------------------------------------------------------------------------- finding


def finding(monkeypatch: pytest.MonkeyPatch, *, torch: str, drivers: list[str], answer: object = None) -> list[Any]:
    """Pretend a torch, drivers, and what another process answers; return the commands that are run."""
    commands: list[Any] = []

    def run(command: list[str], **_: object) -> object:
        commands.append(command)
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(stdout=f"a warning\n{json.dumps(answer)}\n")

    monkeypatch.setattr(worker_devices, "version", lambda name: torch)
    monkeypatch.setattr(worker_devices, "glob", lambda pattern: drivers)
    monkeypatch.setattr(worker_devices.sys, "platform", "linux")  # type: ignore[attr-defined]
    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_torch_is_asked_in_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"kind": "cuda", "hides": "hip", "devices": [{"name": "AMD Instinct MI300X", "free_bytes": 5 * GIB}]}
    finding(monkeypatch, torch="2.11.0+rocm7.0", drivers=["/dev/kfd"], answer=answer)
    assert find_machine() == Machine("cuda", "hip", (Device("AMD Instinct MI300X", 5 * GIB),))


@pytest.mark.parametrize(("torch", "drivers"), [("2.11.0+cpu", ["/dev/nvidia0"]), ("2.11.0+cu130", [])])
def test_nobody_is_asked_where_there_can_be_no_accelerator(
    monkeypatch: pytest.MonkeyPatch, torch: str, drivers: list[str]
) -> None:
    commands = finding(monkeypatch, torch=torch, drivers=drivers)
    assert find_machine() is NO_DEVICES
    assert commands == []


@pytest.mark.parametrize(
    "answer",
    [{"kind": None, "hides": None, "devices": []}, subprocess.TimeoutExpired("python", 1), OSError("no memory")],
)
def test_where_torch_knows_of_none_there_is_none(monkeypatch: pytest.MonkeyPatch, answer: object) -> None:
    finding(monkeypatch, torch="2.11.0+cu130", drivers=["/dev/nvidia0"], answer=answer)
    assert find_machine() is NO_DEVICES
