"""A model as an OpenAI-compatible chat endpoint: the base, or the base with an adapter of a run.

One request at a time is decoded; others wait, and one whose client has gone is not decoded on. What a request
asks for and this server does not do is refused by name with status 400. Leaves out streaming, batching of requests, and
any check of what the model says.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Literal

import jinja2
import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from kohai import progress
from kohai.config import ModelConfig
from kohai.errors import ToolError
from kohai.models import adapters
from kohai.models.base import Base, load_base
from kohai.models.generate import Sampled, generate

ROLE = "served"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
MAX_TOKENS = 512  # where a request says none
CLIENT_GONE = 499  # nobody reads it; it is nginx's number for a client that closed the connection
STOPPING = 503
POLL_SECONDS = 0.1
GRACE_SECONDS = 1  # for requests under way when the server is stopped


class Message(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(extra="forbid")
    role: Literal["system", "user", "assistant"]
    content: str


class ChatRequest(BaseModel):
    """What this server understands of OpenAI's chat completions."""

    model_config = ConfigDict(extra="forbid")
    model: str = ""
    messages: Annotated[list[Message], Field(min_length=1)]
    temperature: Annotated[float | None, Field(ge=0.0, le=2.0)] = None  # none: 1
    max_tokens: Annotated[int | None, Field(ge=1)] = None  # none: MAX_TOKENS, or what the context leaves
    max_completion_tokens: Annotated[int | None, Field(ge=1)] = None  # its newer name
    seed: int | None = None  # none: another draw each time
    n: Annotated[int, Field(ge=1, le=16)] = 1
    logprobs: bool = False
    top_logprobs: Annotated[int, Field(ge=0, le=20)] = 0
    stream: Literal[False] = False
    user: str = ""


def serve(model: ModelConfig, adapter: Path | None, host: str, port: int) -> None:
    """Serves until it is stopped; the first line on stderr says where.

    Raises:
        KeyboardInterrupt: SIGINT or SIGTERM came.
        ToolError: the address is taken or not this machine's. DataError: the model or the adapter does not load.
    """
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        other = "--host" if isinstance(error, socket.gaierror) else "--port"
        raise ToolError(f"{host}:{port}: cannot be listened on ({error.strerror}); give another {other}") from None
    with listening, loaded(model, adapter) as (base, plain):
        name = model.name if adapter is None else f"{model.name}+{adapter.name}"
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{listening.getsockname()[1]}/v1"
        listening.listen()  # who reads the line may call at once, and waits until the server takes the call
        progress.say(f"serving {name} at {url}")
        if host not in LOOPBACK:
            progress.say("it asks for no key: whoever reaches this address may use it")
        app = application(base, plain, name)
        server = _Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=GRACE_SECONDS))
        server.run(sockets=[listening])
        if server.should_exit:
            raise KeyboardInterrupt


