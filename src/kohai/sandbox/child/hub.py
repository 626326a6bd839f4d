"""The stand-in hub: speaks enough of the Hugging Face hub's protocol for its clients, from a folder of replicas.

Runs in the image's interpreter: standard library only, imports nothing of Kohai. Strict: an id that the catalogue does
not know, a revision or a file that is not there is answered as the hub answers it. An id that exists, whose files are
not here, is answered with 424, which no hub sends: the environment lacks something, the program is not wrong.
Nothing can be uploaded, nobody is logged in, and no dataset or space is here.
"""

from __future__ import annotations

import hashlib
import json
import os
import urllib.parse

from kohai.sandbox.child.http import Answer, serve

__all__ = ["Hub", "load", "serve"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

MISSING = 424
DATE = "2024-01-01T00:00:00.000Z"
NOT_FOUND = {
    "repo": (401, "RepoNotFound", "Repository not found"),
    "revision": (404, "RevisionNotFound", "Invalid rev id"),
    "file": (404, "EntryNotFound", "Entry not found"),
}
MANY = 100  # models of a listing, where it names no limit


class AbsentError(Exception):
    """Something that is not there: the answer that says so."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Hub:
    """What the hub knows: `index.json` and `repos/` of a folder of replicas (`kohai.sandbox.hub.replicas`)."""

    def __init__(self, folder: str) -> None:
        self._repos = f"{folder}/repos"
        with open(f"{folder}/index.json", encoding="utf-8") as file:  # noqa: PTH123
            index = json.load(file)
        self._models: dict[str, dict[str, Any]] = index["models"]
        self._aliases: dict[str, str] = index["aliases"]

    def answer(self, method: str, target: str, body: bytes = b"") -> Answer:
        """The answer to a request."""
        parsed = urllib.parse.urlsplit(target)
        parts = urllib.parse.unquote(parsed.path).strip("/").split("/")
        query = urllib.parse.parse_qs(parsed.query)
        try:
            if parts[:2] == ["api", "models"]:
                if method == "POST" and "paths-info" not in parts:
                    raise _not_found(404, "", "no such place")
                return self._api(parts[2:], query, body) if len(parts) > 2 else self._list(query)
            if parts[:2] in (["api", "datasets"], ["api", "spaces"]) or parts[0] in ("datasets", "spaces"):
                raise _not_here("/".join(parts))
            if parts[:1] != ["api"] and "resolve" in parts and method != "POST":
                at = parts.index("resolve")
                return self._file("/".join(parts[:at]), *_two(parts[at + 1 :]))
            if parts[:2] == ["api", "whoami-v2"] or method == "POST":
                raise _not_found(401, "", "Invalid username or password.")
            raise _not_found(404, "", "no such place")
        except AbsentError as missing:
            return missing.answer

    def _api(self, parts: list[str], query: Mapping[str, list[str]], body: bytes) -> Answer:
        kind, rest = "revision", ["main"]
        for word in ("revision", "tree", "paths-info"):
            if word in parts[1:]:
                at = parts.index(word, 1)
                kind, parts, rest = word, parts[:at], parts[at + 1 :] or ["main"]
        repo = self._here(self._known("/".join(parts)))
        revision, path = _two(rest)
        self._check(repo, revision)
        files = self._files(repo)
        if kind == "revision":
            return Answer(200, self._about(repo) | {"siblings": [{"rfilename": name} for name in files]})
        if kind == "paths-info":
            wanted = _paths(body)
            return Answer(200, [self._entry(repo, name) for name in files if name in wanted])
        inside = [name for name in files if not path or name.startswith(f"{path}/")]
        if not inside:
            raise _not_found(*NOT_FOUND["file"], {"X-Repo-Commit": _sha(repo)})
        if query.get("recursive", ["false"])[0].lower() in ("true", "1"):
            return Answer(200, [self._entry(repo, name) for name in inside])
        depth = len(path) + 1 if path else 0
        folders = sorted({name[: depth + name[depth:].index("/")] for name in inside if "/" in name[depth:]})
        here = [self._entry(repo, name) for name in inside if "/" not in name[depth:]]
        return Answer(
            200, [{"type": "directory", "path": name, "oid": _sha(name), "size": 0} for name in folders] + here
        )

    def _list(self, query: Mapping[str, list[str]]) -> Answer:
        search, author = (query.get(name, [""])[0].lower() for name in ("search", "author"))
        tags = [tag for name in ("filter", "pipeline_tag") for value in query.get(name, []) for tag in value.split(",")]
        found = [
            about
            for about in map(self._about, sorted(self._models))
            if search in about["id"].lower()
            and (not author or about["author"].lower() == author)
            and all(tag in about["tags"] for tag in tags)
        ]
        limit = query.get("limit", [str(MANY)])[0]
        return Answer(200, found[: int(limit) if limit.isdigit() else MANY])

    def _file(self, name: str, revision: str, path: str) -> Answer:
        repo = self._known(name)
        is_lacking = path in self._models[repo]["lacks"]
        if not is_lacking:
            self._check(self._here(repo), revision)
        if is_lacking or path not in self._files(repo):
            raise _not_found(*NOT_FOUND["file"], {"X-Repo-Commit": _sha(repo)})
        with open(f"{self._repos}/{repo}/{path}", "rb") as file:  # noqa: PTH123
            content = file.read()
        headers = {
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Repo-Commit": _sha(repo),
            "X-Linked-Size": str(len(content)),
            "Accept-Ranges": "bytes",
        }
        return Answer(200, content, headers)

    def _known(self, name: str) -> str:
        """The canonical id of a model that exists."""
        repo = self._aliases.get(name, name)
        if repo not in self._models:
            raise _not_found(*NOT_FOUND["repo"])
        return repo

    def _here(self, repo: str) -> str:
        """The same, of a model whose files are here."""
        if not os.path.isdir(f"{self._repos}/{repo}"):  # noqa: PTH112
            raise _not_here(repo)
        return repo

    def _check(self, repo: str, revision: str) -> None:
        sha = _sha(repo)
        if revision not in ("main", "refs/heads/main", *self._models[repo]["revisions"]) and not (
            len(revision) >= 7 and sha.startswith(revision)
        ):
            raise _not_found(*NOT_FOUND["revision"])

    def _files(self, repo: str) -> list[str]:
        root = f"{self._repos}/{repo}"
        return sorted(
            os.path.relpath(os.path.join(folder, name), root)  # noqa: PTH118
            for folder, _, names in os.walk(root)
            for name in names
        )

    def _entry(self, repo: str, name: str) -> dict[str, Any]:
        return {
            "type": "file",
            "path": name,
            "oid": _sha(repo + name),
            "size": os.stat(f"{self._repos}/{repo}/{name}").st_size,  # noqa: PTH116
        }

    def _about(self, repo: str) -> dict[str, Any]:
        known = self._models[repo]
        task, library = known["task"], known["library"]
        return {
            "_id": _sha(repo)[:24],
            "id": repo,
            "modelId": repo,
            "author": repo.partition("/")[0] if "/" in repo else "",
            "sha": _sha(repo),
            "private": False,
            "gated": False,
            "disabled": False,
            "pipeline_tag": task or None,
            "library_name": library or None,
            "tags": [tag for tag in (library, task, *known["tags"]) if tag],
            "downloads": 0,
            "likes": 0,
            "lastModified": DATE,
            "createdAt": DATE,
        }


def _sha(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def _two(parts: list[str]) -> tuple[str, str]:
    """Revision and path; a revision such as `refs/pr/1` has slashes."""
    taken = 3 if parts[:1] == ["refs"] else 1
    return "/".join(parts[:taken]), "/".join(parts[taken:])


def _paths(body: bytes) -> list[str]:
    try:
        found = json.loads(body)["paths"]
    except (ValueError, KeyError, TypeError):
        found = urllib.parse.parse_qs(body.decode("utf-8", "replace")).get("paths", [])
    return [found] if isinstance(found, str) else list(found)


def _not_found(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> AbsentError:
    told = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {}) | dict(headers or {})
    return AbsentError(Answer(status, {"error": message}, told))


def _not_here(what: str) -> AbsentError:
    message = f"{what} exists, but its files are not here"
    return AbsentError(Answer(MISSING, {"error": message}, {"X-Error-Message": message}))


def load(service: dict[str, Any]) -> Hub:
    """What the hub's folder says."""
    return Hub(service["folder"])
