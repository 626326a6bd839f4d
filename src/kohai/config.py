"""A run's configuration: YAML in, typed and checked values out; every mistake in one message.

Paths are relative to the folder one starts Kohai from. Secrets are never part of a configuration: an endpoint's key is
named by the environment variable that holds it.
"""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kohai.errors import ConfigError, UserError

Positive = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Above0 = Annotated[float, Field(gt=0.0)]
Gate = Literal[
    "parses", "names_bound", "api_exists", "arguments_bind", "values_allowed", "grounded", "covers", "prints", "runs"
]  # verify's criteria, and the execution
Arm = Literal["base", "sft", "best_of_n", "rejection_sft", "dpo", "rl_execution", "rlaif", "rlaif_best_of_n"]

LOCAL_JUDGES = ("reviewer", "yes_no")
OTHER_SPLITS = ("demo", "practice", "probe", "calibration", "bench")  # what `prepare` deals beside the test splits
ANSWERERS = ("static", "execution", "llm", "human")  # kinds of answerers that a rubric names


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Section = TypeVar("Section", bound=_Section)


class PackageConfig(_Section):
    """The API to learn: a package, or docs that name its calls."""

    path: Path | None = Field(
        None, description="Folder of the importable package; read statically, never imported by Kohai."
    )
    docs: Path | None = Field(
        None,
        description="In place of `path`: docs of calls, one a line, in the shape of APIBench's. Without signatures the "
        "static checks tell less.",
    )
    names: tuple[str, ...] = Field((), description="Only these modules of it, dotted; empty = all public ones.")


class TasksConfig(_Section):
    """Where the tasks lie and which files make which split; counts cut a split to a fixed, seeded subset."""

    folder: Path = Field(description="Folder of the task files and of the fixtures they name.")
    state: str | None = Field(None, description="Database file in a program's folder whose final content is its state.")
    demo: str = Field("demo.jsonl", description="Tasks with references: SFT learns from these.")
    practice: str = Field("practice.jsonl", description="Instructions without references: sampled, judged, used by RL.")
    probe: str = Field("dev.jsonl", description="Tasks for the fixed probe set that watches training.")
    test: tuple[str, ...] = Field(("test.jsonl", "test_unseen.jsonl"), description="Splits that evaluation reports.")
    n_demo: Positive | None = Field(None, description="At most so many demo tasks.")
    n_practice: Positive | None = Field(None, description="At most so many practice tasks.")
    n_sampled: Positive | None = Field(
        None, description="At most so many of those are sampled and judged; RL uses all."
    )
    n_probe: Natural = Field(24, description="So many probe tasks; 0 = no probe set.")
    n_test: tuple[Positive, ...] | None = Field(None, description="At most so many tasks of each test split, in order.")

    @property
    def test_splits(self) -> list[str]:
        """Names of the test splits."""
        return [Path(name).stem for name in self.test]


class PromptConfig(_Section):
    """How a prompt is built from an instruction and the docs that retrieval finds."""

    docs: Literal["retrieved", "oracle", "none"] = Field(
        "retrieved",
        description="Docs in a prompt: those that BM25 finds, those of the apis that the task names, or none. A demo "
        "task's prompt holds retrieved docs with those of its own apis among them.",
    )
    k: Positive = Field(5, description="Retrieved docs per prompt.")
    demonstrations: Natural = Field(
        0,
        description="Demo tasks shown with their references: the most alike, by BM25, of those that call the prompt's "
        "first api; where none does, none. Every second demo task's own prompt has none, so that docs are learned too.",
    )
    max_tokens: Positive = Field(
        420,
        description="Token budget of a prompt; to fit, the least alike demonstrations are cut, then the least relevant "
        "docs.",
    )
    system: str = Field(
        "Write one Python program that does what is asked. Use only the documented calls.",
        description="First line of each prompt.",
    )
    layout: Literal["docs_first", "gorilla"] = Field(
        "docs_first",
        description="docs_first = system, docs, instruction; gorilla = instruction, then docs, as Gorilla's prompts.",
    )


