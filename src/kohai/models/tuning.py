"""Fine-tuning of one adapter by TRL's SFTTrainer: on pairs of prompt and answer, or by a loss on several answers.

Used for the policy (instruction -> code), for the reviewer (code -> instruction), for rejection sampling, and for DPO.
The likelihood is of the answer's tokens only. A killed run continues from its last checkpoint.

What TRL's trainer does not do on a CPU, and is done here: pairs are packed instead of padded, and logits are made for
answer tokens only (its own loss makes them for every position, twice; a third of the time at 135M).
"""

from __future__ import annotations

import gc
import logging
import math
import shutil
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kohai import progress
from kohai.config import LoraConfig, TuningConfig
from kohai.errors import DataError, TrainingError
from kohai.models import adapters, distributed
from kohai.models.base import Base
from kohai.models.packing import Packed, pack
from kohai.models.scoring import token_scores
from kohai.models.tracking import Tracker

Pair = tuple[Sequence[int], Sequence[int]]
Loss = Callable[[Any, Packed, torch.Tensor], torch.Tensor]  # of the model, R rows and their facts (R, F): (R,)
MICRO_BATCH_TOKENS = 1024  # bounds the activations held for one backward pass, about 4 MB a token at 135M


@dataclass(frozen=True)
class Row:
    """A prompt with several answers (token ids), and numbers that the loss is given of it."""

    prompt: Sequence[int]
    answers: Sequence[Sequence[int]]
    facts: Sequence[float] = ()

    def __len__(self) -> int:
        return len(self.prompt) + sum(map(len, self.answers))


