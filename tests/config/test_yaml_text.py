import math
import textwrap
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rl_runner.config import config_from_dict, dump_config, experiment_hash
from rl_runner.config.yaml_text import parse_yaml
from rl_runner.errors import ConfigError, Problem

YAML_CHARACTERS = "{}[]:,-&*!|>'\"#%@`?~ \n\t\\_.+eExo0179abnoNultrf=<\x85\u2028\ufeff\x00"


def read(text: str) -> Any:
    return parse_yaml(textwrap.dedent(text), "file.yaml")[0]


def refused(text: str) -> Problem:
    with pytest.raises(ConfigError) as caught:
        read(text)
    (problem,) = caught.value.problems
    return problem


def is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(type(key) is str and is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(is_plain, value))
    return value is None or type(value) in {str, int, float, bool}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("3e-4", 3e-4),
        ("1E+5", 1e5),
        ("1e5", 1e5),
        ("1.5", 1.5),
        (".5", 0.5),
        ("-.5", -0.5),
        ("1.", 1.0),
        ("+0.25", 0.25),
        ("1_000.5", 1000.5),
        (".inf", math.inf),
        ("-.inf", -math.inf),
        ("+.INF", math.inf),
    ],
)
def test_these_are_floats(text: str, value: float):
    assert read(text) == value
    assert type(read(text)) is float


def test_nan_is_a_float():
    assert math.isnan(read(".nan"))
    assert math.isnan(read(".NaN"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("12", 12),
        ("-12", -12),
        ("+7", 7),
        ("1_000", 1000),
        ("100_000_000", 100_000_000),
        ("0o17", 15),
        ("0x1F", 31),
        ("017", 17),
        ("9223372036854775808", 2**63),
    ],
)
def test_these_are_whole_numbers(text: str, value: int):
    assert read(text) == value
    assert type(read(text)) is int


@pytest.mark.parametrize("text", ["true", "True", "TRUE"])
def test_these_are_true(text: str):
    assert read(text) is True


@pytest.mark.parametrize("text", ["false", "False", "FALSE"])
def test_these_are_false(text: str):
    assert read(text) is False


@pytest.mark.parametrize("text", ["~", "null", "Null", "NULL", "", "# only a comment", "---"])
def test_these_are_nothing(text: str):
    assert read(text) is None


@pytest.mark.parametrize(
    "text",
    [
        *("no", "No", "yes", "on", "off", "y", "n", "tRUE", "nil"),  # booleans in YAML 1.1
        *("1:30", "190:20:30", "0b11", "2001-01-01", "="),  # numbers and a date in YAML 1.1
        *("_1", "1_", "1__0", "1e", "e5", "1.2.3", "0x", "0o8", "0xG", "-0x1F", "+", "-.", "inf"),
        *("٣", "1٣", "½"),
    ],
)
def test_these_stay_text(text: str):
    assert read(text) == text


@pytest.mark.parametrize("quoted", ["'1e-3'", '"1e-3"', "|-\n  1e-3", ">-\n  1e-3"])
def test_a_quoted_number_stays_text(quoted: str):
    assert read(quoted) == "1e-3"


def test_keys_are_text_whatever_they_look_like():
    assert read("{1: a, 1.5: b, true: c, ~: d}") == {"1": "a", "1.5": "b", "true": "c", "~": "d"}


def test_a_byte_order_mark_is_no_part_of_the_first_key():
    assert parse_yaml("\ufeffa: 1", "file.yaml")[0] == {"a": 1}


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("!!python/object/apply:os.system [echo]", "python/object/apply:os.system"),
        ("a: !!python/name:os.system", "python/name:os.system"),
        ("a: !!python/tuple [1]", "python/tuple"),
        ("a: !foo 1", "!foo"),
        ("a: !foo [1]", "!foo"),
        ("a: !foo {b: 1}", "!foo"),
        ("a: !!int '3'", "int"),
        ("a: !!float 3", "float"),
        ("a: !!binary aGk=", "binary"),
        ("a: !!set {b}", "set"),
        ("a: !!timestamp 2001-01-01", "timestamp"),
        ("a: !<tag:example.com,2000:x> 1", "tag:example.com,2000:x"),
    ],
)
def test_tags_are_refused(text: str, tag: str):
    problem = refused(text)
    assert f"`{tag}`" in problem.what
    assert "Leave the tag out" in problem.cure


