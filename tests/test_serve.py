"""The chat endpoint: a real server with a tiny model, and the base model behind it as a judge."""

import contextlib
import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace

import httpx2
import pytest
import torch
import uvicorn
from tiny_models import plain_logits

from kohai.config import EndpointConfig, ModelConfig
from kohai.judge import Case, Criterion
from kohai.judge.endpoint import EndpointJudge
from kohai.models.base import load_base
from kohai.models.generate import generate
from kohai.records import Completion, Execution, Task
from kohai.serve import _token, application

CRITERIA = (Criterion("does_task", "Does it do the task?", ("llm",)), Criterion("tidy", "Is it tidy?", ("llm",)))
HELLO = [{"role": "user", "content": "Say hi."}]


def cases(n):
    return [
        Case(Task("t", "Print a number."), Completion("t", i, "", f"print({i})"), "", Execution("ok", "none"), [])
        for i in range(n)
    ]


@pytest.fixture(scope="module")
def base():
    return load_base(ModelConfig(name="tiny-random", device="cpu", dtype="float32", threads=1))


@contextlib.contextmanager
def serving(base):
    """A server's base URL."""
    config = uvicorn.Config(application(base, base.model, "tiny"), port=0, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def url(base):
    """One for all tests."""
    with serving(base) as found:
        yield found


def ask(url, **body):
    return httpx2.post(f"{url}/chat/completions", json={"messages": HELLO} | body, trust_env=False, timeout=60)


def test_greedy_is_the_likeliest_token_each_time(base, url):
    """Its text, tokens and log-probabilities are those of plain forward passes."""
    found = ask(url, temperature=0, max_tokens=6, logprobs=True, top_logprobs=3).json()
    [choice] = found["choices"]
    ids = base.render_chat(HELLO)
    for token in choice["logprobs"]["content"]:
        logprobs = plain_logits(base, ids)[-1].log_softmax(-1)
        best = int(logprobs.argmax())
        assert token["token"] == base.tokenizer.decode([best])
        assert token["logprob"] == pytest.approx(float(logprobs[best]), abs=1e-4)
        expected = torch.topk(logprobs, 3).values.tolist()
        assert [rival["logprob"] for rival in token["top_logprobs"]] == pytest.approx(expected, abs=1e-4)
        ids = [*ids, best]
    assert found["usage"]["prompt_tokens"] == len(base.render_chat(HELLO))
    assert choice["finish_reason"] in ("stop", "length")


def test_a_seed_gives_the_same_again(url):
    """Sampled at temperature 1; n choices; another seed gives other ones."""
    first, again, other = (
        [c["message"]["content"] for c in ask(url, seed=seed, n=3, max_tokens=8).json()["choices"]]
        for seed in (1, 1, 2)
    )
    assert len(first) == 3
    assert first == again != other


def test_how_long_an_answer_may_be(base, monkeypatch):
    """By either name of the setting; null is as if it were not there; without any what the context leaves, and a prompt
    that leaves nothing is refused.
    """
    small = load_base(ModelConfig(name="tiny-random", device="cpu", dtype="float32", threads=1))
    n_prompt = len(small.render_chat(HELLO))
    monkeypatch.setattr(small.model.config, "max_position_embeddings", n_prompt + 5)
    with serving(replace(small, stop_ids=())) as url:
        for body, expected in (
            ({"max_tokens": 2}, 2),
            ({"max_completion_tokens": 3, "max_tokens": None, "temperature": None}, 3),
            ({}, 5),
        ):
            assert ask(url, **body).json()["usage"]["completion_tokens"] == expected
        told = ask(url, max_tokens=6).json()["error"]["message"]
        assert told == f"{n_prompt} tokens to read and 6 to write exceed the context of {n_prompt + 5}"
        monkeypatch.setattr(small.model.config, "max_position_embeddings", n_prompt)
        assert "any to write exceed" in ask(url).json()["error"]["message"]


def test_a_template_that_refuses_a_conversation(base, url, monkeypatch):
    """Its own words, and status 400."""
    template = "{{ raise_exception('no system role here') }}"
    monkeypatch.setattr(base.tokenizer, "chat_template", template)
    found = ask(url, max_tokens=1)
    assert found.status_code == 400
    assert "refuses these messages: no system role here" in found.json()["error"]["message"]


def test_a_part_of_a_character_has_no_bytes(base):
    """A token of one byte over 127 alone is no text."""
    whole, part = (_token(base, base.encode(text)[0], -1.0) for text in ("a", "é"))
    assert whole["bytes"] == [97]
    assert part["bytes"] is None


def test_without_a_seed_each_answer_is_another_draw(url):
    """Four calls for best of four give more than one program."""
    assert len({ask(url, max_tokens=8).json()["choices"][0]["message"]["content"] for _ in range(4)}) > 1


def test_a_client_that_has_gone_is_not_decoded_for(url, monkeypatch):
    """One request is decoded, the second one's client gives up meanwhile, the third is served."""
    decoded = []

    has_gone = threading.Event()

    def slow(*args, **settings):
        decoded.append(settings["seed"])
        assert has_gone.wait(30)
        return generate(*args, **settings)

    monkeypatch.setattr("kohai.serve.generate", slow)
    first = threading.Thread(target=ask, args=(url,), kwargs={"seed": 1, "max_tokens": 1})
    first.start()
    while not decoded:
        time.sleep(0.01)
    with pytest.raises(httpx2.TimeoutException):
        httpx2.post(f"{url}/chat/completions", json={"messages": HELLO, "seed": 2}, trust_env=False, timeout=0.5)
    has_gone.set()
    assert ask(url, seed=3, max_tokens=1).status_code == 200
    first.join()
    assert decoded == [1, 3]


def test_an_answer_that_nobody_waits_for_is_not_decoded_on(base, monkeypatch):
    """The client of a long one gives up: the next request is served before it could have ended."""
    found, begun = [], threading.Event()

    def kept(*args, **settings):
        begun.set()
        found.append(generate(*args, **settings))
        return found[-1]

    monkeypatch.setattr("kohai.serve.generate", kept)
    with serving(replace(base, stop_ids=())) as url:
        body = json.dumps({"messages": HELLO, "max_tokens": 3500}).encode()
        head = "POST /v1/chat/completions HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
        with socket.create_connection(("127.0.0.1", int(url.split(":")[2].partition("/")[0]))) as client:
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            assert begun.wait(30)
        assert ask(url, max_tokens=1).status_code == 200
    given_up, last = (len(answers[0][0].ids) for answers in found)
    assert 1 <= given_up < 3500
    assert last == 1


SLOW = """
import sys, time
import kohai.serve
from kohai import cli
def generate(*args, **settings):
    print("decoding", flush=True)
    time.sleep(60)
kohai.serve.generate = generate
sys.argv = ["kohai", "serve", "configs/smoke.yaml", "--port", "0"]
cli.main()
"""


def asked(url):
    """A request that the server's end cuts off."""
    with contextlib.suppress(httpx2.HTTPError):
        ask(url)


@pytest.mark.parametrize(("number", "is_busy"), [(signal.SIGINT, True), (signal.SIGTERM, False)])
def test_a_signal_ends_it_within_seconds(number, is_busy):
    """Idle or in the middle of an answer, which is told: one line more, exit code 130."""
    child = subprocess.Popen([sys.executable, "-c", SLOW], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while (found := re.search(r"serving \S+ at (\S+)", line := child.stderr.readline())) is None:
        assert line, "the server ended"
    if is_busy:
        for _ in range(2):
            threading.Thread(target=asked, args=(found[1],)).start()
        child.stdout.readline()
    else:
        httpx2.get(f"{found[1]}/models", trust_env=False)
    started = time.monotonic()
    child.send_signal(number)
    told = child.communicate(timeout=30)[1]
    assert told.endswith("kohai: stopped\n")
    assert (told.count("stopped"), told.count("Traceback")) == (1, 0)
    assert child.returncode == 130
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"response_format": {"type": "json_object"}}, "response_format: is not supported"),
        ({"stream": True}, "stream: Input should be False"),
        ({"messages": []}, "messages: List should have at least 1 item"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages.0.role"),
        ({"max_tokens": 100_000}, "exceed the context of"),
        ({"temperature": -1}, "temperature: Input should be greater"),
    ],
)
def test_what_it_does_not_do_is_refused_by_name(url, body, words):
    """400 with the field, never ignored."""
    response = ask(url, **body)
    assert response.status_code == 400
    assert words in response.json()["error"]["message"]


