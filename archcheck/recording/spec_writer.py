"""The text of a spec from a trace: short, aligned, in the order of execution."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from archcheck.errors import UsageError
from archcheck.structure.crashes import describe_stop
from archcheck.structure.layer_groups import layer_rows, rows_of_level
from archcheck.structure.patterns import format_pattern, infer_output
from archcheck.structure.records import StructureTrace, layers_only
from archcheck.text.yaml_flow import format_flow, format_key

_PLAIN_LAYER_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@*?\-]*(\[\d+\])?")
MAX_COLUMN_CHARS = 60  # a longer cell stands out by itself and doesn't move the others


def format_spec(head: Mapping[str, str], trace: StructureTrace, depth: int | None = None) -> str:
    """Return the text of a spec that the traced network satisfies; `head` comes before the layers, as text by key.

    Raises:
        UsageError: the forward didn't get through, so that there is nothing to write down.
    """
    lines = [f"{key}: {value}" for key, value in head.items()]
    return "\n".join([*lines, "", *format_sections(trace, depth).values()]) + "\n"


def format_sections(trace: StructureTrace, depth: int | None = None) -> dict[str, str]:
    """Return the recorded sections as text, in their order: layers, output, parameters, macs."""
    stop = describe_stop(trace)
    if stop is not None:
        raise UsageError(f"nothing to record: {stop}")
    rows = layer_lines(layers_only(trace), depth)
    sections = {"layers": "\n".join(["layers:", *rows])} if rows else {}
    try:
        output = format_pattern(infer_output(trace))
    except ValueError:
        output = "null"  # a spec may leave the output open; a shape that no pattern fits can't be promised
    if output != "null":
        sections["output"] = f"output: {output}"
    sections["parameters"] = f"parameters: {_format_parameters(trace)}"
    if trace.macs is not None and not trace.uncounted:  # an incomplete count is no promise to make
        sections["macs"] = f"macs: {trace.macs:_}"
    return sections


def format_block(value: Mapping[str, Any], indent: int) -> list[str]:
    """Return a map as the lines of a block; maps of plain values in it take a line each."""
    lines = []
    for key, item in value.items():
        name = " " * indent + format_key(str(key))
        if isinstance(item, dict) and is_table(item):
            lines += [f"{name}:", *format_block(item, indent + 2)]
        else:
            lines.append(f"{name}: {format_flow(item)}")
    return lines


def is_table(value: Mapping[str, Any]) -> bool:
    """Return whether a map is written a line for each entry: one of maps, or of several shapes."""
    items = list(value.values())
    return any(isinstance(item, dict) for item in items) or (
        len(items) > 1 and all(item is None or isinstance(item, list) for item in items)
    )


def _format_parameters(trace: StructureTrace) -> str:
    root = trace.root
    parts = {"total": root.num_params}
    if root.num_frozen_params:
        parts["trainable"] = root.num_trainable_params
    if root.num_buffers:
        parts["buffers"] = root.num_buffers
    if len(parts) == 1:
        return f"{root.num_params:_}"
    return "{" + ", ".join(f"{key}: {count:_}" for key, count in parts.items()) + "}"


def layer_lines(trace: StructureTrace, depth: int | None = None) -> list[str]:
    """Return the rows of the layer table, columns aligned: about 25, or all down to a depth."""
    cells: list[tuple[str, ...]] = []
    for row in layer_rows(trace) if depth is None else rows_of_level(trace, depth):
        if row.type_name is None and not row.num_params and isinstance(row.output, list):
            cells.append((f"{format_line_key(row.key)}:", format_pattern(row.output)))
            continue
        kind = f"type: {row.type_name}" if row.type_name is not None else ""
        shape = f"output: {format_pattern(row.output)}" if row.output is not None else ""
        params = f"parameters: {row.num_params:_}" if row.num_params else ""
        cells.append((f"{format_line_key(row.key)}:", kind, shape, params))
    return _aligned(cells)


def format_line_key(key: str) -> str:
    """Return a layer's key; a glob and the index of a call may stand unquoted where the key begins a line."""
    return key if _PLAIN_LAYER_KEY.fullmatch(key) else format_key(key)


def _aligned(cells: Sequence[tuple[str, ...]]) -> list[str]:
    """Return lines `  key: {type: …, output: …, parameters: …}` with every column at one place, or `  key: shape`."""
    key_width = max((len(row[0]) for row in cells), default=0)
    full = [row for row in cells if len(row) > 2]
    widths = [max((len(row[i]) for row in full if len(row[i]) <= MAX_COLUMN_CHARS), default=0) for i in (1, 2)]
    lines = []
    for key, *values in cells:
        if len(values) == 1:
            lines.append(f"  {key:<{key_width}} {values[0]}")
            continue
        kept = [value for value in values if value]
        padded = ""
        for i, value in enumerate(values):
            if not value:
                # An empty column is skipped over only where something stands behind it.
                padded += " " * (widths[i] + 2) if i < 2 and any(values[i + 1 :]) else ""
                continue
            last = value == kept[-1]
            padded += value if last else f"{value}, ".ljust(widths[i] + 2)
        lines.append(f"  {key:<{key_width}} {{{padded}}}")
    return lines
