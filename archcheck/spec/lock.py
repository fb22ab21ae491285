"""What the machine recorded of a network: a file of its own beside the spec, NAME.arch.lock, read when it's asked for.

It is JSON, with a layer a line, and has no comments: it is written by archcheck and reviewed as a whole.
"""

from __future__ import annotations

import functools
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, ValidationError

from archcheck.errors import Problem, SourceLoc, SpecError
from archcheck.findings import Keys
from archcheck.spec.document import read_text
from archcheck.spec.field_types import Count, Number, PositiveInt, Text
from archcheck.spec.file_names import LOCK_SUFFIX, lock_path, spec_path
from archcheck.spec.models import FunctionKeys, Section

FORMAT: Final = 1
LOCK: Final = "lock"  # the first of the keys of a place that is in the lock, not in the spec
MAX_BYTES: Final = 1 << 26
NUM_OPENED_SETS: Final = 18  # of weights that may open a gate; `function.fingerprint.opened_gates` has them
_CONFLICT: Final = ("<<<<<<<", "=======", ">>>>>>>")


def _number(description: str) -> Any:
    """Return the field of a number that need not be there."""
    return Field(default=None, description=description)


class Digests(Section):
    """A few numbers of what one layer computes; see "What is recorded" in docs/spec/function.md."""

    mean: Number | None = _number("of the output in eval mode")
    rms: Number | None = _number("the output's root mean square in eval mode")
    eval: Number | None = _number("check of the output in eval mode")
    train: Number | None = _number("check of the output in train mode")
    large: Number | None = _number("check of the output in train mode with large biases and scales")
    other: Number | None = _number("check of the output under other weights, where the network's output has one sign")
    bounds: Number | None = _number(
        "check of the output at very large and small inputs, where the network calls a clamp"
    )
    opened: Number | None = _number("check of the output under weights that open a gate which the usual ones shut")
    gradient: Number | None = _number("check of the gradients of the parameters in it")
    buffers: Number | None = _number("check of the buffers in it that a step in train mode changes")
    initial: Number | None = _number("check of the constants that the parameters in it start from")
    inputs: Number | None = _number("check of the gradients of the network's inputs")
    inside: list[Number] = Field(default=[], description="a number for each call before it that has no line of its own")


class RecordedFunction(FunctionKeys):
    """The function that a network computes, by fixed inputs and weights, and how it was run."""

    inputs_from: Number | None = _number("check of the values that the spec's `inputs_from` makes")
    large: PositiveInt = Field(
        default=32, description="by what biases and scales are multiplied for large values; less where 32 is too much"
    )
    opened: list[Annotated[int, Field(strict=True, ge=0, lt=NUM_OPENED_SETS)]] = Field(
        default=[], description="the sets of weights that open a gate which the usual ones shut"
    )
    gains: dict[str, Annotated[int, Field(strict=True)]] = Field(
        default={}, description="of a weight, by sizes and number in the order of use: the power of 2 it's larger by"
    )
    dtypes: dict[str, dict[str, PositiveInt]] | None = Field(
        default=None, description="by module, the floating-point dtypes that its code names, and how often"
    )
    layers: dict[str, Digests] = Field(default={}, description="module name, or name[k] of its k-th call")
    output: Digests = Field(description="of the network as a whole")


class RecordedStart(Section):
    """What a parameter or buffer starts from where that is drawn: its shape, of how many numbers, and their moments."""

    shape: list[Count]
    count: PositiveInt
    mean: Number
    std: Number
    largest: Number


class RecordedLayerCost(Section):
    """What a layer itself costs in a step, without the layers in it."""

    calls: Count = Field(default=1, description="how often its forward runs")
    memory: Count = Field(default=0, description="bytes that it holds when the network holds most")
    kept: Count = Field(default=0, description="how many of these bytes its forward pass made")
    traffic: Count = Field(default=0, description="bytes that its operations read and write")
    operations: str = Field(default="", description="what it launches: names, with a number before those of several")


class RecordedCost(Section):
    """What a step costs, layer by layer."""

    step: Text
    layers: dict[str, RecordedLayerCost] = Field(default={}, description="in the order of execution")


