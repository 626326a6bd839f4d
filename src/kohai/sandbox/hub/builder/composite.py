"""Families whose configuration is made of others', and those with a rule that no table says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

RESNET = {
    "model_type": "resnet",
    "embedding_size": 16,
    "hidden_sizes": [16, 16, 32, 32],
    "depths": [1, 1, 1, 1],
    "out_features": ["stage4"],
    "out_indices": [4],
    "stage_names": ["stem", "stage1", "stage2", "stage3", "stage4"],
}
SWIN = {
    "model_type": "swin",
    "embed_dim": 16,
    "depths": [1, 1, 1, 1],
    "num_heads": [1, 2, 4, 8],
    "window_size": 7,
    "out_features": ["stage1", "stage2", "stage3", "stage4"],
    "out_indices": [1, 2, 3, 4],
    "stage_names": ["stem", "stage1", "stage2", "stage3", "stage4"],
}
CONVNEXT = {
    "model_type": "convnext",
    "hidden_sizes": [16, 16, 32, 32],
    "depths": [1, 1, 1, 1],
    "out_features": ["stage1", "stage2", "stage3", "stage4"],
    "out_indices": [1, 2, 3, 4],
    "stage_names": ["stem", "stage1", "stage2", "stage3", "stage4"],
}


def vision_encoder_decoder(name: str) -> dict[str, Any]:
    """Vision models that write: captions (GPT-2), printed and hand-written lines (TrOCR), documents (Donut)."""
    import transformers as t

    text = name.lower()
    if "donut" in text or "docvqa" in text:
        encoder = t.CONFIG_MAPPING["donut-swin"](image_size=[320, 240], embed_dim=16, depths=[1, 1], num_heads=[2, 2])
        decoder = t.MBartConfig(is_decoder=True, add_cross_attention=True, scale_embedding=True)
    elif "trocr" in text:
        encoder = t.ViTConfig(image_size=384, qkv_bias=False)
        decoder = t.CONFIG_MAPPING["trocr"](is_decoder=True, add_cross_attention=True, cross_attention_hidden_size=32)
    elif "manga" in text:
        encoder, decoder = t.ViTConfig(), t.BertConfig(is_decoder=True, add_cross_attention=True)
    else:
        encoder, decoder = t.ViTConfig(), t.GPT2Config(is_decoder=True, add_cross_attention=True)
    config: dict[str, Any] = t.VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder).to_dict()
    return config


def encoder_decoder(_: str) -> dict[str, Any]:
    """Two BERTs."""
    import transformers as t

    config: dict[str, Any] = t.EncoderDecoderConfig.from_encoder_decoder_configs(
        t.BertConfig(), t.BertConfig(is_decoder=True, add_cross_attention=True)
    ).to_dict()
    return config


def blip2(name: str) -> dict[str, Any]:
    """A vision model, a query model, and OPT or T5."""
    import transformers as t

    text = t.T5Config() if "t5" in name.lower() else t.OPTConfig()
    config: dict[str, Any] = t.Blip2Config(text_config=text.to_dict(), num_query_tokens=8).to_dict()
    return config


BUILDERS: dict[str, Callable[[str], dict[str, Any]]] = {
    "vision-encoder-decoder": vision_encoder_decoder,
    "encoder-decoder": encoder_decoder,
    "blip-2": blip2,
}
BACKBONES: dict[str, dict[str, Any]] = {
    "detr": RESNET | {"out_features": ["stage1", "stage2", "stage3", "stage4"], "out_indices": [1, 2, 3, 4]},
    "table-transformer": RESNET,
    "conditional_detr": RESNET,
    "deformable_detr": RESNET | {"out_features": ["stage2", "stage3", "stage4"], "out_indices": [2, 3, 4]},
    "maskformer": SWIN,
    "mask2former": SWIN,
    "oneformer": SWIN,
    "upernet": CONVNEXT,
    "depth_anything": {
        "model_type": "dinov2",
        "hidden_size": 32,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "image_size": 518,
        "patch_size": 14,
        "apply_layernorm": True,
        "reshape_hidden_states": False,
        "out_indices": [1, 2, 3, 4],
        "out_features": ["stage1", "stage2", "stage3", "stage4"],
    },
}


def mended(family: str, name: str, config: dict[str, Any]) -> dict[str, Any]:
    """A shrunk configuration with what depends on several of its values put right."""
    if family in BACKBONES:
        config["backbone_config"] = dict(BACKBONES[family])
        config["backbone"] = config["backbone_kwargs"] = None
        config["use_timm_backbone"] = config["use_pretrained_backbone"] = False
    if family == "maskformer":
        config["decoder_config"] = {
            "model_type": "detr",
            "d_model": 32,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 64,
            "decoder_ffn_dim": 64,
            "num_queries": 100,
        }
    if family == "qwen3_vl" and config["text_config"].get("rope_scaling", 0) is None:
        config["text_config"]["rope_scaling"] = {"rope_type": "default", "mrope_section": [2, 1, 1]}
    if family == "chinese_clip":
        config.setdefault("vision_config", {})["image_size"] = 336 if "336" in name else 224
    if family == "vision-encoder-decoder":
        decoder = config["decoder"]
        config["is_encoder_decoder"] = True
        if decoder["model_type"] == "trocr":
            decoder["cross_attention_hidden_size"] = 32
        if config["encoder"]["model_type"] == "donut-swin":
            config["encoder"] |= {"embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "hidden_size": 32}
    return config


def with_words(family: str, name: str, config: dict[str, Any], words: Any) -> None:
    """Numbers of tokens that the tokenizer does not name: BLIP's, an image's place, languages."""
    if family == "blip":
        text = config["text_config"]
        text |= {"vocab_size": len(words) + 2, "bos_token_id": len(words), "eos_token_id": words.sep_token_id}
        text |= {"sep_token_id": words.sep_token_id, "pad_token_id": words.pad_token_id}
    if family == "whisper":
        config["decoder_start_token_id"] = words.convert_tokens_to_ids("<|startoftranscript|>")
    if family == "blip-2":
        text = config["text_config"]
        text["vocab_size"] = len(words) + 1
        config["image_token_index"] = len(words)
        if "t5" in name.lower():
            text["bos_token_id"] = 1
    if family == "m2m_100" and hasattr(words, "lang_token_to_id"):
        config["vocab_size"] = max(*words.lang_token_to_id.values(), len(words)) + 9
    if family == "encoder-decoder" or config.get("decoder", {}).get("model_type") == "bert":
        numbers = {"decoder_start_token_id": words.cls_token_id, "eos_token_id": words.sep_token_id}
        config |= numbers | {"pad_token_id": words.pad_token_id, "vocab_size": len(words)}


def start(family: str, model: Any, words: Any) -> None:
    """Where two BERTs, or a picture's reader, begin to write."""
    settings = getattr(model, "generation_config", None)
    if settings is None or words is None or family not in ("encoder-decoder", "vision-encoder-decoder"):
        return
    first = [words.cls_token_id, words.bos_token_id, words.eos_token_id]
    settings.decoder_start_token_id = next(number for number in first if number is not None)
    settings.eos_token_id = words.eos_token_id if words.eos_token_id is not None else words.sep_token_id
    settings.pad_token_id = words.pad_token_id if words.pad_token_id is not None else settings.eos_token_id
    model.config.decoder_start_token_id = settings.decoder_start_token_id
    model.config.pad_token_id = settings.pad_token_id