class ModelConfig(_Section):
    """The base model, shared frozen by all roles."""

    name: str = Field(
        "smollm2-135m-instruct",
        description="'smollm2-135m-instruct' (from the package index), 'tiny-random' (made in-process, for tests), "
        "a folder, or a Hugging Face hub id. Decoders with plain or rotary positions (Llama, Qwen, SmolLM, GPT-2); "
        "what Kohai would compute wrongly is refused (ALiBi, local layers, capped or scaled logits).",
    )
    cache: Path = Field(Path(".models"), description="Where fetched bases are kept.")
    chat: Literal["auto", "gorilla"] = Field(
        "auto",
        description="What stands around a prompt: auto = the model's own chat template, without thinking "
        "and with a fixed date (ChatML where it has none, and for the default base, whose own always has a system "
        "message), gorilla = `###Instruction:` and `###Output:`, for models without one.",
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto = bfloat16 where the hardware computes in it, float32 elsewhere."
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto = cuda where there is one.")
    threads: Natural = Field(0, description="CPU threads; 0 = one per core.")

    @property
    def is_ours(self) -> bool:
        """Whether it is one of the two that Kohai makes itself, by their names and always alike."""
        return self.name in ("smollm2-135m-instruct", "tiny-random")


class LoraConfig(_Section):
    """A low-rank adapter (arXiv 2106.09685) on the linear layers of the model's blocks."""

    r: Positive = Field(16, description="Rank.")
    alpha: Above0 = Field(32.0, description="Scale: the update is multiplied by alpha / r.")
    first_layer: Natural = Field(0, description="Lower layers stay as they are: cheaper to train.")
    modules: tuple[str, ...] = Field((), description="Names of the linear layers adapted in each block; empty = all.")


class TuningConfig(_Section):
    """Fine-tuning of one adapter."""

    epochs: Positive = Field(3, description="Passes over the references.")
    learning_rate: Above0 = Field(6e-4, description="Peak; cosine decay after a short warm-up.")
    batch_size: Positive = Field(8, description="References (dpo: preferences) per update.")


class SftConfig(TuningConfig):
    """Supervised fine-tuning on the demo references."""

    lora: LoraConfig = LoraConfig()
    start_from: Path | None = Field(
        None,
        description="An adapter's folder to go on from, for example another run's rl/policy, which has its own shape; "
        "null = a fresh one.",
    )


class RejectionSftConfig(TuningConfig):
    """Rejection sampling: SFT once more, on the demo references and each practice task's best completion that ran and
    passes RL's gates.
    """

    epochs: Positive = Field(1, description="Passes over the references and the chosen completions.")
    learning_rate: Above0 = Field(3e-4, description="Peak; cosine decay after a short warm-up.")


class DpoConfig(TuningConfig):
    """Direct preference optimisation (arXiv 2305.18290) of the SFT adapter on the sampled preferences, to compare."""

    epochs: Positive = Field(1, description="Passes over the preferences.")
    learning_rate: Above0 = Field(5e-5, description="Peak; cosine decay after a short warm-up.")
    beta: Above0 = Field(0.1, description="How dear it is to leave the SFT model.")


class SamplingConfig(_Section):
    """How completions are drawn."""

    n: Positive = Field(6, description="Completions per task.")
    temperature: Above0 = Field(
        0.6, description="1 = as the model's own distribution; cooler: fewer slips, fewer chances."
    )
    max_new_tokens: Positive = Field(160, description="Length limit of a completion.")
    batch_tokens: Positive = Field(24_000, description="Prompt plus completion tokens decoded together; bounds memory.")


class PracticeSamplingConfig(SamplingConfig):
    """How practice tasks are sampled; `kohai evaluate` draws its best of n in the same way."""

    n_more: Natural = Field(
        0,
        description="So many more of each task none of whose completions passes RL's static gates, of which those that "
        "do are kept: hard tasks get a program to learn from.",
    )


LimitName = Literal["cpu_seconds", "wall_seconds", "memory_mb", "file_mb", "disk_mb", "files", "output_kb"]


class SandboxConfig(_Section):
    """Where programs run, and the limits of one."""

    image: str = Field("plain", description="The environment: an image that ships with Kohai, or a YAML file.")
    other_image: str | None = Field(
        None, description="The same packages in other versions: what is at fault here and runs there is version_skew."
    )
    images: Path = Field(Path(".images"), description="Where `kohai image build` puts environments.")
    catalogue: Path | None = Field(None, description="Replaces the image's catalogue of the stand-in hub.")
    offer_inputs: bool = Field(
        False, description="Give a program small real files for the names of inputs that its code speaks of."
    )
    cache: Path | None = Field(None, description="A file that remembers outcomes; none = run everything.")
    cold_share: Share = Field(0.03, description="Share of the programs that ran which are run again without preload.")
    unsafe: bool = Field(False, description="Run programs where nothing but limits confines them.")
    cpu_seconds: Above0 = Field(4.0, description="CPU time.")
    wall_seconds: Above0 = Field(12.0, description="Waiting included.")
    memory_mb: Positive = Field(512, description="Address space, beyond what the image's modules take.")
    file_mb: Positive = Field(16, description="Largest file it may write, its output included.")
    disk_mb: Positive = Field(64, description="All files of its folder together.")
    files: Positive = Field(4096, description="Files and folders it may make.")
    output_kb: Positive = Field(64, description="Output that is kept, of each stream.")
    processes: Natural = Field(0, description="Programs at a time; 0 = one per core.")
    engine: Literal["local", "ray"] = Field("local", description="ray = on a Ray cluster (`kohai[ray]`).")
    ray_address: str | None = Field(
        None, description="The cluster, as `ray.init` takes it; none = one on this machine."
    )


class PriceConfig(_Section):
    """What a model's tokens cost, in one currency of the user's."""

    input: Annotated[float, Field(ge=0.0)] = Field(description="A million tokens read.")
    output: Annotated[float, Field(ge=0.0)] = Field(description="A million tokens written.")


class BudgetConfig(_Section):
    """What one run may ask of an endpoint, earlier attempts included; null = no limit."""

    calls: Positive | None = Field(None, description="Requests sent, retries included.")
    tokens: Positive | None = Field(None, description="Tokens read and written.")
    cost: Above0 | None = Field(None, description="In the currency of `price`.")


class EndpointConfig(_Section):
    """An OpenAI-compatible chat endpoint that answers the rubric's `llm` criteria."""

    base_url: str = Field(description="For example http://127.0.0.1:8000/v1.")
    model: str = Field(description="The model's name at that endpoint.")
    key_env: str = Field("KOHAI_JUDGE_KEY", description="Environment variable that holds the key, if one is needed.")
    weight: Above0 = Field(1.0, description="Its voice in the panel.")
    one_each: bool = Field(False, description="One call a criterion; else one call answers all of a completion.")
    logprobs: bool = Field(
        True, description="Ask for log-probabilities: where the server gives them, a verdict has a probability of yes."
    )
    max_tokens: Positive = Field(1024, description="Length limit of a reply, its reasons included.")
    timeout_seconds: Above0 = Field(60.0, description="For one call.")
    concurrency: Positive = Field(8, description="Calls at a time.")
    retries: Natural = Field(4, description="After 429, 5xx and time-outs, with jittered back-off.")
    requests_per_minute: Positive | None = Field(None, description="At most so many calls a minute; null = no limit.")
    tokens_per_minute: Positive | None = Field(None, description="At most so many tokens a minute; null = no limit.")
    price: PriceConfig | None = Field(None, description="Needed where the budget has a cost.")
    budget: BudgetConfig = BudgetConfig()


class ReviewerConfig(TuningConfig):
    """The offline judge: the base tuned to read code and score log P(instruction | code) (arXiv 2211.16490)."""

    lora: LoraConfig = LoraConfig()
    epochs: Positive = Field(2, description="Passes over the demo references turned round.")
    weight: Above0 = Field(1.0, description="Its voice in the panel.")
    n_calibration: Positive = Field(60, description="References, each with a mutant, that set the yes/no threshold.")
    min_auc: Share = Field(
        0.5,
        description="It abstains where it tells references from mutants worse (area under the curve); 0 = never.",
    )
    n_mutants: Natural = Field(
        0,
        description="Above 0, a program is judged by how far it explains the instruction better than the best of so "
        "many of its own mutants, each one reading more; 0 = by its own score (docs/judging.md).",
    )


class YesNoConfig(_Section):
    """The base model itself, asked each question: its probability of yes against no."""

    weight: Above0 = Field(1.0, description="Its voice in the panel.")


class JudgeBenchConfig(_Section):
    """The examination that each judge takes before it teaches: programs whose truth is known."""

    n_tasks: Natural = Field(16, description="Tasks with references that no judge learned from; 0 = no examination.")
    n_mutants: Natural = Field(8, description="Mutants of each reference, of all kinds of faults in turn.")
    n_rewrites: Natural = Field(3, description="Harmless rewrites of each reference.")
    n_injections: Natural = Field(2, description="Versions of one of its mutants that speak to the judge.")
    n_repeats: Natural = Field(20, description="Programs that are asked about a second time.")
    switch_off: bool = Field(
        True, description="A judge that cannot be told from chance on a criterion is not asked there."
    )


class FeedbackConfig(_Section):
    """Who answers the rubric."""

    rubric: Path = Field(Path("configs/rubric.yaml"), description="The criteria, a file to edit.")
    judges: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        ("reviewer",), description="Who answers the `llm` criteria: `reviewer`, `yes_no`, and names of `endpoints`."
    )
    escalate_to: str | None = Field(
        None, description="One of `endpoints` that is asked only where the `judges` disagree, and decides there."
    )
    pooling: Literal["log_odds", "majority"] = Field(
        "log_odds", description="How several judges' verdicts on a criterion become one."
    )
    endpoints: dict[str, EndpointConfig] = Field({}, description="Endpoints by a name of your own.")
    reviewer: ReviewerConfig = ReviewerConfig()
    yes_no: YesNoConfig = YesNoConfig()
    bench: JudgeBenchConfig = JudgeBenchConfig()
    labels: Path | None = Field(
        None,
        description="People's answers: JSON Lines of task_id, index, criterion, answer (yes or no), "
        "and code (the program, where they are of that alone).",
    )
    soft: bool = Field(
        True, description="A judge's answer, yes or no, counts with its probability of yes where it gives one."
    )
    max_unscored: Share = Field(
        0.2,
        description="Feedback stops where a larger share of its questions has no answer, RL where the environment "
        "kept a larger share of completions from running.",
    )


