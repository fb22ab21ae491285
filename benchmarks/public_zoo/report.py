"""The sweep's tables: a row per network, what was said, and a summary per library."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from tabulate import tabulate

Result = Mapping[str, Any]
HEADERS: Final = (
    "library",
    "networks",
    "in full",
    "in part",
    "not",
    "green at once",
    "once declared",
    "green elsewhere",
    "unmeasured",
    "red",
    "record s",
    "verify s",
)
MESSAGE_CHARS: Final = 220


def summary(results: Sequence[Result]) -> str:
    """Return the table of libraries, with all of them in the last row; times are medians."""
    return table_of_libraries(results, HEADERS, _row)


def details(results: Sequence[Result]) -> str:
    """Return what isn't simply recorded in full and green: a line for each thing said, with the networks it is of."""
    return grouped_by_text(results, _said)


def table_of_libraries(
    results: Sequence[Result], headers: Sequence[str], make_row: Callable[[str, Sequence[Result]], list[str]]
) -> str:
    """Return a table with a row for each library, and with all of them in the last one."""
    libraries = list(dict.fromkeys(result["library"] for result in results))
    rows = [make_row(name, [result for result in results if result["library"] == name]) for name in libraries]
    if len(rows) > 1:
        rows.append(make_row("all", results))
    return tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)


def grouped_by_text(results: Sequence[Result], said: Callable[[Result], Iterable[str]]) -> str:
    """Return a line for each text that is said of some networks, with their names in front."""
    lines: dict[str, list[str]] = {}
    for result in results:
        for text in said(result):
            lines.setdefault(text, []).append(f"{result['library']}:{result['network']}")
    return "\n".join(f"- {', '.join(names)}: {text}" for text, names in lines.items())


def is_red(result: Result) -> bool:
    """Whether a network that was recorded isn't green, or recording ended in anything but a message."""
    if result["recorded"]["verdict"] in ("crashed", "timed out"):
        return True
    return any(result[step]["verdict"] not in ("green", "unmeasured", "declared") for step in _verified(result))


def _row(name: str, results: Sequence[Result]) -> list[str]:
    recorded = [result["recorded"]["verdict"] for result in results]
    counts = [recorded.count("full"), recorded.count("part")]
    at_once = [result["at_once"]["verdict"] for result in results if "at_once" in result]
    elsewhere = [result["elsewhere"]["verdict"] for result in results if "elsewhere" in result]
    verified = [
        at_once.count("green"),
        at_once.count("declared"),
        elsewhere.count("green"),
        at_once.count("unmeasured"),
    ]
    numbers = [len(results), *counts, len(results) - sum(counts), *verified, sum(map(is_red, results))]
    times = [_median(result["recorded"]["sec"] for result in results)]
    times.append(_median(result["at_once"]["sec"] for result in results if "at_once" in result))
    return [name, *map(str, numbers), *times]


_STEPS: Final = ("at_once", "elsewhere")


def _verified(result: Result) -> list[str]:
    return [step for step in _STEPS if step in result]


def _said(result: Result) -> Iterable[str]:
    recorded = result["recorded"]
    if recorded["verdict"] != "full":
        yield f"{_PREFIX[recorded['verdict']]}: {first_lines(result, recorded['message'])}"
    for step in _verified(result):
        verdict = result[step]["verdict"]
        if verdict != "green":
            place = step.replace("_", " ")
            checks = ", ".join(result[step].get("checks", []))
            title = "declared" if verdict == "declared" else f"**{verdict}** {place} {checks}"
            yield f"{title}: {first_lines(result, result[step]['message'])}"


_PREFIX: Final = {
    "part": "recorded in part",
    "not": "not recorded",
    "crashed": "**crashed** recording",
    "timed out": "**timed out** recording",
}


def first_lines(result: Result, message: str) -> str:
    """Return the beginning of a message, without the network's own name, so that alike ones are alike."""
    text = message.strip().partition("\n")[0].replace(result["spec"], "SPEC")
    text = text.removeprefix("archcheck: ").removeprefix("error: ").removeprefix(f"{result['target']}: ")
    text = re.sub(r"/\S*?/site-packages/", "", text)
    return text if len(text) <= MESSAGE_CHARS else f"{text[:MESSAGE_CHARS]}..."


def _median(values: Iterable[float]) -> str:
    ordered = sorted(values)
    return f"{ordered[len(ordered) // 2]:.1f}" if ordered else "-"
