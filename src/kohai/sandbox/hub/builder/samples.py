"""One small input for each task of a pipeline."""

from __future__ import annotations

from typing import Any

TEXT = "The house is wonderful and my name is Anna; I live in Berlin."
FEW = {"max_new_tokens": 3}
OF_TEXT: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "text-classification": ((TEXT,), {}),
    "token-classification": ((TEXT,), {}),
    "feature-extraction": ((TEXT,), {}),
    "text-generation": ((TEXT,), FEW),
    "text2text-generation": ((TEXT,), FEW),
    "summarization": ((TEXT,), FEW | {"min_length": 1}),
    "zero-shot-classification": ((TEXT,), {"candidate_labels": ["travel", "food"]}),
    "question-answering": ((), {"question": "Where do I live?", "context": TEXT}),
}
QUESTIONS_OF_TABLES = ("How many rows?",)


def for_pipeline(task: str) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """Arguments and keywords; None where a call is not cheap or needs what the image lacks."""
    if task in OF_TEXT:
        return OF_TEXT[task]
    if task == "table-question-answering":
        table = {"name": ["Anna", "Tom"], "age": ["42", "7"]}
        return (), {"table": table, "query": QUESTIONS_OF_TABLES[0]}
    if task in ("image-classification", "object-detection", "image-segmentation", "depth-estimation", "image-to-text"):
        return (picture(),), (FEW if task == "image-to-text" else {})
    if task in ("zero-shot-image-classification", "zero-shot-object-detection"):
        return (picture(),), {"candidate_labels": ["cat", "dog"]}
    if task == "visual-question-answering":
        return (picture(), "What is it?"), {}
    if task in ("automatic-speech-recognition", "audio-classification"):
        return (sound(),), {}
    return None


def picture() -> Any:
    """A small photograph, as it were."""
    import numpy
    import PIL.Image

    return PIL.Image.fromarray(numpy.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype="uint8"))


def sound() -> Any:
    """A second of a tone."""
    import numpy

    return numpy.sin(numpy.arange(16000) / 8).astype("float32")
