"""Networks of libraries for sound: torchaudio, speechbrain, asteroid, encodec, conformer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn

from public_zoo.entry import Entry

FEATURES: Final = ("B,T,16",)
FRAMES: Final = ("T=20,13",)
WITH_LENGTHS: Final = ("B,T,16", "B:int64[1..T]")

ACTIVATIONS: Final = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "gelu": nn.GELU, "silu": nn.SiLU}


class SpeechRecogniser(nn.Module):
    """Torchaudio's mel spectrogram and conformer, with a head for CTC, as its recipes have it."""

    def __init__(self, n_fft: int = 64, kernel: int = 7, log_offset: float = 1e-6, heads: int = 4) -> None:
        from torchaudio.models import Conformer
        from torchaudio.transforms import MelSpectrogram

        super().__init__()
        self.log_offset = log_offset
        self.features = MelSpectrogram(sample_rate=4000, n_fft=n_fft, hop_length=32, n_mels=16)
        self.encoder = Conformer(16, heads, 32, 2, kernel)
        self.head = nn.Linear(16, 10)

    def forward(self, waveform: Tensor) -> Tensor:
        """Return the logarithms of the probabilities of ten letters."""
        features = (self.features(waveform) + self.log_offset).log().transpose(1, 2)
        lengths = torch.full((len(features),), features.shape[1], device=waveform.device)
        return self.head(self.encoder(features, lengths)[0]).log_softmax(-1)


def speechbrain(model: str, activation: str | None = None, **settings: Any) -> nn.Module:
    """Build a network of speechbrain by its dotted name below `speechbrain`."""
    import importlib

    module, _, name = model.rpartition(".")
    chosen = {"activation": ACTIVATIONS[activation]} if activation else {}
    network: nn.Module = getattr(importlib.import_module(f"speechbrain.{module}"), name)(**settings, **chosen)
    return network


def asteroid(model: str, **settings: Any) -> nn.Module:
    """Build a network of asteroid that separates sources."""
    import asteroid.models

    network: nn.Module = getattr(asteroid.models, model)(n_src=2, sample_rate=8000, **settings)
    return network


def codec(**settings: Any) -> nn.Module:
    """Build encodec's autoencoder of sound: an encoder and its decoder without the codebooks."""
    from encodec.modules import SEANetDecoder, SEANetEncoder

    config = {"dimension": 16, "n_filters": 4, "ratios": [4, 2], "lstm": 1, "n_residual_layers": 1, **settings}
    return nn.Sequential(SEANetEncoder(**config), SEANetDecoder(**config))


def _speech(
    label: str, model: str, config: Mapping[str, Any], inputs: tuple[str, ...], *changes: Mapping[str, Any]
) -> Entry:
    args = {"model": model, **config}
    sizes = FRAMES if any("T" in text for text in inputs) else ()
    return Entry(label, "public_zoo.sound:speechbrain", inputs, args, sizes, changes=changes)


def _audio(name: str, inputs: tuple[str, ...], args: Mapping[str, Any], *changes: Mapping[str, Any]) -> Entry:
    sizes = FRAMES if any("T" in text for text in inputs) else ()
    return Entry(name, f"torchaudio.models:{name}", inputs, args, sizes, changes=changes)


TORCHAUDIO: Final = [
    _audio(
        "Conformer",
        WITH_LENGTHS,
        {"input_dim": 16, "num_heads": 4, "ffn_dim": 32, "num_layers": 2, "depthwise_conv_kernel_size": 7},
        {"use_group_norm": True},
        {"convolution_first": True},
        {"depthwise_conv_kernel_size": 5},
        {"dropout": 0.1},
    ),
    _audio(
        "ConvTasNet",
        ("B,1,400",),
        {"enc_num_feats": 16, "msk_num_feats": 8, "msk_num_hidden_feats": 16, "msk_num_layers": 3, "msk_num_stacks": 2},
        {"msk_activate": "relu"},
        {"msk_kernel_size": 5},
        {"num_sources": 3},
    ),
    _audio("Wav2Letter", ("B,1,2000",), {"num_classes": 10}, {"num_classes": 20}, {"input_type": "power_spectrum"}),
    _audio(
        "DeepSpeech",
        ("B,1,9,16",),
        {"n_feature": 16, "n_hidden": 32, "n_class": 10},
        {"dropout": 0.1},
        {"n_hidden": 64},
    ),
    _audio(
        "Emformer",
        ("B,20,16", "B:int64[16..16]"),
        {"input_dim": 16, "num_heads": 4, "ffn_dim": 32, "num_layers": 2, "segment_length": 4}
        | {"right_context_length": 4},
        {"activation": "gelu"},
        {"left_context_length": 4},
        {"max_memory_size": 2},
        {"tanh_on_mem": True, "max_memory_size": 2},
    ),
    _audio(
        "Tacotron2",
        ("B,8:int64<20", "B:int64[8..8]", "B,80,12", "B:int64[12..12]"),
        {"n_symbol": 20, "symbol_embedding_dim": 16, "encoder_embedding_dim": 16, "decoder_rnn_dim": 16}
        | {"attention_rnn_dim": 16, "attention_hidden_dim": 8, "prenet_dim": 16, "postnet_embedding_dim": 16},
        {"mask_padding": True},
        {"encoder_kernel_size": 3},
        {"decoder_dropout": 0.0},
        {"attention_location_kernel_size": 15},
    ),
    _audio(
        "WaveRNN",
        ("B,1,160", "B,1,16,14"),
        {"upsample_scales": [4, 4], "n_classes": 8, "hop_length": 16, "n_res_block": 1, "n_rnn": 16, "n_fc": 16}
        | {"n_freq": 16, "n_hidden": 16, "n_output": 16},
        {"n_res_block": 2},
        {"upsample_scales": [2, 8]},
    ),
    Entry(
        "mel-conformer",
        "public_zoo.sound:SpeechRecogniser",
        ("B,800",),
        changes=({"kernel": 5}, {"log_offset": 1e-3}, {"heads": 2}, {"n_fft": 128}),
    ),
]

