"""A run as a page of HTML: what stands in it, that it needs nothing else, and that no text from outside acts in it."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

from hypothesis import example, given, settings
from hypothesis import strategies as st

from archcheck.report.markdown import format_markdown
from archcheck.report.page import format_page
from archcheck.report.run_record import (
    Calibrated,
    CheckResult,
    Claim,
    Epoch,
    ExcerptLine,
    Failure,
    Layer,
    RunRecord,
    SpecResult,
    Training,
    read_run,
)
from archcheck.throughput.records import SavedSpeed, SpeedComparison, SpeedFigures, SpeedRecord
from tests.unit.report.records import ENVIRONMENT, run_of, spec

LAYERS = (Layer("conv", "Conv2d", 0, "[B, 6, 28, 28]", 156, 117_600), Layer("pool", "AvgPool2d", 0, "[B, 6, 14, 14]"))
TRAINING = Training(
    "quick", 0, "cpu", "fp32", "accuracy",
    (Epoch(1, 1.35, 0.474, 0.628, 2_630.0, 2.2), Epoch(2, None, 0.676, 0.708, 2_520.0, 2.3)),
    final_accuracy=0.708, minimum=0.744, calibration=Calibrated(0.7607, 0.0015, 3, "cpu"),
)  # fmt: skip
SPEED = SpeedFigures(
    SpeedRecord("train", "cpu", 1, "fp32", 64, 11_612.0, 0.5, 1.5e9, 6e9, 158_000_000, 0.0),
    SpeedComparison(0.9, "main", "slower", 0.8, 1.01, 0.93),
    (SavedSpeed("2026-01-02 03:04", "abcdef1", 11_000.0), SavedSpeed("2026-01-03 03:04", "-", 9_000.0, "slower")),
)
FULL = replace(
    spec(shapes="failed", later="passed"), layers=LAYERS, first_difference="pool", training=TRAINING, speed=SPEED,
    source="LeCun et al. 1998", claims=(Claim("faster_than", "specs/other", 1.5, "skipped", "can't tell"),),
)  # fmt: skip


class Elements(HTMLParser):
    """The elements and the texts of a page, as a browser that runs no script has them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: Counter[str] = Counter()
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def data_of(page: str) -> RunRecord:
    found = re.search(r'<script type="application/json" id="archcheck-run"([^>]*)>(.*?)</script>', page, re.S)
    assert found is not None
    text = found[2]
    return read_run(gzip.decompress(base64.b64decode(text)).decode() if found[1] else text, "page")


def test_a_page_has_the_verdict_the_failure_and_what_it_was_made_with() -> None:
    text = Elements(format_page(run_of(FULL, spec("specs/b", shapes="passed")))).text
    assert "failed archcheck: 1 of 2 specs" in text
    assert "specs/net.arch.yaml:5 pool: output shape differs Likely cause a stride" in text
    assert "expected [B, 6, 12, 12] actual [B, 6, 14, 14]" in text
    assert "torch 2.14.1" in text
    assert "conv Conv2d [B, 6, 28, 28] 156 parameters 118 k multiply-adds" in text
    assert "pool first difference AvgPool2d" in text
    assert "faster_than specs/other 1.5 ○ skipped: can't tell" in text
    assert "main: slower 0.900 (0.800 to 1.010)" in text
    assert "2026-01-02 03:04, abcdef1: 11_000 examples/s" in text


def test_a_page_asks_the_network_for_nothing() -> None:
    page = format_page(run_of(FULL))
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", page)
    assert "default-src 'none'" in page
    assert not re.search(r"url\(|@import|//cdn", page)


def test_the_record_is_inside() -> None:
    record = run_of(FULL)
    assert data_of(format_page(record)) == record


def test_many_networks_are_packed_and_failing_ones_are_not() -> None:
    layers = tuple(Layer(f"layer{number}.conv", "Conv2d", 0, f"[B, {number}]", number + 1) for number in range(200))
    specs = [replace(spec(f"specs/{number:03}", shapes="passed"), layers=layers) for number in range(60)]
    bad = replace(spec("specs/bad", shapes="failed"), layers=layers)
    record = run_of(*specs, bad)
    page = format_page(record)
    packed = re.findall(r'data-packed="([^"]{100,})"', page)
    assert 0 < len(packed) < 61
    assert "layer199.conv" in gzip.decompress(base64.b64decode(packed[0])).decode()
    first_network = page[page.index('id="s0"') : page.index('id="s1"')]
    assert "specs/bad" in first_network
    assert "layer199.conv" in first_network
    assert data_of(page) == record


