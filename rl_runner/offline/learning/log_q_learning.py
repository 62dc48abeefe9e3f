"""Q-learning from a log (Watkins & Dayan 1992), with back-off and shrinkage.

Interactions are gone through once, in the order in which their outcomes are known:

    td_target = r                         if the person left
              = r + γ max_a' Q̂(s', a')    when the session's next interaction arrives
    Q_l(s, a) ← Q_l(s, a) + α (td_target − Q_l(s, a))    at every level l of the back-off,

where Q̂ is the shrunk value of :func:`rl_runner.offline.learning.compiled_q_learning.blend`.
Interactions whose successor is not in the log (cut off by the window, or a refused row) wait for
it. They are kept with the table, so that learning from two consecutive windows gives the same
result as learning from both at once.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rl_runner.arrays import load_arrays, save_arrays
from rl_runner.envs.recommender.domain import N_ACTIONS, N_STATES
from rl_runner.offline.learning.backoff import NAMES, SIZES, level_rows
from rl_runner.offline.learning.compiled_q_learning import blend_all, q_learning_pass
from rl_runner.offline.logs.interactions import Interactions

FORMAT = 1


@dataclass
class Waiting:
    """Interactions that wait for the next of their session; n of them."""

    session_key: list[str]
    step: np.ndarray  # (n,) int32
    state: np.ndarray  # (n,) int32
    action: np.ndarray  # (n,) int16
    reward: np.ndarray  # (n,) float64

    @classmethod
    def nobody(cls) -> "Waiting":
        """Return none."""
        return cls([], *(np.zeros(0, kind) for kind in (np.int32, np.int32, np.int16, float)))


class LogQLearning:
    """A table learned from a log.

    :param learning_rate: α₀
    :param learning_rate_power: α = max(learning_rate_min, α₀ N^−power) at a pair's N-th visit; 0 is
        the constant rate of a stream that may drift, 1 the plain average
    :param learning_rate_min: α never falls below this
    :param gamma: discount factor; 0 looks at the next reward only
    :param shrinkage: κ, how many visits at a level weigh as much as the coarser level
    :param exploration: how the policy that is deployed explores
    :param exploration_initial_eps: ε before the first session
    :param exploration_decay: ε is multiplied by it with every session learned from
    :param exploration_final_eps: ε never falls below this
    :param ucb_coef: c in Q + c √(ln N(s) / N(s, a))
    """

    values_are_bounded = True  # they are averages of what rewards can sum to

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
        self.waiting = Waiting.nobody()
        self.n_sessions = 0
        self.n_learned = 0

    @property
    def memory(self) -> float:
        """How many visits a value effectively averages: (2 − α) / α at the smallest α."""
        rate, power, lowest = self.steps
        lowest = max(lowest, rate) if power == 0 else lowest
        return (2.0 - lowest) / lowest if lowest > 0 else np.inf

    def learn(self, log: Interactions) -> dict[str, Any]:
        """Learn from interactions in the order of time, after all that were learned from before.

        :return: what happened, for run.json
        """
        before = log.predecessors()
        if self.gamma == 0:  # nothing has to be waited for
            state, action, reward = log.state, log.action, log.reward
            terminal, before = np.ones(len(log), dtype=bool), np.full(len(log), -1)
            n_waited = 0
        else:
            waiting, before = self._seat_waiting(log, before)
            n_waited = len(waiting.step)
            state = np.concatenate([waiting.state, log.state])
            action = np.concatenate([waiting.action, log.action])
            reward = np.concatenate([waiting.reward, log.reward])
            terminal = np.concatenate([np.zeros(n_waited, dtype=bool), log.terminal])
        n_learned, error = q_learning_pass(
            (self.values, self.visits),
            level_rows(),
            (state, action, reward, terminal, before),
            self.steps,
            self.gamma,
            (self.shrinkage, self.memory),
        )
        if self.gamma:
            self._keep_waiting(log, before, n_waited)
        self.n_sessions += int((log.step == 0).sum())
        self.n_learned += n_learned
        return {
            "transitions": n_learned,
            "waiting": len(self.waiting.step),
            "mean_abs_td_error": error / max(1, n_learned),
        }

    def _seat_waiting(self, log: Interactions, before: np.ndarray) -> tuple[Waiting, np.ndarray]:
        """Put whoever waits before the log; link them to their successors; shift the links."""
        seated = self.waiting
        n = len(seated.step)
        linked = np.concatenate([np.full(n, -1), np.where(before >= 0, before + n, -1)])
        if n == 0:
            return seated, linked
        number = {key: i for i, key in enumerate(log.session_key.to_list())}
        sessions = np.array([number.get(key, -1) for key in seated.session_key])
        row_of = np.full(len(number), -1)
        orphans = np.flatnonzero(before < 0)[::-1]
        row_of[log.session[orphans]] = orphans  # the first row of each session in this log
        for i in np.flatnonzero(sessions >= 0):
            row = row_of[sessions[i]]
            if row >= 0 and log.step[row] == seated.step[i] + 1:
                linked[n + row] = i
        return seated, linked

    def _keep_waiting(self, log: Interactions, linked: np.ndarray, n_waited: int) -> None:
        """Note whose successor has not come: neither terminal nor anybody's predecessor."""
        waits = np.concatenate([np.ones(n_waited, dtype=bool), ~log.terminal])
        waits[linked[linked >= 0]] = False
        # Of a session only its last row can still be continued.
        last = np.zeros(len(log), dtype=bool)
        final_row = np.zeros(len(log.session_key), dtype=np.int64)
        final_row[log.session] = np.arange(len(log))
        last[np.unique(final_row[log.session])] = True
        waits[n_waited:] &= last
        rows = np.flatnonzero(waits[n_waited:])
        old = np.flatnonzero(waits[:n_waited])
        came = set(log.session_key.to_list()) if len(old) else set()
        old = np.array([i for i in old if self.waiting.session_key[i] not in came], dtype=np.int64)
        kept = self.waiting
        self.waiting = Waiting(
            [kept.session_key[i] for i in old]
            + log.session_key.gather(log.session[rows]).to_list(),
            np.concatenate([kept.step[old], log.step[rows]]),
            np.concatenate([kept.state[old], log.state[rows]]),
            np.concatenate([kept.action[old], log.action[rows]]),
            np.concatenate([kept.reward[old], log.reward[rows]]),
        )

    # --- what it knows ------------------------------------------------------------------------

    def q_values(self, states: np.ndarray) -> np.ndarray:
        """Return (n, 27) shrunk action values of (n,) states."""
        rows = np.ascontiguousarray(level_rows()[states])
        return blend_all(self.values, self.visits, rows, self.shrinkage, self.memory)

    @property
    def epsilon(self) -> float:
        """ε after the sessions learned from so far."""
        first, decay, last = self.eps
        return max(last, first * decay**self.n_sessions)

    def policy(self, states: np.ndarray) -> np.ndarray:
        """Return (n, 27) P(a | s) of the policy that is deployed."""
        q_values = self.q_values(states)
        if self.exploration == "ucb":
            q_values = q_values + self.ucb_coef * self._bonus(states)
        greedy = np.zeros_like(q_values)
        greedy[np.arange(len(states)), q_values.argmax(axis=1)] = 1.0
        if self.exploration != "epsilon_greedy":
            return greedy
        mixed: np.ndarray = (1.0 - self.epsilon) * greedy + self.epsilon / N_ACTIONS
        return mixed

    def _bonus(self, states: np.ndarray) -> np.ndarray:
        """Return (n, 27) √(ln N(s) / N(s, a)) at the finest level that has tried every action.

        Where even the coarsest has not, what is untried is infinitely worth a try.
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

    def coverage(self) -> dict[str, Any]:
        """Return how much of each level was seen, and the action values' mean, extremes, bounds."""
        levels = {}
        for name, visits in zip(NAMES, self.visits, strict=True):
            seen = visits > 0
            n_seen = int(seen.sum())
            levels[name] = {
                "states": int(seen.any(axis=1).sum()),
                "of_states": len(visits),
                "state_actions": n_seen,
                "of_state_actions": visits.size,
                "visits_per_state_action": float(visits.sum() / max(1, n_seen)),
            }
        tried = self.visits[-1] > 0
        visited = self.values[-1][tried] if tried.any() else np.zeros(1)
        return {
            "levels": levels,
            "total_states": levels["full"]["states"],
            "total_state_actions": levels["full"]["state_actions"],
            "avg_q_value": float(visited.mean()),
            "max_q_value": float(visited.max()),
            "min_q_value": float(visited.min()),
            "epsilon": self.epsilon,
        }

    def outside(self, reward_bounds: tuple[float, float]) -> int:
        """Return how many values lie outside what discounted rewards can sum to: a bug if any."""
        horizon = 1.0 / (1.0 - self.gamma) if self.gamma < 1 else np.inf
        slack = 1e-9
        low = min(0.0, reward_bounds[0]) * horizon - slack
        high = max(0.0, reward_bounds[1]) * horizon + slack
        # not (low <= q <= high), so that NaN counts too
        return int(sum((~((low <= table) & (table <= high))).sum() for table in self.values))

    # --- on disk ------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write what was learned to an npz file; of the tables, the visited entries."""
        arrays = {
            "format": np.array(FORMAT),
            "counters": np.array([self.n_sessions, self.n_learned]),
            "waiting/session_key": np.array(self.waiting.session_key, dtype=np.str_),
            "waiting/step": self.waiting.step,
            "waiting/state": self.waiting.state,
            "waiting/action": self.waiting.action,
            "waiting/reward": self.waiting.reward,
        }
        for name, values, visits in zip(NAMES, self.values, self.visits, strict=True):
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
        for name, values, visits in zip(NAMES, self.values, self.visits, strict=True):
            entries = arrays[f"{name}/entries"]
            if len(entries) and not 0 <= entries.min() <= entries.max() < values.size:
                message = f"the level `{name}` has another size"
                raise ValueError(message)
            values.flat[entries] = arrays[f"{name}/values"]
            visits.flat[entries] = arrays[f"{name}/visits"]
        self.n_sessions, self.n_learned = map(int, arrays["counters"])
        keys = ("step", "state", "action", "reward")
        self.waiting = Waiting(
            [str(key) for key in arrays["waiting/session_key"]],
            *(arrays[f"waiting/{key}"] for key in keys),
        )

    def table(self) -> np.ndarray:
        """Return (262500, 27) shrunk action values."""
        return self.q_values(np.arange(N_STATES))
