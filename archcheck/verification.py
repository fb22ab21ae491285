"""One spec, verified: build, trace, compare. The pytest items, the command line and `verify` all go this way."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from archcheck.checks.shapes import CHECKS
from archcheck.errors import BuildError, NotMeasured
from archcheck.findings import Keys, Mismatch, build_failure
from archcheck.function.records import FunctionRecord
from archcheck.spec.models import Function, Spec
from archcheck.spec.spec_file import SpecFile, read_spec
from archcheck.structure.crashes import crash_mismatch, describe_crash
from archcheck.structure.records import StructureTrace

if TYPE_CHECKING:
    from torch import nn

    from archcheck.function.fingerprint.passes import FingerprintConfig
    from archcheck.function.measure import Recorded


STRUCTURE = frozenset(CHECKS)
CAUSE_SEC = 3.0  # that may be spent on why a function differs


@dataclass(slots=True)
class Measured:
    """What building and tracing a spec's network gave: a trace, or the mismatch that says why there is none.

    `make` builds the network; `function` is what it computes on `device`, measured for the first check that asks.
    """

    trace: StructureTrace | None = None
    failure: Mismatch | None = None
    make: Callable[[], nn.Module] | None = None
    is_live: bool = False
    function: tuple[FingerprintConfig, FunctionRecord] | None = None
    device: str = "cpu"


def measure(spec_file: SpecFile, rootdir: Path | None = None, model: nn.Module | None = None) -> Measured:
    """Build the spec's network (or take `model`) and trace it at every size; `rootdir` is put on `sys.path`."""
    from archcheck.function.measure import builder
    from archcheck.structure.trace import trace_model, trace_structure

    spec = spec_file.spec
    inputs, one_example = spec.forward_inputs(), spec.one_example()
    try:
        make = builder(spec_file, rootdir, model)
        if model is not None:
            return Measured(trace_model(model, inputs, one_example), make=make, is_live=True)
        return Measured(trace_structure(make, inputs, one_example), make=make)
    except BuildError as error:
        return Measured(failure=build_failure(spec.args, ("args",), error))


def sections_present(spec: Spec) -> dict[str, Keys]:
    """The structure checks that a spec asks for, each with the place it begins at."""
    found: dict[str, Keys] = {}
    if spec.layers or spec.output is not None:
        found["shapes"] = ("layers",) if spec.layers else ("output",)
    if spec.parameters is not None:
        found["parameters"] = ("parameters",)
    elif any(layer.parameters is not None for layer in spec.layers.values()):
        found["parameters"] = ("layers",)
    if spec.macs is not None:
        found["compute"] = ("macs",)
    if spec.health != "off":
        found["health"] = ("health",) if spec.health is not None else ("build",)
    if isinstance(spec.function, Function):
        found["function"] = ("function",)
    if spec.equivalent_to is not None:
        found["equivalence"] = ("equivalent_to",)
    return found


def run_check(check: str, spec_file: SpecFile, measured: Measured, rootdir: Path | None = None) -> list[Mismatch]:
    """The mismatches of one check; a network that couldn't be built fails every check alike."""
    if measured.failure is not None:
        return [measured.failure]
    assert measured.trace is not None
    if check == "spec":
        return [*_check_recipe(spec_file, rootdir), *_untold_crash(spec_file.spec, measured.trace)]
    if check in ("function", "health"):
        return _check_run(check, spec_file, measured)
    if check == "equivalence":
        return _check_equivalence(spec_file, measured, rootdir)
    return CHECKS[check](spec_file, measured.trace)


def _check_run(check: str, spec_file: SpecFile, measured: Measured) -> list[Mismatch]:
    """What only a run with values can tell. Raises NotMeasured."""
    from archcheck.checks.health import check_health
    from archcheck.function.comparison import check_function

    assert measured.trace is not None
    try:
        _, record = _run_once(spec_file, measured)
    except BuildError as error:
        return [build_failure(spec_file.spec.args, ("args",), error)]
    if check == "function":
        found = check_function(spec_file, record, measured.trace, is_live=measured.is_live)
        return [_with_cause(one, spec_file, measured) for one in found]
    if record.health is None:
        assert record.crash is not None
        raise NotMeasured(f"the forward stopped under fixed weights: {describe_crash(record.crash)}")
    return check_health(spec_file, record.health)


def _with_cause(mismatch: Mismatch, spec_file: SpecFile, measured: Measured) -> Mismatch:
    """The likely cause as a note, found by undoing one operation after the other."""
    from archcheck.function.comparison import TOLERANCE, recorded_row
    from archcheck.function.diagnosis.likely_cause import likely_cause

    row = recorded_row(spec_file.spec, mismatch.keys)
    if row is None or measured.function is None or measured.make is None:
        return mismatch
    layer, numbers = row
    how, kind = measured.function[0], str(mismatch.keys[-1])
    tolerance = TOLERANCE[how.precision]
    cause = likely_cause(measured.make, how, numbers, layer.pattern, layer.call or 0, kind, tolerance, CAUSE_SEC)
    return mismatch if cause is None else replace(mismatch, notes=(*mismatch.notes, ("cause", cause)))


