"""Devices by the names that users give them."""

from __future__ import annotations

import pytest
import torch

from archcheck.errors import NotMeasured, UsageError
from archcheck.training.devices import choose_device, device_name


def pretend(monkeypatch: pytest.MonkeyPatch, *, cuda: int = 0, mps: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "name", "expected"),
    [(0, False, "auto", "cpu"), (0, True, "auto", "mps"), (2, True, "auto", "cuda"), (2, False, "cuda:1", "cuda:1"),
     (2, False, "cuda", "cuda:0"), (2, True, "cpu", "cpu"), (0, True, "mps", "mps")],
)  # fmt: skip
def test_the_best_device_or_the_one_named(
    monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool, name: str, expected: str
) -> None:
    pretend(monkeypatch, cuda=cuda, mps=mps)
    assert str(choose_device(name)) == expected


@pytest.mark.parametrize(
    ("cuda", "name", "has"),
    [
        (0, "cuda", "no CUDA device"),
        (1, "cuda:1", "1 CUDA device"),
        (2, "cuda:2", "2 CUDA devices"),
        (0, "mps", "no MPS device"),
    ],
)
def test_one_that_is_not_there_is_no_verdict(monkeypatch: pytest.MonkeyPatch, cuda: int, name: str, has: str) -> None:
    pretend(monkeypatch, cuda=cuda)
    with pytest.raises(NotMeasured, match=f"^no device '{name}': this machine has {has}$"):
        choose_device(name)


def test_no_device_at_all_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="expected a device: auto, cpu, cuda, cuda:N or mps, found 'tpu'"):
        choose_device("tpu")


def test_the_cpu_is_called_cpu() -> None:
    assert device_name(torch.device("cpu")) == "cpu"
