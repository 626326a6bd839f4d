"""Rollouts by a server, against one on the loopback address that speaks vLLM's protocol and truly decodes."""

import re
from types import SimpleNamespace

import pytest
import torch
from rollout_decoder import Decoder
from tiny_models import move, tiny_base

from kohai.config import Config, LoraConfig, RlConfig, parse_config
from kohai.errors import EndpointError
from kohai.models import adapters, rl, rollout_server, rollouts
from kohai.models.generate import seed_of
from kohai.workspace import Workspace

SEED = 7
TASKS = ("a", "b", "c")
N, LENGTH, TEMPERATURE = 3, 12, 0.6
KEYS = {seed_of(f"{SEED}/rl/{step}/{task}"): f"rl/{step}/{task}" for step in range(4) for task in TASKS}


def decoder(**told):
    """A server that decodes with the tests' model, by the streams of Kohai's own decoder."""
    return Decoder(tiny_base(), SEED, KEYS, **told)


def trainer_at(url, folder, **server):
    """What `draw` reads of a trainer; the policy is far enough from the base that their completions differ."""
    base = tiny_base(stop_ids=range(0, 300, 12))  # so that some completions end, and some do not
    model = adapters.add(base, base.model, "policy", LoraConfig(r=4))
    move(model, 1)
    sampling = {"n": N, "max_new_tokens": LENGTH, "temperature": TEMPERATURE}
    settings = RlConfig(tasks_per_step=2, sampling=sampling, server={"base_url": url, "timeout_seconds": 10} | server)
    return SimpleNamespace(
        config=SimpleNamespace(seed=SEED, rl=settings), base=base, model=model, workspace=Workspace(folder),
        prompts={task: f"Say {task * 3}" for task in TASKS}, tasks={t: SimpleNamespace(reference=None) for t in TASKS},
        sampled=[],
    )  # fmt: skip


def drawn_by_kohai(trainer, step):
    """The same step by the built-in decoder."""
    plain = trainer.config.rl.model_copy(update={"server": None})
    drawn, numbers = rollouts.draw(
        SimpleNamespace(**vars(trainer) | {"config": SimpleNamespace(seed=SEED, rl=plain)}), step
    )
    assert numbers == {}
    return drawn


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.delenv("KOHAI_SERVER_KEY", raising=False)
    monkeypatch.setattr(rollout_server, "BACKOFF_SECONDS", 0.001)


def test_a_step_by_the_server_is_the_decoders(serve, tmp_path):
    """Two steps, the weights changed between: tokens, log-probabilities and ends are those of the policy as it is.

    An adapter has a name of its own at each step, and nothing is left of it, here or there.
    """
    script = decoder()
    server = serve(script)
    trainer = trainer_at(server.url, tmp_path)
    before = drawn_by_kohai(trainer, 1)
    for step in (0, 1):
        drawn, numbers = rollouts.draw(trainer, step)
        expected = drawn_by_kohai(trainer, step)
        assert [(d.task_id, d.completions, d.finished) for d in drawn] == [
            (d.task_id, d.completions, d.finished) for d in expected
        ]
        for one, other in zip(drawn, expected, strict=True):
            for found, wanted in zip(one.logprobs, other.logprobs, strict=True):
                assert found == pytest.approx(wanted, abs=1e-4)
        assert numbers["server_gap"] < 1e-4
        move(trainer.model, 2)
    assert drawn[0].completions != before[0].completions
    assert {end for one in drawn for end in one.finished} == {True, False}
    names = [body["lora_name"] for body in server.requests if "lora_path" in body]
    assert len(set(names)) == 2
    assert (script.loaded, list(tmp_path.iterdir())) == (set(), [])
    paths = [path.removeprefix("/v1/") for path in server.paths]
    assert paths == ["load_lora_adapter", *["completions"] * 2, "unload_lora_adapter"] * 2