def test_models(url):
    """The one that is served."""
    assert httpx2.get(f"{url}/models", trust_env=False).json()["data"][0]["id"] == "tiny"


def test_a_judge_that_talks_nonsense_is_unscored(url):
    """A model with random weights behind a real server: no verdict is invented; settings it refuses are left out."""
    judge = EndpointJudge("tiny", EndpointConfig(base_url=url, model="tiny", max_tokens=16))
    rows = judge.answer(CRITERIA, cases(3))
    assert {verdict.answer for row in rows for verdict in row} == {"unscored"}
    assert all(verdict.evidence for row in rows for verdict in row)
    assert judge.report()["output_tokens"] > 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_base_model_as_a_judge():
    """`kohai serve` with the real base: each criterion of each case ends as a verdict or unscored with its reason;
    where it wrote yes or no there is a probability, which agrees with the word.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", "kohai", "serve", "configs/demo.yaml", "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    try:
        found = None
        while found is None:
            line = child.stderr.readline()
            assert line, "the server ended"
            found = re.search(r"serving \S+ at (\S+)", line)
        config = EndpointConfig(base_url=found[1], model="base", concurrency=2, max_tokens=160, timeout_seconds=300)
        judge = EndpointJudge("base", config)
        rows = judge.answer(CRITERIA, cases(4))
        assert len(rows) == 4
        for verdict in (verdict for row in rows for verdict in row):
            if verdict.answer == "unscored":
                assert verdict.evidence
            elif verdict.probability is not None:
                assert (verdict.probability >= 0.5) == (verdict.answer == "yes")
                assert math.isfinite(verdict.probability)
        assert judge.report()["calls"] >= 4
    finally:
        child.send_signal(signal.SIGINT)
        child.wait(timeout=60)


def test_a_port_that_is_taken_is_said():
    """Exit code 2 and one line, before any model is loaded."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "kohai", "serve", "configs/smoke.yaml", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert f"127.0.0.1:{port}: cannot be listened on" in done.stderr
