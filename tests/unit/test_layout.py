"""docs/design.md's table of modules is true: every module has a row, and imports only from rows above its own."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = re.findall(r"^\| `(\w+)(?:\.py|/)`( †)? \|", (ROOT / "docs" / "design.md").read_text(), re.MULTILINE)
NAMES = [name for name, _ in ROWS]
MAY_IMPORT_TORCH = {name for name, dagger in ROWS if dagger}
MODULES = sorted(
    path for path in (ROOT / "archcheck").rglob("*.py") if path.parent.name != "archcheck" or path.stem[0] != "_"
)


def row_of(dotted: str) -> str:
    """The row that a module of ours belongs to: `archcheck.structure.meta.ops` to `meta`."""
    return dotted.split(".")[1]


def imported_at_the_top(path: Path) -> set[str]:
    """Dotted names of the modules imported when a file is imported (blocks for type checkers aside)."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_every_module_has_a_row() -> None:
    assert {row_of(".".join(path.relative_to(ROOT).with_suffix("").parts)) for path in MODULES} == set(NAMES)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT / "archcheck")))
def test_imports_come_from_rows_above(path: Path) -> None:
    own = row_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    above = {*NAMES[: NAMES.index(own)], own}
    imports = imported_at_the_top(path)
    ours = {row_of(name) for name in imports if name.startswith("archcheck.")}
    assert ours <= above
    if own not in MAY_IMPORT_TORCH:
        assert not {name.split(".")[0] for name in imports} & {"torch", "torchvision", "timm", "yaml", "tabulate"}
    if own == "zoo":
        assert ours <= {"zoo"}
