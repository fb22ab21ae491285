"""Networks of small libraries for attention, sequences and diffusion, many of them of one author."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from public_zoo.entry import Entry

IDS: Final = ("B,16:int64<50",)
MODEL: Final = {"num_tokens": 50, "max_seq_len": 32, "dim": 32, "depth": 2, "heads": 4}


class RotaryBlock(nn.Module):
    """A block of self-attention with rotary-embedding-torch, written with einops as its README does."""

    def __init__(
        self, dim: int = 32, heads: int = 4, rotary: Mapping[str, Any] | None = None, scale: float | None = None
    ) -> None:
        from rotary_embedding_torch import RotaryEmbedding

        super().__init__()
        self.heads, self.scale = heads, scale
        self.norm = nn.LayerNorm(dim)
        self.to_qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.rotary = RotaryEmbedding(**{"dim": dim // heads // 2, **(rotary or {})})
        self.to_out = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Attend."""
        from einops import rearrange
        from torch.nn.functional import scaled_dot_product_attention

        qkv = rearrange(self.to_qkv(self.norm(x)), "b n (three h d) -> three b h n d", three=3, h=self.heads)
        query, key = self.rotary.rotate_queries_or_keys(qkv[0]), self.rotary.rotate_queries_or_keys(qkv[1])
        out = scaled_dot_product_attention(query, key, qkv[2], is_causal=True, scale=self.scale)
        attended: Tensor = self.to_out(rearrange(out, "b h n d -> b n (h d)"))
        return x + attended


