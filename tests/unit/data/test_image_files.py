"""Files of images: folders of classes, tables, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as v2f

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


# ------------------------------------------------------------------------------------------- folders


@pytest.fixture
def photos(write_image: WriteImage) -> None:
    for part in ("train", "val"):
        for index, name in enumerate(("cat", "dog")):
            write_image(f"photos/{part}/{name}/b.png", (index, 2, 3))
            write_image(f"photos/{part}/{name}/deep/a.png", (index, 5, 6))
    write_image("photos/train/dog/notes.txt.png", (9, 9, 9))


def load_folder(context: DataContext, **args: Any) -> LoadedDataset:
    return load_dataset(Named(**{"name": "image-folder", "path": "photos", **args}), context)


@pytest.mark.usefixtures("photos")
def test_image_folder_as_torchvision_reads_it(context: MakeContext, tmp_path: Path) -> None:
    pair = load_folder(context())
    expected = ImageFolder(str(tmp_path / "photos" / "train"))
    train = arrays(pair.train)
    assert train.targets.tolist() == expected.targets
    assert torch.equal(train.inputs, torch.stack([v2f.pil_to_tensor(image) for image, _ in expected]))
    assert (train.inputs.dtype, pair.num_classes, len(arrays(pair.test))) == (torch.uint8, 2, 4)


@pytest.mark.usefixtures("photos")
def test_relative_paths_count_from_the_data_folder_too(context: MakeContext, tmp_path: Path) -> None:
    pair = load_folder(context(base_dir=tmp_path / "specs", data_dir=tmp_path), head=3)
    assert len(arrays(pair.train)) == 3


@pytest.mark.parametrize("size", [(3, 2), (12, 16)])
def test_resized_as_torchvision_resizes(
    size: tuple[int, int], context: MakeContext, write_image: WriteImage, tmp_path: Path
) -> None:
    for part in ("train", "test"):
        write_image(f"photos/{part}/x/a.png", size=(9, 7))
    gradient = Image.linear_gradient("L").resize((7, 9)).convert("RGB")
    gradient.save(tmp_path / "photos" / "train" / "x" / "b.png")
    expected = v2f.pil_to_tensor(v2.Resize(size)(gradient))
    assert torch.equal(arrays(load_folder(context(image_size=size)).train).inputs[1], expected)


@pytest.mark.usefixtures("photos")
def test_streamed_where_the_budget_is_exceeded(context: MakeContext) -> None:
    num_bytes = (5 + 4) * 3 * 6 * 4
    assert isinstance(load_folder(context(budget_bytes=num_bytes)).train, ArraySplit)
    streamed = load_folder(context(budget_bytes=num_bytes - 1)).train
    decoded = arrays(load_folder(context()).train)
    assert isinstance(streamed, Dataset)
    for index in range(5):
        image, target = streamed[index]
        assert torch.equal(image, decoded.inputs[index])
        assert target == decoded.targets[index]


@pytest.mark.usefixtures("photos")
def test_grey_images(context: MakeContext) -> None:
    assert arrays(load_folder(context(), channels=1).train).inputs.shape == (5, 1, 6, 4)


def test_missing_folder(context: MakeContext, tmp_path: Path) -> None:
    message = rf"the image folder photos is not on this machine \(looked at {tmp_path}/photos and {tmp_path}/d/photos\)"
    with pytest.raises(NotMeasured, match=message):
        load_folder(context(data_dir=tmp_path / "d"))


@pytest.mark.usefixtures("photos")
def test_classes_differ(context: MakeContext, write_image: WriteImage) -> None:
    write_image("photos/val/bird/a.png")
    with pytest.raises(DataError, match=r"train and .*val differ in their classes: only one has bird"):
        load_folder(context())


@pytest.mark.usefixtures("photos")
def test_folders_that_are_not_there(context: MakeContext, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"photos has no folder held-out$") as raised:
        load_folder(context(), test="held-out")
    assert raised.value.arg == "test"
    (tmp_path / "photos" / "val").rename(tmp_path / "photos" / "other")
    with pytest.raises(DataError, match="photos has no folder test or val"):
        load_folder(context())
    for file in (tmp_path / "photos" / "train" / "cat").rglob("*.png"):
        file.unlink()
    with pytest.raises(DataError, match=r"train/cat has no images \(\.jpg, "):
        load_folder(context(), test="other")


@pytest.mark.usefixtures("photos")
def test_sizes_that_differ_ask_for_resize(context: MakeContext, write_image: WriteImage) -> None:
    odd = write_image("photos/train/dog/z.png", size=(8, 8))
    message = f"{odd}: the image has 8x8 pixels, the first one 6x4: `resize` brings all to one size"
    with pytest.raises(DataError, match=message):
        load_folder(context())
    assert arrays(load_folder(context(image_size=(6, 4))).train).inputs.shape == (6, 3, 6, 4)


@pytest.mark.parametrize(("content", "reason"), [(b"no image", "UnidentifiedImageError"), (None, "OSError")])
@pytest.mark.usefixtures("photos")
def test_files_that_are_no_images(content: bytes | None, reason: str, context: MakeContext, tmp_path: Path) -> None:
    path = tmp_path / "photos" / "val" / "dog" / "b.png"
    path.write_bytes(path.read_bytes()[:48] if content is None else content)
    with pytest.raises(DataError, match=f"{path}: not an image that can be read: {reason}"):
        load_folder(context())


def test_more_than_eight_bits_are_not_clipped_in_silence(context: MakeContext, write_image: WriteImage) -> None:
    for part in ("train", "test"):
        write_image(f"photos/{part}/x/a.png", 40_000, mode="I;16")
    with pytest.raises(DataError, match=r"a\.png: not an image .*: its pixels have more than 8 bits \(mode I;16\)"):
        load_folder(context())


# ------------------------------------------------------------------------------------------- tables


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
