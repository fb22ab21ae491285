"""README.md and docs/, followed to the letter: files written, commands run, what they print held against the page.

`reader.py` says how a page is followed. Each page is a test of its own, in a folder of its own.
"""

from __future__ import annotations

import configparser
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from archcheck.spec.spec_file import parse_spec
from tests.integration.reader import EXAMPLES, ROOT, Page, Reader, is_shown, read_pages

PAGES = {page.name: page for page in read_pages()}
# What takes a fresh machine: `.ci/run` runs these.
INSTALL = "pip install -e . && pytest --archcheck"
INSTALL_TESTS = "pip install -e '.[test]' && pytest -n 2 --dist worksteal"
NOT_RUN_HERE = frozenset({INSTALL, INSTALL_TESTS, "pip install -e '.[test]'"})
# A fixed minimum says that the examples are the tutorial's, and another calibration gives another one.
MEASURED = ("accuracy", "calibration")

every_page = pytest.mark.parametrize("page", PAGES.values(), ids=list(PAGES))


@pytest.mark.parametrize("page", [one for one in PAGES.values() if one.commands], ids=lambda page: page.name)
def test_every_command_does_what_the_page_shows(page: Page, tmp_path: Path) -> None:
    reader = Reader(tmp_path, NOT_RUN_HERE)
    reader.follow(page)
    assert reader.done == [command for command in page.commands if command not in NOT_RUN_HERE]
    if page.name == "docs/tutorial.md":
        _is_the_example(tmp_path)


def _is_the_example(folder: Path) -> None:
    """Other pages start from where the tutorial ends."""
    assert (folder / "nets.py").read_text("utf-8") == (EXAMPLES / "nets.py").read_text("utf-8")
    name = "specs/LeNet.arch.yaml"
    ours, example = (yaml.safe_load((where / name).read_text("utf-8")) for where in (folder, EXAMPLES))
    for key in MEASURED:
        assert {key} <= ours["training"].keys() & example["training"].keys()
        del ours["training"][key], example["training"][key]
    assert ours == example
    lock = "specs/LeNet.arch.lock"
    made, expected = (json.loads((where / lock).read_text("utf-8"))["function"] for where in (folder, EXAMPLES))
    for row, numbers in expected["layers"].items():
        assert made["layers"][row] == pytest.approx(numbers, rel=1e-3)
    assert made["output"] == pytest.approx(expected["output"], rel=1e-3)


@every_page
def test_every_block_is_written_run_or_compared(page: Page) -> None:
    blocks = [block for block in page.blocks if block.language != "hidden"]
    idle = [block for block in blocks if not (block.commands or block.mark in ("file", "edit") or block.is_spec)]
    assert {block.language for block in idle} <= {"ini"}
    assert page.text.count("\n```") == 2 * len(blocks)


@every_page
def test_every_piece_of_a_spec_is_valid(page: Page) -> None:
    for block in page.blocks:
        if block.is_spec:
            head = {"build": "nets:make", "input": ["B", 3, 224, 224]}
            whole = {**head, **yaml.safe_load(block.text)}
            assert parse_spec(yaml.safe_dump(whole), f"{page.name}:{block.line}")


def test_there_is_an_example_of_every_kind_of_block() -> None:
    blocks = [block for page in PAGES.values() for block in page.blocks]
    assert {block.language for block in blocks} == {"console", "diff", "hidden", "ini", "python", "yaml"}
    assert sum(block.is_spec for block in blocks) >= 3
    assert sum(len(block.workflow) for block in blocks) >= 6


def test_the_ini_example_is_read_as_it_says(pytester: pytest.Pytester) -> None:
    (example,) = (
        block.text for page in PAGES.values() for block in page.blocks if (block.language, block.mark) == ("ini", None)
    )
    names = configparser.ConfigParser()
    names.read_string(example)
    pytester.makefile(".ini", pytest=example)
    config = pytester.parseconfig()
    assert config.getini("archcheck_paths") == names["pytest"]["archcheck_paths"].split()


@pytest.mark.parametrize("line", [INSTALL, INSTALL_TESTS])
def test_the_install_lines_are_those_that_ci_runs(line: str) -> None:
    assert f"$ {line}\n" in PAGES["README.md"].text
    assert f"\n{line}\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", sorted(NOT_RUN_HERE))
def test_what_is_not_run_here_is_shown_and_ci_runs_it(command: str) -> None:
    assert command in {one for page in PAGES.values() for one in page.commands}
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(rf"^{re.escape(command)}( && .*)?$", ci, flags=re.M)


