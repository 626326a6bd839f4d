"""The report, on a hand-made run folder with numbers worked by hand."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from typer.testing import CliRunner

from kohai import cli, report
from kohai.errors import DataError, WorkspaceError
from kohai.records import Completion, Effect, Evaluation, Execution, Feedback, Task, Verdict
from kohai.report import cases, charts, tables, words
from kohai.report.markdown import table
from kohai.report.page import render
from kohai.workspace import FORMAT, Workspace, digest_path

MACHINE = {
    "features": ["avx2"], "cores": 2, "memory_bytes": 2**33, "gpu": [], "system": "Linux", "python": "3.11.9"
}  # fmt: skip
EVIL = "<script>alert('x')</script>"
OK = Execution("ok", "none", stdout="3\n", state="aa")
FAILED = Execution("unbound_name", "program", "NameError: name 'Carrier' is not defined", "NameError", 3)
NO_BOX = Execution("sandbox_failure", "environment", "no space for the scratch folder")


def evaluation(arm: str, task: int, execution: Execution, effect: bool | None, split: str = "test") -> Evaluation:
    metrics = {
        "executability": None if execution.blame == "environment" else execution.blame == "none",
        "effect_match": None if execution.blame == "environment" else effect,
        "exact_api": effect,
    }
    return Evaluation(
        arm, split, f"t{task:02d}", f"import stockroom  # {arm} {task} {EVIL}\nprint(3)\n", execution, metrics
    )


def evaluations() -> list[Evaluation]:
    """Twelve tasks: SFT runs 6 of 12; RLAIF runs 9 of the 11 that the machine could judge, 8 with the right effect."""
    sft = [evaluation("sft", task, OK if task < 6 else FAILED, task < 4) for task in range(12)]
    rlaif = [evaluation("rlaif", task, OK if task < 9 else FAILED, task < 8) for task in range(11)]
    return [*sft, *rlaif, evaluation("rlaif", 11, NO_BOX, None)]


def manifest(stage: str, seconds: float, peak: int, figures: dict) -> dict:
    return {
        "format": FORMAT,
        "stage": stage,
        "settings": "",
        "inputs": {},
        "report": figures,
        "seconds": seconds,
        "peak_memory_bytes": peak,
        "versions": {"kohai": "0.1.0", "torch": "2.13.0"},
        "machine": {**MACHINE, "cpu": "Large" if stage == "evaluate" else "Small"},
    }


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A run in which every stage but rejection sampling and best of n was done."""
    made = Workspace(tmp_path / "run")
    made.write_text("config.yaml", yaml.safe_dump({"run": "runs/hand", "seed": 7, "evaluate": {"resamples": 500}}))
    tasks = [
        Task(f"t{n:02d}", f"Reserve {n} of {EVIL}", reference=f"reserve({n})", effect=Effect("aa", "3\n"))
        for n in range(12)
    ]
    made.write_records("prepare/tasks/test.jsonl", tasks)
    made.write_records("evaluate/evaluations.jsonl", evaluations())
    made.write_records("evaluate/references.jsonl", [evaluation("reference", n, OK, True) for n in range(12)])
    verdicts = (Verdict("parses", "yes", "static"), Verdict("does_it", "unscored", "reviewer", "no grounds"))
    made.write_records(
        "feedback/feedback.jsonl",
        [Feedback("p1", 0, 1.0, verdicts), Feedback("p1", 1, None, (Verdict("parses", "no", "static"), verdicts[1]))],
    )
    made.write_json("judges/calibration.json", {"auc": 0.91, "threshold": -1.5, "balanced_accuracy": 0.84})
    steps = [{"step": n, "reward": 0.1 * n, "kl": 0.01 * n, "length": 40 + n, "gated_share": 0.5} for n in range(8)]
    made.write_text("rl/metrics.jsonl", "".join(json.dumps(line) + "\n" for line in steps))
    probe = [
        {"step": n, "executability": {"value": v, "low": v - 0.2, "high": v + 0.15, "n": 24}}
        for n, v in ((0, 0.5), (5, 0.75))
    ]
    made.write_text("rl/probe.jsonl", "".join(json.dumps(line) + "\n" for line in probe) + '{"step": 9, "execu')
    made.write_text(
        "sft/metrics.jsonl", '{"step": 1, "loss": 2.5}\n{"step": 2, "loss": NaN}\n{"step": 3, "loss": 0.5}\n'
    )
    for stage, seconds, peak in (("prepare", 2.0, 100), ("sft", 300.5, 3 * 2**30), ("evaluate", 60.0, 2**30)):
        made.write_json(f"{stage}/manifest.json", manifest(stage, seconds, peak, {"n": 3}))
    accuracy = {"value": 0.8, "low": 0.7, "high": 0.9, "n": 50}
    made.write_json("reward_model/manifest.json", manifest("reward_model", 10.0, 5, {"pair_accuracy": accuracy}))
    return made


