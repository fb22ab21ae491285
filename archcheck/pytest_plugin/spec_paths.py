"""The spec files of a run: where they are looked for, and what is collected beside them."""

from __future__ import annotations

import glob
import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest

from archcheck.errors import SpecError
from archcheck.spec.file_names import LOCK_SUFFIX, SUFFIX, spec_path
from archcheck.text.paths import path_from
from archcheck.text.words import did_you_mean, quoted

WRITE_ONE = "archcheck new module:callable --input B,3,224,224 --output specs/"


@dataclass(frozen=True, slots=True)
class SpecPaths:
    """The files of a run: specs that lie in `specs`, and others that lie in `others`; None stands for anywhere."""

    specs: tuple[Path, ...] | None
    others: tuple[Path, ...] | None

    def is_spec(self, path: Path) -> bool:
        """Return whether a file is a spec to verify."""
        return path.name.endswith(SUFFIX) and (self.specs is None or _lies_in(path, self.specs))

    def is_lock(self, path: Path) -> bool:
        """Return whether a file is the lock of a spec to verify, be that there or not."""
        return path.name.endswith(LOCK_SUFFIX) and self.is_spec(spec_path(path))

    def is_left_out(self, path: Path) -> bool:
        """Return whether something is a file that merely lies beside specs, where only those are wanted."""
        is_ours = self.is_spec(path) or self.is_lock(path)
        return self.others is not None and not _lies_in(path, self.others) and not is_ours and path.is_file()


def choose_paths(config: pytest.Config) -> SpecPaths | None:
    """Choose where this run looks for specs; None where no spec is among what it looks at.

    With `--archcheck` on the command line these are the paths there, or else `archcheck_paths` and nothing beside it.
    Where the ini file or `addopts` ask for specs, they are added to the tests of a run without paths.

    Raises:
        pytest.UsageError: there is no spec file where one has to be, or no check of the name that is given.
    """
    _take_locks_for_specs(config)
    is_alone = "--archcheck" in map(str, config.invocation_params.args)
    paths = _specs_alone(config) if is_alone else _specs_beside_tests(config)
    _require_checks(config)
    return paths


def spec_folders(config: pytest.Config) -> list[Path]:
    """Return where `--archcheck` looks for specs."""
    return _configured(config, "archcheck_paths", "archcheck")[1]


def _take_locks_for_specs(config: pytest.Config) -> None:
    """Put specs in the place of their locks, which a shell's `specs/resnet*` names too."""
    start = config.invocation_params.dir
    locked = {name: spec_path(Path(name)) for name in config.args if name.endswith(LOCK_SUFFIX)}
    specs = {name: str(spec) for name, spec in locked.items() if (start / spec).exists()}
    config.args[:] = dict.fromkeys(specs.get(name, name) for name in config.args)


def _specs_alone(config: pytest.Config) -> SpecPaths:
    paths, places = SpecPaths(None, None), _arguments(config)
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        key, places = _configured(config, "archcheck_paths", "archcheck")
        _require_there(config, key, places)
        config.args[:] = map(str, places)
        paths = SpecPaths(None, ())
    if not config.option.pyargs:
        _require_spec(config, places)
    return paths


def _specs_beside_tests(config: pytest.Config) -> SpecPaths | None:
    """Add specs to the tests of a run without paths, as `testpaths` are: where it starts in the rootdir."""
    arguments = _arguments(config)
    key, places = _configured(config, "archcheck", "archcheck_paths")
    if config.args_source is pytest.Config.ArgsSource.ARGS or config.invocation_params.dir != config.rootpath:
        named = [path for path in arguments if path.name.endswith(SUFFIX)]
        meet = any(_lies_in(place, arguments) or _lies_in(path, [place]) for place in places for path in arguments)
        return SpecPaths((*places, *named), None) if named or meet or config.option.pyargs else None
    _require_there(config, key, places)
    _require_spec(config, places)
    _require_entered(config, key, places, arguments)
    tests = [path for path in arguments if not _lies_in(path, places)]
    config.args[:] = map(str, [*tests, *(place for place in places if not _lies_in(place, tests))])
    return SpecPaths(tuple(places), tuple(arguments))


def _arguments(config: pytest.Config) -> list[Path]:
    """Return the files and folders that pytest is to look at."""
    start = config.invocation_params.dir
    return [Path(os.path.abspath(start / argument.split("::")[0])) for argument in config.args]


def _lies_in(path: Path, places: Iterable[Path]) -> bool:
    return any(path.is_relative_to(place) for place in places)


# ------------------------------------------------------------------------------------------- what has to be there


