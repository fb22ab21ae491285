"""One kind of pass of one network, run as often as is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, Final

from archcheck.function.diagnosis.budget import Budget
from archcheck.function.diagnosis.call_probe import RETURN_POSITION, CallProbe, TargetCall
from archcheck.function.diagnosis.op_watcher import OpWatcher
from archcheck.function.diagnosis.pass_notes import PassNotes, PassStopped, SubstitutionPlan, own_numbers, own_tensors
from archcheck.function.fingerprint.config import OTHER_SEED, FingerprintConfig
from archcheck.function.fingerprint.digests import Digest
from archcheck.function.fingerprint.forward_pass import PassRunner
from archcheck.function.fingerprint.large_values import LargeValuePass
from archcheck.function.fingerprint.opened_gates import use_set
from archcheck.function.fingerprint.preparation import PreparedNetwork
from archcheck.network.isolation import raised_recursion_limit

_NOISE: Final = 1e-12  # relative, of the same numbers computed twice


class Rerun:
    """Runs the pass that differs up to the call that differs, with operations replaced.

    Attributes:
        notes: on the pass without replacements.
    """

    def __init__(self, network: PreparedNetwork, config: FingerprintConfig, target: TargetCall, budget: Budget) -> None:
        self.network, self.target = network, target
        self.notes = PassNotes()
        self.budget = budget
        self._ops = OpWatcher("eval mode" if target.kind == "eval" else "train mode", budget)
        self.probe = CallProbe(target, self._ops)
        self._make_inputs: Callable[[], tuple[Any, Any]] | None = None
        self._runner = PassRunner(network, config, watcher=self.probe, innermost_mode=self._op_mode)

    def _op_mode(self) -> AbstractContextManager[object]:
        return self._ops if self.probe.is_awake else nullcontext()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch the network's modules, which they must be while it runs."""
        with self.probe.watching(self.network.modules), raised_recursion_limit(self.network.modules):
            yield

    def begin(self) -> Digest | None:
        """Run the passes before the one that differs, and that one, with notes. Returns the digest of the target."""
        first = self._begin()
        now = self.attempt(SubstitutionPlan()) if first is not None else None
        if first is not None and not is_same(first, now):  # something is lost where modules don't run again
            self.notes.replayable.clear()
            now = self.attempt(SubstitutionPlan())
        return now

    def _begin(self) -> Digest | None:
        self._runner.state.save_attributes()
        if self.target.kind == "eval":
            return self._begin_eval()
        if self._runner.forward(training=False).crash is not None:
            return None
        self._runner.filler.fill_unused()
        self._runner.state.save_buffers()
        return self._run_noted()

    def _begin_eval(self) -> Digest | None:
        """Run the eval pass; the buffers are kept as they were filled, before the pass wrote to them."""
        found = self._run_noted()
        self._runner.state.save_buffers()
        return found

    def _run_noted(self) -> Digest | None:
        if self.target.kind == "large":
            self._digest_of_target(SubstitutionPlan(), None, LargeValuePass(self._runner, num_calls=0).run)
        if self.target.kind == "opened":
            (number,) = self._runner.config.opened or ()
            self._make_inputs = use_set(self._runner, number)
        modules = self.network.modules
        own = (id(one) for module in modules.values() for one in own_tensors(module).values())
        notes = PassNotes(numbers={name: own_numbers(module) for name, module in modules.items()}, own=frozenset(own))
        found = self._digest_of_target(SubstitutionPlan(), notes, partial(self._forward, notes_draws=True))
        if self.target.kind != "eval":
            notes.forget_calls_with(self.probe.draw_positions)
        self.notes = notes
        return found

    def attempt(self, plan: SubstitutionPlan) -> Digest | None:
        """Return the target's digest in a pass with operations replaced; None where it isn't reached."""
        return self._digest_of_target(plan, None, self._forward)

    def _forward(self, notes_draws: bool = False) -> object:
        seed = OTHER_SEED if self.target.kind in ("train", "opened") else None  # as when it was recorded
        training = self.target.kind != "eval"
        result = self._runner.forward(
            training=training, notes_draws=notes_draws, seed=seed, make_inputs=self._make_inputs
        )
        if self._ops.notes is not None:
            self._ops.notes.is_whole = result.crash is None
        return result

    def _digest_of_target(
        self, plan: SubstitutionPlan, notes: PassNotes | None, run: Callable[[], object]
    ) -> Digest | None:
        self.budget.check()
        self._ops.begin(plan, notes)
        limit = min(plan.computes, default=RETURN_POSITION) if notes is None else -1
        self.probe.wake(self.notes.replayable, limit)
        try:
            run()
        except PassStopped:
            pass
        finally:
            self.probe.sleep()
        return self.probe.digest


def is_same(one: Digest, other: Digest | None) -> bool:
    """Return whether two digests are the same but for rounding."""
    return other is not None and abs(one.check - other.check) <= _NOISE * abs(one.check)
