import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_runner.config import (
    EnvConfig,
    EvalConfig,
    ExperimentConfig,
    dump_config,
    experiment_hash,
    load_config,
)
from rl_runner.errors import RunnerError

Rl = Callable[..., Any]
WriteYaml = Callable[..., Path]

REPOSITORY = Path(__file__).parents[2]
SHIPPED = sorted(REPOSITORY.glob("configs/**/*.yaml"))

VALID = """
    name: mine
    env:
      id: CartPole-v1
      n_envs: 2
    algo:
      name: ppo
      n_steps: 64
      batch_size: 64
      gamma: 0.98
    train:
      total_timesteps: 1000
      seeds: 1
"""


@pytest.fixture(params=["train", "check"])
def command(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def assert_refused(rl: Rl, tmp_path: Path) -> Callable[..., str]:
    """Run a command that must be refused: exit code 2, one panel, nothing written anywhere."""

    def run(*arguments: object) -> str:
        before = sorted(tmp_path.rglob("*"))
        outcome = rl(*arguments)
        assert outcome.exit_code == 2
        assert outcome.stdout == ""
        assert outcome.stderr.count("╭") == 1
        assert "Traceback" not in outcome.stderr
        assert sorted(tmp_path.rglob("*")) == before
        assert not (tmp_path / "runs").exists()
        message: str = outcome.message
        return message

    return run


# --- mistakes in the values ----------------------------------------------------------------------

MISTAKES = {
    "unknown key of a section": (
        {"env.n_env": 2},
        ["env.n_env", "Unknown key `n_env`", "Did you mean `n_envs`?"],
    ),
    "unknown hyperparameter": (
        {"algo.gama": 0.9},
        ["algo.gama", "Unknown key `gama`", "Did you mean `gamma`?", "clip_range"],
    ),
    "another algorithm's hyperparameter": (
        {"algo.buffer_size": 1000},
        ["algo.buffer_size", "Unknown key `buffer_size`", "Known keys: batch_size"],
    ),
    "unknown policy keyword": (
        {"algo.policy_kwargs.net_arhc": "[64]"},
        ["algo.policy_kwargs.net_arhc", "Did you mean `net_arch`?"],
    ),
    "word for a number": ({"algo.gamma": "high"}, ["algo.gamma", "'high'", "a valid number"]),
    "quoted number": ({"algo.gamma": "'0.9'"}, ["algo.gamma", "'0.9'", "quotes"]),
    "float for a whole number": ({"algo.n_steps": 64.5}, ["algo.n_steps", "64.5", "integer"]),
    "flag for a number": ({"algo.gamma": "true"}, ["algo.gamma", "True", "a valid number"]),
    "list for a number": ({"algo.gamma": "[0.9]"}, ["algo.gamma", "[0.9]", "a valid number"]),
    "number for a flag": ({"algo.normalize_advantage": 1}, ["algo.normalize_advantage", "boolean"]),
    "nothing for a number": ({"algo.gamma": "null"}, ["algo.gamma", "None"]),
    "not a number": ({"algo.gamma": ".nan"}, ["algo.gamma", "nan", "finite"]),
    "infinity": ({"algo.learning_rate": ".inf"}, ["algo.learning_rate", "inf", "finite"]),
    "out of range": ({"algo.gamma": 1.01}, ["algo.gamma", "1.01", "less than or equal to 1"]),
    "negative": ({"algo.learning_rate": -1}, ["algo.learning_rate", "greater than 0"]),
    "misspelled schedule": (
        {"algo.learning_rate": "{schedule: liner, initial: 1}"},
        ["algo.learning_rate.schedule", "'liner'", "Did you mean `linear`?"],
    ),
    "schedule without a beginning": (
        {"algo.learning_rate": "{schedule: linear}"},
        ["algo.learning_rate.initial", "missing"],
    ),
    "exponential schedule to zero": (
        {"algo.learning_rate": "{schedule: exponential, initial: 1}"},
        ["algo.learning_rate", "above 0"],
    ),
    "schedule below zero": (
        {"algo.learning_rate": "{schedule: linear, initial: 1, final: -1}"},
        ["algo.learning_rate", "never goes below"],
    ),
    "what the runner sets": (
        {"algo.seed": 1},
        ["algo.seed", "not a hyperparameter", "train.seeds"],
    ),
    "unknown algorithm": (
        {"algo.name": "pppo"},
        ["algo.name", "no algorithm `pppo`", "Did you mean `ppo`?", "Algorithms: a2c"],
    ),
    "algorithm in capitals": ({"algo.name": "PPO"}, ["algo.name", "Did you mean `ppo`?"]),
    "unknown policy": (
        {"algo.policy": "MlpPolcy"},
        ["algo.policy", "no policy `MlpPolcy`", "Did you mean `MlpPolicy`?", "It has: auto"],
    ),
    "policy for images": (
        {"algo.policy": "CnnPolicy"},
        ["key `algo.policy`", "CnnPolicy takes images", "Set `policy: auto`"],
    ),
    "policy for dictionaries": ({"algo.policy": "MultiInputPolicy"}, ["key `algo", "ppo refuses"]),
    "features of a dictionary": (
        {"algo.policy_kwargs.features_extractor_class": "CombinedExtractor"},
        ["key `algo", "ppo refuses"],
    ),
    "unknown class": (
        {"algo.policy_kwargs.activation_fn": "Tanhh"},
        ["algo.policy_kwargs.activation_fn", "`Tanhh` is not a Module", "package.module.Class"],
    ),
    "relative class": (
        {"algo.policy_kwargs.activation_fn": ".nn.Tanh"},
        ["algo.policy_kwargs.activation_fn", "`.nn.Tanh` is not a Module"],
    ),
    "class of another kind": (
        {"algo.policy_kwargs.activation_fn": "torch.optim.Adam"},
        ["algo.policy_kwargs.activation_fn", "`torch.optim.Adam` is not a Module"],
    ),
    "class that needs arguments": (
        {"algo.policy_kwargs.activation_fn": "Linear"},
        ["key `algo", "ppo refuses", "in_features"],
    ),
    "unknown device": (
        {"algo.device": "gpu"},
        ["algo.device", "`'gpu'` is not allowed: expected auto, cpu, mps, cuda or e.g. cuda:0."],
    ),
    "unknown environment": (
        {"env.id": "CartPol-v1"},
        ["env.id", "no environment `CartPol-v1`", "Did you mean `CartPole-v1`?"],
    ),
    "unknown version": ({"env.id": "CartPole-v9"}, ["env.id", "Did you mean `CartPole-v1`?"]),
    "environment without its version": (
        {"env.id": "CartPole"},
        ["env.id", "no environment `CartPole`", "Did you mean `CartPole-v1`?"],
    ),
    "nothing like an environment": ({"env.id": "xyzzy"}, ["env.id", "rl envs"]),
    "malformed environment": ({"env.id": "'a b'"}, ["key `env", "`a b`", "env.id"]),
    "missing package": (
        {"env.id": "nosuchpackage:Env-v0"},
        ["env.id", "no module `nosuchpackage`", "neither installed nor", "nosuchpackage.py"],
    ),
    "package without the environment": (
        {"env.id": "cli_worlds:ThreeDoors-v0"},
        ["env.id", "has not registered `ThreeDoors-v0`", "Did you mean", "TwoDoors-v0"],
    ),
    "unknown env kwarg": ({"env.kwargs.gravity": 1}, ["key `env", "gravity", "env.kwargs"]),
    "reserved env kwarg": (
        {"env.kwargs.render_mode": "human"},
        ["env", "`render_mode`", "the commands that draw"],
    ),
    "missing wrapper": (
        {"env.wrappers": "[nosuch.Wrapper]"},
        ["env.wrappers", "`nosuch.Wrapper` cannot be imported"],
    ),
    "wrapper without its module": (
        {"env.wrappers": "[FlattenObservation]"},
        ["env.wrappers.0", "expected a dotted name, e.g. gymnasium.wrappers.FlattenObservation."],
    ),
    "misspelled wrapper": (
        {"env.wrappers": "[gymnasium.wrappers.FlatenObservation]"},
        ["env.wrappers", "not a Gymnasium wrapper", "Did you mean `FlattenObservation`?"],
    ),
    "wrapper with a wrong kwarg": (
        {"env.wrappers": "[{name: gymnasium.wrappers.TimeLimit, kwargs: {limit: 5}}]"},
        ["key `env", "limit", "env.wrappers"],
    ),
    "batch size that does not divide": (
        {"algo.batch_size": 60},
        [
            "algo.batch_size",
            "60 does not divide",
            "n_steps × n_envs = 64 × 2 = 128",
            "nearest size that does is 64",
        ],
    ),
    "rollout of one step": (
        {"algo.n_steps": 1, "env.n_envs": 1, "algo.batch_size": 1},
        ["algo.n_steps", "n_steps × n_envs = 1 × 1 = 1", "normalize_advantage: false"],
    ),
    "wrong vec": ({"env.vec": "subprocess"}, ["env.vec", "Did you mean `subproc`?"]),
    "no such section": ({"trian.seeds": 1}, ["trian", "Did you mean `train`?"]),
    "negative seed": ({"train.seeds": "[-1]"}, ["train.seeds", "-1", "greater than or equal to 0"]),
    "count of seeds in words": (
        {"train.seeds": "five"},
        ["train.seeds", "`'five'` is not allowed: expected a count without quotes, 5, or a list"],
    ),
    "negative count of seeds": (
        {"train.seeds": -1},
        ["train.seeds", "-1 is not a number of seeds", "at least 1"],
    ),
    "no steps": ({"train.total_timesteps": 0}, ["train.total_timesteps", "`0`"]),
    "no name for a folder": ({"name": "../mine"}, ["name", "letters, digits"]),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_on_the_command_line_is_refused_with_its_cure(
    assert_refused: Callable[..., str], write_yaml: WriteYaml, case: str
):
    changes, expected = MISTAKES[case]
    options = [item for key, value in changes.items() for item in ("--set", f"{key}={value}")]
    message = assert_refused("train", write_yaml(VALID), *options)
    for part in expected:
        assert part in message


def lines_with(changes: dict[str, Any]) -> str:
    """Write one ``a.b: value`` per line in VALID's style, so that each has a line number."""
    sections: dict[str, dict[str, Any]] = {
        "env": {"id": "CartPole-v1", "n_envs": 2},
        "algo": {"name": "ppo", "n_steps": 64, "batch_size": 64, "gamma": 0.98},
        "train": {"total_timesteps": 1000, "seeds": 1},
    }
    top = {"name": "mine"}
    for key, value in changes.items():
        section, _, rest = key.partition(".")
        if not rest:
            top[section] = value
        elif "." in rest:
            inner, last = rest.split(".")
            sections.setdefault(section, {})[inner] = f"{{{last}: {value}}}"
        else:
            sections.setdefault(section, {})[rest] = value
    lines = [f"{key}: {value}" for key, value in top.items()]
    for name, values in sections.items():
        lines += [f"{name}:", *(f"  {key}: {value}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_in_the_file_is_refused_with_its_line(
    assert_refused: Callable[..., str], write_yaml: WriteYaml, case: str
):
    changes, expected = MISTAKES[case]
    path = write_yaml(lines_with(changes))
    message = assert_refused("check", path.name)
    for part in expected:
        assert part in message
    (line,) = set(re.findall(r"experiment\.yaml:(\d+), key", message))
    written = path.read_text(encoding="utf-8").splitlines()[int(line) - 1]
    key = next(iter(changes)).split(".")
    assert written.split(":")[0].strip() in key


def test_a_mistake_in_one_of_two_files_trains_neither(
    assert_refused: Callable[..., str], write_yaml: WriteYaml
):
    good, bad = write_yaml(name="good.yaml"), write_yaml(lines_with({"algo.gamma": 2}), "bad.yaml")
    assert "algo.gamma" in assert_refused("train", good, bad)


def test_a_refused_command_with_json_prints_no_json(
    assert_refused: Callable[..., str], write_yaml: WriteYaml
):
    assert "algo.gama" in assert_refused(
        "train", write_yaml(VALID), "--set", "algo.gama=1", "--json"
    )


def test_a_refusal_is_drawn_without_markup(
    assert_refused: Callable[..., str], write_yaml: WriteYaml
):
    message = assert_refused("train", write_yaml(VALID), "--set", "algo.policy='[bold]x[/]'")
    assert "[bold]x[/]" in message


# --- algorithms and environments that do not fit -------------------------------------------------


@pytest.mark.parametrize(
    ("algo", "env", "fitting", "unfitting"),
    [
        ("sac", "CartPole-v1", ["ppo", "dqn", "a2c"], ["sac", "td3", "q_learning"]),
        ("q_learning", "CartPole-v1", ["ppo", "dqn", "a2c"], ["sac", "td3", "q_learning"]),
        ("dqn", "Pendulum-v1", ["ppo", "sac", "td3"], ["dqn", "qrdqn", "q_learning"]),
    ],
)
def test_a_wrong_algorithm_names_those_that_fit(
    assert_refused: Callable[..., str],
    write_yaml: WriteYaml,
    algo: str,
    env: str,
    fitting: list[str],
    unfitting: list[str],
):
    from rl_runner.training.resolve import resolve

    text = f"env:\n  id: {env}\nalgo:\n  name: {algo}\ntrain: {{total_timesteps: 1_000_000}}\n"
    path = write_yaml(text)
    message = assert_refused("train", path.name)
    assert "experiment.yaml:4, key `algo.name`" in message
    assert f"{algo} cannot be trained on {env}" in message
    named = message.rpartition("These can: ")[2].rstrip(". ").split(", ")
    assert set(named) >= set(fitting)
    assert not set(named) & set(unfitting)
    for name in named:
        resolve(load_config(path, [f"algo.name={name}"]))


def test_an_algorithm_that_needs_masks_asks_for_them(
    assert_refused: Callable[..., str], write_yaml: WriteYaml
):
    path = write_yaml(lines_with({"algo.name": "maskable_ppo"}))
    message = assert_refused("train", path.name)
    assert "experiment.yaml:6, key `algo.name`" in message
    assert "`action_masks()`" in message
    assert "ppo" in message


# --- what cannot be built ------------------------------------------------------------------------

OFF_POLICY = "env: {id: CartPole-v1}\nalgo: {name: dqn}\ntrain: {total_timesteps: 100_000}\n"


@pytest.mark.parametrize(
    ("algo", "change"),
    [
        ("dqn", "algo.buffer_size=1_000_000_000_000"),
        ("ppo", "algo.n_steps=1_000_000_000_000"),
        ("qrdqn", "algo.policy_kwargs.n_quantiles=1_000_000_000_000"),
    ],
)
def test_what_no_memory_could_hold_is_refused(
    assert_refused: Callable[..., str], write_yaml: WriteYaml, algo: str, change: str
):
    path = write_yaml(OFF_POLICY.replace("dqn", algo))
    message = assert_refused("train", path, "--set", change)
    assert f"{algo} refuses this configuration" in message
    assert "allocate" in message


@pytest.mark.timeout(20)
def test_a_huge_rollout_is_refused_in_no_time(
    assert_refused: Callable[..., str], write_yaml: WriteYaml
):
    message = assert_refused("train", write_yaml(VALID), "--set", "algo.n_steps=1_000_000_007")
    assert "64 does not divide" in message
    assert "nearest size that does is 2" in message


def test_what_learns_nothing_is_refused(assert_refused: Callable[..., str], write_yaml: WriteYaml):
    path = write_yaml(OFF_POLICY)
    message = assert_refused("train", path, "--set", "train.total_timesteps=100")
    assert "learning_starts 100 is not below" in message
    assert "train for longer" in message


def test_a_batch_larger_than_the_buffer_is_refused(
    assert_refused: Callable[..., str], write_yaml: WriteYaml
):
    message = assert_refused("train", write_yaml(OFF_POLICY), "--set", "algo.buffer_size=10")
    assert "algo.batch_size" in message
    assert "batch_size 32 is larger than buffer_size 10" in message


# --- files that are no config --------------------------------------------------------------------

FILES: dict[str, tuple[bytes, list[str]]] = {
    "unclosed bracket": (b"name: a\nenv: [1, 2\nalgo: {name: ppo}\n", ["bad.yaml:3", "Not valid"]),
    "tab": (b"env:\n\tid: CartPole-v1\n", ["bad.yaml:2", "Not valid YAML", "indentation"]),
    "two colons": (b"name: a\nenv: id: b\n", ["bad.yaml:2", "Not valid YAML"]),
    "python tag": (
        b"name: a\nenv: !!python/object/apply:os.system [touch ran]\n",
        ["bad.yaml:2", "python/object/apply:os.system", "Leave the tag out"],
    ),
    "own tag": (b"env: !mine {id: a}\n", ["bad.yaml:1", "`!mine`", "Leave the tag out"]),
    "doubled key": (b"name: a\nname: b\n", ["bad.yaml:2", "`name` twice", "Keep one"]),
    "merge key": (b"env: &e {id: a}\nalgo:\n  <<: *e\n", ["bad.yaml:3", "extends:"]),
    "two documents": (b"name: a\n---\nname: b\n", ["bad.yaml:2", "single document"]),
    "empty": (b"", ["bad.yaml", "empty", "rl init"]),
    "only a comment": (b"# nothing\n", ["bad.yaml", "empty", "rl init"]),
    "list": (b"- a\n", ["bad.yaml", "not contain a mapping", "`env`, `algo` and `train`"]),
    "binary": (b"\x89PNG\r\n\x1a\n\x00\xff", ["bad.yaml", "not UTF-8 text"]),
    "nul": (b"name: a\x00\n", ["bad.yaml", "not allowed"]),
    "latin-1": ("name: caf\u00e9\n".encode("latin-1"), ["bad.yaml", "not UTF-8 text"]),
    "deep": (b"[" * 400 + b"]" * 400, ["bad.yaml", "deep"]),
    "long number": (b"name: a\nx: 0x" + b"f" * 5000, ["bad.yaml:2", "too long"]),
    "no base": (b"name: a\nextends: base.yaml\n", ["bad.yaml:2", "`extends: base.yaml`"]),
    "circle": (b"extends: bad.yaml\n", ["bad.yaml", "refers back"]),
    "nothing but a name": (b"name: a\n", ["`env` is missing", "`algo` is missing"]),
}


@pytest.mark.parametrize("case", FILES)
def test_a_bad_file_is_refused_with_its_cure(
    assert_refused: Callable[..., str], tmp_path: Path, case: str, command: str
):
    content, expected = FILES[case]
    (tmp_path / "bad.yaml").write_bytes(content)
    message = assert_refused(command, "bad.yaml")
    for part in expected:
        assert part in message


def test_a_missing_file_suggests_its_neighbour(
    assert_refused: Callable[..., str], write_yaml: WriteYaml, command: str
):
    write_yaml(VALID, "mine.yaml")
    message = assert_refused(command, "mime.yaml")
    assert "No such file" in message
    assert "Did you mean `mine.yaml`?" in message


def test_a_folder_is_no_config(assert_refused: Callable[..., str], tmp_path: Path, command: str):
    (tmp_path / "folder").mkdir()
    message = assert_refused(command, "folder")
    assert "folder without a config.yaml" in message
    assert "Name a YAML file" in message


@pytest.mark.parametrize("arguments", [("train",), ("check",), ("eval",), ("dashboard",)])
def test_a_name_too_long_is_refused(assert_refused: Callable[..., str], arguments: tuple[str]):
    assert "aaaa" in assert_refused(*arguments, "a" * 300)


# --- options -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seeds", ["abc", "", ",", "1.5", "1;2", "one,two"])
def test_seeds_that_are_neither_a_count_nor_a_list(
    assert_refused: Callable[..., str], write_yaml: WriteYaml, seeds: str
):
    message = assert_refused("train", write_yaml(VALID), "--seeds", seeds)
    assert f"--seeds {seeds}".strip() in message
    assert "--seeds 5" in message
    assert "--seeds 0,3,7" in message


@pytest.mark.parametrize("seeds", ["0", "-1", "0,-1", "1,1", "99999999999999999999,"])
def test_seeds_that_cannot_be_run(
    assert_refused: Callable[..., str], write_yaml: WriteYaml, seeds: str
):
    message = assert_refused("train", write_yaml(VALID), "--seeds", seeds)
    assert "train.seeds" in message


@pytest.mark.parametrize("override", ["algo.gamma", "=1", "algo..gamma=1", "name.x=1"])
def test_set_of_a_wrong_form(
    assert_refused: Callable[..., str], write_yaml: WriteYaml, override: str
):
    assert f"--set {override}" in assert_refused("train", write_yaml(VALID), "--set", override)


@pytest.mark.parametrize(
    "arguments",
    [
        ("train",),
        ("check",),
        ("eval",),
        ("init",),
        ("init", "ppo"),
        ("trian", "x.yaml"),
        ("train", "x.yaml", "--sets", "a=1"),
        ("eval", "runs", "--episodes", "0"),
        ("eval", "runs", "--episodes", "many"),
        ("eval", "runs", "--checkpoint", "worst"),
        ("dashboard", "--port", "0"),
        ("runs", "--status", "fialed"),
        ("--verzion",),
    ],
)
def test_a_wrong_command_line_is_refused(
    assert_refused: Callable[..., str], arguments: tuple[str, ...]
):
    message = assert_refused(*arguments)
    assert "Usage: rl" in message
    assert "--help" in message


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("algos", "pppo"), ["no algorithm `pppo`", "Did you mean `ppo`?"]),
        (("init", "pppo", "CartPole-v1"), ["no algorithm `pppo`", "Did you mean `ppo`?"]),
        (("init", "ppo", "CartPol-v1"), ["no environment", "Did you mean `CartPole-v1`?"]),
        (
            ("init", "sac", "CartPole-v1"),
            ["sac cannot be trained on CartPole-v1", "These can: a2c"],
        ),
        (("eval", "nowhere"), ["no such folder", "rl runs"]),
        (("dashboard", "nowhere"), ["no such folder", "Train something first"]),
    ],
)
def test_names_of_nothing_are_refused(
    assert_refused: Callable[..., str], arguments: tuple[str, ...], expected: list[str]
):
    message = assert_refused(*arguments)
    for part in expected:
        assert part in message


