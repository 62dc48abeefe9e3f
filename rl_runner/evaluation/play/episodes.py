"""Playing whole episodes with an agent or a baseline, on given seeds."""

import contextlib
import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import VecEnv, unwrap_vec_normalize

from rl_runner.agents.protocol import Agent, takes_action_masks
from rl_runner.envs.episode_layers import RAW_EPISODE_ENDED, RAW_RETURN
from rl_runner.envs.info_values import NOT_AVERAGED, InfoValues
from rl_runner.envs.normalization import set_statistics, statistics
from rl_runner.envs.vectorized.pausable import PausableVecEnv
from rl_runner.evaluation.play.episode_info import EpisodeInfo, classify
from rl_runner.policy import Policy
from rl_runner.seeding import global_generators


class Player(Policy, Protocol):
    """A policy that can play an episode: a trained agent, or a baseline."""

    @property
    def action_space(self) -> Any:
        """The space that its actions are from; its generator is seeded for sampled actions."""


@dataclass(frozen=True)
class Episodes:
    """Complete episodes, in the order of their seeds; n of them."""

    seeds: np.ndarray  # (n,) int64
    returns: np.ndarray  # (n,) float64, undiscounted, without reward normalisation
    lengths: np.ndarray  # (n,) int64
    successes: np.ndarray  # (n,) float64: the environment's info["is_success"], NaN without one
    extras: Mapping[str, np.ndarray] = field(default_factory=dict)  # by name (n,), see EpisodeInfo
    info_values: InfoValues = field(default_factory=dict)  # what each of the extras is
    # Whether the episodes follow from their seeds; not saved
    starts: bytes = b""  # a digest of the first observations; equal seeds give equal starts
    is_globally_random: bool = False  # an environment drew from a global generator, or seeded it

    def check_finite(self) -> None:
        """Raise FloatingPointError if a return is not finite: the mean would not be either."""
        bad = self.returns[~np.isfinite(self.returns)]
        if len(bad):
            message = f"the return of an evaluation episode is {bad[0]}, not a finite number"
            raise FloatingPointError(message)

    @property
    def mean_reward(self) -> float:
        """The mean undiscounted return."""
        return float(self.returns.mean())

    @property
    def std_reward(self) -> float:
        """The standard deviation of the returns over episodes (n − 1)."""
        return float(self.returns.std(ddof=1)) if len(self.returns) > 1 else 0.0

    def describe(self) -> dict[str, Any]:
        """Return the means over episodes under the names that run.json and tables use.

        :raises FloatingPointError: if a return is not a finite number
        """
        self.check_finite()
        described: dict[str, Any] = {
            "mean_reward": self.mean_reward,
            "std_reward": self.std_reward,
            "mean_ep_length": float(self.lengths.mean()),
            "n_episodes": len(self.returns),
        }
        if not np.isnan(self.successes).all():
            described["success_rate"] = float(np.nanmean(self.successes))
        if self.extras:
            described["info"] = {
                name: float(np.nanmean(values))
                for name, values in self.extras.items()
                if np.isfinite(values).any()
                and self.info_values.get(name, NOT_AVERAGED).kind != "not averaged"
            }
        return described


