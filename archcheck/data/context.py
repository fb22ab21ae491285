"""Where data may lie, and how files of images are read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from archcheck.errors import NotMeasured


@dataclass(frozen=True, slots=True)
class DataContext:
    """What a data set is loaded with, apart from its own arguments.

    base_dir: the spec's folder; relative paths count from it, then from `data_dir`.
    rootdir: where modules are looked for, and what paths in messages are relative to.
    data_dir: the user's folder of data sets; the user's cache where there is none.
    download: whether data that is missing may be fetched.
    image_size: (height, width) in pixels that files of images are brought to; None: as they are.
    budget_bytes: above it files of images are streamed rather than decoded into memory; None: no bound.
    """

    base_dir: Path
    rootdir: Path | None
    data_dir: Path | None
    download: bool
    image_size: tuple[int, int] | None
    budget_bytes: int | None

    @property
    def data_folder(self) -> Path:
        """Where data sets lie and are downloaded to."""
        return self.data_dir if self.data_dir is not None else default_data_dir()

    def find(self, path: str, what: str) -> Path:
        """The file or folder that a data set's argument names.

        Raises:
            NotMeasured: it is nowhere.
        """
        places = [folder / Path(path).expanduser() for folder in (self.base_dir, self.data_dir) if folder is not None]
        for place in places:
            if os.path.exists(place):  # unlike Path's, false for a name that is too long
                return place
        looked = " and ".join(dict.fromkeys(str(place) for place in places))
        raise NotMeasured(
            f"{what} {path} is not on this machine (looked at {looked}): put it there, "
            f"or pass the folder that has it with --archcheck-data DIR"
        )


def default_data_dir() -> Path:
    """The user's cache: `$XDG_CACHE_HOME/archcheck`, or `~/.cache/archcheck`."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "archcheck"
