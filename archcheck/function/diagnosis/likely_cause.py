"""Why a layer computes something else than was recorded: the network run again with one operation replaced.

Where a layer then gives the recorded digest, the cause is more than a guess: it has been tried.
"""

from __future__ import annotations

import io
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import replace
from typing import Final

from archcheck.function.diagnosis.activations import missing_activation
from archcheck.function.diagnosis.call_probe import READABLE_TOLERANCE, TargetCall
from archcheck.function.diagnosis.candidates import (
    exchanges,
    insertion_slots_of,
    proposals,
    repeated,
    sources_of,
    tiers_of,
)
from archcheck.function.diagnosis.pass_notes import NotedOp, PassNotes, PassStopped, SubstitutionPlan
from archcheck.function.diagnosis.rerun import Rerun
from archcheck.function.diagnosis.rules import SUBSTITUTION_RULES
from archcheck.function.diagnosis.substitutions import SubstitutionRule
from archcheck.function.fingerprint.config import FingerprintConfig
from archcheck.function.fingerprint.digests import Digest
from archcheck.function.fingerprint.exact_computation import exact_computation
from archcheck.function.fingerprint.preparation import NetworkFactory, prepare_for_filling
from archcheck.function.records import DifferingCall
from archcheck.function.tolerances import TOLERANCE
from archcheck.network.isolation import raised_recursion_limit

_KINDS: Final = ("eval", "train", "large")
_NOISE: Final = 1e-9  # relative, of the same numbers computed twice
_DRAWS: Final = "it draws random numbers in eval mode: dropout that stays on?"


def likely_cause(
    build: NetworkFactory, config: FingerprintConfig, call: DifferingCall, deadline_sec: float = 5.0
) -> str | None:
    """Return what was probably done to the first layer that differs, in one line; None where nothing tried fits.

    Never raises.
    """
    is_output = call.kind in _KINDS and call.kind in call.numbers
    if not is_output or (call.kind != "eval" and not config.train) or deadline_sec <= 0:
        return None
    target = TargetCall(call, TOLERANCE[config.precision])
    end_sec = time.perf_counter() + deadline_sec
    with suppress(Exception, SystemExit, PassStopped), exact_computation(config.device), _silence():
        return _Search(Rerun(prepare_for_filling(build, config), config, target, end_sec)).cause()
    return None


@contextmanager
def _silence() -> Iterator[None]:
    """Keep a network from printing and warning the same things hundreds of times."""
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


class _Search:
    """Tries one substitution after another."""

    def __init__(self, rerun: Rerun) -> None:
        self._rerun, self._target = rerun, rerun.target

    def cause(self) -> str | None:
        """Return the first substitution that fits, in words."""
        rerun, modules = self._rerun, self._rerun.network.modules
        with rerun.probe.watching(modules), raised_recursion_limit(modules):
            first = rerun.begin()
            now = rerun.attempt(SubstitutionPlan()) if first is not None else None
            if first is not None and not _is_same(first, now):  # something is lost where modules don't run again
                rerun.notes.replayable.clear()
                now = rerun.attempt(SubstitutionPlan())
            if now is None or self._target.fits(now):
                return None
            notes, found = self._with_context(now), None
            is_drawn = self._target.kind == "eval" and any(one.module in rerun.probe.draws for one in notes.ops)
            # Draws can hardly be made to give the same numbers by other rules than the first, which turns them off.
            rules = SUBSTITUTION_RULES[:1] if is_drawn else SUBSTITUTION_RULES
            with suppress(PassStopped):
                found = next((text for tier in tiers_of(notes) for text in self._fitting(tier, rules)), None)
        return found or (_DRAWS if is_drawn else None)

    def _with_context(self, now: Digest) -> PassNotes:
        """Return the notes, with the context of each operation that the rules look at."""
        notes = self._rerun.notes
        factor, shift = self._factor_and_shift(now)
        slots = insertion_slots_of(notes.ops)
        for one in notes.ops:
            one.call = replace(
                one.call,
                insertion_slots=slots.get(one.position, frozenset()),
                sources=sources_of(one, notes),
                output_factor=factor,
                output_shift=shift,
            )
        return notes

    def _factor_and_shift(self, now: Digest) -> tuple[float | None, float | None]:
        """Return by what the output would have to be multiplied, or what to be added to it; None where unknown."""
        recorded = self._target.expected
        if self._target.kind != "eval" or "mean" not in recorded or "rms" not in recorded or not now.check:
            return None, None
        shift = float(f"{recorded['mean'] - now.mean:.3g}")
        factor = recorded["eval"] / now.check
        tolerance = READABLE_TOLERANCE * recorded["rms"]  # one number can always be met: the others must agree
        errors = (now.mean * factor - recorded["mean"], now.rms * abs(factor) - recorded["rms"])
        is_known = abs(factor - 1) > 10 * READABLE_TOLERANCE and all(abs(one) <= tolerance for one in errors)
        return factor if is_known else None, shift

    def _fits(self, plan: SubstitutionPlan) -> bool:
        return self._target.fits(self._rerun.attempt(plan))

    def _fitting(self, tier: Sequence[NotedOp], rules: Sequence[SubstitutionRule]) -> Iterator[str]:
        """Yield the substitutions that fit: of single operations, then of all that the same code called."""
        for rule in rules:
            if rule is missing_activation:  # by now nothing simpler fits
                yield from (text for text, plan in exchanges(tier) if self._fits(plan))
            for op in tier:
                for one in proposals(rule, op.call):
                    if self._fits(SubstitutionPlan({op.position: one.compute}, frozenset(one.needed))):
                        yield one.text
            for text, plan in repeated(rule, tier):
                if self._fits(plan):
                    yield text


def _is_same(one: Digest, other: Digest | None) -> bool:
    return other is not None and abs(one.check - other.check) <= _NOISE * abs(one.check)
