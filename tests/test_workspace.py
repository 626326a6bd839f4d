"""A run's folder: artifacts are whole or absent, whatever happens while they are written."""

import errno
import json
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from kohai import pipeline
from kohai.config import load_config
from kohai.errors import InternalError, WorkspaceError
from kohai.records import Completion
from kohai.sandbox import of_run
from kohai.stages import prepare
from kohai.tasks import load_tasks
from kohai.workspace import FORMAT, Workspace, digest_json, digest_of_base, digest_path, run_stage, writing

ROOT = Path(__file__).parent.parent


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "run")


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_failed_write_leaves_what_was_there(workspace):
    """The old file stays whole, nothing half-written stays beside it."""
    workspace.write_text("stage/a.txt", "old")

    def write() -> None:
        with writing(workspace.path("stage", "a.txt")) as temporary:
            temporary.write_text("new, but only ha")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert workspace.path("stage", "a.txt").read_text() == "old"
    assert names(workspace.root) == ["stage/a.txt"]


def test_a_folder_is_replaced_whole(workspace):
    """A checkpoint's folder takes the place of the old one; no file of the old is left in it."""
    target = workspace.path("sft", "adapter")
    for name in ("one", "two"):
        with writing(target) as temporary:
            temporary.mkdir()
            (temporary / name).write_text(name)
    assert names(workspace.root) == ["sft/adapter/two"]


def test_no_space(workspace):
    """A full disk is one clear error, and no file is there."""

    def write() -> None:
        with writing(workspace.path("stage", "a.txt")) as temporary:
            temporary.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(WorkspaceError, match=r"a\.txt: no space left on the disk; free some and run the same command"):
        write()
    assert names(workspace.root) == []


class LibraryError(Exception):
    """What a library raises in place of the system's error."""


@pytest.mark.parametrize(
    "error",
    [OSError(errno.EDQUOT, "Quota exceeded"), LibraryError("I/O error: No space left on device (os error 28)")],
)
def test_no_space_said_by_a_library(workspace, error):
    """In a write and anywhere else in a stage; the stage is not done."""

    def work() -> dict:
        raise error

    def write() -> None:
        with writing(workspace.path("stage", "a.txt")):
            raise error

    with pytest.raises(WorkspaceError, match=r"stage: no space left on the disk"):
        run_stage(workspace, "stage", {}, [], work)
    with pytest.raises(WorkspaceError, match=r"a\.txt: no space left on the disk"):
        write()
    assert workspace.manifest("stage") is None


def test_other_errors_stay_what_they_are(workspace):
    """Where there is space left."""

    def work() -> dict:
        raise LibraryError("anything else")

    with pytest.raises(LibraryError, match="anything else"):
        run_stage(workspace, "stage", {}, [], work)


