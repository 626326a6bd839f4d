"""An RL step against TRL's GRPOTrainer, decoding of uneven lengths against `generate`, a step's share of products."""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch.nn import functional

from kohai.bench import Row
from kohai.config import LoraConfig, ModelConfig, RlConfig
from kohai.models import adapters
from kohai.models.base import Base, load_base
from kohai.models.generate import generate
from kohai.models.losses import standardised
from kohai.models.packing import pack
from kohai.models.ppo import Rollout, ValueHead, row_loss
from kohai.models.scoring import token_scores

N_PROMPTS, N, NEW_TOKENS, STEPS = 8, 4, 48, 3
PROMPT_TOKENS = 290  # the mean of the demo
SETTINGS = RlConfig(estimator="grpo", kl_coef=0.04)
LORA = LoraConfig(r=16, alpha=32.0)
RARE = 40  # every so many-th token of the vocabulary ends a completion: lengths are uneven
LONGEST = 128
THEIR_SETTINGS = (
    (32, True),
    (8, True),
    (32, False),
    (8, False),
)  # completions in a batch of an update; whether torch autocasts


def run() -> list[Row]:
    """Both sides in the same precision, with the same prompts and as many new tokens; the first step warms up. Slow: a
    step of TRL's takes minutes on two cores.
    """
    return [step_row(), uneven_row(), *products_rows()]


def step_row() -> Row:
    """Rollouts, reference log-probabilities, reward, loss and update of 8 prompts x 4 completions of 48 tokens; TRL's
    in the fastest of some settings, on weights as transformers stores them.
    """
    ours = our_steps(endless(load_base(ModelConfig())))
    theirs = {}
    for batch, is_cast in THEIR_SETTINGS:
        base = endless(load_base(ModelConfig()))
        if is_cast and base.dtype != torch.bfloat16:
            continue
        for parameter in base.model.parameters():
            parameter.data = parameter.data.contiguous()
        seconds = their_steps(base, batch, is_cast)
        theirs[f"{batch} in a batch{', autocast' if is_cast else ''}"] = seconds
    how = min(theirs, key=theirs.__getitem__)
    told = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in theirs.items())
    ratio = theirs[how] / ours
    return Row(f"an RL step (TRL: {told})", "s", ours=ours, peer=theirs[how], ratio=ratio, goal="3x", holds=ratio >= 3)


def our_steps(base: Base) -> float:
    """Median seconds."""
    texts = prompts(base)
    model = adapters.add(base, base.model, "policy", LORA)
    weights = adapters.parameters(model, "policy")
    optimizer = torch.optim.AdamW(weights, lr=1e-6)
    head = ValueHead(base.model.config.hidden_size, 0)

    def step(seed: int) -> None:
        with adapters.merged(model, "policy") as plain:
            drawn = generate(
                base, plain, texts, n=N, temperature=1.0, max_new_tokens=NEW_TOKENS, batch_tokens=1_000_000, seed=seed
            )
        references = []
        with torch.no_grad(), adapters.merged(model, None) as plain:
            for prompt, group in zip(texts, drawn, strict=True):
                scored = token_scores(plain, pack([(prompt, [one.ids for one in group])], base.device)).logprobs
                references.append([part.tolist() for part in scored.split([len(one.ids) for one in group])])
        rewards = standardised(torch.tensor([[float(len(set(one.ids))) for one in group] for group in drawn]))
        adapters.activate(model, "policy", trainable=True)
        for prompt, group, reference, earned in zip(texts, drawn, references, rewards, strict=True):
            ids, logprobs = [one.ids for one in group], [one.logprobs for one in group]
            rollout = Rollout("", prompt, ids, logprobs, reference, earned)
            row_loss(model, head, [rollout], SETTINGS, SETTINGS.kl_coef, 1 / N_PROMPTS, base.device)[0].backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    seconds = timed(step)
    model.unload()
    base.model.requires_grad_(False)
    return seconds


def their_steps(base: Base, batch: int, is_cast: bool) -> float:
    """Median seconds of TRL's trainer: one generation of 32 completions and one update a step, `batch` at a time."""
    import datasets
    import peft
    import transformers
    import trl

    ends: list[float] = []

    class Clock(transformers.TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_, **__):
            ends.append(-time.perf_counter())

        def on_step_end(self, *_, **__):
            ends[-1] += time.perf_counter()

    transformers.utils.logging.set_verbosity_error()
    lora = peft.LoraConfig(r=LORA.r, lora_alpha=LORA.alpha, target_modules="all-linear", task_type="CAUSAL_LM")
    texts = [base.tokenizer.decode(ids) for ids in prompts(base)]
    with tempfile.TemporaryDirectory() as folder:
        trainer = trl.GRPOTrainer(
            model=base.model,
            processing_class=base.tokenizer,
            reward_funcs=lambda completions, **_: [float(len(set(text))) for text in completions],
            train_dataset=datasets.Dataset.from_dict({"prompt": texts}),
            peft_config=lora,
            callbacks=[Clock()],
            args=trl.GRPOConfig(
                output_dir=folder,
                max_steps=STEPS,
                per_device_train_batch_size=batch,
                gradient_accumulation_steps=N_PROMPTS * N // batch,
                num_generations=N,
                max_completion_length=NEW_TOKENS,
                generation_kwargs={"min_new_tokens": NEW_TOKENS, "eos_token_id": None},
                beta=SETTINGS.kl_coef,
                learning_rate=1e-6,
                use_cpu=base.device.type == "cpu",
                bf16=is_cast,
                gradient_checkpointing=False,
                report_to="none",
                save_strategy="no",
                disable_tqdm=True,
            ),
        )
        trainer.remove_callback(transformers.PrinterCallback)  # standard output is the benchmark's own
        trainer.train()
        trainer.model.unload()
    return statistics.median(ends[1:])


