"""A run as Markdown, for the summary of a job of GitHub's and for comments: failures first, cut cleanly at a limit.

Whatever comes from a spec, a network or an error stands in `<code>` or `<pre>`, with every character that means
something to Markdown or HTML as an entity. So it can't end a table, open a tag, link, or call anybody by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from archcheck.report.run_record import (
    FAILING,
    OUTCOMES,
    CheckResult,
    Failure,
    Run,
    RunRecord,
    SpecResult,
)
from archcheck.text.units import format_count, format_macs, format_seconds
from archcheck.text.visible import visible
from archcheck.text.words import clip, counted

LIMIT_BYTES: Final = 1024 * 1024  # of a step's summary on GitHub
MARKS: Final = {"passed": "✓", "failed": "✗", "skipped": "○", "updated": "↻", "unchanged": "=", "error": "!"}
VERDICT_MARKS: Final = {"passed": "✅", "failed": "❌", "skipped": "⚪", "interrupted": "🛑", "error": "🛑"}
_INLINE_CHARS: Final = 300
_BLOCK_LINES, _LINE_CHARS = 60, 400
_NOTE_BYTES: Final = 400  # kept free for the note of what was left out
_FAILURES_SHARE: Final = 0.7  # of the room, for failures in full
_LITERAL: Final = frozenset(" ,/.=()+-")


def format_markdown(record: RunRecord, limit_bytes: int = LIMIT_BYTES) -> str:
    """Return a run as Markdown of at most so many bytes; empty where not even the verdict has room."""
    page = _Page(limit_bytes - _NOTE_BYTES)
    if not page.add(_head(record)):
        return ""
    _add_failures(page, record)
    _add_table(page, record)
    for block in (*_skips(record), *_notes(record), *_problems(record), *map(_environment, record.runs)):
        if not page.add(block):
            page.leave_out("a section")
    return page.text()


class _Page:
    """Markdown that grows as long as there is room; what has none is counted."""

    def __init__(self, room_bytes: int) -> None:
        self._room = room_bytes
        self._parts: list[str] = []
        self._left_out: dict[str, int] = {}

    def add(self, text: str, share: float = 1.0) -> bool:
        """Add a part, if it fits into a share of the room; return whether it does."""
        size = len(text.encode("utf-8", errors="backslashreplace"))
        if size > self._room * share:
            return False
        self._parts.append(text)
        self._room -= size
        return True

    def leave_out(self, what: str, number: int = 1) -> None:
        self._left_out[what] = self._left_out.get(what, 0) + number

    def text(self) -> str:
        if self._left_out:
            what = ", ".join(counted(number, name.removeprefix("a ")) for name, number in self._left_out.items())
            self._parts.append(f"\n_Left out here, as there is no more room: {what}. The page or the JSON has all._\n")
        return "".join(self._parts)


# ------------------------------------------------------------------------------------------- parts


def count_specs(record: RunRecord) -> str:
    """Return how many specs a run has, and how many of them fail where any does: `1 of 12 specs`."""
    failing, specs = sum(spec.is_failing for spec in record.specs), counted(len(record.specs), "spec")
    return f"{failing:_} of {specs}" if failing else specs


def _head(record: RunRecord) -> str:
    told = (f"{number:_} {outcome.replace('_', ' ')}" for outcome, number in record.totals.items())
    counts = ", ".join(told) or "none ran"
    seconds = format_seconds(sum(run.duration_sec for run in record.runs))
    mark = VERDICT_MARKS[record.verdict]
    return f"## {mark} archcheck: {record.verdict}: {count_specs(record)}\n\nChecks: {counts}. {seconds}.\n\n"


def _add_failures(page: _Page, record: RunRecord) -> None:
    """Add failures: in full while they take their share, then in a line each."""
    whole = page._room
    found = [(spec, check) for spec in record.specs for check in spec.checks if check.outcome in FAILING]
    for spec, check in found:
        in_full = _failure(spec, check)
        is_early = page._room > whole * (1 - _FAILURES_SHARE)
        if not ((is_early and page.add(in_full)) or page.add(f"- {_headline(spec, check)}\n\n")):
            page.leave_out("a failure")


def _failure(spec: SpecResult, check: CheckResult) -> str:
    blocks = [_failure_block(failure) for failure in check.failures]
    if check.num_more_failures:
        blocks.append(f"and {check.num_more_failures} more")
    if check.traceback:
        blocks.append(check.traceback)
    if check.accept:
        blocks.append(f"accept    {check.accept}")
    body = "\n".join(_pre(block) for block in blocks)
    return f"<details><summary>{_headline(spec, check)}</summary>\n\n{body}\n</details>\n\n"


def _headline(spec: SpecResult, check: CheckResult) -> str:
    first = check.failures[0] if check.failures else None
    where = f"{first.file}:{first.line}" if first is not None else spec.spec
    what = _gist(first) if first is not None else (check.traceback or "").strip().rpartition("\n")[2]
    cause = f" ({first.cause})" if first is not None and first.cause else ""
    more = len(check.failures) + check.num_more_failures - 1
    return f"{MARKS[check.outcome]} {code(check.check)} {code(where)} {code(f'{what}{cause}')}" + (
        f" and {more} more" if more > 0 else ""
    )


def _gist(failure: Failure) -> str:
    return f"{failure.subject}: {failure.problem}" if failure.subject else failure.problem


def _failure_block(failure: Failure) -> str:
    lines = [f"{failure.file}:{failure.line}: {_gist(failure)}"]
    lines += [f"{'>' if one.number == failure.line else ' '} {one.number:>5}  {one.text}" for one in failure.excerpt]
    labelled = [
        ("expected", failure.expected), ("actual", failure.actual), ("module", failure.module),
        *failure.notes, ("cause", failure.cause),
    ]  # fmt: skip
    lines += [f"{label:<8}  {text}" for label, text in labelled if text is not None]
    return "\n".join(lines)


def _add_table(page: _Page, record: RunRecord) -> None:
    checks = checks_in_order(record.specs)
    if not checks:
        return
    used = {check.outcome for spec in record.specs for check in spec.checks}
    legend = ", ".join(f"{MARKS[one]} {one}" for one in OUTCOMES if one in used)
    heads = ["spec", "parameters", "MACs", *map(code, checks), "time"]
    aligned = ["---", "--:", "--:", *[":-:" for _ in checks], "--:"]
    page.add(f"{legend}\n\n| {' | '.join(heads)} |\n| {' | '.join(aligned)} |\n")
    for number, spec in enumerate(record.specs):
        if not page.add(_row(spec, checks)):
            page.leave_out("a row", len(record.specs) - number)
            break
    page.add("\n")


def _row(spec: SpecResult, checks: Sequence[str]) -> str:
    marks = {check.check: MARKS[check.outcome] for check in spec.checks}
    cells = [
        code(spec.spec), format_count(spec.parameters), format_macs(spec.macs),
        *(marks.get(check, "") for check in checks), format_seconds(spec.duration_sec),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |\n"


def checks_in_order(specs: Sequence[SpecResult]) -> list[str]:
    """Return the checks that any spec has, each behind those that it comes behind in a spec."""
    ordered: list[str] = []
    for spec in specs:
        place = 0
        for check in spec.checks:
            if check.check in ordered:
                place = ordered.index(check.check) + 1
            else:
                ordered.insert(place, check.check)
                place += 1
    return ordered


def _skips(record: RunRecord) -> Iterator[str]:
    skips = skips_by_reason(record.specs)
    if skips:
        lines = [
            f"- {code(reason)}: {_named([f'{spec} {check}' for spec, check in where])}"
            for reason, where in skips.items()
        ]
        number = sum(map(len, skips.values()))
        yield f"<details><summary>{number:_} not measured</summary>\n\n" + "\n".join(lines) + "\n\n</details>\n\n"


def _notes(record: RunRecord) -> Iterator[str]:
    """Yield what there is to know of specs, once for all that it is the same of."""
    specs: dict[str, list[str]] = {}
    for spec in record.specs:
        for note in spec.notes:
            specs.setdefault(note, []).append(spec.spec)
    if specs:
        lines = [f"- {code(note)}: {_named(names)}" for note, names in specs.items()]
        yield f"<details><summary>{counted(len(specs), 'note')}</summary>\n\n" + "\n".join(lines) + "\n\n</details>\n\n"


def skips_by_reason(specs: Sequence[SpecResult]) -> Mapping[str, list[tuple[str, str]]]:
    """Return the checks that were skipped, as spec and check, by the reason."""
    found: dict[str, list[tuple[str, str]]] = {}
    for spec in specs:
        for check in spec.checks:
            if check.outcome == "skipped":
                found.setdefault(check.reason or "no reason given", []).append((spec.spec, check.check))
    return found


def _named(names: Sequence[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit:_} more" if len(names) > limit else ""
    return ", ".join(map(code, names[:limit])) + more


def _problems(record: RunRecord) -> Iterator[str]:
    for run in record.runs:
        for problem in run.problems:
            first = code(problem.strip().partition("\n")[0])
            yield f"<details><summary>{first}</summary>\n\n{_pre(problem)}\n</details>\n\n"


def _environment(run: Run) -> str:
    made = run.environment
    versions = ", ".join(f"{name} {number}" for name, number in made.packages.items())
    facts = [
        ("command", run.command), ("archcheck", made.archcheck), ("Python", f"{made.python}, {made.platform}"),
        ("packages", versions), ("device", made.device), ("CPU", made.cpu), ("commit", commit_text(run)),
        ("started", run.started_at),
    ]  # fmt: skip
    text = "\n".join(f"{label:<9}  {value}" for label, value in facts if value)
    return f"<details><summary>Environment</summary>\n\n{_pre(text)}\n</details>\n"


def commit_text(run: Run) -> str | None:
    """Return the commit of a run, and that files differ from it where they do."""
    commit = run.environment.commit
    return None if commit is None else f"{commit}{', with changes' if run.environment.is_dirty else ''}"


# ------------------------------------------------------------------------------------------- text from outside


def code(text: str) -> str:
    """Return any text as code within a line: short, on one line, without anything that Markdown or HTML act on."""
    line = visible(clip(" ".join(text.split()), _INLINE_CHARS), keep="")
    shown = "".join(map(_entity, line)).replace("www.", "www&#46;")
    return f"<code>{shown}</code>" if line else ""


def _entity(character: str) -> str:
    is_literal = character.isalnum() or character in _LITERAL or ord(character) > 127
    return character if is_literal else f"&#{ord(character)};"


def _pre(text: str) -> str:
    lines = text.splitlines()
    shown = [visible(clip(line, _LINE_CHARS), keep="\t") for line in lines[:_BLOCK_LINES]]
    if len(lines) > _BLOCK_LINES:
        shown.append(f"… ({counted(len(lines) - _BLOCK_LINES, 'more line')})")
    escaped = "\n".join(line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for line in shown)
    return f"<pre>\n{escaped}\n</pre>"
