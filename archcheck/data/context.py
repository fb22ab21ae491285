"""Settings of loading data sets: the folders to look in, downloads, and the size of images."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from archcheck.errors import NotMeasured


@dataclass(frozen=True, slots=True)
class DataContext:
    """The settings that a data set is loaded with, apart from its own arguments.

    base_dir: the spec's folder; relative paths count from it, then from `data_dir`.
    rootdir: where modules are looked for, and what paths in messages are relative to.
    data_dir: the user's folder of data sets; None: `default_data_dir`.
    download: whether data that is missing may be fetched.
    image_size: (height, width) in pixels that image files are resized to; None: as they are.
    budget_bytes: image files that take more when decoded are streamed, not kept in memory; None: no bound.
    """

    base_dir: Path
    rootdir: Path | None
    data_dir: Path | None
    download: bool
    image_size: tuple[int, int] | None
    budget_bytes: int | None

    @property
    def data_folder(self) -> Path:
        """The folder that data sets are read from and downloaded to."""
        return self.data_dir if self.data_dir is not None else default_data_dir()

    def find(self, path: str, what: str) -> Path:
        """Find the file or folder that a data set's argument names; `what` names it in the message.

        Raises:
            NotMeasured: it is neither below `base_dir` nor below `data_dir`.
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
    """Return the folder in the user's cache: `$XDG_CACHE_HOME/archcheck`, or `~/.cache/archcheck`."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "archcheck"
