"""``Tutor-v0`` for many learners at a time, as a Gymnasium ``VectorEnv``."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from rl_runner.envs.tutor import model
from rl_runner.envs.tutor.env import checked_actions, event_flags
from rl_runner.envs.tutor.observation import observation_space
from rl_runner.envs.tutor.options import Model, TutorOptions
from rl_runner.envs.tutor.state import Learners, hidden_state


class TutorVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """n learners, stepped together in compiled code; learner ``i`` is exactly a ``TutorEnv``.

    An episode that ends begins anew in the same step: ``infos["final_obs"]`` (n, 47) and
    ``infos["final_info"]`` then hold what the scalar environment would have returned, and the masks
    ``_final_obs`` and ``_final_info`` (n,) say for whom. Everything else in ``infos`` is about the
    step just made, as in :class:`rl_runner.envs.tutor.env.TutorEnv`, as arrays (n,).

    Reset with one seed, learner ``i`` has seed + i, as in Gymnasium's vector environments; a list
    gives each its own.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]  # VectorEnv's is an instance's
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(self, num_envs: int = 1, render_mode: str | None = None, **options: Any) -> None:
        self.options = TutorOptions.from_keywords(options)
        self.model: Model = self.options.build_model()
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.single_observation_space = observation_space()
        self.single_action_space = spaces.Discrete(model.N_ACTIONS)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.learners = Learners.empty(num_envs, self.model.n_levels)
        self._observations = np.empty(self.observation_space.shape or (), dtype=np.float32)
        self._seeded = False
        self._begun = np.zeros(num_envs, dtype=bool)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Draw new learners; ``options={"reset_mask": (n,) bool}`` leaves the others as they are.

        :param seed: one seed, or one per learner (None: that learner goes on in its stream)
        """
        from rl_runner.envs.tutor.batch import reset_learners
        from rl_runner.envs.tutor.draws import new_stream, streams_of

        seeds = self._seeds(seed)
        chosen = np.asarray((options or {}).get("reset_mask", np.ones(self.num_envs, dtype=bool)))
        if not self._seeded:
            self.learners.streams[:] = [new_stream(self.np_random) for _ in range(self.num_envs)]
            self._seeded = True
        for i in np.flatnonzero(chosen):
            if seeds[i] is not None:
                self.learners.streams[i] = streams_of([seeds[i]])[0]
                self.learners.episodes[i] = 0
        self._observations = self._observations.copy()
        reset_learners(self.model, self.learners, chosen, self._observations)
        self._begun |= chosen
        return self._observations, self._with_hidden({})

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step every learner.

        :param actions: (n,) whole numbers from 0 to 5
        :raises ResetNeeded: before the first reset
        :raises InvalidAction: if an action is out of range
        """
        from rl_runner.envs.tutor.batch import Outcome, step_learners

        if not self._begun.all():
            message = "no episode has begun: call reset() before step()"
            raise ResetNeeded(message)
        outcome = Outcome.empty(self.num_envs)
        step_learners(
            self.model, self.learners, checked_actions(actions, self.num_envs), outcome, True
        )
        self._observations = outcome.observations
        flags = event_flags(outcome.events)
        ending = outcome.events[:, -1]
        infos: dict[str, Any] = {
            "reward_terms": dict(zip(model.REWARD_TERMS, outcome.terms.T, strict=True)),
            **flags,
        }
        ended = ending != model.GOING_ON
        if ended.any():
            infos |= {
                "final_obs": outcome.final_observations,
                "_final_obs": ended,
                "final_info": {**infos, "is_success": flags["graduated"], "_is_success": ended},
                "_final_info": ended,
            }
        terminated = flags["left"] | flags["graduated"]
        truncated = ending == model.TIME_OVER
        return self._observations, outcome.rewards, terminated, truncated, self._with_hidden(infos)

    @property
    def row(self) -> np.ndarray:
        """(n, N_COLUMNS) the learners' full states, see :mod:`rl_runner.envs.tutor.state`."""
        return self.learners.rows

    def _seeds(self, seed: int | Sequence[int | None] | None) -> list[int | None]:
        if seed is None:
            return [None] * self.num_envs
        seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else list(seed)
        if len(seeds) != self.num_envs:
            message = f"{len(seeds)} seeds were given for {self.num_envs} learners"
            raise ValueError(message)
        return seeds

    def _with_hidden(self, infos: dict[str, Any]) -> dict[str, Any]:
        if self.options.reveal_hidden:
            infos["hidden"] = np.array([hidden_state(row) for row in self.learners.rows])
        return infos
