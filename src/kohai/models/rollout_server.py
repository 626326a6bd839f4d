"""Rollouts drawn by a vLLM server in place of `generate`, with the policy's weights synchronised before each step.

The policy's adapter is saved into a folder of the run, which the server must see; the server loads it under a name that
changes with the weights (vLLM keeps computed prefixes by an adapter's name), draws, and unloads it. All is stateless: a
killed run leaves the folder, whose name tells the next draw what is still to be unloaded. Nothing of an answer is made
up: one that is late, short, cut or strange ends the run, which goes on from its last checkpoint.

Kohai wants a completion's log-probabilities at temperature 1. vLLM's default gives those (`--logprobs-mode
raw_logprobs`), another mode those after temperature, and its kernels round otherwise than ours: the first task of each
step is scored by the policy itself, and what is too far off is refused.

Interfaces: vLLM's documentation (OpenAI-Compatible Server; LoRA Adapters: dynamically serving, in-place reloading;
Engine Arguments) and its sources of late 2026; run with 0.32.0 on a CPU (tests/test_vllm.py). Leaves out weights other
than an adapter's, and equal rollouts for equal seeds: each request has a seed, but vLLM keeps to it only with
VLLM_BATCH_INVARIANT=1.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import httpx2
import torch
from pydantic import BaseModel, Field, ValidationError

from kohai.config import SamplingConfig, ServerConfig
from kohai.errors import EndpointError
from kohai.http import Endpoint, backoff, passes, retry_after
from kohai.models import adapters
from kohai.models.base import Base
from kohai.models.generate import Sampled, seed_of
from kohai.models.packing import pack
from kohai.models.scoring import token_scores
from kohai.workspace import digest_json, digest_path

MAX_GAP = 0.1  # nats a token; the noise of bfloat16 is a hundredth or two
TRIES = 5
BACKOFF_SECONDS = 0.5
FIELD = "rl.server"


class _Logprobs(BaseModel):
    token_logprobs: list[Annotated[float, Field(allow_inf_nan=False)]]


class _Choice(BaseModel):
    index: int
    token_ids: list[int]
    logprobs: _Logprobs


class _Answer(BaseModel):
    choices: list[_Choice]


def draw(
    base: Base,
    model: Any,
    server: ServerConfig,
    sampling: SamplingConfig,
    prompts: Sequence[Sequence[int]],
    seed: int,
    keys: Sequence[str],
    folder: Path,
) -> tuple[list[list[Sampled]], float]:
    """Draws n completions of each prompt from the adapter `policy`, as `generate` does; and the server's gap.

    Args:
        base: The base (stop tokens).
        model: What carries the adapter.
        server: Where, and how patient.
        sampling: How many, how long, how hot.
        prompts: Token ids.
        seed: Of the random streams.
        keys: Names of the prompts' random streams.
        folder: Holds the adapter while the server needs it; must be seen by the server under the same path.

    Raises:
        EndpointError: nobody answers, the adapter or a call is refused, an answer is not whole, or its
            log-probabilities are not the policy's at temperature 1.
    """
    fixed = {
        "n": sampling.n,
        "max_tokens": sampling.max_new_tokens,
        "temperature": sampling.temperature,
        "stop_token_ids": list(base.stop_ids),
        "ignore_eos": True,  # what ends a completion is said above; the base's files may name more
        "logprobs": 0,  # of the drawn token alone
        "return_token_ids": True,
        # Else the base's generation_config.json, where it has one, decides these.
        "top_p": 1.0,
        "top_k": 0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
    }
    bodies = [
        fixed | {"prompt": list(prompt), "seed": seed_of(f"{seed}/{key}")}
        for prompt, key in zip(prompts, keys, strict=True)
    ]
    client = _Client(server)
    answers = asyncio.run(_answers(client, model, folder.resolve(), bodies))
    results = [_read(client, answer, base, sampling) for answer in answers]
    with adapters.merged(model, "policy") as plain:
        gap = _gap(client, base, plain, prompts[0], results[0], sampling.temperature)
    return results, gap


async def _answers(
    client: _Client, model: Any, folder: Path, bodies: Sequence[dict[str, Any]]
) -> list[httpx2.Response]:
    """One answer a body, from the adapter as it is now."""
    async with client.endpoint.connections(client.config.concurrency) as http:
        for left in folder.glob("kohai-*"):  # by a run that was killed
            await client.unload(http, left.name)
        shutil.rmtree(folder, ignore_errors=True)
        adapters.save(model, "policy", folder / "policy")
        name = f"kohai-{digest_json([str(folder), digest_path(folder / 'policy')])[:16]}"
        path = (folder / "policy").rename(folder / name)
        await client.post(
            http,
            "load_lora_adapter",
            {"lora_name": name, "lora_path": str(path), "load_inplace": True},  # in place: a second try is no error
            f"the server must see the folder {path} (the same machine, or a shared file system), serve this run's "
            "base, and be started with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, --enable-lora and a --max-lora-rank of "
            f"at least {model.peft_config['policy'].r} (docs/scale.md)",
        )
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(client.complete(http, {"model": name} | body)) for body in bodies]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        await client.unload(http, name)
    shutil.rmtree(folder)
    return [task.result() for task in tasks]


class _Client:
    """Calls to the server; each is tried again while what fails may pass."""

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.endpoint = Endpoint(config.base_url, config.key_env, FIELD)
        self._turns = asyncio.Semaphore(config.concurrency)

    async def complete(self, http: httpx2.AsyncClient, body: dict[str, Any]) -> httpx2.Response:
        async with self._turns:
            return await self.post(http, "completions", body, f"check {FIELD} and the server's log")

    async def unload(self, http: httpx2.AsyncClient, name: str) -> None:
        """A server that has no such adapter was started anew, which is as good."""
        await self.post(http, "unload_lora_adapter", {"lora_name": name}, "look at the server's log", fine=(200, 404))

    async def post(
        self, http: httpx2.AsyncClient, path: str, body: dict[str, Any], remedy: str, fine: Sequence[int] = (200,)
    ) -> httpx2.Response:
        """The answer, where its status is fine.

        Raises:
            EndpointError: there is none after all tries, or its status is another; with the remedy.
        """
        failure, wait = "", 0.0
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(max(wait, backoff(BACKOFF_SECONDS, attempt)))
            try:
                async with asyncio.timeout(self.config.timeout_seconds):
                    response = await http.post(self.endpoint.at(path), json=body)
            except (TimeoutError, httpx2.TimeoutException):
                failure, wait = f"no answer within {self.config.timeout_seconds:g} s", 0.0
                continue
            except httpx2.TransportError as error:
                failure, wait = self.endpoint.masked(f"no connection ({type(error).__name__}: {error})"), 0.0
                continue
            if response.status_code in fine:
                return response
            failure, wait = f"status {response.status_code}: {self.endpoint.message(response)}", retry_after(response)
            if response.status_code in (401, 403):
                remedy = self.endpoint.about_key
            if not passes(response.status_code):
                break
        raise self.error(f"{path}: {failure}; {remedy}")

    def error(self, text: str) -> EndpointError:
        return EndpointError(
            f"{FIELD}: {self.endpoint.shown_url}: {text}. The same command goes on from the last checkpoint"
        )


def _read(client: _Client, response: httpx2.Response, base: Base, sampling: SamplingConfig) -> list[Sampled]:
    """A task's completions; each ends with a stop token or has the full length."""
    try:
        choices = sorted(_Answer.model_validate_json(response.content).choices, key=lambda choice: choice.index)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the answer"
        raise client.error(
            f"not a completion with token ids and log-probabilities ({where}: {first['msg']}); vLLM gives them from "
            "0.10.2 on"
        ) from None
    if len(choices) != sampling.n:
        raise client.error(f"{len(choices)} completions in place of {sampling.n}; look at the server's log")
    results = []
    for choice in choices:
        ids, logprobs = choice.token_ids, choice.logprobs.token_logprobs
        if len(ids) != len(logprobs):
            raise client.error(f"{len(logprobs)} log-probabilities of {len(ids)} tokens; look at the server's log")
        end = next((at for at, token in enumerate(ids, 1) if token in base.stop_ids), sampling.max_new_tokens)
        if len(ids) != end:
            raise client.error(
                f"a completion of {len(ids)} tokens that should have {end}: it was cut, or went on behind its end; "
                "check the server's --max-model-len and --generation-config"
            )
        results.append(Sampled(ids, logprobs, ids[-1] in base.stop_ids))
    return results