class EinopsMixer(nn.Module):
    """An MLP-mixer of einops' layers, as its documentation has it."""

    def __init__(self, patch: int = 8, dim: int = 32, classes: int = 5, reduction: str = "mean") -> None:
        from einops.layers.torch import EinMix, Rearrange, Reduce

        super().__init__()
        count = (32 // patch) ** 2
        self.embed = nn.Sequential(
            Rearrange("b c (h p) (w q) -> b (h w) (p q c)", p=patch, q=patch), nn.Linear(3 * patch * patch, dim)
        )
        self.mix_tokens = nn.Sequential(
            nn.LayerNorm(dim),
            EinMix("b n d -> b m d", weight_shape="n m", bias_shape="m", n=count, m=2 * count),
            nn.GELU(),
            EinMix("b m d -> b n d", weight_shape="m n", bias_shape="n", m=2 * count, n=count),
        )
        self.head = nn.Sequential(Reduce("b n d -> b d", reduction), nn.Linear(dim, classes))

    def forward(self, image: Tensor) -> Tensor:
        """Classify an image."""
        tokens = self.embed(image)
        logits: Tensor = self.head(tokens + self.mix_tokens(tokens))
        return logits


def unet(mults: Sequence[int] = (1, 2), **settings: Any) -> nn.Module:
    """Build denoising-diffusion-pytorch's U-Net."""
    from denoising_diffusion_pytorch import Unet

    network: nn.Module = Unet(**{"dim": 16, "dim_mults": tuple(mults), "attn_dim_head": 8, "attn_heads": 2, **settings})
    return network


def unet_1d(mults: Sequence[int] = (1, 2), **settings: Any) -> nn.Module:
    """Build denoising-diffusion-pytorch's U-Net of sequences."""
    from denoising_diffusion_pytorch import Unet1D

    config: dict[str, Any] = {"dim": 16, "dim_mults": tuple(mults), "channels": 4, "attn_dim_head": 8, "attn_heads": 2}
    network: nn.Module = Unet1D(**{**config, **settings})
    return network


def diffusion(**settings: Any) -> nn.Module:
    """Build denoising-diffusion-pytorch's network with its loss: noise and times are drawn in the forward."""
    from denoising_diffusion_pytorch import GaussianDiffusion

    network: nn.Module = GaussianDiffusion(unet(), **{"image_size": 16, "timesteps": 100, **settings})
    return network


def performer(**settings: Any) -> nn.Module:
    """Build performer-pytorch's language model. Its projections are drawn at random when it is built."""
    from performer_pytorch import PerformerLM

    network: nn.Module = PerformerLM(**{**MODEL, "dim_head": 8, "causal": False, "nb_features": 8, **settings})
    return network


def linformer(**settings: Any) -> nn.Module:
    """Build linformer's language model."""
    from linformer import LinformerLM

    network: nn.Module = LinformerLM(
        **{"num_tokens": 50, "seq_len": 16, "dim": 32, "depth": 2, "heads": 4, "k": 8, **settings}
    )
    return network


def reformer(**settings: Any) -> nn.Module:
    """Build reformer-pytorch's language model."""
    from reformer_pytorch import ReformerLM

    config = {**MODEL, "bucket_size": 4, "n_hashes": 2, "causal": True, "dim_head": 8}
    network: nn.Module = ReformerLM(**{**config, **settings})
    return network


def perceiver(**settings: Any) -> nn.Module:
    """Build perceiver-pytorch's Perceiver."""
    from perceiver_pytorch import Perceiver

    config = {"input_channels": 3, "input_axis": 2, "num_freq_bands": 2, "max_freq": 10.0, "depth": 2}
    config |= {"num_latents": 4, "latent_dim": 16, "cross_heads": 1, "latent_heads": 2, "cross_dim_head": 8}
    config |= {"latent_dim_head": 8, "num_classes": 5}
    network: nn.Module = Perceiver(**{**config, **settings})
    return network


def perceiver_io(**settings: Any) -> nn.Module:
    """Build perceiver-pytorch's Perceiver IO."""
    from perceiver_pytorch import PerceiverIO

    config = {"depth": 2, "dim": 8, "queries_dim": 8, "num_latents": 4, "latent_dim": 16, "cross_heads": 1}
    config |= {"latent_heads": 2, "cross_dim_head": 8, "latent_dim_head": 8, "logits_dim": 5}
    network: nn.Module = PerceiverIO(**{**config, **settings})
    return network


class QuantisedAutoencoder(nn.Module):
    """An autoencoder with vector-quantize-pytorch's codebook in the middle, as its examples have it."""

    def __init__(self, kind: str = "VectorQuantize", **settings: Any) -> None:
        import vector_quantize_pytorch

        super().__init__()
        config: dict[str, dict[str, Any]] = {
            "VectorQuantize": {"dim": 8, "codebook_size": 16},
            "FSQ": {"levels": [5, 5, 4], "dim": 8},
        }
        config |= {
            "LFQ": {"dim": 8, "codebook_size": 16},
            "ResidualVQ": {"dim": 8, "codebook_size": 16, "num_quantizers": 2},
        }
        self.encoder = nn.Sequential(nn.Linear(12, 16), nn.GELU(), nn.Linear(16, 8))
        self.quantiser = getattr(vector_quantize_pytorch, kind)(**{**config[kind], **settings})
        self.decoder = nn.Linear(8, 12)

    def forward(self, x: Tensor) -> Any:
        """Return the reconstruction, and which codes it is of."""
        codes, indices = self.quantiser(self.encoder(x))[:2]
        return self.decoder(codes), indices


def mamba(**settings: Any) -> nn.Module:
    """Build mambapy's stack of Mamba's blocks, in plain torch."""
    from mambapy.mamba import Mamba, MambaConfig

    config = {"d_model": 16, "n_layers": 2, "d_state": 4, "expand_factor": 2, "d_conv": 4}
    network: nn.Module = Mamba(MambaConfig(**{**config, **settings}))
    return network


class Tagger(nn.Module):
    """A tagger whose loss is that of a conditional random field of pytorch-crf."""

    def __init__(self, tags: int = 5, dropout: float = 0.0, reduction: str = "mean") -> None:
        from torchcrf import CRF

        super().__init__()
        self.reduction = reduction
        self.embed = nn.Embedding(50, 16)
        self.rnn = nn.LSTM(16, 8, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.emit = nn.Linear(16, tags)
        self.crf = CRF(tags, batch_first=True)

    def forward(self, words: Tensor, tags: Tensor) -> Tensor:
        """Return the loss."""
        emissions = self.emit(self.dropout(self.rnn(self.embed(words))[0]))
        return -self.crf(emissions, tags, reduction=self.reduction)


class LiquidNetwork(nn.Module):
    """A network of ncps: cells in continuous time, wired sparsely."""

    def __init__(self, cell: str = "CfC", units: int = 12, sparsity: float = 0.5, mode: str = "default") -> None:
        from ncps.torch import LTC, CfC
        from ncps.wirings import AutoNCP

        super().__init__()
        wiring = AutoNCP(units, 4, sparsity_level=sparsity)
        self.rnn = CfC(6, wiring, mode=mode) if cell == "CfC" else LTC(6, wiring)

    def forward(self, x: Tensor) -> Any:
        """Return the outputs and the last state."""
        return self.rnn(x)


class SpikingNetwork(nn.Module):
    """Two layers of snntorch's leaky neurons over a number of steps, as its tutorial has them."""

    def __init__(self, beta: float = 0.9, steps: int = 5, reset: str = "subtract", threshold: float = 1.0) -> None:
        import snntorch

        super().__init__()
        self.steps = steps
        self.fc1, self.fc2 = nn.Linear(20, 16), nn.Linear(16, 4)
        self.lif1 = snntorch.Leaky(beta=beta, reset_mechanism=reset, threshold=threshold)
        self.lif2 = snntorch.Leaky(beta=beta, reset_mechanism=reset, threshold=threshold)

    def forward(self, x: Tensor) -> Any:
        """Return the spikes and the potentials of each step."""
        first, second = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes, potentials = [], []
        for _ in range(self.steps):
            spike, first = self.lif1(self.fc1(x), first)
            spike, second = self.lif2(self.fc2(spike), second)
            spikes.append(spike)
            potentials.append(second)
        return torch.stack(spikes), torch.stack(potentials)


ROTARY: Final = [
    Entry(
        "rotary-block",
        "public_zoo.attention:RotaryBlock",
        ("B,16,32",),
        changes=(
            {"rotary": {"theta": 1000}},
            {"rotary": {"freqs_for": "pixel"}},
            {"heads": 2},
            {"scale": 0.5},
            {"rotary": {"learned_freq": True}},
        ),
    )
]
EINOPS: Final = [
    Entry(
        "mixer",
        "public_zoo.attention:EinopsMixer",
        ("B,3,32,32",),
        changes=({"reduction": "max"}, {"patch": 4}, {"reduction": "sum"}),
    )
]
DIFFUSION: Final = [
    Entry(
        "Unet",
        "public_zoo.attention:unet",
        ("B,3,16,16", "B:float32[0..100]"),
        changes=(
            {"learned_sinusoidal_cond": True},
            {"sinusoidal_pos_emb_theta": 1000},
            {"full_attn": [True, True]},
            {"dropout": 0.1},
            {"self_condition": True},
        ),
    ),
    Entry(
        "Unet1D",
        "public_zoo.attention:unet_1d",
        ("B,4,16", "B:float32[0..100]"),
        changes=({"attn_heads": 4}, {"sinusoidal_pos_emb_theta": 1000}, {"mults": [1, 2, 2]}),
    ),
    Entry(
        "GaussianDiffusion",
        "public_zoo.attention:diffusion",
        ("B,3,16,16",),
        changes=(
            {"objective": "pred_noise"},
            {"beta_schedule": "linear"},
            {"auto_normalize": False},
            {"timesteps": 200},
        ),
    ),
]
NYSTROM: Final = [
    Entry(
        "Nystromformer",
        "nystrom_attention:Nystromformer",
        ("B,16,32",),
        {"dim": 32, "depth": 2, "dim_head": 8, "heads": 4, "num_landmarks": 4},
        changes=(
            {"pinv_iterations": 4},
            {"num_landmarks": 8},
            {"attn_values_residual_conv_kernel": 15},
            {"attn_values_residual": False},
        ),
    )
]
PERFORMER: Final = [
    Entry(
        "PerformerLM",
        "public_zoo.attention:performer",
        IDS,
        changes=(
            {"generalized_attention": True},
            {"tie_embed": True},
            {"use_scalenorm": True},
            {"ff_glu": True},
            {"rotary_position_emb": False},
        ),
    ),
    Entry(
        "PerformerLM-causal",
        "public_zoo.attention:performer",
        IDS,
        {"no_projection": True, "local_attn_heads": 2, "local_window_size": 8},
        changes=({"local_window_size": 4}, {"attn_dropout": 0.1}, {"local_attn_heads": 1}),
    ),
]
LOCAL: Final = [
    Entry(
        "LocalTransformer",
        "local_attention:LocalTransformer",
        IDS,
        {**MODEL, "local_attn_window_size": 4, "dim_head": 8},
        changes=({"local_attn_window_size": 8}, {"causal": False}, {"use_xpos": True}, {"use_dynamic_pos_bias": True}),
    ),
    Entry(
        "LocalMHA",
        "local_attention:LocalMHA",
        ("B,16,32",),
        {"dim": 32, "window_size": 4, "dim_head": 8, "heads": 4, "causal": True},
        changes=({"prenorm": True}, {"qk_rmsnorm": True}, {"exact_windowsize": True}, {"gate_values_per_head": True}),
    ),
]
LINFORMER: Final = [
    Entry(
        "LinformerLM",
        "public_zoo.attention:linformer",
        IDS,
        changes=({"share_kv": True}, {"one_kv_head": True}, {"k": 4}, {"dropout": 0.1}),
    )
]
REFORMER: Final = [
    Entry(
        "ReformerLM",
        "public_zoo.attention:reformer",
        IDS,
        changes=({"causal": False}, {"n_hashes": 4}, {"weight_tie": True}, {"ff_glu": True}),
    )
]
PERCEIVER: Final = [
    Entry(
        "Perceiver",
        "public_zoo.attention:perceiver",
        ("B,8,8,3",),
        changes=(
            {"weight_tie_layers": True},
            {"max_freq": 20.0},
            {"fourier_encode_data": False},
            {"self_per_cross_attn": 2},
            {"final_classifier_head": False},
        ),
    ),
    Entry(
        "PerceiverIO",
        "public_zoo.attention:perceiver_io",
        ("data=B,10,8", "queries=6,8"),
        changes=({"decoder_ff": True}, {"weight_tie_layers": True}, {"latent_heads": 4}, {"seq_dropout_prob": 0.2}),
    ),
]
CODEBOOKS: Final = [
    Entry(
        "VectorQuantize",
        "public_zoo.attention:QuantisedAutoencoder",
        ("B,10,12",),
        {"kind": "VectorQuantize"},
        changes=({"decay": 0.99}, {"use_cosine_sim": True}, {"rotation_trick": False}, {"codebook_size": 32}),
    ),
    Entry(
        "FSQ",
        "public_zoo.attention:QuantisedAutoencoder",
        ("B,10,12",),
        {"kind": "FSQ"},
        changes=({"levels": [8, 5, 5]}, {"preserve_symmetry": True}, {"levels": [4, 5, 5]}),
    ),
    Entry(
        "LFQ",
        "public_zoo.attention:QuantisedAutoencoder",
        ("B,10,12",),
        {"kind": "LFQ"},
        changes=({"codebook_scale": 2.0}, {"codebook_size": 32}, {"spherical": True}),
    ),
    Entry(
        "ResidualVQ",
        "public_zoo.attention:QuantisedAutoencoder",
        ("B,10,12",),
        {"kind": "ResidualVQ"},
        changes=({"num_quantizers": 3}, {"shared_codebook": True}, {"decay": 0.99}),
    ),
]
MAMBAPY: Final = [
    Entry(
        "Mamba",
        "public_zoo.attention:mamba",
        ("B,12,16",),
        changes=(
            {"d_state": 8},
            {"conv_bias": False},
            {"rms_norm_eps": 1e-3},
            {"inner_layernorms": True},
            {"bias": True},
        ),
    )
]
CRF: Final = [
    Entry(
        "Tagger",
        "public_zoo.attention:Tagger",
        ("words=B,9:int64<50", "tags=B,9:int64<5"),
        changes=({"reduction": "sum"}, {"dropout": 0.2}, {"reduction": "token_mean"}),
    )
]
NCPS: Final = [
    Entry(
        f"{cell}",
        "public_zoo.attention:LiquidNetwork",
        ("B,7,6",),
        {"cell": cell},
        changes=changes,
    )
    for cell, changes in (
        ("CfC", ({"mode": "no_gate"}, {"mode": "pure"}, {"sparsity": 0.7})),
        ("LTC", ({"sparsity": 0.7}, {"units": 14})),
    )
]
SNNTORCH: Final = [
    Entry(
        "spiking",
        "public_zoo.attention:SpikingNetwork",
        ("B,20",),
        changes=({"beta": 0.8}, {"reset": "zero"}, {"threshold": 0.5}, {"steps": 6}),
    )
]
