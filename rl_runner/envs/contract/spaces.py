"""Which observation spaces can be stacked into arrays, one row for each copy of an environment."""

from typing import Any

from gymnasium import spaces

from rl_runner.envs.contract.breaches import BreachError
from rl_runner.envs.images import parts_of

NUMERIC = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
FLATTEN = "Flatten them: `env.wrappers: [gymnasium.wrappers.FlattenObservation]`."
WRITE_A_WRAPPER = (
    "Write a wrapper that turns them into an array of one shape (a Box), and name it in "
    "`env.wrappers`."
)


def check_observation_space(space: spaces.Space[Any]) -> None:
    """Refuse observations that are not arrays, or a Dict or Tuple of arrays, of one shape each.

    :raises BreachError: naming the part of the space, with a wrapper that helps
    """
    parts = list(parts_of(space))
    if not parts:
        what = f"has observations without any part: their space is an empty {_kind(space)}."
        raise BreachError(what, "Return at least one number.")
    for key, part in parts:
        subject = f"the space of `{key}`" if key else "their space"
        if isinstance(part, spaces.Dict | spaces.Tuple):
            reason = f"{subject} is a {_kind(part)} inside a {_kind(space)}"
            cure = _cure(space)
        elif not isinstance(part, NUMERIC):
            reason = f"{subject} is a {_kind(part)}, whose values are not arrays of one shape"
            cure = _cure(space)
        elif 0 in (part.shape or ()):
            reason = f"{subject} has the shape {part.shape}, which holds no number"
            cure = "Return at least one number."
        else:
            continue
        what = f"has observations that no algorithm takes: {reason}."
        raise BreachError(what, cure)


def _cure(space: spaces.Space[Any]) -> str:
    """Return how to make arrays of the observations, or of some of them."""
    if _becomes_a_vector(space):
        return FLATTEN
    usable = [key for key, part in parts_of(space) if isinstance(part, NUMERIC)]
    if usable and isinstance(space, spaces.Dict):
        keys = ", ".join(usable)
        wrapper = "name: gymnasium.wrappers.FilterObservation"
        return (
            f"Keep the others: `env.wrappers: [{{{wrapper}, kwargs: {{filter_keys: [{keys}]}}}}]`."
        )
    return WRITE_A_WRAPPER


def _becomes_a_vector(space: spaces.Space[Any]) -> bool:
    """Whether Gymnasium flattens a space to a vector of quantities; of text it takes letters."""
    if isinstance(space, spaces.Dict | spaces.Tuple | spaces.OneOf):
        inner = space.spaces.values() if isinstance(space, spaces.Dict) else space.spaces
        return bool(inner) and all(map(_becomes_a_vector, inner))
    return isinstance(space, NUMERIC) and 0 not in (space.shape or ())


def _kind(space: spaces.Space[Any]) -> str:
    return type(space).__name__
