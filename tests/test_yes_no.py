"""The local yes/no judge: its probabilities are those of plain forward passes, and prefixes are computed once."""

from dataclasses import replace

import pytest
import torch
from tiny_models import ARCHITECTURES, plain_logits, tiny_base

from kohai.config import LoraConfig
from kohai.judge import Case, Criterion
from kohai.judge.prompt import ask, describe
from kohai.models import adapters, yes_no
from kohai.models.yes_no import WORDS, YesNo
from kohai.records import Completion, Execution, Task

CRITERIA = (Criterion("does_task", "Does it do the task?", ("llm",)), Criterion("tidy", "Is it tidy?", ("llm",)))


def cases(n):
    return [
        Case(Task("t", "Print."), Completion("t", i, "", f"print({i})"), "", Execution("ok", "none"), [])
        for i in range(n)
    ]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_probabilities_are_those_of_plain_passes(architecture):
    """Each question asked by itself, from the whole prompt: yes words against no words at the next token."""
    base = tiny_base(architecture)
    done = []
    rows = YesNo(base, base.model).answer(CRITERIA, cases(3), done.append)
    assert sum(done) == 3
    forms = {word: {base.encode(form)[0] for form in forms} for word, forms in WORDS.items()}
    for case, row in zip(cases(3), rows, strict=True):
        for criterion, verdict in zip(CRITERIA, row, strict=True):
            logits = plain_logits(base, base.render(f"{describe(case)}\n\n{ask(criterion)}"))[-1]
            both = forms["yes"] & forms["no"]
            yes, no = (torch.logsumexp(logits[sorted(forms[w] - both)], 0) for w in ("yes", "no"))
            assert verdict.probability == pytest.approx(float(torch.sigmoid(yes - no)), abs=1e-4)
            assert verdict.answer == ("yes" if verdict.probability >= 0.5 else "no")


def test_what_is_shared_is_computed_once(monkeypatch):
    """A case with two questions: the row is little longer than one question's prompt."""
    base = tiny_base()
    seen = []
    real = yes_no.hidden_states
    monkeypatch.setattr(
        yes_no, "hidden_states", lambda plain, packed: seen.append(packed.ids.shape[1]) or real(plain, packed)
    )
    YesNo(base, base.model).answer(CRITERIA, cases(1))
    alone = len(base.render(f"{describe(cases(1)[0])}\n\n{ask(CRITERIA[0])}"))
    assert seen[0] < 1.2 * alone


def test_longer_than_the_model_reads():
    """Unscored, with the reason; the other cases keep their places."""
    base = tiny_base()
    long = replace(cases(1)[0], completion=Completion("t", 0, "", "\n".join(f"print({n})" for n in range(600))))
    done = []
    rows = YesNo(base, base.model).answer(CRITERIA, [cases(1)[0], long, cases(2)[1]], done.append)
    assert [[verdict.answer == "unscored" for verdict in row] for row in rows] == [[False] * 2, [True] * 2, [False] * 2]
    assert rows[1][0].evidence == "longer than the 4096 tokens that the model can read"
    assert sum(done) == 3


def test_adapters_are_left_aside():
    """The bare base answers, whatever adapter its model carries."""
    base = tiny_base()
    [[before]] = YesNo(base, base.model).answer(CRITERIA[:1], cases(1))
    model = adapters.add(base, base.model, "reviewer", LoraConfig(r=4))
    with torch.no_grad():
        for weight in adapters.parameters(model, "reviewer"):
            weight.normal_()
    [[after]] = YesNo(base, model).answer(CRITERIA[:1], cases(1))
    assert after.probability == pytest.approx(before.probability, abs=1e-5)


def test_nothing_asked():
    """No criteria, no verdicts; one criterion works too."""
    base = tiny_base()
    assert YesNo(base, base.model).answer([], cases(2)) == [[], []]
    assert len(YesNo(base, base.model).answer(CRITERIA[:1], cases(2))) == 2
