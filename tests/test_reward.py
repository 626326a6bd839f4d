"""The reward model: the head's numbers, what it reads, and its file."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from tiny_models import tiny_base

from kohai.code import parse
from kohai.config import LoraConfig, parse_config
from kohai.errors import DataError
from kohai.judge.hacks import hacks
from kohai.models import adapters
from kohai.models.packing import pack
from kohai.models.reviewer import mean_logprobs, review, review_group
from kohai.models.reward import RewardHead, findings_of, load_head, save_head, score_programs
from kohai.records import Execution, Feedback, Task, Verdict
from kohai.stages import reward_model
from kohai.stages.reward_model import first_read, rewards_of_hacks
from kohai.verify import CRITERIA
from kohai.workspace import Workspace

CODES = ["print(1)", "", "import math\nprint(math.pi)"]
FINDINGS = [[1.0] * 7, [-1.0] + [0.0] * 6, [1.0, 1.0, -1.0, 0.0, 0.0, 0.0, 0.0]]


def trained_head() -> RewardHead:
    """A head with weights of its own, as if it had been trained."""
    head = RewardHead()
    with torch.no_grad():
        head.scale.fill_(2.0)
        head.weights.copy_(torch.tensor([1.0, -2.0, 0.5, 0.0, 0.0, 3.0, 0.0]))
    return head


def test_head():
    """Scale 2, weights 1, -2, 0.5, 0, 0, 3, 0. Log-probability -1, all yes: -2 + 2.5 = 0.5; -2, parses no: -4 - 1 = -5.

    With mean -0.5 and deviation 2: 0.5 and -2.25. As it starts, the reward is the log-probability itself.
    """
    logprobs, findings = torch.tensor([-1.0, -2.0]), torch.tensor(FINDINGS[:2])
    assert RewardHead()(logprobs, findings).tolist() == [-1.0, -2.0]
    head = trained_head()
    assert head(logprobs, findings).tolist() == [0.5, -5.0]
    head.mean.fill_(-0.5)
    head.deviation.fill_(2.0)
    assert head(logprobs, findings).tolist() == [0.5, -2.25]


def test_findings():
    """In the order of the checks: yes 1, no -1, unscored or not asked 0; other answerers' verdicts are not read."""
    verdicts = [
        Verdict("api_exists", "no", "static"),
        Verdict("parses", "yes", "static"),
        Verdict("grounded", "unscored", "static"),
        Verdict("runs", "yes", "execution"),
    ]
    assert findings_of(verdicts) == [1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0]
    assert len(findings_of([])) == len(CRITERIA)


def test_fit_is_the_least_loss():
    """One feature that differs, d = 2 in 3 pairs of 4 and -2 in one, no margin: sigmoid(2 w) = 3/4, w = ln(3) / 2.

    The ridge of 0.001 moves that by less than 0.02; features that never differ get no weight.
    """
    findings = torch.tensor([[1.0, 1, 1, 0, 0, 0, 0], [1.0, 1, -1, 0, 0, 0, 0]])
    head = RewardHead()
    head.fit(torch.zeros(2), findings, [(0, 1, 0.0, 1.0)] * 3 + [(1, 0, 0.0, 1.0)])
    assert float(head.weights.detach()[2]) == pytest.approx(math.log(3) / 2, abs=0.02)
    others = [float(head.scale.detach()), *head.weights.detach()[[0, 1, 3, 4, 5, 6]].tolist()]
    assert others == pytest.approx([0.0] * 7, abs=1e-6)


def test_fit_wants_its_margin():
    """A margin of 1 in every pair asks for a larger difference than none."""
    findings = torch.tensor([[1.0] * 7, [-1.0] * 7])
    heads = [RewardHead(), RewardHead()]
    for head, margin in zip(heads, (0.0, 1.0), strict=True):
        head.fit(torch.zeros(2), findings, [(0, 1, margin, 1.0)] * 4 + [(1, 0, margin, 1.0)])
    small, large = (float((head.weights @ (findings[0] - findings[1])).detach()) for head in heads)
    assert 0 < small < large


def test_it_starts_as_the_reviewer():
    """An untrained head gives the reviewer's score of each pair."""
    base = tiny_base()
    found = score_programs(base, base.model, RewardHead(), "Say hi", CODES, FINDINGS)
    assert found == pytest.approx(review(base, base.model, [("Say hi", code) for code in CODES]), abs=1e-5)
    assert len({round(reward, 4) for reward in found}) == 3


