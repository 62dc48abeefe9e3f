"""``Tutor-v0`` for many learners at once, as a Gymnasium ``VectorEnv``."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from rl_runner.envs.tutor.env import INFO_VALUES, as_actions, out_of_range
from rl_runner.envs.tutor.options import Model, TutorOptions
from rl_runner.envs.tutor.simulator import model
from rl_runner.envs.tutor.simulator.observation import observation_space
from rl_runner.envs.tutor.simulator.state import Learners, hidden_state

REWARD = "reward"
SUMS = (REWARD, *model.REWARD_TERMS)


class TutorVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """n learners, stepped together in compiled code; learner ``i`` equals one ``TutorEnv``.

    ``infos`` describe the step just made, with the names of the single environment: arrays (n,),
    and a dictionary of arrays for ``reward_terms``. There is no ``response``; the observation has
    it. The step that ends an episode begins the next one. ``final_obs`` (n, 47) and ``final_info``
    then hold what the single environment would have returned, for the learners in the masks
    ``_final_obs`` and ``_final_info`` (n,). Only ``hidden`` differs between ``infos`` (the next
    learner's) and ``final_info`` (that of the learner whose episode ended).

    After ``reset(seed=s)``, learner ``i`` has seed s + i, as in Gymnasium's vector environments. A
    list gives each learner its own seed.

    :param max_episode_steps: truncate before ``horizon``, as Gymnasium's ``TimeLimit`` would
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]  # VectorEnv's is an instance's
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    info_values = INFO_VALUES

    def __init__(
        self,
        num_envs: int = 1,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        self.options = TutorOptions.from_keywords(options)
        self.model: Model = self.options.build_model(max_episode_steps)
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.single_observation_space = observation_space()
        self.single_action_space = spaces.Discrete(model.N_ACTIONS)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.learners = Learners.empty(num_envs, self.model.n_levels)
        self._observations = np.empty(self.observation_space.shape or (), dtype=np.float32)
        self._seeded = np.zeros(num_envs, dtype=bool)
        self._begun = np.zeros(num_envs, dtype=bool)
        self._all_begun = False

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Draw new learners; ``options={"reset_mask": (n,) bool}`` leaves the others as they are.

        :param seed: one seed, or one per learner; None: the learner's stream continues
        """
        from rl_runner.envs.tutor.simulator.batch import reset_learners
        from rl_runner.envs.tutor.simulator.draws import new_stream

        # A stream for every chosen learner that is given a seed or has none yet.
        chosen = np.asarray((options or {}).get("reset_mask", np.ones(self.num_envs, dtype=bool)))
        for i, given in enumerate(self._seeds(seed)):
            if chosen[i] and given is not None:
                self.begin_episodes(i, [given])
            elif chosen[i] and not self._seeded[i]:
                self.learners.streams[i] = new_stream(self.np_random)
                self._seeded[i] = True
        # A copy, since the caller may still hold the last observations.
        self._observations = self._observations.copy()
        reset_learners(self.model, self.learners, chosen, self._observations)
        self._begun |= chosen
        self._all_begun = bool(self._begun.all())
        return self._observations, self._with_hidden({})

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step every learner.

        :param actions: (n,) integers from 0 to 5
        :raises ResetNeeded: before the first reset
        :raises InvalidAction: if an action is not an integer from 0 to 5
        """
        from rl_runner.envs.tutor.simulator.batch import Outcome, step_learners

        if not self._all_begun:
            message = "no episode has begun: call reset() before step()"
            raise ResetNeeded(message)
        outcome, given = Outcome.empty(self.num_envs), as_actions(actions, self.num_envs)
        n_ended = step_learners(self.model, self.learners, given, outcome, autoreset=True)
        if n_ended < 0:
            raise out_of_range(given)
        # Name the rows of the outcome's arrays.
        self._observations = outcome.observations
        terms: dict[str, Any] = dict(zip(SUMS, outcome.sums, strict=True))
        infos: dict[str, Any] = dict(zip(model.FLAGS, outcome.flags, strict=True))
        rewards = terms.pop(REWARD)
        terminated, truncated = infos.pop("terminated"), infos.pop("truncated")
        infos |= {
            "reward_terms": terms,
            "correct": outcome.correct,
            "is_success": infos["graduated"],
        }
        # Where an episode ended, the same infos once more as its last ones.
        if n_ended:
            ended = terminated | truncated
            final_info = self._with_hidden(infos.copy(), ended, outcome.final_rows)
            infos |= {
                "final_obs": outcome.final_observations,
                "_final_obs": ended,
                "final_info": final_info,
                "_final_info": ended,
            }
        infos = self._with_hidden(infos)
        return self._observations, rewards, terminated, truncated, infos

    def full_states(self) -> np.ndarray:
        """Return (n, N_COLUMNS) the learners' rows, the hidden part included; see :mod:`.state`."""
        return self.learners.rows.copy()

    def begin_episodes(self, copy: int, seeds: Sequence[int]) -> None:
        """Use these seeds for the next resets of learner ``copy``."""
        from rl_runner.envs.tutor.simulator.draws import streams_of

        # Widen the table of planned streams if needed, then fill in the learner's row.
        planned = streams_of(seeds)
        width = max(self.learners.planned.shape[1], len(planned))
        if width > self.learners.planned.shape[1]:
            wider = np.zeros((self.num_envs, width), dtype=np.uint64)
            wider[:, : self.learners.planned.shape[1]] = self.learners.planned
            self.learners = self.learners._replace(planned=wider)
        self.learners.planned[copy, : len(planned)] = planned
        self.learners.plans[copy] = 0, len(planned)
        self._seeded[copy] = True

    def _seeds(self, seed: int | Sequence[int | None] | None) -> list[int | None]:
        if seed is None:
            return [None] * self.num_envs
        counted = range(seed, seed + self.num_envs) if isinstance(seed, int) else seed
        seeds: list[int | None] = list(counted)
        if len(seeds) != self.num_envs:
            message = f"{len(seeds)} seeds were given for {self.num_envs} learners"
            raise ValueError(message)
        return seeds

    def _with_hidden(
        self, infos: dict[str, Any], ended: np.ndarray | None = None, final_rows: Any = None
    ) -> dict[str, Any]:
        """Add the hidden states if ``reveal_hidden``; the last ones of learners that ``ended``."""
        if self.options.reveal_hidden:
            rows = self.learners.rows
            if ended is not None:
                rows = np.where(ended[:, np.newaxis], final_rows, rows)
            infos["hidden"] = np.array([hidden_state(row) for row in rows])
        return infos
