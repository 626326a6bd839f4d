"""Budget, rates, breaker and soft verdicts of an endpoint judge, against a real server on the loopback address."""

import asyncio
import itertools
import json
import math
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from chat_server import always, chat

from kohai.config import EndpointConfig, load_config
from kohai.errors import BudgetError
from kohai.judge import Case, Criterion
from kohai.judge.client import Token
from kohai.judge.endpoint import EndpointJudge
from kohai.judge.limits import Breaker
from kohai.judge.soft import probability_of_yes
from kohai.ledger import Ledger, Usage
from kohai.records import Completion, Execution, Task
from kohai.stages import feedback
from kohai.workspace import Workspace

DOES_TASK = Criterion("does_task", "Does it do the task?", ("llm",))
TIDY = Criterion("tidy", "Is it tidy?", ("llm",))
YES = json.dumps({"does_task": {"reason": "It does.", "answer": "yes"}})


def cases(n):
    return [
        Case(Task("t", "Print."), Completion("t", i, "", f"print({i})"), "", Execution("ok", "none"), [])
        for i in range(n)
    ]


def judge_at(server, ledger=None, backoff_seconds=0.01, **settings):
    config = {"base_url": server.url, "model": "big", "timeout_seconds": 5.0, "retries": 2, "concurrency": 4} | settings
    return EndpointJudge("senior", EndpointConfig(**config), ledger, backoff_seconds=backoff_seconds)


def test_a_budget_of_calls_is_exact_and_resumes_when_raised(serve, tmp_path):
    """Seven calls and not one more, retries counted; what arrived is kept; the raised budget asks for the rest only."""
    server = serve(lambda number, body: (500, {}) if number == 2 else (200, chat(YES)))
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        with pytest.raises(
            BudgetError, match=r"judge senior: .* \(7 calls.*raise feedback\.endpoints\.senior\.budget\.calls"
        ):
            judge_at(server, ledger, budget={"calls": 7}).answer([DOES_TASK], cases(20))
        assert (len(server.requests), len(ledger)) == (7, 6)
        with pytest.raises(BudgetError):
            judge_at(server, ledger, budget={"calls": 7}).answer([DOES_TASK], cases(20))
        assert len(server.requests) == 7
        raised = judge_at(server, ledger, budget={"calls": 30})
        assert all(row[0].answer == "yes" for row in raised.answer([DOES_TASK], cases(20)))
        assert len(server.requests) == 7 + 14
        assert raised.report()["calls"] == 21


def test_a_budget_of_money_is_never_passed(serve, tmp_path):
    """Each call costs 100 tokens in and 10 out: 100e-6 + 20e-6. A dear reply that might come is held back for each."""
    server = serve(always(200, chat(YES, usage=(100, 10))))
    price = {"input": 1.0, "output": 2.0}
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        judge = judge_at(server, ledger, price=price, max_tokens=100, budget={"cost": 0.004})
        with pytest.raises(BudgetError, match=r"budget\.cost"):
            judge.answer([DOES_TASK], cases(200))
        found = judge.report()
    assert found["calls"] == len(server.requests) == len({body["messages"][1]["content"] for body in server.requests})
    assert found["cost"] == pytest.approx(len(server.requests) * 120e-6)
    assert 0.5 * 0.004 < found["cost"] <= 0.004


def test_calls_wait_for_a_budget_in_each_round(serve):
    """Room for few calls at once, asked twice: both rounds wait, none ends."""
    judge = judge_at(
        serve(always(200, chat(YES, usage=(10, 1)))), max_tokens=100, concurrency=8, budget={"tokens": 8000}
    )
    for first in (0, 20):
        rows = judge.answer([DOES_TASK], cases(first + 20)[first:])
        assert all(row[0].answer == "yes" for row in rows)


