"""Decoding with shared prompts against transformers' own, and against plain forward passes."""

import pytest
import torch
from tiny_models import ARCHITECTURES, plain_logits, plain_logprobs, tiny_base

from kohai.models import generate as generation
from kohai.models.generate import generate

PROMPTS = [[40, 41, 42, 43, 44, 45, 46, 47], [50], [60, 61, 62], [70 + i for i in range(30)], [60, 61, 63]]
MANY_STOPS = tuple(range(0, 300, 12))  # one token in twelve: rows end at many different steps


def ids(drawn):
    return [[sampled.ids for sampled in group] for group in drawn]


def matches_plain_passes(base, drawn, max_new_tokens):
    """Each completion's log-probabilities are those of a forward pass of its own; it is cut at its first stop."""
    for prompt, group in zip(PROMPTS, drawn, strict=True):
        for sampled in group:
            expected = plain_logprobs(base, prompt, sampled.ids)
            torch.testing.assert_close(torch.tensor(sampled.logprobs), expected, rtol=0, atol=1e-4)
            stops = [token in base.stop_ids for token in sampled.ids]
            assert not any(stops[:-1])
            assert sampled.finished == stops[-1]
            assert sampled.finished or len(sampled.ids) == max_new_tokens


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_greedy_is_that_of_transformers(architecture):
    """Prompts of different lengths, two rows each: token for token what `generate` of transformers decodes."""
    base = tiny_base(architecture, MANY_STOPS)
    drawn = generate(base, base.model, PROMPTS, n=2, max_new_tokens=24, batch_tokens=10_000)
    lengths = set()
    for prompt, group in zip(PROMPTS, drawn, strict=True):
        row = torch.tensor([prompt])
        expected = base.model.generate(
            row,
            attention_mask=torch.ones_like(row),
            do_sample=False,
            max_new_tokens=24,
            eos_token_id=list(base.stop_ids),
            pad_token_id=0,
        )[0, len(prompt) :].tolist()
        assert ids([group]) == [[expected, expected]]
        lengths.add(len(expected))
    assert len(lengths) > 1
    matches_plain_passes(base, drawn, 24)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_sampled_log_probabilities(architecture):
    """Five rows a prompt that end at different steps and leave the batch: log-probabilities at temperature 1."""
    base = tiny_base(architecture, MANY_STOPS)
    drawn = generate(base, base.model, PROMPTS, n=5, temperature=0.7, max_new_tokens=24, batch_tokens=10_000, seed=3)
    matches_plain_passes(base, drawn, 24)
    lengths = [len(sampled.ids) for group in drawn for sampled in group]
    assert len(set(lengths)) > 5
    assert len({tuple(sampled.ids) for sampled in drawn[0]}) > 1


def shares_hold(tokens, probabilities):
    """Each token that is expected ten times or more among `tokens` has its share, within four standard errors."""
    shares = torch.bincount(torch.tensor(tokens), minlength=len(probabilities)) / len(tokens)
    errors = (probabilities * (1 - probabilities) / len(tokens)).sqrt()
    often = probabilities * len(tokens) >= 10
    assert often.sum() >= 5
    return bool(((shares - probabilities).abs() <= 4 * errors)[often].all())


def test_tokens_are_drawn_by_their_probability():
    """Of 4000 first tokens each has its share; so has each of the second ones after the commonest first."""
    base = tiny_base(stop_ids=(0,))
    (group,) = generate(base, base.model, [PROMPTS[0]], n=4000, temperature=0.9, max_new_tokens=2, batch_tokens=1)
    probabilities = (plain_logits(base, PROMPTS[0])[-1] / 0.9).softmax(-1)
    assert (probabilities > 0.05).sum() > 2  # not one token that is almost sure
    assert shares_hold([sampled.ids[0] for sampled in group], probabilities)
    first = int(probabilities.argmax())
    following = (plain_logits(base, [*PROMPTS[0], first])[-1] / 0.9).softmax(-1)
    assert (following > 0.05).sum() > 2
    assert shares_hold([sampled.ids[1] for sampled in group if sampled.ids[0] == first], following)


def test_rows_leave_the_batch_when_they_end():
    """The model computes fewer and fewer rows; at each step at least four in five of them are still going."""
    base = tiny_base(stop_ids=MANY_STOPS)
    sizes = []
    hook = base.model.base_model.register_forward_pre_hook(
        lambda _module, _arguments, named: sizes.append(named["input_ids"].shape[0]), with_kwargs=True
    )
    drawn = generate(base, base.model, PROMPTS, n=6, temperature=1.0, max_new_tokens=24, batch_tokens=10_000)
    hook.remove()
    lengths = [len(sampled.ids) for group in drawn for sampled in group]
    going = [sum(length > step for length in lengths) for step in range(1, 25)]
    going = [rows for rows in going if rows]
    assert sizes[0] == 1  # the prompts, packed
    assert len(sizes) == 1 + len(going)
    assert all(rows <= computed and 0.8 * computed <= rows for rows, computed in zip(going, sizes[1:], strict=True))
    assert sizes[-1] < sizes[1]


