"""What travels to an actor of a Ray cluster in place of paths: files by their content."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kohai.config import SandboxConfig
from kohai.sandbox import image

Packed = tuple[tuple[str, int, bytes | None], ...]  # path, mode, content; a folder has none


@dataclass(frozen=True, slots=True)
class Setup:
    """What every actor starts from: the arguments of a local sandbox, with content in place of paths."""

    config: SandboxConfig
    moved: tuple[str, ...]  # keys of `config` that name one of `files`
    files: Packed
    digest: str
    packages: tuple[tuple[str, Packed], ...]
    state: str | None


def prepare(config: SandboxConfig, digest: str, paths: Sequence[Path], state: str | None) -> Setup:
    """Reads all that actors need into one value; a path that an image's file gives as absolute is each node's own."""
    named = {
        "image": image.named_files(config.image),
        "other_image": image.named_files(config.other_image) if config.other_image else [],
        "catalogue": [config.catalogue] if config.catalogue else [],
    }
    files = {key: [Path(os.path.normpath(path.absolute())) for path in found] for key, found in named.items() if found}
    places = list(dict.fromkeys(path for found in files.values() for path in found))
    root = Path(os.path.commonpath([path.parent for path in places])) if places else Path()
    own = {"engine": "local", "cache": None, "processes": 1, "images": config.images.absolute()}
    return Setup(
        config=config.model_copy(update=own | {key: str(found[0].relative_to(root)) for key, found in files.items()}),
        moved=tuple(files),
        files=pack(root, places),
        digest=digest,
        packages=tuple((path.name, pack(path.parent, [path])) for path in (path.resolve() for path in paths)),
        state=state,
    )


def pack(root: Path, places: Sequence[Path]) -> Packed:
    """Files, and folders with all in them, by their path below `root`; compiled Python is left out."""
    paths = [path for place in places for path in (place, *(place.rglob("*") if place.is_dir() else ()))]
    return tuple(
        (str(path.relative_to(root)), path.stat().st_mode & 0o777, None if path.is_dir() else path.read_bytes())
        for path in paths
        if "__pycache__" not in path.parts and (path.is_dir() or path.is_file())
    )


def unpack(packed: Packed, folder: Path) -> Path:
    """Writes what `pack` read; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, mode, content in packed:
        path = folder / name
        if content is None:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(mode)
    return folder