def test_calls_that_a_kill_cut_off_count_as_the_most_they_may_have_cost(serve, tmp_path):
    """Two calls hang in the server when the process dies; what they may have used is in the ledger."""
    server = serve(lambda number, body: None)
    source = """
import sys
sys.path.insert(0, "tests")
from test_limits import DOES_TASK, EndpointConfig, EndpointJudge, Ledger, cases
config = EndpointConfig(base_url=sys.argv[1], model="big", concurrency=2, max_tokens=100)
EndpointJudge("senior", config, Ledger(sys.argv[2])).answer([DOES_TASK], cases(2))
"""
    path = tmp_path / "ledger.sqlite"
    child = subprocess.Popen([sys.executable, "-c", source, server.url, str(path)])
    while len(server.requests) < 2 and child.poll() is None:
        time.sleep(0.02)
    child.kill()
    child.wait()
    with Ledger(path) as ledger:
        spent = judge_at(server, ledger).report()
    assert (spent["calls"], spent["output_tokens"]) == (2, 200)
    assert spent["input_tokens"] > 200


def test_a_budget_of_tokens_without_a_price(serve):
    """The server's own count is what is spent."""
    judge = judge_at(serve(always(200, chat(YES, usage=(900, 100)))), max_tokens=100, budget={"tokens": 10_000})
    with pytest.raises(BudgetError, match=r"budget\.tokens"):
        judge.answer([DOES_TASK], cases(40))
    found = judge.report()
    assert found["input_tokens"] + found["output_tokens"] == 1000 * found["calls"] <= 10_000


def test_calls_under_way_are_waited_for(serve, tmp_path):
    """The budget ends while two calls hang in the server: their answers are kept."""

    def script(number, body):
        time.sleep(0.3)
        return 200, chat(YES)

    server = serve(script)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        with pytest.raises(BudgetError):
            judge_at(server, ledger, concurrency=3, budget={"calls": 2}).answer([DOES_TASK], cases(9))
        assert (len(server.requests), len(ledger)) == (2, 2)


def test_a_verdict_tells_what_it_cost(serve):
    """1000 tokens in at 3 a million, 100 out at 15: 0.0045, shared by two criteria; a remembered one costs nothing."""
    both = json.dumps({name: {"reason": "", "answer": "yes"} for name in ("does_task", "tidy")})
    judge = judge_at(serve(always(200, chat(both, usage=(1000, 100)))), price={"input": 3.0, "output": 15.0})
    [row] = judge.answer([DOES_TASK, TIDY], cases(1))
    assert [verdict.cost for verdict in row] == [pytest.approx(0.00225)] * 2
    assert all(0 < verdict.seconds < 5 for verdict in row)


def test_a_dry_run_asks_nothing_and_knows_what_is_remembered(serve, tmp_path):
    """Two of five are known; the rest is estimated within what it may use at most."""
    server = serve(always(200, chat(YES)))
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        judge_at(server, ledger).answer([DOES_TASK], cases(2))
        judge = judge_at(server, ledger, price={"input": 1.0, "output": 1.0}, max_tokens=100)
        found = judge_at(server, ledger, price={"input": 1.0, "output": 1.0}).estimate([DOES_TASK], cases(5))
    assert len(server.requests) == 2
    assert (found.calls, found.known, found.expected.calls) == (5, 2, 3)
    assert 0 < found.expected_cost < found.most_cost
    assert found.most.input_tokens > found.expected.input_tokens > 0
    assert judge.n_calls == 0


def test_one_call_each(serve):
    """Two criteria, two calls a case, the verdicts in the criteria's order."""

    def script(number, body):
        name = "tidy" if "- tidy:" in body["messages"][1]["content"] else "does_task"
        return 200, chat(json.dumps({name: {"reason": name, "answer": "yes"}}))

    server = serve(script)
    done = []
    rows = judge_at(server, one_each=True).answer([DOES_TASK, TIDY], cases(3), done.append)
    assert len(server.requests) == 6
    assert [[v.evidence for v in row] for row in rows] == [["does_task", "tidy"]] * 3
    assert sum(done) == 3


def test_requests_a_minute(serve):
    """60 a minute lets 60 go at once, then one a second: 62 take at least two seconds less a hair."""
    judge = judge_at(serve(always(200, chat(YES))), requests_per_minute=60, concurrency=16)
    started = time.monotonic()
    judge.answer([DOES_TASK], cases(62))
    assert time.monotonic() - started > 1.8


