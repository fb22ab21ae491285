"""Installed distributions, by their metadata."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from archcheck.dependencies.distributions import Distributions, canonical


def install(folder: Path, name: str, version: str, *requires: str, files: str = "") -> Path:
    inside = folder / f"{name}-{version}.dist-info"
    inside.mkdir(parents=True)
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {one}" for one in requires),
    ]
    (inside / "METADATA").write_text("\n".join([*lines, "", "Requires-Dist: not-in-the-header"]))
    (inside / "RECORD").write_text(files)
    return inside


def test_what_is_required_counts(tmp_path: Path) -> None:
    install(
        tmp_path,
        "Wide_Nets",
        "1.0",
        "deep-nets>=2; python_version>'3'",
        "absent",
        "rare; extra == 'all'",
        files="wide/a.py,,",
    )
    install(tmp_path, "deep.nets", "2.0", files="deep.py,,")
    install(tmp_path, "rare", "1.0", files="rare.py,,")
    found = Distributions([str(tmp_path)])
    assert found.behind(["wide"]) == {"wide_nets", "deep_nets"}
    assert found.behind(["unknown"], ["rare"]) == {"rare"}


def test_an_extra_counts_where_it_is_imported(tmp_path: Path) -> None:
    install(tmp_path, "wide", "1.0", "tests; extra == 'all'", files="wide.py,,")
    install(tmp_path, "tests", "1.0", files="tests/__init__.py,,")  # this package is imported
    assert Distributions([str(tmp_path)]).behind(["wide"]) == {"wide", "tests"}


@pytest.mark.parametrize("file", ["METADATA", "RECORD", "direct_url.json"])
def test_another_build_is_told_by_its_metadata(tmp_path: Path, file: str) -> None:
    inside = install(tmp_path, "wide", "1.0")
    before = Distributions([str(tmp_path)]).identity("wide")
    assert Distributions([str(tmp_path)]).identity("wide") == before
    with (inside / file).open("a") as metadata:
        metadata.write("more")
    assert Distributions([str(tmp_path)]).identity("wide") != before


def test_the_first_on_the_path_counts(tmp_path: Path) -> None:
    install(tmp_path / "first", "wide", "1.0")
    install(tmp_path / "second", "wide", "2.0")
    assert Distributions([str(tmp_path / one) for one in ("first", "second")]).identity("wide").startswith("wide-1.0")
    assert Distributions([str(tmp_path / "absent")]).identity("wide") == "absent"


def test_installed_modules_are_mapped_as_importlib_does() -> None:
    import sys

    ours = Distributions(sys.path).by_module
    theirs = importlib.metadata.packages_distributions()
    for module in ("torch", "torchvision", "numpy", "yaml", "pytest", "_pytest", "pydantic"):
        assert set(ours[module]) == {canonical(name) for name in theirs[module]}
