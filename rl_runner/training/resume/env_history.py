"""What training environments were told since a segment began, so that others can be told the same.

An environment whose episodes follow from their seeds is where it is because of its seed and the
actions it got. Repeating them brings another copy to the same place, whatever it is made of:
nothing of it has to be pickled, and no policy has to be asked.
"""

import itertools
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs

CHUNK = 1024  # steps


class Otherwise(Exception):  # noqa: N818 - nothing failed that cannot be done another way
    """An environment did other things when told the same."""


class EnvHistory:
    """The resets and actions of a vectorised environment, and the observations they led to."""

    def __init__(self) -> None:
        self.n_steps = 0
        self.last_obs: VecEnvObs = {}  # (n_envs, …)
        self._resets: list[int] = []  # how many steps came before each
        self._chunks: list[np.ndarray] = []  # (≤ CHUNK, n_envs, …) actions
        self._room = 0  # steps that the last chunk has room for

    def note_reset(self) -> None:
        """Note that all copies are reset."""
        self._resets.append(self.n_steps)

    def note_step(self, actions: np.ndarray) -> None:
        """Note a step; the actions (n_envs, …) are copied as the numbers that they are."""
        if not self._room or self._chunks[-1].dtype != actions.dtype:
            self._end_chunk()
            self._chunks.append(np.empty((CHUNK, *actions.shape), actions.dtype))
            self._room = CHUNK
        self._chunks[-1][-self._room] = actions
        self._room -= 1
        self.n_steps += 1

    def repeat(self, env: VecEnv, before_step: Callable[[int], None]) -> None:
        """Tell another environment, that begins on the same seeds, the same.

        :param before_step: called with the number of steps before each of them; may raise
        :raises Otherwise: if the last observations are not the same, bit by bit, or it raises where
            the first one did not
        """
        self._end_chunk()
        obs: Any = {}
        resets = iter([*self._resets, None])
        next_reset = next(resets)
        for t, actions in enumerate(itertools.chain(*self._chunks, [None])):
            while t == next_reset:
                obs, next_reset = _answer(env.reset), next(resets)
            if actions is not None:
                before_step(t)
                obs, _, _, _ = _answer(env.step, actions)
        if not _same(_parts(obs), _parts(self.last_obs)):
            message = "it shows another observation"
            raise Otherwise(message)

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
        """Go on from :meth:`arrays`; raises KeyError if something is missing."""
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


def _answer(tell: Callable[..., Any], *told: Any) -> Any:
    try:
        return tell(*told)
    except Exception as error:
        message = f"it raised {error!r}"
        raise Otherwise(message) from error


def _parts(obs: VecEnvObs) -> dict[str, np.ndarray]:
    """Name the arrays of an observation."""
    if isinstance(obs, dict):
        return obs
    if isinstance(obs, tuple):
        return {str(i): part for i, part in enumerate(obs)}
    return {"": obs}


def _same(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(
        a[name].dtype == b[name].dtype and a[name].tobytes() == b[name].tobytes() for name in a
    )