def test_a_write_cut_by_the_system(workspace):
    """A file size limit cuts the write in the middle: an error, and the old file stays whole."""
    workspace.write_text("a.txt", "old")
    code = (
        "import resource, signal, sys; from pathlib import Path; from kohai.workspace import Workspace\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "Workspace(Path(sys.argv[1])).write_text('a.txt', 'x' * 100_000)"
    )
    done = subprocess.run([sys.executable, "-c", code, workspace.root], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert workspace.path("a.txt").read_text() == "old"
    assert names(workspace.root) == ["a.txt"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_texts_of_models_come_back_as_they_were(workspace):
    """Line separators inside a text split no record, half a surrogate pair stops no stage."""
    items = [Completion("t", 0, "a\u2028b\x85c\x0bd\r\ne", "x"), Completion("t", 1, "half \ud83d", "y")]
    workspace.write_records("sample/completions.jsonl", items)
    assert workspace.read_records(Completion, "sample/completions.jsonl") == items


def test_what_is_not_there_yet(workspace):
    """Reading what no stage has made says which command makes it."""
    with pytest.raises(WorkspaceError, match="`kohai reward-model CONFIG` or `kohai run CONFIG` makes it"):
        workspace.read_json("reward_model/scores.json")


def test_a_damaged_artifact(workspace):
    """A file that is not JSON is named, with what to do."""
    workspace.write_text("sft/manifest.json", '{"format": 1, "sta')
    with pytest.raises(WorkspaceError, match=r"sft/manifest\.json: not JSON .*; delete .*/run/sft and run the same"):
        workspace.manifest("sft")


@pytest.mark.parametrize("text", ['{"format": 99, "stage": "sft"}', "[]"])
def test_another_version(workspace, text):
    """A run folder of another version is refused, not misread."""
    workspace.write_text("sft/manifest.json", text)
    with pytest.raises(WorkspaceError, match="made by another version of Kohai"):
        run_stage(workspace, "sft", {}, [], dict)
    assert workspace.path("sft", "manifest.json").read_text() == text


def test_a_stage_is_done_once(workspace, tmp_path):
    """Same settings and inputs: skipped. Another setting or another input: done again, in an empty folder."""
    source = tmp_path / "tasks.jsonl"
    source.write_text("one")
    done = []

    def work() -> dict:
        done.append(names(workspace.path("sft")))
        workspace.write_text(f"sft/{len(done)}.txt", "")
        return {"n": len(done)}

    manifest, skipped = run_stage(workspace, "sft", {"epochs": 1}, [source], work)
    assert (manifest["report"], skipped) == ({"n": 1}, False)
    assert manifest["format"] == FORMAT
    assert {"seconds", "peak_memory_bytes", "versions", "settings", "inputs"} <= set(manifest)
    assert run_stage(workspace, "sft", {"epochs": 1}, [source], work) == (manifest, True)
    assert run_stage(workspace, "sft", {"epochs": 2}, [source], work)[1] is False
    source.write_text("two")
    assert run_stage(workspace, "sft", {"epochs": 2}, [source], work)[1] is False
    assert done == [["progress.json"]] * 3


def test_a_stop_while_an_old_stage_is_deleted(workspace, monkeypatch):
    """Nothing of a stage with other settings is left to the new one, wherever the deletion ended."""
    seen = []

    def work(stopping=False) -> dict:
        seen.append(names(workspace.path("sft")))
        workspace.write_text("sft/checkpoint.txt", "")
        if stopping:
            raise KeyboardInterrupt
        return {}

    def deletes_one_file(folder) -> None:
        (folder / "progress.json").unlink()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(workspace, "sft", {"epochs": 1}, [], lambda: work(stopping=True))
    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", deletes_one_file)
        with pytest.raises(KeyboardInterrupt):
            run_stage(workspace, "sft", {"epochs": 2}, [], work)
    with workspace.lock():
        run_stage(workspace, "sft", {"epochs": 2}, [], work)
    assert seen == [["progress.json"]] * 2
    assert not list(workspace.root.glob(".*.part"))


def test_a_failed_stage_has_no_manifest(workspace):
    """What a stage had written stays for the next try; only the manifest says done."""

    def work() -> dict:
        workspace.write_text("sft/checkpoint.txt", "1")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_stage(workspace, "sft", {}, [], work)
    assert names(workspace.path("sft")) == ["checkpoint.txt", "progress.json"]
    assert workspace.manifest("sft") is None


def test_missing_inputs(workspace, tmp_path):
    """A path of the user's, an artifact not made yet, one taken out of a finished stage: each its own advice."""
    with pytest.raises(WorkspaceError, match="check the path in the configuration"):
        run_stage(workspace, "sft", {}, [tmp_path / "nowhere"], dict)
    with pytest.raises(WorkspaceError, match="an earlier stage makes it"):
        run_stage(workspace, "sft", {}, [workspace.path("prepare", "prompts", "demo.jsonl")], dict)
    run_stage(workspace, "prepare", {}, [], dict)
    with pytest.raises(WorkspaceError, match=r"taken out of a finished stage: delete .*prepare"):
        run_stage(workspace, "sft", {}, [workspace.path("prepare", "prompts", "demo.jsonl")], dict)
    workspace.write_text("prepare/prompts/demo.jsonl", "")
    with pytest.raises(InternalError, match="named twice"):
        run_stage(workspace, "sft", {}, [workspace.path("prepare", "prompts", "demo.jsonl")] * 2, dict)


KILLED = """
import os, signal, sys
from pathlib import Path
from types import SimpleNamespace
from kohai.workspace import Workspace, run_stage, writing

workspace = Workspace(Path(sys.argv[1]))

def work():
    for step in range(5):
        if workspace.path("rl", f"{step}.txt").exists():
            continue
        with writing(workspace.path("rl", f"{step}.txt")) as temporary:
            temporary.write_text(f"half of {step}")
            if step == 3 and sys.argv[2] == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            temporary.write_text(f"all of {step}")
    return {"steps": 5}

with workspace.lock():
    print(run_stage(workspace, "rl", {"seed": 7}, [], work)[0]["report"])
"""


def test_kill_and_go_on(workspace):
    """Kill -9 in the middle of a write: the finished steps are kept, the half-written one is not, the rest follows."""
    run = [sys.executable, "-c", KILLED, str(workspace.root)]
    assert subprocess.run([*run, "kill"], check=False).returncode == -signal.SIGKILL
    made = {name for name in names(workspace.path("rl")) if not name.endswith(".part")}
    assert made == {"0.txt", "1.txt", "2.txt", "progress.json"}
    assert workspace.manifest("rl") is None
    done = subprocess.run([*run, "go on"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.replace("'", '"')) == {"steps": 5}
    assert names(workspace.path("rl")) == [
        "0.txt",
        "1.txt",
        "2.txt",
        "3.txt",
        "4.txt",
        "manifest.json",
        "progress.json",
    ]
    assert workspace.path("rl", "3.txt").read_text() == "all of 3"


def test_one_process_holds_a_run(workspace):
    """A second process is told so at once; when the first has ended the folder is free again."""
    code = (
        "import sys; from pathlib import Path; from kohai.workspace import Workspace\n"
        "with Workspace(Path(sys.argv[1])).lock(): pass"
    )
    other = [sys.executable, "-c", code, str(workspace.root)]
    with workspace.lock():
        done = subprocess.run(other, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "is in use by another process" in done.stderr
    assert subprocess.run(other, check=False).returncode == 0


def test_a_folder_that_cannot_be_written(tmp_path):
    """A run folder under a file is one clear error."""
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="cannot be written"), Workspace(tmp_path / "file" / "run").lock():
        pass


def test_a_file_that_cannot_be_written(tmp_path):
    """Where a folder is, or under a file: one clear error."""
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "below"):
        with pytest.raises(WorkspaceError, match=rf"{path}: cannot be written \("), writing(path) as temporary:
            temporary.write_text("whole")
    with pytest.raises(FileNotFoundError), writing(tmp_path / "out"):
        (tmp_path / "another").read_text()


def test_digests(tmp_path):
    """Order of keys and compiled Python make no difference; a name or a byte does."""
    assert digest_json({"a": 1, "b": 2}) == digest_json({"b": 2, "a": 1})
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "a.py").write_text("x")
    before = digest_path(folder)
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "a.pyc").write_text("y")
    assert digest_path(folder) == before
    (folder / "a.py").rename(folder / "b.py")
    assert digest_path(folder) != before