def test_the_gap_is_in_the_curves(serve, tmp_path, monkeypatch):
    """A step's numbers hold it, though nothing is learned from; those of the built-in decoder have none."""
    trainer = trainer_at(serve(decoder()).url, tmp_path)
    trainer.reward_model = SimpleNamespace(head=SimpleNamespace(deviation=torch.ones(())))
    monkeypatch.setattr(
        rollouts, "score", lambda _trainer, drawn: ([[0.0] * N for _ in drawn], [[False] * N for _ in drawn])
    )
    learned, numbers = rollouts.collect(trainer, 0)
    assert (learned, numbers["fresh"]) == ([], 1.0)
    assert 0.0 <= numbers["server_gap"] < 1e-4
    trainer.config.rl = trainer.config.rl.model_copy(update={"server": None})
    assert "server_gap" not in rollouts.collect(trainer, 0)[1]


def test_the_request_leaves_nothing_to_the_server(serve, tmp_path):
    """What the base's own generation_config.json would decide is said in each request."""
    server = serve(decoder())
    rollouts.draw(trainer_at(server.url, tmp_path), 0)
    body = next(body for body in server.requests if "prompt" in body)
    wanted = {
        "ignore_eos": True,
        "top_p": 1.0,
        "top_k": 0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
    }
    assert wanted.items() <= body.items()
    assert (body["logprobs"], body["return_token_ids"], body["n"], body["max_tokens"]) == (0, True, N, LENGTH)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"processed": True}, r"those after temperature 0\.6 \(0\.000 nats .* --logprobs-mode raw_logprobs"),
        ({"deaf": True}, r"from the policy's own, more than 0\.1; it must serve this run's base"),
    ],
)
def test_wrong_logprobs_are_refused(serve, tmp_path, told, message):
    """Log-probabilities after temperature are told as such; those of other weights are too far off."""
    with pytest.raises(EndpointError, match=message):
        rollouts.draw(trainer_at(serve(decoder(**told)).url, tmp_path), 0)


def test_a_cooled_policy_that_is_nearly_sure(serve, tmp_path):
    """Where temperature changes little, log-probabilities after it are within the bound, and found out all the same."""
    trainer = trainer_at(serve(decoder(processed=True)).url, tmp_path)
    sampling = trainer.config.rl.sampling.model_copy(update={"temperature": 0.95})
    trainer.config.rl = trainer.config.rl.model_copy(update={"sampling": sampling})
    with pytest.raises(EndpointError, match=r"those after temperature 0\.95 .* those before 0\.0\d\d\)"):
        rollouts.draw(trainer, 0)


def answering(**answers):
    """A script that answers the call named by the last word of its path so, and everything else well."""
    good = decoder()

    def script(number, body):
        call = "load" if "lora_path" in body else "draw" if "prompt" in body else "unload"
        answer = answers.get(call)
        return good(number, body) if answer is None else answer(number, body, good)

    return script