def test_tokens_a_minute(serve):
    """6,000 a minute are 100 a second: after the first 6,000, the eighth call of 1,000 waits some ten seconds."""
    server = serve(always(200, chat(YES, usage=(900, 100))))
    judge = judge_at(server, tokens_per_minute=6000, concurrency=1)
    found = threading.Thread(target=judge.answer, args=([DOES_TASK], cases(8)), daemon=True)
    found.start()
    deadline = time.monotonic() + 60
    while len(server.requests) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(1.0)
    assert 4 <= len(server.requests) <= 7


def test_an_answer_that_came_is_not_held_back(serve):
    """It used far more tokens than a minute has: what comes after it waits, it does not."""
    judge = judge_at(serve(always(200, chat(YES, usage=(9000, 1000)))), tokens_per_minute=1000)
    started = time.monotonic()
    assert judge.answer([DOES_TASK], cases(1))[0][0].answer == "yes"
    assert time.monotonic() - started < 5


# --- the breaker


def test_the_breaker_opens_and_tries_one_call(serve):
    """Five failures in a row from eight workers: while it is open nobody asks; then one does, and all go on."""
    times, lock = [], threading.Lock()

    def longest_gap():
        return max((later - earlier for earlier, later in itertools.pairwise(times)), default=0.0)

    def script(number, body):
        with lock:
            times.append(time.monotonic())
            return (200, chat(YES)) if longest_gap() > 0.2 else (503, {})  # sick until nobody has asked for a while

    judge = judge_at(serve(script), backoff_seconds=0.05, concurrency=8, retries=9)
    rows = judge.answer([DOES_TASK], cases(24))
    assert all(row[0].answer == "yes" for row in rows)
    assert longest_gap() > 0.2
    assert len(times) < 24 + 8 + 8


def test_the_breaker_pauses_longer_each_time():
    """Fails five times: 0.1 s; the try fails: 0.2 s; a success closes it."""

    async def story():
        breaker = Breaker(0.1)
        for _ in range(5):
            is_probe = await breaker.ready()
            started = time.monotonic()
            breaker.report(False, is_probe)
        waits = []
        for outcome in (False, None):
            is_probe = await breaker.ready()
            waits.append(time.monotonic() - started)
            assert breaker.is_open
            started = time.monotonic()
            breaker.report(outcome, is_probe)
        breaker.report(True, await breaker.ready())  # the try that came to nothing did not lock it
        return breaker, waits

    breaker, waits = asyncio.run(story())
    assert waits[0] > 0.09  # a busy machine only waits longer
    assert waits[1] > 0.19
    assert not breaker.is_open


def test_a_call_of_before_the_breaker_opened_is_not_its_try():
    """It hangs until the one that tries is out, and fails: no second one tries beside that, and no pause doubles."""

    async def story():
        breaker = Breaker(0.1)
        for _ in range(6):  # the sixth hangs
            assert not await breaker.ready()
        for _ in range(5):
            breaker.report(False, False)
        assert await breaker.ready()
        breaker.report(False, False)
        assert breaker._pause == 0.2  # the next one
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(breaker.ready(), 0.5)
        breaker.report(False, True)
        assert breaker._pause == 0.4
        assert await breaker.ready()

    asyncio.run(story())


# --- soft verdicts


def tokens(*parts):
    return [Token(text, tuple(rivals.items())) for text, rivals in parts]


def test_probability_at_the_answers_token():
    """exp(-0.2) and exp(-1.8) at the token that holds the word: 0.8187 / (0.8187 + 0.1653)."""
    found = probability_of_yes(
        "does_task",
        tokens(
            ('{"does_task": {"reason": "it says yes", "answer": ', {}),
            ('"', {}),
            ("yes", {"yes": -0.2, "no": -1.8, "maybe": -4.0}),
            ('"}}', {}),
        ),
    )
    assert found == pytest.approx(math.exp(-0.2) / (math.exp(-0.2) + math.exp(-1.8)))


