"""Builds whose weights are packed differently: what a spec says of them, and what a message offers to say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from archcheck.cli.command_line import main
from tests.integration.project import Project

NETS = """
import torch
from torch import nn
from torch.nn.functional import gelu, relu

class Conv1D(nn.Module):  # as GPT-2 has it
    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(inputs, outputs)), nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        return x @ self.weight + self.bias

def attend(q, k, v, heads, scale):
    q, k, v = (one.unflatten(-1, (heads, -1)).transpose(1, 2) for one in (q, k, v))
    return ((q @ k.transpose(-2, -1) * scale).softmax(-1) @ v).transpose(1, 2).flatten(2)

class Separate(nn.Module):
    def __init__(self, order="qkv", key_bias=True, act="gelu", scale=0.5):
        super().__init__()
        self.order, self.act, self.scale = order, act, scale
        self.q, self.v, self.o = (nn.Linear(8, 8) for _ in range(3))
        self.k = nn.Linear(8, 8, bias=key_bias)
        self.norm, self.fc, self.out = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(24, 8)

    def forward(self, x):
        y = self.norm(x)
        made = {one: getattr(self, one)(y) for one in self.order}
        x = x + self.o(attend(made["q"], made["k"], made["v"], 2, self.scale))
        return x + self.out(gelu(self.fc(x)) if self.act == "gelu" else relu(self.fc(x)))

class Fused(nn.Module):
    def __init__(self, layer="Linear", eps=1e-5, scale=0.5):
        super().__init__()
        make = {"Linear": nn.Linear, "Conv1D": Conv1D}[layer]
        self.scale = scale
        self.qkv, self.proj, self.up, self.down = make(8, 24), make(8, 8), make(8, 24), make(24, 8)
        self.ln = nn.LayerNorm(8, eps=eps)

    def forward(self, x):
        q, k, v = self.qkv(self.ln(x)).chunk(3, -1)
        x = x + self.proj(attend(q, k, v, 2, self.scale))
        return x + self.down(gelu(self.up(x)))

class ByHeads(Fused):  # as GPT-NeoX has it: queries, keys and values of each head in turn
    def forward(self, x):
        fused = self.qkv(self.ln(x)).unflatten(-1, (2, 3, 4))
        q, k, v = (one.flatten(-2) for one in fused.unbind(-2))
        x = x + self.proj(attend(q, k, v, 2, self.scale))
        return x + self.down(gelu(self.up(x)))

class Torchs(nn.Module):
    def __init__(self):
        super().__init__()
        self.mha = nn.MultiheadAttention(8, 2, batch_first=True)
        self.ln, self.up, self.down = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(24, 8)

    def forward(self, x):
        y = self.ln(x)
        x = x + self.mha(y, y, y, need_weights=False)[0]
        return x + self.down(gelu(self.up(x)))

def deep(layer):
    return nn.Sequential(*(layer() for _ in range(2)))

def separate_layers():
    return deep(Separate)

class Layers(nn.Module):
    def __init__(self):
        super().__init__()
        self.h = nn.ModuleList(Fused() for _ in range(2))

    def forward(self, x):
        for layer in self.h:
            x = layer(x)
        return x

class Tied(nn.Module):
    def __init__(self, tied=True):
        super().__init__()
        self.embedding, self.head = nn.Embedding(11, 8), nn.Linear(8, 11, bias=False)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, ids):
        return self.head(self.embedding(ids).tanh())

class Gated(nn.Module):  # two weights of one shape, of which either may be called first
    def __init__(self, gate_first=True):
        super().__init__()
        self.gate_first = gate_first
        self.a, self.b, self.out = nn.Linear(6, 9), nn.Linear(6, 9), nn.Linear(9, 6)

    def forward(self, x):
        if self.gate_first:
            gate, up = self.a(x).sigmoid(), self.b(x)
        else:
            up, gate = self.b(x), self.a(x).sigmoid()
        return self.out(gate * up)

class Renamed(nn.Module):  # calls what isn't gated first
    def __init__(self, act="sigmoid"):
        super().__init__()
        self.w1, self.w2, self.w3 = nn.Linear(6, 9), nn.Linear(9, 6), nn.Linear(6, 9)
        self.act = getattr(torch, act)

    def forward(self, x):
        up = self.w3(x)
        return self.w2(self.act(self.w1(x)) * up)

