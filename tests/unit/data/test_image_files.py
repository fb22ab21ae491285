"""Image files: decoded, resized, streamed, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as v2f

from archcheck.data.context import DataContext
from archcheck.data.registry import load_dataset
from archcheck.data.splits import ArraySplit, LoadedDataset
from archcheck.errors import DataError
from archcheck.spec.models import Named

MakeContext = Callable[..., DataContext]
WriteImage = Callable[..., Path]


def arrays(split: object) -> ArraySplit:
    assert isinstance(split, ArraySplit)
    return split


def load_folder(context: DataContext, **args: Any) -> LoadedDataset:
    return load_dataset(Named(**{"name": "image-folder", "path": "photos", **args}), context)


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
