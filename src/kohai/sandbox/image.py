"""Images: the Python environments that programs run in; none of them sees Kohai's own packages.

An image is a YAML file: what to install, what a worker imports before it serves, what every program finds in its
folder. Without a lock it is the interpreter that Kohai itself stands on, with its standard library. With one it is a
virtual environment that `kohai image build` makes, whole or not at all.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from kohai.config import LimitName, problems_of, read_yaml
from kohai.errors import DataError, ToolError
from kohai.workspace import digest_path

NAMED = ("lock", "warmup", "files", "catalogue")  # what an image's file names beside it
FILES = (".yaml", ".yml")  # other names are those of images that ship with Kohai
MARK = "image.json"  # written last: the image is whole
FLAGS = ("-P", "-s", "-B")  # not -I: it would ignore PYTHONHASHSEED, and the environment is ours
WITHOUT_PACKAGES = "-S"
LIST = "import json, pkgutil; print(json.dumps([module.name for module in pkgutil.iter_modules()]))"
ASK = """
import json, sys, sysconfig
folders = [sys.prefix, sys.base_prefix, sys.base_exec_prefix, sysconfig.get_path("stdlib")]
print(json.dumps({"version": sys.version.split()[0], "folders": folders}))
"""


def _in_groups(value: Any) -> Any:
    """A plain list of names is one group."""
    return [value] if isinstance(value, list | tuple) and value and all(isinstance(n, str) for n in value) else value


Groups = tuple[tuple[str, ...], ...]


class ServiceSpec(BaseModel):
    """An ASGI application that the programs of an image reach at `http://127.0.0.1:<port>`, fresh for each program."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    app: str = Field(pattern=r"^[\w.]+:[\w.]+$", description="Where it is: package.module:attribute.")
    port: int = Field(ge=1024, le=65535)


class ImageSpec(BaseModel):
    """An image as its file says it; paths are relative to the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    python: str | None = Field(None, description="An interpreter, for example python3.10; Kohai's own by default.")
    lock: Path | None = Field(None, description="Requirements for pip, every one pinned; none = the standard library.")
    paths: tuple[Path, ...] = Field((), description="Packages (or folders of some) that are not installed.")
    preload: Annotated[Groups, BeforeValidator(_in_groups)] = Field(
        (),
        description="Modules that a worker imports once; in groups, the lighter ones first: a program's worker has as "
        "many of them as the program needs.",
    )
    warmup: Path | None = Field(None, description="A script that a worker runs once after its imports.")
    environment: Mapping[str, str] = Field({}, description="Variables that every program sees.")
    files: Path | None = Field(None, description="A folder whose content every program finds in its own, or a `*.sql`.")
    state: str | None = Field(None, description="The database that a `*.sql` makes; outcomes tell its final content.")
    services: tuple[ServiceSpec, ...] = Field((), description="Applications that programs reach; uvicorn serves them.")
    web: tuple[str, ...] = Field(
        (), description="Names of web sites that have a small file of the kind at every address."
    )
    limits: Mapping[LimitName, Annotated[float, Field(gt=0)]] = Field(
        {}, description="Limits of its programs, where the configuration names none."
    )
    catalogue: Path | None = Field(
        None, description="Catalogue of the stand-in hub that its programs reach; none = no hub."
    )


@dataclass(frozen=True)
class Image:
    """An image that is there: ready to run programs.

    `folders` are what its interpreter must be able to read; `digest` changes with anything that a program can notice,
    `recipe` with anything that its environment is made from (empty where it needs none).
    """

    name: str
    interpreter: Path
    flags: tuple[str, ...]
    folders: tuple[Path, ...]
    python: tuple[int, ...] = sys.version_info[:2]  # the interpreter's version
    paths: tuple[Path, ...] = ()
    preload: Groups = ()
    warmup: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Path | None = None
    state: str | None = None
    services: tuple[ServiceSpec, ...] = ()
    web: tuple[str, ...] = ()
    limits: Mapping[LimitName, float] = field(default_factory=dict)
    catalogue: Path | None = None
    digest: str = ""
    recipe: str = ""

    @functools.cached_property
    def group_of(self) -> dict[str, int]:
        """Top-level names of the preloaded modules, and the number of the first group that has each, from 1."""
        found: dict[str, int] = {}
        for number, group in enumerate(self.preload, 1):
            for name in group:
                found.setdefault(name.partition(".")[0], number)
        return found

    @property
    def full(self) -> int:
        """The level of a worker that has all modules; one of level 0 has none."""
        return max(1, len(self.preload))

    def start(self, level: int) -> tuple[list[str], str]:
        """What a worker of a level imports, and the script that it runs after that: the warm-up wants all modules."""
        modules = [name for group in self.preload[:level] for name in group]
        return modules, self.warmup if level == self.full else ""

    def level(self, code: str) -> int:
        """How many groups of modules a program's worker has: up to the last that its text names anywhere, all where
        it imports what is in none.
        """
        if self.full == 1:
            return 1
        words = set(re.findall(r"\w+", code))
        named = [number for name, number in self.group_of.items() if name in words]
        try:
            nodes = list(ast.walk(ast.parse(code)))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return 1  # it will not run
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [n.name for n in node.names]
                roots = {module.partition(".")[0] for module in modules} - sys.stdlib_module_names
                if not roots <= self.group_of.keys():
                    return self.full
        return max(named, default=1)


def load_spec(name: str) -> tuple[ImageSpec, Path]:
    """The image of a file, or the one of that name that ships with Kohai; and the folder that its paths start from.

    Raises:
        DataError: no such image, or the file is not one; lists every mistake.
    """
    path = Path(name)
    if path.suffix not in FILES:
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


def named_files(name: str) -> list[Path]:
    """The file of an image, and the files and folders that it names; none of one that ships with Kohai.

    Raises:
        DataError: it is not an image.
    """
    spec, folder = load_spec(name)
    if Path(name).suffix not in FILES:
        return []
    named = (*(getattr(spec, key) for key in NAMED), *spec.paths)
    return [Path(name), *(folder / path for path in named if path is not None)]


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
    places = list(dict.fromkeys(path.resolve() for path in (*(folder / path for path in spec.paths), *paths)))
    for place in places:
        if not place.is_dir():
            raise DataError(f"package path {place}: no such folder")
    named = {key: folder / path for key in NAMED if (path := getattr(spec, key)) is not None}
    for key, path in named.items():
        if not path.exists():
            raise DataError(f"image {spec.name}: {key}: {path} is not there")
    python = interpreter(spec)
    flags: tuple[str, ...] = FLAGS
    recipe = ""
    if spec.lock is None:
        flags = (*FLAGS, WITHOUT_PACKAGES)
    else:
        home, recipe = _place(spec, folder, built)
        if not (home / MARK).is_file():
            raise ToolError(f"the image {spec.name} is not built; run `kohai image build {name}`")
        python = home / "bin" / "python"
    facts = ask(python)
    parts = [spec.model_dump_json(), facts["version"], *map(digest_path, [*places, *named.values()])]
    return Image(
        name=spec.name,
        interpreter=python,
        python=tuple(map(int, facts["version"].split(".")[:2])),
        flags=flags,
        folders=tuple(_distinct([*facts["folders"], str(python.parent), str(python.resolve().parent)])),
        paths=tuple(places),
        preload=spec.preload,
        warmup=named["warmup"].read_text(encoding="utf-8") if "warmup" in named else "",
        environment=spec.environment,
        files=named.get("files"),
        state=spec.state,
        services=spec.services,
        web=spec.web,
        limits=spec.limits,
        catalogue=named.get("catalogue"),
        digest=hashlib.sha256("\n".join(parts).encode()).hexdigest(),
        recipe=recipe,
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
    home, recipe = _place(spec, folder, built)
    if (home / MARK).is_file():
        return home
    shutil.rmtree(home, ignore_errors=True)
    home.parent.mkdir(parents=True, exist_ok=True)
    _call([str(python), "-m", "venv", str(home)], f"image {spec.name}: its environment cannot be made")
    pip = [str(home / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    _call([*pip, *arguments, "-r", str(folder / spec.lock)], f"image {spec.name}: pip failed")
    _call([str(home / "bin" / "python"), "-m", "compileall", "-q", str(home / "lib")], "", check=False)
    _warm(spec, folder, home)
    (home / MARK).write_text(json.dumps({"name": spec.name, "recipe": recipe}), encoding="utf-8")
    return home


def interpreter(spec: ImageSpec) -> Path:
    """The interpreter that an image stands on: its own wish, or the one below Kohai's environment."""
    if spec.python is None:
        return Path(getattr(sys, "_base_executable", sys.executable))
    found = shutil.which(spec.python)
    if found is None:
        raise ToolError(f"the image {spec.name} wants {spec.python}, which is not on the PATH")
    return Path(found)


