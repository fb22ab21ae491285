"""One spec, verified: build, trace, compare. The pytest items, the command line and `verify` all go this way."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archcheck.checks import CHECKS, Mismatch, crash_mismatch
from archcheck.errors import BuildError, UsageError
from archcheck.records import StructureTrace
from archcheck.spec import Spec, SpecFile, read_spec
from archcheck.values import Keys

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Measured:
    """What building and tracing a spec's network gave: a trace, or the mismatch that says why there is none."""

    trace: StructureTrace | None = None
    failure: Mismatch | None = None


def measure(spec_file: SpecFile, rootdir: Path | None = None, model: nn.Module | None = None) -> Measured:
    """Build the spec's network (or take `model`) and trace it at every size; `rootdir` is put on `sys.path`."""
    from archcheck.build import prepare_network
    from archcheck.trace import trace_model, trace_structure

    spec = spec_file.spec
    inputs, one_example = spec.forward_inputs(), spec.one_example()
    if model is not None:
        return Measured(trace_model(model, inputs, one_example))
    folder = spec_file.path.resolve().parent
    try:
        make = prepare_network(spec.build, spec.args, folder, rootdir)
        return Measured(trace_structure(make, inputs, one_example))
    except BuildError as error:
        return Measured(failure=build_failure(spec.args, ("args",), error))


def build_failure(args: Mapping[str, Any], place: Keys, error: BuildError) -> Mismatch:
    """Why a network can't be built, at the argument at fault where it is one; `place` is where `args` are written."""
    keys: Keys = ("build",)
    if error.arg and args:
        keys = (*place, error.arg) if error.arg in args else place
    notes = (("raised", error.where),) if error.where else ()
    return Mismatch(keys, "build", str(error), notes=notes)


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
    return found


def run_check(check: str, spec_file: SpecFile, measured: Measured, rootdir: Path | None = None) -> list[Mismatch]:
    """The mismatches of one check; a network that couldn't be built fails every check alike."""
    if measured.failure is not None:
        return [measured.failure]
    assert measured.trace is not None
    if check == "spec":
        return [*_check_recipe(spec_file, rootdir), *_untold_crash(spec_file.spec, measured.trace)]
    return CHECKS[check](spec_file, measured.trace)


def _untold_crash(spec: Spec, trace: StructureTrace) -> list[Mismatch]:
    """A forward that died, where no other check of the spec would tell."""
    if trace.died is None or sections_present(spec).keys() & {"shapes", "compute"}:
        return []
    return [crash_mismatch(spec, *trace.died)]


def _check_recipe(spec_file: SpecFile, rootdir: Path | None) -> list[Mismatch]:
    if spec_file.spec.training is None:
        return []
    from archcheck.trainer import check_recipe

    return check_recipe(spec_file, rootdir)


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of `archcheck.verify`: prints as the verdicts and messages, shows as a table in a notebook.

    Attributes:
        spec_file: the spec and where it was read from.
        trace: what was measured, None where the network couldn't be built.
        outcomes: the mismatches of each check that the spec asks for, an empty list where it holds.
    """

    spec_file: SpecFile
    trace: StructureTrace | None
    outcomes: dict[str, list[Mismatch]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """True when every check that the spec asks for holds."""
        return not any(self.outcomes.values())

    @property
    def mismatches(self) -> list[Mismatch]:
        """Everything that differs, check by check, each reason once."""
        return list(dict.fromkeys(one for found in self.outcomes.values() for one in found))

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        from archcheck.render import format_verification

        return format_verification(self)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        from archcheck.render import format_verification_html

        return format_verification_html(self)


def verify(spec: str | os.PathLike[str], model: nn.Module | None = None) -> Verification:
    """Verify a spec file's structure: shapes, parameters and compute.

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
        require_module(model)
    measured = measure(spec_file, rootdir, model)
    checks: Sequence[str] = ["spec", *sections_present(spec_file.spec)]
    outcomes = {check: run_check(check, spec_file, measured, rootdir) for check in checks}
    return Verification(spec_file, measured.trace, outcomes)


def require_module(model: object) -> None:
    """Raise UsageError for anything that is no network."""
    from torch import nn

    if not isinstance(model, nn.Module):
        raise UsageError(f"expected a torch.nn.Module, found {type(model).__name__}")
