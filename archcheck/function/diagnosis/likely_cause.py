"""Why a layer computes something else than was recorded: the network run again with one operation replaced.

Where a layer then gives the recorded digests, in every pass, the cause is more than a guess: it has been tried.
"""

from __future__ import annotations

import io
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import replace
from functools import partial
from itertools import takewhile
from typing import Final

from torch import nn

from archcheck.function.diagnosis.activations import missing_activation
from archcheck.function.diagnosis.budget import Budget
from archcheck.function.diagnosis.call_probe import READABLE_TOLERANCE, TargetCall
from archcheck.function.diagnosis.candidates import (
    OpContexts,
    exchanges,
    exchanges_behind,
    nearest_first,
    origin_of_nan,
    plan_of,
    positions_in_loops,
    proposals,
    repeated,
    residuals,
    residuals_like,
    tiers_of,
)
from archcheck.function.diagnosis.confirmation import KINDS, Confirmation, is_single_number, shaken, transferred
from archcheck.function.diagnosis.pass_notes import NotedOp, PassNotes, PassStopped, SubstitutionPlan
from archcheck.function.diagnosis.rebuilds import Modules, Rebuild, given_up, missing
from archcheck.function.diagnosis.rerun import Rerun, is_same
from archcheck.function.diagnosis.rules import SUBSTITUTION_RULES
from archcheck.function.diagnosis.settings import other_settings
from archcheck.function.diagnosis.substitutions import Substitution, SubstitutionRule
from archcheck.function.diagnosis.unused import put_back
from archcheck.function.fingerprint.config import FingerprintConfig
from archcheck.function.fingerprint.digests import Digest
from archcheck.function.fingerprint.exact_computation import exact_computation
from archcheck.function.fingerprint.preparation import NetworkFactory
from archcheck.function.fingerprint.written_constants import prepare_network
from archcheck.function.records import DifferingCall
from archcheck.function.tolerances import TOLERANCE

_CONFIRMING_SHARE: Final = 2 / 3  # of the time to search, granted on top to confirm what was found
_FIRST_SHARE: Final = 1 / 8  # of the time to search, for each of the searches before that of operations
_LAYERS: Final = "torch/nn/modules/"
DRAWS: Final = "it draws random numbers in eval mode: dropout that stays on?"


def likely_cause(
    build: NetworkFactory, config: FingerprintConfig, call: DifferingCall, deadline_sec: float = 5.0
) -> str | None:
    """Return what was probably done to the first layer that differs, in one line; None where nothing tried fits.

    The deadline counts processor time. Never raises.
    """
    # Of several sets of weights only the sum of their numbers is recorded.
    is_output = call.kind in KINDS or (call.kind == "opened" and config.opened is not None and len(config.opened) == 1)
    if (
        not is_output
        or call.kind not in call.numbers
        or (call.kind != "eval" and not config.train)
        or deadline_sec <= 0
    ):
        return None
    with suppress(Exception, SystemExit, PassStopped), exact_computation(config.device), _silence():
        return _Search(build, config, call, deadline_sec).cause()
    return None


@contextmanager
def _silence() -> Iterator[None]:
    """Keep a network from printing and warning the same things hundreds of times."""
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


Everywhere = Callable[[PassNotes], dict[int, Substitution]]


