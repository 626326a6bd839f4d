"""The files that a program expects to find: named in its code, made here.

APIBench's tasks speak of `photo.jpg` and `data.csv` and bring neither. A program that reads them is not at fault, so it
gets small real ones: of that kind, with the columns that its code asks for. A file that the code writes itself is not
offered, nor one outside its folder, nor what it asks a hub for.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kohai.sandbox import sample_files as sample

NAME = re.compile(r"(?:\./)?[\w() -][\w() .-]*(?:/[\w() -][\w() .-]*)*\.(?P<kind>[A-Za-z0-9]{2,6})")
WRITERS = (
    "save save_pretrained to_csv to_json to_excel to_parquet to_pickle write imwrite savefig export export_to_video "
    "export_to_gif dump save_to_disk mkdir write_text write_bytes write_video write_wav save_audio touch tofile"
).split()
AWAY = (
    "hf_hub_download hf_hub_url cached_download snapshot_download from_pretrained load_from_hub urlretrieve "
    "from_hparams load_dataset get post hub_download"
).split()
COLUMNS = ("text", "label", "value", "category", "date")
FEATURES = tuple(f"feature_{number}" for number in range(6))
N_FILES = 20


@dataclass(frozen=True)
class _Wanted:
    """What the code says about tables: names it looks up, the separator it gives."""

    keys: tuple[str, ...]
    separator: str

    @property
    def columns(self) -> tuple[str, ...]:
        if "features" in self.keys:
            return FEATURES
        return self.keys or COLUMNS


def _json(wanted: _Wanted) -> bytes:
    if "features" in wanted.keys:
        return json.dumps({"features": FEATURES, "target_mapping": {"0": 0, "1": 1}}).encode()
    if wanted.keys:
        return json.dumps({key: sample.cell(key, 1) for key in wanted.keys}).encode()
    return json.dumps([{"text": text, "label": place} for place, text in enumerate(sample.WORDS)]).encode()


def _picture(_: _Wanted) -> bytes:
    return sample.JPEG


def _sound(_: _Wanted) -> bytes:
    return sample.wav()


def _prose(_: _Wanted) -> bytes:
    return sample.PROSE.encode()


MAKERS: dict[str, Callable[[_Wanted], bytes]] = {
    "jpg": _picture,
    "jpeg": _picture,
    "png": lambda _: sample.png(),
    "bmp": lambda _: sample.bmp(),
    "wav": _sound,
    "flac": _sound,  # decoders go by content, not by name
    "mp3": _sound,
    "ogg": _sound,
    "m4a": _sound,
    "mp4": lambda _: sample.avi(),
    "avi": lambda _: sample.avi(),
    "mov": lambda _: sample.avi(),
    "csv": lambda wanted: sample.csv(wanted.columns, wanted.separator),
    "tsv": lambda wanted: sample.csv(wanted.columns, "\t"),
    "json": _json,
    "jsonl": lambda _: b"".join(json.dumps({"text": text}).encode() + b"\n" for text in sample.WORDS),
    "txt": _prose,
    "md": _prose,
    "pdf": lambda _: sample.pdf(),
    "joblib": lambda _: sample.ESTIMATOR,
    "pkl": lambda _: sample.ESTIMATOR,
}


def offered(code: str) -> Mapping[str, bytes]:
    """The files, by their names in the program's folder; none where the code does not parse.

    A name counts where it stands as a string in the code; names that are put together while it runs are not seen.
    """
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError):
        return {}
    names = _assigned(tree)
    other = set(_own(tree, names))
    wanted = _Wanted(tuple(dict.fromkeys(_keys(tree))), _separator(tree))
    found: dict[str, bytes] = {}
    for name in _strings(tree):
        match = NAME.fullmatch(name)
        if match is None or name in other or ".." in name.split("/") or len(found) >= N_FILES:
            continue
        make = MAKERS.get(match["kind"].lower())
        if make is not None:
            found[name] = make(wanted)
    return found


def _strings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 200:
            yield node.value


def _assigned(tree: ast.AST) -> dict[str, str]:
    """Variables that hold a string."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found[target.id] = node.value.value
    return found


def _own(tree: ast.AST, names: Mapping[str, str]) -> Iterator[str]:
    """Strings that are not input: what the code writes, and what it asks a hub for."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in WRITERS or called in AWAY or (called == "open" and _writes(node)):
            values: Sequence[ast.AST] = [*node.args, *(item.value for item in node.keywords)]
            if isinstance(node.func, ast.Attribute) and called in ("write_text", "write_bytes", "open"):
                values = [*values, node.func.value]
            for value in values:
                yield from _strings(value)
                yield from (
                    names[part.id] for part in ast.walk(value) if isinstance(part, ast.Name) and part.id in names
                )


def _writes(call: ast.Call) -> bool:
    """Whether a call of `open` is for writing."""
    place = 0 if isinstance(call.func, ast.Attribute) and not _is_module(call.func.value) else 1
    modes = [*call.args[place : place + 1], *(item.value for item in call.keywords if item.arg == "mode")]
    return any(isinstance(mode, ast.Constant) and re.search("[wax]", str(mode.value)) is not None for mode in modes)


def _is_module(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("io", "os", "codecs", "gzip", "Image", "wave")


def _keys(tree: ast.AST) -> Iterator[str]:
    """Strings that the code looks something up by: columns of a table, keys of a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript):
            item = node.slice
            parts = item.elts if isinstance(item, ast.List | ast.Tuple) else [item]
            for part in parts:
                if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value.isprintable():
                    yield part.value


def _separator(tree: ast.AST) -> str:
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in ("sep", "delimiter") and isinstance(node.value, ast.Constant):
            return str(node.value.value) or ","
    return ","
