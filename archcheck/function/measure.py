"""A spec's function: measured as its section says, or planned and recorded."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from archcheck.errors import LackOfMemory, NotMeasured, UsageError
from archcheck.function.comparison import Comparison
from archcheck.function.digested_layers import layers_of
from archcheck.function.domain_search import likely_domain
from archcheck.function.dtype_comparison import with_held_dtypes
from archcheck.function.fingerprint.config import CPU, OTHER_SEED, FingerprintConfig
from archcheck.function.fingerprint.fingerprint import HealthProbe, fingerprint, fingerprint_in_eval_mode
from archcheck.function.fingerprint.preparation import NetworkFactory
from archcheck.function.health_probe import make_health_probe
from archcheck.function.made_inputs import check_of_inputs, require_same_elsewhere
from archcheck.function.planning import MEMORY_BYTES, needed_bytes, plans
from archcheck.function.records import FunctionRecord, HealthRecord
from archcheck.function.section import PLANNED_KEYS, function_section, listed_names, outdated_key
from archcheck.network.build import prepare_network
from archcheck.spec.dims import BATCH
from archcheck.spec.domains import ANYTHING, INTEGER_DTYPES
from archcheck.spec.inputs import ForwardInput, InputTree, iter_input_patterns, make_forward_input
from archcheck.spec.lock import RecordedFunction
from archcheck.spec.models import Function, Spec
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.crashes import describe_crash
from archcheck.structure.layer_selection import default_depth
from archcheck.structure.meta.inputs import make_inputs
from archcheck.structure.meta.model_copy import GIVEN, copy_to_cpu
from archcheck.structure.meta.module_tree import (
    buffers_of,
    named_buffers,
    named_network,
    named_params,
    set_training,
)
from archcheck.structure.records import Crash, StructureTrace
from archcheck.structure.trace import trace_structure
from archcheck.structure.work import cost_of, count_made_elements, threads_fitted_to_trace
from archcheck.system.memory import available_bytes, give_back_freed_memory

_MIN_COUNTED_COST: Final = 3 * 10**9  # multiply-adds of a forward: what costs less makes some 50 million elements


class RecordedSection(NamedTuple):
    """A `function` section as a plain value, notes on it for its author, and the network's health if asked for."""

    section: dict[str, Any]
    notes: tuple[str, ...] = ()
    health: HealthRecord | None = None


def network_factory(spec_file: SpecFile, rootdir: Path | None, model: nn.Module | None = None) -> NetworkFactory:
    """Return a function that builds a spec's network, or copies a live one. Raises BuildError."""
    if model is not None:
        return lambda: _copy_as_built(model, spec_file, rootdir)
    spec = spec_file.spec
    return prepare_network(spec.build, spec.args, spec_file.path.resolve().parent, rootdir)


def _copy_as_built(model: nn.Module, spec_file: SpecFile, rootdir: Path | None) -> nn.Module:
    """Copy a live network with the statistics of an untrained one, where the spec's build has the same buffers.

    Constants that aren't trained, and are those of the build, are marked as given.

    Raises:
        NotMeasured: the network can't be copied, or has no values to copy.
    """
    try:
        copied = copy_to_cpu(model)
    except UsageError as error:
        raise NotMeasured(str(error)) from None
    try:
        fresh = named_network(_built_with_sizes(spec_file, rootdir)).modules
    except Exception:  # where the build can't be had, the spec is only used with live networks
        return copied
    modules = named_network(copied).modules
    for buffer, as_built in _pairs(named_buffers(modules), named_buffers(fresh)):
        buffer.data = as_built.detach().to(buffer.dtype)
    for param, as_built in _pairs(named_params(modules), named_params(fresh)):
        if _is_same_constant(param, as_built):
            param.data = as_built.detach().clone()
            vars(param)[GIVEN] = True
    return copied


def _built_with_sizes(spec_file: SpecFile, rootdir: Path | None) -> nn.Module:
    """Build a spec's network; lazy layers see a first input, to have any weights and buffers."""
    network = network_factory(spec_file, rootdir)()
    if any(map(is_lazy, buffers_of(network))):
        args, kwargs = make_inputs(spec_file.spec.forward_inputs()[0], "cpu")
        set_training(network, False)
        with torch.no_grad():
            network(*args, **kwargs)
    return network


