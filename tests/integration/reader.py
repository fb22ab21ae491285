"""Somebody who follows a page of the documentation to the letter.

A page is followed from its top, in an empty folder of its own. A fenced block is one of these; comments, which readers
don't see, say what else there is to know:

    <!-- start: examples -->  at the top: the folder starts with the files of `docs/examples`
    <!-- $ command -->        run here, without being shown: what the page takes for granted
    <!-- file: PATH -->       before a block: its text is written to PATH
    <!-- edit: PATH -->       before a diff: lines of PATH are replaced
    <!-- exit: N -->          before a console block: its command ends with status N instead of 0
    ```console                `$ command`, and below it what it prints; `...` stands for anything, alone on a line for
                              any number of lines; empty lines don't matter
    ```yaml                   without a comment: a workflow of GitHub or GitLab, whose commands are run; else keys of a
                              spec, which are validated
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.preloaded import PreloadedPopen

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"

_BLOCK = re.compile(
    r"(?:<!-- (?P<mark>\w+): (?P<value>[^\n]+) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$"
    r"|^<!-- (?P<hidden>\$ [^\n]+) -->$",
    re.M | re.S,
)
_SCRIPTS = Path(sys.executable).parent
# What an interpreter is given to run a program of Python's.
_PROGRAMS = {"python": [], "pytest": [str(_SCRIPTS / "pytest")], "archcheck": [str(_SCRIPTS / "archcheck")]}
_OPERATORS = {*"|&;<>"}
_TIMEOUT_SEC = 120
_START = re.compile(r"<!-- start: examples -->\n")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: where it stands, what it is written in, and the comment before it."""

    line: int
    language: str
    text: str
    mark: str | None
    value: str

    @property
    def workflow(self) -> list[str]:
        """The commands of a workflow; empty for anything else."""
        if self.language != "yaml" or self.mark is not None:
            return []
        return list(_workflow_commands(yaml.safe_load(self.text)))

    @property
    def commands(self) -> list[tuple[str, str]]:
        """Each command with the output shown below it."""
        if self.language not in ("console", "hidden"):
            return [(command, "...") for command in self.workflow]
        parts = re.split(r"^\$ (.*)\n", self.text, flags=re.M)
        return list(zip(parts[1::2], parts[2::2], strict=True))

    @property
    def is_spec(self) -> bool:
        """Whether it shows some keys of a spec, and no file."""
        return self.language == "yaml" and self.mark is None and not self.workflow


