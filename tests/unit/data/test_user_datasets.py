"""A user's own data sets, named as module:callable or file.py:callable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import TensorDataset

from archcheck.data.context import DataContext
from archcheck.data.registry import check_dataset, load_dataset
from archcheck.data.splits import ArraySplit, LoadedDataset
from archcheck.errors import DataError
from archcheck.spec.models import Named

MakeContext = Callable[..., DataContext]

SETS = """\
import torch
from torch.utils.data import Dataset, IterableDataset, TensorDataset

def tensors(n=4):
    return [TensorDataset(torch.rand(n, 3), torch.arange(n, dtype=torch.uint8)) for _ in "ab"]

def regression():
    return [TensorDataset(torch.zeros(2, 3), torch.zeros(2, 1, dtype=torch.float64)) for _ in "ab"]

class Pairs(Dataset):
    def __init__(self, item=(0.0, 1), length=3):
        self.item, self.length = item, length
    def __len__(self):
        return self.length
    def __getitem__(self, index):
        return self.item() if callable(self.item) else self.item

class Endless(IterableDataset):
    def __iter__(self):
        yield 0, 0

class NoLength:
    def __getitem__(self, index):
        return 0, 0

def fail():
    raise KeyError("label")

def pairs():
    return Pairs(), Pairs()

def late():
    from neighbour import LENGTH
    return Pairs(length=LENGTH), Pairs()

def raises(): fail()
def leaves(): raise SystemExit(2)
def three(): return 1, 2, 3
def nothing(): return None
def endless(): return Endless(), Endless()
def lengthless(): return Pairs(), NoLength()
def empty(): return Pairs(), Pairs(length=0)
def singles(): return Pairs(torch.zeros(3)), Pairs()
def triples(): return Pairs((1, 2, 3)), Pairs()
def broken_item(): return Pairs(), Pairs(fail)
def arrays_pair(): return (torch.zeros(2, 3), torch.zeros(2)), (torch.zeros(2, 3), torch.zeros(2))
def nested(): return TensorDataset(torch.zeros(2), torch.zeros(2), torch.zeros(2)), Pairs()
number = 3
"""


def named(name: str, **args: Any) -> Named:
    return Named(**{"name": name, **args})


@pytest.fixture
def load(tmp_path: Path, context: MakeContext) -> Callable[..., LoadedDataset]:
    (tmp_path / "sets.py").write_text(SETS)
    return lambda name, **args: load_dataset(named(f"sets.py:{name}", **args), context(rootdir=tmp_path))


def test_tensors_become_arrays_of_int64_classes(load: Callable[..., LoadedDataset]) -> None:
    pair = load("tensors", n=5)
    assert isinstance(pair.train, ArraySplit)
    assert (pair.train.inputs.shape, pair.train.targets.tolist()) == ((5, 3), [0, 1, 2, 3, 4])
    assert (pair.train.targets.dtype, pair.num_classes, pair.name) == (torch.int64, None, "sets.py:tensors")


def test_targets_of_a_regression_are_float32(load: Callable[..., LoadedDataset]) -> None:
    pair = load("regression")
    assert isinstance(pair.train, ArraySplit)
    assert (pair.train.targets.dtype, pair.train.targets.shape) == (torch.float32, (2, 1))


def test_other_data_sets_stay_what_they_are(load: Callable[..., LoadedDataset]) -> None:
    assert type(load("pairs").train).__name__ == "Pairs"


def test_imports_beside_the_file_work_while_it_is_called(load: Callable[..., LoadedDataset], tmp_path: Path) -> None:
    (tmp_path / "neighbour.py").write_text("LENGTH = 7\n")
    assert len(load("late").train) == 7  # type: ignore[arg-type]


def test_random_data_are_the_same_each_time_and_leave_the_random_state(load: Callable[..., LoadedDataset]) -> None:
    state = torch.random.get_rng_state()
    first, second = load("tensors").train, load("tensors").train
    assert isinstance(first, ArraySplit)
    assert isinstance(second, ArraySplit)
    assert torch.equal(first.inputs, second.inputs)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_pair_of_ours_is_taken_as_it_is(context: MakeContext, tmp_path: Path) -> None:
    (tmp_path / "ours.py").write_text(
        "import torch\nfrom archcheck.data.splits import ArraySplit, LoadedDataset\n"
        "def data():\n    a = ArraySplit(torch.zeros(1, 2), torch.zeros(1))\n    return LoadedDataset('x', a, a, 3)\n"
    )
    pair = load_dataset(Named(name="ours.py:data"), context())
    assert (pair.name, pair.num_classes) == ("x", 3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("raises", r"^calling sets.py:raises raised KeyError: 'label' \(at sets.py:27\)$"),
        ("leaves", r"^calling sets.py:leaves raised SystemExit: 2 \(at sets.py:\d+\)$"),
        ("three", r"sets.py:three returned a tuple of 3, expected \(train, test\), two data sets with __len__ and"),
        ("nothing", r"sets.py:nothing returned None, expected \(train, test\)"),
        ("endless", r"sets.py:endless: train is an IterableDataset, expected .*: batches are shuffled by index"),
        ("lengthless", r"sets.py:lengthless: test is a NoLength, expected"),
        ("empty", r"sets.py:empty: test has no examples"),
        ("singles", r"sets.py:singles: train: item 0 of the data set is a Tensor, expected a pair \(input, target\)"),
        ("triples", r"sets.py:triples: train: item 0 of the data set is a tuple of 3, expected a pair"),
        (
            "broken_item",
            r"sets.py:broken_item: test: item 0 of the data set raised KeyError: 'label' \(at .*sets.py:27",
        ),
        ("arrays_pair", r"sets.py:arrays_pair: train: item 0 of the data set is a Tensor, expected a pair"),
        ("nested", r"sets.py:nested: train: item 0 of the data set is a tuple of 3, expected a pair"),
        ("number", r"sets.py:number is an int, expected a callable"),
        ("tensor", r"sets.py has no 'tensor': did you mean 'tensors'\?"),
    ],
)
def test_callables_that_do_not_deliver(name: str, message: str, load: Callable[..., LoadedDataset]) -> None:
    with pytest.raises(DataError, match=message) as raised:
        load(name)
    assert "\n" not in str(raised.value)


def test_arguments_are_checked_without_calling(load: Any, context: MakeContext) -> None:
    with pytest.raises(DataError, match=r"sets.py:tensors accepts no argument 'm'") as raised:
        check_dataset(named("sets.py:tensors", m=3), context())
    assert raised.value.arg == "m"
    check_dataset(Named(name="sets.py:raises"), context())


def test_a_file_that_fails_to_import(context: MakeContext, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import torch\n1 / 0\n")
    with pytest.raises(
        DataError, match=r"importing broken.py raised ZeroDivisionError: division by zero \(at .*py:2\)"
    ):
        check_dataset(Named(name="broken.py:data"), context())


def test_tensor_dataset_subclasses_are_streamed(context: MakeContext, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "import torch\nfrom torch.utils.data import TensorDataset\nclass Own(TensorDataset): pass\n"
        "def data(): return Own(torch.zeros(2, 3), torch.zeros(2)), Own(torch.zeros(2, 3), torch.zeros(2))\n"
    )
    assert isinstance(load_dataset(Named(name="own.py:data"), context()).train, TensorDataset)