def test_arms(workspace):
    """Executability is ok over ok and program: SFT 6/12, RLAIF 9/11; 1/12 the machine's fault.

    Wilson, 95 %, 6 of 12: centre 0.5, half-width 1.96 * sqrt(0.25/12 + 1.96^2/(4*144)) / (1 + 1.96^2/12) = 0.2463.
    """
    arms = report.gather(workspace)["arms"]
    sft, rlaif = arms["sft"]["test"], arms["rlaif"]["test"]
    assert sft["executability"]["value"] == 0.5
    assert sft["executability"]["n"] == 12
    assert sft["executability"]["low"] == pytest.approx(0.2538, abs=2e-4)
    assert sft["executability"]["high"] == pytest.approx(0.7462, abs=2e-4)
    assert rlaif["executability"]["value"] == pytest.approx(9 / 11)
    assert rlaif["executability"]["n"] == 11
    assert rlaif["environment_share"] == pytest.approx(1 / 12)
    assert rlaif["bounds"] == pytest.approx([9 / 12, 10 / 12])
    assert rlaif["kinds"] == {"ok": 9, "unbound_name": 2, "sandbox_failure": 1}
    assert rlaif["effect_match"]["value"] == pytest.approx(8 / 11)


def test_figures_stand_alone(workspace):
    """Two SVG files a metric, well-formed, with a label and a dot an arm or a pair and its own style."""
    folder = report.write(workspace).page.parent / "figures"
    rates, name = ["effect_match", "executability"], "{http://www.w3.org/2000/svg}"
    assert {path.stem for path in folder.iterdir()} == {*rates, *(f"{metric}_differences" for metric in rates)}
    for path in (folder / f"{metric}.svg" for metric in rates):
        root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
        assert root.tag == f"{name}svg"
        assert root.find(f"{name}style") is not None
        texts = [text.text for text in root.iter(f"{name}text")]
        assert {"SFT", "RLAIF", "50 %"} <= set(texts)
        assert len(list(root.iter(f"{name}circle"))) == len([text for text in texts if not text.endswith("%")])
    root = ElementTree.fromstring((folder / "executability_differences.svg").read_text(encoding="utf-8"))
    assert "RLAIF less SFT" in [text.text for text in root.iter(f"{name}text")]
    assert len(list(root.iter(f"{name}circle"))) == 1


def test_differences_stand_about_zero():
    """+10 [-5, +25] points: ticks from -10 to +30, so that 0 lies a quarter of the way, +10 in the middle."""
    rows = [charts.Row("a less b", 0.10, -0.05, 0.25)]
    root = ElementTree.fromstring(charts.alone(charts.interval_chart("t", rows, differences=True)))
    name = "{http://www.w3.org/2000/svg}"
    ticks = {
        text.text: float(text.get("x")) for text in root.iter(f"{name}text") if text.get("text-anchor") == "middle"
    }
    assert list(ticks) == ["-10", "0", "+10", "+20", "+30"]
    (zero,) = (line for line in root.iter(f"{name}line") if line.get("class") == "zero")
    assert float(zero.get("x1")) == ticks["0"]
    (dot,) = root.iter(f"{name}circle")
    assert float(dot.get("cx")) == ticks["+10"]


