"""The data set `table`: images and targets listed in a CSV file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archcheck.data.context import DataContext
from archcheck.data.registry import load_dataset
from archcheck.data.splits import ArraySplit, LoadedDataset
from archcheck.errors import DataError, NotMeasured
from archcheck.spec.models import Named

MakeContext = Callable[..., DataContext]
WriteImage = Callable[..., Path]


def arrays(split: object) -> ArraySplit:
    assert isinstance(split, ArraySplit)
    return split


@pytest.fixture
def write_table(tmp_path: Path, write_image: WriteImage) -> Callable[..., Path]:
    """Writes a CSV file, and an image i.png of colour i for each i below ten."""
    for index in range(10):
        write_image(f"images/{index}.png", (index, 0, 0))

    def write(text: str, name: str = "data.csv") -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def load_table(context: DataContext, **args: Any) -> LoadedDataset:
    return load_dataset(Named(**{"name": "table", "path": "data.csv", "root": "images", **args}), context)


def rows(*targets: object) -> str:
    return "path,target\n" + "".join(f"{index}.png,{target}\n" for index, target in enumerate(targets))


def reds(split: object) -> list[int]:
    return arrays(split).inputs[:, 0, 0, 0].tolist()


def test_a_share_is_held_out_the_same_each_time(context: MakeContext, write_table: Callable[..., Path]) -> None:
    write_table(rows(*"ab" * 5))
    pair, again = load_table(context(), test=0.3), load_table(context(), test=0.3)
    assert len(reds(pair.train)) == 7
    assert sorted(reds(pair.train) + reds(pair.test)) == list(range(10))
    assert reds(pair.test) == reds(again.test) != [7, 8, 9]
    assert arrays(pair.test).targets.tolist() == [red % 2 for red in reds(pair.test)]
    assert pair.num_classes == 2


def test_another_table_for_testing(context: MakeContext, write_table: Callable[..., Path]) -> None:
    write_table(rows("b", "a", "c"))
    write_table("kind , file\nc,7.png\n\na,8.png\n", "test.csv")
    with pytest.raises(DataError, match=r"test.csv:1: no column 'path' \(columns: kind, file\)") as raised:
        load_table(context(), test="test.csv")
    assert raised.value.arg == "path_column"
    write_table("target,path\nc,7.png\n\na,8.png\n", "test.csv")
    pair = load_table(context(), test="test.csv")
    assert (reds(pair.train), arrays(pair.train).targets.tolist()) == ([0, 1, 2], [1, 0, 2])
    assert (reds(pair.test), arrays(pair.test).targets.tolist()) == ([7, 8], [2, 0])


def test_whole_numbers_are_sorted_by_value(context: MakeContext, write_table: Callable[..., Path]) -> None:
    write_table(rows(10, 9, -1))
    write_table(rows(9), "test.csv")
    assert arrays(load_table(context(), test="test.csv").train).targets.tolist() == [2, 1, 0]


def test_head_is_taken_before_the_split(context: MakeContext, write_table: Callable[..., Path]) -> None:
    write_table(rows(*[0] * 10))
    pair = load_table(context(), head=5, test=0.2)
    assert sorted(reds(pair.train) + reds(pair.test)) == [0, 1, 2, 3, 4]
    assert len(reds(pair.test)) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"data.csv:1: no column 'path' \(columns: none: the file is empty\)"),
        ("path,label\n", r"data.csv:1: no column 'target' \(columns: path, label\)"),
        ("path,target\n", r"data.csv:1: the table has no rows"),
        ("path,target\n0.png,a\n1.png\n", r"data.csv:3: nothing in column 'target'"),
        ("path,target\n0.png,a\n,b\n", r"data.csv:3: nothing in column 'path'"),
        ("path,target\n0.png,a\n\n99.png,a\n", r"data.csv:4: no image .*/images/99.png"),
        ("path,target\n0.png,a\n", r"data.csv: 1 rows leave none for training once 0.2 of them are held out"),
        ("path,target\n0.png,a\nbad.png,a\n", r"data.csv:3: bad.png: not an image that can be read: Unidentified"),
    ],
)
def test_tables_with_mistakes(
    text: str, message: str, context: MakeContext, write_table: Callable[..., Path], tmp_path: Path
) -> None:
    write_table(text)
    (tmp_path / "images" / "bad.png").write_text("none")
    with pytest.raises(DataError, match=f"{tmp_path}/{message}"):
        load_table(context())


def test_a_target_that_was_not_trained(context: MakeContext, write_table: Callable[..., Path]) -> None:
    write_table(rows("a", "b"))
    write_table(rows("a", "c"), "test.csv")
    with pytest.raises(DataError, match=r"test.csv:3: no example for training has the target 'c'"):
        load_table(context(), test="test.csv")


def test_a_table_that_is_no_text(context: MakeContext, write_table: Callable[..., Path]) -> None:
    write_table("").write_bytes(b"path,target\n\xff,a\n")
    with pytest.raises(DataError, match=r"data.csv: can't be read: 'utf-8' codec"):
        load_table(context())


def test_a_missing_table(context: MakeContext) -> None:
    with pytest.raises(NotMeasured, match=r"the table data.csv is not on this machine \(looked at "):
        load_table(context())
