import errno
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rl_runner.config import (
    ExperimentConfig,
    config_from_dict,
    dump_config,
    experiment_hash,
    load_config,
)
from rl_runner.config.environment import RESERVED_ENV_KWARGS
from rl_runner.config.schema import default_name
from rl_runner.errors import ConfigError, Problem

WriteYaml = Callable[..., Path]

VALID = """
    name: mine
    env:
      id: CartPole-v1
      n_envs: 8
    algo:
      name: ppo
      gamma: 0.98
      learning_rate: {schedule: linear, initial: 1e-3}
    train:
      total_timesteps: 100_000
      seeds: 3
"""


@pytest.fixture
def valid(write_yaml: WriteYaml, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_yaml(VALID, "valid.yaml")
    return Path("valid.yaml")


def refused(path: object, *overrides: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)  # type: ignore[arg-type]
    return list(caught.value.problems)


def only(problems: list[Problem]) -> Problem:
    (problem,) = problems
    return problem


# --- a whole file --------------------------------------------------------------------------------


def test_a_file_becomes_a_config(valid: Path):
    config = load_config(valid)
    assert config.name == "mine"
    assert config.env.id == "CartPole-v1"
    assert config.env.n_envs == 8
    assert config.algo.name == "ppo"
    assert config.algo.hyperparameters == {
        "gamma": 0.98,
        "learning_rate": {"schedule": "linear", "initial": 1e-3},
    }
    assert config.train.total_timesteps == 100_000
    assert config.train.seeds == (0, 1, 2)
    assert config.eval.every is None
    assert (config.eval.n_episodes, config.eval.final_episodes) == (20, 100)


def test_the_smallest_file_has_a_name_and_five_seeds(write_yaml: WriteYaml):
    path = write_yaml(
        "env: {id: 'ALE/Ms Pacman-v5'}\nalgo: {name: ppo}\ntrain: {total_timesteps: 1}\n"
    )
    config = load_config(path)
    assert config.name == "ale-ms-pacman-ppo"
    assert config.train.seeds == (0, 1, 2, 3, 4)


def test_a_byte_order_mark_is_overlooked(valid: Path):
    marked = Path("marked.yaml")
    marked.write_bytes(b"\xef\xbb\xbf" + valid.read_bytes())
    assert load_config(marked) == load_config(valid)


def test_windows_line_ends_are_overlooked(valid: Path):
    windows = Path("windows.yaml")
    windows.write_bytes(valid.read_bytes().replace(b"\n", b"\r\n"))
    assert load_config(windows) == load_config(valid)


def test_a_path_may_be_text(valid: Path):
    assert load_config(str(valid)) == load_config(valid)


def test_an_experiment_folder_stands_for_its_config(valid: Path):
    folder = Path("mine-01234567")
    folder.mkdir()
    valid.rename(folder / "config.yaml")
    assert load_config(folder).name == "mine"


def test_a_config_cannot_be_changed(valid: Path):
    config = load_config(valid)
    with pytest.raises(ValueError, match="frozen"):
        config.train.total_timesteps = 5  # type: ignore[misc]


# --- what is no config ---------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "---\n", "~\n"])
def test_an_empty_file_is_refused(write_yaml: WriteYaml, text: str):
    problem = only(refused(write_yaml(text, "empty.yaml")))
    assert "empty" in problem.what
    assert "rl init" in problem.cure
    assert problem.where.endswith("empty.yaml")


@pytest.mark.parametrize("text", ["- a\n- b\n", "just text\n", "5\n"])
def test_a_file_without_a_mapping_is_refused(write_yaml: WriteYaml, text: str):
    problem = only(refused(write_yaml(text)))
    assert "not contain a mapping" in problem.what
    assert "`env`, `algo` and `train`" in problem.cure


def test_a_binary_file_is_refused(tmp_path: Path):
    path = tmp_path / "model.zip"
    path.write_bytes(b"PK\x03\x04\xff\xfe\x00")
    problem = only(refused(path))
    assert "not UTF-8 text" in problem.what
    assert "YAML" in problem.cure


def test_a_huge_file_is_refused_unread(tmp_path: Path):
    path = tmp_path / "huge.yaml"
    path.write_text("a: 1\n" * 250_000, encoding="utf-8")
    assert "megabyte" in only(refused(path)).what


def test_a_folder_without_a_config_is_refused(tmp_path: Path):
    problem = only(refused(tmp_path))
    assert "folder without a config.yaml" in problem.what
    assert problem.where == str(tmp_path)


def test_a_missing_file_suggests_its_neighbour(valid: Path):
    problem = only(refused("valod.yaml"))
    assert "No such file" in problem.what
    assert problem.where == "valod.yaml"
    assert problem.cure == f"Did you mean `{valid}`?"


def test_a_missing_folder_is_reported(valid: Path):
    problem = only(refused(Path("nowhere") / valid))
    assert "No such file" in problem.what


@pytest.mark.parametrize("name", ["a\0b.yaml", "a" * 300, "a" * 300 + "/b.yaml"])
def test_an_impossible_file_name_is_refused(name: str):
    assert "cannot be read" in only(refused(name)).what


def test_a_link_to_itself_is_refused(tmp_path: Path):
    loop = tmp_path / "loop.yaml"
    loop.symlink_to(loop)
    assert "cannot be read" in only(refused(loop)).what


def test_a_file_that_may_not_be_read_is_refused(valid: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    monkeypatch.setattr(Path, "open", refuse)
    assert "Permission denied" in only(refused(valid)).what


# --- messages ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "where", "what", "cure"),
    [
        ("n_envs: 8", "n_env: 8", "4, key `env.n_env`", "Unknown key", "Did you mean `n_envs`?"),
        ("train:", "trian:", "9, key `trian`", "Unknown key", "Did you mean `train`?"),
        ("seeds: 3", "sedes: 3", "11, key `train.sedes`", "Unknown key", "Did you mean `seeds`?"),
        ("n_envs: 8", "n_envs: 0", "4, key `env.n_envs`", "`0`", ""),
        ("n_envs: 8", "n_envs: 5000", "4, key `env.n_envs`", "4096", ""),
        ("n_envs: 8", "n_envs: 8.0", "4, key `env.n_envs`", "integer", ""),
        ("n_envs: 8", "n_envs: true", "4, key `env.n_envs`", "integer", ""),
        ("n_envs: 8", "n_envs: '8'", "4, key `env.n_envs`", "integer", "quotes"),
        ("n_envs: 8", "vec: subprok", "4, key `env.vec`", "subprok", "Did you mean `subproc`?"),
        ("n_envs: 8", "time_limit: 0", "4, key `env.time_limit`", "`0`", ""),
        ("n_envs: 8", "wrappers: [nodots]", "4, key `env.wrappers.0`", "nodots", ""),
        ("n_envs: 8", "normalize: {rewad: 1}", "4, key `env.normalize.rewad`", "Unknown", "Known"),
        ("n_envs: 8", "kwargs: 5", "4, key `env.kwargs`", "dictionary", ""),
        ("n_envs: 8", "frame_stack: 1001", "4, key `env.frame_stack`", "1000", ""),
        ("name: mine", "name: a/b", "1, key `name`", "letters, digits", ""),
        ("name: mine", "name: ..", "1, key `name`", "letters, digits", ""),
        ("name: mine", "name: 5", "1, key `name`", "string", ""),
        ("100_000", "1e-3", "10, key `train.total_timesteps`", "integer", ""),
        ("100_000", "0", "10, key `train.total_timesteps`", "greater than", ""),
        ("100_000", "-5", "10, key `train.total_timesteps`", "greater than", ""),
        ("100_000", "lots", "10, key `train.total_timesteps`", "lots", "quotes"),
        (
            "seeds: 3",
            "seeds: 0",
            "11, key `train.seeds`",
            "0 is not a number of seeds",
            "at least 1",
        ),
        (
            "seeds: 3",
            "seeds: -1",
            "11, key `train.seeds`",
            "-1 is not a number of seeds",
            "at least 1",
        ),
        ("seeds: 3", "seeds: 12345", "11, key `train.seeds`", "count of seeds", "[12345]"),
        ("seeds: 3", "seeds: [1, 1]", "11, key `train.seeds`", "twice", ""),
        ("seeds: 3", "seeds: []", "11, key `train.seeds`", "at least 1", ""),
        ("seeds: 3", "seeds: 1.5", "11, key `train.seeds`", "1.5", ""),
        ("seeds: 3", "seeds: true", "11, key `train.seeds`", "True", ""),
        ("seeds: 3", "seeds: all", "11, key `train.seeds`", "all", ""),
    ],
)
def test_a_mistake_is_reported_with_place_key_and_cure(
    valid: Path, old: str, new: str, where: str, what: str, cure: str
):
    text = valid.read_text(encoding="utf-8")
    assert text.count(old) == 1
    valid.write_text(text.replace(old, new), encoding="utf-8")
    problems = refused(valid)
    found = [problem for problem in problems if problem.where == f"valid.yaml:{where}"]
    assert found, problems
    message = f"{found[0].what} {found[0].cure}"
    assert what in message
    assert cure in message


@pytest.mark.parametrize("seeds", ["[-1]", "[0, -3]", "[0, 9223372036854775808]", "[0.5]", "[x]"])
def test_a_wrong_seed_is_reported_once_with_its_line(valid: Path, seeds: str):
    problem = only(refused(valid, f"train.seeds={seeds}"))
    assert ", key `train.seeds." in problem.where


@pytest.mark.parametrize(
    ("section", "key"), [("env", "id"), ("algo", "name"), ("train", "total_timesteps")]
)
def test_a_missing_key_is_named_and_nothing_else(valid: Path, section: str, key: str):
    raw = load_config(valid).to_dict()
    del raw[section][key]
    del raw["name"]
    with pytest.raises(ConfigError) as caught:
        config_from_dict(raw)
    problem = only(list(caught.value.problems))
    assert problem.where == f"config, key `{section}.{key}`"
    assert problem.what == f"The key `{key}` is missing."
    assert key in problem.cure


@pytest.mark.parametrize("section", ["env", "algo", "train"])
def test_a_missing_section_is_named_and_nothing_else(valid: Path, section: str):
    raw = load_config(valid).to_dict()
    del raw[section]
    del raw["name"]
    with pytest.raises(ConfigError) as caught:
        config_from_dict(raw)
    problem = only(list(caught.value.problems))
    assert problem.what == f"The key `{section}` is missing."
    assert section in problem.cure


def test_a_name_is_not_missed_when_it_could_not_be_made(valid: Path):
    text = valid.read_text(encoding="utf-8").replace("name: mine\n", "").replace("CartPole-v1", "5")
    valid.write_text(text, encoding="utf-8")
    assert only(refused(valid)).where == "valid.yaml:2, key `env.id`"


def test_all_mistakes_are_reported_at_once(valid: Path):
    problems = refused(valid, "env.n_envs=0", "train.seeds=-1", "evall.every=5")
    places = {problem.where for problem in problems}
    assert places >= {
        "--set env.n_envs=0, key `env.n_envs`",
        "--set train.seeds=-1, key `train.seeds`",
    }
    assert any("`evall`" in problem.what for problem in problems)


def test_a_flood_of_mistakes_is_cut_short(valid: Path):
    text = valid.read_text(encoding="utf-8")
    valid.write_text(text + "".join(f"bad{i}: 1\n" for i in range(50)), encoding="utf-8")
    assert 1 < len(refused(valid)) <= 10


@pytest.mark.parametrize("key", sorted(RESERVED_ENV_KWARGS))
def test_what_the_runner_decides_is_no_env_kwarg(valid: Path, key: str):
    problem = only(refused(valid, f"env.kwargs.{key}=1"))
    assert f"`{key}`" in problem.what
    assert RESERVED_ENV_KWARGS[key] in problem.what


# --- seeds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "seeds"),
    [
        ("1", (0,)),
        ("3", (0, 1, 2)),
        ("[3]", (3,)),
        ("[0, 3, 7]", (0, 3, 7)),
        ("[7, 0]", (7, 0)),
        ("[12345]", (12345,)),
        ("[9223372036854775807]", (2**63 - 1,)),
    ],
)
def test_seeds_are_a_count_or_a_list(valid: Path, written: str, seeds: tuple[int, ...]):
    assert load_config(valid, [f"train.seeds={written}"]).train.seeds == seeds


