"""The results of a network's passes put together into one record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from archcheck.function.fingerprint.call_digests import CallKey, in_order
from archcheck.function.fingerprint.config import FingerprintConfig
from archcheck.function.fingerprint.digests import Digest, combine, combine_initial_values
from archcheck.function.fingerprint.forward_pass import PassResult, PassRunner
from archcheck.function.fingerprint.gradients import GradientStep
from archcheck.function.fingerprint.large_values import LARGE_FACTORS
from archcheck.function.fingerprint.named_dtypes import most_of_each
from archcheck.function.fingerprint.opened_gates import noise_of, opened_pass
from archcheck.function.fingerprint.preparation import PreparedNetwork
from archcheck.function.fingerprint.weight_filler import WeightFiller
from archcheck.function.records import CallDigest, FunctionRecord, HealthRecord
from archcheck.structure.records import Crash


@dataclass(slots=True)
class RunResults:
    """The passes of one network, as far as they got.

    changed: what the step has changed without a gradient. untrainable: where gradients can't be computed in eval mode,
    the only one that runs.
    """

    eval_pass: PassResult
    step: GradientStep | None = None
    changed: Mapping[str, Digest] = field(default_factory=dict)
    health: HealthRecord | None = None
    opened: Mapping[int, GradientStep] = field(default_factory=dict)
    large_pass: PassResult | None = None
    other_pass: PassResult | None = None
    bounds_pass: PassResult | None = None
    untrainable: Crash | None = None
    large: float = LARGE_FACTORS[0]

    def steps(self) -> dict[str, GradientStep]:
        """Return the steps with gradients, each by what tells its numbers from those of the usual one."""
        usual = {} if self.step is None else {"": self.step}
        return usual | {f" opened {number}": one for number, one in self.opened.items()}


def assemble_record(runner: PassRunner, results: RunResults) -> FunctionRecord:
    """Make the record of a run."""
    calls = _numbers_by_call(results, runner.config)
    within = _NumbersWithin(runner, results)
    for (name, index), numbers in calls.items():
        if index == 0:
            numbers |= within.of_module(name)
    step = results.step
    if ("", 0) in calls and step is not None and step.tracks_inputs:
        parts = {key + salt: one for salt, step in results.steps().items() for key, one in step.inputs.items()}
        calls["", 0]["inputs"] = combine(parts, 0.0)
    modules = runner.network.modules
    crash, stage = results.eval_pass.crash, "eval"
    if crash is None and step is not None:
        crash, stage = step.forward.crash, "train" if runner.config.train else "backward"
    filled = _filled_in_order_of_use(runner)
    weights = {name: key for name, key in filled.items() if name in runner.network.params}
    return FunctionRecord(
        tuple(CallDigest(*key, type(modules[key[0]]).__name__, numbers) for key, numbers in calls.items()),
        weights,
        runner.filler.used_gains(),
        results.large,
        tuple(results.opened),
        results.health,
        crash,
        "" if crash is None else stage,
        results.untrainable,
        results.eval_pass.opaque,
        filled=filled,
        shapes={name: tuple(runner.network.params[name].shape) for name in weights},
        tied=_tied_names(runner.network),
        dtypes=most_of_each([results.eval_pass.dtypes, {} if step is None else step.forward.dtypes]),
    )


def _filled_in_order_of_use(runner: PassRunner) -> dict[str, str]:
    """Return the keys of the numbers of parameters and buffers by their names, in the order in which they got them."""
    saved = {name: one for name, (one, _) in runner.state.saved_buffers.items()}
    names = {id(one): name for name, one in {**saved, **runner.network.params}.items()}
    return {names[identity]: key for identity, key in runner.filler.keys.items() if identity in names}


def _tied_names(network: PreparedNetwork) -> dict[str, str]:
    """Return by the further names of parameters that have several the first one."""
    first = {id(param): name for name, param in network.params.items()}
    names = {
        f"{prefix}.{one}" if prefix else one: first[id(param)]
        for prefix, module in network.modules.items()
        for one, param in module._parameters.items()
        if param is not None and id(param) in first
    }
    return {name: own for name, own in names.items() if name != own}


def _numbers_by_call(results: RunResults, config: FingerprintConfig) -> dict[CallKey, dict[str, float]]:
    """Return every call that returned in any pass with its checks, pass by pass; the network's own comes last."""
    found: dict[CallKey, dict[str, float]] = {}
    order: list[CallKey] = []
    train_pass = None if results.step is None else results.step.forward
    passes = {
        "eval": results.eval_pass,
        "train": train_pass,
        "large": results.large_pass,
        "other": results.other_pass,
        "bounds": results.bounds_pass,
        "opened": opened_pass(results.opened.values()),
    }
    for kind, result in passes.items():
        if result is None or (result.crash is not None and kind != "eval"):
            continue
        order = in_order(order, [(call.name, call.index) for call in result.calls])
        for call in result.calls:
            numbers = found.setdefault((call.name, call.index), {})
            if call.digest is None:
                continue
            if kind == "eval":
                numbers |= {"mean": call.digest.mean, "rms": call.digest.rms}
            if kind != "train" or config.train:
                numbers[kind] = call.digest.check
    whole = ("", 0)
    return {key: found[key] for key in (*(one for one in order if one != whole), *([whole] if whole in found else ()))}


