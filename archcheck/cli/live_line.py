"""A line on the terminal that says what is being done, while it's done; nothing where no one watches."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TextIO

_TICK_SEC: Final = 0.5


class LiveLine:
    """The last line of a terminal, with what is being done of several things and for how long."""

    def __init__(self, stream: TextIO, total: int) -> None:
        self._stream, self._total = stream, total
        self._lock = threading.RLock()
        self._begun = time.monotonic()
        self._running: dict[str, float] = {}
        self._num_done = 0
        self._shown = 0  # characters

    def begin(self, name: str) -> None:
        """Show that something is being done."""
        with self._lock:
            self._running[name] = time.monotonic()
        self.draw()

    def end(self, name: str) -> None:
        """Show that it's done."""
        with self._lock:
            self._num_done += self._running.pop(name, None) is not None
        self.draw()

    def draw(self) -> None:
        """Show the line as it is now."""
        with self._lock:
            text = self._text()
            self._clear()
            self._stream.write(text)
            self._stream.flush()
            self._shown = len(text)

    def clear(self) -> None:
        """Leave an empty line."""
        with self._lock:
            self._clear()
            self._stream.flush()

    def write_above(self, stream: TextIO, text: str) -> int:
        """Write what stays to the terminal; the line comes back when it's drawn next."""
        with self._lock:
            self._clear()
            return stream.write(text)

    def _clear(self) -> None:
        if self._shown:
            self._stream.write("\r" + " " * self._shown + "\r")
            self._shown = 0

    def _text(self) -> str:
        now = time.monotonic()
        names = ", ".join(f"{name} ({_clock(now - begun)})" for name, begun in self._running.items())
        text = f"{self._num_done}/{self._total} in {_clock(now - self._begun)}: {names}"
        return text[: _width(self._stream) - 1]


class _Above:
    """A stream of the terminal, whose text goes above the line."""

    def __init__(self, stream: TextIO, line: LiveLine) -> None:
        self._stream, self._line = stream, line

    def write(self, text: str) -> int:
        return self._line.write_above(self._stream, text)

    def writelines(self, lines: Iterable[str]) -> None:
        self.write("".join(lines))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def live_line(total: int) -> Iterator[LiveLine | None]:
    """Show a line while several things are done, where standard error is a terminal; None elsewhere."""
    if total < 2 or not sys.stderr.isatty():
        yield None
        return
    line, is_over = LiveLine(sys.stderr, total), threading.Event()

    def tick() -> None:
        while not is_over.wait(_TICK_SEC):
            line.draw()

    before = sys.stdout, sys.stderr
    ticking = threading.Thread(target=tick, daemon=True)
    sys.stderr = _Above(sys.stderr, line)
    if sys.stdout.isatty():
        sys.stdout = _Above(sys.stdout, line)
    ticking.start()
    try:
        yield line
    finally:
        is_over.set()
        ticking.join()
        line.clear()
        sys.stdout, sys.stderr = before


def _width(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        return 80


def _clock(seconds: float) -> str:
    """Return a duration as a clock shows it: 0:07, 1:02:03."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
