"""The record of a whole run: what `--archcheck-report` writes as JSON, and pages are made from.

Its fields are a promise to programs that read it: a field that goes, or means something else, takes another `VERSION`;
new ones may come, and readers leave what they don't know.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal, TypeAlias

from pydantic import ConfigDict, TypeAdapter, ValidationError

from archcheck.errors import UsageError
from archcheck.text.words import counted
from archcheck.throughput.records import SpeedFigures

FORMAT: Final = "archcheck-report"
VERSION: Final = 1

Verdict: TypeAlias = Literal["passed", "failed", "skipped", "interrupted", "error"]
CheckOutcome: TypeAlias = Literal["passed", "failed", "skipped", "updated", "unchanged", "error"]
# The gravest first, as pages show them.
OUTCOMES: Final[tuple[CheckOutcome, ...]] = ("error", "failed", "skipped", "updated", "passed", "unchanged")
FAILING: Final = ("error", "failed")


class _Documented:
    """A record whose fields are described by the texts below them, in the JSON Schema too."""

    __slots__ = ()
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(use_attribute_docstrings=True)


# ------------------------------------------------------------------------------------------- a check


@dataclass(frozen=True, slots=True)
class ExcerptLine(_Documented):
    """A line of a file."""

    number: int
    """counts from 1"""
    text: str


@dataclass(frozen=True, slots=True)
class Failure(_Documented):
    """One line of a spec that isn't true."""

    file: str
    """the spec or its lock, from where pytest was started"""
    line: int
    problem: str
    """what is wrong, in a line"""
    subject: str = ""
    """what it speaks of: a layer, a key of the spec"""
    expected: str | None = None
    actual: str | None = None
    module: str | None = None
    """the layer as it describes itself"""
    cause: str | None = None
    """what is the likely cause"""
    notes: tuple[tuple[str, str], ...] = ()
    """further texts, each with its label"""
    excerpt: tuple[ExcerptLine, ...] = ()
    """the lines around it"""


@dataclass(frozen=True, slots=True)
class CheckResult(_Documented):
    """The result of one check of one spec."""

    check: str
    outcome: CheckOutcome
    """error: it could not be made, as something around it failed; unchanged: left out by --archcheck-changed"""
    line: int | None = None
    """where it stands in the spec"""
    duration_sec: float = 0.0
    reason: str | None = None
    """why it was skipped"""
    failures: tuple[Failure, ...] = ()
    """what isn't true, the one that explains the others first"""
    num_more_failures: int = 0
    """those that are left out of `failures`"""
    accept: str | None = None
    """the command that accepts what was measured"""
    traceback: str | None = None
    """what was raised, where that is no finding"""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """what was measured, by name"""


# ------------------------------------------------------------------------------------------- a network


@dataclass(frozen=True, slots=True)
class Layer(_Documented):
    """One call of a module, in the order of execution; or what joins the results of several ones outside of any."""

    name: str
    """as a spec's key: the dotted name, and [k] where the module is called several times; empty for a join"""
    type: str
    """of the module; of a join the operation, such as add or cat"""
    depth: int
    """how many calls it is inside of; 0 for what the network itself calls"""
    output: str | None = None
    """the shape of what comes out, in free dimensions where that is possible"""
    parameters: int | None = None
    """of the module and all below it; null for what has none, and for a further call"""
    macs: int | None = None
    """multiply-adds of one example, with those of the calls inside"""
    sources: tuple[int, ...] = ()
    """whose output it takes, through whatever no layer does: places in the list, from 0; -1 is what goes into the
    network. Empty where it takes none, where that isn't known, and for calls with others inside"""


@dataclass(frozen=True, slots=True)
class Epoch(_Documented):
    """An epoch of training; null is what nobody knows, or what isn't finite."""

    epoch: int
    loss: float | None
    train_accuracy: float | None
    test_accuracy: float | None
    examples_per_sec: float | None
    duration_sec: float | None


@dataclass(frozen=True, slots=True)
class Calibrated(_Documented):
    """The runs that a minimum was set from."""

    mean: float
    std: float
    seeds: int
    device: str


@dataclass(frozen=True, slots=True)
class Training(_Documented):
    """A training run."""

    recipe: str
    """quick or full"""
    seed: int
    device: str
    precision: str | None
    metric: str
    """accuracy (top-1, from 0 to 1), or what a loss of a regression is measured by"""
    epochs: tuple[Epoch, ...] = ()
    final_accuracy: float | None = None
    minimum: float | None = None
    """what the run has to reach"""
    full_minimum: float | None = None
    """what a run by the full recipe has to reach, where this one was quick"""
    published: float | None = None
    """what a run by the full recipe reaches by what the spec's source states"""
    calibration: Calibrated | None = None
    fault: str | None = None
    """why it ended early"""


@dataclass(frozen=True, slots=True)
class Claim(_Documented):
    """What a spec claims of itself and another one."""

    claim: str
    """the key of the spec, such as faster_than"""
    other: str
    """the other spec"""
    by: float
    """the factor or margin"""
    outcome: CheckOutcome
    detail: str | None = None
    """what was found, or why nothing was"""


