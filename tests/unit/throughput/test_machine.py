"""What a machine is called, and what a spec's value says for it."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from archcheck.throughput.machine import cpu_model, describe_device, find_device_key

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)

X86 = """\
processor\t: 0
cpu family\t: 6
model name\t: Intel(R)  Xeon(R)   Processor @ 2.70GHz

processor\t: 1
model name\t: another
"""
ARM = """\
processor\t: 0
BogoMIPS\t: 243.75
CPU implementer\t: 0x41
CPU architecture: 8
CPU part\t: 0xd0c
"""
POWER = "processor\t: 0\ncpu\t\t: POWER9, altivec supported\n"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H200")
    return monkeypatch


def on(monkeypatch: pytest.MonkeyPatch, system: str, cpuinfo: str = "") -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(Path, "read_text", lambda path, **options: cpuinfo)


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        (X86, "Intel(R) Xeon(R) Processor @ 2.70GHz"),
        (ARM, "aarch64 implementer 0x41 part 0xd0c"),
        (POWER, "POWER9, altivec supported"),
        ("model name\t:   \n", "aarch64"),
        ("", "aarch64"),
    ],
    ids=["x86", "ARM", "POWER", "blank", "nothing"],
)
def test_the_processor_on_linux(monkeypatch: pytest.MonkeyPatch, cpuinfo: str, expected: str) -> None:
    on(monkeypatch, "Linux", cpuinfo)
    assert cpu_model() == expected


def test_a_linux_without_cpuinfo(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_text(path: Path, **options: Any) -> str:
        raise FileNotFoundError(path)

    on(monkeypatch, "Linux")
    monkeypatch.setattr(Path, "read_text", read_text)
    assert cpu_model() == "aarch64"


def test_the_processor_on_macos(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        assert command == ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.CompletedProcess(command, 0, stdout="Apple M2 Pro\n")

    on(monkeypatch, "Darwin")
    monkeypatch.setattr(subprocess, "run", run)
    assert cpu_model() == "Apple M2 Pro"


@pytest.mark.parametrize(
    "error", [FileNotFoundError("sysctl"), subprocess.TimeoutExpired("sysctl", 5), subprocess.CalledProcessError(1, "")]
)
def test_a_macos_that_does_not_tell(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        raise error

    on(monkeypatch, "Darwin")
    monkeypatch.setattr(subprocess, "run", run)
    assert cpu_model() == "aarch64"


def test_the_processor_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "Windows")
    monkeypatch.setattr(platform, "processor", lambda: "Intel64 Family 6 Model 167, GenuineIntel")
    assert cpu_model() == "Intel64 Family 6 Model 167, GenuineIntel"


def test_a_machine_that_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("system", "processor", "machine"):
        monkeypatch.setattr(platform, name, lambda: "")
    assert cpu_model() == "unknown CPU"


def test_a_measurement_on_the_cpu_tells_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "Linux", X86)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(torch, "__version__", "2.99.0+cpu")
    assert describe_device(CPU) == {
        "device": "cpu", "cpu": "Intel(R) Xeon(R) Processor @ 2.70GHz", "threads": 3, "torch": "2.99.0+cpu"
    }  # fmt: skip


def test_a_measurement_on_a_gpu_tells_its_name(gpu: pytest.MonkeyPatch) -> None:
    described = describe_device(GPU)
    assert (described["device"], described["threads"]) == ("NVIDIA H200", None)


def lookup_by_device(value: Mapping[str, float], device: torch.device) -> float | None:
    key = find_device_key(value, device)
    return None if key is None else value[key]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"cpu": 30, "NVIDIA H200": 20_000}, 20_000),
        ({"nvidia  h200 ": 20_000}, 20_000),
        ({"cuda": 1, "H200": 2, "NVIDIA H200": 3}, 3),
        ({"cuda": 1, "H200": 2, "nvidia": 3}, 3),
        ({"cuda": 1, "H200": 2}, 2),
        ({"cuda": 1, "NVIDIA A100": 2}, 1),
        ({"H20": 2}, None),
        ({"200": 2}, None),
        ({"": 2}, None),
        ({"cpu": 30, "mps": 2}, None),
        ({}, None),
    ],
    ids=str,
)
def test_the_key_that_says_most_about_the_device(
    gpu: pytest.MonkeyPatch, value: Mapping[str, float], expected: float | None
) -> None:
    assert lookup_by_device(value, GPU) == expected


def test_a_part_may_end_at_a_hyphen(gpu: pytest.MonkeyPatch) -> None:
    gpu.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA A100-SXM4-80GB")
    assert lookup_by_device({"A100": 1}, GPU) == 1


@pytest.mark.parametrize(
    ("value", "expected"), [({"cpu": 30, "NVIDIA H200": 20_000}, 30), ({"CPU": 30}, 30), ({"cuda": 1}, None)], ids=str
)
def test_the_cpu_goes_by_its_kind(value: Mapping[str, float], expected: float | None) -> None:
    assert lookup_by_device(value, CPU) == expected
