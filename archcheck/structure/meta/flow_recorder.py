"""Recording where what a module takes comes from: which modules' outputs, through whatever happens to them in between.

Every tensor has at most one source: the call that put it out, or the operation that joined what several calls put out.
What an operation makes of one source's results alone has that source. So a reshape is nobody, an addition is somebody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from archcheck.structure.meta.recorder import Recorder
from archcheck.structure.records import INPUT, ValueRecord

_NOTE: Final = "_archcheck_source"  # an attribute of the tensors that are followed
_DEEPEST: Final = 8  # of containers that are looked into
# What the other arguments lend is a shape, a type, a device, or which places are meant.
_OF_THE_FIRST: Final = (
    "expand_as", "view_as", "reshape_as", "type_as", "to", "broadcast_tensors", "masked_fill", "masked_fill_"
)  # fmt: skip
_OF_NOTHING: Final = (
    "empty_like", "zeros_like", "ones_like", "full_like", "rand_like", "randn_like", "randint_like",
    "new_empty", "new_zeros", "new_ones", "new_full", "new_tensor",
)  # fmt: skip
_OPERATORS: Final = ("add", "sub", "mul", "truediv", "div", "matmul", "and", "or", "xor", "pow")
_WORDS: Final = {
    "concat": "cat", "concatenate": "cat", "multiply": "mul", "truediv": "div", "true_divide": "div", "divide": "div",
    "subtract": "sub", "setitem": "assign", "scaled_dot_product_attention": "attention",
}  # fmt: skip


@dataclass(slots=True, eq=False)
class JoinNote:
    """An operation that joined several sources, while the forward pass runs.

    before: how many calls had begun. depth: how many were running, the network's own left out. owner: the call that it
    is a part of, as nothing else is called in it.
    """

    operation: str
    before: int
    depth: int
    sources: dict[Source, None]
    output: ValueRecord | None
    owner: int | None = None


Source: TypeAlias = "int | JoinNote"
"""A call, by its place among the calls of the pass; INPUT for what goes into the network; or a join."""


@dataclass(slots=True, eq=False)
class _Note:
    """What is known of a tensor. Each writing makes another one, so that it's seen that a tensor was written to."""

    source: Source


@dataclass(slots=True)
class FlowNotes:
    """What was seen in one forward pass: the sources of calls, of what joins them, and of the network's output.

    passing: the calls that put out the very tensor that they took.
    """

    sources: dict[int, dict[Source, None]] = field(default_factory=dict)
    joins: list[JoinNote] = field(default_factory=list)
    output: dict[Source, None] = field(default_factory=dict)
    passing: set[int] = field(default_factory=set)


class FlowRecorder(Recorder):
    """A recorder of calls that follows tensors as well, and adds what it sees of each forward pass to `flows`."""

    def __init__(self, flows: list[FlowNotes], shortcuts: bool = True) -> None:
        super().__init__(shortcuts)
        self.flows = flows
        self._running: list[int] = []

    def callable_for(self, model: nn.Module) -> Callable[..., Any]:
        """Return what to call for a forward pass of the network, in which tensors are followed."""
        run = super().callable_for(model)

        def forward(*args: Any, **kwargs: Any) -> Any:
            self.flows.append(FlowNotes())
            self._running.clear()
            with _looking():
                for tensor in tensors_in((args, kwargs)):
                    _note(tensor, INPUT)
            with FlowMode(self):
                out = run(*args, **kwargs)
            with _looking():
                self.flows[-1].output = sources_of(out)
            return out

        return forward

    def wrap_forward(self, name: str, module: nn.Module) -> Callable[..., Any]:
        """Return what is called in the place of a module's forward, with its sources noted."""
        run = super().wrap_forward(name, module)
        is_inplace = getattr(module, "inplace", False) is True

        def forward(*args: Any, **kwargs: Any) -> Any:
            position, notes = len(self.forward.calls), self.flows[-1]
            with _looking():
                taken = {id(one): _noted(one) for one in tensors_in((args, kwargs))}
                notes.sources[position] = {note.source: None for note in taken.values() if note is not None}
            self._running.append(position)
            num_joins = len(notes.joins)
            try:
                out = run(*args, **kwargs)
            finally:
                self._running.pop()
            with _looking():
                if len(self.forward.calls) > position + 1:
                    _note_unknown(out, position)
                else:
                    for join in notes.joins[num_joins:]:
                        join.owner = position
                    if not _note_output(out, {} if is_inplace else taken, position):
                        notes.passing.add(position)
            return out

        return forward

    def join(self, operation: str, sources: dict[Source, None], out: Any) -> Source:
        """Note that an operation joined several sources."""
        tensor = next(tensors_in(out), None)
        join = JoinNote(
            operation, len(self.forward.calls), max(len(self._running) - 1, 0), sources,
            None if tensor is None else self.record(tensor),
        )  # fmt: skip
        self.flows[-1].joins.append(join)
        return join


