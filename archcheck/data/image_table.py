"""The data set `table`: a CSV file with a column of image paths and a column of targets."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import torch

from archcheck.data.context import DataContext
from archcheck.data.image_files import ImageEntry, load_images
from archcheck.data.splits import LoadedDataset
from archcheck.errors import DataError
from archcheck.text.words import clip, quoted


@dataclass(frozen=True, slots=True)
class _Row:
    path: str
    target: str
    place: str  # FILE:LINE


def table(
    context: DataContext,
    /,
    *,
    path: str,
    test: str | float = 0.2,
    root: str | None = None,
    path_column: str = "path",
    target_column: str = "target",
    channels: Literal[1, 3] = 3,
    head: int | None = None,
) -> LoadedDataset:
    """Load the images and targets that a CSV file lists, as (N, channels, H, W) uint8.

    The classes are the targets' texts, sorted; by value where all of them are whole numbers.

    test: another such file, or the share of rows to hold out, chosen by a fixed shuffle.
    root: the folder that image paths are relative to; None: the table's own.
    head: the number of rows to read of each table, before any are held out; None: all.

    Raises:
        NotMeasured: there is no such table.
        DataError: a column, an image or a row is missing or invalid; the message has FILE:LINE.
    """
    file = context.find(path, "the table")
    rows = _rows(file, path_column, target_column, head)
    if isinstance(test, str):
        test_file = context.find(test, "the table")
        train, held_out = rows, _rows(test_file, path_column, target_column, head)
    else:
        test_file = file
        train, held_out = _held_out(rows, test, file)
    targets = {text: index for index, text in enumerate(_classes(train))}
    folder = None if root is None else context.find(root, "the folder of images")
    splits = [
        [_entry(row, targets, folder or source.parent) for row in part]
        for part, source in ((train, file), (held_out, test_file))
    ]
    train_split, test_split = load_images(splits[0], splits[1], channels, context)
    return LoadedDataset("table", train_split, test_split, num_classes=len(targets))


def _rows(file: Path, path_column: str, target_column: str, head: int | None) -> list[_Row]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            rows = list(islice(_parsed(csv.reader(text), file, path_column, target_column), head))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: can't be read: {error}", arg="path") from error
    if not rows:
        raise DataError(f"{file}:1: the table has no rows", arg="path")
    return rows


def _parsed(reader: Iterator[list[str]], file: Path, path_column: str, target_column: str) -> Iterator[_Row]:
    def place() -> str:
        return f"{file}:{max(1, reader.line_num)}"  # type: ignore[attr-defined]  # csv's reader has it

    try:
        header = [name.strip() for name in next(reader, [])]
        columns = []
        for arg, name in (("path_column", path_column), ("target_column", target_column)):
            if name not in header:
                found = ", ".join(header) or "none: the file is empty"
                raise DataError(f"{file}:1: no column {name!r} (columns: {clip(found, 200)})", arg=arg)
            columns.append(header.index(name))
        for row in reader:
            if not row:  # a blank line
                continue
            values = [row[column].strip() if column < len(row) else "" for column in columns]
            for name, value in zip((path_column, target_column), values, strict=True):
                if not value:
                    raise DataError(f"{place()}: nothing in column {name!r}", arg="path")
            yield _Row(values[0], values[1], place())
    except csv.Error as error:
        raise DataError(f"{place()}: {error}", arg="path") from error


def _held_out(rows: list[_Row], share: float, file: Path) -> tuple[list[_Row], list[_Row]]:
    num_test = max(1, round(share * len(rows)))
    if num_test >= len(rows):
        raise DataError(
            f"{file}: {len(rows)} rows leave none for training once {share:g} of them are held out", arg="test"
        )
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0)).tolist()
    held_out = set(order[:num_test])
    train = [row for index, row in enumerate(rows) if index not in held_out]
    return train, [rows[index] for index in sorted(held_out)]


def _classes(rows: Sequence[_Row]) -> list[str]:
    texts = {row.target for row in rows}
    try:
        return sorted(texts, key=lambda text: (int(text), text))
    except ValueError:
        return sorted(texts)


def _entry(row: _Row, targets: dict[str, int], folder: Path) -> ImageEntry:
    if row.target not in targets:
        raise DataError(f"{row.place}: no example for training has the target {quoted(row.target)}", arg="path")
    path = os.path.join(folder, row.path)
    if not os.path.isfile(path):
        raise DataError(f"{row.place}: no image {path}", arg="path")
    return ImageEntry(path, targets[row.target], f"{row.place}: {row.path}")
