"""A network's fingerprint: one pass in eval mode, one with gradients, one at large values, some at other ones."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Final

from archcheck.errors import NotMeasured
from archcheck.function.fingerprint.config import OTHER_SEED, FingerprintConfig
from archcheck.function.fingerprint.digests import Digest, digest
from archcheck.function.fingerprint.exact_computation import exact_computation
from archcheck.function.fingerprint.extreme_inputs import run_extreme_inputs
from archcheck.function.fingerprint.forward_pass import PassResult, PassRunner
from archcheck.function.fingerprint.gradients import GradientStep, run_gradient_step
from archcheck.function.fingerprint.large_values import LargeValuePass
from archcheck.function.fingerprint.opened_gates import open_gates
from archcheck.function.fingerprint.other_weights import OutputSigns, run_other_weights
from archcheck.function.fingerprint.preparation import NetworkFactory, PreparedNetwork
from archcheck.function.fingerprint.record_assembly import RunResults, assemble_record
from archcheck.function.fingerprint.written_constants import prepare_network
from archcheck.function.records import FunctionRecord, HealthRecord
from archcheck.network.isolation import raised_recursion_limit
from archcheck.structure.meta.function_caches import unchanged_function_caches

_STEP_COUNTER: Final = "num_batches_tracked"


@dataclass(frozen=True, slots=True)
class EvalTraces:
    """What the pass in eval mode has left behind.

    keeps_state: whether anything is another than before. updated: the saved parameters and buffers that are.
    """

    keeps_state: bool
    updated: tuple[str, ...]


# Examines a network's health: called after the step in train mode, with the eval pass before it, the step, and what
# the eval pass has left behind.
HealthProbe = Callable[[PassRunner, PassResult, GradientStep, EvalTraces], HealthRecord]


def fingerprint(build: NetworkFactory, config: FingerprintConfig, probe: HealthProbe | None = None) -> FunctionRecord:
    """Build a network and run it; `probe` may run it further, after the step in train mode.

    Raises:
        BuildError: or whatever else `build()` raises.
        NotMeasured: it has weights that can't be filled.
    """
    with exact_computation(config.device):
        return FingerprintRun(prepare_network(build, config), config, probe).run()


def fingerprint_in_eval_mode(build: NetworkFactory, config: FingerprintConfig) -> FunctionRecord:
    """Build a network and run its eval pass only. Raises as `fingerprint`."""
    with exact_computation(config.device):
        return FingerprintRun(prepare_network(build, config), config).run(only_eval=True)


class FingerprintRun:
    """All passes of one network; a pass that dies is the last."""

    def __init__(self, network: PreparedNetwork, config: FingerprintConfig, probe: HealthProbe | None = None) -> None:
        self.runner = PassRunner(network, config)
        self._network, self._config, self._probe = network, config, probe

    def run(self, *, only_eval: bool = False) -> FunctionRecord:
        """Run in eval mode, in train mode with gradients, at large values, and under other weights where need be.

        Raises:
            NotMeasured: the network runs layers in threads of its own.
        """
        runner = self.runner
        modules = self._network.modules
        caches = unchanged_function_caches(modules.values())
        with runner.watcher.watching(modules), raised_recursion_limit(modules), caches:
            runner.state.save_attributes()
            results = RunResults(runner.forward(training=False, notes_draws=True))
            _refuse_threads(runner)
            if results.eval_pass.crash is None and not only_eval:
                self._run_train_mode(results)
            return assemble_record(runner, results)

    def _run_train_mode(self, results: RunResults) -> None:
        """Run the passes behind the one in eval mode; without train mode, only the gradients."""
        runner, trains = self.runner, self._config.train
        runner.filler.fill_unused()
        runner.state.save_buffers()
        changed = [name for name, _ in runner.state.changed()]
        left = EvalTraces(
            keeps_state=runner.state.has_changed or bool(changed),
            updated=tuple(filter(self._network.saved_names().__contains__, changed)) if changed else (),
        )
        step = results.step = run_gradient_step(runner, training=trains)
        if step.forward.crash is not None and not trains:  # some kernels of the CPU compute no gradients
            results.untrainable = step.forward.crash
            step = results.step = GradientStep(runner.forward(training=False, seed=OTHER_SEED), {}, {})
        if trains:
            results.changed = self._changed()
        if step.forward.crash is None and self._probe is not None:
            results.health = self._probe(runner, results.eval_pass, step, left)
        if step.forward.crash is None:
            results.opened = open_gates(runner, step)
            results.health = _with_gradients(results.health, results.opened.values())
        signs = OutputSigns()
        if step.forward.crash is None and trains:
            large_pass = LargeValuePass(runner, len(step.forward.calls))
            results.large_pass = large_pass.run()
            results.large = large_pass.factor
        for one in (results.eval_pass, step.forward, results.large_pass):
            if one is not None:
                signs.note(one.output)
                one.output = None  # frees its memory
        if step.forward.crash is None:
            results.bounds_pass = run_extreme_inputs(runner)
            results.other_pass = run_other_weights(runner, signs)

    def _changed(self) -> dict[str, Digest]:
        """Return what the step in train mode has changed without a gradient, but for batch norm's counter of steps.

        What is computed for a weight has nothing to change: it's told how often it was written to.
        """
        state, network = self.runner.state, self._network
        found = {name: digest(new) for name, new in state.changed() if not name.endswith(_STEP_COUNTER)}
        saved = {**network.params, **{name: buffer for name, (buffer, _) in state.saved_buffers.items()}}
        for name, one in saved.items():
            if self.runner.filler.computes(one):
                num_writes = float(state.num_writes(one)) or float(name in found)
                found[name] = Digest(0.0, num_writes, num_writes)
        return {name: one for name, one in found.items() if one is not None}


def _with_gradients(health: HealthRecord | None, steps: Collection[GradientStep]) -> HealthRecord | None:
    """Add the parameters that only got a gradient in further steps to those that have one."""
    reached = {name for step in steps for name, one in step.params.items() if one.rms > 0}
    if health is None or reached.isdisjoint(health.no_gradient):
        return health
    some = (*health.gradients, *(name for name in health.no_gradient if name in reached))
    return replace(health, gradients=some, no_gradient=tuple(one for one in health.no_gradient if one not in reached))


def _refuse_threads(runner: PassRunner) -> None:
    name = runner.watcher.in_other_thread
    if name:
        raise NotMeasured(
            f"{name} runs in a thread of the network's own, where weights can't be filled in a fixed order; "
            "run the layers one after the other to have the function recorded"
        )
