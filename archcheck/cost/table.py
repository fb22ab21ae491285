"""Costs as text: the columns of a layer table, the layers that cost most, and where a step waits for the device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from archcheck.cost.places import format_line
from archcheck.cost.records import CostRecord, LayerCost, Wait
from archcheck.structure.layer_table import LAYER_ALIGN, LAYER_HEADERS, layer_rows, totals
from archcheck.structure.records import StructureTrace
from archcheck.text.tables import format_table
from archcheck.text.units import format_amount

_LARGEST: Final = 5


def format_largest(record: CostRecord, figure: str) -> str:
    """Return the layers that cost most of a figure, as a table."""

    def amount(layer: LayerCost) -> int:
        return {"memory": layer.total_memory, "traffic": layer.traffic}.get(figure, layer.num_operations)

    largest = sorted(record.layers.items(), key=lambda item: -amount(item[1]))[:_LARGEST]
    rows = [(layer_label(name), *cost_cells(layer)) for name, layer in largest]
    return format_table(rows, ("layer", *COST_HEADERS), ("left", *COST_ALIGN), "plain")


COST_HEADERS: Final = ("memory", "traffic", "operations")
COST_ALIGN: Final = ("right", "right", "right")


def cost_cells(layer: LayerCost) -> tuple[str, str, str]:
    """Return what a layer costs as the cells of a table's row."""
    return (
        format_amount(layer.total_memory) if layer.total_memory else "-",
        format_amount(layer.traffic) if layer.traffic else "-",
        f"{layer.num_operations:_}" if layer.num_operations else "-",
    )


def format_cost(trace: StructureTrace, record: CostRecord, step: str, depth: int | None = None) -> str:
    """Return the layer table with what each layer costs, what is in it included, and the totals below.

    Behind the layers stands what belongs to none of them.
    """
    named = [call for call in trace.forwards[0].calls if call.name]
    calls = [call for call in named if depth is None or call.name.count(".") < depth]
    rows = [
        (*row, *(cost_cells(_with_inner(record, call.name)) if call.index == 0 else ("-",) * len(COST_HEADERS)))
        for row, call in zip(layer_rows(trace, depth), calls, strict=True)
    ]
    others = [
        (layer_label(name), "", "", "", "", *cost_cells(layer))
        for name, layer in record.layers.items()
        if not name or name.startswith("(")
    ]
    rows += [cells for cells in others if set(cells[len(LAYER_HEADERS) :]) != {"-"}]
    table = format_table(rows, (*LAYER_HEADERS, *COST_HEADERS), (*LAYER_ALIGN, *COST_ALIGN), "simple")
    return "\n".join([table, *totals(trace), *cost_totals(record, step)])


def _with_inner(record: CostRecord, name: str) -> LayerCost:
    """Return what a layer and everything in it costs."""
    inside = [layer for one, layer in record.layers.items() if one == name or one.startswith(f"{name}.")]
    operations: Counter[str] = Counter()
    for layer in inside:
        operations.update(layer.operations)
    memory = {"": sum(layer.total_memory for layer in inside)}
    return LayerCost(memory=memory, traffic=sum(layer.traffic for layer in inside), operations=dict(operations))


def cost_totals(record: CostRecord, step: str) -> list[str]:
    """Return the lines on a step as a whole, and where it waits for the device."""
    kinds = ", ".join(f"{kind} {format_amount(size)}" for kind, size in record.memory_by_kind.items())
    lines = [
        "",
        f"step        {step}",
        f"memory      {format_amount(record.memory)}: {kinds}",
        f"traffic     {format_amount(record.traffic)}",
        f"operations  {record.operations:_}",
        f"syncs       {record.syncs:_}",
        *(f"            {line}" for line in (format_waits(record.waits).splitlines() if record.waits else [])),
    ]
    if record.fallback_reason is not None:
        lines.append(f"ran on      cpu: {record.fallback_reason}")
    return lines


def format_figures(records: Mapping[str, CostRecord]) -> str:
    """Return what steps of several networks cost, a line each."""
    rows = [
        (name, format_amount(one.memory), format_amount(one.traffic), f"{one.operations:_}", f"{one.syncs:_}")
        for name, one in records.items()
    ]
    return format_table(rows, ("", *COST_HEADERS, "syncs"), ("left", *COST_ALIGN, "right"), "plain")


def format_waits(waits: Sequence[Wait]) -> str:
    """Return where the host waits for the device, a line each."""
    rows = [
        (f"{wait.times} x" if wait.times > 1 else "", wait.what, format_line(wait.line), layer_label(wait.layer))
        for wait in waits
    ]
    return format_table(rows, (), ("left",) * 4, "plain")


def layer_label(name: str) -> str:
    """Return what a layer is called; the network itself has no name."""
    return name or "the network itself"
