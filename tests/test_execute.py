"""Images, the cache, and `kohai execute`: the sandbox as somebody uses it who wants nothing else of Kohai."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kohai.config import SandboxConfig
from kohai.errors import ConfigError, DataError, ToolError
from kohai.sandbox import Program, Sandbox, image, jsonl, sandbox
from kohai.sandbox.layers import Layers

FAST = {"cpu_seconds": 1.0, "wall_seconds": 3.0, "processes": 2, "unsafe": True}


def config(**rest: object) -> SandboxConfig:
    return SandboxConfig.model_validate(FAST | rest)


def write(folder: Path, text: str) -> str:
    path = folder / "own.yaml"
    path.write_text(text)
    return str(path)


def test_an_equal_program_is_not_run_again(tmp_path: Path) -> None:
    """Outcomes that are the program's own are remembered, by all that they depend on; the environment's never are."""
    script = tmp_path / "start.sql"
    script.write_text("CREATE TABLE t (a); INSERT INTO t VALUES (1);")
    show = "import sqlite3\nprint(sqlite3.connect('app.db').execute('select a from t').fetchall())"
    programs = [
        Program("print(1)"),
        Program("1 / 0"),
        Program("import tensorflow"),
        Program("import time\ntime.sleep(9)", limits={"wall_seconds": 0.5}),
        Program("print(input())", stdin="a"),
        Program("print(open('x').read())", files={"x": "a"}),
        Program(show, script),
    ]
    cache = tmp_path / "outcomes.sqlite"
    with Sandbox(config(cache=cache), state="app.db") as box:
        first = box.execute(programs)
        counts: list[int] = []
        second = box.execute(programs, counts.append)
    assert [outcome.cached for outcome in first] == [False] * 7
    assert [outcome.cached for outcome in second] == [True, True, False, False, True, True, True]
    assert [outcome.kind for outcome in second] == [outcome.kind for outcome in first]
    assert counts[-1] == 7
    changed = [
        Program("print(input())", stdin="b"),
        Program("print(open('x').read())", files={"x": "b"}),
        Program("1 / 0", limits={"memory_mb": 99}),
    ]
    with Sandbox(config(cache=cache), state="app.db") as box:
        assert [outcome.cached for outcome in box.execute(changed)] == [False] * 3
        assert box.execute([Program("print(1)")])[0].cached
        script.write_text("CREATE TABLE t (a); INSERT INTO t VALUES (22);")
        assert box.execute([Program(show, script)])[0].stdout == "[(22,)]\n"
    with Sandbox(config(cache=cache)) as box:
        assert not box.execute([Program("print(1)")])[0].cached


def test_limits_of_one_program() -> None:
    """A program's own limits replace the sandbox's, the rest stays."""
    big = "b = bytearray(200 << 20)\nprint(len(b) >> 20)"
    with Sandbox(config(memory_mb=64)) as box:
        small, large = box.execute([Program(big), Program(big, limits={"memory_mb": 400})])
    assert (small.kind, large.stdout) == ("out_of_memory", "200\n")


def test_what_works_only_after_somebody_else_imported_it(tmp_path: Path) -> None:
    """A program that leans on a module which the worker has loaded fails in a fresh interpreter: that counts."""
    name = write(tmp_path, "name: own\npreload: [concurrent.futures.thread]\n")
    leans = "import concurrent\nprint(concurrent.futures.thread.__name__)"
    stands = "import concurrent.futures.thread\nprint(1)"
    with Sandbox(config(image=name, cold_share=1.0)) as box:
        leaning, standing = box.execute([Program(leans), Program(stands)])
    assert (leaning.kind, leaning.warm_kind) == ("unknown_attribute", "ok")
    assert (standing.kind, standing.warm_kind) == ("ok", "")
    with Sandbox(config(image=name, cold_share=0.0)) as box:
        assert box.execute([Program(leans)])[0].kind == "ok"


def test_a_worker_has_the_modules_that_its_program_needs(tmp_path: Path) -> None:
    """Groups up to the last one that the code names, as text too; all where it imports what no group has."""
    (tmp_path / "wares").mkdir()
    (tmp_path / "wares" / "__init__.py").write_text("")
    name = write(tmp_path, "name: own\npaths: [wares]\npreload: [[json], [decimal, fractions]]\nwarmup: warm.py\n")
    (tmp_path / "warm.py").write_text("import calendar\n")
    look = 'import sys\nprint([n for n in ("js" "on", "deci" "mal", "calen" "dar") if n in sys.modules])'
    codes = (look, f"import json\n{look}", f"{look} # decimal", f"import wares\n{look}", "print((")
    with Sandbox(config(image=name, cold_share=0.0)) as box:
        said = [outcome.stdout for outcome in box.execute([Program(code) for code in codes])]
    everything = "['json', 'decimal', 'calendar']\n"
    assert said == ["['json']\n", "['json']\n", everything, everything, ""]


def test_what_is_done_at_the_end(tmp_path: Path) -> None:
    """A program's own handlers run at its end, in their order; those of modules that the worker imported do not."""
    (tmp_path / "wares").mkdir()
    module = (
        "import atexit, logging, weakref\nclass A: pass\nkept = A()\nweakref.finalize(kept, print, 'its finalizer')\n"
    )
    (tmp_path / "wares" / "__init__.py").write_text(f"{module}atexit.register(print, 'its handler')\n")
    name = write(tmp_path, "name: own\npaths: [wares]\npreload: [wares]\n")
    code = "import atexit, weakref\nclass B: pass\nb = B()\natexit.register(print, 'handler')\n"
    with Sandbox(config(image=name, cold_share=0.0)) as box:
        (outcome,) = box.execute([Program(f"{code}weakref.finalize(b, print, 'finalizer')\nprint('end')")])
    assert (outcome.kind, outcome.stdout) == ("ok", "end\nfinalizer\nhandler\n")


