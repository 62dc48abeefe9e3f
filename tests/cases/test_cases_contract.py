"""Public bug reports about what environments return, and what rl_runner says of them."""

import csv
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from case_runs import Case, run_of

from rl_runner import Reporter, load_config, train

# --- numbers that are not finite ------------------------------------------------------------------

ALGORITHMS = {
    "ppo": "{name: ppo, n_steps: 64, batch_size: 64}",
    "dqn": "{name: dqn, learning_starts: 50}",
    "dqn, stock": "{name: dqn, learning_starts: 50, engine: stock}",
    "qrdqn": "{name: qrdqn, learning_starts: 50}",
    "reinforce": "{name: reinforce, n_episodes: 4}",
}


@pytest.mark.parametrize(
    ("part", "said"), [("obs", "observation[1] = nan"), ("reward", "a reward of nan")]
)
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_train_07_one_nan_fails_the_run_and_is_named(
    part: str, said: str, algo: str, case: Case
) -> None:
    config = case("train-07-nan")
    changes = ["train.total_timesteps=250", f"algo={ALGORITHMS[algo]}"]
    record = run_of(config, f"env.kwargs={{where: {part}}}", *changes)
    assert record.status == "failed"
    assert record.error is not None
    said = f"`spring:Spring-v0` returned {said} (copy 0, episode "
    assert re.match(re.escape(said) + r"\d+, step \d+\)\.", record.error)


def test_train_07_check_names_the_nan(case: Case, rl: Any) -> None:
    outcome = rl("check", case("train-07-nan"))
    assert outcome.exit_code == 2
    assert "observation[1] = nan" in outcome.message


def test_logs_14_a_nan_reward_does_not_blame_the_policy(case: Case, rl: Any) -> None:
    outcome = rl("train", case("logs-14-nan-reward-blames-the-policy"), "--runs-dir", "runs")
    assert outcome.exit_code == 1
    assert "`cliff:cliff/Cliff-v0` returned a reward of nan (copy 0" in outcome.message
    assert "parameters" not in outcome.message


@pytest.mark.filterwarnings("ignore:.*encountered in matmul:RuntimeWarning")
@pytest.mark.parametrize("engine", ["stock", "fast"])
@pytest.mark.parametrize("algo", ["dqn", "qrdqn"])
def test_logs_01_an_agent_that_diverged_fails(algo: str, engine: str, case: Case) -> None:
    config = case("logs-01-nan-agent-wins")
    keys = f"{{name: {algo}, learning_rate: 1.e+30, learning_starts: 100, engine: {engine}}}"
    record = run_of(config, f"algo={keys}")
    assert record.status == "failed"
    assert "parameters are no longer finite" in (record.error or "")


@pytest.mark.slow
def test_logs_01_an_agent_that_diverged_wins_no_study(case: Case, rl: Any) -> None:
    config = case("logs-01-nan-agent-wins")
    outcome = rl("tune", config, "--runs-dir", "runs", "--study", "s", "--jobs", 1)
    assert outcome.exit_code in {0, 1}, outcome.message
    (best,) = Path("runs/s").glob("**/best.yaml")
    assert load_config(best).algo.hyperparameters["learning_rate"] == 1e-9


# --- the contract ---------------------------------------------------------------------------------

REFUSED = {
    "Scalar": "shape (); its space promises (4,)",
    "OneOfFour": "shape (1,)",
    "Column": "shape (4, 1)",
    "Three": "shape (3,)",
    "Uint8Negative": "its space is of uint8",
    "IntSpaceFloats": "its space is of int32",
    "NoSeed": "does not take what Gymnasium passes",
    "OldReset": "two values",
    "OldStep": "five values",
    "ArrayReward": "a reward that is a numpy.ndarray of shape (1,)",
    "NoneReward": "a reward that is None",
    "NoInfo": "an info that is None",
    "NoneTruncated": "`truncated` as None",
    "NoSpaces": "has no `observation_space`",
    "Raises": "the simulator lost its connection",
    "Exits": "the simulator says goodbye",
    "Needs": "missing 1 required positional argument: 'table'",
    "NotAnEnv": "must inherit from the gymnasium.Env class",
}
WARNED = {
    "Outside": "outside its space's bounds",
    "NoSuper": "Two copies reset on the same seed",
    "List": "numpy array",
    "TorchReward": "must be a float",
    "IntDone": "to be a boolean",
}
SOUND = ["Walk", "Float64", "OwnEpisode", "SuccessNone"]


def check_of(env: str, case: Case, rl: Any) -> Any:
    return rl("check", case("train-08-env-contract"), "--set", f"env.id=walks:{env}-v0")