@pytest.mark.parametrize("text", ["!!str 1", "!<tag:yaml.org,2002:str> 1"])
def test_a_text_tag_is_refused_too(text: str):
    assert "`str`" in refused(text).what


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\na: 2\n", 2),
        ("a: 1\n'a': 2\n", 2),
        ("b:\n  c: 1\n  d: 2\n  c: 3\n", 4),
        ("{a: 1,\n b: 2,\n a: 3}", 3),
    ],
)
def test_a_doubled_key_is_refused_where_it_stands(text: str, line: int):
    problem = refused(text)
    assert "twice" in problem.what
    assert problem.where == f"file.yaml:{line}"


def test_the_same_key_in_two_places_is_fine():
    assert read("{a: {x: 1}, b: {x: 2}}") == {"a": {"x": 1}, "b": {"x": 2}}


@pytest.mark.parametrize("text", ["<<: {a: 1}", "a: &x {b: 1}\nc:\n  <<: *x\n"])
def test_merge_keys_are_refused_with_the_way_out(text: str):
    problem = refused(text)
    assert "`<<`" in problem.what
    assert "`extends:`" in problem.cure


def test_aliases_repeat_their_value():
    assert read("a: &x {b: [1, 2]}\nc: *x") == {"a": {"b": [1, 2]}, "c": {"b": [1, 2]}}


def test_the_values_behind_two_aliases_are_not_shared():
    value = read("a: &x [1]\nc: *x")
    value["a"].append(2)
    assert value["c"] == [1]


@pytest.mark.parametrize("text", ["&a [*a]", "a: &x {b: *x}", "&a [1, [2, *a]]"])
def test_an_alias_inside_itself_is_refused(text: str):
    assert "contains itself" in refused(text).what


def test_an_alias_of_nothing_is_refused():
    problem = refused("a: 1\nb: *nothing\n")
    assert "nothing" in problem.what
    assert problem.where == "file.yaml:2"


def test_an_alias_bomb_does_not_go_off():
    tens = (f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12))
    problem = refused("\n".join(["a0: &a0 [x, x, x, x, x, x, x, x, x, x]", *tens]))
    assert "values" in problem.what
    assert "aliases" in problem.cure


def nested(depth: int, shape: str) -> str:
    return {
        "list": "[" * depth + "]" * depth,
        "mapping": "{a: " * depth + "1" + "}" * depth,
        "block list": "- " * depth + "1",
        "mixed": "[{a: " * (depth // 2) + "1" + "}]" * (depth // 2),
    }[shape]


@pytest.mark.parametrize("shape", ["list", "mapping", "block list", "mixed"])
@pytest.mark.parametrize("depth", [340, 400, 470, 5_000])
def test_deep_nesting_is_refused_before_the_stack_overflows(depth: int, shape: str):
    assert "deep" in refused(nested(depth, shape)).what


@pytest.mark.parametrize("depth", range(60, 340, 20))
def test_what_can_be_read_can_be_hashed_and_written(depth: int):
    head = "algo: {name: ppo}\ntrain: {total_timesteps: 1}\n"
    text = f"{head}env: {{id: CartPole-v1, kwargs: {{value: {nested(depth, 'mixed')}}}}}"
    try:
        config = config_from_dict(read(text))
    except ConfigError as error:
        assert "deep" in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert experiment_hash(config)
        assert parse_yaml(dump_config(config), "")[0] == config.to_dict()


def test_reasonable_nesting_is_read():
    value, depth = read(nested(40, "list")), 0
    while value:
        (value,) = value
        depth += 1
    assert depth == 39


@pytest.mark.parametrize("character", ["\x00", "\x01", "\x7f", "\ud800"])
def test_binary_is_refused(character: str):
    problem = refused(f"a: {character}")
    assert "Not readable as YAML" in problem.what
    assert "UTF-8" in problem.cure


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", 3),
        ("a: 1\nb: c: d\n", 2),
        ("a: 1\nb:\n\t- c\n", 3),
        ("a: 1\n\n\nb: }\n", 4),
        ("a: 1\nb: 'open\n", 3),
        ("a: 1\n  b: 2\n", 2),
        ('a: 1\nb: "\\xZZ"\n', 2),
        ("a: 1\nb: %c\n", 2),
        ("a\n---\nb\n", 2),
    ],
)
def test_a_syntax_error_names_its_line(text: str, line: int):
    problem = refused(text)
    assert problem.what.startswith("Not valid YAML")
    assert problem.where == f"file.yaml:{line}"
    assert "indentation" in problem.cure


