"""A model as one GGUF file, which llama.cpp loads by itself: weights, tokenizer and chat template.

Matrices keep the model's precision, vectors become float32, as llama.cpp wants them. Leaves out quantised formats
(llama.cpp's `llama-quantize` makes them from this file), and all architectures and tokenizers but those of the tables.
A tokenizer is known by what it does, not by its name. One difference stays: llama.cpp does not bring a text into the
normal form NFC, which Qwen's tokenizer does; what people and models write is in it nearly always.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import torch

from kohai.errors import UserError
from kohai.models.base import Base

ARCHITECTURES = {"llama": gguf.MODEL_ARCH.LLAMA, "qwen2": gguf.MODEL_ARCH.QWEN2, "qwen3": gguf.MODEL_ARCH.QWEN3}
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PRE_TOKENIZERS = {  # how a text is cut before bytes are merged, and what llama.cpp calls it
    ("words and bytes",): "gpt-2",
    ("digits", "words and bytes"): "smollm",
    (QWEN2, "bytes"): "qwen2",
}
FILE_TYPES = {
    torch.float32: (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
    torch.bfloat16: (gguf.GGMLQuantizationType.BF16, gguf.LlamaFileType.MOSTLY_BF16),
}


def prepare(base: Base, name: str) -> gguf.GGUFWriter:
    """The file's head: shape, tokenizer and chat template, in memory.

    Raises:
        UserError: a file for this architecture or tokenizer cannot be written here.
    """
    inner = getattr(base.tokenizer, "backend_tokenizer", None)  # those in plain Python have none
    tokenizer = json.loads(inner.to_str()) if inner else {"model": {}}
    config = base.model.config
    problem = _problem_of_model(config) or _problem_of_tokenizer(tokenizer, config.vocab_size)
    if problem:
        raise UserError(
            f"--gguf: {problem}. It writes {', '.join(ARCHITECTURES)} with plain RoPE, and byte-level BPE that cuts "
            f"texts as {', '.join(PRE_TOKENIZERS.values())} do. For others export with --merged alone and "
            "convert that folder with llama.cpp's convert_hf_to_gguf.py"
        )
    writer = gguf.GGUFWriter(None, gguf.MODEL_ARCH_NAMES[ARCHITECTURES[config.model_type]])
    writer.add_type("model")
    writer.add_name(name)
    writer.add_file_type(FILE_TYPES[base.dtype][1])
    _add_shape(writer, config)
    _add_tokenizer(writer, tokenizer, config.vocab_size)
    for kind in ("bos", "eos", "unk", "pad"):
        token_id = getattr(base.tokenizer, f"{kind}_token_id", None)
        token_id = getattr(config, f"{kind}_token_id", None) if token_id is None else token_id
        if isinstance(token_id, int):
            getattr(writer, f"add_{kind}_token_id")(token_id)
    writer.add_chat_template(base.tokenizer.chat_template)
    return writer


def write(writer: gguf.GGUFWriter, path: Path, weights: Mapping[str, torch.Tensor], config: Any) -> None:
    """Writes the file; `weights` are the merged model's, by transformers' names."""
    names = gguf.get_tensor_name_map(ARCHITECTURES[config.model_type], config.num_hidden_layers)
    tied = {"lm_head.weight"} if config.tie_word_embeddings else set()
    kept = {}
    for name, weight in weights.items():
        stem, _, suffix = name.rpartition(".")
        if name not in tied:
            kept[f"{names[stem]}.{suffix}"] = _laid_out(name, weight, config)
    kinds = {name: _kind(weight) for name, weight in kept.items()}
    for name, weight in kept.items():
        n_bytes = weight.numel() * (2 if kinds[name] == gguf.GGMLQuantizationType.BF16 else 4)
        writer.add_tensor_info(name, weight.shape, None, n_bytes, raw_dtype=kinds[name])
    try:
        writer.write_header_to_file(path)
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
    finally:
        writer.close()
    with path.open("ab") as file:  # the library's own way does not notice each time that the disk is full
        file.write(_padding(file.tell()))
        for name, weight in kept.items():  # one at a time: a copy of all would need the model's size again
            data = gguf.quantize(weight.float().cpu().contiguous().numpy(), kinds[name])
            file.write(data)
            file.write(_padding(data.nbytes))


def _problem_of_model(config: Any) -> str:
    rope = (config.rope_parameters if config.model_type in ARCHITECTURES else {}).get("rope_type")
    problems = {
        f"a model of the architecture {config.model_type!r} cannot be written": config.model_type not in ARCHITECTURES,
        f"its RoPE is scaled ({rope})": rope not in (None, "default"),
        "its attention is in a sliding window": getattr(config, "use_sliding_window", False),
        f"its activation is {getattr(config, 'hidden_act', '')}": getattr(config, "hidden_act", "silu") != "silu",
    }
    return next((problem for problem, is_there in problems.items() if is_there), "")


def _problem_of_tokenizer(tokenizer: Mapping[str, Any], n_rows: int) -> str:
    """`n_rows` is the number of rows of the embedding."""
    model, added = tokenizer["model"], tokenizer.get("added_tokens", [])
    odd = ("byte_fallback", "ignore_merges", "continuing_subword_prefix", "end_of_word_suffix")
    if model.get("type") != "BPE" or any(model[key] for key in odd):
        return "its tokenizer is no byte-level BPE"
    n_tokens = 1 + max([*model["vocab"].values(), *(token["id"] for token in added)])
    problems = {
        "its tokenizer cuts texts in another way": tuple(_cuts(tokenizer["pre_tokenizer"])) not in PRE_TOKENIZERS,
        "its tokenizer rewrites texts": (tokenizer["normalizer"] or {}).get("type", "NFC") != "NFC",
        "its tokenizer has tokens that take in the spaces around them": any(
            token["lstrip"] or token["rstrip"] or token["single_word"] for token in added
        ),
        f"its tokenizer has {n_tokens} tokens and its embedding {n_rows} rows": n_tokens > n_rows,
    }
    return next((problem for problem, is_there in problems.items() if is_there), "")


def _cuts(step: Mapping[str, Any] | None) -> list[str]:
    """A pre-tokenizer as a list of what its parts do; one that is not known is its own JSON."""
    match step:
        case {"type": "Sequence", "pretokenizers": parts}:
            return [cut for part in parts for cut in _cuts(part)]
        case {"type": "ByteLevel", "add_prefix_space": False, "use_regex": has_words}:
            return ["words and bytes" if has_words else "bytes"]
        case {"type": "Digits", "individual_digits": True}:
            return ["digits"]
        case {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}:
            return [pattern]
    return [json.dumps(step)]


def _add_shape(writer: gguf.GGUFWriter, config: Any) -> None:
    head_size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_size)
    writer.add_value_length(head_size)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(head_size)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Mapping[str, Any], n_rows: int) -> None:
    """Rows of the embedding that no token has are filled up with unused ones."""
    tokens = [f"[PAD{index}]" for index in range(n_rows)]
    types = [int(gguf.TokenType.UNUSED)] * n_rows
    for token, index in tokenizer["model"]["vocab"].items():
        tokens[index], types[index] = token, int(gguf.TokenType.NORMAL)
    for added in tokenizer["added_tokens"]:
        kind = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
        tokens[added["id"]], types[added["id"]] = added["content"], int(kind)
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in tokenizer["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE_TOKENIZERS[tuple(_cuts(tokenizer["pre_tokenizer"]))])
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges or [f"{tokens[0]} {tokens[0]}"])  # llama.cpp loads none without; this one never fits
    writer.add_add_bos_token(False)  # the chat template writes all that a prompt has, in training too
    writer.add_add_eos_token(False)


def _padding(n_bytes: int) -> bytes:
    return bytes(-n_bytes % gguf.GGUF_DEFAULT_ALIGNMENT)


def _kind(weight: torch.Tensor) -> gguf.GGMLQuantizationType:
    return gguf.GGMLQuantizationType.F32 if weight.dim() == 1 else FILE_TYPES[weight.dtype][0]


def _laid_out(name: str, weight: torch.Tensor, config: Any) -> torch.Tensor:
    """Llama's queries and keys as llama.cpp rotates them: pairs of neighbours, where transformers pairs the halves."""
    if config.model_type != "llama" or not (".q_proj." in name or ".k_proj." in name):
        return weight
    n_heads = config.num_attention_heads if ".q_proj." in name else config.num_key_value_heads
    halves = weight.unflatten(0, (n_heads, 2, -1))
    return halves.transpose(1, 2).reshape(weight.shape)
