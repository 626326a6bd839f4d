"""Images: the Python environments that programs run in; none of them sees Kohai's own packages.

An image is a YAML file: what to install, what a worker imports before it serves, what every program finds in its
folder. Without a lock it is the interpreter that Kohai itself stands on, with its standard library. With one it is a
virtual environment that `kohai image build` makes, whole or not at all.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kohai.config import problems_of, read_yaml
from kohai.errors import DataError, ToolError
from kohai.workspace import digest_path

MARK = "image.json"  # written last: the image is whole
FLAGS = ("-P", "-s", "-B")  # not -I: it would ignore PYTHONHASHSEED, and the environment is ours
WITHOUT_PACKAGES = "-S"
ASK = """
import json, sys, sysconfig
folders = [sys.prefix, sys.base_prefix, sys.base_exec_prefix, sysconfig.get_path("stdlib")]
print(json.dumps({"version": sys.version.split()[0], "folders": folders}))
"""


class ImageSpec(BaseModel):
    """An image as its file says it; paths are relative to the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    python: str | None = Field(None, description="An interpreter, for example python3.10; Kohai's own by default.")
    lock: Path | None = Field(None, description="Requirements for pip, every one pinned; none = the standard library.")
    paths: tuple[Path, ...] = Field((), description="Packages (or folders of some) that are not installed.")
    preload: tuple[str, ...] = Field((), description="Modules that a worker imports once.")
    warmup: Path | None = Field(None, description="A script that a worker runs once after its imports.")
    environment: Mapping[str, str] = Field({}, description="Variables that every program sees.")
    files: Path | None = Field(None, description="A folder whose content every program finds in its own.")
    catalogue: Path | None = Field(
        None, description="Catalogue of the stand-in hub that its programs reach; none = no hub."
    )


@dataclass(frozen=True)
class Image:
    """An image that is there: ready to run programs.

    `folders` are what its interpreter must be able to read; `digest` changes with anything that a program can notice,
    `recipe` with anything that its environment is made from.
    """

    name: str
    interpreter: Path
    flags: tuple[str, ...]
    folders: tuple[Path, ...]
    paths: tuple[Path, ...] = ()
    preload: tuple[str, ...] = ()
    warmup: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Path | None = None
    catalogue: Path | None = None
    digest: str = ""
    recipe: str = ""


