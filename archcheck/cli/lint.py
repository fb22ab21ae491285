"""`archcheck lint`: spec files and their locks read and validated, without torch and in a moment."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

from archcheck.checks.registry import load_check
from archcheck.cli.networks import DIFFERENT
from archcheck.errors import Problem, SourceLoc, SpecError, UsageError
from archcheck.function.section import outdated_key, recorded_otherwise
from archcheck.recording.ignored_locks import ignored_locks
from archcheck.spec.file_names import LOCK_SUFFIX, SUFFIX, spec_path
from archcheck.spec.lock import read_lock, update_command
from archcheck.spec.orphaned_lock import what_to_do_with_lock
from archcheck.spec.spec_file import SpecFile, read_spec

EXAMPLES = """\
archcheck lint
archcheck lint specs/LeNet.arch.yaml specs/LeNet.arch.lock
"""
# Folders that pytest, too, doesn't go into unless it is told otherwise.
_SKIPPED: Final = ("*.egg", ".*", "_darcs", "build", "CVS", "dist", "node_modules", "venv", "{arch}")


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    command: argparse.ArgumentParser = commands.add_parser(
        "lint", help="what is wrong with spec files and their locks, without building anything"
    )
    command.add_argument(
        "files", nargs="*", metavar="FILE", help="spec files, locks, folders (default: archcheck_paths in pytest's ini)"
    )
    command.add_argument(
        "--format", choices=("text", "github"), default="text", help="github: annotations of a workflow"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print what is wrong with each file, at its line and column, and what may not be meant, as a warning."""
    places = list(map(Path, options.files)) or _configured_places()
    formatted = _format_annotation if options.format == "github" else _format_line
    is_wrong = False
    paths = list(dict.fromkeys(spec_or_lock for place in places for spec_or_lock in _files(place)))
    for path in paths:
        problems, warnings = _look_at(path)
        is_wrong = is_wrong or bool(problems)
        for problem in problems:
            print(formatted(problem, "error"))
        for warning in warnings:
            print(formatted(warning, "warning"))
    ignored = ignored_locks(path for path in paths if path.name.endswith(SUFFIX))
    if ignored is not None:
        print(formatted(ignored, "warning"))
    return DIFFERENT if is_wrong else 0


# ------------------------------------------------------------------------------------------- which files


def _files(place: Path) -> Iterator[Path]:
    """Yield the specs that a file or a folder stands for, a spec for its lock, and locks that have none.

    Raises:
        UsageError: there is none.
    """
    if place.is_dir():
        found = list(_files_below(place))
        if not found:
            raise UsageError(f"{place}: no spec file (*{SUFFIX}) in this folder")
        yield from found
    elif not os.path.lexists(place):  # what is wrong with a link to nothing is told as of any file
        raise UsageError(f"{place}: there is no such file or folder")
    elif place.name.endswith((SUFFIX, LOCK_SUFFIX)):
        yield _spec_of(place)
    else:
        raise UsageError(f"{place}: expected a spec (*{SUFFIX}) or a lock (*{LOCK_SUFFIX})")


def _files_below(folder: Path) -> Iterator[Path]:
    for inner, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not any(fnmatch(name, one) for one in _SKIPPED))
        yield from (_spec_of(Path(inner, name)) for name in sorted(names) if name.endswith((SUFFIX, LOCK_SUFFIX)))


def _spec_of(path: Path) -> Path:
    """Return the spec of a lock, where there is one; a spec as it is."""
    is_lock = path.name.endswith(LOCK_SUFFIX)
    return spec_path(path) if is_lock and spec_path(path).exists() else path


def _configured_places() -> list[Path]:
    """Return where pytest would look for specs, as its ini file says: pytest itself is asked, which runs nothing.

    Raises:
        UsageError: pytest can't read its configuration, or there is nothing where it says.
    """
    import pytest

    from archcheck.pytest_plugin.spec_paths import spec_folders
    from archcheck.text.paths import path_from

    class Asked:
        """Takes the place of a run."""

        places: Sequence[Path] = ()

        @pytest.hookimpl(tryfirst=True)
        def pytest_cmdline_main(self, config: pytest.Config) -> int:
            self.places = spec_folders(config)
            return 0

    asked = Asked()
    if pytest.main(["-p", "archcheck", "--noconftest", "-o", "addopts="], plugins=[asked]):
        raise UsageError("pytest can't read its configuration: name the files, or folders")
    return [Path(path_from(place, Path.cwd())) for place in asked.places]


# ------------------------------------------------------------------------------------------- what is wrong


def _look_at(path: Path) -> tuple[Sequence[Problem], Sequence[Problem]]:
    """Return what is wrong with a spec and its lock, or with a lock that has no spec; and what may not be meant."""
    shown = str(path)
    if path.name.endswith(LOCK_SUFFIX):
        return [Problem(SourceLoc(shown, 1, 1), what_to_do_with_lock(path))], []
    try:
        spec_file = read_spec(path, shown)
    except SpecError as error:
        return [*error.problems, *_lock_problems(path)], []
    unreadable = _lock_problems(path)
    if unreadable:
        return unreadable, []
    key = outdated_key(spec_file)
    return [] if key is None else [_outdated(spec_file, key)], _unrecorded(spec_file)


def _lock_problems(path: Path) -> list[Problem]:
    try:
        read_lock(path, str(path))
    except SpecError as error:
        return error.problems
    return []


def _outdated(spec_file: SpecFile, key: str) -> Problem:
    mismatch = recorded_otherwise(spec_file, key)
    told = f"{mismatch.problem}: expected {mismatch.expected}, found {mismatch.actual}"
    command = update_command(spec_file.document.path)
    return Problem(spec_file.locate(mismatch.keys), f"{key}: {told}; record it anew: {command}")


def _unrecorded(spec_file: SpecFile) -> list[Problem]:
    """Return that nothing is recorded of the function, where the spec doesn't say so; pytest skips its check."""
    check = load_check("function")
    reason = None if check.place(spec_file.spec) is None else check.nothing_to_verify(spec_file)
    return [] if reason is None else [Problem(spec_file.locate(()), reason)]


def _format_line(problem: Problem, level: str) -> str:
    shown = "" if level == "error" else f"{level}: "
    return f"{problem.loc}:{problem.loc.column}: {shown}{' '.join(problem.message.splitlines())}"


def _format_annotation(problem: Problem, level: str) -> str:
    """Return a workflow command of GitHub, which shows the message at its line."""
    path = _escaped(problem.loc.path).replace(":", "%3A").replace(",", "%2C")
    place = f"file={path},line={problem.loc.line},col={problem.loc.column}"
    return f"::{level} {place},title=archcheck lint::{_escaped(problem.message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