def test_batches_change_nothing():
    """One batch, a batch a prompt, prefill in pieces, another order of the prompts: the same by seed and key."""
    base = tiny_base(stop_ids=MANY_STOPS)
    keys = ["a", "b", "c", "d", "e"]
    settings = {"n": 3, "temperature": 1.0, "max_new_tokens": 20, "seed": 5}
    together = ids(generate(base, base.model, PROMPTS, batch_tokens=10_000, keys=keys, **settings))
    for batch_tokens in (1, 150, 200):
        apart = generate(base, base.model, PROMPTS, batch_tokens=batch_tokens, keys=keys, **settings)
        assert ids(apart) == together
    backwards = generate(base, base.model, PROMPTS[::-1], batch_tokens=150, keys=keys[::-1], **settings)
    assert ids(backwards)[::-1] == together
    fewer = generate(base, base.model, PROMPTS, batch_tokens=10_000, keys=keys, **(settings | {"n": 2}))
    assert ids(fewer) == [group[:2] for group in together]
    more = generate(base, base.model, PROMPTS, batch_tokens=10_000, keys=keys, **(settings | {"n": 11}))
    assert [group[:3] for group in ids(more)] == together  # two parts of six, the last with a hole


def test_prefill_in_pieces(monkeypatch):
    """Prompts that do not fit one packed row are computed in several, to the same end."""
    base = tiny_base(stop_ids=MANY_STOPS)
    settings = {"n": 2, "temperature": 1.0, "max_new_tokens": 12, "batch_tokens": 10_000}
    whole = ids(generate(base, base.model, PROMPTS, **settings))
    monkeypatch.setattr(generation, "reading_tokens", lambda _device: 9)
    assert ids(generate(base, base.model, PROMPTS, **settings)) == whole


def test_seed_and_key_choose_the_stream():
    """Another seed or another key gives other completions; the same prompt twice, too, as its place is its key."""
    base = tiny_base()
    settings = {"n": 2, "temperature": 1.0, "max_new_tokens": 12, "batch_tokens": 10_000}
    first, second = ids(generate(base, base.model, [PROMPTS[0]] * 2, seed=1, **settings))
    assert first != second
    assert ids(generate(base, base.model, [PROMPTS[0]], seed=2, **settings)) != [first]
    named = ids(generate(base, base.model, [PROMPTS[0]], seed=1, keys=["task"], **settings))
    assert named != [first]


def test_a_killed_run_goes_on_behind_its_last_whole_batch(monkeypatch, tmp_path):
    """What lies in the memory is not decoded again, the batch that the kill cut in half is; all is as in one go."""
    base = tiny_base(stop_ids=MANY_STOPS)
    memory = tmp_path / "stage" / "batches.jsonl"
    settings = {"n": 2, "temperature": 1.0, "max_new_tokens": 12, "batch_tokens": 1, "seed": 5}
    in_one_go = generate(base, base.model, PROMPTS, **settings)
    decode, decoded = generation._decode, []

    def killed_at_the_fourth(base, model, prompts, *rest):
        decoded.append(prompts)
        if len(decoded) == 4:
            raise KeyboardInterrupt
        return decode(base, model, prompts, *rest)

    monkeypatch.setattr(generation, "_decode", killed_at_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        generate(base, base.model, PROMPTS, memory=memory, **settings)
    with memory.open("r+b") as file:
        file.truncate(memory.stat().st_size - 9)
    assert generate(base, base.model, PROMPTS, memory=memory, **settings) == in_one_go
    shortest_first = sorted(([prompt] for prompt in PROMPTS), key=lambda one: len(one[0]))
    assert decoded == [*shortest_first[:4], *shortest_first[2:]]
    assert generate(base, base.model, PROMPTS, memory=memory, **settings) == in_one_go
    assert len(decoded) == 7


def test_progress_and_the_model_afterwards():
    """`on_done` counts prompts up to all of them; the model attends as before."""
    base = tiny_base()
    attention = base.model.config._attn_implementation
    counts = []
    generate(base, base.model, PROMPTS, max_new_tokens=4, batch_tokens=1, on_done=counts.append)
    assert counts == [1, 2, 3, 4, 5]
    assert base.model.config._attn_implementation == attention


def test_batches_keep_to_their_tokens():
    """Sizes 1 + 10, 3 + 10, 3 + 10, 8 + 10, 30 + 10 with at most 40 a batch: 37, then 18, then 40."""
    order = sorted(range(5), key=lambda i: len(PROMPTS[i]))
    assert generation._batches(order, PROMPTS, 2, 5, 40) == [[1, 2, 4], [0], [3]]
