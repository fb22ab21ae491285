"""Why a layer computes something else than was recorded: the network run again with one operation replaced.

Where a layer then gives the recorded digest, the cause is more than a guess: it has been tried.
"""

from __future__ import annotations

import io
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from archcheck.function.diagnosis.alternatives import FAMILIES, missing_activation
from archcheck.function.diagnosis.op_calls import (
    Act,
    Key,
    OpCall,
    Slot,
    Source,
    Substitution,
    SubstitutionRule,
    the_output,
)
from archcheck.function.fingerprint.digests import Digest, tensors_in
from archcheck.function.fingerprint.passes import (
    DigestingWatcher,
    FingerprintConfig,
    Passes,
    PreparedNetwork,
    isolated,
    prepare,
)
from archcheck.function.fingerprint.weight_filler import stir
from archcheck.network.forward_watcher import uncompiled_forward
from archcheck.network.isolation import raised_recursion_limit
from archcheck.structure.meta.network_snapshot import NetworkSnapshot

_KINDS: Final = ("eval", "train", "large")
_MOST_SOURCES: Final = 24
_SKETCHED: Final = 1e-3  # the precision of what is recorded for people to read
_NOISE: Final = 1e-9  # of the same numbers computed twice
DRAWS: Final = "it draws random numbers in eval mode: dropout that stays on?"
_RETURN: Final = sys.maxsize  # the position of what a layer returns, behind all operations


def likely_cause(
    make: Callable[[], nn.Module],
    how: FingerprintConfig,
    expected: Mapping[str, float],
    layer: str,
    index: int,
    kind: str,
    tolerance: float,
    deadline_sec: float = 5.0,
) -> str | None:
    """What was probably done to the first layer that differs, in one line; None where nothing that was tried fits.

    `expected` is what was recorded of that layer, `index` the number of the call, `kind` the first pass that differs,
    `tolerance` relative. Never raises.
    """
    if kind not in _KINDS or kind not in expected or (kind != "eval" and not how.train) or deadline_sec <= 0:
        return None
    wanted = _Wanted(layer, index, kind, expected, tolerance)
    end = time.perf_counter() + deadline_sec
    with suppress(Exception, SystemExit, _Stopped), isolated(how.device), _silence():
        return _Search(_Rerun(prepare(make, how), how, wanted, end)).cause()
    return None


@contextmanager
def _silence() -> Iterator[None]:
    """What a network prints and warns of is no news the hundredth time."""
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The call of a module, and what was recorded of it."""

    name: str
    index: int
    kind: str
    expected: Mapping[str, float]
    tolerance: float

    def fits(self, found: Digest | None) -> bool:
        """Whether a digest is the recorded one."""
        if found is None or not self._close(found.check, self.kind, self.tolerance):
            return False
        return self.kind != "eval" or self._close(found.rms, "rms", max(self.tolerance, _SKETCHED))

    def _close(self, number: float, key: str, tolerance: float) -> bool:
        recorded = self.expected.get(key, number)
        return abs(number - recorded) <= tolerance * abs(recorded)


class _Stopped(BaseException):
    """Ends a forward pass of which nothing more is wanted; no network's `except Exception` keeps it."""


# ------------------------------------------------------------------------------------------- what was seen


@dataclass(slots=True)
class _Seen:
    """An operation of the pass; `inside`: it ran in a module within the layer. site: the code that called it."""

    position: int
    called: OpCall
    module: str
    inside: bool
    running: tuple[Key, ...]
    site: Key


@dataclass(slots=True)
class _Kept:
    """A call of a module that is over, with a copy of what it returned, so that it needn't run again."""

    start: int
    end: int
    value: Any
    _lent: Any = None
    _versions: tuple[int, ...] = ()

    def lend(self) -> Any:
        """Another copy; the last one, if nothing was written to it."""
        if self._lent is None or self._versions != tuple(one._version for one in tensors_in(self._lent)):
            self._lent = _copied(self.value)
            self._versions = tuple(one._version for one in tensors_in(self._lent))
        return self._lent


@dataclass(slots=True)
class _Frame:
    """A call of a module that is running, and how much had been seen when it began."""

    name: str
    index: int
    start: int
    num_seen: int
    num_sources: int


@dataclass(slots=True)
class _Notes:
    """One pass up to the layer's return; of modules that were over before the layer began, nothing but the output."""

    seen: list[_Seen] = field(default_factory=list)
    kept: dict[Key, _Kept] = field(default_factory=dict)
    sources: list[tuple[int, Source]] = field(default_factory=list)
    window: int = 0  # where the last of those modules had returned


