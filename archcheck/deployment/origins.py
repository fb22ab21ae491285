"""Where tensors on the CPU came from, to say what should have been written instead."""

from __future__ import annotations

import linecache
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from archcheck.network.objects import attributes_of, is_closed
from archcheck.network.running_code import current_line, source_line
from archcheck.structure.meta.module_tree import all_modules, named_network
from archcheck.structure.meta.network_snapshot import STANDARD_ATTRIBUTES

_TENSOR_OF_VALUES: Final = ("lift_fresh", "lift_fresh_copy")
_LIKE: Final = ("zeros", "ones", "full", "empty", "rand", "randn")
_CALLED: Final = re.compile(r"(?<![\w.])(\w+)((?:\.\w+)*)\s*[(,)]")  # what is called, or passed on
_MAX_DEPTH: Final = 4  # of lists and dicts in an attribute


@dataclass(frozen=True, slots=True)
class Origin:
    """What made a tensor on the CPU, in words, and what to write instead.

    is_trusted: it is where a variable says it should be, and who sets that sets it to the network's device.
    is_named: it is where code names an accelerator itself, which is told of that line.
    is_attribute: it is held by a module, neither as a parameter nor as a buffer.
    """

    text: str
    advice: str
    is_trusted: bool = False
    is_named: bool = False
    is_attribute: bool = False


UNKNOWN: Final = Origin(
    "a tensor on the CPU that was made before the forward pass, and that no module holds",
    "make it a buffer of the module (register_buffer), or take it where it's needed: .to(x.device)",
)


class Origins:
    """The origins of tensors by their memory, which all views of a tensor share."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[StorageWeakRef, Origin]] = {}

    def set(self, tensor: Tensor, origin: Origin) -> None:
        """Remember where a tensor came from, unless that is known."""
        key = _key(tensor)
        if key is not None and key not in self._known:
            weak = StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
            self._known[key] = (weak, origin)

    def get(self, tensor: Tensor) -> Origin | None:
        """Return where a tensor came from; None where that isn't known."""
        found = self._known.get(key) if (key := _key(tensor)) is not None else None
        return None if found is None else found[1]

    def trust(self, tensor: Tensor) -> None:
        """Take a tensor to be where it belongs, wherever it is."""
        origin = self.get(tensor) or UNKNOWN
        if (key := _key(tensor)) is not None:
            weak = StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
            self._known[key] = (weak, replace(origin, is_trusted=True))

    def note_attributes(self, network: nn.Module) -> None:
        """Remember the tensors on the CPU that a network's modules hold beside parameters and buffers."""
        for name, module in named_network(network).modules.items():
            own = {key: value for key, value in vars(module).items() if key not in STANDARD_ATTRIBUTES}
            for key, value in own.items():
                for path, tensor, is_parameter in _held(value, key, 0):
                    if tensor.device.type == "cpu":
                        self._set_attribute(tensor, name, path, is_parameter=is_parameter)

    def _set_attribute(self, tensor: Tensor, module: str, path: str, *, is_parameter: bool) -> None:
        before = self.get(tensor)
        if before is not None and before.is_trusted:
            return
        holder = f"`{path}`" + (f" of {module}" if module else "")
        attribute = path.partition("[")[0].partition(".")[0]
        in_list = path != attribute
        if is_parameter:
            text = f"{holder}, which no module has registered"
            advice = f"{attribute} = nn.ModuleList(...) or nn.ParameterList(...), so that .to(device) takes it along"
        else:
            text = f"{holder}, a tensor that is no buffer"
            advice = (
                f"register each with register_buffer, and read it from the module: {attribute} isn't moved by .to()"
                if in_list
                else f'self.register_buffer("{attribute}", ..., persistent=False)'
            )
        key = _key(tensor)
        if key is not None:
            self._known.pop(key, None)
        self.set(tensor, Origin(text, advice, is_attribute=True))


def _held(value: Any, path: str, depth: int) -> Iterator[tuple[str, Tensor, bool]]:
    """Yield the tensors in an attribute: how they are reached, and whether they're weights."""
    if isinstance(value, Tensor):
        yield path, value, isinstance(value, nn.Parameter)
    elif isinstance(value, nn.Module):
        for module in all_modules(value):
            for held in (module._parameters, module._buffers):
                yield from ((f"{path}.{name}", one, True) for name, one in held.items() if one is not None)
    elif depth < _MAX_DEPTH:
        for step, one in _parts_of(value):
            yield from _held(one, path + step, depth + 1)


def _parts_of(value: Any) -> list[tuple[str, Any]]:
    """Return what a list, a dict or an object holds, and how it's reached."""
    if isinstance(value, list | tuple):
        return [(f"[{position}]", one) for position, one in enumerate(value)]
    if isinstance(value, Mapping):
        return [(f"[{key!r}]", one) for key, one in value.items()]
    return [] if is_closed(value) else [(f".{name}", one) for name, one in attributes_of(value).items()]


def made_by(func: Any) -> Origin:
    """Return the origin of what an operation makes on the CPU, in the line that is running."""
    op = func.overloadpacket.__name__
    name = "tensor" if op in _TENSOR_OF_VALUES else op.removesuffix("_")
    where = current_line()
    at = f" at {where}" if where else ""
    if name == "_to_copy":
        return Origin(f"what was brought to the CPU{at}", "bring it back, .to(x.device), or leave it where it is")
    like = f", or torch.{name}_like(x)" if name in _LIKE else ""
    return Origin(f"what torch.{name} made on the CPU{at}", f"torch.{name}(..., device=x.device){like}")


def calls_chosen_type(frame: FrameType | None) -> bool:
    """Return whether a line calls a tensor type that the code has under a name of its own, as in `Tensor(8, 8)`.

    Who chooses a type chooses its device; `torch.FloatTensor(8, 8)` means the CPU.
    """
    if frame is None:
        return False
    names = {**frame.f_globals, **frame.f_locals}
    for first, rest in _CALLED.findall(source_line(frame)):
        owner, found = None, names.get(first)
        for name in rest.split(".")[1:]:
            owner, found = found, getattr(found, name, None)
        if isinstance(found, type(torch.FloatTensor)) and owner is not torch and not _is_imported(first, frame):
            return True
    return False


def _is_imported(name: str, frame: FrameType) -> bool:
    lines = linecache.getlines(frame.f_code.co_filename)
    return any(re.match(rf"\s*from torch import\b.*\b{name}\b", line) for line in lines)


def chooses_device(frame: FrameType | None) -> bool:
    """Return whether a module of code has a device of its own in a variable, which may be another elsewhere."""
    return frame is not None and any(isinstance(value, torch.device) for value in frame.f_globals.values())


def _key(tensor: Tensor) -> int | None:
    try:
        return tensor.untyped_storage()._cdata  # type: ignore[no-any-return]
    except (RuntimeError, NotImplementedError, ValueError):
        return None