def test_paired(workspace):
    """Over the 11 tasks scored in both arms: 9/11 - 6/11 = 3/11, in (rlaif less sft)'s favour."""
    paired = report.gather(workspace)["paired"]
    found = paired["rlaif-sft"]["test"]["executability"]
    assert found["difference"] == pytest.approx(3 / 11)
    assert found["n"] == 11
    assert 0 <= found["low"] < 3 / 11 < found["high"]
    assert (found["p"], found["p_holm"], found["needed"]) == (0.25, 0.25, None)
    assert set(paired) == {"rlaif-sft"}


def test_what_differences_show():
    """120 tasks. RLAIF wins 18 and loses 2 against SFT, best of n wins 9 and loses 3: corrected over two pairs the
    first is beyond chance (p = 0.0008) and the second is not (0.146). 20 of 120 differ; with d = 0.1034 that is
    (1.96 * sqrt(0.1667) + 0.8416 * sqrt(0.1667 - d^2))^2 / d^2 = 120.
    """

    def arm(name, ran):
        execution = Execution("ok", "none")
        return [Evaluation(name, "test", str(i), "", execution, {"executability": bool(i in ran)}) for i in range(120)]

    sft = set(range(50))
    by_arm = {
        "sft": {"test": arm("sft", sft)},
        "rlaif": {"test": arm("rlaif", sft - {0, 1} | set(range(50, 68)))},
        "best_of_n": {"test": arm("best_of_n", sft - {0, 1, 2} | set(range(50, 59)))},
    }
    which = [("rlaif", "sft"), ("best_of_n", "sft")]
    paired = tables.pairs(by_arm, 200, 0, which)
    first, second = (paired[f"{arm}-sft"]["test"]["executability"] for arm in ("rlaif", "best_of_n"))
    assert first["p_holm"] == pytest.approx(2 * first["p"]) == pytest.approx(4 * (1 + 20 + 190) / 2**20)
    assert second["p_holm"] == second["p"] == pytest.approx(2 * (1 + 12 + 66 + 220) / 2**12)
    text = words.shown({"paired": paired}, "test")
    assert text.startswith(
        "Beyond chance in executability (McNemar, Holm over 2 pairs, p < 0.05): RLAIF less SFT. With"
    )
    assert "With n = 120 a difference of 10.3 points of executability is needed" in text
    assert text.endswith("as RLAIF and SFT do.")
    for entry in paired.values():
        entry["test"]["effect_match"] = entry["test"]["executability"] | {"p_holm": 0.2}
    text = words.shown({"paired": paired}, "test")
    assert "less SFT. Beyond chance in effect match (McNemar, Holm over 2 pairs, p < 0.05): none. With n = 120" in text
    assert words.shown({"paired": paired}, "other") == ""


def test_what_is_missing_is_absent(workspace, tmp_path):
    """An arm not run is no row of zeros; a run that has only begun still makes a page that says so."""
    found = report.gather(workspace)
    assert set(found["arms"]) == {"sft", "rlaif"}
    assert "probe" in found["curves"]
    assert "reward_model" not in found["curves"]
    Workspace(tmp_path / "empty").write_text("config.yaml", "run: empty\n")
    paths = report.write(Workspace(tmp_path / "empty"))
    data = json.loads(paths.data.read_text())
    assert data["arms"] == data["paired"] == data["curves"] == {}
    assert data["seconds"] is None
    assert "Nothing was evaluated yet" in paths.page.read_text()


def test_unscored_everywhere_is_absent():
    """A metric that no evaluation could be given has no entry, and reads as a dash."""
    entry = tables.describe([evaluation("sft", 1, NO_BOX, None)])
    assert "executability" not in entry
    assert entry["environment_share"] == 1.0
    assert entry["bounds"] == [0.0, 1.0]
    assert words.interval(entry.get("executability")) == words.ABSENT


def test_costs(workspace):
    """Seconds are added, of peaks the largest is taken: 2 + 300.5 + 60 + 10, 3 GiB."""
    found = report.gather(workspace)
    assert found["seconds"] == pytest.approx(372.5)
    assert found["peak_memory_bytes"] == 3 * 2**30
    assert found["costs"]["sft"] == {"seconds": 300.5, "peak_memory_bytes": 3 * 2**30}


