"""Q-learning from a log (Watkins & Dayan 1992), with back-off and shrinkage.

It passes once over the interactions, in the order in which their outcomes are known:

    td_target = r                         if the person left
              = r + γ max_a' Q̂(s', a')    when the session's next interaction arrives
    Q_l(s, a) ← Q_l(s, a) + α (td_target − Q_l(s, a))    at every level l of the back-off,

where Q̂ is the shrunk value of :func:`rl_runner.offline.learning.compiled_q_learning.blend`.
Interactions whose successor is not in the log (it lies after the window, or was refused) are kept
for the next log, see :mod:`rl_runner.offline.learning.pending`.
"""

from pathlib import Path
from typing import Literal

import numpy as np

from rl_runner.arrays import load_arrays, save_arrays
from rl_runner.offline.learning.backoff import LEVELS, N_ACTIONS, SIZES, level_rows
from rl_runner.offline.learning.compiled_q_learning import blend_all, q_learning_pass
from rl_runner.offline.learning.pending import Pending
from rl_runner.offline.logs.interactions import Interactions
from rl_runner.runs.log_results import Coverage, Learned, LevelCoverage

FORMAT = 1


class LogQLearning:
    """A table of action values, learned from a log.

    :param learning_rate: α₀
    :param learning_rate_power: α = max(learning_rate_min, α₀ N^−power) at the N-th visit of a
        state and action; 0 is a constant rate, for data that may drift, 1 the plain average
    :param learning_rate_min: α never falls below this
    :param gamma: discount factor; with 0 only the next reward counts
    :param shrinkage: κ, how many visits at a level weigh as much as the next coarser level
    :param exploration: how the deployed policy explores
    :param exploration_initial_eps: ε before the first session
    :param exploration_decay: factor of ε per session learned from
    :param exploration_final_eps: ε never falls below this
    :param ucb_coef: c in Q + c √(ln N(s) / N(s, a))
    """

    values_are_bounded = True  # they are averages of possible sums of rewards

    def __init__(  # noqa: PLR0913, PLR0917 - hyperparameters, as a config gives them
        self,
        learning_rate: float = 1.0,
        learning_rate_power: float = 0.8,
        learning_rate_min: float = 0.0,
        gamma: float = 0.95,
        shrinkage: float = 50.0,
        exploration: Literal["greedy", "epsilon_greedy", "ucb"] = "epsilon_greedy",
        exploration_initial_eps: float = 0.3,
        exploration_decay: float = 0.995,
        exploration_final_eps: float = 0.05,
        ucb_coef: float = 2.0,
    ) -> None:
        for name, rate in (("", learning_rate), ("_min", learning_rate_min)):
            if rate > 1:
                message = f"learning_rate{name} is {rate}; above 1 values would leave their bounds"
                raise ValueError(message)
        self.steps = (learning_rate, learning_rate_power, learning_rate_min)
        self.gamma = gamma
        self.shrinkage = shrinkage
        self.exploration = exploration
        self.eps = (exploration_initial_eps, exploration_decay, exploration_final_eps)
        self.ucb_coef = ucb_coef
        self.values = tuple(np.zeros((size, N_ACTIONS)) for size in SIZES)
        self.visits = tuple(np.zeros((size, N_ACTIONS), dtype=np.int32) for size in SIZES)
        self.pending = Pending.empty()
        self.n_sessions = 0
        self.n_learned = 0

    @property
    def memory(self) -> float:
        """The number of visits that a value effectively averages: (2 − α) / α at the smallest α."""
        rate, power, lowest = self.steps
        lowest = max(lowest, rate) if power == 0 else lowest
        return (2.0 - lowest) / lowest if lowest > 0 else np.inf

    def learn(self, log: Interactions) -> Learned:
        """Learn from interactions in the order of time, all later than those of earlier calls."""
        before = log.predecessors()
        if self.gamma == 0:
            # Every interaction is complete by itself.
            state, action, reward = log.state, log.action, log.reward
            terminal, before = np.ones(len(log), dtype=bool), np.full(len(log), -1)
        else:
            # Put the pending interactions before the log, and link them to their successors.
            pending, before = self.pending, self.pending.link(log, before)
            state = np.concatenate([pending.state, log.state])
            action = np.concatenate([pending.action, log.action])
            reward = np.concatenate([pending.reward, log.reward])
            terminal = np.concatenate([np.zeros(len(pending), dtype=bool), log.terminal])
        n_learned, error = q_learning_pass(
            (self.values, self.visits),
            level_rows(),
            (state, action, reward, terminal, before),
            self.steps,
            self.gamma,
            (self.shrinkage, self.memory),
        )
        # Keep what still lacks a successor for the next log.
        if self.gamma:
            self.pending = self.pending.after(log, before)
        self.n_sessions += int((log.step == 0).sum())
        self.n_learned += n_learned
        return Learned(
            transitions=n_learned,
            waiting=len(self.pending),
            mean_abs_td_error=error / max(1, n_learned),
        )

    # --- values and policy ------------------------------------------------------------------------

    def q_values(self, states: np.ndarray) -> np.ndarray:
        """Return (n, n_actions) shrunk action values of (n,) states."""
        rows = np.ascontiguousarray(level_rows()[states])
        return blend_all(self.values, self.visits, rows, self.shrinkage, self.memory)

    @property
    def epsilon(self) -> float:
        """ε after the sessions learned from so far."""
        first, decay, last = self.eps
        return max(last, first * decay**self.n_sessions)

    @property
    def lowest_epsilon(self) -> float:
        """The lowest ε that the deployed policy may reach."""
        return self.eps[2]

    def preferences(self, states: np.ndarray) -> np.ndarray:
        """Return (n, n_actions) values, with the bonus of ``exploration: ucb``."""
        q_values = self.q_values(states)
        if self.exploration != "ucb":
            return q_values
        preferences: np.ndarray = q_values + self.ucb_coef * self._bonus(states)
        return preferences

    def policy(self, states: np.ndarray) -> np.ndarray:
        """Return (n, n_actions) P(a | s) of the deployed policy in (n,) states."""
        preferences = self.preferences(states)
        greedy = np.zeros_like(preferences)
        greedy[np.arange(len(states)), preferences.argmax(axis=1)] = 1.0
        if self.exploration != "epsilon_greedy":
            return greedy
        mixed: np.ndarray = (1.0 - self.epsilon) * greedy + self.epsilon / N_ACTIONS
        return mixed

    def _bonus(self, states: np.ndarray) -> np.ndarray:
        """Return (n, n_actions) √(ln N(s) / N(s, a)) at the finest level that tried every action.

        Where not even the coarsest level has tried every action, the bonus of an untried one is ∞.
        """
        bonus = np.full((len(states), N_ACTIONS), np.inf)
        for level, visits in enumerate(self.visits):
            seen = visits[level_rows()[states, level]].astype(float)
            tried = (seen > 0).all(axis=1) if level else np.ones(len(states), dtype=bool)
            with np.errstate(divide="ignore"):
                total = np.log(np.maximum(seen[tried].sum(axis=1, keepdims=True), 1.0))
                of_level = np.sqrt(total / seen[tried]) if len(total) else bonus[tried]
            bonus[tried] = np.where(seen[tried] > 0, of_level, np.inf)
        return bonus

    def coverage(self) -> Coverage:
        """Return how much of each level was seen, and the mean and extremes of the values."""
        # How much of each level was seen.
        levels = {}
        for name, visits in zip(LEVELS, self.visits, strict=True):
            seen = visits > 0
            n_seen = int(seen.sum())
            levels[name] = LevelCoverage(
                states=int(seen.any(axis=1).sum()),
                of_states=len(visits),
                state_actions=n_seen,
                of_state_actions=visits.size,
                visits_per_state_action=float(visits.sum() / max(1, n_seen)),
            )
        # The values of the state-actions that were tried, at the finest level.
        tried = self.visits[-1] > 0
        visited = self.values[-1][tried] if tried.any() else np.zeros(1)
        return Coverage(
            levels=levels,
            total_states=levels["full"].states,
            total_state_actions=levels["full"].state_actions,
            avg_q_value=float(visited.mean()),
            max_q_value=float(visited.max()),
            min_q_value=float(visited.min()),
            epsilon=self.epsilon,
        )

    def outside(self, reward_bounds: tuple[float, float]) -> int:
        """Return how many values lie beyond what discounted rewards can sum to; one is a bug."""
        horizon = 1.0 / (1.0 - self.gamma) if self.gamma < 1 else np.inf
        slack = 1e-9
        low = min(0.0, reward_bounds[0]) * horizon - slack
        high = max(0.0, reward_bounds[1]) * horizon + slack
        # not (low <= q <= high), so that NaN counts too
        return int(sum((~((low <= table) & (table <= high))).sum() for table in self.values))

    # --- on disk ------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write what was learned to an npz file; of the tables only the visited entries."""
        arrays = {
            "format": np.array(FORMAT),
            "counters": np.array([self.n_sessions, self.n_learned]),
            "waiting/session_key": np.array(self.pending.session_key, dtype=np.str_),
            "waiting/step": self.pending.step,
            "waiting/state": self.pending.state,
            "waiting/action": self.pending.action,
            "waiting/reward": self.pending.reward,
        }
        for name, values, visits in zip(LEVELS, self.values, self.visits, strict=True):
            entries = np.flatnonzero(visits)
            arrays[f"{name}/entries"] = entries.astype(np.int32)
            arrays[f"{name}/values"] = values.flat[entries]
            arrays[f"{name}/visits"] = visits.flat[entries]
        save_arrays(path, arrays)

    def load(self, path: Path) -> None:
        """Read what :meth:`save` wrote; raises OSError, ValueError or KeyError."""
        arrays = load_arrays(path)
        if int(arrays["format"]) != FORMAT:
            message = f"a table of format {arrays['format']}, not {FORMAT}"
            raise ValueError(message)
        for name, values, visits in zip(LEVELS, self.values, self.visits, strict=True):
            entries = arrays[f"{name}/entries"]
            if len(entries) and not 0 <= entries.min() <= entries.max() < values.size:
                message = f"the level `{name}` has another size"
                raise ValueError(message)
            values.flat[entries] = arrays[f"{name}/values"]
            visits.flat[entries] = arrays[f"{name}/visits"]
        self.n_sessions, self.n_learned = map(int, arrays["counters"])
        keys = ("step", "state", "action", "reward")
        self.pending = Pending(
            [str(key) for key in arrays["waiting/session_key"]],
            *(arrays[f"waiting/{key}"] for key in keys),
        )
