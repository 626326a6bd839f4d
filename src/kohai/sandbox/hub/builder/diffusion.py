"""A replica of a pipeline of diffusers: its parts in folders, `model_index.json` beside them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from . import processors, tokenizer

KINDS = (
    (r"control(net|_v)|sheepscontrol", "ControlNetModel"),
    (r"ncsnpp", "ScoreSdeVePipeline"),
    (r"ddpm|sd-class|minecraft-skin|universe_|butterfly_|shoe-gen|galaxies", "DDPMPipeline"),
    (r"ldm-celebahq", "LDMPipeline"),
    (r"text-to-video|tempofunk", "TextToVideoSDPipeline"),
    (r"image-variations", "StableDiffusionImageVariationPipeline"),
    (r"depth", "StableDiffusionDepth2ImgPipeline"),
    (r"latent-upscaler", "StableDiffusionLatentUpscalePipeline"),
    (r"x4-upscaler", "StableDiffusionUpscalePipeline"),
    (r"inpaint", "StableDiffusionInpaintPipeline"),
    (r"xl-refiner", "StableDiffusionXLImg2ImgPipeline"),
    (r"xl|sdxl", "StableDiffusionXLPipeline"),
    (r"instruct-pix2pix", "StableDiffusionInstructPix2PixPipeline"),
)
CHANNELS = {
    "StableDiffusionInpaintPipeline": 9,
    "StableDiffusionDepth2ImgPipeline": 5,
    "StableDiffusionUpscalePipeline": 7,
    "StableDiffusionLatentUpscalePipeline": 8,
    "StableDiffusionInstructPix2PixPipeline": 8,
}
WIDE = 32  # of text states
SIDE = 8  # of latents
UNET: dict[str, Any] = {
    "sample_size": SIDE,
    "out_channels": 4,
    "block_out_channels": (8, 16),
    "layers_per_block": 1,
    "cross_attention_dim": WIDE,
    "attention_head_dim": 4,
    "norm_num_groups": 4,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
}
PLAIN: dict[str, Any] = {
    "in_channels": 3,
    "out_channels": 3,
    "block_out_channels": (8, 8),
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "attention_head_dim": 4,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
}
SCHEDULER: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
}


def build(name: str, called: str, folder: Path) -> dict[str, Any]:
    """Writes it; its class.

    Raises:
        LookupError: a kind of pipeline that is not replicated.
    """
    import diffusers
    import torch

    torch.manual_seed(0)
    kind = next((found for pattern, found in KINDS if re.search(pattern, name.lower())), "StableDiffusionPipeline")
    if called.startswith("StableDiffusion") and hasattr(diffusers, called) and "ControlNet" not in called:
        kind = called
    if not hasattr(diffusers, kind):
        raise LookupError(f"this diffusers has no {kind}")
    if kind == "ControlNetModel":
        made = _controlnet(diffusers)
    elif kind in ("DDPMPipeline", "ScoreSdeVePipeline", "LDMPipeline"):
        made = _unconditional(diffusers, kind, name)
    else:
        made = _guided(diffusers, kind, folder)
    made.save_pretrained(str(folder), safe_serialization=True)
    _whole_index(folder)
    return {"class": kind, "family": "diffusers"}


def check(folder: Path, kind: str) -> None:
    """Loads it, and runs two steps where its inputs are plain."""
    import diffusers

    made = getattr(diffusers, kind).from_pretrained(str(folder))
    if kind in ("DDPMPipeline", "ScoreSdeVePipeline", "LDMPipeline"):
        made(num_inference_steps=2)
    elif kind in ("StableDiffusionPipeline", "StableDiffusionXLPipeline"):
        made("a horse", num_inference_steps=2)


def _controlnet(d: Any) -> Any:
    keys = ("block_out_channels", "layers_per_block", "cross_attention_dim", "attention_head_dim", "norm_num_groups")
    shape = {key: UNET[key] for key in keys} | {"down_block_types": UNET["down_block_types"]}
    return d.ControlNetModel(conditioning_embedding_out_channels=(8, 8, 8, 16), **shape)


def _unconditional(d: Any, kind: str, name: str) -> Any:
    size = re.search(r"-(32|64|128|256|512)\b", name)
    side = min(int(size[1]), 32) if size else 32
    if kind == "ScoreSdeVePipeline":
        return d.ScoreSdeVePipeline(unet=d.UNet2DModel(sample_size=side, **PLAIN), scheduler=d.ScoreSdeVeScheduler())
    if kind == "LDMPipeline":
        autoencoder = d.VQModel(block_out_channels=(8,), norm_num_groups=4, latent_channels=3)
        return d.LDMPipeline(
            vqvae=autoencoder, unet=d.UNet2DModel(sample_size=side, **PLAIN), scheduler=d.DDIMScheduler(**SCHEDULER)
        )
    return d.DDPMPipeline(unet=d.UNet2DModel(sample_size=side, **PLAIN), scheduler=d.DDPMScheduler())


def _guided(d: Any, kind: str, folder: Path) -> Any:
    """A pipeline that follows a text or a picture; parts that it does not take are not made."""
    import inspect

    import transformers as t

    wanted = inspect.signature(getattr(d, kind).__init__).parameters
    parts: dict[str, Any] = {}
    is_xl = "text_encoder_2" in wanted
    if "tokenizer" in wanted:
        parts["tokenizer"] = _words(folder)
        parts["text_encoder"] = _text_encoder(t, parts["tokenizer"], t.CLIPTextModel)
    if is_xl:
        parts["tokenizer_2"] = parts["tokenizer"]
        parts["text_encoder_2"] = _text_encoder(t, parts["tokenizer"], t.CLIPTextModelWithProjection)
    parts["unet"] = _unet(d, kind, is_xl)
    parts["vae"] = d.AutoencoderKL(
        block_out_channels=(8,) * 4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=SIDE * 8,
    )
    parts["scheduler"] = _scheduler(d, kind)
    if "low_res_scheduler" in wanted:
        parts["low_res_scheduler"] = d.DDPMScheduler(**SCHEDULER)
    if "depth_estimator" in wanted:
        from . import transformer

        inner = t.DPTConfig.from_dict(transformer.settings_of("Intel/dpt-large", "dpt", t.DPTForDepthEstimation))
        parts["depth_estimator"] = t.DPTForDepthEstimation(inner)
    seeing = {"hidden_size": WIDE, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    if "image_encoder" in wanted and kind == "StableDiffusionImageVariationPipeline":
        config = t.CLIPVisionConfig(projection_dim=WIDE, image_size=224, patch_size=32, **seeing)
        parts["image_encoder"] = t.CLIPVisionModelWithProjection(config)
    if "feature_extractor" in wanted:
        other = "DPTImageProcessor" if "depth_estimator" in wanted else "CLIPImageProcessor"
        parts["feature_extractor"] = processors.made(other)
    for absent in ("safety_checker", "image_encoder", "watermarker"):
        if absent in wanted and absent not in parts:
            parts[absent] = None
    if "requires_safety_checker" in wanted:
        parts["requires_safety_checker"] = False
    return getattr(d, kind)(**{name: part for name, part in parts.items() if name in wanted})


def _words(folder: Path) -> Any:
    import shutil

    import transformers as t

    place = folder / "words"
    place.mkdir()
    (place / "config.json").write_text(json.dumps({"model_type": "clip"}))
    tokenizer.make("clip", place)
    made = t.CLIPTokenizer.from_pretrained(str(place))
    shutil.rmtree(place)
    return made


def _text_encoder(t: Any, words: Any, kind: Any) -> Any:
    config = t.CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=WIDE,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        projection_dim=WIDE,
        max_position_embeddings=77,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    return kind(config)


def _unet(d: Any, kind: str, is_xl: bool) -> Any:
    shape = UNET | {"in_channels": CHANNELS.get(kind, 4)}
    if kind == "TextToVideoSDPipeline":
        blocks = {
            "down_block_types": ("CrossAttnDownBlock3D", "DownBlock3D"),
            "up_block_types": ("UpBlock3D", "CrossAttnUpBlock3D"),
        }
        return d.UNet3DConditionModel(**shape | blocks)
    if is_xl:
        two = WIDE * 2
        shape |= {
            "cross_attention_dim": WIDE if "Img2Img" in kind else two,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 8 * (5 if "Img2Img" in kind else 6) + WIDE,
            "transformer_layers_per_block": 1,
        }
    if kind == "StableDiffusionUpscalePipeline":
        shape |= {"num_class_embeds": 1000}
    if kind == "StableDiffusionLatentUpscalePipeline":
        shape |= {"out_channels": 5, "class_embed_type": None, "time_cond_proj_dim": None}
    return d.UNet2DConditionModel(**shape)


def _scheduler(d: Any, kind: str) -> Any:
    if "XL" in kind or "LatentUpscale" in kind:
        return d.EulerDiscreteScheduler(**SCHEDULER)
    if kind in ("TextToVideoSDPipeline", "StableDiffusionUpscalePipeline", "StableDiffusionInpaintPipeline"):
        return d.DDIMScheduler(clip_sample=False, set_alpha_to_one=False, steps_offset=1, **SCHEDULER)
    return d.PNDMScheduler(skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1, **SCHEDULER)


def _whole_index(folder: Path) -> None:
    """Nothing of the building machine stands in what was saved."""
    for path in folder.rglob("*.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and content.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(content, indent=2), encoding="utf-8")
