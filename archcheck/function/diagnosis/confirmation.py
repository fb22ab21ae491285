"""Whether a cause that was found in one pass brings back what was recorded in the others, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from torch import Tensor

from archcheck.function.diagnosis.call_probe import READABLE_TOLERANCE
from archcheck.function.diagnosis.op_calls import Compute, Key, OpCall
from archcheck.function.diagnosis.pass_notes import PassNotes, SubstitutionPlan, has_tensor
from archcheck.function.diagnosis.rerun import Rerun
from archcheck.function.diagnosis.substitutions import rebuilt
from archcheck.function.fingerprint.digests import Digest
from archcheck.function.fingerprint.number_pool import uniform

KINDS: Final = ("eval", "train", "large")  # of passes that have an output
_SHAKE: Final = 100.0  # times the tolerance
_SMALL: Final = 5_000_000  # parameters of a network that may be in memory once more for each kind of pass


class Confirmation:
    """Tries a cause in the passes that it wasn't found in."""

    def __init__(self, rerun_of: Callable[[str], Rerun], found_in: Rerun, kinds: tuple[str, ...]) -> None:
        """Prepare for `kinds` of passes beside the one of `found_in`; `rerun_of` makes the rerun of such a pass."""
        self._rerun_of, self._found_in = rerun_of, found_in
        self._kinds = kinds
        self._others: dict[str, Rerun] = {}
        self._now: dict[str, Digest | None] = {}

    def confirms(self, plan: SubstitutionPlan) -> bool:
        """Return whether each of the other passes gives what was recorded of it, too.

        What concerns one mode alone is tried in that only. Numbers that are the same in all passes are no evidence
        where the output is one number, or the same everywhere: many a mistake's undoing would give these.

        Raises:
            PassStopped: there's no time left to find out.
        """
        if plan.mode_only:
            return True
        if not all(self._fits(kind, plan) for kind in self._kinds):
            return False
        return not is_single_number(self._numbers) or any(map(self._is_evidence, self._kinds))

    @property
    def _numbers(self) -> Mapping[str, float]:
        return self._found_in.target.expected

    def _fits(self, kind: str, plan: SubstitutionPlan) -> bool:
        rerun = self._other(kind)
        now = self._now[kind]
        if now is None:  # the pass dies before the layer returns, and tells nothing
            return True
        there = transferred(plan, self._found_in.notes, rerun.notes)
        if there is None:  # what is wrong doesn't run in this pass
            return rerun.target.fits(now)
        with rerun.watched():
            return rerun.target.is_restored(rerun.attempt(there), now)

    def _other(self, kind: str) -> Rerun:
        """Return the rerun of another pass, which is kept where that takes little memory."""
        if kind in self._others:
            return self._others[kind]
        rerun = self._rerun_of(kind)
        with rerun.watched():
            self._now[kind] = rerun.begin()
        if sum(one.numel() for one in rerun.network.params.values()) <= _SMALL:
            self._others[kind] = rerun
        return rerun

    def _is_evidence(self, kind: str) -> bool:
        """Return whether a pass gave another number than the cause was found by, which wasn't there without it."""
        target, now = self._found_in.target, self._now[kind]
        ours, theirs = self._numbers[target.kind], self._numbers[kind]
        is_other = abs(ours - theirs) > READABLE_TOLERANCE * abs(ours)
        return is_other and now is not None and abs(now.check - theirs) > target.tolerance * abs(theirs)


def shaken(plan: SubstitutionPlan, tolerance: float) -> SubstitutionPlan:
    """Return the same plan with slightly other results.

    Where an output stays as it is then, it tells little of what it was computed from: it says which numbers are
    positive, or all of them lie beyond a bound.
    """
    by = _SHAKE * tolerance
    return replace(plan, computes={at: _shaken(compute, by) for at, compute in plan.computes.items()}, fetched={})


def _shaken(compute: Compute, by: float) -> Compute:
    def shake(call: OpCall) -> Any:
        out = compute(call)
        if not has_tensor(out):
            return out
        first = out if isinstance(out, Tensor) else out[0]
        noise = uniform(first.shape, "shaken", first.device).to(first.real.dtype if first.is_complex() else first.dtype)
        if first.is_floating_point() or first.is_complex():
            size = first.abs().nan_to_num(posinf=0.0).mean()
            made = first * (1 + by * noise) + by * size * noise  # zeros, too: a mask may ask where they are
        else:
            made = first.logical_not()
        return made if isinstance(out, Tensor) else rebuilt(out, made)

    return shake


def is_single_number(numbers: Mapping[str, float]) -> bool:
    """Return whether an output is one number, or has the same one everywhere, as far as its record tells."""
    mean, rms = numbers.get("mean"), numbers.get("rms")
    return mean is not None and rms is not None and abs(abs(mean) - rms) <= READABLE_TOLERANCE * rms


def transferred(plan: SubstitutionPlan, notes: PassNotes, other: PassNotes) -> SubstitutionPlan | None:
    """Return the same plan for another pass of the same network; None where that has no such operations."""
    places, there = _places(notes), {place: position for position, place in _places(other).items()}
    needed = [key[1] for key in plan.needed if key[0] == "op"]
    moved: dict[int, int] = {}
    for position in (*plan.computes, *needed):
        if places.get(position) not in there:
            return None
        moved[position] = there[places[position]]
    keys = {key: ("op", moved[key[1]], *key[2:]) if key[0] == "op" else key for key in plan.needed}
    return replace(
        plan,
        computes={moved[position]: compute for position, compute in plan.computes.items()},
        needed=frozenset(keys.values()),
        known_as={new: old for old, new in keys.items()},
        fetched={},
    )


def _places(notes: PassNotes) -> dict[int, Key]:
    """Return by position where an operation stands: in which calls, at which place in the code, the how manieth."""
    found: dict[int, Key] = {}
    counts: dict[Key, int] = {}
    for one in (*notes.ops, *notes.returns):
        key = (one.running, one.site, one.call.name)
        counts[key] = counts.get(key, -1) + 1
        found[one.position] = (*key, counts[key])
    return found
