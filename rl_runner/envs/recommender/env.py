"""The Gymnasium environments: one session, and many at once, on the same kernel."""

from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from rl_runner.envs.info_values import NOT_AVERAGED, InfoValue, InfoValues
from rl_runner.envs.recommender.domain import N_ACTIONS, STATE_SIZES, TRAITS
from rl_runner.envs.recommender.kernel import MOOD, Outcome, People
from rl_runner.envs.recommender.people import default_population
from rl_runner.envs.recommender.rewards import OUTCOMES, rewards

Observation = Literal["discrete", "one_hot", "moment"]

TIME_LIMIT = 200  # fewer than one session in 100,000 is longer
# What the numbers of a session's last step are; moods are categories.
INFO_VALUES: InfoValues = {
    "mood_before": NOT_AVERAGED,
    "mood_after": NOT_AVERAGED,
    **{name: InfoValue("rate", f"{name} (last step)") for name in OUTCOMES},
    "completion_rate": InfoValue("mean", "completion rate (last step)"),
}
_N_TRAITS = len(TRAITS)
_OFFSETS = np.concatenate([[0], np.cumsum(STATE_SIZES)[:-1]])


def observation_space(kind: Observation) -> spaces.Space[Any]:
    """Return the space of one observation.

    :raises ValueError: if ``kind`` is not ``discrete``, ``one_hot`` or ``moment``
    """
    if kind == "discrete":
        return spaces.MultiDiscrete(list(STATE_SIZES))
    if kind == "one_hot":
        return spaces.Box(0.0, 1.0, (sum(STATE_SIZES),), np.float32)
    if kind == "moment":
        return spaces.MultiDiscrete(list(STATE_SIZES[_N_TRAITS:]))
    message = f"`observation` is {kind!r}; it can be 'discrete', 'one_hot' or 'moment'"
    raise ValueError(message)


def one_hot(states: np.ndarray) -> np.ndarray:
    """Return (n, 39) float32 one-hot vectors of (n, 8) components."""
    vectors = np.zeros((len(states), sum(STATE_SIZES)), dtype=np.float32)
    vectors[np.arange(len(states))[:, None], states + _OFFSETS] = 1.0
    return vectors


def observe(states: np.ndarray, kind: Observation) -> np.ndarray:
    """Return the observations, (n, 8), (n, 39) or (n, 3), of (n, 8) components."""
    if kind == "one_hot":
        return one_hot(states)
    return (states if kind == "discrete" else states[:, _N_TRAITS:]).copy()


class Sessions:
    """n sessions with one person each: their states, and how they change."""

    def __init__(self, n: int, kind: Observation) -> None:
        self._people = People(default_population())
        self._kind = kind
        self.states = np.zeros((n, len(STATE_SIZES)), dtype=np.int64)
        self._tastes = np.zeros(n, dtype=np.int64)

    def begin(self, chosen: np.ndarray, rng: np.random.Generator) -> None:
        """Begin new sessions, with new people, at these indices (k,)."""
        traits, tastes = self._people.draw_people(len(chosen), rng)
        self.states[chosen] = self._people.begin_sessions(traits, rng)
        self._tastes[chosen] = tastes

    def advance(self, actions: np.ndarray, rng: np.random.Generator) -> tuple[Outcome, np.ndarray]:
        """Recommend once in every session; return what the people did, and (n,) rewards."""
        outcome = self._people.respond(self.states, self._tastes, actions, rng)
        self.states[:, MOOD] = outcome.mood_after
        return outcome, rewards(outcome.terms(), outcome.mood_before, outcome.mood_after)

    def observations(self) -> np.ndarray:
        """Return (n, 8), (n, 39) or (n, 3) observations."""
        return observe(self.states, self._kind)


