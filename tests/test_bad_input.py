"""What is wrong with a model, a package, a task file, a disk or an endpoint is said in one message, with its code.

Mistakes in a configuration: test_config, test_cli. In a rubric: test_rubric. An endpoint that hangs: test_endpoint.
"""

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tiers import skip_where_programs_cannot_read

from kohai import pipeline
from kohai.config import Config, LoraConfig, ModelConfig, load_config
from kohai.errors import ConfigError, DataError, UserError, WorkspaceError
from kohai.models import adapters
from kohai.models.base import choose_dtype, load_base
from kohai.sandbox.image import importable, open_image

ROOT = Path(__file__).parent.parent
SMOKE = ["configs/smoke.yaml", "--set", "model.threads=1"]


def kohai(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a child process, from the project's root."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "kohai", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The tiny model as a folder of its own."""
    base = load_base(ModelConfig(name="tiny-random", threads=1))
    base.model.save_pretrained(tmp_path / "model")
    base.tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_a_folder_loads(folder):
    """A whole folder is a model."""
    base = load_base(ModelConfig(name=str(folder), threads=1, dtype="float32"))
    assert base.decode(base.encode("print(1)")) == "print(1)"
    assert choose_dtype(ModelConfig(dtype="bfloat16"), base.device).is_floating_point


@pytest.mark.parametrize("damage", ["truncated", "missing", "no config"])
def test_damaged_model(folder, damage):
    """The message names the folder and what to do."""
    weights = folder / "model.safetensors"
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "missing":
        weights.unlink()
    else:
        (folder / "config.json").unlink()
    with pytest.raises(DataError, match=rf"{folder} does not load .*; delete"):
        load_base(ModelConfig(name=str(folder), threads=1))


def test_adapter_on_layers_that_are_not_there():
    """The names that the model has are in the message."""
    base = load_base(ModelConfig(name="tiny-random", threads=1))
    with pytest.raises(ConfigError, match=r"no wq; it has down_proj, gate_proj"):
        adapters.add(base, base.model, "sft", LoraConfig(modules=("wq",)))


def test_model_that_is_nowhere(tmp_path):
    """A path with nothing there: the message names it and what to check; nothing is waited for."""
    with pytest.raises(DataError, match=rf"model {tmp_path}/none: .* does not load .*; check the name") as error:
        load_base(ModelConfig(name=str(tmp_path / "none"), threads=1))
    assert error.value.exit_code == 2
    assert "\n" not in str(error.value)


TASK = {"id": "{id}", "instruction": "Say {id}.", "reference": "print('{id}')"}


class Small:
    """A package of one function with a task in each split, to be spoilt."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.package = folder / "greetings"
        self.package.mkdir()
        self.write_package('def greet(name: str) -> str:\n    """Says hello."""\n    return name\n')
        for split in ("demo", "practice", "dev", "test", "test_unseen"):
            self.write_tasks(split, {name: text.format(id=f"{split}-1") for name, text in TASK.items()})

    def write_package(self, code: str) -> None:
        """Its only module."""
        (self.package / "__init__.py").write_text(code, encoding="utf-8")

    def write_tasks(self, split: str, *tasks: dict[str, str]) -> None:
        """A task file."""
        lines = "".join(json.dumps(task) + "\n" for task in tasks)
        (self.folder / f"{split}.jsonl").write_text(lines, encoding="utf-8")

    def config(self, *overrides: str) -> Config:
        """A configuration of it."""
        paths = [f"run={self.folder / 'run'}", f"package.path={self.package}", f"tasks.folder={self.folder}"]
        counts = ["tasks.n_demo=null", "tasks.n_practice=null", "tasks.n_test=null"]
        return load_config(ROOT / "configs" / "smoke.yaml", ["model.threads=1", *paths, *counts, *overrides])

    def refused(self, kind: type[UserError], match: str, *overrides: str) -> None:
        """`prepare` says so in one message for the user, and leaves no artifact."""
        with pytest.raises(kind, match=match) as error:
            pipeline.run(self.config(*overrides), ["prepare"])
        assert error.value.exit_code == 2
        stage = self.folder / "run" / "prepare"
        assert {path.name for path in stage.rglob("*")} <= {"progress.json"}


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """Files with nothing wrong yet."""
    return Small(tmp_path)


def test_nothing_wrong(small):
    """As it is, it is prepared: the tests below spoil one thing each."""
    report = pipeline.run(small.config(), ["prepare"])["prepare"]
    assert report["apis"] == 1
    assert (
        "dev.jsonl has, beside the probe set, tasks with references for no more than 0 of 4 for the calibration and 0"
    )
    assert set(report["tasks"].values()) <= {0, 1}


def test_package_that_does_not_parse(small):
    """File and line."""
    small.write_package("def greet(name):\n    return name\n\ndef broken(:\n")
    small.refused(DataError, r"greetings/__init__\.py:4: ")


def test_package_that_is_not_there(small):
    """The path, and where it comes from."""
    small.refused(WorkspaceError, r"nowhere does not exist; check the path in the config", "package.path=/nowhere")


def test_package_without_python(small):
    """A folder without a module is none."""
    (small.package / "__init__.py").rename(small.package / "notes.txt")
    small.refused(DataError, r"greetings: no Python package .*; check package\.path")


def test_files_that_late_stages_read(small):
    """All of them in one message, before the first stage begins."""
    missing = ["feedback.labels=labels.jsonl", "evaluate.answers={elsewhere: answers.jsonl}"]
    with pytest.raises(ConfigError) as error:
        pipeline.run(small.config(*missing))
    assert str(error.value).splitlines() == [
        f"feedback.labels: {Path.cwd()}/labels.jsonl does not exist",
        f"evaluate.answers.elsewhere: {Path.cwd()}/answers.jsonl does not exist",
    ]
    rubric = small.folder / "rubric.yaml"
    rubric.write_text("- {id: parses, question: Does it?, answerer: nobody}\n", encoding="utf-8")
    with pytest.raises(UserError, match="rubric"):
        pipeline.run(small.config(f"feedback.rubric={rubric}"))
    assert not (small.folder / "run" / "prepare").exists()


def test_task_file_that_is_not_there(small):
    """The path, and where it comes from."""
    (small.folder / "dev.jsonl").unlink()
    small.refused(WorkspaceError, r"dev\.jsonl does not exist; check the path in the configuration")


def test_task_lines(small):
    """File, line and field, for what is not JSON and for a task without a needed field."""
    small.write_tasks("test", {"id": "a", "instruction": "Do."}, {"id": "b"})
    small.refused(DataError, r"test\.jsonl:2: field 'instruction' is missing")
    (small.folder / "test.jsonl").write_text('{"id": "a", "instruction": "Do."}\n{"id": \n', encoding="utf-8")
    small.refused(DataError, r"test\.jsonl:2: not JSON")


def test_demo_task_without_a_reference(small):
    """SFT has nothing to learn from it: file, task and field."""
    small.write_tasks("demo", {"id": "demo-1", "instruction": "Do."})
    small.refused(DataError, r"demo\.jsonl: task demo-1: field 'reference' is missing")


def references(small, *codes):
    """Demo tasks with these references."""
    small.write_tasks(
        "demo", *({"id": f"demo-{n}", "instruction": "Do.", "reference": code} for n, code in enumerate(codes))
    )


def test_demo_references_that_do_not_run(small, capfd):
    """Some: how many, and why the first does not. None: nothing is learned from them."""
    good, bad = 'import greetings\n\nprint(greetings.greet("Kai"))\n', "import greetings\n\nprint(greetings.gret(1))\n"
    references(small, good, bad)
    report = pipeline.run(small.config(), ["prepare"])["prepare"]
    [(name, why)] = report["references"].pop("failed").items()
    assert (name, why.partition(":")[0]) == ("demo-1", "unknown_attribute")
    assert report["references"] == {"tried": 2, "ran": 1, "accused": {"api_exists": 1, "grounded": 1, "prints": 2}}
    said = capfd.readouterr().err
    assert "1 of the first 2 demo references do not run (demo-1: unknown_attribute: " in said
    assert "`api_exists` says no of 1 of 2 demo references (demo-1: line 3: greetings has no 'gret'; nearest: " in said
    references(small, bad)
    with pytest.raises(DataError, match=r"none of the first 1 demo references runs in the image stockroom \(demo-0: "):
        pipeline.run(small.config(), ["prepare"])
    assert not (small.folder / "run" / "prepare" / "manifest.json").exists()


def test_apis_are_the_catalogs(small, capfd):
    """By the path of a re-export, or none: the reference's; one that is no api is told."""
    (small.folder / "greetings" / "inner.py").write_text(
        'def bow(depth: int) -> str:\n    """Bow."""\n    return "-"\n'
    )
    place = small.folder / "greetings" / "__init__.py"
    place.write_text(place.read_text() + "from greetings.inner import bow\n")
    code = "import greetings\n\nprint(greetings.bow(2))\n"
    rows = [{"apis": ["greetings.bow"]}, {}, {"apis": ["greetings.bwo"]}]
    small.write_tasks("demo", *({"id": f"demo-{n}", "instruction": f"Bow 2 and print {n}.", "reference": code} | row
                                for n, row in enumerate(rows)))  # fmt: skip
    pipeline.run(small.config(), ["prepare"])
    lines = (small.folder / "run" / "prepare" / "tasks" / "demo.jsonl").read_text(encoding="utf-8").splitlines()
    known = json.loads(lines[0])["apis"]
    assert [json.loads(line)["apis"] for line in lines] == [known, known, ["greetings.bwo"]]
    assert "1 names in `apis` are none of the package's: greetings.bwo (demo-2)" in capfd.readouterr().err


def test_references_that_call_nothing_of_the_package(small, capfd):
    """As where package.path is a folder too high: it says what is to be named."""
    pipeline.run(small.config(), ["prepare"])
    assert "no demo reference calls the package greetings: package.path (" in capfd.readouterr().err


def test_what_an_image_has_may_be_imported(small):
    """A module of the image is there, for the static checks, too; another is not."""
    module = small.folder / "more" / "helpers"
    module.mkdir(parents=True)
    (module / "__init__.py").write_text("def loud(text):\n    return text.upper()\n", encoding="utf-8")
    image = small.folder / "own.yaml"
    single = small.folder / "single"  # a package itself: its modules are no modules of their own
    single.mkdir()
    (single / "__init__.py").write_text("", encoding="utf-8")
    (single / "inside.py").write_text("", encoding="utf-8")
    image.write_text("name: own\npaths: [more, single]\n", encoding="utf-8")
    plain = importable(open_image("plain", small.folder))
    assert importable(open_image(str(image), small.folder)) - plain == {"helpers", "single"}
    code = 'import greetings\nimport helpers\n\nprint(helpers.loud(greetings.greet("Kai")))\n'
    references(small, code, code.replace("helpers", "helping"))
    skip_where_programs_cannot_read(module)
    report = pipeline.run(small.config(f"sandbox.image={image}"), ["prepare"])["prepare"]
    assert (report["references"]["ran"], report["references"]["accused"]["api_exists"]) == (1, 1)


def test_effects(small):
    """A test task that states none has its reference's, which is run; a state needs a database."""
    pipeline.run(small.config("tasks.state=null", "sandbox.image=plain"), ["prepare"])
    lines = (small.folder / "run" / "prepare" / "tasks" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["effect"] for line in lines] == [{"state": None, "stdout": "test-1\n"}]
    task = {name: text.format(id="test-1") for name, text in TASK.items()}
    small.write_tasks("test", task | {"effect": {"state": "0" * 64, "stdout": ""}})
    with pytest.raises(
        DataError, match=r"task test-1: field 'effect\.state': .* no database is named; set tasks\.state"
    ):
        pipeline.run(small.config("tasks.state=null", "sandbox.image=plain"), ["prepare"])


def test_task_in_two_splits(small):
    """What is trained on would be tested on: the id and both splits."""
    small.write_tasks("test", {"id": "demo-1", "instruction": "Do.", "reference": "print(1)"})
    small.refused(DataError, r"task demo-1 is in demo and in test; ids are unique")


def test_instruction_that_is_too_long(small):
    """No doc can be cut any more: the task, its length and the setting."""
    small.refused(DataError, r"takes \d+ tokens; raise prompt\.max_tokens \(20\) or shorten it", "prompt.max_tokens=20")


def test_a_reference_that_is_too_long(small):
    """A prompt and what is learned after it are more than the model can read: the task, both lengths."""
    small.write_tasks("demo", {"id": "long", "instruction": "Do.", "reference": "x = 1\n" * 1000})
    small.refused(DataError, r"task long: the prompt has \d+ tokens, its reference 6001, and the model 4096 positions")


def test_references_that_no_completion_could_end(small, capsys):
    """Longer than what is drawn: how many, one of them, and the setting; one that just fits is not meant."""
    code = "x = 1\n" * 4
    small.write_tasks("demo", *({"id": f"d{n}", "instruction": "Do.", "reference": code + "#" * n} for n in (0, 1, 2)))
    limits = ("sample.max_new_tokens=26", "rl.sampling.max_new_tokens=99")
    pipeline.run(small.config("tasks.n_demo=3", *limits), ["prepare"])
    said = capsys.readouterr().err
    assert "1 of 3 demo references (d2, say) are longer than sample.max_new_tokens = 26" in said
    assert "rl.sampling" not in said


def test_run_folder_of_another_version(small):
    """It is refused and stays as it was."""
    manifest = small.folder / "run" / "prepare" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text('{"format": 99, "stage": "prepare"}')
    with pytest.raises(
        WorkspaceError, match=r"made by another version of Kohai \(format 99, .*\); use a new run folder"
    ):
        pipeline.run(small.config(), ["prepare"])
    assert manifest.read_text() == '{"format": 99, "stage": "prepare"}'


def test_stage_without_the_one_before(small):
    """Asking for a later stage first says which file is missing and what makes it."""
    with pytest.raises(
        WorkspaceError, match=r"prompts/demo\.jsonl does not exist; an earlier stage makes it: `kohai run"
    ):
        pipeline.run(small.config(), ["sft"])
    with pytest.raises(UserError, match=r"no stage 'dance'; the stages are prepare, sft"):
        pipeline.run(small.config(), ["dance"])


FULL_DISK = """
set -e
mount -t tmpfs -o size={size}k none {run}
cd {root}
{kohai} && echo "ended well" || echo "exit code $?"
find {run} -name '*.part' -o -name manifest.json | sort
mount -o remount,size=200m {run}
{kohai} 2> /dev/null > /dev/null
echo "then ended well"
"""


@pytest.mark.slow
@pytest.mark.parametrize(("size", "stage"), [(200, "prepare"), (1200, "run")])
def test_full_disk(tmp_path, size, stage):
    """A disk of that many KB: one line and exit code 2, nothing half-written; with space the same command goes on."""
    new_spaces = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*new_spaces, "mount -t tmpfs none /mnt"], check=False).returncode
    ):
        pytest.skip("this machine lets nobody mount a small disk")
    run = tmp_path / "run"
    run.mkdir()
    command = shlex.join([sys.executable, "-m", "kohai", stage, *SMOKE, "--set", f"run={run}"])
    script = FULL_DISK.format(size=size, run=run, root=ROOT, kohai=command)
    done = subprocess.run([*new_spaces, script], capture_output=True, text=True, timeout=400, check=False)
    assert "exit code 2" in done.stdout, done.stderr
    assert done.stdout.endswith("then ended well\n"), done.stderr
    assert ".part" not in done.stdout
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"kohai: error: {run}/")
    assert last.endswith("no space left on the disk; free some and run the same command again")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_bad_task_line(tmp_path):
    """File, line and field, exit code 2, and no stage's proof."""
    tasks = ROOT / "examples" / "stockroom" / "tasks"
    shutil.copytree(tasks, tmp_path, dirs_exist_ok=True)
    lines = (tmp_path / "demo.jsonl").read_text(encoding="utf-8").splitlines()
    lines[2] = lines[2].replace('"instruction"', '"instructions"')
    (tmp_path / "demo.jsonl").write_text("\n".join(lines), encoding="utf-8")
    done = kohai("prepare", *SMOKE, "--set", f"run={tmp_path / 'run'}", "--set", f"tasks.folder={tmp_path}")
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"kohai: error: {tmp_path / 'demo.jsonl'}:3: unknown field 'instructions'")
    assert not (tmp_path / "run" / "prepare" / "manifest.json").exists()


@pytest.mark.slow
def test_endpoint_that_refuses(tmp_path):
    """The feedback stage ends with the endpoint's address and exit code 2; earlier stages stay done."""
    with socket.socket() as deaf:  # it keeps its port from others, and does not listen
        deaf.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        endpoint = f"feedback.endpoints={{senior: {{base_url: 'http://{address}/v1', model: judge, retries: 0}}}}"
        done = kohai("run", *SMOKE, "--set", f"run={tmp_path}", "--set", "feedback.judges=[senior]", "--set", endpoint)
    assert done.returncode == 2, done.stderr
    assert address in done.stderr.strip().splitlines()[-1]
    assert (tmp_path / "sample" / "manifest.json").exists()
    assert not (tmp_path / "feedback" / "manifest.json").exists()
