"""Packed rows: what a completion sees, and that sharing a row changes no number."""

import pytest
import torch
from peft.tuners.lora import LoraLayer
from tiny_models import ARCHITECTURES, plain_logits, plain_logprobs, tiny_base

from kohai.config import LoraConfig
from kohai.models import adapters, attention
from kohai.models.attention import QUERIES, by_products
from kohai.models.packing import Span, pack, rows
from kohai.models.scoring import hidden_states, padded, per_segment, token_scores

GROUPS = [
    ([5, 6, 7, 8], [[10, 11, 12], [13], [14, 15, 16, 17, 18]]),
    ([20], [[21, 22]]),
    ([30, 31, 32, 33, 34, 35, 36], [[37, 38], [39, 40, 41, 42]]),
]
PAIRS = [(prompt, completion) for prompt, completions in GROUPS for completion in completions]


def test_layout():
    """One prompt of two tokens with completions of two and one, then a prompt alone, then filler up to 32.

    row        a0 a1 | b0 b1 | c0 | d0 d1
    positions   0  1    2  3    2    0  1
    b0 and c0 are predicted by a1, b1 by b0; each sees its prompt and its own, earlier tokens.
    """
    packed = pack([([50, 51], [[60, 61], [70]]), ([80, 81], [])])
    assert packed.ids.tolist() == [[50, 51, 60, 61, 70, 80, 81] + [0] * 25]
    assert packed.positions.tolist() == [[0, 1, 2, 3, 2, 0, 1] + [0] * 25]
    assert packed.predictors.tolist() == [1, 2, 1]
    assert packed.targets.tolist() == [60, 61, 70]
    assert packed.segments.tolist() == [0, 0, 1]
    assert packed.lasts.tolist() == [3, 4]
    assert packed.n_segments == 2
    first, second = packed.groups
    assert (first.start, first.n_prompt, first.n_completions) == (0, 2, 3)
    assert first.mask.shape == (32, 32)
    assert first.mask[:3, :5].int().tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 0, 0, 1]]
    assert not first.mask[:, 5:].any()
    assert first.mask[3:].int().sum(1).tolist() == [2] * 29
    assert second == Span(5, 2, 0, None)


def test_rows_are_cut_by_tokens():
    """Sizes 4, 3, 5, 12, 1 with at most 8 a row: 4 + 3, then 5, then the one that is too long for any, then 1."""
    groups = [([1], [[1, 1, 1]]), ([1, 1], [[1]]), ([1], [[1], [1, 1, 1]]), ([1] * 12, []), ([1], [])]
    assert list(rows(groups, 8)) == [[0, 1], [2], [3], [4]]
    assert list(rows(groups, 7)) == [[0, 1], [2], [3], [4]]
    assert list(rows(groups, 6)) == [[0], [1], [2], [3], [4]]
    assert list(rows(groups, 100)) == [[0, 1, 2, 3, 4]]
    assert list(rows([], 8)) == []


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_packed_is_plain(architecture):
    """Log-probabilities, entropies and last hidden states equal those of one forward pass a sequence."""
    base = tiny_base(architecture)
    packed = pack(GROUPS)
    with torch.no_grad():
        scores = token_scores(base.model, packed)
        lasts = hidden_states(base.model, packed)[packed.lasts]
    found = scores.logprobs.split([len(completion) for _, completion in PAIRS])
    entropies = scores.entropies.split([len(completion) for _, completion in PAIRS])
    for (prompt, completion), logprobs, entropy, last in zip(PAIRS, found, entropies, lasts, strict=True):
        torch.testing.assert_close(logprobs, plain_logprobs(base, prompt, completion), rtol=0, atol=1e-4)
        logits = plain_logits(base, [*prompt, *completion])[len(prompt) - 1 : -1]
        expected = torch.distributions.Categorical(logits=logits).entropy()
        torch.testing.assert_close(entropy, expected, rtol=0, atol=1e-4)
        with torch.no_grad():
            plain = base.model.base_model(torch.tensor([[*prompt, *completion]])).last_hidden_state[0, -1]
        torch.testing.assert_close(last, plain, rtol=0, atol=1e-4)