def test_an_alarm_is_told_at_the_top(workspace):
    """What rang, and what was done."""
    rung = {"alarm": "alarm: of 8 probe tasks 3 run", "alarm_answer": "roll_back", "best_step": 5}
    workspace.write_json("rl/manifest.json", manifest("rl", 1.0, 1, rung))
    paths = report.write(workspace)
    for path in (paths.table, paths.page):
        text = path.read_text(encoding="utf-8")
        assert "rl: alarm: of 8 probe tasks 3 run; its weights are those of step 5." in text


def test_the_machines_are_those_of_the_stages(workspace):
    """Not the one that writes the report."""
    paths = report.write(workspace)
    page, text = (path.read_text(encoding="utf-8") for path in (paths.page, paths.table))
    assert page.index("Small, 2 cores, 8.00 GiB memory") < page.index("Large, 2 cores")
    assert "Small, 2 cores, Large, 2 cores" in text


def test_a_gpus_memory(workspace):
    """It is told, and has a column, where a stage used one: of the stages the largest, 5 GiB."""
    without = report.gather(workspace)
    assert without["peak_gpu_memory_bytes"] is None
    assert "of the GPU" not in render(without)
    for stage, peak in (("sft", 5 * 2**30), ("evaluate", 2**30)):
        told = manifest(stage, 1.0, 100, {"n": 3}) | {"peak_gpu_memory_bytes": peak}
        workspace.write_json(f"{stage}/manifest.json", told)
    found = report.gather(workspace)
    assert found["peak_gpu_memory_bytes"] == 5 * 2**30
    assert found["costs"]["evaluate"]["peak_gpu_memory_bytes"] == 2**30
    assert "peak_gpu_memory_bytes" not in found["costs"]["prepare"]
    assert "of the GPU" in render(found)
    assert "5.00 GiB" in render(found)


def test_feedback_counts_unscored(workspace):
    """Unscored verdicts are counted beside yes and no; the mean is over scored completions only."""
    found = report.gather(workspace)["feedback"]
    assert found["criteria"]["does_it"] == {"yes": 0, "no": 0, "unscored": 2}
    assert found["criteria"]["parses"] == {"yes": 1, "no": 1, "unscored": 0}
    assert (found["completions"], found["scored"], found["mean_score"]) == (2, 1, 1.0)


def test_side_by_side(workspace):
    """Tasks 4..8 got better and 11 can't be judged (it counts as worse or equal); the mix is fixed and repeatable."""
    first, again = (report.gather(workspace)["side_by_side"] for _ in range(2))
    assert first == again
    assert len(first) == cases.COUNT
    assert len({case["task_id"] for case in first}) == cases.COUNT
    assert [case["change"] for case in first].count("both right") >= 2
    better = {case["task_id"] for case in first if case["change"] == "better"}
    assert len(better) >= 4
    assert better <= {"t04", "t05", "t06", "t07", "t08"}
    assert all(case["reference"].startswith("reserve(") for case in first)


def test_side_by_side_says_what_is_known():
    """What the environment stopped is not compared; where no effect is known, programs ran or failed."""
    outcomes = {"a": (OK, NO_BOX), "b": (NO_BOX, OK), "c": (OK, OK), "d": (FAILED, FAILED), "e": (FAILED, OK)}
    by_arm = {
        arm: {"test": [Evaluation(arm, "test", name, "", found[place], {}) for name, found in outcomes.items()]}
        for place, arm in enumerate(("sft", "rlaif"))
    }
    found = {case["task_id"]: case["change"] for case in cases.choose(by_arm, {})}
    assert found == {"c": "both ran", "d": "both failed", "e": "better"}


def test_page_escapes_what_models_and_tasks_say(workspace):
    """Instructions and code are data: no markup of theirs reaches the page."""
    page = report.write(workspace).page.read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page


def test_page_shows_all_parts(workspace):
    """Headline with both intervals, ceiling, curves with a band, judge, reward model, stages."""
    page = report.write(workspace).page.read_text()
    for text in (
        "SFT 50.0 % [25.",
        "RLAIF 81.8 % [",
        "the ceiling",
        'class="band"',
        "balanced_accuracy",
        "pair_accuracy",
    ):
        assert text in page, text


