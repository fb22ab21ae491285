"""How the site is built of the pages: `sphinx-build -W docs docs/_build`. Nothing is fetched."""

from __future__ import annotations

import os
import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

from archcheck.report.files import write_report
from archcheck.report.run_record import read_run

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "docs" / "example-run.json"
_ABOUT = (ROOT / "archcheck" / "__init__.py").read_text(encoding="utf-8")

project = "archcheck"
author = "The archcheck authors"
copyright = author  # noqa: A001 - Sphinx's name
release = version = re.findall(r'^__version__ = "(.*)"$', _ABOUT, flags=re.M)[0]

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
nitpicky = True

# Links to headings are written as a forge makes them: the text in lower case, with `-` for spaces.
myst_heading_anchors = 4

html_theme = "furo"
html_title = f"archcheck {release}"


def _add_contents(_: Sphinx, docname: str, source: list[str]) -> None:
    """The site's contents are the pages that lists and tables of a folder's index link to, in this order."""
    if Path(docname).name == "index":
        rows = "\n".join(re.findall(r"^ *[|-] .*$", source[0], flags=re.M))
        linked = dict.fromkeys(re.findall(r"\]\(([\w/-]+)\.md", rows))
        pages = [page for page in linked if "/" not in page or page.endswith("/index")]
        source[0] += "\n".join(["\n```{toctree}", ":hidden:", "", *pages, "```", ""])


def _lead_out(app: Sphinx, doctree: nodes.document) -> None:
    """Links to files outside of docs/: the README is the site's first page, others are handed out as they are."""
    for link in list(doctree.findall(addnodes.download_reference)):
        if Path(link["reftarget"]).name == EXAMPLE.name:
            link.replace_self(nodes.reference("", "", *link.children, refuri=f"{EXAMPLE.stem}.html"))
    for link in list(doctree.findall(addnodes.pending_xref)):
        path = Path(f"{link['reftarget']}.md")
        if not path.is_absolute():
            continue
        if path == ROOT / "README.md":
            link["reftarget"] = "index"
        else:
            target = os.path.relpath(path, Path(app.env.doc2path(app.env.docname)).parent)
            link.replace_self(addnodes.download_reference("", "", *link.children, reftarget=target))


def _write_example(app: Sphinx, error: Exception | None) -> None:
    """The page of an example, made of the record of its run as every page is."""
    if error is None and app.builder.format == "html":
        write_report(read_run(EXAMPLE.read_text("utf-8"), EXAMPLE.name), Path(app.outdir, f"{EXAMPLE.stem}.html"))


def setup(app: Sphinx) -> None:
    """Pages stay plain Markdown: what only a site needs is added while it is built."""
    app.connect("source-read", _add_contents)
    app.connect("doctree-read", _lead_out, priority=100)  # before Sphinx collects what is handed out
    app.connect("build-finished", _write_example)
