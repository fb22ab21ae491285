"""A handful of the bugs of `benchmarks/real_bugs.py`: noticed, named, and said of the right repository."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from defect_zoo.case import Family
    from defects import Verdict

ROOT = Path(__file__).parents[2]
ZOO = "real_bug_zoo"
NUM_BUGS_AT_LEAST = 24


@pytest.fixture(scope="module", autouse=True)
def bench() -> None:
    """The benchmarks import each other as scripts do."""
    if str(ROOT / "benchmarks") not in sys.path:
        sys.path.append(str(ROOT / "benchmarks"))


def families() -> list[Family]:
    from defect_zoo.case import family_names, load_family

    return [load_family(name, ZOO) for name in family_names(ZOO)]


def judged(network: str, case: str) -> Verdict:
    """What the methods say of one case."""
    from defect_zoo.case import load_family
    from defects import judge_family

    family = load_family(network, ZOO)
    defects = tuple(one for one in family.defects if one.name == case)
    rewrites = tuple(one for one in family.rewrites if one.name == case)
    (verdict,) = judge_family(replace(family, defects=defects, rewrites=rewrites))
    return verdict


@pytest.mark.parametrize(
    ("network", "bug", "message"),
    [
        (
            "detector",
            "epsilon and momentum lost on a rebuild",
            "stem_bn.act: the output differs (batch_norm eps=1e-05 now, 0.001 was recorded)",
        ),
        (
            "inception",
            "the ReLU's result is not used",
            "stem: the output differs (a relu is missing after batch_norm)",
        ),
        (
            "vision_transformer",
            "dropout is never on",
            "blocks.0.fc2: the output in train mode differs (dropout is off in train mode)",
        ),
        (
            "cifar_resnet",
            "an extra ReLU before the sum",
            "block_a: the output differs (a relu too many)",
        ),
        (
            "super_resolution",
            "the sum is scaled, not the residual",
            "blocks.0: the output differs (add and mul in the other order)",
        ),
        (
            "translation",
            "softmax over the batch",
            "attention.linear_out: mixes the examples of a batch in eval mode",
        ),
        (
            "autoencoder",
            "a missing detach stops the later quantizers' gradient",
            "stack.1.conv2: the gradients of its parameters differ",
        ),
        ("merged", "layers in a plain list", "convs.layers.0: no such module"),
    ],
)
def test_a_bug_that_happened_is_noticed_and_named(network: str, bug: str, message: str) -> None:
    verdict = judged(network, bug)
    assert verdict.message == message
    assert "archcheck" in verdict.alarms
    assert verdict.named_right


@pytest.mark.parametrize(
    ("network", "refactoring"),
    [("detector", "built once"), ("diffusion", "the library's attention"), ("vocoder", "the convolution pads itself")],
)
def test_a_refactoring_of_the_same_networks_stays_green(network: str, refactoring: str) -> None:
    verdict = judged(network, refactoring)
    assert (verdict.layer, verdict.message) == (None, "")
    assert "archcheck" not in verdict.alarms


@pytest.mark.parametrize("network", ["autoencoder", "detector", "merged"])
def test_brute_force_finds_each_bug_where_it_is_said_to_be(network: str) -> None:
    from defect_zoo.case import apply_edits, load_family
    from defect_zoo.confirm import find_first_differences

    family = load_family(network, ZOO)
    for bug in family.defects:
        found = find_first_differences(family.source, apply_edits(family.source, bug.edits), family.inputs)
        assert found
        assert set(found) <= set(bug.layers)


def test_every_bug_names_the_repository_and_the_number_that_tell_of_it() -> None:
    from defect_zoo.case import Bug

    bugs = [bug for family in families() for bug in family.defects]
    sources = [bug.source for bug in bugs if isinstance(bug, Bug)]
    assert len(sources) == len(bugs) == len(set(sources)) >= NUM_BUGS_AT_LEAST
    assert [source for source in sources if not re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", source)] == []


def test_the_committed_table_lists_every_bug() -> None:
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    missing = [bug.name for family in families() for bug in family.defects if f"| {bug.name} " not in text]
    assert missing == []


def test_the_readme_quotes_the_table() -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    table = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    quotes = re.findall(r"^- .*?archcheck:\s+`([^`]+)`", (ROOT / "README.md").read_text("utf-8"), re.M | re.S)
    assert len(quotes) == 3
    assert [quote for quote in quotes if " ".join(quote.split()) not in table] == []
    num_bugs = sum(len(family.defects) for family in families())
    assert f"among the {num_bugs} of a [benchmark](benchmarks/README.md#real-bugs)" in readme
