"""vLLM itself, where its command is on the PATH (or named by KOHAI_VLLM): rollouts by its server, with the policy's
weights as they are at each step, and an exported model that it serves. `pytest -m vllm`.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
import torch
import transformers
from tiny_models import move, tiny_base

from kohai.config import LoraConfig, SamplingConfig, ServerConfig
from kohai.models import adapters, rollout_server
from kohai.models.base import Base
from kohai.models.generate import generate
from kohai.models.packing import pack
from kohai.models.scoring import token_scores

COMMAND = os.environ.get("KOHAI_VLLM") or shutil.which("vllm")
pytestmark = [pytest.mark.vllm, pytest.mark.skipif(COMMAND is None, reason="no vllm command"), pytest.mark.timeout(900)]
KEY = "key-of-a-test"
HEADERS = {"Authorization": f"Bearer {KEY}"}
PROMPTS = [[40 + i for i in range(30)], [50, 60, 70], [90 + i for i in range(12)]]
SAMPLING = SamplingConfig(n=4, max_new_tokens=24, temperature=0.8)


@pytest.fixture
def base() -> Base:
    """A random Llama of two layers whose heads have a size that vLLM serves, in the precision that it is served in."""
    shape = transformers.LlamaConfig(
        vocab_size=300, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=4096, initializer_range=0.1, bos_token_id=1, eos_token_id=2,
        pad_token_id=0, tie_word_embeddings=False,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = transformers.LlamaForCausalLM(shape).eval().requires_grad_(False).to(torch.bfloat16)
    return replace(tiny_base(), model=model, dtype=torch.bfloat16, stop_ids=tuple(range(0, 300, 12)))


@pytest.fixture
def folder(base, tmp_path) -> Path:
    """It as `kohai export --merged` leaves a model: weights, tokenizer, chat template."""
    to = tmp_path / "model"
    base.model.save_pretrained(to)
    base.tokenizer.save_pretrained(to)
    return to


@contextmanager
def served(folder: Path, *flags: str) -> Iterator[str]:
    """The address of vLLM's server of this model, as docs/scale.md starts it."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    command = [
        str(COMMAND), "serve", str(folder), "--host", "127.0.0.1", "--port", str(port), "--api-key", KEY,
        "--dtype", "bfloat16", "--enforce-eager", "--max-model-len", "1024", *flags,
    ]  # fmt: skip
    told = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
    with (folder.parent / "vllm.log").open("wb") as log:
        child = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | told | {"VLLM_CPU_KVCACHE_SPACE": "1"},
            start_new_session=True,
        )  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}/v1"
            end = time.monotonic() + 600
            while time.monotonic() < end and not answers(url):
                assert child.poll() is None, (folder.parent / "vllm.log").read_text(encoding="utf-8")[-4000:]
                time.sleep(1)
            assert answers(url), "no answer in ten minutes"
            yield url
        finally:
            os.killpg(child.pid, signal.SIGTERM)
            child.wait(timeout=60)


def answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/models", headers=HEADERS).status_code == 200
    except httpx2.TransportError:
        return False


def test_rollouts(base, folder, tmp_path, monkeypatch):
    """Two steps with other weights: the log-probabilities are those of the policy as it is, not as it was; completions
    end as they should; nothing is left behind, nor of a run that was killed while its adapter was loaded.
    """
    monkeypatch.setenv("KOHAI_SERVER_KEY", KEY)
    place = tmp_path / "rollouts"
    model = adapters.add(base, base.model, "policy", LoraConfig(r=4))
    with served(folder, "--enable-lora", "--max-lora-rank", "16", "--logprobs-mode", "raw_logprobs") as url:
        server = ServerConfig(base_url=url, timeout_seconds=300)
        move(model, 1, 0.1)
        first, gap = rollout_server.draw(base, model, server, SAMPLING, PROMPTS, 1, ["a", "b", "c"], place)
        assert gap < 0.05
        assert distance(model, first) < 0.05
        move(model, 2, 0.1)
        assert distance(model, first) > 0.5
        adapters.save(model, "policy", place / "kohai-left")  # as a killed run leaves it
        post(url, "load_lora_adapter", {"lora_name": "kohai-left", "lora_path": str(place / "kohai-left")})
        second, gap = rollout_server.draw(base, model, server, SAMPLING, PROMPTS, 1, ["d", "e", "f"], place)
        assert gap < 0.05
        assert distance(model, second) < 0.05
        assert {one.finished for group in (*first, *second) for one in group} == {True, False}
        assert not place.exists()
        assert names(url) == [str(folder)]


def test_an_exported_model(base, folder):
    """Served by its folder alone, greedy, it answers what Kohai's own decoder does, to the first near-tie."""
    with served(folder) as url:
        expected = generate(base, base.model, PROMPTS, n=1, max_new_tokens=12, batch_tokens=10_000)
        for prompt, (mine,) in zip(PROMPTS, expected, strict=True):
            body = {
                "model": str(folder), "prompt": prompt, "max_tokens": 12, "temperature": 0.0,
                "stop_token_ids": list(base.stop_ids), "return_token_ids": True,
            }  # fmt: skip
            found = post(url, "completions", body).json()["choices"][0]["token_ids"]
            same = next((at for at, pair in enumerate(zip(mine.ids, found, strict=False)) if pair[0] != pair[1]), 12)
            if same < min(len(mine.ids), len(found)):
                with torch.no_grad():
                    row = torch.tensor([[*prompt, *mine.ids[:same]]])
                    logits = base.model(row).logits[0, -1].float()
                assert float(logits[mine.ids[same]] - logits[found[same]]) < 0.1
            else:
                assert mine.ids == found


def post(url: str, path: str, body: dict) -> httpx2.Response:
    return httpx2.post(f"{url}/{path}", json=body, headers=HEADERS, timeout=300).raise_for_status()


def names(url: str) -> list[str]:
    return [one["id"] for one in httpx2.get(f"{url}/models", headers=HEADERS).json()["data"]]


@torch.no_grad()
def distance(model, drawn) -> float:
    """Mean absolute difference, in nats a token, of the server's log-probabilities and those of the policy as it is."""
    told = torch.tensor([value for group in drawn for one in group for value in one.logprobs])
    with adapters.merged(model, "policy") as plain:
        packed = pack([(p, [one.ids for one in group]) for p, group in zip(PROMPTS, drawn, strict=True)])
        return float((token_scores(plain, packed).logprobs.float() - told).abs().mean())
