"""Adapters: merged is the same function as unmerged, the base comes back bit by bit, files are whole or refused."""

import json
from pathlib import Path

import peft
import pytest
import torch
from peft.tuners.lora import LoraLayer
from tiny_models import tiny_base

from kohai.config import LoraConfig
from kohai.errors import ConfigError, DataError
from kohai.models import adapters

IDS = torch.tensor([[40, 41, 42, 43, 44, 45]])
LORA = LoraConfig(r=4, alpha=8.0)


def with_adapters(base, *names, lora=LORA, model=None):
    """The base's model with adapters whose weights are random, not the fresh ones that change nothing."""
    model = base.model if model is None else model
    with torch.random.fork_rng():
        torch.manual_seed(2)
        for name in names:
            model = adapters.add(base, model, name, lora)
            for parameter in adapters.parameters(model, name):
                torch.nn.init.normal_(parameter.data, std=0.2)
    return model


def logits(model):
    with torch.no_grad():
        return model(IDS).logits


def base_weights(model):
    return {name: value.clone() for name, value in model.state_dict().items() if "lora_" not in name}


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_merged_is_unmerged(architecture):
    """Two adapters on one base: merged, each gives what it gives unmerged, within 1e-4; None gives the bare base."""
    base = tiny_base(architecture)
    bare = logits(base.model)
    model = with_adapters(base, "one", "two")
    seen = [bare]
    for name in ("one", "two"):
        adapters.activate(model, name)
        unmerged = logits(model)
        assert all((unmerged - other).abs().max() > 0.1 for other in seen)
        seen.append(unmerged)
        other = "two" if name == "one" else "one"
        adapters.activate(model, other)  # which one is active makes no difference
        with adapters.merged(model, name) as plain:
            torch.testing.assert_close(logits(plain), unmerged, rtol=0, atol=1e-4)
    with adapters.merged(model, None) as plain:
        assert torch.equal(logits(plain), bare)


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_an_adapted_layer_is_its_formula(architecture):
    """Output and gradients of every adapted layer are those of y + s B A x (s = 8 / 4), as the paper writes it."""
    model = with_adapters(tiny_base(architecture), "one")
    adapters.activate(model, "one", trainable=True)
    layers = [module for module in model.modules() if isinstance(module, LoraLayer)]
    assert layers
    for layer in layers:
        down, up = layer.lora_A["one"].weight, layer.lora_B["one"].weight
        x = torch.randn((2, 3, down.shape[1]), requires_grad=True)
        expected = layer.base_layer(x) + 2 * (x @ down.T @ up.T)
        found = layer(x)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
        pull = torch.randn_like(found)
        for ours, theirs in zip(*(torch.autograd.grad(y, (x, down, up), pull) for y in (found, expected)), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-4)


def test_peft_merges_it_too():
    """Peft's own merging, in place or safely, and unmerging: the function stays, within 1e-4."""
    model = with_adapters(tiny_base(), "one")
    adapters.activate(model, "one")
    unmerged = logits(model)
    for is_safe in (False, True):
        model.merge_adapter(safe_merge=is_safe)
        torch.testing.assert_close(logits(model), unmerged, rtol=0, atol=1e-4)
        model.unmerge_adapter()
        torch.testing.assert_close(logits(model), unmerged, rtol=0, atol=1e-4)
    torch.testing.assert_close(logits(model.merge_and_unload()), unmerged, rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", [{"use_dora": True}, {"lora_bias": True}])
def test_an_adapter_from_elsewhere_keeps_its_kind(tmp_path, kind):
    """DoRA's magnitudes and an adapter's bias act after loading as in peft, and merged; then the base is as it was."""
    settings = peft.LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False, task_type="CAUSAL_LM", **kind)
    made = peft.get_peft_model(tiny_base().model, settings, adapter_name="one")
    for key, parameter in made.named_parameters():
        if "magnitude" in key or "lora_B.one.bias" in key:
            parameter.data += 1
    made.save_pretrained(tmp_path)
    base = tiny_base()
    bare = logits(base.model)
    model = adapters.load(base, base.model, "one", tmp_path / "one")
    unmerged = logits(model)
    assert torch.equal(unmerged, logits(made))
    assert (unmerged - bare).abs().max() > 0.1
    with adapters.merged(model, "one") as plain:
        torch.testing.assert_close(logits(plain), unmerged, rtol=0, atol=1e-4)
    with adapters.merged(model, None) as plain:
        assert torch.equal(logits(plain), bare)


