"""The rewards of an environment with goals, as hindsight experience replay asks for them."""

from typing import TYPE_CHECKING, Any

import numpy as np

from rl_runner.envs.contract.breaches import described
from rl_runner.errors import EnvError, Problem, describe_exception, place_of

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv

N_RESETS = 3
CURE = (
    "Compute one reward for each row of the goals, for instance with "
    "`np.linalg.norm(achieved - desired, axis=-1)`."
)


def check_goal_rewards(venv: "VecEnv", name: str) -> None:
    """Refuse a ``compute_reward`` that does not compute the rewards of many goals at once.

    SB3's ``HerReplayBuffer`` gives it goals of shape (n, …) and n infos. A function that was
    written for one goal returns one number, which would be used as the reward of all n.

    :param name: the environment's id
    :raises EnvError: if it is missing, raises an exception, or returns other rewards for many goals
        than for each of them alone
    """
    if not venv.has_attr("compute_reward"):
        what = f"`{name}` has no `compute_reward(achieved_goal, desired_goal, info)`, which "
        what += "hindsight replay needs."
        raise EnvError(Problem(what, "env.id", "Add the method, or use a plain replay buffer."))
    # Goals that occur: those of some first observations, exchanged among each other.
    seen: Any = [venv.unwrapped.reset() for _ in range(N_RESETS)]
    achieved = np.concatenate([_rows(obs["achieved_goal"]) for obs in seen])
    desired = np.concatenate([_rows(obs["desired_goal"]) for obs in seen])[::-1]
    together = _rewards(venv, name, achieved, desired)
    n = len(achieved)
    if not isinstance(together, np.ndarray) or together.size != n:
        what = f"`compute_reward` of `{name}` returned {described(together)} for {n} goals."
        raise EnvError(Problem(what, "env.id", CURE))
    alone = [_rewards(venv, name, achieved[[i]], desired[[i]]) for i in range(n)]
    if not np.allclose(np.ravel(together), np.ravel(alone), rtol=1e-4, atol=1e-6, equal_nan=True):
        what = f"`compute_reward` of `{name}` returns other rewards for {n} goals at once than for "
        what += "each of them alone."
        raise EnvError(Problem(what, "env.id", CURE))


def _rows(goals: np.ndarray) -> np.ndarray:
    """Return goals as SB3's replay buffer keeps them: a Discrete one is an array of one number."""
    return goals.reshape(len(goals), -1) if goals.ndim == 1 else goals


def _rewards(venv: "VecEnv", name: str, achieved: np.ndarray, desired: np.ndarray) -> Any:
    """Call the first copy's ``compute_reward`` as HerReplayBuffer does."""
    infos: list[dict[str, Any]] = [{} for _ in achieved]
    try:
        (rewards,) = venv.env_method("compute_reward", achieved, desired, infos, indices=[0])
    except Exception as error:
        what = f"`compute_reward` of `{name}` raised an exception for {len(achieved)} goals of "
        what += f"shape {achieved.shape[1:]}: {describe_exception(error)}"
        raise EnvError(Problem(what, place_of(error), CURE)) from error
    return rewards
