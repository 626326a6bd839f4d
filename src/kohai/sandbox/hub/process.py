"""A builder: a process in an image's interpreter that makes one replica after another."""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kohai.errors import ToolError
from kohai.sandbox.image import Image

CODE = Path(__file__).parent / "builder"
START = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("replica_builder", sys.argv[1] + "/__init__.py",
    submodule_search_locations=[sys.argv[1]])
sys.modules["replica_builder"] = package = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
from replica_builder import main
main.serve()
"""
PROXIES = ("http_proxy", "https_proxy", "no_proxy")  # tools read either spelling
PASSED = ("PATH", "LANG", "HF_TOKEN", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", *PROXIES, *map(str.upper, PROXIES))
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
}
LATE = "it took more than {:.0f} seconds"


class Builder:
    """Starts with its first request; a crash or a late answer is told as `why`, and the next request starts it anew."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._process: subprocess.Popen[bytes] | None = None
        self._home = tempfile.TemporaryDirectory(prefix="kohai-builder-")

    def ask(self, request: Mapping[str, Any], timeout_seconds: float) -> dict[str, Any]:
        """The answer to one request (`builder/main.py`).

        Raises:
            ToolError: the image's interpreter cannot be started.
        """
        process = self._started()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            line = _line(process, time.monotonic() + timeout_seconds)
        except BrokenPipeError:
            line = b""
        except TimeoutError:
            self._end()
            return {"built": False, "why": LATE.format(timeout_seconds)}
        if not line.endswith(b"\n"):
            status = process.wait()
            told = self._told()
            self._end()
            return {"built": False, "why": f"the builder died ({status}): {told[-300:]}"}
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        """Ends the process."""
        self._end()
        self._home.cleanup()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        environment = {name: os.environ[name] for name in PASSED if name in os.environ}
        environment |= dict(self._image.environment) | OFFLINE
        environment |= {"HOME": self._home.name, "TMPDIR": self._home.name, "HF_HOME": f"{self._home.name}/hub"}
        command = [str(self._image.interpreter), *self._image.flags, "-c", START, str(CODE)]
        try:
            with (Path(self._home.name) / "errors").open("wb") as errors:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment
                )
        except OSError as error:
            raise ToolError(f"{command[0]}: cannot be started ({error.strerror})") from None
        return self._process

    def _told(self) -> str:
        content = (Path(self._home.name) / "errors").read_bytes()[-4000:]
        return " ".join(content.decode("utf-8", "replace").split())

    def _end(self) -> None:
        if self._process is None:
            return
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue
        self._process.kill()
        self._process.wait()
        self._process = None


def _line(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """The next line that the process writes; what there is where it ends before.

    Raises:
        TimeoutError: there was none in time.
    """
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    found = b""
    while not found.endswith(b"\n"):
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError
        block = os.read(descriptor, 1 << 16)
        if not block:
            break
        found += block
    return found
