"""Passes under other weights, for outputs of one sign: what bends at 0 isn't seen from one side of it."""

from __future__ import annotations

from typing import Any, Final

import torch

from archcheck.function.fingerprint.call_digests import CallOutput, in_order
from archcheck.function.fingerprint.digests import Digest, tensors_in
from archcheck.function.fingerprint.forward_pass import PassResult, PassRunner

_NUM_SETS: Final = 3  # of weights: a number has one sign under all of them once in eight times
_MANY: Final = 64  # numbers of one sign have it by their nature, such as probabilities: one more set is tried


class OutputSigns:
    """The signs that each tensor which comes out of a network has had so far."""

    def __init__(self) -> None:
        self._seen: dict[int, set[bool]] = {}
        self._num_values = 0

    def note(self, output: Any) -> None:
        """Note the signs in another output."""
        self._num_values = 0
        for position, one in enumerate(tensors_in(output)):
            if one.is_floating_point() and one.numel() and one.layout is torch.strided:
                low, high = torch.aminmax(one.detach())
                self._num_values += one.numel()
                signs = self._seen.setdefault(position, set())
                signs |= {negative for negative, there in ((True, low < 0), (False, high > 0)) if bool(there)}

    def num_sets_wanted(self) -> int:
        """Return under how many other sets of weights the network should be run."""
        if all(len(signs) > 1 for signs in self._seen.values()):
            return 0
        return _NUM_SETS if self._num_values <= _MANY else 1


def run_other_weights(runner: PassRunner, signs: OutputSigns) -> PassResult | None:
    """Run in eval mode under other sets of weights, until every output has had both signs. None where all had before.

    The digests of a call are added up. The weights stay other ones.
    """
    total: PassResult | None = None
    for number in range(signs.num_sets_wanted()):
        if number >= signs.num_sets_wanted():
            break
        runner.state.restore()
        runner.filler.refill_all(f" other {number}", negates=number % 2 == 1)
        result = runner.forward(training=False, reset=False)
        if result.crash is not None:
            return None
        signs.note(result.output)
        result.output = None
        total = result if total is None else added(total, result, number + 1)
    return total


def added(total: PassResult, more: PassResult, weight: int) -> PassResult:
    """Add the digests of a pass, `weight` times, to those of others, call by call; not every pass has each call."""
    known, found = ({(one.name, one.index): one.digest for one in result.calls} for result in (total, more))
    keys = in_order(known, found)
    return PassResult([CallOutput(*key, _sum(known.get(key), found.get(key), weight)) for key in keys])


def _sum(total: Digest | None, more: Digest | None, weight: int) -> Digest | None:
    if more is None:
        return total
    first = Digest(more.mean, more.rms, 0.0) if total is None else total
    return Digest(first.mean, first.rms, first.check + weight * more.check)
