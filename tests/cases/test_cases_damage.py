"""Cases of damage: records of a wrong type, changed bits, lost files, edited configs."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize

from rl_runner import train
from rl_runner.agents.registry import ALGORITHMS
from rl_runner.errors import RunFolderError
from rl_runner.runs.folder import RunFolder
from rl_runner.runs.measurements import Measurements
from rl_runner.training.reporting import Evaluated, Reporter

Rl = Callable[..., Any]
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small experiment with two finished seeds."""
    runs_dir = tmp_path_factory.mktemp("trained")
    return train(HERE / "attack-03-run-json-wrong-type" / "base.yaml", runs_dir=runs_dir).path


@pytest.fixture
def experiment(trained: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(trained, tmp_path / "runs" / trained.name))


def edit_record(run: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    edit(record)
    (run / "run.json").write_text(json.dumps(record), encoding="utf-8")


def flip(file: Path, position: int) -> None:
    content = bytearray(file.read_bytes())
    content[position] ^= 1
    file.write_bytes(content)


class Notes(Reporter):
    """Keeps the notes, and interrupts training at an evaluation."""

    def __init__(self, interrupt_at: int | None = None) -> None:
        self.notes: list[str] = []
        self.interrupt_at = interrupt_at

    def note(self, text: str) -> None:
        self.notes.append(text)

    def run_evaluated(self, evaluated: Evaluated) -> None:
        if evaluated.timesteps == self.interrupt_at:
            raise KeyboardInterrupt


# --- attack-01 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", ["model.zip", "agent.json", "normalization.npz"])
def test_attack_01_a_run_that_lost_its_agent_gets_the_same_one_back(
    rl: Rl, tmp_path: Path, lost: str
):
    config = HERE / "attack-01-final-checkpoint-normalize" / "config.yaml"
    found = []
    for _ in range(3):
        (run,) = train(config, runs_dir=tmp_path).runs
        statistics = (run.path / "normalization.npz").read_bytes()
        evaluations = (run.path / "evaluations.npz").read_bytes()
        found.append((run.record.results, run.record.timesteps, statistics, evaluations))
        (run.path / lost).unlink()
    assert found[0] == found[1] == found[2]
    # Evaluating it instead names the command that repairs it.
    refused = rl("eval", run.path, "--episodes", 2)
    assert refused.exit_code != 0
    assert "`rl train`" in refused.message
    assert train(config, runs_dir=tmp_path).runs[0].was_finished is False
    assert train(config, runs_dir=tmp_path).runs[0].was_finished is True


# --- attack-03 ------------------------------------------------------------------------------------

WRONG_TYPES: dict[str, Callable[[dict[str, Any]], object]] = {
    "env": lambda record: record.update(env={}),
    "versions": lambda record: record["versions"].update(numpy=5),
    "results.last.n_episodes": lambda record: record["results"]["last"].update(n_episodes="x"),
    "seconds": lambda record: record.update(seconds=[1]),
    "timesteps": lambda record: record.update(timesteps=10**400),
    "git": lambda record: record.update(git="x"),
    "log_tail": lambda record: record.update(log_tail=[1]),
}


@pytest.mark.parametrize("field", WRONG_TYPES)
def test_attack_03_a_record_of_a_wrong_type_is_unreadable_and_the_others_are_not_affected(
    rl: Rl, experiment: Path, field: str
):
    edit_record(experiment / "seed-0", WRONG_TYPES[field])
    listed = rl("runs", "--json")
    assert listed.exit_code == 0
    assert [run["status"] for run in listed.document] == ["unreadable", "finished"]
    assert re.search(rf"`{field}(\.\w+)?` is not", listed.document[0]["problem"])
    compared = rl("compare", experiment, "--json")
    assert compared.exit_code == 0
    assert any("1 of 2 seeds have no result" in text for text in compared.document["caveats"])


@pytest.mark.parametrize(
    "edit",
    [
        lambda record: record.update(git={}),
        lambda record: record["results"]["best"].pop("selection_optimism"),
    ],
    ids=["git", "selection_optimism"],
)
def test_attack_03_a_report_does_without_what_is_missing(
    rl: Rl, experiment: Path, edit: Callable[[dict[str, Any]], object]
):
    edit_record(experiment / "seed-0", edit)
    outcome = rl("report", experiment, "--no-pictures", "--out", "report.html")
    assert outcome.exit_code == 0, outcome.message


@pytest.mark.parametrize("text", ["[" * 200_000, r'{"name": "\ud800"}', '{"seed": 1' + "0" * 5000])
def test_attack_03_any_text_is_named_as_not_valid(rl: Rl, experiment: Path, text: str):
    (experiment / "seed-0" / "run.json").write_text(text, encoding="utf-8")
    listed = rl("runs", "--json")
    assert listed.exit_code == 0
    assert [run["status"] for run in listed.document] == ["unreadable", "finished"]
    assert "Not valid JSON" in listed.document[0]["problem"]


@pytest.mark.parametrize("name", ["seed-²", "seed-٣", "seed-01", "seed-copy", "seed-" + "9" * 40])
def test_attack_03_a_folder_that_is_no_seed_does_not_hide_the_seeds(
    rl: Rl, experiment: Path, name: str
):
    shutil.copytree(experiment / "seed-0", experiment / name)
    assert rl("runs").exit_code == 0
    compared = rl("compare", experiment, "--json")
    assert compared.exit_code == 0
    (row,) = compared.document["experiments"]
    assert row["seeds"] == [0, 1]
    again = rl("eval", experiment, "--policy", "random", "--episodes", 1)
    assert again.exit_code == 0


# --- attack-04 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", range(4))
def test_attack_04_a_changed_bit_in_the_evaluations_is_a_caveat(
    rl: Rl, experiment: Path, step: int
):
    file = experiment / "seed-0" / "evaluations.npz"
    whole = file.read_bytes()
    directory = whole.index(b"PK\x01\x02")
    for position in range(directory + step, len(whole), 40):
        flip(file, position)
        with contextlib.suppress(RunFolderError):  # a few bits, as those of times, are not used
            loaded = Measurements(experiment / "seed-0").load_evaluations()
            assert all(isinstance(array, np.ndarray) for array in loaded.values())
        file.write_bytes(whole)
    flip(file, directory + 8)
    compared = rl("compare", experiment, "--json")
    assert compared.exit_code == 0
    assert any("periodic evaluations of seed 0" in text for text in compared.document["caveats"])


def test_attack_04_changed_statistics_are_named(rl: Rl, experiment: Path):
    file = experiment / "seed-0" / "normalization.npz"
    flip(file, file.read_bytes().index(b"PK\x01\x02") + 8)
    outcome = rl("eval", experiment, "--episodes", 2)
    assert outcome.exit_code == 2
    assert "normalisation statistics cannot be loaded" in outcome.message


# --- attack-05 ------------------------------------------------------------------------------------


def test_attack_05_a_damaged_best_agent_is_noticed_when_the_run_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.syspath_prepend(HERE)
    config = HERE / "attack-05-best-checkpoint-damaged" / "config.yaml"
    with pytest.raises(KeyboardInterrupt):
        train(config, runs_dir=tmp_path, reporter=Notes(interrupt_at=160))
    (model,) = tmp_path.glob("*/seed-0/checkpoints/best-*/model.zip")
    flip(model, model.stat().st_size // 2)
    reporter = Notes()
    (run,) = train(config, runs_dir=tmp_path, reporter=reporter).runs
    assert any("the best agent so far is lost" in note for note in reporter.notes)
    assert run.status == "finished"
    assert run.record.best.mean_reward is not None  # of a later evaluation
    assert run.record.best.timesteps == 160


def test_attack_05_a_best_agent_damaged_at_the_end_costs_only_its_own_results(
    rl: Rl, experiment: Path
):
    run = RunFolder(experiment / "seed-0", "model.zip")
    before = run.read_record()
    flip(run.agents.find("best") / "model.zip", 1000)
    run.agents.weights.unlink()
    reporter = Notes()
    config = HERE / "attack-03-run-json-wrong-type" / "base.yaml"
    again = train(config, runs_dir=experiment.parent, reporter=reporter).runs[0].record
    assert any("there is no result of the best agent" in note for note in reporter.notes)
    assert before is not None
    assert again.status == "finished"
    assert again.last == before.last
    assert again.results is not None
    assert again.results.best is None
    for command in ("runs", "report", "compare"):
        assert rl(command, *([] if command == "runs" else [experiment])).exit_code == 0
    assert "agent of seed 0 has no result" in rl(
        "compare", experiment, "--checkpoint", "best"
    ).stdout.replace("\n", " ")


# --- attack-11 ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  ent_coef", "  ent_coeff"),
        ("  policy_kwargs: null", "  policy_kwargs: 7"),
        ("  learning_rate: 0.0003", "  learning_rate: {a: 1}"),
        ("  policy: MlpPolicy", "  policy: LstmPolicy"),
        ("  gamma: 0.99", "  gamma: high"),
        ("  name: ppo", "  name: q_learning"),
    ],
)
def test_attack_11_a_config_edited_inside_a_run_is_refused_as_training_refuses_it(
    rl: Rl, experiment: Path, old: str, new: str
):
    config = experiment / "config.yaml"
    text = config.read_text(encoding="utf-8")
    assert old in text
    config.write_text(text.replace(old, new, 1), encoding="utf-8")
    for arguments in (("eval", "--episodes", 1), ("record", "--out", "x.png")):
        outcome = rl(arguments[0], experiment, *arguments[1:])
        assert outcome.exit_code == 2
        assert "Invalid config" in outcome.stderr
    assert rl("eval", experiment, "--policy", "random", "--episodes", 1).exit_code in {0, 2}