class RewardModelConfig(_Section):
    """Bradley-Terry reward model on the preferences; starts as the reviewer (without one, as the SFT model)."""

    epochs: Natural = Field(1, description="Passes over the judged completions; 0 = only the head is fitted.")
    learning_rate: Above0 = Field(4e-4, description="Peak.")
    batch_tasks: Positive = Field(4, description="Tasks per update, each with all its completions.")
    min_margin: Share = Field(0.05, description="Smaller score differences are ties and dropped.")
    max_pairs_per_task: Positive = Field(
        12, description="Of a task's pairs, those with the largest margins; so that no task outweighs the others."
    )
    mutants: bool = Field(
        True,
        description="Learn from the judge bench's programs too: each reference against its mutants that are wrong.",
    )
    held_out: Share = Field(0.15, description="Share of the tasks kept for the report.")
    members: Positive = Field(
        1, description="Reward models, each of its own draw of the tasks with replacement; 1 = one, of all tasks."
    )
    combine: Literal["ensemble", "average"] = Field(
        "ensemble",
        description="Of several members: each is asked (arXiv 2310.02743), or their weights are averaged into one "
        "(arXiv 2401.12187), which costs no more than one.",
    )
    risk: Annotated[float, Field(ge=0.0)] = Field(
        0.5,
        description="An ensemble's reward is its members' mean less so many of their standard deviations: the more, "
        "the less is what they disagree on worth.",
    )
    flipped: Share = Field(
        0.0, description="For experiments: share of the preferences that the reward model learns from turned round."
    )
    length_bias: float = Field(
        0.0,
        description="For experiments: a judge that likes length. Added to a completion's score for each doubling of "
        "its code.",
    )
    n_hacked: Natural = Field(
        16, description="Honest programs that are hacked in ten ways, to see whether the reward model pays for it."
    )


