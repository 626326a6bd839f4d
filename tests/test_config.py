"""Configurations: every mistake at once, overrides, and what is written is what was read."""

import importlib.util
import typing
from pathlib import Path

import pytest
import yaml

from kohai.config import Config, Gate, LimitName, load_config, parse_config, schema, to_yaml
from kohai.errors import ConfigError
from kohai.verify import CRITERIA

GOOD = {"run": "runs/x", "package": {"path": "p"}, "tasks": {"folder": "t"}}
CONFIGS = sorted(path for path in Path("configs").glob("*.yaml") if "rubric" not in path.name)


def write(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def test_every_mistake_at_once():
    """A typo, a wrong value, a missing section and an unknown key deep down: four lines, the nearest name given."""
    bad = {"run": "x", "seed": "seven", "tasks": {"folder": "t", "n_dem": 3}, "rl": {"sampling": {"temprature": 1}}}
    with pytest.raises(ConfigError) as error:
        parse_config(bad, "my.yaml")
    lines = str(error.value).splitlines()
    assert lines[0] == "my.yaml: 4 mistake(s)"
    assert sorted(line.strip() for line in lines[1:]) == [
        "package: missing",
        "rl.sampling.temprature: unknown key; did you mean 'temperature'?",
        "seed: input should be a valid integer, unable to parse string as an integer, found 'seven'",
        "tasks.n_dem: unknown key; did you mean 'n_demo'?",
    ]


def test_a_name_near_nothing():
    """Where no name is near, the known ones are listed."""
    with pytest.raises(ConfigError, match=r"package\.zzz: unknown key; known: path, docs, names"):
        parse_config(GOOD | {"package": {"path": "p", "zzz": 1}})


def test_mistakes_inside_an_optional_section():
    """The judge's endpoint may be absent, but not wrong."""
    with pytest.raises(ConfigError, match=r"feedback\.endpoints\.senior\.modl: unknown key; did you mean 'model'\?"):
        parse_config(GOOD | {"feedback": {"endpoints": {"senior": {"base_url": "u", "model": "m", "modl": "x"}}}})


def test_values_that_contradict_one_another():
    """All contradictions are named in one message."""
    endpoint = {"base_url": "u", "model": "m"}
    feedback = {
        "judges": ["reviewer", "senior", "seniro", "senior"],
        "endpoints": {"senior": endpoint, "llm": endpoint, "dear": endpoint | {"budget": {"cost": 5.0}}},
        "escalate_to": "senior",
    }
    prompt = {"layout": "gorilla", "demonstrations": 1}
    rl = {"kl_coef": 0, "kl_target": 5.0, "dropped_band": [1, -1], "watched": {"kl": [100, 0]}}
    tasks = {
        "folder": "t",
        "n_test": [1, 2, 3],
        "test": ["a/test.jsonl", "b/test.jsonl", "b/practice.jsonl", "c.jsonl"],
    }
    bad = GOOD | {"feedback": feedback, "tasks": tasks, "prompt": prompt, "rl": rl, "reward_model": {"held_out": 1}}
    with pytest.raises(ConfigError) as error:
        parse_config(bad)
    for words in (
        "feedback.judges: 'seniro' is neither a local judge nor one of feedback.endpoints; known: reviewer, yes_no,",
        "feedback.judges: reviewer, senior, seniro, senior names a judge twice",
        "feedback.escalate_to: 'senior' is one of feedback.judges",
        "feedback.endpoints.llm: that name has a meaning of its own",
        "feedback.endpoints.dear.price: needed where its budget has a cost",
        "prompt.demonstrations: Gorilla's layout has no place for any",
        "rl.kl_coef: 0 stays 0 however far the KL is from rl.kl_target",
        "rl.dropped_band: from 1 to -1 holds nothing",
        "rl.watched.kl: from 100 to 0 holds nothing",
        "reward_model.held_out: 1 leaves no task to learn from",
        "tasks.test: a split is called as its file, and 'test' is another one too",
        "tasks.test: a split is called as its file, and 'practice' is another one too",
    ):
        assert words in str(error.value)
    assert "tasks.n_test: 3 number(s) for 4 test split(s)" in str(error.value)
    feedback = {"endpoints": {"senior": endpoint}, "escalate_to": "senior"}
    with pytest.raises(ConfigError, match=r"feedback\.escalate_to: it is asked where judges differ, and there is one"):
        parse_config(GOOD | {"feedback": feedback})


def test_every_check_can_be_a_gate():
    """A misspelt gate would gate nothing: the names are those of the static checks, and `runs`."""
    assert typing.get_args(Gate) == (*CRITERIA, "runs")
    with pytest.raises(ConfigError, match=r"rl\.gates\.1.*'api_exist'"):
        parse_config(GOOD | {"rl": {"gates": ["parses", "api_exist"]}})


def test_overrides(tmp_path):
    """`--set` reaches any depth, makes missing sections, and reads its value as YAML."""
    path = write(tmp_path, yaml.safe_dump(GOOD))
    config = load_config(
        path, ["seed=3", "rl.sampling.n=9", "tasks.n_test=[5, 6]", "rl.kl_target=null", "sft.learning_rate=1e-4"]
    )
    assert config.seed == 3
    assert config.rl.sampling.n == 9
    assert config.tasks.n_test == (5, 6)
    assert config.rl.kl_target is None
    assert config.sft.learning_rate == 1e-4


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed", "expected a.b=value"),
        ("=3", "expected a.b=value"),
        ("run.x=1", "'run' is not a section"),
        ("seed=[", "the value is not YAML"),
        ("seed=2020-13-45", "the value is not YAML"),
        ("seed=-1", "seed: input should be greater than or equal to 0, found -1"),
        ("rl.step=1", "rl.step: unknown key; did you mean 'steps'?"),
    ],
)
def test_bad_overrides(tmp_path, override, message):
    """An override that can't be laid over says why."""
    with pytest.raises(ConfigError) as error:
        load_config(write(tmp_path, yaml.safe_dump(GOOD)), [override])
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected `key: value` lines"),
        ("- a\n", "expected `key: value` lines"),
        ("a: [", "not YAML"),
        ("a: \x00", "not YAML"),
        ("a: 2020-13-45", "not YAML"),
    ],
)
def test_files_that_are_no_configuration(tmp_path, text, message):
    """Empty, a list, broken YAML: one clear error that names the file."""
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        load_config(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


def test_no_file(tmp_path):
    """A path that is not there, and one that is a folder."""
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(ConfigError, match=r"cannot be read \(.*\); give the path of a YAML file"):
            load_config(path)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_shipped_configurations(path):
    """Each is valid, keeps its runs apart, and its resolved form reads back as the same."""
    config = load_config(path)
    assert config.run == Path("runs") / path.stem
    assert parse_config(yaml.safe_load(to_yaml(config))) == config


def test_a_limit_that_is_not_named_may_be_the_images():
    """The resolved form names no other limits than the file did."""
    limits = set(typing.get_args(LimitName))
    config = parse_config(GOOD | {"sandbox": {"memory_mb": 300}})
    assert set(yaml.safe_load(to_yaml(config))["sandbox"]) & limits == {"memory_mb"}


def test_every_field_says_what_it_is():
    """Each value of the schema has a sentence; sections are documented by their class."""
    definitions = schema()["$defs"] | {"Config": schema()}
    for name, section in definitions.items():
        for key, field in section["properties"].items():
            assert "description" in field or "$ref" in str(field), f"{name}.{key}"


def test_frozen():
    """A configuration does not change under a running stage."""
    config = parse_config(GOOD)
    with pytest.raises(Exception, match="frozen"):
        config.seed = 3
    assert isinstance(config, Config)


def test_the_page_is_up_to_date():
    """docs/configuration.md is what `make docs` writes."""
    spec = importlib.util.spec_from_file_location("configuration", "scripts/configuration.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.page() == Path("docs/configuration.md").read_text(), "run `make docs`"


def test_setting_one_value_of_a_section_keeps_the_others():
    """A section with defaults of its own keeps them when one of its values is set."""
    config = parse_config(GOOD | {"rejection_sft": {"batch_size": 4}})
    assert config.rejection_sft == parse_config(GOOD).rejection_sft.model_copy(update={"batch_size": 4})
