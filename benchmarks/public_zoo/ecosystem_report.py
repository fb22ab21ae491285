"""The ecosystem's tables: a row per library, what was said, and the changes that nobody noticed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from public_zoo.report import Result, first_lines, grouped_by_text, table_of_libraries

HEADERS: Final = (
    "library",
    "networks",
    "found alone",
    "with --input",
    "with inputs_from",
    "not",
    "green at once",
    "unmeasured",
    "once declared",
    "green elsewhere",
    "changes",
    "caught",
    "by function alone",
)
GREEN: Final = ("green",)
RECORDED: Final = ("full", "part")


def summary(results: Sequence[Result]) -> str:
    """Return the table of libraries, with all of them in the last row."""
    return table_of_libraries(results, HEADERS, _row)


def details(results: Sequence[Result]) -> str:
    """Return what isn't found alone, recorded in full and green: a line for each thing said, with its networks."""
    return grouped_by_text(results, _said)


def missed(results: Sequence[Result]) -> str:
    """Return the changes that no check noticed, and those that couldn't be judged."""
    changes = [(result, change) for result in results for change in result.get("changes", ())]
    return "\n".join(
        f"- **{change['verdict']}** {result['library']}:{result['network']} {change['change']}"
        + (f": {first_lines(result, change['message'])}" if change["message"] else "")
        for result, change in changes
        if change["verdict"] != "caught"
    )


def is_wrong(result: Result) -> bool:
    """Whether a network isn't recorded, isn't green, or a change of it isn't caught."""
    verdicts = [result.get(step, {}).get("verdict") for step in ("at_once", "elsewhere")]
    changes = [change["verdict"] for change in result.get("changes", ())]
    is_red = any(verdict not in (*GREEN, "unmeasured", "declared") for verdict in verdicts)
    return is_red or any(one != "caught" for one in changes)


def is_found_alone(result: Result) -> bool:
    """Whether the target alone was enough, and what was written of it is green."""
    return result.get("alone_at_once", {}).get("verdict") in ("green", "declared")


def _row(name: str, results: Sequence[Result]) -> list[str]:
    alone = [result for result in results if is_found_alone(result)]
    others = [result for result in results if not is_found_alone(result)]
    given = [result["given"] for result in others if result["recorded"]["verdict"] in RECORDED]
    changes = [change for result in results for change in result.get("changes", ())]
    caught = [change for change in changes if change["verdict"] == "caught"]
    numbers = [
        len(results),
        len(alone),
        given.count("input"),
        given.count("inputs_from"),
        len(others) - len(given),
        _count(results, "at_once", GREEN),
        _count(results, "at_once", ("unmeasured",)),
        _count(results, "at_once", ("declared",)),
        _count(results, "elsewhere", GREEN),
        len(changes),
        len(caught),
        sum(change["checks"] == ["function"] for change in caught),
    ]
    return [name, *map(str, numbers)]


def _count(results: Sequence[Result], step: str, verdicts: Sequence[str]) -> int:
    return sum(result.get(step, {}).get("verdict") in verdicts for result in results)


def _said(result: Result) -> Iterable[str]:
    if not is_found_alone(result):
        step = "alone_at_once" if "alone_at_once" in result else "alone"
        yield f"not found alone: {_step(result, result[step])}"
    if result["recorded"]["verdict"] != "full":
        yield f"recorded: {_step(result, result['recorded'])}"
    for name in ("at_once", "elsewhere"):
        if name in result and result[name]["verdict"] not in ("green", *(("declared",) if name == "elsewhere" else ())):
            yield f"{name.replace('_', ' ')}: {_step(result, result[name])}"


def _step(result: Result, step: Mapping[str, Any]) -> str:
    return f"{step['verdict']}: {first_lines(result, step['message'])}"
