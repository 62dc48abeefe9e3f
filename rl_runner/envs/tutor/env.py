"""``Tutor-v0``: teach the business of music to one learner at a time."""

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.error import InvalidAction, ResetNeeded

from rl_runner.envs.info_values import NOT_AVERAGED, InfoValue, InfoValues
from rl_runner.envs.tutor.options import Model, TutorOptions
from rl_runner.envs.tutor.page.record import EpisodeRecord
from rl_runner.envs.tutor.page.view import TutorView
from rl_runner.envs.tutor.page.window import Window
from rl_runner.envs.tutor.simulator import model
from rl_runner.envs.tutor.simulator.observation import OBSERVATION_SIZE, observation_space
from rl_runner.envs.tutor.simulator.state import MINUTES, RESPONSE, Learners, hidden_state
from rl_runner.errors import EnvError, Problem, did_you_mean

# What the numbers of an episode's last step are.
INFO_VALUES: InfoValues = {
    **dict.fromkeys((*model.FLAGS[2:], "correct"), NOT_AVERAGED),  # of that one step only
    "left": InfoValue("rate", "learners who left"),
    "graduated": InfoValue("rate", "learners who graduated"),
}
RENDER_MODES = ("human", "rgb_array", "ansi")


class TutorEnv(gym.Env[np.ndarray, np.int64]):
    """A tutor of African music creatives chooses the next step for a learner.

    ## Description
    There are three topics (music distribution, copyright and licensing, social media marketing)
    of two modules each. The learner's knowledge, engagement, confusion, goal (the topic it came
    for) and pace of learning are hidden. :mod:`.simulator.model` has every number of the model and
    says which are supported by literature; the others are calibrated, not measured on people.

    ## Action Space
    ``Discrete(6)``: 0, 1, 2: suggest the next module of topic 0, 1, 2; 3: provide a resource link
    on the topic last suggested; 4: ask a clarifying question; 5: recommend a quiz.

    ## Observation Space
    ``Box(0, 1, (47,), float32)``: profile, progress, engagement, knowledge and recent history, in
    the slices :data:`.simulator.observation.SLICES`. It is a function of what the platform has
    observed. The knowledge is the posterior mean of the platform's Bayesian filter.

    ## Starting State
    A learner drawn from the population, with nothing completed.

    ## Rewards
    +1 for a module completed, +0.5 for a quiz question answered correctly, +5 for positive
    feedback, −1 for a suggested module skipped, −5 for negative feedback or leaving (at most once
    per step), −0.1 for every step.

    ## Episode End
    Terminated: every module is completed and the last quiz of every topic is passed
    (``graduated``), or the learner leaves (``left``). Truncated: after ``horizon`` steps.

    ## Information
    ``reward_terms``, which sum to the reward; ``response``, one of
    :data:`.simulator.model.RESPONSES`; ``correct``, the right answers in a quiz; the flags
    ``completed``, ``skipped``, ``positive_feedback``, ``negative_feedback``, ``left``,
    ``graduated`` (also as ``is_success``). ``hidden`` only with ``reveal_hidden=True``.

    ## Arguments
    See :class:`rl_runner.envs.tutor.options.TutorOptions`.

    ## References
    See :mod:`.simulator.model`.

    ## Version History
    v0: first version.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]  # Env's is an instance's
        "render_modes": [*RENDER_MODES],
        "render_fps": 2,
    }
    info_values = INFO_VALUES

    def __init__(self, render_mode: str | None = None, **options: Any) -> None:
        self.options = TutorOptions.from_keywords(options)
        self.model: Model = self.options.build_model()
        self.observation_space = observation_space()
        self.action_space = spaces.Discrete(model.N_ACTIONS)
        if render_mode is not None and render_mode not in RENDER_MODES:
            cure = did_you_mean(render_mode, RENDER_MODES) or f"Known: {', '.join(RENDER_MODES)}."
            raise EnvError(Problem(f"There is no render mode `{render_mode}`.", "", cure))
        self.render_mode = render_mode
        self.learners = Learners.empty(1, self.model.n_levels)
        self._seeded = False
        self._in_episode = False
        self._observation = np.zeros(OBSERVATION_SIZE, dtype=np.float32)
        self._record = EpisodeRecord()
        self._window: Window | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode with the next learner; with a seed, with the first one of that seed."""
        from rl_runner.envs.tutor.simulator.batch import reset_learners
        from rl_runner.envs.tutor.simulator.draws import new_stream

        super().reset(seed=seed, options=options)
        # A seed begins a new stream of learners; without one, the next of the stream comes.
        if seed is not None or not self._seeded:
            self.learners.streams[0] = new_stream(self.np_random)
            self.learners.episodes[0] = 0
            self._seeded = True
        observations = np.empty((1, OBSERVATION_SIZE), dtype=np.float32)
        reset_learners(self.model, self.learners, np.ones(1, dtype=bool), observations)
        self._in_episode = True
        self._observation = observations[0].copy()
        self._record = EpisodeRecord()
        if self.render_mode == "human":
            self.render()
        return observations[0], self._with_hidden({})

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Let the learner respond to an action.

        :raises ResetNeeded: before the first reset, and after the end of an episode
        :raises InvalidAction: if the action is not an integer from 0 to 5
        """
        from rl_runner.envs.tutor.simulator.batch import Outcome, step_learners

        if not self._in_episode:
            message = "no episode is in progress: call reset() before step()"
            raise ResetNeeded(message)
        # A batch of one learner, so that the numbers are those of TutorVectorEnv.
        outcome, actions = Outcome.empty(1), as_actions([action], 1)
        n_ended = step_learners(self.model, self.learners, actions, outcome, autoreset=False)
        if n_ended < 0:
            raise out_of_range(actions)
        # Take the learner's column of every array.
        reward, *terms = outcome.sums[:, 0].tolist()
        terminated, truncated, *flags = outcome.flags[:, 0].tolist()
        self._in_episode = n_ended == 0
        info = {
            "reward_terms": dict(zip(model.REWARD_TERMS, terms, strict=True)),
            "response": model.RESPONSES[self.learners.rows[0, RESPONSE]],
            "correct": int(outcome.correct[0]),
            **dict(zip(model.FLAGS[2:], flags, strict=True)),
        }
        info["is_success"] = info["graduated"]
        # The page shows the whole episode, so each step is recorded.
        if self.render_mode is not None:
            self._record.add(self.learners.rows[0], reward)
            self._observation = outcome.observations[0].copy()
        if self.render_mode == "human":
            self.render()
        return outcome.observations[0], reward, terminated, truncated, self._with_hidden(info)

    def render(self) -> Any:
        """Show the platform's page: (600, 960, 3) uint8 for ``rgb_array``, text for ``ansi``.

        :raises ResetNeeded: before the first reset
        """
        if self.render_mode is None:
            return None
        from rl_runner.envs.tutor.page import render_page, render_text

        view = self.view()
        if self.render_mode == "ansi":
            return render_text(view)
        page = render_page(view)
        if self.render_mode == "rgb_array":
            return page
        if self._window is None:
            self._window = Window("Tutor", self.metadata["render_fps"])
        self._window.show(page)
        return None

    def view(self) -> TutorView:
        """Return what the page shows; without a render mode, the exchanges are missing.

        :raises ResetNeeded: before the first reset
        """
        if not self._seeded:
            message = "there is no learner yet: call reset() first"
            raise ResetNeeded(message)
        row, minutes = self.learners.rows[0], float(self.learners.measured[0, MINUTES])
        return self._record.view(row, self._observation, minutes, self.options)

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def full_states(self) -> np.ndarray:
        """Return (N_COLUMNS,) the learner's row, the hidden part included; see :mod:`.state`."""
        row: np.ndarray = self.learners.rows[0].copy()
        return row

    def _with_hidden(self, info: dict[str, Any]) -> dict[str, Any]:
        return (
            info | {"hidden": hidden_state(self.learners.rows[0])}
            if self.options.reveal_hidden
            else info
        )


def as_actions(actions: Any, n: int) -> np.ndarray:
    """Return actions as (n,) int64; the compiled step checks their range.

    :raises InvalidAction: if they are not n integers
    """
    given = np.asarray(actions)
    if given.shape != (n,):
        given = given.reshape(-1)
    if given.shape != (n,) or given.dtype.kind not in "iu":
        message = f"expected {n} whole numbers as actions, not {actions!r}"
        raise InvalidAction(message)
    return given.astype(np.int64, order="C", copy=False)


def out_of_range(actions: np.ndarray) -> InvalidAction:
    """Return the error for actions of which some are not 0 to 5."""
    wrong = sorted({int(a) for a in actions if not 0 <= a < model.N_ACTIONS})
    return InvalidAction(f"actions are whole numbers from 0 to {model.N_ACTIONS - 1}, not {wrong}")