def changed(change):
    """A good answer with its last choice changed."""

    def answer(number, body, good):
        status, content = good(number, body)
        change(content["choices"])
        return status, content

    return answer


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (
            {"load": lambda *_: (404, {"detail": "Not Found"})},
            r"load_lora_adapter: status 404: Not Found; the server must see the folder .*/rollout_server/kohai-\w+ .*"
            r"VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, --enable-lora and a --max-lora-rank of at least 4 ",
        ),
        ({"load": lambda *_: (500, {"error": {"message": "rank 4 is greater"}})}, "status 500: rank 4 is greater; the"),
        ({"draw": lambda *_: (400, {"error": {"message": "max_model_len"}})}, "completions: status 400: max_model_len"),
        ({"draw": lambda *_: (401, {"error": "no"})}, "no; the key belongs in .* KOHAI_SERVER_KEY, which is not set"),
        ({"draw": lambda *_: (200, b"<html>")}, "not a completion with token ids and .*the answer: Invalid JSON"),
        ({"draw": changed(lambda found: found[0].pop("token_ids"))}, r"\(choices\.0\.token_ids: .* from 0\.10\.2 on"),
        ({"draw": changed(lambda found: found[0].update(logprobs=None))}, r"choices\.0\.logprobs: "),
        ({"draw": changed(lambda found: found.pop())}, "2 completions in place of 3"),
        ({"draw": changed(lambda found: found[0]["logprobs"]["token_logprobs"].pop())}, "log-probabilities of"),
        (
            {"draw": changed(lambda found: found[0].update(token_ids=[5], logprobs={"token_logprobs": [-1.0]}))},
            "a completion of 1 tokens that should have 12: it was cut",
        ),
        (
            {"draw": changed(lambda found: found[0].update(token_ids=[0, 5], logprobs={"token_logprobs": [-1, -1]}))},
            "a completion of 2 tokens that should have 1: .* went on behind its end",
        ),
    ],
)
def test_what_goes_wrong_is_said(serve, tmp_path, answers, message):
    """One error that names the call, the server's own words and what to do; nothing is made of half an answer."""
    with pytest.raises(EndpointError) as error:
        rollouts.draw(trainer_at(serve(answering(**answers)).url, tmp_path), 0)
    assert re.search(message, str(error.value)), error.value
    assert str(error.value).endswith("The same command goes on from the last checkpoint")


def test_what_passes_is_waited_for(serve, tmp_path):
    """A 503 and a 429, then answers; a server that stays down, one that hangs, and one that is not there."""
    script = answering()
    server = serve(lambda number, body: (503 if number else 429, {}) if number < 2 else script(number, body))
    rollouts.draw(trainer_at(server.url, tmp_path), 0)
    server = serve(lambda *_: (503, {"error": {"message": "starting"}}))
    with pytest.raises(EndpointError, match="status 503: starting"):
        rollouts.draw(trainer_at(server.url, tmp_path), 0)
    assert len(server.requests) == rollout_server.TRIES
    with pytest.raises(EndpointError, match=r"no answer within 0\.01 s"):
        rollouts.draw(trainer_at(serve(lambda *_: None).url, tmp_path, timeout_seconds=0.01), 0)
    with pytest.raises(EndpointError, match=r"no connection \(ConnectError: .* goes on from the last checkpoint"):
        rollouts.draw(trainer_at("http://127.0.0.1:1/v1", tmp_path), 0)


def test_what_a_killed_run_left(serve, tmp_path):
    """Its adapter is unloaded, its folder goes, and the step is drawn from weights that are loaded anew.

    A server that was started anew meanwhile knows nothing of that adapter, which does no harm.
    """
    good = decoder()
    dies = True

    def script(number, body):
        return (400, {}) if dies and "prompt" in body else good(number, body)

    server = serve(script)
    trainer = trainer_at(server.url, tmp_path)
    with pytest.raises(EndpointError):
        rollouts.draw(trainer, 0)
    [left] = (tmp_path / "rollout_server").iterdir()
    assert good.loaded == {left.name}
    dies = False
    (tmp_path / "rollout_server" / "kohai-of-another-server").mkdir()
    trainer = trainer_at(server.url, tmp_path)
    move(trainer.model, 2)  # what the killed process had learned since its checkpoint is lost
    assert rollouts.draw(trainer, 0)[0][0].completions == drawn_by_kohai(trainer, 0)[0].completions
    assert (good.loaded, list(tmp_path.iterdir())) == (set(), [])


def test_a_run_may_change_its_server(tmp_path):
    """Where the server is and how patient one is with it does not make a half-trained policy worthless."""

    def settings(**server):
        data = {"run": str(tmp_path), "package": {"path": str(tmp_path)}, "tasks": {"folder": "t"}, "rl": server}
        config: Config = parse_config(data)
        return rl.depends(config, Workspace(tmp_path))[0]["rl"]

    here = settings(server={"base_url": "http://127.0.0.1:8000/v1"})
    assert here == settings(server={"base_url": "http://gpu:8001/v1", "timeout_seconds": 5.0})
    assert here != settings()
    assert "server" not in settings()
