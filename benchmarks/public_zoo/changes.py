"""What somebody changes in a network's configuration, by library and network: `ecosystem.py` verifies each one.

The networks are those of `language`, `diffusion`, `vision` and `assorted`; further libraries' have their changes beside
them. A change is one keyword argument, or a few that go together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

Changes = Mapping[str, Sequence[Mapping[str, Any]]]

ACTIVATION: Final = {"hidden_act": "relu"}
EPS: Final = {"layer_norm_eps": 1e-6}
RMS_EPS: Final = {"rms_norm_eps": 1e-5}
HEADS: Final = {"num_attention_heads": 2}
ROPE: Final = {"rope_parameters": {"rope_type": "default", "rope_theta": 1000.0}}
TIED: Final = {"tie_word_embeddings": True}

TRANSFORMERS: Final[Changes] = {
    "BertModel": [ACTIVATION, EPS, HEADS, {"hidden_dropout_prob": 0.2}],
    "BertModel-eager": [ACTIVATION, HEADS, {"attention_probs_dropout_prob": 0.2}],
    "BertForMaskedLM": [EPS, {"hidden_act": "gelu_new"}, {"tie_word_embeddings": False}],
    "DistilBertModel": [{"activation": "relu"}, {"n_heads": 2}, {"sinusoidal_pos_embds": True}, {"dropout": 0.2}],
    "RobertaForSequenceClassification": [ACTIVATION, {"pad_token_id": 0}, {"classifier_dropout": 0.3}],
    "AlbertModel": [{"inner_group_num": 2}, {"num_hidden_groups": 2}, {"hidden_act": "gelu"}],
    "ElectraForPreTraining": [ACTIVATION, EPS],
    "DebertaV2Model": [{"pos_att_type": ["c2p"]}, {"share_att_key": True}, {"max_relative_positions": 4}],
    "ModernBertModel": [{"norm_eps": 1e-6}, {"local_attention": 4}, {"mlp_bias": True}],
    "LongformerModel": [{"attention_window": [8, 8]}, ACTIVATION],
    "GPT2LMHeadModel": [
        {"activation_function": "gelu"},
        {"scale_attn_by_inverse_layer_idx": True},
        {"scale_attn_weights": False},
        {"layer_norm_epsilon": 1e-6},
        {"resid_pdrop": 0.2},
    ],
    "GPTNeoXForCausalLM": [{"use_parallel_residual": False}, {"rotary_pct": 0.5}, {"attention_bias": False}],
    "GPTJForCausalLM": [{"rotary_dim": 8}, {"activation_function": "gelu"}],
    "BloomForCausalLM": [{"apply_residual_connection_post_layernorm": True}, {"n_head": 2}],
    "OPTForCausalLM": [{"do_layer_norm_before": False}, {"activation_function": "gelu"}, {"enable_bias": False}],
    "LlamaForCausalLM": [RMS_EPS, ROPE, TIED, {"num_key_value_heads": 4}, {"attention_bias": True}],
    "LlamaForCausalLM-eager": [ROPE, {"num_key_value_heads": 4}, {"hidden_act": "gelu"}],
    "MistralForCausalLM": [{"sliding_window": 8}, {"hidden_act": "gelu"}, RMS_EPS],
    "MixtralForCausalLM": [{"num_experts_per_tok": 1}, {"num_local_experts": 8}, {"hidden_act": "gelu"}],
    "Qwen2ForCausalLM": [ROPE, TIED, RMS_EPS],
    "Qwen3MoeForCausalLM": [{"norm_topk_prob": True}, {"num_experts_per_tok": 1}, {"decoder_sparse_step": 2}],
    "Gemma2ForCausalLM": [
        {"attn_logit_softcapping": 30.0},
        {"final_logit_softcapping": 10.0},
        {"query_pre_attn_scalar": 64},
        {"hidden_activation": "gelu"},
    ],
    "Phi3ForCausalLM": [{"hidden_act": "gelu"}, RMS_EPS],
    "FalconForCausalLM": [{"parallel_attn": False}, {"multi_query": False}, {"bias": True}],
    "CohereForCausalLM": [{"logit_scale": 0.25}, {"use_qk_norm": True}],
    "DeepseekV3ForCausalLM": [{"routed_scaling_factor": 1.0}, {"topk_group": 2}, {"norm_topk_prob": False}],
    "GptOssForCausalLM": [{"num_experts_per_tok": 1}, {"sliding_window": 4}],
    "MambaForCausalLM": [{"state_size": 8}, {"use_bias": True}, {"conv_kernel": 3}, {"hidden_act": "gelu"}],
    "Mamba2ForCausalLM": [{"n_groups": 2}, {"rms_norm": False}, {"layer_norm_epsilon": 1e-6}],
    "T5Model": [
        {"feed_forward_proj": "gated-gelu"},
        {"relative_attention_max_distance": 8},
        {"relative_attention_num_buckets": 16},
    ],
    "T5ForConditionalGeneration": [{"layer_norm_epsilon": 1e-5}, {"dropout_rate": 0.2}, {"num_heads": 2, "d_kv": 16}],
    "SwitchTransformersForConditionalGeneration": [{"router_jitter_noise": 0.1}, {"expert_capacity": 1}],
    "BartForConditionalGeneration": [
        {"scale_embedding": True},
        {"activation_function": "relu"},
        {"decoder_attention_heads": 2},
        {"dropout": 0.2},
    ],
    "BartForConditionalGeneration-eager": [{"scale_embedding": True}, {"attention_dropout": 0.1}],
    "PegasusModel": [{"scale_embedding": True}, {"activation_function": "relu"}],
    "WhisperForConditionalGeneration": [{"scale_embedding": True}, {"encoder_attention_heads": 2}],
    "Wav2Vec2ForCTC": [
        {"feat_extract_norm": "layer"},
        {"do_stable_layer_norm": True},
        {"conv_bias": True},
        {"num_conv_pos_embedding_groups": 4},
    ],
    "HubertModel": [{"feat_extract_activation": "relu"}, {"hidden_act": "relu"}],
    "ViTForImageClassification": [{"qkv_bias": False}, EPS, ACTIVATION],
    "ViTForImageClassification-eager": [{"qkv_bias": False}, HEADS, {"attention_probs_dropout_prob": 0.1}],
    "BeitForImageClassification": [
        {"use_mean_pooling": False},
        {"layer_scale_init_value": 0.2},
        {"use_relative_position_bias": True},
    ],
    "Dinov2Model": [{"use_swiglu_ffn": True}, {"layerscale_value": 0.5}, {"mlp_ratio": 2}],
    "SwinModel": [{"window_size": 2}, {"use_absolute_embeddings": True}, {"hidden_act": "relu"}],
    "ConvNextModel": [{"layer_scale_init_value": 0.0}, {"hidden_act": "relu"}, {"drop_path_rate": 0.1}],
    "SegformerForSemanticSegmentation": [{"sr_ratios": [4, 4, 2, 1]}, {"strides": [4, 2, 2, 1]}],
    "DetrForObjectDetection": [
        {"activation_function": "gelu"},
        {"num_queries": 8},
        {"position_embedding_type": "learned"},
    ],
    "CLIPModel": [{"text_config": {"hidden_act": "gelu"}}, {"vision_config": {"layer_norm_eps": 1e-6}}],
    "SiglipModel": [{"vision_config": {"hidden_act": "gelu"}}, {"text_config": {"layer_norm_eps": 1e-5}}],
    "PatchTSTForPrediction": [{"norm_type": "layernorm"}, {"pre_norm": False}, {"channel_attention": True}],
    "PerceiverModel": [{"use_query_residual": False}, {"hidden_act": "relu"}],
}

DIFFUSERS: Final[Changes] = {
    "UNet2DModel": [{"norm_eps": 1e-6}, {"act_fn": "relu"}, {"flip_sin_to_cos": False}],
    "UNet2DConditionModel": [{"norm_eps": 1e-6}, {"use_linear_projection": True}, {"freq_shift": 1}],
    "DiTTransformer2DModel": [{"activation_fn": "gelu"}, {"norm_eps": 1e-3}],
    "PixArtTransformer2DModel": [{"activation_fn": "geglu"}, {"norm_eps": 1e-3}],
    "SD3Transformer2DModel": [{"pos_embed_max_size": 12}, {"qk_norm": "rms_norm"}],
    "FluxTransformer2DModel": [{"guidance_embeds": True}, {"axes_dims_rope": [4, 8, 4]}],
    "Transformer2DModel": [{"norm_num_groups": 2}, {"activation_fn": "gelu"}, {"only_cross_attention": True}],
    "PriorTransformer": [{"dropout": 0.1}, {"added_emb_type": None}],
    "AutoencoderKL": [{"norm_num_groups": 2}, {"act_fn": "relu"}],
    "VQModel": [{"num_vq_embeddings": 32}, {"norm_num_groups": 2}],
}

TORCHVISION: Final[Changes] = {
    "resnet18": [{"zero_init_residual": True}, {"num_classes": 100}],
    "resnet50": [
        {"groups": 2, "width_per_group": 32},
        {"replace_stride_with_dilation": [False, False, True]},
        {"width_per_group": 32},
    ],
    "mobilenet_v2": [{"width_mult": 0.75}, {"dropout": 0.5}, {"round_nearest": 16}],
    "mobilenet_v3_small": [{"dropout": 0.5}, {"reduced_tail": True}],
    "densenet121": [{"drop_rate": 0.1}, {"bn_size": 2}],
    "googlenet": [{"transform_input": True}, {"aux_logits": False}],
    "vgg11_bn": [{"dropout": 0.2}, {"num_classes": 10}],
    "efficientnet_b0": [{"stochastic_depth_prob": 0.5}, {"dropout": 0.5}],
    "vit_b_16": [{"dropout": 0.1}, {"attention_dropout": 0.1}],
    "deeplabv3_resnet50": [{"aux_loss": True}, {"num_classes": 5}],
    "fcn_resnet50": [{"aux_loss": True}, {"num_classes": 5}],
}

TIMM: Final[Changes] = {
    "resnet10t": [{"act_layer": "silu"}, {"output_stride": 16}, {"drop_path_rate": 0.2}, {"global_pool": "max"}],
    "vit_tiny_patch16_224": [
        {"qkv_bias": False},
        {"class_token": False, "global_pool": "avg"},
        {"num_heads": 6},
        {"act_layer": "relu"},
        {"init_values": 0.1},
        {"qk_norm": True},
    ],
    "convnext_zepto_rms": [{"kernel_sizes": 5}, {"ls_init_value": 0.1}, {"conv_mlp": False}],
    "swin_tiny_patch4_window7_224": [{"window_size": 14}, {"drop_path_rate": 0.3}],
    "mixer_s16_224": [{"mlp_ratio": [0.5, 2.0]}, {"drop_rate": 0.1}],
    "mobilenetv3_small_050": [{"act_layer": "relu"}, {"se_layer": None}],
    "regnetx_002": [{"act_layer": "silu"}, {"output_stride": 16}],
    "resmlp_12_224": [{"mlp_ratio": 2}, {"drop_path_rate": 0.1}],
}

X_TRANSFORMERS: Final[Changes] = {
    "gpt": [{"layers": {"pre_norm": False}}, {"layers": {"ff_glu": True}}, {"wrapper": {"tie_embedding": True}}],
    "rotary": [{"layers": {"rotary_emb_dim": 4}}, {"layers": {"rotary_xpos": True}}],
    "alibi": [{"layers": {"alibi_num_heads": 4}}, {"layers": {"alibi_pos_bias": False}}],
    "t5-bias": [{"layers": {"rel_pos_max_distance": 64}}, {"layers": {"rel_pos_num_buckets": 16}}],
    "rmsnorm-swiglu": [{"layers": {"ff_swish": False}}, {"layers": {"use_rmsnorm": False}}],
    "grouped-query": [{"layers": {"attn_kv_heads": 1}}, {"causal": False}],
    "qk-norm": [{"layers": {"attn_qk_norm_scale": 5}}, {"layers": {"attn_qk_norm_dim_scale": True}}],
    "talking-heads": [{"layers": {"attn_post_talking_heads": True}}, {"layers": {"ff_relu_squared": True}}],
}

GEOMETRIC: Final[Changes] = {
    "GCN": [{"act": "elu"}, {"norm": "BatchNorm"}, {"jk": "cat"}, {"normalize": False}, {"dropout": 0.5}],
    "GraphSAGE": [{"aggr": "max"}, {"project": True}, {"root_weight": False}],
    "GIN": [{"act": "tanh"}, {"train_eps": True}],
    "GAT": [{"v2": True}, {"negative_slope": 0.1}, {"heads": 4}],
    "EdgeCNN": [{"act": "elu"}, {"norm": "BatchNorm"}],
    "GraphUNet": [{"pool_ratios": 0.25}, {"sum_res": False}],
    "LINKX": [{"num_edge_layers": 2}, {"dropout": 0.5}],
    "AttentiveFP": [{"num_timesteps": 3}, {"dropout": 0.2}],
    "LightGCN": [{"num_layers": 3}, {"alpha": 0.5}],
}

MONAI: Final[Changes] = {
    "UNet": [{"act": "RELU"}, {"norm": "BATCH"}, {"num_res_units": 1}, {"bias": False}],
    "DynUNet": [{"norm_name": "BATCH"}, {"res_block": True}, {"act_name": "relu"}],
    "SegResNet": [{"norm": ["GROUP", {"num_groups": 4}]}, {"use_conv_final": False}],
    "UNETR": [{"norm_name": "batch"}, {"res_block": False}, {"qkv_bias": True}],
    "SwinUNETR": [{"window_size": 4}, {"use_v2": True}, {"normalize": False}],
    "ViT": [{"num_heads": 2}, {"proj_type": "perceptron"}, {"post_activation": "None"}],
    "DenseNet121": [{"act": "ELU"}, {"dropout_prob": 0.2}],
    "VNet": [{"act": "relu"}, {"bias": True}],
    "MedNeXt": [{"kernel_size": 5}, {"norm_type": "layer"}, {"use_residual_connection": False}],
}

SEGMENTATION: Final[Changes] = {
    "Unet-resnet18": [
        {"decoder_attention_type": "scse"},
        {"decoder_use_norm": False},
        {"decoder_interpolation": "bilinear"},
        {"activation": "sigmoid"},
    ],
    "UnetPlusPlus-resnet18": [{"decoder_attention_type": "scse"}, {"activation": "softmax2d"}],
    "FPN-resnet18": [{"decoder_merge_policy": "cat"}, {"upsampling": 2}, {"decoder_dropout": 0.5}],
    "DeepLabV3-resnet18": [{"decoder_atrous_rates": [6, 12, 18]}, {"encoder_output_stride": 16}],
    "Linknet-resnet18": [{"decoder_use_norm": False}, {"activation": "tanh"}],
    "PSPNet-resnet18": [{"psp_use_batchnorm": False}, {"upsampling": 4}],
}
