"""A replica of a sentence encoder: a model of transformers, a pooling, the list of both."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from . import transformer


def build(name: str, folder: Path) -> dict[str, Any]:
    """Writes it; what was made."""
    from sentence_transformers import SentenceTransformer, models

    inner = folder / "inner"
    inner.mkdir()
    made = transformer.build(name, "sentence-similarity", "", "", inner)
    words = models.Transformer(str(inner), max_seq_length=256)
    size = getattr(words, "get_embedding_dimension", None) or words.get_word_embedding_dimension
    mode = "cls" if "multi-qa-mpnet" in name or "bge-" in name else "mean"
    modules = [words, models.Pooling(size(), pooling_mode=mode)]
    if "all-" in name or "t5" in name or "cos" in name:
        modules.append(models.Normalize())
    SentenceTransformer(modules=modules, device="cpu").save(str(folder), create_model_card=False)
    for path in inner.iterdir():
        if not (folder / path.name).exists():
            path.rename(folder / path.name)
    shutil.rmtree(inner)
    return made


def check(folder: Path) -> None:
    """Loads and uses it as programs do."""
    from sentence_transformers import SentenceTransformer

    SentenceTransformer(str(folder), device="cpu").encode(["The house is wonderful."])
