"""A network's fingerprint: one pass in eval mode, one with gradients, one at large values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch

from archcheck.function.fingerprint.config import FingerprintConfig
from archcheck.function.fingerprint.digests import Digest, digest
from archcheck.function.fingerprint.exact_computation import exact_computation
from archcheck.function.fingerprint.forward_pass import PassResult, PassRunner
from archcheck.function.fingerprint.gradients import GradientStep, run_gradient_step
from archcheck.function.fingerprint.large_values import LargeValuePass
from archcheck.function.fingerprint.preparation import NetworkFactory, PreparedNetwork, prepare_for_filling
from archcheck.function.fingerprint.record_assembly import RunResults, assemble_record
from archcheck.function.records import FunctionRecord, HealthRecord
from archcheck.network.isolation import raised_recursion_limit

_STEP_COUNTER: Final = "num_batches_tracked"

# Examines a network's health: called after the step in train mode, with the eval pass before it and the step.
HealthProbe = Callable[[PassRunner, PassResult, GradientStep], HealthRecord]


def fingerprint(build: NetworkFactory, config: FingerprintConfig, probe: HealthProbe | None = None) -> FunctionRecord:
    """Build a network and run it; `probe` may run it further, after the step in train mode.

    Raises:
        BuildError: or whatever else `build()` raises.
        NotMeasured: it has weights that can't be filled.
    """
    with exact_computation(config.device):
        return FingerprintRun(prepare_for_filling(build, config), config, probe).run()


def fingerprint_in_eval_mode(build: NetworkFactory, config: FingerprintConfig) -> FunctionRecord:
    """Build a network and run its eval pass only. Raises as `fingerprint`."""
    with exact_computation(config.device):
        return FingerprintRun(prepare_for_filling(build, config), config).run(only_eval=True)


class FingerprintRun:
    """All passes of one network; a pass that dies is the last."""

    def __init__(self, network: PreparedNetwork, config: FingerprintConfig, probe: HealthProbe | None = None) -> None:
        self.runner = PassRunner(network, config)
        self._network, self._config, self._probe = network, config, probe

    def run(self, *, only_eval: bool = False) -> FunctionRecord:
        """Run in eval mode; in train mode with gradients; in train mode at large values."""
        runner = self.runner
        with runner.watcher.watching(self._network.modules), raised_recursion_limit(self._network.modules):
            runner.save_state()
            results = RunResults(runner.forward(training=False, notes_draws=True))
            if results.eval_pass.crash is None and not only_eval:
                self._run_train_mode(results)
            return assemble_record(runner, results)

    def _run_train_mode(self, results: RunResults) -> None:
        """Run the passes behind the one in eval mode; without train mode, only the gradients."""
        runner, trains = self.runner, self._config.train
        runner.filler.fill_unused()
        runner.save_buffers(self._network.model.named_buffers())
        runner.note_param_versions()
        step = results.step = run_gradient_step(runner, training=trains)
        if trains:
            results.changed_buffers = self._changed_buffers()
        if step.forward.crash is None and self._probe is not None:
            results.health = self._probe(runner, results.eval_pass, step)
        results.eval_pass.output = None  # frees its memory
        if step.forward.crash is None and trains:
            large_pass = LargeValuePass(runner, len(step.forward.calls))
            results.large_pass = large_pass.run()
            results.large = large_pass.factor

    def _changed_buffers(self) -> dict[str, Digest]:
        """Return the buffers that the step in train mode has changed, but for batch norm's counter of steps."""
        changed: dict[str, Digest] = {}
        now = dict(self._network.model.named_buffers())
        for name, (buffer, old) in self.runner.saved_buffers.items():
            new = now.get(name, buffer)
            if not name.endswith(_STEP_COUNTER) and (new.shape != old.shape or not torch.equal(new, old)):
                found = digest(new)
                if found is not None:
                    changed[name] = found
        return changed
