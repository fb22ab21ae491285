"""Sound networks of unusual make are recorded, function and health, and green at once; their mistakes are told."""

from __future__ import annotations

import contextlib
import importlib
from pathlib import Path

import pytest

import archcheck
from archcheck.cli.command_line import main
from archcheck.verification import Verification
from tests.integration.project import Project, lock_of

NETS = """
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import nn
from torch.distributions import Categorical, Independent, Normal
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn.attention.flex_attention import flex_attention
from torch.nn.utils import prune, spectral_norm, weight_norm


class Map(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x):
        self.map = self.fc(x).softmax(-1)
        return self.map * x


def normed():
    return nn.Sequential(weight_norm(nn.Linear(8, 8)), nn.ReLU(), nn.Linear(8, 4))

def spectral():
    return nn.Sequential(spectral_norm(nn.Linear(8, 8)), nn.ReLU(), nn.Linear(8, 4))

def pruned():
    net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))
    prune.l1_unstructured(net[0], "weight", amount=0.3)
    return net


class NamesCuda(nn.Module):
    def __init__(self, shift=1.0):
        super().__init__()
        self.fc = nn.Linear(8, 8).cuda()
        self.register_buffer("scale", torch.full((8,), 2.0, device="cuda"))
        self.shift = shift

    def forward(self, x):
        at = torch.arange(x.shape[1], device=torch.device("cuda")) + self.shift
        return self.fc(x.to("cuda")) * self.scale + torch.zeros(8).cuda() + at


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x):
        return torch.relu(self.fc(x)) + x

def traced(whole=False, trace=True):
    block = Block()
    if whole:
        return torch.jit.trace(block, torch.randn(2, 8))
    block = torch.jit.trace(block.eval(), torch.randn(2, 8), check_trace=False) if trace else block
    return nn.Sequential(block, nn.Linear(8, 4))

def frozen():
    return torch.jit.freeze(torch.jit.script(Block().eval()))


class Teacher(nn.Module):
    def __init__(self, way="in place", rate=0.9):
        super().__init__()
        self.student, self.teacher = nn.Linear(8, 4), nn.Linear(8, 4).requires_grad_(False)
        self.way, self.rate = way, rate

    @torch.no_grad()
    def follow(self):
        for s, t in zip(self.student.parameters(), self.teacher.parameters()):
            if self.way == "in place":
                t.mul_(self.rate).add_(s, alpha=1 - self.rate)
            elif self.way == "through data":
                t.data.mul_(self.rate).add_(s.data, alpha=1 - self.rate)
            else:
                t.data = t.data * self.rate + s.data * (1 - self.rate)

    def forward(self, x):
        if self.training:
            self.follow()
        return self.student(x), self.teacher(x)


class Called(nn.Module):
    def __init__(self, extra=0.0):
        super().__init__()
        self.fc, self.extra = nn.Linear(8, 4), extra

    def __call__(self, x):
        return super().__call__(x) + self.extra

    def forward(self, x):
        return self.fc(x)


class InnerCall(nn.Module):
    def __init__(self, extra=0.0):
        super().__init__()
        self.inner, self.head = Called(extra), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.inner(x))


class Forces(nn.Module):
    def __init__(self, sign=-1):
        super().__init__()
        self.fc, self.sign = nn.Linear(3, 1), sign

    def forward(self, pos):
        pos = pos.requires_grad_(True)
        energy = self.fc(pos).tanh().sum((1, 2))
        return energy, self.sign * torch.autograd.grad(energy.sum(), pos, create_graph=True)[0]


class Gradient(nn.Module):
    def __init__(self, bend=torch.tanh):
        super().__init__()
        self.fc, self.bend = nn.Linear(3, 1), bend

    def forward(self, x):
        return vmap(grad(lambda p: self.bend(self.fc(p)).sum()))(x)


def gradient(bend):
    return Gradient(getattr(torch, bend))


class Ensemble(nn.Module):
    def __init__(self, loops=False):
        super().__init__()
        self.members, self.loops = nn.ModuleList(nn.Linear(8, 3) for _ in range(3)), loops

    def forward(self, x):
        if self.loops:
            return torch.stack([member(x) for member in self.members])
        held = [dict(one.named_parameters()) for one in self.members]
        stacked = {name: torch.stack([one[name] for one in held]) for name in held[0]}
        return vmap(lambda params: functional_call(self.members[0], params, (x,)))(stacked)


class Flex(nn.Module):
    def __init__(self, scale=None):
        super().__init__()
        self.qkv, self.scale = nn.Linear(16, 48), scale

    def forward(self, x):
        q, k, v = self.qkv(x).view(len(x), -1, 3, 2, 8).permute(2, 0, 3, 1, 4)
        return flex_attention(q, k, v, scale=self.scale)


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 4), nn.Linear(8, 4)

    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda x: self.a(x), lambda x: self.b(x), (x,))


class Policy(nn.Module):
    def __init__(self, temperature=1.0):
        super().__init__()
        self.fc, self.mean, self.temperature = nn.Linear(8, 4), nn.Linear(8, 2), temperature

    def forward(self, x):
        return Categorical(logits=self.fc(x) / self.temperature), Independent(Normal(self.mean(x), 1.0), 1)


class Instances:
    def __init__(self, boxes):
        self.boxes, self.image_size = boxes, (8, 8)


class Detector(nn.Module):
    def __init__(self, bends=True):
        super().__init__()
        self.fc, self.bends = nn.Linear(8, 4), bends

    def forward(self, x):
        return Instances(self.fc(x).relu() if self.bends else self.fc(x))


class Critic(nn.Module):
    def __init__(self, bend=None):
        super().__init__()
        self.fc, self.value, self.bend = nn.Linear(8, 8), nn.Linear(8, 1), bend

    def forward(self, x):
        value = self.value(self.fc(x).relu()).squeeze(-1).mean(0, keepdim=True)
        return value if self.bend is None else getattr(value, self.bend)()


class State(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.h = nn.RNNCell(8, 6), torch.ones(1, 6)

    def forward(self, x):
        out = self.cell(x, self.h.to(x).expand(len(x), -1))
        self.h = out.detach()
        return out


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 4)
        self.register_buffer("mean", torch.zeros(8))

    def forward(self, x):
        self.mean.mul_(0.9).add_(x.detach().mean(0), alpha=0.1)
        return self.fc(x)


class Threads(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 4), nn.Linear(8, 4)

    def forward(self, x):
        with ThreadPoolExecutor(2) as pool:
            a, b = pool.map(lambda layer: layer(x), (self.a, self.b))
        return a + b


class Hooked(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.head, self.seen = nn.Linear(8, 8), nn.Linear(8, 4), {}
        self.fc.register_forward_hook(lambda layer, args, out: self.seen.__setitem__(id(layer), out))
        self.installed = False

    def forward(self, x):
        if not self.installed:
            self.fc.register_forward_hook(lambda layer, args, out: out.relu())
            self.installed = True
        out = self.head(self.fc(x))
        return out, self.seen[id(self.fc)]


class Masked(nn.Module):
    def forward(self, scores, mask):
        return scores, (~mask) * torch.finfo(scores.dtype).min


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.masked, self.fc = Masked(), nn.Linear(8, 8)

    def forward(self, x, mask):
        scores, bias = self.masked(self.fc(x) @ x.transpose(1, 2), mask[:, None])
        return (scores + bias + bias).softmax(-1) @ x


class FrozenNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.head = nn.LayerNorm(8).requires_grad_(False), nn.Linear(8, 5)

    def forward(self, x):
        return self.head(self.norm(x))


class Replacing(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Identity()

    def forward(self, x):
        if isinstance(self.b, nn.Identity):
            self.b = nn.Linear(8, 4, device=x.device)
        return self.b(self.a(x))


class Prepared(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.turned = nn.Linear(8, 3), None

    def train(self, mode=True):
        super().train(mode)
        self.turned = None if mode else self.fc.weight.detach().t().contiguous()
        return self

    def forward(self, x):
        return self.fc(x) if self.turned is None else x @ self.turned + self.fc.bias


class Merged(nn.Linear):
    def __init__(self, sign=1):
        super().__init__(8, 3)
        self.a, self.b = nn.Parameter(torch.randn(2, 8)), nn.Parameter(torch.zeros(3, 2))
        self.is_merged, self.sign = False, sign

    def train(self, mode=True):
        super().train(mode)
        if mode == self.is_merged:
            self.weight.data += (-self.sign if mode else self.sign) * (self.b @ self.a)
            self.is_merged = not mode
        return self

    def forward(self, x):
        out = super().forward(x)
        return out if self.is_merged else out + x @ self.a.T @ self.b.T


class Balanced(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.router = nn.Linear(8, 4), nn.Linear(8, 2)

    def forward(self, x):
        self.aux_loss = self.router(x).softmax(-1).mean(0).square().sum()
        return self.fc(x)


class Hidden(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.aside = nn.Linear(8, 4), nn.Linear(8, 4)

    def forward(self, x):
        return self.fc(x), (one for one in self.aside(x))


class Slotted:
    __slots__ = ("scores",)

    def __init__(self, scores):
        self.scores = scores


class Slots(nn.Module):
    def __init__(self, bends=True):
        super().__init__()
        self.fc, self.bends = nn.Linear(8, 4), bends

    def forward(self, x):
        return Slotted(self.fc(x).relu() if self.bends else self.fc(x))


class Pixels(nn.Module):
    def __init__(self, scale=255):
        super().__init__()
        self.fc, self.scale = nn.Linear(6, 3), scale

    def forward(self, image):
        return self.fc(image.float() / self.scale)
"""
SOUND = {
    "a map kept on the module": ("Map", "B,8"),
    "a GPU that is named": ("NamesCuda", "B,8"),
    "weight norm by hooks": ("normed", "B,8"),
    "spectral norm by hooks": ("spectral", "B,8"),
    "pruned": ("pruned", "B,8"),
    "a traced block": ("traced", "B,8"),
    "frozen by TorchScript": ("frozen", "B,8"),
    "a teacher that follows": ("Teacher", "B,8"),
    "a call that is overridden": ("Called", "B,8"),
    "the call of a layer that is overridden": ("InnerCall", "B,8"),
    "forces": ("Forces", "B,5,3"),
    "gradients under vmap": ("Gradient", "B,3"),
    "an ensemble under vmap": ("Ensemble", "B,8"),
    "flex_attention": ("Flex", "B,6,16"),
    "cond": ("Branches", "B,8"),
    "distributions": ("Policy", "B,8"),
    "an object of one's own": ("Detector", "B,8"),
    "a single number": ("Critic", "B,8"),
    "hooks set by the first forward": ("Hooked", "B,8"),
    "masks of the smallest number": ("Attention", "B,6,8 B,6:bool"),
    "a frozen norm": ("FrozenNorm", "B,8"),
    "bytes": ("Pixels", "B,6:uint8"),
    "a weight prepared in eval()": ("Prepared", "B,8"),
    "weights merged in eval()": ("Merged", "B,8"),
    "a loss kept on the module": ("Balanced", "B,8"),
    "an object with slots": ("Slots", "B,8"),
}
BROKEN = {
    "another sum on a GPU": ("NamesCuda", "B,8", "shift: 2.0", "output: the output differs"),
    "the call adds 3": ("Called", "B,8", "extra: 3.0", "output: the output differs"),
    "the call of a layer adds 3": ("InnerCall", "B,8", "extra: 3.0", "inner: the output differs"),
    "the teacher follows faster": ("Teacher", "B,8", "rate: 0.5", "teacher: the output in train mode differs"),
    "forces of the other sign": ("Forces", "B,5,3", "sign: 1", "output: the output differs"),
    "another scale of attention": ("Flex", "B,6,16", "scale: 0.5", "output: the output differs"),
    "another temperature": ("Policy", "B,8", "temperature: 2.0", "output: the output differs"),
    "no activation in an object": ("Detector", "B,8", "bends: false", "output: the output differs"),
    "merged with the other sign": ("Merged", "B,8", "sign: -1", "output: the output differs"),
    "no activation in slots": ("Slots", "B,8", "bends: false", "output: the output differs"),
    "a number never negative": ("Critic", "B,8", "bend: relu", "output: the output differs"),
    "a number without sign": ("Critic", "B,8", "bend: abs", "output: the output differs"),
    "bytes by 256": ("Pixels", "B,6:uint8", "scale: 256", "fc: the output differs"),
}
SAME = {
    "a teacher through data": ("Teacher", "B,8", "way: through data"),
    "a teacher with new data": ("Teacher", "B,8", "way: replaced"),
    "a loop for vmap": ("Ensemble", "B,8", "loops: true"),
    "a block for a traced one": ("traced", "B,8", "trace: false"),
}

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # weight_norm and its like are old
    pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile:UserWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def _compiler() -> None:
    """Import what `cond` and `flex_attention` import at their first call, since a test forgets what it imports."""
    importlib.import_module("functorch.compile")
    for name in ("debugging", "inductor", "cudagraphs"):
        with contextlib.suppress(ImportError):
            importlib.import_module(f"torch._dynamo.backends.{name}")


