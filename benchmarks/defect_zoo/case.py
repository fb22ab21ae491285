"""What a family's cases are made of: edits of the network's source text."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

ZOOS: Final = Path(__file__).parents[1]

Category = Literal[
    "activation",
    "attention",
    "axis",
    "buffers",
    "concat order",
    "detached gradient",
    "dropout",
    "head split",
    "initialisation",
    "masking",
    "normalisation",
    "pooling",
    "position",
    "readout",
    "recurrent wiring",
    "residual",
    "resampling",
    "scale or constant",
    "sharing",
    "stride or padding",
    "train or eval mode",
    "width or bias",
]


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace `old`, which occurs exactly once, by `new`; `nth` picks a place of several, from 0, `every` takes all."""

    old: str
    new: str
    nth: int | None = None
    every: bool = False


@dataclass(frozen=True, slots=True)
class Defect:
    """A mistake, and the names that the first layer to differ may be called by."""

    name: str
    category: Category
    edits: tuple[Edit, ...]
    layers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bug(Defect):
    """A mistake that really happened: `source` is the repository and the number of what tells of it."""

    source: str


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A change of the source that is none of the function."""

    name: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class Family:
    """A network's source, its inputs as on the command line, and its cases."""

    name: str
    source: str
    inputs: tuple[str, ...]
    defects: tuple[Defect, ...]
    rewrites: tuple[Rewrite, ...]

    @property
    def cases(self) -> list[Defect | Rewrite]:
        """Defects, then rewrites."""
        return [*self.defects, *self.rewrites]


def defect(
    name: str, category: Category, old: str, new: str, *layers: str, nth: int | None = None, also: tuple[Edit, ...] = ()
) -> Defect:
    """A defect of one edit, or of several that belong together."""
    return Defect(name, category, (Edit(old, new, nth), *also), layers)


def bug(
    name: str, source: str, category: Category, old: str, new: str, *layers: str, also: tuple[Edit, ...] = ()
) -> Bug:
    """A bug of one edit, or of several that belong together."""
    return Bug(name, category, (Edit(old, new), *also), layers, source)


def rewrite(name: str, *edits: tuple[str, str] | Edit) -> Rewrite:
    """A rewrite of one edit or several, made one after the other."""
    return Rewrite(name, tuple(one if isinstance(one, Edit) else Edit(*one) for one in edits))


def family_names(zoo: str = "defect_zoo") -> list[str]:
    """All families, in alphabetical order."""
    return sorted(path.stem.removesuffix("_cases") for path in (ZOOS / zoo).glob("*_cases.py"))


def load_family(name: str, zoo: str = "defect_zoo") -> Family:
    """A family by name."""
    cases = importlib.import_module(f"{zoo}.{name}_cases")
    network = importlib.import_module(f"{zoo}.{name}")
    source = (ZOOS / zoo / f"{name}.py").read_text(encoding="utf-8")
    return Family(name, source, tuple(network.INPUT), tuple(cases.DEFECTS), tuple(cases.REWRITES))


def apply_edits(source: str, edits: tuple[Edit, ...]) -> str:
    """The source with all edits made, one after the other."""
    for edit in edits:
        source = _apply_edit(source, edit)
    return source


def _apply_edit(source: str, edit: Edit) -> str:
    parts = source.split(edit.old)
    found = len(parts) - 1
    assert edit.old != edit.new, f"no change: {edit.old!r}"
    if edit.every:
        assert found > 1, f"found {found} times, expected several: {edit.old!r}"
        return edit.new.join(parts)
    if edit.nth is None:
        assert found == 1, f"found {found} times, expected once: {edit.old!r}"
        return edit.new.join(parts)
    assert 0 <= edit.nth < found, f"found {found} times, no place {edit.nth}: {edit.old!r}"
    return edit.old.join(parts[: edit.nth + 1]) + edit.new + edit.old.join(parts[edit.nth + 1 :])
