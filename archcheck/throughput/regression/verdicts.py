"""Measured speeds compared with minima, baselines and claims: measurements in, mismatches out. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from archcheck.findings import Keys, Mismatch
from archcheck.spec.models import Faster
from archcheck.text.units import format_macs_rate, format_rate
from archcheck.throughput.records import SpeedRecord
from archcheck.throughput.regression.interval import Interval
from archcheck.throughput.regression.paired_benchmark import PairedResult


@dataclass(frozen=True, slots=True)
class Floor:
    """An absolute minimum for the device, and its place in the spec."""

    keys: Keys
    least: float


def check_floors(record: SpeedRecord, rate: Floor | None, utilization: Floor | None) -> list[Mismatch]:
    """Check the absolute minima of examples per second and of utilization."""
    found = []
    if rate is not None and record.examples_per_sec < rate.least:
        share = 100 * (1 - record.examples_per_sec / rate.least)
        found.append(
            Mismatch(
                rate.keys, "throughput", f"{share:.3g} % fewer examples per second than the minimum",
                expected=f"at least {rate.least:_.6g} examples/s",
                actual=f"{record.examples_per_sec:_.6g} examples/s", notes=speed_notes(record),
            )
        )  # fmt: skip
    reached = record.utilization
    if utilization is not None and reached is not None and reached < utilization.least:
        found.append(
            Mismatch(
                utilization.keys, "throughput", "less of the device's own peak than the minimum",
                expected=f"at least {utilization.least:.3g} of {format_macs_rate(record.peak_macs_per_sec)}",
                actual=f"{reached:.3g}, {format_macs_rate(record.macs_per_sec)}", notes=speed_notes(record),
            )
        )  # fmt: skip
    return found


def speed_notes(record: SpeedRecord) -> tuple[tuple[str, str], ...]:
    """Return the note on how a speed was measured."""
    threads = f", {record.num_threads} thread" if record.num_threads else ""
    return (("measured", f"{record.mode}, batch {record.batch_size}, {record.precision} on {record.device}{threads}"),)


def check_regression(
    interval: Interval, limit: float, record: SpeedRecord, than: str, again: str, keys: Keys
) -> list[Mismatch]:
    """Return the mismatch of a step that takes longer than before by more than `limit` percent.

    than: what it is slower than. again: the command that measures it again.
    """
    return [
        Mismatch(
            keys, "throughput", f"slower than {than}: a step takes {format_change(interval)}",
            expected=f"at most {limit:.3g} % longer", actual=format_range(interval),
            notes=(*speed_notes(record), ("again", again)),
        )
    ]  # fmt: skip


def check_faster(keys: Keys, claim: Faster, comparison: PairedResult) -> list[Mismatch]:
    """Check that examples per second are at least the claimed factor times those of another spec.

    comparison: the time of the other spec over that of this one.
    """
    if comparison.verdict != "under":
        return []
    interval = comparison.interval
    rates = f"{format_rate(1 / comparison.right_sec)} examples/s, {claim.spec} {format_rate(1 / comparison.left_sec)}"
    return [
        Mismatch(
            (*keys, "by"), "faster_than", f"{interval.ratio:.2f}x as fast as {claim.spec}",
            expected=f"at least {claim.by:g}x",
            actual=format_factor(interval),
            notes=(("rates", rates),),
        )
    ]  # fmt: skip


def format_change(interval: Interval) -> str:
    """Format a ratio of times as a change: `15.2 % longer`, `3.1 % less`."""
    change = interval.ratio - 1
    return f"{abs(change) * 100:.1f} % {'longer' if change >= 0 else 'less'}"


def format_range(interval: Interval) -> str:
    """Format a ratio of times: `+15.2 % (99 % sure: +12.1 % to +18.4 %)`."""
    low, ratio, high = (f"{(value - 1) * 100:+.1f} %" for value in (interval.low, interval.ratio, interval.high))
    return f"{ratio} (99 % sure: {low} to {high})"


def format_factor(interval: Interval) -> str:
    """Format a factor: `1.961x (99 % sure: 1.902 to 2.022)`."""
    return f"{interval.ratio:.3f}x (99 % sure: {interval.low:.3f} to {interval.high:.3f})"