# --- shorthand -----------------------------------------------------------------------------------


def test_a_wrapper_may_be_just_its_name(valid: Path):
    config = load_config(valid, ["env.wrappers=[a.B, {name: 'c.d:E', kwargs: {x: 1}}]"])
    first, second = config.env.wrappers
    assert (first.name, first.kwargs) == ("a.B", {})
    assert (second.name, second.kwargs) == ("c.d:E", {"x": 1})


@pytest.mark.parametrize("flag", [True, False])
def test_normalize_may_be_just_yes_or_no(valid: Path, flag: bool):
    normalize = load_config(valid, [f"env.normalize={flag}"]).env.normalize
    assert normalize.observations is flag
    assert normalize.rewards is flag
    assert normalize.active is flag


@pytest.mark.parametrize(
    ("env_id", "algo", "name"),
    [
        ("CartPole-v1", "ppo", "cartpole-ppo"),
        ("FrozenLake8x8-v1", "q_learning", "frozenlake8x8-q_learning"),
        ("ALE/Pong-v5", "dqn", "ale-pong-dqn"),
        ("package.module:Env-v0", "ppo", "env-ppo"),
        ("日本-v0", "ppo", "ppo"),
        ("日本", "日本", "experiment"),
    ],
)
def test_a_config_without_a_name_gets_one(env_id: str, algo: str, name: str):
    assert default_name(env_id, algo) == name


