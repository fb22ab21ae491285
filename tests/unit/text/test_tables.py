"""Tables as text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from archcheck.text.tables import Column, clip_start, fit_columns, format_columns, format_table, table_width


def test_cells_are_text_and_columns_are_aligned() -> None:
    table = format_table([["fc", "1_000"], ["conv1", "1e3"]], ["layer", "parameters"], ["left", "right"], "simple")
    assert table.splitlines() == [
        "layer      parameters",
        "-------  ------------",
        "fc              1_000",
        "conv1             1e3",
    ]


def test_a_table_for_a_notebook() -> None:
    assert "<td>fc     </td>" in format_table([["fc"]], ["layer"], ["left"], "html")


COLUMNS = [
    Column("path", ["models/resnet50.yaml", "a.yaml"], least=8),
    Column("device", ["cpu", "cuda"], goes=1),
    Column("number", ["7", "1_000"], is_right=True, goes=0),
    Column("verdict", ["ok", "FAILED"]),
]


def headers(width: int) -> list[str]:
    return [one.header for one in fit_columns(COLUMNS, width)]


def test_a_table_is_as_wide_as_its_longest_cells() -> None:
    assert format_columns(COLUMNS) == [
        "path                  device  number  verdict",
        "--------------------  ------  ------  -------",
        "models/resnet50.yaml  cpu          7  ok",
        "a.yaml                cuda     1_000  FAILED",
    ]
    assert table_width(COLUMNS) == 20 + 6 + 6 + 7 + 3 * 2


def test_what_may_be_cut_short_is_before_a_column_goes_and_then_the_least_important_goes_first() -> None:
    assert headers(45) == headers(33) == ["path", "device", "number", "verdict"]
    assert headers(32) == headers(25) == ["path", "device", "verdict"]
    assert headers(24) == headers(3) == ["path", "verdict"]
    assert format_columns(fit_columns(COLUMNS, 33))[2:] == [
        "…50.yaml  cpu          7  ok",
        "a.yaml    cuda     1_000  FAILED",
    ]


@given(st.integers(1, 60), st.lists(st.text("abc/", min_size=1, max_size=70), min_size=1, max_size=4))
def test_a_table_that_can_fit_does(width: int, paths: list[str]) -> None:
    columns = [Column("spec", paths, least=4), Column("time", ["1 s"] * len(paths), goes=0)]
    assert max(map(len, format_columns(fit_columns(columns, width)))) <= max(width, 4)


def test_the_end_of_a_text_is_kept() -> None:
    assert [clip_start("specs/a", limit) for limit in (7, 6, 1)] == ["specs/a", "…ecs/a", "…"]