def test_attention_by_products_is_torchs(monkeypatch):
    """In bfloat16 on a CPU training has attention of its own, and all rows have it without AMX: with more tokens than
    one of its blocks holds, it gives the numbers, and in float32 the gradients, of torch's attention with every pair of
    tokens written into a mask.
    """
    base = tiny_base()
    base.model.to(torch.bfloat16)
    prompt, completions = [5 + i % 40 for i in range(QUERIES + 70)], [[60 + i % 30 for i in range(90)], [7, 8]]
    packed = pack([(prompt, completions), ([9, 10], [[11]])])
    calls, ways, by_way = [], {}, {}
    monkeypatch.setattr(attention, "by_products", lambda *given: calls.append(1) or by_products(*given))
    for has_amx in (True, False):
        monkeypatch.setattr(attention, "_has_amx", lambda found=has_amx: found)
        calls.clear()
        with torch.no_grad():
            ways[has_amx] = token_scores(base.model, packed).logprobs
        by_way[has_amx] = bool(calls)
    base.model.requires_grad_(True)
    torch.testing.assert_close(ways[False], ways[True], rtol=0, atol=0.15)
    torch.testing.assert_close(token_scores(base.model, packed).logprobs, ways[True], rtol=0, atol=0.15)
    assert by_way == {True: False, False: True}

    generator = torch.Generator().manual_seed(0)
    length, span = len(prompt), packed.groups[0]
    causal = torch.ones((length, length), dtype=torch.bool).tril()
    for mask, seen, own in ((None, causal, length), (span.mask, span.mask, len(span.mask))):
        shapes = ((1, 4, own, 8), (1, 2, seen.shape[1], 8), (1, 2, seen.shape[1], 8))
        q, k, v = (torch.randn(shape, generator=generator, requires_grad=True) for shape in shapes)
        wide = (one.repeat_interleave(2, dim=1) for one in (k, v))
        expected = torch.nn.functional.scaled_dot_product_attention(q, *wide, seen)
        found = by_products(q, k, v, mask, None)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
        weights = torch.randn(found.shape, generator=generator)
        for one, other in zip(
            torch.autograd.grad((found * weights).sum(), (q, k, v)),
            torch.autograd.grad((expected * weights).sum(), (q, k, v)),
            strict=True,
        ):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def test_sums_and_padding():
    """Completions of 2 and 1 tokens with values 1, 2 and 5: sums 3 and 5; padded rows (1, 2) and (5, 0)."""
    packed = pack([([9, 9], [[1, 1], [1]])])
    values = torch.tensor([1.0, 2.0, 5.0], requires_grad=True)
    assert per_segment(values, packed).tolist() == [3.0, 5.0]
    laid, mask = padded(values, packed)
    assert laid.tolist() == [[1.0, 2.0], [5.0, 0.0]]
    assert mask.tolist() == [[True, True], [True, False]]
    (laid * torch.tensor([[1.0, 10.0], [100.0, 1000.0]])).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [1.0, 10.0, 100.0]


def test_adapters_multiply_in_the_bases_precision():
    """In bfloat16 an adapter's products are the base's type, its weights and gradients stay float32, and its gradient
    points where float32's does; outside, adapted layers turn their inputs into float32 as before.
    """
    gradients = {}
    for dtype in (torch.float32, torch.bfloat16):
        base = tiny_base("llama")
        base.model.to(dtype)
        torch.manual_seed(3)
        model = adapters.add(base, base.model, "policy", LoraConfig(r=4))
        adapters.activate(model, "policy", trainable=True)
        weights = adapters.parameters(model, "policy")
        with torch.no_grad():
            for weight in weights:
                weight.normal_(std=0.1)
        seen = []
        layer = next(module for module in model.modules() if isinstance(module, LoraLayer))
        layer.lora_A["policy"].register_forward_hook(lambda _module, _inputs, output, seen=seen: seen.append(output))
        token_scores(model, pack(GROUPS)).logprobs.sum().backward()
        assert [output.dtype for output in seen] == [dtype]
        assert layer.cast_input_dtype_enabled
        assert {weight.grad.dtype for weight in weights} == {torch.float32}
        gradients[dtype] = torch.cat([weight.grad.flatten() for weight in weights])
    cosine = torch.nn.functional.cosine_similarity(*gradients.values(), dim=0)
    assert cosine > 0.99
