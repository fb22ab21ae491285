"""Networks of transformers from tiny random configurations, with the inputs by keyword as its users write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import transformers
from torch import nn

from public_zoo.entry import Entry

VOCABULARY: Final = 99
IDS: Final = f"input_ids=B,12:int64<{VOCABULARY}"
MASK: Final = "attention_mask=B,12:int64<2"
TYPES: Final = "token_type_ids=B,12:int64<2"
TARGET_IDS: Final = f"decoder_input_ids=B,7:int64<{VOCABULARY}"
LABELS: Final = f"labels=B,12:int64<{VOCABULARY}"
PIXELS: Final = "pixel_values=B,3,32,32"

SMALL: Final = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
EAGER: Final = {"attn_implementation": "eager"}  # by default attention is torch's scaled_dot_product_attention
DECODER: Final = {**SMALL, "num_key_value_heads": 2, "head_dim": 8}
EXPERTS: Final = {**DECODER, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
T5: Final = {
    "vocab_size": VOCABULARY,
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 64,
    "num_layers": 2,
    "num_decoder_layers": 2,
    "num_heads": 4,
    "decoder_start_token_id": 0,
}
BART: Final = {
    "vocab_size": VOCABULARY,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "max_position_embeddings": 64,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
    "forced_eos_token_id": 2,
}
VISION: Final = {
    "image_size": 32,
    "patch_size": 8,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
SPEECH: Final = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "conv_dim": [32, 32, 32],
    "conv_kernel": [10, 3, 3],
    "conv_stride": [5, 2, 2],
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
CLIP_TEXT: Final = {**SMALL, "projection_dim": 16, "eos_token_id": 98, "bos_token_id": 97, "pad_token_id": 1}
STAGES: Final = {
    "num_encoder_blocks": 4,
    "depths": [1, 1, 1, 1],
    "hidden_sizes": [8, 16, 16, 32],
    "num_attention_heads": [1, 1, 2, 2],
    "decoder_hidden_size": 16,
    "num_labels": 5,
}
RESNET: Final = {
    "model_type": "resnet",
    "embedding_size": 8,
    "hidden_sizes": [8, 16, 16, 32],
    "depths": [1, 1, 1, 1],
    "layer_type": "basic",
    "out_features": ["stage4"],
}
DETR: Final = {
    "backbone_config": RESNET,
    "use_timm_backbone": False,
    "use_pretrained_backbone": False,
    "backbone": None,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "num_queries": 6,
    "num_labels": 5,
}


def build(model: str, config: Mapping[str, Any]) -> nn.Module:
    """Build a network by the name of its class, from a configuration; nothing is downloaded."""
    model_class: Any = getattr(transformers, model)
    network: nn.Module = model_class(model_class.config_class(**config))
    return network


def bert2bert() -> nn.Module:
    """Build an encoder-decoder of two BERTs."""
    config_class: Any = transformers.BertConfig
    encoder, decoder = config_class(**SMALL), config_class(**SMALL)
    config: Any = transformers.EncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config.decoder_start_token_id, config.pad_token_id = 0, 1
    network: nn.Module = transformers.EncoderDecoderModel(config)
    return network


def _entry(model: str, inputs: tuple[str, ...], config: Mapping[str, Any], label: str = "") -> Entry:
    return Entry(label or model, "public_zoo.language:build", inputs, {"model": model, "config": dict(config)})


ENTRIES: Final = [
    _entry("BertModel", (IDS, MASK, TYPES), SMALL),
    _entry("BertForMaskedLM", (IDS, MASK, LABELS), SMALL),
    _entry("BertModel", (IDS, MASK), {**SMALL, "output_hidden_states": True}, "BertModel-hidden-states"),
    _entry(
        "DistilBertModel", (IDS, MASK), {"vocab_size": 99, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
    ),
    _entry("RobertaForSequenceClassification", (IDS, MASK), {**SMALL, "num_labels": 3}),
    _entry("AlbertModel", (IDS, MASK), {**SMALL, "embedding_size": 16}),
    _entry("ElectraForPreTraining", (IDS, MASK), {**SMALL, "embedding_size": 16}),
    _entry("DebertaV2Model", (IDS, MASK), {**SMALL, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]}),
    _entry(
        "ModernBertModel",
        (IDS, MASK),
        {**SMALL, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2, "cls_token_id": 2, "sep_token_id": 1},
    ),
    _entry("BertModel", (IDS, MASK), {**SMALL, **EAGER}, "BertModel-eager"),
    _entry(
        "ViTForImageClassification", (PIXELS,), {**VISION, "num_labels": 5, **EAGER}, "ViTForImageClassification-eager"
    ),
    _entry("LlamaForCausalLM", (IDS, MASK), {**DECODER, **EAGER}, "LlamaForCausalLM-eager"),
    _entry(
        "BartForConditionalGeneration", (IDS, MASK, TARGET_IDS), {**BART, **EAGER}, "BartForConditionalGeneration-eager"
    ),
    _entry("FNetModel", (IDS,), SMALL),
    _entry("LongformerModel", (IDS, MASK), {**SMALL, "attention_window": [4, 4]}),
    _entry("BigBirdModel", (IDS, MASK), SMALL),
    _entry("XLNetModel", (IDS,), {"vocab_size": 99, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64}),
    _entry("LayoutLMModel", (IDS, "bbox=B,12,4:int64<1", MASK), {**SMALL, "max_2d_position_embeddings": 64}),
    _entry(
        "GPT2LMHeadModel", (IDS, MASK), {"vocab_size": 99, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
    ),
    _entry("GPTNeoXForCausalLM", (IDS, MASK), SMALL),
    _entry(
        "GPTJForCausalLM",
        (IDS,),
        {"vocab_size": 99, "n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4, "n_positions": 64},
    ),
    _entry("BloomForCausalLM", (IDS, MASK), {"vocab_size": 99, "hidden_size": 32, "n_layer": 2, "n_head": 4}),
    _entry("OPTForCausalLM", (IDS, MASK), {**SMALL, "ffn_dim": 64, "word_embed_proj_dim": 32}),
    _entry("LlamaForCausalLM", (IDS, MASK), DECODER),
    _entry("MistralForCausalLM", (IDS, MASK), {**DECODER, "sliding_window": 4}),
    _entry("MixtralForCausalLM", (IDS,), {**DECODER, "num_local_experts": 4}),
    _entry("Qwen2ForCausalLM", (IDS, MASK), DECODER),
    _entry("Qwen3MoeForCausalLM", (IDS,), EXPERTS),
    _entry("Gemma2ForCausalLM", (IDS,), DECODER),
    _entry("Phi3ForCausalLM", (IDS,), {**DECODER, "pad_token_id": 0}),
    _entry("FalconForCausalLM", (IDS,), SMALL),
    _entry("CohereForCausalLM", (IDS,), DECODER),
    _entry("OlmoeForCausalLM", (IDS,), EXPERTS),
    _entry(
        "DeepseekV3ForCausalLM",
        (IDS,),
        {
            **SMALL,
            "num_key_value_heads": 4,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "n_group": 2,
            "topk_group": 1,
            "first_k_dense_replace": 1,
            "moe_intermediate_size": 32,
            "q_lora_rank": 16,
            "kv_lora_rank": 16,
            "qk_rope_head_dim": 8,
            "qk_nope_head_dim": 8,
            "v_head_dim": 8,
        },
    ),
    _entry("GptOssForCausalLM", (IDS,), {**DECODER, "num_local_experts": 4, "num_experts_per_tok": 2}),
    _entry(
        "RwkvForCausalLM",
        (IDS,),
        {
            "vocab_size": 99,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "context_length": 32,
            "attention_hidden_size": 32,
        },
    ),
    _entry("MambaForCausalLM", (IDS,), {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4}),
    _entry(
        "Mamba2ForCausalLM",
        (IDS,),
        {
            "vocab_size": 99,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_heads": 8,
            "head_dim": 8,
            "state_size": 4,
            "n_groups": 1,
            "chunk_size": 8,
        },
    ),
    _entry(
        "RecurrentGemmaForCausalLM",
        (IDS,),
        {**DECODER, "lru_width": 32, "attention_window_size": 8, "num_hidden_layers": 3},
    ),
    _entry(
        "JambaForCausalLM",
        (IDS,),
        {
            **DECODER,
            "num_hidden_layers": 4,
            "attn_layer_period": 2,
            "num_experts": 4,
            "attn_layer_offset": 1,
            "expert_layer_period": 2,
            "expert_layer_offset": 1,
            "use_mamba_kernels": False,
            "mamba_d_state": 4,
            "mamba_dt_rank": 4,
        },
    ),
    _entry("T5Model", (IDS, TARGET_IDS), T5),
    _entry("T5ForConditionalGeneration", (IDS, MASK, "labels=B,7:int64<99"), T5),
    _entry("T5EncoderModel", (IDS, MASK), T5),
    _entry(
        "SwitchTransformersForConditionalGeneration",
        (IDS, TARGET_IDS),
        {**T5, "num_experts": 4, "num_sparse_encoder_layers": 1, "num_sparse_decoder_layers": 1},
    ),
    _entry("BartForConditionalGeneration", (IDS, MASK, TARGET_IDS), BART),
    _entry("PegasusModel", (IDS, TARGET_IDS), BART),
    Entry("BERT2BERT", "public_zoo.language:bert2bert", (IDS, MASK, TARGET_IDS)),
    _entry(
        "WhisperForConditionalGeneration",
        ("input_features=B,80,64", TARGET_IDS),
        {**BART, "max_source_positions": 32, "max_target_positions": 64, "num_mel_bins": 80},
    ),
    _entry("Wav2Vec2ForCTC", ("input_values=B,1600",), SPEECH),
    _entry("Wav2Vec2Model", ("input_values=B,1600",), SPEECH),
    _entry("HubertModel", ("input_values=B,1600",), SPEECH),
    _entry(
        "SpeechT5ForSpeechToText",
        ("input_values=B,1600", TARGET_IDS),
        {
            **SPEECH,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 64,
            "decoder_ffn_dim": 64,
        },
    ),
    _entry("ASTModel", ("input_values=B,32,16",), {**VISION, "max_length": 32, "num_mel_bins": 16}),
    _entry("ViTModel", (PIXELS,), VISION),
    _entry("ViTForImageClassification", (PIXELS,), {**VISION, "num_labels": 5}),
    _entry("DeiTModel", (PIXELS,), VISION),
    _entry("BeitForImageClassification", (PIXELS,), {**VISION, "num_labels": 5}),
    _entry("Dinov2Model", (PIXELS,), VISION),
    _entry(
        "ViTMAEForPreTraining",
        (PIXELS,),
        {
            **VISION,
            "decoder_hidden_size": 16,
            "decoder_num_hidden_layers": 1,
            "decoder_num_attention_heads": 2,
            "decoder_intermediate_size": 32,
        },
    ),
    _entry(
        "SwinModel",
        (PIXELS,),
        {"image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 2], "window_size": 4},
    ),
    _entry("ConvNextModel", (PIXELS,), {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 8, 16, 16]}),
    _entry("SegformerForSemanticSegmentation", ("pixel_values=B,3,64,64",), STAGES),
    _entry("DetrForObjectDetection", ("pixel_values=B,3,64,64",), DETR),
    _entry(
        "YolosForObjectDetection",
        (PIXELS,),
        {**VISION, "image_size": [32, 32], "num_detection_tokens": 4, "num_labels": 5},
    ),
    _entry(
        "DPTForDepthEstimation",
        (PIXELS,),
        {
            **VISION,
            "num_hidden_layers": 4,
            "backbone_out_indices": [0, 1, 2, 3],
            "neck_hidden_sizes": [8, 8, 16, 16],
            "fusion_hidden_size": 16,
            "is_hybrid": False,
        },
    ),
    _entry("CLIPModel", (IDS, PIXELS, MASK), {"text_config": CLIP_TEXT, "vision_config": VISION, "projection_dim": 16}),
    _entry("SiglipModel", (IDS, PIXELS), {"text_config": CLIP_TEXT, "vision_config": VISION}),
    _entry("ViltModel", (IDS, MASK, TYPES, PIXELS), {**VISION, **SMALL}),
    _entry(
        "TimeSeriesTransformerModel",
        (
            "past_values=B,16",
            "past_time_features=B,16,2",
            "past_observed_mask=B,16",
            "future_values=B,4",
            "future_time_features=B,4,2",
        ),
        {
            "prediction_length": 4,
            "context_length": 9,
            "num_time_features": 2,
            "d_model": 16,
            "encoder_layers": 1,
            "decoder_layers": 1,
            "encoder_ffn_dim": 16,
            "decoder_ffn_dim": 16,
        },
    ),
    _entry(
        "PatchTSTForPrediction",
        ("past_values=B,32,3",),
        {
            "num_input_channels": 3,
            "context_length": 32,
            "patch_length": 8,
            "patch_stride": 8,
            "d_model": 16,
            "num_attention_heads": 2,
            "ffn_dim": 32,
            "num_hidden_layers": 2,
            "prediction_length": 4,
        },
    ),
    _entry(
        "PerceiverModel",
        ("inputs=B,12,8",),
        {
            "num_latents": 4,
            "d_latents": 16,
            "d_model": 8,
            "num_blocks": 1,
            "num_self_attends_per_block": 2,
            "num_self_attention_heads": 2,
            "num_cross_attention_heads": 2,
        },
    ),
    _entry(
        "FunnelModel",
        (IDS,),
        {
            "vocab_size": 99,
            "block_sizes": [1, 1],
            "num_decoder_layers": 1,
            "d_model": 32,
            "n_head": 4,
            "d_head": 8,
            "d_inner": 64,
        },
    ),
]
