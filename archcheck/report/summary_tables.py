"""The tables that a run ends with, as wide as there is room."""

from __future__ import annotations

import string
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from archcheck.checks.outcome import CheckReport
from archcheck.checks.registry import CHECKS
from archcheck.spec.file_names import SUFFIX
from archcheck.text.tables import Column, clip_start, fit_columns, format_columns, table_width
from archcheck.text.units import (
    format_bytes,
    format_count,
    format_known,
    format_macs,
    format_macs_rate,
    format_rate,
    format_seconds,
)
from archcheck.text.words import counted, listed
from archcheck.throughput.records import SpeedComparison, SpeedFigures, SpeedRecord
from archcheck.training.records import TrainingRecord

VERDICTS: Final = {"passed": "ok", "failed": "FAILED", "skipped": "skipped"}
ABSENT: Final = "-"  # of a check that a spec doesn't ask for
UNWRITTEN: Final = "not written"  # of an update whose file can't be
NOT_RUN: Final = "not run"  # of a check that had no turn, or was interrupted, as after -x or Ctrl-C
MARKS: Final = {
    "ok": ".", "FAILED": "F", UNWRITTEN: "!", NOT_RUN: "?", "skipped": "s", "updated": "u", "unchanged": "=",
    ABSENT: ABSENT,
}  # fmt: skip
_GRAVEST: Final = ("FAILED", NOT_RUN, "skipped", "ok")  # verdicts of a spec
ROWS_AT_MOST: Final = 40  # with more specs those that are ok are only counted
SPECS_OF_A_NOTE: Final = 6
_LEAST_SPEC: Final = (28, 8)  # characters that are left of a spec's path before other columns go, and behind them


@dataclass(slots=True)
class Row:
    """All that is known of one spec so far: a row of the table."""

    spec: str
    build: str = ""
    num_params: int | None = None
    macs: int | None = None
    verdicts: dict[str, str] = field(default_factory=dict)
    duration_sec: float = 0.0
    notes: list[str] = field(default_factory=list)
    training: TrainingRecord | None = None
    speed: SpeedFigures | None = None

    def add(self, found: CheckReport, verdict: str, duration_sec: float) -> None:
        """Add what one check found, with `passed`, `failed` or `skipped` as its verdict."""
        outcome = found.outcome
        self.build = found.build or self.build
        if outcome.counts is not None:
            self.num_params = outcome.counts.num_params if outcome.counts.num_params is not None else self.num_params
            self.macs = outcome.counts.macs if outcome.counts.macs is not None else self.macs
        if outcome.training is not None and outcome.training.epochs:
            self.training = outcome.training
        self.speed = outcome.speed or self.speed
        self.notes = list(dict.fromkeys([*self.notes, *outcome.notes]))
        self.verdicts[found.check] = "updated" if outcome.is_update and verdict == "passed" else VERDICTS[verdict]
        self.duration_sec += duration_sec

    def mark_unwritten(self) -> None:
        """Note that what its checks measured isn't written, as its file can't be."""
        self.verdicts = {check: UNWRITTEN if one == "updated" else one for check, one in self.verdicts.items()}

    def mark_not_run(self, checks: Iterable[str]) -> None:
        """Note the checks that were to run and didn't."""
        self.verdicts |= dict.fromkeys(checks, NOT_RUN)

    @property
    def verdict(self) -> str:
        """Return the gravest verdict of its checks; `FAILED` where an update isn't written, too."""
        if UNWRITTEN in self.verdicts.values():
            return "FAILED"
        return next((one for one in _GRAVEST if one in self.verdicts.values()), "ok")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a table; `verdict` is that of the spec whose row it is, empty for any other."""

    text: str
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Room:
    """The room for tables.

    width: in characters; None: as much as it takes. keeps_names: a spec's path is never cut short, as in a log, where
    a line may be longer. lists_all: nothing is left out however many specs there are.
    """

    width: int | None = None
    keeps_names: bool = False
    lists_all: bool = False

    def fit(self, columns: Sequence[Column]) -> list[Column]:
        """Leave out columns, and cut the first one short, where there is no room."""
        if self.width is None:
            return list(columns)
        clip = _keep_path if self.keeps_names else _clip_path
        fitting = list(columns)
        for least in _LEAST_SPEC:
            fitting = fit_columns([replace(fitting[0], least=least, clip=clip), *fitting[1:]], self.width)
        return fitting

    def has_room_for(self, columns: Sequence[Column]) -> bool:
        """Return whether a table fits as it is."""
        return self.width is None or table_width(columns) <= self.width

    def choose(self, rows: Iterable[Row]) -> list[Row]:
        """Return the rows to list, what failed first; of many specs only what isn't ok."""
        ordered = sorted(rows, key=lambda row: (_GRAVEST.index(row.verdict), row.spec))
        if self.lists_all or len(ordered) <= ROWS_AT_MOST:
            return ordered
        num_failed = sum(row.verdict == "FAILED" for row in ordered)
        return [row for row in ordered if row.verdict != "ok"][: max(num_failed, ROWS_AT_MOST)]


