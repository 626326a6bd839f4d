"""Reads requests on its input, one JSON object a line, and answers each with one: a replica made and tried, or why not.

A request: `id`, `library`, `task`, `calls`, `model_type`, `files`, `folder` (there and empty), `endpoint` (of a hub to
take the configuration and tokenizer from; empty = guess them). An answer: `built`, `why`, `class`, `calls` (each
documented call and why it fails on the replica; empty = it works).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

from . import diffusion, estimator, real, sentence, transformer, verify
from .calls import read_call

ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_TELEMETRY": "1"}


def serve() -> None:
    """Answers until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    warnings.simplefilter("ignore")
    import torch
    import transformers

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    with contextlib.suppress(ImportError):
        import diffusers

        diffusers.utils.logging.set_verbosity_error()
    for line in sys.stdin:
        request = json.loads(line)
        answer = {"id": request["id"]} | make(request)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def make(request: dict[str, Any]) -> dict[str, Any]:
    """Builds and tries one replica."""
    folder = Path(request["folder"])
    try:
        made = _build(request, folder)
        card(request, made, folder)
    except Exception as error:
        told = io.StringIO()
        traceback.print_exc(file=told)
        print(told.getvalue(), file=sys.stderr)
        why = str(error) if type(error) is LookupError else f"{type(error).__name__}: {error}"
        return {"built": False, "why": " ".join(why.split())[:300]}
    task = verify.task_works(folder, request["task"]) if made["library"] == "transformers" else ""
    tried = {call: _call_works(call, request, made, folder) for call in request["calls"]}
    return {"built": True, "why": "", "class": made["class"], "calls": tried, "task": task}


def _build(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    name, library, task = request["id"], request["library"], request["task"]
    call = next(iter(request["calls"]), "")
    if library == "diffusers":
        documented = read_call(call)
        made = diffusion.build(name, documented.owner if documented else "", folder)
        diffusion.check(folder, made["class"])
    elif library == "sentence-transformers" and "CrossEncoder" not in call:
        made = sentence.build(name, folder)
        sentence.check(folder)
    elif library == "sklearn":
        made = estimator.build(name, task, request["files"], folder)
        estimator.check(folder)
    else:
        library = "transformers"
        if request["endpoint"]:
            made = real.build(name, request["endpoint"], folder)
        else:
            made = transformer.build(name, task, call, request["model_type"], folder)
        verify.own_class(folder, made["class"])
    return made | {"library": library}


def _call_works(call: str, request: dict[str, Any], made: dict[str, Any], folder: Path) -> str:
    if made["library"] == "sklearn":
        return ""
    return verify.documented(call, folder, request["task"])


def card(request: dict[str, Any], made: dict[str, Any], folder: Path) -> None:
    """The model card: says what this is."""
    head = {"library_name": made["library"], "pipeline_tag": request["task"]}
    lines = [f"{key}: {value}" for key, value in head.items() if value]
    text = "\n".join(["---", *lines, "---", f"# {request['id']}", "", "A tiny replica with random weights.", ""])
    (folder / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    serve()
