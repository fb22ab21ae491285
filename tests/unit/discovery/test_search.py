"""What goes into networks as people write them; the inputs expected are those that they were written for."""

from __future__ import annotations

import itertools
import random
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from archcheck.discovery.hints import Hints, constructor_arguments
from archcheck.discovery.search import Found, find_input
from archcheck.discovery.trial import Trials


def search(make: Callable[[], nn.Module], **args: Any) -> Found:
    return find_input(lambda: make(**args), constructor_arguments(make, args))


def ids(*shape: int | str, below: int | str) -> dict[str, Any]:
    return {"shape": list(shape), "dtype": "int64", "below": below}


class Forward(nn.Module):
    """Layers by name, and a forward that uses them."""

    def __init__(self, **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name)


class MnistVae(Forward):
    def __init__(self) -> None:
        super().__init__(encode=nn.Linear(784, 20), decode=nn.Linear(20, 784))

    def forward(self, x: Tensor) -> Any:
        return self.decode(self.encode(x.view(-1, 784)))


class CatsAndDogs(Forward):
    """Images of 150 pixels, as no list of usual sizes has them."""

    def __init__(self) -> None:
        super().__init__(conv=nn.Conv2d(3, 8, 3), fc=nn.Linear(8 * 74 * 74, 2))

    def forward(self, x: Tensor) -> Any:
        return self.fc(functional.max_pool2d(self.conv(x), 2).flatten(1))


class Unfolded(Forward):
    """Runs on any image, but gives the right number of rows for one size only."""

    def __init__(self) -> None:
        super().__init__(conv=nn.Conv2d(3, 2, 1), fc=nn.Linear(2 * 32 * 32, 10))

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.conv(x).view(-1, 2 * 32 * 32))


class LanguageModel(Forward):
    def __init__(self) -> None:
        super().__init__(encoder=nn.Embedding(30, 8), rnn=nn.LSTM(8, 6, 2), decoder=nn.Linear(6, 30))

    def forward(self, words: Tensor, hidden: Any) -> Any:
        out, hidden = self.rnn(self.encoder(words), hidden)
        return self.decoder(out), hidden


class ConditionalGenerator(Forward):
    def __init__(self, n_classes: int = 10, latent_dim: int = 24) -> None:
        super().__init__(label_emb=nn.Embedding(n_classes, 5), model=nn.Linear(latent_dim + 5, 12))

    def forward(self, noise: Tensor, labels: Tensor) -> Any:
        return self.model(torch.cat((self.label_emb(labels), noise), -1))


class Critic(Forward):
    def __init__(self, state_dim: int = 17, action_dim: int = 6) -> None:
        super().__init__(fc=nn.Linear(state_dim + action_dim, 1))

    def forward(self, state: Tensor, action: Tensor) -> Any:
        return self.fc(torch.cat((state, action), 1))


class Denoiser(Forward):
    def __init__(self) -> None:
        super().__init__(time_mlp=nn.Linear(16, 4), conv=nn.Conv2d(3, 4, 3, padding=1), out=nn.Conv2d(4, 3, 1))

    def forward(self, x: Tensor, t: Tensor) -> Any:
        waves = (t[:, None] * torch.arange(16)).sin()
        return self.out(self.conv(x) + self.time_mlp(waves)[:, :, None, None])


class Packed(Forward):
    def __init__(self) -> None:
        super().__init__(embedding=nn.Embedding(40, 8), rnn=nn.LSTM(8, 4, batch_first=True), fc=nn.Linear(4, 1))

    def forward(self, text: Tensor, text_lengths: Tensor) -> Any:
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embedding(text), text_lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        return self.fc(self.rnn(packed)[1][0][-1])