class Lock(Section):
    """What was recorded of a network.

    Attributes:
        format: the version of the form of the file.
        recorded_with: the versions of what it was recorded with, by name.
        build: the spec's target, by which a lock is known whose spec has another name now.
        function: what the network computes, None where that isn't recorded.
        initial: what the drawn parameters and buffers start from, by name; None where that isn't recorded.
        cost: what a step costs, layer by layer; None where that isn't recorded.
    """

    format: int
    recorded_with: dict[str, Text] = Field(default={})
    build: Text | None = None
    function: RecordedFunction | None = None
    initial: dict[str, RecordedStart] | None = None
    cost: RecordedCost | None = None


@dataclass(frozen=True, slots=True)
class LockFile:
    """A valid lock with the text that it was read from; `shown` is how messages call it."""

    shown: str
    text: str
    value: Mapping[str, Any]
    lock: Lock

    def locate(self, keys: Keys) -> SourceLoc:
        """Return the line of the last of the keys that has one."""
        return _locate(self.text, self.shown, keys)


def read_lock(spec_path: Path, shown: str) -> LockFile | None:
    """Read the lock beside a spec; None where there is none. `shown` is how messages call the spec.

    Raises:
        SpecError: it can't be read, or isn't a lock that this version knows.
    """
    path = lock_path(spec_path)
    if not path.exists() and not path.is_symlink():
        return None
    shown_lock = str(lock_path(Path(shown)))
    return _parsed(read_text(path, shown_lock, MAX_BYTES), shown_lock, shown)


def update_command(shown: str, mode: str = "") -> str:
    """Return the command that records a spec's function anew, or with the mode `=new` for the first time."""
    return f"pytest --archcheck {shlex.quote(shown)} -k function --archcheck-update{mode}"


@functools.lru_cache(maxsize=4)
def _parsed(text: str, shown: str, spec: str) -> LockFile:
    """Parse the text of a lock; the checks of one spec ask for it one after the other."""
    anew = f"restore it, or delete it and record it anew: {update_command(spec, '=new')}"
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith(_CONFLICT):
            either = f"git checkout --ours {shlex.quote(shown)}, or --theirs"
            told = f"git left a conflict here: keep either side as a whole ({either}), then {update_command(spec)}"
            raise _error(shown, number, told)
    try:
        value = json.loads(text)
    except ValueError as error:
        raise _error(shown, getattr(error, "lineno", 1), f"this is no JSON ({error}): {anew}") from None
    found = value.get("format") if isinstance(value, dict) else None
    if isinstance(found, int) and found > FORMAT:
        told = f"format {found} is of a later archcheck, this one knows {FORMAT}: pip install -U pytest-archcheck"
        raise _error(shown, 1, told)
    try:
        return LockFile(shown, text, value, Lock.model_validate(value))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        loc = _locate(text, shown, first["loc"])
        place = ".".join(map(str, first["loc"]))
        raise _error(shown, loc.line, f"{place or 'the file'}: {first['msg']}; {anew}") from None


def _error(shown: str, line: int, message: str) -> SpecError:
    return SpecError([Problem(SourceLoc(shown, line, 1), message)])


def _locate(text: str, shown: str, keys: Keys) -> SourceLoc:
    line, start = 1, 0
    for key in keys:
        quoted = f"{json.dumps(str(key), ensure_ascii=False)}:"
        found = text.find(quoted, start)
        if found < 0:
            break
        line, start = text.count("\n", 0, found) + 1, found + len(quoted)
    return SourceLoc(shown, line, 1)


def moved_lock(path: Path, build: str) -> Path | None:
    """Return the one lock of a build, beside the spec in `path`, whose own spec isn't there: that of its old name."""
    found = []
    for other in path.parent.glob(f"*{LOCK_SUFFIX}"):
        if not spec_path(other).exists() and build_of_lock(other) == build:
            found.append(other)
    return found[0] if len(found) == 1 else None


def build_of_lock(path: Path) -> str | None:
    """Return the target that a lock was recorded of; None where that can't be read."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return value.get("build") if isinstance(value, dict) else None