def test_rounds(tmp_path):
    """The first round's folders have the stages' names, later ones' end in the round; other stages have one folder."""
    workspace = Workspace(tmp_path)
    second = workspace.of_round(2)
    for one in second.rounds:
        one.write_json("sample/tokens.json", [one.round])
        one.write_json("prepare/docs.json", [one.round])
    assert [workspace.path("sample_2/tokens.json").exists(), second.read_json("sample/tokens.json")] == [True, [2]]
    assert workspace.read_json("sample/tokens.json") == [1]
    assert workspace.read_json("prepare/docs.json") == [2]
    assert workspace.newest_policy == tmp_path / "sft" / "adapter"
    assert second.newest_policy == tmp_path / "rl" / "policy"
    assert workspace.of_round(3).newest_policy == tmp_path / "rl_2" / "policy"
    with pytest.raises(WorkspaceError, match=r"rl_2/policy.json is not there yet; `kohai rl CONFIG`"):
        second.read_json("rl/policy.json")


def test_one_stage_of_the_rounds_that_are_there(monkeypatch, tmp_path):
    """`kohai rl` with two rounds does the first; the second too, once what it reads is made."""
    config = load_config(ROOT / "configs" / "smoke.yaml", [f"run={tmp_path}", "rounds=2"])
    done = []

    def run(_config, workspace):
        done.append(workspace.round)
        return {}

    stage = SimpleNamespace(depends=lambda _config, workspace: ({}, [workspace.path("sample", "tokens.json")]), run=run)
    monkeypatch.setattr(pipeline.importlib, "import_module", lambda _name: stage)
    workspace = Workspace(tmp_path)
    workspace.write_text("sample/tokens.json", "[]")
    assert list(pipeline.run(config, ["rl"])) == ["rl"]
    workspace.of_round(2).write_text("sample/tokens.json", "[]")
    assert list(pipeline.run(config, ["rl"])) == ["rl", "rl_2"]
    assert done == [1, 2]


