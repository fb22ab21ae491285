"""The layer table of a network, as text."""

from __future__ import annotations

from archcheck.spec.dims import BATCH
from archcheck.structure.crashes import explain
from archcheck.structure.layer_pairing import call_label
from archcheck.structure.patterns import format_calls, format_output
from archcheck.structure.records import ForwardRecord, StructureTrace, layers_only
from archcheck.text.tables import format_table
from archcheck.text.units import format_macs

LAYER_HEADERS = ("layer", "type", "output", "parameters", "MACs")
LAYER_ALIGN = ("left", "left", "left", "right", "right")


def layer_rows(trace: StructureTrace, depth: int | None = None) -> list[tuple[str, str, str, str, str]]:
    """Return the first forward's calls in the order of execution, down to `depth` levels (all of them without)."""
    trace = layers_only(trace)
    forward = trace.forwards[0]
    batch = forward.sizes.get(BATCH, 1)
    outputs = format_calls(trace)
    calls = forward.num_calls()
    rows = []
    for call in forward.calls:
        level = call.name.count(".") + 1
        if not call.name or (depth is not None and level > depth):
            continue
        module = trace.modules[call.name]
        name = call_label(call.name, call.index, calls[call.name])
        output = outputs.get((call.name, call.index), "-")
        params = f"{module.num_params:_}" if module.num_params and call.index == 0 else "-"
        rows.append(
            ("  " * (level - 1) + name, module.type_name, output, params, format_macs(call.macs // batch or None))
        )
    return rows


def format_layers(trace: StructureTrace, depth: int | None = None) -> str:
    """Return the layer table with its totals below."""
    table = format_table(layer_rows(trace, depth), LAYER_HEADERS, LAYER_ALIGN, "simple")
    return "\n".join([table, *totals(trace)])


def totals(trace: StructureTrace) -> list[str]:
    """Return the lines below the layer table: output, parameters, multiply-adds, and anything unusual about the run."""
    root, forward = trace.root, trace.forwards[0]
    lines = ["", f"output      {format_output(trace)}"]
    frozen = f", {root.num_frozen_params:_} of them frozen" if root.num_frozen_params else ""
    buffers = f", and {root.num_buffers:_} in buffers" if root.num_buffers else ""
    lines.append(f"parameters  {root.num_params:_}{frozen}{buffers}")
    if trace.macs is not None:
        per = "one example" if BATCH in forward.sizes else "this input"
        shown = format_macs(trace.macs)
        exact = "" if shown == str(trace.macs) else f" ({trace.macs:_})"
        lines.append(f"macs        {shown}{exact} for {per}")
    return lines + _unusual(trace, forward)


def _unusual(trace: StructureTrace, forward: ForwardRecord) -> list[str]:
    lines = []
    if trace.uninitialized:
        lines.append(f"not counted lazy layers that the forward never reached: {', '.join(trace.uninitialized)}")
    if trace.uncounted:
        lines.append(f"not in macs {', '.join(trace.uncounted)}")
    if trace.fallback_reason:
        lines.append(f"ran on      {trace.device}: {trace.fallback_reason}")
    if forward.crash is not None:
        lines.append(f"stopped at  {forward.crash.module or 'the network itself'}: {explain(forward.crash.error)}")
    return lines
