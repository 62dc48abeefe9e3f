import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_experiments import EXPERIMENTS
from stable_baselines3.common.save_util import load_from_zip_file

from rl_runner.agents.registry import ALGORITHMS
from rl_runner.config import config_from_dict
from rl_runner.evaluation.play.loaded_run import load_run
from rl_runner.training.task import RunResult
from rl_runner.training.train import train

SB3_ALGORITHMS = [name for name, row in ALGORITHMS.items() if row.weights_file == "model.zip"]

Trained = Callable[[str], tuple[RunResult, RunResult, RunResult]]


def train_seeds(name: str, seeds: list[int], runs_dir: Path, **env: Any) -> tuple[RunResult, ...]:
    env_section, algo_section, total_timesteps = EXPERIMENTS[name]
    config = config_from_dict(
        {
            "env": {**env_section, **env},
            "algo": {"name": name, **algo_section},
            "train": {"total_timesteps": total_timesteps, "seeds": seeds},
            "eval": {
                "every": total_timesteps // 2,
                "n_episodes": 2,
                "final_episodes": 20,
                "deterministic": False,  # so that the policies' random draws are compared too
            },
        }
    )
    runs = train(config, runs_dir=runs_dir).runs
    assert [run.status for run in runs] == ["finished"] * len(runs), runs[0].record
    return runs


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Train each algorithm once on seed 0, then in another folder on seeds 1 and, again, 0."""
    done: dict[str, tuple[RunResult, RunResult, RunResult]] = {}

    def train_once(name: str) -> tuple[RunResult, RunResult, RunResult]:
        if name not in done:
            (first,) = train_seeds(name, [0], tmp_path_factory.mktemp("first"))
            other, again = train_seeds(name, [1, 0], tmp_path_factory.mktemp("again"))
            done[name] = first, again, other
        return done[name]

    return train_once


def learned_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read every array a run has saved, optimiser states among them, by its place in the file."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    if path.suffix == ".pt":
        return flattened(torch.load(path, weights_only=True))
    _, parameters, variables = load_from_zip_file(path, load_data=False)
    return flattened({"parameters": parameters, "variables": variables})


def flattened(tree: Any, place: str = "") -> dict[str, np.ndarray]:
    if isinstance(tree, dict | list | tuple):
        items = tree.items() if isinstance(tree, dict) else enumerate(tree)
        return {
            key: array
            for name, branch in items
            for key, array in flattened(branch, f"{place}/{name}").items()
        }
    if isinstance(tree, torch.Tensor):
        return {place: tree.detach().numpy()}
    return {place: np.array(str(tree))}


def weights_of(run: RunResult) -> dict[str, np.ndarray]:
    return learned_arrays(run.path / ALGORITHMS[str(run.record.algo)].weights_file)


def evaluations_of(run: RunResult) -> dict[str, np.ndarray]:
    return learned_arrays(run.path / "evaluations.npz")


def episodes_of(run: RunResult) -> list[list[str]]:
    with (run.path / "episodes.csv").open(encoding="utf-8") as file:
        return [row[:-1] for row in csv.reader(file)]  # without the wall time


def assert_same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    assert list(first) == list(second)
    for place, array in first.items():
        np.testing.assert_array_equal(array, second[place], err_msg=place)


def test_every_algorithm_is_tried() -> None:
    assert list(EXPERIMENTS) == list(ALGORITHMS)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_same_seed_gives_the_same_weights_bit_by_bit(trained: Trained, name: str) -> None:
    first, again, _ = trained(name)
    assert_same(weights_of(first), weights_of(again))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_same_seed_gives_the_same_episodes_and_evaluations(trained: Trained, name: str) -> None:
    first, again, _ = trained(name)
    assert_same(evaluations_of(first), evaluations_of(again))
    assert episodes_of(first) == episodes_of(again)
    assert len(episodes_of(first)) > 2
    assert first.record.results == again.record.results


@pytest.mark.parametrize("name", ALGORITHMS)
def test_another_seed_gives_other_weights_and_other_episodes(trained: Trained, name: str) -> None:
    first, _, other = trained(name)
    ours, theirs = weights_of(first), weights_of(other)
    assert list(ours) == list(theirs)
    changed = [place for place in ours if not np.array_equal(ours[place], theirs[place])]
    # A generator's state is text, and differs between seeds even if nothing was learned.
    learned = [place for place in changed if ours[place].dtype.kind == "f"]
    assert learned, f"no array of floats differs between two seeds; different are only {changed}"
    assert episodes_of(first) != episodes_of(other)
    seeds, other_seeds = (evaluations_of(run)["seeds"] for run in (first, other))
    assert not np.intersect1d(seeds, other_seeds).size


@pytest.mark.parametrize("name", ["crossq", "ddpg", "sac", "td3", "tqc"])
def test_another_seed_gives_other_returns(trained: Trained, name: str) -> None:
    first, _, other = trained(name)
    returns, other_returns = (evaluations_of(run)["returns"] for run in (first, other))
    assert not np.intersect1d(returns, other_returns).size


@pytest.mark.parametrize("checkpoint", ["last", "best"])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_loaded_agent_repeats_its_final_evaluation(
    trained: Trained, name: str, checkpoint: Any
) -> None:
    run, _, _ = trained(name)
    episodes = load_run(run.path, checkpoint).evaluate(deterministic=False)
    recorded = getattr(run.record, checkpoint)
    assert (episodes.mean_reward, episodes.std_reward) == (
        recorded.mean_reward,
        recorded.std_reward,
    )


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_loaded_agent_is_saved_as_it_was(trained: Trained, name: str, tmp_path: Path) -> None:
    run, _, _ = trained(name)
    path = tmp_path / ALGORITHMS[name].weights_file
    load_run(run.path).agent.save(str(path))
    assert_same(learned_arrays(path), weights_of(run))


def test_a_loaded_random_search_continues_from_its_policys_weights(trained: Trained) -> None:
    run, _, _ = trained("ars")
    agent: Any = load_run(run.path).agent
    weights = torch.nn.utils.parameters_to_vector(agent.policy.parameters())
    assert torch.equal(agent.weights, weights)
    assert weights.abs().max() > 0


@pytest.mark.parametrize("name", SB3_ALGORITHMS)
def test_stock_sb3_loads_the_model_and_predicts_the_same(trained: Trained, name: str) -> None:
    run, _, _ = trained(name)
    stock = ALGORITHMS[name].load_class().load(run.path / "model.zip", device="cpu")
    ours = load_run(run.path).agent
    space = stock.observation_space
    space.seed(0)
    observations = np.stack([space.sample() for _ in range(20)]) / 10
    theirs, _ = stock.predict(observations, deterministic=True)
    expected, _ = ours.predict(observations, deterministic=True)
    np.testing.assert_array_equal(theirs, expected)
    assert stock.num_timesteps == run.record.timesteps


def test_environments_in_processes_of_their_own_give_the_same_run(tmp_path: Path) -> None:
    # CliffWalking pays whole numbers and is cut off here: the numbers' type must not matter.
    env = {"id": "CliffWalking-v1", "time_limit": 10}
    (here,) = train_seeds("ppo", [0], tmp_path / "here", vec="dummy", **env)
    (there,) = train_seeds("ppo", [0], tmp_path / "there", vec="subproc", **env)
    assert here.path.name == there.path.name  # the same meaning, so the same folder
    assert episodes_of(here) == episodes_of(there)
    assert_same(weights_of(here), weights_of(there))
    assert_same(evaluations_of(here), evaluations_of(there))
