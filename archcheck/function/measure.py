"""A spec's function: measured as its section says, or planned and recorded anew."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch import nn

from archcheck.errors import NotMeasured
from archcheck.function.comparison import PLANNED, TOLERANCE, Comparison, function_section, layers_of, listed_names
from archcheck.function.fingerprint.passes import OTHER_SEED, Examine, FingerprintConfig, fingerprint, run_in_eval_mode
from archcheck.function.health_probe import examiner
from archcheck.function.planning import MEMORY_BYTES, FunctionPlan, plans
from archcheck.function.records import FunctionRecord
from archcheck.network.build import prepare_network
from archcheck.spec.dims import BATCH
from archcheck.spec.inputs import INTEGER_DTYPES, InputPattern, InputTree, iter_input_patterns, make_forward_input
from archcheck.spec.models import Function, Spec
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.crashes import describe_crash
from archcheck.structure.layer_selection import default_depth
from archcheck.structure.meta.model_copy import copy_to_cpu
from archcheck.structure.records import Crash, StructureTrace
from archcheck.structure.trace import trace_structure
from archcheck.system.memory import available_bytes

Make = Callable[[], nn.Module]


class Recorded(NamedTuple):
    """A `function` section as a plain value, and what its author should know of it."""

    section: dict[str, Any]
    notes: tuple[str, ...] = ()


CPU: Final = torch.device("cpu")


def builder(spec_file: SpecFile, rootdir: Path | None, model: nn.Module | None = None) -> Make:
    """What builds a spec's network; of a live one, what copies it. Raises BuildError."""
    if model is not None:
        return lambda: _as_built(model, spec_file, rootdir)
    spec = spec_file.spec
    return prepare_network(spec.build, spec.args, spec_file.path.resolve().parent, rootdir)


def _as_built(model: nn.Module, spec_file: SpecFile, rootdir: Path | None) -> nn.Module:
    """A copy of a live network with the statistics of an untrained one, where the spec's build has the same buffers."""
    copied = copy_to_cpu(model)
    try:
        fresh = dict(builder(spec_file, rootdir)().named_buffers())
    except Exception:  # a spec whose build is not at hand speaks of live networks only
        return copied
    for name, buffer in copied.named_buffers():
        if name in fresh and fresh[name].shape == buffer.shape and fresh[name].device.type != "meta":
            buffer.data = fresh[name].detach().to(buffer.dtype)
    return copied


def measure_function(
    spec_file: SpecFile, make: Make, trace: StructureTrace, device: torch.device = CPU, *, is_live: bool = False
) -> tuple[FingerprintConfig, FunctionRecord]:
    """The function as the spec's own section says how, or as it would be recorded; with the network's health.

    Raises:
        BuildError: the network can't be built for real.
        NotMeasured: it can't be filled, or needs more memory than the section grants.
    """
    function = spec_file.spec.function
    if not isinstance(function, Function):
        return _run(spec_file, make, trace, device, with_health=True)[1:]
    granted = function.budget.memory if function.budget is not None and function.budget.memory else MEMORY_BYTES
    needed = needed_bytes(trace, function.precision)
    _require_memory(needed)
    if needed > granted:
        raise NotMeasured(
            f"the function needs about {needed / 2**20:.0f} MiB, more than its budget of {granted / 2**20:.0f} MiB; "
            f"grant it: budget: {{memory: {math.ceil(needed / 2**20)} MiB}}"
        )
    how = replace(how_of(spec_file.spec, function, device), knows_starts=not is_live)
    return how, fingerprint(make, how, _examiner(spec_file, make, how))


def _examiner(spec_file: SpecFile, make: Make, how: FingerprintConfig) -> Examine | None:
    """What looks after the network's health, unless the spec doesn't want that."""
    if spec_file.spec.health == "off":
        return None
    sizes = how.inputs.sizes
    pattern = spec_file.spec.function_input if how.pattern is None else how.pattern
    is_batched = sizes.get(BATCH, 1) > 1
    return examiner(make, make_forward_input(pattern, {**sizes, BATCH: 1}) if is_batched else None)


def how_of(spec: Spec, function: Function, device: torch.device = CPU) -> FingerprintConfig:
    """What a section says of how the network is run."""
    gains = {int(position): exponent for position, exponent in function.gains.items()}
    inputs = make_forward_input(spec.function_input, function.at)
    return FingerprintConfig(
        inputs, getattr(torch, function.precision), gains, float(function.large), function.train, device=device
    )


def _require_memory(needed: int) -> None:
    """Refuse what would bring the machine down."""
    free = available_bytes()
    if free is not None and needed > free:
        raise NotMeasured(f"running it takes about {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free")


def needed_bytes(trace: StructureTrace, precision: str) -> int:
    """Weights, their largest gradients and a margin; activations are small beside them at the sizes that are chosen."""
    size = 8 if precision == "float64" else 4
    return int(trace.root.num_params * size * 1.5)


