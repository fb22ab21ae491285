"""The README, followed to the letter: files written, commands run, what they print held against what it shows.

A fenced block is one of these; comments before it, which readers don't see, say what it is:

    <!-- file: PATH -->    its text is written to PATH
    <!-- edit: PATH -->    a diff: lines of PATH are replaced
    <!-- exit: N -->       the command of this console block ends with status N instead of 0
    ```console             `$ command`, and below it what it prints; `...` stands for anything, alone on a line for
                           any number of lines; empty lines don't matter
    ```yaml                without a comment: a workflow, whose `run:` lines are commands too
"""

from __future__ import annotations

import argparse
import configparser
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from archcheck.cli import command_line as cli
from archcheck.spec.models import Better, Claims, Faster, Health, Layer, Parameters, Quick, Spec, Throughput

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# What takes a fresh machine: `.ci/run` runs these.
INSTALL = "pip install -e . && pytest --archcheck"
INSTALL_TESTS = "pip install -e '.[test]' && pytest"
NOT_RUN_HERE = {INSTALL, INSTALL_TESTS, "pip install -e '.[test]' pytest-github-actions-annotate-failures"}

_BLOCK = re.compile(
    r"(?:<!-- (?P<mark>\w+): (?P<value>[^\n]+) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: where it stands, what it is written in, and the comment before it."""

    line: int
    language: str
    text: str
    mark: str | None
    value: str

    @property
    def commands(self) -> list[tuple[str, str]]:
        """Each command with the output shown below it."""
        if self.language == "yaml" and self.mark is None:
            return [(step, "...") for step in _run_lines(yaml.safe_load(self.text))]
        if self.language != "console":
            return []
        parts = re.split(r"^\$ (.*)\n", self.text, flags=re.M)
        return list(zip(parts[1::2], parts[2::2], strict=True))


def _run_lines(workflow: Mapping[str, Mapping[str, Mapping[str, list[Mapping[str, str]]]]]) -> Iterator[str]:
    for job in workflow["jobs"].values():
        yield from (step["run"] for step in job["steps"] if "run" in step)


def blocks() -> list[Block]:
    return [
        Block(
            README.count("\n", 0, found.start()) + 1,
            found["language"],
            found["text"],
            found["mark"],
            found["value"] or "",
        )
        for found in _BLOCK.finditer(README)
    ]


class Reader:
    """Somebody who follows the README in an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.done: list[str] = []
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV_", "GITHUB_"))}
        kept.pop("CI", None)
        path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
        # A newcomer has told git who they are.
        kept |= {
            f"GIT_{who}_{what}": "reader@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        self.environment = kept | {"PATH": path, "COLUMNS": "80", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}

    def follow(self, block: Block) -> None:
        for command, shown in block.commands:
            self._run(block, command, shown)
        if block.mark == "file":
            self._path(block).parent.mkdir(exist_ok=True)
            self._path(block).write_text(block.text, encoding="utf-8")
        elif block.mark == "edit":
            text = self._path(block).read_text(encoding="utf-8")
            self._path(block).write_text(edited(text, block.text), encoding="utf-8")

    def _path(self, block: Block) -> Path:
        return self.folder / block.value

    def _run(self, block: Block, command: str, shown: str) -> None:
        if command in NOT_RUN_HERE:
            return
        run = subprocess.run(
            command, shell=True, cwd=self.folder, env=self.environment, timeout=120,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
        )  # fmt: skip
        self.done.append(command)
        here = f"README.md:{block.line}: $ {command}\n{run.stdout}"
        assert run.returncode == (int(block.value) if block.mark == "exit" else 0), here
        assert is_shown(run.stdout, shown), f"{here}\nis not what is shown:\n{shown}"


def edited(text: str, diff: str) -> str:
    """A file's text with the lines of a diff replaced, each run of `-` lines by the `+` lines after it."""
    for removed, added in re.findall(r"((?:^-.*\n)+)((?:^\+.*\n)+)", diff, flags=re.M):
        old, new = (re.sub(r"^[-+]", "", lines, flags=re.M) for lines in (removed, added))
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def is_shown(output: str, shown: str) -> bool:
    """Whether output is what the README shows, `...` standing for anything and empty lines left aside."""
    lines = [line.rstrip() for line in shown.splitlines() if line.strip()]
    anything = {"...": r"(?:.*\n)*?"}
    pattern = "".join(anything.get(line) or re.escape(line).replace(r"\.\.\.", ".*") + r"\n" for line in lines)
    text = "".join(line.rstrip() + "\n" for line in output.splitlines() if line.strip())
    return re.fullmatch(pattern, text) is not None


def test_every_command_does_what_the_readme_shows(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    for block in blocks():
        reader.follow(block)
    commands = [command for block in blocks() for command, _ in block.commands]
    assert [command for command in commands if command not in NOT_RUN_HERE] == reader.done
    assert len(reader.done) >= 8


def test_every_block_is_written_run_or_compared() -> None:
    idle = [block for block in blocks() if not block.commands and block.mark not in ("file", "edit")]
    assert [block.language for block in idle] == ["ini"]
    assert README.count("\n```") == 2 * len(blocks())


def test_the_ini_example_is_read_as_it_says(pytester: pytest.Pytester) -> None:
    (example,) = (block.text for block in blocks() if block.language == "ini")
    names = configparser.ConfigParser()
    names.read_string(example)
    pytester.makefile(".ini", pytest=example)
    config = pytester.parseconfig()
    assert config.getini("archcheck_paths") == names["pytest"]["archcheck_paths"].split()


@pytest.mark.parametrize("line", [INSTALL, INSTALL_TESTS])
def test_the_install_lines_are_those_that_ci_runs(line: str) -> None:
    assert f"$ {line}\n" in README
    assert f"\n{line}\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_what_is_not_run_here_is_in_the_readme_and_installs() -> None:
    shown = {command for block in blocks() for command, _ in block.commands}
    assert shown >= NOT_RUN_HERE
    assert all(command.startswith("pip install ") for command in NOT_RUN_HERE)


def test_every_key_of_a_spec_is_explained() -> None:
    sections = (Spec, Layer, Parameters, Health, Quick, Throughput, Claims, Faster, Better)
    keys = {key for section in sections for key in section.model_fields} | {"shape", "dtype", "below", "quick"}
    assert [key for key in sorted(keys) if not re.search(rf"\b{key}\b", README)] == []


def test_every_option_is_explained(pytester: pytest.Pytester) -> None:
    told = pytester.runpytest_inprocess("--help").stdout.str()
    options = set(re.findall(r"^ +(--archcheck[\w-]*(?:=[a-z]+)?)", told, flags=re.M))
    assert options >= {"--archcheck", "--archcheck-update=new"}
    options |= set(_options(cli._parser()))
    assert [option for option in sorted(options) if f"`{option}" not in README] == []


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                yield f"archcheck {name}"
                yield from _options(command)
        yield from (option for option in action.option_strings if option not in ("-h", "--help", "--version"))


def test_every_link_of_the_contents_leads_somewhere() -> None:
    headings = {_anchor(title) for title in re.findall(r"^#+ (.*)$", re.sub(_BLOCK, "", README), flags=re.M)}
    assert set(re.findall(r"\]\(#([^)]*)\)", README)) <= headings


def _anchor(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_every_linked_file_exists() -> None:
    linked = set(re.findall(r"\]\(([^)#:]+)\)", README))
    assert {"docs/design.md", "CONTRIBUTING.md", "LICENSE", "benchmarks/README.md"} <= linked
    assert [target for target in sorted(linked) if not (ROOT / target).exists()] == []


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ("a\nb\n", "a\nb\n"),
        ("a\n\nb\n", "a\nb\n"),
        ("header\nmore\na\n", "...\na\n"),
        ("passed in 1.2s =\n", "passed in ... =\n"),
        ("", ""),
    ],
)
def test_what_counts_as_shown(output: str, shown: str) -> None:
    assert is_shown(output, shown)


@pytest.mark.parametrize(("output", "shown"), [("a\nb\n", "a\n"), ("ab\n", "a\n"), ("a\n", "...\nb\n"), ("a\n", "")])
def test_what_does_not_count_as_shown(output: str, shown: str) -> None:
    assert not is_shown(output, shown)
