"""Checks of everything that ``reset`` and ``step`` return, except for the observation."""

import math
import numbers
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from rl_runner.envs.contract.breaches import FINITE, BreachError, described
from rl_runner.envs.episode_layers import RAW_EPISODE_ENDED, RAW_RETURN
from rl_runner.envs.masking import n_choices

FLOAT32_MAX = float(np.finfo(np.float32).max)  # SB3 keeps rewards and observations as float32
# The outer layers write them.
OWN_INFO_KEYS = ("episode", "terminal_observation", RAW_RETURN, RAW_EPISODE_ENDED)
# Where the code is that calls an environment
CALLERS = (Path(gym.__file__).parent, Path(__file__).parents[1])

SMALLER = "Scale the rewards down."
CHECKED_STEP = (
    "`step` must return (observation, reward, terminated, truncated, info), five values: "
    "Gymnasium's API since 0.26."
)
CHECKED_RESET = "`reset` must return (observation, info), two values: Gymnasium's API since 0.26."
RESET_SIGNATURE = (
    "Define it as `def reset(self, *, seed=None, options=None)`, and begin with "
    "`super().reset(seed=seed)`."
)


def reset_result(result: Any) -> tuple[Any, dict[str, Any]]:
    """Return what ``reset`` returned, its info as a plain dictionary.

    :raises BreachError: if it is not an observation and a mapping
    """
    if not isinstance(result, tuple) or len(result) != 2:
        what = f"returned {described(result)} from `reset`."
        raise BreachError(what, CHECKED_RESET)
    obs, info = result
    return obs, _plain_info(info)


def mask_of(actions: gym.Space[Any], mask: Any) -> Any:
    """Return what ``action_masks`` returned as a row of flags.

    :param actions: the space of the actions; what has no masks returns them unchanged
    :raises BreachError: if there is not one flag for each choice of each component, or a component
        has no valid choice: an agent would take one that is not valid
    """
    choices = n_choices(actions)
    if choices is None:
        return mask
    cure = f"Return {sum(choices)} flags, one for each choice of each component of an action."
    try:
        flags = np.asarray(mask).ravel()
    except Exception:  # noqa: BLE001 - converting a foreign object may raise anything
        flags = np.empty(0)
    if flags.size != sum(choices) or flags.dtype.kind not in "biuf":
        what = f"returned {described(mask)} from `action_masks`."
        raise BreachError(what, cure)
    # Numbers that are no flags: the indices of valid actions, or −inf to be added to logits.
    if flags.dtype.kind != "b" and (wrong := (flags != 0) & (flags != 1)).any():
        what = f"returned {flags[wrong][0]} from `action_masks`, which is not a flag."
        raise BreachError(what, f"{cure} 1 or True is valid, 0 or False is not.")
    flags = flags.astype(bool)
    starts = np.cumsum([0, *choices[:-1]])
    if not np.logical_or.reduceat(flags, starts).all():
        what = "returned a mask from `action_masks` in which no choice is valid."
        if len(choices) > 1:
            first = int(np.flatnonzero(~np.logical_or.reduceat(flags, starts))[0])
            what = f"{what[:-1]} for component {first} of the action."
        raise BreachError(what, "Allow an action that changes nothing, or end the episode before.")
    return flags


def step_result(
    result: Any, *, minus_infinity: bool = False
) -> tuple[Any, float, bool, bool, dict[str, Any]]:
    """Return what ``step`` returned, all but the observation as plain types.

    :param minus_infinity: whether a reward of −inf is allowed
    :raises BreachError: if there are not five values, or one is of another kind
    """
    if not isinstance(result, tuple) or len(result) != 5:
        what = f"returned {described(result)} from `step`."
        raise BreachError(what, CHECKED_STEP)
    obs, reward, terminated, truncated, info = result
    # The usual types are let through without a call.
    if type(reward) is not float or not -FLOAT32_MAX <= reward <= FLOAT32_MAX:
        reward = plain_reward(reward, minus_infinity=minus_infinity)
    if type(terminated) is not bool:
        terminated = _plain_flag(terminated, "terminated")
    if type(truncated) is not bool:
        truncated = _plain_flag(truncated, "truncated")
    return obs, reward, terminated, truncated, _plain_info(info)