class Patches(Forward):
    def __init__(self, image_size: int = 48, patch: int = 8) -> None:
        super().__init__(embed=nn.Linear(3 * patch**2, 8))
        self.positions = nn.Parameter(torch.zeros((image_size // patch) ** 2, 8))

    def forward(self, img: Tensor) -> Any:
        b, c, h, w = img.shape
        x = img.reshape(b, c, h // 8, 8, w // 8, 8).permute(0, 2, 4, 3, 5, 1).reshape(b, -1, 8 * 8 * c)
        return self.embed(x) + self.positions


class Graph(Forward):
    def __init__(self) -> None:
        super().__init__(w=nn.Linear(33, 7))

    def forward(self, x: Tensor, adj: Tensor) -> Any:
        return adj @ self.w(x)


class Stepped(Forward):
    def __init__(self) -> None:
        super().__init__(fc=nn.Linear(9, 2))

    def forward(self, x: Tensor, step: int, scale: float = 1.0) -> Any:
        return self.fc(x) * [1.0, 0.5][step] * scale


class Example(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(5, 3))
        self.example_input_array = torch.zeros(4, 11, 5)

    def forward(self, x: Tensor) -> Any:
        return x @ self.w


class Pair(Forward):
    def __init__(self) -> None:
        super().__init__(user_embedding=nn.Embedding(60, 4), item_embedding=nn.Embedding(90, 4))

    def forward(self, user: Tensor, item: Tensor) -> Any:
        return (self.user_embedding(user) * self.item_embedding(item)).sum(-1)


# ---------------------------------------------------------------------------------------------- refused, then changed


class Flow(Forward):
    """The density of four numbers, given three: only a layer of seven features says so."""

    def __init__(self) -> None:
        super().__init__(hyper=nn.Linear(7, 8))
        self.base = nn.Parameter(torch.zeros(4))

    def forward(self, x: Tensor, context: Tensor) -> Any:
        shift, scale = self.hyper(torch.cat((x, context), -1)).chunk(2, -1)
        return ((x - self.base) * scale.exp() + shift).sum(-1)


class Table(Forward):
    """Categories in three columns, and numbers in four."""

    def __init__(self, categories: tuple[int, ...] = (4, 3, 5)) -> None:
        super().__init__(embed=nn.Embedding(sum(categories), 8), norm=nn.LayerNorm(4), head=nn.Linear(28, 1))
        self.columns = len(categories)

    def forward(self, x_categ: Tensor, x_numer: Tensor) -> Any:
        assert x_categ.shape[-1] == self.columns, f"you must pass in {self.columns} values for your categories input"
        return self.head(torch.cat((self.embed(x_categ).flatten(1), self.norm(x_numer)), -1))


class ByKeyword(Forward):
    def __init__(self) -> None:
        super().__init__(fc=nn.Linear(9, 2), other=nn.Linear(5, 2))

    def forward(self, *, features: Tensor, state: Tensor) -> Any:
        return self.fc(features) + self.other(state)


class OfTwoKeys(Forward):
    """Looks up what it needs in the map that it gets, as forecasters do."""

    def __init__(self) -> None:
        super().__init__(first=nn.Linear(6, 3), second=nn.Linear(6, 3))

    def forward(self, batch: Mapping[str, Tensor]) -> Any:
        return self.first(batch["history"]) + self.second(batch["future"])


class Fields(TypedDict):
    image: Tensor
    scale: Tensor


class Typed(Forward):
    def __init__(self) -> None:
        super().__init__(conv=nn.Conv2d(3, 4, 3, padding=1))

    def forward(self, fields: Fields) -> Any:
        return self.conv(fields["image"]) + fields["scale"].mean()


class TwoStates(Forward):
    def __init__(self) -> None:
        super().__init__(fc=nn.Linear(5, 2))

    def forward(self, pair: tuple[Tensor, Tensor]) -> Any:
        first, second = pair
        return self.fc(first) - self.fc(second)


class NeedsAnOptional(Forward):
    def __init__(self) -> None:
        super().__init__(fc=nn.Linear(5, 4), gate=nn.Linear(3, 4))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Any:
        if context is None:
            raise ValueError("context must be given")
        return self.fc(x) * self.gate(context)


class Spectrum(Forward):
    def __init__(self) -> None:
        super().__init__(fc=nn.Linear(9, 2))

    def forward(self, x: Tensor) -> Any:
        return self.fc(torch.view_as_real(x).flatten(-2)[..., :9])


class LengthFirst(Forward):
    """Projects first, so that no layer of sequences says what goes in."""

    def __init__(self) -> None:
        super().__init__(project=nn.Linear(6, 8), encode=nn.TransformerEncoderLayer(8, 2, 16))

    def forward(self, x: Tensor) -> Any:
        return self.encode(self.project(x))


class Relations(Forward):
    def __init__(self) -> None:
        super().__init__(lin=nn.Linear(8, 4))
        self.weight = nn.Parameter(torch.zeros(2, 4, 4))

    def forward(self, x: Tensor, edge_index: Tensor, edge_type: Tensor) -> Any:
        sent = torch.einsum("ei,eij->ej", self.lin(x)[edge_index[0]], self.weight[edge_type])
        return torch.zeros(len(x), 4, dtype=x.dtype, device=x.device).index_add(0, edge_index[1], sent)


class Lagged(Forward):
    """Numbers that it keeps are all that says what goes in."""

    def __init__(self) -> None:
        super().__init__(fc=nn.Linear(24, 4))
        self.lookback_len, self.num_variates = 24, 7

    def forward(self, x: Tensor) -> Any:
        assert tuple(x.shape[1:]) == (self.lookback_len, self.num_variates)
        return self.fc(x.mT)


class BeginsByItself(Forward):
    """Passes a state on from layer to layer, as a method of its own makes it to begin with."""

    def __init__(self) -> None:
        super().__init__(embed=nn.Embedding(30, 8), first=nn.LSTM(8, 6), second=nn.LSTM(6, 5), head=nn.Linear(5, 30))

    def init_hidden(self, bsz: int) -> Any:
        return [tuple(torch.zeros(1, bsz, size) for _ in range(2)) for size in (6, 5)]

    def forward(self, words: Tensor, hidden: Any) -> Any:
        out, first = self.first(self.embed(words), hidden[0])
        out, second = self.second(out, hidden[1])
        return self.head(out), [first, second]


class OneStep(Forward):
    """Gives the state of its only layer without the dimension for layers."""

    def __init__(self, num_inputs: int = 7) -> None:
        super().__init__(gru=nn.GRU(num_inputs, 9), head=nn.Linear(9, 2))

    def forward(self, inputs: Tensor, rnn_hxs: Tensor) -> Any:
        out, state = self.gru(inputs.unsqueeze(0), rnn_hxs.unsqueeze(0))
        return self.head(out.squeeze(0)), state.squeeze(0)


class WorldModel(Forward):
    """Puts two sequences side by side, and keeps how wide each of them is."""

    def __init__(self, latents: int = 32, actions: int = 3) -> None:
        super().__init__(rnn=nn.LSTM(latents + actions, 8))

    def forward(self, actions: Tensor, latents: Tensor) -> Any:
        length, batch = actions.size(0), actions.size(1)
        return self.rnn(torch.cat([actions, latents], -1))[0].view(length, batch, 2, 4)


class Styled(nn.Module):
    """Bends each image by a vector, which is looked at inside of a block."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(32, 8)

        def forward(self, x: Tensor, style: Tensor) -> Tensor:
            h: Tensor = self.fc(style)
            return x + h.view(h.size(0), h.size(1), 1, 1)

    def __init__(self, img_size: int = 32) -> None:
        super().__init__()
        self.conv, self.block = nn.Conv2d(3, 8, 3), self.Block()

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        out: Tensor = self.block(self.conv(x), s)
        return out


class Concatenated(Forward):
    """Puts a label beside the channels of an image, as wide as what is called after it."""

    def __init__(self, c_dim: int = 5) -> None:
        super().__init__(conv=nn.Conv2d(3 + c_dim, 8, 3))

    def forward(self, x: Tensor, c: Tensor) -> Any:
        return self.conv(torch.cat([x, c[:, :, None, None].expand(-1, -1, *x.shape[2:])], 1))


class ConvolvedState(Forward):
    """Puts a state of images beside what comes in."""

    def __init__(self, hidden_dim: int = 8, input_dim: int = 20) -> None:
        super().__init__(conv=nn.Conv2d(hidden_dim + input_dim, hidden_dim, 3, padding=1))

    def forward(self, h: Tensor, x: Tensor) -> Any:
        return h * self.conv(torch.cat([h, x], 1)).sigmoid()


class Captions(Forward):
    """Takes an image's features and the words to come, with how many there are in a column."""

    def __init__(self) -> None:
        super().__init__(embed=nn.Embedding(50, 12), rnn=nn.LSTM(12, 8, batch_first=True))

    def forward(self, features: Tensor, captions: Tensor, caption_lengths: Tensor) -> Any:
        lengths = caption_lengths.squeeze(1)
        words = torch.cat((features.unsqueeze(1), self.embed(captions)), 1)
        return self.rnn(words)[0].mean(1) * lengths[:, None]


class Forced(Forward):
    """Decodes word by word, and lets chance decide whether the next one is the word that was to come."""

    def __init__(self) -> None:
        super().__init__(embed=nn.Embedding(40, 8), cell=nn.GRUCell(8, 8), out=nn.Linear(8, 40))

    def forward(self, src: Tensor, trg: Tensor, teacher_forcing_ratio: float = 0.5) -> Any:
        state, word, found = self.embed(src).mean(1), trg[:, 0], []
        for step in range(1, trg.shape[1]):
            state = self.cell(self.embed(word), state)
            found.append(self.out(state))
            word = trg[:, step] if random.random() < teacher_forcing_ratio else found[-1].argmax(1)
        return torch.stack(found, 1)


class LengthFirstEncoder(Forward):
    """Takes words with the length before the batch, and keeps a mask for it."""

    def __init__(self) -> None:
        layer = nn.TransformerEncoderLayer(8, 2, 16)
        encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        super().__init__(embed=nn.Embedding(40, 8), encoder=encoder)

    def forward(self, src: Tensor) -> Any:
        mask = torch.triu(torch.ones(len(src), len(src)), 1).bool()
        return self.encoder(self.embed(src), mask=mask)


class OwnLayer(nn.Module):
    """Calls what goes in otherwise than torch does."""

    def __init__(self, dim_in: int = 2, dim_out: int = 64) -> None:
        super().__init__()
        self.dim_in = dim_in
        self.weight = nn.Parameter(torch.rand(dim_out, dim_in))

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight).sin()


class ScriptMethod(torch.jit.ScriptModule):
    """Has a forward of TorchScript, whose signature has `self`."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(9, 4)

    @torch.jit.script_method  # type: ignore[attr-defined]
    def forward(self, observation):  # type: ignore[no-untyped-def]
        return self.fc(observation)


def own_layers(dim_in: int = 2, dim_hidden: int = 64) -> nn.Module:
    return nn.Sequential(OwnLayer(dim_in, dim_hidden), OwnLayer(dim_hidden, 3))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (Flow, [["B", 4], ["B", 3]]),
        (Table, [ids("B", 3, below=3), ["B", 4]]),
        (ByKeyword, {"features": ["B", 9], "state": ["B", 5]}),
        (OfTwoKeys, [{"history": ["B", 6], "future": ["B", 6]}]),
        (TwoStates, [{"tuple": [["B", 5], ["B", 5]]}]),
        (NeedsAnOptional, {"x": ["B", 5], "context": ["B", 3]}),
        (LengthFirst, [16, "B", 6]),
        (WorldModel, [[16, "B", 3], [16, "B", 32]]),
        (OneStep, [["B", 7], ["B", 9]]),
        (Styled, [["B", 3, 32, 32], ["B", 32]]),
        (ConvolvedState, [["B", 8, 32, 32], ["B", 20, 32, 32]]),
        (Concatenated, [["B", 3, 32, 32], ["B", 5]]),
        (LengthFirstEncoder, ids(16, "B", below=40)),
        (Lagged, ["B", 24, 7]),
    ],
)
def test_a_refused_input_is_changed_as_the_refusal_says(make: Callable[[], nn.Module], expected: Any) -> None:
    found = search(make).assumption
    assert found is not None
    assert found.value == expected
    assert not found.doubts


def test_the_fields_of_a_typed_dict_are_what_goes_in() -> None:
    found = search(Typed).assumption
    assert found is not None
    assert [*found.value[0]] == ["image", "scale"]
    assert found.value[0]["image"] == ["B", 3, 32, 32]


def test_double_precision_is_found_where_the_weights_have_it() -> None:
    found = search(lambda: nn.Sequential(nn.Linear(6, 4)).double()).assumption
    assert found is not None
    assert found.value == {"shape": ["B", 6], "dtype": "float64"}


def test_complex_numbers_are_found_where_they_are_asked_for() -> None:
    found = search(Spectrum).assumption
    assert found is not None
    assert found.value["dtype"] == "complex64"


def test_a_graph_has_kinds_of_edges() -> None:
    found = search(Relations).assumption
    assert found is not None
    edges, kinds = {"shape": [2, "E"], "dtype": "int64", "below": "N"}, ids("E", below=2)
    assert found.value == [["N", 8], edges, kinds]
    assert found.sizes == {"N": [6, 9], "E": [12, 20]}


def test_an_error_of_the_network_s_own_stays_one() -> None:
    """Whatever is changed: a forward that fails for every input is never found to run."""

    class Broken(Forward):
        def __init__(self) -> None:
            super().__init__(fc=nn.Linear(5, 4), other=nn.Linear(3, 4))

        def forward(self, x: Tensor, context: Tensor | None = None) -> Any:
            return self.other(self.fc(x))

    found = search(Broken)
    assert found.assumption is None
    assert found.closest is not None
    assert "other: Linear takes 3 features, got 4" in found.closest


class GraphConvolution(nn.Module):
    """Weights of its own, so that no layer tells what goes in."""

    def __init__(self, input_dim: int = 21) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(input_dim, 7))

    def forward(self, x: Tensor, adj_mat: Tensor) -> Any:
        return torch.mm(adj_mat, torch.mm(x, self.kernel))


class PositionsFirst(Forward):
    """Positions are the first dimension, as torch has them; the embeddings of one sentence would be added to each."""

    def __init__(self) -> None:
        layer = nn.TransformerEncoderLayer(8, 2, 16)
        super().__init__(embed=nn.Embedding(30, 8), encoder=layer, decoder=nn.Linear(8, 30))
        self.register_buffer("positions", torch.zeros(100, 1, 8))

    def forward(self, words: Tensor) -> Any:
        return self.decoder(self.encoder(self.embed(words) + self.positions[: len(words)]))


class StepByStep(Forward):
    """A sequence of numbers, cut into steps of one."""

    def __init__(self) -> None:
        super().__init__(cell=nn.LSTMCell(1, 8), head=nn.Linear(8, 1))

    def forward(self, series: Tensor) -> Any:
        state, out = None, []
        for step in series.unbind(1):
            state = self.cell(step[:, None], state)
            out.append(self.head(state[0]))
        return torch.cat(out, dim=1)


class RowOfEachWord(Forward):
    """One row for each word of all sentences, as a loss takes them."""

    def __init__(self) -> None:
        lstm = nn.LSTM(32, 48, batch_first=True)
        super().__init__(embed=nn.Embedding(100, 32), lstm=lstm, linear=nn.Linear(48, 100))

    def forward(self, x: Tensor, h: Any) -> Any:
        out, (h, c) = self.lstm(self.embed(x), h)
        return self.linear(out.reshape(out.size(0) * out.size(1), out.size(2))), (h, c)


@torch.jit.script
def scripted(x: Tensor) -> Tensor:
    if bool((x.abs().max() > 1e9).item()):
        raise RuntimeError("too large")
    return x.exp()


class Scripted(Forward):
    """Its values decide in TorchScript, whose errors tell nothing of the meta device."""

    def __init__(self) -> None:
        super().__init__(fc=nn.Linear(10, 4))

    def forward(self, x: Tensor) -> Any:
        return scripted(self.fc(x))


class InBags(Forward):
    """Takes all words in one row, and where each text begins, as torchtext's tutorial does."""

    def __init__(self) -> None:
        super().__init__(embedding=nn.EmbeddingBag(200, 16), fc=nn.Linear(16, 4))

    def forward(self, text: Tensor, offsets: Tensor) -> Any:
        return self.fc(self.embedding(text, offsets))


class ValueOfAction(Forward):
    def __init__(self, obs_dim: int = 8, n_actions: int = 4) -> None:
        super().__init__(q=nn.Linear(obs_dim, n_actions))

    def forward(self, obs: Tensor, action: Tensor) -> Any:
        return self.q(obs).gather(1, action.unsqueeze(1)).squeeze(1)


class OneHotAction(Forward):
    def __init__(self, state_dim: int = 17, num_actions: int = 6) -> None:
        super().__init__(net=nn.Linear(state_dim + num_actions, state_dim))
        self.num_actions = num_actions

    def forward(self, state: Tensor, action: Tensor) -> Any:
        return self.net(torch.cat([state, functional.one_hot(action, self.num_actions).float()], -1))


class Masked(Forward):
    """Attends under masks that are spread over heads by itself, as the Annotated Transformer does."""

    def __init__(self) -> None:
        super().__init__(src_embed=nn.Embedding(40, 8), tgt_embed=nn.Embedding(50, 8))

    def forward(self, src: Tensor, tgt: Tensor, src_mask: Tensor, tgt_mask: Tensor) -> Any:
        memory, out = self.in_heads(self.src_embed(src)), self.in_heads(self.tgt_embed(tgt))
        return self.attend(self.attend(out, out, tgt_mask), memory, src_mask).transpose(1, 2).flatten(2)

    def in_heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], 4, 2).transpose(1, 2)

    def attend(self, query: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        return (query @ memory.mT).masked_fill(mask.unsqueeze(1) == 0, -1e9).softmax(-1) @ memory


class Stamped(Forward):
    """Takes a series and the time of each step in columns, as Informer does."""

    def __init__(self) -> None:
        super().__init__(value=nn.Conv1d(7, 8, 3, padding=1), hour=nn.Embedding(24, 8), weekday=nn.Embedding(7, 8))

    def forward(self, x_enc: Tensor, x_mark_enc: Tensor) -> Any:
        times = x_mark_enc.long()
        return self.value(x_enc.mT).mT + self.hour(times[:, :, 3]) + self.weekday(times[:, :, 2])


class CellOverSteps(Forward):
    """Goes through its first dimension, which is the length."""

    def __init__(self) -> None:
        super().__init__(cell=nn.GRUCell(12, 20))

    def forward(self, x: Tensor) -> Any:
        h, out = x.new_zeros(x.shape[1], 20), []
        for step in x:
            h = self.cell(step, h)
            out.append(h)
        return torch.stack(out)


_OF_POINTS = {
    "descriptors0": ["B", 32, 16],
    "keypoints0": ["B", 16, 2],
    "scores0": ["B", 16],
    "image0": ["B", 1, 32, 32],
}
_OF_POINTS |= {name.replace("0", "1"): shape for name, shape in _OF_POINTS.items()}


class Memories(Forward):
    """Takes a story of several sentences, and a question of one, as MemN2N does."""

    def __init__(self, settings: Any = None) -> None:
        super().__init__(table=nn.Embedding(30, 8))
        self.settings = {"sentence_size": 7}
        self.register_buffer("encoding", torch.ones(7, 8))

    def forward(self, story: Tensor, query: Tensor) -> Any:
        asked = (self.table(query) * self.encoding.expand_as(self.table(query))).sum(1)
        memory = self.table(story)
        memory = (memory * self.encoding[None, None].expand_as(memory)).sum(2)
        return asked + (memory @ asked.unsqueeze(2)).softmax(1).mT.matmul(memory).squeeze(1)


class ConditionalDenoiser(Forward):
    """Takes the number of a class, a time between 0 and 1, and which classes are left out."""

    def __init__(self, n_classes: int = 10) -> None:
        super().__init__(conv=nn.Conv2d(1, 4, 3, padding=1), of_time=nn.Linear(1, 4), of_class=nn.Linear(n_classes, 4))
        self.n_classes = n_classes

    def forward(self, x: Tensor, c: Tensor, t: Tensor, context_mask: Tensor) -> Any:
        kept = 1 - context_mask[:, None].repeat(1, self.n_classes)
        known = self.of_class(functional.one_hot(c, self.n_classes).float() * kept)
        return self.conv(x) * known[..., None, None] + self.of_time(t.view(-1, 1))[..., None, None]


class Translator(Forward):
    """Takes both texts with the length first, and the lengths of one."""

    def __init__(self) -> None:
        super().__init__(encoder=nn.Embedding(40, 8), decoder=nn.Embedding(30, 8), rnn=nn.GRU(8, 8))

    def forward(self, src: Tensor, src_len: Tensor, trg: Tensor) -> Any:
        packed = nn.utils.rnn.pack_padded_sequence(self.encoder(src), src_len, enforce_sorted=False)
        state = self.rnn(packed)[1]
        return self.rnn(self.decoder(trg), state)[0]


class Episode(Forward):
    """Takes what happened at each step of an episode, as the Decision Transformer does."""

    def __init__(self, state_dim: int = 11, act_dim: int = 3, max_ep_len: int = 100) -> None:
        super().__init__(
            of_state=nn.Linear(state_dim, 8), of_action=nn.Linear(act_dim, 8), of_return=nn.Linear(1, 8),
            of_timestep=nn.Embedding(max_ep_len, 8), attention=nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
        )  # fmt: skip

    def forward(self, states: Tensor, actions: Tensor, returns_to_go: Tensor, timesteps: Tensor) -> Any:
        steps = self.of_state(states) + self.of_action(actions) + self.of_return(returns_to_go)
        _, _, _ = steps.shape
        return self.attention(steps + self.of_timestep(timesteps))


class TwoArgumentsOfState(Forward):
    def __init__(self) -> None:
        super().__init__(conv=nn.Conv1d(1, 8, 16, stride=8), lstm=nn.LSTM(8, 6, 2, batch_first=True))

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> Any:
        return self.lstm(self.conv(x).mT, (h, c))


class Matcher(Forward):
    """Takes a map of points in two images, as SuperGlue does."""

    def __init__(self, config: Any = None) -> None:
        self.config = {"descriptor_dim": 32, **(config or {})}
        super().__init__(encoder=nn.Conv1d(3, self.config["descriptor_dim"], 1))

    def forward(self, data: Any) -> Any:
        first = data["descriptors0"] + self.encoded(data["keypoints0"], data["scores0"], data["image0"].shape)
        second = data["descriptors1"] + self.encoded(data["keypoints1"], data["scores1"], data["image1"].shape)
        return torch.einsum("bdn,bdm->bnm", first, second)

    def encoded(self, points: Tensor, scores: Tensor, image_shape: Any) -> Any:
        _, _, height, width = image_shape
        return self.encoder(torch.cat([points.mT / max(height, width), scores.unsqueeze(1)], 1))


class Batch(Forward):
    """Takes one argument apart, into a batch as its loader makes it."""

    def __init__(self) -> None:
        super().__init__(embed=nn.Embedding(40, 6), rnn=nn.GRU(6, 8, batch_first=True))

    def forward(self, inputs: Any) -> Any:
        text, lengths = inputs
        packed = nn.utils.rnn.pack_padded_sequence(self.embed(text), lengths, batch_first=True, enforce_sorted=False)
        return self.rnn(packed)[1][-1]


class AtariPolicy(Forward):
    """Takes an image of 21 pixels with its state in one tuple, as no list of usual sizes has them."""

    def __init__(self) -> None:
        super().__init__(conv=nn.Conv2d(1, 4, 3, stride=2), lstm=nn.LSTMCell(400, 16), actor=nn.Linear(16, 6))

    def forward(self, inputs: Any) -> Any:
        inputs, (hx, cx) = inputs
        hx, cx = self.lstm(self.conv(inputs).view(-1, 400), (hx, cx))
        return self.actor(hx), (hx, cx)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (InBags, [ids("N", below=200), {**ids("B", below="N"), "sorted": True}]),
        (ValueOfAction, [["B", 8], ids("B", below=4)]),
        (OneHotAction, [["B", 17], ids("B", below=6)]),
        (Masked, [ids("B", 16, below=40), ids("B", 16, below=50), *[{"shape": ["B", 1, 16], "dtype": "bool"}] * 2]),
        (Stamped, [["B", 16, 7], {"shape": ["B", 16, 4], "one_of": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}]),
        (CellOverSteps, [16, "B", 12]),
        (Batch, [{"tuple": [ids("B", 16, below=40), {"shape": ["B"], "dtype": "int64", "between": [1, 16]}]}]),
        (Matcher, [_OF_POINTS]),
        (
            Translator,
            [
                ids(16, "B", below=40),
                {"shape": ["B"], "dtype": "int64", "between": [1, 16]},
                ids(16, "B", below=30),
            ],
        ),
        (Episode, [["B", 16, 11], ["B", 16, 3], ["B", 16, 1], ids("B", 16, below=100)]),
        (TwoArgumentsOfState, [["B", 1, 16], [2, "B", 6], [2, "B", 6]]),
        (Memories, [ids("B", 16, 7, below=30), ids("B", 7, below=30)]),
        (ConditionalDenoiser, [["B", 1, 28, 28], ids("B", below=10), ["B"], ["B"]]),
        (AtariPolicy, [{"tuple": [["B", 1, 21, 21], [["B", 16], ["B", 16]]]}]),
        (GraphConvolution, [["N", 21], ["N", "N"]]),
        (PositionsFirst, ids(16, "B", below=30)),
        (StepByStep, ["B", 16]),
        (RowOfEachWord, [ids("B", 16, below=100), [[1, "B", 48], [1, "B", 48]]]),
        (Scripted, ["B", 10]),
        (MnistVae, ["B", 1, 28, 28]),
        (CatsAndDogs, ["B", 3, 150, 150]),
        (Unfolded, ["B", 3, 32, 32]),
        (BeginsByItself, [ids(16, "B", below=30), [[[1, "B", 6]] * 2, [[1, "B", 5]] * 2]]),
        (LanguageModel, [ids(16, "B", below=30), [[2, "B", 6], [2, "B", 6]]]),
        (ConditionalGenerator, [["B", 24], ids("B", below=10)]),
        (Critic, [["B", 17], ["B", 6]]),
        (Denoiser, [["B", 3, 32, 32], ids("B", below=1000)]),
        (Packed, [ids("B", 16, below=40), {"shape": ["B"], "dtype": "int64", "between": [1, 16]}]),
        (Patches, ["B", 3, 48, 48]),
        (Graph, [["N", 33], ["N", "N"]]),
        (Stepped, {"x": ["B", 9], "step": 1}),
        (Example, ["B", 11, 5]),
        (own_layers, ["B", 2]),
        (Pair, [ids("B", below=60), ids("B", below=90)]),
    ],
)
def test_the_input_that_its_author_had_in_mind_is_found(make: Callable[[], nn.Module], expected: Any) -> None:
    found = search(make).assumption
    assert found is not None
    assert found.value == expected


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([nn.Linear(13, 4)], ["B", 13]),
        ([nn.Flatten(), nn.Linear(784, 10)], ["B", 1, 28, 28]),
        ([nn.Conv2d(3, 4, 7, stride=2)], ["B", 3, 224, 224]),
        ([nn.Conv1d(5, 4, 3)], ["B", 5, 16]),
        ([nn.Conv3d(1, 4, 3)], ["B", 1, 32, 32, 32]),
        ([nn.ConvTranspose2d(100, 4, 4)], ["B", 100, 1, 1]),
        ([nn.Embedding(70, 4)], ids("B", 16, below=70)),
        ([nn.BatchNorm1d(9), nn.Linear(9, 2)], ["B", 9]),
        ([nn.GRU(8, 4)], [16, "B", 8]),
        ([nn.GRU(8, 4, batch_first=True)], ["B", 16, 8]),
    ],
)
def test_the_first_layer_says_what_it_takes(layers: list[nn.Module], expected: Any) -> None:
    found = search(lambda: nn.Sequential(*layers)).assumption
    assert found is not None
    assert found.value == expected


