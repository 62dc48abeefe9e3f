"""Which environments have a batched version that SB3 can use, and why others do not.

A batched version is usable if it gives the same numbers as single copies and resets each copy in
the step that ends its episode.
"""

import importlib
import inspect
from collections.abc import Callable
from typing import Any

from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, VectorEnv

from rl_runner.config.environment import EnvConfig
from rl_runner.errors import describe_exception

BatchedEnv = VectorEnv[Any, Any, Any]

# Replacements for Gymnasium's own batched versions, which begin the next episode one step late.
REPLACEMENTS = {
    "gymnasium.envs.classic_control.cartpole:CartPoleVectorEnv": (
        "rl_runner.envs.vectorized.cartpole:SameStepCartPole"
    ),
}


def make_batched_env(
    config: EnvConfig, spec: EnvSpec, n_copies: int, time_limit: int
) -> BatchedEnv:
    """Build an environment's batched version, once :func:`reason_against_batching` returned None.

    :param time_limit: the steps after which an episode is truncated
    """
    keywords = {**spec.kwargs, **config.kwargs, "max_episode_steps": time_limit}
    return _load(spec)(num_envs=n_copies, **keywords)


def reason_against_batching(
    config: EnvConfig, spec: EnvSpec, *, render_mode: str | None, training: bool
) -> str | None:
    """Return why the copies cannot be stepped as a batch, with the same numbers; None if they can.

    :param training: False: every episode needs a chosen seed; True: each copy's first one only
    """
    if spec.vector_entry_point is None:
        return "it has no batched version"
    if config.wrappers or spec.additional_wrappers:
        return "`env.wrappers` wrap single copies"
    if render_mode is not None:
        return "only single copies can be rendered"
    try:
        creator = _load(spec)
    except ModuleNotFoundError as error:
        return f"its batched version needs the package `{error.name}`"
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a module may raise anything
        return f"its batched version cannot be imported: {describe_exception(error)}"
    return _missing_feature(creator, every_seed=not training)


def _missing_feature(creator: Callable[..., BatchedEnv], *, every_seed: bool) -> str | None:
    """Return what a batched version lacks that :class:`.BatchedVecEnv` needs; None if nothing."""
    if getattr(creator, "metadata", {}).get("autoreset_mode") is not AutoresetMode.SAME_STEP:
        return "its batched version does not reset in the step that ends an episode"
    if "max_episode_steps" not in inspect.signature(creator).parameters:
        return "its batched version takes no `max_episode_steps`"
    if every_seed and not hasattr(creator, "begin_episodes"):
        return "its batched version does not take a seed for each episode"
    return None


def _load(spec: EnvSpec) -> Callable[..., BatchedEnv]:
    """Import the batched version of a registered environment."""
    entry_point = spec.vector_entry_point
    if callable(entry_point):
        return entry_point
    module, _, name = REPLACEMENTS.get(str(entry_point), str(entry_point)).partition(":")
    creator: Callable[..., BatchedEnv] = getattr(importlib.import_module(module), name)
    return creator
