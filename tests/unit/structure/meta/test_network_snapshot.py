"""What a network holds is put back to what it was."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from archcheck.structure.meta.network_snapshot import NetworkSnapshot


class Holder(nn.Module):
    more: Any

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(2))
        self.linear = nn.Linear(2, 2)
        self.items: list[Any] = [1, {"a": [2]}]
        self.counts = SimpleNamespace(calls=0)


def test_attributes_and_containers_come_back() -> None:
    model = Holder()
    snapshot = NetworkSnapshot(model.modules(), values=False)
    model.items.append(3)
    model.items[1]["a"].clear()
    model.counts.calls = 5
    model.more = "new"
    assert snapshot.has_changed()
    assert snapshot.restore() is False
    assert (model.items, model.counts.calls, hasattr(model, "more")) == ([1, {"a": [2]}], 0, False)
    assert not snapshot.has_changed()


@pytest.mark.parametrize("keep", [True, False])
def test_layers_made_meanwhile_may_stay(keep: bool) -> None:
    model = Holder()
    snapshot = NetworkSnapshot(model.modules(), values=False)
    model.more = nn.ReLU()
    snapshot.restore(keep_layers=keep)
    assert ("more" in dict(model.named_children())) is keep


@pytest.mark.parametrize("values", [True, False])
def test_values_that_were_written_to_are_noticed_where_they_matter(values: bool) -> None:
    model = Holder()
    snapshot = NetworkSnapshot(model.modules(), values=values)
    model.get_buffer("seen").add_(1)
    assert snapshot.restore() is values


def test_training_is_no_change() -> None:
    model = Holder()
    snapshot = NetworkSnapshot(model.modules(), values=False)
    model.eval()
    assert not snapshot.has_changed()


class Unmeasured(tuple[int, ...]):
    """As e3nn's irreps: a tuple that refuses to say how long it is."""

    def __len__(self) -> int:
        raise NotImplementedError


def test_a_tuple_that_refuses_to_be_measured_is_let_be() -> None:
    holder = Holder()
    vars(holder)["kept"] = [Unmeasured((1, 2))]
    snapshot = NetworkSnapshot([holder], values=True)
    assert not snapshot.has_changed()
