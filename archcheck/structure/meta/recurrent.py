"""Results and multiply-adds of recurrent layers, from their shapes; see `ops` for what a shortcut may do."""

from __future__ import annotations

from math import prod
from typing import Any

from torch import Tensor

from archcheck.structure.meta.counting import MacCounter
from archcheck.structure.meta.tensors import (
    is_plain,
    is_standard,
    new,
)


def recurrent(gates: int, has_cell: bool) -> Any:
    """Of lstm (4 gates and a cell state), gru (3), rnn_tanh and rnn_relu (1), of padded sequences."""

    def handler(
        counter: MacCounter,
        x: Any,
        state: Any,
        params: Any,
        has_biases: bool,
        num_layers: int,
        dropout: float,
        training: bool,
        bidirectional: bool,
        batch_first: bool,
    ) -> Any:
        del dropout
        states = tuple(state) if has_cell else (state,)
        if training or not all(is_plain(v) and v.dtype is x.dtype for v in (x, *states, *params)) or x.ndim != 3:
            return NotImplemented
        if not all(is_standard(v) for v in states) or 0 in x.shape:
            return NotImplemented
        steps, batch = (x.shape[1], x.shape[0]) if batch_first else x.shape[:2]
        directions = 2 if bidirectional else 1
        macs = _recurrent_macs(x.shape[2], params, has_biases, num_layers, directions, gates)
        hidden = states[0].shape[-1]
        if macs is None or any(s.shape[:2] != (num_layers * directions, batch) for s in states):
            return NotImplemented
        counter.macs += macs * steps * batch
        out = new((steps, batch, hidden * directions), x.dtype)
        finals = tuple(new(s.shape, x.dtype) for s in states)
        return (out.transpose(0, 1) if batch_first else out, *finals)

    return handler


def packed_recurrent_macs(
    gates: int,
    data: Tensor,
    batch_sizes: Tensor,
    state: Any,
    params: Any,
    has_biases: bool,
    num_layers: int,
    dropout: float,
    training: bool,
    bidirectional: bool,
) -> int | None:
    """Of the same layers for a packed sequence, which has a row for every step of every sequence."""
    del batch_sizes, state, dropout, training
    directions = 2 if bidirectional else 1
    macs = _recurrent_macs(data.shape[1], params, has_biases, num_layers, directions, gates)
    return None if macs is None else macs * data.shape[0]


def _recurrent_macs(width: int, params: Any, biases: bool, layers: int, directions: int, gates: int) -> int | None:
    """Multiply-adds of one step of one sequence; None where the parameters don't fit together."""
    matrices = [p.shape for p in params if p.ndim == 2]
    per_cell, rest = divmod(len(matrices), layers * directions)
    if rest or per_cell not in (2, 3) or len(params) != len(matrices) + (2 * layers * directions if biases else 0):
        return None
    macs = 0
    for layer in range(layers):
        for direction in range(directions):
            start = (layer * directions + direction) * per_cell
            w_in, w_hidden, *projection = matrices[start : start + per_cell]
            out = projection[0][0] if projection else w_in[0] // gates
            if w_in[1] != width or w_hidden != (w_in[0], out) or w_in[0] % gates:
                return None
            macs += prod(w_in) + prod(w_hidden) + sum(map(prod, projection))
        width = out * directions
    return macs
