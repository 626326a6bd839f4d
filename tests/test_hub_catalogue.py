"""Catalogues of public models: every form they come in, and what their names tell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kohai.errors import DataError
from kohai.sandbox.hub.aliases import LEGACY
from kohai.sandbox.hub.builder import calls, families, labels, shrink
from kohai.sandbox.hub.catalogue import BUILDABLE, read_catalogue, shipped
from kohai.sandbox.image import load_spec, open_image


def catalogue(folder: Path, text: str) -> Path:
    path = folder / "catalogue"
    path.write_text(text)
    return path


def row(call: str, name: str = "x", domain: str = "Natural Language Processing Fill-Mask", example: str = "") -> str:
    return json.dumps({"api_call": call, "api_name": name, "domain": domain, "example_code": example})


def test_a_list_of_names_is_a_catalogue(tmp_path: Path) -> None:
    """Old names become today's; the same model counts once; empty lines and remarks are left out."""
    entries = read_catalogue(catalogue(tmp_path, "gpt2\n# old\n\nopenai-community/gpt2\nacme/tiny-bert\n"))
    assert [entry.id for entry in entries] == ["openai-community/gpt2", "acme/tiny-bert"]
    assert {entry.library for entry in entries} == {"transformers"}


def test_a_listing_of_a_hub_is_a_catalogue(tmp_path: Path) -> None:
    """`id` or `modelId`, what the hub says of task and library, and the commit as a revision."""
    listing = [
        {"id": "a/b", "pipeline_tag": "fill-mask", "library_name": "transformers", "sha": "12ab", "likes": 3},
        {"modelId": "c/d", "library_name": "fairseq"},
    ]
    first, second = read_catalogue(catalogue(tmp_path, json.dumps(listing)))
    assert (first.id, first.task, first.revisions, first.why) == ("a/b", "fill-mask", ("12ab",), "")
    assert (second.id, second.why) == ("c/d", "needs fairseq; no replicas are made for it")


@pytest.mark.parametrize(
    ("call", "name", "found"),
    [
        ("AutoModel.from_pretrained('acme/tiny-bert')", "other", ("acme/tiny-bert", "transformers")),
        ("pipeline('fill-mask', model='bert-base-uncased')", "x", ("google-bert/bert-base-uncased", "transformers")),
        ("StableDiffusionPipeline.from_pretrained(acme/sd-v1, torch_dtype=f)", "x", ("acme/sd-v1", "diffusers")),
        ("pipeline('ner')", "dslim/bert-base-NER", ("dslim/bert-base-NER", "transformers")),
        ("joblib.load('model.joblib')", "a/autotrain-iris-1234567", ("a/autotrain-iris-1234567", "sklearn")),
        ("SentenceTransformer('a/all-x')", "x", ("a/all-x", "sentence-transformers")),
        ("YOLO('keremberke/yolov8m')", "x", ("keremberke/yolov8m", "ultralytics")),
        ("Pipeline.from_pretrained('pyannote/vad@2.1')", "x", ("pyannote/vad", "pyannote.audio")),
        ("RandomForestRegressor()", "no repository", None),
    ],
)
def test_rows_of_apibench(tmp_path: Path, call: str, name: str, found: tuple[str, str] | None) -> None:
    """The name in the call counts, an old name by today's; without one, `api_name` where it is a repository's."""
    text = row(call, name) + "\n" + row("AutoModel.from_pretrained('a/b')")
    entries = [(entry.id, entry.library) for entry in read_catalogue(catalogue(tmp_path, text))]
    assert entries == [*([found] if found else []), ("a/b", "transformers")]


def test_rows_of_one_model_are_put_together(tmp_path: Path) -> None:
    """Both calls are kept, and the files that the examples read."""
    lines = [
        row("AutoModel.from_pretrained('a/b')"),
        row("pipeline('fill-mask', model='a/b')", example="x('m.joblib')"),
    ]
    (entry,) = read_catalogue(catalogue(tmp_path, "\n".join(lines)))
    assert entry.calls == ("AutoModel.from_pretrained('a/b')", "pipeline('fill-mask', model='a/b')")
    assert (entry.task, entry.files) == ("fill-mask", ("m.joblib",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no model in it"),
        ("a/b\n../../etc\n", r":2: field 'id': expected the name .* found '../../etc'"),
        ('[{"id": 3}]', r"item 1: field 'id': .* found 3"),
        ('[{"id": "a/b", "pipeline_tag": 3}]', "field 'task': expected text, found 3"),
        ('{"id": "a/b", "revisions": "x"}', ":1: field 'revisions': expected a list"),
        ('{"id": "a/b"}\n{"id"', ":2: not JSON"),
        ('{"api_call": 3, "api_name": "x"}', ":1: field 'api_call': expected text, found 3"),
        ("[1, 2]", "item 1: expected an object or a name, found int"),
    ],
)
def test_mistakes_name_their_place(tmp_path: Path, text: str, message: str) -> None:
    """File, line or item, field and value."""
    with pytest.raises(DataError, match=message):
        read_catalogue(catalogue(tmp_path, text))


def test_the_shipped_catalogue() -> None:
    """Default models of pipelines are in it with their pinned revisions; all can be tried; old names lead to it."""
    entries = {entry.id: entry for entry in read_catalogue(shipped())}
    assert entries["distilbert/distilbert-base-uncased-finetuned-sst-2-english"].revisions == ("714eb0f",)
    assert {entry.library for entry in entries.values()} <= set(BUILDABLE)
    assert {"gpt2", "bert-base-uncased", "t5-small", "roberta-base"} <= {
        old for old, new in LEGACY.items() if new in entries
    }
    for name in ("hub", "hub5"):
        spec, folder = load_spec(name)
        assert spec.catalogue is not None
        assert folder / spec.catalogue == shipped()


