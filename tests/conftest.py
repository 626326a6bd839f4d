"""Fixtures that several test files use."""

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
