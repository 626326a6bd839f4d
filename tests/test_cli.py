"""The command line: starts fast, says one clear thing per error, stops in one line."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

import kohai
from kohai import bench, cli, doctor, machine
from kohai.errors import ConfigError, DataError, InternalError
from kohai.stopping import command_line

CONFIG = "run: {run}\npackage: {{path: nowhere}}\ntasks: {{folder: nowhere}}\n"
HEAVY = ("torch", "transformers", "pydantic", "numpy", "jinja2")
COLOURING = ("FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS")  # make typer, and Python's own traces, colour what is piped
PLAIN = {name: value for name, value in os.environ.items() if name not in COLOURING} | {
    "NO_COLOR": "1",
    "PYTHON_COLORS": "0",
}


def kohai_process(
    *arguments: str, code: str = "from kohai.cli import main; main()", **options
) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", f"import sys; sys.argv[1:] = {list(arguments)!r}; {code}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=PLAIN, **options)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.format(run=tmp_path / "run"))
    return path


def test_help_imports_nothing_heavy():
    """`kohai --help` names every command and leaves torch and its like alone."""
    code = (
        "import atexit; from kohai.cli import main;"
        f"atexit.register(lambda: print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])); main()"
    )
    done = kohai_process("--help", code=code)
    assert done.returncode == 0
    assert "HEAVY []" in done.stdout
    for name in ("run", *cli.STAGES, "doctor", "bench", "config"):
        assert f" {name} " in done.stdout


def test_importing_kohai_is_light():
    """The Python calls are there without importing what they need."""
    names = [name for name in kohai.__all__ if name != "Config"]
    code = f"import kohai; [getattr(kohai, name) for name in {names!r}]; print('torch' in sys.modules)"
    assert kohai_process(code=code).stdout.strip() == "False"
    assert kohai.Config.__name__ == "Config"
    with pytest.raises(AttributeError, match="nonsense"):
        _ = kohai.nonsense


@pytest.mark.slow
def test_every_stage_has_its_command_and_its_call():
    """The pipeline's stages, the commands and the Python calls are the same, in the same order."""
    from kohai import pipeline

    assert [name.replace("-", "_") for name in cli.STAGES] == list(pipeline.STAGES)
    calls = {"write_report" if name == "report" else name for name in pipeline.STAGES}
    assert calls <= set(kohai.__all__)


def test_config_mistakes_are_listed_at_once(config):
    """Three mistakes, three lines, exit code 2, no traceback."""
    config.write_text("run: x\npackag: {path: a}\ntasks: {folder: b, n_demo: 0}\n")
    done = kohai_process("config", "show", str(config))
    assert done.returncode == 2
    assert done.stderr.startswith(f"kohai: error: {config}: 3 mistake(s)\n")
    assert "did you mean 'package'?" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 4


def test_config_show_and_schema(config):
    """`show` prints every default and takes --set; `schema` is JSON Schema."""
    runner = CliRunner()
    shown = runner.invoke(cli.app, ["config", "show", str(config), "--set", "seed=9", "--set", "sft.epochs=2"])
    assert shown.exit_code == 0
    assert "seed: 9" in shown.output
    assert "epochs: 2" in shown.output
    schema = json.loads(runner.invoke(cli.app, ["config", "schema"]).output)
    assert "seed" in schema["properties"]


@pytest.mark.parametrize(
    ("error", "exit_code", "line"),
    [
        (DataError("tasks.jsonl:3: field 'id' is missing"), 2, "kohai: error: tasks.jsonl:3: field 'id' is missing\n"),
        (InternalError("lost"), 1, "kohai: error: lost\n"),
        (
            OSError(errno.ENOSPC, "No space", "big.bin"),
            2,
            "kohai: error: big.bin: no space left on the disk; free some",
        ),
    ],
)
def test_errors_are_one_line(monkeypatch, capsys, error, exit_code, line):
    """An error raised on purpose, or a full disk, ends in one line and its exit code."""

    def app() -> None:
        raise error

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == exit_code
    err = capsys.readouterr().err
    assert err.startswith(line)
    assert err.count("\n") == 1


def test_other_errors_keep_their_traceback():
    """A bug of ours is not hidden: exit code 1 and the traceback."""
    code = "from kohai import cli\ndef app(): raise ValueError('a bug')\ncli.app = app; cli.main()"
    done = kohai_process(code=code)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ValueError: a bug" in done.stderr


STAGE = """
import hashlib, sys, time
import kohai
from kohai import cli, stopping
stopping.GRACE_SECONDS = 2.0
def run(config, stages=None):
    print("working", flush=True)
    try:
        {work}
    finally:
        print("closed", flush=True)
kohai.run = run
sys.argv = ["kohai", "run", {path!r}]
cli.main()
"""


