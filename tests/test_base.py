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
