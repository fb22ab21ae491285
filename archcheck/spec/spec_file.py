"""A spec file read and validated: text in, `SpecFile` or every problem found, nothing of torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from archcheck.errors import Problem, SourceLoc, SpecError
from archcheck.findings import Keys
from archcheck.spec.document import Document, parse_document, read_document
from archcheck.spec.messages import in_order, problems_of
from archcheck.spec.models import (
    Better,
    Budget,
    Claims,
    Digests,
    EquivalentTo,
    Faster,
    Function,
    Health,
    Layer,
    Parameters,
    Quick,
    Spec,
    Throughput,
    Training,
)
from archcheck.spec.validation import (
    _check_dimensions,
    _check_function,
    _check_training,
)

SUFFIX = ".arch.yaml"


@dataclass(frozen=True, slots=True)
class SpecFile:
    """A valid spec with the text it was read from."""

    path: Path
    document: Document
    spec: Spec

    @property
    def name(self) -> str:
        """The name written in the spec, or else the file's."""
        return self.spec.name or spec_name(self.path)

    def locate(self, keys: Keys, *, key: bool = False) -> SourceLoc:
        """Where a value of the spec (or its key) is written, or the nearest section around it."""
        return self.document.locate(self.written(keys), key=key)

    def written(self, keys: Keys) -> Keys:
        """The keys as the file has them: in a layer's short form the output is the layer's value itself."""
        if keys[:1] != ("layers",) or len(keys) < 3 or keys[2] != "output":
            return keys
        short = isinstance(self.document.value["layers"][keys[1]], list)
        return (*keys[:2], *keys[3:]) if short else keys


def spec_name(path: Path) -> str:
    """The file's name without its ending."""
    return path.name.removesuffix(SUFFIX)


def read_spec(path: Path, shown: str | None = None) -> SpecFile:
    """Read and validate a spec file; `shown` is how messages call it. Raises SpecError with every problem found."""
    return _validated(path, read_document(path, shown or str(path)))


def parse_spec(text: str, shown: str = "<spec>", path: Path | None = None) -> SpecFile:
    """Validate the text of a spec. Raises SpecError with every problem found.

    `shown` is what messages call it; files that it names count from the folder of `path`.
    """
    return _validated(path or Path(shown), parse_document(text, shown))


def _validated(path: Path, document: Document) -> SpecFile:
    try:
        spec = Spec.model_validate(document.value)
    except ValidationError as error:
        found = list(problems_of(document, error.errors(include_url=False), _known_keys))
        elsewhere = _problems_elsewhere(path, document, [keys for keys, _ in found])
        raise SpecError(in_order([*(problem for _, problem in found), *elsewhere])) from None
    spec_file = SpecFile(path, document, spec)
    problems = _problems_of_the_whole(spec_file)
    if problems:
        raise SpecError(problems)
    return spec_file


def _problems_of_the_whole(spec_file: SpecFile) -> list[Problem]:
    spec = spec_file.spec
    found = [*_check_dimensions(spec), *_check_training(spec), *_check_function(spec)]
    # What is missing from a section is told at its name, what is wrong at the value.
    return in_order(Problem(spec_file.locate(keys, key=keys == ("training",)), message) for keys, message in found)


def _problems_elsewhere(path: Path, document: Document, found: Sequence[Keys]) -> list[Problem]:
    """What the whole can still tell of a spec without its broken parts, so that one look tells everything."""
    value = dict(document.value)
    for keys in found:
        layers = value.get("layers")
        if len(keys) > 1 and keys[0] == "layers" and isinstance(layers, dict):
            value["layers"] = {name: layer for name, layer in layers.items() if name != keys[1]}
        elif keys:
            value.pop(str(keys[0]), None)
    broken_sizes = any(keys[:1] == ("sizes",) for keys in found)
    if "input" not in value or broken_sizes:
        return []  # nothing can be told without the dimensions
    spec = Spec.model_validate({"build": "module:callable", **value})
    return _problems_of_the_whole(SpecFile(path, document, spec))


def _known_keys(loc: Sequence[str | int]) -> Iterable[str]:
    """The keys that may stand at a place of a spec."""
    return _model_at(loc).model_fields


def _model_at(loc: Sequence[str | int]) -> type[BaseModel]:
    """The model whose keys stand at a location."""
    model: type[BaseModel] = Spec
    by_name: dict[str, type[BaseModel]] = {
        "layers": Layer, "parameters": Parameters, "training": Training, "quick": Quick, "throughput": Throughput,
        "claims": Claims, "faster_than": Faster, "better_than": Better, "health": Health, "equivalent_to": EquivalentTo,
        "function": Function, "budget": Budget,
    }  # fmt: skip
    if loc[:1] == ("function",) and {"layers", "output"} & set(loc[1:3]):  # pydantic puts in which form it tried
        return Digests
    for part in loc[:1] if loc and loc[0] == "layers" else loc:
        model = by_name.get(str(part), model)
    return model