def test_the_site_is_built_as_the_readme_says_in_ci() -> None:
    (extra, build) = re.findall(r"`(pip install -e '\.\[docs\]') && (sphinx-build) docs", PAGES["README.md"].text)[0]
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(rf"^{re.escape(extra)} && {build} -W --keep-going -b html docs ", ci, flags=re.M)


def test_the_readme_is_short() -> None:
    assert PAGES["README.md"].text.count("\n") <= 200


@pytest.mark.parametrize("script", ["docs/generate.py", "docs/picture.py", "docs/example.py"])
def test_tables_picture_and_example_are_up_to_date(script: str) -> None:
    run = subprocess.run(
        [sys.executable, script, "--check"], cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )
    assert run.stdout + run.stderr == ""
    assert run.returncode == 0


def test_the_picture_shows_what_the_failing_command_of_the_readme_prints() -> None:
    picture = ElementTree.parse(ROOT / "docs" / "failure.svg")
    drawn = ["".join(text.itertext()) for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    (block,) = (block for block in PAGES["README.md"].blocks if block.mark == "exit")
    assert drawn[0] == "$ pytest --archcheck"
    assert "\n".join(drawn[1:]) in block.text
    assert len(drawn) == 9


def test_a_table_that_is_out_of_date_is_written_anew() -> None:
    page = "Before.\n\n<!-- keys: Better -->\nold\n<!-- end -->\n\nAfter, `|`.\n"
    generate = _generator()
    new = generate.written(page, generate.Models())
    assert new.startswith("Before.\n\n<!-- keys: Better -->\n\n| key | | value | default |\n")
    assert new.endswith("\n\n<!-- end -->\n\nAfter, `|`.\n")
    assert "\nold\n" not in new
    rows = {line.split(" | ")[0]: line.split(" | ")[2:] for line in new.splitlines() if line.startswith("| `")}
    assert rows["| `seeds`"] == ["a whole number, at least 1", "`1` |"]
    assert rows["| `quick`"] == ["`true` or `false`", "`false` |"]
    assert rows["| `spec`"] == ["text", "required |"]
    assert generate.written(new, generate.Models()) == new


def test_a_table_of_an_unknown_section_is_an_error() -> None:
    generate = _generator()
    with pytest.raises(generate.StaleError, match="keys: Worse: there is no such model; there are Better, "):
        generate.written("<!-- keys: Worse -->\n<!-- end -->\n", generate.Models())


def _generator() -> Any:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_option_of_pytest_is_explained(pytester: pytest.Pytester) -> None:
    told = pytester.runpytest_inprocess("--help").stdout.str()
    options = set(re.findall(r"^ +(--archcheck[\w-]*(?:=[a-z]+)?)", told, flags=re.M))
    assert options >= {"--archcheck", "--archcheck-update=new"}
    assert [option for option in sorted(options) if f"`{option}" not in PAGES["docs/commands.md"].text] == []


@every_page
def test_every_link_leads_somewhere(page: Page) -> None:
    broken = []
    for target, anchor in re.findall(r"\]\(([^)#:]*)#?([^):]*)\)", page.prose):
        path = (page.path.parent / target).resolve() if target else page.path
        if not path.exists() or (anchor and anchor not in _headings(path)):
            broken.append(f"{target}#{anchor}")
    assert broken == []


def _headings(path: Path) -> set[str]:
    text = Page("", path.read_text(encoding="utf-8")).prose
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", text, re.M)}


def test_the_readme_and_the_first_page_lead_to_every_page() -> None:
    others = {"docs/index.md", "docs/design.md", "CONTRIBUTING.md", "LICENSE", "benchmarks/README.md"}
    assert others <= _linked("README.md")
    inside = PAGES.keys() - {"README.md"}
    assert inside <= _linked("docs/index.md") | {"docs/index.md"}


def _linked(name: str) -> set[str]:
    page = PAGES[name]
    paths = ((page.path.parent / target).resolve() for target in re.findall(r"\]\(([^)#:]+)", page.prose))
    return {path.relative_to(ROOT).as_posix() for path in paths}


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ("a\nb\n", "a\nb\n"),
        ("a\n\nb\n", "a\nb\n"),
        ("header\nmore\na\n", "...\na\n"),
        ("passed in 1.2s =\n", "passed in ... =\n"),
        ("========= 1 passed in 12.3s ========\n", "======= 1 passed in ... =======\n"),
        ("", ""),
    ],
)
def test_what_counts_as_shown(output: str, shown: str) -> None:
    assert is_shown(output, shown)


@pytest.mark.parametrize(("output", "shown"), [("a\nb\n", "a\n"), ("ab\n", "a\n"), ("a\n", "...\nb\n"), ("a\n", "")])
def test_what_does_not_count_as_shown(output: str, shown: str) -> None:
    assert not is_shown(output, shown)
