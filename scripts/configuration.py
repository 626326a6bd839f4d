"""Writes docs/configuration.md: every value of a configuration with its type, default and meaning, from the models.

.venv/bin/python scripts/configuration.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from kohai.config import Config

PAGE = Path("docs/configuration.md")
HEAD = """\
# Configuration

A configuration is a YAML file; `configs/` holds some. Only `run`, `package.path` (or `package.docs`) and `tasks.folder`
must be given.
`kohai config show CONFIG` prints one with every default filled in (but for limits of programs, where an image may
have its own), `kohai config schema` its JSON Schema.

- `--set a.b=c` overrides one value, as often as wanted; the value is YAML: `--set tasks.n_test='[120, 40]'`.
- An unknown key is an error that names the nearest known one; all mistakes are listed in one message.
- Paths are relative to the folder that Kohai is started from.
- No secret belongs here: an endpoint's key is read from the environment variable named by
  `feedback.endpoints.NAME.key_env` or `rl.server.key_env`.
- Changing a value makes those stages run again that depend on it, and no others.

`make docs` writes this page from `src/kohai/config.py`.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for path, model, more in sections("", Config):
        title = f"`{path}`" if path else "Top level"
        doc = f"{(model.__doc__ or '').strip()} {more}".strip()
        rows = "\n".join(f"| `{name}` | {default(field)} | {meaning(field)} |" for name, field in values(model))
        parts.append(f"## {title}\n\n{doc}\n\n| key | default | meaning |\n|---|---|---|\n{rows}\n")
    return "\n".join(parts)


def sections(path: str, model: type[BaseModel], more: str = "") -> Iterator[tuple[str, type[BaseModel], str]]:
    """This section and those inside it, with their dotted paths, and what is said of those that the user names."""
    yield path, model, more
    for name, field in model.model_fields.items():
        if (inner := section_of(field)) is not None:
            is_named = get_origin(field.annotation) is dict
            own = f"{path}.{name}{'.NAME' * is_named}".lstrip(".")
            yield from sections(own, inner, meaning(field) if is_named else "")


def values(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """The fields that are values, not sections."""
    return ((name, field) for name, field in model.model_fields.items() if section_of(field) is None)


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The section that a field holds, if it holds one."""
    candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
    return next((hint for hint in candidates if isinstance(hint, type) and issubclass(hint, BaseModel)), None)


def default(field: FieldInfo) -> str:
    """The default as YAML writes it."""
    if field.default is PydanticUndefined:
        return "must be given"
    plain = list(field.default) if isinstance(field.default, tuple) else field.default
    plain = str(plain) if isinstance(plain, Path) else plain
    text = yaml.safe_dump(plain, default_flow_style=True, width=10_000, allow_unicode=True)
    return f"`{text.removesuffix('...' + chr(10)).strip()}`"


def meaning(field: FieldInfo) -> str:
    """The field's sentence; a bar in it does not end the cell."""
    return (field.description or "").replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
