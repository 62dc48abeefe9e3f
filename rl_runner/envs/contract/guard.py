"""A wrapper that checks everything that one copy of an environment returns."""

import copy
import functools
from typing import Any

import gymnasium as gym
from gymnasium import spaces

from rl_runner.envs.contract.breaches import BreachError
from rl_runner.envs.contract.observations import check_observation_space, observation_check
from rl_runner.envs.contract.results import mask_of, raise_if_breach, reset_result, step_result
from rl_runner.errors import EnvError, Problem


class ContractGuard(gym.Wrapper[Any, Any, Any, Any]):
    """Checks everything that one copy of an environment returns.

    :param name: the environment's id, for messages
    :param number: which of the copies it is, for messages
    :param minus_infinity: let rewards of −inf pass
    :raises EnvError: if the environment has no spaces, or observations that are not arrays;
        ``reset``, ``step`` and ``action_masks``, if what they return breaks the contract
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        name: str,
        number: int = 0,
        *,
        minus_infinity: bool = False,
    ) -> None:
        super().__init__(env)
        self._minus_infinity = minus_infinity
        self._name = name
        self._number = number
        self._episode = 0
        self._step = 0
        try:
            observations = space_of(env, "observation_space")
            check_observation_space(observations)
            self._check_observation = observation_check(observations)
            space_of(env, "action_space")
        except BreachError as breach:
            raise EnvError(Problem(f"`{name}` {breach.what}", "env.id", breach.cure)) from None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset; the info is a dictionary of the caller's own."""
        self._episode += 1
        self._step = 0
        try:
            try:
                result = self.env.reset(seed=seed, options=options)
            except (TypeError, ValueError) as error:
                raise_if_breach(error)
                raise
            obs, info = reset_result(result)
            self._check_observation(obs)
        except BreachError as breach:
            raise self._located(breach) from breach.__cause__
        return obs, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step; reward, ends and info are plain, and the last observation is not reused."""
        self._step += 1
        try:
            try:
                result = self.env.step(action)
            except (TypeError, ValueError) as error:
                raise_if_breach(error)
                raise
            obs, reward, terminated, truncated, info = step_result(
                result, minus_infinity=self._minus_infinity
            )
            self._check_observation(obs)
        except BreachError as breach:
            raise self._located(breach) from breach.__cause__
        # An environment may write its next episode into the same array.
        if terminated or truncated:
            obs = copy.deepcopy(obs)
        return obs, reward, terminated, truncated, info

    def get_wrapper_attr(self, name: str) -> Any:
        """Return an attribute; ``action_masks`` checks what the environment's own returns."""
        found = super().get_wrapper_attr(name)
        if name != "action_masks" or not callable(found):  # NamedFailures says what is wrong
            return found

        @functools.wraps(found)
        def checked(*arguments: Any, **options: Any) -> Any:
            try:
                return mask_of(self.action_space, found(*arguments, **options))
            except BreachError as breach:
                raise self._located(breach) from breach.__cause__

        return checked

    def _located(self, breach: BreachError) -> EnvError:
        """Add to what is wrong where it happened."""
        when = f"step {self._step}" if self._step else "reset"
        where = f"(copy {self._number}, episode {self._episode}, {when})"
        what = f"`{self._name}` {breach.what.rstrip('.')} {where}."
        return EnvError(Problem(what, cure=breach.cure))


def space_of(env: gym.Env[Any, Any], name: str) -> spaces.Space[Any]:
    """Return an environment's ``observation_space`` or ``action_space``.

    :raises BreachError: if it is missing, or not a space of Gymnasium
    """
    found = getattr(env, name, None)
    if isinstance(found, spaces.Space):
        return found
    cure = f"Set `self.{name}` in `__init__`, e.g. to a `gymnasium.spaces.Box`."
    if found is None:
        what = f"has no `{name}`."
        raise BreachError(what, cure)
    kind = type(found)
    what = f"has a `{name}` of type {kind.__module__}.{kind.__qualname__}, which is not a space."
    raise BreachError(what, cure)