def test_json_is_strict(workspace):
    """A loss that is not a number becomes null, a cut last line is left out: any JSON reader takes the file."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    text = report.write(workspace).data.read_text()
    curves = json.loads(text, parse_constant=refuse)["curves"]
    assert [line["loss"] for line in curves["sft"]] == [2.5, None, 0.5]
    assert [line["step"] for line in curves["probe"]] == [0, 5]


def test_half_a_surrogate_pair_is_data_too(workspace):
    """What a program said when it failed may hold one: page, table and JSON are written."""
    failed = Execution("runtime_error", "program", "ValueError: \ud83d", "ValueError", 1)
    rows = [evaluation("sft", task, failed, False) for task in range(12)]
    workspace.write_records("evaluate/evaluations.jsonl", rows)
    paths = report.write(workspace)
    assert "ValueError: \\ud83d" in paths.page.read_text(encoding="utf-8")
    found = json.loads(paths.data.read_text(encoding="utf-8"))
    assert found["tasks"]["test"]["t00"]["arms"]["sft"]["evidence"] == "ValueError: \ud83d"


def test_an_evaluation_of_other_weights_is_said_to_be(workspace):
    """RL was done again after it: the numbers are still shown, and what they are not of."""
    workspace.write_text("rl/policy/adapter_model.safetensors", "first")
    now = digest_path(workspace.path("rl", "policy"))
    done = manifest("evaluate", 1.0, 1, {}) | {"inputs": {"rl/policy": now, "configs/rubric.yaml": "elsewhere"}}
    workspace.write_json("evaluate/manifest.json", done)
    assert "EVALUATED" not in report.write(workspace).table.read_text(encoding="utf-8")
    workspace.write_text("rl/policy/adapter_model.safetensors", "second")
    paths = report.write(workspace)
    for path in (paths.table, paths.page):
        assert "EVALUATED BEFORE rl/policy changed: run `kohai evaluate`" in path.read_text(encoding="utf-8")


def test_numbers_lead_to_their_tasks(workspace):
    """Each rate and each count of an outcome links to a list of its tasks; each task of a list to its programs."""
    page = report.write(workspace).page.read_text()
    assert 'href="#test-rlaif-executability-yes"' in page
    assert 'href="#test-rlaif-outcome-unbound_name"' in page
    targets = set(re.findall(r'id="([^"]+)"', page))
    links = set(re.findall(r'href="#([^"]+)"', page))
    assert links <= targets
    assert len(links) > 12
    listed = re.search(r'id="test-rlaif-executability-no">(.*?)</p>', page, re.DOTALL)[1]
    assert re.findall(r">(t\d\d)<", listed) == ["t09", "t10"]
    listed = re.search(r'id="test-rlaif-executability-unscored">(.*?)</p>', page, re.DOTALL)[1]
    assert re.findall(r">(t\d\d)<", listed) == ["t11"]


def test_likeness_is_shown_where_it_was_measured(workspace):
    """Shares have a mean and a bootstrap interval: 0.5, 0.7, 0.9 have the mean 0.7; without any there is no table."""
    assert "How like the reference" not in report.write(workspace).page.read_text()
    found = [
        replace(evaluation("sft", n, OK, True), metrics={"codebleu": value, "rouge_l": None, "api_name": n > 0})
        for n, value in enumerate((0.5, 0.7, 0.9))
    ]
    entry = tables.describe(found)
    assert entry["codebleu"]["value"] == pytest.approx(0.7)
    assert 0.5 <= entry["codebleu"]["low"] < 0.7 < entry["codebleu"]["high"] <= 0.9
    assert entry["api_name"]["value"] == pytest.approx(2 / 3)
    assert "rouge_l" not in entry
    workspace.write_records("evaluate/evaluations.jsonl", found)
    page = report.write(workspace).page.read_text()
    assert "How like the reference" in page
    assert "CodeBLEU" in page
    assert "<th>ROUGE-L" not in page


@pytest.fixture
def other(workspace, tmp_path) -> Workspace:
    """Another run on the same tasks, whose RLAIF runs three tasks less: 6 of the 11 that the machine could judge."""
    folder = tmp_path / "other"
    shutil.copytree(workspace.root, folder)
    made = Workspace(folder)
    found = [e for e in evaluations() if e.arm == "sft"]
    found += [evaluation("rlaif", task, OK if task < 6 else FAILED, task < 6) for task in range(11)]
    made.write_records("evaluate/evaluations.jsonl", found)
    made.write_text("config.yaml", made.path("config.yaml").read_text().replace("seed: 7", "seed: 8"))
    return made


def test_runs_side_by_side(workspace, other, tmp_path):
    """Arms are named by their run; each is paired with the first run's over the tasks that both scored: 6/11 - 9/11.
    Over both runs RLAIF is ahead of SFT on three of the tasks in the first, on none in the second: 3 of 22.
    """
    for run, commit in ((workspace, "abc"), (other, "def")):
        made = run.manifest("reward_model") or {}
        run.write_json("reward_model/manifest.json", made | {"commit": commit})
    paths = report.compare([workspace, other], tmp_path / "both")
    found = json.loads(paths.data.read_text())
    assert set(found["arms"]) == {"run: sft", "run: rlaif", "other: sft", "other: rlaif"}
    pooled = "all runs: rlaif less all runs: sft"
    assert set(found["paired"]) == {"other: sft less run: sft", "other: rlaif less run: rlaif", pooled}
    assert found["paired"][pooled]["test"]["executability"]["difference"] == pytest.approx((3 + 0) / 22)
    assert found["paired"][pooled]["test"]["executability"]["n"] == 22
    change = found["paired"]["other: rlaif less run: rlaif"]["test"]["executability"]
    assert change["difference"] == pytest.approx(-3 / 11)
    assert change["n"] == 11
    assert found["arms"]["other: rlaif"]["test"]["kinds"] == {"ok": 6, "unbound_name": 5}
    assert found["seconds"] == pytest.approx(2 * 372.5)
    assert found["commit"] == "abc, def"
    page = paths.page.read_text()
    assert "other: RLAIF less run: RLAIF" in page
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(re.findall(r'id="([^"]+)"', page))
    assert "| other: RLAIF | 54.5 % [" in paths.table.read_text()
    drawn = (tmp_path / "both" / "figures" / "executability_differences.svg").read_text()
    assert "all runs: RLAIF less all runs: SFT" in drawn
    assert "other: RLAIF less run: RLAIF" not in drawn
    for other_text in ("seed: 7", "seed: 8\nrl: {steps: 2}"):  # the same seed again, and other settings: no repetition
        other.write_text("config.yaml", workspace.path("config.yaml").read_text().replace("seed: 7", other_text))
        found = json.loads(report.compare([workspace, other], tmp_path / "both").data.read_text())
        assert set(found["paired"]) == {"other: sft less run: sft", "other: rlaif less run: rlaif"}


def test_the_command_compares(workspace, other, tmp_path):
    """`kohai report RUN RUN --to DIR`; one folder writes that run's own report; a folder that is no run is told."""
    runner = CliRunner()
    done = runner.invoke(cli.app, ["report", str(workspace.root), str(other.root), "--to", str(tmp_path / "both")])
    assert done.exit_code == 0, done.output
    assert "other: RLAIF" in done.output
    assert str(tmp_path / "both" / "index.html") in done.output.replace("\n", "")
    assert runner.invoke(cli.app, ["report", str(other.root)]).exit_code == 0
    assert other.path("report", "index.html").exists()
    done = runner.invoke(cli.app, ["report", str(workspace.root), str(tmp_path / "nothing.yaml")])
    assert done.exit_code != 0
    assert "nothing.yaml" in str(done.exception)


