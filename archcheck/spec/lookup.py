"""Find another spec by its path or name."""

from __future__ import annotations

from pathlib import Path

from archcheck.errors import SpecError, UsageError
from archcheck.spec.file_names import SUFFIX, spec_name
from archcheck.spec.spec_file import SpecFile, read_spec
from archcheck.text.words import did_you_mean


def find_spec(spec_file: SpecFile, name: str) -> SpecFile:
    """Read another spec by its path, or by its name in the same folder.

    Raises:
        UsageError: there is none, or more than one, or it's the spec itself.
        SpecError: it isn't a valid spec.
    """
    found = _find_spec(spec_file, name)
    if found.path.samefile(spec_file.path):
        raise UsageError(f"{name} is this spec itself: expected another one")
    return found


def _find_spec(spec_file: SpecFile, name: str) -> SpecFile:
    folder, shown = spec_file.path.parent, Path(spec_file.document.path).parent
    for path in (name, f"{name}{SUFFIX}"):
        if path.endswith(SUFFIX) and (folder / path).is_file():
            return read_spec(folder / path, str(shown / path), spec_file.rootdir)
    others = (_named(path, shown, name, spec_file.rootdir) for path in sorted(folder.glob(f"*{SUFFIX}")))
    found = [one for one in others if one is not None]
    if len(found) == 1:
        return found[0]
    names = [spec_name(path) for path in sorted(folder.glob(f"*{SUFFIX}"))]
    raise UsageError(f"{'no' if not found else 'more than one'} spec {name!r} in {shown}{did_you_mean(name, names)}")


def _named(path: Path, shown: Path, name: str, rootdir: Path | None) -> SpecFile | None:
    try:
        spec_file = read_spec(path, str(shown / path.name), rootdir)
    except SpecError:
        return None  # told by its own items
    return spec_file if spec_file.spec.name == name else None