def load_spec(name: str) -> tuple[ImageSpec, Path]:
    """The image of a file, or the one of that name that ships with Kohai; and the folder that its paths start from.

    Raises:
        DataError: no such image, or the file is not one; lists every mistake.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        shipped = resources.files("kohai") / "images"
        path = Path(str(shipped / f"{name}.yaml"))
        if not path.is_file():
            known = ", ".join(
                sorted(found.name.removesuffix(".yaml") for found in shipped.iterdir() if found.name.endswith(".yaml"))
            )
            raise DataError(
                f"no image {name!r}; those that ship are {known}; give the path of a YAML file for your own"
            )
    data = read_yaml(path, DataError, "an image")
    try:
        return ImageSpec.model_validate(data), path.parent
    except ValidationError as error:
        problems = "".join(f"\n  {problem}" for problem in problems_of(error, ImageSpec))
        raise DataError(f"{path}: not an image:{problems}") from None


def open_image(name: str, built: Path, paths: Sequence[Path] = ()) -> Image:
    """An image, with further packages that its programs may import.

    Args:
        name: of one that ships, or a YAML file.
        built: the folder that built images lie in.
        paths: folders, as `ImageSpec.paths`.

    Raises:
        DataError: it is not an image, or a path of it is not there.
        ToolError: it is not built.
    """
    spec, folder = load_spec(name)
    places = [*(folder / path for path in spec.paths), *paths]
    for place in places:
        if not place.is_dir():
            raise DataError(f"package path {place}: no such folder")
    catalogue = folder / spec.catalogue if spec.catalogue else None
    if catalogue is not None and not catalogue.is_file():
        raise DataError(f"image {spec.name}: catalogue {catalogue}: no such file")
    seen = [*places, *([] if catalogue is None else [catalogue])]
    python = interpreter(spec)
    facts = ask(python)
    flags: tuple[str, ...] = FLAGS
    digest = recipe_digest(spec, folder, facts["version"])
    if spec.lock is None:
        flags = (*FLAGS, WITHOUT_PACKAGES)
        home = None
    else:
        home = built / f"{spec.name}-{digest[:12]}"
        if not (home / MARK).is_file():
            raise ToolError(f"the image {spec.name} is not built; run `kohai image build {name}`")
        python = home / "bin" / "python"
        facts = ask(python)
    return Image(
        name=spec.name,
        interpreter=python,
        flags=flags,
        folders=tuple(_distinct([*facts["folders"], str(python.parent), str(python.resolve().parent)])),
        paths=tuple(place.resolve() for place in places),
        preload=spec.preload,
        warmup=(folder / spec.warmup).read_text(encoding="utf-8") if spec.warmup else "",
        environment=spec.environment,
        files=folder / spec.files if spec.files else None,
        catalogue=catalogue,
        digest=hashlib.sha256("".join([digest, *map(digest_path, seen)]).encode()).hexdigest(),
        recipe=digest,
    )


def build(name: str, built: Path, arguments: Sequence[str] = ()) -> Path:
    """Makes an image's virtual environment; nothing is done where it is there.

    pip adds to the pinned packages only what they need on this machine and the lock does not name (torch's, for a GPU).
    What its workers run at their start is run once, so that packages can keep beside themselves what they compile.

    Args:
        name: of one that ships, or a YAML file.
        built: the folder that built images lie in.
        arguments: for pip.

    Returns:
        Its folder, or that of the interpreter where the image needs no environment.

    Raises:
        DataError: it is not an image.
        ToolError: its interpreter is not there, pip failed, or its warm-up did; says what they said.
    """
    spec, folder = load_spec(name)
    python = interpreter(spec)
    if spec.lock is None:
        return python.parent
    digest = recipe_digest(spec, folder, ask(python)["version"])
    home = built / f"{spec.name}-{digest[:12]}"
    if (home / MARK).is_file():
        return home
    shutil.rmtree(home, ignore_errors=True)
    home.parent.mkdir(parents=True, exist_ok=True)
    _call([str(python), "-m", "venv", str(home)], f"image {spec.name}: its environment cannot be made")
    pip = [str(home / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    _call([*pip, *arguments, "-r", str(folder / spec.lock)], f"image {spec.name}: pip failed")
    _call([str(home / "bin" / "python"), "-m", "compileall", "-q", str(home / "lib")], "", check=False)
    _warm(spec, folder, home)
    (home / MARK).write_text(json.dumps({"name": spec.name, "digest": digest}), encoding="utf-8")
    return home


def interpreter(spec: ImageSpec) -> Path:
    """The interpreter that an image stands on: its own wish, or the one below Kohai's environment."""
    if spec.python is None:
        return Path(getattr(sys, "_base_executable", sys.executable))
    found = shutil.which(spec.python)
    if found is None:
        raise ToolError(f"the image {spec.name} wants {spec.python}, which is not on the PATH")
    return Path(found)


@functools.cache
def ask(python: Path) -> dict[str, Any]:
    """Version and folders of an interpreter."""
    try:
        done = subprocess.run([str(python), "-I", "-c", ASK], capture_output=True, check=True, timeout=60)
        found: dict[str, Any] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise ToolError(f"{python}: not a Python that starts ({error})") from None
    return found


def recipe_digest(spec: ImageSpec, folder: Path, version: str) -> str:
    """Of all that the image's file, and the files it names, say."""
    parts = [spec.model_dump_json(), version]
    for path in (spec.lock, spec.warmup, spec.files):
        if path is not None:
            if not (folder / path).exists():
                raise DataError(f"image {spec.name}: {folder / path} is not there")
            parts.append(digest_path(folder / path))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _warm(spec: ImageSpec, folder: Path, home: Path) -> None:
    """Imports an image's modules and runs its warm-up, as its workers will where nothing can be written."""
    script = (folder / spec.warmup).read_text(encoding="utf-8") if spec.warmup else ""
    code = "\n".join([*(f"import {module}" for module in spec.preload), script])
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    command = [str(home / "bin" / "python"), *FLAGS, "-c", code]
    _call(command, f"image {spec.name}: its modules or its warm-up fail", env=environment | dict(spec.environment))


def _distinct(folders: Sequence[str]) -> list[Path]:
    shown: list[Path] = []
    for folder in folders:
        for path in (Path(folder), Path(folder).resolve()):
            if path != Path("/") and path not in shown:
                shown.append(path)
    return shown


def _call(command: Sequence[str], what: str, check: bool = True, env: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=env)
    if check and done.returncode:
        raise ToolError(f"{what}: {(done.stderr or done.stdout).strip()[-1500:]}")
