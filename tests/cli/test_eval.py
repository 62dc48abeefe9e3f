"""`rl eval` beyond what tests/cli/test_commands.py says of it: baselines, checkpoints, tables."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Rl = Callable[..., Any]

LAKE = """
    name: lake
    env: {id: FrozenLake-v1, kwargs: {desc: [SFF, FFH, FFG]}}
    algo: {name: q_learning}
    train: {total_timesteps: 1000, seeds: 2}
    eval: {every: 250, n_episodes: 10, final_episodes: 20}
    checkpoint: {every: 250}
"""


@pytest.fixture(scope="module")
def lake(invoke_rl: Rl, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lake")
    (folder / "lake.yaml").write_text(LAKE, encoding="utf-8")
    arguments = (folder / "lake.yaml", "--runs-dir", folder / "runs", "--json")
    outcome = invoke_rl("train", *arguments)
    assert outcome.exit_code == 0, outcome.stderr
    return Path(outcome.document["experiment"])


def test_a_baseline_in_a_named_environment(rl: Rl):
    document = rl("eval", "--env", "FrozenLake-v1", "--policy", "optimal", "--json").document
    assert document["name"] == "FrozenLake-v1"
    assert document["interval_over"] == "episodes"
    (run,) = document["runs"]
    assert run["policy"] == "optimal"
    assert run["regret"] == 0
    assert run["exact_mean_reward"] == pytest.approx(0.7442, abs=1e-4)
    assert run["n_episodes"] == 100
    low, high = document["ci95"]
    # No policy is better than the optimal one, so that a lucky sample ends its own interval.
    assert high == max(document["mean_reward"], run["exact_mean_reward"])
    assert low < document["mean_reward"]


def test_a_baseline_on_the_held_out_episodes_of_each_run(rl: Rl, lake: Path):
    trained = rl("eval", lake, "--json", "--out", "trained.csv").document
    random = rl("eval", lake, "--policy", "random", "--json", "--out", "random.csv").document
    assert [run["seed"] for run in random["runs"]] == [0, 1]
    assert trained["hash"] == random["hash"]
    texts = [Path(f"{name}.csv").read_text(encoding="utf-8") for name in ("trained", "random")]
    tables = [list(csv.DictReader(text.splitlines())) for text in texts]
    seeds = [[row["episode_seed"] for row in table] for table in tables]
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0])) == 40


def test_a_baseline_in_the_environment_of_a_config(rl: Rl, lake: Path):
    config = lake / "config.yaml"
    document = rl("eval", config, "--policy", "greedy", "--seed", 7, "--json").document
    assert document["runs"][0]["seed"] == 7
    assert document["runs"][0]["n_episodes"] == 20
    optimum = rl("eval", config, "--policy", "optimal", "--json").document["runs"][0]
    assert document["runs"][0]["optimal_mean_reward"] == optimum["exact_mean_reward"]


def test_checkpoints_by_name_and_by_timesteps(rl: Rl, lake: Path):
    found = {}
    for name in ("untrained", "halfway", "last", "500", "1000"):
        outcome = rl("eval", lake / "seed-0", "--checkpoint", name, "--json")
        assert outcome.exit_code == 0, outcome.stderr
        found[name] = outcome.document["runs"][0]
    assert found["untrained"]["timesteps"] == 0
    assert found["halfway"]["timesteps"] == 500
    assert found["500"]["exact_mean_reward"] == found["halfway"]["exact_mean_reward"]
    assert found["1000"]["exact_mean_reward"] == found["last"]["exact_mean_reward"]
    assert found["untrained"]["exact_mean_reward"] == 0.0  # an empty table walks into the wall


def test_the_config_says_which_agent_is_taken_by_default(rl: Rl, lake: Path):
    def policies(*options: str) -> set[str]:
        outcome = rl("eval", lake, *options, "--json")
        assert outcome.exit_code == 0, outcome.message
        return {run["policy"] for run in outcome.document["runs"]}

    assert policies() == {"last"}
    file = lake / "config.yaml"
    before = file.read_text(encoding="utf-8")
    file.write_text(before.replace("train:\n", "train:\n  keep: best\n"), encoding="utf-8")
    try:
        assert policies() == {"best"}
        assert policies("--checkpoint", "last") == {"last"}
    finally:
        file.write_text(before, encoding="utf-8")


def test_a_checkpoint_that_is_not_kept_is_named_with_those_that_are(rl: Rl, lake: Path):
    outcome = rl("eval", lake / "seed-0", "--checkpoint", "123")
    assert outcome.exit_code == 2
    assert "no `123` agent" in outcome.message
    assert "500, 750, 1000" in outcome.message


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_every_episode_is_a_row(rl: Rl, lake: Path, kind: str, tmp_path: Path):
    outcome = rl("eval", lake, "--out", f"episodes.{kind}", "--json")
    assert outcome.exit_code == 0
    text = (tmp_path / f"episodes.{kind}").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines())) if kind == "csv" else json.loads(text)
    assert len(rows) == 40
    for run in outcome.document["runs"]:
        own = [float(row["return"]) for row in rows if int(row["seed"]) == run["seed"]]
        assert sum(own) / len(own) == pytest.approx(run["mean_reward"], abs=1e-12)
    assert {"experiment", "policy", "episode", "episode_seed", "length"} <= set(rows[0])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--env", "CartPole-v1"), "needs a policy"),
        (("--env", "CartPole-v1", "--policy", "optimal"), "no transition table"),
        (("--env", "CartPole-v1", "--policy", "rnadom"), "Did you mean `random`"),
        (("--env", "CartPol-v1", "--policy", "random"), "Did you mean `CartPole-v1`"),
        (("nowhere", "--policy", "random"), "no such folder"),
        (("x", "--env", "CartPole-v1", "--policy", "random"), "environments of their own"),
        (("nowhere.yaml", "--policy", "random"), "cannot be read"),
        (("nowhere.zip",), "no such file"),
        (("nowhere", "--out", "table.xls"), ".csv or .json"),
        (("nowhere", "--out", "nowhere/table.csv"), "no such folder"),
        (("x", "--policy", "random", "--checkpoint", "best"), "no checkpoints"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_evaluated_is_refused(rl: Rl, arguments: tuple[str, ...], expected: str):
    outcome = rl("eval", *arguments)
    assert outcome.exit_code == 2
    assert expected in outcome.message
    assert not list(Path().iterdir())


def test_the_table_shows_exact_numbers_beside_the_sampled_ones(rl: Rl, lake: Path):
    shown = rl("eval", lake).stdout
    assert "exact mean" in shown
    assert "regret" in shown
    assert "The optimal policy's exact mean reward" in shown
    shown = rl("eval", "--env", "FrozenLake-v1", "--policy", "random", "--episodes", 500).stdout
    assert "0.0139" in shown
    assert "over 500 episodes. The exact mean is 0.0139." in shown
