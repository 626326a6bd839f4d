"""A run's model as a folder: loaded by plain transformers and by peft, it answers as the run's own."""

import json
import shutil

import peft
import pytest
import torch
import transformers
import yaml
from typer.testing import CliRunner

from kohai.cli import app
from kohai.config import LoraConfig, parse_config, to_yaml
from kohai.errors import UserError
from kohai.export import export
from kohai.models import adapters
from kohai.models.base import load_base
from kohai.records import Evaluation, Execution
from kohai.workspace import FORMAT, Workspace, digest_path

PROMPT = "Say hi"
PARTS = ("adapter", "head.safetensors")
OF_RUN = {
    "package": {"path": "some/api"},
    "tasks": {"folder": "tasks"},
    "model": {"name": "tiny-random", "device": "cpu", "dtype": "float32"},
    "prompt": {"system": "Write one program."},
}


def follow(workspace):
    """RL's manifest names a reward model, which is written."""
    workspace.write_text("reward_model/head.safetensors", "a head")
    workspace.write_text("reward_model/adapter/weights", "an adapter")
    manifest = workspace.read_json("rl/manifest.json")
    inputs = {f"reward_model/{name}": digest_path(workspace.path("reward_model", name)) for name in PARTS}
    workspace.write_json("rl/manifest.json", manifest | {"inputs": inputs})


@pytest.fixture
def run(tmp_path):
    """A run whose policy is a random adapter, and its logits for a prompt."""
    folder = tmp_path / "run"
    config = parse_config({"run": str(folder), **OF_RUN})
    workspace = Workspace(folder)
    workspace.write_text("config.yaml", to_yaml(config))
    base = load_base(config.model)
    model = adapters.add(base, base.model, "policy", LoraConfig(r=2, alpha=8.0))
    with torch.no_grad():
        for weight in adapters.parameters(model, "policy"):
            weight.normal_(generator=torch.Generator().manual_seed(len(weight)))
    adapters.save(model, "policy", workspace.path("rl", "policy"))
    with adapters.merged(model, "policy") as plain:
        expected = plain(torch.tensor([base.render(PROMPT)])).logits
    reports = {
        "prepare": {"tasks": {"demo": 3, "test": 2}},
        "feedback": {"judges": ["reviewer"], "rubric": "abc123", "completions": 12, "unscored": 1},
        "reward_model": {"hacks": {"verbosity": {"difference": -0.1, "n": 16}}, "hacks_that_pay": []},
        "rl": {"alarm": "alarm: of 8 probe tasks 3 run", "alarm_answer": "stop", "best_step": 0},
    }
    for stage, report in reports.items():
        workspace.write_json(f"{stage}/manifest.json", {"format": FORMAT, "stage": stage, "report": report})
    follow(workspace)
    inputs = {"rl/policy": digest_path(workspace.path("rl", "policy"))}
    workspace.write_json(
        "evaluate/manifest.json", {"format": FORMAT, "stage": "evaluate", "inputs": inputs, "report": {}}
    )
    runs = {"executability": True, "effect_match": False, "exact_api": None}
    answers = [Evaluation("rlaif", "test", name, "pass", Execution("ok", "none"), runs) for name in "ab"]
    workspace.write_records("evaluate/evaluations.jsonl", answers)
    return folder, expected


def test_a_bias_has_no_place_in_a_merged_model(run, tmp_path):
    """An adapter's bias where the base has none: refused, with nothing written. The adapter alone is exported."""
    folder, _ = run
    base = load_base(parse_config({"run": str(folder), **OF_RUN}).model)
    settings = peft.LoraConfig(
        r=2, target_modules=["q_proj"], lora_bias=True, init_lora_weights=False, task_type="CAUSAL_LM"
    )
    made = peft.get_peft_model(base.model, settings, adapter_name="policy")
    for name, parameter in made.named_parameters():
        if "lora_B.policy.bias" in name:
            parameter.data += 1
    with torch.no_grad():
        expected = made(torch.tensor([base.render(PROMPT)])).logits
    made.save_pretrained(folder / "rl")
    with pytest.raises(UserError, match=r"rlaif cannot be merged \(.*bias.*\): export it without --merged"):
        export(folder, tmp_path / "out", merged=True)
    assert not (tmp_path / "out").exists()
    to = export(folder, tmp_path / "out")
    plain = load_base(parse_config({"run": str(folder), **OF_RUN}).model).model
    torch.testing.assert_close(logits(to, peft.PeftModel.from_pretrained(plain, to)), expected, rtol=1e-4, atol=1e-4)


def logits(folder, model):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": PROMPT}], tokenize=False, add_generation_prompt=True
    )
    with torch.no_grad():
        return model(torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]])).logits


