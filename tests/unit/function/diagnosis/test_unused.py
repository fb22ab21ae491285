"""What a network has and doesn't use any more gets its name."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archcheck.function.diagnosis.budget import Budget
from archcheck.function.diagnosis.call_probe import TargetCall
from archcheck.function.diagnosis.rerun import Rerun
from archcheck.function.fingerprint.config import FingerprintConfig
from archcheck.function.fingerprint.fingerprint import fingerprint
from archcheck.function.fingerprint.preparation import NetworkFactory
from archcheck.function.fingerprint.written_constants import prepare_network
from archcheck.function.records import DifferingCall
from tests.unit.function.diagnosis.asking import cause
from tests.unit.function.running import WORDS, inputs_of

PLACES = torch.linspace(-1, 1, 40).reshape(5, 8)


class Block(nn.Module):
    """A layer with a norm before it, one behind it and a scale, each of which its class may have forgotten to use."""

    def __init__(self, forgotten: str) -> None:
        super().__init__()
        self.forgotten = forgotten
        self.norm, self.fc, self.last = nn.LayerNorm(8), nn.Linear(8, 8), nn.LayerNorm(8)
        self.gamma = nn.Parameter(torch.ones(8))

    def forward(self, x: Tensor) -> Tensor:
        hidden = x if self.forgotten == "norm" else self.norm(x)
        out: Tensor = x + self.fc(hidden)
        out = out if self.forgotten == "last" else self.last(out)
        return out if self.forgotten == "gamma" else out * self.gamma


class Stack(nn.Module):
    """Two blocks behind an embedding and a table of constants, and a head."""

    def __init__(self, forgotten: str) -> None:
        super().__init__()
        self.forgotten = forgotten
        self.embed, self.head = nn.Linear(8, 8), nn.Linear(8, 4)
        self.blocks = nn.ModuleList(Block(forgotten) for _ in range(2))
        self.places = PLACES

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        if self.forgotten != "places":
            x = x + self.places
        for block in self.blocks:
            x = block(x)
        return self.head(x)  # type: ignore[no-any-return]


def forgetting(what: str) -> NetworkFactory:
    return partial(Stack, what)


RECORDED = "when it was recorded"
MESSAGES = {
    "norm": f"blocks.0.norm is not used now, applied to what goes into blocks.0.fc {RECORDED} (2 times)",
    "gamma": f"blocks.0.gamma is not used now, times what comes out of blocks.0 {RECORDED} (2 times)",
    "places": f"places is not used now, added to what comes out of embed {RECORDED}",
}


@pytest.mark.parametrize("what", MESSAGES)
def test_a_module_or_a_tensor_that_nothing_uses_any_more(what: str) -> None:
    assert cause(forgetting(""), forgetting(what), WORDS) == MESSAGES[what]


def test_what_is_not_used_is_no_cause_where_it_was_not_used_before() -> None:
    """The norm was recorded without; what differs is another activation, and an unused norm changes nothing of it."""

    def net(activation: nn.Module) -> NetworkFactory:
        def make() -> nn.Module:
            class Net(nn.Module):
                def __init__(self) -> None:
                    super().__init__()
                    self.a, self.norm, self.act, self.b = nn.Linear(8, 8), nn.LayerNorm(8), activation, nn.Linear(8, 4)

                def forward(self, x: Any) -> Any:
                    return self.b(self.act(self.a(x)))

            return Net()

        return make

    assert cause(net(nn.ELU()), net(nn.ReLU()), WORDS) == "an activation: relu now, elu was recorded"


class Waiting(nn.Module):
    """Computes something for later in front of two layers, and takes it behind them, where it wasn't forgotten."""

    def __init__(self, activation: nn.Module, *, is_taken: bool) -> None:
        super().__init__()
        self.a, self.b, self.act, self.is_taken = nn.Linear(8, 8), nn.Linear(8, 8), activation, is_taken

    def forward(self, x: Tensor) -> Tensor:
        kept = x.cos()
        out: Tensor = self.b(self.act(self.a(x)))
        return out + kept if self.is_taken else out


def unused_of(network: nn.Module) -> set[str]:
    """What is told to be unused by the notes on a pass up to the first layer."""
    config = FingerprintConfig(inputs_of(WORDS))
    numbers = fingerprint(lambda: network, config).calls[0].numbers
    target = TargetCall(DifferingCall("a", 0, "eval", numbers), 3e-8)
    rerun = Rerun(prepare_network(lambda: network, config), config, target, Budget(60.0))
    with rerun.watched():
        rerun.begin()
    assert rerun.notes.is_whole
    return {one.call.name for one in rerun.notes.ops if id(one.call.out) not in rerun.notes.taken} - {"linear"}


def test_what_is_only_taken_behind_the_layer_is_used() -> None:
    assert unused_of(Waiting(nn.ReLU(), is_taken=True)) == set()
    assert unused_of(Waiting(nn.ReLU(), is_taken=False)) == {"cos"}
