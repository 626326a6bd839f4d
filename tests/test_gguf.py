"""A GGUF file holds the model that was written: transformers reads it back, and llama.cpp answers the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import gguf as library
import pytest
import tokenizers
import torch
import transformers
from tiny_models import plain_logits, tiny_base
from tokenizers import Regex, normalizers, pre_tokenizers

from kohai.config import ModelConfig
from kohai.errors import UserError
from kohai.models import gguf
from kohai.models.base import CHATML, Base, load_base

IDS = [1, *range(40, 90), 2]
WORDS = pre_tokenizers.ByteLevel(add_prefix_space=False)
CUTS = {
    "gpt-2": WORDS,
    "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), WORDS]),
    "qwen2": pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(gguf.QWEN2), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    ),
}


def base_of(architecture: str, cut: str) -> Base:
    """A tiny base whose tokenizer, of 290 tokens, was learned from this file; its embedding has 300 rows."""
    inner = tokenizers.Tokenizer(tokenizers.models.BPE())
    inner.pre_tokenizer = CUTS[cut]
    inner.decoder = tokenizers.decoders.ByteLevel()
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=289, special_tokens=specials, initial_alphabet=WORDS.alphabet(), show_progress=False
    )
    inner.train([__file__], trainer)
    inner.add_tokens(["<tool>"])
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|im_end|>")
    tokenizer.chat_template = CHATML
    return replace(tiny_base(architecture), tokenizer=tokenizer)


def written(base: Base, folder: Path) -> Path:
    path = folder / "model.gguf"
    gguf.write(gguf.prepare(base, "tiny"), path, base.model.state_dict(), base.model.config)
    return path


@pytest.mark.parametrize(
    ("architecture", "dtype"), [("llama", torch.float32), ("qwen2", torch.float32), ("qwen2", torch.bfloat16)]
)
def test_the_weights(tmp_path, architecture, dtype):
    """Read back, every weight is what it was, so the logits are too; matrices have the model's precision."""
    base = base_of(architecture, "qwen2")
    base = replace(base, model=base.model.to(dtype), dtype=dtype)
    path = written(base, tmp_path)
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=path.name, dtype=torch.float32)
    for name, weight in base.model.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], weight.float(), rtol=0, atol=0, msg=name)
    if dtype == torch.float32:
        torch.testing.assert_close(plain_logits(replace(base, model=model), IDS), plain_logits(base, IDS))
    kinds = {tensor.name: tensor.tensor_type.name for tensor in library.GGUFReader(path).tensors}
    assert kinds["blk.0.attn_q.weight"] == ("F32" if dtype == torch.float32 else "BF16")
    assert {kinds[name] for name in kinds if "norm" in name or "bias" in name} == {"F32"}


@pytest.mark.parametrize("cut", CUTS)
def test_the_head(tmp_path, cut):
    """Tokens with their kinds, special ids, nothing added around a prompt, the chat template."""
    base = base_of("llama", cut)
    reader = library.GGUFReader(written(base, tmp_path))
    head = {key: field.contents() for key, field in reader.fields.items()}
    assert head["tokenizer.ggml.pre"] == cut
    kinds = dict(zip(head["tokenizer.ggml.tokens"], head["tokenizer.ggml.token_type"], strict=True))
    assert len(kinds) == 300
    assert [kinds[token] for token in ("<|im_end|>", "<tool>", "Ġ", "[PAD299]")] == [3, 4, 1, 5]
    assert (head["tokenizer.ggml.bos_token_id"], head["tokenizer.ggml.eos_token_id"]) == (1, 2)
    assert not head["tokenizer.ggml.add_bos_token"]
    assert not head["tokenizer.ggml.add_eos_token"]
    assert head["tokenizer.chat_template"] == CHATML
    assert "output.weight" in {tensor.name for tensor in reader.tensors}
    base.model.config.tie_word_embeddings = True
    assert "output.weight" not in {tensor.name for tensor in library.GGUFReader(written(base, tmp_path)).tensors}


def test_what_cannot_be_written():
    """One error, that says what would do and what else there is."""
    odd = [base_of("gpt2", "gpt-2"), *(base_of("llama", "gpt-2") for _ in range(6))]
    odd[1].model.config.rope_parameters = {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}
    odd[2].tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    odd[3].tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=False), WORDS]
    )
    odd[4].tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    odd[5].model.config.vocab_size = 280
    odd[6].tokenizer.backend_tokenizer.model = tokenizers.models.Unigram([("<|endoftext|>", 0.0)], unk_id=0)
    parts = (
        "'gpt2'",
        "scaled (linear)",
        "cuts texts",
        "cuts texts",
        "rewrites texts",
        "290 tokens and its embedding 280",
        "no byte-level BPE",
    )
    for base, part in zip(odd, parts, strict=True):
        with pytest.raises(UserError) as caught:
            gguf.prepare(base, "odd")
        for said in (part, "llama, qwen2, qwen3", "gpt-2, smollm, qwen2", "--merged", "convert_hf_to_gguf.py"):
            assert said in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "cut"),
    [("llama", "smollm"), ("llama", "gpt-2"), ("qwen2", "qwen2"), ("qwen3", "qwen2"), ("tiny-random", "gpt-2")],
)
def test_llama_cpp(tmp_path, architecture, cut):
    """The same tokens of texts, the same logits, the same greedy continuation of a chat prompt.

    `tiny-random` has tied embeddings and a tokenizer without merges.
    """
    llama_cpp = pytest.importorskip(
        "llama_cpp", reason="llama-cpp-python is not installed: pip install -r requirements-llama-cpp.lock"
    )
    if architecture == "tiny-random":
        base = load_base(ModelConfig(name=architecture, device="cpu", dtype="float32", threads=1))
    else:
        base = base_of(architecture, cut)
    model = llama_cpp.Llama(
        str(written(base, tmp_path)), n_ctx=4096, n_threads=1, logits_all=True, verbose=False, flash_attn=False,
        type_k=library.GGMLQuantizationType.F32, type_v=library.GGMLQuantizationType.F32,
    )  # fmt: skip
    try:
        source = Path(__file__).read_text(encoding="utf-8")
        odd = "x =  12345\n\n\n7  # it's, we'LL é 🚀 東京 ٣\t\r\n<|im_end|><tool> \u00a0end  "
        for text in (source[:3000], json.dumps(source[:3000]), odd, "    1. one\n\n\t2", "", " "):
            assert model.tokenize(text.encode(), add_bos=False, special=True) == base.encode(text), text
        prompt = base.render("Say hi")
        model.eval(prompt)
        ours = torch.tensor(model.scores[: len(prompt)])
        torch.testing.assert_close(ours, plain_logits(base, prompt), rtol=0, atol=1e-3)
        model.reset()
        expected = list(prompt)
        for _ in range(24):
            expected.append(int(plain_logits(base, expected)[-1].argmax()))
        drawn = model.generate(prompt, temp=0.0, top_k=1, repeat_penalty=1.0)
        assert [next(drawn) for _ in range(24)] == expected[len(prompt) :]
    finally:
        model.close()
