"""Policies that need no training, in any environment: random, greedy, optimal.

An environment's own baselines (:mod:`rl_runner.envs.baselines`) take precedence: its ``optimal``
replaces the one here, which needs a transition table.
"""

from contextlib import closing
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import batch_space, iterate
from stable_baselines3.common.vec_env import VecEnv

from rl_runner.config import EnvConfig
from rl_runner.config.schema import DEFAULT_GAMMA
from rl_runner.envs import build_evaluation_env
from rl_runner.envs.baselines import baselines_of, load_baseline
from rl_runner.envs.masking import draw_valid_actions, n_choices
from rl_runner.errors import ConfigError, EnvError, Problem, did_you_mean
from rl_runner.evaluation.play.episodes import Episodes, play_episodes
from rl_runner.evaluation.play.exact_returns import ExactScore, ExactScorer
from rl_runner.evaluation.play.policy_evaluation import Evaluation
from rl_runner.evaluation.play.return_bounds import check_returns
from rl_runner.local_code import keeping_working_directory
from rl_runner.policy import Policy
from rl_runner.seeding import SeedTree

RANDOM = "random"
GREEDY = "greedy"
OPTIMAL = "optimal"


class RandomPolicy:
    """Draws every action with the same probability (a bounded continuous one uniformly).

    Of an environment with ``action_masks`` it takes only actions that are valid.
    """

    def __init__(self, env: VecEnv, seed: int) -> None:
        self._env = env
        self._actions = batch_space(env.action_space, env.num_envs)
        self._actions.seed(seed)
        self._is_masked = n_choices(env.action_space) is not None and env.has_attr("action_masks")

    def predict(
        self,
        observation: Any,  # noqa: ARG002 - SB3's signature, here and below
        state: Any = None,
        episode_start: np.ndarray | None = None,  # noqa: ARG002
        deterministic: bool = False,  # noqa: ARG002
    ) -> tuple[np.ndarray, Any]:
        """Draw an action for every copy of the environment, (n_envs, …)."""
        if self._is_masked:
            masks = np.stack(self._env.env_method("action_masks"))
            space = self._env.action_space
            return draw_valid_actions(space, masks, self._actions.np_random), state
        actions = self._actions.sample()
        if isinstance(actions, np.ndarray):
            return actions, state
        # Of a Dict or Tuple, and of what cannot be stacked: one action for each copy.
        listed = np.empty(self._env.num_envs, dtype=object)
        listed[:] = list(iterate(self._actions, actions))
        return listed, state


class TablePolicy:
    """Looks its action up by the number of remaining steps and the state.

    :param actions: (n_rows, n_states) row k is used with k + 1 steps remaining; if more steps
        remain than there are rows, the last row is used
    """

    def __init__(self, actions: np.ndarray, time_limit: int) -> None:
        self._actions = actions
        self._time_limit = time_limit

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,  # noqa: ARG002
    ) -> tuple[np.ndarray, Any]:
        """Look the actions up, (n_envs,); ``state`` counts the steps of each copy's episode."""
        states = np.asarray(observation)
        # Count the steps of each copy, from zero where an episode begins.
        steps = np.zeros(len(states), dtype=np.int64) if state is None else state
        if episode_start is not None:
            steps = np.where(episode_start, 0, steps)
        remaining = np.clip(self._time_limit - steps, 1, len(self._actions))
        return self._actions[remaining - 1, states], steps + 1


@dataclass(frozen=True)
class BaselinePlayer:
    """A baseline together with the action space, which :func:`play_episodes` needs."""

    policy: Policy
    action_space: gym.Space[Any]

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        """Return the baseline's actions and its state, see :class:`.Policy`."""
        return self.policy.predict(observation, state, episode_start, deterministic)


