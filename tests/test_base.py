"""The base as it is loaded: what is rounded, how much it can read, and which models are refused."""

import pytest
import torch
import transformers
from tiny_models import tiny_base

from kohai.config import ModelConfig
from kohai.errors import DataError
from kohai.models.base import load_base
from kohai.models.generate import generate
from kohai.models.packing import pack
from kohai.models.scoring import token_scores

SHAPE = {
    "vocab_size": 300, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2,
}  # fmt: skip
FALCON = {"vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
NEO = {"vocab_size": 300, "hidden_size": 32, "num_layers": 2, "num_heads": 4}


def saved(folder, config):
    """A model of random weights, and a tokenizer, in a folder."""
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tiny_base().tokenizer.save_pretrained(folder)
    return ModelConfig(name=str(folder), device="cpu", dtype="bfloat16", threads=1)


@pytest.mark.parametrize("is_saved", [False, True])
def test_frequencies_are_not_rounded(tmp_path, is_saved):
    """In bfloat16 the weights are, RoPE's frequencies stay as transformers and vLLM have them."""
    settings = ModelConfig(name="tiny-random", device="cpu", dtype="bfloat16", threads=1)
    if is_saved:
        settings = saved(tmp_path / "model", transformers.LlamaConfig(**SHAPE))
    model = load_base(settings).model
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert model.model.rotary_emb.inv_freq.dtype == torch.float32


@pytest.mark.parametrize(
    ("config", "match"),
    [
        (transformers.FalconConfig(**FALCON), "falcon"),
        (transformers.GPTNeoConfig(**NEO, attention_types=[[["global", "local"], 1]]), "gpt_neo"),
        (transformers.Lfm2Config(**SHAPE, layer_types=["conv", "full_attention"]), "layers of conv"),
        (transformers.Gemma2Config(**SHAPE, head_dim=8), "caps attention's scores"),
    ],
)
def test_an_attention_that_is_not_ours_is_refused(tmp_path, config, match):
    """By name, and not computed wrongly."""
    with pytest.raises(DataError, match=f"{match}.*which Kohai's attention does not do"):
        load_base(saved(tmp_path / "model", config))


@pytest.mark.parametrize(
    "config",
    [transformers.GraniteConfig(**SHAPE, logits_scaling=8.0), transformers.CohereConfig(**SHAPE, logit_scale=0.0625)],
)
def test_logits_that_are_not_the_heads_are_refused(tmp_path, config):
    """Scaled after the output layer: what is drawn here would be of another model."""
    with pytest.raises(DataError, match="its logits are not those of its output layer alone"):
        load_base(saved(tmp_path / "model", config))


def test_a_prompt_is_the_same_on_each_day_and_without_thinking(tmp_path):
    """Templates that name the date, or think unless told otherwise, here and where the tokenizer is exported to."""
    config = saved(tmp_path / "model", transformers.LlamaConfig(**SHAPE))
    tokenizer = transformers.AutoTokenizer.from_pretrained(config.name)
    tokenizer.chat_template = (
        "{{ strftime_now('%Y') }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
        "{% if enable_thinking is defined and enable_thinking is false %}!{% endif %}"
    )
    tokenizer.save_pretrained(config.name)
    base = load_base(config)
    assert base.decode(base.render("Hi")) == "01 Jan 2026Hi!"
    base.tokenizer.save_pretrained(tmp_path / "out")
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert again.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False) == "01 Jan 2026Hi!"


def test_what_ends_a_completion(tmp_path):
    """The tokenizer's end, and those that the model's own files name beside it."""
    config = saved(tmp_path / "model", transformers.LlamaConfig(**SHAPE))
    ends = transformers.AutoTokenizer.from_pretrained(config.name).eos_token_id
    transformers.GenerationConfig(eos_token_id=[ends, 99]).save_pretrained(config.name)
    assert {ends, 99} <= set(load_base(config).stop_ids)


def test_a_window_is_what_it_can_read(tmp_path):
    """Within it all tokens see each other, as in the attention here."""
    config = transformers.MistralConfig(**SHAPE, max_position_embeddings=256, sliding_window=64)
    assert load_base(saved(tmp_path / "model", config)).n_positions == 64
    assert tiny_base().n_positions == 4096


def test_a_last_norm_in_float32(monkeypatch):
    """As CUDA's autocast leaves GPT-2's: what comes after multiplies in the model's precision."""
    base = tiny_base("gpt2")
    last = base.model.to(torch.bfloat16).transformer.ln_f
    plain = last.forward
    monkeypatch.setattr(last, "forward", lambda x: plain(x).float() if torch.is_autocast_enabled("cpu") else plain(x))
    assert token_scores(base.model, pack([([40, 41], [[50, 51, 2]])])).logprobs.isfinite().all()
    [[sampled]] = generate(
        base, base.model, [[40, 41]], n=1, temperature=0.0, max_new_tokens=3, batch_tokens=64, seed=0
    )
    assert sampled.ids
