"""The rewards of an environment with goals, as hindsight experience replay asks for them."""

import copy
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium as gym
import numpy as np

from rl_runner.envs.contract.breaches import described
from rl_runner.envs.episode_layers import RewardRecorder
from rl_runner.errors import EnvError, Problem, describe_exception, place_of

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv

N_RESETS = 3
CURE = (
    "Compute one reward for each row of the goals, for instance with "
    "`np.linalg.norm(achieved - desired, axis=-1)`."
)
N_GOALS = 20
N_TRANSITIONS = 400  # of all copies together
SAME_REWARDS = (
    "Define `compute_reward` in the outermost wrapper that changes rewards or goals, so that it "
    "returns what `step` returns for the goals that the wrapper shows; or leave the wrapper out."
)
USES_INFO = " If it needs the info, set `algo.replay_buffer_kwargs: {copy_info_dict: true}`."


def check_goal_rewards(venv: "VecEnv", name: str, *, keeps_infos: bool = False) -> None:
    """Refuse a ``compute_reward`` from which hindsight replay would learn wrong rewards.

    SB3's ``HerReplayBuffer`` gives it goals of shape (n, …) and n infos. A function that was
    written for one goal returns one number, which would be used as the reward of all n. A wrapper
    that changes rewards or goals above it makes its rewards differ from those of ``step``.

    :param name: the environment's id
    :param keeps_infos: whether the replay buffer passes the infos of the steps, not empty ones
    :raises EnvError: if it is missing, raises an exception, returns other rewards for many goals
        than for each of them alone, or other rewards than ``step``, or if a wrapper shows other
        goals than it rewards
    """
    if not venv.has_attr("compute_reward"):
        what = f"`{name}` has no `compute_reward(achieved_goal, desired_goal, info)`, which "
        what += "hindsight replay needs."
        raise EnvError(Problem(what, "env.id", "Add the method, or use a plain replay buffer."))
    # What needs the infos of steps cannot be asked before a step.
    if not keeps_infos:
        _check_rows(venv, name)
    _check_achieved_goals(venv.unwrapped, name)
    _check_steps(venv.unwrapped, name, keeps_infos)


def _check_rows(venv: "VecEnv", name: str) -> None:
    """Refuse other rewards for many goals at once than for each of them alone."""
    # Goals that occur: those of some first observations, exchanged among each other.
    seen: Any = [venv.unwrapped.reset() for _ in range(N_RESETS)]
    achieved = np.concatenate([_rows(obs["achieved_goal"]) for obs in seen])
    desired = np.concatenate([_rows(obs["desired_goal"]) for obs in seen])[::-1]
    n = len(achieved)
    together = _rewards(venv, name, achieved, desired)
    alone = [_rewards(venv, name, achieved[[i]], desired[[i]]) for i in range(n)]
    if not _close(together, np.asarray(alone)).all():
        what = f"`compute_reward` of `{name}` returns other rewards for {n} goals at once than for "
        what += "each of them alone."
        raise EnvError(Problem(what, "env.id", CURE))


def _check_achieved_goals(venv: "VecEnv", name: str) -> None:
    """Refuse wrappers that change achieved goals above a ``compute_reward`` that expects its own.

    Random steps may never reach a goal, and a sparse reward is then the same for every goal.
    """
    outermost: Any = getattr(venv, "envs", [None])[0]
    inner = outermost
    while isinstance(inner, gym.Wrapper) and not isinstance(inner, RewardRecorder):
        inner = inner.env
    # Without wrappers there is nothing to compare; a wrapper may have rewards of its own.
    if not isinstance(inner, RewardRecorder) or not inner.has_wrapper_attr("compute_reward"):
        return
    own = inner.get_wrapper_attr("compute_reward")
    if outermost.get_wrapper_attr("compute_reward") != own:
        return
    actions = copy.deepcopy(venv.action_space)
    actions.seed(0)
    venv.reset()
    for _ in range(N_GOALS):
        obs: Any
        obs, _, dones, _ = venv.step(np.array([actions.sample() for _ in range(venv.num_envs)]))
        if dones[0]:  # the observation is that of the next episode
            continue
        goal, goal_inside = obs["achieved_goal"][0], np.asarray(inner.stepped_into["achieved_goal"])
        if goal.size != goal_inside.size or not _close(goal, goal_inside).all():
            what = f"A wrapper changes the achieved goals of `{name}`, but its `compute_reward` "
            what += "expects them as they are below the wrapper."
            raise EnvError(Problem(what, "env.wrappers", SAME_REWARDS))


