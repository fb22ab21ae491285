"""The check `export`: torch.export captures the network, and what it makes computes the same; so does an ONNX file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archcheck.checks.check import Check, CheckContext, Needs
from archcheck.checks.outcome import Outcome, Unmeasured
from archcheck.deployment.records import ExportRecord
from archcheck.errors import BuildError, NotMeasured
from archcheck.findings import Keys, Mismatch, build_failure
from archcheck.spec.dims import BATCH
from archcheck.spec.models import Spec
from archcheck.text.words import listed

INSTALL = "pip install 'pytest-archcheck[onnx]'"
_SAME = "what the network computes"


def check_export(record: ExportRecord, dynamic: Sequence[str]) -> list[Mismatch]:
    """Return what can't be exported, saved or run, or computes something else."""
    keys: Keys = ("export", "dynamic") if dynamic else ("export",)
    free = f" with {listed(list(dynamic), 4)} free" if dynamic else ""
    found = []
    if record.refused is not None:
        found.append(Mismatch(keys, "torch.export", "stops", f"an exported program{free}", str(record.refused)))
    if record.unsaved is not None:
        found.append(Mismatch(("export",), "torch.export.save", "stops", "a file to load", str(record.unsaved)))
    if record.differs is not None:
        problem = "changes what is computed"
        found.append(Mismatch(keys, "torch.export", problem, f"{_SAME}, in {record.precision}", record.differs))
    onnx: Keys = ("export", "onnx")
    if record.onnx_refused is not None:
        found.append(Mismatch(onnx, "torch.onnx.export", "stops", f"an ONNX file{free}", str(record.onnx_refused)))
    if record.onnx_differs is not None:
        tolerated = f"{_SAME}, to a thousandth of the largest number"
        found.append(Mismatch(onnx, "the ONNX file", "computes something else", tolerated, record.onnx_differs))
    return found


class ExportCheck(Check):
    """Export the network, save it, load it, and run it at other sizes."""

    name = "export"
    needs = Needs.VALUES

    def place(self, spec: Spec) -> Keys | None:
        """Return the place of `export`."""
        return ("export",) if spec.export is not None else None

    def run(self, context: CheckContext) -> Outcome:
        """Export the network and compare what it computes.

        Raises:
            NotMeasured: the network doesn't run as it is.
        """
        from archcheck.deployment.onnx_file import absent_packages

        section = context.spec.export
        if section is None:
            return Outcome()
        absent = absent_packages() if section.onnx else []
        record = measure(context, section.dynamic, onnx=section.onnx and not absent)
        if isinstance(record, Mismatch):
            return Outcome((record,))
        reason = f"no ONNX file is written without {listed(absent, 3)}: {INSTALL}"
        unmeasured = (Unmeasured(reason, ("export", "onnx")),) if absent else ()
        return Outcome(tuple(check_export(record, section.dynamic)), unmeasured)


def measure(context: CheckContext, dynamic: Sequence[str], *, onnx: bool) -> ExportRecord | Mismatch:
    """Export the network with some dimensions free; the mismatch says why it can't be built.

    Raises:
        NotMeasured: the network doesn't run as it is.
    """
    from archcheck.deployment.exporting import measure_export

    context.network.require_forward()
    try:
        return measure_export(context.network.make, context.spec, dynamic, onnx=onnx)
    except BuildError as error:
        return build_failure(context.spec.args, ("args",), error)


def record_export(context: CheckContext) -> dict[str, Any]:
    """Return an `export` section that holds: with all dimensions free that can be, else with the batch, else with none.

    With ONNX, where it's installed and goes.

    Raises:
        NotMeasured: the network can't be exported.
    """
    from archcheck.deployment.onnx_file import absent_packages

    free = context.spec.tried_dimensions()
    choices = [free, [name for name in free if name == BATCH], []]
    for dynamic in [one for position, one in enumerate(choices) if one not in choices[:position]]:
        record = measure(context, dynamic, onnx=not absent_packages())
        if isinstance(record, Mismatch):
            raise NotMeasured(record.problem)
        found = check_export(record, dynamic)
        if not [one for one in found if one.keys != ("export", "onnx")]:
            has_onnx = not found and not absent_packages()
            return {**({"dynamic": dynamic} if dynamic else {}), **({"onnx": True} if has_onnx else {})}
    raise NotMeasured(f"{found[0].subject} {found[0].problem}: {found[0].actual}")


CHECK = ExportCheck()