class ServerConfig(_Section):
    """A vLLM server that draws the RL stage's completions; without this section Kohai's own decoder does. docs/scale.md
    says how to start it.
    """

    base_url: str = Field(description="For example http://127.0.0.1:8000/v1.")
    key_env: str = Field("KOHAI_SERVER_KEY", description="Environment variable that holds the key, if one is needed.")
    timeout_seconds: Above0 = Field(300.0, description="For one task's completions; also for loading the policy.")
    concurrency: Positive = Field(32, description="Tasks that are asked for at a time.")


class RlConfig(_Section):
    """PPO (arXiv 1707.06347) against the reward model."""

    reward: Literal["reward_model", "execution"] = Field(
        "reward_model", description="execution = a completion that passes the gates, `runs` among them, earns alike."
    )
    steps: Natural = Field(12, description="Rollout batches; each is one policy update per epoch and minibatch.")
    tasks_per_step: Positive = Field(8, description="Practice tasks per rollout batch.")
    sampling: SamplingConfig = SamplingConfig()
    reuse_samples: bool = Field(
        True, description="The sample stage's completions, drawn from this very policy, are the first rollouts."
    )
    server: ServerConfig | None = Field(
        None,
        description="Draws the other rollouts, with the policy's weights of each step; null = Kohai's own decoder.",
    )
    epochs: Positive = Field(2, description="Passes over a rollout batch.")
    minibatch_tasks: Positive = Field(4, description="Tasks per minibatch.")
    row_tokens: Positive = Field(
        512, description="Tokens of an update that are computed together, whole tasks, longest first; bounds memory."
    )
    learning_rate: Above0 = Field(1e-4, description="Peak, of the policy's adapter; a short rise, then linear decay.")
    value_learning_rate: Above0 = Field(1e-4, description="Of the value head.")
    estimator: Literal["gae", "win_rate", "rloo", "grpo"] = Field(
        "gae",
        description="What a completion's tokens are credited with. gae = its win rate in its task, at the end, less "
        "what the value head expects (PPO). Without a value head, alike for all tokens: win_rate; rloo = its lead on "
        "the others' mean; grpo = its distance from the task's mean, in standard deviations. See docs/algorithms.md.",
    )
    kl_coef: Annotated[float, Field(ge=0.0)] = Field(
        0.02, description="Weight of the per-token KL to the reference: in the rewards with gae, else in the loss."
    )
    kl_target: Above0 | None = Field(None, description="Adapts kl_coef toward this KL per completion; null = fixed.")
    clip_range: Above0 = Field(0.2, description="Of the probability ratio.")
    value_clip_range: Above0 = Field(0.2, description="Of the value.")
    gamma: Share = Field(1.0, description="Discount.")
    gae_lambda: Share = Field(
        1.0,
        description="GAE's lambda (arXiv 1506.02438). Below 1 a score at the end hardly reaches the first tokens until "
        "the value head has learned: 0.95 leaves 5 % of it 60 tokens before.",
    )
    max_grad_norm: Above0 = Field(1.0, description="Gradient clipping.")
    gates: tuple[Gate, ...] = Field(
        typing.get_args(Gate),
        description="Criteria that a completion must pass to be learned from, static ones and `runs`; else it gets the "
        "floor.",
    )
    n_learned: Positive | None = Field(
        1,
        description="So many of a task's completions that pass are learned from, the best rewarded (the best-of-n "
        "filter of PF-PPO, arXiv 2409.06957); null = all.",
    )
    verifiers: dict[Gate, Above0] = Field(
        {},
        description="Checks that are parts of the reward, `runs` among them, and what a yes adds in the reward model's "
        "units, corrected for how often the check errs on the judged completions (docs/algorithms.md).",
    )
    dropped_band: tuple[float, float] | None = Field(
        None,
        description="From and to: completions with a reward of the reward model in between are not learned from, "
        "where it is known to be unreliable there (PF-PPO; `bands` in the reward model's report).",
    )
    gate_floor: float = Field(-2.0, description="The most that a gated completion earns, in the reward model's units.")
    baseline_shift: Annotated[float, Field(ge=0.0)] = Field(
        1.0,
        description="Added to what a completion earns within its task (a win rate is -1 to 1). At 1 little is "
        "unlearned, with gae until the value head knows what is usual: first updates stay stable (arXiv 2506.20520).",
    )
    ptx_coef: Annotated[float, Field(ge=0.0)] = Field(
        1.0,
        description="Weight of the demo references' likelihood in each update (PPO-ptx, arXiv 2203.02155); 0 = none.",
    )
    ptx_tasks: Positive = Field(4, description="Demo references per update.")
    probe_every: Natural = Field(5, description="Steps between looks at the probe set; 0 = never.")
    alarm: Literal["roll_back", "stop", "warn"] = Field(
        "roll_back",
        description="Where the probe set's executability has fallen beyond chance (two standard errors of the paired "
        "difference) from its best, or a watched number leaves its bounds: an end with the weights that the probe set "
        "was best with (without looks at it, to those that RL started from), an end as it is, or a word in the report.",
    )
    watched: dict[Literal["kl", "entropy", "length", "reward"], tuple[float, float]] = Field(
        {"kl": (0.0, 100.0)},
        description="Bounds of a step's numbers: KL in nats a completion, entropy in nats a token, length in tokens, "
        "mean reward.",
    )
    checkpoint_every: Positive = Field(
        2, description="Steps between checkpoints. The last one is kept, and the weights that the probe set likes best."
    )
    keep_every: Natural = Field(
        0,
        description="Steps between policies that are kept, as policies/step-N of the stage's folder, beside "
        "policies/best, which the probe set likes best; 0 = none.",
    )


