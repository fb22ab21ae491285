"""Reports of large runs: how long they take to write, how large they are, and how soon a browser shows them.

    python benchmarks/report.py

1,000 specs of 100 layers each, of which 50 fail, no two networks with the same numbers; and the picture of one network
of 3,000 layers, of which no two are alike, so that nothing of it is folded. The last column is the limit; that of what
we do is on processor time, which other processes beside it don't stretch.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from tabulate import tabulate

from archcheck.checks.registry import CHECKS
from archcheck.report.files import write_report
from archcheck.report.run_record import (
    CheckOutcome,
    CheckResult,
    Environment,
    ExcerptLine,
    Failure,
    Layer,
    Run,
    RunRecord,
    SpecResult,
    count_outcomes,
    failing_first,
)

NUM_SPECS: Final = 1000
NUM_LAYERS: Final = 100
NUM_FAILING: Final = 50
LARGE: Final = 3000
LIMITS: Final = {"write": 5.0, "size": 8.0, "paint": 1.0, "large": 1.0}
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")


def make_layers(number: int, draw: random.Random) -> tuple[Layer, ...]:
    """Return the layers of a network in residual blocks of three times a convolution, a norm and an activation."""
    layers: list[Layer] = []
    while len(layers) < number:
        block, width = f"stage{len(layers) // 30}.block{len(layers) // 10 % 3}", draw.randrange(16, 2048)
        shape, params = f"[B, {width}, {width // 16}, {width // 16}]", width * draw.randrange(64, 4096)
        taken = last = len(layers) - 1
        layers.append(Layer(block, "Bottleneck", 0, shape, 3 * params, 3 * params * width))
        for part in range(1, 4):
            sources, place = (last,), len(layers)
            layers.append(Layer(f"{block}.conv{part}", "Conv2d", 1, shape, params + part, params * width, sources))
            layers.append(Layer(f"{block}.bn{part}", "BatchNorm2d", 1, shape, 2 * width, sources=(place,)))
            layers.append(Layer(f"{block}.act{part}", "ReLU", 1, shape, sources=(place + 1,)))
            last = place + 2
        layers.append(Layer("", "add", 1, shape, sources=(taken, last)))
    return tuple(layers[:number])


def make_failure(spec: str, draw: random.Random) -> Failure:
    """Return a failure with the lines around it."""
    line = draw.randrange(10, 100)
    text = "  stage0.block0.conv1: {type: Conv2d, output: [B, 64, H/4, W/4], parameters: 36_928}"
    excerpt = tuple(ExcerptLine(number, text) for number in range(line - 3, line + 4))
    return Failure(
        spec, line, "the output differs", "stage0.block0.conv1", "mean 0.62, rms 0.6228, check 2.48451",
        "mean 0.5164, rms 0.5792, check 1.804827", "Conv2d(64, 64, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))",
        "a relu is missing after batch_norm", excerpt=excerpt,
    )  # fmt: skip


def make_spec(number: int, draw: random.Random) -> SpecResult:
    """Return the result of a spec; each of the first ones has a check that fails."""
    name, is_failing = f"specs/network{number:04}.arch.yaml", number < NUM_FAILING
    checks = []
    for check in CHECKS:
        outcome: CheckOutcome = "skipped" if check == "throughput" else "passed"
        failures: tuple[Failure, ...] = ()
        if is_failing and check == "function":
            outcome, failures = "failed", (make_failure(name, draw),)
        reason = "there is no saved run to compare with" if outcome == "skipped" else None
        checks.append(CheckResult(check, outcome, 5, draw.random(), reason, failures))
    layers = make_layers(NUM_LAYERS, draw)
    params = sum(layer.parameters or 0 for layer in layers if not layer.depth)
    return SpecResult(name, f"network{number}", "nets:network", None, params, params * 50, tuple(checks), (), layers)


def record_of(specs: list[SpecResult]) -> RunRecord:
    """Return the record of a run of some specs."""
    ordered = failing_first(specs)
    run = Run("pytest --archcheck", "2026-01-02T03:04:05Z", 60.0, 1, Environment("0.1.0", "3.11.7", "Linux"))
    return RunRecord(verdict="failed", totals=count_outcomes(ordered, (run,)), runs=(run,), specs=ordered)


def paint_sec(page: Path) -> float | None:
    """Return when a browser shows something of a page first; None where there is no browser, or no Selenium."""
    browser, driver_path = next(filter(None, map(shutil.which, BROWSERS)), None), shutil.which("chromedriver")
    try:
        from selenium import webdriver
    except ImportError:
        return None
    if browser is None or driver_path is None:
        return None
    options: Any = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu"):
        options.add_argument(argument)
    driver: Any = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_path))
    try:
        driver.get(page.as_uri())
        ask = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
        while (found := driver.execute_script(ask)) is None:
            time.sleep(0.1)
        return float(found) / 1000
    finally:
        driver.quit()


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds that something takes, by the clock and of the processor."""
    start, start_cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - start_cpu


def main() -> int:
    """Measure, print the table, and return 1 where a limit isn't kept."""
    draw = random.Random(0)
    many = record_of([make_spec(number, draw) for number in range(NUM_SPECS)])
    large = record_of([SpecResult("specs/large.arch.yaml", layers=make_layers(LARGE, draw))])
    rows: list[tuple[str, float | None, str, float | None]] = []
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".html", ".md", ".json"):
            path = Path(folder, f"run{suffix}")
            wall_sec, cpu_sec = timed(partial(write_report, many, path))
            label, is_page = f"{NUM_SPECS} specs: {suffix}", suffix == ".html"
            rows.append((f"{label} written", cpu_sec, "s", LIMITS["write"]))
            rows.append((f"{label} written, by the clock", wall_sec, "s", None))
            rows.append((label, path.stat().st_size / 1e6, "MB", LIMITS["size"] if is_page else None))
        rows.append((f"{NUM_SPECS} specs: first paint", paint_sec(Path(folder, "run.html")), "s", LIMITS["paint"]))
        path = Path(folder, "large.html")
        _, cpu_sec = timed(partial(write_report, large, path))
        rows.append((f"{LARGE} layers: .html written", cpu_sec, "s", LIMITS["large"]))
        rows.append((f"{LARGE} layers: .html", path.stat().st_size / 1e6, "MB", None))
    cells = [
        (what, "-" if found is None else f"{found:.2f} {unit}", "-" if limit is None else f"{limit:g} {unit}")
        for what, found, unit, limit in rows
    ]
    print(tabulate(cells, headers=("what", "measured", "limit"), colalign=("left", "right", "right")))
    return int(any(limit is not None and found is not None and found > limit for _, found, _, limit in rows))


if __name__ == "__main__":
    sys.exit(main())