class Shortcut(nn.Module):
    def __init__(self, shortcut_first=True):
        super().__init__()
        self.shortcut_first = shortcut_first
        self.body = nn.Sequential(self.unit(), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.short = self.unit()

    def unit(self):
        return nn.Sequential(nn.Conv2d(4, 4, 1, bias=False), nn.BatchNorm2d(4))

    def forward(self, x):
        if self.shortcut_first:
            short = self.short(x)
            return self.body(x) + short
        return self.body(x) + self.short(x)

class OtherShortcut(Shortcut):
    def __init__(self):
        super().__init__(False)
        self.way = self.__dict__["_modules"].pop("short")

    def forward(self, x):
        return self.body(x) + self.way(x)

def sized(size=224):
    return Sized(size)

class Sized(nn.Module):  # takes images of one size only
    def __init__(self, size):
        super().__init__()
        self.size, self.conv = size, nn.Conv2d(3, 512, 16, 16)

    def forward(self, x):
        assert self.size is None or x.shape[-1] == self.size, f"expected {self.size}, found {x.shape[-1]}"
        return self.conv(x).mean((2, 3))
"""
PATH = "specs/net.arch.yaml"
TOKENS = "[B, 5, 8]"
QKV = '{qkv.weight: "concat(q.weight, k.weight, v.weight)", qkv.bias: "concat(q.bias, k.bias, v.bias)"}'
SPLIT = (
    '{q.weight: "split(qkv.weight, 3, 0)", q.bias: "split(qkv.bias, 3, 0)", '
    'k.weight: "split(qkv.weight, 3, 1)", k.bias: "split(qkv.bias, 3, 1)", '
    'v.weight: "split(qkv.weight, 3, 2)", v.bias: "split(qkv.bias, 3, 2)"}'
)
TURNED = (
    '{qkv.weight: "transpose(concat(q.weight, k.weight, v.weight))", qkv.bias: "concat(q.bias, k.bias, v.bias)", '
    "proj.weight: transpose(o.weight), up.weight: transpose(fc.weight), down.weight: transpose(out.weight)}"
)


@pytest.fixture
def here(project: Project) -> Project:
    project.write("nets.py", NETS)
    return project


def spec(project: Project, ours: str, theirs: str, weights: str, given: str = TOKENS, args: str = "{}") -> Path:
    return project.spec(
        "net",
        f"build: nets:{ours}\nargs: {args}\ninput: {given}\n"
        f"equivalent_to:\n  build: nets:{theirs}\n  weights: {weights}\n",
    )


def problems(result: pytest.RunResult) -> list[str]:
    return [line for line in result.stdout.str().splitlines() if line.startswith(f"{PATH}:")]


# ------------------------------------------------------------------------------------------- what a spec says


@pytest.mark.parametrize(
    ("ours", "theirs", "weights"),
    [("Separate", "Fused", QKV), ("Fused", "Separate", SPLIT), ("Separate", "Fused\n  args: {layer: Conv1D}", TURNED)],
)
def test_weights_that_a_spec_names_make_two_packings_one_function(
    here: Project, ours: str, theirs: str, weights: str
) -> None:
    spec(here, ours, theirs, weights)
    here.run("-k", "equivalence").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("args", "headline"),
    [
        ("{eps: 1.e-3}", "ln: the output differs from norm of nets:Separate"),
        ("{scale: 0.55}", "proj: the output differs from o of nets:Separate"),
    ],
)
def test_a_difference_is_found_under_named_weights_and_stands_where_it_begins(
    here: Project, args: str, headline: str
) -> None:
    spec(here, "Fused", "Separate", SPLIT, args=args)
    result = here.run("-k", "equivalence")
    result.assert_outcomes(failed=1)
    assert problems(result) == [f"{PATH}:5: {headline}"]


def test_a_difference_of_gradients_is_found_under_named_weights(here: Project) -> None:
    here.write(
        "more.py",
        "import nets\nclass Detached(nets.Fused):\n    def forward(self, x):\n"
        "        q, k, v = self.qkv(self.ln(x)).chunk(3, -1)\n"
        "        x = x + self.proj(nets.attend(q, k, v.detach(), 2, 0.5))\n"
        "        return x + self.down(nets.gelu(self.up(x)))\n",
    )
    path = spec(here, "Fused", "Separate", SPLIT)
    path.write_text(path.read_text().replace("nets:Fused", "more:Detached"))
    result = here.run("-k", "equivalence")
    result.assert_outcomes(failed=1)
    assert "the gradient" in problems(result)[0]


def test_wildcards_stand_for_the_same_on_both_sides(here: Project) -> None:
    weights = (
        '{"h.*.qkv.weight": "concat(*.q.weight, *.k.weight, *.v.weight)", '
        '"h.*.qkv.bias": "concat(*.q.bias, *.k.bias, *.v.bias)"}'
    )
    spec(here, "separate_layers", "Layers", weights)
    here.run("-k", "equivalence").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("weights", "problem"),
    [
        ("{qvk.weight: q.weight}", "qvk.weight: the other build has no such parameter: did you mean 'qkv.weight'?"),
        ('{"h.*.weight": q.weight}', "h.*.weight: the other build has no such parameter"),
        (
            '{qkv.weight: "concat(q.weight, k.wait, v.weight)"}',
            "qkv.weight: this network has no parameter k.wait: did you mean 'k.weight'?",
        ),
        (
            '{qkv.weight: "concat(q.weight, k.weight)"}',
            "qkv.weight: qkv.weight has the shape [24, 8], and concat(q.weight, k.weight) has [16, 8]",
        ),
        (
            '{qkv.weight: "concat(q.weight, out.weight)"}',
            "qkv.weight: concat of [8, 8] and [8, 24], which differ in more than dimension 0",
        ),
        ('{qkv.weight: "split(q.weight, 3, 0)"}', "qkv.weight: split of [8, 8] into 3 equal parts along dimension 0"),
        ('{qkv.weight: "split(q.weight, 2, 2)"}', "qkv.weight: split has parts 0 to 1, found 2"),
        ('{qkv.weight: "reshape(q.weight, 3, 8)"}', "qkv.weight: reshape of [8, 8] to [3, 8]"),
        ('{qkv.weight: "permute(q.weight, 0, 0)"}', "qkv.weight: permute of [8, 8] to dimensions [0, 0]"),
        ('{qkv.bias: "transpose(q.bias)"}', "qkv.bias: transpose of [8], which has no two dimensions"),
        ('{qkv.bias: "concat(q.bias, k.bias, 1)"}', "qkv.bias: concat of [8], which has no dimension 1"),
        (
            '{proj.weight: o.weight, "p*.weight": o.weight}',
            "p*.weight: proj.weight is given twice, by proj.weight as well",
        ),
        ('{proj.weight: "*.weight"}', "proj.weight: *.weight has more wildcards than stand on the left"),
    ],
)  # fmt: skip
def test_weights_that_there_are_not_or_do_not_fit_are_told_at_their_key(
    here: Project, weights: str, problem: str
) -> None:
    spec(here, "Separate", "Fused", weights)
    result = here.run("-k", "equivalence")
    result.assert_outcomes(failed=1)
    assert problems(result)[-1] == f"{PATH}:6: {problem}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('"concact(a, b)"', "'concact(a, b)': unknown function 'concact'; did you mean concat?"),
        ('"concat(a)"', "'concat(a)': expected concat(a, b, ...) or concat(a, b, ..., dimension)"),
        (
            '"concat(a, b"',
            "'concat(a, b': expected a comma or ')', found the end; within braces it needs quotes around it",
        ),
        ('"a b"', "'a b': expected nothing behind a"),
        ("3", "expected a parameter's name, or a function of some such as concat(a, b, ...)"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_an_error_of_the_spec(here: Project, text: str, problem: str) -> None:
    spec(here, "Separate", "Fused", f"{{qkv.weight: {text}}}")
    result = here.run()
    result.assert_outcomes(failed=1)
    [line] = problems(result)
    assert line.startswith(f"{PATH}:6: qkv.weight: {problem}"), line


def test_weights_that_nothing_is_made_of_are_told(here: Project) -> None:
    spec(here, "Separate", "Fused", '{qkv.weight: "concat(q.weight, k.weight, k.weight)"}')
    text = here.run("-k", "equivalence").stdout.str()
    assert "  weights   only here: v.bias, o.weight, o.bias, … (4 in all)" in text
    assert "  weights   only there: up.bias" in text


def test_a_weight_of_which_only_a_part_is_given_is_told(here: Project) -> None:
    spec(here, "Fused", "Separate", SPLIT.replace("split(qkv.weight, 3, 2)", "split(qkv.weight, 3, 1)"))
    assert "  weights   in part only: qkv.weight" in here.run("-k", "equivalence").stdout.str()


# ------------------------------------------------------------------------------------------- what is offered


def difference(capsys: pytest.CaptureFixture[str], left: str, right: str, *options: str) -> tuple[int, str]:
    capsys.readouterr()
    status = main(["diff", f"nets.py:{left}", f"nets.py:{right}", *(options or ("--input", "B,5,8")), "--function"])
    return status, capsys.readouterr().out


def offer(out: str) -> str:
    [line] = re.findall(r"^  note      they would match with weights: (.*)$", out, re.MULTILINE)
    return str(line)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("Separate", "Fused", QKV),
        ("Fused", "Separate", SPLIT),
        (
            "separate_layers", "Layers",
            '{"h.*.qkv.weight": "concat(*.q.weight, *.k.weight, *.v.weight)", '
            '"h.*.qkv.bias": "concat(*.q.bias, *.k.bias, *.v.bias)"}',
        ),
        (
            "Separate", "Torchs",
            '{mha.in_proj_weight: "concat(q.weight, k.weight, v.weight)", '
            'mha.in_proj_bias: "concat(q.bias, k.bias, v.bias)"}',
        ),
        (
            "Separate", "ByHeads",
            '{qkv.weight: "reshape(concat(reshape(q.weight, 2, 1, 4, 8), reshape(k.weight, 2, 1, 4, 8), '
            'reshape(v.weight, 2, 1, 4, 8), 1), 24, 8)", qkv.bias: "reshape(concat(reshape(q.bias, 2, 1, 4), '
            'reshape(k.bias, 2, 1, 4), reshape(v.bias, 2, 1, 4), 1), 24)"}',
        ),
    ],
)  # fmt: skip
def test_a_difference_of_packing_alone_offers_the_line_that_says_so(
    here: Project, capsys: pytest.CaptureFixture[str], left: str, right: str, expected: str
) -> None:
    status, out = difference(capsys, left, right)
    assert status == 1
    assert offer(out) == expected


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ("{layer: Conv1D}", TURNED),
        ("{}", QKV),
    ],
)
@pytest.mark.parametrize("ours", ["{}", "{order: kvq}", "{order: vkq}"])
def test_what_is_offered_makes_the_check_green(here: Project, args: str, expected: str, ours: str) -> None:
    path = here.spec(
        "net",
        f"build: nets:Separate\nargs: {ours}\ninput: {TOKENS}\nequivalent_to:\n  build: nets:Fused\n  args: {args}\n",
    )
    result = here.run("-k", "equivalence")
    result.assert_outcomes(failed=1)
    offered = offer(result.stdout.str())
    assert offered == expected
    path.write_text(f"{path.read_text()}  weights: {offered}\n")
    here.run("-k", "equivalence").assert_outcomes(passed=1)


def test_a_missing_bias_is_zeros_in_what_is_offered(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    here.write("bare.py", "import nets\ndef net():\n    return nets.Separate(key_bias=False)\n")
    main(["diff", "bare.py:net", "nets.py:Fused", "--input", "B,5,8", "--function"])
    assert 'qkv.bias: "concat(q.bias, zeros(8), v.bias)"' in offer(capsys.readouterr().out)


TABLES = """
import nets, torch
from torch import nn

class Before(nn.Module):  # a table of biases, before the projections
    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.randn(5, 16))
        self.q, self.k, self.v, self.o = (nn.Linear(8, 8) for _ in range(4))
        self.fc, self.out = nn.Linear(8, 12), nn.Linear(12, 8)

    def forward(self, x):
        bias = self.table.sum(-1, keepdim=True)
        x = x + bias * self.o(nets.attend(self.q(x), self.k(x), self.v(x), 2, 0.5))
        return x + self.out(self.fc(x).tanh())