def test_an_impossible_escape_is_refused():
    assert "Not readable as YAML" in refused('a: "\\U00110000"').what


@pytest.mark.parametrize("text", ["? [a]\n: b", "? {a: b}\n: c"])
def test_a_key_must_be_a_name(text: str):
    assert "not a name" in refused(text).what


@pytest.mark.parametrize("number", ["9" * 5_000, "0x" + "f" * 5_000, "0o" + "7" * 6_000])
def test_a_number_too_long_to_print_is_refused(number: str):
    problem = refused(f"a: 1\nb: {number}")
    assert "too long" in problem.what
    assert problem.where == "file.yaml:2"


def test_every_value_knows_its_line():
    _, source = parse_yaml("a: 1\nb:\n  c: 2\n  d:\n    - 3\n    - e: 4\n", "f.yaml")
    assert source.locate(("a",)) == "f.yaml:1, key `a`"
    assert source.locate(("b",)) == "f.yaml:2, key `b`"
    assert source.locate(("b", "c")) == "f.yaml:3, key `b.c`"
    assert source.locate(("b", "d", 0)) == "f.yaml:5, key `b.d.0`"
    assert source.locate(("b", "d", 1, "e")) == "f.yaml:6, key `b.d.1.e`"


def test_a_missing_key_is_placed_at_its_parent():
    _, source = parse_yaml("a: 1\nb:\n  c: 2\n", "f.yaml")
    assert source.locate(("b", "x", "y")) == "f.yaml:2, key `b.x.y`"
    assert source.locate(("z",)) == "f.yaml, key `z`"


def test_a_value_from_the_command_line_has_no_line_number():
    with pytest.raises(ConfigError) as caught:
        parse_yaml("[1,", "--set a=[1,", line_numbers=False)
    assert caught.value.problems[0].where == "--set a=[1,"


@settings(max_examples=400)
@given(st.text() | st.text(YAML_CHARACTERS) | st.text(YAML_CHARACTERS, min_size=20))
@example("a: &x [*x]")
@example("0x" + "f" * 5_000)
@example("- " * 400)
def test_no_text_raises_anything_but_a_config_error(text: str):
    try:
        value, source = parse_yaml(text, "any.yaml")
    except ConfigError as error:
        assert all(problem.what and problem.where for problem in error.problems)  # noqa: PT017
    else:
        assert is_plain(value)
        assert source.origin == "any.yaml"


def config_with(value: object) -> Any:
    return config_from_dict(
        {
            "env": {"id": "CartPole-v1", "kwargs": {"value": value, "inside": [{"key": value}]}},
            "algo": {"name": "ppo"},
            "train": {"total_timesteps": 1},
        }
    )


@given(st.text())
@example("1e-3")
@example("no")
@example("0o17")
@example("=")
@example("<<")
@example("1_000")
@example("a: b")
@example("a #b")
@example(" a")
@example("a\n")
@example("\n")
@example("---")
@example("x " * 100)
@example("[" * 400 + "]" * 400)
@example("\ufeff")
@example("\x85")
@example("a\u2028b")
def test_any_text_survives_dumping_and_loading(text: str):
    config = config_with(text)
    dumped = dump_config(config)
    assert parse_yaml(dumped, "")[0] == config.to_dict()
    assert yaml.safe_load(dumped) == config.to_dict()


@given(st.text())
@example("1")
@example("null")
@example("<<")
@example("\x85")
@example("k" * 200)
def test_any_key_survives_dumping_and_loading(key: str):
    config = config_with({key: 1})
    assert parse_yaml(dump_config(config), "")[0] == config.to_dict()


@given(st.floats(allow_nan=False) | st.integers() | st.booleans() | st.none())
@example(1e-5)
@example(1e16)
@example(-0.0)
@example(math.inf)
@example(5e-324)
def test_any_number_survives_dumping_and_loading(number: float | None):
    config = config_with(number)
    dumped = dump_config(config)
    for loaded in (parse_yaml(dumped, "")[0], yaml.safe_load(dumped)):
        again = loaded["env"]["kwargs"]["value"]
        assert again == number
        assert type(again) is type(number)


def test_nan_survives_dumping_and_loading():
    value = parse_yaml(dump_config(config_with(math.nan)), "")[0]["env"]["kwargs"]["value"]
    assert math.isnan(value)
