"""Replaying actions to bring an environment back to the middle of an episode.

An environment whose episodes follow from their seeds is where it is because of its seeds and the
actions it was given. Replaying them brings another copy to the same place, whatever the environment
is made of: nothing of it has to be pickled, and no policy has to be asked.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from rl_runner.errors import describe_exception

CHUNK = 1024  # steps


@dataclass(frozen=True)
class ReplayMismatch:
    """How an environment behaved differently when its actions were replayed."""

    what: str

    def __str__(self) -> str:
        return self.what


class ActionHistory:
    """The resets and actions of a vectorised environment, and the last observation of them all."""

    def __init__(self) -> None:
        self.n_steps = 0
        self.last_obs: VecEnvObs = {}  # (n_envs, …)
        self._resets: list[int] = []  # how many steps came before each
        self._chunks: list[np.ndarray] = []  # (≤ CHUNK, n_envs, …) actions
        self._room = 0  # steps that the last chunk has room for

    def record_reset(self) -> None:
        """Record that all copies are reset."""
        self._resets.append(self.n_steps)

    def record_step(self, actions: np.ndarray) -> None:
        """Record a step; the actions (n_envs, …) are copied in their own type."""
        if not self._room or self._chunks[-1].dtype != actions.dtype:
            self._end_chunk()
            self._chunks.append(np.empty((CHUNK, *actions.shape), actions.dtype))
            self._room = CHUNK
        self._chunks[-1][-self._room] = actions
        self._room -= 1
        self.n_steps += 1

    def __iter__(self) -> Iterator[np.ndarray | None]:
        """Yield in order the actions of each step, (n_envs, …), and None for each reset."""
        self._end_chunk()
        resets = iter([*self._resets, None])
        next_reset = next(resets)
        for t, actions in enumerate(itertools.chain(*self._chunks, [None])):
            while t == next_reset:
                yield None
                next_reset = next(resets)
            if actions is not None:
                yield actions

    def ends_with(self, obs: VecEnvObs) -> bool:
        """Whether the last observation is ``obs``, bit for bit."""
        mine, theirs = _parts(self.last_obs), _parts(obs)
        return mine.keys() == theirs.keys() and all(
            mine[name].dtype == theirs[name].dtype
            and mine[name].tobytes() == theirs[name].tobytes()
            for name in mine
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all of it as arrays by name: few of them, however many steps there were."""
        self._end_chunk()
        by_type = itertools.groupby(self._chunks, lambda chunk: chunk.dtype)
        return {
            "resets": np.array(self._resets, dtype=np.int64),
            **{f"actions/{i}": np.concatenate(list(same)) for i, (_, same) in enumerate(by_type)},
            **{f"last_obs/{name}": part for name, part in _parts(self.last_obs).items()},
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Build the history that :meth:`arrays` described; raises KeyError if a part is missing."""
        history = cls()
        history._resets = arrays["resets"].tolist()
        while (name := f"actions/{len(history._chunks)}") in arrays:
            history._chunks.append(arrays[name])
        history.n_steps = sum(map(len, history._chunks))
        history.last_obs = {
            name.removeprefix("last_obs/"): part
            for name, part in arrays.items()
            if name.startswith("last_obs/")
        }
        return history

    def _end_chunk(self) -> None:
        if self._room:
            self._chunks[-1] = self._chunks[-1][: -self._room]
            self._room = 0


class ReplayableEnv(VecEnvWrapper):
    """Records the resets and actions of the open segment, and replays those of an earlier process.

    A wrapper and not a callback, since it has to see every step: ARS, for one, steps the
    environment inside ``evaluate_policy``.
    """

    def __init__(self, venv: VecEnv) -> None:
        super().__init__(venv)
        self.history = ActionHistory()
        self._replayed_obs: VecEnvObs | None = None  # while resets are answered with it

    def begin_segment(self, seeds: Sequence[int]) -> None:
        """Let the next episode of each copy begin on its seed, and a new history with it."""
        self.history = ActionHistory()
        self._replayed_obs = None
        for i, seed in enumerate(seeds):
            self.env_method("begin_episodes", [seed], indices=[i])

    def replay(
        self, history: ActionHistory, before_step: Callable[[int], None]
    ) -> ReplayMismatch | None:
        """Reset and step as ``history`` says; the result must equal its last observation.

        Afterwards :meth:`reset` returns that observation and resets nothing, until
        :meth:`allow_resets` is called: SB3's ``learn`` begins with a reset, which here would end
        the episodes that the replay has restored.

        :param before_step: called before each step with the number of steps so far; may raise
        :return: None if the environment did the same again
        """
        obs: VecEnvObs = {}
        n_steps = 0
        for actions in history:
            if actions is not None:
                before_step(n_steps)
                n_steps += 1
            try:
                obs = self.venv.reset() if actions is None else self.venv.step(actions)[0]
            except Exception as error:  # noqa: BLE001 - an environment may raise anything
                return ReplayMismatch(f"it raised {describe_exception(error)}")
        if not history.ends_with(obs):
            return ReplayMismatch("it returned another observation")
        self.history = history
        self._replayed_obs = obs
        return None

    def allow_resets(self) -> None:
        """Let :meth:`reset` reset again after a replay."""
        self._replayed_obs = None

    def reset(self) -> VecEnvObs:
        """Reset all copies, unless a replay has just put them mid-episode."""
        if self._replayed_obs is not None:
            return self._replayed_obs
        self.history.record_reset()
        self.history.last_obs = obs = self.venv.reset()
        return obs

    def step_async(self, actions: np.ndarray) -> None:
        """Record the actions and pass them on."""
        self.history.record_step(np.asarray(actions))
        self.venv.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """Step all copies and keep what they show."""
        result = self.venv.step_wait()
        self.history.last_obs = result[0]
        return result


def _parts(obs: VecEnvObs) -> dict[str, np.ndarray]:
    """Name the arrays of an observation."""
    if isinstance(obs, dict):
        return obs
    if isinstance(obs, tuple):
        return {str(i): part for i, part in enumerate(obs)}
    return {"": obs}
