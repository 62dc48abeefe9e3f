"""Combinations of hyperparameters that cannot work, each with its cure.

The rules ask which hyperparameters there are, not which algorithm it is: whatever collects rollouts
of ``n_steps`` and cuts them into minibatches is bound by the same arithmetic.
"""

import inspect
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.her import HerReplayBuffer
from stable_baselines3.her.goal_selection_strategy import KEY_TO_GOAL_STRATEGY

from rl_runner.config import ExperimentConfig
from rl_runner.errors import Problem, did_you_mean

Checked = Mapping[str, Any]


GOALS = {"observation", "achieved_goal", "desired_goal"}


def impossible_combinations(
    config: ExperimentConfig, checked: Checked, observations: spaces.Space[Any] | None = None
) -> Iterator[Problem]:
    """Yield a problem for each combination that cannot work on this environment and budget.

    :param observations: the environment's observation space; None if they are known to fit
    """
    # Which checks concern an algorithm follows from the hyperparameters that it has.
    if "gae_lambda" in checked:
        yield from _rollout_problems(config, checked)
    if "buffer_size" in checked:
        yield from _replay_problems(config, checked)
    if replays_hindsight(checked):
        yield from _hindsight_problems(config, checked, observations)
    if "n_episodes" in checked:
        yield from _batch_of_episodes_problems(config, checked["n_episodes"])
    if checked.get("exploration_schedule") == "exponential":
        yield from _exponential_problems(config, checked)
    if (checked.get("n_top") or 0) > checked.get("n_delta", math.inf):
        yield Problem(
            f"n_top {checked['n_top']} is more than the {checked['n_delta']} directions tried.",
            config.source.locate(("algo", "n_top")),
            f"Set it to at most {checked['n_delta']}, or raise `n_delta`.",
        )
    # A device that is missing.
    device = str(checked.get("device") or "auto")
    if device.startswith("cuda") and not torch.cuda.is_available():
        yield Problem(
            f"There is no `{device}` on this machine, and SB3 would silently use the CPU.",
            config.source.locate(("algo", "device")),
            "Set `device: cpu`, or `auto` to use what is available.",
        )


def replays_hindsight(checked: Checked) -> bool:
    """Whether these hyperparameters ask for hindsight experience replay."""
    return str(checked.get("replay_buffer_class") or "").endswith("HerReplayBuffer")


def _rollout_problems(config: ExperimentConfig, checked: Checked) -> Iterator[Problem]:
    n_envs, n_steps = config.env.n_envs, checked["n_steps"]
    rollout, batch_size = n_steps * n_envs, checked.get("batch_size")
    product = f"n_steps × n_envs = {n_steps} × {n_envs} = {rollout}"
    if rollout == 1 and checked.get("normalize_advantage"):
        yield Problem(
            f"The advantages of a rollout of one step ({product}) cannot be normalised.",
            config.source.locate(("algo", "n_steps")),
            "Raise `n_steps` or `env.n_envs`, or set `normalize_advantage: false`.",
        )
    elif batch_size is not None and rollout % batch_size:
        nearest = _nearest_divisor(rollout, batch_size)
        yield Problem(
            f"batch_size {batch_size} does not divide a rollout of {product}.",
            config.source.locate(("algo", "batch_size")),
            f"The nearest size that does is {nearest}.",
        )


def _nearest_divisor(number: int, wanted: int) -> int:
    """Return the divisor closest to ``wanted``; 1 divides every number, so there is one."""
    if wanted >= number:
        return number
    distances = range(wanted)
    return next(size for d in distances for size in (wanted - d, wanted + d) if number % size == 0)


def _replay_problems(config: ExperimentConfig, checked: Checked) -> Iterator[Problem]:
    locate, total = config.source.locate, config.train.total_timesteps
    if checked["learning_starts"] >= total:
        yield Problem(
            f"learning_starts {checked['learning_starts']} is not below train.total_timesteps "
            f"{total}: nothing would be learned.",
            locate(("algo", "learning_starts")),
            "Lower it, or train for longer.",
        )
    if checked["batch_size"] > checked["buffer_size"]:
        yield Problem(
            f"batch_size {checked['batch_size']} is larger than buffer_size "
            f"{checked['buffer_size']}.",
            locate(("algo", "batch_size")),
            "Lower it, or raise `buffer_size`.",
        )
    if isinstance(checked["train_freq"], tuple | list) and config.env.n_envs > 1:
        unit = checked["train_freq"][1]
        if unit == "episode":
            yield Problem(
                "`train_freq` counts episodes, which needs a single environment.",
                locate(("algo", "train_freq")),
                "Give it in steps, or set `env.n_envs: 1`.",
            )


