"""The README tells the truth about what lies where."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def tree() -> dict[str, str]:
    """Path and phrase of each line of the file tree; deeper lines are inside the last less deep folder."""
    block = re.search(r"## What lies where\n\n```\n(.*?)```", README, re.DOTALL).group(1)
    folders: list[tuple[int, str]] = []
    found = {}
    for line in block.splitlines():
        depth = len(line) - len(line.lstrip())
        name, phrase = line.split(maxsplit=1)
        while folders and folders[-1][0] >= depth:
            folders.pop()
        path = "".join(folder for _, folder in folders) + name
        if name.endswith("/"):
            folders.append((depth, name))
        found[path] = phrase
    return found


def test_the_tree_names_what_exists():
    """Every path of the tree is there: a folder where it ends in a slash, else a file."""
    lines = tree()
    assert len(lines) > 30
    missing = [
        path for path in lines if not ((ROOT / path).is_dir() if path.endswith("/") else (ROOT / path).is_file())
    ]
    assert missing == []


def test_the_tree_names_all_modules():
    """Every module and package of src/kohai, and every stage, has its line."""
    lines = {path.rstrip("/") for path in tree()}
    modules = [path for folder in ("src/kohai", "src/kohai/stages") for path in (ROOT / folder).iterdir()]
    names = {
        str(path.relative_to(ROOT))
        for path in modules
        if path.name != "__init__.py" and (path.suffix == ".py" or (path / "__init__.py").exists())
    }
    assert names <= lines, names - lines


def test_links_lead_somewhere():
    """Each relative link of the README and of docs/ points at a file."""
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name}: {target}"


def test_make_targets_exist():
    """Each `make TARGET` of the README and CONTRIBUTING is a target."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    text = README + (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE))
    assert {"demo", "test"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