SPEECHBRAIN: Final = [
    _speech(
        "ECAPA_TDNN",
        "lobes.models.ECAPA_TDNN.ECAPA_TDNN",
        {"input_size": 16, "lin_neurons": 16, "channels": [16, 16, 16, 16, 48], "attention_channels": 8}
        | {"res2net_scale": 4, "se_channels": 8},
        FEATURES,
        {"global_context": False},
        {"activation": "leaky_relu"},
        {"dilations": [1, 2, 2, 4, 1]},
        {"res2net_scale": 8},
    ),
    _speech(
        "Xvector",
        "lobes.models.Xvector.Xvector",
        {"in_channels": 16, "tdnn_channels": [16, 16, 16, 16, 48], "lin_neurons": 16},
        FEATURES,
        {"activation": "relu"},
        {"tdnn_dilations": [1, 2, 2, 1, 1]},
    ),
    _speech(
        "CRDNN",
        "lobes.models.CRDNN.CRDNN",
        {"input_shape": [None, None, 16], "cnn_channels": [8, 8], "rnn_layers": 1, "rnn_neurons": 16}
        | {"dnn_blocks": 1, "dnn_neurons": 16},
        FEATURES,
        {"activation": "relu"},
        {"dropout": 0.3},
        {"rnn_bidirectional": False},
        {"time_pooling": True},
    ),
    _speech(
        "TransformerASR",
        "lobes.models.transformer.TransformerASR.TransformerASR",
        {"tgt_vocab": 20, "input_size": 16, "d_model": 16, "nhead": 2, "num_encoder_layers": 1}
        | {"num_decoder_layers": 1, "d_ffn": 32},
        ("src=B,12,16", "tgt=B,5:int64[1..19]"),
        {"normalize_before": True},
        {"activation": "gelu"},
        {"encoder_module": "conformer", "normalize_before": True},
        {"causal": False},
        {"nhead": 4},
    ),
]

ASTEROID: Final = [
    Entry(
        "ConvTasNet",
        "public_zoo.sound:asteroid",
        ("B,800",),
        {"model": "ConvTasNet", "n_filters": 16, "n_blocks": 2, "n_repeats": 1, "bn_chan": 8, "hid_chan": 16}
        | {"skip_chan": 8},
        changes=(
            {"mask_act": "sigmoid"},
            {"norm_type": "cLN"},
            {"conv_kernel_size": 5},
            {"causal": True, "norm_type": "cLN"},
        ),
    ),
    Entry(
        "DPRNNTasNet",
        "public_zoo.sound:asteroid",
        ("B,800",),
        {"model": "DPRNNTasNet", "n_filters": 16, "bn_chan": 8, "hid_size": 8, "chunk_size": 20, "n_repeats": 1},
        changes=({"rnn_type": "GRU"}, {"bidirectional": False}, {"mask_act": "relu"}, {"chunk_size": 40}),
    ),
]

ENCODEC: Final = [
    Entry(
        "SEANet",
        "public_zoo.sound:codec",
        ("B,1,400",),
        changes=(
            {"causal": True},
            {"norm": "time_group_norm"},
            {"true_skip": True},
            {"pad_mode": "constant"},
            {"activation_params": {"alpha": 0.5}},
            {"lstm": 0},
        ),
    )
]

CONFORMER: Final = [
    Entry(
        "Conformer",
        "conformer:Conformer",
        ("B,20,16",),
        {"dim": 16, "depth": 2, "dim_head": 4, "heads": 4, "conv_kernel_size": 7},
        changes=({"conv_kernel_size": 9}, {"conv_causal": True}, {"conv_dropout": 0.1}, {"heads": 2, "dim_head": 8}),
    )
]