@distributed.alone()
def tune(
    base: Base,
    pairs: Sequence[Pair] | Sequence[Row],
    folder: Path,
    *,
    name: str,
    settings: TuningConfig,
    seed: int,
    tracker: Tracker,
    start: LoraConfig | Path,
    loss: Loss | None = None,
) -> dict[str, Any]:
    """Trains an adapter called `name` and saves it as `folder`; the base stays as it is.

    Args:
        base: The frozen base.
        pairs: Token ids of prompt and answer (its stop token included); with a `loss`, rows.
        folder: Where the adapter goes; checkpoints lie beside it until it is whole.
        name: The role.
        settings: How; its rate rises over the first 5 % of the updates.
        seed: Of the adapter's start and of the order of the pairs.
        tracker: Gets loss and learning rate of each update.
        start: The shape of a fresh adapter, or a saved one to go on from.
        loss: Per row; None = the answers' mean negative log-likelihood a token.

    Returns:
        steps, loss of the last tenth of the updates, trained tokens.

    Raises:
        TrainingError: the loss is not a number, or there is nothing to learn from.
    """
    import datasets
    import transformers
    import trl

    if not pairs:
        raise TrainingError(f"{name}: no pairs to learn from; check the task files and the counts in the configuration")
    for noisy in ("transformers", "trl", "datasets", "accelerate", "peft"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="(transformers|trl|peft|torch|accelerate)")
    datasets.disable_progress_bars()
    torch.manual_seed(seed)
    if isinstance(start, LoraConfig):
        model = adapters.add(base, base.model, name, start)
    else:
        model = adapters.load(base, base.model, name, start, trainable=True)
    adapters.activate(model, name, trainable=True)
    if loss is not None:  # it compares with what a reference gave, without dropout
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
    rows = [pair if isinstance(pair, Row) else Row(pair[0], [pair[1]]) for pair in pairs]
    longest = max(map(len, rows))
    batch_size, epochs = settings.batch_size, settings.epochs
    micro = max(1, min(batch_size, MICRO_BATCH_TOKENS // longest))
    while batch_size % micro:
        micro -= 1
    steps = epochs * -(-len(pairs) // batch_size)
    checkpoints = folder.with_name(f"{folder.name}.checkpoints")
    arguments = trl.SFTConfig(
        output_dir=str(checkpoints),
        num_train_epochs=epochs,
        learning_rate=settings.learning_rate,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=batch_size // micro,
        gradient_checkpointing=False,
        max_length=None,
        weight_decay=0.0,
        logging_steps=1,
        logging_nan_inf_filter=False,  # it logs another number in place of one that is none
        save_strategy="steps",
        save_steps=max(5, steps // 6),
        save_total_limit=1,
        seed=seed,
        data_seed=seed,
        use_cpu=base.device.type == "cpu",
        bf16=False,
        fp16=False,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # with several it would cut a packed row in as many parts
    data = datasets.Dataset.from_list(
        [
            {"input_ids": list(row.prompt), "answers": [list(one) for one in row.answers], "facts": list(row.facts)}
            for row in rows
        ]
    )
    with progress.bar(name, steps, unit="updates") as bar:
        trainer = _packed_trainer(trl, loss)(
            model=model,
            args=arguments,
            train_dataset=data,
            data_collator=lambda rows: _packed(rows, base, loss is not None),
            processing_class=base.tokenizer,
            callbacks=[_watcher(transformers, tracker, bar)],
        )
        trainer.remove_callback(transformers.PrinterCallback)
        resume = _last_checkpoint(checkpoints)
        if resume is not None:
            bar.advance(int(resume.name.rsplit("-", 1)[-1]), note="resumed")
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    adapters.save(model, name, folder)
    model.unload()
    base.model.eval().requires_grad_(False)
    shutil.rmtree(checkpoints, ignore_errors=True)
    vars(base.model).pop("forward", None)  # the trainer left it there, bound: the base would refer to itself
    del trainer, model
    gc.collect()  # the trainer does, and would hold base and optimiser through the next stage
    if base.device.type == "cuda":
        torch.cuda.empty_cache()
    tail = losses[-max(1, len(losses) // 10) :]
    tokens = epochs * sum(map(len, rows))
    return {"steps": len(losses), "loss": round(sum(tail) / len(tail), 4), "tokens": tokens, "pairs": len(pairs)}


def schedule(done: int, total: int) -> float:
    """Share of the peak learning rate after `done` of `total` updates: up over a twentieth, down by a cosine after.

    No update has the rate zero: a tuning of one update learns.
    """
    warm = total // 20
    if done < warm:
        return (done + 1) / (warm + 1)
    return 0.5 * (1 + math.cos(math.pi * (done - warm) / (total - warm)))


def answer_ids(base: Base, text: str) -> list[int]:
    """Token ids of an answer with the stop token that ends it."""
    stop = base.tokenizer.eos_token_id
    if stop is None:
        raise DataError("the model's tokenizer has no end-of-sequence token; a completion could never end")
    return [*base.encode(text), stop]


def _last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint: the trainer writes trainer_state.json last."""
    found = [path.parent for path in folder.glob("checkpoint-*/trainer_state.json")]
    return max(found, key=lambda path: int(path.name.rsplit("-", 1)[-1]), default=None)


def _packed(rows: Sequence[dict[str, Any]], base: Base, by_row: bool) -> dict[str, Any]:
    """A micro-batch as one packed row. `shift_labels` is what the trainer divides by: as many as there are tokens, or,
    with a loss by row, rows; from `labels` alone it takes one off for each micro-batch.
    """
    packed = pack([(row["input_ids"], row["answers"]) for row in rows], base.device)
    facts = torch.tensor([row["facts"] for row in rows], device=base.device)
    counted = packed.targets[: len(rows)] if by_row else packed.targets
    return {"packed": packed, "facts": facts, "labels": counted, "shift_labels": counted}


def _packed_trainer(trl: Any, loss_of: Loss | None) -> Any:
    """SFTTrainer with the loss of packed rows and `schedule`."""

    class PackedTrainer(trl.SFTTrainer):  # type: ignore[misc]  # made where trl is loaded
        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
                optimizer or self.optimizer, lambda done: schedule(done, num_training_steps)
            )
            return self.lr_scheduler

        def compute_loss(
            self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            if loss_of is None:
                loss = -token_scores(model, inputs["packed"]).logprobs.sum()
            else:
                loss = loss_of(model, inputs["packed"], inputs["facts"]).sum()
            loss = loss / (num_items_in_batch if num_items_in_batch is not None else len(inputs["labels"]))
            return (loss, {}) if return_outputs else loss

    return PackedTrainer


def _watcher(transformers: Any, tracker: Tracker, bar: Any) -> Any:
    """A callback that passes the trainer's log lines on, and stops at a loss that is not a number."""

    class Watcher(transformers.TrainerCallback):  # type: ignore[misc]  # made where transformers is loaded
        def on_log(self, _args: Any, state: Any, _control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
            if logs is None or "loss" not in logs:
                return
            if not math.isfinite(logs["loss"]):
                raise TrainingError(
                    f"{bar.label}: the loss is not a number at update {state.global_step}; lower the learning rate"
                )
            tracker.log(state.global_step, {"loss": logs["loss"], "learning_rate": logs.get("learning_rate", 0.0)})
            bar.advance(1, note=f"loss {logs['loss']:.3f}")

    return Watcher()