def test_eval_of_a_folder_that_holds_no_runs(
    assert_refused: Callable[..., str], write_yaml: WriteYaml
):
    write_yaml(VALID, "mine-01234567/config.yaml")
    assert "no runs yet" in assert_refused("eval", "mine-01234567")
    write_yaml(VALID, "elsewhere/other.yaml")
    assert "Neither a run nor an experiment" in assert_refused("eval", "elsewhere")


def test_eval_of_a_file_does_not_suggest_the_file(
    assert_refused: Callable[..., str], write_yaml: WriteYaml
):
    message = assert_refused("eval", write_yaml(VALID).name)
    assert "Did you mean `experiment.yaml`?" not in message


def test_runs_go_into_a_folder_not_a_file(rl: Rl, write_yaml: WriteYaml, tmp_path: Path):
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    outcome = rl("train", write_yaml(), "--runs-dir", "taken")
    assert outcome.exit_code == 2
    assert "Not a directory" in outcome.message
    assert "--runs-dir" in outcome.message
    assert (tmp_path / "taken").read_text(encoding="utf-8") == "a file"


# --- any damage to any shipped config ------------------------------------------------------------

# Whatever is drawn is small: what could only be slow or fill the memory has tests of its own.
SCALARS = [
    *("0", "1", "2", "-1", "3", "7", "64", "0.5", "-0.5", "1e-3", "1e3", "1e99", ".nan", ".inf"),
    *("null", "true", "no", "''", "' '", "'1'", "x", "é", "💥", "-", "=", "9" * 30, "a.b", "a:b.C"),
    *("auto", "MlpPolicy", "CnnPolicy", "MultiInputPolicy", "LinearPolicy", "ucb", "linear"),
    *("CartPole-v1", "Pendulum-v1", "FrozenLake-v1", "Blackjack-v1", "nosuchpackage:A-v0", "A-v0"),
    *("ppo", "a2c", "dqn", "sac", "q_learning", "reinforce", "trpo", "ars", "maskable_ppo"),
    *("Tanh", "torch.nn.ReLU", "SGD", "CombinedExtractor", "NatureCNN", "DictRolloutBuffer"),
    *(".relative", "gymnasium.Wrapper", "subproc", "cpu", "cuda", "pi", "qf", "step", "episode"),
    *("DictReplayBuffer", "torch.nn.Linear", "normal", "exponential", "schedule", "sigma", "&a 1"),
    *("*a", "!!python/name:os.system", "!t x", "@", "`", "%", "|", ">", "'open", '"open', "# gone"),
]
VALUES = st.sampled_from(SCALARS) | st.one_of(
    st.lists(st.sampled_from(SCALARS), max_size=3).map(lambda items: f"[{', '.join(items)}]"),
    st.lists(st.tuples(st.sampled_from(SCALARS), st.sampled_from(SCALARS)), max_size=2).map(
        lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items) + "}"
    ),
    st.builds("{{schedule: {}, initial: {}, final: {}}}".format, *[st.sampled_from(SCALARS)] * 3),
    st.builds("{{noise: {}, sigma: {}}}".format, *[st.sampled_from(SCALARS)] * 2),
)
CHARACTERS = st.sampled_from("{}[]:,-&*!|>'\"#%@` \n\t\\~?<=x5é\x00\x85")


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    """Delete, double, swap or rewrite a few lines of a YAML file."""
    lines = text.splitlines(keepends=True)
    for _ in range(draw(st.integers(1, 3))):
        if not lines:
            break
        i = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["value", "value", "value", "key", "insert", "line", "order"])):
            case "value":
                entries = list(re.finditer(r"([\w.]+): *([^,{}\n]+|\{[^{}\n]*\})?", lines[i]))
                if entries:
                    entry = draw(st.sampled_from(entries))
                    value = f"{entry[1]}: {draw(VALUES)}"
                    lines[i] = lines[i][: entry.start()] + value + lines[i][entry.end() :]
            case "key":
                lines[i] = re.sub(r"\w+:", draw(st.sampled_from(SCALARS)) + ":", lines[i], count=1)
            case "insert":
                at = draw(st.integers(0, len(lines[i])))
                lines[i] = lines[i][:at] + draw(CHARACTERS) + lines[i][at:]
            case "line":
                lines[i : i + 1] = draw(st.sampled_from([[], [lines[i]] * 2, ["\n", lines[i]]]))
            case "order":
                j = draw(st.integers(0, len(lines) - 1))
                lines[i], lines[j] = lines[j], lines[i]
    return "".join(lines)


