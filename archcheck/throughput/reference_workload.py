"""The operations of a step, recorded as text and run again, which later versions of the step are measured against.

A machine's speed changes from minute to minute, by different amounts for convolutions, matrix products and memory. The
step as it was when it was saved is affected in the same way. So its operations are saved with the shapes of their
arguments, and run in turns with the step as it is now.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from archcheck.network.devices import synchronize
from archcheck.network.exceptions import one_line
from archcheck.throughput.device_clock import DeviceClock

MAX_TEXT_BYTES = 64 << 20
_TORCH_CONSTANTS = (torch.dtype, torch.layout, torch.memory_format)


class InvalidReference(Exception):  # noqa: N818 - a finding about a file
    """A text is no reference workload of this version."""


def record_reference_workload(step: Callable[[], None], device: torch.device) -> str | None:
    """Record a step's operations as text; None where none of them can be run by itself."""
    recorder = _Recorder(device)
    with recorder:
        step()
    synchronize(device)
    tensors = [description for description, _ in sorted(recorder.tensors.items(), key=lambda item: item[1])]
    written = {"version": 1, "tensors": [list(one) for one in tensors], "calls": recorder.calls}
    calls = [call for call in recorder.calls if _works(written | {"calls": [call]}, device)]
    return _pack(written | {"calls": calls}) if calls else None


class ReferenceWorkload:
    """The operations that a text holds, run on tensors of their own.

    Raises:
        InvalidReference: the text was not written by `record_reference_workload`.
    """

    def __init__(self, text: str, device: torch.device) -> None:
        self.device = device
        self._clock = DeviceClock(device)
        try:
            self._program = _Program(_unpack(text), device)
            with torch.no_grad():
                self._program.run()
        except Exception as error:  # operations of any text may raise anything
            raise InvalidReference(f"not a reference workload: {one_line(error)}") from error

    def run(self, num_steps: int) -> float:
        """Run all operations `num_steps` times; return the seconds that the device took, by `DeviceClock`."""
        with torch.no_grad():
            return sum(self._run_once() for _ in range(num_steps))

    def _run_once(self) -> float:
        self._program.refill()
        start = self._clock.now()
        self._program.run()
        return self._clock.now() - start


# ------------------------------------------------------------------------------------------- recording


class _Recorder(TorchDispatchMode):
    """Records every operation that runs within it: its name, and its arguments with shapes in place of tensors."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._device = device
        self.tensors: dict[tuple[Any, ...], int] = {}
        self.calls: list[list[Any]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func.namespace == "aten":
            try:
                written = {key: self._write(value) for key, value in kwargs.items()}
                self.calls.append([func.__name__, [self._write(value) for value in args], written])
            except TypeError:
                pass  # an argument can't be written as JSON: the operation is left out
        return func(*args, **kwargs)

    def _write(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return {"t": self._number(value)}
        if isinstance(value, torch.device):
            return {"device": None}
        if isinstance(value, _TORCH_CONSTANTS):
            return {"torch": str(value).removeprefix("torch.")}
        if isinstance(value, (list, tuple)):
            return [self._write(item) for item in value]
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        raise TypeError(type(value))

    def _number(self, tensor: Tensor) -> int:
        if tensor.layout != torch.strided or tensor.is_quantized or type(tensor) not in (Tensor, torch.nn.Parameter):
            raise TypeError(type(tensor))
        kind = "here" if tensor.device.type == self._device.type else "cpu"
        key = (tuple(tensor.shape), tuple(tensor.stride()), str(tensor.dtype).removeprefix("torch."), kind)
        return self.tensors.setdefault(key, len(self.tensors))


def _works(written: Mapping[str, Any], device: torch.device) -> bool:
    try:
        program = _Program(written, device)
        with torch.no_grad():
            program.run()
    except Exception:  # an operation may raise anything when it is given other numbers
        return False
    return True


def _pack(written: Mapping[str, Any]) -> str:
    return base64.b64encode(zlib.compress(json.dumps(written, separators=(",", ":")).encode(), 9)).decode()


# ------------------------------------------------------------------------------------------- running


def _unpack(text: str) -> Mapping[str, Any]:
    try:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(base64.b64decode(text, validate=True), MAX_TEXT_BYTES)
        written = json.loads(data)
    except (binascii.Error, zlib.error, ValueError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if not isinstance(written, dict) or written.get("version") != 1:
        raise ValueError("of another version")
    return written


class _Program:
    """Operations with arguments of their own; tensors of one form are one tensor, unless an operation writes to it."""

    def __init__(self, written: Mapping[str, Any], device: torch.device) -> None:
        self._device = device
        self._forms = written["tensors"]
        self._tensors: dict[tuple[int, bool], Tensor] = {}
        self._calls = [self._call(*call) for call in written["calls"]]

    def run(self) -> None:
        for operation, args, kwargs in self._calls:
            operation(*args, **kwargs)

    def refill(self) -> None:
        """Fill the tensors that operations write to anew: repeated multiplications would make their numbers slow."""
        for (_, is_written_to), tensor in self._tensors.items():
            if is_written_to:
                _fill(tensor)

    def _call(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, list[Any], dict[str, Any]]:
        packet, _, overload = name.partition(".")
        operation = getattr(getattr(torch.ops.aten, packet), overload or "default")
        writes = [argument.alias_info is not None and argument.alias_info.is_write
                  for argument in operation._schema.arguments]  # fmt: skip
        names = [argument.name for argument in operation._schema.arguments]
        read = [self._read(value, writes[position]) for position, value in enumerate(args)]
        named = {key: self._read(value, writes[names.index(key)]) for key, value in kwargs.items()}
        values = tree_leaves([read, named])
        if any(isinstance(value, str) for value in values) and not any(isinstance(value, Tensor) for value in values):
            raise ValueError(f"{name} takes a name")  # such as a file's, which it would read or write
        return operation, read, named

    def _read(self, value: Any, is_written_to: bool) -> Any:
        if isinstance(value, list):
            return [self._read(item, is_written_to) for item in value]
        if not isinstance(value, dict):
            return value
        if "t" in value:
            return self._tensor(value["t"], is_written_to)
        return self._device if "device" in value else _constant(value["torch"])

    def _tensor(self, number: int, is_written_to: bool) -> Tensor:
        key = (number, is_written_to)
        if key not in self._tensors:
            shape, stride, dtype, kind = self._forms[number]
            device = self._device if kind == "here" else torch.device("cpu")
            tensor = torch.empty_strided(shape, stride, dtype=_constant(dtype), device=device)
            self._tensors[key] = _fill(tensor)
        return self._tensors[key]


def _constant(name: str) -> Any:
    constant = getattr(torch, name)
    if not isinstance(constant, _TORCH_CONSTANTS):
        raise ValueError(f"torch.{name}")
    return constant


def _fill(tensor: Tensor) -> Tensor:
    """Fill a tensor with numbers that every operation takes: 0 is a valid index into anything."""
    return tensor.fill_(0.5) if tensor.is_floating_point() or tensor.is_complex() else tensor.zero_()