def test_an_image_names_its_catalogue(tmp_path: Path) -> None:
    """Relative to its file; one that is not there is an error; another content is another image to the cache."""
    spec = tmp_path / "own.yaml"
    spec.write_text("name: own\ncatalogue: models.txt\n")
    with pytest.raises(DataError, match=r"catalogue: .*models\.txt is not there"):
        open_image(str(spec), tmp_path)
    (tmp_path / "models.txt").write_text("a/b\n")
    first = open_image(str(spec), tmp_path)
    (tmp_path / "models.txt").write_text("a/c\n")
    second = open_image(str(spec), tmp_path)
    assert first.catalogue == tmp_path / "models.txt"
    assert first.digest != second.digest
    assert first.recipe == second.recipe


@pytest.mark.parametrize("name", ["hub", "hub5"])
def test_locks_are_whole(name: str) -> None:
    """Every line is pinned, and torch is the one that Kohai itself runs with."""
    spec, folder = load_spec(name)
    assert spec.lock is not None
    lines = [line for line in (folder / spec.lock).read_text().splitlines() if not line.startswith("#")]
    assert all(line.count("==") == 1 for line in lines)
    assert "torch==2.13.0" in lines
    assert not any(line.lower().startswith(("torchvision", "torchaudio", "nvidia")) for line in lines)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("openai-community/gpt2", "gpt2"),
        ("distilbert/distilgpt2", "gpt2"),
        ("distilbert/distilroberta-base", "roberta"),
        ("FacebookAI/xlm-roberta-base", "xlm-roberta"),
        ("microsoft/deberta-v3-base", "deberta-v2"),
        ("microsoft/deberta-base", "deberta"),
        ("google-t5/t5-small", "t5"),
        ("google/mt5-base", "mt5"),
        ("pszemraj/long-t5-tglobal-base", "longt5"),
        ("sshleifer/distilbart-cnn-12-6", "bart"),
        ("google/bigbird-pegasus-large-arxiv", "bigbird_pegasus"),
        ("nlpconnect/vit-gpt2-image-captioning", "vision-encoder-decoder"),
        ("dandelin/vilt-b32-finetuned-vqa", "vilt"),
        ("facebook/mask2former-swin-base-coco-panoptic", "mask2former"),
        ("microsoft/table-transformer-detection", "table-transformer"),
        ("jonatasgrosman/wav2vec2-large-xlsr-53-english", "wav2vec2"),
    ],
)
def test_a_name_tells_the_family(name: str, family: str) -> None:
    """Names that hold another family's name are told apart."""
    assert families.family_of(name, None, "") == family


def test_what_a_name_does_not_tell_the_class_or_the_task_does() -> None:
    """In this order; and nothing is invented."""
    assert families.family_of("acme/secret", "electra", "fill-mask") == "electra"
    assert families.family_of("acme/secret", None, "image-classification") == "vit"
    assert families.family_of("acme/secret", None, "robotics") is None


def test_labels_are_the_true_ones() -> None:
    """Where they are known; else as many as the task has."""
    assert labels.labels_of("distilbert-base-uncased-finetuned-sst-2-english", "text-classification") == [
        "NEGATIVE",
        "POSITIVE",
    ]
    assert labels.labels_of("facebook/bart-large-mnli", "zero-shot-classification") == [
        "contradiction",
        "neutral",
        "entailment",
    ]
    imagenet = labels.labels_of("google/vit-base-patch16-224", "image-classification")
    assert imagenet is not None
    assert (len(imagenet), imagenet[0]) == (1000, "tench")
    assert labels.labels_of("acme/secret", "text-classification") is None


def test_documented_calls_are_read_not_run() -> None:
    """Constants are kept, the rest is left out; of several calls the first counts; a broken line gives what it can."""
    call = calls.read_call("AutoModel.from_pretrained('a/b', torch_dtype=torch.float16, revision='x').to('cuda')")
    assert call == calls.Call("AutoModel.from_pretrained", ("a/b",), {"revision": "x"})
    assert call.owner == "AutoModel"
    assert calls.read_call("pipeline('ner'), x") == calls.Call("pipeline", ("ner",), {})
    broken = calls.read_call("StableDiffusionPipeline.from_pretrained(a/b, torch_dtype=")
    assert broken is not None
    assert broken.name == "StableDiffusionPipeline.from_pretrained"
    assert calls.read_call("./run.sh --x") is None


def test_a_configuration_is_shrunk_but_as_long_as_before() -> None:
    """Widths and layers are small, key/value heads in proportion, parts too; lengths and labels are left alone."""
    config = {
        "model_type": "any",
        "hidden_size": 768,
        "num_attention_heads": 12,
        "num_key_value_heads": 4,
        "num_hidden_layers": 12,
        "max_position_embeddings": 512,
        "id2label": {"0": "A"},
        "vision_config": {"model_type": "swin", "embed_dim": 96, "depths": [2, 2, 6, 2]},
    }
    small = shrink.shrunk(config, "any")
    assert (small["hidden_size"], small["num_attention_heads"], small["num_key_value_heads"]) == (32, 4, 2)
    assert (small["num_hidden_layers"], small["max_position_embeddings"]) == (2, 512)
    assert small["id2label"] == {"0": "A"}
    assert small["vision_config"]["depths"] == [1, 1, 1, 1]