class FlowMode(TorchFunctionMode):
    """Follows tensors through operations, whatever else watches them."""

    def __init__(self, recorder: FlowRecorder) -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        is_writing = name == "__setitem__" or _writes(name)
        of = args[:1] if name in _OF_THE_FIRST else () if name in _OF_NOTHING else (args, kwargs)
        with _looking():
            sources = sources_of(of)  # before it is written to
        out = func(*args, **kwargs)
        written = args[0] if is_writing and args else kwargs.get("out")
        with _looking():
            made = out if written is None else [out, *_with_base(written)]
            if sources and next(tensors_in(made), None) is not None:
                source = next(iter(sources)) if len(sources) == 1 else self._recorder.join(_plain(name), sources, made)
                for tensor in tensors_in(made):
                    _note(tensor, source)
        return out


@contextmanager
def _looking() -> Iterator[None]:
    """Look at tensors without that being an operation."""
    with torch._C.DisableTorchFunction():
        yield


def _writes(name: str) -> bool:
    if name.startswith("__"):
        return name.startswith("__i") and name not in ("__invert__", "__index__", "__int__", "__iter__")
    return name.endswith("_")


def _plain(name: str) -> str:
    """Return what an operation is called where it stands for itself: `add` for `__iadd__` and `add_`."""
    plain = name.strip("_")
    bare = plain[1:] if name.startswith(("__i", "__r")) and plain[1:] in _OPERATORS else plain
    return _WORDS.get(bare, bare)


def _with_base(tensor: Any) -> list[Any]:
    base = getattr(tensor, "_base", None)
    return [tensor] if base is None else [tensor, base]


def _noted(tensor: Tensor) -> _Note | None:
    found: _Note | None = getattr(tensor, "__dict__", {}).get(_NOTE)
    return found


def _note(tensor: Tensor, source: Source) -> None:
    with suppress(Exception):  # a user's kind of tensor may be anything
        tensor.__dict__[_NOTE] = _Note(source)


def sources_of(value: Any) -> dict[Source, None]:
    """Return the sources of all tensors in a value, each once."""
    found: dict[Source, None] = {}
    for tensor in tensors_in(value):
        note = _noted(tensor)
        if note is not None:
            found[note.source] = None
    return found


def _note_unknown(value: Any, source: Source) -> None:
    """Give the tensors in a value a source that have none, as the way to them was lost."""
    for tensor in tensors_in(value):
        if _noted(tensor) is None:
            _note(tensor, source)


def _note_output(value: Any, taken: Mapping[int, _Note | None], source: Source) -> bool:
    """Give the tensors in a value a source, but for those that were handed through; return whether any is another."""
    tensors = list(tensors_in(value))
    passed = [id(one) in taken and _noted(one) is taken[id(one)] for one in tensors]
    for tensor, is_passed in zip(tensors, passed, strict=True):
        if not is_passed:
            _note(tensor, source)
    return not passed or not all(passed)


def tensors_in(value: Any, depth: int = 0) -> Iterator[Tensor]:
    """Yield the tensors in nested containers."""
    if isinstance(value, Tensor):
        yield value
    elif depth < _DEEPEST:
        if isinstance(value, tuple | list):
            for item in value:
                yield from tensors_in(item, depth + 1)
        elif isinstance(value, Mapping):
            for item in value.values():
                yield from tensors_in(item, depth + 1)
        elif is_dataclass(value) and not isinstance(value, type):
            for part in fields(value):
                yield from tensors_in(getattr(value, part.name, None), depth + 1)