def test_attack_11_a_policy_left_to_auto_is_chosen_again(rl: Rl, experiment: Path):
    config = experiment / "config.yaml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("policy: MlpPolicy", "policy: auto"), encoding="utf-8")
    assert rl("eval", experiment, "--episodes", 1).exit_code == 0


# --- attack-16 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", ["\n", "\r", "\v", "\f", "\x1c", "\x85", "\u2028"])
def test_attack_16_an_error_cannot_leave_its_latex_comment(
    rl: Rl, experiment: Path, separator: str
):
    def fail(record: dict[str, Any]) -> None:
        record.update(status="failed", error=rf"x{separator}\input{{/etc/passwd}}{separator}")
        del record["results"]

    edit_record(experiment / "seed-1", fail)
    assert rl("compare", experiment, "--out", "comparison").exit_code == 0
    text = (Path("comparison") / "comparison.tex").read_text(encoding="utf-8")
    comments = text.partition(r"\begin{tabular}")[0]
    assert r"\input" in comments
    assert all(line.startswith("%") for line in comments.splitlines())


# --- attack-19 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"\xe2est-600\n", b"1" * 5000, b"", b"../../seed-1", b"best-"])
def test_attack_19_a_damaged_pointer_to_the_only_best_agent_loses_nothing(
    rl: Rl, experiment: Path, content: bytes
):
    (experiment / "seed-0" / "checkpoints" / "best").write_bytes(content)
    outcome = rl("eval", experiment / "seed-0", "--checkpoint", "best", "--episodes", 1)
    assert outcome.exit_code == 0, outcome.message
    (experiment / "seed-0" / "model.zip").unlink()
    config = HERE / "attack-03-run-json-wrong-type" / "base.yaml"
    before = json.loads((experiment / "seed-0" / "run.json").read_text(encoding="utf-8"))
    run = train(config, runs_dir=experiment.parent).runs[0]
    assert run.record.to_json()["results"] == before["results"]


