"""Records: to JSON Lines and back, and one clear error for what does not fit."""

import json

import pytest

from kohai import records
from kohai.errors import DataError
from kohai.records import Api, Completion, Effect, Evaluation, Execution, Feedback, Parameter, Task, Verdict

OK = Execution("ok", "none", stdout="a\u2028b\n", cpu_ms=3)
EXAMPLES = [
    Api("room.open", "function", "open(path)", parameters=(Parameter("path", "keyword_only", "str", "'x'"),)),
    Task("t1", "Do it.", ("room.open",), "x = 1", "seed.sql", Effect("aa", "3\n")),
    Task("t2", "Do it."),
    Completion("t1", 2, "text", "code", 7, False, -12.5),
    Feedback("t1", 0, None, (Verdict("parses", "unscored", "static", "no grounds", None),), OK),
    Evaluation("sft", "test", "t1", "code", OK, {"executability": True, "effect_match": None}),
]


@pytest.mark.parametrize("record", EXAMPLES, ids=lambda record: type(record).__name__)
def test_there_and_back(record):
    """Nested records, tuples, mappings and absent values survive JSON Lines."""
    line = records.to_json(record)
    assert "\n" not in line
    assert records.read_lines(type(record), [line, "", "  \n"], "file") == [record]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "tasks.jsonl:2: not JSON"),
        ("[1]", "tasks.jsonl:2: expected an object for Task, found list"),
        ('{"id": "a"}', "tasks.jsonl:2: field 'instruction' is missing"),
        ('{"id": 3, "instruction": "b"}', "tasks.jsonl:2: field 'id': expected str, found 3"),
        ('{"id": "a", "instruction": "b", "apis": "c"}', "tasks.jsonl:2: field 'apis': expected a list, found 'c'"),
        ('{"id": "a", "instruction": "b", "apis": [1]}', "tasks.jsonl:2: field 'apis': expected str, found 1"),
        ('{"id": "a", "instruction": "b", "api": []}', "tasks.jsonl:2: unknown field 'api'; Task has id, instruction"),
        ('{"id": "a", "instruction": "b", "effect": {"state": "x"}}', "field 'effect': field 'stdout' is missing"),
        ('{"id": "a", "instruction": "b", "effect": 4}', "field 'effect': expected an object for Effect, found int"),
    ],
)
def test_a_bad_line_names_file_line_and_field(line, message):
    """The first line is right; the second is not, and the error says where and what."""
    good = '{"id": "a", "instruction": "b"}'
    with pytest.raises(DataError) as error:
        records.read_lines(Task, [good, line], "tasks.jsonl")
    assert message in str(error.value)
    assert str(error.value).startswith("tasks.jsonl:2")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"answer": "maybe"}, "'maybe' is not one of 'yes', 'no', 'unscored'"),
        ({"probability": "high"}, "field 'probability': expected float, found 'high'"),
        ({"evidence": None}, "field 'evidence': expected str, found None"),
    ],
)
def test_values_are_checked(changes, message):
    """A value outside a field's type or words is refused."""
    data = {"criterion": "parses", "answer": "yes", "answerer": "static"} | changes
    with pytest.raises(DataError) as error:
        records.from_dict(Verdict, data)
    assert message in str(error.value)


def test_whole_numbers_are_floats_too_but_booleans_are_no_numbers():
    """1 is a fine probability; true is no count."""
    found = records.from_dict(Verdict, {"criterion": "c", "answer": "yes", "answerer": "a", "probability": 1})
    assert isinstance(found.probability, float)
    with pytest.raises(DataError, match="expected int, found True"):
        records.from_dict(Completion, {"task_id": "t", "index": True, "text": "", "code": ""})


def test_required_parameters():
    """A parameter is required unless it has a default or takes any number of values."""
    assert Parameter("a", "keyword_only").is_required
    assert not Parameter("a", "keyword_only", default="None").is_required
    assert not Parameter("args", "var_positional").is_required


def test_keys_keep_their_order():
    """A line reads in the record's order, so that two files can be compared by eye."""
    assert list(json.loads(records.to_json(EXAMPLES[2]))) == [
        "id",
        "instruction",
        "apis",
        "reference",
        "fixture",
        "effect",
    ]