def test_an_argument_of_the_constructor_decides_the_size() -> None:
    found = search(Patches, image_size=64).assumption
    assert found is not None
    assert found.value == ["B", 3, 64, 64]
    assert found.source == "embed (Linear takes 192 features)"


def test_what_is_assumed_is_told_as_options() -> None:
    found = search(Graph).assumption
    assert found is not None
    assert found.options == '--input "N,33" --input "N,N" --size N=6,9'
    assert found.source == "w (Linear takes 33 features), the name adj"


def test_where_nothing_gets_through_the_best_attempt_is_told() -> None:
    class Never(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise ValueError("never")

    found = search(Never)
    assert found.assumption is None
    assert found.closest is not None
    assert "stopped at the network itself: ValueError: never" in found.closest


def test_a_network_isn_t_changed_by_being_looked_at() -> None:
    layer = nn.Linear(4, 2)
    built = nn.Sequential(layer)
    before = layer.weight.clone()
    assert find_input(lambda: built, {}).assumption is not None
    assert built.training
    assert torch.equal(layer.weight, before)


def test_an_input_is_no_find_whose_values_an_embedding_refuses() -> None:
    class Columns(nn.Module):
        """Takes a table whose columns are indices, as recommenders do: on the meta device any numbers pass."""

        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(7, 3), nn.Linear(9, 1)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.head(self.embed(x[:, :3].long()).flatten(1))
            return out

    found = search(Columns).assumption
    assert found is not None
    assert found.value["below"] <= 7


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2)),
        lambda: nn.Sequential(nn.LazyLinear(8), nn.Linear(8, 2)),
    ],
)
def test_a_lazy_layer_that_takes_what_comes_isn_t_given_nothing(make: Callable[[], nn.Module]) -> None:
    found = search(make).assumption
    assert found is not None
    assert 0 not in found.value


