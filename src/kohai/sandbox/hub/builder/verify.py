"""Loads a replica as its documentation says, and where that is cheap uses it once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import samples
from .calls import Call, read_call

LIBRARIES = ("transformers", "diffusers", "sentence_transformers")
PIPELINES = {"conversational": "text-generation", "ocr": "image-to-text"}
KEPT = ("trust_remote_code", "use_fast", "return_dict", "num_labels", "subfolder")


def own_class(folder: Path, name: str) -> None:
    """Loads the class that the replica was made with, and its tokenizer or processor."""
    import transformers

    getattr(transformers, name).from_pretrained(str(folder))
    files = {path.name for path in folder.iterdir()}
    if "tokenizer_config.json" in files:
        transformers.AutoTokenizer.from_pretrained(str(folder), use_fast="tokenizer.json" in files)
    if "preprocessor_config.json" in files and _is_vision(folder):
        transformers.AutoImageProcessor.from_pretrained(str(folder))
    elif "preprocessor_config.json" in files:
        transformers.AutoFeatureExtractor.from_pretrained(str(folder))


def documented(text: str, folder: Path, task: str) -> str:
    """Why a documented call fails on a replica; empty where it works."""
    call = read_call(text)
    if call is None:
        return "the documentation gives no call"
    try:
        return _pipeline(call, folder, task) if call.name == "pipeline" else _from_pretrained(call, folder)
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _pipeline(call: Call, folder: Path, task: str) -> str:
    import transformers

    wanted = call.keywords.get("task") or next(iter(call.args), None) or task
    made = transformers.pipeline(wanted, model=str(folder))
    sample = samples.for_pipeline(made.task)
    if sample is not None:
        args, keywords = sample
        made(*args, **keywords)
    return ""


def _from_pretrained(call: Call, folder: Path) -> str:
    owner = find(call.owner)
    if owner is None:
        return f"no library of the image has {call.owner}"
    keywords = {key: value for key, value in call.keywords.items() if key in KEPT}
    loader = getattr(owner, "from_pretrained", owner)
    loader(str(folder), **keywords)
    return ""


def find(name: str) -> Any:
    """What a library calls by this name."""
    import importlib

    for library in LIBRARIES:
        try:
            found = getattr(importlib.import_module(library), name, None)
        except (ImportError, RuntimeError):
            continue
        if found is not None:
            return found
    return None


def task_works(folder: Path, task: str) -> str:
    """Why the pipeline of a replica's task fails on a sample; empty where it works or there is none to try."""
    import transformers

    task = PIPELINES.get(task, task)
    sample = samples.for_pipeline(task)
    if task == "feature-extraction" and not (folder / "tokenizer_config.json").exists():
        return ""
    if sample is None or task not in transformers.pipelines.SUPPORTED_TASKS:
        return ""
    try:
        made = transformers.pipeline(task, model=str(folder))
        args, keywords = sample
        made(*args, **keywords)
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return ""


def _is_vision(folder: Path) -> bool:
    return "image_processor_type" in (folder / "preprocessor_config.json").read_text(encoding="utf-8")
