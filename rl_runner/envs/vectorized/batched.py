"""From an environment that steps all its copies at once to the interface that SB3 knows.

Gymnasium's batched environments (``vector_entry_point``) and SB3's ``VecEnv`` agree in little:
Gymnasium keeps ``terminated`` and ``truncated`` apart, SB3 wants ``done`` and a
``TimeLimit.truncated`` in the infos; Gymnasium batches the infos, SB3 wants one dictionary a copy.

Random streams: copy ``i`` begins on its own seed, and every further episode of it goes on from its
own generator, as with single copies. An environment whose batched version gives each copy the same
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

Info = dict[str, Any]
ABOUT_ENDS = {"final_obs", "final_info", "_final_obs", "_final_info"}


class BatchedVecEnv(VecEnv):
    """A batched environment as SB3 sees one, with Monitor's episode statistics.

    :param env: resets each copy in the step that ended its episode (``AutoresetMode.SAME_STEP``);
        its ``reset`` takes a list of seeds, one for each copy, None for going on
    :param seeds: copy ``i`` begins its first episode on ``seeds[i]``
    :param every_info: tell the environment's infos of every step; else only of the steps that end
        an episode, which is all that training reads, and quicker
    :raises ValueError: if the environment resets its copies in another way
    """

    def __init__(
        self, env: VectorEnv[Any, Any, Any], seeds: Sequence[int], *, every_info: bool = True
    ) -> None:
        if env.metadata.get("autoreset_mode") is not AutoresetMode.SAME_STEP:
            message = (
                f"{type(env).__name__} does not begin new episodes in the step that ended the last "
                "ones (AutoresetMode.SAME_STEP), which SB3 needs"
            )
            raise ValueError(message)
        self.env = env
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self._every_info = every_info
        self._first_seeds = [deque([seed]) for seed in seeds]
        self._returns = np.zeros(self.num_envs)  # of the open episodes, summed in float64
        self._lengths = np.zeros(self.num_envs, np.int64)
        self._started = time.time()
        self._actions: np.ndarray | None = None

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Do nothing: the copies have their seeds, whatever an algorithm asks for."""
        del seed
        return [None] * self.num_envs

    def begin_episodes(self, copy: int, seeds: Sequence[int]) -> None:
        """Use these seeds, one for each of the coming resets of one copy.

        :raises ValueError: if the environment cannot be told the seeds of later episodes
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
        seeds = [queue.popleft() if queue else None for queue in self._first_seeds]
        any_seed: Any = seeds if any(seed is not None for seed in seeds) else None
        obs, infos = self.env.reset(seed=any_seed)
        self._returns[:] = 0.0
        self._lengths[:] = 0
        self.reset_infos = _one_per_copy(infos, self.num_envs)
        return obs  # type: ignore[no-any-return]

    def step_async(self, actions: np.ndarray) -> None:
        """Take the actions for :meth:`step_wait`."""
        self._actions = np.asarray(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """Step all copies; those whose episode ended return the first observation of the next."""
        obs, rewards, terminated, truncated, batched_infos = self.env.step(self._actions)
        dones = terminated | truncated
        self._returns += rewards
        self._lengths += 1
        infos = _one_per_copy(batched_infos if self._every_info else {}, self.num_envs)
        if np.count_nonzero(dones):  # a tenth of what `dones.any()` takes
            for i in map(int, np.flatnonzero(dones)):
                self._end_episode(i, infos[i], batched_infos, bool(terminated[i]))
        return obs, np.asarray(rewards, dtype=np.float32), dones, infos

    def _end_episode(self, i: int, info: Info, batched: Info, terminated: bool) -> None:
        """Say of a copy what SB3's DummyVecEnv and Monitor say at the end of an episode."""
        told = batched.get("final_info", {} if self._every_info else _about_steps(batched))
        info.update(_row_of(told, i))
        info["terminal_observation"] = np.asarray(batched["final_obs"][i])
        info["TimeLimit.truncated"] = not terminated
        info["episode"] = {
            "r": round(float(self._returns[i]), 6),
            "l": int(self._lengths[i]),
            "t": round(time.time() - self._started, 6),
        }
        self._returns[i] = 0.0
        self._lengths[i] = 0

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return the environment's attribute, which its copies share, once for each of them."""
        return [getattr(self.env, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute for all copies; ``indices`` must name them all."""
        if len(list(self._get_indices(indices))) < self.num_envs:
            message = "the copies of a batched environment share their attributes: name them all"
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
        rows = getattr(self.env, method_name)(*method_args, **method_kwargs)
        return [rows[i] for i in chosen]

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper], indices: Any = None) -> list[bool]:
        """Say yes to Monitor, whose episode statistics are made here; nothing else wraps a copy."""
        from stable_baselines3.common.monitor import Monitor

        return [issubclass(Monitor, wrapper_class) for _ in self._get_indices(indices)]


def _one_per_copy(batched: Info, n: int) -> list[Info]:
    """Split Gymnasium's batched infos: ``_key`` says for which copies ``key`` holds."""
    infos: list[Info] = [{"TimeLimit.truncated": False} for _ in range(n)]
    for key, values in _about_steps(batched).items():
        if key.startswith("_"):
            continue
        mask = batched.get(f"_{key}")
        if mask is not None:
            for i in map(int, np.flatnonzero(mask)):
                infos[i][key] = _row_of(values, i)
        else:
            for info, value in zip(infos, _rows_of(values, n), strict=True):
                info[key] = value
    return infos


def _about_steps(batched: Info) -> Info:
    """Return the infos without what is only about the ends of episodes."""
    return {key: values for key, values in batched.items() if key not in ABOUT_ENDS}


def _rows_of(values: Any, n: int) -> Sequence[Any]:
    """Return every copy's part of an info that holds for all of them.

    Column by column, which is several times as fast as :func:`_row_of` copy by copy.
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
