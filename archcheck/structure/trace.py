"""A forward pass without weights: which modules are called, in what order, and what comes out of each.

    build on meta -> forward on meta, once per input -> records

Nothing is allocated or initialised, and the common operations are computed from shapes alone
(`archcheck.structure.meta`). What needs values (data-dependent control flow, operations without a meta kernel) runs
once more, for real, on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

import torch
from torch import nn

from archcheck.errors import BuildError
from archcheck.network.isolation import collector_paused, isolated_torch, room_for_depth
from archcheck.network.torch_state import seed_generators
from archcheck.spec.dims import BATCH
from archcheck.spec.inputs import ForwardInput
from archcheck.structure.meta import failures
from archcheck.structure.meta.inputs import make_inputs
from archcheck.structure.meta.model_copy import copy_for_real, copy_to_meta, has_real_parameters, is_scripted, unwrapped
from archcheck.structure.meta.modes import BuildMode, counted, forget_build, on_meta
from archcheck.structure.meta.module_tree import census, every_module, named_network, uninitialized
from archcheck.structure.meta.network_state import NetworkState
from archcheck.structure.meta.recorder import Recorder
from archcheck.structure.records import (
    Crash,
    ForwardRecord,
    MappingRecord,
    SequenceRecord,
    StructureTrace,
    TensorRecord,
    ValueRecord,
)

__all__ = ["MAX_REAL_BYTES", "build_for_real", "build_on_meta", "describe", "trace_model", "trace_structure"]

MAX_REAL_BYTES: Final = 8 * 2**30
"""Parameters of a network that may be built for real where meta will not do."""


# ---------------------------------------------------------------------------------------------- public


def trace_structure(
    make: Callable[[], nn.Module],
    inputs: Sequence[ForwardInput],
    one_example: ForwardInput | None = None,
    *,
    only_meta: bool = False,
) -> StructureTrace:
    """Build with `make()` and run one eval-mode forward per input, on the meta device.

    `one_example` is the first input at batch size 1, used where the multiply-adds are not proportional to the batch.
    `only_meta` doesn't try on the CPU what stops there.

    Raises:
        BuildError: or whatever else `make()` raises, when it does so on the CPU as well.
    """
    with isolated_torch(), collector_paused():
        ways = _Ways(lambda: build_on_meta(make), lambda: build_for_real(make), inputs, one_example, only_meta)
        return _trace(ways.on_meta(), ways)


def trace_model(
    model: nn.Module, inputs: Sequence[ForwardInput], one_example: ForwardInput | None = None
) -> StructureTrace:
    """The same for a network that exists already: a copy without its weights is traced, it is never modified.

    Raises:
        UsageError: the network can't be copied.
    """
    with isolated_torch(), collector_paused():
        model = unwrapped(model)
        ways = _Ways(lambda: copy_to_meta(model), lambda: copy_for_real(model), inputs, one_example)
        return _trace(model if is_scripted(every_module(model)) else ways.on_meta(), ways)


def build_on_meta(make: Callable[[], nn.Module]) -> nn.Module:
    """What `make()` builds, without weights; built for real where the constructor reads values, and then stripped."""
    try:
        with BuildMode():
            model = build_for_real(make)
    except Exception as error:
        if not failures.may_be_metas(error):
            raise
        model = build_for_real(make)
    modules = every_module(model)
    forget_build(modules)
    # With weights: an old-fashioned constructor, or a module-level instance, which has to stay as it is.
    return copy_to_meta(model) if has_real_parameters(modules) and not is_scripted(modules) else model


def build_for_real(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """What `make()` builds, under random numbers that are the same every time. Raises BuildError."""
    seed_generators(seed)
    model = make()
    if not isinstance(model, nn.Module):
        raise BuildError(f"the build returned {type(model).__name__}, expected torch.nn.Module")
    return unwrapped(model)


def describe(module: nn.Module) -> str:
    """A module in a line, without its children: `Conv2d(6, 16, kernel_size=(5, 5))`."""
    try:
        details = " ".join(module.extra_repr().split())
    except Exception:  # a user's extra_repr may be anything
        details = ""
    return f"{type(module).__name__}({details})"


# ---------------------------------------------------------------------------------------------- ways to run it


@dataclass(frozen=True, slots=True)
class _Ways:
    """How to come by the network, as often as it takes, and what to run it on."""

    on_meta: Callable[[], nn.Module]
    for_real: Callable[[], nn.Module]
    inputs: Sequence[ForwardInput]
    one_example: ForwardInput | None
    only_meta: bool = False


def _trace(model: nn.Module, ways: _Ways) -> StructureTrace:
    """On meta; with gradients where the forward asks for them; on the CPU where it asks for values."""
    if is_scripted(every_module(model)):
        return _on_cpu(None, "TorchScript runs for real", ways)
    attempt = _Attempt(model, ways).run()
    if attempt.error is not None and failures.wants_gradients(attempt.error):
        attempt = _Attempt(model, ways, gradients=True).run()
    error = attempt.error
    if error is None or ways.only_meta or failures.is_genuine(error):
        return attempt.trace()
    num_bytes = sum(param.nbytes for param in model.parameters() if not nn.parameter.is_lazy(param))
    if num_bytes > MAX_REAL_BYTES:
        return attempt.trace(note=f" (not tried on the CPU: {num_bytes / 2**30:.0f} GiB of parameters)")
    return _on_cpu(attempt, failures.reason(error), ways)


def _on_cpu(on_meta: _Attempt | None, reason: str, ways: _Ways) -> StructureTrace:
    """For real, unless that fails in the same way as on meta."""
    gradients = on_meta is not None and on_meta.gradients
    try:
        model = ways.for_real()
    except Exception:
        if on_meta is None:
            raise
        return on_meta.trace()  # what was seen is worth more than why it can't be seen again
    attempt = _Attempt(model, ways, gradients=gradients, device="cpu").run()
    if attempt.error is not None and not gradients and failures.wants_gradients(attempt.error):
        attempt = _Attempt(ways.for_real(), ways, gradients=True, device="cpu").run()
    if on_meta is not None and failures.text_of(attempt.error) == failures.text_of(on_meta.error):
        return on_meta.trace()
    return attempt.trace(fallback_reason=reason)


@dataclass(slots=True)
class _Attempt:
    """One way to run all the forward passes."""

    model: nn.Module
    ways: _Ways
    gradients: bool = False
    device: str = "meta"
    error: BaseException | None = None
    forwards: list[ForwardRecord] = field(default_factory=list)
    macs: int | None = None
    uncounted: set[str] = field(default_factory=set)

    def run(self) -> _Attempt:
        """Every forward pass, each of which may die without harm to the others."""
        with self._watched() as (recorder, state):
            for item in self.ways.inputs:
                self.forwards.append(self._forward_as_built(recorder, state, item))
            self.macs = self._macs_of_one(recorder, state)
            state.restore(keep_layers=True)
        return self

    @contextmanager
    def _watched(self) -> Iterator[tuple[Recorder, NetworkState]]:
        recorder = Recorder(shortcuts=self.device == "meta" and not self.gradients)
        recorder.uncounted = self.uncounted
        modules = named_network(self.model).modules
        with ExitStack() as stack:
            stack.enter_context(_in_eval_mode(self.model, modules))
            stack.enter_context(recorder.watching(modules))
            stack.enter_context(torch.set_grad_enabled(self.gradients))
            stack.enter_context(room_for_depth(modules))
            yield recorder, NetworkState(modules.values(), values=self.device == "cpu")

    def _forward_as_built(self, recorder: Recorder, state: NetworkState, item: ForwardInput) -> ForwardRecord:
        """A forward pass that knows nothing of those before it; on another instance where it may make a difference."""
        if not self.forwards:
            return self._forward(recorder, item)
        lost = state.restore()
        error = self.error
        forward = None if lost else self._forward(recorder, item)
        if forward is not None and not self._is_surprising(forward):
            return forward
        fresh = self._forward_of_another(item)
        if fresh is None or (forward is not None and fresh.crash is not None):
            return forward or self._forward(recorder, item)
        self.error = error
        return fresh

    def _is_surprising(self, forward: ForwardRecord) -> bool:
        """Whether it may show what an earlier pass left behind in a place that nobody looks at."""
        first = self.forwards[0]
        if first.crash is not None:
            return False
        if forward.crash is not None or [call.name for call in first.calls] != [call.name for call in forward.calls]:
            return True
        if self.device != "meta" or not _differs_in_batch(first, forward):
            return False
        return not _is_scaled(first.output, forward.output, first.sizes[BATCH], forward.sizes[BATCH])

    def _forward_of_another(self, item: ForwardInput) -> ForwardRecord | None:
        """The same forward pass of an instance that has run no other; None where none is to be had."""
        try:
            model = self.ways.on_meta() if self.device == "meta" else self.ways.for_real()
        except Exception:
            return None
        alone = _Attempt(model, replace(self.ways, inputs=[item], one_example=None), self.gradients, self.device).run()
        self.uncounted |= alone.uncounted
        self.error = self.error or alone.error
        return alone.forwards[0]

    def _forward(self, recorder: Recorder, item: ForwardInput) -> ForwardRecord:
        forward = recorder.begin(item.sizes)
        args, kwargs = make_inputs(item, self.device)
        try:
            with self._mode(recorder):
                out = recorder.entry(self.model)(*args, **kwargs)
            forward.output = recorder.record(out)
            if isinstance(out, Iterator | Coroutine):  # what it would compute hasn't been
                self.uncounted.add(type(out).__name__)
        except (Exception, SystemExit) as error:
            self.error = self.error or error
            forward.crash = Crash(recorder.blame(error), failures.text_of(error), failures.where(error))
        forward.macs = recorder.macs
        return forward

    def _mode(self, recorder: Recorder) -> AbstractContextManager[Any]:
        return on_meta(recorder) if self.device == "meta" and not self.gradients else counted(recorder)

    def _macs_of_one(self, recorder: Recorder, state: NetworkState) -> int | None:
        """Multiply-adds of one example at the first size."""
        if not self.forwards or self.forwards[0].crash is not None:
            return None
        first, batch = self.forwards[0], self.forwards[0].sizes.get(BATCH, 1)
        others = (item for item in self.forwards[1:] if item.crash is None and _differs_in_batch(first, item))
        other = next(others, None)
        if batch == 1 or (other is not None and first.macs * other.sizes[BATCH] == other.macs * batch):
            return first.macs // batch
        if self.ways.one_example is not None:
            error, alone = self.error, self._forward_as_built(recorder, state, self.ways.one_example)
            self.error = error  # what happens to one example alone is no finding
            if alone.crash is None:
                return alone.macs
        if other is None:
            return first.macs // batch
        each = (other.macs - first.macs) / (other.sizes[BATCH] - batch)  # and something that is done once
        return max(round(first.macs - each * (batch - 1)), 0)

    def trace(self, fallback_reason: str | None = None, note: str = "") -> StructureTrace:
        """The records of this attempt; `note` goes at the end of every crash's message."""
        network = named_network(self.model)  # once more: lazy modules have become others
        for forward in self.forwards:
            if forward.crash is not None and note:
                forward.crash = replace(forward.crash, error=forward.crash.error + note)
        descriptions = _Descriptions(network.modules)
        return StructureTrace(
            modules=census(network.modules),
            aliases=network.aliases,
            forwards=self.forwards,
            macs=self.macs,
            device=self.device,
            fallback_reason=fallback_reason,
            uninitialized=tuple(uninitialized(network.modules)),
            uncounted=tuple(sorted(self.uncounted)),
            descriptions=descriptions if self.device == "meta" else dict(descriptions),  # no weights in records
        )