def record_section(spec_file: SpecFile, make: Make, trace: StructureTrace, depth: int | None = None) -> Recorded:
    """A `function` section for the network as it is.

    Where the spec has one already, the network is run as that says.

    Raises:
        NotMeasured: the network can't be run such that it gives the same numbers twice.
    """
    refused: list[Crash] = []
    head, how, record = _run(spec_file, make, trace, refused=refused)
    _require_sound(record)
    _require_repeatable(make, how, record)
    names = listed_names(spec_file, trace, depth if depth is not None else default_depth(trace))
    return Recorded(
        function_section(record, head, names), tuple(_notes(spec_file.spec, head, refused[0] if refused else None))
    )


def _notes(spec: Spec, head: Mapping[str, Any], refused: Crash | None) -> Iterator[str]:
    if head.get("train") is False and refused is not None:
        yield f"the function is recorded without train mode, which stops: {describe_crash(refused)}"
    blank = [pattern for _, pattern in iter_input_patterns(spec.input) if _is_blank(pattern)]
    if blank:
        yield f"an input of {blank[0].dtype} is all zeros for want of a bound; give it one: {{below: 100}}"


def _is_blank(pattern: InputPattern) -> bool:
    return pattern.dtype in INTEGER_DTYPES and pattern.below is None


def _run(
    spec_file: SpecFile,
    make: Make,
    trace: StructureTrace,
    device: torch.device = CPU,
    *,
    with_health: bool = False,
    refused: list[Crash] | None = None,
) -> tuple[dict[str, Any], FingerprintConfig, FunctionRecord]:
    """The first keys of a section, how the network is run by them, and what came of it; in train mode if it can be."""
    tried = []
    for head, how in _options(spec_file, make, trace):
        how = replace(how, device=device)
        _require_memory(needed_bytes(trace, how.precision))
        record = fingerprint(make, how, _examiner(spec_file, make, how) if with_health else None)
        if record.stage != "train":
            return head, how, record
        tried.append((head, how))
        if refused is not None and record.crash is not None:
            refused.append(record.crash)
    head, how = tried[0]
    how = replace(how, train=False)
    examine = _examiner(spec_file, make, how) if with_health else None
    return {**head, "train": False}, how, fingerprint(make, how, examine)


def _options(spec_file: SpecFile, make: Make, trace: StructureTrace) -> list[tuple[dict[str, Any], FingerprintConfig]]:
    """The ways to run the network, the first that can be trained is the best; the section's own if there's one."""
    spec = spec_file.spec
    if isinstance(spec.function, Function):
        written = spec_file.document.value["function"]
        kept = {key: written[key] for key in PLANNED if key in written}
        return [(kept, replace(how_of(spec, spec.function), exponents=None, large=None, train=True))]

    def retrace(pattern: InputTree, at: Mapping[str, int]) -> StructureTrace:
        return trace_structure(make, [make_forward_input(pattern, at)], only_meta=trace.device == "meta")

    return [(plan.as_section(), _how(plan)) for plan in plans(spec.input, trace, retrace)]


def _how(plan: FunctionPlan) -> FingerprintConfig:
    inputs = make_forward_input(plan.pattern, plan.at)
    return FingerprintConfig(inputs, getattr(torch, plan.precision), pattern=plan.pattern)


def run_best(spec_file: SpecFile, make: Make, trace: StructureTrace) -> tuple[FingerprintConfig, FunctionRecord]:
    """The network run in the way that shows most of it, without its health."""
    _, how, record = _run(spec_file, make, trace)
    return how, record


def _require_sound(record: FunctionRecord) -> None:
    if record.crash is not None:
        where = "computing gradients" if record.stage == "backward" else f"{record.stage} mode"
        raise NotMeasured(f"under fixed weights it stops in {where}: {describe_crash(record.crash)}")
    if "eval" not in record.root.numbers:
        raise NotMeasured("the network returns no tensor to compare")
    for call in record.calls:
        bad = [kind for kind, number in call.numbers.items() if not math.isfinite(number) and kind != "large"]
        if bad:
            name = call.name or "the output"
            raise NotMeasured(f"under fixed weights {name} isn't finite ({', '.join(bad)})")


def _require_repeatable(make: Make, how: FingerprintConfig, record: FunctionRecord) -> None:
    """Built and run once more, under other seeds, it must give the same: else something in it is left to chance."""
    again = run_in_eval_mode(make, replace(how, exponents=record.exponents, seed=OTHER_SEED))
    expected = {layer.label: layer.numbers for layer in layers_of(record)}
    comparison = Comparison(expected, record.root.numbers, again, TOLERANCE[how.precision], kinds=("eval",))
    kinds = comparison.differing(record.root.numbers, again.root.numbers) if again.crash is None else ["eval"]
    if kinds:
        subject = comparison.mismatch(kinds).subject
        raise NotMeasured(
            f"two runs under the same weights differ, first at {subject}: something is left to chance there that isn't "
            "drawn by torch (numpy, random, the clock); draw it with torch, or write `function: off`"
        )
