"""A replica of a model of transformers: configuration, weights, tokenizer, processors, labels."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from . import composite, heads, labels, processors, shrink, tokenizer
from .calls import read_call
from .families import family_of

TOKENS = ("pad", "bos", "eos", "sep", "cls", "mask", "unk")
START = {
    "t5": "pad",
    "mt5": "pad",
    "longt5": "pad",
    "switch_transformers": "pad",
    "pix2struct": "pad",
    "marian": "pad",
    "pegasus": "pad",
    "bigbird_pegasus": "eos",
    "bart": "eos",
    "led": "eos",
    "mbart": "eos",
    "m2m_100": "eos",
    "blenderbot": "bos",
    "blenderbot-small": "bos",
    "speech_to_text": "eos",
    "speecht5": "eos",
}
MAX_LENGTH = {"git": 24}  # without one, a pipeline writes 256 tokens: random weights never end a text
ALIKE = (  # names whose tokenizer is of another kind than their family's
    (r"byt5", "byt5"),
    (r"nllb", "nllb"),
    (r"barthez", "barthez"),
    (r"layoutxlm", "layoutxlm"),
    (r"infoxlm|multilingual-minilm-l12-v2|xlm-r-distilroberta", "xlm-roberta"),
    (r"trocr-small|donut|ocr-docvqa", "xlm-roberta"),
    (r"trocr", "roberta"),
    (r"vit-?gpt2", "gpt2"),
    (r"tapex|omnitab", "tapex"),
    (r"manga-ocr|bert2bert|bertshared", "bert"),
    (r"blip2-(flan-)?t5|blip2-flan", "t5"),
    (r"blip2|blip-2", "opt"),
    (r"instructblip", "llama"),
    (r"mt0|koelectra", "bert"),
    (r"squeezebert", "squeezebert"),
)
NO_TOKENIZER = ("hifigan",)
SIDE = re.compile(r"[-_](192|224|256|288|336|384|512|640|1024)(px)?\b")
SPEECH_WITH_LETTERS = "automatic-speech-recognition"


def build(name: str, task: str, call: str, model_type: str, folder: Path) -> dict[str, Any]:
    """Writes a replica of `name` into `folder`; what was made: its class and family.

    Raises:
        LookupError: nothing tells what it is, or this version has no such class.
    """
    import torch
    import transformers

    documented = read_call(call)
    called = documented.owner if documented else ""
    family = model_type or family_of(name, heads.family_of_class(called), task)
    if family is None:
        raise LookupError("neither its name nor its call nor its task tells its family")
    if family not in transformers.CONFIG_MAPPING and family != "hifigan":
        raise LookupError(f"this transformers has no model of the type {family}")
    model_class = heads.class_of(name, family, called, task)
    config = settings_of(name, family, model_class)
    (folder / "config.json").write_text(json.dumps({"model_type": config["model_type"]}))
    words = words_of(name, family, model_class, task, folder)
    if words is not None:
        fit(config, words, family)
        composite.with_words(family, name, config, words)
    name_classes(config, name, task, model_class)
    torch.manual_seed(0)
    config_class = model_class.config_class
    made = config_class.from_dict(config)
    model = model_class(made).eval()
    finish(model, words, family)
    composite.start(family, model, words)
    model.save_pretrained(str(folder), safe_serialization=True)
    processors.write(family, model.config, folder, name)
    if family == "whisper":
        from . import whisper

        whisper.generation(folder, words, name.endswith(".en"))
    return {"class": model_class.__name__, "family": family}


def settings_of(name: str, family: str, model_class: Any) -> dict[str, Any]:
    """The shrunk configuration, before the tokenizer has its say."""
    if family in composite.BUILDERS:
        config: dict[str, Any] = composite.BUILDERS[family](name)
    else:
        config = model_class.config_class().to_dict()
    small = shrink.shrunk(config, family)
    if (side := SIDE.search(name.lower())) and isinstance(small.get("image_size"), int):
        small["image_size"] = int(side[1])
    if "patch32" in name and isinstance(small.get("patch_size"), int):
        small["patch_size"] = 32
    return composite.mended(family, name, small)


def words_of(name: str, family: str, model_class: Any, task: str, folder: Path) -> Any:
    """The tokenizer, written and loaded; None where the model reads no text."""
    text = name.lower()
    kind = next((found for pattern, found in ALIKE if re.search(pattern, text)), family)
    kind = tokenizer.available(kind)
    if kind not in tokenizer.OF_FAMILY and kind != "whisper":
        return None
    is_speech = kind in tokenizer.OF_FAMILY and tokenizer.OF_FAMILY[kind].name == "Wav2Vec2CTCTokenizer"
    if is_speech and "CTC" not in model_class.__name__ and task != SPEECH_WITH_LETTERS:
        return None
    cased = ("cased" in text and "uncased" not in text) or any(mark in text for mark in tokenizer.CASED)
    length = {"longformer": 4096, "led": 16384}.get(family)
    return tokenizer.make(kind, folder, cased=cased, max_length=length)


def fit(config: dict[str, Any], words: Any, family: str) -> None:
    """Gives a configuration, and its parts that read text, the tokenizer's size and special tokens."""
    numbers = {token: getattr(words, f"{token}_token_id", None) for token in TOKENS}
    for part in (config, *(value for value in config.values() if isinstance(value, dict))):
        if "vocab_size" not in part or (part is not config and not _reads_text(part)):
            continue
        part["vocab_size"] = len(words)
        for key in [key for key in part if key.endswith("_token_id")]:
            number = numbers.get(key.removesuffix("_token_id"))
            if number is not None:
                part[key] = number
            elif isinstance(part[key], int) and part[key] >= len(words):
                part[key] = None
        if family in START and "decoder_start_token_id" in config:
            part["decoder_start_token_id"] = numbers[START[family]]
        for key in ("forced_eos_token_id", "forced_bos_token_id"):
            if part.get(key) is not None:
                part[key] = numbers["eos" if "eos" in key else "bos"]
        if part.get("pad_token_id") is None and family in ("vision-encoder-decoder",):
            part["pad_token_id"] = numbers["pad"] if numbers["pad"] is not None else numbers["eos"]


def _reads_text(part: dict[str, Any]) -> bool:
    return "vision" not in str(part.get("model_type"))


def name_classes(config: dict[str, Any], name: str, task: str, model_class: Any) -> None:
    """Gives a classifier its labels."""
    if not re.search(r"Classification|Detection|Segmentation|QuestionAnswering", model_class.__name__):
        return
    if "QuestionAnswering" in model_class.__name__ and "Vilt" not in model_class.__name__:
        return
    names = labels.labels_of(name, task)
    if names:
        config["id2label"] = {str(place): label for place, label in enumerate(names)}
        config["label2id"] = {label: place for place, label in enumerate(names)}


def finish(model: Any, words: Any, family: str) -> None:
    """What generation needs to know where the family's defaults are out of the small vocabulary."""
    settings = getattr(model, "generation_config", None)
    if settings is None or words is None or family == "whisper":
        return
    for token in ("pad", "bos", "eos"):
        number = getattr(words, f"{token}_token_id", None)
        if number is not None:
            setattr(settings, f"{token}_token_id", number)
    if settings.pad_token_id is None and family != "gpt2":
        settings.pad_token_id = getattr(words, "pad_token_id", None)
    if family in MAX_LENGTH:
        settings.max_length = MAX_LENGTH[family]
    start = START.get(family)
    if start is not None:
        settings.decoder_start_token_id = getattr(words, f"{start}_token_id")