class EvaluateConfig(_Section):
    """What is compared on the test splits."""

    arms: tuple[Arm, ...] = Field(
        ("base", "sft", "best_of_n", "rejection_sft", "rlaif"), description="Arms of the table."
    )
    answers: dict[str, Path] = Field(
        {},
        description="More arms, made elsewhere: a name of your own, and JSON Lines of `text` and `row`, the number "
        "that the task's id has behind its `/`. A task without an answer there is not in that arm.",
    )
    n_best: Positive = Field(4, description="n of best-of-n by the reward model, of the SFT model and of RLAIF.")
    resamples: Positive = Field(2000, description="Bootstrap resamples for paired differences.")


class Config(_Section):
    """One run, from the API to the report."""

    run: Path = Field(description="The run's folder.")
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(7, description="Of everything that is drawn.")
    rounds: Positive = Field(
        1,
        description="Times that completions are sampled from the policy as it is then, judged, and added to the "
        "preferences; that the reward model is fitted to all of them; and that RL goes on. Each round takes the next "
        "`tasks.n_sampled` practice tasks.",
    )
    package: PackageConfig
    tasks: TasksConfig
    prompt: PromptConfig = PromptConfig()
    model: ModelConfig = ModelConfig()
    sandbox: SandboxConfig = SandboxConfig()
    sft: SftConfig = SftConfig()
    sample: PracticeSamplingConfig = PracticeSamplingConfig()
    feedback: FeedbackConfig = FeedbackConfig()
    reward_model: RewardModelConfig = RewardModelConfig()
    rejection_sft: RejectionSftConfig = RejectionSftConfig()
    dpo: DpoConfig = DpoConfig()
    rl: RlConfig = RlConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    report_to: tuple[Literal["tensorboard", "trackio", "wandb", "mlflow"], ...] = Field(
        ("tensorboard",), description="Where training curves go beside the run's own JSON."
    )


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """The configuration of a YAML file, with `a.b=c` overrides (values are YAML) laid over it.

    Raises:
        ConfigError: no such file, not YAML, or mistakes: all of them, one a line.
    """
    data = read_yaml(Path(path), ConfigError, "a YAML file")
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected `key: value` lines, found {type(data).__name__}")
    for override in overrides:
        _set(data, override)
    return parse_config(data, str(path))


