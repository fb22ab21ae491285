"""Other specs, by path or name."""

from __future__ import annotations

from pathlib import Path

import pytest

from archcheck.errors import SpecError, UsageError
from archcheck.spec.lookup import find_spec
from archcheck.spec.spec_file import SpecFile, read_spec

VALID = "build: m:f\ninput: [B, 3]\n"


@pytest.fixture
def small(tmp_path: Path) -> SpecFile:
    """A spec in a folder with others: `large` by its file's name, `named` by its own, and one that is broken."""
    (tmp_path / "small.arch.yaml").write_text(VALID)
    (tmp_path / "large.arch.yaml").write_text(VALID)
    (tmp_path / "other.arch.yaml").write_text(f"name: named\n{VALID}")
    (tmp_path / "broken.arch.yaml").write_text("build: 3\n")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "deep.arch.yaml").write_text(VALID)
    return read_spec(tmp_path / "small.arch.yaml", "specs/small.arch.yaml")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("large", "specs/large.arch.yaml"),
        ("large.arch.yaml", "specs/large.arch.yaml"),
        ("deeper/deep", "specs/deeper/deep.arch.yaml"),
        ("named", "specs/other.arch.yaml"),
    ],
)
def test_a_spec_is_found(small: SpecFile, name: str, shown: str) -> None:
    assert find_spec(small, name).document.path == shown


def test_a_name_that_is_nowhere_names_the_closest(small: SpecFile) -> None:
    with pytest.raises(UsageError, match=r"^no spec 'larg' in specs: did you mean 'large'\?$"):
        find_spec(small, "larg")


def test_a_name_that_two_have_is_refused(small: SpecFile) -> None:
    (small.path.parent / "third.arch.yaml").write_text(f"name: named\n{VALID}")
    with pytest.raises(UsageError, match=r"^more than one spec 'named' in specs$"):
        find_spec(small, "named")


def test_a_broken_spec_says_what_is_wrong_with_it(small: SpecFile) -> None:
    with pytest.raises(SpecError, match=r"^specs/broken\.arch\.yaml:1: "):
        find_spec(small, "broken")


@pytest.mark.parametrize("name", ["small", "./small.arch.yaml"])
def test_a_spec_is_not_held_against_itself(small: SpecFile, name: str) -> None:
    with pytest.raises(UsageError, match="is this spec itself: expected another one"):
        find_spec(small, name)
