"""A run's model as a folder that others load: the adapter in peft's format, or merged into a model of its own, with the
tokenizer, the chat template, and a card that says what it learned from, who judged it, what was measured, and what not.

Plain transformers, vLLM and whatever else reads safetensors load a merged one, llama.cpp the GGUF file beside it where
one was asked for. Leaves out quantised formats.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import transformers
import yaml

from kohai.config import Config, parse_config, read_yaml
from kohai.errors import UserError
from kohai.models import adapters, gguf
from kohai.models.base import DEFAULT, GGUF_SHA256, WHEEL, Base, load_base
from kohai.models.reward import parts
from kohai.report import gather, markdown
from kohai.stages.evaluate import ADAPTERS
from kohai.workspace import Workspace, writing

GGUF = "model.gguf"
WITHOUT_FEEDBACK = ("sft", "rl_execution")
ENOUGH_HACKED = 5  # programs
ARMS = tuple(arm for arm, parts in ADAPTERS.items() if parts is not None)


def export(
    run: Path, to: Path, arm: str = "rlaif", merged: bool = False, as_gguf: bool = False, ungated: bool = False
) -> Path:
    """Writes the folder `to`, whole or not at all.

    Args:
        run: A run's folder.
        to: Where; it must not be there.
        arm: Whose weights, one of `ARMS`.
        merged: Fold the adapter into the base, in the base's precision here; else the adapter alone.
        as_gguf: Merged, and `model.gguf` beside it.
        ungated: Though the release gate is closed; the card says so.

    Raises:
        UserError: no such arm, its stage has not run, `to` is there, the release gate is closed, its adapter cannot be
            merged, or no GGUF file can be written of such a model.
        DataError: the base or the adapter does not load.
    """
    if arm not in ARMS:
        raise UserError(f"{arm!r} is no arm with weights of its own; there are {', '.join(ARMS)}")
    if to.exists():
        raise UserError(f"{to} is there already; give another folder")
    stage, name = ADAPTERS[arm] or ("", "")
    Workspace(run).manifest("prepare")  # says so where another version made the run
    settings = run / "config.yaml"
    config = parse_config(read_yaml(settings, UserError, "a run"), str(settings)) if settings.exists() else None
    workspace = Workspace(run, config.rounds if config is not None else 1)
    if config is None or workspace.manifest(stage) is None:
        missing = workspace.folder_of(stage)
        raise UserError(f"{run}: the stage {missing} has not run, so the arm {arm} has no weights")
    closed = gate(config, workspace, arm)
    if closed and not ungated:
        raise UserError(f"{run}: the release gate is closed, {closed}; --ungated exports {arm} all the same")
    merged = merged or as_gguf
    base = load_base(config.model)
    head = gguf.prepare(base, f"{config.run.name}-{arm}") if as_gguf else None
    model = adapters.load(base, base.model, arm, workspace.path(stage, name))
    with writing(to) as folder:
        folder.mkdir()
        if merged:
            try:
                plain = model.merge_and_unload(safe_merge=True)  # as the run's own sampling merges
            except (RuntimeError, ValueError) as error:  # a bias where the base has none, or a weight that is no number
                raise UserError(
                    f"{run}: {arm} cannot be merged ({error}): export it without --merged and --gguf"
                ) from None
            plain.generation_config = generation_config(base)
            weights = {name: weight.contiguous() for name, weight in plain.state_dict().items()}
            if head:
                gguf.write(head, folder / GGUF, weights, plain.config)
            plain.save_pretrained(folder, state_dict=weights)  # takes the weights out as it writes them
        else:
            adapters.save(model, arm, folder / "adapter")
            for path in (folder / "adapter").iterdir():
                path.rename(folder / path.name)
            (folder / "adapter").rmdir()
        base.tokenizer.save_pretrained(folder)
        (folder / "README.md").write_text(card(config, workspace, arm, merged, as_gguf), encoding="utf-8")
    return to


def generation_config(base: Base) -> transformers.GenerationConfig:
    """As the run measured: the likeliest token, ended as the run ended it, without penalties of the base's own."""
    pad = base.tokenizer.pad_token_id
    return transformers.GenerationConfig(
        bos_token_id=base.tokenizer.bos_token_id,
        eos_token_id=list(base.stop_ids),
        pad_token_id=base.stop_ids[0] if pad is None else pad,
        do_sample=False,
    )