@dataclass(slots=True)
class _Plan:
    """What is done in another way in the next pass; `found` are the tensors that it takes for that."""

    acts: Mapping[int, Act] = field(default_factory=dict)
    needs: frozenset[Key] = frozenset()
    found: dict[Key, Tensor] = field(default_factory=dict)

    def note(self, key: Key, value: Any) -> None:
        """Keep the tensors of a value that are needed."""
        if self.needs:
            for number, tensor in enumerate(tensors_in(value)):
                if (*key, number) in self.needs:
                    self.found[*key, number] = tensor


# ------------------------------------------------------------------------------------------- one pass


class _Operations(TorchFunctionMode):
    """Counts the operations of a pass, notes them or replaces some."""

    def __init__(self, mode: str, end: float) -> None:
        super().__init__()
        self.mode, self.end = mode, end
        self.plan = _Plan()
        self.notes: _Notes | None = None
        self.frames: list[_Frame] = []
        self.inside = 0
        self.position = 0

    def begin(self, plan: _Plan, notes: _Notes | None) -> None:
        """Before another pass."""
        self.plan, self.notes = plan, notes
        self.position = self.inside = 0
        self.frames.clear()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in ("__get__", "__set__"):
            return func(*args, **(kwargs or {}))
        if time.perf_counter() > self.end:
            raise _Stopped
        position = self.position
        self.position += 1
        called = OpCall(func, args, kwargs or {}, found=self.plan.found, mode=self.mode)
        act = self.plan.acts.get(position)
        out = called.run() if act is None else replaced(called, act)
        self.plan.note(("op", position), out)
        if self.notes is not None and _has_tensor(out):
            self._note(position, replace(called, out=out))
        return out

    def _note(self, position: int, called: OpCall) -> None:
        assert self.notes is not None
        running = tuple((frame.name, frame.index) for frame in self.frames)
        module = self.frames[-1].name if self.frames else ""
        self.notes.seen.append(_Seen(position, called, module, self.inside > 1, running, _site()))
        if isinstance(called.out, Tensor):
            text = f"what {called.name} gave"
            self.notes.sources.append((position, Source(("op", position, 0), text, called.out)))


def replaced(called: OpCall, act: Act) -> Any:
    """What an operation gives that is done in another way; written where it would have been, for one in place."""
    name = getattr(called.func, "__name__", "")
    in_place = (name.endswith("_") and not name.endswith("__")) or called.kwargs.get("inplace") is True
    try:
        if not in_place:
            return act(called)
        slot, x = called.operands[0]
        out = act(called.with_operand(slot, _copied(x)))
        return x.copy_(out) if isinstance(out, Tensor) and out.shape == x.shape else out
    except Exception as error:
        raise _Stopped from error


def _has_tensor(out: Any) -> bool:
    return isinstance(out, Tensor) or (isinstance(out, tuple | list) and bool(out) and isinstance(out[0], Tensor))


_OF_TORCH: Final = ("overrides.py", "functional.py", "_tensor.py", "_jit_internal.py", "likely_cause.py")