def uneven_row() -> Row:
    """Tokens per second at batch 32 where completions end anywhere: both end at the same tokens of the vocabulary."""
    base = load_base(ModelConfig())
    stops = tuple(range(0, base.model.config.vocab_size, RARE))
    base = replace(base, stop_ids=stops)
    texts = prompts(base)
    batch = torch.tensor(texts, device=base.device)
    ours: list[float] = []
    peer: list[float] = []
    for seed in range(STEPS):
        started = time.perf_counter()
        drawn = generate(
            base, base.model, texts, n=N, temperature=1.0, max_new_tokens=LONGEST, batch_tokens=1_000_000, seed=seed
        )
        ours.append(sum(len(one.ids) for group in drawn for one in group) / (time.perf_counter() - started))
        started = time.perf_counter()
        torch.manual_seed(seed)
        found = base.model.generate(
            batch, attention_mask=torch.ones_like(batch), do_sample=True, top_k=0, num_return_sequences=N,
            max_new_tokens=LONGEST, eos_token_id=list(stops), pad_token_id=stops[0],
        )  # fmt: skip
        peer.append(count_tokens(found[:, batch.shape[1] :], stops) / (time.perf_counter() - started))
    mine, theirs = statistics.median(ours[1:]), statistics.median(peer[1:])
    return Row(
        "decoding, 8 prompts x 4, uneven lengths", "tokens/s", ours=mine, peer=theirs, ratio=mine / theirs,
        goal="2x", holds=mine >= 2 * theirs,
    )  # fmt: skip


def count_tokens(rows: torch.Tensor, stops: tuple[int, ...]) -> int:
    """Completion tokens up to each row's first stop token, that one included."""
    is_stop = torch.isin(rows, torch.tensor(stops, device=rows.device))
    first = torch.where(is_stop.any(1), is_stop.int().argmax(1) + 1, rows.shape[1])
    return int(first.sum())


def products_rows() -> list[Row]:
    """The time that the products of a training step take by themselves, by the time of the step."""
    base = endless(load_base(ModelConfig()))
    model = adapters.add(base, base.model, "policy", LORA)
    adapters.activate(model, "policy", trainable=True)
    packed = pack([(prompt, [prompt[:NEW_TOKENS]]) for prompt in prompts(base)[:2]], base.device)

    def step(_seed: int) -> None:
        (-token_scores(model, packed).logprobs.mean()).backward()

    whole = timed(step)
    n_tokens, n_answers = packed.ids.shape[1], len(packed.targets)
    plain = model.get_base_model()
    linear = [m.base_layer for m in model.modules() if hasattr(m, "base_layer")]
    shapes = [(layer.weight, n_tokens) for layer in linear]
    shapes.append((plain.get_output_embeddings().weight, n_answers))

    def products(_seed: int) -> None:
        with torch.no_grad():
            for weight, n in shapes:
                functional.linear(inputs[n, weight.shape[1]], weight)  # forward
                inputs[n, weight.shape[0]] @ weight  # the gradient of what goes in

    kind = {"dtype": base.dtype, "device": base.device}
    inputs = {(n, size): torch.randn((n, size), **kind) for weight, n in shapes for size in weight.shape}
    alone = timed(products)
    share = alone / whole
    return [
        Row("a training step of two pairs of 338 tokens", "s", value=whole),
        Row(
            "its products by themselves, as a share of it",
            "share",
            value=share,
            goal="at least 0.6",
            holds=share >= 0.6,
        ),
    ]


def prompts(base: Base) -> list[list[int]]:
    """Token ids that are the same when their text is read again."""
    found = []
    for number in range(N_PROMPTS):
        words = " ".join(f"item {number} of lot {place} moves to shelf {place * 7 + number};" for place in range(60))
        found.append(base.encode(words)[:PROMPT_TOKENS])
    return found


def endless(base: Base) -> Base:
    """The base without stop tokens, so that both sides make as many tokens."""
    return replace(base, stop_ids=())


def timed(step: Callable[[int], None]) -> float:
    """Median seconds of some runs, after one to warm up."""
    seconds = []
    for seed in range(STEPS):
        started = time.perf_counter()
        step(seed)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])