@pytest.fixture
def nets(project: Project) -> Project:
    project.write("odd_nets.py", NETS)
    return project


def written(name: str, inputs: str) -> Path:
    """Write a spec that excuses nothing of what health finds."""
    path = Path("specs/odd.arch.yaml")
    words = [word for one in inputs.split() for word in ("--input", one)]
    assert main(["new", f"odd_nets:{name}", *words, "--output", str(path), "--force"]) == 0
    path.write_text(path.read_text(encoding="utf-8").partition("\nhealth:")[0], encoding="utf-8")
    return path


def verified_with(path: Path, args: str) -> Verification:
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("\ninput:", f"\nargs: {{{args}}}\ninput:", 1), encoding="utf-8")
    return archcheck.verify(path)


def messages_of(result: Verification) -> list[str]:
    return [f"{one.subject}: {one.problem}" for one in result.mismatches]


@pytest.mark.usefixtures("nets")
@pytest.mark.parametrize("name", SOUND)
def test_it_is_recorded_and_green_at_once(name: str) -> None:
    path = written(*SOUND[name])
    assert lock_of(path).exists()
    result = archcheck.verify(path)
    assert (messages_of(result), result.unmeasured) == ([], {})


@pytest.mark.usefixtures("nets")
@pytest.mark.parametrize("name", BROKEN)
def test_its_mistake_is_told(name: str) -> None:
    target, inputs, args, message = BROKEN[name]
    assert message in messages_of(verified_with(written(target, inputs), args))