def test_targets_by_a_pattern_are_kept(tmp_path):
    """An adapter from elsewhere may say where it is by a regular expression; saved again it loads again."""
    settings = peft.LoraConfig(
        r=2, target_modules=r".*\.layers\.1\..*q_proj", init_lora_weights=False, task_type="CAUSAL_LM"
    )
    made = peft.get_peft_model(tiny_base().model, settings, adapter_name="one")
    expected = logits(made)
    made.save_pretrained(tmp_path)
    base = tiny_base()
    adapters.save(adapters.load(base, base.model, "one", tmp_path / "one"), "one", tmp_path / "again")
    again = tiny_base()
    assert torch.equal(logits(adapters.load(again, again.model, "one", tmp_path / "again")), expected)


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"modules_to_save": ["lm_head"]}, "whole layers of its own"),
        ({"bias": "all"}, "the base's own biases"),
        ({"target_modules": ["q_proj", "embed_tokens"]}, "adapts an embedding"),
        ({"trainable_token_indices": [5]}, "adapts tokens"),
        ({"target_modules": ["lm_head"]}, "an output layer that is the embedding's"),
    ],
)
def test_what_would_be_left_out_is_refused(tmp_path, more, match):
    """An adapter from elsewhere that changes more than linear layers would be trained, and not sampled with."""
    settings = peft.LoraConfig(**({"r": 2, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"} | more))
    peft.get_peft_model(tiny_base().model, settings, adapter_name="one").save_pretrained(tmp_path)
    base = tiny_base()
    base.model.config.tie_word_embeddings = "lm_head" in more.get("target_modules", ())
    with pytest.raises(DataError, match=f"{match}.*, which Kohai does not sample with"):
        adapters.load(base, base.model, "one", tmp_path / "one")


def test_the_base_comes_back():
    """After merging, and after an error inside, every weight is the same bit by bit and the adapter acts again."""
    base = tiny_base()
    model = with_adapters(base, "one")
    adapters.activate(model, "one")
    before, unmerged = base_weights(model), logits(model)
    with adapters.merged(model, "one") as plain:
        changed = [
            name
            for name, value in base_weights(plain).items()
            if not torch.equal(value, before[f"base_model.model.{name}"])
        ]
    assert len(changed) == 14  # seven linear layers in each of two blocks
    with pytest.raises(ZeroDivisionError), adapters.merged(model, "one"):
        raise ZeroDivisionError
    after = base_weights(model)
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert torch.equal(logits(model), unmerged)


def test_merged_where_only_some_layers_are_adapted():
    """A role on the upper layers beside one on all of them: each is merged where it is."""
    base = tiny_base()
    model = with_adapters(base, "all")
    model = with_adapters(base, "upper", model=model, lora=LoraConfig(r=4, alpha=8.0, first_layer=1))
    adapters.activate(model, "upper")
    unmerged = logits(model)
    with adapters.merged(model, "upper") as plain:
        torch.testing.assert_close(logits(plain), unmerged, rtol=0, atol=1e-4)


def test_merged_without_adapters():
    """A plain model is handed out as it is."""
    base = tiny_base()
    with adapters.merged(base.model, None) as plain:
        assert plain is base.model


def test_fresh_adapter_changes_nothing():
    """Until it is trained."""
    base = tiny_base()
    bare = logits(base.model)
    model = adapters.add(base, base.model, "fresh", LORA)
    torch.testing.assert_close(logits(model), bare, rtol=0, atol=0)


def test_only_the_active_one_learns():
    """Gradients reach the weights of the role that trains, no other role's and not the base's."""
    base = tiny_base()
    model = with_adapters(base, "policy", "sft")
    adapters.activate(model, "policy", trainable=True)
    model(IDS).logits.sum().backward()
    learning = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert learning
    assert all(".policy." in name for name in learning)
    assert learning == {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert len(learning) == len(adapters.parameters(model, "policy")) == 28
    adapters.activate(model, "policy")
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_dropout_of_an_adapter_from_elsewhere_draws_nothing(tmp_path):
    """In loops of our own, which train without: a pass again is the same, to the last bit."""
    base = tiny_base()
    model = peft.get_peft_model(base.model, peft.LoraConfig(target_modules=["q_proj"], lora_dropout=0.5), "one")
    torch.nn.init.normal_(adapters.parameters(model, "one")[1], std=0.2)
    model.save_pretrained(tmp_path, selected_adapters=["one"])
    base = tiny_base()
    model = adapters.load(base, base.model, "one", tmp_path / "one", trainable=True)
    adapters.activate(model, "one", trainable=True)
    assert any(isinstance(module, torch.nn.Dropout) for module in model.modules())
    torch.testing.assert_close(logits(model), logits(model), rtol=0, atol=0)


def test_chosen_layers():
    """`first_layer` leaves lower blocks as they are, `modules` names layers; a wrong name lists the right ones."""
    base = tiny_base()
    model = with_adapters(base, "one", lora=LoraConfig(r=4, alpha=8.0, first_layer=1, modules=("q_proj", "v_proj")))
    names = {
        name.split("model.layers.")[1].split(".lora_")[0] for name, _ in model.named_parameters() if "lora_" in name
    }
    assert names == {"1.self_attn.q_proj", "1.self_attn.v_proj"}
    with pytest.raises(ConfigError, match=r"lora\.modules: this model has no qproj; it has .*q_proj"):
        adapters.add(tiny_base(), tiny_base().model, "one", LoraConfig(modules=("qproj",)))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """The folder of a saved adapter."""
    folder = tmp_path / "sft" / "adapter"
    adapters.save(with_adapters(tiny_base(), "other", "sft"), "sft", folder)
    return folder


def test_save_and_load(saved):
    """Weights come back bit by bit, under another role's name too; only the adapter's own two files are written."""
    expected = adapters.parameters(with_adapters(tiny_base(), "other", "sft"), "sft")
    base = tiny_base()
    model = adapters.load(base, base.model, "policy", saved, trainable=True)
    model = adapters.load(base, model, "reward", saved)
    for name in ("policy", "reward"):
        found = adapters.parameters(model, name)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert {path.name for path in saved.iterdir()} - {"README.md"} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    assert [path.name for path in saved.parent.iterdir()] == ["adapter"]


def test_saving_again_replaces(saved):
    """The second adapter takes the first one's place, whole."""
    model = with_adapters(tiny_base(), "sft")
    adapters.save(model, "sft", saved)
    base = tiny_base()
    found = adapters.parameters(adapters.load(base, base.model, "sft", saved), "sft")
    assert all(torch.equal(a, b) for a, b in zip(found, adapters.parameters(model, "sft"), strict=True))
    assert [path.name for path in saved.parent.iterdir()] == ["adapter"]


@pytest.mark.parametrize("damage", ["truncated", "no weights", "no settings", "bad settings", "no folder"])
def test_damaged_adapter(saved, damage):
    """Each is one clear error that names the folder and what to do."""
    weights, settings = saved / "adapter_model.safetensors", saved / "adapter_config.json"
    folder = saved
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "no weights":
        weights.unlink()
    elif damage == "no settings":
        settings.unlink()
    elif damage == "bad settings":
        settings.write_text(settings.read_text()[:40])
    else:
        folder = saved.parent / "nowhere"
    base = tiny_base()
    with pytest.raises(
        DataError, match=r"the adapter does not load .*delete its stage's folder and run again"
    ) as error:
        adapters.load(base, base.model, "sft", folder)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


def test_settings_of_another_shape(saved):
    """Weights that do not fit the settings are refused, not loaded in part."""
    settings = json.loads((saved / "adapter_config.json").read_text())
    (saved / "adapter_config.json").write_text(json.dumps(settings | {"r": 8}))
    base = tiny_base()
    with pytest.raises(DataError, match="the adapter does not load"):
        adapters.load(base, base.model, "sft", saved)