def assert_accepted_or_refused(path: Path, *overrides: str) -> None:
    """Load and resolve a config; nothing but a RunnerError may come of it."""
    from rl_runner.training.resolve import resolve

    try:
        resolved = resolve(load_config(path, overrides)).config
    except RunnerError as error:
        assert error.problems  # noqa: PT017 - either outcome is right
        assert all(problem.what for problem in error.problems)  # noqa: PT017
    else:
        assert experiment_hash(resolved)
        written = path.with_name("resolved.yaml")
        written.write_text(dump_config(resolved), encoding="utf-8")
        assert resolve(load_config(written)).config == resolved


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the shipped configs, so that `extends` finds its base."""
    folder = tmp_path_factory.mktemp("workshop")
    shutil.copytree(REPOSITORY / "configs", folder / "configs")
    return folder


# Hindsight's replay buffer takes seconds to allocate; that config is left alone here.
QUICK = [path for path in SHIPPED if "HerReplayBuffer" not in path.read_text(encoding="utf-8")]


@pytest.mark.filterwarnings("ignore")  # SB3 and Gymnasium may warn of what they are given
@settings(max_examples=120)
@given(data=st.data())
def test_a_damaged_config_is_accepted_or_refused(workshop: Path, data: st.DataObject):
    original = data.draw(st.sampled_from(QUICK))
    text = data.draw(damaged(original.read_text(encoding="utf-8")))
    path = workshop / original.relative_to(REPOSITORY).with_name("damaged.yaml")
    path.write_text(text, encoding="utf-8", newline="")
    assert_accepted_or_refused(path)


# What is likely to be right, by the type that `rl algos` shows.
LIKELY = {
    "int": ["0", "1", "2", "3", "64"],
    "float": ["0", "0.0", "1", "1.0", "0.5", "1e-3", "2.5"],
    "bool": ["true", "false"],
    "null": ["null"],
    "schedule": [
        "{schedule: linear, initial: 1e-3}",
        "{schedule: exponential, initial: 1, final: 0.5, fraction: 0.5}",
        "{schedule: cosine, initial: 0.1}",
    ],
    "noise": ["{noise: normal, sigma: 0.1}", "{noise: ornstein_uhlenbeck, sigma: 0.1, mean: 1}"],
    "[int, step|episode]": ["[1, step]", "[2, episode]"],
    "list": ["[]", "[3]", "[3, 3]"],
    "mapping": ["{}", "{x: 1}", "{eps: 1e-3}", "{pi: [3], vf: [3]}", "{pi: [3], qf: [3]}"],
    "class name": ["Tanh", "Adam", "SGD", "NatureCNN", "CombinedExtractor", "FlattenExtractor"],
    "str": ["auto", "cpu", "MlpPolicy", "LinearPolicy", "CnnPolicy", "MultiInputPolicy", "0"],
}


def types_of_keys(config: ExperimentConfig) -> dict[str, list[str]]:
    """Return every key that may be set, with the types `rl algos` shows for it."""
    from rl_runner.agents.hyperparameters.constructor import _policy_keywords, hyperparameters_of
    from rl_runner.agents.registry import find_algorithm

    algorithm = find_algorithm(config.algo.name)
    known = hyperparameters_of(algorithm)
    types = {f"algo.{name}": item.type_name for name, item in known.items()}
    if "policy_kwargs" in known:
        policy = next(iter(algorithm.load_class().policy_aliases))
        for name, item in _policy_keywords(algorithm, policy).items():
            types[f"algo.policy_kwargs.{name}"] = item.type_name
    for section, model in {"env": EnvConfig, "eval": EvalConfig}.items():
        types |= dict.fromkeys([f"{section}.{name}" for name in model.model_fields], "int")
    types |= {"env.kwargs.x": "str", "algo": "mapping", "algo.name": "str", "train.seeds": "int"}
    return {key: shown.split(" | ") for key, shown in types.items()}


@st.composite
def overrides(draw: st.DrawFn, config: ExperimentConfig) -> list[str]:
    """Set one or two keys, more often than not to something of the right type."""
    types, chosen = types_of_keys(config), []
    for key in draw(st.lists(st.sampled_from(list(types)), min_size=1, max_size=2)):
        likely = [value for kind in types[key] for value in LIKELY.get(kind, [kind])]
        right = draw(st.sampled_from([True, True, True, False]))
        chosen.append(f"{key}={draw(st.sampled_from(likely) if right else VALUES)}")
    return chosen


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=100)
@given(data=st.data())
def test_any_value_of_any_key_is_accepted_or_refused(workshop: Path, data: st.DataObject):
    path = workshop / data.draw(st.sampled_from(QUICK)).relative_to(REPOSITORY)
    assert_accepted_or_refused(path, *data.draw(overrides(load_config(path))))
