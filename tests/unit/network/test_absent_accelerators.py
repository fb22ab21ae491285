"""What code asks of an accelerator that this machine hasn't, and what it is given."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from archcheck.network import absent_accelerators
from archcheck.network.absent_accelerators import accelerators_stood_in, names_accelerator
from archcheck.network.named_devices import NamedDevice, told_of_named_devices

CUDA: Any = torch.cuda  # whose tensor types nobody declares

pytestmark = pytest.mark.skipif(torch.accelerator.is_available(), reason="there is an accelerator")


@pytest.fixture
def told() -> Iterator[list[NamedDevice]]:
    """Yield what is told while accelerators are stood in."""
    devices: list[NamedDevice] = []
    with accelerators_stood_in(), told_of_named_devices(devices.append):
        yield devices


@pytest.mark.parametrize("kind", ["cuda", "xpu"])
def test_waiting_and_streams_do_nothing(told: list[NamedDevice], kind: str) -> None:
    module = getattr(torch, kind)
    module.synchronize()
    module.set_device(0)
    stream, event = module.Stream(), module.Event(enable_timing=True)
    with module.device(0), module.stream(stream):
        event.record()
        stream.record_event().wait(stream)
        module.current_stream().wait_stream(stream)
        stream.wait_event(event)
    assert (module.current_device(), event.query(), event.elapsed_time(event)) == (0, True, 0.0)
    assert isinstance(stream, torch.Stream)
    assert set(told) == {NamedDevice(kind)}


def test_what_torch_does_without_an_accelerator_is_not_told(told: list[NamedDevice]) -> None:
    torch.cuda.manual_seed_all(0)
    assert not torch.cuda.is_available()
    assert torch.Generator("cpu").device.type == "cpu"
    torch.load(_saved(), map_location="cpu")
    assert not told


def _cuda(storage: Any) -> Any:
    return storage.cuda()


def _saved() -> io.BytesIO:
    buffer = io.BytesIO()
    torch.save({"a": torch.ones(2)}, buffer)
    buffer.seek(0)
    return buffer


@pytest.mark.parametrize(
    "make",
    [
        lambda: CUDA.FloatTensor([1, 1]),
        lambda: CUDA.FloatTensor(2).fill_(1),
        lambda: torch.load(_saved(), map_location="cuda")["a"],
        lambda: torch.load(_saved(), map_location=torch.device("cuda", 0))["a"],
        lambda: torch.load(_saved(), map_location=lambda storage, _: _cuda(storage))["a"],
    ],
)
def test_tensors_are_on_the_cpu(told: list[NamedDevice], make: Callable[[], Any]) -> None:
    made = make()
    assert made.device.type == "cpu"
    assert made.tolist() == [1, 1]
    assert told[0] == NamedDevice("cuda")


def test_no_tensor_of_the_cpu_is_of_a_type_of_an_accelerator(told: list[NamedDevice]) -> None:
    assert not isinstance(torch.ones(2), CUDA.FloatTensor)
    assert CUDA.HalfTensor.dtype is torch.float16
    assert not told


def test_generators_of_an_accelerator_are_known(told: list[NamedDevice]) -> None:
    generator = torch.Generator("cuda")
    assert names_accelerator(generator)
    assert not names_accelerator(torch.Generator())
    assert isinstance(generator, torch.Generator)
    assert isinstance(torch.default_generator, torch.Generator)
    same = torch.Generator().manual_seed(3)
    assert torch.equal(torch.rand(3, generator=generator.manual_seed(3)), torch.rand(3, generator=same))


def test_an_accelerator_is_no_default(told: list[NamedDevice]) -> None:
    before = torch.get_default_dtype()
    torch.set_default_device("cuda")
    torch.set_default_tensor_type("torch.cuda.DoubleTensor")
    try:
        assert torch.ones(1).device.type == "cpu"
        assert torch.get_default_dtype() is torch.float64
    finally:
        torch.set_default_dtype(before)
    assert told == [NamedDevice("cuda", is_default=True)] * 2


def test_what_has_no_answer_raises_as_without(told: list[NamedDevice]) -> None:
    with pytest.raises((RuntimeError, AssertionError), match=r"NVIDIA|CUDA"):
        torch.cuda.get_device_properties(0)
    assert not told


def test_torch_is_as_before_after_it() -> None:
    before = (
        torch.cuda.synchronize,
        torch.cuda.Stream,
        CUDA.FloatTensor,
        torch.Generator,
        torch.set_default_device,
    )
    with pytest.raises(ValueError, match="mine"), accelerators_stood_in():
        raise ValueError("mine")
    after = (
        torch.cuda.synchronize,
        torch.cuda.Stream,
        CUDA.FloatTensor,
        torch.Generator,
        torch.set_default_device,
    )
    assert all(one is other for one, other in zip(before, after, strict=True))


def test_nothing_stands_in_for_an_accelerator_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absent_accelerators, "count_devices", lambda kind: int(kind == "cuda"))
    monkeypatch.setattr(absent_accelerators, "has_accelerator", lambda: True)
    absent_accelerators._stand_ins.cache_clear()
    own = (vars(torch.cuda).copy(), vars(torch).copy(), torch.UntypedStorage.cuda)
    try:
        with accelerators_stood_in():
            assert vars(torch.cuda) == own[0]
            assert vars(torch) == own[1]
            assert torch.UntypedStorage.cuda is own[2]
    finally:
        absent_accelerators._stand_ins.cache_clear()