# --- extends -------------------------------------------------------------------------------------


def test_a_file_extends_another_key_by_key(valid: Path, write_yaml: WriteYaml):
    write_yaml(
        f"""
        extends: {valid}
        name: other
        env: {{n_envs: 2}}
        algo: {{gamma: 0.5}}
        """,
        "upper.yaml",
    )
    config = load_config("upper.yaml")
    assert config.name == "other"
    assert (config.env.id, config.env.n_envs) == ("CartPole-v1", 2)
    assert config.algo.hyperparameters["gamma"] == 0.5
    assert config.algo.hyperparameters["learning_rate"]["initial"] == 1e-3
    assert config.train.seeds == (0, 1, 2)


def test_extends_is_relative_to_the_file_that_says_so(valid: Path, write_yaml: WriteYaml):
    write_yaml(f"extends: ../{valid}\nname: nested", "below/upper.yaml")
    assert load_config("below/upper.yaml").name == "nested"
    assert load_config("below/upper.yaml").env.id == "CartPole-v1"


def test_extends_goes_through_several_files(valid: Path, write_yaml: WriteYaml):
    write_yaml(f"extends: {valid}\nname: b\nenv: {{n_envs: 2}}", "b.yaml")
    write_yaml("extends: b.yaml\nname: c", "c.yaml")
    config = load_config("c.yaml")
    assert (config.name, config.env.n_envs, config.algo.name) == ("c", 2, "ppo")


