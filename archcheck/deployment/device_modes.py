"""Modes under which a network runs whose weights and inputs are on meta, which stands for a GPU.

What makes tensors elsewhere is noted, and so is what puts both together, which a GPU would refuse; it goes on as if
all had been on the GPU, so that every such place is found.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from archcheck.deployment.blank_results import blank_results
from archcheck.deployment.device_autocast import autocast_on_meta
from archcheck.deployment.device_rules import misplaced, refused_whole, tensors_of
from archcheck.deployment.origins import (
    UNKNOWN,
    Origin,
    Origins,
    calls_chosen_type,
    chooses_device,
    made_by,
)
from archcheck.deployment.records import DeviceMix
from archcheck.deployment.shadow_values import ShadowValues
from archcheck.network.absent_accelerators import names_accelerator
from archcheck.network.devices import count_devices, has_accelerator
from archcheck.network.exceptions import is_ours, is_torchs_or_pythons
from archcheck.network.forward_watcher import ForwardWatcher, uncompiled_forward
from archcheck.network.imports import file_of
from archcheck.network.named_devices import (
    NamedDevice,
    accelerator_type,
    kind_of,
    named_at_import,
    told_of_named_devices,
    was_put_at_import,
)
from archcheck.network.running_code import calling_frame, current_line, source_line
from archcheck.structure.meta.module_tree import all_modules, buffers_of, parameters_of

_IS_CUDA: Final = Tensor.is_cuda.__get__  # type: ignore[attr-defined]
_DEVICE: Final = Tensor.device.__get__
_META: Final = torch.device("meta")
_HOOKING: Final = (Tensor.register_hook, Tensor.register_post_accumulate_grad_hook)
_INDEXING: Final = (Tensor.__getitem__, Tensor.__setitem__)
_READING_LISTS: Final = (torch.tensor, torch.as_tensor, torch.asarray, Tensor.new_tensor)


class NeedsValuesError(NotImplementedError):
    """A network asks for the values of a tensor on meta."""


class CallStack(ForwardWatcher):
    """Knows which module's forward is running."""

    def __init__(self) -> None:
        super().__init__()
        self._names = [""]

    @property
    def module(self) -> str:
        """The name of the module whose forward is running, "" outside of all."""
        return self._names[-1]

    def wrap_forward(self, name: str, module: nn.Module) -> Callable[..., Any]:
        """Return a forward during which the module's name is known; torch's own layers run in that of whoever calls."""
        run = uncompiled_forward(module)
        if type(module).__module__.startswith("torch."):
            return run

        def forward(*args: Any, **kwargs: Any) -> Any:
            self._names.append(name)
            try:
                return run(*args, **kwargs)
            finally:
                self._names.pop()

        return forward

    def note_final_output(self, name: str, out: Any) -> None:
        """Do nothing: outputs play no part."""