def _workflow_commands(value: dict[str, Any]) -> Iterator[str]:
    jobs = value.get("jobs", value)
    for job in jobs.values() if isinstance(jobs, dict) else ():
        if isinstance(job, dict):
            yield from (step["run"] for step in job.get("steps", ()) if "run" in step)
            yield from job.get("script", ())


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the documentation: its path from the root, and its text."""

    name: str
    text: str

    @property
    def path(self) -> Path:
        return ROOT / self.name

    @property
    def starts_from_examples(self) -> bool:
        return _START.match(self.text) is not None

    @property
    def blocks(self) -> list[Block]:
        return [
            Block(
                self.text.count("\n", 0, found.start()) + 1,
                found["language"] or "hidden",
                f"{found['hidden']}\n" if found["hidden"] else found["text"],
                found["mark"],
                found["value"] or "",
            )
            for found in _BLOCK.finditer(self.text)
        ]

    @property
    def prose(self) -> str:
        """Without its fenced blocks."""
        return _BLOCK.sub("", self.text)

    @property
    def commands(self) -> list[str]:
        return [command for block in self.blocks for command, _ in block.commands]


def read_pages() -> list[Page]:
    """README.md and every page of docs/."""
    folder = ROOT / "docs"
    inside = sorted(path for path in folder.rglob("*.md") if "_build" not in path.parts)
    return [Page(path.relative_to(ROOT).as_posix(), path.read_text("utf-8")) for path in (ROOT / "README.md", *inside)]


@dataclass(slots=True)
class Reader:
    """Follows one page in a folder; commands in `skipped` are left to others."""

    folder: Path
    skipped: frozenset[str]
    done: list[str] = field(default_factory=list)

    def follow(self, page: Page) -> None:
        if page.starts_from_examples:
            shutil.copytree(EXAMPLES, self.folder, dirs_exist_ok=True)
        for block in page.blocks:
            for command, shown in block.commands:
                self._run(page, block, command, shown)
            if block.mark == "file":
                self._path(block).parent.mkdir(parents=True, exist_ok=True)
                self._path(block).write_text(block.text, encoding="utf-8")
            elif block.mark == "edit":
                text = self._path(block).read_text(encoding="utf-8")
                self._path(block).write_text(edited(text, block.text), encoding="utf-8")

    def _path(self, block: Block) -> Path:
        return self.folder / block.value

    def _run(self, page: Page, block: Block, command: str, shown: str) -> None:
        if command in self.skipped:
            return
        with self._started(command, in_shell=(page.name, self.done) == ("README.md", [])) as process:
            hung = threading.Timer(_TIMEOUT_SEC, process.kill)
            hung.daemon = True
            hung.start()
            output, _ = process.communicate()
            hung.cancel()
        self.done.append(command)
        here = f"{page.name}:{block.line}: $ {command}\n{output}"
        assert process.returncode == (int(block.value) if block.mark == "exit" else 0), here
        assert is_shown(output, shown), f"{here}\nis not what is shown:\n{shown}"

    def _started(self, command: str, in_shell: bool) -> subprocess.Popen[str] | PreloadedPopen:
        """Start a command.

        A program of Python's starts with torch imported already, and the shell only splits its command into words. The
        shell itself runs other programs, several at once, and the README's first, which starts as it does for a reader.
        """
        where: dict[str, Any] = {"cwd": self.folder, "encoding": "utf-8"}
        options = {**where, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        env = _environment()
        if in_shell or command.split()[0] not in _PROGRAMS or _OPERATORS & {*command}:
            return subprocess.Popen(command, shell=True, env=env, **options)
        words = subprocess.check_output(rf"printf '%s\0' {command}", shell=True, env=env, **where)
        program, *arguments = words.removesuffix("\0").split("\0")
        env["PYTEST_ADDOPTS"] += " -W ignore::pytest.PytestAssertRewriteWarning"  # that archcheck is imported already
        return PreloadedPopen([sys.executable, *_PROGRAMS[program], *arguments], env=env, **options)


def _environment() -> dict[str, str]:
    """What a newcomer's terminal has: nothing of the run around this one, and a name for git."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV_", "GITHUB_"))}
    kept.pop("CI", None)
    path = os.pathsep.join([str(_SCRIPTS), kept.get("PATH", "")])
    git = {f"GIT_{who}_{what}": "reader@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    gitlab = {"CI_MERGE_REQUEST_DIFF_BASE_SHA": "HEAD~2"}
    # Plugins that come with what the tests need, and take a second to import or change the order.
    kept["PYTEST_ADDOPTS"] = "-p no:hypothesispytest -p no:anyio -p no:randomly"
    terminal = {"PATH": path, "COLUMNS": "80", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    return kept | git | gitlab | terminal


def edited(text: str, diff: str) -> str:
    """A file's text with the lines of a diff replaced, each run of `-` lines by the `+` lines after it."""
    for removed, added in re.findall(r"((?:^-.*\n)+)((?:^\+.*\n)+)", diff, flags=re.M):
        old, new = (re.sub(r"^[-+]", "", lines, flags=re.M) for lines in (removed, added))
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def is_shown(output: str, shown: str) -> bool:
    """Whether output is what a page shows, `...` standing for anything and empty lines left aside."""
    lines = [line.rstrip() for line in shown.splitlines() if line.strip()]
    anything = {"...": r"(?:.*\n)*?"}
    pattern = "".join(anything.get(line) or _as_pattern(line) + r"\n" for line in lines)
    text = "".join(line.rstrip() + "\n" for line in output.splitlines() if line.strip())
    return re.fullmatch(pattern, text) is not None


def _as_pattern(line: str) -> str:
    """A line with `...` for anything; how long pytest's rulers are depends on what is between them."""
    return re.sub("={5,}", "=+", re.escape(line).replace(r"\.\.\.", ".*"))