def test_attack_19_with_two_best_agents_the_damaged_pointer_is_named(rl: Rl, experiment: Path):
    checkpoints = experiment / "seed-0" / "checkpoints"
    (best,) = checkpoints.glob("best-*")
    shutil.copytree(best, checkpoints / "best-9")
    (checkpoints / "best").write_bytes(b"\xe2est-600\n")
    outcome = rl("eval", experiment / "seed-0", "--checkpoint", "best", "--episodes", 1)
    assert outcome.exit_code == 2
    assert "which agent is the best is damaged" in outcome.message
    assert f"best-9, {best.name}" in outcome.message or f"{best.name}, best-9" in outcome.message


# --- attack-20 ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [("predict", 5), ("__class__", 3), ("policy", 5), ("num_timesteps", "x"), ("gamma", None)],
)
def test_attack_20_only_the_numbers_of_an_agent_are_taken_from_its_file(
    rl: Rl, experiment: Path, name: str, value: object
):
    file = experiment / "seed-0" / "agent.json"
    numbers = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**numbers, name: value}), encoding="utf-8")
    outcome = rl("eval", experiment / "seed-0", "--episodes", 1)
    assert outcome.exit_code == 2
    assert f"`{name}` is not" in outcome.message


# --- attack-17 ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["batch1", "sparse", "lr", "momentum"])
def test_attack_17_check_refuses_what_training_could_not_do(rl: Rl, name: str):
    outcome = rl("check", HERE / "attack-17-check-traceback" / f"{name}.yaml")
    assert outcome.exit_code == 2
    assert "Invalid config" in outcome.stderr
    assert f"{name}.yaml" in outcome.message