def _clip_path(path: str, limit: int) -> str:
    """Return what tells a spec from others: without the ending that all have, and then without the beginning."""
    return path if len(path) <= limit else clip_start(path.removesuffix(SUFFIX), limit)


def _keep_path(path: str, limit: int) -> str:
    del limit
    return path


# ------------------------------------------------------------------------------------------- specs and checks


def format_summary(rows: Sequence[Row], room: Room, num_unreached: int = 0) -> list[Line]:
    """Format the table of specs: build, parameters, MACs, each check's verdict, time; totals and notes below it.

    Of specs that no check was run of, as after -x or Ctrl-C, only their number is told.
    """
    listed_rows = room.choose(rows)
    lines = _format_rows(listed_rows, room) if listed_rows else []
    has_totals = len(rows) > 1 or num_unreached
    totals = [Line(_format_totals(rows, len(listed_rows), num_unreached))] if has_totals else []
    return [*lines, *totals, *_format_notes(rows, room)]


def _format_rows(rows: Sequence[Row], room: Room) -> list[Line]:
    """Format the rows with verdicts in words where there is room, else with a mark for each."""
    checks = [check for check in CHECKS if any(check in row.verdicts for row in rows)]
    verdicts = {check: [row.verdicts.get(check, ABSENT) for row in rows] for check in checks}
    words = _columns(rows, [Column(check, verdicts[check]) for check in checks])
    without_build = [one for one in words if one.header != "build"]
    for columns in (words, without_build):
        if room.has_room_for(columns):
            return _with_verdicts(format_columns(columns), rows)
    letters = check_letters(CHECKS)  # of all that there are, so that they don't change from run to run
    marks = [" ".join(MARKS.get(verdicts[check][i], "?") for check in checks) for i in range(len(rows))]
    columns = _columns(rows, [Column(" ".join(letters[check] for check in checks), marks)])
    if not room.has_room_for(columns):  # a path says more than a build
        columns = [one for one in columns if one.header != "build"]
    legend = _legend({letters[check]: check for check in checks}, verdicts.values(), room)
    return [*_with_verdicts(format_columns(room.fit(columns)), rows), *legend]


def _columns(rows: Sequence[Row], checks: Sequence[Column]) -> list[Column]:
    return [
        Column("spec", [row.spec for row in rows]),
        Column("build", [row.build or ABSENT for row in rows]),
        Column("parameters", [format_count(row.num_params) for row in rows], is_right=True, goes=1),
        Column("MACs", [format_macs(row.macs) for row in rows], is_right=True, goes=0),
        *checks,
        Column("time", [format_seconds(row.duration_sec) for row in rows], is_right=True, goes=2),
    ]


def _with_verdicts(lines: Sequence[str], rows: Sequence[Row]) -> list[Line]:
    head = len(lines) - len(rows)
    return [*map(Line, lines[:head]), *(Line(text, row.verdict) for text, row in zip(lines[head:], rows, strict=True))]


def check_letters(checks: Iterable[str]) -> dict[str, str]:
    """Return a letter for each check: the first one of its name that no check before it has."""
    letters: dict[str, str] = {}
    for check in checks:
        own = [one for one in check if one.isalpha()]
        free = (one for one in (*own, *string.ascii_uppercase) if one not in letters.values())
        letters[check] = next(free, "?")
    return letters


def _legend(names: Mapping[str, str], verdicts: Iterable[Sequence[str]], room: Room) -> list[Line]:
    """Say what the letters and the marks mean, of those that there are."""
    seen = {verdict for column in verdicts for verdict in column}
    meanings = {"FAILED": "failed", ABSENT: "not asked for"}
    marks = [f"{mark} {meanings.get(verdict, verdict)}" for verdict, mark in MARKS.items() if verdict in seen]
    return [
        *_wrapped("checks: ", [f"{letter} {name}" for letter, name in names.items()], room),
        *_wrapped("marks:  ", marks, room),
    ]


def _wrapped(label: str, parts: Iterable[str], room: Room) -> list[Line]:
    text = ", ".join(part.replace(" ", "\N{NO-BREAK SPACE}") for part in parts)
    lines = textwrap.wrap(text, room.width or len(text) + len(label), initial_indent=label, subsequent_indent="  ")
    return [Line(line.replace("\N{NO-BREAK SPACE}", " ")) for line in lines]


