"""Tables as text."""

from __future__ import annotations

from archcheck.text.tables import format_table


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