def test_markdown(workspace):
    """The table has a row an arm and the ceiling; a bar in a cell can't break it."""
    text = report.write(workspace).table.read_text()
    assert "| SFT | 50.0 % [25." in text
    assert "| reference code | 100.0 % [" in text
    assert table(["a|b"], [["c"]]).splitlines()[0] == "| a\\|b |"
    assert re.search(r"^\| RLAIF \|.*\| 11 \|", text, re.M)


def test_rows_of_metrics_with_different_tasks(workspace):
    """From the fewest to the most."""
    rows = [replace(one, metrics={**one.metrics, "exact_api": True}) for one in evaluations()]
    workspace.write_records("evaluate/evaluations.jsonl", rows)
    assert re.search(r"^\| RLAIF \|.*\| 11–12 \|", report.write(workspace).table.read_text(), re.M)


def test_terminal(workspace, capsys):
    """The last lines are the headline, what it cost and where the page is."""
    paths = report.write(workspace)
    report.show(paths.page.parent)
    out = capsys.readouterr().out
    assert "RLAIF less SFT" in out
    assert str(paths.page) in out.splitlines()[-1]
    assert "6 min 12 s" in out.splitlines()[-1]


def test_errors(workspace, tmp_path):
    """No folder, one that holds no run, or an artifact with a bad line: one clear error, nothing written."""
    with pytest.raises(WorkspaceError, match="does not exist"):
        report.write(Workspace(tmp_path / "nowhere"))
    with pytest.raises(WorkspaceError, match="holds no run"):
        report.write(Workspace(tmp_path))
    workspace.write_records("evaluate/evaluations.jsonl", [Completion("t", 0, "", "")])
    with pytest.raises(DataError, match=r"evaluations\.jsonl:1: .*unknown field 'index'"):
        report.write(workspace)
    assert not workspace.path("report").exists()