class _Server(uvicorn.Server):
    """Ends at a signal, which it does not raise again."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        self.should_exit = True


@contextlib.contextmanager
def loaded(model: ModelConfig, adapter: Path | None) -> Iterator[tuple[Base, Any]]:
    """The base, and the plain model with the adapter folded in."""
    base = load_base(model)
    if adapter is None:
        yield base, base.model
        return
    carrying = adapters.load(base, base.model, ROLE, adapter)
    with adapters.merged(carrying, ROLE) as plain:
        yield base, plain


def application(base: Base, plain: Any, name: str) -> FastAPI:
    """The endpoint; `plain` is a plain causal model."""
    app = FastAPI(title="Kohai", docs_url=None, redoc_url=None, openapi_url=None)
    one_at_a_time = asyncio.Lock()

    @app.exception_handler(RequestValidationError)
    async def not_understood(_request: Request, error: RequestValidationError) -> JSONResponse:
        found = [f"{'.'.join(map(str, item['loc'][1:]))}: {_words(item)}" for item in error.errors()]
        return JSONResponse({"error": {"message": "; ".join(found), "type": "invalid_request_error"}}, 400)

    @app.exception_handler(HTTPException)
    async def refused(_request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": {"message": error.detail, "type": "invalid_request_error"}}, error.status_code)

    @app.get("/v1/models")
    def models() -> dict[str, Any]:
        return {"object": "list", "data": [{"id": name, "object": "model", "owned_by": "kohai"}]}

    @app.post("/v1/chat/completions")
    async def complete(request: ChatRequest, connection: Request) -> Any:
        try:
            ids = base.render_chat([message.model_dump() for message in request.messages])
        except jinja2.TemplateError as error:
            raise HTTPException(400, f"the model's chat template refuses these messages: {error}") from None
        left = base.n_positions - len(ids)
        wanted = request.max_completion_tokens or request.max_tokens
        max_tokens = min(MAX_TOKENS, left) if wanted is None else wanted
        if not 0 < max_tokens <= left:
            to_write = f"{wanted} to write" if wanted else "any to write"
            raise HTTPException(
                400, f"{len(ids)} tokens to read and {to_write} exceed the context of {base.n_positions}"
            )
        gone = threading.Event()

        async def watch() -> None:
            while not await connection.is_disconnected():
                await asyncio.sleep(POLL_SECONDS)
            gone.set()

        watching = asyncio.create_task(watch())
        try:
            async with one_at_a_time:
                if gone.is_set() or await connection.is_disconnected():
                    return Response(status_code=CLIENT_GONE)
                [found] = await run_in_threadpool(
                    generate,
                    base,
                    plain,
                    [ids],
                    n=request.n,
                    temperature=1.0 if request.temperature is None else request.temperature,
                    max_new_tokens=max_tokens,
                    batch_tokens=1,
                    seed=secrets.randbelow(2**31) if request.seed is None else request.seed,
                    n_likeliest=request.top_logprobs if request.logprobs else 0,
                    stop=gone.is_set,
                )
        except asyncio.CancelledError:  # the server is being stopped
            gone.set()
            return Response(status_code=STOPPING)
        finally:
            watching.cancel()
        if gone.is_set():
            return Response(status_code=CLIENT_GONE)
        return {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": name,
            "choices": [_choice(base, index, sampled, request.logprobs) for index, sampled in enumerate(found)],
            "usage": _usage(len(ids), found),
        }

    return app


def _choice(base: Base, index: int, sampled: Sampled, with_logprobs: bool) -> dict[str, Any]:
    shown = sampled.ids[:-1] if sampled.finished else sampled.ids  # without the token that ends it
    choice: dict[str, Any] = {
        "index": index,
        "message": {"role": "assistant", "content": base.decode(shown)},
        "finish_reason": "stop" if sampled.finished else "length",
        "logprobs": None,
    }
    if with_logprobs:
        rivals = sampled.likeliest or [[] for _ in shown]
        choice["logprobs"] = {
            "content": [
                _token(base, token, logprob) | {"top_logprobs": [_token(base, *rival) for rival in others]}
                for token, logprob, others in zip(shown, sampled.logprobs, rivals, strict=False)
            ]
        }
    return choice


def _token(base: Base, token: int, logprob: float) -> dict[str, Any]:
    text = str(base.tokenizer.decode([token]))
    is_whole = "\ufffd" not in text  # else it is a part of a character
    return {"token": text, "logprob": logprob, "bytes": list(text.encode()) if is_whole else None}


def _usage(n_prompt: int, found: list[Sampled]) -> dict[str, int]:
    n_completion = sum(len(sampled.ids) for sampled in found)
    return {"prompt_tokens": n_prompt, "completion_tokens": n_completion, "total_tokens": n_prompt + n_completion}


def _words(item: dict[str, Any]) -> str:
    return "is not supported" if item["type"] == "extra_forbidden" else str(item["msg"])