def _site() -> Key:
    """The place in the code that an operation was called from."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.endswith(_OF_TORCH):
        frame = frame.f_back
    return (frame.f_code, frame.f_lasti)


class CallProbe(DigestingWatcher):
    """Hears one call of one module, and ends the pass there; what needn't run again is taken from the notes."""

    def __init__(self, wanted: _Wanted, operations: _Operations) -> None:
        super().__init__()
        self.wanted, self.operations = wanted, operations
        self.is_awake = False
        self.notes = _Notes()
        self.limit = 0  # modules that are over by this position needn't run
        self.digest: Digest | None = None

    def note_final_output(self, name: str, out: Any) -> None:
        """The layer's output, where it has hooks of its own."""
        if self.is_awake and (name, self._counts.get(name)) == (self.wanted.name, self.wanted.index):
            self._finish(out)

    def wrap_forward(self, name: str, module: nn.Module) -> Callable[..., Any]:
        """The module's forward, listened to."""
        run = uncompiled_forward(module)

        def forward(*args: Any, **kwargs: Any) -> Any:
            if not self.is_awake:
                return run(*args, **kwargs)
            index = self._counts[name] = self._counts.get(name, -1) + 1
            kept = self._replayable((name, index))
            self.operations.plan.note(("in", name, index), (args, kwargs))
            if kept is not None:
                self.operations.position = kept.end
                out = kept.lend()
                self.operations.plan.note(("out", name, index), out)
                return out
            return self._run(name, index, lambda: run(*args, **kwargs), (args, kwargs), bool(module._forward_hooks))

        return forward

    def _run(self, name: str, index: int, run: Callable[[], Any], inputs: Any, hooked: bool) -> Any:
        operations, notes = self.operations, self.operations.notes
        is_wanted = (name, index) == (self.wanted.name, self.wanted.index)
        before, depth = operations.inside, len(operations.frames)
        frame = _Frame(
            name, index, operations.position, len(notes.seen) if notes else 0, len(notes.sources) if notes else 0
        )
        operations.frames.append(frame)
        operations.inside += bool(before or is_wanted)
        self._running.append(name)
        if notes is not None:
            _note_sources(notes, operations.position, ("in", name, index), inputs, f"the input of {_called(name)}")
        try:
            out = run()
        except Exception:  # which the network may catch, and go on
            operations.inside = before
            del operations.frames[depth:], self._running[depth:]
            raise
        if is_wanted:
            return out if hooked else self._finish(out)
        operations.plan.note(("out", name, index), out)
        operations.inside = before
        del operations.frames[depth:], self._running[depth:]
        if notes is not None:
            self._leave(notes, frame, out)
        return out

    def _leave(self, notes: _Notes, frame: _Frame, out: Any) -> None:
        """Of a module that is over before the layer begins, only the output can matter."""
        operations, key = self.operations, (frame.name, frame.index)
        if not operations.inside:
            del notes.seen[frame.num_seen :], notes.sources[frame.num_sources :]
            notes.kept = {other: kept for other, kept in notes.kept.items() if kept.end <= frame.start}
            notes.window = operations.position
        _note_sources(notes, operations.position, ("out", *key), out, f"the output of {_called(frame.name)}")
        notes.kept[key] = _Kept(frame.start, operations.position, _copied(out))

    def _replayable(self, key: Key) -> _Kept | None:
        kept = self.notes.kept.get(key)
        if kept is None or kept.value is None or kept.end > self.limit or kept.start != self.operations.position:
            return None
        inside = (one for one in self.operations.plan.needs if one[0] == "op")
        return None if any(kept.start <= one[1] < kept.end for one in inside) else kept

    def _finish(self, out: Any) -> Any:
        act = self.operations.plan.acts.get(_RETURN)
        called = OpCall(the_output, (out,), {}, found=self.operations.plan.found, mode=self.operations.mode)
        if act is not None:
            out = replaced(called, act)
        self.digest = self._digest(out)
        notes = self.operations.notes
        if notes is not None and called.operands and not any(one.called.out is out for one in notes.seen):
            running = tuple((frame.name, frame.index) for frame in self.operations.frames)
            called = replace(called, out=out if _has_tensor(out) else None)
            notes.seen.append(_Seen(_RETURN, called, self.wanted.name, False, running, ()))
        raise _Stopped


def _note_sources(notes: _Notes, position: int, key: Key, value: Any, text: str) -> None:
    values = [*value[0], *value[1].values()] if key[0] == "in" else value
    for number, tensor in enumerate(tensors_in(values)):
        notes.sources.append((position, Source((*key, number), text, tensor)))


def _called(name: str) -> str:
    return name or "the network"


def _copied(value: Any) -> Any:
    """The same with its own memory, which a later operation in place may write to; None for what isn't known."""
    if isinstance(value, Tensor):
        with torch._C.DisableTorchFunction():
            return value.clone()
    if type(value) in (tuple, list):
        parts = [_copied(item) for item in value]
        return (
            None
            if any(part is None and item is not None for part, item in zip(parts, value, strict=True))
            else type(value)(parts)
        )
    return None


