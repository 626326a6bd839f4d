"""Which class of transformers a public model's weights were saved from."""

from __future__ import annotations

import re
from typing import Any

AUTO = {
    "text-classification": ("AutoModelForSequenceClassification",),
    "zero-shot-classification": ("AutoModelForSequenceClassification",),
    "token-classification": ("AutoModelForTokenClassification",),
    "question-answering": ("AutoModelForQuestionAnswering",),
    "fill-mask": ("AutoModelForMaskedLM",),
    "text-generation": ("AutoModelForCausalLM",),
    "text2text-generation": ("AutoModelForSeq2SeqLM",),
    "summarization": ("AutoModelForSeq2SeqLM",),
    "translation": ("AutoModelForSeq2SeqLM",),
    "conversational": ("AutoModelForSeq2SeqLM", "AutoModelForCausalLM"),
    "table-question-answering": ("AutoModelForTableQuestionAnswering", "AutoModelForSeq2SeqLM"),
    "image-classification": ("AutoModelForImageClassification",),
    "object-detection": ("AutoModelForObjectDetection",),
    "zero-shot-object-detection": ("AutoModelForZeroShotObjectDetection",),
    "image-segmentation": (
        "AutoModelForImageSegmentation",
        "AutoModelForUniversalSegmentation",
        "AutoModelForInstanceSegmentation",
        "AutoModelForSemanticSegmentation",
    ),
    "depth-estimation": ("AutoModelForDepthEstimation",),
    "visual-question-answering": (
        "AutoModelForVisualQuestionAnswering",
        "AutoModelForVision2Seq",
        "AutoModelForCausalLM",
    ),
    "document-question-answering": ("AutoModelForDocumentQuestionAnswering", "AutoModelForVision2Seq"),
    "image-to-text": ("AutoModelForVision2Seq", "AutoModelForImageTextToText", "AutoModelForCausalLM"),
    "image-text-to-text": ("AutoModelForImageTextToText", "AutoModelForVision2Seq"),
    "zero-shot-image-classification": ("AutoModelForZeroShotImageClassification",),
    "image-to-image": ("AutoModelForImageToImage",),
    "video-classification": ("AutoModelForVideoClassification",),
    "automatic-speech-recognition": ("AutoModelForSpeechSeq2Seq", "AutoModelForCTC"),
    "audio-classification": ("AutoModelForAudioClassification",),
    "text-to-audio": ("AutoModelForTextToWaveform", "AutoModelForTextToSpectrogram"),
    "mask-generation": ("AutoModelForMaskGeneration",),
    "keypoint-matching": ("AutoModelForKeypointMatching",),
}
IMPLIED = (
    (r"squad|xquad|-qa\b|cuad|korquad|mrc_", "question-answering"),
    (r"mnli|xnli|-nli\b|sentiment|sst-?2|emotion", "text-classification"),
    (r"\bner\b|conll", "token-classification"),
)
NOT_HEADS = ("feature-extraction", "sentence-similarity", "image-feature-extraction")
OWN = {
    "vision-encoder-decoder": "VisionEncoderDecoderModel",
    "encoder-decoder": "EncoderDecoderModel",
    "hifigan": "SpeechT5HifiGan",
    "graphormer": "GraphormerForGraphClassification",
    "layoutlmv2": "LayoutLMv2ForQuestionAnswering",
    "xclip": "XCLIPModel",
    "clip": "CLIPModel",
    "clap": "ClapModel",
    "chinese_clip": "ChineseCLIPModel",
    "siglip": "SiglipModel",
    "align": "AlignModel",
    "clipseg": "CLIPSegForImageSegmentation",
    "mgp-str": "MgpstrForSceneTextRecognition",
    "decision_transformer": "DecisionTransformerModel",
    "dpr": "DPRQuestionEncoder",
    "upernet": "UperNetForSemanticSegmentation",
    "pix2struct": "Pix2StructForConditionalGeneration",
    "git": "GitForCausalLM",
    "blip-2": "Blip2ForConditionalGeneration",
    "speech_to_text": "Speech2TextForConditionalGeneration",
    "sam": "SamModel",
    "visual_bert": "VisualBertForQuestionAnswering",
    "superglue": "SuperGlueForKeypointMatching",
}
"""Families whose repositories hold one class whatever is done with them."""


def class_of(name: str, family: str, called: str, task: str) -> Any:
    """The class: the documented one where it has a head and fits the family, else the task's, else the bare model.

    Raises:
        LookupError: this version of transformers has none.
    """
    import transformers

    if family in OWN and hasattr(transformers, OWN[family]):
        return getattr(transformers, OWN[family])
    named = getattr(transformers, called, None)
    if named is not None and not called.startswith("Auto") and "For" in called and _family_of(named) == family:
        return named
    wanted = [called] if called.startswith("AutoModelFor") else []
    wanted += AUTO.get(task, ())
    if task == "text-generation":
        wanted.insert(0, "AutoModelForSeq2SeqLM")
    if task in NOT_HEADS or not task:
        implied = next((other for pattern, other in IMPLIED if re.search(pattern, name.lower())), "")
        wanted += AUTO.get(implied, ())
    if task not in NOT_HEADS:
        wanted += ["AutoModelForPreTraining"] if not task else []
    for auto in (*wanted, "AutoModel", "AutoModelForPreTraining"):
        if (found := _mapped(auto, family)) is not None:
            return found
    raise LookupError(f"this transformers has no model of the type {family}")


def _mapped(auto: str, family: str) -> Any:
    import transformers

    owner = getattr(transformers, auto, None)
    names = getattr(getattr(owner, "_model_mapping", None), "_model_mapping", {})
    found = names.get(family)
    if isinstance(found, tuple | list):
        found = found[0]
    return getattr(transformers, found, None) if isinstance(found, str) else None


def _family_of(model_class: Any) -> str | None:
    return getattr(getattr(model_class, "config_class", None), "model_type", None)


def family_of_class(called: str) -> str | None:
    """The family of a class of transformers; None for the automatic ones and what is no class."""
    import transformers

    found = None if called.startswith("Auto") else getattr(transformers, called, None)
    try:
        return _family_of(found)
    except ImportError:
        return None
