"""Errors as their messages."""

from __future__ import annotations

import archcheck.errors
from archcheck.errors import ArchcheckError, BuildError, DataError, Problem, SourceLoc, SpecError

PROBLEMS = [Problem(SourceLoc("specs/a.yaml", 3, 9), "no such key"), Problem(SourceLoc("specs/a.yaml", 7, 1), "late")]


def test_a_location_is_written_as_path_and_line() -> None:
    assert str(SourceLoc("specs/a.yaml", 3, 9)) == "specs/a.yaml:3"


def test_a_spec_error_lists_all_its_problems() -> None:
    error = SpecError(PROBLEMS)
    assert str(error) == "specs/a.yaml:3: no such key\nspecs/a.yaml:7: late"
    assert error.problems == PROBLEMS


def test_an_error_may_name_the_argument_at_fault() -> None:
    build = BuildError("no such argument", arg="width", where="nets.py:3")
    assert (str(build), build.arg, build.where) == ("no such argument", "width", "nets.py:3")
    assert DataError("empty").arg is None


def test_an_error_may_name_a_value_within_an_argument() -> None:
    build = BuildError("no such field", keys=("config", "blocks", 1, "width"))
    assert (build.arg, build.keys) == ("config", ("config", "blocks", 1, "width"))
    assert (BuildError("no such file").arg, BuildError("", arg="width").keys) == (None, ("width",))


def test_every_error_is_one_of_archcheck() -> None:
    kinds = [kind for kind in vars(archcheck.errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(kinds) == 8
    assert all(issubclass(kind, ArchcheckError) for kind in kinds)
    assert all(kind.__name__ in str(archcheck.errors.__doc__) for kind in kinds)