class Behind(nn.Module):  # and behind the fused one
    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.randn(5, 16))
        self.qkv, self.o, self.fc, self.out = nn.Linear(8, 24), nn.Linear(8, 8), nn.Linear(8, 12), nn.Linear(12, 8)

    def forward(self, x):
        attended = nets.attend(*self.qkv(x).chunk(3, -1), 2, 0.5)
        bias = self.table.sum(-1, keepdim=True)
        x = x + bias * self.o(attended)
        return x + self.out(self.fc(x).tanh())

def before(): return nn.Sequential(Before(), Before())
def behind(): return nn.Sequential(Behind(), Behind())
"""


def test_tables_used_at_another_place_among_the_weights_are_paired_in_their_own_order(
    here: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    here.write("tables.py", TABLES)
    options = ("--input", "B,5,8", "--function")
    assert main(["diff", "tables.py:before", "tables.py:behind", *options]) == 1
    offered = offer(capsys.readouterr().out)
    assert '"*.qkv.weight": "concat(*.q.weight, *.k.weight, *.v.weight)"' in offered
    assert "table" not in offered
    weights = json.dumps(yaml.safe_load(offered))
    assert main(["diff", "tables.py:before", "tables.py:behind", *options, "--weights", weights]) == 0


def test_a_head_of_its_own_is_offered_the_shared_embedding(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    here.write("tied.py", "import nets\ndef loose():\n    return nets.Tied(False)\n")
    options = ("--input", "B,5:int64<11", "--function")
    assert main(["diff", "nets.py:Tied", "tied.py:loose", *options]) == 1
    offered = offer(capsys.readouterr().out)
    assert offered == "{embedding.weight: embedding.weight, head.weight: embedding.weight}"
    weights = json.dumps({"head.weight": "embedding.weight", "embedding.weight": "head.weight"})  # either of its names
    assert main(["diff", "nets.py:Tied", "tied.py:loose", *options, "--weights", weights]) == 0


@pytest.mark.parametrize("args", ["{act: relu}", "{scale: 0.6}"])
def test_nothing_is_offered_where_more_than_the_packing_differs(here: Project, args: str) -> None:
    here.spec("net", f"build: nets:Separate\nargs: {args}\ninput: {TOKENS}\nequivalent_to: nets:Fused\n")
    result = here.run("-k", "equivalence")
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*they would match*")


# ------------------------------------------------------------------------------------------- the order of use


@pytest.mark.parametrize(
    ("left", "right", "shape"),
    [("Gated", "Renamed", "B,6"), ("Shortcut", "OtherShortcut", "B,4,6,6")],
)
def test_an_order_of_use_that_differs_is_no_difference(
    here: Project, capsys: pytest.CaptureFixture[str], left: str, right: str, shape: str
) -> None:
    status, out = difference(capsys, left, right, "--input", shape)
    assert (status, out.splitlines()[-1]) == (
        0,
        "no difference in function: the same outputs and gradients under the same weights",
    )


def test_weights_of_the_same_names_match_in_whatever_order_they_are_used(here: Project) -> None:
    here.spec(
        "net", "build: nets:Shortcut\ninput: [B, 4, 6, 6]\n"
        "equivalent_to: {build: nets:Shortcut, args: {shortcut_first: false}}\n",
    )  # fmt: skip
    here.run("-k", "equivalence").assert_outcomes(passed=1)


def test_another_activation_is_found_in_whatever_order_weights_are_used(
    here: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    here.write("other.py", 'import nets\ndef net():\n    return nets.Renamed("tanh")\n')
    assert main(["diff", "nets.py:Gated", "other.py:net", "--input", "B,6", "--function"]) == 1
    assert "first difference in function: w2: the output differs from out of nets.py:Gated" in capsys.readouterr().out


# ------------------------------------------------------------------------------------------- the command line


def test_diff_takes_weights(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    weights = {"qkv.weight": "concat(q.weight, k.weight, v.weight)", "qkv.bias": "concat(q.bias, k.bias, v.bias)"}
    options = ("--input", "B,5,8", "--weights", json.dumps(weights))
    assert difference(capsys, "Separate", "Fused", *options)[0] == 0
    turned = difference(capsys, "Fused", "Separate", *options)
    assert turned[0] == 2


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("[1]", "--weights: expected a JSON map, such as --weights '{"),
        ("{", "--weights: not valid JSON ("),
        ('{"qkv.weight": "concat(a)"}', "--weights: qkv.weight: 'concat(a)': expected concat(a, b, ...)"),
        ('{"qvk.weight": "q.weight"}', "--weights: qvk.weight: the other build has no such parameter: did you mean"),
    ],
)
def test_diff_tells_what_is_wrong_with_weights(
    here: Project, capsys: pytest.CaptureFixture[str], weights: str, message: str
) -> None:
    options = ("--input", "B,5,8", "--function", "--weights", weights)
    assert main(["diff", "nets.py:Separate", "nets.py:Fused", *options]) == 2
    assert message in capsys.readouterr().err


def test_diff_knows_the_weights_of_a_spec_that_names_the_other(
    here: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    path = spec(here, "Separate", "Fused", QKV)
    path.write_text(path.read_text().replace("nets:", "../nets.py:"))
    assert main(["diff", PATH, "nets.py:Fused", "--function"]) == 0
    assert main(["diff", PATH, "nets.py:Torchs", "--function"]) == 1


def test_a_build_that_takes_one_size_only_is_run_at_the_size_of_the_spec(here: Project) -> None:
    here.spec("net", "build: nets:Sized\nargs: {size: null}\ninput: [B, 3, 224, 224]\nequivalent_to: nets:sized\n")
    here.run("-k", "equivalence").assert_outcomes(passed=1)