def _format_totals(rows: Sequence[Row], num_listed: int, num_unreached: int) -> str:
    """Format how many specs came out how, and what was skipped where it isn't listed."""
    count = Counter(row.verdict for row in rows)
    told = {"FAILED": "failed", NOT_RUN: "not finished", "skipped": "with skipped checks", "ok": "ok"}
    counts = [f"{count[one]} {what}" for one, what in told.items() if count[one]]
    if num_unreached:
        counts.append(f"{num_unreached} not reached")
    text = f"{counted(len(rows) + num_unreached, 'spec')}: {', '.join(counts)}"
    if num_listed == len(rows):
        return text
    skipped = Counter(check for row in rows for check, verdict in row.verdicts.items() if verdict == "skipped")
    if num_listed < len(rows) - count["ok"]:
        text += f"; skipped: {', '.join(f'{number} {check}' for check, number in skipped.items())}"
    return f"{text}; -v lists all"


def _format_notes(rows: Sequence[Row], room: Room) -> list[Line]:
    """Format what there is to know of specs, once for all that it is the same of."""
    specs: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda row: row.spec):
        if row.notes:
            specs.setdefault("; ".join(row.notes), []).append(row.spec)
    at_most = len(rows) if room.lists_all else SPECS_OF_A_NOTE
    return [Line(f"{listed(names, at_most)}: {note}") for note, names in specs.items()]


# ------------------------------------------------------------------------------------------- figures


def format_trainings(rows: Sequence[Row], room: Room) -> list[str]:
    """Format a line for each network that was trained; nothing where none was."""
    trained = [(row.spec, row.training) for row in room.choose(row for row in rows if row.training) if row.training]
    runs = [run for _, run in trained]
    last = [run.epochs[-1] for run in runs]
    columns = [
        Column("spec", [spec for spec, _ in trained]),
        Column("recipe", [run.kind for run in runs], goes=2),
        Column("device", [_format_trained_on(run) for run in runs], goes=5),
        Column("precision", [run.precision or "-" for run in runs], goes=1),
        Column("seed", [str(run.seed) for run in runs], is_right=True, goes=0),
        Column("epochs", [str(one.epoch) for one in last], is_right=True, goes=6),
        Column("loss", [format_known(one.loss, 4) for one in last], is_right=True, goes=3),
        Column("train", [format_known(one.train_accuracy, 3) for one in last], is_right=True, goes=4),
        Column("test", [format_known(run.final_accuracy, 3) for run in runs], is_right=True),
        Column("examples/s", [format_rate(run.examples_per_sec) for run in runs], is_right=True, goes=7),
    ]
    return format_columns(room.fit(columns)) if trained else []


def _format_trained_on(run: TrainingRecord) -> str:
    """Format a device, with the threads of a CPU where they are several: a curve is repeated by as many."""
    return f"{run.device}, {run.num_threads} threads" if run.device == "cpu" and run.num_threads > 1 else run.device


def format_speeds(rows: Sequence[Row], room: Room) -> list[str]:
    """Format a line for each network that was timed; nothing where none was."""
    timed = room.choose(row for row in rows if row.speed)
    return format_speed_table([(row.spec, row.speed) for row in timed if row.speed], room)


def format_speed_table(timed: Sequence[tuple[str, SpeedFigures]], room: Room) -> list[str]:
    """Format specs and their figures, a line each."""
    speeds = [speed.record for _, speed in timed]
    columns = [
        Column("spec", [spec for spec, _ in timed]),
        Column("mode", [one.mode for one in speeds], goes=6),
        Column("device", [_format_device(one) for one in speeds], goes=7),
        Column("precision", [one.precision for one in speeds], goes=2),
        Column("batch", [str(one.batch_size) for one in speeds], is_right=True, goes=5),
        Column("examples/s", [format_rate(one.examples_per_sec) for one in speeds], is_right=True),
        Column("MACs", [format_macs_rate(one.macs_per_sec) for one in speeds], is_right=True, goes=1),
        Column("of peak", [_format_share(one.utilization) for one in speeds], is_right=True, goes=3),
        Column("of bound", [_format_share(one.share_of_bound) for one in speeds], is_right=True, goes=3),
        Column("memory", [format_bytes(one.peak_memory_bytes) for one in speeds], is_right=True, goes=4),
        Column("compile", [_format_compile(one) for one in speeds], is_right=True, goes=0),
    ]
    if any(speed.comparison is not None for _, speed in timed):
        columns.append(Column("against", [_format_against(speed.comparison) for _, speed in timed]))
    return format_columns(room.fit(columns)) if timed else []


def _format_device(speed: SpeedRecord) -> str:
    return f"{speed.device}, {speed.num_threads} thread" if speed.num_threads else speed.device


def _format_share(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _format_compile(speed: SpeedRecord) -> str:
    return format_seconds(speed.compile_sec) if speed.compile_sec else "-"


def _format_against(comparison: SpeedComparison | None) -> str:
    return f"{comparison.speedup:.2f}x {comparison.against}" if comparison is not None else "-"
