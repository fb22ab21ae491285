"""One spec verified from Python: `archcheck.verify`. The pytest items run the same checks."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from archcheck.checks.check import CheckContext
from archcheck.checks.network_under_test import NetworkUnderTest, build_and_trace
from archcheck.checks.registry import all_checks
from archcheck.errors import NotMeasured
from archcheck.findings import Mismatch
from archcheck.network.imports import folders_released
from archcheck.report.verification import format_verification, format_verification_html, unique_mismatches
from archcheck.spec.spec_file import SpecFile, read_spec
from archcheck.structure.records import FlowRecord, StructureTrace
from archcheck.throughput.session import NoStopwatch, SpeedSession
from archcheck.training.options import RunOptions
from archcheck.training.session import TrainingSession

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of `archcheck.verify`: prints as the verdicts and messages, shows as a picture in a notebook.

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
    _flow: Callable[[], FlowRecord | None] = field(default=lambda: None, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """Return whether every check that the spec asks for was made and holds."""
        return not any(self.outcomes.values()) and not self.unmeasured

    @property
    def mismatches(self) -> list[Mismatch]:
        """Return everything that differs, check by check, each reason once."""
        return unique_mismatches(self.outcomes)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return format_verification(self.spec_file, self.trace, self.outcomes, self.unmeasured)

    def __repr__(self) -> str:
        return str(self)

    @folders_released()
    def _repr_html_(self) -> str:
        flow = self._flow()
        return format_verification_html(self.spec_file, self.trace, self.outcomes, self.unmeasured, flow)


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
    return verify_spec(read_spec(Path(spec), rootdir=Path.cwd()), Path.cwd(), model)


@folders_released()
def verify_spec(spec_file: SpecFile, rootdir: Path, model: nn.Module | None = None) -> Verification:
    """Do what `verify` does, for a spec that was read already."""
    if model is not None:
        from archcheck.network.build import require_module

        require_module(model)
    network = build_and_trace(spec_file, rootdir, model)
    checks = [check for check in all_checks() if check.needs.is_instant and check.place(spec_file.spec) is not None]
    if isinstance(network, Mismatch):
        return Verification(spec_file, None, {check.name: [network] for check in checks})
    context = context_without_clock(spec_file, network, rootdir)
    result = Verification(spec_file, network.trace, _flow=network.flow)
    for check in checks:
        try:
            outcome = check.run(context)
        except NotMeasured as error:
            result.unmeasured[check.name] = str(error)
            continue
        if outcome.unmeasured and check.place(spec_file.spec):  # else the spec itself doesn't ask for it
            result.unmeasured[check.name] = "; ".join(one.reason for one in outcome.unmeasured)
        if outcome.mismatches or not outcome.unmeasured:
            result.outcomes[check.name] = list(outcome.mismatches)
    return result


def context_without_clock(spec_file: SpecFile, network: NetworkUnderTest, rootdir: Path) -> CheckContext:
    """Return the context of checks that need neither training nor a clock."""
    options = RunOptions(kind="off")
    return CheckContext(
        spec_file=spec_file,
        network=network,
        training=TrainingSession(options, rootdir),
        speed=SpeedSession(options, rootdir),
        stopwatch=NoStopwatch("nothing is timed outside pytest"),
        rootdir=rootdir,
    )
