"""Replicas: whole or absent, whatever becomes of the process that builds them."""

from __future__ import annotations

import http.server
import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kohai.errors import DataError, ToolError
from kohai.sandbox.hub import Entry, Replicas, process, replicas
from kohai.sandbox.hub.coverage import as_text, coverage
from kohai.sandbox.image import FLAGS, Image, open_image

FAKE = """
import json, os, sys, time
from pathlib import Path

def serve():
    for line in sys.stdin:
        request = json.loads(line)
        folder, name = Path(request["folder"]), request["id"]
        (folder / "config.json").write_text(json.dumps(request | {"environment": dict(os.environ)}))
        if "crash" in name:
            print("memory is gone", file=sys.stderr, flush=True)
            os._exit(7)
        if "hang" in name:
            time.sleep(60)
        built = "bad" not in name
        calls = {call: "" if "Auto" in call else "ValueError: no" for call in request["calls"]}
        answer = {"id": name, "built": built, "why": "" if built else "ValueError: cannot", "calls": calls, "task": ""}
        print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Image:
    """Kohai's own interpreter, and a builder that only writes down what it was asked."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "__init__.py").write_text("")
    (code / "main.py").write_text(FAKE)
    monkeypatch.setattr(process, "CODE", code)
    return Image("own", Path(sys.executable), FLAGS, ())


def test_a_replica_is_built_once(tmp_path: Path, image: Image) -> None:
    """It lies under the name it has today, nothing half-made beside it, readable by all; an old name finds it."""
    own = Replicas(tmp_path / "hub", image)
    own.prepare([Entry("openai-community/gpt2", task="text-generation", revisions=("607a30d",)), Entry("a/b")])
    counts: list[int] = []
    first = own.build(["gpt2", "a/b"], counts.append)
    again = own.build(["openai-community/gpt2"])
    own.close()
    assert [(built.id, built.built, built.why) for built in first] == [
        ("openai-community/gpt2", True, ""),
        ("a/b", True, ""),
    ]
    assert counts == [1, 2]
    assert again[0].seconds == 0.0
    place = tmp_path / "hub" / "repos" / "openai-community"
    assert [path.name for path in place.iterdir()] == ["gpt2"]
    assert (place / "gpt2").stat().st_mode & 0o777 == 0o755
    index = json.loads((tmp_path / "hub" / "index.json").read_text())
    assert index["models"]["openai-community/gpt2"] == {
        "task": "text-generation",
        "library": "transformers",
        "revisions": ["607a30d"],
        "tags": ["transformers", "text-generation"],
        "lacks": [],
        "why": "",
    }
    assert index["aliases"] == {"gpt2": "openai-community/gpt2"}


def test_a_failure_is_remembered_and_told(tmp_path: Path, image: Image) -> None:
    """In the answer, in the index, in the record; it is tried again only when asked to."""
    own = Replicas(tmp_path / "hub", image)
    own.prepare([Entry("a/bad"), Entry("a/other", library="fairseq", why="needs fairseq; no replicas are made for it")])
    bad, other, unknown = own.build(["a/bad", "a/other", "a/unknown"])
    assert (bad.built, bad.why) == (False, "ValueError: cannot")
    assert (other.built, other.why) == (False, "needs fairseq; no replicas are made for it")
    assert unknown.why == "not in the catalogue"
    assert own.build(["a/bad"])[0].seconds == 0.0
    assert own.build(["a/bad"], again=True)[0].seconds > 0.0
    own.close()
    assert not own.path("a/bad").exists()
    index = json.loads((tmp_path / "hub" / "index.json").read_text())["models"]
    assert (index["a/bad"]["why"], index["a/other"]["why"]) == (bad.why, other.why)
    assert (index["a/bad"]["lacks"], index["a/other"]["lacks"]) == ([], ["config.json"])


