"""Rows of APIBench's `huggingface_api.jsonl` as entries of a catalogue.

A row's `api_name` is often not the name of a repository; the one in its call is what programs use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kohai.sandbox.hub.aliases import LEGACY

_QUOTED = re.compile(r"['\"](?:hf_hub:|hf-hub:)?([\w.-]+/[\w.-]+)(?:@[\w.]+)?['\"]")
_BARE = re.compile(r"(?<![\w./'\"])([A-Za-z][\w.-]+/[\w.-]+)")
_WORD = re.compile(r"['\"]([\w.-]+)['\"]")
_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_FILE = re.compile(r"['\"]([\w-]+\.(?:joblib|pkl|pickle|csv))['\"]")
_NOT_OWNERS = ("path_to_folder", "pytorch")
LIBRARIES = (  # regular expressions over the repository's name and over the call
    (r"^espnet/|^mio/|^SYSPIN/|^kazusam/|^lakahaga/|^imdanboy/", r"Text2Speech|espnet|run\.sh", "espnet"),
    (r"^pyannote/|pyannote|^anilbs/|^julien-c/voice|^Eklavya/|^d4data/Indian", r"VoiceActivity", "pyannote.audio"),
    (r"^speechbrain/|^padmalcom/tts|voxlingua107-epaca", r"from_hparams|foreign_class", "speechbrain"),
    (r"^flair/", r"^SequenceTagger", "flair"),
    (r"^keremberke/yolov5|yolov5", r"^yolov5", "yolov5"),
    (r"^keremberke/", r"^YOLO", "ultralytics"),
    (
        r"^facebook/(tts_transformer|fastspeech2|unit_hifigan|xm_transformer|textless)|^xm_transformer|^textless",
        r"load_model_ensemble|TTSHubInterface|S2THub|unit\.TTS",
        "fairseq",
    ),
    (r"^laion/CLIP-convnext|BiomedCLIP|^timm/eva02_enormous", r"^clip\.load", "open_clip"),
    (r"^timm/", r"^timm\.", "timm"),
    (r"^sb3/|^HumanCompatibleAI/|^araffin/", r"^load_from_hub|^PPO|^DQN", "stable-baselines3"),
    (r"poca-Soccer", r"^mlagents", "ml-agents"),
    (r"^JorisCos/|^mpariente/|^Awais/|ConvTasNet", r"Asteroid|^BaseModel", "asteroid"),
    (r"^keras-io/|maxim-s3|danupurnomo/", r"keras|^TF_", "keras"),
    (r"^funasr/|text2-video-zero|^ImRma/|GuanacoVQA|OFA_model_weights|TempoFunk", r"^$", "code of its own"),
    (
        r"codeformer|LightweightGAN|butterfly_cropped|grasp_diffusion|vc1-|^Antheia",
        r"LightweightGAN|model_utils",
        "code of its own",
    ),
    (r"faster-whisper", r"^WhisperModel", "ctranslate2"),
    (r"jets-onnx", r"^TextToSpeech", "onnxruntime"),
    (r"^$", r"SentenceTransformer|^INSTRUCTOR|^SentenceModel", "sentence-transformers"),
    (r"^sentence-transformers/|^nikcheerla/", r"^$", "sentence-transformers"),
    (r"^cross-encoder/", r"^CrossEncoder", "sentence-transformers"),
    (
        r"ddpm|diffusion|controlnet|control_v|sd-class|ldm-|ncsnpp",
        r"Diffusion|DDPM|ControlNet|Text2Image|TuneAVideo",
        "diffusers",
    ),
    (
        r"openjourney|Protogen|DreamShaper|Realistic_Vision|Counterfeit|anything-v|sd-x2|SheepsControl",
        r"^$",
        "diffusers",
    ),
    (r"text-to-video-ms|Minecraft-Skin", r"text-to-image", "diffusers"),
    (
        r"autotrain-.*\d{6}|autotrain.*xgboost|skops|wine-quality|tip-regression|Close-regression|pokemon-predict|compas|titanic|^rajistics/|^Alexei1/",
        r"^joblib|^skops|^RandomForest",
        "sklearn",
    ),
)
WITHOUT_CONFIG = frozenset({"asteroid", "espnet", "fairseq", "flair", "open_clip", "pyannote.audio"})
"""Libraries whose repositories have no `config.json`: what loads one by it fails on the hub, too."""
NOT_TABULAR = re.compile(r"dog-vs-food|name_all|company_all")
TASKS = {
    "Text-to-Image": "text-to-image",
    "Image-to-Text": "image-to-text",
    "Text-to-Video": "text-to-video",
    "Visual Question Answering": "visual-question-answering",
    "Document Question Answer": "document-question-answering",
    "Document Question Answering": "document-question-answering",
    "Graph Machine Learning": "graph-ml",
    "Text2Text Generation": "text2text-generation",
    "Zero-Shot Classification": "zero-shot-classification",
    "Table Question Answering": "table-question-answering",
    "Unconditional Image Generation": "unconditional-image-generation",
    "Text-to-Speech": "text-to-audio",
    "Conversational": "conversational",
    "Classification": "audio-classification",
    "Robotics": "robotics",
}
TASK_OF_NAMES = (
    (r"owlvit|owlv2", "zero-shot-object-detection"),
    (r"CLIP-ViT|clip-vit|StreetCLIP|fashion-clip|clip-rsicd|chinese-clip|align-base", "zero-shot-image-classification"),
)
"""Tasks that APIBench has wrong."""
_AREA = re.compile(
    r"^(Multimodal|Computer Vision|Natural Language Processing|Audio|Tabular|Reinforcement Learning)\s+(?=\S)"
)


def name_of(row: Mapping[str, Any]) -> str | None:
    """The repository that a row is about; None where it names none."""
    call, name = str(row["api_call"]), str(row["api_name"]).split("@")[0]
    for found in (*_QUOTED.findall(call), *_BARE.findall(call)):
        if not found.startswith(_NOT_OWNERS) and not found.endswith((".py", ".sh", ".pt")):
            return str(found)
    legacy = next((word for word in _WORD.findall(call) if word in LEGACY), None)
    if legacy:
        return str(legacy)
    if _NAME.fullmatch(name):
        return name
    return name if name in LEGACY else None


def task_of(row: Mapping[str, Any], name: str = "") -> str:
    """The task by the hub's name for it."""
    for pattern, task in TASK_OF_NAMES:
        if re.search(pattern, name):
            return task
    area = _AREA.sub("", str(row.get("domain", "")).strip())
    return TASKS.get(area, area.lower().replace(" ", "-"))


def library_of(name: str, call: str) -> str:
    """The library that loads the repository."""
    for by_name, by_call, library in LIBRARIES:
        matches = (by_name != "^$" and re.search(by_name, name)) or (by_call != "^$" and re.search(by_call, call))
        if matches and not (library == "sklearn" and NOT_TABULAR.search(name)):
            return library
    return "transformers"


def files_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of files that its example reads."""
    return tuple(dict.fromkeys(_FILE.findall(f"{row['api_call']}\n{row.get('example_code') or ''}")))