@torch.no_grad()
def _gap(
    client: _Client, base: Base, plain: Any, prompt: Sequence[int], group: Sequence[Sampled], temperature: float
) -> float:
    """Mean absolute difference, in nats a token, between the server's log-probabilities and the policy's own."""
    packed = pack([(prompt, [one.ids for one in group])], base.device)
    scores = token_scores(plain, packed)
    given = torch.tensor([value for one in group for value in one.logprobs], device=base.device)
    gap = float((scores.logprobs - given).abs().mean())
    cooled = plain.get_output_embeddings()(scores.hidden).float().div_(temperature)
    cooled = cooled.gather(-1, packed.targets[:, None]).squeeze(-1) - cooled.logsumexp(-1)
    gap_cooled = float((cooled - given).abs().mean())
    if gap > MAX_GAP / 100 and gap_cooled < gap / 2:
        raise client.error(
            f"its log-probabilities are those after temperature {temperature:g} ({gap_cooled:.3f} nats a token from "
            f"the policy's own, those before {gap:.3f}); start it with --logprobs-mode raw_logprobs"
        )
    if not gap <= MAX_GAP:
        raise client.error(
            f"its log-probabilities are {gap:.3f} nats a token from the policy's own, more than {MAX_GAP:g}; it must "
            "serve this run's base (model.name), unquantised, in the precision that it is trained in"
        )
    return gap
