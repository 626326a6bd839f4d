"""What vLLM's server does for rollouts, for tests: adapters come and go, completions are truly decoded."""

import threading
from dataclasses import replace
from pathlib import Path

import torch
from tiny_models import plain_logits

from kohai.models import adapters
from kohai.models.generate import generate


class Decoder:
    """A script for `chat_server.Server`: loads adapters from their folders, and decodes as Kohai does.

    A request's seed stands for one of `keys`, the streams that Kohai's own decoder would draw from at `seed`; where it
    does not, it names a stream by itself.

    `processed`: it tells log-probabilities after temperature. `deaf`: it decodes with the base, whatever it loaded.
    """

    def __init__(self, base, seed, keys=None, processed=False, deaf=False):
        self.processed, self.deaf = processed, deaf
        self.base, self.model = base, base.model
        self.seed, self.keys = seed, keys or {}
        self.loaded = set()
        self.lock = threading.Lock()  # `merged` swaps the weights of one model

    def __call__(self, _number, body):
        """The answer to one request."""
        with self.lock:
            if "lora_path" in body:
                if body["lora_name"] not in self.loaded:
                    self.model = adapters.load(self.base, self.model, body["lora_name"], Path(body["lora_path"]))
                self.loaded.add(body["lora_name"])
                return 200, b"Success"
            if "prompt" not in body:
                found = body["lora_name"] in self.loaded
                self.loaded.discard(body["lora_name"])
                return (200, b"Success") if found else (404, {"error": {"message": "cannot be found", "code": 404}})
            if body["model"] not in self.loaded:
                return 404, {"error": {"message": f"The model `{body['model']}` does not exist.", "code": 404}}
            return 200, {"choices": self.choices(body)}

    def choices(self, body):
        """What was drawn, last one first: their order is said by `index`."""
        base = replace(self.base, stop_ids=tuple(body["stop_token_ids"]))
        with adapters.merged(self.model, None if self.deaf else body["model"]) as plain:
            key = self.keys.get(body["seed"], str(body["seed"]))
            [group] = generate(
                base, plain, [body["prompt"]], n=body["n"], temperature=body["temperature"], seed=self.seed,
                max_new_tokens=body["max_tokens"], batch_tokens=1, keys=[key],
            )  # fmt: skip
            found = []
            for index, one in enumerate(group):
                logprobs = one.logprobs
                if self.processed:
                    logits = plain_logits(base, [*body["prompt"], *one.ids])[len(body["prompt"]) - 1 : -1]
                    scaled = (logits / body["temperature"]).log_softmax(-1)
                    logprobs = scaled.gather(-1, torch.tensor(one.ids)[:, None]).squeeze(-1).tolist()
                reason = "stop" if one.finished else "length"
                logprobs = {"token_logprobs": logprobs, "tokens": ["?"] * len(one.ids)}
                found.append(
                    {"index": index, "text": "", "token_ids": one.ids, "logprobs": logprobs, "finish_reason": reason}
                )
        return found[::-1]