@keeping_working_directory()
def evaluate_baseline(
    config: EnvConfig,
    name: str,
    *,
    seed: int,
    n_episodes: int,
    n_envs: int = 10,
    gamma: float = DEFAULT_GAMMA,
    label: str = "",
) -> Evaluation:
    """Play the held-out episodes of the run with this seed, with a baseline.

    Frame stacking and normalisation are left out: they change only what an agent sees, neither the
    dynamics nor the returns.

    :param gamma: the discount factor for which ``greedy`` is optimal
    :raises ConfigError: if the environment has no such baseline
    :raises EnvError: if the environment raises an exception, or a return is not finite
    """
    plain = config.as_it_is
    scorer = ExactScorer.for_env(plain)
    _check_name(plain, name, scorer)
    # The same episodes as those of the run with this seed
    seeds = SeedTree(seed)
    episode_seeds = seeds.final_evaluation(n_episodes)
    with closing(build_evaluation_env(plain, episode_seeds, n_envs)) as env:
        policy, exact = _build(plain, name, env, seeds.policy_sampling, scorer, gamma)
        player = BaselinePlayer(policy, env.action_space)
        episodes = play_episodes(player, env, episode_seeds, sampling_seed=seeds.policy_sampling)
    check_finite_returns(episodes, config.id, name)
    check_returns(episodes.returns, plain)
    return Evaluation(label or config.id, name, seed, episodes, exact)


def build_baseline(
    config: EnvConfig, name: str, env: VecEnv, seed: int, gamma: float = DEFAULT_GAMMA
) -> tuple[Policy, ExactScore | None]:
    """Return a baseline for these copies, and its exact score where there is a transition table.

    :param gamma: the discount factor for which ``greedy`` is optimal
    :raises ConfigError: if the environment has no such baseline
    """
    scorer = ExactScorer.for_env(config)
    _check_name(config, name, scorer)
    return _build(config, name, env, seed, scorer, gamma)


def check_finite_returns(episodes: Episodes, env_id: str, name: str) -> None:
    """Refuse a baseline's episodes if one of them has a return that is not finite.

    :param name: of the baseline
    :raises EnvError: with the first such return and the seed of its episode
    """
    bad = np.flatnonzero(~np.isfinite(episodes.returns))
    if len(bad):
        first = bad[0]
        what = f"The policy `{name}` got the return {episodes.returns[first]} in `{env_id}` "
        what += f"({len(bad)} of {len(episodes.returns)} episodes are not finite)."
        where = f"the episode with seed {episodes.seeds[first]}"
        cure = "Let the environment return finite rewards only: clip them, or end the episode."
        raise EnvError(Problem(what, where, cure))


def known_baselines(config: EnvConfig) -> tuple[str, ...]:
    """Return the names of all baselines of an environment."""
    return _known_names(config, ExactScorer.for_env(config))


def _known_names(config: EnvConfig, scorer: ExactScorer | None) -> tuple[str, ...]:
    generic = (RANDOM,) if scorer is None else (RANDOM, GREEDY, OPTIMAL)
    return tuple(dict.fromkeys((*generic, *baselines_of(config.id))))


def _check_name(config: EnvConfig, name: str, scorer: ExactScorer | None) -> None:
    """Refuse a name that is not one of the environment's baselines, and list those that are."""
    known = _known_names(config, scorer)
    if name in known:
        return
    what = f"{config.id} has no baseline `{name}`."
    if name in {GREEDY, OPTIMAL}:
        what += " It has no transition table from which one could be computed"
        what += ", or a wrapper hides it." if config.wrappers else "."
    cure = f"{did_you_mean(name, known)} Its baselines: {', '.join(known)}.".strip()
    raise ConfigError(Problem(what, f"--policy {name}", cure))


def _build(
    config: EnvConfig, name: str, env: VecEnv, seed: int, scorer: ExactScorer | None, gamma: float
) -> tuple[Policy, ExactScore | None]:
    """Return a known baseline and its exact score (None where there is no transition table)."""
    # The environment's own baselines come first.
    if name in baselines_of(config.id):
        return load_baseline(config.id, name)(env, seed), None
    if name == RANDOM:
        table = None if scorer is None else scorer.table
        exact = None if scorer is None or table is None else scorer.of_return(table.random_return())
        return RandomPolicy(env, seed), exact
    # The others are computed from the transition table.
    if scorer is None:
        raise EnvError(Problem(f"{config.id} has no transition table.", "env.id"))
    table = scorer.table
    if name == GREEDY:
        actions = table.greedy_actions(gamma)
        policy = TablePolicy(actions[None], table.time_limit)
        return policy, scorer.of_return(table.policy_return(actions))
    policy = TablePolicy(table.optimal_actions(), table.time_limit)
    return policy, scorer.of_return(scorer.optimal_mean_reward)
