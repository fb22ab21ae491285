"""The paths to look for specs in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

import pytest

from archcheck.spec.spec_file import SUFFIX
from archcheck.text.paths import path_from


def choose_paths(config: pytest.Config) -> None:
    """Look in `archcheck_paths`, and only there, where the command line has no paths.

    Raises:
        pytest.UsageError: there is no spec file in the paths to look in.
    """
    root = config.rootpath
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args[:] = [str(root / path) for path in config.getini("archcheck_paths")]
    if config.option.pyargs or hasattr(config, "workerinput"):
        return  # a worker parses the command line anew; what there is to say, the controller has said
    start, skipped = config.invocation_params.dir, config.getini("norecursedirs")
    if not any(_has_spec(Path(start, argument.split("::")[0]), skipped) for argument in config.args):
        looked = ", ".join(path_from(Path(start, argument), start) for argument in config.args)
        raise pytest.UsageError(
            f"no spec file (*{SUFFIX}) in {looked}; write one: archcheck new module:callable --input B,3,224,224 "
            f"--output specs/, or say where they are: archcheck_paths in {config.inipath or 'pytest.ini'}"
        )


def _has_spec(path: Path, skipped: Sequence[str]) -> bool:
    """Return whether pytest would find a spec file at a path, or in a folder that it would go into."""
    if not path.is_dir():
        return path.name.endswith(SUFFIX)
    for _, folders, files in os.walk(path):
        if any(name.endswith(SUFFIX) for name in files):
            return True
        folders[:] = [name for name in folders if not any(fnmatch(name, pattern) for pattern in skipped)]
    return False
