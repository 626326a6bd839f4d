"""The command line. Each command is a thin call of a documented function; heavy imports wait inside the commands.

Exit codes: 0 done; 2 something that the user can mend; 1 ours; 130 stopped by Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kohai.errors import KohaiError
from kohai.stopping import stoppable

if TYPE_CHECKING:
    from kohai.config import Config

app = typer.Typer(
    name="kohai",
    help="Teach a small language model to call your API so that the code runs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
image_app = typer.Typer(help="The environments that programs run in.", no_args_is_help=True)
app.add_typer(image_app, name="image")
hub_app = typer.Typer(help="The stand-in hub that programs load models from.", no_args_is_help=True)
app.add_typer(hub_app, name="hub")
judge_app = typer.Typer(help="Examine judges, and what asking them would cost.", no_args_is_help=True)
app.add_typer(judge_app, name="judge")
data_app = typer.Typer(help="Public data for tests and benchmarks.", no_args_is_help=True)
app.add_typer(data_app, name="data")
baseline_app = typer.Typer(help="Models of others, in the same measures.", no_args_is_help=True)
app.add_typer(baseline_app, name="baseline")
config_app = typer.Typer(help="Look at configurations.", no_args_is_help=True)
app.add_typer(config_app, name="config")

ConfigPath = Annotated[str, typer.Argument(metavar="CONFIG", help="YAML file, for example configs/demo.yaml.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=C", help="Overrides one value of CONFIG; repeatable.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

STAGES = {
    "prepare": "Read the package, the tasks and the fixtures; build the prompts.",
    "sft": "Fine-tune the base model on the demo references.",
    "sample": "Draw completions for the practice tasks.",
    "judges": "Tune the reviewer, and examine every judge.",
    "feedback": "Check, run and judge each completion.",
    "reward-model": "Train the reward model on the preferences.",
    "rejection-sft": "Fine-tune on the best samples instead, to compare.",
    "dpo": "Optimise on the preferences directly instead, to compare.",
    "rl-execution": "Train the policy on execution alone instead, to compare.",
    "rl": "Train the policy against the reward model (PPO).",
    "evaluate": "Compare all arms on the test splits.",
    "report": "Write the report page, its JSON and its table.",
}


@app.command()
def run(config: ConfigPath, overrides: Overrides = None) -> None:
    """Run all stages; what is done already is skipped, a stopped run goes on where it stopped."""
    _run(config, overrides, None)


def _stage_command(name: str) -> Callable[..., None]:
    def command(config: ConfigPath, overrides: Overrides = None) -> None:
        _run(config, overrides, name.replace("-", "_"))

    return command


for _name, _help in STAGES.items():
    if _name != "report":
        app.command(_name, help=_help)(_stage_command(_name))


@app.command(help=STAGES["report"])
def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="A configuration, or folders of runs.")],
    to: Annotated[
        str, typer.Option("--to", metavar="DIR", help="Where the report on several runs goes.")
    ] = "runs/comparison",
    overrides: Overrides = None,
) -> None:
    """With several runs: compare them."""
    if len(runs) == 1 and not _is_folder(runs[0]):
        _run(runs[0], overrides, "report")
        return
    from pathlib import Path

    import kohai
    from kohai import report

    folders = [Path(run) if _is_folder(run) else Path(_load(run, overrides).run) for run in runs]
    with stoppable(sys.argv):
        report.show(kohai.compare_runs(folders, Path(to) if len(folders) > 1 else None))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Print versions, CPU features, memory, sandbox level and GPU, to paste into a bug report."""
    from kohai import doctor

    found = doctor.examine()
    print(_json(found) if as_json else doctor.as_text(found))


