"""Builds the replicas of a whole catalogue ahead of time and says what they cover."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kohai import progress
from kohai.sandbox.hub.catalogue import read_catalogue
from kohai.sandbox.hub.coverage import as_text, coverage
from kohai.sandbox.hub.replicas import Replicas
from kohai.sandbox.image import open_image

__all__ = ["as_text", "prepare"]

HUB = "https://huggingface.co"


def prepare(image: str, images: Path, catalogue: str | None, from_hub: bool, limit: int | None) -> dict[str, Any]:
    """Builds what is not there, the failed ones once more; what `coverage` says, and `folder`.

    Raises:
        DataError: an image or a catalogue that is none.
        ToolError: the image is not built.
    """
    opened = open_image(image, images)
    path = Path(catalogue) if catalogue else None
    endpoint = os.environ.get("HF_ENDPOINT", HUB) if from_hub else ""
    replicas = Replicas.open(opened, images, path, endpoint)
    try:
        entries = read_catalogue(path or opened.catalogue or Path())[:limit]
        with progress.bar("hub", len(entries), unit="models") as bar:
            replicas.build([entry.id for entry in entries], lambda _: bar.advance(), again=True)
        return coverage(entries, replicas) | {"folder": str(replicas.folder)}
    finally:
        replicas.close()
