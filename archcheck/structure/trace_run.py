"""The forward passes of one trace on one device, and the records made of them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from archcheck.network.exceptions import is_reason_lost, raised_outside_torch, type_and_first_line
from archcheck.network.isolation import raised_recursion_limit
from archcheck.network.named_devices import AcceleratorsOnCpu
from archcheck.spec.dims import BATCH
from archcheck.spec.inputs import ForwardInput
from archcheck.structure.meta.forward_modes import meta_forward, real_forward
from archcheck.structure.meta.function_caches import unchanged_function_caches
from archcheck.structure.meta.inputs import make_inputs
from archcheck.structure.meta.module_tree import (
    ModuleDescriptions,
    module_records,
    named_network,
    set_training,
    uninitialized_modules,
)
from archcheck.structure.meta.network_snapshot import NetworkSnapshot
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


@dataclass(frozen=True, slots=True)
class TraceRequest:
    """A network to trace, made as often as it takes, and the inputs to run it on.

    `one_example` is the first input at batch size 1; `only_meta` says not to try on the CPU what stops on meta.
    """

    make_on_meta: Callable[[], nn.Module]
    make_on_cpu: Callable[[], nn.Module]
    inputs: Sequence[ForwardInput]
    one_example: ForwardInput | None
    only_meta: bool = False


@dataclass(slots=True)
class TraceRun:
    """All forward passes of a trace on one device, with or without gradients; `error` is the first that one raised."""

    model: nn.Module
    request: TraceRequest
    gradients: bool = False
    device: str = "meta"
    error: BaseException | None = None
    forwards: list[ForwardRecord] = field(default_factory=list)
    macs: int | None = None
    uncounted: set[str] = field(default_factory=set)
    make_recorder: Callable[..., Recorder] = Recorder

    def run(self) -> TraceRun:
        """Run every forward pass, each of which may raise without harm to the others. Returns the run itself."""
        with self._recording() as (recorder, snapshot):
            for item in self.request.inputs:
                self.forwards.append(self._forward_as_built(recorder, snapshot, item))
            self.macs = self._macs_of_one_example(recorder, snapshot)
            snapshot.restore(keep_layers=True)
        return self

    def make_trace(self, fallback_reason: str | None = None, note: str = "") -> StructureTrace:
        """Return the records of this run; `note` goes at the end of every crash's message."""
        network = named_network(self.model)  # once more: lazy modules have become others
        for forward in self.forwards:
            if forward.crash is not None and note:
                forward.crash = replace(forward.crash, error=forward.crash.error + note)
        descriptions = ModuleDescriptions(network.modules)
        return StructureTrace(
            modules=module_records(network.modules),
            aliases=network.aliases,
            forwards=self.forwards,
            macs=self.macs,
            device=self.device,
            fallback_reason=fallback_reason,
            uninitialized=tuple(uninitialized_modules(network.modules)),
            uncounted=tuple(sorted(self.uncounted)),
            descriptions=descriptions if self.device == "meta" else dict(descriptions),  # no weights in records
        )

    # ------------------------------------------------------------------------------------------ forward passes

    @contextmanager
    def _recording(self) -> Iterator[tuple[Recorder, NetworkSnapshot]]:
        recorder = self.make_recorder(shortcuts=self.device == "meta" and not self.gradients)
        recorder.uncounted = self.uncounted
        modules = named_network(self.model).modules
        with ExitStack() as stack:
            stack.enter_context(_in_eval_mode(self.model, modules))
            stack.enter_context(recorder.watching(modules))
            stack.enter_context(torch.set_grad_enabled(self.gradients))
            stack.enter_context(raised_recursion_limit(modules))
            stack.enter_context(unchanged_function_caches(modules.values()))
            if self.device == "cpu":
                stack.enter_context(AcceleratorsOnCpu())
            yield recorder, NetworkSnapshot(modules.values(), values=self.device == "cpu")

    def _forward_as_built(self, recorder: Recorder, snapshot: NetworkSnapshot, item: ForwardInput) -> ForwardRecord:
        """Run a forward pass on the network as it was built, on another instance where it may make a difference."""
        if not self.forwards:
            return self._forward(recorder, item)
        lost = snapshot.restore()
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
        """Whether a pass may show what an earlier one left behind in a place that nobody looks at."""
        first = self.forwards[0]
        if first.crash is not None:
            return False
        if forward.crash is not None or [call.name for call in first.calls] != [call.name for call in forward.calls]:
            return True
        if self.device != "meta" or not _differs_in_batch(first, forward):
            return False
        return not _is_scaled(first.output, forward.output, first.sizes[BATCH], forward.sizes[BATCH])

    def _forward_of_another(self, item: ForwardInput) -> ForwardRecord | None:
        """Run the same forward pass of an instance that has run no other; None where none can be made."""
        try:
            model = self.request.make_on_meta() if self.device == "meta" else self.request.make_on_cpu()
        except Exception:
            return None
        alone = TraceRun(model, replace(self.request, inputs=[item], one_example=None), self.gradients, self.device)
        alone.run()
        self.uncounted |= alone.uncounted
        self.error = self.error or alone.error
        return alone.forwards[0]

    def _forward(self, recorder: Recorder, item: ForwardInput) -> ForwardRecord:
        forward = recorder.begin(item.sizes)
        args, kwargs = make_inputs(item, self.device)
        try:
            with self._forward_mode(recorder), _threads_noted(self.uncounted):
                out = recorder.callable_for(self.model)(*args, **kwargs)
            forward.output = recorder.record(out)
            if isinstance(out, Iterator | Coroutine):  # what it would compute hasn't been
                self.uncounted.add(type(out).__name__)
        except (Exception, SystemExit) as raised:
            error = self._told_without_modes(item, raised) if is_reason_lost(raised) else raised
            self.error = self.error or error
            where = raised_outside_torch(error)
            forward.crash = Crash(recorder.failing_module(error), type_and_first_line(error), where)
        forward.macs = int(recorder.macs)
        return forward

    def _told_without_modes(self, item: ForwardInput, raised: BaseException) -> BaseException:
        """Return what a scripted network raises by itself: under torch's modes TorchScript loses what was said."""
        try:
            args, kwargs = make_inputs(item, self.device)
            self.model(*args, **kwargs)
        except (Exception, SystemExit) as error:
            return error
        return raised

    def _forward_mode(self, recorder: Recorder) -> AbstractContextManager[Any]:
        return meta_forward(recorder) if self.device == "meta" and not self.gradients else real_forward(recorder)

    def _macs_of_one_example(self, recorder: Recorder, snapshot: NetworkSnapshot) -> int | None:
        """Return the multiply-adds of one example at the first size."""
        if not self.forwards or self.forwards[0].crash is not None:
            return None
        first, batch = self.forwards[0], self.forwards[0].sizes.get(BATCH, 1)
        others = (item for item in self.forwards[1:] if item.crash is None and _differs_in_batch(first, item))
        other = next(others, None)
        if batch == 1 or (other is not None and first.macs * other.sizes[BATCH] == other.macs * batch):
            return first.macs // batch
        if self.request.one_example is not None:
            error, alone = self.error, self._forward_as_built(recorder, snapshot, self.request.one_example)
            self.error = error  # what happens to one example alone is no finding
            if alone.crash is None:
                return alone.macs
        if other is None:
            return first.macs // batch
        each = (other.macs - first.macs) / (other.sizes[BATCH] - batch)  # and something that is done once
        return max(round(first.macs - each * (batch - 1)), 0)


@contextmanager
def _threads_noted(uncounted: set[str]) -> Iterator[None]:
    """Note that threads are started: what they run besides modules isn't seen, as torch's modes are a thread's own."""
    before = threading.getprofile()

    def note(*event: Any) -> None:
        if not threading.current_thread().daemon:  # as a progress bar's is
            uncounted.add("other threads")
        sys.setprofile(before)
        if before is not None:
            before(*event)

    threading.setprofile(note)
    try:
        yield
    finally:
        threading.setprofile(before)


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
    """Put a network into eval mode, directly unless a module has its own `eval()` or `train()`; compile nothing."""
    switched = [one for one in modules.values() if hasattr(one, "training")]  # what TorchScript has frozen has no mode
    before = [(vars(one), one.training) for one in switched]
    if any(type(m).train is not nn.Module.train or type(m).eval is not nn.Module.eval for m in modules.values()):
        set_training(model, False)
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