def test_a_list_replaces_the_list_below(valid: Path, write_yaml: WriteYaml):
    write_yaml(f"extends: {valid}\ntrain: {{seeds: [9]}}", "upper.yaml")
    assert load_config("upper.yaml").train.seeds == (9,)


def test_a_number_replaces_the_schedule_below(valid: Path, write_yaml: WriteYaml):
    write_yaml(f"extends: {valid}\nalgo: {{learning_rate: 0.5}}", "upper.yaml")
    assert load_config("upper.yaml").algo.hyperparameters["learning_rate"] == 0.5


def test_another_algorithm_replaces_the_whole_section(valid: Path, write_yaml: WriteYaml):
    write_yaml(f"extends: {valid}\nalgo: {{name: dqn, tau: 0.5}}", "upper.yaml")
    config = load_config("upper.yaml")
    assert config.algo.name == "dqn"
    assert config.algo.hyperparameters == {"tau": 0.5}


def test_the_same_algorithm_named_again_keeps_the_section(valid: Path, write_yaml: WriteYaml):
    write_yaml(f"extends: {valid}\nalgo: {{name: ppo, gamma: 0.5}}", "upper.yaml")
    hyperparameters = load_config("upper.yaml").algo.hyperparameters
    assert hyperparameters["gamma"] == 0.5
    assert "learning_rate" in hyperparameters


