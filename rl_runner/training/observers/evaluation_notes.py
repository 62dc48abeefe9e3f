"""What a run's evaluations show about its environment; each finding is reported once."""

from collections.abc import Callable

import numpy as np

from rl_runner.config import EnvConfig
from rl_runner.envs.episode_layers import RAW_EPISODE_ENDED, RAW_RETURN
from rl_runner.envs.specs import DEFAULT_TIME_LIMIT, find_spec
from rl_runner.evaluation.play.episodes import Episodes

GLOBALLY_RANDOM = (
    "{env} draws from a global random generator (`np.random`, `random` or torch), or seeds it. Its "
    "episodes do not follow from `reset(seed)` alone: use `self.np_random` instead."
)
NOT_REPEATABLE = (
    "{env} began differently when it was reset on the same seeds again. It ignores `reset(seed)`, "
    "or it (or one of its wrappers) carries something from one episode into the next: evaluations "
    "cannot be compared, and a run cannot resume exactly. `rl check` looks closer."
)
OTHER_RETURNS = (
    "The wrappers of {env} change its rewards. Every reported return is that of the wrapped "
    "environment; the environment's own is `raw_return` (mean {raw:.6g}, reported {mean:.6g})."
)
OTHER_EPISODES = (
    "The wrappers of {env} end episodes before the environment does ({share:.0%} of those played): "
    "every reported return is that of a part of an episode."
)
CUT_OFF = (
    "{share:.0%} of the held-out episodes were cut off after {limit:,} steps, which {env} does not "
    "ask for: it has no time limit. A reward that comes later is never seen; set `env.time_limit`."
)


class EvaluationNotes:
    """Looks at the episodes of each evaluation, and notes what their reader may not expect.

    :param note: is given each sentence, once
    """

    def __init__(self, env: EnvConfig, note: Callable[[str], None]) -> None:
        self._env = env
        self._note = note
        self._said: set[str] = set()
        self._starts = b""

    def look_at_periodic(self, episodes: Episodes) -> None:
        """Look at episodes whose seeds are the same each time."""
        if self._starts and episodes.starts and episodes.starts != self._starts:
            self._say(NOT_REPEATABLE)
        self._starts = episodes.starts
        self._look_at(episodes)

    def look_at_final(self, episodes: Episodes) -> None:
        """Look at the held-out episodes."""
        self._look_at(episodes)
        truncated = episodes.extras.get("truncated")
        limit = self._env.time_limit
        if truncated is None or limit != DEFAULT_TIME_LIMIT:
            return
        cut_off = (truncated == 1) & (episodes.lengths == limit)
        if cut_off.any() and find_spec(self._env).max_episode_steps is None:
            self._say(CUT_OFF, share=float(cut_off.mean()), limit=limit)

    def _look_at(self, episodes: Episodes) -> None:
        if episodes.is_globally_random:
            self._say(GLOBALLY_RANDOM)
        if (raw := episodes.extras.get(RAW_RETURN)) is not None:
            raw_mean = float(np.nanmean(raw))
            self._say(OTHER_RETURNS, raw=raw_mean, mean=episodes.mean_reward)
        if (ended := episodes.extras.get(RAW_EPISODE_ENDED)) is not None:
            self._say(OTHER_EPISODES, share=1.0 - float(np.nanmean(ended)))

    def _say(self, text: str, **numbers: float) -> None:
        if text not in self._said:
            self._said.add(text)
            self._note(text.format(env=self._env.id, **numbers))