def _configured(config: pytest.Config, *keys: str) -> tuple[str, list[Path]]:
    """Return the first of some keys that the ini file has, and what it names, with `*` and `**` as in `testpaths`.

    What isn't there is among it as it is written. Without any of the keys it is `specs`.
    """
    root = config.rootpath
    for key in keys:
        entries = config.getini(key)
        if entries:
            found = [sorted(glob.glob(entry, root_dir=root, recursive=True)) or [entry] for entry in entries]
            return key, [Path(os.path.abspath(root / name)) for names in found for name in names]
    return "", [root / "specs"]


def _require_there(config: pytest.Config, key: str, places: Iterable[Path]) -> None:
    """Raise pytest.UsageError for what the ini file names and isn't there."""
    for place in places:
        if key and not place.exists():
            name = path_from(place, config.rootpath)
            close = did_you_mean(name, (path.name for path in config.rootpath.iterdir() if path.is_dir()))
            raise pytest.UsageError(
                f"{_in_ini(config, key)}: there is no {name} in {config.rootpath}"
                f"{close or f'; write a spec: {WRITE_ONE}'}"
            )


def _in_ini(config: pytest.Config, key: str) -> str:
    ini = path_from(config.inipath, config.invocation_params.dir) if config.inipath is not None else "pytest.ini"
    return f"{key} in {ini}"


def _require_spec(config: pytest.Config, places: Iterable[Path]) -> None:
    """Raise pytest.UsageError where no place has a spec: nothing verified is not everything verified."""
    start, skipped = config.invocation_params.dir, config.getini("norecursedirs")
    if not any(_first_spec(place, skipped) for place in places):
        raise pytest.UsageError(
            f"no spec file (*{SUFFIX}) in {', '.join(path_from(place, start) for place in places)}; "
            f"write one: {WRITE_ONE}, or say where they are: {_in_ini(config, 'archcheck_paths')}"
        )


def _require_checks(config: pytest.Config) -> None:
    """Raise pytest.UsageError for the node id of a check that its spec doesn't have."""
    for argument in config.args:
        shown, separator, name = argument.partition("::")
        path = config.invocation_params.dir / shown
        if separator and shown.endswith(SUFFIX) and path.is_file():
            _require_check(config, path, shown, name)


def _require_check(config: pytest.Config, path: Path, shown: str, name: str) -> None:
    from archcheck.pytest_plugin.items import checks_of
    from archcheck.spec.spec_file import read_spec

    try:
        spec = read_spec(path, shown, config.rootpath).spec
    except SpecError:
        if name != "spec":
            told = f"{shown} can't be read, so that it has no check {quoted(name)}; {shown}::spec tells why"
            raise pytest.UsageError(told) from None
        return
    names = [check.name for check in checks_of(spec, config.getoption("archcheck_update"))]
    if name not in names:
        close = did_you_mean(name, names)
        raise pytest.UsageError(f"{shown} has no check {quoted(name)}, but {', '.join(names)}{close}")


def _require_entered(config: pytest.Config, key: str, places: Iterable[Path], arguments: Iterable[Path]) -> None:
    """Raise pytest.UsageError for a folder that pytest would not go into, as it looks at one around it."""
    skipped = config.getini("norecursedirs")
    for place in places:
        for around in arguments:
            inner = place.relative_to(around).parts if place.is_relative_to(around) else ()
            if any(_is_skipped(part, skipped) for part in inner):
                raise pytest.UsageError(
                    f"{_in_ini(config, key)}: pytest doesn't go into {path_from(place, config.rootpath)}; "
                    f"say what else it is to look at (testpaths), or change norecursedirs"
                )


def _first_spec(path: Path, skipped: Sequence[str]) -> Path | None:
    """Return the first spec file that pytest would find at a path, or in a folder that it would go into."""
    if not path.is_dir():
        return path if path.name.endswith(SUFFIX) else None
    for folder, folders, files in os.walk(path):
        specs = sorted(name for name in files if name.endswith(SUFFIX))
        if specs:
            return Path(folder, specs[0])
        folders[:] = sorted(name for name in folders if not _is_skipped(name, skipped))
    return None


def _is_skipped(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


# ------------------------------------------------------------------------------------------- without `--archcheck`


def refuse_specs(config: pytest.Config) -> None:
    """Raise pytest.UsageError where a run that verifies no specs is given one, with the command that would do."""
    named = [argument for argument in config.args if argument.split("::")[0].endswith(SUFFIX)]
    if named and config.args_source is pytest.Config.ArgsSource.ARGS:
        command = shlex.join(["pytest", "--archcheck", *map(str, config.invocation_params.args)])
        raise pytest.UsageError(f"{named[0]}: specs are verified with --archcheck: {command}")


def overlooked_specs(config: pytest.Config) -> str | None:
    """Return the command that verifies specs that lie in what a run looked at; None where there are none."""
    start, skipped = config.invocation_params.dir, config.getini("norecursedirs")
    for path in _arguments(config):
        spec = _first_spec(path, skipped)
        if spec is not None:
            return f"pytest --archcheck {shlex.quote(path_from(spec.parent, start))}"
    return None