@pytest.mark.usefixtures("nets")
@pytest.mark.parametrize("name", SAME)
def test_another_way_to_write_it_is_no_difference(name: str) -> None:
    target, inputs, args = SAME[name]
    assert not verified_with(written(target, inputs), args).outcomes["function"]


@pytest.mark.usefixtures("nets")
@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("State", "cell: goes on from the batch before, in eval mode"),
        ("Counting", "mean: is written to in eval mode"),
        ("Replacing", "state_dict: doesn't bring the network back"),
    ],
)
def test_what_is_unsound_is_told_in_one_message(target: str, message: str) -> None:
    assert messages_of(archcheck.verify(written(target, "B,8"))) == [message]


@pytest.mark.usefixtures("nets")
def test_what_load_state_dict_said_is_told_in_full() -> None:
    [mismatch] = archcheck.verify(written("Replacing", "B,8")).mismatches
    assert str(mismatch.actual).endswith('Unexpected key(s) in state_dict: "b.weight", "b.bias".')


@pytest.mark.usefixtures("nets")
def test_what_cannot_be_looked_into_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    path = written("Hidden", "B,8")
    assert "can't see into generator, which comes out: what it holds is not recorded" in capsys.readouterr().err
    assert messages_of(archcheck.verify(path)) == []


@pytest.mark.usefixtures("nets")
def test_layers_in_threads_are_said_to_be_out_of_reach(capsys: pytest.CaptureFixture[str]) -> None:
    path = written("Threads", "B,8")
    said = "a runs in a thread of the network's own, where weights can't be filled in a fixed order"
    assert said in capsys.readouterr().err
    assert archcheck.verify(path).unmeasured["health"].startswith(said)
