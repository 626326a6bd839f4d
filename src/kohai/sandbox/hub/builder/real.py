"""A replica after the real repository: its configuration and tokenizer are fetched, only the sizes are changed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from . import composite, shrink

SMALL_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "tokenizer.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "spm.model",
    "tokenizer.model",
    "source.spm",
    "target.spm",
    "normalizer.json",
    "chat_template.jinja",
    "preprocessor_config.json",
    "processor_config.json",
)
TIMEOUT_SECONDS = 60


def build(name: str, endpoint: str, folder: Path) -> dict[str, Any]:
    """Writes it; its class.

    Raises:
        LookupError: the hub has no such repository, or it has no configuration of transformers.
    """
    import torch
    import transformers

    for file in SMALL_FILES:
        content = fetch(f"{endpoint.rstrip('/')}/{name}/resolve/main/{file}")
        if content is not None:
            (folder / file).write_bytes(content)
        elif file == "config.json":
            raise LookupError(f"{endpoint} has no {name}/config.json")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    family = config.get("model_type", "")
    if family not in transformers.CONFIG_MAPPING:
        raise LookupError(f"this transformers has no model of the type {family!r}")
    named = next((item for item in config.get("architectures") or () if hasattr(transformers, item)), None)
    if named is None:
        named = transformers.AutoModel._model_mapping._model_mapping.get(family)
    model_class = getattr(transformers, named)
    config_class = transformers.CONFIG_MAPPING[family]
    whole = config_class.from_dict(config).to_dict()
    small = composite.mended(family, name, shrink.shrunk(whole, family))
    torch.manual_seed(0)
    model = model_class(config_class.from_dict(small)).eval()
    kept = folder / "generation_config.json"
    generation = kept.read_bytes() if kept.is_file() else None
    model.save_pretrained(str(folder), safe_serialization=True)
    if generation is not None:
        kept.write_bytes(generation)
    return {"class": model_class.__name__, "family": family}


def fetch(url: str) -> bytes | None:
    """A file; None where there is none.

    Raises:
        LookupError: the server refuses, or cannot be reached.
    """
    import urllib.error
    import urllib.request

    request = urllib.request.Request(url)  # noqa: S310
    if token := os.environ.get("HF_TOKEN"):
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            content: bytes = answer.read()
            return content
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise LookupError(f"{url}: {error.code} {error.reason}") from None
    except OSError as error:
        raise LookupError(f"{url}: {error}") from None
