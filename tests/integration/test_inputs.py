"""What goes in: values as they are, domains, inputs that a callable makes, what train mode takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from archcheck.cli.command_line import main
from archcheck.network import input_source
from tests.integration.project import Project, lock_of, messages

NETS = """
import dataclasses, os, time
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence

class Options(nn.Module):
    def __init__(self, scale=2):
        super().__init__()
        self.fc, self.scale = nn.Linear(8, 4), scale

    def forward(self, x, mode, opts=None, return_dict=True):
        y = self.fc(x) * opts["scale"] * self.scale if opts else self.fc(x)
        y = {"train": y, "eval": y.relu()}[mode]
        return {"logits": y} if return_dict else y

class Log(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 3)

    def forward(self, mel):
        return self.fc(mel.log())

class Entropy(Log):
    def forward(self, p):
        return self.fc(torch.distributions.Bernoulli(probs=p).entropy())

class Bytes(Log):
    def __init__(self, top=255):
        super().__init__()
        self.top = top

    def forward(self, image):
        return self.fc(image.float() / self.top)

class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.rnn = nn.Embedding(30, 8), nn.GRU(8, 4, batch_first=True)

    def forward(self, ids, lengths):
        packed = pack_padded_sequence(self.embed(ids), lengths, batch_first=True, enforce_sorted=False)
        return self.rnn(packed)[1][-1]

class Sorted(Words):
    def forward(self, ids, lengths):
        return self.rnn(pack_padded_sequence(self.embed(ids), lengths, batch_first=True))[1][-1]

class Masked(Log):
    def forward(self, x, keep):
        return self.fc(x).masked_fill(~keep, -torch.inf).softmax(-1)

class Permuted(Log):
    def forward(self, x, order):
        return self.fc(x.gather(1, order))

class Bag(nn.Module):
    def __init__(self):
        super().__init__()
        self.bag = nn.EmbeddingBag(30, 4)

    def forward(self, text, offsets):
        return self.bag(text, offsets)