def test_ticks():
    """Round steps that enclose the data; a single value still gets a span."""
    assert charts.ticks_between(0.13, 0.58) == pytest.approx([0.0, 0.2, 0.4, 0.6])
    assert charts.ticks_between(0, 100) == pytest.approx([0, 25, 50, 75, 100])
    low, *_, high = charts.ticks_between(3.0, 3.0)
    assert low < 3.0 < high


def test_line_chart_places_points():
    """With ticks 0 to 1 the first point sits on the bottom axis, the last at the top: higher is drawn higher."""
    chart = str(charts.line_chart("t", [charts.Point(0, 0.0), charts.Point(10, 1.0)]))
    bottom, top = charts.HEIGHT - charts.BOTTOM, charts.TOP
    assert f'points="{float(charts.LEFT)},{float(bottom)} {float(charts.WIDTH - charts.RIGHT)},{float(top)}"' in chart
    assert charts.line_chart("t", [charts.Point(0, float("nan"))]) == ""


def test_words():
    """Numbers as people read them."""
    assert words.percent(0.6166) == "61.7 %"
    assert words.difference({"difference": 0.1667, "low": -0.02, "high": 0.25, "n": 9}) == "+16.7 [-2.0, +25.0]"
    assert words.seconds(754.0) == "12 min 34 s"
    assert words.size(1.5 * 2**30) == "1.50 GiB"
    assert dict(words.figures({"a": {"b": 1}, "c": None})) == {"a.b": "1", "c": words.ABSENT}


@pytest.mark.browser
def test_opens_in_a_browser(workspace, tmp_path):
    """Chromium shows the page without a word on its console.

    The page forbids itself scripts and all requests, and a violation is written to the console: the same page with a
    picture from elsewhere shows that the test would see one.
    """
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next((path for name in names if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine (Debian, Ubuntu: apt install chromium)")

    def console(page: Path) -> list[str]:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
        command = [browser, *flags, f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert "Does the code run?" in done.stdout
        return [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    page = report.write(workspace).page
    assert console(page) == []
    bad = tmp_path / "bad.html"
    bad.write_text(page.read_text().replace("</body>", '<img src="http://127.0.0.1:9/dot.png"></body>'))
    assert console(bad)


def test_render_needs_every_name(workspace):
    """The template is strict: a name that the report lacks is an error, not an empty place."""
    found = report.gather(workspace)
    del found["costs"]
    with pytest.raises(Exception, match="costs"):
        render(found)


def test_a_panel_counts_in_place_of_its_judges(workspace):
    """One panel's no of a reviewer's yes is one verdict; people's are another matter."""
    said = [
        Verdict("does_task", "yes", "reviewer"),
        Verdict("does_task", "no", "panel"),
        Verdict("parses", "yes", "static"),
    ]
    item = Feedback("task-0", 0, 0.5, (*said, Verdict("does_task", "yes", "human")), OK)
    workspace.write_records("feedback/feedback.jsonl", [item])
    found = report.gather(workspace)["feedback"]["criteria"]
    assert found == {
        "does_task": {"yes": 0, "no": 1, "unscored": 0},
        "parses": {"yes": 1, "no": 0, "unscored": 0},
    }