def test_where_a_forward_takes_keywords_alone_it_s_told() -> None:
    class Keywords(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 2), nn.Linear(6, 2)

        def forward(self, **batch: Tensor) -> Tensor:
            out: Tensor = self.a(batch["x"]) + self.b(batch["y"])
            return out

    assert search(Keywords).advice == (
        'it takes keywords alone: give the shape of each with its name, such as --input "NAME=B,4"'
    )


def test_an_attribute_that_warns_is_looked_at_quietly() -> None:
    class Deprecated(nn.Linear):
        def __init__(self) -> None:
            super().__init__(12, 2)

        @property
        def in_channels(self) -> int:
            warnings.warn("in_channels moved to config", FutureWarning, stacklevel=2)
            return 12

    with warnings.catch_warnings(action="error"):
        found = find_input(Deprecated, {}).assumption
    assert found is not None
    assert found.value == ["B", 12]


def test_an_input_that_no_memory_holds_is_refused_untried() -> None:
    attempt = Trials(lambda: nn.Linear(2, 2)).attempt(["B", 2**31, 2**31])
    assert attempt.crash is not None
    assert attempt.crash.error == "no machine has the memory for this input"


def test_a_forward_of_torchscript_is_not_asked_for_itself() -> None:
    found = search(ScriptMethod).assumption
    assert found is not None
    assert found.value == ["B", 9]