@app.command()
def bench(
    name: Annotated[str | None, typer.Argument(help="Which; without a name they are listed.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run one benchmark of benchmarks/ against its peer."""
    from kohai import bench

    if name is None:
        print("\n".join(f"{found:<12} {title}" for found, title in bench.titles().items()))
        return
    with stoppable(sys.argv):
        result = bench.run(name)
    print(_json(result) if as_json else bench.as_text(result))


@app.command()
def score(
    tasks: Annotated[str, typer.Option("--tasks", metavar="FILE", help="Task file of Kohai or of APIBench.")],
    metrics: Annotated[str, typer.Option("--metrics", metavar="A,B", help="docs/metrics.md lists them.")],
    completions: Annotated[
        str | None,
        typer.Option(
            "--completions",
            metavar="FILE",
            help="JSON Lines: row (the task, from 0) and text; without it the references are scored, the ceiling.",
        ),
    ] = None,
    catalog: Annotated[
        str | None, typer.Option("--catalog", metavar="PATH", help="A package's folder, or APIBench's api docs.")
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", metavar="FILE", help="JSON Lines: one line a completion, in order.")
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option("--gorilla-mode", help="huggingface, torchhub or tensorhub; else told from the catalog."),
    ] = None,
    image: Annotated[str | None, typer.Option("--image", help="For executability: where programs run.")] = None,
    state: Annotated[
        str | None, typer.Option("--state", metavar="FILE", help="For effect match: the file that holds the state.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score stored completions; no model is asked."""
    from pathlib import Path

    from kohai import score
    from kohai.errors import ConfigError

    if mode not in (None, "huggingface", "torchhub", "tensorhub"):
        raise ConfigError(f"--gorilla-mode {mode!r}: huggingface, torchhub or tensorhub")
    with stoppable(sys.argv):
        found = score.score_files(
            Path(tasks),
            None if completions is None else Path(completions),
            None if catalog is None else Path(catalog),
            [name.strip() for name in metrics.split(",") if name.strip()],
            out=None if out is None else Path(out),
            mode=mode,  # type: ignore[arg-type]
            image=image,
            state=state,
        )
    print(_json(found) if as_json else score.as_text(found))


@data_app.command("apibench")
def data_apibench(
    folder: Annotated[str, typer.Option("--from", metavar="FOLDER", help="Where its files lie.")] = "data/apibench",
    download: Annotated[
        bool, typer.Option("--download", help="Fetch what is missing there, checksums verified.")
    ] = False,
    to: Annotated[
        str | None, typer.Option("--to", metavar="FOLDER", help="Write task files there, for `tasks.folder`.")
    ] = None,
    part: Annotated[str, typer.Option("--part", help="Of --to: huggingface, torchhub or tensorhub.")] = "huggingface",
    image: Annotated[
        str | None, typer.Option("--image", help="Of --to: run what is to be learned from, for example in hub.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check APIBench's published files and name every irregular record; or, with --to, deal them into task files."""
    from pathlib import Path

    from kohai import published
    from kohai.errors import UserError
    from kohai.records import to_dict
    from kohai.tasks import apibench_files

    with stoppable(sys.argv):
        if download:
            apibench_files.download(Path(folder), on_file=lambda name: print(f"fetched {name}", file=sys.stderr))
        if to is not None:
            if part not in published.FILES:
                raise UserError(f"--part {part}: expected one of {', '.join(published.FILES)}")
            report = published.write_tasks(Path(folder), Path(to), part, image)
            print(_json(report) if as_json else published.as_text(report))
            return
        found = apibench_files.examine(Path(folder))
    print(_json([to_dict(file) for file in found]) if as_json else apibench_files.as_text(found))


@baseline_app.command("gorilla-7b")
def baseline_gorilla(
    folder: Annotated[str, typer.Option("--from", metavar="FOLDER", help="APIBench's files and the 7B's answers.")],
    image: Annotated[
        str | None, typer.Option("--image", help="Run the programs too, for example in hub; without it they are not.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score what the released 7B Gorilla model answered, with the references beside it."""
    from pathlib import Path

    from kohai import baseline

    with stoppable(sys.argv):
        found = baseline.gorilla_7b(Path(folder), image)
    print(_json(found) if as_json else baseline.as_text(found))


@app.command()
def prompt(
    config: ConfigPath,
    instruction: Annotated[str, typer.Argument(metavar="TEXT", help="What a program is to do.")],
    overrides: Overrides = None,
) -> None:
    """Print the prompt for an instruction of yours, as the models of CONFIG's run were taught to read it."""
    loaded = _load(config, overrides)
    with stoppable(sys.argv):
        import kohai

        print(kohai.prompt(loaded, instruction))


@app.command()
def serve(
    config: ConfigPath,
    adapter: Annotated[
        str | None, typer.Option("--adapter", metavar="DIR", help="An adapter's folder; the bare base without one.")
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 = any that is free.")] = 8000,
    overrides: Overrides = None,
) -> None:
    """Serve CONFIG's model, with an adapter of a run if given, as an OpenAI-compatible chat endpoint."""
    from pathlib import Path

    loaded = _load(config, overrides)
    from kohai import serve

    try:
        with stoppable(()):
            serve.serve(loaded.model, Path(adapter) if adapter else None, host, port)
    except SystemExit as stopped:
        os._exit(int(stopped.code or 0))  # the thread of a request that is being decoded is not waited for


@app.command()
def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder.")],
    to: Annotated[str, typer.Option("--to", metavar="DIR", help="A folder that is not there yet.")],
    arm: Annotated[str, typer.Option("--arm", help="Whose weights: sft, rejection_sft, dpo, rl_execution.")] = "rlaif",
    merged: Annotated[bool, typer.Option("--merged", help="A model of its own, not an adapter.")] = False,
    gguf: Annotated[bool, typer.Option("--gguf", help="Merged, with model.gguf for llama.cpp.")] = False,
    ungated: Annotated[bool, typer.Option("--ungated", help="Though the release gate is closed.")] = False,
) -> None:
    """Write a run's model with tokenizer, chat template and card, for transformers, vLLM, llama.cpp and others."""
    from pathlib import Path

    with stoppable(sys.argv):
        from kohai import export

        print(export.export(Path(run), Path(to), arm, merged, gguf, ungated))


@app.command()
def execute(
    programs: Annotated[str, typer.Argument(metavar="FILE", help="JSON Lines; docs/sandbox.md lists the keys.")],
    out: Annotated[str, typer.Option("--out", metavar="FILE", help="JSON Lines: one outcome a program, in order.")],
    image: Annotated[str, typer.Option("--image", help="One that ships with Kohai, or a YAML file.")] = "plain",
    engine: Annotated[str, typer.Option("--engine", help="local, or ray: on a Ray cluster.")] = "local",
    state: Annotated[
        str | None,
        typer.Option("--state", metavar="NAME", help="The file that holds the state: a SQL fixture's database."),
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="A=B", help="A setting of the section `sandbox`; repeatable.")
    ] = None,
) -> None:
    """Run untrusted programs in the sandbox and say what happened, whose fault it was, and what it cost."""
    from kohai.sandbox import jsonl

    with stoppable(sys.argv):
        print(_json(jsonl.execute_file(programs, out, image, overrides or [], engine, state)))


@image_app.command("build")
def image_build(
    name: Annotated[str, typer.Argument(help="One that ships with Kohai, or a YAML file.")],
    folder: Annotated[str, typer.Option("--folder", help="Where environments lie.")] = ".images",
) -> None:
    """Make an image's virtual environment; nothing is done where it is there."""
    from pathlib import Path

    from kohai.sandbox import image

    with stoppable(sys.argv):
        print(image.build(name, Path(folder)))


@hub_app.command("build")
def hub_build(
    catalogue: Annotated[
        str | None, typer.Option("--catalog", metavar="FILE", help="Replaces the image's catalogue.")
    ] = None,
    image: Annotated[str, typer.Option("--image", help="One that ships with Kohai, or a YAML file.")] = "hub",
    from_hub: Annotated[
        bool, typer.Option("--from-hub", help="Fetch real configurations and tokenizers from HF_ENDPOINT.")
    ] = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first so many models.")] = None,
    folder: Annotated[str, typer.Option("--folder", help="Where environments lie.")] = ".images",
    as_json: AsJson = False,
) -> None:
    """Make the replicas of a catalogue ahead of the programs that load them, and say what they cover."""
    from pathlib import Path

    from kohai.sandbox.hub import prepare

    with stoppable(sys.argv):
        found = prepare.prepare(image, Path(folder), catalogue, from_hub, limit)
    print(_json(found) if as_json else prepare.as_text(found))


@judge_app.command("bench")
def judge_bench(config: ConfigPath, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Examine every judge of CONFIG on programs whose truth is known."""
    loaded = _load(config, overrides)
    with stoppable(sys.argv):
        import kohai
        from kohai import report
        from kohai.workspace import Workspace

        found = kohai.run(loaded, ["prepare", "judges", "report"])["judges"]["bench"]
        if as_json:
            print(_json(found))
        else:
            report.show_bench(Workspace(loaded.run))


@judge_app.command("dry-run")
def judge_dry_run(config: ConfigPath, overrides: Overrides = None) -> None:
    """Print what judge bench and feedback of CONFIG would ask of endpoints and cost; asks nothing."""
    loaded = _load(config, overrides)
    with stoppable(sys.argv):
        import kohai

        print(_json(kohai.dry_run(loaded)))


@judge_app.command("export")
def judge_export(
    config: ConfigPath,
    to: Annotated[str, typer.Option("--to", metavar="DIR", help="A folder that is not there yet.")],
    overrides: Overrides = None,
) -> None:
    """Write the preferences of CONFIG's run as a Hugging Face dataset folder, ready for DPO."""
    from pathlib import Path

    loaded = _load(config, overrides)
    with stoppable(sys.argv):
        import kohai

        print(_json({"pairs": kohai.export_preferences(loaded, Path(to)), "folder": to}))


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON Schema of a configuration."""
    from kohai import config

    print(_json(config.schema()))


@config_app.command("show")
def config_show(config: ConfigPath, overrides: Overrides = None) -> None:
    """Print CONFIG with every default filled in."""
    from kohai.config import to_yaml

    print(to_yaml(_load(config, overrides)), end="")


def main() -> None:
    """The `kohai` command: runs it and turns errors into one clear message and an exit code."""
    try:
        app()
    except KohaiError as error:
        print(f"kohai: error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(
            f"kohai: error: {where}no space left on the disk; free some and run the same command again", file=sys.stderr
        )
        raise SystemExit(2) from None


def _is_folder(path: str) -> bool:
    from pathlib import Path

    return Path(path).is_dir()


def _load(path: str, overrides: list[str] | None) -> Config:
    from kohai.config import load_config

    return load_config(path, overrides or [])


def _run(path: str, overrides: list[str] | None, stage: str | None) -> None:
    config = _load(path, overrides)
    with stoppable(sys.argv):
        import kohai

        reports = kohai.run(config, None if stage is None else [stage])
        if "report" in reports:
            from kohai import report
            from kohai.workspace import Workspace

            report.show(Workspace(config.run).path("report"))
        elif reports:  # of several processes only the first has any
            print(_json(reports.get(stage or "", reports)))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, default=str)
