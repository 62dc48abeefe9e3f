"""Agents that stock Stable-Baselines3 saved outside rl_runner.

Such a zip holds pickled Python objects, and unpickling runs whatever code its author put there.
It is opened only if the user says that the file is trusted.
"""

import functools
import json
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from rl_runner.agents.registry import ALGORITHMS, find_algorithm
from rl_runner.config import EnvConfig
from rl_runner.envs import build_evaluation_env
from rl_runner.envs.images import with_channels_first
from rl_runner.errors import CheckpointError, ConfigError, Problem
from rl_runner.evaluation.play.episodes import play_episodes
from rl_runner.evaluation.play.exact_returns import exact_score
from rl_runner.evaluation.play.policy_evaluation import Evaluation
from rl_runner.evaluation.play.return_bounds import check_returns
from rl_runner.layout import SB3_MODEL
from rl_runner.local_code import keeping_working_directory
from rl_runner.seeding import SeedTree

NO_STATISTICS = Path("none")  # the user says that there is nothing to normalise
BOUNDS_TOLERANCE = 1e-3  # by which an environment may exceed the bounds of its observations


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
    if algorithm.weights_file != SB3_MODEL:
        what = f"{algo} is not one of Stable-Baselines3's algorithms."
        cure = "Name the algorithm that the file was saved with."
        raise ConfigError(Problem(what, f"--algo {algo}", cure))
    _check_attributes(path, algo)
    try:
        agent = algorithm.load_class().load(path, device="cpu")
    except Exception as error:  # SB3's readers raise many kinds of errors for a damaged file
        what = f"The file cannot be loaded as {algo}: {type(error).__name__}: {error}"
        cure = "Check that `--algo` names its algorithm, and that this SB3 version can read it."
        raise CheckpointError(Problem(what, str(path), cure)) from error
    _check_policy(path, algo, agent.policy)
    return agent


def _check_attributes(path: Path, algo: str) -> None:
    """Refuse a file whose attributes are those of another algorithm; unpickles nothing.

    The zip file does not name its algorithm, and SB3 loads what another one saved if only the
    networks have the same shapes.
    """
    try:
        with zipfile.ZipFile(path) as file:
            saved = set(json.loads(file.read("data")))
    except Exception:  # noqa: BLE001 - damaged; loading it will say how
        return
    own = {name: _saved_attributes(name) for name in ALGORITHMS if _is_sb3(name)}
    known = frozenset().union(*own.values())
    distance = {name: len((saved & known) ^ attributes) for name, attributes in own.items()}
    closest = [name for name in own if distance[name] == min(distance.values())]
    if algo not in closest:
        _refuse_algorithm(path, algo, closest)


def _check_policy(path: Path, algo: str, policy: object) -> None:
    """Refuse a policy that belongs to other algorithms; a class of the user's own is taken."""
    owners = [
        name
        for name in ALGORITHMS
        if _is_sb3(name) and type(policy) in ALGORITHMS[name].load_class().policy_aliases.values()
    ]
    if owners and algo not in owners:
        _refuse_algorithm(path, algo, owners)


def _refuse_algorithm(path: Path, algo: str, likely: list[str]) -> NoReturn:
    what = f"This file was not saved by {algo}, but by {' or '.join(likely)}."
    raise ConfigError(Problem(what, str(path), f"Name it: `--algo {likely[0]}`."))


def _is_sb3(name: str) -> bool:
    return ALGORITHMS[name].weights_file == SB3_MODEL


@functools.cache
def _saved_attributes(name: str) -> frozenset[str]:
    """Return the names of the attributes that an algorithm saves, before it has built a network."""
    cls: Any = ALGORITHMS[name].load_class()
    policy = next(iter(cls.policy_aliases.values()))
    agent = cls(policy, env=None, device="cpu", _init_setup_model=False)  # as SB3 loads it
    return frozenset(vars(agent)) - frozenset(agent._excluded_save_params())


def _saw_normalized_observations(agent: Any) -> bool | None:
    """Whether an agent was trained on the observations of a ``VecNormalize``.

    On-policy algorithms keep an original observation under ``VecNormalize``, and only then. Those
    with a replay buffer always keep one, in ``_last_original_obs`` (SB3's ``_store_transition``):
    under ``VecNormalize`` it is ``_last_obs`` before normalisation, otherwise the observation of
    the step before.

    :returns: None if the file does not show it
    """
    original, last = agent._last_original_obs, agent._last_obs  # noqa: SLF001 - no other trace
    if original is None:
        return False
    if not hasattr(agent, "replay_buffer_class"):
        return True
    # VecNormalize takes only numbers. After `set_env` there is no last observation.
    if not isinstance(agent.observation_space, gym.spaces.Box | gym.spaces.Dict):
        return False
    if last is None:
        return None
    triples = _parts(agent.observation_space, original, last)
    if any(_is_normalized(*triple) for triple in triples):
        return True
    # Equal observations: at most the rewards were normalised. Zeros may stay zeros.
    same = all(np.array_equal(before, after) for _, before, after in triples)
    return False if same and any(np.any(after) for _, _, after in triples) else None


