"""A run as a page: one file of HTML that needs no other, with the record itself inside.

Templates escape what comes from outside, and no script but the page's own may run in it. What a page of many networks
would be too large with is packed, and unpacked where it is opened.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from archcheck.report.charts import Level, Run, Series, history_chart, interval_chart, line_chart
from archcheck.report.markdown import checks_in_order, count_specs, skips_by_reason
from archcheck.report.picture import draw_network, said_by_spec
from archcheck.report.rendering import style_and_script, template_environment
from archcheck.report.run_record import FAILING, OUTCOMES, CheckResult, RunRecord, SpecResult, Training
from archcheck.text.units import format_known, format_rate
from archcheck.text.words import counted

_OPEN_CHARS: Final = 1_500_000  # of networks, and of the record, that stand in a page as they are
_RUNS_AT_MOST: Final = 50  # of a history


def format_page(record: RunRecord) -> str:
    """Return a page of a run."""
    specs = [SpecView(f"s{number}", spec) for number, spec in enumerate(record.specs)]
    return (
        template_environment()
        .get_template("page.html")
        .render(
            record=record,
            specs=specs,
            counted_specs=count_specs(record),
            checks=checks_in_order(record.specs),
            failing=[(view, check) for view in specs for check in view.spec.checks if check.outcome in FAILING],
            used=[one for one in OUTCOMES if record.totals.get(one)],
            skips=skips_by_reason(record.specs),
            networks=list(_networks(specs)),
            data=_data(record),
            **style_and_script("colours", "look", "network", "page"),
        )
    )


@dataclass(frozen=True, slots=True)
class SpecView:
    """A spec as the templates see it: with its anchor, and what of it is drawn."""

    anchor: str
    spec: SpecResult

    def result_of(self, check: str) -> CheckResult | None:
        """Return the result of a check by its name."""
        return next((one for one in self.spec.checks if one.check == check), None)

    @property
    def has_figures(self) -> bool:
        """Return whether a check has measured what has no place of its own on the page."""
        return any(check.figures for check in self.spec.checks)

    @property
    def curves(self) -> Markup:
        """The learning curves, accuracy and loss."""
        return _curves(self.spec.training) if self.spec.training is not None else Markup()

    @property
    def interval(self) -> Markup:
        """The interval of the ratio of speeds, where it was compared with another."""
        held = self.spec.speed.comparison if self.spec.speed is not None else None
        if held is None or held.speedup_low is None or held.speedup_high is None:
            return Markup()
        return interval_chart(held.speedup_low, held.speedup, held.speedup_high, held.least_speedup)

    @property
    def history(self) -> Markup:
        """The saved runs under the same conditions, and this one behind them."""
        speed = self.spec.speed
        if speed is None:
            return Markup()
        runs = [
            Run(
                one.commit if one.commit != "-" else one.date[:10],
                f"{one.date}, {one.commit}: {format_rate(one.examples_per_sec)} examples/s{_verdict(one.verdict)}",
                one.examples_per_sec,
                one.verdict == "slower",
            )
            for one in speed.history[-_RUNS_AT_MOST:]
        ]
        rate, verdict = speed.record.examples_per_sec, speed.comparison.verdict if speed.comparison else None
        now = Run("now", f"now: {format_rate(rate)} examples/s{_verdict(verdict)}", rate, verdict == "slower")
        title = f"examples per second in {counted(len(runs), 'saved run')} and now, {format_rate(rate)}"
        return history_chart([*runs, now], title=title)


def _verdict(verdict: str | None) -> str:
    return f", {verdict}" if verdict else ""


# ------------------------------------------------------------------------------------------- networks


@dataclass(frozen=True, slots=True)
class NetworkView:
    """The picture of a network: as HTML, or packed where a page has too many to show."""

    view: SpecView
    html: Markup
    packed: str


def _networks(views: Sequence[SpecView]) -> Iterator[NetworkView]:
    """Yield the pictures of all networks: failing ones first, as they are, and the others while there is room."""
    room = _OPEN_CHARS
    for view in views:
        if view.spec.layers:
            failures = (failure for check in view.spec.checks for failure in check.failures)
            html = draw_network(view.spec, said_by_spec(failures))
            room -= len(html)
            is_packed = room < 0 and not view.spec.is_failing
            yield NetworkView(view, Markup("" if is_packed else html), _packed(html) if is_packed else "")


def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode("utf-8"), compresslevel=6, mtime=0)).decode("ascii")


def _data(record: RunRecord) -> tuple[Markup, bool]:
    """Return the record as the text of a script, and whether it is packed."""
    text = record.to_json()
    if len(text) > _OPEN_CHARS:
        return Markup(_packed(text)), True
    return Markup(text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")), False


# ------------------------------------------------------------------------------------------- training


def _curves(training: Training) -> Markup:
    epochs = training.epochs
    train = Series("training set", "train", [(one.epoch, one.train_accuracy) for one in epochs])
    test = Series("test set", "test", [(one.epoch, one.test_accuracy) for one in epochs])
    loss = Series("loss", "train", [(one.epoch, one.loss) for one in epochs])
    levels = []
    if training.calibration is not None:
        half = 2 * training.calibration.std
        label = f"{training.calibration.seeds} seeds, ± 2 standard deviations"
        levels.append(Level(label, "band", training.calibration.mean, half))
    if training.minimum is not None:
        levels.append(Level(f"minimum {training.minimum:g}", "minimum", training.minimum))
    if training.published is not None and training.recipe == "full":
        levels.append(Level(f"published {training.published:g}", "published", training.published))
    reached = format_known(training.final_accuracy, 3)
    title = f"{training.metric} by epoch, {reached} at the end, {counted(len(epochs), 'epoch')}"
    losses = f"loss by epoch, {format_known(epochs[-1].loss, 4)} at the end" if epochs else ""
    return line_chart([train, test], levels, title=title) + line_chart([loss], title=losses)