@pytest.mark.parametrize("layers", [None, Layers()])
def test_files_of_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layers: Layers | None) -> None:
    """Every program finds them in its folder, under those of its fixture; what it writes there is its own."""
    if layers is not None:
        monkeypatch.setattr(sandbox, "probe", lambda works: layers)
        if os.getuid() == 0:
            pytest.skip("nobody may not read root's interpreter")
    for folder, name in (("all", "a"), ("all", "b"), ("some", "b")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text(f"{name} of {folder}")
    name = write(tmp_path, "name: own\nfiles: all\n")
    code = "print(open('a').read(), '|', open('b').read())\nopen('a', 'w').write('x')"
    with Sandbox(config(image=name)) as box:
        plain, fixed, again = box.execute([Program(code), Program(code, tmp_path / "some"), Program(code)])
    assert plain.stdout == again.stdout == "a of all | b of all\n"
    assert fixed.stdout == "a of all | b of some\n"


def test_an_image_of_ones_own(tmp_path: Path) -> None:
    """Built from a lock once, it sees its own packages only; what it says is in force, and its digest follows it."""
    (tmp_path / "own.lock").write_text("# nothing\n")
    (tmp_path / "warm.py").write_text("import json\njson.warm = 1\n")
    (tmp_path / "wares").mkdir()
    (tmp_path / "wares" / "__init__.py").write_text("price = 7\n")
    text = "name: own\nlock: own.lock\npaths: [wares]\npreload: [json, wares]\nwarmup: warm.py\n"
    text += "environment: {MODE: test}\n"
    name, built = write(tmp_path, text), tmp_path / "images"
    with pytest.raises(ToolError, match=f"kohai image build {name}"):
        Sandbox(config(image=name, images=built))
    home = image.build(name, built)
    stamp = (home / image.MARK).stat().st_mtime_ns
    assert image.build(name, built) == home
    assert (home / image.MARK).stat().st_mtime_ns == stamp
    code = "import json, os, sys, wares\nprint(json.warm, os.environ['MODE'], wares.price, sys.prefix)\nimport pydantic"
    with Sandbox(config(image=name, images=built)) as box:
        (outcome,) = box.execute([Program(code)])
        before = box.image.digest
    assert outcome.stdout == f"1 test 7 {home.absolute()}\n" or outcome.stdout.startswith("1 test 7 ")
    assert outcome.kind == "missing_dependency"
    (tmp_path / "wares" / "__init__.py").write_text("price = 8\n")
    with Sandbox(config(image=name, images=built)) as box:
        assert box.image.digest != before
        assert box.execute([Program("import wares\nprint(wares.price)")])[0].stdout == "8\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: Own\npreloads: [x]\n", r"own.yaml: not an image:\n  name: .*\n  preloads: "),
        ("- 1\n", "not an image"),
        ("name: [", "not YAML"),
        ("name: own\nlock: none.lock\n", "none.lock is not there"),
        ("name: own\npaths: [nowhere]\n", "nowhere: no such folder"),
        (
            "name: own\npreload: [json, no_such_module_q7]\n",
            "cannot be started: ModuleNotFoundError: .*no_such_module_q7",
        ),
    ],
)
def test_bad_images(tmp_path: Path, text: str, message: str) -> None:
    """One clear error each, that names the file, the field or the module."""
    with pytest.raises(DataError, match=message), Sandbox(config(image=write(tmp_path, text))) as box:
        box.execute([Program("print(1)")])