def test_what_outcomes_depend_on(tmp_path):
    """A fixture, the package's code, the database's name, a limit: a stage that runs programs is done again for each,
    and not for how many run at a time or where.
    """
    shutil.copytree(ROOT / "examples" / "stockroom", tmp_path / "own", ignore=shutil.ignore_patterns("__pycache__"))
    settings = [f"package.path={tmp_path}/own/src/stockroom", f"tasks.folder={tmp_path}/own/tasks"]
    config = load_config(ROOT / "configs" / "smoke.yaml", settings)
    workspace = Workspace(tmp_path / "run")
    fixtures = {task.fixture for task in load_tasks(config.tasks.folder / "test.jsonl")} - {None}
    fixture = config.tasks.folder / fixtures.pop()
    assert fixture in prepare.depends(config, workspace)[1]

    def seen():
        prepare.copy_fixtures(config.tasks.folder, load_tasks(config.tasks.folder / "test.jsonl"), workspace)
        settings, path = of_run.depends(config, workspace)
        return digest_json(settings), digest_path(path)

    first = seen()
    fixture.write_text(fixture.read_text(encoding="utf-8") + "-- mended\n", encoding="utf-8")
    second = seen()
    assert (first[0], first[1] != second[1]) == (second[0], True)
    with (config.package.path / "__init__.py").open("a", encoding="utf-8") as handle:
        handle.write("# mended\n")
    third = seen()
    assert (third[0] != second[0], third[1]) == (True, second[1])
    elsewhere = ["sandbox.processes=7", "sandbox.engine=ray", f"sandbox.cache={tmp_path}/outcomes"]
    config = load_config(ROOT / "configs" / "smoke.yaml", [*settings, *elsewhere])
    assert seen() == third
    for other in ("tasks.state=other.db", "sandbox.wall_seconds=3"):
        config = load_config(ROOT / "configs" / "smoke.yaml", [*settings, other])
        assert seen()[0] != third[0]


def test_a_base_that_is_a_folder_is_known_by_its_files(tmp_path):
    """By its name where it is none."""
    assert "org/model" in digest_of_base("org/model")
    for name, text in (("a", "first"), ("b", "second")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_text(text)
    assert digest_of_base(str(tmp_path / "a")) != digest_of_base(str(tmp_path / "b"))
    assert digest_path(tmp_path / "a") in digest_of_base(str(tmp_path / "a"))