class _NumbersWithin:
    """The numbers of the parameters and buffers in a module and below it."""

    def __init__(self, runner: PassRunner, results: RunResults) -> None:
        self._network, self._filler = runner.network, runner.filler
        self._changed = results.changed
        self._tensors = {name: one for name, (one, _) in runner.state.saved_buffers.items()} | runner.network.params
        self._steps = results.steps()
        self._noise = {salt: noise_of(runner, one) for salt, one in self._steps.items()}
        self._param_keys = _param_keys_within(runner.network, runner.filler)
        self._is_trained = {name: param.requires_grad for name, param in runner.network.params.items()}
        self._derived = runner.filler.derived
        self._is_trained |= {key: self._derived.is_trained(key) for key in self._derived.users}

    def of_module(self, module_name: str) -> dict[str, float]:
        """Return the numbers by kind, without those that are 0."""
        keys = self._in_terms_of_sources(self._param_keys[module_name])
        trained = {name: key for name, key in keys.items() if self._is_trained[name]}
        starts = {name: self._start_of(name) for name in keys if self._is_filled(name)}
        # A frozen parameter that is drawn is the same as a buffer.
        initial_values = {
            keys[name]: start for name, start in starts.items() if start is not None or self._is_trained[name]
        }
        has_initial = any(one is not None for one in initial_values.values())
        prefix = f"{module_name}." if module_name else ""
        changed = {
            self._filler.keys.get(id(self._tensors[name]), name): one
            for name, one in self._changed.items()
            if name.startswith(prefix)
        }
        numbers = {
            "gradient": sum(self._gradient(trained, salt) for salt in self._steps),
            "buffers": combine(changed, 0.0),
            "initial": combine_initial_values(initial_values) if has_initial else 0.0,
        }
        return {key: number for key, number in numbers.items() if number}

    def _is_filled(self, name: str) -> bool:
        """Return whether a parameter, or what some are derived from, has numbers of its own."""
        if name in self._derived.users:
            return True
        return name in self._network.filled and not self._filler.computes(self._network.params[name])

    def _start_of(self, name: str) -> float | None:
        """Return a number for what a parameter starts from, or all that are derived from a source; None if drawn."""
        starts = {self._network.initial_values.get(one) for one in self._derived.users.get(name, {name})}
        return starts.pop() if len(starts) == 1 else None

    def _gradient(self, keys: Mapping[str, str], salt: str) -> float:
        """Return a number for the gradients of some parameters in one of the steps."""
        found = self._steps[salt].params
        return combine({key + salt: found[name] for name, key in keys.items() if name in found}, self._noise[salt])

    def _in_terms_of_sources(self, keys: Mapping[str, str]) -> dict[str, str]:
        """Put what weights are derived from in their place, as far as nothing else is derived from it."""
        users = self._derived.users
        sources = {key: key for key, names in users.items() if names <= keys.keys()}
        return {name: key for name, key in keys.items() if name not in self._derived.names} | sources


def _param_keys_within(network: PreparedNetwork, filler: WeightFiller) -> dict[str, dict[str, str]]:
    """Return for each module the parameters in it and below it, by name, with the keys of their numbers."""
    names = {id(param): name for name, param in network.params.items()}
    modules = {id(module): name for name, module in network.modules.items()}
    found: dict[str, dict[str, str]] = {name: {} for name in modules.values()}
    for module_name, module in reversed(network.modules.items()):  # inner modules before those around them
        keys = found[module_name]
        for param in module._parameters.values():
            if param is not None and id(param) in names:
                keys[names[id(param)]] = filler.keys.get(id(param), "")
        for child in module._modules.values():
            keys |= found[modules[id(child)]] if id(child) in modules else {}
    return found