def _parts(space: gym.Space[Any], original: Any, last: Any) -> list[tuple[Any, Any, Any]]:
    """Return the space of each part of an observation, with the part of both observations."""
    if isinstance(space, gym.spaces.Dict):
        return [(part, original[key], last[key]) for key, part in space.items()]
    return [(space, original, last)]


def _is_normalized(space: gym.Space[Any], original: np.ndarray, last: np.ndarray) -> bool:
    """Whether ``last`` cannot be an observation of the environment that returned ``original``."""
    if not isinstance(space, gym.spaces.Box):
        return False
    # VecNormalize returns float32; an environment does not change its type.
    if original.dtype != last.dtype:
        return True
    return _is_inside(space, original) and not _is_inside(space, last)


def _is_inside(space: gym.spaces.Box, observations: np.ndarray) -> bool:
    """Whether observations (n, *shape) respect the space's bounds, but for rounding errors."""
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    above = observations >= low - BOUNDS_TOLERANCE * np.maximum(1, np.abs(low))
    below = observations <= high + BOUNDS_TOLERANCE * np.maximum(1, np.abs(high))
    return bool(np.all(above & below))


def _normalization_note(agent: Any, statistics: Path | None) -> str:
    """Return a sentence if an agent may lack its statistics, and the file does not show it."""
    if statistics is not None or _saw_normalized_observations(agent) is not None:
        return ""
    return (
        "The file does not show whether the agent was trained under VecNormalize; it was evaluated "
        "without normalisation. If it was, name the file that `VecNormalize.save` wrote: "
        f"`--normalization FILE.pkl`. If not, write `--normalization {NO_STATISTICS}`."
    )


def _with_statistics(env: VecEnv, agent: Any, path: Path, statistics: Path | None) -> VecEnv:
    """Normalise the observations as the agent's training did.

    :param statistics: the file that ``VecNormalize.save`` wrote; None if none was named
    :raises CheckpointError: if it is needed and not named, or cannot be loaded
    """
    if statistics == NO_STATISTICS:
        return env
    if statistics is None and not _saw_normalized_observations(agent):
        return env
    if statistics is None:
        what = "The agent was trained under VecNormalize, and the zip file does not hold its "
        what += "statistics: without them the agent sees other observations than in training."
        cure = "Name the file that `VecNormalize.save` wrote: `--normalization FILE.pkl`. If only "
        cure += f"rewards were normalised, write `--normalization {NO_STATISTICS}`."
        raise CheckpointError(Problem(what, str(path), cure))
    try:
        normalized = VecNormalize.load(str(statistics), env)
    except Exception as error:  # unpickling raises anything
        what = f"The statistics cannot be loaded: {type(error).__name__}: {error}"
        cure = "Name the file that `VecNormalize.save` wrote, of the same environment."
        raise CheckpointError(Problem(what, str(statistics), cure)) from error
    normalized.training = False
    normalized.norm_reward = False
    return normalized


@keeping_working_directory()
def evaluate_external_agent(  # noqa: PLR0913 - what `rl eval` asks for
    path: Path,
    algo: str,
    config: EnvConfig,
    *,
    seed: int,
    n_episodes: int,
    deterministic: bool = True,
    n_envs: int = 10,
    statistics: Path | None = None,
) -> Evaluation:
    """Play held-out episodes with a trusted external agent.

    :param statistics: the file that ``VecNormalize.save`` wrote in the agent's training, or
        :data:`NO_STATISTICS`
    :raises ConfigError: if another algorithm saved it, or its spaces are not the environment's
    :raises CheckpointError: if it cannot be loaded, or was trained with statistics that are missing
    """
    agent = load_external_agent(path, algo)
    seeds = SeedTree(seed)
    episode_seeds = seeds.final_evaluation(n_episodes)
    with closing(build_evaluation_env(config, episode_seeds, n_envs)) as plain_env:
        # SB3 transposes images around all other layers.
        env = with_channels_first(_with_statistics(plain_env, agent, path, statistics))
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
    check_returns(episodes.returns, config)
    exact = exact_score(agent, config) if deterministic else None
    timesteps = int(agent.num_timesteps)
    note = _normalization_note(agent, statistics)
    return Evaluation(path.stem, algo, seed, episodes, exact, timesteps, note)
