"""Devices by the names that users give them, and what torch's module for a kind of device is asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from archcheck.errors import NotMeasured, UsageError
from archcheck.network import devices
from archcheck.network.devices import (
    autocast,
    cache_bytes,
    choose_device,
    copies_from_pinned_memory,
    counts_peak_memory,
    device_name,
    free_memory_bytes,
    generator_states,
    graph_tools,
    has_float64,
    peak_memory_bytes,
    release,
    reset_peak_memory,
    restore_generators,
    start_generators,
    synchronize,
)

XPU = torch.device("xpu", 1)


class Module:
    """Stands for `torch.xpu` and the like: says what it is told to, and keeps what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        if name not in vars(self)["answers"]:
            raise AttributeError(name)

        def answer(*args: Any) -> Any:
            self.calls.append((name, *args))
            return self.answers[name]

        return answer


def pretend(monkeypatch: pytest.MonkeyPatch, kind: str | None, **answers: Any) -> Any:
    """Have torch built for an accelerator whose module says this, or for none."""
    module, cpu = Module(**answers), torch.cpu
    accelerator = None if kind is None else torch.device(kind)

    def current(check_available: bool = False) -> torch.device | None:
        return None if check_available and not answers.get("device_count", 1) else accelerator

    def module_of(device: torch.device) -> Any:
        if device.type == kind:
            return module
        if device.type == "cpu":
            return cpu
        raise RuntimeError(f"Device '{device.type}' does not have a corresponding module registered")

    monkeypatch.setattr(torch.accelerator, "current_accelerator", current)
    monkeypatch.setattr(torch, "get_device_module", module_of)
    return module


# ---------------------------------------------------------------------------------------------- choosing


@pytest.mark.parametrize(
    ("kind", "count", "name", "expected"),
    [
        (None, 0, "auto", "cpu"),
        ("cuda", 0, "auto", "cpu"),  # built for it, and none there
        ("mps", 1, "auto", "mps:0"),
        ("cuda", 2, "auto", "cuda:0"),
        ("xpu", 1, "auto", "xpu:0"),
        ("cuda", 2, "cuda:1", "cuda:1"),
        ("cuda", 2, "cuda", "cuda:0"),
        ("cuda", 2, "cpu", "cpu"),
        ("cuda", 2, "cpu:0", "cpu"),
        ("hpu", 3, "hpu:2", "hpu:2"),
    ],
)
def test_the_accelerator_or_the_device_named(
    monkeypatch: pytest.MonkeyPatch, kind: str | None, count: int, name: str, expected: str
) -> None:
    pretend(monkeypatch, kind, device_count=count)
    assert str(choose_device(name)) == expected


@pytest.mark.parametrize(
    ("count", "name", "has"),
    [
        (0, "cuda", "no CUDA device"),
        (1, "cuda:1", "1 CUDA device"),
        (2, "cuda:2", "2 CUDA devices"),
        (2, "mps", "no MPS device"),
        (2, "vulkan", "no VULKAN device"),
        (2, "cpu:1", "1 CPU device"),
    ],
)
def test_one_that_is_not_there_is_no_verdict(monkeypatch: pytest.MonkeyPatch, count: int, name: str, has: str) -> None:
    pretend(monkeypatch, "cuda", device_count=count)
    with pytest.raises(NotMeasured, match=f"^no device '{name}': this machine has {has}$"):
        choose_device(name)


@pytest.mark.parametrize("name", ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "CUDA", "cuda:0\n", "cuda:300", "meta"])
def test_names_that_are_no_devices_are_told_with_those_that_are(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    pretend(monkeypatch, "cuda", device_count=2, get_device_name="NVIDIA H200")
    with pytest.raises(UsageError) as told:
        choose_device(name)
    assert str(told.value) == (
        f"expected auto or a device that torch knows, found {name!r}; "
        "this machine has cpu, cuda:0 (NVIDIA H200), cuda:1 (NVIDIA H200)"
    )


def test_where_there_is_no_accelerator_the_cpu_is_all_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, None)
    with pytest.raises(UsageError, match=r"found 'tpu'; this machine has cpu$"):
        choose_device("tpu")


def test_a_device_is_called_by_its_own_name_or_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    module = pretend(monkeypatch, "xpu", get_device_name="Intel Arc B580")
    assert [device_name(torch.device(kind)) for kind in ("cpu", "mps")] == ["cpu", "mps"]
    assert device_name(XPU) == "Intel Arc B580"
    assert module.calls == [("get_device_name", XPU)]


# ---------------------------------------------------------------------------------------------- waiting, memory


def test_the_device_itself_is_waited_for_and_the_cpu_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.accelerator, "synchronize", waited.append)
    synchronize(torch.device("cpu"))
    synchronize(XPU)
    assert waited == [XPU]


def test_memory_is_asked_of_the_devices_own_module(monkeypatch: pytest.MonkeyPatch) -> None:
    module = pretend(
        monkeypatch, "xpu", mem_get_info=(300, 1000), empty_cache=None, max_memory_allocated=7,
        reset_peak_memory_stats=None,
    )  # fmt: skip
    assert free_memory_bytes(XPU) == 300
    release(XPU)
    assert counts_peak_memory(XPU)
    reset_peak_memory(XPU)
    assert peak_memory_bytes(XPU) == 7
    assert module.calls == [
        ("mem_get_info", XPU), ("empty_cache",), ("reset_peak_memory_stats", XPU), ("max_memory_allocated", XPU),
    ]  # fmt: skip


def test_a_device_that_shares_the_hosts_memory_has_what_it_may_take_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "mps", recommended_max_memory=1000, driver_allocated_memory=400)
    assert free_memory_bytes("mps") == 600
    assert not counts_peak_memory(torch.device("mps"))