def test_figures_of_a_check_that_nobody_here_knows_are_shown() -> None:
    check = CheckResult("cost", "passed", figures={"peak_memory": 12_345, "where": "meta"})
    text = Elements(format_page(run_of(replace(spec(), checks=(check,)), exit_status=0))).text
    assert "cost peak_memory 12345 , where meta" in text


def test_the_published_figure_is_a_line_in_a_run_by_the_same_recipe_and_told_in_others() -> None:
    full = replace(TRAINING, recipe="full", published=0.918)
    page = format_page(run_of(replace(FULL, training=full)))
    assert '<line class="published"' in page
    assert "minimum 0.744, published 0.918" in Elements(page).text
    page = format_page(run_of(replace(FULL, training=replace(full, recipe="quick"))))
    assert '<line class="published"' not in page
    assert "published 0.918 by the full recipe" in Elements(page).text


# ------------------------------------------------------------------------------------------- text from outside

NASTY = st.one_of(
    st.text(max_size=40),
    st.sampled_from([
        "<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "\"'><svg onload=alert(1)>", "<!--",
        "{{ 7 * 7 }}{% raw %}", "a\u202egpj.exe", "\u2066\u200f", "x" * 10_000, "<" * 10_000, "|" * 200 + "\n|---|",
        "</pre></details>", "`@everyone` [x](javascript:alert(1))", "\r\n\r\n# head", "\udc80", "\x00\x1b[31m", "&lt;",
    ]),
)  # fmt: skip
TURNING = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\u061c\x00\x1b]")


def record_with(text: str) -> RunRecord:
    """Return a record with a text in every place that has one."""
    failure = Failure(
        text, 5, text, text, text, text, text, text, ((text, text),), (ExcerptLine(4, text), ExcerptLine(5, text))
    )
    checks = (
        CheckResult("shapes", "failed", 5, 0.1, failures=(failure, failure), accept=text),
        CheckResult(text or "x", "skipped", reason=text),
        CheckResult("function", "error", traceback=text, figures={text: text}),
    )
    training = replace(TRAINING, device=text, precision=text, metric=text, fault=text)
    speed = replace(SPEED.record, device=text, mode=text, precision=text)
    whole = SpecResult(
        text, text, text, text, 1, 2, checks, (text,), (Layer(text, text, 0, text, 1, 2), Layer("b", "T", 1, text)),
        text, training, SpeedFigures(speed, SPEED.comparison, (SavedSpeed(text, text, 1.0, text),)),
        (Claim(text, text, 1.0, "failed", text),),
    )  # fmt: skip
    record = run_of(whole)
    made = replace(
        ENVIRONMENT, device=text, cpu=text, commit=text, job=text, packages={text: text}, platform=text, python=text
    )
    run = replace(record.runs[0], command=text, environment=made, problems=(text,), num_not_run=1)
    return replace(record, runs=(run,))


HARMLESS = Elements(format_page(record_with("harmless")))


@settings(max_examples=60, deadline=None)
@given(NASTY)
@example("")
def test_no_text_acts_in_a_page(text: str) -> None:
    record = record_with(text)
    page = format_page(record)
    elements = Elements(page)
    # Where a text is empty some elements aren't there; none is there that isn't the page's own.
    assert not elements.tags - HARMLESS.tags
    assert set(elements.attributes) <= set(HARMLESS.attributes)
    assert not TURNING.search(page)
    assert page.encode("utf-8")
    assert data_of(page) == record


@settings(max_examples=60, deadline=None)
@given(NASTY)
def test_no_text_acts_in_markdown(text: str) -> None:
    text = format_markdown(record_with(text))
    tags = set(re.findall(r"<(/?\w*)", text))
    assert tags <= {"code", "/code", "pre", "/pre", "details", "/details", "summary", "/summary"}
    assert not TURNING.search(text)
    assert len(text.encode("utf-8")) < 300_000
    outside = re.sub(r"<pre>.*?</pre>", "", text, flags=re.S)
    inside = re.findall(r"<code>(.*?)</code>", outside, re.S)
    assert all(re.fullmatch(r"(?:[^\x00-\x7f]|[\w ,/.=()+-]|&#\d+;)*", one) for one in inside)
    assert all("_" not in one or "&#95;" in one for one in inside if "_" in one)
    rows = [line for line in outside.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1


def test_a_page_says_which_format_its_data_has() -> None:
    plain = json.loads(data_of(format_page(run_of(FULL))).to_json())
    assert (plain["format"], plain["version"]) == ("archcheck-report", 1)
