"""An agent trained in an environment, as a service asks it for actions; observations are JSON."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from rl_runner.agents.protocol import Agent, takes_action_masks
from rl_runner.envs.masking import n_choices
from rl_runner.serving.models.protocol import Arrays, Drawn, draw_from

Observation = Any  # an array, a number, or a dictionary of them
GOLDEN_OBSERVATIONS = 32


class AgentModel:
    """The deterministic policy of an agent, with the normaliser that belongs to its weights.

    :param agent: as :func:`rl_runner.evaluation.play.loaded_run.load_run` returns it
    :param epsilon: the share of actions drawn uniformly; only of Discrete action spaces
    :param note: that the code behind it has changed since it was trained
    :raises ValueError: if an action space cannot be explored so
    """

    is_slow = True

    def __init__(self, agent: Agent, epsilon: float, note: str = "") -> None:
        self._agent = agent
        self.note = note
        self._epsilon = epsilon
        self._normalize = agent.get_vec_normalize_env()
        env = agent.get_env()
        assert env is not None  # noqa: S101 - every loaded run has one
        self._space = env.observation_space
        self._takes_masks = takes_action_masks(type(agent))
        if epsilon > 0 and not isinstance(agent.action_space, spaces.Discrete):
            message = f"actions of {agent.action_space} are not explored; set epsilon to 0"
            raise ValueError(message)
        _, memory = self._predict(from_arrays(self.golden_inputs()), GOLDEN_OBSERVATIONS)
        self.is_recurrent = memory is not None

    def encode(self, context: Any) -> Observation:
        """Return a JSON value as an observation, before normalisation."""
        return read_observation(self._space, context)

    def check_eligible(self, eligible: Sequence[int]) -> None:
        """Raise ValueError if the agent takes no masks, or a flag does not exist."""
        if not self._takes_masks:
            message = "this policy chooses from all actions: its algorithm takes no masks"
            raise ValueError(message)
        self._mask(eligible)

    def _mask(self, eligible: Sequence[int]) -> np.ndarray:
        """Return (1, n_flags) masks; raises ValueError for unknown flags and repeated ones."""
        choices = n_choices(self._agent.action_space) or []
        n_flags = sum(choices)
        if max(eligible) >= n_flags:
            message = f"there is no action {max(eligible)}; actions are 0 … {n_flags - 1}"
            raise ValueError(message)
        if len(set(eligible)) < len(eligible):
            message = "an action is named twice"
            raise ValueError(message)
        mask = np.zeros((1, n_flags), dtype=bool)
        mask[0, list(eligible)] = True
        parts = np.split(mask[0], np.cumsum(choices)[:-1])
        if not all(part.any() for part in parts):
            message = "a component of the action has no eligible choice"
            raise ValueError(message)
        return mask

    def draw(
        self, encoded: Any, eligible: Sequence[int] | None, rng: random.Random, memory: Any = None
    ) -> tuple[Drawn, Any]:
        """Return the agent's action for one observation, and the recurrent state after it."""
        masks = {} if eligible is None else {"action_masks": self._mask(eligible)}
        actions, memory = self._predict(as_batch(encoded), 1, memory, masks)
        action = np.asarray(actions)[0].tolist()
        space = self._agent.action_space
        if self._epsilon > 0 and isinstance(space, spaces.Discrete):
            n, first = int(space.n), int(space.start)
            drawn = draw_from(action - first, n, eligible, self._epsilon, rng)
            return Drawn(drawn.action + first, drawn.probability), memory
        return Drawn(action, 1.0), memory

    def _predict(
        self, observations: Observation, n: int, memory: Any = None, masks: Any = None
    ) -> tuple[np.ndarray, Any]:
        """Return the actions of a batch; without a memory, episodes begin."""
        if self._normalize is not None:
            observations = self._normalize.normalize_obs(observations)
        begins = np.full(n, memory is None)
        predict: Any = self._agent.predict  # masks are the argument of some algorithms only
        actions, memory = predict(observations, memory, begins, True, **(masks or {}))  # noqa: FBT003
        return actions, memory

    def example(self) -> Any:
        """Return an observation of the space, as JSON."""
        self._space.seed(0)
        drawn = self._space.sample()
        if isinstance(drawn, dict):
            return {key: np.asarray(part).tolist() for key, part in drawn.items()}
        return np.asarray(drawn).tolist()

    def golden_inputs(self) -> Arrays:
        """Return observations drawn from the space."""
        return sample_batch(self._space, GOLDEN_OBSERVATIONS)

    def answers(self, inputs: Arrays) -> np.ndarray:
        """Return (n, …) the deterministic actions."""
        actions, _ = self._predict(from_arrays(inputs), len(next(iter(inputs.values()))))
        return np.asarray(actions, dtype=np.float64)


