"""Agents that stock Stable-Baselines3 saved outside rl_runner.

Such a zip holds pickled Python objects, and unpickling runs whatever code its author put there.
It is opened only if the user says that the file is trusted.
"""

from contextlib import closing
from pathlib import Path
from typing import Any

from rl_runner.agents.registry import find_algorithm
from rl_runner.config import EnvConfig
from rl_runner.envs import build_evaluation_env
from rl_runner.errors import CheckpointError, ConfigError, Problem
from rl_runner.evaluation.play.episodes import play_episodes
from rl_runner.evaluation.play.exact_returns import exact_score
from rl_runner.evaluation.play.policy_evaluation import Evaluation
from rl_runner.local_code import keeping_working_directory
from rl_runner.seeding import SeedTree


def check_trust(path: Path, *, trusted: bool) -> None:
    """Refuse a zip that the user has not declared trusted.

    :raises CheckpointError: unless it is trusted
    """
    if not trusted:
        what = "This is a Stable-Baselines3 zip file. Loading it runs code from the file (pickle)."
        cure = "If you trust its author, add `--trust`. Runs of rl_runner never need this."
        raise CheckpointError(Problem(what, str(path), cure))


def load_external_agent(path: Path, algo: str) -> Any:
    """Unpickle an agent that stock SB3 saved; only call it with a file that the user trusts.

    :raises ConfigError: if there is no such algorithm, or it is not SB3's
    :raises CheckpointError: if the file cannot be loaded as one
    """
    algorithm = find_algorithm(algo, f"--algo {algo}")
    if algorithm.weights_file != "model.zip":
        what = f"{algo} is not one of Stable-Baselines3's algorithms."
        cure = "Name the algorithm that the file was saved with."
        raise ConfigError(Problem(what, f"--algo {algo}", cure))
    try:
        return algorithm.load_class().load(path, device="cpu")
    except Exception as error:  # SB3's readers raise many kinds of errors for a damaged file
        what = f"The file cannot be loaded as {algo}: {type(error).__name__}: {error}"
        cure = "Check that `--algo` names its algorithm, and that this SB3 version can read it."
        raise CheckpointError(Problem(what, str(path), cure)) from error


@keeping_working_directory()
def evaluate_external_agent(
    path: Path,
    algo: str,
    config: EnvConfig,
    *,
    seed: int,
    n_episodes: int,
    deterministic: bool = True,
    n_envs: int = 10,
) -> Evaluation:
    """Play held-out episodes with a trusted external agent.

    :raises ConfigError: if the agent's spaces are not the environment's
    """
    agent = load_external_agent(path, algo)
    seeds = SeedTree(seed)
    episode_seeds = seeds.final_evaluation(n_episodes)
    with closing(build_evaluation_env(config, episode_seeds, n_envs)) as env:
        # An agent of other spaces would fail deep inside SB3, or play nonsense.
        for what, ours, its in (
            ("observations", env.observation_space, agent.observation_space),
            ("actions", env.action_space, agent.action_space),
        ):
            if ours != its:
                message = f"The agent's {what} ({its}) are not those of {config.id} ({ours})."
                cure = "Name the environment that the agent was trained in."
                raise ConfigError(Problem(message, str(path), cure))
        episodes = play_episodes(
            agent,
            env,
            episode_seeds,
            deterministic=deterministic,
            sampling_seed=seeds.policy_sampling,
        )
    exact = exact_score(agent, config) if deterministic else None
    return Evaluation(path.stem, algo, seed, episodes, exact, int(agent.num_timesteps))
