"""Adapters: LoRA roles on one frozen base (arXiv 2106.09685, by peft), added, swapped, merged for decoding, saved.

A role's name is its adapter's name: `sft` (also the reference), `policy`, `reviewer`, `reward`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peft
import torch
from peft.tuners.lora import LoraLayer
from peft.tuners.lora.layer import LoraVariant

from kohai.config import LoraConfig
from kohai.errors import ConfigError, DataError
from kohai.models.base import Base
from kohai.workspace import writing

SETTINGS = "adapter_config.json"


class _NarrowScale(LoraVariant):  # type: ignore[misc]
    """y + B(s A x), the sum made by the product with B. peft's own y + s B(A x) scales and adds what is as wide as y, a
    twelfth of a training step on a CPU.
    """

    @staticmethod
    def forward(module: Any, active_adapter: str, x: torch.Tensor, result: torch.Tensor, **_: Any) -> torch.Tensor:
        """x: (..., in); result: (..., out), what the base gives."""
        dropped = module.lora_dropout[active_adapter](x)
        low = module.lora_A[active_adapter](dropped) * module.scaling[active_adapter]
        wide = module.lora_B[active_adapter].weight.to(result.dtype)
        return torch.addmm(result.flatten(0, -2), low.flatten(0, -2).to(result.dtype), wide.t()).view_as(result)

    @staticmethod
    def merge_safe(module: Any, active_adapter: str, orig_weight: torch.Tensor) -> torch.Tensor:
        """As peft merges an adapter without a variant; so do the other two."""
        return orig_weight + module.get_delta_weight(active_adapter).to(orig_weight.dtype)

    @staticmethod
    def merge_unsafe(module: Any, active_adapter: str, orig_weight: torch.Tensor) -> None:
        """In place."""
        orig_weight.data += module.get_delta_weight(active_adapter)

    @staticmethod
    def unmerge(module: Any, active_adapter: str, orig_weight: torch.Tensor) -> torch.Tensor:
        """The weight without it."""
        return orig_weight.data - module.get_delta_weight(active_adapter).to(orig_weight.dtype)


def add(base: Base, model: Any, name: str, config: LoraConfig) -> Any:
    """Adds a fresh adapter (it changes nothing until trained); returns the model that carries it.

    Args:
        base: The base.
        model: `base.model`, or what an earlier `add` or `load` returned.
        name: The role.
        config: Rank, scale, and the lowest layer that is adapted.
    """
    inner = base.model.config
    layers = list(range(config.first_layer, inner.num_hidden_layers)) if config.first_layer else None
    settings = peft.LoraConfig(
        r=config.r,
        lora_alpha=config.alpha,
        target_modules=_linear_names(base.model, config.modules),
        layers_to_transform=layers,
        task_type="CAUSAL_LM",
        lora_dropout=0.0,
        bias="none",
    )
    if isinstance(model, peft.PeftModel):
        model.add_adapter(name, settings)
    else:
        model = peft.get_peft_model(model, settings, adapter_name=name)
    _scale_narrowly(model, name)
    return model


def load(base: Base, model: Any, name: str, folder: Path, trainable: bool = False) -> Any:
    """Adds the adapter saved in `folder` under a role's name.

    Raises:
        DataError: no adapter there, a truncated one, or one that changes more than linear layers.
    """
    if not (folder / SETTINGS).is_file():  # peft would ask the hub for a model of that name
        raise DataError(
            f"{folder}: the adapter does not load (no {SETTINGS} in it); name the folder that holds one, or, where a "
            "run made it, delete its stage's folder and run again"
        )
    try:
        if isinstance(model, peft.PeftModel):
            model.load_adapter(str(folder), adapter_name=name, is_trainable=trainable)
        else:
            model = peft.PeftModel.from_pretrained(model, str(folder), adapter_name=name, is_trainable=trainable)
    except Exception as error:  # peft and safetensors raise many kinds; each means that this is no whole adapter
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{folder}: the adapter does not load ({reason}); delete its stage's folder and run again"
        ) from None
    if problem := _problem_of(base, model.peft_config[name]):
        raise DataError(f"{folder}: the adapter {problem}, which Kohai does not sample with; take another one")
    _scale_narrowly(model, name)
    model.to(base.device).eval()  # loops of our own train without the dropout that it may bring
    return model


def _problem_of(base: Base, settings: Any) -> str:
    """What of an adapter from elsewhere `merged` would leave out or change too; empty where there is nothing."""
    targets = str(getattr(settings, "target_modules", ""))
    is_tied = bool(getattr(base.model.config, "tie_word_embeddings", False))
    problems = {
        "is no LoRA": settings.peft_type != peft.PeftType.LORA,
        "trains the base's own biases": getattr(settings, "bias", "none") != "none",
        "brings whole layers of its own (modules_to_save)": bool(getattr(settings, "modules_to_save", None)),
        "adapts tokens": bool(getattr(settings, "trainable_token_indices", None)),
        "adapts parameters by name (target_parameters)": bool(getattr(settings, "target_parameters", None)),
        "adapts an embedding": any(part in targets for part in ("embed_tokens", "wte", "wpe")),
        "adapts an output layer that is the embedding's": is_tied and "lm_head" in targets,
    }
    return next((problem for problem, is_so in problems.items() if is_so), "")


def _scale_narrowly(model: Any, name: str) -> None:
    """Not where an adapter from elsewhere has a variant of its own (DoRA) or a bias."""
    for layer in model.modules():
        if not isinstance(layer, LoraLayer) or name not in layer.lora_A:
            continue
        if name not in layer.lora_variant and not layer.lora_bias[name]:
            layer.lora_variant[name] = _NarrowScale()


def save(model: Any, name: str, folder: Path) -> None:
    """Writes one adapter in peft's format: whole or absent, and the same bytes for the same weights."""
    with (
        writing(folder) as temporary,
        tempfile.TemporaryDirectory(dir=folder.parent, prefix=".", suffix=".part") as scratch,  # so a kill leaves none
    ):
        model.save_pretrained(scratch, selected_adapters=[name])
        inner = Path(scratch) / name
        made = inner if inner.exists() else Path(scratch)
        (made / "README.md").unlink(missing_ok=True)  # a form that nobody filled in
        settings = made / "adapter_config.json"
        found = json.loads(settings.read_text(encoding="utf-8"))
        if isinstance(found["target_modules"], list):  # of a set: its order differs from process to process
            found["target_modules"].sort()
        settings.write_text(json.dumps(found, indent=1, sort_keys=True), encoding="utf-8")
        made.rename(temporary)
        if not inner.exists():
            Path(scratch).mkdir(exist_ok=True)