def _pairs(live: Mapping[str, Tensor], fresh: Mapping[str, Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the tensors of one name and shape in two networks."""
    for name, tensor in live.items():
        other = fresh.get(name)
        if other is not None and _is_dense(tensor) and _is_dense(other) and tensor.shape == other.shape:
            yield tensor, other


def _is_same_constant(live: Tensor, fresh: Tensor) -> bool:
    """Return whether a parameter that isn't trained has the values that it's built with, such as a fixed filter."""
    if live.requires_grad or fresh.requires_grad or not live.is_floating_point():
        return False
    tolerance = 16 * torch.finfo(live.dtype).eps
    return torch.allclose(live.detach(), fresh.detach().to(live.dtype), rtol=tolerance, atol=0)


def _is_dense(tensor: Tensor) -> bool:
    """Return whether a tensor has values and a shape: a lazy layer's has no shape yet, a nested one never."""
    return not is_lazy(tensor) and not tensor.is_meta and not tensor.is_nested and tensor.layout is torch.strided


def measure_function(
    spec_file: SpecFile,
    build: NetworkFactory,
    trace: StructureTrace,
    device: torch.device = CPU,
    *,
    is_live: bool = False,
) -> tuple[FingerprintConfig, FunctionRecord]:
    """Run the network as it was recorded, or as it would be; with its health.

    Raises:
        BuildError: the network can't be built for real.
        NotMeasured: it can't be filled, or needs more memory than its budget grants.
    """
    function = spec_file.recorded
    if function is None or outdated_key(spec_file) is not None:
        return _run_as_planned(spec_file, build, trace, device, with_health=True)[1:]
    set_budget = spec_file.spec.function.budget if isinstance(spec_file.spec.function, Function) else None
    budget = set_budget or function.budget
    granted = budget.memory if budget is not None and budget.memory else MEMORY_BYTES
    config = replace(_config_from_record(spec_file.spec, function, device), knows_initial_values=not is_live)
    needed = _needed_bytes(spec_file.spec, build, trace, config)
    _require_memory(needed)
    if needed > granted:
        raise NotMeasured(
            f"the function needs about {needed / 2**20:.0f} MiB, more than its budget of {granted / 2**20:.0f} MiB; "
            f"grant it: function: {{budget: {{memory: {math.ceil(needed / 2**20)} MiB}}}}"
        )
    with _fitting_threads(spec_file.spec, trace, config):
        record = _run(build, config, _health_probe(spec_file, build, config))
    return config, record if is_live else with_held_dtypes(record, trace)


def _fitting_threads(spec: Spec, trace: StructureTrace, config: FingerprintConfig) -> AbstractContextManager[None]:
    """Compute inside with as many threads as are worth it, by the trace; double precision is twice the work."""
    times = _times_traced(spec, trace, config)
    return threads_fitted_to_trace(trace, 2 * times if config.dtype is torch.float64 else times)


def _times_traced(spec: Spec, trace: StructureTrace, config: FingerprintConfig) -> float:
    """Return how many times as large a run's inputs are as those that were traced first."""
    traced = make_forward_input(spec.input, trace.forwards[0].sizes).num_elements
    return config.inputs.num_elements / traced if traced else 1.0


def _needed_bytes(spec: Spec, build: NetworkFactory, trace: StructureTrace, config: FingerprintConfig) -> int:
    """Estimate the memory that a run takes."""
    cost = int(_times_traced(spec, trace, config) * cost_of(trace.forwards[0], trace))
    return needed_bytes(trace, _num_elements(build, config.inputs, cost), config.precision)


def _num_elements(build: NetworkFactory, inputs: ForwardInput, cost: int) -> int:
    """Count the elements that a forward pass makes; 0 where it costs so little that they can't be many."""
    return count_made_elements(build, inputs) if cost > _MIN_COUNTED_COST else 0


def _run(build: NetworkFactory, config: FingerprintConfig, probe: HealthProbe | None = None) -> FunctionRecord:
    _require_memory(8 * config.inputs.num_elements)
    return replace(fingerprint(build, config, probe), made_inputs=check_of_inputs(config))


def _health_probe(spec_file: SpecFile, build: NetworkFactory, config: FingerprintConfig) -> HealthProbe | None:
    """Make the probe of the network's health, unless the spec turns that check off."""
    if spec_file.spec.health == "off":
        return None
    sizes = config.inputs.sizes
    pattern = spec_file.spec.input if config.input_pattern is None else config.input_pattern
    is_batched = sizes.get(BATCH, 1) > 1
    return make_health_probe(build, make_forward_input(pattern, {**sizes, BATCH: 1}) if is_batched else None)


def _config_from_record(spec: Spec, function: RecordedFunction, device: torch.device) -> FingerprintConfig:
    """Return how the network was run when its function was recorded."""
    pattern = spec.input if function.input is None else function.input
    return FingerprintConfig(
        make_forward_input(pattern, function.at),
        getattr(torch, function.precision),
        function.gains,
        float(function.large),
        function.train,
        function.output.bounds is not None,
        function.opened,
        device=device,
        input_pattern=function.input,
        train_inputs=spec.train_inputs(function.at),
    )


def _require_memory(needed: int) -> None:
    """Raise LackOfMemory where more memory is needed than is free."""
    free = available_bytes()
    if free is not None and needed > free:
        give_back_freed_memory()
        free = available_bytes()
    if free is not None and needed > free:
        raise LackOfMemory(f"running it takes about {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free")


def record_section(
    spec_file: SpecFile,
    build: NetworkFactory,
    trace: StructureTrace,
    depth: int | None = None,
    *,
    with_health: bool = False,
) -> RecordedSection:
    """Record a `function` section for the network as it is, run as the spec's own `function` says as far as it does.

    Raises:
        NotMeasured: the network can't be run such that it gives the same numbers twice.
    """
    crashes: list[Crash] = []
    plan, config, record = _run_as_planned(spec_file, build, trace, with_health=with_health, crashes=crashes)
    try:
        _require_sound(record)
    except NotMeasured as error:
        hint = domain_hint(spec_file.spec, build, record.crash.error if record.crash is not None else None, config)
        raise NotMeasured(f"{error}; {hint}" if hint is not None else str(error)) from None
    if config.inputs.source is not None:
        require_same_elsewhere(config.inputs.source, config.inputs.sizes)
    with _fitting_threads(spec_file.spec, trace, config):
        _require_repeatable(build, config, record)
    names = listed_names(spec_file, trace, depth if depth is not None else default_depth(trace))
    notes = _notes(spec_file.spec, plan, crashes[0] if crashes else None, record.opaque)
    return RecordedSection(function_section(record, plan, names), tuple(notes), record.health)


def _notes(spec: Spec, plan: Mapping[str, Any], crash: Crash | None, opaque: Sequence[str]) -> Iterator[str]:
    if opaque:
        yield f"can't see into {', '.join(sorted(set(opaque)))}, which comes out: what it holds is not recorded"
    if plan.get("train") is False and crash is not None:
        yield f"the function is recorded without train mode, which stops: {describe_crash(crash)}"
    for _, pattern in iter_input_patterns(spec.input):
        if pattern.dtype in INTEGER_DTYPES and pattern.dtype != "uint8" and pattern.domain == ANYTHING:
            yield f"an input of {pattern.dtype} is all zeros for want of a bound; give it one: {{below: 100}}"
            return


def _run_as_planned(
    spec_file: SpecFile,
    build: NetworkFactory,
    trace: StructureTrace,
    device: torch.device = CPU,
    *,
    with_health: bool = False,
    crashes: list[Crash] | None = None,
) -> tuple[dict[str, Any], FingerprintConfig, FunctionRecord]:
    """Run the network by the first plan by which it can be trained, or without train mode by the first plan.

    Returns the first keys of a section, how the network was run, and its record. Crashes in train mode are added to
    `crashes`.
    """

    def run(config: FingerprintConfig) -> FunctionRecord:
        with _fitting_threads(spec_file.spec, trace, config):
            record = _run(build, config, _health_probe(spec_file, build, config) if with_health else None)
        return with_held_dtypes(record, trace)

    function = spec_file.spec.function
    never_trained = isinstance(function, Function) and not function.train
    tried = []
    for plan, config in _planned_configs(spec_file, build, trace):
        config = replace(config, device=device)
        if never_trained:
            plan, config = {**plan, "train": False}, replace(config, train=False)
        _require_memory(_needed_bytes(spec_file.spec, build, trace, config))
        record = run(config)
        if record.stage == "eval" and config.dtype is torch.float64:  # some kernels know no double precision
            single = replace(config, dtype=torch.float32)
            again = run(single)
            if again.stage != "eval":
                plan, config, record = {**plan, "precision": "float32"}, single, again
        if record.stage != "train":
            return plan, config, record
        tried.append((plan, config))
        if crashes is not None and record.crash is not None:
            crashes.append(record.crash)
    plan, config = tried[0]
    config = replace(config, train=False)
    return {**plan, "train": False}, config, run(config)


def _planned_configs(
    spec_file: SpecFile, build: NetworkFactory, trace: StructureTrace
) -> list[tuple[dict[str, Any], FingerprintConfig]]:
    """Return the plans, best first, as first keys of a section and as configs; with sizes of its own, the spec's."""
    spec, function = spec_file.spec, spec_file.spec.function
    written = spec_file.document.value["function"] if isinstance(function, Function) else {}
    kept = {key: written[key] for key in PLANNED_KEYS if key in written}
    if isinstance(function, Function) and not kept.keys().isdisjoint(("input", "at")):
        pattern = spec.input if function.input is None else function.input
        return [(kept, _config_at(pattern, function.at, function.precision, spec))]

    def retrace(pattern: InputTree, at: Mapping[str, int]) -> StructureTrace:
        return trace_structure(build, [make_forward_input(pattern, at)], only_meta=trace.device == "meta")

    def count_elements(pattern: InputTree, at: Mapping[str, int], cost: int) -> int:
        return _num_elements(build, make_forward_input(pattern, at), cost)

    value = spec_file.document.value.get("input") if spec.train_input is None else None
    planned = plans(spec.input, value, trace, retrace, count_elements)
    chosen = [(plan.pattern, plan.at, {**plan.as_section(), **kept}) for plan in planned]
    return [(plan, _config_at(pattern, at, plan.get("precision", "float64"), spec)) for pattern, at, plan in chosen]


def _config_at(pattern: InputTree, at: Mapping[str, int], precision: str, spec: Spec) -> FingerprintConfig:
    """Return how a network is run at some sizes, where nothing more is known."""
    return FingerprintConfig(
        make_forward_input(pattern, at),
        getattr(torch, precision),
        input_pattern=pattern,
        train_inputs=spec.train_inputs(at),
    )


def fingerprint_as_planned(
    spec_file: SpecFile, build: NetworkFactory, trace: StructureTrace
) -> tuple[FingerprintConfig, FunctionRecord]:
    """Run the network as it would be recorded, without its health."""
    return _run_as_planned(spec_file, build, trace)[1:]


def domain_hint(spec: Spec, build: NetworkFactory, error: str | None, config: FingerprintConfig | None) -> str | None:
    """Say with what values of which input a network runs that stops, or isn't finite, with those that it is given.

    config: how it was run; as its structure is traced, without.
    """
    if config is None:
        config = FingerprintConfig(make_forward_input(spec.input, spec.bindings()[0]))
    found = likely_domain(build, config, spec.input, error)
    return None if found is None else str(found)


def fingerprint_at_own_sizes(
    spec_file: SpecFile, build: NetworkFactory, config: FingerprintConfig
) -> tuple[FingerprintConfig, FunctionRecord] | None:
    """Run the network as `config` says, but at the first sizes of its spec; None where these are its sizes already."""
    own = spec_file.spec.forward_inputs()[0]
    if own == config.inputs:
        return None
    train_inputs = spec_file.spec.train_inputs(own.sizes)
    config = replace(
        config,
        inputs=own,
        train_inputs=train_inputs,
        input_pattern=None,
        gains=None,
        large=None,
        opened=None,
        bounds=None,
    )
    return config, fingerprint(build, config)


def _require_sound(record: FunctionRecord) -> None:
    if record.crash is not None:
        where = "computing gradients" if record.stage == "backward" else f"{record.stage} mode"
        raise NotMeasured(f"under fixed weights it stops in {where}: {describe_crash(record.crash)}")
    if "eval" not in record.root.numbers:
        raise NotMeasured("the network returns no tensor to compare")
    for call in record.calls:
        bad = [
            kind
            for kind, number in call.numbers.items()
            if not math.isfinite(number) and kind not in ("large", "other")
        ]
        if bad:
            name = call.name or "the output"
            raise NotMeasured(f"under fixed weights {name} isn't finite ({', '.join(bad)})")


def _require_repeatable(build: NetworkFactory, config: FingerprintConfig, record: FunctionRecord) -> None:
    """Raise NotMeasured where the network, built and run once more under other seeds, gives other numbers."""
    gc.collect()  # a network that refers to itself is let go of before it's built again
    again = fingerprint_in_eval_mode(build, replace(config, gains=record.gains, seed=OTHER_SEED))
    expected = {layer.label: layer.numbers for layer in layers_of(record)}
    comparison = Comparison(expected, record.root.numbers, again, config.precision, kinds=("eval",))
    kinds = comparison.differing_kinds(record.root.numbers, again.root.numbers) if again.crash is None else ["eval"]
    if kinds:
        subject = comparison.first_difference(kinds).mismatch.subject
        raise NotMeasured(
            f"two runs under the same weights differ, first at {subject}: something is left to chance there that isn't "
            "drawn by torch (numpy, random, the clock); draw it with torch, or write `function: off`"
        )
