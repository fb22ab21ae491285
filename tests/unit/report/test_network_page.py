"""Pages of networks, and what a notebook shows."""

from __future__ import annotations

import re

from torch import nn

from archcheck.report.network_page import ShownNetwork, Table, format_for_notebook, format_networks, said_by_other
from archcheck.report.picture import Said
from archcheck.report.run_record import Layer, SpecResult
from archcheck.structure.diff import compare_networks
from archcheck.structure.trace import trace_structure
from tests.unit.structure.traced_networks import TWO, linear

NASTY = "</style><script>alert(1)</script>\u202e"
SHOWN = ShownNetwork(
    SpecResult(NASTY, layers=(Layer(NASTY, NASTY, 0, NASTY, 1, 1),)), NASTY, {NASTY: [Said(NASTY, NASTY)]}
)


def test_what_the_other_network_has_is_said_of_layers_that_differ() -> None:
    left = trace_structure(lambda: nn.Sequential(linear(), nn.ReLU(), nn.Linear(4, 2)), TWO)
    right = trace_structure(lambda: nn.Sequential(linear(), nn.GELU(), nn.Linear(4, 2), nn.Tanh()), TWO)
    divergences = compare_networks(left, right).divergences
    assert said_by_other(divergences, "right", is_left=True) == {"1": [Said("right has", "GELU")]}
    assert said_by_other(divergences, "left", is_left=False) == {
        "1": [Said("left has", "ReLU")],
        "3": [Said("left has no such layer", "")],
    }


def test_a_page_asks_the_network_for_nothing_and_no_text_acts_in_it() -> None:
    page = format_networks(NASTY, [SHOWN], [Table((NASTY, NASTY), [(NASTY, NASTY)])], NASTY)
    assert page.count("<script") == 1
    assert "alert(1)</script>" not in page
    assert "\u202e" not in page
    assert "default-src 'none'" in page
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", page)


def test_a_part_for_a_notebook_has_all_it_needs_and_styles_nothing_but_itself() -> None:
    part = format_for_notebook(SHOWN, "<p>head</p>")
    assert (part.count("<style"), part.count("<script"), part.count("id=")) == (1, 1, 0)
    assert "alert(1)</script>" not in part
    (style,) = re.findall(r"<style>(.*?)</style>", part, re.S)
    outermost = re.sub(r"\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}", "{}", style)
    assert set(outermost.split()) == {".archcheck", "{}", "@media", "(prefers-color-scheme:", "dark)"}
