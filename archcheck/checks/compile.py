"""The check `compile`: how many graphs torch.compile makes of the network, and whether they compute the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archcheck.checks.check import Check, CheckContext, Needs
from archcheck.checks.outcome import Outcome
from archcheck.deployment.records import CompileRecord
from archcheck.errors import BuildError, NotMeasured
from archcheck.findings import Edit, Keys, Mismatch, build_failure
from archcheck.spec.models import FULLGRAPH, Compile, Spec
from archcheck.spec.spec_file import SpecFile
from archcheck.text.words import counted

_SHOWN = 4
_SAME = "the outputs and gradients that it has without being compiled"


def check_compile(spec_file: SpecFile, record: CompileRecord) -> list[Mismatch]:
    """Compare the graphs that were made with those of the spec's `compile`."""
    section = spec_file.spec.compile
    if section is None:
        return []
    if record.refused is not None:
        return [Mismatch(_refused_at(section), "torch.compile", "stops", "a compiled network", str(record.refused))]
    if record.num_graphs == 0:
        return [Mismatch(("compile",), "torch.compile", "compiles nothing", "a graph", "none at all")]
    found = [*_graph_breaks(spec_file, section, record), *_recompiles(section, record)]
    if record.differs is not None:
        found.append(Mismatch(("compile",), "torch.compile", "changes what is computed", _SAME, record.differs))
    return found


def _refused_at(section: Compile) -> Keys:
    return ("compile", "dynamic") if section.dynamic else ("compile",)


def _graph_breaks(spec_file: SpecFile, section: Compile, record: CompileRecord) -> list[Mismatch]:
    actual = len(record.breaks)
    if section.graph_breaks is None or section.graph_breaks == actual:
        return []
    is_word = spec_file.document.value["compile"] == FULLGRAPH
    keys: Keys = ("compile",) if is_word else ("compile", "graph_breaks")
    told = _first([("break", str(one)) for one in record.breaks])
    edits = (Edit(keys, {"graph_breaks": actual} if is_word else actual),)
    shown = f"{actual}, with {counted(record.num_graphs, 'graph')}, in {record.mode} mode"
    return [Mismatch(keys, "graph breaks", "differ", str(section.graph_breaks), shown, None, told, edits)]


def _recompiles(section: Compile, record: CompileRecord) -> list[Mismatch]:
    actual = len(record.recompiles)
    if section.recompiles is None or section.recompiles == actual:
        return []
    keys: Keys = ("compile", "recompiles")
    told = _first([("again", f"at {one.sizes}: {one.reason}") for one in record.recompiles])
    shown = f"{actual}, in {record.mode} mode"
    return [
        Mismatch(keys, "recompilations", "differ", str(section.recompiles), shown, None, told, (Edit(keys, actual),))
    ]


def _first(notes: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    more = len(notes) - _SHOWN
    return (*notes[:_SHOWN], *([("", f"and {more} more")] if more > 0 else []))


class CompileCheck(Check):
    """Have torch.compile take the network apart, and count the graphs."""

    name = "compile"
    needs = Needs.VALUES

    def place(self, spec: Spec) -> Keys | None:
        """Return the place of `compile`."""
        return ("compile",) if spec.compile is not None else None

    def run(self, context: CheckContext) -> Outcome:
        """Compile the network and compare.

        Raises:
            NotMeasured: torch.compile does nothing here, or the network doesn't run even without.
        """
        section = context.spec.compile
        if section is None:
            return Outcome()
        record = measure_compile(context, section.dynamic)
        if isinstance(record, Mismatch):
            return Outcome((record,))
        return Outcome(tuple(check_compile(context.spec_file, record)))


def measure_compile(context: CheckContext, dynamic: Sequence[str]) -> CompileRecord | Mismatch:
    """Compile the network with some dimensions free; the mismatch says why it can't be built.

    Raises:
        NotMeasured: torch.compile does nothing here, or the network doesn't run even without.
    """
    from archcheck.deployment.compilation import measure_compilation

    context.network.require_forward()
    try:
        return measure_compilation(context.network.make, context.spec, dynamic)
    except BuildError as error:
        return build_failure(context.spec.args, ("args",), error)


def record_compile(context: CheckContext) -> dict[str, Any]:
    """Return a `compile` section that holds, with every free dimension marked as dynamic where that goes.

    Raises:
        NotMeasured: torch.compile stops, or changes what is computed.
    """
    free, stopped = context.spec.tried_dimensions(), ""
    for dynamic in [free, []] if free else [[]]:
        record = measure_compile(context, dynamic)
        if isinstance(record, Mismatch):
            raise NotMeasured(record.problem)
        if record.refused is None and record.differs is None and record.num_graphs:
            counts = {"graph_breaks": len(record.breaks), "recompiles": len(record.recompiles)}
            return {**counts, **({"dynamic": dynamic} if dynamic else {})}
        stopped = str(record.refused or record.differs or "torch.compile compiles nothing")
    raise NotMeasured(stopped)


CHECK = CompileCheck()
