"""The data set `image-folder`: a folder of images for each class."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision.datasets import ImageFolder
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
