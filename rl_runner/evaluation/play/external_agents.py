"""Agents that stock stable-baselines3 saved elsewhere.

Such a zip holds pickled Python objects, and unpickling runs whatever code its author put there.
It is opened only if the user vouches for it.
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
from rl_runner.seeding import SeedTree


def check_trust(path: Path, *, trusted: bool) -> None:
    """Refuse a foreign zip that nobody vouches for.

    :raises CheckpointError: unless it is trusted
    """
    if not trusted:
        what = "This is a zip of stable-baselines3. Opening it runs code that it contains (pickle)."
        cure = "If you trust whoever made it, say so: `--trust`. Runs of rl_runner never need it."
        raise CheckpointError(Problem(what, str(path), cure))


def load_foreign_agent(path: Path, algo: str) -> Any:
    """Unpickle an agent that stock SB3 saved; only call it on a file that the user trusts.

    :raises ConfigError: if there is no such algorithm, or it is not SB3's
    :raises CheckpointError: if the file cannot be loaded as one
    """
    algorithm = find_algorithm(algo, f"--algo {algo}")
    if algorithm.weights_file != "model.zip":
        what = f"{algo} is not one of stable-baselines3's algorithms."
        raise ConfigError(Problem(what, f"--algo {algo}", "Name the one that saved the file."))
    try:
        return algorithm.load_class().load(path, device="cpu")
    except Exception as error:  # a damaged or alien file can trip any of the readers
        what = f"The file cannot be loaded as {algo}: {type(error).__name__}: {error}"
        cure = "Is it of this algorithm (`--algo`), and of a version that can still be read?"
        raise CheckpointError(Problem(what, str(path), cure)) from error


def evaluate_foreign(
    path: Path,
    algo: str,
    config: EnvConfig,
    *,
    seed: int,
    n_episodes: int,
    deterministic: bool = True,
    n_envs: int = 10,
) -> Evaluation:
    """Play held-out episodes with a trusted foreign agent.

    :raises ConfigError: if the agent is of other spaces than the environment
    """
    agent = load_foreign_agent(path, algo)
    seeds = SeedTree(seed)
    episode_seeds = seeds.final_evaluation(n_episodes)
    with closing(build_evaluation_env(config, episode_seeds, n_envs)) as env:
        for what, ours, its in (
            ("observations", env.observation_space, agent.observation_space),
            ("actions", env.action_space, agent.action_space),
        ):
            if ours != its:
                message = f"The agent takes other {what} ({its}) than {config.id} has ({ours})."
                raise ConfigError(Problem(message, str(path), "Name the environment it is for."))
        episodes = play_episodes(
            agent,
            env,
            episode_seeds,
            deterministic=deterministic,
            sampling_seed=seeds.policy_sampling,
        )
    exact = exact_score(agent, config) if deterministic else None
    return Evaluation(path.stem, algo, seed, episodes, exact, int(agent.num_timesteps))