def plain_reward(reward: Any, *, minus_infinity: bool = False) -> float:
    """Return a reward as a float.

    :param minus_infinity: whether −inf is allowed
    :raises BreachError: if it is not a single number, or not finite in 32 bits
    """
    # One number, of any numeric type …
    if not isinstance(reward, numbers.Real | np.bool_) and np.ndim(reward) > 0:
        what = f"returned a reward that is {described(reward)}."
        raise BreachError(what, "A reward is a single number: return e.g. `float(reward)`.")
    try:
        value = float(reward)
    except OverflowError:  # a whole number or a fraction beyond 64 bits; its text may be endless
        what = f"returned a reward of type {type(reward).__name__} that is too large for 32 bits."
        raise BreachError(what, SMALLER) from None
    except (TypeError, ValueError):
        what = f"returned a reward that is {described(reward)}, not a number."
        raise BreachError(
            what, "Return a `float` from every step, 0.0 where nothing is earned."
        ) from None
    if isinstance(reward, str | bytes):
        what = f"returned a reward that is text, {reward!r:.40}."
        raise BreachError(what, "Return a `float`.")
    # … that is finite and fits into the 32 bits of SB3's buffers.
    if minus_infinity and value == -math.inf:
        return value
    if not math.isfinite(value):
        what = f"returned a reward of {value}."
        raise BreachError(what, FINITE)
    if abs(value) > FLOAT32_MAX:
        what = f"returned a reward of {value:g}, which 32 bits cannot hold."
        raise BreachError(what, SMALLER)
    return value


def _plain_flag(value: Any, name: str) -> bool:
    """Return ``terminated`` or ``truncated`` as a bool; 0 and 1 count as one."""
    if isinstance(value, bool | np.bool_ | int | np.integer | float | np.floating) or (
        value is not None and not isinstance(value, str) and _is_single(value)
    ):
        flag = bool(value)
        if flag == value:
            return flag
    what = f"returned `{name}` as {described(value)}."
    raise BreachError(what, f"`{name}` is True or False.")


def _is_single(value: Any) -> bool:
    return (isinstance(value, np.ndarray) and value.ndim == 0) or type(value).__name__ == "Tensor"


def _plain_info(info: Any) -> dict[str, Any]:
    """Return a copy of an info without the keys that the outer layers write.

    An environment may return the same dictionary at every step; what the outer layers add would
    stay in it.
    """
    if not isinstance(info, Mapping):
        what = f"returned an info that is {described(info)}."
        raise BreachError(what, "Return a dictionary, `{}` if there is nothing to say.")
    plain = dict(info)
    for key in OWN_INFO_KEYS:
        plain.pop(key, None)
    if "is_success" in plain:
        success = plain_success(plain.pop("is_success"))
        if success is not None:
            plain["is_success"] = success
    return plain


def plain_success(value: Any) -> float | bool | None:
    """Return an ``is_success`` as a number; None if it is not a single finite one."""
    try:
        if np.size(value) != 1 or isinstance(value, str | bytes):
            return None
        number = float(np.asarray(value).reshape(()))
    except (TypeError, ValueError, OverflowError):
        return None
    if not math.isfinite(number):
        return None
    return bool(number) if number in (0.0, 1.0) else number


def raise_if_breach(error: Exception) -> None:
    """Raise a :class:`BreachError` if Gymnasium's wrappers tripped over the environment's API.

    :param error: what ``reset`` or ``step`` raised; from the environment's own code, it is left
    """
    frames = traceback.extract_tb(error.__traceback__)
    if not set(CALLERS) & set(Path(frames[-1].filename).parents):
        return
    text = str(error)
    if "values to unpack" in text:
        in_step = any(frame.name == "step" for frame in frames)
        what = f"returned too few or too many values: {text}."
        raise BreachError(what, CHECKED_STEP if in_step else CHECKED_RESET) from error
    if "unexpected keyword argument" in text and "reset()" in text:
        what = f"has a `reset` that does not take what Gymnasium passes: {text}."
        raise BreachError(what, RESET_SIGNATURE) from error