# --- foreign agents -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Zip files that stock Stable-Baselines3 saved, each with its algorithm's name."""
    folder = tmp_path_factory.mktemp("foreign")

    def save(name: str, algo: str, policy: str, env: VecEnv, **keywords: Any) -> None:
        cls: Any = ALGORITHMS[algo].load_class()
        agent = cls(policy, env, device="cpu", seed=0, **keywords)
        agent.set_logger(Logger(None, []))
        agent.learn(32).save(folder / name)
        env.close()

    def cartpole() -> VecEnv:
        return DummyVecEnv([lambda: gym.make("CartPole-v1")])

    rollout = {"n_steps": 16, "batch_size": 16, "n_epochs": 1}
    save("ppo", "ppo", "MlpPolicy", cartpole(), **rollout)
    save("a2c", "a2c", "MlpPolicy", cartpole())
    save("recurrent_ppo", "recurrent_ppo", "MlpLstmPolicy", cartpole(), **rollout)
    save("dqn", "dqn", "MlpPolicy", cartpole(), buffer_size=100, learning_starts=10)
    normalized = VecNormalize(cartpole())
    save("normalized", "ppo", "MlpPolicy", normalized, **rollout)
    normalized.save(str(folder / "statistics.pkl"))
    off_policy = {"buffer_size": 100, "learning_starts": 10}
    save("dqn_normalized", "dqn", "MlpPolicy", VecNormalize(cartpole()), **off_policy)
    save("dqn_rewards", "dqn", "MlpPolicy", VecNormalize(cartpole(), norm_obs=False), **off_policy)
    rewards = VecNormalize(cartpole(), norm_obs=False)
    save("rewards", "ppo", "MlpPolicy", rewards, **rollout)
    return folder


def eval_foreign(rl: Rl, file: Path, algo: str, *more: object) -> Any:
    arguments = ("--algo", algo, "--env", "CartPole-v1", "--trust", "--episodes", 2, "--json")
    return rl("eval", file, *arguments, *more)


