"""What turns images and sounds into a family's inputs: `preprocessor_config.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

BORROWED = {"vision-encoder-decoder": "vit", "clipseg": "vit", "siglip2": "siglip"}
SQUARE = ("height", "width")


def write(family: str, config: Any, folder: Path, name: str) -> None:
    """Writes the image processor and the feature extractor of a family that has them."""
    for make in (_image_processor, _feature_extractor):
        processor = make(family, name)
        if processor is None:
            continue
        _fit(processor, config)
        processor.save_pretrained(str(folder))


def _image_processor(family: str, name: str) -> Any:
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES as NAMES

    if "donut" in name.lower():
        return made("DonutImageProcessor")
    if "trocr" in name.lower() and "small" in name.lower():
        return made("DeiTImageProcessor")
    found = NAMES.get(BORROWED.get(family, family))
    names = [found] if isinstance(found, str) else [*(found.values() if isinstance(found, dict) else found or ())]
    slow = [item for item in names if item and "Fast" not in str(item)]
    for item in slow or [item for item in names if item]:
        if (found := made(str(item))) is not None:
            return found
    return None


def _feature_extractor(family: str, _: str) -> Any:
    from transformers.models.auto.feature_extraction_auto import FEATURE_EXTRACTOR_MAPPING_NAMES as NAMES

    found = NAMES.get(family)
    if not isinstance(found, str) or not found.endswith("FeatureExtractor"):
        return None
    extractor = made(found)
    return extractor if hasattr(extractor, "sampling_rate") else None


def made(name: str) -> Any:
    """An image processor or feature extractor of its defaults; None where this version or machine lacks it."""
    import transformers

    try:
        return getattr(transformers, name)()
    except (AttributeError, ImportError, TypeError, ValueError):
        return None


def _fit(processor: Any, config: Any) -> None:
    """Gives an image processor the side that the model's images have."""
    vision = getattr(config, "vision_config", None) or getattr(config, "encoder", None) or config
    side = getattr(vision, "image_size", None)
    size = getattr(processor, "size", None)
    if not isinstance(side, int) or size is None:
        return
    given = {key for key, value in dict(size).items() if value is not None}
    square = dict.fromkeys(SQUARE, side)
    if "DeiT" in type(processor).__name__ or "ChineseCLIP" in type(processor).__name__:
        processor.size = processor.crop_size = square
    elif given >= set(SQUARE):
        processor.size = square
    elif given == {"shortest_edge"} and getattr(processor, "do_center_crop", False):
        processor.size, processor.crop_size = {"shortest_edge": side}, square