def test_merged(run, tmp_path):
    """Plain transformers reads it; its answers end where Kohai's do."""
    folder, expected = run
    to = export(folder, tmp_path / "out", merged=True)
    model = transformers.AutoModelForCausalLM.from_pretrained(to)
    torch.testing.assert_close(logits(to, model), expected, rtol=1e-4, atol=1e-4)
    assert model.generation_config.eos_token_id == list(load_base(parse_config(_config(folder)).model).stop_ids)
    assert not list(to.glob("adapter*"))


def test_gguf(run, tmp_path):
    """One more file, read by itself; the card says how. On the command line too."""
    folder, expected = run
    to = tmp_path / "out"
    done = CliRunner().invoke(app, ["export", str(folder), "--to", str(to), "--gguf"])
    assert done.exit_code == 0, done.output
    model = transformers.AutoModelForCausalLM.from_pretrained(to, gguf_file="model.gguf")
    torch.testing.assert_close(logits(to, model), expected, rtol=1e-4, atol=1e-4)
    assert (to / "model.safetensors").exists()
    card = (to / "README.md").read_text(encoding="utf-8")
    assert "llama-server --model model.gguf" in card
    assert "gguf" in yaml.safe_load(card.split("---")[1])["tags"]


def test_adapter(run, tmp_path):
    """Peft reads it onto the base; on the command line too."""
    folder, expected = run
    to = tmp_path / "out"
    done = CliRunner().invoke(app, ["export", str(folder), "--to", str(to)])
    assert done.exit_code == 0, done.output
    base = load_base(parse_config(_config(folder)).model)
    model = peft.PeftModel.from_pretrained(base.model, to)
    torch.testing.assert_close(logits(to, model), expected, rtol=1e-4, atol=1e-4)


def test_the_card(run, tmp_path):
    """Data, judges, rubric, hacks, alarm, numbers and limits; and what is not there is said not to be."""
    folder, _ = run
    text = (export(folder, tmp_path / "out", merged=True) / "README.md").read_text(encoding="utf-8")
    head = yaml.safe_load(text.split("---")[1])
    assert head["base_model"] == "tiny-random"
    decoding = json.loads((tmp_path / "out" / "generation_config.json").read_text(encoding="utf-8"))
    assert (decoding["do_sample"], decoding["eos_token_id"]) == (
        False,
        list(load_base(parse_config(_config(folder)).model).stop_ids),
    )
    for part in (
        "greedily",
        "`api`", "demo 3, test 2", "Judges: reviewer", "SHA-256 abc123", "12 completions judged, 1 of them unscored",
        "gate is open", "alarm: of 8 probe tasks", "RLAIF 100.0 %", "of 2 test tasks", "### Test", "## Limits",
        "Write one program.",
    ):  # fmt: skip
        assert part in text, part
    Workspace(folder).path("evaluate", "manifest.json").unlink()
    bare = (export(folder, tmp_path / "bare") / "README.md").read_text(encoding="utf-8")
    assert "not evaluated" in bare


@pytest.mark.parametrize(
    ("report", "why"),
    [
        ({"hacks": {"verbosity": {"n": 9}}, "hacks_that_pay": ["verbosity"]}, "the reward model pays for verbosity"),
        ({"hacks": {"verbosity": {"n": 4}}, "hacks_that_pay": []}, "hacks were tried on 4 honest program(s) alone"),
        ({"hacks": {}, "hacks_that_pay": []}, "no hack was tried on the reward model"),
    ],
)
def test_the_release_gate(run, tmp_path, report, why):
    """A reward model that pays for a hack, or may: its policy is not released unless one says so, and the card tells.
    What did not follow that reward is not stopped.
    """
    folder, _ = run
    workspace = Workspace(folder)
    workspace.write_json("reward_model/manifest.json", {"format": FORMAT, "stage": "reward_model", "report": report})
    given = ["export", str(folder), "--to", str(tmp_path / "out")]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 1
    assert isinstance(done.exception, UserError)
    assert f"the release gate is closed, {why}" in str(done.exception)
    assert not (tmp_path / "out").exists()
    assert CliRunner().invoke(app, [*given, "--ungated"]).exit_code == 0
    assert f"gate is closed: {why}" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    shutil.copytree(folder / "rl" / "policy", folder / "dpo" / "adapter")
    workspace.write_json("dpo/manifest.json", {"format": FORMAT, "stage": "dpo", "report": {}})
    assert "release gate" not in (export(folder, tmp_path / "dpo", "dpo") / "README.md").read_text(encoding="utf-8")
    by_execution = _config(folder) | {"rl": {"reward": "execution"}}
    workspace.write_text("config.yaml", to_yaml(parse_config(by_execution)))
    assert export(folder, tmp_path / "by_execution").exists()


@pytest.mark.parametrize("part", ["reward_model/adapter/weights", "reward_model/head.safetensors"])
def test_another_reward_model_opens_no_gate(run, tmp_path, part):
    """Made after the policy: its hacks are not those of the reward that RL followed."""
    folder, _ = run
    (folder / part).write_text("another", encoding="utf-8")
    with pytest.raises(UserError, match="the reward model is another one than its RL followed; run `kohai rl` again"):
        export(folder, tmp_path / "out")