class MixingWatch:
    """What is seen while a network is built and run: where tensors came from, and what mixes devices.

    Attributes:
        mixes: the operations that a GPU would refuse.
        named: devices that this machine hasn't, and where code names them itself.
        assumed: what is on the CPU since a variable says so, which may say another device where there is one.
        sets_default: whether code makes such a device the default, on which everything is made then.
        runs_backward: whether Python code of the network's runs in the backward pass.
        values: the values of tensors on meta, where the network asks for them.
    """

    def __init__(self, calls: CallStack, values: ShadowValues | None = None) -> None:
        self.mixes: dict[tuple[str, str], DeviceMix] = {}
        self.named: dict[str, dict[str, None]] = {}
        self.assumed: dict[str, None] = {}
        self.sets_default = False
        self.runs_backward = False
        self.origins = Origins()
        self.values = values
        self._calls = calls

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch what is called inside."""
        with autocast_on_meta(), _OperationMode(self), _FunctionMode(self), told_of_named_devices(self._note_told):
            yield

    def note_imports(self, network: nn.Module) -> None:
        """Note the devices that the files of a network's classes named when they were imported."""
        for module in {type(one).__module__ for one in all_modules(network)}:
            for line, device in named_at_import(file_of(sys.modules.get(module)) or "").items():
                self.named.setdefault(device.kind, {})[line] = None
                self.sets_default |= device.is_default

    def _note_told(self, device: NamedDevice) -> None:
        self.sets_default |= device.is_default
        self.note_named(torch.device(device.kind))

    def origin_of_made(self, func: Any) -> Origin:
        """Return the origin of what an operation makes on the CPU, in the line that is running."""
        frame, line = calling_frame(), current_line()
        origin = made_by(func)
        by_default = self.sets_default and frame is not None and "cpu" not in source_line(frame)
        if by_default or any(line in lines for lines in self.named.values()):
            return replace(origin, is_named=True)
        return replace(origin, is_trusted=True) if calls_chosen_type(frame) else origin

    def has_made(self, network: nn.Module) -> bool:
        """Return whether a network's weights and buffers were all made while this watched."""
        held = (one for one in (*parameters_of(network), *buffers_of(network)) if not is_lazy(one) and one.numel())
        return all(one.device.type != "cpu" or self.origins.get(one) is not None for one in held)

    def note(self, op: str, culprits: Sequence[Tensor]) -> None:
        """Note that an operation would be refused for tensors on the CPU; not where they may be elsewhere on a GPU."""
        may_be_elsewhere = chooses_device(calling_frame())
        for culprit in culprits:
            origin = self.origins.get(culprit)
            if self._is_named(culprit, origin):
                continue
            if (origin is None and may_be_elsewhere) or (origin is not None and origin.is_trusted):
                self.assumed[(origin or UNKNOWN).text] = None
            else:
                self.add(op, origin or UNKNOWN)
                return

    def _is_named(self, culprit: Tensor, origin: Origin | None) -> bool:
        """Return whether a tensor is where code names an accelerator itself, or may be as nothing is known of it."""
        if origin is not None:
            return origin.is_named
        has_memory = culprit.layout is torch.strided  # by which it would be known
        return self.sets_default or was_put_at_import(culprit) or (bool(self.named) and not has_memory)

    def note_named(self, device: torch.device) -> None:
        """Note a device that the line that is running names, where this machine has none of its kind."""
        if not count_devices(device.type):
            self.named.setdefault(device.type, {})[current_line() or "some line"] = None

    def add(self, op: str, origin: Origin) -> None:
        """Add a finding, in the line that is running; one of a kind for each module."""
        module = self._calls.module
        if (module, origin.text) not in self.mixes:
            found = DeviceMix(module, current_line(), op, origin.text, origin.advice, origin.is_attribute)
            self.mixes[module, origin.text] = found