def _hindsight_problems(
    config: ExperimentConfig, checked: Checked, observations: spaces.Space[Any] | None
) -> Iterator[Problem]:
    # Without goals nothing else can be said.
    has_goals = isinstance(observations, spaces.Dict) and observations.keys() >= GOALS
    if observations is not None and not has_goals:
        yield Problem(
            "Hindsight replay needs goals: observations that are a dictionary of `observation`, "
            f"`achieved_goal` and `desired_goal`, which those of {config.env.id} are not.",
            config.source.locate(("algo", "replay_buffer_class")),
            "Leave it out, or choose an environment with goals, such as BitFlipping-v0.",
        )
        return
    # Its arguments, and the goals that it would get.
    yield from _hindsight_arguments(config, checked)
    if config.env.frame_stack > 1:
        yield Problem(
            "Hindsight replay gives goals to the environment's `compute_reward`, which knows no "
            f"stacked frames: with `env.frame_stack: {config.env.frame_stack}` its rewards would "
            "be wrong.",
            config.source.locate(("env", "frame_stack")),
            "Leave `frame_stack` out, or stack inside of the environment, observations only.",
        )
    if isinstance(observations, spaces.Dict) and (problem := _goal_problem(observations)):
        where = config.source.locate(("algo", "replay_buffer_class"))
        cure = "Give both goals the same Box of at least one dimension, or leave it out."
        yield Problem(problem, where, cure)
    # The buffer samples from whole episodes only.
    longest = (config.env.time_limit or 0) * config.env.n_envs
    if checked["learning_starts"] < longest:
        yield Problem(
            f"Hindsight replay needs a whole episode before it can sample, but learning_starts "
            f"is {checked['learning_starts']} and an episode may last {longest} timesteps.",
            config.source.locate(("algo", "learning_starts")),
            f"Set it to at least {longest}, or shorten `env.time_limit`.",
        )


def _hindsight_arguments(config: ExperimentConfig, checked: Checked) -> Iterator[Problem]:
    """Yield a problem for each of ``replay_buffer_kwargs`` that SB3's buffer does not know."""
    where = config.source.locate(("algo", "replay_buffer_kwargs"))
    known = inspect.signature(HerReplayBuffer).parameters
    given = checked.get("replay_buffer_kwargs") or {}
    for name, value in given.items():
        if name not in known:
            what = f"`replay_buffer_kwargs` of hindsight replay has no `{name}`."
            own = "n_sampled_goal, goal_selection_strategy, copy_info_dict"
            yield Problem(what, where, f"{did_you_mean(name, known)} It has: {own}.".strip())
        elif name == "goal_selection_strategy" and str(value).lower() not in KEY_TO_GOAL_STRATEGY:
            what = f"There is no `goal_selection_strategy: {value}`."
            cure = f"{did_you_mean(value, KEY_TO_GOAL_STRATEGY)} There are: "
            yield Problem(what, where, (cure + ", ".join(KEY_TO_GOAL_STRATEGY)).strip() + ".")


def _goal_problem(observations: spaces.Dict) -> str:
    """Return what is wrong with the spaces of the goals; no text if nothing is."""
    achieved, desired = observations["achieved_goal"], observations["desired_goal"]
    if achieved.shape != desired.shape or type(achieved) is not type(desired):
        return f"Hindsight replay exchanges goals, but {achieved} and {desired} differ."
    # SB3's buffer selects along an axis that a single number does not have.
    single = [key for key, part in observations.items() if part.shape == () and _is_box(part)]
    if single:
        part = observations[single[0]]
        return f"Hindsight replay cannot store `{single[0]}`, a single number: {part}."
    return ""


def _is_box(space: spaces.Space[Any]) -> bool:
    return isinstance(space, spaces.Box)


def _batch_of_episodes_problems(config: ExperimentConfig, n_episodes: int) -> Iterator[Problem]:
    n_envs = config.env.n_envs
    if n_episodes % n_envs:
        nearest = max(1, round(n_episodes / n_envs)) * n_envs
        yield Problem(
            f"n_episodes {n_episodes} cannot be shared equally by env.n_envs {n_envs}.",
            config.source.locate(("algo", "n_episodes")),
            f"The nearest number that can is {nearest}.",
        )


def _exponential_problems(config: ExperimentConfig, checked: Checked) -> Iterator[Problem]:
    for key in ("exploration_initial_eps", "exploration_final_eps"):
        if checked[key] <= 0:
            yield Problem(
                f"{key} {checked[key]} is not possible: an exponential schedule never reaches 0.",
                config.source.locate(("algo", key)),
                "Set it above 0, for instance to 0.01, or set `exploration_schedule: linear`.",
            )