def activate(model: Any, name: str, trainable: bool = False) -> None:
    """Makes one role the active one; only where `trainable` do its weights take gradients."""
    model.set_adapter(name)
    for key, parameter in model.named_parameters():
        if "lora_" in key:
            parameter.requires_grad_(trainable and f".{name}." in key)


def parameters(model: Any, name: str) -> list[torch.nn.Parameter]:
    """The weights of one adapter."""
    return [parameter for key, parameter in model.named_parameters() if "lora_" in key and f".{name}." in key]


@contextmanager
def merged(model: Any, name: str | None) -> Iterator[Any]:
    """The plain model with one adapter folded into its weights (None: the bare base), without gradients.

    The weights are swapped, not added to and subtracted from: afterwards the base is what it was, bit by bit.
    """
    if not isinstance(model, peft.PeftModel):
        with torch.inference_mode():
            yield model
        return
    kept: list[tuple[Any, torch.Tensor, Any]] = []
    with torch.no_grad(), model.disable_adapter():
        try:
            for layer in model.modules():
                if name is not None and isinstance(layer, LoraLayer) and name in layer.lora_A:
                    plain = layer.get_base_layer()
                    kept.append((plain, plain.weight.data, plain.bias))
                    plain.weight.data = layer.lora_variant.get(name, _NarrowScale).merge_safe(layer, name, plain.weight)
                    if layer.lora_bias[name]:
                        added = layer.lora_B[name].bias * layer.scaling[name]
                        whole = added if plain.bias is None else plain.bias + added
                        plain.bias = torch.nn.Parameter(whole.to(plain.weight.dtype), requires_grad=False)
            yield model.get_base_model()
        finally:
            for plain, data, bias in kept:
                plain.weight.data, plain.bias = data, bias


def _linear_names(model: Any, wanted: tuple[str, ...]) -> list[str]:
    """Names of the linear layers inside the blocks, all or those `wanted`; the output layer is left out.

    Raises:
        ConfigError: the model has no layer of a wanted name.
    """
    names = {
        path.rsplit(".", 1)[-1]
        for path, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | LoraLayer) or type(module).__name__ == "Conv1D"
        if ".lora_" not in path and not path.endswith(".base_layer")  # the insides of an adapted layer
    } - {"lm_head"}
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise ConfigError(f"lora.modules: this model has no {', '.join(unknown)}; it has {', '.join(sorted(names))}")
    return sorted(wanted or names)
