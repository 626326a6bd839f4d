"""APIBench's published files: known by their git blob ids, fetched whole or not at all."""

import functools
import http.server
import json
import threading

import pytest
from typer.testing import CliRunner

from kohai import cli
from kohai.errors import DataError, EndpointError
from kohai.tasks import apibench_files
from kohai.tasks.apibench_files import Published, blob_id, download, examine

DOCS = b'{"api_call": "f(1)", "domain": "D"}\n{"api_call": "./run.sh", "domain": "D"}\n'
TASKS = b'{"code": "###Instruction: I", "api_call": "f(1)", "provider": "Hugging Face", "api_data": {}}\n'


@pytest.fixture
def files(monkeypatch):
    """Two files stand for all."""
    found = (Published("docs.jsonl", "a/docs.jsonl", blob_id(DOCS)), Published("t.json", "b/t.json", blob_id(TASKS)))
    monkeypatch.setattr(apibench_files, "FILES", found)


@pytest.fixture
def source(tmp_path):
    """A server of the two."""
    root = tmp_path / "source"
    for path, data in (("a/docs.jsonl", DOCS), ("b/t.json", TASKS)):
        (root / path).parent.mkdir(parents=True)
        (root / path).write_bytes(data)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=root)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", root
    server.shutdown()
    thread.join()
    server.server_close()


def test_blob_id():
    """As `git hash-object` of an empty file, and of "hello" with a line's end."""
    assert blob_id(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert blob_id(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_download_and_check(files, source, tmp_path):
    """What is missing is fetched, what is there stays; a second call fetches nothing; irregular records are named."""
    folder = tmp_path / "here"
    assert download(folder, source[0]) == ["docs.jsonl", "t.json"]
    assert download(folder, source[0]) == []
    docs, tasks = examine(folder)
    assert (docs.state, docs.records, tasks.state, tasks.records) == ("whole", 2, "whole", 1)
    assert [(p.line, p.reason) for p in docs.problems] == [(2, "not a Python call: ./run.sh")]
    assert [(p.line, p.reason) for p in tasks.problems] == [(1, "no output")]


def test_what_is_not_the_published_file(files, source, tmp_path):
    """A changed file is refused and leaves nothing; one that is here already is told apart."""
    url, root = source
    (root / "b/t.json").write_bytes(TASKS + b"x")
    folder = tmp_path / "here"
    with pytest.raises(DataError, match=r"b/t\.json: not the published file"):
        download(folder, url)
    assert sorted(path.name for path in folder.iterdir()) == ["docs.jsonl"]
    (folder / "more.jsonl").write_bytes(DOCS)
    (folder / "t.json").write_bytes(TASKS + TASKS)
    assert {file.name: file.state for file in examine(folder)} == {
        "docs.jsonl": "whole",
        "t.json": "other",
        "more.jsonl": "other",
    }


def test_errors(files, source, tmp_path):
    """Nobody listens, a file is not there, an empty folder: one clear error."""
    with pytest.raises(EndpointError, match=r"a/docs\.jsonl: cannot be fetched"):
        download(tmp_path / "here", "http://127.0.0.1:9/")
    (source[1] / "a/docs.jsonl").unlink()
    with pytest.raises(EndpointError, match="404"):
        download(tmp_path / "here", source[0])
    with pytest.raises(DataError, match="--download fetches them"):
        examine(tmp_path)


def test_a_reply_that_is_cut(files, source, tmp_path, monkeypatch):
    """It is told, and leaves nothing."""

    def cut(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"{")

    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "do_GET", cut)
    with pytest.raises(EndpointError, match=r"cannot be fetched \(IncompleteRead"):
        download(tmp_path / "here", source[0])
    assert not (tmp_path / "here").exists()


def test_the_command(apibench):
    """States of the files at hand, and each irregular record with its line."""
    done = CliRunner().invoke(cli.app, ["data", "apibench", "--from", str(apibench)])
    assert "torchhub_train.json: 837 records, as published" in done.output
    assert "huggingface_eval_dev.jsonl: 574 records, not the published file" in done.output
    assert "huggingface_api.jsonl:" in done.output
    assert done.output.count("no row of huggingface_api.jsonl has its call") == 54
    found = {file["name"]: file for file in json.loads(
        CliRunner().invoke(cli.app, ["data", "apibench", "--from", str(apibench), "--json"]).output
    )}  # fmt: skip
    assert found["tensorflow_eval.json"]["state"] == "whole"
    assert all(problem["reason"] for file in found.values() for problem in file["problems"])
