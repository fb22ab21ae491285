"""`archcheck new --manifest`: a spec for every network of a list, written and kept up."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from archcheck.cli.networks import head_of, say, seen_from
from archcheck.cli.new_spec import NewSpec, also_recorded, make_assumed_spec, make_spec
from archcheck.errors import UsageError
from archcheck.spec.file_names import SUFFIX, spec_name
from archcheck.spec.manifest import KEYS, Entry, read_manifest
from archcheck.spec.spec_file import read_spec
from archcheck.spec.target import parse_target
from archcheck.text.words import listed

_OTHERS = ("targets", "input", "inputs_from", "train_input", "size", "args", "interactive")


def read_entries(options: argparse.Namespace) -> tuple[list[Entry], Path]:
    """Return the networks of the manifest that is given, and the folder of their specs: `specs` beside it by default.

    Raises:
        SpecError: the manifest isn't one.
        UsageError: an option doesn't go with it.
    """
    wrong = next((name for name in _OTHERS if getattr(options, name)), None)
    if wrong is not None:
        raise UsageError(f"--manifest says what is built and what goes in: leave out {wrong}")
    path = Path(options.manifest)
    return read_manifest(path), Path(options.output) if options.output else path.parent / "specs"


def write_entry(entry: Entry, options: argparse.Namespace, folder: Path) -> NewSpec | None:
    """Write the spec of one network of a manifest; None where there is one that says the same already.

    Raises:
        UsageError: it can't be written, or the one that is there says something else and `--force` isn't given.
    """
    home = Path(options.manifest).parent
    target = _from_here(entry.build, home)
    build = seen_from(target, folder)
    values = dict(entry.values)
    if "inputs_from" in values:
        values["inputs_from"] = seen_from(_from_here(values["inputs_from"], home), folder)
    path = folder / f"{entry.name}{SUFFIX}"
    if path.exists() and not options.force:
        differing = list(_differing({"build": build, **values}, read_spec(path, rootdir=Path.cwd()).document.value))
        if differing:
            raise UsageError(f"{path} differs from the manifest in {', '.join(differing)}: --force writes it anew")
        return None
    if not values.keys() & {"input", "inputs_from"}:
        return make_assumed_spec(target, build, values, folder, options.depth, {}, also_recorded(options))
    return make_spec(head_of(build, values), target, folder, options.depth, also_recorded(options))


def _from_here(target: str, folder: Path) -> str:
    """Return a target as it's written from the working directory, where the manifest has it from its own folder."""
    return parse_target(target).seen_from(Path.cwd(), folder.resolve())


def _differing(expected: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    for key in KEYS[1:]:
        if key in expected or key in ("build", "args", "train_input"):
            nothing: Any = {} if key in ("args", "sizes") else None
            if expected.get(key, nothing) != found.get(key, nothing):
                yield key


def tell_surplus(entries: Sequence[Entry], folder: Path, manifest: str) -> None:
    """Say which specs of a folder are of no network in the manifest."""
    known = {entry.name for entry in entries}
    surplus = sorted(str(path) for path in folder.glob(f"*{SUFFIX}") if spec_name(path) not in known)
    if surplus:
        say(f"not in {manifest}: {listed(surplus)}")