def test_a_decoder_is_always_forced_so_that_nothing_is_left_to_chance() -> None:
    found = search(Forced).assumption
    assert found is not None
    words = ids("B", 16, below=40)
    assert found.value == {"src": words, "trg": words, "teacher_forcing_ratio": 1.0}


def test_what_words_go_into_is_not_for_other_arguments() -> None:
    found = search(Captions).assumption
    assert found is not None
    assert found.value[:2] == [["B", 12], ids("B", 16, below=50)]
    assert found.value[2]["shape"] == ["B", 1]


class Towers(Forward):
    """Computes what there is something for, as CLIP does."""

    def __init__(self) -> None:
        super().__init__(
            visual=nn.Conv2d(3, 4, 3), token_embedding=nn.Embedding(60, 4), text_projection=nn.Linear(4, 4)
        )
        self.positions = nn.Parameter(torch.zeros(12, 4))

    def forward(self, image: Tensor | None = None, text: Tensor | None = None) -> Any:
        of_image = self.visual(image).mean((2, 3)) if image is not None else None
        if text is None:
            return of_image
        of_text = self.text_projection(self.token_embedding(text) + self.positions).mean(1)
        return of_text if of_image is None else (of_image, of_text)


class Attending(Forward):
    """Attends to a context if there is one; its mask is for nothing that has weights."""

    def __init__(self, context_dim: int = 9) -> None:
        super().__init__(inside=nn.Linear(6, 6), kv=nn.Linear(context_dim, 6), out=nn.Linear(6, 2))

    def forward(self, x: Tensor, mask: Tensor | None = None, context: Tensor | None = None) -> Any:
        x = self.inside(x.transpose(1, 2).transpose(1, 2))
        if context is not None:
            keys = self.kv(context)
            x = x + (x @ keys.transpose(1, 2)).softmax(-1) @ keys
        return self.out(x if mask is None else x * mask[..., None])


