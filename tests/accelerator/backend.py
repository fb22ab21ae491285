"""An accelerator called `pretended`, which torch takes for a real one from the import of this module on.

Its tensors keep their numbers in the memory of the host, and its operations are those of the CPU, so that results are
known. Everything else is as strict as on a GPU: operands on two devices are refused, reading a value waits and is
written down with its place, a copy from the host waits unless it is non_blocking and comes from pinned memory.

A process has it for good. What a test runs on it runs in a process of its own: `pytest -p tests.accelerator.backend`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME: Final = "pretended"
TOTAL_BYTES: Final = 8 << 30
OURS: Final = "archcheck/"

# Which of their results wait, as how many there are depends on values.
_COUNT_VALUES: Final = (
    "nonzero",
    "masked_select",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
    "equal",
    "is_nonzero",
)
# An index may be on the CPU, and so may a tensor without dimensions.
_TAKE_CPU_INDICES: Final = ("index.Tensor", "index_put_.default", "index_put.default", "_index_put_impl_.default")


@dataclass(frozen=True, slots=True)
class Wait:
    """A time that the host waited for the device.

    what: it waited for. step: how many steps of training had been begun. functions: of archcheck that were running,
    innermost first.
    """

    what: str
    step: int
    functions: tuple[str, ...]


class Record:
    """What the device was asked for."""

    def __init__(self) -> None:
        self.waits: list[Wait] = []
        self.operations: Counter[str] = Counter()
        self.copies: Counter[str] = Counter()
        self.num_steps = 0

    def wait(self, what: str) -> None:
        """Write a wait down."""
        self.waits.append(Wait(what, self.num_steps, _functions_of_ours()))


RECORD: Final = Record()


def _functions_of_ours() -> tuple[str, ...]:
    """Return the functions of archcheck on the stack, innermost first."""
    frame, found = sys._getframe(2), list[str]()
    while frame is not None:
        if OURS in frame.f_code.co_filename and "tests/" not in frame.f_code.co_filename:
            found.append(frame.f_code.co_qualname)
        frame = frame.f_back
    return tuple(found)


# ---------------------------------------------------------------------------------------------- tensors


class OnDevice(Tensor):
    """A tensor on the device; `raw` has its numbers."""

    raw: Tensor

    @staticmethod
    def __new__(cls, raw: Tensor) -> OnDevice:
        made: OnDevice = torch.Tensor._make_wrapper_subclass(
            cls, raw.size(), strides=raw.stride(), storage_offset=raw.storage_offset(), dtype=raw.dtype,
            device=torch.device(NAME, 0),
        )  # fmt: skip
        made.raw = raw
        return made

    def untyped_storage(self) -> torch.UntypedStorage:
        """Return the memory that its views share, as on a device."""
        return self.raw.untyped_storage()

    def data_ptr(self) -> int:
        return self.raw.data_ptr()

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return f"OnDevice({self.raw})"

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Run an operation that has a tensor on the device, or makes one."""
    name = func._schema.name.removeprefix("aten::")
    RECORD.operations[name] += 1
    if name == "copy_":
        return _copy(*args, **kwargs)
    if name == "_to_copy":
        return _to_copy(func, *args, **kwargs)
    if name == "_local_scalar_dense" or name in _COUNT_VALUES:
        RECORD.wait(name)
    _refuse_mixes(func, args, kwargs)
    raw_args, raw_kwargs = tree_map_only(OnDevice, lambda one: one.raw, (args, kwargs))
    if raw_kwargs.get("device") is not None:
        raw_kwargs["device"] = "cpu"
    if raw_kwargs.get("pin_memory"):
        raise RuntimeError("only dense CPU tensors can be pinned")
    return _as_results(func, args, kwargs, func(*raw_args, **raw_kwargs))


