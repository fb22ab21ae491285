"""The layout of docs/design.md holds: rooms, the direction of imports, who may import torch, tests beside modules."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "archcheck"
TABLE = re.findall(r"^\| `(\w+)(?:\.py|/)`( †)? \|", (ROOT / "docs" / "design.md").read_text("utf-8"), re.MULTILINE)
ROWS = [name for name, _ in TABLE]
MAY_IMPORT_TORCH = {name for name, dagger in TABLE if dagger}
HEAVY = {"torch", "torchvision", "timm", "yaml", "tabulate"}
# The package's face names what it offers; nothing of ours imports it but for the version.
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
TESTS = sorted((ROOT / "tests" / "unit").rglob("test_*.py"))
LARGEST_ROOT = 8


def row_of(dotted: str) -> str:
    """Return the row that a module of ours belongs to: `archcheck.spec.dims` to `spec`."""
    return dotted.split(".")[1]


def dotted_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imports(nodes: Iterator[ast.AST]) -> set[str]:
    """Return the dotted names of what some nodes import; `from a import b` may import the module `a.b`."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


every_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))


def test_every_module_has_a_row_and_every_row_a_module() -> None:
    assert {row_of(dotted_name(path)) for path in MODULES} == set(ROWS)


def test_the_root_of_the_package_is_small() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= LARGEST_ROOT


@every_module
def test_imports_come_from_rows_above(path: Path) -> None:
    """Imports inside functions and those for type checkers count, too."""
    own = row_of(dotted_name(path))
    ours = {name for name in imports(ast.walk(ast.parse(path.read_text("utf-8")))) if name.startswith("archcheck.")}
    above = set() if own == "zoo" else {*ROWS[: ROWS.index(own)]}
    assert {row_of(name) for name in ours - {"archcheck.__version__"}} <= {*above, own}


@every_module
def test_only_marked_rows_import_torch_at_the_top(path: Path) -> None:
    if row_of(dotted_name(path)) not in MAY_IMPORT_TORCH:
        at_the_top = imports(iter(ast.parse(path.read_text("utf-8")).body))
        assert not {name.split(".")[0] for name in at_the_top} & HEAVY


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT / "tests" / "unit")))
def test_a_test_file_stands_where_its_module_does(path: Path) -> None:
    """`spec/test_dims.py` tests `spec/dims.py`; so does `spec/test_dims_fuzz.py`, which has a topic of its own."""
    folder, name = path.relative_to(ROOT / "tests" / "unit").parent, path.stem.removeprefix("test_")
    if folder == Path() and name == "layout":
        return
    words = name.split("_")
    candidates = ["_".join(words[:length]) for length in range(len(words), 0, -1)]
    assert any((PACKAGE / folder / f"{candidate}.py").is_file() for candidate in candidates)


@pytest.mark.parametrize(
    "room",
    sorted(path.parent for path in PACKAGE.glob("*/**/__init__.py")),
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_a_room_says_what_each_of_its_modules_is_for(room: Path) -> None:
    docstring = ast.get_docstring(ast.parse((room / "__init__.py").read_text("utf-8"))) or ""
    modules = {path.stem for path in room.glob("*.py") if not path.stem.startswith("__")}
    rooms = {path.parent.name for path in room.glob("*/__init__.py")}
    assert {name for name in modules | rooms if f"`{name}`" not in docstring} == set()
