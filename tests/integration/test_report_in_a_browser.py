"""The page of a run in a real browser: Chromium without a window, by Selenium; skipped where one isn't there."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from archcheck.checks.registry import CHECKS
from archcheck.report.files import write_report
from archcheck.report.network_page import ShownNetwork, Table, format_for_notebook, format_networks
from archcheck.report.picture import Said
from archcheck.report.run_record import CheckResult, Layer, RunRecord, SpecResult
from tests.unit.report.records import run_of, spec
from tests.unit.report.test_page import FULL

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NASTY = "<img src=x onerror=\"document.title='hacked'\"><script>document.title='hacked'</script>"
LAYERS = (
    Layer("block", "Block", 0, "[B, 4]", 20, 16), Layer("block.inner", "Block", 1, "[B, 4]", 20, 16),
    Layer("block.inner.fc", "Linear", 2, "[B, 4]", 20, 16), Layer("head", "Linear", 0, "[B, 4]", 20, 16),
)  # fmt: skip


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="Selenium is not installed: pip install selenium")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver_path = shutil.which("chromedriver")
    if browser is None or driver_path is None:
        pytest.skip("Chromium and its driver are not installed: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_path))
    yield made
    made.quit()


class Browser:
    """A page that is looked at: what a script in it would see."""

    def __init__(self, driver: Any, folder: Path) -> None:
        self._driver, self._path = driver, folder / "run.html"

    def open(self, record: RunRecord, width: int = 1600, scheme: str = "light", anchor: str = "") -> None:
        write_report(record, self._path)
        self.show(self._path, width, scheme, anchor)

    def show(self, path: Path, width: int = 1600, scheme: str = "light", anchor: str = "") -> None:
        metrics = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        self._driver.get("about:blank")
        self._driver.get(f"{path.as_uri()}{anchor}")

    def ask(self, expression: str) -> Any:
        return self._driver.execute_async_script(
            f"const done = arguments[0]; Promise.resolve({expression}).then(done, (error) => done(String(error)));"
        )

    def enter(self, selector: str, value: str) -> None:
        """Give a field or a choice a value, as its user would."""
        field = f"document.querySelector('{selector}')"
        self.ask(f"(() => {{ {field}.value = '{value}'; {field}.dispatchEvent(new Event('input')); }})()")

    def violations(self) -> list[str]:
        """Return what axe-core finds, each with the first place."""
        found = importlib.util.find_spec(
            "axe_playwright_python"
        )  # which isn't imported: what's wanted is in its folder
        if found is None or found.origin is None:
            pytest.skip("axe-core is not installed: pip install axe-playwright-python")
        self._driver.execute_script((Path(found.origin).parent / "axe.min.js").read_text("utf-8"))
        told: list[str] = self.ask(
            "axe.run().then(({ violations }) => violations.map((one) => `${one.id}: ${one.nodes[0].html}: "
            "${one.nodes[0].failureSummary}`))"
        )
        return told

    @property
    def console(self) -> list[str]:
        return [one["message"] for one in self._driver.get_log("browser")]


@pytest.fixture
def browser(driver: Any, tmp_path: Path) -> Browser:
    return Browser(driver, tmp_path)


def shown_rows(browser: Browser) -> list[str]:
    found: list[str] = browser.ask(
        "[...document.querySelectorAll('#rows tr')].filter(r => r.offsetParent).map(r => r.cells[0].textContent)"
    )
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1600])
def test_a_page_fits_its_window_without_an_error(browser: Browser, width: int, scheme: str) -> None:
    browser.open(run_of(replace(FULL, layers=LAYERS)), width, scheme)
    assert browser.console == []
    assert browser.ask("document.documentElement.scrollWidth") <= width
    assert browser.ask("getComputedStyle(document.body).backgroundColor") == (
        "rgb(21, 24, 28)" if scheme == "dark" else "rgb(255, 255, 255)"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1600])
def test_axe_finds_nothing_that_keeps_anybody_out(browser: Browser, width: int, scheme: str) -> None:
    """Names, roles, contrast, structure: what axe-core checks of the Web Content Accessibility Guidelines."""
    layers = (*residual(3), Layer("head", "Linear", 0, "[B, 2]", 10, 8, (9, 0)))
    browser.open(run_of(replace(FULL, layers=layers, memory={"b1.fc": 10}, first_difference="b1.fc")), width, scheme)
    browser.ask("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert browser.violations() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_a_page_of_networks(browser: Browser, tmp_path: Path, scheme: str) -> None:
    result = SpecResult("net", layers=tuple(residual(3)), memory={"b1.fc": 10})
    shown = ShownNetwork(result, "output [B, 4]", {"b1.fc": [Said("the other has", "Linear 12 parameters")]})
    table = Table(("layer", "a", "b"), [("b1.fc", "Linear 20 parameters", "Linear 12 parameters")])
    (tmp_path / "networks.html").write_text(format_networks("a and b", [shown, shown], [table], "first"), "utf-8")
    browser.show(tmp_path / "networks.html", scheme=scheme)
    assert browser.violations() == []
    assert browser.console == []
    browser.enter("select.colour", "memory")
    assert browser.ask("document.querySelector('.of-memory').checkVisibility()")
    assert not browser.ask("document.querySelector('.of-macs').checkVisibility()")


def test_a_notebook_draws_each_network_once_though_each_brings_the_script(browser: Browser, tmp_path: Path) -> None:
    shown = ShownNetwork(SpecResult("", layers=tuple(residual(2))), "output [B, 4]")
    part = format_for_notebook(shown, "<p>shapes ok</p>")
    (tmp_path / "notebook.html").write_text(f"<html><body><div>{part}</div><div>{part}</div></body></html>", "utf-8")
    browser.show(tmp_path / "notebook.html")
    assert browser.ask("document.querySelectorAll('svg.arcs').length") == 2
    assert browser.ask(ARCS) == ["0 3", "3 6"] * 2
    assert browser.console == []


def test_the_matrix_of_all_checks_needs_no_scrolling_in_a_narrow_window(browser: Browser) -> None:
    every: dict[str, Literal["passed"]] = dict.fromkeys(CHECKS, "passed")
    browser.open(run_of(spec("specs/a_network_of_an_ordinary_name.arch.yaml", **every)), 1200)
    assert browser.ask("document.querySelectorAll('#matrix th.check').length") == len(CHECKS)
    assert browser.ask("(box => box.scrollWidth - box.clientWidth)(document.querySelector('#matrix .scroll'))") <= 0


def test_the_matrix_shows_what_is_looked_for(browser: Browser) -> None:
    browser.open(run_of(spec("specs/wrong", shapes="failed"), spec("specs/one", shapes="passed"), spec("specs/two")))
    browser.enter("#find", "one")
    assert shown_rows(browser) == ["specs/one"]
    assert browser.ask("document.getElementById('found').textContent") == "1 of 3 specs"
    browser.enter("#find", "")
    browser.enter("#only", "failed")
    assert shown_rows(browser) == ["specs/wrong"]


def test_a_failure_is_shown_when_it_is_clicked_in_the_matrix(browser: Browser) -> None:
    specs = [spec(f"specs/{number:02}", shapes="failed") for number in range(40)]
    browser.open(run_of(*specs))
    last = "document.querySelector('#rows tr:last-child td.failed a')"
    anchor = browser.ask(f"{last}.hash")
    assert browser.ask(f"document.querySelector('{anchor}').open") is False
    browser.ask(f"{last}.click()")
    browser.ask("new Promise(done => setTimeout(done, 50))")
    assert browser.ask(f"document.querySelector('{anchor}').open") is True
    top = browser.ask(f"document.querySelector('{anchor}').getBoundingClientRect().top")
    assert 0 <= top < 1000


def test_networks_are_folded_to_a_depth(browser: Browser) -> None:
    browser.open(run_of(replace(spec(shapes="passed"), layers=LAYERS), exit_status=0))
    visible = "[...document.querySelectorAll('.layer .name')].filter(e => e.checkVisibility()).length"
    counts = []
    for depth in ("1", "2", "3", "99"):
        browser.enter("select.depth", depth)
        counts.append(browser.ask(visible))
    assert counts == [2, 3, 4, 4]


def test_a_packed_network_is_unpacked_when_a_link_leads_to_it(browser: Browser) -> None:
    layers = tuple(Layer(f"layer{number}.conv", "Conv2d", 0, f"[B, {number}]", number + 1) for number in range(200))
    specs = [replace(spec(f"specs/{number:03}", shapes="passed"), layers=layers) for number in range(60)]
    browser.open(run_of(*specs, exit_status=0), anchor="#s59")
    browser.ask("new Promise(done => setTimeout(done, 300))")
    assert browser.ask("document.querySelectorAll('#s59 .network li').length") == 200
    assert browser.ask("document.querySelectorAll('#s58 .network li').length") == 0
    assert browser.console == []


def residual(number: int) -> list[Layer]:
    """Return the calls of a network of residual blocks, of a layer and an addition each."""
    layers = [Layer("stem", "Linear", 0, "[B, 4]", 20, 16, (-1,))]
    for block in range(number):
        last = len(layers) - 1
        layers += [
            Layer(f"b{block}", "Block", 0, f"[B, {block}]", 20, 16),
            Layer(f"b{block}.fc", "Linear", 1, f"[B, {block}]", 20, 16, (last,)),
            Layer("", "add", 1, f"[B, {block}]", sources=(last, last + 2)),
        ]
    return layers


ARCS = "[...document.querySelectorAll('.arcs g')].map(g => g.dataset.rows)"


def arcs_at_depth(browser: Browser, depth: int) -> list[str]:
    browser.enter("select.depth", str(depth))
    browser.ask("new Promise(done => setTimeout(done, 100))")
    found: list[str] = browser.ask(ARCS)
    return found


def test_an_arc_leads_past_the_layers_that_are_skipped_as_far_as_they_are_shown(browser: Browser) -> None:
    layers = (*residual(3), Layer("head", "Linear", 0, "[B, 2]", 10, 8, (9, 0)))
    browser.open(run_of(replace(spec(shapes="passed"), layers=layers), exit_status=0))
    # Rows in the open: stem, b0, b0.fc, add, b1, b1.fc, add, b2, b2.fc, add, head
    assert sorted(arcs_at_depth(browser, 99)) == ["0 3 10", "3 6", "6 9"]
    # Closed: stem, b0, b1, b2, head
    assert arcs_at_depth(browser, 1) == ["0 4"]
    browser.ask("document.querySelector('.network details').open = true")
    browser.ask("new Promise(done => setTimeout(done, 100))")
    assert browser.ask(ARCS) == ["0 3 6"]  # the addition in b0, and the head behind b1 and b2
    top, bottom = (
        browser.ask(f"document.querySelector('{what}').getBoundingClientRect().{side}")
        for what, side in ((".plot", "top"), (".arcs g", "top"))
    )
    assert 0 < bottom - top < 20  # in the middle of the first row
    assert browser.console == []


def test_the_arcs_of_a_large_network_are_drawn_at_once(browser: Browser) -> None:
    browser.open(run_of(replace(spec(shapes="passed"), layers=tuple(residual(1000))), exit_status=0))
    assert len(arcs_at_depth(browser, 99)) == 1000
    assert arcs_at_depth(browser, 1) == []
    assert browser.console == []


def test_no_text_runs_as_a_script(browser: Browser) -> None:
    check = CheckResult("shapes", "error", traceback=NASTY, reason=NASTY)
    layers = (Layer(NASTY, NASTY, 0, NASTY, 1, 1),)
    browser.open(run_of(replace(spec(NASTY), build=NASTY, source=NASTY, checks=(check,), layers=layers)))
    assert browser.ask("document.title") == "archcheck: failed"
    assert browser.ask("document.querySelectorAll('img').length") == 0
    assert browser.console == []