def _run_once(spec_file: SpecFile, measured: Measured) -> tuple[FingerprintConfig, FunctionRecord]:
    """The network run with fixed weights, once for all the checks of a spec. Raises NotMeasured, BuildError."""
    from archcheck.function.measure import measure_function
    from archcheck.training.devices import choose_device

    assert measured.trace is not None
    assert measured.make is not None
    if measured.function is None:
        device = choose_device(measured.device)
        measured.function = measure_function(spec_file, measured.make, measured.trace, device, is_live=measured.is_live)
    return measured.function


def _check_equivalence(spec_file: SpecFile, measured: Measured, rootdir: Path | None) -> list[Mismatch]:
    """Raises NotMeasured."""
    from archcheck.function.equivalence import check_equivalence

    assert spec_file.spec.equivalent_to is not None
    try:
        return check_equivalence(spec_file, *_run_once(spec_file, measured), rootdir)
    except BuildError as error:
        place: Keys = ("equivalent_to", "args")
        failure = build_failure(spec_file.spec.equivalent_to.args, place, error)
        return [replace(failure, keys=failure.keys if failure.keys[0] == "equivalent_to" else ("equivalent_to",))]


def recorded_function(spec_file: SpecFile, measured: Measured, depth: int | None = None) -> Recorded:
    """A `function` section for the network as it is. Raises NotMeasured, BuildError."""
    from archcheck.function.measure import record_section

    assert measured.trace is not None
    assert measured.make is not None
    stop = measured.trace.died
    if stop is not None:
        raise NotMeasured(f"no function can be recorded: the forward stopped at {describe_crash(stop[1])}")
    return record_section(spec_file, measured.make, measured.trace, depth)


def _untold_crash(spec: Spec, trace: StructureTrace) -> list[Mismatch]:
    """A forward that died, where no other check of the spec would tell."""
    if trace.died is None or sections_present(spec).keys() & {"shapes", "compute"}:
        return []
    return [crash_mismatch(spec, *trace.died)]


def _check_recipe(spec_file: SpecFile, rootdir: Path | None) -> list[Mismatch]:
    if spec_file.spec.training is None:
        return []
    from archcheck.training.trainer import check_recipe

    return check_recipe(spec_file, rootdir)


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of `archcheck.verify`: prints as the verdicts and messages, shows as a table in a notebook.

    Attributes:
        spec_file: the spec and where it was read from.
        trace: what was measured, None where the network couldn't be built.
        outcomes: the mismatches of each check that the spec asks for, an empty list where it holds.
        unmeasured: the checks that could not be made, and why.
    """

    spec_file: SpecFile
    trace: StructureTrace | None
    outcomes: dict[str, list[Mismatch]] = field(default_factory=dict)
    unmeasured: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """True when every check that the spec asks for was made and holds."""
        return not any(self.outcomes.values()) and not self.unmeasured

    @property
    def mismatches(self) -> list[Mismatch]:
        """Everything that differs, check by check, each reason once."""
        found: list[Mismatch] = []
        for one in chain.from_iterable(self.outcomes.values()):
            if one not in found:
                found.append(one)
        return found

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        from archcheck.report.mismatches import format_verification

        return format_verification(self)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        from archcheck.report.mismatches import format_verification_html

        return format_verification_html(self)


def verify(spec: str | os.PathLike[str], model: nn.Module | None = None) -> Verification:
    """Verify a spec file's structure and function: everything that needs no training and no clock.

    Args:
        spec: path of a `*.arch.yaml` file. Modules that its `build` names are imported with the working directory on
            `sys.path`; `path/file.py` targets count from the spec's folder.
        model: a live network to hold against the spec instead of building one. It is neither changed nor moved.

    Raises:
        SpecError: the file can't be read or isn't a valid spec; the message lists every problem as `FILE:LINE: …`.
        UsageError: `model` can't be copied, or isn't a torch.nn.Module.
    """
    return verify_spec(read_spec(Path(spec)), Path.cwd(), model)


def verify_spec(spec_file: SpecFile, rootdir: Path, model: nn.Module | None = None) -> Verification:
    """`verify` for a spec that was read already."""
    if model is not None:
        from archcheck.network.build import require_module

        require_module(model)
    measured = measure(spec_file, rootdir, model)
    checks: Sequence[str] = ["spec", *sections_present(spec_file.spec)]
    result = Verification(spec_file, measured.trace)
    for check in checks:
        try:
            result.outcomes[check] = run_check(check, spec_file, measured, rootdir)
        except NotMeasured as error:
            result.unmeasured[check] = str(error)
    return result