@pytest.mark.parametrize("algo", ["ppo", "a2c", "recurrent_ppo", "dqn", "trpo", "qrdqn"])
@pytest.mark.parametrize("saved_by", ["ppo", "a2c", "recurrent_ppo", "dqn"])
def test_a_foreign_agent_is_loaded_as_what_it_is_or_refused(
    rl: Rl, foreign: Path, saved_by: str, algo: str
):
    outcome = eval_foreign(rl, foreign / f"{saved_by}.zip", algo)
    if algo == saved_by:
        assert outcome.exit_code == 0, outcome.message
    else:
        assert outcome.exit_code == 2
        assert f"not saved by {algo}" in outcome.message or f"loaded as {algo}" in outcome.message


def test_a_foreign_agent_that_saw_normalized_observations_needs_their_statistics(
    rl: Rl, foreign: Path
):
    file = foreign / "normalized.zip"
    refused = eval_foreign(rl, file, "ppo")
    assert refused.exit_code == 2
    assert "trained under VecNormalize" in refused.message
    assert "--normalization" in refused.message
    with_statistics = eval_foreign(rl, file, "ppo", "--normalization", foreign / "statistics.pkl")
    assert with_statistics.exit_code == 0
    damaged = eval_foreign(rl, file, "ppo", "--normalization", foreign / "ppo.zip")
    assert damaged.exit_code == 2
    assert "The statistics cannot be loaded" in damaged.message


def test_a_foreign_agent_whose_rewards_alone_were_normalized_needs_no_statistics(
    rl: Rl, foreign: Path
):
    refused = eval_foreign(rl, foreign / "rewards.zip", "ppo")
    assert refused.exit_code == 2  # the file does not tell that only rewards were normalised
    assert "--normalization none" in refused.message
    outcome = eval_foreign(rl, foreign / "rewards.zip", "ppo", "--normalization", "none")
    assert outcome.exit_code == 0


@pytest.mark.parametrize(
    ("name", "has_note"), [("dqn", True), ("dqn_normalized", True), ("dqn_rewards", False)]
)
def test_a_foreign_agent_whose_file_does_not_show_normalization_gets_a_note(
    rl: Rl, foreign: Path, name: str, has_note: bool
):
    file = foreign / f"{name}.zip"
    outcome = eval_foreign(rl, file, "dqn")
    assert outcome.exit_code == 0
    assert ("does not show whether" in outcome.message) == has_note
    assert ("`--normalization FILE.pkl`" in outcome.message) == has_note
    for statistics in ("none", foreign / "statistics.pkl"):
        assert (
            "does not show"
            not in eval_foreign(rl, file, "dqn", "--normalization", statistics).message
        )


# --- encodings ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252", "utf-8"])
def test_every_command_can_write_to_a_terminal_of_any_encoding(
    trained: Path, tmp_path: Path, encoding: str
):
    experiment = shutil.copytree(trained, tmp_path / "runs" / trained.name)

    def fail(record: dict[str, Any]) -> None:
        record.update(status="failed", error="the motor said 💥 — twice")
        del record["results"]

    edit_record(experiment / "seed-1", fail)
    script = """
        from rl_runner.cli.app import main
        import sys
        sys.argv = ["rl", *sys.argv[1:]]
        main()
    """
    surroundings = {**os.environ, "PYTHONIOENCODING": encoding, "LC_ALL": "C", "COLUMNS": "100"}
    commands: list[list[Any]] = [
        ["compare", experiment, "--json"],
        ["runs", "--runs-dir", tmp_path / "nothing…💥"],
        ["eval", experiment, "--policy", "nothing…💥"],
    ]
    if encoding == "ascii":  # which has the fewest characters of all
        commands += [["compare", experiment], ["runs", "--runs-dir", tmp_path / "runs"]]
    for arguments in commands:
        outcome = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
            env=surroundings,
            capture_output=True,
            check=False,
        )
        printed = outcome.stderr.decode(encoding)
        assert "Traceback" not in printed
        assert outcome.returncode == (2 if arguments[0] == "eval" else 0), printed
        if "--json" in arguments:
            caveats = json.loads(outcome.stdout.decode(encoding))["caveats"]
            assert any("said 💥 — twice" in text for text in caveats)
