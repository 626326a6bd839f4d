"""A family's configuration made tiny: few layers, narrow, but as long and as wide in its inputs as the real one."""

from __future__ import annotations

from typing import Any

SIZES: dict[str, int] = {
    **dict.fromkeys(
        (
            "hidden_size",
            "d_model",
            "n_embd",
            "dim",
            "embed_dim",
            "embedding_size",
            "projection_dim",
            "projection_size",
            "word_embed_proj_dim",
            "encoder_hidden_size",
            "decoder_hidden_size",
            "vision_feature_dim",
            "embed_size",
            "hidden_dim_size",
            "prompt_hidden_size",
            "mask_feature_size",
            "feature_size",
            "share_hidden_size",
            "conv_dim",
            "image_text_hidden_size",
            "decoder_output_dim_size",
            "fusion_hidden_size",
            "head_hidden_size",
            "channels",
            "output_dim",
            "classifier_proj_size",
            "codevector_dim",
            "proj_codevector_dim",
            "speaker_embedding_size",
        ),
        32,
    ),
    **dict.fromkeys(
        (
            "num_attention_heads",
            "n_head",
            "n_heads",
            "num_heads",
            "encoder_attention_heads",
            "decoder_attention_heads",
            "decoder_num_attention_heads",
            "num_decoder_attention_heads",
        ),
        4,
    ),
    **dict.fromkeys(
        (
            "num_hidden_layers",
            "n_layer",
            "n_layers",
            "num_layers",
            "encoder_layers",
            "decoder_layers",
            "num_decoder_layers",
            "num_encoder_layers",
            "decoder_num_hidden_layers",
            "num_block_layers",
        ),
        2,
    ),
    **dict.fromkeys(
        (
            "intermediate_size",
            "encoder_ffn_dim",
            "decoder_ffn_dim",
            "d_ff",
            "n_inner",
            "ffn_dim",
            "dim_feedforward",
            "decoder_intermediate_size",
            "encoder_feedforward_dim",
            "mlp_dim",
        ),
        64,
    ),
    "d_kv": 8,
    "head_dim": 8,
    "qk_nope_head_dim": 8,
    "num_experts": 4,
    "num_local_experts": 4,
    "n_positions_embd": 32,
}
LABELLED = ("label2id", "id2label", "num_labels")
OVERRIDES: dict[str, dict[str, Any]] = {
    "distilbert": {"hidden_dim": 64},
    "albert": {"embedding_size": 16},
    "electra": {"embedding_size": 32},
    "mobilebert": {"embedding_size": 32, "intra_bottleneck_size": 32, "true_hidden_size": 32},
    "squeezebert": {
        "q_groups": 2,
        "k_groups": 2,
        "v_groups": 2,
        "post_attention_groups": 1,
        "intermediate_groups": 2,
        "output_groups": 2,
    },
    "convbert": {"embedding_size": 32, "head_ratio": 2},
    "longformer": {"attention_window": [64, 64], "max_position_embeddings": 4098},
    "big_bird": {"block_size": 16, "num_random_blocks": 2},
    "bigbird_pegasus": {"block_size": 16, "num_random_blocks": 2},
    "xlnet": {"d_head": 8, "d_inner": 64},
    "roberta": {"max_position_embeddings": 514, "type_vocab_size": 1},
    "xlm-roberta": {"max_position_embeddings": 514, "type_vocab_size": 1},
    "camembert": {"max_position_embeddings": 514, "type_vocab_size": 1},
    "layoutlmv3": {"max_position_embeddings": 514, "coordinate_size": 4, "shape_size": 8, "type_vocab_size": 1},
    "layoutlmv2": {"coordinate_size": 4, "shape_size": 8},
    "deberta": {
        "max_relative_positions": -1,
        "pos_att_type": ["c2p", "p2c"],
        "relative_attention": True,
        "type_vocab_size": 0,
        "pooler_hidden_size": 32,
    },
    "deberta-v2": {
        "pos_att_type": ["p2c", "c2p"],
        "relative_attention": True,
        "position_buckets": 256,
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
        "position_biased_input": False,
        "type_vocab_size": 0,
        "pooler_hidden_size": 32,
    },
    "gpt_neo": {
        "attention_types": [[["global", "local"], 1]],
        "attention_layers": ["global", "local"],
        "n_positions": 2048,
    },
    "gptj": {"rotary_dim": 8},
    "codegen": {"rotary_dim": 8},
    "falcon": {"num_kv_heads": 4},
    "longt5": {"encoder_attention_type": "transient-global", "local_radius": 15},
    "wav2vec2": {
        "conv_dim": [32] * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 2,
        "num_codevectors_per_group": 8,
        "tdnn_dim": [32, 32, 32, 32, 64],
        "xvector_output_dim": 32,
    },
    "dpr": {"projection_dim": 0},
    "speecht5": {
        "conv_dim": [32] * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 2,
        "speech_decoder_prenet_units": 32,
        "speech_decoder_postnet_units": 32,
        "speaker_embedding_dim": 512,
        "hidden_size": 32,
    },
    "hifigan": {"upsample_initial_channel": 32},
    "speech_to_text": {"conv_channels": 64},
    "vilt": {"image_size": 384, "patch_size": 32},
    "deit": {"encoder_stride": 16},
    "beit": {
        "use_relative_position_bias": True,
        "use_absolute_position_embeddings": False,
        "use_shared_relative_position_bias": False,
        "layer_scale_init_value": 0.1,
    },
    "swin": {"embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 4, 8]},
    "swinv2": {"embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 4, 8], "image_size": 256, "window_size": 8},
    "swin2sr": {"embed_dim": 20, "depths": [1, 1], "num_heads": [2, 2], "image_size": 64, "window_size": 8},
    "segformer": {
        "hidden_sizes": [16, 16, 32, 32],
        "depths": [1, 1, 1, 1],
        "num_attention_heads": [1, 2, 4, 4],
        "decoder_hidden_size": 32,
    },
    "glpn": {
        "hidden_sizes": [16, 16, 32, 32],
        "depths": [1, 1, 1, 1],
        "num_attention_heads": [1, 2, 4, 4],
        "decoder_hidden_size": 16,
    },
    "convnext": {"hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1]},
    "convnextv2": {"hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1]},
    "resnet": {"embedding_size": 16, "hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1]},
    "regnet": {"embedding_size": 16, "hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1], "groups_width": 8},
    "efficientnet": {"width_coefficient": 0.25, "depth_coefficient": 0.5, "hidden_dim": 320},
    "mobilenet_v1": {"depth_multiplier": 0.25},
    "mobilenet_v2": {"depth_multiplier": 0.25, "min_depth": 4},
    "mobilevit": {"hidden_sizes": [16, 24, 32], "neck_hidden_sizes": [8, 8, 16, 16, 24, 24, 64]},
    "dpt": {
        "backbone_out_indices": [0, 1, 2, 3],
        "num_hidden_layers": 4,
        "neck_hidden_sizes": [16, 16, 32, 32],
        "fusion_hidden_size": 16,
        "is_hybrid": False,
        "image_size": 384,
    },
    "yolos": {"image_size": [512, 864], "num_detection_tokens": 100},
    "detr": {
        "use_timm_backbone": False,
        "use_pretrained_backbone": False,
        "backbone": None,
        "d_model": 64,
        "encoder_attention_heads": 8,
        "decoder_attention_heads": 8,
        "num_queries": 100,
    },
    "table-transformer": {
        "use_timm_backbone": False,
        "use_pretrained_backbone": False,
        "backbone": None,
        "num_queries": 15,
    },
    "conditional_detr": {
        "use_timm_backbone": False,
        "use_pretrained_backbone": False,
        "backbone": None,
        "num_queries": 100,
    },
    "deformable_detr": {
        "use_timm_backbone": False,
        "use_pretrained_backbone": False,
        "backbone": None,
        "num_queries": 100,
    },
    "maskformer": {"fpn_feature_size": 32, "mask_feature_size": 32, "num_attention_heads": 4},
    "mask2former": {
        "feature_size": 32,
        "mask_feature_size": 32,
        "hidden_dim": 32,
        "encoder_feedforward_dim": 64,
        "dim_feedforward": 64,
        "num_queries": 100,
        "num_attention_heads": 4,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "train_num_points": 100,
    },
    "oneformer": {
        "conv_dim": 32,
        "mask_dim": 32,
        "hidden_dim": 32,
        "encoder_feedforward_dim": 64,
        "dim_feedforward": 64,
        "num_queries": 20,
        "text_encoder_width": 32,
        "text_encoder_num_layers": 2,
        "text_encoder_proj_layers": 2,
        "text_encoder_vocab_size": 600,
        "train_num_points": 100,
    },
    "upernet": {"hidden_size": 32, "auxiliary_channels": 32, "auxiliary_in_channels": 32, "pool_scales": [1, 2, 3, 6]},
    "videomae": {"decoder_hidden_size": 32, "decoder_intermediate_size": 64},
    "clipseg": {"reduce_dim": 16, "extract_layers": [0, 1], "conditional_layer": 0},
    "xclip": {"mit_hidden_size": 32, "mit_intermediate_size": 64, "prompt_attention_dropout": 0.0},
    "blip": {"image_text_hidden_size": 32},
    "align": {"projection_dim": 80},
    "align_vision_model": {"width_coefficient": 0.25, "depth_coefficient": 0.3, "hidden_dim": 320},
    "clap_audio_model": {
        "depths": [1, 1, 1, 1],
        "patch_embeds_hidden_size": 16,
        "hidden_size": 128,
        "num_attention_heads": [1, 2, 4, 8],
    },
    "encodec": {"num_filters": 4, "codebook_dim": 32, "num_lstm_layers": 1},
    "visual_bert": {"visual_embedding_dim": 32},
    "decision_transformer": {"state_dim": 11, "act_dim": 3},
    "mgp-str": {"max_token_length": 27},
    "tapas": {"type_vocab_sizes": [3, 256, 256, 2, 256, 256, 10], "max_position_embeddings": 512},
    "vits": {
        "flow_size": 32,
        "spectrogram_bins": 33,
        "upsample_initial_channel": 32,
        "wavenet_dilation_rate": 1,
        "duration_predictor_filter_channels": 32,
    },
    "depth_anything": {
        "neck_hidden_sizes": [8, 16, 32, 32],
        "fusion_hidden_size": 16,
        "head_hidden_size": 8,
        "reassemble_hidden_size": 32,
    },
}
for _family in ("hubert", "wavlm", "unispeech", "unispeech-sat", "data2vec-audio", "wav2vec2-conformer"):
    OVERRIDES[_family] = OVERRIDES["wav2vec2"]


def shrunk(config: dict[str, Any], family: str) -> dict[str, Any]:
    """A configuration's values made small, its parts' too; unknown keys are left alone."""
    small: dict[str, Any] = {}
    own = OVERRIDES.get(str(config.get("model_type") or family), {})
    for key, value in config.items():
        if isinstance(value, dict) and key not in LABELLED and not key.startswith("rope"):
            part = str(value.get("model_type") or "")
            small[key] = shrunk(value, part)
        elif key in ("num_key_value_heads", "num_kv_heads") and isinstance(value, int):
            heads = config.get("num_attention_heads") or config.get("n_heads")
            small[key] = 4 if value == heads else 1 if value == 1 else 2
        elif key in SIZES and isinstance(value, int) and not isinstance(value, bool):
            small[key] = min(value, SIZES[key]) if value else value
        elif key == "layer_types" and isinstance(value, list):
            small[key] = value[:1] * 2
        elif key in (
            "out_features",
            "out_indices",
            "stage_names",
            "output_attentions",
            "output_hidden_states",
            "return_dict",
            "transformers_version",
            "dtype",
            "torch_dtype",
        ):
            continue
        else:
            small[key] = value
    small.update(own)
    return small