def test_extends_nothing_is_no_extension(valid: Path):
    text = valid.read_text(encoding="utf-8")
    Path("nothing.yaml").write_text("extends: null\n" + text, encoding="utf-8")
    assert load_config("nothing.yaml") == load_config(valid)


def test_extends_does_not_change_what_the_config_is(valid: Path, write_yaml: WriteYaml):
    write_yaml(f"extends: {valid}", "upper.yaml")
    assert load_config("upper.yaml") == load_config(valid)
    assert experiment_hash(load_config("upper.yaml")) == experiment_hash(load_config(valid))


@pytest.mark.parametrize("length", [1, 2, 3])
def test_circular_extends_is_refused(
    write_yaml: WriteYaml, length: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.chdir(tmp_path)
    for i in range(length):
        write_yaml(f"extends: {(i + 1) % length}.yaml", f"{i}.yaml")
    problem = only(refused("0.yaml"))
    assert "refers back" in problem.what
    assert problem.where.endswith("0.yaml")


def test_a_misspelled_file_that_is_extended_is_guessed(valid: Path, write_yaml: WriteYaml):
    upper = write_yaml(f"extends: {valid.stem}x.yaml", "upper.yaml")
    problem = only(refused(upper))
    assert "there is no such file" in problem.what
    assert "relative to the folder of this file" in problem.cure
    assert f"Did you mean `{valid.name}`?" in problem.cure


@pytest.mark.parametrize("base", ["nowhere.yaml", "no/where.yaml", "a" * 300])
def test_a_missing_base_is_reported_where_it_is_named(write_yaml: WriteYaml, base: str):
    path = write_yaml(f"name: x\nextends: {base}\n")
    problem = only(refused(path))
    assert base in problem.what
    assert problem.where == f"{path}:2, key `extends`"


@pytest.mark.parametrize("base", ["[a.yaml]", "{a: b}", "5", "true"])
def test_extends_must_be_one_file_name(write_yaml: WriteYaml, base: str):
    path = write_yaml(f"extends: {base}\n")
    problem = only(refused(path))
    assert "not a file name" in problem.what
    assert problem.where == f"{path}:1, key `extends`"


def test_a_mistake_in_the_base_is_placed_in_the_base(valid: Path, write_yaml: WriteYaml):
    text = valid.read_text(encoding="utf-8").replace("n_envs: 8", "n_envs: 0")
    valid.write_text(text, encoding="utf-8")
    write_yaml(f"extends: {valid}\nname: upper", "upper.yaml")
    assert only(refused("upper.yaml")).where == "valid.yaml:4, key `env.n_envs`"


def test_a_mistake_in_the_upper_file_is_placed_there(valid: Path, write_yaml: WriteYaml):
    write_yaml(f"extends: {valid}\nenv:\n  n_envs: 0", "upper.yaml")
    assert only(refused("upper.yaml")).where == "upper.yaml:3, key `env.n_envs`"


# --- overrides -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("name=other", ("name",), "other"),
        ("env.n_envs=2", ("env", "n_envs"), 2),
        ("algo.gamma=0.5", ("algo", "gamma"), 0.5),
        ("algo.gamma= 0.5 ", ("algo", "gamma"), 0.5),
        (" algo.gamma =0.5", ("algo", "gamma"), 0.5),
        ("algo.gamma=1e-3", ("algo", "gamma"), 1e-3),
        ("algo.normalize_advantage=false", ("algo", "normalize_advantage"), False),
        ("algo.target_kl=null", ("algo", "target_kl"), None),
        ("algo.target_kl=", ("algo", "target_kl"), None),
        ("algo.policy='1'", ("algo", "policy"), "1"),
        ("algo.policy=no", ("algo", "policy"), "no"),
        ("description=a=b", ("description",), "a=b"),
        ("algo.learning_rate.initial=5", ("algo", "learning_rate", "initial"), 5),
        ("algo.learning_rate=0.1", ("algo", "learning_rate"), 0.1),
        ("algo.policy_kwargs.net_arch=[64, 64]", ("algo", "policy_kwargs", "net_arch"), [64, 64]),
        ("algo.policy_kwargs={net_arch: []}", ("algo", "policy_kwargs"), {"net_arch": []}),
        ("env.kwargs.a.b.c=1", ("env", "kwargs", "a"), {"b": {"c": 1}}),
        ("eval.every=5", ("eval", "every"), 5),
    ],
)
def test_set_lays_a_value_over_the_file(
    valid: Path, override: str, path: tuple[str, ...], value: object
):
    node: Any = load_config(valid, [override]).to_dict()
    for key in path:
        node = node[key]
    assert node == value
    assert type(node) is type(value)