@pytest.mark.parametrize("env", REFUSED)
def test_train_08_a_breach_is_a_panel(env: str, case: Case, rl: Any) -> None:
    outcome = check_of(env, case, rl)
    assert outcome.exit_code == 2
    assert REFUSED[env] in outcome.message
    assert "Valid" not in outcome.stdout


@pytest.mark.parametrize("env", WARNED)
def test_train_08_a_warning_is_not_called_valid(env: str, case: Case, rl: Any) -> None:
    outcome = check_of(env, case, rl)
    assert outcome.exit_code == 0
    assert WARNED[env] in " ".join(outcome.stdout.split())
    assert "Valid" not in outcome.stdout


@pytest.mark.parametrize("env", SOUND)
def test_train_08_what_is_sound_stays_valid(env: str, case: Case, rl: Any) -> None:
    assert "Valid." in check_of(env, case, rl).stdout


@pytest.mark.parametrize("env", ["OneOfFour", "Uint8Negative", "NoneReward", "NoInfo", "Exits"])
def test_train_08_training_says_the_same(env: str, case: Case) -> None:
    config = case("train-08-env-contract")
    changes = [f"env.id=walks:{env}-v0", "algo={name: dqn, learning_starts: 50}"]
    record = run_of(config, *changes)
    assert record.status == "failed"
    assert REFUSED[env] in (record.error or "")


@pytest.mark.parametrize("env", ["OwnEpisode", "SuccessNone", "TorchReward", "IntDone", "List"])
def test_train_08_what_can_be_understood_is_trained(env: str, case: Case) -> None:
    record = run_of(case("train-08-env-contract"), f"env.id=walks:{env}-v0")
    assert record.status == "finished", record.error


# --- returns --------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-8, 1e-6, 1e12])
def test_train_16_small_rewards_keep_their_digits(scale: float, case: Case, rl: Any) -> None:
    config = case("train-16-small-rewards")
    record = run_of(config, f"env.kwargs={{scale: {scale!r}}}")
    paid = record.last.mean_reward
    assert paid is not None
    assert any(np.isclose(paid, scale * (10 + 2 * n), rtol=1e-12) for n in range(11))
    (episodes,) = Path("runs").glob("*/seed-0/episodes.csv")
    with episodes.open() as file:
        returns = [float(row["return"]) for row in csv.DictReader(file)]
    assert all(value > 9 * scale for value in returns)
    outcome = rl("eval", "--env", "cents:Cents-v0", "--policy", "random", "--episodes", 3)
    assert "e-07" in outcome.stdout


# --- randomness and state -------------------------------------------------------------------------


class Notes(Reporter):
    said = ""

    def note(self, text: str) -> None:
        self.said += text


@pytest.mark.parametrize(("env", "is_global"), [("Lottery", True), ("Seeded", False)])
def test_train_09_held_out_episodes_are_not_the_periodic_ones(
    env: str, is_global: bool, case: Case, rl: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = case("train-09-global-randomness")
    starts = Path("starts.txt").absolute()
    monkeypatch.setenv("STARTS", str(starts))
    loaded = load_config(config, [f"env.id=lottery:{env}-v0"])
    notes = Notes()
    (run,) = train(loaded, runs_dir=Path("runs"), reporter=notes).runs
    assert run.record.status == "finished"
    # The evaluation at timestep 0 and the two periodic ones begin the same 20 episodes (a copy
    # resets after the last), and the last and the best agent the same 30.
    again = Counter(n for n in Counter(starts.read_text().split()).values() if n > 1)
    assert again == {3: 20, 2: 30}
    assert ("global random generator" in notes.said) is is_global
    monkeypatch.delenv("STARTS")
    outcome = rl("check", config, "--set", f"env.id=lottery:{env}-v0")
    assert ("same seed begin differently" in " ".join(outcome.stdout.split())) is is_global


@pytest.mark.parametrize("wrapper", ["NormalizeObservation", "NormalizeReward"])
@pytest.mark.parametrize("name", ["train-11-wrapper-statistics", "attack-08-stateful-wrapper"])
def test_train_11_and_attack_08_statistics_in_a_wrapper_are_refused(
    name: str, wrapper: str, case: Case, rl: Any
) -> None:
    change = f"env.wrappers=[gymnasium.wrappers.{wrapper}]"
    config = case(name)
    for command in (["check", config], ["train", config, "--runs-dir", "runs"]):
        outcome = rl(*command, "--set", change)
        assert outcome.exit_code == 2
        assert "Use `env.normalize:" in outcome.message
    assert not Path("runs").exists()


def test_train_11_a_wrapper_that_changes_rewards_is_mentioned(case: Case) -> None:
    record = run_of(case("train-11-wrapper-statistics"), "env.wrappers=[tank.TenTimes]")
    mean = record.last.mean_reward
    assert mean is not None
    assert record.last.info["raw_return"] == pytest.approx(mean / 10)
