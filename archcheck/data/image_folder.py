"""The data set `image-folder`: one folder of images for each class, in the layout of torchvision's `ImageFolder`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from archcheck.data.context import DataContext
from archcheck.data.image_files import ImageEntry, load_images, sorted_files
from archcheck.data.splits import LoadedDataset
from archcheck.errors import DataError


def image_folder(
    context: DataContext,
    /,
    *,
    path: str,
    test: str | None = None,
    channels: Literal[1, 3] = 3,
    head: int | None = None,
) -> LoadedDataset:
    """Load `path`/train/CLASS/*.png and `path`/test (or val)/CLASS/*.png as (N, channels, H, W) uint8.

    The classes are the folders' names, sorted; the files are in torchvision's order: all of the first class, and so on.

    test: the name of the folder of test images.
    head: the number of training examples, the first ones; None: all.

    Raises:
        NotMeasured: there is no such folder.
        DataError: the folder has another layout, the classes of the splits differ, or a file is no image.
    """
    root = context.find(path, "the image folder")
    train_folder = _split_folder(root, ["train"], "path")
    test_folder = _split_folder(root, ["test", "val"], "path") if test is None else _split_folder(root, [test], "test")
    classes, found = _classes(train_folder), _classes(test_folder)
    if classes != found:
        differing = ", ".join(sorted(set(classes) ^ set(found)))
        raise DataError(
            f"{train_folder} and {test_folder} differ in their classes: only one has {differing}", arg="path"
        )
    train, test_split = load_images(
        _entries(train_folder, classes)[:head], _entries(test_folder, classes), channels, context
    )
    return LoadedDataset("image-folder", train, test_split, num_classes=len(classes))


def _split_folder(root: Path, names: list[str], arg: str) -> Path:
    for name in names:
        if (root / name).is_dir():
            return root / name
    raise DataError(f"{root} has no folder {' or '.join(names)}", arg=arg)


def _classes(folder: Path) -> list[str]:
    classes = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not classes:
        raise DataError(f"{folder} has no folders of classes", arg="path")
    return classes


def _entries(folder: Path, classes: list[str]) -> list[ImageEntry]:
    from torchvision.datasets.folder import IMG_EXTENSIONS

    entries: list[ImageEntry] = []
    for target, name in enumerate(classes):
        files = list(sorted_files(os.path.join(folder, name), IMG_EXTENSIONS))
        if not files:
            raise DataError(f"{folder / name} has no images ({', '.join(IMG_EXTENSIONS)})", arg="path")
        entries += [ImageEntry(file, target, file) for file in files]
    return entries