def stopped(config: Path, work: str, number: int, times: int = 1) -> subprocess.CompletedProcess:
    """`kohai run CONFIG`, whose stages are `work`, and which is sent a signal once it works."""
    source = STAGE.format(work=work, path=str(config))
    command = [sys.executable, "-c", source]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=PLAIN)
    assert process.stdout is not None
    first = process.stdout.readline()
    for _ in range(times):
        time.sleep(0.2)
        process.send_signal(number)
    out, err = process.communicate(timeout=30)
    return subprocess.CompletedProcess(command, process.returncode, first + out, err)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stop_is_one_line(config, number):
    """Ctrl-C and SIGTERM close what is open and print one line with the command to go on; exit code 130."""
    done = stopped(config, "time.sleep(60)", number)
    assert done.stderr == f"kohai: stopped; the same command goes on where it stopped: kohai run {config}\n"
    assert done.returncode == 130
    assert "closed" in done.stdout


@pytest.mark.parametrize("times", [1, 2])
def test_stop_while_c_computes(config, times):
    """A call into C that takes minutes is ended after some seconds, or at a second signal; same line, same code."""
    started = time.monotonic()
    done = stopped(config, "hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)", signal.SIGINT, times)
    assert done.stderr == f"kohai: stopped; the same command goes on where it stopped: kohai run {config}\n"
    assert done.returncode == 130
    assert time.monotonic() - started < (20 if times == 1 else 10)


def test_stop_that_a_library_swallows(config):
    """Where somebody catches KeyboardInterrupt and goes on, the process ends all the same."""
    work = """for _ in range(60):
            try:
                time.sleep(1)
            except KeyboardInterrupt:
                pass"""
    done = stopped(config, work, signal.SIGTERM)
    assert done.returncode == 130
    assert done.stderr.startswith("kohai: stopped;")


def test_command_line(monkeypatch, tmp_path):
    """As one would type it: the bare name where it is on the path, else the path from here; arguments quoted."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")
    program = tmp_path / ".venv" / "bin" / "kohai"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    assert command_line([str(program), "run", "my config.yaml"]) == ".venv/bin/kohai run 'my config.yaml'"
    monkeypatch.setenv("PATH", str(program.parent))
    assert command_line([str(program), "run", "a.yaml"]) == "kohai run a.yaml"
    assert command_line([kohai.__file__.replace("__init__", "__main__"), "run"]) == "python -m kohai run"


def test_doctor_block():
    """The block names what a bug report needs, one thing a line, between fences."""
    found = doctor.examine()
    lines = doctor.as_text(found).splitlines()
    assert lines[0] == lines[-1] == "```"
    names = [line.split()[0] for line in lines[1:-1]]
    assert " ".join(names) == "commit versions system cpu features memory disk gpu torch sandbox bubblewrap"
    assert found["cores"] >= 1
    json.dumps(found)


def test_machine_reads_cpuinfo(tmp_path):
    """Name and features come from the flags; a machine that tells nothing has no features."""
    path = tmp_path / "cpuinfo"
    path.write_text("processor : 0\nmodel name\t: Example 9000\nflags\t\t: fpu avx2 amx_tile avx512_bf16\n")
    assert machine.cpu_model(path) == "Example 9000"
    assert machine.cpu_features(path) == ["avx2", "avx512_bf16", "amx_tile"]
    assert machine.cpu_features(tmp_path / "none") == []


def test_bench_shape(tmp_path):
    """Every benchmark prints the same keys; a row tells ratio or value, whichever was measured."""
    (tmp_path / "two.py").write_text(
        '"""Two rows."""\nfrom kohai.bench import Row\n'
        "def run():\n"
        '    return [Row("a", "s", 1.0, 4.0, 0.25, goal="under 0.5", holds=True), Row("b", "MB", value=3.0)]\n'
    )
    assert bench.titles(tmp_path) == {"two": "Two rows."}
    result = bench.run("two", tmp_path)
    assert set(result) == {"bench", "machine", "commit", "rows"}
    assert set(result["rows"][0]) == {"name", "ours", "peer", "ratio", "unit", "goal", "holds"}
    assert set(result["rows"][1]) == {"name", "ours", "peer", "value", "unit", "goal", "holds"}
    assert "ratio 0.25 (goal: under 0.5: holds)" in bench.as_text(result)
    with pytest.raises(ConfigError, match=r"no benchmark 'three'.*known: two"):
        bench.run("three", tmp_path)