def importable(image: Image) -> frozenset[str]:
    """Top-level modules that its programs can import beside the standard library."""
    packages = [path for path in image.paths if (path / "__init__.py").is_file()]
    places = os.pathsep.join(str(path) for path in image.paths if path not in packages)
    done = subprocess.run(
        [str(image.interpreter), *image.flags, "-c", LIST],
        env={"PYTHONPATH": places},
        capture_output=True,
        check=True,
        timeout=60,
    )
    return frozenset([*json.loads(done.stdout), *(path.name for path in packages)]) - sys.stdlib_module_names


@functools.cache
def ask(python: Path) -> dict[str, Any]:
    """Version and folders of an interpreter."""
    try:
        done = subprocess.run([str(python), "-I", "-c", ASK], capture_output=True, check=True, timeout=60)
        found: dict[str, Any] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise ToolError(f"{python}: not a Python that starts ({error})") from None
    return found


def _place(spec: ImageSpec, folder: Path, built: Path) -> tuple[Path, str]:
    """Where an image's environment belongs, and the digest of what it is made from: its lock, and the interpreter."""
    assert spec.lock is not None
    if not (folder / spec.lock).is_file():
        raise DataError(f"image {spec.name}: lock: {folder / spec.lock} is not there")
    parts = [ask(interpreter(spec))["version"], digest_path(folder / spec.lock)]
    recipe = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return built.absolute() / f"{spec.name}-{recipe[:12]}", recipe


def _warm(spec: ImageSpec, folder: Path, home: Path) -> None:
    """Imports an image's modules and runs its warm-up, as its workers will where nothing can be written."""
    script = (folder / spec.warmup).read_text(encoding="utf-8") if spec.warmup else ""
    paths = [(folder / path).resolve() for path in spec.paths]
    places = [str(path.parent if (path / "__init__.py").is_file() else path) for path in paths]
    imports = (f"import {module}" for group in spec.preload for module in group)
    run = f"exec(compile({script!r}, 'warm-up', 'exec'))"
    code = "\n".join([f"import sys; sys.path += {places}", *imports, run])
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