class Conditioned(Forward):
    """A denoiser for which a class and a text may be given."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            conv=nn.Conv2d(3, 4, 3, padding=1), of_class=nn.Embedding(num_classes, 4), of_text=nn.Linear(7, 4)
        )

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None, context: Tensor | None = None) -> Any:
        x = self.conv(x) + t.view(-1, 1, 1, 1)
        if y is not None:
            x = x + self.of_class(y)[:, :, None, None]
        return x if context is None else x * self.of_text(context).mean(1)[:, :, None, None]


class CrossAttended(Forward):
    """Attends to itself where no text is given, with layers that are made for a text's features."""

    def __init__(self) -> None:
        super().__init__(conv=nn.Conv2d(3, 8, 3, padding=1), keys=nn.Linear(7, 8))

    def forward(self, x: Tensor, t: Tensor, context: Tensor | None = None) -> Any:
        x = self.conv(x) + t.view(-1, 1, 1, 1)
        queries = x.flatten(2).transpose(1, 2)
        keys = self.keys(queries if context is None else context)
        return ((queries @ keys.transpose(1, 2)).softmax(-1) @ keys).transpose(1, 2).view(x.shape)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (CrossAttended, {"x": ["B", 3, 32, 32], "t": ids("B", below=1000), "context": ["B", 16, 7]}),
        (Towers, {"image": ["B", 3, 32, 32], "text": ids("B", 12, below=60)}),
        (Attending, {"x": ["B", 16, 6], "context": ["B", 16, 9]}),
        (
            Conditioned,
            {
                "x": ["B", 3, 32, 32],
                "t": ids("B", below=1000),
                "y": ids("B", below=10),
                "context": ["B", 16, 7],
            },
        ),
    ],
)
def test_what_may_be_left_out_is_given_where_layers_need_it(make: Callable[[], nn.Module], expected: Any) -> None:
    found = search(make).assumption
    assert found is not None
    assert found.value == expected
    assert not found.doubts