def test_what_a_module_lacks_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "xpu")
    release(XPU)
    start_generators(XPU)
    assert free_memory_bytes(XPU) == 2 * 1024**3
    assert not counts_peak_memory(XPU)
    assert cache_bytes(XPU) is None
    assert device_name(XPU) == "xpu"
    assert generator_states() == {}


def test_free_memory_of_the_host() -> None:
    assert 0 < free_memory_bytes("cpu") < 1 << 50


def test_free_memory_of_the_cpu_is_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "available_bytes", lambda: 600_000)
    assert free_memory_bytes("cpu") == 600_000


def test_free_memory_that_the_system_does_not_tell_is_taken_to_be_2_gib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "available_bytes", lambda: None)
    assert free_memory_bytes("cpu") == 2 * 1024**3


@pytest.mark.parametrize(
    ("kind", "device", "expected"),
    [
        ("cuda", "cuda:0", True),
        ("xpu", "xpu", True),
        ("mps", "mps", False),
        ("cuda", "cpu", False),
        (None, "cpu", False),
    ],
)
def test_host_memory_is_pinned_for_torchs_accelerator(
    monkeypatch: pytest.MonkeyPatch, kind: str | None, device: str, expected: bool
) -> None:
    pretend(monkeypatch, kind)
    assert copies_from_pinned_memory(torch.device(device)) is expected


def test_the_size_of_a_cache_is_one_of_the_devices_properties(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "cuda", get_device_properties=SimpleNamespace(L2_cache_size=50 << 20))
    assert cache_bytes(torch.device("cuda")) == 52_428_800
    pretend(monkeypatch, "xpu", get_device_properties=SimpleNamespace())
    assert cache_bytes(XPU) is None


@pytest.mark.accelerator
@pytest.mark.skipif(not torch.accelerator.is_available(), reason="needs an accelerator")
def test_a_real_accelerator_answers_all_that_is_asked() -> None:
    device = choose_device("auto")
    held = torch.ones(1 << 20, device=device)
    synchronize(device)
    assert device_name(device)
    assert 0 < free_memory_bytes(device) < 1 << 50
    if counts_peak_memory(device):
        reset_peak_memory(device)
        assert peak_memory_bytes(device) >= held.nbytes
    states = generator_states()
    first = torch.rand(4, device=device)
    restore_generators(states)
    assert torch.equal(torch.rand(4, device=device), first)
    del held
    release(device)


# ---------------------------------------------------------------------------------------------- computing


def test_the_cpu_computes_in_double_precision_and_a_device_that_is_not_there_does_not() -> None:
    assert has_float64(torch.device("cpu"))
    assert not has_float64(torch.device("vulkan"))


def test_autocast_where_torch_has_it() -> None:
    product = torch.ones(2, 2)
    with autocast(torch.device("cpu"), torch.bfloat16):
        assert (product @ product).dtype is torch.bfloat16
        with autocast(torch.device("cpu"), None):
            assert (product @ product).dtype is torch.float32
    with autocast(torch.device("vulkan"), None):
        assert (product @ product).dtype is torch.float32
    with pytest.raises(RuntimeError, match="torch has no autocast for vulkan"):
        autocast(torch.device("vulkan"), torch.bfloat16)


# ---------------------------------------------------------------------------------------------- graphs


def test_a_device_has_graphs_where_its_module_has_all_that_they_take(monkeypatch: pytest.MonkeyPatch) -> None:
    parts: dict[str, Any] = dict.fromkeys(("XPUGraph", "graph", "stream", "Stream", "current_stream", "set_stream"))
    pretend(monkeypatch, "xpu", **parts)
    assert graph_tools(XPU) is not None
    assert graph_tools(torch.device("cpu")) is None
    for name in parts:
        pretend(monkeypatch, "xpu", **{key: None for key in parts if key != name})
        assert graph_tools(XPU) is None


def test_a_capture_leaves_other_threads_alone_where_that_can_be_said(monkeypatch: pytest.MonkeyPatch) -> None:
    captured: list[Any] = []

    @contextmanager
    def plain(graph: Any, pool: Any = None) -> Iterator[None]:
        captured.append(graph)
        yield

    @contextmanager
    def with_mode(graph: Any, capture_error_mode: str = "global") -> Iterator[None]:
        captured.append((graph, capture_error_mode))
        yield

    parts = {"XPUGraph": "a graph", "current_stream": lambda device: "current", "set_stream": None}
    module = pretend(monkeypatch, "xpu", **parts, stream=None, Stream=None)
    for capturing in (plain, with_mode):
        vars(module)["graph"] = capturing
        tools: Any = graph_tools(XPU)
        with tools.capture(tools.make_graph()):
            pass
    assert captured == ["a graph", ("a graph", "thread_local")]


# ---------------------------------------------------------------------------------------------- random numbers


def test_generators_of_all_accelerators_in_use_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    module = pretend(monkeypatch, "xpu", is_initialized=True, get_rng_state_all=[1, 2], set_rng_state_all=None)
    restore_generators(generator_states())
    assert module.calls == [("is_initialized",), ("get_rng_state_all",), ("set_rng_state_all", [1, 2])]


def test_a_module_of_one_device_has_one_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    module = pretend(monkeypatch, "mps", is_available=True, get_rng_state=5, set_rng_state=None)
    restore_generators(generator_states())
    assert module.calls == [("is_available",), ("get_rng_state",), ("set_rng_state", 5)]


def test_an_accelerator_that_nobody_uses_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    module = pretend(monkeypatch, "cuda", is_initialized=False, get_rng_state_all=[1])
    assert generator_states() == {}
    assert module.calls == [("is_initialized",)]
