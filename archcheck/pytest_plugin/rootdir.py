"""Pytest's rootdir where the value of an option of ours has made it another.

Pytest looks for it before it knows the options of plugins: a path behind one of ours, apart from it, is to pytest one
to collect from, if it's there.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from inspect import signature
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from _pytest.config.findpaths import determine_setup


def require_own_rootdir(config: pytest.Config, args: Sequence[str]) -> None:
    """Raise pytest.UsageError where the rootdir, or the ini file, isn't what it is without options of ours.

    It's too late to take the right ones: plugins have seen the others. `args` are all that pytest has read.
    """
    misread = list(_paths_apart(config, args))
    chosen, right = (config.rootpath, config.inipath), _rootdir_and_ini(config)
    if misread and chosen != right:
        raise pytest.UsageError(
            f"{shlex.join(misread[0])}: pytest takes that for a path to collect from, and so {_describe(*chosen)} "
            f"instead of {_describe(*right)}: write {shlex.join(f'{option}={path}' for option, path in misread)}"
        )


def _paths_apart(config: pytest.Config, args: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the options of ours whose value is an argument of its own, and a path that is there, with that."""
    for option, value in pairwise(map(str, args)):
        if option.startswith("--archcheck-") and Path(config.invocation_params.dir, value).exists():
            read = getattr(config.known_args_namespace, option.removeprefix("--").replace("-", "_"), None)
            if value in (read if isinstance(read, list) else [read]):  # or it's a path behind a flag
                yield option, value


def _rootdir_and_ini(config: pytest.Config) -> tuple[Path, Path | None]:
    """Return what pytest finds with the paths alone that it's really to collect from."""
    read = config.known_args_namespace
    wanted: dict[str, Any] = {
        "inifile": read.inifilename, "override_ini": None, "args": read.file_or_dir,
        "rootdir_cmd_arg": read.rootdir or None, "invocation_dir": config.invocation_params.dir,
    }  # fmt: skip
    taken = signature(determine_setup).parameters  # pytest 8 knows no `override_ini`
    found = determine_setup(**{name: value for name, value in wanted.items() if name in taken})
    return found[0], found[1]


def _describe(rootdir: Path, ini: Path | None) -> str:
    return f"rootdir {rootdir} with {ini.name if ini is not None else 'no ini file'}"
