"""Networks that somebody looks at: a page of one, a page of two side by side, and what a notebook shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from archcheck.report.network_record import with_layers
from archcheck.report.picture import Said, draw_network
from archcheck.report.rendering import style_and_script, template_environment
from archcheck.report.run_record import SpecResult
from archcheck.structure.diff import Comparison, Divergence, cell
from archcheck.structure.layer_table import totals
from archcheck.structure.records import FlowRecord, StructureTrace

_FILES = ("colours", "network", "look")


@dataclass(frozen=True, slots=True)
class ShownNetwork:
    """A network to show: its layers, lines below them, what is said of its layers and isn't so, how deep it's open."""

    result: SpecResult
    lines: str
    said: Mapping[str, Sequence[Said]] = field(default_factory=dict)
    depth: int | None = None

    @staticmethod
    def of(
        label: str,
        trace: StructureTrace,
        flow: FlowRecord | None,
        said: Mapping[str, Sequence[Said]] | None = None,
        *,
        first_difference: str | None = None,
        memory: Mapping[str, int] | None = None,
        depth: int | None = None,
    ) -> ShownNetwork:
        """Return a network that was traced. memory: what its layers hold in a step, in bytes, by name."""
        result = SpecResult(label, first_difference=first_difference, memory=memory or {})
        lines = "\n".join(totals(trace)).strip()
        return ShownNetwork(with_layers(result, trace, flow), lines, said or {}, depth)

    @property
    def picture(self) -> Markup:
        """The network as HTML."""
        return draw_network(self.result, self.said, self.depth)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def format_networks(title: str, networks: Sequence[ShownNetwork], tables: Sequence[Table] = (), text: str = "") -> str:
    """Return a page of networks, below tables and a text."""
    template = template_environment().get_template("networks.html")
    return template.render(title=title, networks=networks, tables=tables, text=text, **style_and_script(*_FILES))


def format_comparison(comparison: Comparison, left: ShownNetwork, right: ShownNetwork, text: str = "") -> str:
    """Return a page of two networks, with what differs marked in either. text: what else was compared."""
    names = left.result.spec, right.result.spec
    tables = [Table(("layer", *names), comparison.layers()), Table(("total", *names), comparison.totals)]
    whole = "\n\n".join(filter(None, [comparison.remark, text]))
    title = f"{names[0]} and {names[1]}"
    return format_networks(title, (left, right), [one for one in tables if one.rows], whole)


def said_by_other(divergences: Iterable[Divergence], other: str, *, is_left: bool) -> dict[str, list[Said]]:
    """Return by layer what another network has in the place of each that differs."""
    found: dict[str, list[Said]] = {}
    for one in divergences:
        own, theirs = (one.left, one.right) if is_left else (one.right, one.left)
        if own is not None:
            what = f"{other} has" if theirs is not None else f"{other} has no such layer"
            found.setdefault(own.name, []).append(Said(what, "" if theirs is None else cell(theirs, own)))
    return found


def format_for_notebook(network: ShownNetwork, head: str = "") -> str:
    """Return a network as a part of another page, which brings its own style and script; `head` is HTML above it."""
    template = template_environment().get_template("notebook.html")
    return template.render(network=network, head=Markup(head), **style_and_script("colours", "network"))