def test_a_builder_that_dies_or_hangs_takes_no_other_with_it(
    tmp_path: Path, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it said last is why; the next one is built; nothing of the failed ones is left."""
    monkeypatch.setattr(replicas, "TIMEOUT_SECONDS", 3.0)
    own = Replicas(tmp_path / "hub", image)
    names = ["a/crash", "a/one", "a/hang", "a/two"]
    own.prepare([Entry(name) for name in names])
    found = {built.id: built for built in own.build(names)}
    own.close()
    assert [found[name].built for name in names] == [False, True, False, True]
    assert "the builder died (7): memory is gone" in found["a/crash"].why
    assert found["a/hang"].why == "it took more than 3 seconds"
    assert sorted(path.name for path in (tmp_path / "hub" / "repos" / "a").iterdir()) == ["one", "two"]


def test_a_builder_gets_the_proxies_and_no_secret(
    tmp_path: Path, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the spelling that the environment has."""
    for name in ("https_proxy", "HTTP_PROXY", "KOHAI_SECRET"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    own = Replicas(tmp_path / "hub", image)
    own.prepare([Entry("a/one")])
    own.build(["a/one"])
    own.close()
    environment = json.loads((own.path("a/one") / "config.json").read_text())["environment"]
    assert {"https_proxy", "HTTP_PROXY", "no_proxy"} <= set(environment)
    assert "KOHAI_SECRET" not in environment


def test_two_may_build_the_same(tmp_path: Path, image: Image) -> None:
    """Both find it built; one folder is there."""
    both = [Replicas(tmp_path / "hub", image) for _ in range(2)]
    names = [f"a/m{number}" for number in range(6)]
    for own in both:
        own.prepare([Entry(name) for name in names])
    found: list[bool] = []
    threads = [
        threading.Thread(target=lambda own=own: found.extend(built.built for built in own.build(names))) for own in both
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for own in both:
        own.close()
    assert found == [True] * 12
    assert sorted(path.name for path in (tmp_path / "hub" / "repos" / "a").iterdir()) == [f"m{n}" for n in range(6)]


def test_an_interpreter_that_is_not_there(tmp_path: Path) -> None:
    """Is the user's to mend."""
    own = Replicas(tmp_path / "hub", Image("own", tmp_path / "none", FLAGS, ()))
    own.prepare([Entry("a/b")])
    with pytest.raises(ToolError, match="cannot be started"):
        own.build(["a/b"])


def test_where_replicas_lie(tmp_path: Path) -> None:
    """Another catalogue or another hub is another folder; an image without a catalogue needs one."""
    plain = open_image("plain", tmp_path)
    with pytest.raises(DataError, match="has no catalogue"):
        Replicas.open(plain, tmp_path)
    catalogue = tmp_path / "models.txt"
    catalogue.write_text("a/b\n")
    first = Replicas.open(plain, tmp_path, catalogue).folder
    assert first.name.startswith("hub-plain-")
    assert (first / "index.json").is_file()
    assert Replicas.open(plain, tmp_path, catalogue).folder == first
    assert Replicas.open(plain, tmp_path, catalogue, "http://127.0.0.1:9").folder != first
    catalogue.write_text("a/c\n")
    assert Replicas.open(plain, tmp_path, catalogue).folder != first


def test_coverage_counts_models_and_calls(tmp_path: Path, image: Image) -> None:
    """By hand: of 3 models 1 is built; of its 2 calls 1 works, the third model's call cannot."""
    own = Replicas(tmp_path / "hub", image)
    entries = [
        Entry("a/b", calls=("AutoModel.from_pretrained('a/b')", "Odd.from_pretrained('a/b')")),
        Entry("a/bad"),
        Entry("a/c", library="fairseq", calls=("load('a/c')",), why="needs fairseq; no replicas are made for it"),
    ]
    own.prepare(entries)
    own.build([entry.id for entry in entries])
    own.close()
    found = coverage(entries, own)
    assert (found["models"], found["built"], found["calls"], found["calls_work"]) == (3, 1, 3, 1)
    assert found["by_library"]["transformers"] == {"models": 2, "built": 1, "calls": 2, "calls_work": 1}
    assert found["by_class"]["AutoModel"] == {"calls": 1, "calls_work": 1}
    assert found["causes"] == {"ValueError: cannot": 1, "needs fairseq; no replicas are made for it": 1}
    assert found["call_causes"] == {"ValueError: no": 1}
    assert as_text(found).startswith("1 of 3 models have a replica\n1 of 3 documented calls work on it\n")


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[str]:
    """A hub of these files."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.slow
def test_a_replica_after_the_real_repository(tmp_path: Path) -> None:
    """Its vocabulary, length and labels are the real ones; its sizes are not; what the hub has not is why."""
    config = {
        "model_type": "bert",
        "architectures": ["BertForSequenceClassification"],
        "hidden_size": 768,
        "num_attention_heads": 12,
        "num_hidden_layers": 12,
        "intermediate_size": 3072,
        "max_position_embeddings": 77,
        "vocab_size": 7,
        "id2label": {"0": "COLD", "1": "WARM", "2": "HOT"},
        "label2id": {"COLD": 0, "WARM": 1, "HOT": 2},
    }
    files = {
        "/acme/heat/resolve/main/config.json": json.dumps(config).encode(),
        "/acme/heat/resolve/main/vocab.txt": b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhot\ncold\n",
        "/acme/heat/resolve/main/tokenizer_config.json": b'{"tokenizer_class": "BertTokenizer"}',
    }
    with serving(files) as endpoint:
        own = Replicas(tmp_path / "hub", Image("own", Path(sys.executable), FLAGS, ()), endpoint)
        own.prepare([Entry("acme/heat", task="text-classification"), Entry("acme/none")])
        heat, none = own.build(["acme/heat", "acme/none"])
        own.close()
    assert (heat.built, heat.why) == (True, "")
    assert (none.built, none.why) == (False, f"{endpoint} has no acme/none/config.json")
    made = json.loads((own.path("acme/heat") / "config.json").read_text())
    assert (made["hidden_size"], made["max_position_embeddings"], made["vocab_size"]) == (32, 77, 7)
    assert made["id2label"] == config["id2label"]
    assert (own.path("acme/heat") / "model.safetensors").stat().st_size < 200_000


@pytest.mark.slow
def test_a_guessed_replica_loads_as_documented(tmp_path: Path) -> None:
    """The true class, labels and length, tried with the documented call and a sentence."""
    call = "pipeline('sentiment-analysis', model='distilbert-base-uncased-finetuned-sst-2-english')"
    entry = Entry(
        "distilbert/distilbert-base-uncased-finetuned-sst-2-english", "transformers", "text-classification", (call,)
    )
    own = Replicas(tmp_path / "hub", Image("own", Path(sys.executable), FLAGS, ()))
    own.prepare([entry])
    (built,) = own.build([entry.id])
    own.close()
    assert (built.built, built.why) == (True, "")
    record = own.record(entry.id)
    assert record is not None
    assert (record["calls"], record["task"], record["class"]) == ({call: ""}, "", "DistilBertForSequenceClassification")
    config = json.loads((own.path(entry.id) / "config.json").read_text())
    assert config["id2label"] == {"0": "NEGATIVE", "1": "POSITIVE"}
    assert config["max_position_embeddings"] == 512
    assert {"vocab.txt", "tokenizer.json", "model.safetensors", "README.md"} <= {
        path.name for path in own.path(entry.id).iterdir()
    }


FAMILIES = {
    "transformers": "gpt2 t5-small bert-base-uncased Helsinki-NLP/opus-mt-en-fr openai/whisper-tiny "
    "openai/clip-vit-base-patch32 facebook/detr-resnet-50 google/tapas-base-finetuned-wtq "
    "Salesforce/blip-vqa-base facebook/wav2vec2-base-960h",
    "diffusers": "google/ddpm-cifar10-32 runwayml/stable-diffusion-v1-5",
    "sentence-transformers": "sentence-transformers/all-MiniLM-L6-v2",
    "sklearn": "julien-c/wine-quality",
}


@pytest.mark.hub
@pytest.mark.parametrize("library", FAMILIES)
def test_the_image_builds_one_of_each_kind(tmp_path: Path, library: str) -> None:
    """With the image `hub` in the folder KOHAI_IMAGES."""
    image = open_image("hub", Path(os.environ.get("KOHAI_IMAGES", ".images")))
    own = Replicas.open(image, tmp_path)
    found = own.build(FAMILIES[library].split())
    own.close()
    assert [(built.id, built.why) for built in found if not built.built] == []
    assert [name for name in FAMILIES[library].split() if (own.record(name) or {}).get("task")] == []


@pytest.mark.hub
@pytest.mark.parametrize("name", ["hub", "hub5"])
def test_a_warm_worker_has_one_thread(name: str) -> None:
    """A fork keeps the calling thread only: what waits for another one would hang."""
    import subprocess

    from kohai.sandbox.layout import ENVIRONMENT

    image = open_image(name, Path(os.environ.get("KOHAI_IMAGES", ".images")))
    modules, warmup = image.start(image.full)
    code = "\n".join([*(f"import {module}" for module in modules), warmup])
    code += "\nimport os\nprint(len(os.listdir('/proc/self/task')))"
    done = subprocess.run(
        [str(image.interpreter), *image.flags, "-c", code],
        env=ENVIRONMENT | dict(image.environment) | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split()[-1] == "1"
