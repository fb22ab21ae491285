"""Take the screenshots of docs/: the tutorial's network without its second sigmoid, verified and trained, and ViT-B/16.

pip install selenium; apt-get install chromium chromium-driver
python docs/screenshots.py
"""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from selenium import webdriver

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = ROOT / "docs"
BROKEN: Final = ("self.conv2(x).sigmoid()", "self.conv2(x)")
WIDTH: Final = 1000  # pixels of a page, and of a picture


def write_report(folder: Path) -> None:
    """Run pytest on the tutorial's network with an activation lost."""
    shutil.copytree(DOCS / "examples", folder, dirs_exist_ok=True)
    nets = folder / "nets.py"
    text = nets.read_text("utf-8")
    assert BROKEN[0] in text
    nets.write_text(text.replace(*BROKEN), "utf-8")
    command = [sys.executable, "-m", "pytest", "--archcheck", "--archcheck-report", "report.html", "-q"]
    if subprocess.run(command, cwd=folder, check=False).returncode != 1:
        raise SystemExit("expected a failure")


def write_network(folder: Path) -> None:
    """Write the page of ViT-B/16."""
    target = ["torchvision:vit_b_16", "--input", "B,3,224,224", "--html", "network.html"]
    subprocess.run([sys.executable, "-m", "archcheck.cli", "show", *target], cwd=folder, check=True)


def browser() -> Any:
    """Start Chromium without a window."""
    options: Any = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))


def shoot(driver: Any, page: Path, selector: str, picture: str, before: str = "") -> None:
    """Take a picture of an element of a page."""
    metrics = {"width": WIDTH, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.get(page.as_uri())
    driver.execute_async_script(f"{before}; setTimeout(arguments[0], 300)")
    box = driver.execute_script(
        f"const box = document.querySelector({selector!r}).getBoundingClientRect();"
        "const [x, y] = [box.x + scrollX - 8, box.y + scrollY - 8];"
        "return { x, y, width: box.width + 16, height: box.height + 12, scale: 1 };"
    )
    asked = {"clip": box, "captureBeyondViewport": True}
    found = driver.execute_cdp_cmd("Page.captureScreenshot", asked)
    (DOCS / picture).write_bytes(base64.b64decode(found["data"]))


def main() -> None:
    """Take the pictures."""
    driver = browser()
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_report(folder)
            write_network(folder)
            shoot(driver, folder / "report.html", "details.failure", "report-failure.png")
            shoot(driver, folder / "report.html", "#training figure", "report-curve.png")
            opened = "document.querySelectorAll('details.rows').forEach((one) => { one.open = true; })"
            shoot(driver, folder / "network.html", ".drawing", "report-network.png", opened)
    finally:
        driver.quit()


if __name__ == "__main__":
    main()
