"""The page of a run in a real browser: Chromium without a window, by Selenium; skipped where one isn't there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archcheck.report.files import write_report
from archcheck.report.run_record import CheckResult, Layer, RunRecord
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
        metrics = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        self._driver.get("about:blank")
        self._driver.get(f"{self._path.as_uri()}{anchor}")

    def ask(self, expression: str) -> Any:
        return self._driver.execute_async_script(
            f"const done = arguments[0]; Promise.resolve({expression}).then(done, (error) => done(String(error)));"
        )

    def enter(self, selector: str, value: str) -> None:
        """Give a field or a choice a value, as its user would."""
        field = f"document.querySelector('{selector}')"
        self.ask(f"(() => {{ {field}.value = '{value}'; {field}.dispatchEvent(new Event('input')); }})()")

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
def test_texts_have_the_contrast_that_readers_need(browser: Browser, scheme: str) -> None:
    """4.5 to 1, as the Web Content Accessibility Guidelines ask for; measured as they define it."""
    browser.open(run_of(replace(FULL, layers=LAYERS)), scheme=scheme)
    assert browser.ask(CONTRAST) == []


def test_everything_has_a_name_to_be_read_out(browser: Browser) -> None:
    browser.open(run_of(replace(FULL, layers=LAYERS)))
    unnamed = (
        "[...document.querySelectorAll('input, select, button, a, summary, svg, section, [role=region]')].filter(e => "
        "!(e.textContent.trim() || e.ariaLabel || e.getAttribute('aria-labelledby') || e.labels?.length))"
        ".map(e => e.outerHTML)"
    )
    assert browser.ask(unnamed) == []
    assert browser.ask("[...document.querySelectorAll('[id]')].length") == browser.ask(
        "new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size"
    )


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


CONTRAST = """(() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = numbers(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *:not(script)")) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const colour = element instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [light(numbers(colour)), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) found.push(`${element.className} ${element.textContent.slice(0, 30)}: ${ratio}`);
  }
  return found;
})()"""