def test_set_leaves_everything_else_alone(valid: Path):
    changed = load_config(valid, ["algo.learning_rate.initial=5"]).to_dict()
    changed["algo"]["learning_rate"]["initial"] = 1e-3
    assert changed == load_config(valid).to_dict()


def test_the_last_set_wins(valid: Path):
    assert load_config(valid, ["env.n_envs=2", "env.n_envs=3"]).env.n_envs == 3


def test_set_replaces_a_whole_mapping(valid: Path):
    config = load_config(valid, ["algo={name: a2c}"])
    assert config.algo.hyperparameters == {}


def test_set_comes_after_extends(valid: Path, write_yaml: WriteYaml):
    write_yaml(f"extends: {valid}\nenv: {{n_envs: 2}}", "upper.yaml")
    assert load_config("upper.yaml", ["env.n_envs=3"]).env.n_envs == 3


@pytest.mark.parametrize("override", ["", "algo.gamma", "=5", ".=5", "algo.=5", "a..b=5", ".a=5"])
def test_set_must_have_the_form_key_value(valid: Path, override: str):
    problem = only(refused(valid, override))
    assert "key=value" in problem.what
    assert problem.where == f"--set {override}"
    assert "--set algo.gamma=0.99" in problem.cure


@pytest.mark.parametrize("override", ["name.x=1", "env.id.x=1", "env.n_envs.x.y=1"])
def test_set_cannot_go_inside_a_scalar(valid: Path, override: str):
    problem = only(refused(valid, override))
    assert "`x`" in problem.what
    assert problem.where == f"--set {override}"


@pytest.mark.parametrize("value", ["[1,", "{a", "'open", "!!python/name:os.system", "{a: 1, a: 2}"])
def test_set_takes_only_good_yaml(valid: Path, value: str):
    problem = only(refused(valid, f"algo.gamma={value}"))
    assert "YAML" in problem.what
    assert problem.where == f"--set algo.gamma={value}"


def test_a_mistake_on_the_command_line_is_placed_there(valid: Path):
    problem = only(refused(valid, "env.n_envs=0"))
    assert problem.where == "--set env.n_envs=0, key `env.n_envs`"


def test_a_mistake_inside_a_set_mapping_is_not_placed_in_the_file(valid: Path):
    problem = only(refused(valid, "env={id: CartPole-v1, n_envs: 0}"))
    assert problem.where == "--set env={id: CartPole-v1, n_envs: 0}, key `env.n_envs`"


def test_an_unknown_key_on_the_command_line_is_placed_there(valid: Path):
    problem = only(refused(valid, "env.nenvs=2"))
    assert problem.where == "--set env.nenvs=2, key `env.nenvs`"
    assert "Did you mean `n_envs`?" in problem.cure


# --- any config ----------------------------------------------------------------------------------