def play_episodes(
    agent: Agent | Player,
    env: VecEnv,
    episode_seeds: Sequence[int],
    *,
    deterministic: bool = True,
    sampling_seed: int = 0,
) -> Episodes:
    """Play one episode per seed, without any effect on the agent's training.

    Copy ``i`` of the environment plays seeds ``i, i + n_envs, …``. Which episodes are played thus
    never depends on their lengths, so parallel evaluation does not favour short episodes.

    :param env: from ``build_env(…, training=False)``; if it normalises, it receives the current
        statistics of the agent's own environment
    :param sampling_seed: seeds the draws of a stochastic policy
    """
    _share_normalization(agent, env)
    vec_normalize = unwrap_vec_normalize(env)
    # Assign the episodes to the copies of the environment.
    n_envs, n_episodes = env.num_envs, len(episode_seeds)
    returns, successes = np.zeros(n_episodes), np.full(n_episodes, np.nan)
    lengths = np.zeros(n_episodes, dtype=np.int64)
    queues = [list(range(i, n_episodes, n_envs)) for i in range(n_envs)]
    for i, queue in enumerate(queues):
        env.env_method("begin_episodes", [episode_seeds[k] for k in queue], indices=[i])
    extras = EpisodeInfo(n_envs, n_episodes)
    pausable = env.unwrapped if isinstance(env.unwrapped, PausableVecEnv) else None

    # Play until every queue is empty.
    wants_masks = takes_action_masks(type(agent))
    with _separate_randomness(agent, sampling_seed):
        generators = global_generators()
        obs = env.reset()
        is_globally_random = global_generators() != generators
        starts = _digest(obs if vec_normalize is None else vec_normalize.get_original_obs())
        state, episode_start = None, np.ones(n_envs, dtype=bool)
        is_first_step = True
        while any(queues):
            masks = (
                {"action_masks": np.stack(env.env_method("action_masks"))} if wants_masks else {}
            )
            actions, state = agent.predict(obs, state, episode_start, deterministic, **masks)
            generators = global_generators() if is_first_step else ()  # the agent may draw
            obs, _, episode_start, infos = env.step(actions)
            if is_first_step:
                is_globally_random |= global_generators() != generators
                is_first_step = False
            extras.step(infos)
            if not np.count_nonzero(episode_start):  # the usual case: no episode has ended
                continue
            # Record the episodes that ended; a copy whose queue is empty stops stepping.
            for i in map(int, np.flatnonzero(episode_start)):
                if queues[i]:
                    k, info = queues[i].pop(0), infos[i]
                    returns[k] = info["episode"]["r"]
                    lengths[k] = info["episode"]["l"]
                    successes[k] = info.get("is_success", np.nan)
                    extras.end(i, k, info)
                    if pausable is not None and not queues[i]:
                        pausable.pause(i)
    seeds = np.array(episode_seeds, dtype=np.int64)
    reported = _without_equal_raw_returns(extras.values, returns)
    kinds = classify(reported, extras.flags, _declared_infos(env))
    return Episodes(seeds, returns, lengths, successes, reported, kinds, starts, is_globally_random)


def _declared_infos(env: VecEnv) -> InfoValues:
    """Return what the environment says of the numbers in its infos."""
    try:
        declared: InfoValues = env.get_attr("info_values", [0])[0]
    except AttributeError:
        return {}
    return declared


def _without_equal_raw_returns(
    extras: dict[str, np.ndarray], returns: np.ndarray
) -> dict[str, np.ndarray]:
    """Leave out the environment's own returns and ends if the wrappers change none of them."""
    raw, ended = extras.get(RAW_RETURN), extras.get(RAW_EPISODE_ENDED)
    if raw is None or ended is None:
        return extras
    same_returns, same_ends = np.allclose(raw, returns, rtol=1e-9, atol=0), np.all(ended == 1)
    left_out = {RAW_EPISODE_ENDED} if same_ends else set()
    left_out |= {RAW_RETURN} if same_returns and same_ends else set()
    return {name: values for name, values in extras.items() if name not in left_out}


def _digest(obs: Any) -> bytes:
    """Return a short digest of observations, bit for bit."""
    hashed = hashlib.blake2b(digest_size=16)
    parts = obs.values() if isinstance(obs, dict) else obs if isinstance(obs, tuple) else [obs]
    for part in parts:
        hashed.update(np.ascontiguousarray(part).tobytes())
    return hashed.digest()


def _share_normalization(agent: Agent | Player, env: VecEnv) -> None:
    target = unwrap_vec_normalize(env)
    own = getattr(agent, "get_vec_normalize_env", lambda: None)()  # a baseline has none
    if own is not None and target is not None:
        set_statistics(target, statistics(own))


@contextlib.contextmanager
def _separate_randomness(agent: Any, seed: int) -> Iterator[None]:
    """Seed every generator that a policy may draw from, and restore their states afterwards."""
    # Save the states of training.
    action_rng = agent.action_space.np_random
    before = (
        random.getstate(),
        np.random.get_state(),  # noqa: NPY002 - SB3 draws from the global generator
        torch.get_rng_state(),
    )
    # Begin the evaluation's own draws; gSDE holds its noise in the policy.
    set_random_seed(seed)
    agent.action_space.seed(seed)
    noise = _exploration_matrices(agent)
    if noise is not None:
        agent.policy.reset_noise()
    try:
        yield
    finally:
        if noise is not None:
            distribution, matrices = noise
            distribution.exploration_mat, distribution.exploration_matrices = matrices
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])
        agent.action_space._np_random = action_rng  # noqa: SLF001 - Gymnasium has no setter


def _exploration_matrices(agent: Any) -> tuple[Any, tuple[Any, Any]] | None:
    """Return gSDE's distribution and its current noise; None for agents without gSDE."""
    if not getattr(agent, "use_sde", False):
        return None
    distribution = (getattr(agent, "actor", None) or agent.policy).action_dist
    return distribution, (distribution.exploration_mat, distribution.exploration_matrices)