class _Transitions(NamedTuple):
    """Random steps as a replay buffer keeps them: one row, or one item, for each step."""

    achieved: np.ndarray  # after the step
    pursued: np.ndarray  # the desired goals before the step …
    shown: np.ndarray  # … and after it
    rewards: np.ndarray
    infos: list[dict[str, Any]]


def _check_steps(venv: "VecEnv", name: str, keeps_infos: bool) -> None:
    """Refuse rewards that differ from those that random steps returned.

    :param venv: the copies, without normalisation: a replay buffer keeps what they return
    """
    played = _play(venv)
    infos = played.infos if keeps_infos else None
    # A goal may change in a step: its reward may be that of the goal before or after it.
    computed = _rewards(venv, name, played.achieved, played.pursued, infos)
    of_shown = _rewards(venv, name, played.achieved, played.shown, infos)
    same = _close(computed, played.rewards) | _close(of_shown, played.rewards)
    if same.all():
        return
    first = int(np.argmin(same))
    # Adding 0.0 makes 0 of −0.
    mine, theirs = np.ravel(computed)[first] + 0.0, played.rewards[first] + 0.0
    what = (
        f"`compute_reward` of `{name}` does not return the rewards of `step`: they differ in "
        f"{np.sum(~same)} of {len(same)} random steps, first {mine:g} in place of "
        f"{theirs:g}. Hindsight replay would mix two kinds of reward."
    )
    cure = SAME_REWARDS if keeps_infos else SAME_REWARDS + USES_INFO
    raise EnvError(Problem(what, "env.wrappers", cure))


def _play(venv: "VecEnv") -> _Transitions:
    """Play :data:`N_TRANSITIONS` steps, or a few more, with the same random actions each time."""
    actions = copy.deepcopy(venv.action_space)  # whose generator is not the environment's
    actions.seed(0)
    steps: list[_Transitions] = []
    before: Any = venv.reset()
    for _ in range(-(-N_TRANSITIONS // venv.num_envs)):
        after: Any
        action = np.array([actions.sample() for _ in range(venv.num_envs)])
        after, rewards, dones, infos = venv.step(action)
        achieved, shown = _rows(after["achieved_goal"]).copy(), _rows(after["desired_goal"]).copy()
        # Where an episode ended, the observation is already that of the next one.
        for i in np.flatnonzero(dones):
            achieved[i] = infos[i]["terminal_observation"]["achieved_goal"]
            shown[i] = infos[i]["terminal_observation"]["desired_goal"]
        pursued = _rows(before["desired_goal"])
        steps.append(_Transitions(achieved, pursued, shown, rewards.copy(), infos))
        before = after
    return _Transitions(
        np.concatenate([step.achieved for step in steps]),
        np.concatenate([step.pursued for step in steps]),
        np.concatenate([step.shown for step in steps]),
        np.concatenate([step.rewards for step in steps]),
        [info for step in steps for info in step.infos],
    )


def _close(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Whether numbers are the same, but for rounding to 32 bits; one flag for each."""
    pair = np.ravel(values), np.ravel(others)
    close: np.ndarray = np.isclose(*pair, rtol=1e-4, atol=1e-6, equal_nan=True)
    return close


def _rows(goals: np.ndarray) -> np.ndarray:
    """Return goals as SB3's replay buffer keeps them: a Discrete one is an array of one number."""
    return goals.reshape(len(goals), -1) if goals.ndim == 1 else goals


def _rewards(
    venv: "VecEnv",
    name: str,
    achieved: np.ndarray,
    desired: np.ndarray,
    infos: list[dict[str, Any]] | None = None,
) -> np.ndarray:
    """Call the first copy's ``compute_reward`` as HerReplayBuffer does.

    :raises EnvError: if it raises an exception, or does not return one reward for each row
    """
    n = len(achieved)
    given: Any = [{} for _ in range(n)] if infos is None else np.array(infos, dtype=object)
    try:
        (rewards,) = venv.env_method("compute_reward", achieved, desired, given, indices=[0])
    except Exception as error:
        what = f"`compute_reward` of `{name}` raised an exception for {n} goals of "
        what += f"shape {achieved.shape[1:]}: {describe_exception(error)}"
        raise EnvError(Problem(what, place_of(error), CURE)) from error
    if not isinstance(rewards, np.ndarray) or rewards.size != n:
        what = f"`compute_reward` of `{name}` returned {described(rewards)} for {n} goals."
        raise EnvError(Problem(what, "env.id", CURE))
    return rewards
