"""Charts as SVG."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from archcheck.report.charts import Level, Run, Series, history_chart, interval_chart, line_chart


def svg(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text[: text.index("</svg>") + len("</svg>")])


def test_a_line_goes_up_where_its_values_do() -> None:
    chart = svg(line_chart([Series("test set", "test", [(1, 0.25), (2, 0.5), (3, 0.75)])], title="accuracy"))
    (line,) = chart.findall("polyline")
    heights = [float(point.split(",")[1]) for point in line.attrib["points"].split()]
    assert heights[0] - heights[1] == heights[1] - heights[2] > 0
    assert chart.attrib["aria-label"] == "accuracy"


def test_a_minimum_above_all_values_has_its_place() -> None:
    chart = svg(line_chart([Series("", "test", [(1, 0.5)])], [Level("minimum", "minimum", 0.9)], title=""))
    (minimum,) = [one for one in chart.findall("line") if one.attrib["class"] == "minimum"]
    (dot,) = chart.findall("circle")
    assert 0 < float(minimum.attrib["y1"]) < float(dot.attrib["cy"])


def test_epochs_of_which_nothing_is_known_are_left_out() -> None:
    chart = svg(line_chart([Series("", "train", [(1, None), (2, 0.5), (3, 0.6)])], title=""))
    assert len(chart.findall("circle")) == 2
    assert line_chart([Series("", "train", [(1, None)])], title="") == ""


def test_ticks_are_round_numbers() -> None:
    text = str(line_chart([Series("", "test", [(1, 0.112), (2, 0.887)])], title=""))
    assert re.findall(r'text-anchor="end">([\d.]+)<', text) == ["0.2", "0.4", "0.6", "0.8"]


@pytest.mark.parametrize(("low", "high"), [(0.086, 0.9), (0.26, 0.99), (0.5, 0.5), (2.1, 31.0)])
def test_an_axis_has_numbers_enough_to_read_a_range_off(low: float, high: float) -> None:
    text = str(line_chart([Series("", "test", [(1, low), (2, high)])], title=""))
    assert len(re.findall(r'text-anchor="end">([\d.]+)<', text)) >= 2


def test_a_single_epoch_stands_at_the_end_of_its_axis() -> None:
    chart = svg(line_chart([Series("", "test", [(1, 0.5)])], title=""))
    (dot,) = chart.findall("circle")
    labels = {one.text: one.attrib["x"] for one in chart.findall("text") if one.attrib["text-anchor"] == "middle"}
    assert list(labels) == ["0", "1"]
    assert float(labels["0"]) < float(labels["1"]) == float(dot.attrib["cx"])


def test_an_interval_lies_around_its_ratio_and_the_limit_where_it_is() -> None:
    chart = svg(interval_chart(0.8, 0.9, 1.01, 0.93))
    line = next(one for one in chart.findall("line") if one.attrib["class"] == "test")
    (dot,) = chart.findall("circle")
    (limit,) = [one for one in chart.findall("line") if one.attrib["class"] == "minimum"]
    low, middle, high = float(line.attrib["x1"]), float(dot.attrib["cx"]), float(line.attrib["x2"])
    assert low < middle < float(limit.attrib["x1"]) < high
    assert chart.attrib["aria-label"] == "0.900 times as fast, 0.800 to 1.010; at least 0.930 is asked for"


def test_a_history_is_a_line_over_runs_in_which_slower_ones_stand_out() -> None:
    runs = [Run("aaa", "first: 100", 100.0), Run("bbb", "second: 50, slower", 50.0, is_bad=True), Run("now", "", 75.0)]
    chart = history_chart(runs, title="examples per second")
    dots = re.findall(r'<circle class="(\w+)" cx="([\d.]+)"', chart)
    assert dots == [("test", "56.0"), ("bad", "222.0"), ("test", "388.0")]
    assert re.findall(r'points="([^"]*)"', chart) == [
        "56.0,12.0 222.0,101.0 388.0,56.5"
    ]  # from 190 for 0 to 12 for 100
    assert "<title>second: 50, slower</title>" in chart
    assert history_chart(runs[:1], title="") == ""
