"""Whisper's tokenizer and generation settings: languages, tasks and timestamps are tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from . import vocabulary

END = "<|endoftext|>"
MAX_LENGTH = 24  # not 448: random weights never say that the speech has ended
TASKS = ("<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nocaptions|>", "<|notimestamps|>")


def make(folder: Path) -> Any:
    """Writes the tokenizer into a folder; the tokenizer, loaded."""
    from transformers import WhisperTokenizer
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    languages = [f"<|{code}|>" for code in LANGUAGES]
    specials = [END, "<|startoftranscript|>", *languages, *TASKS]
    vocabulary.byte_bpe(folder, first=(), last=(END,))
    (folder / "normalizer.json").write_text("{}")
    settings: dict[str, Any] = {
        "tokenizer_class": "WhisperTokenizer",
        "bos_token": END,
        "eos_token": END,
        "unk_token": END,
        "pad_token": END,
        "model_max_length": 448,
        "additional_special_tokens": specials,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = WhisperTokenizer.from_pretrained(str(folder))
    times = [f"<|{step * 0.02:.2f}|>" for step in range(1501)]
    from transformers import AddedToken

    tokenizer.add_tokens([AddedToken(time, special=False, normalized=False) for time in times])
    tokenizer.save_pretrained(str(folder))
    return tokenizer


def generation(folder: Path, tokenizer: Any, english_only: bool) -> None:
    """Writes `generation_config.json`."""
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    languages = [f"<|{code}|>" for code in LANGUAGES]
    number = tokenizer.convert_tokens_to_ids
    generation: dict[str, Any] = {
        "bos_token_id": number(END),
        "eos_token_id": number(END),
        "pad_token_id": number(END),
        "decoder_start_token_id": number("<|startoftranscript|>"),
        "no_timestamps_token_id": number("<|notimestamps|>"),
        "prev_sot_token_id": number("<|startofprev|>"),
        "begin_suppress_tokens": [number(END)],
        "suppress_tokens": [],
        "max_initial_timestamp_index": 50,
        "max_length": MAX_LENGTH,
        "return_timestamps": False,
        "is_multilingual": not english_only,
        "alignment_heads": [[1, 0], [1, 1]],
    }
    if not english_only:
        generation["lang_to_id"] = {token: number(token) for token in languages}
        generation["task_to_id"] = {"transcribe": number("<|transcribe|>"), "translate": number("<|translate|>")}
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2))