def test_scores_of_programs():
    """Each reward is the head's of the instruction's mean log-probability, computed on its own, and the findings."""
    base = tiny_base()
    head = trained_head()
    found = score_programs(base, base.model, head, "Say hi", CODES, FINDINGS)
    for reward, code, findings in zip(found, CODES, FINDINGS, strict=True):
        prompt, answers = review_group(base, "Say hi", code)
        with torch.no_grad():
            logits = base.model(torch.tensor([[*prompt, *answers[0]]])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
            mean = logits.gather(-1, torch.tensor(answers[0])[:, None]).mean()
            expected = head(mean[None], torch.tensor([findings]))
        assert reward == pytest.approx(float(expected), abs=1e-4)


@pytest.mark.parametrize("reviews", [None, {}, {"t": [-1.0, -2.0, -3.0]}])
def test_the_reviewers_scores_are_taken_where_it_was_asked(tmp_path, reviews):
    """No file (another judge), an empty one (a rubric that asks no judge): the programs are read; else its scores."""
    base = tiny_base()
    model = adapters.add(base, base.model, "reward", LoraConfig(r=2, alpha=4.0))
    workspace = Workspace(tmp_path)
    if reviews is not None:
        workspace.write_json("feedback/reviews.json", reviews)
    found = first_read(workspace, base, model, {"t": "Say hi"}, {"t": CODES})
    expected = reviews["t"] if reviews else review(base, base.model, [("Say hi", code) for code in CODES])
    assert found["t"].tolist() == pytest.approx(expected, abs=1e-5)


def test_comments_do_not_pay():
    """A comment that quotes the instruction changes nothing; what reads the same is computed once."""
    base = tiny_base()
    codes = ["print(1)", "# Say hi\nprint(1)"]
    rows = []
    hook = base.model.base_model.register_forward_pre_hook(
        lambda _module, _arguments, named: rows.append(len(named["kohai_row"].groups)), with_kwargs=True
    )
    plain, quoting = score_programs(base, base.model, trained_head(), "Say hi", codes, FINDINGS[:1] * 2)
    hook.remove()
    assert plain == quoting
    assert rows == [1]


def test_gradients_reach_adapter_and_head():
    """Rewards of a packed row are a function of the weights that read it, and of the head's."""
    base = tiny_base()
    base.model.requires_grad_(True)
    head = RewardHead()
    packed = pack([review_group(base, "Say hi", code) for code in CODES])
    row = head(mean_logprobs(base.model, packed), torch.tensor(FINDINGS))
    (row[0] - row[1]).backward()
    for weight in (head.scale, head.weights, base.model.get_input_embeddings().weight):
        assert weight.grad is not None
        assert weight.grad.abs().sum() > 0


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """The file of a saved head."""
    head = trained_head()
    head.mean.fill_(0.25)
    head.deviation.fill_(4.0)
    save_head(head, tmp_path / "reward_model" / "head.safetensors")
    return tmp_path / "reward_model" / "head.safetensors"


def test_save_and_load(saved):
    """Weights, mean and deviation come back; nothing else is written."""
    head = load_head(tiny_base(), saved)
    assert torch.equal(head.weights, trained_head().weights)
    assert (head.scale.item(), head.mean.item(), head.deviation.item()) == (2.0, 0.25, 4.0)
    assert not head.training
    assert [path.name for path in saved.parent.iterdir()] == ["head.safetensors"]


@pytest.mark.parametrize("damage", ["truncated", "empty", "missing", "of other weights"])
def test_damaged_head(saved, damage):
    """Each is one clear error that names the file and what to do."""
    if damage == "truncated":
        saved.write_bytes(saved.read_bytes()[:-20])
    elif damage == "empty":
        saved.write_bytes(b"")
    elif damage == "missing":
        saved.unlink()
    else:
        save_file({"scale": torch.ones(())}, saved)
    with pytest.raises(
        DataError, match=r"head\.safetensors: the reward head does not load .*delete its stage's folder"
    ):
        load_head(tiny_base(), saved)


def test_what_hacks_do_to_the_reward(monkeypatch):
    """A reward of one point a line: longer hacks pay, nothing and the empty answer cost; a task without a program that
    ran is left out, as are tasks beyond the number.
    """
    base = tiny_base()
    model = adapters.add(base, base.model, "reward", LoraConfig(r=2, alpha=4.0))
    monkeypatch.setattr(
        reward_model, "score_programs", lambda *given: [float(len(code.splitlines())) for code in given[4]]
    )
    needed = {"run": "r", "package": {"path": "p"}, "tasks": {"folder": "t"}}
    config = parse_config(needed | {"reward_model": {"n_hacked": 2}})
    tasks = {name: Task(name, f"Say {name}") for name in "abcd"}
    codes = {(name, 0): f"print('{name}')" for name in "abcd"}
    kinds = {"a": Execution("ok", "none"), "b": Execution("runtime_error", "program")}
    feedback = [Feedback(name, 0, 0.5, (), kinds.get(name, kinds["a"])) for name in "abcd"]
    checks = SimpleNamespace(check=lambda *_: [], docs=dict.fromkeys("abcd", "say(name): Says it."))
    found = rewards_of_hacks(config, base, model, RewardHead(), tasks, codes, feedback, checks)
    assert found["hacks"]["comment_stuffing"] == {"difference": 3.0, "low": 3.0, "high": 3.0, "n": 2}
    assert found["hacks"]["empty_answer"]["difference"] == -1.0
    assert found["hacks"]["nothing_done"]["difference"] == 0.0
    assert set(found["hacks_that_pay"]) == set(found["hacks"]) - {"empty_answer", "nothing_done"}


def test_hacked_programs():
    """Each parses and does no more than the program did; none is the program."""
    code = "x = 1\nprint(x)"
    found = hacks(code, "Print 'one'\nnow", "print(x): Prints.")
    assert len(found) == 9
    for name, program in found.items():
        assert parse(program) is not None, name
        assert program != code
    assert "Print 'one' now" in found["comment_stuffing"]
    assert "print(x): Prints." in found["copied_docs"]
    assert "except Exception" in found["swallowed_exceptions"]
