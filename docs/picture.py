"""Draw the failure that README.md shows, as a terminal does, into docs/failure.svg; with `--check` only compare."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

ROOT: Final = Path(__file__).parents[1]
PICTURE: Final = ROOT / "docs" / "failure.svg"
COMMAND: Final = "python docs/picture.py"

_CHARACTER, _LINE, _MARGIN = 7.8, 20, 22
_PLAIN, _DIM, _BAD, _CAUSE = "#d6dbe3", "#8a94a6", "#ff7b72", "#f0c674"
_BACKGROUND, _BORDER = "#161b22", "#3d444d"  # the border tells the picture from a page that is as dark


def failure(readme: str) -> list[str]:
    """The command that fails, and the message of the failure."""
    shown = re.findall(r"<!-- exit: 1 -->\n```console\n(\$ .*?)\n\.\.\.\n(.*?)\n\.\.\.\n", readme, flags=re.S)
    ((command, message),) = shown
    return [command, *message.splitlines()]


def draw(lines: Sequence[str]) -> str:
    """The lines as a picture."""
    width = round(max(map(len, lines)) * _CHARACTER + 2 * _MARGIN)
    height = len(lines) * _LINE + 2 * _MARGIN
    texts = "\n".join(
        f'<text x="{_MARGIN}" y="{_MARGIN + 14 + number * _LINE}">{"".join(_spans(line))}</text>'
        for number, line in enumerate(lines)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">\n'
        f"<style>text {{ font: 13px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace; white-space: pre }}"
        f"</style>\n"
        f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8" fill="{_BACKGROUND}"'
        f' stroke="{_BORDER}"/>\n{texts}\n</svg>\n'
    )


def _spans(line: str) -> Iterator[str]:
    """The line in the colours of its parts."""
    label, rest = re.fullmatch(r"(\s+\S+\s+|\$ |)(.*)", line).groups()  # type: ignore[union-attr] # it always matches
    colours = {"": _BAD, "cause": _CAUSE}
    for text, colour in ((label, _DIM), (rest, colours.get(label.strip(), _PLAIN))):
        if text:
            yield f'<tspan fill="{colour}" xml:space="preserve">{escape(text)}</tspan>'


def main(argv: Sequence[str]) -> int:
    """Draw, or with `--check` say whether the picture is the README's. Returns the exit status."""
    new = draw(failure((ROOT / "README.md").read_text(encoding="utf-8")))
    if "--check" not in argv:
        PICTURE.write_text(new, encoding="utf-8")
    elif not PICTURE.exists() or PICTURE.read_text(encoding="utf-8") != new:
        print(f"{PICTURE.relative_to(ROOT)} isn't what README.md shows; run: {COMMAND}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