class _Rerun(Passes):
    """One kind of pass of one network, as often as is wanted."""

    def __init__(self, network: PreparedNetwork, how: FingerprintConfig, wanted: _Wanted, end: float) -> None:
        super().__init__(network, how)
        self.wanted, self.end = wanted, end
        self.operations = _Operations("eval mode" if wanted.kind == "eval" else "train mode", end)
        self.ear = CallProbe(wanted, self.operations)
        self.listener = self.ear

    @contextmanager
    def _modes(self, note_draws: bool) -> Iterator[None]:
        with super()._modes(note_draws):
            if not self.ear.is_awake:
                yield
                return
            with self.operations:
                yield

    def begin(self) -> Digest | None:
        """The passes before the one that's wanted, and that itself, noted: the layer's digest if they got that far."""
        self._state = NetworkSnapshot(self.network.modules.values(), values=False)
        if self.wanted.kind == "eval":
            return self._begin_eval()
        if self.forward(training=False).crash is not None:
            return None
        self.fills.fill_rest()
        self._buffers = {name: (one, one.detach().clone()) for name, one in self.network.model.named_buffers()}
        return self._note()

    def _begin_eval(self) -> Digest | None:
        """The first pass fills weights and buffers as it comes to them, and may have written to these."""
        starts = [(name, one, one.detach().clone()) for name, one in self.network.model.named_buffers()]
        done = self._note()
        with torch.no_grad():
            for _, buffer, start in starts:
                if buffer.shape == start.shape and buffer.is_floating_point():
                    buffer.copy_(start)
                    if id(buffer) in self.fills.keys:
                        stir(buffer.detach(), self.fills.keys[id(buffer)])
        self._buffers = {name: (buffer, buffer.detach().clone()) for name, buffer, _ in starts}
        return done

    def _note(self) -> Digest | None:
        notes = _Notes()
        first = self._with_large_values if self.wanted.kind == "large" else partial(self._forward, note_draws=True)
        found = self._heard(_Plan(), notes, first)
        self.ear.notes = notes
        return found

    def attempt(self, plan: _Plan) -> Digest | None:
        """The layer's digest in a pass with some operations replaced; None where the layer isn't reached."""
        return self._heard(plan, None, self._forward)

    def _forward(self, note_draws: bool = False) -> object:
        return self.forward(training=self.wanted.kind != "eval", note_draws=note_draws)

    def _heard(self, plan: _Plan, notes: _Notes | None, run: Callable[[], object]) -> Digest | None:
        if time.perf_counter() > self.end:
            raise _Stopped
        self.operations.begin(plan, notes)
        self.ear.digest, self.ear.is_awake = None, True
        self.ear.limit = min(plan.acts, default=_RETURN) if notes is None else -1
        try:
            run()
        except _Stopped:
            pass
        finally:
            self.ear.is_awake = False
        return self.ear.digest


# ------------------------------------------------------------------------------------------- the search


class _Search:
    """Tries one repair after another."""

    def __init__(self, rerun: _Rerun) -> None:
        self.rerun, self.wanted = rerun, rerun.wanted

    def cause(self) -> str | None:
        """The first repair that fits, in words."""
        rerun = self.rerun
        with rerun.listener.watching(rerun.network.modules), raised_recursion_limit(rerun.network.modules):
            first = rerun.begin()
            now = rerun.attempt(_Plan()) if first is not None else None
            if first is not None and not _same(first, now):  # something is lost where modules don't run again
                rerun.ear.notes.kept.clear()
                now = rerun.attempt(_Plan())
            if now is None or self.wanted.fits(now):
                return None
            notes, found = self._prepared(now), None
            drawn = self.wanted.kind == "eval" and any(one.module in rerun.listener.draws for one in notes.seen)
            families = FAMILIES[:1] if drawn else FAMILIES  # what draws can hardly be made to give the same
            with suppress(_Stopped):
                found = next((text for tier in _tiers(notes) for text in self._tried(tier, families)), None)
        return found or (DRAWS if drawn else None)

    def _prepared(self, now: Digest) -> _Notes:
        """The notes, with what the families want to know of each operation."""
        notes, recorded = self.rerun.ear.notes, self.wanted.expected
        factor = shift = None
        if self.wanted.kind == "eval" and "mean" in recorded and "rms" in recorded and now.check:
            shift = float(f"{recorded['mean'] - now.mean:.3g}")
            factor = recorded["eval"] / now.check
            near = _SKETCHED * recorded["rms"]  # one number can always be met: the others must agree
            agreed = (now.mean * factor - recorded["mean"], now.rms * abs(factor) - recorded["rms"])
            told = abs(factor - 1) > 10 * _SKETCHED and all(abs(one) <= near for one in agreed)
            factor = factor if told else None
        fresh = _fresh(notes.seen)
        for one in notes.seen:
            slots = fresh.get(one.position, frozenset())
            one.called = replace(one.called, fresh=slots, sources=_sources(one, notes), factor=factor, shift=shift)
        return notes

    def _fits(self, plan: _Plan) -> bool:
        return self.wanted.fits(self.rerun.attempt(plan))

    def _tried(self, tier: Sequence[_Seen], families: Sequence[SubstitutionRule]) -> Iterator[str]:
        """The repairs of some operations that fit: of single ones, then of all that the same code called."""
        for family in families:
            if family is missing_activation:  # by now nothing simpler fits
                yield from (text for text, plan in _exchanges(tier) if self._fits(plan))
            for seen in tier:
                for repair in _proposed(family, seen.called):
                    plan = _Plan({seen.position: repair.act}, frozenset(repair.needs))
                    if self._fits(plan):
                        yield repair.text
            for text, plan in _together(family, tier):
                if self._fits(plan):
                    yield text