class _Search:
    """Tries one substitution after another."""

    def __init__(
        self, build: NetworkFactory, config: FingerprintConfig, call: DifferingCall, deadline_sec: float
    ) -> None:
        self._build, self._config, self._call = build, config, call
        self._deadline_sec = deadline_sec
        self._budget, self._began_sec, self._rerun_sec = Budget(deadline_sec), time.process_time(), 0.0
        self._rerun = self._rerun_of(call.kind)
        self._target = self._rerun.target
        passes = KINDS if config.train else ("eval",)
        others = tuple(kind for kind in passes if kind in call.numbers and kind != call.kind)
        self._confirmation = Confirmation(self._rerun_of, self._rerun, others)

    def _rerun_of(self, kind: str, call: DifferingCall | None = None) -> Rerun:
        """Build the network once more, to run another kind of pass of it, where that can be done in time."""
        self._budget.require(self._rerun_sec)
        target = TargetCall(call or replace(self._call, kind=kind), TOLERANCE[self._config.precision])
        return Rerun(prepare_network(self._build, self._config), self._config, target, self._budget)

    def cause(self) -> str | None:
        """Return the first substitution that fits, in words."""
        rerun = self._rerun
        with rerun.watched():
            now = rerun.begin()
            self._rerun_sec = time.process_time() - self._began_sec
            if now is None or self._target.fits(now):
                return None
            notes, found = rerun.notes, None
            self._now = now
            self._in_loops = positions_in_loops(notes.ops)
            self._contexts = OpContexts(notes, *self._factor_and_shift(now))
            is_drawn = self._target.kind == "eval" and any(one.module in rerun.probe.draws for one in notes.ops)
            # Draws can hardly be made to give the same numbers by other rules than the first, which turns them off.
            groups = ((other_settings,),) if is_drawn else SUBSTITUTION_RULES
            with suppress(PassStopped):
                tiers = list(tiers_of(notes, self._call.inner)) if now.is_finite else [origin_of_nan(notes)]
                found = (
                    self._built_otherwise(given_up)
                    or self._residual()
                    or self._put_back()
                    or next(
                        (text for tier, rules in nearest_first(tiers, groups) for text in self._fitting(tier, rules)),
                        None,
                    )
                )
        if found is None and not is_drawn:
            self._budget.extend(_CONFIRMING_SHARE * self._deadline_sec)
            found = self._exchanged() or self._built_otherwise(missing)
        return found or (DRAWS if is_drawn else None)

    def _factor_and_shift(self, now: Digest) -> tuple[float | None, float | None]:
        """Return by what the output would have to be multiplied, or what to be added to it; None where unknown."""
        recorded = self._target.expected
        if self._target.kind != "eval" or "mean" not in recorded or "rms" not in recorded or not now.check:
            return None, None
        if is_single_number(recorded):  # which a factor always gives
            return None, None
        shift = float(f"{recorded['mean'] - now.mean:.3g}")
        factor = recorded["eval"] / now.check
        tolerance = READABLE_TOLERANCE * recorded["rms"]  # one number can always be met: the others must agree
        errors = (now.mean * factor - recorded["mean"], now.rms * abs(factor) - recorded["rms"])
        is_known = abs(factor - 1) > 10 * READABLE_TOLERANCE and all(abs(one) <= tolerance for one in errors)
        return factor if is_known else None, shift

    def _fitting(self, tier: Sequence[NotedOp], rules: Sequence[SubstitutionRule]) -> Iterator[str]:
        """Yield the substitutions that fit: of single operations, outside of loops; then of all of the same code."""
        for rule in rules:
            if rule is missing_activation:  # by now nothing simpler fits
                yield from (text for text, plan in exchanges(tier) if self._fits(plan))
            for op in (op for op in tier if op.position not in self._in_loops):
                for one in self._proposals(rule, op):
                    if self._fits(plan_of({op.position: one}), partial(self._same_everywhere, rule, one.mistake)):
                        yield one.text
            for text, plan in repeated(rule, tier, self._rerun.notes.ops, self._proposals):
                if self._fits(plan):
                    yield text

    def _proposals(self, rule: SubstitutionRule, op: NotedOp) -> Iterable[Substitution]:
        self._budget.check()
        return proposals(rule, self._contexts.call_of(op))

    def _residual(self) -> str | None:
        """Return the module around which a skip connection is missing, where that fits."""
        end_sec = time.process_time() + _FIRST_SHARE * self._deadline_sec
        for text, plan, op in residuals(self._rerun.notes, self._call.inner):
            if time.process_time() > end_sec:  # of a deep network, whose operations are to be tried, too
                return None
            if self._fits(plan, partial(residuals_like, op)):
                return text
        return None

    def _fits(self, plan: SubstitutionPlan, everywhere: Everywhere | None = None) -> bool:
        """Return whether a plan gives the recorded numbers, in this pass and in the others.

        everywhere: returns what undoes the same at all places of a pass; None where nothing else does.
        """
        if not _restores(plan, self._rerun, self._now):
            return False
        self._budget.extend(_CONFIRMING_SHARE * self._deadline_sec)
        try:
            return self._confirmation.confirms(plan) and (plan.mode_only or self._mends_the_whole(plan, everywhere))
        finally:
            self._budget.extend(-_CONFIRMING_SHARE * self._deadline_sec)

    def _mends_the_whole(self, plan: SubstitutionPlan, everywhere: Everywhere | None) -> bool:
        """Return whether a plan brings back the network's own numbers, too, where it should.

        It should unless the same code runs elsewhere, where it's as wrong and isn't mended. The same mistake may also
        have been made at other places in the code.
        """
        call = self._call
        if not call.name or call.kind not in call.whole:
            return True
        whole = self._rerun_of_whole(call.kind)
        with whole.watched():
            if whole.begin() is None:
                return True
            there = transferred(plan, self._rerun.notes, whole.notes)
            if there is None or _runs_elsewhere(there, whole.notes):
                return True
            if whole.target.fits(whole.attempt(there)):
                return True
            same = {} if everywhere is None else everywhere(whole.notes)
            return len(same) > 1 and whole.target.fits(whole.attempt(plan_of(same)))

    def _exchanged(self) -> str | None:
        """Return an operation of the layer and one behind it that are in the other order, where that fits the whole."""
        call = self._call
        if not call.name or call.kind not in call.whole:
            return None
        whole = self._rerun_of_whole(call.kind)
        with whole.watched():
            now = whole.begin()
            if now is None or whole.target.fits(now):
                return None
            kinds = tuple(kind for kind in KINDS if kind in call.whole and kind != call.kind)
            confirmation = Confirmation(self._rerun_of_whole, whole, kinds)
            for text, plan in exchanges_behind(whole.notes.ops, self._target.key):
                if _restores(plan, whole, now) and confirmation.confirms(plan):
                    return text
        return None

    def _put_back(self) -> str | None:
        """Return what isn't used any more, where the network with it gives what was recorded.

        Many a network has something that it never used: no more than a share of the time goes into that.
        """
        notes = self._rerun.notes
        if not notes.is_whole:
            return None
        end_sec = time.process_time() + _FIRST_SHARE * self._deadline_sec

        def in_time(modules: Modules, name: str) -> Iterator[Rebuild]:
            return takewhile(lambda _: time.process_time() < end_sec, put_back(modules, notes, name))

        return self._built_otherwise(in_time)

    def _built_otherwise(self, rebuilds: Callable[[Modules, str], Iterator[Rebuild]]) -> str | None:
        """Return what was built otherwise in the first layer that differs, where that fits it and the whole."""
        modules, (inner, _) = self._rerun.network.modules, self._call.inner or self._target.key
        name = inner.partition(".parametrizations.")[0]
        for one in rebuilds(modules, name) if name in modules and self._call.whole else ():
            if self._is_mended_by(one):
                return one.text
        return None

    def _is_mended_by(self, rebuild: Rebuild) -> bool:
        """Return whether a network that is built otherwise gives what was recorded of the layer, and of the whole."""
        whole = self._call.whole
        calls = [self._call, *(DifferingCall("", 0, kind, whole) for kind in KINDS if kind in whole)]
        with suppress(Exception):  # it can't be built, or run, that way
            return all(self._fits_rebuilt(rebuild, call) for call in calls)
        return False

    def _fits_rebuilt(self, rebuild: Rebuild, call: DifferingCall) -> bool:
        def rebuilt() -> nn.Module:
            network = self._build()
            if network is self._rerun.network.model:
                raise ValueError("the target is one network, which others use, and not built anew")
            return rebuild.apply(network)

        self._budget.require(self._rerun_sec)
        network = prepare_network(rebuilt, self._config)
        rerun = Rerun(network, self._config, TargetCall(call, self._target.tolerance), self._budget)
        with rerun.watched():
            return rerun.target.fits(rerun.begin())

    def _rerun_of_whole(self, kind: str) -> Rerun:
        return self._rerun_of(kind, DifferingCall("", 0, kind, self._call.whole))

    def _same_everywhere(self, rule: SubstitutionRule, mistake: str, notes: PassNotes) -> dict[int, Substitution]:
        """Return the substitutions of a rule, by position, that undo the same at all places of a pass."""
        contexts = OpContexts(notes, None, None)
        found: dict[int, Substitution] = {}
        for op in notes.ops:
            self._budget.check()
            for one in proposals(rule, contexts.call_of(op)):
                if one.mistake == mistake:
                    found.setdefault(op.position, one)
        return found


def _restores(plan: SubstitutionPlan, rerun: Rerun, now: Digest) -> bool:
    """Return whether a plan gives the recorded numbers, as few plans do; `now` is what comes out without it."""
    found = rerun.attempt(plan)
    if found is None or not rerun.target.is_restored(found, now):
        return False
    return not is_same(found, rerun.attempt(shaken(plan, rerun.target.tolerance)))  # or many a repair would fit


def _runs_elsewhere(plan: SubstitutionPlan, notes: PassNotes) -> bool:
    """Return whether the code of a replaced operation also ran where it isn't replaced."""
    places = {(one.site, one.call.name) for one in notes.ops if one.position in plan.computes}
    others = (one for one in notes.ops if one.position not in plan.computes)
    return any((one.site, one.call.name) in places and not _is_of_a_layer(one) for one in others)


def _is_of_a_layer(op: NotedOp) -> bool:
    """Return whether one of torch's layers called an operation: all of its kind share that code."""
    return _LAYERS in op.site[0].co_filename.replace("\\", "/")
