"""Fixtures that several test files use."""

import os
from pathlib import Path

import pytest
from chat_server import Server

APIBENCH = (
    "huggingface_api.jsonl",
    "huggingface_eval_dev.jsonl",
    "tensorflowhub_api.jsonl",
    "tensorflow_eval.json",
    "torchhub_api.jsonl",
    "torchhub_eval.json",
    "torchhub_train.json",
    *(
        f"gorilla_7b_responses/huggingface_{kind}_dev.jsonl"
        for kind in ("FT_0_shot", "FT_bm25", "FT_oracle", "RT_oracle")
    ),
)


@pytest.fixture(scope="session", autouse=True)
def _no_proxy_to_this_machine():
    """What a test starts here is asked directly, whatever proxy the environment names."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("no_proxy", "NO_PROXY"):
            patch.setenv(name, "127.0.0.1,localhost", prepend=",")
        yield


@pytest.fixture
def serve():
    """Starts chat servers and ends them with the test."""
    servers = []

    def start(script):
        servers.append(Server(script))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def apibench():
    """The folder of APIBench's files: all that the tests open."""
    folder = Path(os.environ.get("APIBENCH_DIR", "../shared/apibench"))
    if missing := [name for name in APIBENCH if not (folder / name).is_file()]:
        pytest.skip(f"APIBench's {missing[0]} is not in {folder}; APIBENCH_DIR names the folder of its files")
    return folder
