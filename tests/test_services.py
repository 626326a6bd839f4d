"""Services that programs reach on loopback: the stand-in hub, and an application; real sockets, real processes."""

from __future__ import annotations

import json
import socket
import sysconfig
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from tiers import sandbox_of

from kohai.config import SandboxConfig
from kohai.errors import DataError
from kohai.sandbox import Program, Sandbox, execute
from kohai.sandbox.child import http, hub
from kohai.sandbox.hub import Replicas
from kohai.sandbox.image import open_image

SHOP = """
import asyncio, json, os, pathlib
count = 0

async def app(scope, receive, send):
    global count
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"].endswith("shutdown"):
                return
    if scope["path"] == "/die":
        os._exit(3)
    count += 1
    kept = pathlib.Path("kept")
    seen = {"count": count, "kept": kept.exists(), "price": pathlib.Path("price.txt").read_text()}
    kept.write_text("x")
    await send({"type": "http.response.start", "status": 404 if scope["path"] == "/none" else 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(seen).encode()})
"""
ASK = """
import json, urllib.request
def ask(path):
    return json.load(urllib.request.urlopen("http://127.0.0.1:8080" + path))
"""


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub of four models, one of which is here."""
    folder = tmp_path_factory.mktemp("hub")
    folder.chmod(0o755)
    known = {
        "task": "text-classification",
        "library": "transformers",
        "revisions": ["714eb0f"],
        "tags": ["en"],
        "lacks": [],
        "why": "",
    }
    models = {
        "acme/tiny": known,
        "acme/large": known | {"why": "too large", "task": ""},
        "big": known | {"library": ""},
        "acme/voice": known | {"library": "espnet", "lacks": ["config.json"], "why": "needs espnet"},
    }
    (folder / "index.json").write_text(json.dumps({"models": models, "aliases": {"tiny": "acme/tiny"}}))
    (folder / "repos/acme/tiny/onnx").mkdir(parents=True)
    (folder / "repos/acme/tiny/config.json").write_text('{"model_type": "bert"}')
    (folder / "repos/acme/tiny/onnx/model.bin").write_bytes(bytes(range(256)))
    return folder


@pytest.fixture(scope="module")
def endpoint(replicas: Path) -> str:
    """The hub's server, on a port of this machine."""
    listener = socket.create_server(("127.0.0.1", 0))
    loaded = hub.load({"folder": str(replicas)})
    threading.Thread(target=hub.serve, args=(loaded, listener, lambda _line: None), daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_the_hubs_own_client_finds_what_is_there(endpoint: str, tmp_path: Path) -> None:
    """Listing, search, facts, trees, a download by alias and by revision, all by `huggingface_hub`."""
    api = huggingface_hub.HfApi(endpoint=endpoint)
    assert [model.id for model in api.list_models(limit=2)] == ["acme/large", "acme/tiny"]
    assert [model.id for model in api.list_models(search="voice")] == ["acme/voice"]
    assert [model.id for model in api.list_models(search="TINY")] == ["acme/tiny"]
    assert [model.id for model in api.list_models(author="acme", pipeline_tag="text-classification")] == [
        "acme/tiny",
        "acme/voice",
    ]
    info = api.model_info("tiny")
    assert (info.id, info.pipeline_tag, info.library_name) == ("acme/tiny", "text-classification", "transformers")
    assert api.list_repo_files("acme/tiny") == ["config.json", "onnx/model.bin"]
    assert [entry.path for entry in api.list_repo_tree("acme/tiny")] == ["onnx", "config.json"]
    assert [entry.path for entry in api.list_repo_tree("acme/tiny", "onnx")] == ["onnx/model.bin"]
    assert [found.size for found in api.get_paths_info("acme/tiny", ["onnx/model.bin", "none"])] == [256]
    assert info.sha is not None
    for revision in ("main", "714eb0f", info.sha, info.sha[:8]):
        path = huggingface_hub.hf_hub_download(
            "tiny", "onnx/model.bin", revision=revision, endpoint=endpoint, cache_dir=tmp_path
        )
        assert Path(path).read_bytes() == bytes(range(256))


def test_what_is_not_there_is_said_as_the_hub_says_it(endpoint: str, tmp_path: Path) -> None:
    """An unknown id, revision, file; an id whose files are not here gives 424, a data set too."""
    api = huggingface_hub.HfApi(endpoint=endpoint)
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("acme/tinny")
    with pytest.raises(RevisionNotFoundError):
        api.model_info("acme/tiny", revision="v99")
    with pytest.raises(EntryNotFoundError):
        huggingface_hub.hf_hub_download("acme/tiny", "vocab.txt", endpoint=endpoint, cache_dir=tmp_path)
    with pytest.raises(EntryNotFoundError):  # known not to have it, though its other files are not here
        huggingface_hub.hf_hub_download("acme/voice", "config.json", endpoint=endpoint, cache_dir=tmp_path)
    for missing in (
        lambda: api.get_hf_file_metadata(url=f"{endpoint}/acme/voice/resolve/main/meta.yaml"),
        lambda: api.model_info("acme/large"),
        lambda: api.dataset_info("squad"),
        lambda: api.model_info("big"),
    ):
        with pytest.raises(HfHubHTTPError, match="424"):
            missing()
    with pytest.raises(HfHubHTTPError, match="token"):
        api.whoami(token="hf_x")
    with pytest.raises(HfHubHTTPError, match="401"):
        api.create_repo("acme/new", token="hf_x")


@pytest.mark.parametrize(
    ("header", "expected"),
    [("bytes=0-3", (0, 3)), ("bytes=250-", (250, 255)), ("bytes=9-999", (9, 255)), ("bytes=300-", None), ("", None)],
)
def test_ranges(header: str, expected: tuple[int, int] | None) -> None:
    """First and last byte; none where the header asks for nothing that is there."""
    assert http._range(header, 256) == expected


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox whose programs reach an application of one file, served by uvicorn."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "app").mkdir()
    (folder / "app" / "shop.py").write_text(SHOP)
    (folder / "files").mkdir()
    (folder / "files" / "price.txt").write_text("12")
    packages = Path(sysconfig.get_paths()["purelib"])
    paths = [str(packages / name) for name in ("uvicorn", "h11", "click")]
    service = {"name": "shop", "app": "shop:app", "port": 8080}
    spec = {"name": "shop", "paths": ["app", *paths], "files": "files", "services": [service]}
    (folder / "shop.yaml").write_text(json.dumps(spec))
    config = SandboxConfig(image=str(folder / "shop.yaml"), processes=1, cpu_seconds=4, wall_seconds=8)
    with sandbox_of("T2", config) as sandbox:
        yield sandbox


def test_an_application_starts_anew_for_each_program(shop: Sandbox) -> None:
    """Neither its memory nor its files pass from one program to the next; its log is the program's alone."""
    ask = ASK + "print(ask('/a')['count'], ask('/b?x=1')['count'], ask('/c')['kept'])"
    first, second, idle = shop.execute([Program(ask), Program(ask), Program("print(open('price.txt').read())")])
    assert (first.kind, first.stdout) == ("ok", "1 2 True\n"), first
    assert (second.kind, second.stdout) == ("ok", "1 2 True\n"), second
    assert first.requests == second.requests == ("GET /a 200", "GET /b?x=1 200", "GET /c 200")
    assert (idle.kind, idle.stdout, idle.requests) == ("ok", "12\n", ())


def test_an_applications_refusal_is_the_programs_fault(shop: Sandbox) -> None:
    """A 404 of the service is an error of the program that asked; the log shows it."""
    (outcome,) = shop.execute([Program(ASK + "ask('/none')")])
    assert (outcome.blame, outcome.exception, outcome.requests) == ("program", "HTTPError", ("GET /none 404",))


def test_an_application_that_dies_serves_the_next_call(shop: Sandbox) -> None:
    """A program that brings the service down finds it up again, and so does the next one."""
    code = (
        ASK
        + "try:\n    ask('/die')\nexcept OSError as error:\n    print(type(error).__name__)\nprint(ask('/a')['count'])"
    )
    dead, after = shop.execute([Program(code), Program(ASK + "print(ask('/a')['count'])")])
    assert (dead.kind, dead.stdout) == ("ok", "RemoteDisconnected\n1\n"), dead
    assert (after.kind, after.stdout) == ("ok", "1\n")


def test_a_program_cannot_reach_into_a_service(shop: Sandbox) -> None:
    """Its port is taken, its processes are not to be seen, calls that it leaves hanging are hung up on."""
    code = """
import os, socket
try:
    socket.create_server(("127.0.0.1", 8080))
except OSError as error:
    print(error.errno)
print(sorted(int(name) for name in os.listdir("/proc") if name.isdigit())[1:])
held = [socket.create_connection(("127.0.0.1", 8080)) for _ in range(50)]
"""
    outcome, after = shop.execute([Program(code), Program(ASK + "print(ask('/a')['count'])")])
    assert (outcome.kind, outcome.stdout.splitlines()[0]) == ("ok", "98"), outcome
    assert len(outcome.stdout.splitlines()[1].split(",")) == 1
    assert (after.kind, after.stdout, after.requests) == ("ok", "1\n", ("GET /a 200",))


def test_an_application_that_cannot_be_imported_is_one_clear_error(tmp_path: Path) -> None:
    """It names the service and what is missing."""
    (tmp_path / "bad.yaml").write_text("name: bad\nservices:\n- {name: shop, app: 'shop:app', port: 8080}\n")
    config = SandboxConfig(image=str(tmp_path / "bad.yaml"))
    with pytest.raises(DataError) as error, sandbox_of("T2", config) as sandbox:
        sandbox.execute([Program("pass")])
    assert "the service shop: ModuleNotFoundError: No module named 'uvicorn'" in str(error.value)


def test_programs_reach_the_hub(replicas: Path) -> None:
    """By `HF_ENDPOINT`; what was asked stands in the outcome; an answer 424 that it reports is the environment's."""
    code = "import os, urllib.request\nprint(urllib.request.urlopen(os.environ['HF_ENDPOINT'] + {path!r}).status)"
    paths = ("/acme/tiny/resolve/main/config.json", "/api/models/acme/large", "/api/models/nobody/none")
    with sandbox_of("T2", SandboxConfig(), hub=Replicas(replicas, open_image("plain", replicas))) as sandbox:
        here, away, none = sandbox.execute([Program(code.format(path=path)) for path in paths])
        forged = "import urllib.error\nraise urllib.error.HTTPError('x', 424, 'Failed Dependency', {}, None)"
        (raised,) = sandbox.execute([Program(forged)])
    assert (here.kind, here.stdout, here.requests) == ("ok", "200\n", (f"GET {paths[0]} 200",))
    assert (away.blame, away.kind, away.requests) == ("environment", "missing_weights", (f"GET {paths[1]} 424",))
    assert (none.blame, none.requests) == ("program", (f"GET {paths[2]} 401",))
    assert raised.blame == "program"


def test_web_sites_that_stand_in(tmp_path: Path) -> None:
    """A named site has a file of the kind at every address; any other name is not found, which is nobody's fault."""
    (tmp_path / "web.yaml").write_text("name: web\nweb: [images.example.org]\n")
    code = """
import urllib.request
for name in ("http://images.example.org/a.jpg", "http://images.example.org/b/c.csv", "https://images.example.org"):
    with urllib.request.urlopen(name) as answer:
        print(answer.headers["Content-Type"], answer.read(2))
"""
    other = Program("import urllib.request\nurllib.request.urlopen('http://other.example.org/a.jpg')")
    with sandbox_of("T2", SandboxConfig(image=str(tmp_path / "web.yaml"))) as sandbox:
        named, none = sandbox.execute([Program(code), other])
    assert named.stdout.splitlines() == ["image/jpeg b'\\xff\\xd8'", "text/csv b'te'", "text/html b'<!'"], named
    assert named.requests == ("GET /a.jpg 200", "GET /b/c.csv 200", "GET / 200")
    assert (none.blame, none.kind) == ("environment", "no_network")


def test_without_namespaces_there_are_no_services(replicas: Path) -> None:
    """A program that asks the hub then fails for want of a network, which is not its fault."""
    code = "import os, urllib.request\nurllib.request.urlopen(os.environ['HF_ENDPOINT'])"
    with sandbox_of("T1", SandboxConfig(), hub=Replicas(replicas, open_image("plain", replicas))) as sandbox:
        (outcome,) = sandbox.execute([Program(code)])
    assert (outcome.blame, outcome.kind, outcome.tier) == ("environment", "no_network", "T1")


def test_one_batch() -> None:
    """Text or programs, and a configuration where one is wanted."""
    outcomes = execute(["print(1)", Program("1 / 0"), "print(3)"], SandboxConfig(unsafe=True))
    assert [(outcome.kind, outcome.stdout) for outcome in outcomes] == [
        ("ok", "1\n"),
        ("runtime_error", ""),
        ("ok", "3\n"),
    ]


def test_programs_stream_in_order() -> None:
    """Outcomes come in the programs' order while programs are still being made; the event loop is free meanwhile."""
    import asyncio

    taken = 0

    def programs() -> Iterator[Program]:
        nonlocal taken
        for number in range(600):
            taken += 1
            yield Program(f"import time\ntime.sleep({0.2 if number == 0 else 0})\nprint({number})")

    async def watch() -> tuple[list[str], int, int]:
        turns, first_taken, printed = 0, 0, []

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.01)

        counting = asyncio.create_task(count())
        with Sandbox(SandboxConfig(processes=2)) as sandbox:  # at most 64 programs for each are taken ahead
            async for outcome in sandbox.stream_async(programs()):
                first_taken = first_taken or taken
                printed.append(outcome.stdout)
        counting.cancel()
        return printed, first_taken, turns

    started = time.monotonic()
    printed, first_taken, turns = asyncio.run(watch())
    assert printed == [f"{number}\n" for number in range(600)]
    assert first_taken < 600
    assert turns > 5 * (time.monotonic() - started)
