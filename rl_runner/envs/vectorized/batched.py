"""A Gymnasium environment that steps all its copies at once, behind SB3's ``VecEnv`` interface.

Gymnasium's batched environments (``vector_entry_point``) and SB3's ``VecEnv`` differ in two ways:
Gymnasium returns ``terminated`` and ``truncated``, SB3 expects ``done`` and a
``TimeLimit.truncated`` in the infos; Gymnasium batches the infos, SB3 expects one dictionary for
each copy.

Random streams: copy ``i`` begins on its own seed, and its later episodes continue with its own
generator, as with single copies. An environment whose batched version gives each copy the same
numbers as a single one (CartPole does) therefore trains to the same weights either way.
"""

import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from rl_runner.envs.contract.breaches import FINITE, described
from rl_runner.envs.failures import close_quietly, raise_named
from rl_runner.errors import EnvError, Problem

Info = dict[str, Any]
END_KEYS = {"final_obs", "final_info", "_final_obs", "_final_info"}
RESULTS = ("observations", "rewards", "terminated", "truncated")  # of a step, before the infos
NO_FLOATS = np.empty(0, np.float32)  # in place of observations that are always finite


class BatchedVecEnv(VecEnv):
    """A batched environment as a ``VecEnv``, with Monitor's episode statistics.

    :param name: the environment's id, for messages
    :param env: resets each copy in the step that ended its episode (``AutoresetMode.SAME_STEP``);
        its ``reset`` takes a list of seeds, one for each copy; None lets its generator continue
    :param seeds: copy ``i`` begins its first episode on ``seeds[i]``
    :param every_info: return the environment's infos of every step. Otherwise return only those of
        the steps that end an episode: training reads no others, and it is faster.
    :raises ValueError: if the environment resets its copies at another time
    :raises EnvError: every method, if the environment raises an exception or returns what breaks
        its contract
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        seeds: Sequence[int],
        *,
        name: str = "",
        every_info: bool = True,
    ) -> None:
        from rl_runner.envs.vectorized.step_totals import add_step  # loads the compiler: 0.3 s

        if env.metadata.get("autoreset_mode") is not AutoresetMode.SAME_STEP:
            message = (
                f"{type(env).__name__} does not reset in the step that ends an episode "
                "(AutoresetMode.SAME_STEP), which SB3 needs"
            )
            raise ValueError(message)
        self.env = env
        self.name = name or type(env).__name__
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        # The shapes of RESULTS; observations in a dictionary or a tuple have none as a whole
        shape = env.single_observation_space.shape
        obs_shape = None if shape is None else (env.num_envs, *shape)
        self._shapes = [obs_shape, *[(env.num_envs,)] * 3]
        self._every_info = every_info
        self._add_step = add_step
        self._first_seeds = [deque([seed]) for seed in seeds]
        # Returns of the open episodes: the sums, and what rounding has cut off them
        self._returns = np.zeros(self.num_envs)
        self._remainders = np.zeros(self.num_envs)
        self._lengths = np.zeros(self.num_envs, np.int64)
        self._started = time.time()
        self._actions: np.ndarray | None = None

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Ignore the seed that an algorithm passes: the copies have theirs from the constructor."""
        del seed
        return [None] * self.num_envs

    def begin_episodes(self, copy: int, seeds: Sequence[int]) -> None:
        """Use these seeds for the next resets of one copy.

        :raises ValueError: if there are several seeds and the environment takes only the first
        """
        if hasattr(self.env, "begin_episodes"):
            self.env.begin_episodes(copy, seeds)
            self._first_seeds[copy] = deque()
        elif len(seeds) > 1:
            message = f"{type(self.env).__name__} takes one seed for each copy, not {len(seeds)}"
            raise ValueError(message)
        else:
            self._first_seeds[copy] = deque(seeds)

    def reset(self) -> VecEnvObs:
        """Begin an episode in every copy."""
        # Seeds of first episodes; a copy without one continues with its own generator.
        seeds = [queue.popleft() if queue else None for queue in self._first_seeds]
        any_seed: Any = seeds if any(seed is not None for seed in seeds) else None
        try:
            obs, infos = self.env.reset(seed=any_seed)
            self._check_shapes((obs,), infos)
        except BaseException as error:  # noqa: BLE001 - an environment may raise anything
            raise_named(self.name, error, "reset()")
        self._returns[:] = 0.0
        self._remainders[:] = 0.0
        self._lengths[:] = 0
        self.reset_infos = _one_per_copy(infos, self.num_envs)
        return obs  # type: ignore[no-any-return]

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions until :meth:`step_wait`, which SB3 calls next."""
        self._actions = np.asarray(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """Step all copies; those whose episode ended return the first observation of the next."""
        try:
            obs, rewards, terminated, truncated, batched_infos = self.env.step(self._actions)
            self._check_shapes((obs, rewards, terminated, truncated), batched_infos)
            # Check the step, and add it to Monitor's statistics of the open episodes.
            dones = np.asarray(terminated | truncated, np.bool_)
            rewards_float32 = np.empty(self.num_envs, np.float32)
            n_ended = self._add_step(
                _floats_of(obs),
                np.asarray(rewards, np.float64),
                dones,
                (self._returns, self._remainders, self._lengths),
                rewards_float32,
            )
        except BaseException as error:  # noqa: BLE001 - an environment may raise anything
            raise_named(self.name, error, "step()")
        if n_ended < 0:
            raise self._not_finite(obs, rewards)
        infos = _one_per_copy(batched_infos if self._every_info else {}, self.num_envs)
        if n_ended:
            for i in map(int, np.flatnonzero(dones)):
                self._end_episode(i, infos[i], batched_infos, bool(terminated[i]))
        return obs, rewards_float32, dones, infos

    def _check_shapes(self, results: Sequence[Any], infos: Any) -> None:
        """Refuse results that are not arrays with one entry per copy.

        :param results: the first one or all of observations, rewards, terminated and truncated
        :raises EnvError: naming the first that is not
        """
        shapes = [getattr(values, "shape", None) for values in results]
        if shapes == self._shapes[: len(shapes)] and isinstance(infos, dict):
            return
        for name, values, shape, expected in zip(
            RESULTS, results, shapes, self._shapes, strict=False
        ):
            if shape != expected:
                what = f"`{self.name}` returned {name} as {described(values)}."
                cure = f"{self.num_envs} copies return an array of shape {expected}."
                raise EnvError(Problem(what, cure=cure))
        what = f"`{self.name}` returned infos that are {described(infos)}."
        raise EnvError(Problem(what, cure="Return a dictionary."))

    def _end_episode(self, i: int, info: Info, batched: Info, terminated: bool) -> None:
        """Add to a copy's info what SB3's DummyVecEnv and Monitor add at the end of an episode."""
        if "final_obs" not in batched:
            what = f"`{self.name}` ended an episode without `final_obs` among its infos."
            cure = "An environment that resets in the same step returns the last observation there."
            raise EnvError(Problem(what, cure=cure))
        final = batched.get("final_info", {} if self._every_info else _step_infos(batched))
        info.update(_row_of(final, i))
        info["terminal_observation"] = np.asarray(batched["final_obs"][i])
        info["TimeLimit.truncated"] = not terminated
        info["episode"] = {
            "r": float(self._returns[i] + self._remainders[i]),
            "l": int(self._lengths[i]),
            "t": round(time.time() - self._started, 6),
        }
        self._returns[i] = self._remainders[i] = 0.0
        self._lengths[i] = 0

    def _not_finite(self, obs: VecEnvObs, rewards: np.ndarray) -> EnvError:
        """Return the error for a step with a reward or an observation that is not finite."""
        what, values = "reward", rewards
        if np.isfinite(rewards).all():
            what, values = "observation", np.asarray(obs)
        copy = int(np.argwhere(~np.isfinite(values))[0][0])
        where = f"(copy {copy}, step {self._lengths[copy] + 1} of its episode)"
        message = f"`{self.name}` returned {what}s that are not finite {where}."
        return EnvError(Problem(message, cure=FINITE))

    def close(self) -> None:
        """Close the environment; an exception is logged and ends nothing."""
        close_quietly(self.env, self.name)

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return the environment's attribute once per copy: the copies share it."""
        return [getattr(self.env, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute for all copies; ``indices`` must name them all."""
        if len(list(self._get_indices(indices))) < self.num_envs:
            message = (
                "the copies of a batched environment share attributes: set them for all copies"
            )
            raise ValueError(message)
        setattr(self.env, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of the environment that returns a row per copy; return the rows asked for.

        ``begin_episodes`` is called copy by copy, as with single copies.
        """
        chosen: Iterable[int] = self._get_indices(indices)
        if method_name == "begin_episodes":
            return [self.begin_episodes(i, *method_args, **method_kwargs) for i in chosen]  # type: ignore[func-returns-value]
        try:
            rows = getattr(self.env, method_name)(*method_args, **method_kwargs)
            return [rows[i] for i in chosen]
        except BaseException as error:  # noqa: BLE001 - an environment may raise anything
            raise_named(self.name, error, f"{method_name}()")

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper], indices: Any = None) -> list[bool]:
        """Return True for Monitor, whose statistics this class computes; nothing wraps a copy."""
        from stable_baselines3.common.monitor import Monitor

        return [issubclass(Monitor, wrapper_class) for _ in self._get_indices(indices)]


