"""Costs as text: the columns of a layer table, the layers that cost most, and where a step waits for the device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from archcheck.cost.places import format_line
from archcheck.cost.records import CostRecord, LayerCost, Wait
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
