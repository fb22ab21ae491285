"""Schemes: the words before the colon of a build target that mean no module. Nothing is imported here.

Those of archcheck are `torchvision:` and `timm:`, models by name, and `transformers:` and `diffusers:`, configuration
files. Packages bring others along as entry points of the group `archcheck.targets`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from archcheck.text.words import did_you_mean

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "archcheck.targets"
REGISTRIES: Final = ("torchvision", "timm")
CONFIG_FILES: Final = ("transformers", "diffusers")


def installed_schemes() -> Mapping[str, EntryPoint]:
    """Return the entry points of installed packages' schemes by name; those of archcheck's names are left out.

    A package whose entry points can't be read hides none of the others'. Of two of one name the first on `sys.path`
    counts.
    """
    return _schemes_on(tuple(sys.path))


@lru_cache(maxsize=1)  # every spec asks, and a hundred packages are a hundred files to read
def _schemes_on(path: tuple[str, ...]) -> Mapping[str, EntryPoint]:
    from importlib.metadata import distributions

    found: dict[str, EntryPoint] = {}
    for distribution in distributions(path=list(path)):
        try:
            points = distribution.entry_points.select(group=GROUP)
        except Exception:  # not ours, and whatever is wrong with it is pip's to tell
            continue
        for point in points:
            found.setdefault(point.name, point)
    return MappingProxyType({name: one for name, one in found.items() if name not in (*REGISTRIES, *CONFIG_FILES)})


def no_such_scheme(word: str) -> str:
    """Return `there is no scheme 'tim': did you mean 'timm'? (there are ...)`."""
    names = sorted({*REGISTRIES, *CONFIG_FILES, *installed_schemes()})
    return f"there is no scheme {word!r}{did_you_mean(word, names)} (there are {', '.join(names)})"