def _same(one: Digest, other: Digest | None) -> bool:
    return other is not None and abs(one.check - other.check) <= _NOISE * abs(one.check)


def _proposed(family: Callable[[OpCall], Iterator[Substitution]], called: OpCall) -> Iterator[Substitution]:
    """The repairs of a family; none where an operation was called in a way that it doesn't know."""
    with suppress(Exception):
        yield from family(called)


def _tiers(notes: _Notes) -> Iterator[list[_Seen]]:
    """What ran last before the layer differed; what ran in modules within it; what ordinary code did before."""
    seen = notes.seen[::-1]
    yield [one for one in seen if not one.inside and one.position >= notes.window]
    yield [one for one in seen if one.inside]
    yield [one for one in seen if not one.inside and one.position < notes.window]


def _fresh(seen: Sequence[_Seen]) -> dict[int, frozenset[Slot]]:
    """By position, the arguments that aren't just what an operation nearby has made for it alone."""
    made = {id(one.called.out) for one in seen}
    uses: dict[int, int] = {}
    for one in seen:
        for _, tensor in one.called.operands:
            uses[id(tensor)] = uses.get(id(tensor), 0) + 1
    return {
        one.position: frozenset(
            slot
            for slot, tensor in one.called.operands
            if not isinstance(tensor, nn.Parameter) and (id(tensor) not in made or uses[id(tensor)] > 1)
        )
        for one in seen
    }


def _sources(seen: _Seen, notes: _Notes) -> list[Source]:
    """Tensors that were there: the inputs of the modules that were running, then from the latest to the first."""
    shapes = {tensor.shape for _, tensor in seen.called.operands}
    if _has_tensor(seen.called.out):
        shapes.add(seen.called.result.shape)
    there = [one for position, one in notes.sources if position < seen.position or one.key[0] != "op"]
    there = [one for one in there if one.tensor.shape in shapes]
    inputs = [one for one in there if one.key[0] == "in" and one.key[1:3] in seen.running]
    others = [one for one in there if one.key[0] != "in"]
    unique = {id(one.tensor): one for one in (*others, *inputs)}
    ordered = [*reversed(inputs), *reversed(others)]
    return [one for one in ordered if unique[id(one.tensor)] is one][:_MOST_SOURCES]


def _exchanges(tier: Sequence[_Seen]) -> Iterator[tuple[str, _Plan]]:
    """Two operations, one of which takes what the other gave, in the other order."""
    for later in tier:
        for earlier in tier:
            if not any(tensor is earlier.called.out for _, tensor in later.called.operands):
                continue
            for slot, tensor in earlier.called.operands:
                if not isinstance(tensor, nn.Parameter) and earlier.position < later.position:
                    text = f"{earlier.called.name} and {later.called.name} in the other order"
                    yield text, _exchanged(earlier.position, later.position, slot)


def _exchanged(earlier: int, later: int, slot: Slot) -> _Plan:
    waiting: list[OpCall] = []

    def first(called: OpCall) -> Any:
        waiting[:] = [called]
        return dict(called.operands)[slot]

    return _Plan({earlier: first, later: lambda called: waiting[0].with_operand(slot, called.run()).run()})


def _together(family: Callable[[OpCall], Iterator[Substitution]], tier: Sequence[_Seen]) -> Iterator[tuple[str, _Plan]]:
    """The same repair at all operations that one place in the code called."""
    places: dict[Key, list[_Seen]] = {}
    for one in tier:
        places.setdefault((one.called.name, one.site), []).append(one)
    for several in (place for place in places.values() if len(place) > 1):
        repairs: dict[str, dict[int, Substitution]] = {}
        for one in several:
            for repair in _proposed(family, one.called):
                repairs.setdefault(repair.text, {})[one.position] = repair
        for text, at in repairs.items():
            if len(at) > 1:
                needs = frozenset(key for repair in at.values() for key in repair.needs)
                yield f"{text} ({len(at)} times)", _Plan({position: one.act for position, one in at.items()}, needs)