class Spare(Forward):
    """Runs all of its layers without what may be left out."""

    def __init__(self) -> None:
        super().__init__(fc=nn.Linear(5, 4))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Any:
        return self.fc(x) if context is None else self.fc(x) + context


def test_an_input_with_which_all_layers_run_stays_as_it_is() -> None:
    found = search(Spare).assumption
    assert found is not None
    assert found.value == ["B", 5]


class Particular(Forward):
    """Asks more of its context than anybody can guess."""

    def __init__(self) -> None:
        super().__init__(fc=nn.Linear(5, 4), gate=nn.Linear(3, 4))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Any:
        return self.fc(x) if context is None else self.fc(x) * self.gate(context.reshape(x.shape[0], 77, 31, 3))


def test_layers_that_nothing_goes_through_are_told_with_what_to_write() -> None:
    found = search(Particular).assumption
    assert found is not None
    assert found.value == ["B", 5]
    assert found.doubts == (
        "gate is not called, and so not verified; an argument that may be left out may be for that (context): "
        'give all inputs by name, with one more such as --input "context=B,16,3"',
    )


class Tied(Particular):
    """Keeps its layer's weight under a second name, as T5 and BART do with that of their embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(5, 4, bias=False)
        self.gate.weight = self.fc.weight


def test_a_layer_whose_weights_are_all_of_layers_that_run_is_not_left_out() -> None:
    found = search(Tied).assumption
    assert found is not None
    assert found.value == ["B", 5]
    assert not found.doubts


class HalfTied(Particular):
    """Has the weight of the layer that runs, and a bias of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(5, 4)
        self.gate.weight = self.fc.weight


def test_a_layer_with_one_weight_that_no_other_has_is_left_out() -> None:
    found = search(HalfTied).assumption
    assert found is not None
    assert [doubt.startswith("gate is not called") for doubt in found.doubts] == [True]


class KnowledgeTracing(Forward):
    """An exercise and whether it was solved are one index."""

    def __init__(self, num_skills: int = 35) -> None:
        super().__init__(interaction=nn.Embedding(2 * num_skills, 6), rnn=nn.LSTM(6, 5, batch_first=True))
        self.num_skills = num_skills

    def forward(self, q: Tensor, r: Tensor) -> Any:
        return self.rnn(self.interaction(q + self.num_skills * r))[0]


class Pairs(Forward):
    """Puts the features of all pairs of points beside one another, and their distance."""

    def __init__(self) -> None:
        super().__init__(edge_mlp=nn.Linear(2 * 11 + 1, 4), node_mlp=nn.Linear(11 + 4, 11))

    def forward(self, feats: Tensor, coors: Tensor) -> Any:
        distances = (coors[:, :, None] - coors[:, None]).norm(dim=-1, keepdim=True)
        both = feats[:, :, None].expand(-1, -1, feats.shape[1], -1), feats[:, None].expand(-1, feats.shape[1], -1, -1)
        messages = self.edge_mlp(torch.cat([*both, distances], -1)).sum(2)
        return self.node_mlp(torch.cat([feats, messages], -1)), coors


class EdgesToo(Forward):
    """Takes features of edges that may be left out, where it was made for none."""

    def __init__(self, dim: int = 6, edge_dim: int = 3) -> None:
        super().__init__(norm=nn.LayerNorm(dim), mlp=nn.Linear(2 * dim + edge_dim, 4))

    def forward(self, feats: Tensor, edges: Tensor | None = None) -> Any:
        feats = self.norm(feats)
        both = feats[:, :, None].expand(-1, -1, feats.shape[1], -1), feats[:, None].expand(-1, feats.shape[1], -1, -1)
        return self.mlp(torch.cat([*both, *([] if edges is None else [edges])], -1)).sum(2)


class AnyArguments(Forward):
    def __init__(self) -> None:
        super().__init__(fc=nn.Linear(9, 4))

    def forward(self, *args: Any, context: Tensor | None = None, **kwargs: Any) -> Any:
        assert context is None, "self attention takes no context"
        return self.fc(*args, **kwargs)


class Asking(Forward):
    """Answers a question about a map of features; nothing in a name tells which is which."""

    def __init__(self) -> None:
        super().__init__(text=nn.Embedding(40, 8), rnn=nn.LSTM(8, 6, batch_first=True), conv=nn.Conv2d(50, 6, 1))

    def forward(self, v: Tensor, q: Tensor) -> Any:
        state = self.rnn(self.text(q))[1][0][-1]
        return self.conv(v) * state[:, :, None, None]