def gate(config: Config, workspace: Workspace, arm: str) -> str:
    """Why the release gate is closed to the arm, or nothing: the reward that its RL followed pays for a hack of honest
    programs, or it is not known whether it does.
    """
    if not _follows_reward_model(config, workspace, arm):
        return ""
    if not all(workspace.is_as_read("rl", part) for part in parts(workspace)):
        return "the reward model is another one than its RL followed; run `kohai rl` again"
    report = _report(workspace, "reward_model") or {}
    if not report.get("hacks"):
        return "no hack was tried on the reward model (reward_model.n_hacked is 0, or no sampled program ran)"
    if (tried := max(found["n"] for found in report["hacks"].values())) < ENOUGH_HACKED:
        return f"hacks were tried on {tried} honest program(s) alone, which tells too little"
    if paying := report["hacks_that_pay"]:
        return f"the reward model pays for {', '.join(paying)}"
    return ""


def _follows_reward_model(config: Config, workspace: Workspace, arm: str) -> bool:
    """By RL's own report: the configuration may be another since."""
    return arm == "rlaif" and (_report(workspace, "rl") or {}).get("reward", config.rl.reward) != "execution"


def card(config: Config, workspace: Workspace, arm: str, merged: bool, as_gguf: bool) -> str:
    """The model card; what is not known of the run is said to be."""
    head = {
        "base_model": _base_name(config),
        "library_name": "transformers" if merged else "peft",
        "pipeline_tag": "text-generation",
        "tags": ["kohai", "code", *([] if merged else ["lora"]), *(["gguf"] if as_gguf else [])],
    }
    sections = {
        "Data": _data(config, workspace),
        "Feedback": _feedback(config, workspace, arm),
        "Numbers": _numbers(workspace, arm),
        "Limits": _limits(config),
        "Use": _use(config, merged, as_gguf),
    }
    kind = "A fine-tuned model" if merged else "An adapter (LoRA)"
    lines = ["---", yaml.safe_dump(head, sort_keys=False).strip(), "---", "", f"# {config.run.name}: {arm}", ""]
    lines += [
        f"{kind} of `{_base_name(config)}` that writes code for one API, trained by Kohai {version('kohai')}.",
        "",
    ]
    for title, paragraphs in sections.items():
        lines += [f"## {title}", "", *paragraphs, ""]
    return "\n".join(lines)


def _data(config: Config, workspace: Workspace) -> Iterator[str]:
    source = config.package.path or config.package.docs
    yield f"- The API: `{source.name if source else ''}`, read as it was when the run was prepared."
    tasks = (_report(workspace, "prepare") or {}).get("tasks", {})
    if tasks:
        yield "- Tasks: " + ", ".join(f"{split} {count}" for split, count in tasks.items()) + "."
        yield "- References of `demo` were learned from; `test` splits were only evaluated."
    yield f"- Seed {config.seed}."


def _base_name(config: Config) -> str:
    """What `from_pretrained` takes: the folder of a model that Kohai made here, else the name."""
    return str(config.model.cache / config.model.name) if config.model.name == DEFAULT else config.model.name


