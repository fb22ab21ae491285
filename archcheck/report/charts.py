"""Charts as SVG: lines over epochs and over runs, and intervals. Colours are those of the page, by class."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

from archcheck.text.units import format_count
from archcheck.text.visible import visible

_WIDTH, _HEIGHT = 420, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 12, 30
_NUM_TICKS: Final = 4
_FINER: Final = 1.4  # up to which there may be more of them: the next round step would leave one
_X_TICKS_AT_MOST: Final = 8
_RUNS_NAMED_AT_MOST: Final = 6


@dataclass(frozen=True, slots=True)
class Series:
    """A line: points of x and y, of which some y may be missing; `style` is a class of the page's."""

    label: str
    style: str
    points: Sequence[tuple[int, float | None]]

    @property
    def known(self) -> list[tuple[int, float]]:
        """The points whose y is known."""
        return [(x, y) for x, y in self.points if y is not None]


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line, or a band where it has a height."""

    label: str
    style: str
    y: float
    half_height: float = 0.0


class _Scale:
    """A range of values on a range of pixels."""

    def __init__(self, values: Iterable[float], start: float, end: float) -> None:
        found = list(values)
        self.low, self.high = min(found), max(found)
        if self.high - self.low < 1e-12:
            margin = abs(self.high) / 10 or 1.0
            self.low, self.high = self.low - margin, self.high + margin
        self._start, self._end = start, end

    def __call__(self, value: float) -> str:
        share = (value - self.low) / (self.high - self.low)
        return f"{self._start + share * (self._end - self._start):.1f}"


def line_chart(series: Sequence[Series], levels: Sequence[Level] = (), *, title: str) -> Markup:
    """Return lines over epochs with a legend; nothing where no point is known."""
    drawn = [one for one in series if one.known]
    if not drawn:
        return Markup()
    ys = [y for one in drawn for _, y in one.known]
    ys += [level.y + sign * level.half_height for level in levels for sign in (-1, 1)]
    xs = sorted({x for one in drawn for x, _ in one.known})
    xs = xs if len(xs) > 1 else [0, *xs]  # a single epoch is one from the start on
    x_scale = _Scale(xs, _LEFT, _WIDTH - _RIGHT)
    y_scale = _Scale(ys, _HEIGHT - _BOTTOM, _TOP)
    parts = [
        *_y_axis(y_scale),
        *_x_axis(x_scale, xs),
        *(_level(level, y_scale) for level in levels),
        *(_line(one, x_scale, y_scale) for one in drawn),
    ]
    legend = [(one.label, one.style) for one in drawn] + [(level.label, level.style) for level in levels]
    return _svg(_WIDTH, _HEIGHT, title, parts) + _legend(legend)


def _svg(width: int, height: int, title: str, parts: Iterable[str]) -> Markup:
    head = f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{_text(title)}">'
    return Markup(f"{head}{''.join(parts)}</svg>")


def _text(text: str) -> str:
    return str(escape(visible(text)))


def _y_axis(scale: _Scale) -> Iterator[str]:
    for value in _ticks(scale.low, scale.high):
        y = scale(value)
        yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
        shown = f"{value:g}" if value < 1e4 else format_count(round(value))
        yield f'<text x="{_LEFT - 6}" y="{y}" dy="0.35em" text-anchor="end">{shown}</text>'


def _x_axis(scale: _Scale, xs: Sequence[int]) -> Iterator[str]:
    yield f'<text x="{_LEFT - 6}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="end">epoch</text>'
    step = math.ceil(len(xs) / _X_TICKS_AT_MOST)
    for x in xs[::step]:
        yield f'<text x="{scale(x)}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{x}</text>'


def _ticks(low: float, high: float) -> list[float]:
    """Return a few round numbers between two others, two at least."""
    raw = (high - low) / _NUM_TICKS / _FINER
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
    first = math.ceil(low / step)
    return [round(number * step, 12) for number in range(first, math.floor(high / step) + 1)]


def _level(level: Level, scale: _Scale) -> str:
    if level.half_height:
        top, bottom = float(scale(level.y + level.half_height)), float(scale(level.y - level.half_height))
        return (
            f'<rect class="{level.style}" x="{_LEFT}" width="{_WIDTH - _LEFT - _RIGHT}" y="{top:.1f}" '
            f'height="{bottom - top:.1f}"/>'
        )
    y = scale(level.y)
    return f'<line class="{level.style}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'


def _line(series: Series, x_scale: _Scale, y_scale: _Scale) -> str:
    points = [(x_scale(x), y_scale(y)) for x, y in series.known]
    radius = 2.5 if len(points) > 1 else 4
    dots = "".join(f'<circle class="{series.style}" cx="{x}" cy="{y}" r="{radius}"/>' for x, y in points)
    path = " ".join(f"{x},{y}" for x, y in points)
    return f'<polyline class="{series.style}" points="{path}"/>{dots}'


def _legend(entries: Sequence[tuple[str, str]]) -> Markup:
    items = "".join(f'<span><i class="key {style}"></i>{_text(label)}</span>' for label, style in entries)
    return Markup(f'<div class="legend" aria-hidden="true">{items}</div>')


def interval_chart(low: float, middle: float, high: float, limit: float | None) -> Markup:
    """Return a ratio with its interval, on a line with 1 and with a limit; ratios are spaced by their logarithms."""
    width, height, margin = 200, 22, 8
    known = [math.log(value) for value in (low, middle, high, 1.0, limit or 1.0)]
    scale = _Scale(known, margin, width - margin)
    at = {name: scale(math.log(value)) for name, value in (("low", low), ("middle", middle), ("high", high))}
    one = scale(0.0)
    parts = [f'<line class="grid" x1="{one}" x2="{one}" y1="2" y2="{height - 2}"/>']
    if limit is not None:
        x = scale(math.log(limit))
        parts.append(f'<line class="minimum" x1="{x}" x2="{x}" y1="2" y2="{height - 2}"/>')
    parts.append(f'<line class="test" x1="{at["low"]}" x2="{at["high"]}" y1="{height / 2}" y2="{height / 2}"/>')
    parts.append(f'<circle class="test" cx="{at["middle"]}" cy="{height / 2}" r="4"/>')
    least = "" if limit is None else f"; at least {limit:.3f} is asked for"
    return _svg(width, height, f"{middle:.3f} times as fast, {low:.3f} to {high:.3f}{least}", parts)


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a history: what it is called below the line and in full, and whether it stands out."""

    label: str
    text: str
    value: float
    is_bad: bool = False


def history_chart(runs: Sequence[Run], *, title: str) -> Markup:
    """Return a line over runs, from 0 up, oldest first; nothing where there is only one."""
    if len(runs) < 2:
        return Markup()
    x_scale = _Scale((0.0, len(runs) - 1.0), _LEFT + 8, _WIDTH - _RIGHT - 20)
    y_scale = _Scale((0.0, *(run.value for run in runs)), _HEIGHT - _BOTTOM, _TOP)
    points = " ".join(f"{x_scale(place)},{y_scale(run.value)}" for place, run in enumerate(runs))
    parts = [*_y_axis(y_scale), f'<polyline class="test" points="{points}"/>']
    step = math.ceil(len(runs) / _RUNS_NAMED_AT_MOST)
    for place, run in enumerate(runs):
        style = "bad" if run.is_bad else "test"
        x, y = x_scale(place), y_scale(run.value)
        parts.append(f'<circle class="{style}" cx="{x}" cy="{y}" r="3.5"><title>{_text(run.text)}</title></circle>')
        if (len(runs) - 1 - place) % step == 0:
            parts.append(f'<text x="{x}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{_text(run.label)}</text>')
    return _svg(_WIDTH, _HEIGHT, title, parts)