whole = st.integers(1, 10**9)
positive = st.floats(1e-9, 1e9)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
identifiers = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
dotted = st.builds("{}.{}".format, identifiers, identifiers)
env_kwargs = st.dictionaries(
    st.text().filter(lambda key: key not in RESERVED_ENV_KWARGS), plain, max_size=3
)
normalizations = st.booleans() | st.fixed_dictionaries(
    {},
    optional={
        "observations": st.booleans(),
        "rewards": st.booleans(),
        "clip_observations": positive,
        "clip_rewards": positive,
    },
)
environments = st.fixed_dictionaries(
    {"id": st.text(min_size=1)},
    optional={
        "kwargs": env_kwargs,
        "wrappers": st.lists(
            dotted | st.fixed_dictionaries({"name": dotted}, optional={"kwargs": env_kwargs}),
            max_size=2,
        ),
        "time_limit": st.none() | whole,
        "normalize": normalizations,
        "frame_stack": st.integers(1, 1000),
        "n_envs": st.integers(1, 4096),
        "vec": st.sampled_from(["dummy", "subproc"]),
    },
)
algorithms = st.builds(
    lambda name, hyperparameters: {**hyperparameters, "name": name},
    st.text(min_size=1),
    st.dictionaries(st.text(min_size=1), plain, max_size=4),
)
seeds = st.integers(1, 20) | st.lists(
    st.integers(0, 2**63 - 1), min_size=1, max_size=5, unique=True
)
experiments = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", fullmatch=True),
        "env": environments,
        "algo": algorithms,
        "train": st.fixed_dictionaries(
            {"total_timesteps": st.integers(1, 10**12)}, optional={"seeds": seeds}
        ),
    },
    optional={
        "description": st.text(),
        "eval": st.fixed_dictionaries(
            {},
            optional={
                "every": st.none() | whole,
                "n_episodes": whole,
                "final_episodes": whole,
                "deterministic": st.booleans(),
                "n_envs": st.integers(1, 4096),
            },
        ),
    },
).map(config_from_dict)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any_config")


def any_config(**sections: Any) -> ExperimentConfig:
    return config_from_dict(
        {
            "env": {"id": "CartPole-v1"},
            "algo": {"name": "ppo"},
            "train": {"total_timesteps": 1},
            **sections,
        }
    )


@pytest.mark.slow
@settings(max_examples=200)
@given(config=experiments)
@example(any_config(algo={"name": "no", "gamma": math.inf, "x": "1e-3", "": None}))
@example(any_config(algo={"name": "a", "model_dump": 1, "__class__": 2, "hyperparameters": {}}))
@example(any_config(env={"id": "~", "kwargs": {"<<": {"a": 1}, "null": "null", "1": [[], {}]}}))
@example(any_config(description="two\nlines\n", name="1e3"))
def test_any_config_is_the_same_after_writing_and_loading(folder: Path, config: ExperimentConfig):
    path = folder / "config.yaml"
    path.write_text(dump_config(config), encoding="utf-8")
    loaded = load_config(path)
    assert loaded == config
    assert loaded.to_dict() == config.to_dict()
    assert experiment_hash(loaded) == experiment_hash(config)
    assert dump_config(loaded) == dump_config(config)


@pytest.mark.parametrize(
    ("overrides", "every"),
    [
        ([], 5000),
        (["train.total_timesteps=5000"], 500),
        (["train.total_timesteps=100000"], 10_000),
        (["train.total_timesteps=3"], 1),
        (["train.total_timesteps=5000", "eval.every=100"], 100),
        (["eval.every=100", "train.total_timesteps=5000"], 100),
        (["train.total_timesteps=5000", "eval={every: 77}"], 77),
        (["train.total_timesteps=5000", "train.total_timesteps=20000"], 2000),
    ],
)
def test_an_interval_between_evaluations_follows_the_budget(
    tmp_path: Path, overrides: list[str], every: int
):
    path = tmp_path / "config.yaml"
    path.write_text(
        "{env: {id: CartPole-v1}, algo: {name: ppo}, train: {total_timesteps: 50_000}, "
        "eval: {every: 5_000}}",
        encoding="utf-8",
    )
    assert load_config(path, overrides).eval.every == every


def test_a_budget_that_is_no_number_is_refused_as_ever(tmp_path: Path):
    path = tmp_path / "config.yaml"
    path.write_text("{env: {id: A}, algo: {name: ppo}, eval: {every: 5}}", encoding="utf-8")
    with pytest.raises(ConfigError, match="total_timesteps"):
        load_config(path, ["train.total_timesteps=many"])


@pytest.mark.parametrize(
    ("override", "cure"),
    [
        ("gamma=0.9", "`--set algo.gamma=0.9`"),
        ("n_envs=3", "`--set env.n_envs=3` or `--set eval.n_envs=3`"),
        ("seeds=3", "`--set train.seeds=3`"),
        ("trian=3", "Did you mean `train`?"),
    ],
)
def test_an_override_without_its_section_is_refused_with_the_section(
    override: str, cure: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("env: {id: CartPole-v1}\nalgo: {name: ppo}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path, [override])
    assert cure in str(caught.value)