def _as_results(func: Any, args: Sequence[Any], kwargs: dict[str, Any], out: Any) -> Any:
    """Return what came out as tensors on the device; what was written to is the tensor that was given."""
    written = [
        kwargs.get(argument.name, args[index] if index < len(args) else None)
        for index, argument in enumerate(func._schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
    # What `out=` has resized, as torch itself does to empty tensors, is a new one.
    given = {id(one.raw): one for one in tree_leaves(written) if isinstance(one, OnDevice) and _fits(one)}
    return tree_map_only(Tensor, lambda one: given[id(one)] if id(one) in given else OnDevice(one), out)


def _fits(tensor: OnDevice) -> bool:
    return tensor.shape == tensor.raw.shape


def _refuse_mixes(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
    if str(func).removeprefix("aten.") in _TAKE_CPU_INDICES:
        tensors = [one for one in (args[0], *args[2:]) if isinstance(one, Tensor)]
    on_host = [one for one in tensors if not isinstance(one, OnDevice) and one.ndim > 0]
    if on_host and len(on_host) < len(tensors):
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, {NAME}:0 and cpu! ({func})"
        )


# ---------------------------------------------------------------------------------------------- copies


def _to_copy(func: Any, tensor: Tensor, **kwargs: Any) -> Tensor:
    """Convert a tensor, to the device or from it."""
    device = kwargs.pop("device", None)
    non_blocking, pinned = kwargs.pop("non_blocking", False), kwargs.pop("pin_memory", None)
    assert not pinned
    from_device = isinstance(tensor, OnDevice)
    to_device = from_device if device is None else torch.device(device).type == NAME
    raw = func(tensor.raw if isinstance(tensor, OnDevice) else tensor, **kwargs)
    _note_copy(tensor, from_device, to_device, non_blocking)
    return OnDevice(raw) if to_device else raw


def _copy(target: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    raws = [one.raw if isinstance(one, OnDevice) else one for one in (target, source)]
    raws[0].copy_(raws[1])
    _note_copy(source, isinstance(source, OnDevice), isinstance(target, OnDevice), non_blocking)
    return target


def _note_copy(source: Tensor, from_device: bool, to_device: bool, non_blocking: bool) -> None:
    if from_device == to_device:
        return
    is_pinned = getattr(source, "is_pinned_here", False)
    way = "to the device" if to_device else "to the host"
    RECORD.copies[f"{way}{', pinned' if is_pinned else ''}{', non_blocking' if non_blocking else ''}"] += 1
    if not (to_device and non_blocking and is_pinned):
        RECORD.wait(f"a copy {way}")


# ---------------------------------------------------------------------------------------------- torch's side


class _Module:
    """What torch asks of `torch.pretended`."""

    def is_available(self) -> bool:
        return True

    def is_initialized(self) -> bool:
        return True

    def _is_in_bad_fork(self) -> bool:
        return False

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def get_device_name(self, device: object = None) -> str:
        return "Pretended P1"

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]

    def mem_get_info(self, device: object = None) -> tuple[int, int]:
        return TOTAL_BYTES // 2, TOTAL_BYTES

    def empty_cache(self) -> None:
        RECORD.operations["empty_cache"] += 1

    def manual_seed_all(self, seed: int) -> None:
        """Its operations draw from the CPU's generator, which is seeded anyway."""

    def get_rng_state_all(self) -> list[Tensor]:
        return []

    def set_rng_state_all(self, states: Sequence[Tensor]) -> None:
        assert not states


class _Generator(torch._C.Generator):
    """A generator for the device is one of the CPU."""

    def __new__(cls, device: object = "cpu") -> _Generator:
        kind = torch.device(str(device)).type
        return super().__new__(cls, "cpu" if kind == NAME else device)


def _pinned_empty(own: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def empty(*args: Any, pin_memory: bool = False, **kwargs: Any) -> Tensor:
        made = own(*args, **kwargs)
        return _pin(made) if pin_memory else made

    return empty


def _pin(tensor: Tensor, *_: object) -> Tensor:
    RECORD.operations["pin_memory"] += 1
    tensor.is_pinned_here = True
    return tensor


def _set_data(tensor: Tensor, value: Tensor) -> None:
    if isinstance(value, OnDevice) and not isinstance(tensor, OnDevice):
        torch.utils.swap_tensors(tensor, nn.Parameter(value, tensor.requires_grad))
    elif isinstance(tensor, OnDevice):
        assert isinstance(value, OnDevice)
        other = nn.Parameter(value, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else value
        torch.utils.swap_tensors(tensor, other)
    else:
        _DATA.__set__(tensor, value)


_DATA: Final[Any] = torch._C.TensorBase.data


def _synchronize(device: object = None, /) -> None:
    RECORD.wait("synchronize")


def _cast(name: str) -> Callable[..., Any]:
    operation = getattr(torch.ops.aten, name)

    def cast(*args: Any, **kwargs: Any) -> Any:
        with torch._C._ExcludeDispatchKeyGuard(torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)):
            dtype = torch.get_autocast_dtype(NAME)
            args, kwargs = tree_map_only(OnDevice, lambda one: one.to(dtype) if one.is_floating_point() else one,
                                         (args, kwargs))  # fmt: skip
            return operation(*args, **kwargs)

    return cast


def _fall_back(func: Any, *args: Any, **kwargs: Any) -> Any:
    return _run(func, args, kwargs)


_setup_privateuseone_for_python_backend(NAME, _Module())
_LIBRARY = torch.library.Library("_", "IMPL")
_LIBRARY.fallback(_fall_back, "PrivateUse1")
_LIBRARY.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
_ATEN = torch.library.Library("aten", "IMPL")
for _name in ("conv2d", "linear", "matmul"):
    _ATEN.impl(_name, _cast(_name), "AutocastPrivateUse1")
torch.__future__.set_swap_module_params_on_conversion(True)
torch.Generator = _Generator
torch.empty = _pinned_empty(torch.empty)
torch.Tensor.pin_memory = _pin
torch.Tensor.data = property(_DATA.__get__, _set_data)
torch.accelerator.synchronize = _synchronize
# It hides what runs from modes, not from devices.
torch._C._DisableTorchDispatch = _disable_current_modes