class _OperationMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operation below autograd."""

    supports_higher_order_operators = True  # such as cond, which run what they are given

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Keep torch from importing dynamo for it, which takes seconds: nothing is compiled while it's on."""
        return False

    def __init__(self, watch: MixingWatch) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._watch = watch

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not isinstance(func, torch._ops.OpOverload):
            return func(*args, **(kwargs or {}))
        args, kwargs = self._on_one_device(func, args, dict(kwargs or {}))
        out = self._computed(func, args, kwargs)
        self._note_origin(func, args, kwargs, out)
        return out

    def _on_one_device(self, func: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Note what a GPU would refuse, and put all on the device."""
        generator = kwargs.get("generator")
        if generator is not None and generator.device.type == "cpu" and _is_on_device(args, kwargs):
            if not names_accelerator(generator):
                made_on_cpu = Origin("a torch.Generator of the CPU", "torch.Generator(device=x.device)")
                self._watch.add(_name_of(func), made_on_cpu)
            kwargs["generator"] = None
        culprits = misplaced(func, args, kwargs)
        if not culprits:
            return args, kwargs
        self._watch.note(_name_of(func), culprits)
        return tree_map_only(Tensor, self._moved, (args, kwargs))  # type: ignore[no-any-return]

    def _moved(self, tensor: Tensor) -> Tensor:
        """Return a tensor on the device; a number stays on the CPU."""
        if tensor.is_meta or not tensor.ndim:
            return tensor
        return tensor.to(_META) if self._watch.values is None else self._watch.values.place(tensor)

    def _computed(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if not _is_on_device(args, kwargs):
            return func(*args, **kwargs)
        values = self._watch.values
        if values is not None and _brings_to_cpu(func, args, kwargs):
            return values.compute_on_cpu(func, args, kwargs)
        if values is not None:
            return values.compute(func, args, kwargs)
        if _brings_to_cpu(func, args, kwargs):
            raise NeedsValuesError(f"needs values: {_name_of(func)}")
        shortcut = blank_results().get(func)
        out = shortcut(*args) if shortcut is not None and not kwargs and args[0].is_meta else NotImplemented
        if out is not NotImplemented:
            return out
        try:
            return func(*args, **kwargs)
        except RuntimeError as error:
            if isinstance(error, NotImplementedError) or "device" not in str(error):
                raise
            moved, named = tree_map_only(Tensor, lambda one: one.to(_META), (args, kwargs))  # a number on the CPU
            return func(*moved, **named)

    def _note_origin(self, func: Any, args: Any, kwargs: Mapping[str, Any], out: Any) -> None:
        """Remember of a tensor on the CPU where it came from: what it was computed of, or who has made it."""
        made = [one for one in tensors_of([out], {}) if one.device.type == "cpu"]
        if not made:
            return
        origins = self._watch.origins
        sources = [origin for one in tensors_of(args, kwargs) if (origin := origins.get(one)) is not None]
        origin = next((one for one in sources if one.is_trusted), sources[0] if sources else None)
        is_of_something = next(tensors_of(args, kwargs), None) is not None and "lift" not in func.__name__
        if origin is None and is_of_something and not _is_on_device(args, kwargs):
            return  # of what was there before, which nobody knows either
        for one in made:
            origins.set(one, origin or self._watch.origin_of_made(func))


def _is_on_device(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    device = kwargs.get("device")
    return (device is not None and torch.device(device).type == "meta") or any(
        one.is_meta for one in tensors_of(args, kwargs)
    )


def _brings_to_cpu(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    name = func.overloadpacket.__name__
    if name in ("copy_", "copy"):
        return not args[0].is_meta
    device = kwargs.get("device")
    return name == "_to_copy" and device is not None and torch.device(device).type == "cpu"


def _name_of(func: Any) -> str:
    name = func.overloadpacket.__name__
    return f"torch.{name.removesuffix('_').lstrip('_')}" if func.namespace == "aten" else f"{func.namespace}.{name}"


class _FunctionMode(TorchFunctionMode):
    """Sees what Python calls of torch: who asks for a device by name gets the one that is pretended.

    A device in a variable may be the GPU where there is one, so that what is put on it isn't held against the network.
    """

    def __init__(self, watch: MixingWatch) -> None:
        super().__init__()
        self._watch = watch
        self._reads_ordinals = False
        self._read_from_tensors: dict[int, torch.device] = {}  # kept, so that their identity stays theirs
        self._rules: dict[Any, Callable[..., Any]] = {
            _IS_CUDA: lambda _, args, __: args[0].is_meta,
            _DEVICE: self._device,
            Tensor.cuda: self._cuda,
            Tensor.type: self._typed,
            Tensor.get_device: self._ordinal,
            Tensor.pin_memory: self._pinned,
            Tensor.record_stream: lambda *_: None,
            Tensor.__format__: self._formatted,
            **dict.fromkeys(_HOOKING, self._hooked),
            **dict.fromkeys(_READING_LISTS, self._read),
            **dict.fromkeys(_INDEXING, self._indexed),
        }

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        rule = self._rules.get(func)
        out = NotImplemented if rule is None else rule(func, args, kwargs)
        if out is not NotImplemented:
            return out
        position, asked = _asked_device(func, args, kwargs)
        if asked is None:
            return self._on_one_device(func, args, kwargs)
        device = torch.device(kind_of(asked))
        if device.type not in ("cpu", "meta"):  # the one that is pretended
            if not (type(asked) is int and self._reads_ordinals):
                self._watch.note_named(device)
            args, kwargs = _with_device(args, kwargs, position, _META)
        out = func(*args, **kwargs)
        if device.type == "cpu" and isinstance(out, Tensor) and not self._is_meant(asked):
            self._watch.origins.trust(out)
        return out

    def _on_one_device(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Call a function; where it's torch itself that looks at the devices, before any operation, note what it says.

        It's the mix that stopped it if it runs with all on one device.
        """
        try:
            return func(*args, **kwargs)
        except RuntimeError as error:
            if isinstance(error, NotImplementedError) or "device" not in str(error):
                raise
            culprits = refused_whole(func, args, kwargs)
            if not culprits:
                raise
            moved, named = tree_map_only(Tensor, lambda one: _moved_if_in(one, culprits), (args, kwargs))
            try:
                out = func(*moved, **named)
            except RuntimeError:
                raise error from None
        self._watch.note(f"torch.{func.__name__}", culprits)
        return out

    def _cuda(self, _: Any, args: Any, __: Any) -> Any:
        self._watch.note_named(torch.device("cuda"))
        return args[0].to(_META)

    def _typed(self, func: Any, args: Any, _: Any) -> Any:
        """Answer `type(torch.cuda.FloatTensor)`; what goes to a type of the CPU's in a variable is trusted."""
        found = accelerator_type(args[1]) if len(args) > 1 else None
        if found is not None:
            self._watch.note_named(torch.device(found[0]))
            return args[0].to(_META, found[1].dtype)
        if len(args) > 1 and calls_chosen_type(calling_frame()):
            return self._trusted(func(*args))
        return NotImplemented

    def _ordinal(self, func: Any, args: Any, _: Any) -> Any:
        self._reads_ordinals = True
        return 0 if args[0].is_meta else func(*args)

    def _pinned(self, _: Any, args: Any, __: Any) -> Any:
        return NotImplemented if has_accelerator() else args[0]

    def _trusted(self, out: Any) -> Any:
        self._watch.origins.trust(out)
        return out

    def _device(self, func: Any, args: Any, _: Any) -> torch.device:
        device: torch.device = func(*args)
        if device.type == "cpu":
            self._read_from_tensors[id(device)] = device
        return device

    def _hooked(self, *_: Any) -> Any:
        self._watch.runs_backward = True
        return NotImplemented

    def _formatted(self, _: Any, args: Any, __: Any) -> Any:
        """Write a number as every tensor that has a value does, which on meta none has."""
        has_value = self._watch.values is not None and args[0].is_meta and not args[0].ndim
        return args[0].item().__format__(*args[1:]) if has_value else NotImplemented

    def _read(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Read a list to a tensor on the CPU and move it, as torch would make it where no mode sees its values."""
        device = kwargs.get("device")
        is_meant = isinstance(device, str | torch.device) and torch.device(device).type == "meta"
        inherits = device is None and func is Tensor.new_tensor and args[0].is_meta
        if self._watch.values is None or not (is_meant or inherits):
            return NotImplemented
        return func(*args, **{**kwargs, "device": "cpu"}).to(_META)

    def _indexed(self, func: Any, args: Any, _: Any) -> Any:
        """Read lists in an index to tensors on the CPU, as torch would make them where no mode sees their values."""
        index = args[1] if isinstance(args[1], tuple) else (args[1],)
        if self._watch.values is None or not any(map(_is_list_of_numbers, index)):
            return NotImplemented
        read = tuple(torch.tensor(one) if _is_list_of_numbers(one) else one for one in index)
        return func(args[0], read, *args[2:])

    def _is_meant(self, asked: Any) -> bool:
        """Return whether the CPU is asked for by name, in this line, or by another tensor that is there."""
        if id(asked) in self._read_from_tensors:
            return True
        caller: FrameType | None = sys._getframe(2)
        while caller is not None and is_ours(caller.f_code.co_filename):  # another mode of ours
            caller = caller.f_back
        if caller is None or is_torchs_or_pythons(caller.f_code.co_filename):
            return True
        return "cpu" in source_line(caller)


def _moved_if_in(tensor: Tensor, culprits: Sequence[Tensor]) -> Tensor:
    return tensor.to(_META) if any(tensor is one for one in culprits) else tensor


def _is_list_of_numbers(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, int) for one in value)


def _asked_device(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[int | None, Any]:
    """Return the device that a call asks for, and its position among the arguments (None where it's a keyword)."""
    if func is Tensor.to and len(args) > 1 and isinstance(args[1], str | torch.device | int):
        return 1, args[1]
    asked = kwargs.get("device")
    return None, asked if isinstance(asked, str | torch.device | int) else None


def _with_device(args: Sequence[Any], kwargs: Mapping[str, Any], position: int | None, device: torch.device) -> Any:
    if position is None:
        return args, {**kwargs, "device": device}
    return (*args[:position], device, *args[position + 1 :]), kwargs