class RecommenderEnv(gym.Env[Any, Any]):
    """One session of a simulated person.

    ## Description
    A person with fixed traits listens, watches or plays at some time of day, in some mood. At each
    step the agent chooses *how* to recommend. The person responds, the mood changes, and sooner or
    later the person leaves. :mod:`rl_runner.envs.recommender.people` describes people, tastes and
    moods.

    ## Action Space
    ``Discrete(27)``: energy (low, medium, high) × diversity (focused, balanced, diverse) × novelty
    (familiar, mixed, exploratory), with the novelty changing fastest.

    ## Observation Space
    ``MultiDiscrete([5, 5, 5, 5, 5, 3, 7, 4])``: five traits in five bins (openness,
    conscientiousness, extraversion, agreeableness, neuroticism), content type, mood, time of day.
    With ``observation="one_hot"`` the same as ``Box(0, 1, (39,))``. With ``"moment"`` only content
    type, mood and time of day, ``MultiDiscrete([3, 7, 4])``: for tabular methods, 84 states instead
    of 262,500.

    ## Rewards
    like +1, dislike −1, complete +.5, skip −.3, share +.8, completion rate 0 to +.5, change of
    mood −.5 to +.5; the sum is from −1.8 to 3.3 (:mod:`rl_runner.envs.recommender.rewards`).

    ## Starting State
    A new person, drawn from the population.

    ## Episode End
    *Termination*: the person leaves, after 11 steps on average, sooner in a bad mood.
    *Truncation*: after 200 steps.

    ## Information
    ``like, dislike, complete, skip, share, completion_rate, mood_before, mood_after``.

    ## Arguments
    ``observation``: ``"discrete"`` (default), ``"one_hot"`` or ``"moment"``.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium's attribute
    info_values = INFO_VALUES

    def __init__(
        self, observation: Observation = "discrete", render_mode: str | None = None
    ) -> None:
        self.render_mode = render_mode
        self.observation_space = observation_space(observation)
        self.action_space = spaces.Discrete(N_ACTIONS)
        self._sessions = Sessions(1, observation)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin a session with a new person."""
        super().reset(seed=seed, options=options)
        self._sessions.begin(np.zeros(1, dtype=np.int64), self.np_random)
        return self._sessions.observations()[0], {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Recommend once and return the person's response."""
        actions = np.array([int(action)])
        outcome, gained = self._sessions.advance(actions, self.np_random)
        info = {name: value[0].item() for name, value in vars(outcome).items()}
        terminated = info.pop("terminal")
        return self._sessions.observations()[0], float(gained[0]), terminated, False, info

    def full_states(self) -> np.ndarray:
        """Return all components (8,) of the state, also those not observed; for baselines."""
        components: np.ndarray = self._sessions.states[0].copy()
        return components


class RecommenderVectorEnv(VectorEnv[Any, Any, Any]):
    """Many sessions at once; the step that ends a session begins the next one.

    :param num_envs: the number of sessions
    :param observation: as for :class:`RecommenderEnv`
    :param max_episode_steps: sessions are truncated after this many steps
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - Gymnasium's attribute
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    info_values = INFO_VALUES

    def __init__(
        self,
        num_envs: int = 1,
        observation: Observation = "discrete",
        max_episode_steps: int = TIME_LIMIT,
        render_mode: str | None = None,
    ) -> None:
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.single_observation_space = observation_space(observation)
        self.single_action_space = spaces.Discrete(N_ACTIONS)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._time_limit = max_episode_steps
        self._steps = np.zeros(num_envs, dtype=np.int64)
        self._sessions = Sessions(num_envs, observation)

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin all sessions with new people; a list of seeds becomes one seed for all copies."""
        del options
        if isinstance(seed, list):
            known = [part for part in seed if part is not None]
            seed = int(np.random.SeedSequence(known).generate_state(1)[0]) if known else None
        super().reset(seed=seed)
        self._steps[:] = 0
        self._sessions.begin(np.arange(self.num_envs), self.np_random)
        return self._sessions.observations(), {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Recommend once in every session; ``final_obs`` and ``final_info`` are of ended ones."""
        outcome, gained = self._sessions.advance(np.asarray(actions), self.np_random)
        self._steps += 1
        terminated = outcome.terminal
        truncated = ~terminated & (self._steps >= self._time_limit)
        infos: dict[str, Any] = {
            name: value for name, value in vars(outcome).items() if name != "terminal"
        }
        ended = np.flatnonzero(terminated | truncated)
        if len(ended):
            infos = self._end(ended, infos)
        return self._sessions.observations(), gained, terminated, truncated, infos

    def full_states(self) -> np.ndarray:
        """Return all components (n, 8) of the states, also those not observed; for baselines."""
        return self._sessions.states.copy()

    def _end(self, ended: np.ndarray, infos: dict[str, Any]) -> dict[str, Any]:
        """Return the last infos of these sessions and begin new ones in their place."""
        # Gymnasium's format: an array of all sessions, and a mask of those that have ended.
        over = np.zeros(self.num_envs, dtype=bool)
        over[ended] = True
        last = np.full(self.num_envs, None, dtype=object)
        for i, obs in zip(ended, self._sessions.observations()[ended], strict=True):
            last[i] = obs
        final = {**infos, **{f"_{name}": over for name in infos}}
        self._steps[ended] = 0
        self._sessions.begin(ended, self.np_random)
        return {"final_obs": last, "_final_obs": over, "final_info": final, "_final_info": over}