def _floats_of(obs: VecEnvObs) -> np.ndarray:
    """Return floating-point observations one after another; none if they are of another type."""
    if not isinstance(obs, np.ndarray) or obs.dtype.kind != "f":
        return NO_FLOATS
    return (obs if obs.dtype.itemsize > 2 else obs.astype(np.float32)).ravel()


def _one_per_copy(batched: Info, n: int) -> list[Info]:
    """Split Gymnasium's batched infos: ``_key`` says for which copies ``key`` holds."""
    infos: list[Info] = [{"TimeLimit.truncated": False} for _ in range(n)]
    for key, values in _step_infos(batched).items():
        if key.startswith("_"):
            continue  # a mask, read with its key
        mask = batched.get(f"_{key}")
        if mask is not None:
            for i in map(int, np.flatnonzero(mask)):
                infos[i][key] = _row_of(values, i)
        else:
            for info, value in zip(infos, _rows_of(values, n), strict=True):
                info[key] = value
    return infos


def _step_infos(batched: Info) -> Info:
    """Return the infos without the keys that describe the ends of episodes."""
    return {key: values for key, values in batched.items() if key not in END_KEYS}


def _rows_of(values: Any, n: int) -> Sequence[Any]:
    """Return each copy's part of an info that every copy has.

    It goes column by column, several times as fast as :func:`_row_of` for one copy after another.
    """
    if isinstance(values, np.ndarray):
        rows: list[Any] = values.tolist() if values.ndim == 1 else list(values)
        return rows
    if not isinstance(values, dict) or any(key.startswith("_") for key in values):
        return [_row_of(values, i) for i in range(n)]
    columns = [_rows_of(value, n) for value in values.values()]
    return [dict(zip(values, row, strict=True)) for row in zip(*columns, strict=True)]


def _row_of(values: Any, i: int) -> Any:
    """Return copy ``i``'s part of a batched info, which may be nested."""
    if not isinstance(values, dict):
        return values[i]
    return {
        key: _row_of(value, i)
        for key, value in values.items()
        if not key.startswith("_") and (f"_{key}" not in values or values[f"_{key}"][i])
    }