def _feedback(config: Config, workspace: Workspace, arm: str) -> Iterator[str]:
    stage, _ = ADAPTERS[arm] or ("", "")
    rounds = workspace.rounds if arm == "rlaif" else [workspace.of_round(1)]  # the others learned from the first one's
    for one in rounds:
        if alarm := (_report(one, stage) or {}).get("alarm"):
            yield f"- In RL{f', round {one.round}' if len(rounds) > 1 else ''}: {alarm}."
    if arm in WITHOUT_FEEDBACK or (arm == "rlaif" and not _follows_reward_model(config, workspace, arm)):
        yield "- No judge's: it learned from references" + (", and in RL from what ran." if stage != "sft" else ".")
        return
    reports = [report for one in rounds if (report := _report(one, "feedback")) is not None]
    if not reports:
        yield "- Not known: the run's folder has no feedback."
        return
    judges, rubric = ", ".join(reports[-1]["judges"]), config.feedback.rubric.name
    yield f"- Judges: {judges}; rubric `{rubric}`, SHA-256 {reports[-1]['rubric']}."
    judged, unscored = (sum(report[name] for report in reports) for name in ("completions", "unscored"))
    yield f"- {judged} completions judged, {unscored} of them unscored."
    if _follows_reward_model(config, workspace, arm):
        closed = gate(config, workspace, arm)
        is_open = "is open: the reward model pays for none of the hacks tried on honest programs"
        yield f"- The release gate {f'is closed: {closed}' if closed else is_open}."


def _numbers(workspace: Workspace, arm: str) -> Iterator[str]:
    weights = workspace.path(*(ADAPTERS[arm] or ()))
    if not workspace.is_as_read("evaluate", weights):
        yield "These weights were not evaluated."
        return
    text = markdown.render(gather(workspace.of_round(1)))
    yield text.partition("\n")[2].strip().replace("\n## ", "\n### ")


def _limits(config: Config) -> Iterator[str]:
    yield "- It knows the API as it was; apis that are new or changed since need their docs in the prompt."
    yield (
        f"- Prompts had docs as `prompt.docs` = {config.prompt.docs} puts them and up to "
        f"{config.prompt.demonstrations} solved tasks (`prompt.demonstrations`); others are not measured."
    )
    yield "- Its code may do something else than what is asked, or harm: run it where that is no harm, and look at it."
    yield "- The intervals are over tasks of one run; another seed may give other numbers."


def _use(config: Config, merged: bool, as_gguf: bool) -> Iterator[str]:
    if not merged and config.model.name == DEFAULT:
        yield f"Its base is SmolLM2-135M-Instruct as the wheel `{WHEEL}` has it (SHA-256 of the file: {GGUF_SHA256}),"
        yield "which Kohai unpacked into the folder below; `kohai export --merged` writes a model that needs no other."
        yield ""
    yield "```python"
    yield "import transformers" if merged else "import peft, transformers"
    yield ""
    if merged:
        yield 'model = transformers.AutoModelForCausalLM.from_pretrained("this folder")'
    else:
        yield f'base = transformers.AutoModelForCausalLM.from_pretrained("{_base_name(config)}")'
        yield 'model = peft.PeftModel.from_pretrained(base, "this folder")'
    yield 'tokenizer = transformers.AutoTokenizer.from_pretrained("this folder")'
    yield "```"
    yield ""
    if as_gguf:
        yield f"In llama.cpp, `{GGUF}`; tokenizer and chat template are in it, `llama-quantize` makes it smaller:"
        yield ""
        yield "```sh"
        yield f"llama-server --model {GGUF} --jinja"
        yield "```"
        yield ""
    yield "Single answers were measured greedily (`do_sample=False`), without penalties."
    yield "A prompt is one user's message in the chat template, with the docs of the apis it needs: Kohai's command"
    yield '`kohai prompt CONFIG "what is to be done"` prints it for the run\'s configuration. Its first line was:'
    yield ""
    yield f"    {config.prompt.system or '(nothing)'}"


def _report(workspace: Workspace, stage: str) -> Mapping[str, Any] | None:
    manifest = workspace.manifest(stage)
    return None if manifest is None else manifest["report"]
