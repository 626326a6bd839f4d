"""What a larger model costs: an RL step's seconds, decoded tokens a second, peak memory, by a model's shape alone.

Weights are random: their values cost nothing. Each shape in a process of its own, on the GPU where there is one.
"""

import json
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from kohai.bench import Row, load
from kohai.config import ModelConfig
from kohai.models.base import Base, choose_dtype, lay_out_for_cpu, load_base
from kohai.models.generate import generate

SHAPES = {
    "SmolLM2-135M": {
        "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
        "num_key_value_heads": 3, "vocab_size": 49152,
    },
    "Qwen2.5-0.5B": {
        "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14,
        "num_key_value_heads": 2, "vocab_size": 151936,
    },
}  # fmt: skip
RL = load(Path(__file__).with_name("rl.py"), "kohai_bench_rl")


def run() -> list[Row]:
    """Both shapes; 8 prompts of 290 tokens x 4 completions of 48."""
    rows = []
    for name in SHAPES:
        done = subprocess.run([sys.executable, __file__, name], capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        told = f"{name}, {found['weights'] / 1e6:.0f} M weights, {found['dtype']}"
        rows.append(Row(f"{told}: an RL step", "s", value=found["step"]))
        rows.append(Row(f"{told}: decoding", "tokens/s", value=found["decoding"]))
        rows.append(Row(f"{told}: peak memory of the process", "GiB", value=found["memory"]))
        if "gpu_memory" in found:
            rows.append(Row(f"{told}: peak memory of the GPU", "GiB", value=found["gpu_memory"]))
    return rows


def measured(name: str) -> dict[str, float | str]:
    """One shape's numbers."""
    base = shaped(name)
    texts = RL.prompts(base)
    seconds = []
    for seed in range(RL.STEPS):
        started = time.perf_counter()
        generate(base, base.model, texts, n=RL.N, max_new_tokens=RL.NEW_TOKENS, batch_tokens=1_000_000, seed=seed)
        seconds.append(time.perf_counter() - started)
    found: dict[str, float | str] = {
        "weights": float(sum(weight.numel() for weight in base.model.parameters())),
        "dtype": str(base.dtype).removeprefix("torch."),
        "decoding": RL.N_PROMPTS * RL.N * RL.NEW_TOKENS / min(seconds[1:]),
        "step": RL.our_steps(base),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }
    if base.device.type == "cuda":
        found["gpu_memory"] = torch.cuda.max_memory_allocated() / 2**30
    return found


def shaped(name: str) -> Base:
    """A base of that shape without stop tokens, with random weights and the tokenizer of the default one."""
    import transformers

    default = load_base(ModelConfig(device="cpu"))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = choose_dtype(ModelConfig(), device)
    kind = transformers.Qwen2Config if name.startswith("Qwen") else transformers.LlamaConfig
    config = kind(**SHAPES[name], tie_word_embeddings=True, max_position_embeddings=8192)
    with torch.device(device):
        torch.set_default_dtype(dtype)
        model = transformers.AutoModelForCausalLM.from_config(config)
        torch.set_default_dtype(torch.float32)
    model.to(device=device, dtype=dtype).eval().requires_grad_(False)
    if device.type == "cpu":
        lay_out_for_cpu(model)
    return replace(default, model=model, dtype=dtype, device=device, stop_ids=())


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1])))