def test_unknown_images(tmp_path: Path) -> None:
    """A name that ships with nobody, a file that is not there, an interpreter that is not on the path."""
    with pytest.raises(DataError, match="no image 'plane'; those that ship are hub, hub5, plain, stockroom"):
        Sandbox(config(image="plane"))
    with pytest.raises(DataError, match="cannot be read"):
        Sandbox(config(image=str(tmp_path / "none.yaml")))
    with pytest.raises(ToolError, match=r"wants python9\.9"):
        Sandbox(config(image=write(tmp_path, "name: own\npython: python9.9\n")))


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_command(tmp_path: Path) -> None:
    """JSON Lines in, an outcome a program out, in order; a second call takes what is known."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "in.txt").write_text("from a fixture")
    programs = [
        {"code": "print(open('in.txt').read())", "fixtures": "data", "blame": "none"},
        {"code": "print(input())", "stdin": "typed"},
        {"code": "import os\nos._exit(0)"},
    ]
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps(program) + "\n" for program in programs))
    command = [sys.executable, "-m", "kohai", "execute", str(source), "--out", str(out), "--set", "unsafe=true"]
    for n_cached in (0, 3):
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | {"NO_COLOR": "1"})
        said = json.loads(done.stdout)
        assert (said["programs"], said["cached"], said["kinds"]) == (3, n_cached, {"ok": 2, "nonzero_exit": 1})
        found = lines(out)
        assert [line["kind"] for line in found] == ["ok", "ok", "nonzero_exit"]
        assert [line["stdout"] for line in found] == ["from a fixture\n", "typed\n", ""]
        assert {line["tier"] for line in found} == {said["tier"]}
    assert sorted(path.name for path in tmp_path.iterdir() if ".part" in path.name) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r":2: not JSON"),
        ('{"kode": "x"}', r":2: field 'code' is missing"),
        ('{"code": 1}', r":2: field 'code'"),
        ('{"code": "x", "limits": {"cpu": 1}}', r":2: field 'limits': cpu = 1; known: cpu_seconds"),
        ('{"code": "x", "limits": {"cpu_seconds": -1}}', r":2: field 'limits': cpu_seconds = -1"),
        ('{"code": "x", "files": {"../y": "z"}}', r":2: field 'files': '../y'"),
    ],
)
def test_bad_lines(tmp_path: Path, line: str, message: str) -> None:
    """File, line and field; nothing is written."""
    source = tmp_path / "in.jsonl"
    source.write_text('{"code": "print(1)"}\n' + line + "\n")
    with pytest.raises(DataError, match=message):
        jsonl.execute_file(str(source), str(tmp_path / "out.jsonl"), "plain")
    assert not (tmp_path / "out.jsonl").exists()


def test_bad_settings(tmp_path: Path) -> None:
    """A setting that is none is refused with the nearest name."""
    (tmp_path / "in.jsonl").write_text("")
    with pytest.raises(ConfigError, match="wallseconds: unknown key; did you mean 'wall_seconds'"):
        jsonl.execute_file(str(tmp_path / "in.jsonl"), str(tmp_path / "o"), "plain", ["wallseconds=3"])


def test_the_examples_own_image_runs_its_references(tmp_path: Path) -> None:
    """`--image stockroom`: each reference of `dev`, from its fixture, has the effect that the task records."""
    folder = Path("examples/stockroom/tasks").resolve()
    tasks = [json.loads(line) for line in (folder / "dev.jsonl").read_text().splitlines()][:40]
    programs = [{"code": task["reference"], "fixtures": str(folder / task["fixture"])} for task in tasks]
    path = tmp_path / "p.jsonl"
    path.write_text("".join(json.dumps(program) + "\n" for program in programs))
    jsonl.execute_file(str(path), str(tmp_path / "o.jsonl"), "stockroom", ["cold_share=0.5"])
    outcomes = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [outcome["kind"] for outcome in outcomes] == ["ok"] * 40
    assert [outcome["state"] for outcome in outcomes] == [task["effect"]["state"] for task in tasks]
    assert not any(outcome["warm_kind"] for outcome in outcomes)


def test_what_runs_with_other_versions_is_version_skew(tmp_path: Path) -> None:
    """Two images with two versions of a package: what is right for the other one only, and what is for none."""
    for version, text in (("old", "def rows(): return 1"), ("new", "def lines(): return 2")):
        (tmp_path / version / "table").mkdir(parents=True)
        (tmp_path / version / "table" / "__init__.py").write_text(text)
        (tmp_path / f"{version}.yaml").write_text(f"name: {version}\npaths: [{version}/table]\n")
    codes = [
        "import table\ntable.lines()",
        "import table\ntable.rows()",
        "import table\ntable.cells()",
        "f(",
        "exit(3)",
    ]
    images = {"image": str(tmp_path / "new.yaml"), "other_image": str(tmp_path / "old.yaml")}
    with Sandbox(config(**images, cache=tmp_path / "c.sqlite")) as box:
        for cached in (False, True):
            found = box.execute([Program(code) for code in codes])
            kinds = ["ok", "version_skew", "unknown_attribute", "syntax_error", "nonzero_exit"]
            assert [(outcome.kind, outcome.cached) for outcome in found] == [(kind, cached) for kind in kinds]
    assert found[1].blame == "program"
    assert found[1].evidence.startswith("runs in old; here unknown_attribute: AttributeError")


def test_an_interpreter_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot load what ours has compiled, and gets our files as they are."""
    made = image.open_image("plain", Path())
    monkeypatch.setattr(sandbox, "open_image", lambda *_: dataclasses.replace(made, python=(3, 0)))
    with Sandbox(config()) as box:
        assert box.execute([Program("print(1)")])[0].stdout == "1\n"
        assert list(box._layout.folder.rglob("*.pyc")) == []


def test_a_program_knows_its_file(tmp_path: Path) -> None:
    """As a script in its folder does."""
    code = "from pathlib import Path\nprint(Path(__file__).parent == Path.cwd(), Path(__file__).name)"
    with Sandbox(config()) as sandbox:
        [found] = sandbox.execute([Program(code)])
    assert (found.kind, found.stdout) == ("ok", "True program.py\n")