class WeightsOfItsOwn(Forward):
    """A layer of graph attention without any layer of torch's."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(50, 8))

    def forward(self, x: Tensor, adj: Tensor) -> Any:
        return adj @ (x @ self.weight)


class Propagated(Forward):
    """Embeddings of all users and items, spread over a graph that is as large as they are many."""

    def __init__(self, n_users: int = 7, n_items: int = 12) -> None:
        super().__init__(user_emb=nn.Embedding(n_users, 4), item_emb=nn.Embedding(n_items, 4))

    def forward(self, adj: Tensor, users: Tensor, items: Tensor) -> Any:
        spread = adj @ torch.cat([self.user_emb.weight, self.item_emb.weight])
        return (spread[:7][users] * spread[7:][items]).sum(-1)


class Described(Forward):
    """Describes images, behind an encoder of many different layers."""

    def __init__(self) -> None:
        sizes = [3, *range(4, 16)]
        convs = [nn.Conv2d(a, b, 3, padding=1) for a, b in itertools.pairwise(sizes)]
        super().__init__(encoder=nn.Sequential(*convs), embed=nn.Embedding(40, 15), rnn=nn.LSTM(15, 8))

    def forward(self, images: Tensor, captions: Tensor) -> Any:
        features = self.encoder(images).mean((2, 3))
        return self.rnn(torch.cat([features[None], self.embed(captions)]))[0]


class OfPlaceAndTime(Forward):
    def __init__(self) -> None:
        super().__init__(net=nn.Linear(2, 4))

    def forward(self, x: Tensor, t: Tensor) -> Any:
        return self.net(torch.cat([x, t], 1))


class Separation(Forward):
    """Separates stereo sound; its first layer is one for spectra."""

    def __init__(self, audio_channels: int = 2) -> None:
        super().__init__(spectral=nn.Conv2d(2 * audio_channels, 4, 3), temporal=nn.Conv1d(audio_channels, 4, 8))

    def forward(self, mix: Tensor) -> Any:
        frames = mix.reshape(*mix.shape[:2], -1, 400)
        return self.spectral(torch.cat([frames, frames], 1)).mean() + self.temporal(mix)


class Spoken(Forward):
    def __init__(self) -> None:
        super().__init__(speaker_emb=nn.Embedding(4, 8), embedding=nn.Embedding(30, 8))

    def forward(self, speakers: Tensor, texts: Tensor) -> Any:
        return self.embedding(texts) + self.speaker_emb(speakers)[:, None]


class Inpainted(Forward):
    """Paints what a mask says, of as many places as the image has."""

    def __init__(self) -> None:
        super().__init__(first=nn.Conv2d(4, 6, 3, padding=1), last=nn.Conv2d(6, 3, 3, padding=1))

    def forward(self, img: Tensor, mask: Tensor) -> Any:
        painted = self.last(self.first(torch.cat([img * (1 - mask), mask], 1)))
        return mask * painted + (1 - mask) * img


class FlowOfTwo(Forward):
    """Takes a map, in which each example is a pair of images."""

    def __init__(self) -> None:
        super().__init__(features=nn.Conv2d(3, 6, 3, 2), flow=nn.Conv2d(12, 2, 3))

    def forward(self, inputs: dict[str, Tensor]) -> Any:
        return self.flow(torch.cat([self.features(inputs["images"][:, i]) for i in range(2)], 1))


class Heard(Forward):
    """An encoder of as many steps as its table of positions has places, and of half as many as come in."""

    def __init__(self) -> None:
        super().__init__(conv=nn.Conv1d(80, 8, 3, 2, 1), words=nn.Embedding(40, 8), out=nn.Linear(8, 40))
        self.register_buffer("positional_embedding", torch.zeros(30, 8))

    def forward(self, mel: Tensor, tokens: Tensor) -> Any:
        heard = self.conv(mel).transpose(1, 2)
        assert heard.shape[1:] == self.positional_embedding.shape, "incorrect audio shape"
        return self.out(self.words(tokens) + (heard + self.positional_embedding).mean(1, keepdim=True))


class Space:
    def __init__(self, size: int) -> None:
        self.shape = (size,)


class CriticOfSpaces(Forward):
    """Says what an action is worth; both come in as vectors, put beside one another."""

    def __init__(self) -> None:
        super().__init__(q=nn.Linear(11 + 3, 1))
        self.observation_space, self.action_space = Space(11), Space(3)

    def forward(self, obs: Tensor, actions: Tensor) -> Any:
        return self.q(torch.cat([obs, actions], 1))


class Switched(Forward):
    """Needs to be told what to return, by nothing but a truth value."""

    def __init__(self) -> None:
        super().__init__(body=nn.Linear(9, 4), head=nn.Linear(4, 3))

    def forward(self, x: Tensor, with_head: bool) -> Any:
        assert with_head is True, "the features alone are of no use"
        return self.head(self.body(x))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (KnowledgeTracing, [ids("B", 16, below=35), ids("B", 16, below=2)]),
        (Pairs, [["B", 16, 11], ["B", 16, 3]]),
        (EdgesToo, {"feats": ["B", 16, 6], "edges": ["B", 16, 16, 3]}),
        (AnyArguments, ["B", 9]),
        (Asking, [["B", 50, 32, 32], ids("B", 16, below=40)]),
        (WeightsOfItsOwn, [["N", 50], ["N", "N"]]),
        (Propagated, [[19, 19], ids("B", below=7), ids("B", below=12)]),
        (Described, [["B", 3, 32, 32], ids(16, "B", below=40)]),
        (OfPlaceAndTime, [["B", 1], ["B", 1]]),
        (Separation, ["B", 2, 16000]),
        (Spoken, [ids("B", below=4), ids("B", 16, below=30)]),
        (Inpainted, [["B", 3, 64, 64], ["B", 1, 64, 64]]),
        (FlowOfTwo, [{"images": ["B", 2, 3, 32, 32]}]),
        (Heard, [["B", 80, 60], ids("B", 16, below=40)]),
        (CriticOfSpaces, [["B", 11], ["B", 3]]),
        (Switched, {"x": ["B", 9], "with_head": True}),
    ],
)
def test_what_public_networks_take_is_found(make: Callable[[], nn.Module], expected: Any) -> None:
    found = search(make).assumption
    assert found is not None
    assert found.value == expected


class Refusing(Forward):
    """Takes two vectors, and then refuses whatever came in."""

    def __init__(self) -> None:
        super().__init__(a=nn.Linear(9, 4), b=nn.Linear(5, 4), last=nn.Linear(4, 2))

    def forward(self, one: Tensor, other: Tensor) -> Any:
        out = self.last(self.a(one) + self.b(other))
        raise RuntimeError(f"no way on from {out.ndim}")


def test_the_example_is_what_got_furthest() -> None:
    found = search(Refusing)
    assert found.assumption is None
    assert found.advice == ('give its shape, written like --input "one=B,9" --input "other=B,5", which was refused')


def test_an_input_that_takes_all_of_the_time_is_found_with_the_first_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trials, "is_over", True)
    found = search(lambda: nn.Linear(7, 2)).assumption
    assert found is not None
    assert found.value == ["B", 7]


def test_two_strides_are_no_size_of_an_image() -> None:
    assert not Hints({"resolution": (8, 2)}).images()
    assert Hints({"resolution": (48, 64)}).images() == [(48, 64)]