def _differs_in_batch(a: ForwardRecord, b: ForwardRecord) -> bool:
    return BATCH in a.sizes and {**a.sizes, BATCH: 0} == {**b.sizes, BATCH: 0} and a.sizes[BATCH] != b.sizes[BATCH]


def _is_scaled(a: ValueRecord | None, b: ValueRecord | None, a_batch: int, b_batch: int) -> bool:
    """Whether two outputs differ as their batches do, if at all."""
    if isinstance(a, TensorRecord) and isinstance(b, TensorRecord):
        pairs = list(zip(a.shape, b.shape, strict=False))
        return len(a.shape) == len(b.shape) and all(x == y or x * b_batch == y * a_batch for x, y in pairs)
    if isinstance(a, MappingRecord) and isinstance(b, MappingRecord):
        return list(a.items) == list(b.items) and all(
            _is_scaled(x, y, a_batch, b_batch) for x, y in zip(a.items.values(), b.items.values(), strict=True)
        )
    if isinstance(a, SequenceRecord) and isinstance(b, SequenceRecord):
        pairs_of_items = list(zip(a.items, b.items, strict=False))
        return len(a.items) == len(b.items) and all(_is_scaled(x, y, a_batch, b_batch) for x, y in pairs_of_items)
    return a == b


@contextmanager
def _in_eval_mode(model: nn.Module, modules: Mapping[str, nn.Module]) -> Iterator[None]:
    """`eval()`, by the short way unless a module has its own idea of it; and nothing compiled."""
    before = [(vars(module), module.training) for module in modules.values()]
    if any(type(m).train is not nn.Module.train or type(m).eval is not nn.Module.eval for m in modules.values()):
        model.eval()
    else:
        for own, _ in before:
            own["training"] = False
    for own, _ in before:
        own.pop("_compiled_call_impl", None)
    try:
        yield
    finally:
        for own, training in before:
            own["training"] = training


class _Descriptions(Mapping[str, str]):
    """Module name -> its description, put into words when somebody asks."""

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        self._modules = modules

    def __getitem__(self, name: str) -> str:
        return describe(self._modules[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)