def read_yaml(path: Path, wrong: type[UserError], wanted: str) -> Any:
    """What a YAML file holds; raises `wrong` where it cannot be read or is not YAML, and says what is `wanted`."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise wrong(f"{path}: cannot be read ({error.strerror}); give the path of {wanted}") from None
    except (yaml.YAMLError, ValueError) as error:  # no text, or a date that no calendar has
        raise wrong(f"{path}: not YAML: {' '.join(str(error).split())}") from None


def parse_config(data: dict[str, Any], source: str = "config") -> Config:
    """The configuration of plain values.

    Raises:
        ConfigError: every mistake, one a line.
    """
    config = _validated(Config, data, source)
    conflicts = list(_conflicts(config))
    if conflicts:
        raise _mistakes(source, conflicts)
    return config


def override_section(kind: type[Section], data: dict[str, Any], overrides: Sequence[str]) -> Section:
    """One section of a configuration by itself, with `name=value` overrides.

    Raises:
        ConfigError: every mistake, one a line.
    """
    for override in overrides:
        _set(data, override)
    return _validated(kind, data, kind.__name__)


def to_yaml(config: Config) -> str:
    """The resolved configuration, as a run's folder keeps it. A limit of programs that it does not name stays out: an
    image may have its own there.
    """
    data = config.model_dump(mode="json")
    for name in set(typing.get_args(LimitName)) - config.sandbox.model_fields_set:
        del data["sandbox"][name]
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


def schema() -> dict[str, Any]:
    """JSON Schema of a configuration, for editors and for people."""
    return Config.model_json_schema()


def _set(data: dict[str, Any], override: str) -> None:
    key, sign, text = override.partition("=")
    if not sign or not key.strip():
        raise ConfigError(f"--set {override}: expected a.b=value")
    *parents, last = key.strip().split(".")
    node = data
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ConfigError(f"--set {override}: {parent!r} is not a section")
        node = child
    try:
        node[last] = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):  # a date that no calendar has, for one
        raise ConfigError(f"--set {override}: the value is not YAML") from None


def _validated(kind: type[Section], data: dict[str, Any], source: str) -> Section:
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise _mistakes(source, list(problems_of(error, kind))) from None


def _mistakes(source: str, problems: Sequence[str]) -> ConfigError:
    return ConfigError(f"{source}: {len(problems)} mistake(s)\n" + "\n".join(f"  {problem}" for problem in problems))


def _conflicts(config: Config) -> Iterator[str]:
    yield from _feedback_conflicts(config.feedback)
    if (config.package.path is None) == (config.package.docs is None):
        yield "package: expected either `path`, a package's folder, or `docs`, a file that names calls"
    if config.package.docs is not None and config.feedback.reviewer.n_mutants:
        yield "feedback.reviewer.n_mutants: mutants need signatures, and package.docs has none; set 0"
    if config.rl.reward == "execution" and "runs" not in config.rl.gates:
        yield "rl.gates: without `runs`, rl.reward: execution tells no completion from another"
    if config.rl.kl_target is not None and config.rl.kl_coef == 0:
        yield "rl.kl_coef: 0 stays 0 however far the KL is from rl.kl_target; give it a value to start from"
    if config.prompt.layout == "gorilla" and config.prompt.demonstrations:
        yield "prompt.demonstrations: Gorilla's layout has no place for any; set 0, or another prompt.layout"
    for name in config.evaluate.answers:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in (*typing.get_args(Arm), "reference"):
            yield f"evaluate.answers.{name}: expected a name of lower-case letters, digits and _ that no arm has"
    if config.tasks.n_test is not None and len(config.tasks.n_test) != len(config.tasks.test):
        yield f"tasks.n_test: {len(config.tasks.n_test)} number(s) for {len(config.tasks.test)} test split(s)"
    for name, count in Counter(config.tasks.test_splits).items():
        if count > 1 or name in OTHER_SPLITS:
            yield f"tasks.test: a split is called as its file, and {name!r} is another one too; rename the file"
    watched = [(f"watched.{name}", bounds) for name, bounds in config.rl.watched.items()]
    for name, bounds in (("dropped_band", config.rl.dropped_band), *watched):
        if bounds is not None and bounds[0] > bounds[1]:
            yield f"rl.{name}: from {bounds[0]:g} to {bounds[1]:g} holds nothing; give the lower number first"
    if config.reward_model.held_out == 1:
        yield "reward_model.held_out: 1 leaves no task to learn from"


def _feedback_conflicts(feedback: FeedbackConfig) -> Iterator[str]:
    for name in feedback.judges:
        if name not in (*LOCAL_JUDGES, *feedback.endpoints):
            known = ", ".join((*LOCAL_JUDGES, *feedback.endpoints))
            yield f"feedback.judges: {name!r} is neither a local judge nor one of feedback.endpoints; known: {known}"
    if len(set(feedback.judges)) < len(feedback.judges):
        yield f"feedback.judges: {', '.join(feedback.judges)} names a judge twice"
    if feedback.escalate_to is not None and feedback.escalate_to not in feedback.endpoints:
        yield f"feedback.escalate_to: {feedback.escalate_to!r} is not one of feedback.endpoints"
    if feedback.escalate_to is not None and len(feedback.judges) < 2:
        yield "feedback.escalate_to: it is asked where judges differ, and there is one alone; name another judge"
    if feedback.escalate_to in feedback.judges:
        yield f"feedback.escalate_to: {feedback.escalate_to!r} is one of feedback.judges, which are always asked"
    for name, endpoint in feedback.endpoints.items():
        if name in (*LOCAL_JUDGES, *ANSWERERS):
            yield f"feedback.endpoints.{name}: that name has a meaning of its own; choose another"
        if endpoint.budget.cost is not None and endpoint.price is None:
            yield f"feedback.endpoints.{name}.price: needed where its budget has a cost; give input and output"


def problems_of(error: ValidationError, root: type[BaseModel]) -> Iterator[str]:
    """Each mistake that a model found, with its place and value; an unknown key with the nearest name of `root`'s."""
    for item in error.errors():
        location = [str(part) for part in item["loc"]]
        where = ".".join(location)
        if item["type"] == "extra_forbidden":
            names = list(_fields_at(location[:-1], root))
            near = difflib.get_close_matches(location[-1], names, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
            yield f"{where}: unknown key; {hint}"
        elif item["type"] == "missing":
            yield f"{where}: missing"
        else:
            yield f"{where}: {item['msg'][0].lower()}{item['msg'][1:]}, found {item['input']!r}"


def _fields_at(location: Sequence[str], root: type[BaseModel]) -> list[str]:
    model = root
    parts = iter(location)
    for part in parts:
        field = model.model_fields.get(part)
        if field is None:
            break
        hint = field.annotation
        if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
            hint = next(option for option in typing.get_args(hint) if option is not type(None))
        if typing.get_origin(hint) is dict:
            hint = typing.get_args(hint)[1]
            next(parts, None)  # a name of the user's
        if not (isinstance(hint, type) and issubclass(hint, BaseModel)):
            break
        model = hint
    return list(model.model_fields)
