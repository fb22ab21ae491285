"""A spec file read and validated: text in, `SpecFile` or every problem found, nothing of torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from archcheck.errors import Problem, SourceLoc, SpecError
from archcheck.findings import Keys
from archcheck.spec.document import Document, parse_document, read_document
from archcheck.spec.file_names import spec_name
from archcheck.spec.inputs import InputSource
from archcheck.spec.layer_keys import format_layer_key, parse_layer_key
from archcheck.spec.lock import LOCK, LockFile, RecordedFunction, read_lock
from archcheck.spec.messages import in_order, problems_of
from archcheck.spec.models import Spec
from archcheck.spec.validation import check_spec


@dataclass(frozen=True, slots=True)
class SpecFile:
    """A valid spec with the text it was read from; `rootdir` is where modules that it names are looked for first."""

    path: Path
    document: Document
    spec: Spec
    rootdir: Path | None = None

    @property
    def name(self) -> str:
        """The name written in the spec, or else the file's."""
        return self.spec.name or spec_name(self.path)

    def lock(self) -> LockFile | None:
        """Read what was recorded, which stands beside the spec; None where nothing was.

        Raises:
            SpecError: it can't be read, or isn't a lock that this version knows.
        """
        return read_lock(self.path, self.document.path)

    @property
    def recorded(self) -> RecordedFunction | None:
        """What was recorded of the function, if that can be read; the check `function` tells where it can't."""
        if self.spec.function == "off":
            return None
        try:
            lock = self.lock()
        except SpecError:
            return None
        return None if lock is None else lock.lock.function

    def locate(self, keys: Keys, *, key: bool = False) -> SourceLoc:
        """Return where a value of the spec (or its key) is written, or the nearest section around it.

        What is recorded stands in the lock; a layer of it where the spec has a row of it, if it has.
        """
        if keys[:1] != (LOCK,):
            return self.document.locate(self.written(keys), key=key)
        row = self._row_of(keys)
        lock = self.lock() if row is None else None
        return self.document.locate(row or (), key=True) if lock is None else lock.locate(keys[1:])

    def _row_of(self, keys: Keys) -> Keys | None:
        """Return the place in the spec that speaks of what is recorded: a layer's row, or what comes out or goes in."""
        if keys[1:2] == ("function",) and keys[2:3] in (("output",), ("inputs_from",)):
            return keys[2:3] if keys[2] in self.document.value else None
        is_start = keys[1:2] == ("initial",)
        is_layer = keys[1:3] in (("function", "layers"), ("function", "dtypes")) and len(keys) > 3
        if not is_start and not is_layer:
            return None
        if is_start:
            return self.row_of(str(keys[2]).rpartition(".")[0])
        label = str(keys[3])
        return ("layers", label) if label in self.spec.layers else self.row_of(parse_layer_key(label).name)

    def row_of(self, module: str) -> Keys | None:
        """Return the place of the first row that speaks of a module, one of its own before a glob; None without one."""
        own = format_layer_key(module)
        matching = (text for text in self.spec.layers if parse_layer_key(text).matches(module))
        row = own if own in self.spec.layers else next(matching, None)
        return None if row is None else ("layers", row)

    def written(self, keys: Keys) -> Keys:
        """Return the keys as the file has them: in a layer's short form the output is the layer's value itself."""
        if keys[:1] != ("layers",) or len(keys) < 3 or keys[2] != "output":
            return keys
        short = not isinstance(self.document.value["layers"][keys[1]], dict)
        return (*keys[:2], *keys[3:]) if short else keys


def read_spec(path: Path, shown: str | None = None, rootdir: Path | None = None) -> SpecFile:
    """Read and validate a spec file; `shown` is how messages call it. Raises SpecError with every problem found."""
    return _validated(path, read_document(path, shown or str(path)), rootdir)


def parse_spec(text: str, shown: str = "<spec>", path: Path | None = None, rootdir: Path | None = None) -> SpecFile:
    """Validate the text of a spec. Raises SpecError with every problem found.

    `shown` is what messages call it; files that it names count from the folder of `path`.
    """
    return _validated(path or Path(shown), parse_document(text, shown), rootdir)


def _validated(path: Path, document: Document, rootdir: Path | None) -> SpecFile:
    try:
        spec = Spec.model_validate(document.value)
    except ValidationError as error:
        found = list(problems_of(document, error.errors(include_url=False)))
        elsewhere = _problems_elsewhere(path, document, [keys for keys, _ in found])
        raise SpecError(in_order([*(problem for _, problem in found), *elsewhere])) from None
    if isinstance(spec.input, InputSource):
        source = replace(spec.input, base_dir=path.parent, rootdir=rootdir)
        spec = spec.model_copy(update={"input": source})
    spec_file = SpecFile(path, document, spec, rootdir)
    problems = _problems_of_the_whole(spec_file)
    if problems:
        raise SpecError(problems)
    return spec_file


def _problems_of_the_whole(spec_file: SpecFile) -> list[Problem]:
    # What is missing from a section is told at its name, what is wrong at the value.
    return in_order(
        Problem(spec_file.locate(keys, key=keys == ("training",)), message)
        for keys, message in check_spec(spec_file.spec)
    )


def _problems_elsewhere(path: Path, document: Document, found: Sequence[Keys]) -> list[Problem]:
    """Check what the whole of a spec can still tell without its broken parts, so that one look tells everything."""
    value = dict(document.value)
    for keys in found:
        layers = value.get("layers")
        if len(keys) > 1 and keys[0] == "layers" and isinstance(layers, dict):
            value["layers"] = {name: layer for name, layer in layers.items() if name != keys[1]}
        elif keys:
            value.pop(str(keys[0]), None)
    broken_sizes = any(keys[:1] == ("sizes",) for keys in found)
    if not value.keys() & {"input", "inputs_from"} or broken_sizes:
        return []  # nothing can be told without the dimensions
    spec = Spec.model_validate({"build": "module:callable", **value})
    return _problems_of_the_whole(SpecFile(path, document, spec))