@dataclass(frozen=True, slots=True)
class SpecResult(_Documented):
    """All that a run found of one spec."""

    spec: str
    """the file, from where pytest was started"""
    name: str = ""
    build: str = ""
    source: str | None = None
    """where its numbers come from, as the spec says"""
    parameters: int | None = None
    macs: int | None = None
    """multiply-adds of one example"""
    checks: tuple[CheckResult, ...] = ()
    notes: tuple[str, ...] = ()
    layers: tuple[Layer, ...] = ()
    """the calls of its modules in the order of execution, and what joins their results"""
    first_difference: str | None = None
    """the name of the first layer that differs"""
    training: Training | None = None
    speed: SpeedFigures | None = None
    claims: tuple[Claim, ...] = ()
    output_sources: tuple[int, ...] = ()
    """whose output is the network's, as a layer's `sources` say"""
    memory: Mapping[str, int] = field(default_factory=dict)
    """bytes that each module itself holds when a step holds most, where `cost` measured it; by the modules' names"""

    @property
    def is_failing(self) -> bool:
        """Return whether any check failed, or could not be made for an error."""
        return any(check.outcome in FAILING for check in self.checks)

    @property
    def duration_sec(self) -> float:
        """Return the time of all checks."""
        return sum(check.duration_sec for check in self.checks)


# ------------------------------------------------------------------------------------------- a run


@dataclass(frozen=True, slots=True)
class Environment(_Documented):
    """What a run was made with."""

    archcheck: str
    python: str
    platform: str
    packages: Mapping[str, str] = field(default_factory=dict)
    """versions by distribution"""
    device: str | None = None
    """null where nothing needed torch"""
    cpu: str | None = None
    threads: int | None = None
    commit: str | None = None
    """of the repository that the run was made in"""
    is_dirty: bool | None = None
    """whether files that git knows differ from that commit"""
    seed: int | None = None
    """of --archcheck-seed; null for the specs' own"""
    job: str | None = None
    """the address of the CI job"""


@dataclass(frozen=True, slots=True)
class Run(_Documented):
    """One run of pytest."""

    command: str
    """to repeat it"""
    started_at: str
    """UTC, such as 2026-01-02T03:04:05Z"""
    duration_sec: float
    exit_status: int
    """pytest's"""
    environment: Environment
    num_not_run: int = 0
    """checks that were collected and had no turn, as after -x or Ctrl-C"""
    not_run: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """which ones they are, by spec"""
    other_tests: Mapping[str, int] = field(default_factory=dict)
    """how many tests that are no specs' checks had which outcome"""
    problems: tuple[str, ...] = ()
    """what went wrong besides the checks, such as files that could not be collected"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord(_Documented):
    """The result of verifying specs: of one run of pytest, or of several (shards) taken together."""

    format: Literal["archcheck-report"] = FORMAT
    version: Literal[1] = VERSION
    verdict: Verdict
    """skipped: nothing failed, and nothing was measured either; interrupted: by Ctrl-C; error: pytest's own"""
    totals: Mapping[str, int]
    """how many checks had which outcome; not_run: how many had no turn"""
    runs: tuple[Run, ...]
    specs: tuple[SpecResult, ...]
    """failing ones first, then by name"""

    def to_plain(self) -> dict[str, Any]:
        """Return plain values (maps, lists, text, numbers)."""
        plain: dict[str, Any] = adapter().dump_python(self)
        return plain

    def to_json(self, indent: int | None = None) -> str:
        """Return JSON, in ASCII, so that any text whatever survives."""
        return json.dumps(self.to_plain(), indent=indent, allow_nan=False, separators=None if indent else (",", ":"))


def run_verdict(exit_status: int, totals: Mapping[str, int]) -> Verdict:
    """Return the verdict of a run from pytest's exit status: 0 ok, 1 failed, 2 interrupted, 5 nothing to run."""
    if exit_status == 2:
        return "interrupted"
    if exit_status not in (0, 1, 5):
        return "error"
    if exit_status == 1 or any(totals.get(outcome) for outcome in FAILING):
        return "failed"
    return "passed" if any(totals.get(one) for one in ("passed", "updated", "unchanged")) else "skipped"


def count_outcomes(specs: tuple[SpecResult, ...], runs: Iterable[Run]) -> dict[str, int]:
    """Return how many checks had which outcome, without those that none had, and how many weren't run."""
    found = [check.outcome for spec in specs for check in spec.checks]
    counts: dict[str, int] = {outcome: found.count(outcome) for outcome in OUTCOMES if outcome in found}
    num_not_run = sum(run.num_not_run for run in runs)
    return {**counts, "not_run": num_not_run} if num_not_run else counts


def failing_first(specs: list[SpecResult]) -> tuple[SpecResult, ...]:
    """Return specs in the order of a report."""
    return tuple(sorted(specs, key=lambda spec: (not spec.is_failing, spec.spec)))


def run_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a record."""
    schema: dict[str, Any] = _without_titles(adapter().json_schema(mode="serialization"))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "archcheck report", **schema}


def read_run(text: str, shown: str) -> RunRecord:
    """Return the record that a file has.

    Raises:
        UsageError: it's none, or one of another version.
    """
    expected = f"{shown}: expected a report that --archcheck-report FILE.json wrote"
    try:
        plain = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{expected}, found no JSON: {error}") from None
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise UsageError(f"{expected}, found other JSON")
    if plain.get("version") != VERSION:
        raise UsageError(f"{shown}: a report of version {plain.get('version')}; this archcheck reads version {VERSION}")
    try:
        return adapter().validate_python(plain)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        where = ".".join(map(str, problems[0]["loc"]))
        raise UsageError(f"{expected}: {where}: {problems[0]['msg']} ({counted(len(problems), 'problem')})") from None


@functools.cache
def adapter() -> TypeAdapter[RunRecord]:
    """Return what validates and dumps a record."""
    return TypeAdapter(RunRecord)


def _without_titles(schema: Any) -> Any:
    """Leave out the titles, which repeat the names of the fields."""
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if not (key == "title" and isinstance(value, str))}
    return {key: _without_titles(value) for key, value in kept.items()}
