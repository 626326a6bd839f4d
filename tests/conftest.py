"""Fixtures that several test files use."""

import os
from pathlib import Path

import pytest
from chat_server import Server


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
    """The folder of APIBench's files."""
    folder = Path(os.environ.get("APIBENCH_DIR", "../shared/apibench"))
    if not (folder / "huggingface_api.jsonl").is_file():
        pytest.skip(f"APIBench's files are not in {folder}; APIBENCH_DIR names their folder")
    return folder