def test_forms_of_a_word_add_up():
    """`"Yes` and ` yes` are both yes; a word that the list lacks has probability 0."""
    rivals = {'"Yes': math.log(0.5), " yes": math.log(0.2), '"no': math.log(0.3)}
    assert probability_of_yes("a", tokens(('{"a": ', {}), ('"Yes"}', rivals))) == pytest.approx(0.7)
    assert probability_of_yes("a", tokens(('{"a": ', {}), ('"no"}', {'"no': -0.1}))) == 0.0


@pytest.mark.parametrize(
    "text", ['{"b": "yes"}', '{"a": "yes"} or {"a": "no"}', '{"a": "perhaps"}', "yes", '{"a": {"answer": "ye']
)
def test_no_probability_without_one_exact_answer(text):
    """Another criterion, two answers, another word, prose, cut within the word."""
    found = probability_of_yes("a", tokens((text, {"yes": -0.1, "no": -3.0})))
    assert found is None


def test_log_probabilities_are_asked_for_and_remembered(serve, tmp_path):
    """The verdict carries it, from the server and from the ledger; a server that refuses is asked without."""
    reply = chat(YES, logprobs=[(YES[:-6], {}), ("yes", {"yes": math.log(0.6), "no": math.log(0.4)}), ('"}}', {})])
    server = serve(always(200, reply))
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        for _ in range(2):
            [[verdict]] = judge_at(server, ledger).answer([DOES_TASK], cases(1))
            assert verdict.probability == pytest.approx(0.6)
    [body] = server.requests
    assert (body["logprobs"], body["top_logprobs"]) == (True, 8)
    strict = serve(
        lambda number, body: (
            (400, {"error": {"message": "logprobs are not supported"}}) if "logprobs" in body else (200, chat(YES))
        )
    )
    [[verdict]] = judge_at(strict).answer([DOES_TASK], cases(1))
    assert (verdict.answer, verdict.probability) == ("yes", None)


def test_usage_adds_up():
    """Calls and tokens, one by one."""
    assert Usage(1, 2, 3) + Usage(4, 5, 6) - Usage(1, 1, 1) == Usage(4, 6, 8)


def test_the_note_tells_cost_and_missing(serve):
    """For the progress bar."""
    replies = iter([YES, "no idea"])
    judge = judge_at(
        serve(lambda number, body: (200, chat(next(replies), usage=(1000, 0)))),
        price={"input": 10.0, "output": 0.0},
        concurrency=1,
    )
    judge.answer([DOES_TASK], cases(2))
    assert re.fullmatch(r"senior: 2 calls, \d+\.\d/s, cost 0\.02, 50\.0% unscored", judge.note())


def test_a_dear_judge_is_estimated_by_the_criterion(monkeypatch, tmp_path):
    """As it is asked where the others differ: at most two calls for each of three cases, where they have one."""
    rubric = tmp_path / "rubric.yaml"
    criterion = "{{id: {}, question: 'Is it so?', answerers: [llm], weight: 1.0}}"
    rubric.write_text(f"version: 1\ncriteria: [{criterion.format('does_task')}, {criterion.format('tidy')}]\n")
    endpoint = "{base_url: 'http://127.0.0.1:9/v1', model: m}"
    config = load_config(
        Path(__file__).parents[1] / "configs" / "smoke.yaml",
        [
            f"run={tmp_path}",
            f"feedback.rubric={rubric}",
            f"feedback.endpoints={{one: {endpoint}, two: {endpoint}, dear: {endpoint}}}",
            "feedback.judges=[one, two]",
            "feedback.escalate_to=dear",
        ],
    )
    monkeypatch.setattr(feedback, "executed_cases", lambda _config, _workspace: cases(3))
    found = feedback.estimate(config, Workspace(tmp_path))
    assert {name: estimate.calls for name, estimate in found.items()} == {"one": 3, "two": 3, "dear": 6}
    assert found["dear"].most.calls == 6