def test_what_rl_followed_is_in_its_report(run, tmp_path):
    """A configuration that says otherwise since changes nothing of it."""
    folder, _ = run
    workspace = Workspace(folder)
    manifest = workspace.read_json("rl/manifest.json")
    workspace.write_json("rl/manifest.json", manifest | {"report": {"reward": "reward_model"}})
    workspace.path("reward_model", "manifest.json").unlink()
    by_execution = _config(folder) | {"rl": {"reward": "execution"}}
    workspace.write_text("config.yaml", to_yaml(parse_config(by_execution)))
    with pytest.raises(UserError, match="the release gate is closed"):
        export(folder, tmp_path / "out")
    workspace.write_json("rl/manifest.json", manifest | {"report": {"reward": "execution"}})
    workspace.write_text("config.yaml", to_yaml(parse_config(_config(folder) | {"rl": {"reward": "reward_model"}})))
    assert "No judge's" in (export(folder, tmp_path / "out") / "README.md").read_text(encoding="utf-8")


def test_the_card_of_several_rounds(run, tmp_path):
    """RLAIF learned from the feedback of all, and each round's alarm is told; the others from the first one's."""
    folder, _ = run
    workspace = Workspace(folder)
    workspace.write_text("config.yaml", to_yaml(parse_config(_config(folder) | {"rounds": 2})))
    for stage in ("rl", "reward_model", "feedback"):
        shutil.copytree(folder / stage, folder / f"{stage}_2")
    inputs = {f"reward_model_2/{name}": digest_path(folder / "reward_model_2" / name) for name in PARTS}
    second = workspace.read_json("rl/manifest.json") | {"inputs": inputs, "report": {"alarm": "alarm: its second"}}
    workspace.write_json("rl_2/manifest.json", second)
    shutil.copytree(folder / "rl" / "policy", folder / "dpo" / "adapter")
    workspace.write_json("dpo/manifest.json", {"format": FORMAT, "stage": "dpo", "report": {}})
    card = (export(folder, tmp_path / "out") / "README.md").read_text(encoding="utf-8")
    for part in (
        "24 completions judged, 2 of them",
        "In RL, round 1: alarm: of 8",
        "In RL, round 2: alarm: its second",
    ):
        assert part in card
    assert "12 completions judged, 1 of" in (export(folder, tmp_path / "dpo", "dpo") / "README.md").read_text("utf-8")


def test_the_card_is_of_the_arm(run, tmp_path):
    """SFT learned from no judge, and RL's alarm is not its own; numbers of weights that changed since are not shown."""
    folder, _ = run
    for place in ("sft/adapter", "rl_execution/policy"):
        shutil.copytree(folder / "rl" / "policy", folder / place)
        stage = place.partition("/")[0]
        Workspace(folder).write_json(
            f"{stage}/manifest.json", {"format": FORMAT, "stage": stage, "report": {"alarm": "alarm: its own"}}
        )
        arm = (export(folder, tmp_path / stage, stage) / "README.md").read_text(encoding="utf-8")
        assert "No judge's" in arm
        assert "alarm: its own" in arm
        assert "of 8 probe tasks" not in arm
        assert "not evaluated" in arm
    (folder / "rl" / "policy" / "README.md").write_text("changed", encoding="utf-8")
    assert "not evaluated" in (export(folder, tmp_path / "later") / "README.md").read_text(encoding="utf-8")


def test_merged_weights_are_those_that_were_sampled_with(run, tmp_path):
    """In bfloat16, bit by bit."""
    folder, _ = run
    config = _config(folder) | {"model": OF_RUN["model"] | {"dtype": "bfloat16"}}
    Workspace(folder).write_text("config.yaml", to_yaml(parse_config(config)))
    model = transformers.AutoModelForCausalLM.from_pretrained(export(folder, tmp_path / "out", merged=True))
    base = load_base(parse_config(config).model)
    with adapters.merged(adapters.load(base, base.model, "policy", folder / "rl" / "policy"), "policy") as plain:
        expected = {name.replace(".base_layer", ""): weight for name, weight in plain.state_dict().items()}
        assert all(torch.equal(weight, expected[name]) for name, weight in model.state_dict().items())


def test_what_cannot_be_exported(run, tmp_path):
    """An arm without weights, one whose stage has not run, a folder that is there, no run: one error each."""
    folder, _ = run
    for given, match in (
        ((folder, tmp_path / "out", "base"), "no arm with weights"),
        ((folder, tmp_path / "out", "dpo"), "the stage dpo has not run"),
        ((folder, folder), "there already"),
        ((tmp_path / "none", tmp_path / "out"), "the stage rl has not run"),
    ):
        with pytest.raises(UserError, match=match):
            export(*given)
    assert not (tmp_path / "out").exists()


def _config(folder):
    return yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
