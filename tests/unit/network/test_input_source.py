"""Inputs that a user's callable makes."""

from __future__ import annotations

import logging
import random
import re
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from archcheck.errors import BuildError
from archcheck.network import input_source
from archcheck.network.input_source import all_tensors, call_source, map_tensors
from archcheck.spec.inputs import InputSource

Pair = namedtuple("Pair", ["a", "b"])


def source(folder: Path, text: str) -> InputSource:
    (folder / "made.py").write_text(f"import random, numpy, time, torch\n{text}", encoding="utf-8")
    return InputSource("made.py:make", folder)


def test_it_is_called_with_what_it_takes(tmp_path: Path) -> None:
    made = source(tmp_path, "def make(sizes, train): return sizes['B'], train\n")
    assert call_source(made, {"B": 3}) == ([3, False], {})
    assert call_source(made, {"B": 3}, train=True) == ([3, True], {})


@pytest.mark.parametrize(
    ("body", "arguments"),
    [
        ("return (1, 2)", ([1, 2], {})),
        ("return {'x': 1}", ([], {"x": 1})),
        ("return [1, 2]", ([[1, 2]], {})),
        ("return None", ([None], {})),
        ("return sorted(k)", ([["device", "seed", "sizes", "train"]], {})),
    ],
)
def test_a_tuple_is_positional_a_dict_named_and_anything_else_one_argument(
    tmp_path: Path, body: str, arguments: Any
) -> None:
    assert call_source(source(tmp_path, f"def make(**k): {body}\n"), {}) == arguments


def test_what_is_part_of_a_graph_comes_without_it(tmp_path: Path) -> None:
    text = "def make():\n    x = torch.ones(2, requires_grad=True)\n    return x, x * 2, torch.nn.Parameter(x)\n"
    made, _ = call_source(source(tmp_path, text), {})
    assert [one.requires_grad for one in made] == [False] * 3
    assert [type(one) for one in made] == [Tensor] * 3


COUNTED = "calls = []\ndef make({takes}):\n    calls.append(1)\n    return {returns}\n"


@pytest.mark.parametrize(
    ("takes", "calls"), [("", [1, 1, 1]), ("sizes", [1, 1, 2]), ("train", [1, 2, 2]), ("sizes, train", [1, 2, 3])]
)
def test_it_is_called_once_for_the_same_sizes_and_mode(tmp_path: Path, takes: str, calls: list[int]) -> None:
    made = source(tmp_path, COUNTED.format(takes=takes, returns="len(calls)"))
    numbers = [
        call_source(made, {"B": size}, train=train)[0] for size, train in ((2, False), (2, True), (3, True), (2, False))
    ]
    assert numbers == [[call] for call in (*calls, 1)]


def test_what_a_network_writes_to_is_not_what_the_next_one_gets(tmp_path: Path) -> None:
    made = source(tmp_path, "class Box: pass\ndef make():\n    b = Box()\n    b.x = [torch.zeros(1)]\n    return b\n")
    for _ in range(3):
        [box], _ = call_source(made, {})
        assert box.x[0].item() == 0
        box.x[0].add_(1)
        box.x.append(None)


@pytest.mark.parametrize(
    "returns",
    ["iter_of(calls)", "(len(calls), open(__file__))", "Shared(len(calls))"],
    ids=["a generator", "a file", "a class that is its own copy"],
)
def test_what_can_not_be_copied_is_made_anew(tmp_path: Path, returns: str) -> None:
    text = """
def iter_of(calls):
    yield len(calls)
class Shared:
    def __init__(self, n): self.x = torch.tensor(n)
    def __deepcopy__(self, memo): return self
    def __iter__(self): return iter([self.x.item()])
"""
    made = source(tmp_path, text + COUNTED.format(takes="", returns=returns))
    firsts = []
    for _ in range(2):
        args, _ = call_source(made, {})
        firsts.append(args[0] if isinstance(args[0], int) else next(iter(args[0])))
    assert firsts == [1, 2]


def test_generators_are_seeded_and_left_as_they_were(tmp_path: Path) -> None:
    made = source(tmp_path, "def make(): return torch.rand(1).item(), random.random(), numpy.random.rand()\n")
    first = call_source(made, {})
    torch.manual_seed(7), random.seed(7), numpy.random.seed(7)
    expected = torch.rand(1).item(), random.random(), numpy.random.rand()
    torch.manual_seed(7), random.seed(7), numpy.random.seed(7)
    assert call_source(made, {}) == first
    assert (torch.rand(1).item(), random.random(), numpy.random.rand()) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def make(x): pass\n", "made.py:make asks for 'x', and is called with sizes, seed, device, train, by name"),
        ("def make(sizes, /): pass\n", "made.py:make asks for 'sizes', and is called with"),
        ("def make(): raise KeyError('n')\n", "calling made.py:make raised KeyError: 'n'"),
        (
            "def make(): return torch.ones(2, device='meta')\n",
            "made.py:make makes tensors without values",
        ),
        ("make = 3\n", "made.py:make is an int, expected a function that makes the inputs"),
        ("make = torch.nn.ReLU()\n", "made.py:make is a network, expected a function that makes the inputs"),
    ],
)
def test_what_it_can_not_do_is_told_at_its_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BuildError, match=f"^{re.escape(message)}") as caught:
        call_source(source(tmp_path, text), {})
    assert caught.value.key == "inputs_from"


def test_a_slow_one_is_told_while_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(input_source, "SLOW_SEC", 0.01)
    made = source(tmp_path, "def make(): time.sleep(0.5)\n")
    with caplog.at_level(logging.WARNING, "archcheck"):
        call_source(made, {})
    assert "inputs_from made.py:make has taken" in caplog.text


def test_tensors_are_changed_wherever_they_are_held() -> None:
    packed = pack_sequence([torch.zeros(3, 2), torch.zeros(1, 2)])
    held = SimpleNamespace(x=torch.zeros(1), name="a")
    made = map_tensors(
        lambda one: one + 1, [torch.zeros(1), {"a": (torch.zeros(1), None)}, packed, held, Pair(torch.zeros(1), 2)]
    )
    assert [type(one) for one in made] == [Tensor, dict, PackedSequence, SimpleNamespace, Pair]
    assert all(bool((one == 1).all()) for one in (made[0], made[1]["a"][0], made[2].data, made[3].x, made[4].a))
    assert made[2].batch_sizes.tolist() == [2, 1, 1]
    assert held.x.item() == 0  # the original stays as it is
    assert len(all_tensors(made)) == 5


def test_networks_and_classes_among_them_stay_as_they_are() -> None:
    network = nn.Linear(2, 2)
    assert map_tensors(torch.zeros_like, [network, int]) == [network, int]