class Packed(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(5, 8)

    def forward(self, packed):
        return self.rnn(packed)[1][-1]

def sequences(sizes, seed):
    random = torch.Generator().manual_seed(seed)
    return pack_sequence([torch.randn(6 - min(i, 5), 5, generator=random) for i in range(sizes["B"])])

@dataclasses.dataclass
class Sample:
    x: torch.Tensor
    label: str

class OfSample(Log):
    def forward(self, sample):
        assert sample.label == "cat"
        return self.fc(sample.x)

def sample(sizes):
    return Sample(torch.ones(sizes["B"], 6) * torch.arange(6), "cat")

def another_sample(sizes):
    return Sample(torch.ones(sizes["B"], 6) * torch.arange(1, 7), "cat")

class Detector(nn.Module):
    def __init__(self, weight=1.0):
        super().__init__()
        self.fc, self.weight = nn.Linear(6, 4), weight

    def forward(self, image, boxes=None):
        y = self.fc(image)
        if self.training:
            return {"loss": (y - boxes).abs().mean() * self.weight}
        return y

def with_boxes(sizes, train):
    image, boxes = torch.rand(sizes["B"], 6), torch.rand(sizes["B"], 4)
    return {"image": image, "boxes": boxes} if train else {"image": image}

def fails(sizes):
    raise ValueError("no data here")

def by_hash(sizes):
    return torch.full((sizes["B"], 6), float(hash("archcheck") % 2**24))

def slow(sizes):
    time.sleep(0.3)
    return torch.rand(sizes["B"], 6)

def wants_more(sizes, folder):
    return None
"""


@pytest.fixture
def nets(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    project.write("nets.py", NETS)
    monkeypatch.chdir(project.path)
    return project


def new(target: str, *options: str) -> Path:
    """Write a spec for a network."""
    path = Path(f"specs/{target}.arch.yaml")
    assert main(["new", f"nets.py:{target}", *options, "--output", str(path)]) == 0
    return path


@pytest.mark.parametrize(
    ("target", "options", "line"),
    [
        (
            "Options",
            [
                "--input",
                "x=B,8",
                "--input",
                'mode="eval"',
                "--input",
                "opts={'scale': 2}",
                "--input",
                "return_dict=false",
            ],
            "input: {x: [B, 8], mode: eval, opts: {scale: 2}, return_dict: false}",
        ),
        ("Options", ["--input", "B,8", "--input", '"train"', "--input", "null"], "input: [[B, 8], train, null]"),
        ("Log", ["--input", "B,6:float32>0"], "input: {shape: [B, 6], dtype: float32, above: 0}"),
        ("Entropy", ["--input", "B,6[0..1]"], "input: {shape: [B, 6], between: [0, 1]}"),
        ("Bytes", ["--input", "B,6:uint8"], "input: {shape: [B, 6], dtype: uint8}"),
        (
            "Words",
            ["--input", "B,T:int64<30", "--input", "B:int64[1..T]", "--size", "T=9,5"],
            "input: [{shape: [B, T], dtype: int64, below: 30}, {shape: [B], dtype: int64, between: [1, T]}]",
        ),
        (
            "Sorted",
            [
                "--input",
                "B,T:int64<30",
                "--input",
                "{shape: [B], between: [1, T], sorted: descending}",
                "--size",
                "T=9,5",
            ],
            "input: [{shape: [B, T], dtype: int64, below: 30}, {shape: [B], between: [1, T], sorted: descending}]",
        ),
        ("Masked", ["--input", "B,6", "--input", "B,3:bool"], "input: [[B, 6], {shape: [B, 3], dtype: bool}]"),
        (
            "Permuted",
            ["--input", "B,6", "--input", "{shape: [B, 6], below: 6, unique: true}"],
            "input: [[B, 6], {shape: [B, 6], below: 6, unique: true}]",
        ),
        (
            "Bag",
            ["--input", "N:int64<30", "--input", "{shape: [B], below: N, sorted: true}", "--size", "N=9,5"],
            "input: [{shape: [N], dtype: int64, below: 30}, {shape: [B], below: N, sorted: true}]",
        ),
        ("Packed", ["--inputs-from", "nets.py:sequences"], 'inputs_from: "../nets.py:sequences"'),
        ("OfSample", ["--inputs-from", "nets.py:sample"], 'inputs_from: "../nets.py:sample"'),
        ("Detector", ["--inputs-from", "nets.py:with_boxes"], 'inputs_from: "../nets.py:with_boxes"'),
        (
            "Detector",
            ["--input", "image=B,6", "--train-input", "image=B,6", "--train-input", "boxes=B,4"],
            "train_input: {image: [B, 6], boxes: [B, 4]}",
        ),
    ],
)
def test_a_spec_for_any_input_holds_at_once(nets: Project, target: str, options: list[str], line: str) -> None:
    path = new(target, *options)
    assert line in path.read_text().splitlines()
    assert lock_of(path).exists()
    result = nets.run("specs", "--archcheck-strict")
    result.assert_outcomes(passed=6)


def test_a_scale_of_bytes_is_seen(nets: Project) -> None:
    path = new("Bytes", "--input", "B,6:uint8")
    path.write_text(path.read_text().replace("input:", "args: {top: 256}\ninput:"))
    nets.run("specs", "-k", "function").assert_outcomes(failed=1)


def test_what_is_done_with_a_literal_is_seen(nets: Project) -> None:
    path = new("Options", "--input", "x=B,8", "--input", 'mode="train"', "--input", "opts={scale: 2}")
    path.write_text(path.read_text().replace("scale: 2", "scale: 3"))
    nets.run("specs", "-k", "function").assert_outcomes(failed=1)


@pytest.mark.parametrize(
    "options",
    [
        ["--inputs-from", "nets.py:with_boxes"],
        ["--input", "image=B,6", "--train-input", "image=B,6", "--train-input", "boxes=B,4"],
    ],
)
def test_a_loss_that_only_train_mode_has_is_seen(nets: Project, options: list[str]) -> None:
    path = new("Detector", *options)
    text = path.read_text()
    path.write_text(text.replace("\ninput", "\nargs: {weight: 2.0}\ninput", 1))
    result = nets.run("specs", "-k", "function")
    result.assert_outcomes(failed=1)
    [message] = messages(result, "specs/Detector.arch.yaml")
    assert "the output in train mode differs" in message[0]


def test_inputs_that_are_made_otherwise_are_told_as_that(nets: Project) -> None:
    path = new("OfSample", "--inputs-from", "nets.py:sample")
    path.write_text(path.read_text().replace("nets.py:sample", "nets.py:another_sample"))
    [message] = messages(nets.run("specs", "-k", "function"), "specs/OfSample.arch.yaml")
    assert message[0].endswith("inputs_from: makes other inputs")
    assert message[-1] == "  accept    pytest --archcheck specs/OfSample.arch.yaml -k function --archcheck-update"


def test_whether_examples_are_mixed_is_said_to_be_unknown_where_they_belong_together(nets: Project) -> None:
    new("Bag", "--input", "N:int64<30", "--input", "{shape: [B], below: N, sorted: true}", "--size", "N=9,5")
    result = nets.run("specs", "-k", "health")
    unknown = "whether an example's output depends on the others isn't known"
    result.stdout.fnmatch_lines([f"specs/Bag.arch.yaml: {unknown}, as the values of input 2 belong together"])


@pytest.mark.parametrize(
    ("target", "options", "hint"),
    [
        ("Log", ["--input", "B,6"], "input 1 is {shape: [B, 6], above: 0}"),
        ("Log", ["--input", "mel=B,6"], "mel is {shape: [B, 6], above: 0}"),
        ("Entropy", ["--input", "B,6"], "input 1 is {shape: [B, 6], between: [0, 1]}"),
        ("Words", ["--input", "B,7:int64<90", "--input", "B:int64[1..7]"], "input 1 is {shape: [B, 7], below: 30}"),
        (
            "Words",
            ["--input", "B,7:int64<30", "--input", "B:int64"],
            "input 2 is {shape: [B], dtype: int64, between: [1, 7]}",
        ),
        (
            "Sorted",
            ["--input", "B,7:int64<30", "--input", "B:int64[1..7]"],
            "input 2 is {shape: [B], dtype: int64, between: [1, 7], sorted: descending}",
        ),
    ],
)
def test_new_says_which_values_an_input_wants(
    nets: Project, capsys: pytest.CaptureFixture[str], target: str, options: list[str], hint: str
) -> None:
    main(["new", f"nets.py:{target}", *options])
    assert f"not every value will do: it runs where {hint}" in capsys.readouterr().err


LAZY = """
import timm
from torch import nn

class Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.head = nn.LazyLinear(6), nn.Linear(6, 2)

    def forward(self, x):
        return self.head(self.fc(x))

def tiny(num_classes=3):
    return timm.create_model("resnet10t", num_classes=num_classes)
"""


def test_lazy_layers_and_factories_of_libraries_are_found(nets: Project, capsys: pytest.CaptureFixture[str]) -> None:
    nets.write("lazy.py", LAZY)
    assert main(["new", "lazy.py:*", "--output", "specs/"]) == 0
    assert "2 of 2 written" in capsys.readouterr().out


@pytest.mark.parametrize(("target", "option"), [("Log", "B,6>0"), ("Entropy", "B,6[0..1]"), ("Words", "B,16:int64<30")])
def test_values_that_a_network_takes_are_found_out(
    nets: Project, capsys: pytest.CaptureFixture[str], target: str, option: str
) -> None:
    path = new(target)
    assert f'archcheck: nets.py:{target}: assumed --input "{option}"' in capsys.readouterr().err
    nets.run(str(path), "--archcheck-strict").assert_outcomes(passed=6)


def test_a_check_says_which_values_an_input_wants(nets: Project) -> None:
    nets.spec("log", "build: ../nets.py:Log\ninput: {mel: [B, 6]}\noutput: [B, 3]\n")
    nets.spec("p", "build: ../nets.py:Entropy\ninput: {p: [B, 6]}\noutput: [B, 3]\n")
    result = nets.run("specs")
    [health] = messages(result, "specs/log.arch.yaml")
    assert health[0] == "specs/log.arch.yaml:1: fc.weight: has a gradient that isn't finite"
    assert "  values    not every value will do: it runs where mel is {shape: [B, 6], above: 0}" in health
    shapes, *_ = messages(result, "specs/p.arch.yaml")
    assert "  values    not every value will do: it runs where p is {shape: [B, 6], between: [0, 1]}" in shapes


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("fails", "inputs_from: calling ../nets.py:fails raised ValueError: no data here"),
        ("missing", "inputs_from: ../nets.py has no 'missing'"),
        ("Log", "forward stopped here"),
        (
            "wants_more",
            "../nets.py:wants_more asks for 'folder', and is called with sizes, seed, device, train, by name",
        ),
    ],
)
def test_a_source_that_fails_is_told_at_its_line(nets: Project, source: str, message: str) -> None:
    nets.spec("made", f"build: ../nets.py:Log\ninputs_from: ../nets.py:{source}\noutput: [B, 3]\n")
    nets.spec("sound", "build: ../nets.py:Log\ninput: {shape: [B, 6], above: 0}\noutput: [B, 3]\n")
    result = nets.run("specs")
    found = messages(result, "specs/made.arch.yaml")
    assert message in found[0][0]
    assert source == "Log" or found[0][0].startswith("specs/made.arch.yaml:2: ")
    result.stdout.fnmatch_lines(["specs/sound.arch.yaml *"])
    assert not messages(result, "specs/sound.arch.yaml")


COUNTED = """
import os, torch

def make(sizes, train):
    with open(os.environ["CALLS"], "a") as file:
        file.write(f"{sizes['B']} {train}\\n")
    return torch.rand(sizes["B"], 6) + 1
"""


def test_a_source_is_called_once_for_each_size_and_mode(
    nets: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tmp_path / "calls.txt"
    monkeypatch.setenv("CALLS", str(calls))
    nets.write("counted.py", COUNTED)
    spec = new("Log", "--inputs-from", "counted.py:make")
    made = ["2 False", "3 False", "8 False", "8 True"]
    assert calls.read_text().splitlines() == [*made, "8 False", "8 False", "2 False"]  # elsewhere, again, as on a GPU
    calls.unlink()
    nets.run(str(spec)).assert_outcomes(passed=6)
    assert calls.read_text().splitlines() == made


def test_a_slow_source_is_told_on_the_terminal_while_it_runs(nets: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_source, "SLOW_SEC", 0.01)
    nets.spec("made", "build: ../nets.py:Log\ninputs_from: ../nets.py:slow\noutput: [B, 3]\n")
    result = nets.run("specs", "-k", "shapes")
    result.stdout.fnmatch_lines(["archcheck: inputs_from ../nets.py:slow has taken 0 s so far; *"])
    result.assert_outcomes(passed=1)


def test_a_source_must_make_the_same_in_every_process(nets: Project, capsys: pytest.CaptureFixture[str]) -> None:
    new("Log", "--inputs-from", "nets.py:by_hash")
    expected = (
        "no function is recorded: inputs_from ../nets.py:by_hash makes other values in another process: draw them"
    )
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("input: [B, 6]\ninputs_from: a:b\n", ":3: inputs_from: makes what goes in, as `input` says: leave out one of"),
        ("inputs_from: timm:resnet18\n", ":2: inputs_from: expected module:callable or path/file.py:callable"),
        ("inputs_from: nowhere\n", ":2: inputs_from: expected module:callable"),
        ("input: {x: {literal: 1, shape: [B]}}\n", ":2: literal: unknown key 'literal'"),
        ("input: [B, 6]\ntrain_input: {y: [B, N]}\n", ":3: free dimension N has no sizes; expected sizes: {N: "),
        ("input: {shape: [B, 6], between: [1, 0]}\n", ":2: between: no number is from 1 to 0"),
    ],
)
def test_bad_input_is_told_at_its_line(nets: Project, text: str, message: str) -> None:
    nets.spec("bad", f"build: ../nets.py:Log\n{text}")
    assert f"specs/bad.arch.yaml{message}" in nets.run("specs").stdout.str()