def read_observation(space: spaces.Space[Any], value: Any, where: str = "context") -> Observation:
    """Return a JSON value as one observation of a space.

    :raises ValueError: naming the first part that does not fit, and what was expected
    """
    if isinstance(space, spaces.Dict):
        return _read_parts(space, value, where)
    if isinstance(space, spaces.Discrete):
        low, high = int(space.start), int(space.start + space.n) - 1
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            message = f"{where} is not a whole number from {low} to {high}"
            raise ValueError(message)
        return np.int64(value)
    return _read_array(space, value, where)


def _read_parts(space: spaces.Dict, value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        message = f"{where} is not an object with the keys {', '.join(space)}"
        raise ValueError(message)
    if set(value) != set(space):
        missing, unknown = sorted(set(space) - set(value)), sorted(set(value) - set(space))
        what = f"lacks {missing[0]!r}" if missing else f"has the unknown key {unknown[0]!r}"
        message = f"{where} {what}; its keys are {', '.join(space)}"
        raise ValueError(message)
    return {
        key: read_observation(part, value[key], f"{where}.{key}") for key, part in space.items()
    }


def _read_array(space: spaces.Space[Any], value: Any, where: str) -> np.ndarray:
    """Read a Box, MultiDiscrete or MultiBinary observation; bounds are checked."""
    shape, dtype = tuple(space.shape or ()), np.dtype(space.dtype)
    try:
        numbers = np.asarray(value)
        is_numeric = numbers.dtype.kind in "iuf"
    except ValueError:  # lists of different lengths
        numbers, is_numeric = np.empty(0), False
    if not is_numeric or numbers.shape != shape:
        message = f"{where} is not an array of numbers of shape {list(shape)}"
        raise ValueError(message)
    if dtype.kind in "iu" and not (numbers == np.round(numbers)).all():
        message = f"{where} has a number that is not whole"
        raise ValueError(message)
    # Bounds, with the precision of the space.
    with np.errstate(over="ignore"):
        array = numbers.astype(dtype)
    too_wide = dtype.kind in "iu" and not (array == numbers).all()
    if too_wide or not np.isfinite(array).all() or not space.contains(array):
        message = f"{where} has a number outside its bounds: {space}"
        raise ValueError(message)
    return array


def as_batch(observation: Observation) -> Observation:
    """Return one observation with a leading axis of 1."""
    if isinstance(observation, dict):
        return {key: np.asarray(part)[None] for key, part in observation.items()}
    return np.asarray(observation)[None]


def sample_batch(space: spaces.Space[Any], n: int) -> dict[str, np.ndarray]:
    """Return n observations drawn from a space with a fixed seed, as named arrays."""
    space.seed(0)
    drawn = [space.sample() for _ in range(n)]
    if isinstance(space, spaces.Dict):
        return {f"obs/{key}": np.stack([each[key] for each in drawn]) for key in space}
    return {"obs": np.stack(drawn)}


def from_arrays(arrays: dict[str, np.ndarray]) -> Observation:
    """Return what :func:`sample_batch` named, as a batch of observations."""
    if "obs" in arrays:
        return arrays["obs"]
    return {name.removeprefix("obs/"): array for name, array in arrays.items()}
