"""QMDP: acts as if all uncertainty about the learner vanished after one step.

It knows the kernel. From the agent's observations it keeps the exact posterior over the hidden
state (1,620 hidden states with two modules per topic) and weighs the oracle's values with it
(Littman, Cassandra & Kaelbling 1995):

    a = argmax_a  Σ_s b(s) Q_t(s, a).

It is a policy that sees no more than an agent does, so its return is a lower bound on the best
that is possible without seeing the hidden state. It never acts to gain information;
:mod:`.lookahead` does, and reaches more.
"""

import math
from typing import Final

import numpy as np

from rl_runner.compiled import compiled
from rl_runner.envs.tutor.options import Model, TutorOptions
from rl_runner.envs.tutor.planning.dynamic_programming import N_ENGAGEMENTS, action_values, type_of
from rl_runner.envs.tutor.planning.policies import Tutor
from rl_runner.envs.tutor.simulator import model
from rl_runner.envs.tutor.simulator.branches import N_SLOTS, PROBABILITY, first_branch, next_branch
from rl_runner.envs.tutor.simulator.kernel import act, pass_time
from rl_runner.envs.tutor.simulator.knowledge_filter import FAST, GOALS
from rl_runner.envs.tutor.simulator.model import HARD, N_ACTIONS, N_TOPICS
from rl_runner.envs.tutor.simulator.observation import MOST_MINUTES, SLICES
from rl_runner.envs.tutor.simulator.state import (
    ACTION,
    ANSWER,
    CONFUSED,
    ENDING,
    ENGAGEMENT,
    EXPERIENCE,
    FEEDBACK,
    FOCUS,
    GENRE,
    GOAL,
    KNOWLEDGE,
    MODULES,
    N_COLUMNS,
    OPENED,
    PACE,
    RESPONSE,
    SCORE,
    TESTED,
    TIME,
)

NEGLIGIBLE: Final = (
    1e-3  # hidden states less likely than this share of the most likely get no weight
)
VANISHING: Final = 1e-7  # and below this share they are dropped from the belief


class QMDP(Tutor):
    """Combines the exact posterior and the oracle's values by the rule of Littman et al.

    :param values: from :func:`rl_runner.envs.tutor.planning.oracle.load_values`
    """

    def __init__(self, options: TutorOptions, values: np.ndarray) -> None:
        self._model = options.build_model()
        self._levels = model.level_probabilities(self._model.n_levels)
        self._values = values
        self.beliefs = np.empty((0, 0))  # (n, n_hidden)
        self._rows = np.empty((0, N_COLUMNS), dtype=np.int32)  # as last observed

    def begin(self, started: np.ndarray) -> None:
        """Remember who is new: :meth:`act` sets their belief from the first observation."""
        if len(self._rows) != len(started):
            n_hidden = count_hidden(self._model.n_levels)
            self.beliefs = np.zeros((len(started), n_hidden))
            self._rows = np.zeros((len(started), N_COLUMNS), dtype=np.int32)
        self._started = started

    def act(self, observations: np.ndarray) -> np.ndarray:
        """Update the beliefs and return the actions of highest expected value."""
        seen = observed_rows(observations, self._model)
        reading = observations[:, SLICES["engagement"].start].astype(float)
        minutes = observations[:, SLICES["minutes"].start].astype(float)
        for i in range(len(seen)):
            if self._started[i]:
                begin_exact(self.beliefs[i], seen[i], reading[i], self._levels, self._model)
            else:
                update_exact(
                    self.beliefs[i], self._rows[i], seen[i], reading[i], minutes[i], self._model
                )
        self._rows = seen
        return self.choose(seen)

    def choose(self, seen: np.ndarray) -> np.ndarray:
        """Return (n,) the actions of highest expected value for (n, N_COLUMNS) rows."""
        return qmdp_actions(seen, self.beliefs, self._model, self._values)


def observed_rows(observations: np.ndarray, model_: Model) -> np.ndarray:
    """Convert (n, 47) observations into (n, N_COLUMNS) rows; hidden columns stay 0."""
    rows = np.zeros((len(observations), N_COLUMNS), dtype=np.int32)

    def part(name: str) -> np.ndarray:
        return observations[:, SLICES[name]]

    def index(name: str) -> np.ndarray:
        one_hot = part(name)
        return np.where(one_hot.any(axis=1), one_hot.argmax(axis=1), -1)

    # Undo the scaling of each part of the observation.
    topics = np.arange(N_TOPICS)
    rows[:, MODULES + topics] = np.rint(part("modules") * model_.n_levels)
    rows[:, TESTED + topics] = np.rint(part("tested"))
    rows[:, SCORE + topics] = np.rint(part("scores") * model.N_QUESTIONS)
    rows[:, GENRE], rows[:, EXPERIENCE] = index("genre"), index("experience")
    rows[:, FOCUS], rows[:, ANSWER] = index("focus"), index("answer")
    rows[:, ACTION], rows[:, RESPONSE] = index("action"), index("response")
    rows[:, FEEDBACK] = np.rint(part("feedback") @ np.array([1.0, -1.0], dtype=np.float32))
    rows[:, TIME] = np.rint(part("time")[:, 0] * model_.horizon)
    return rows


@compiled
def count_hidden(n_levels: int) -> int:
    """Return how many hidden states there are."""
    return int((n_levels + 1) ** N_TOPICS * N_ENGAGEMENTS * 2 * N_TOPICS * 2)


@compiled
def hidden_index(row: np.ndarray, n_levels: int) -> int:
    """Return the index of a learner's hidden state."""
    index = type_of(row)
    for topic in range(N_TOPICS):
        index = index * (n_levels + 1) + row[KNOWLEDGE + topic]
    return int((index * N_ENGAGEMENTS + row[ENGAGEMENT]) * 2 + row[CONFUSED])


@compiled
def set_hidden(row: np.ndarray, index: int, n_levels: int) -> None:
    """Write the hidden state of this index into a row; the inverse of :func:`hidden_index`."""
    row[CONFUSED], index = index % 2, index // 2
    row[ENGAGEMENT], index = index % N_ENGAGEMENTS, index // N_ENGAGEMENTS
    for topic in range(N_TOPICS - 1, -1, -1):
        row[KNOWLEDGE + topic], index = index % (n_levels + 1), index // (n_levels + 1)
    row[PACE], row[GOAL] = index % 2, index // 2


@compiled
def reading_likelihood(reading: float, engagement: int) -> float:
    """Return the likelihood of the observed engagement (a noisy reading clipped to 0..1)."""
    z = reading * model.HIGHEST_ENGAGEMENT - engagement
    if reading <= 0.0:
        return 0.5 * math.erfc(-z / math.sqrt(2.0))
    if reading >= 1.0:
        return 0.5 * math.erfc(z / math.sqrt(2.0))
    return math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


@compiled
def minutes_likelihood(minutes: float, opened: int) -> float:
    """Return the likelihood of the observed minutes (clipped) on a module of this difficulty."""
    factor = model.MINUTES_HARD if opened == HARD else 1.0
    typical = math.log(model.MINUTES_MEDIAN * factor)
    z = (math.log(minutes * MOST_MINUTES) - typical) / model.MINUTES_LOG_STD
    if minutes >= 1.0:
        return 0.5 * math.erfc(z / math.sqrt(2.0))
    return math.exp(-0.5 * z * z)


@compiled
def begin_exact(
    belief: np.ndarray, seen: np.ndarray, reading: float, levels: np.ndarray, model_: Model
) -> None:
    """Set the belief (n_hidden,) from a learner's first observation, by Bayes' rule."""
    row = seen.copy()
    fast = FAST[seen[EXPERIENCE]]
    for hidden in range(len(belief)):
        set_hidden(row, hidden, model_.n_levels)
        # Prior of goal, pace and knowledge, given experience and genre.
        weight = GOALS[row[GENRE], row[GOAL]] * (fast if row[PACE] == model.FAST else 1.0 - fast)
        for topic in range(N_TOPICS):
            weight *= levels[row[EXPERIENCE], row[KNOWLEDGE + topic]]
        # Likelihood of the engagement that is observed.
        first = row[ENGAGEMENT] in model.FIRST_ENGAGEMENTS and row[CONFUSED] == 0
        likelihood = reading_likelihood(reading, row[ENGAGEMENT])
        belief[hidden] = weight * likelihood if first else 0.0
    belief /= belief.sum()


@compiled
def update_exact(
    belief: np.ndarray,
    before: np.ndarray,
    seen: np.ndarray,
    reading: float,
    minutes: float,
    model_: Model,
) -> None:
    """Update the belief (n_hidden,) after one step, by Bayes' rule over the kernel's branches.

    :param before: the row as observed before the step
    :param seen: as observed after it; its ``ACTION`` is the action
    """
    old, row = belief.copy(), before.copy()
    draws, trace = np.empty(N_SLOTS), np.empty(2)
    least = VANISHING * old.max()
    belief[:] = 0.0
    for hidden in range(len(old)):
        if old[hidden] <= least:
            continue
        # Walk through all branches of the step from this hidden state.
        first_branch(draws, trace)
        while True:
            row[:] = before
            row[ENDING] = model.GOING_ON
            set_hidden(row, hidden, model_.n_levels)
            act(row, seen[ACTION], model_, draws, trace)
            # Keep those that agree with the observation, weighed by its likelihood.
            if looks_like(row, seen):
                pass_time(row, model_, draws, trace)
                if row[ENDING] == model.GOING_ON:
                    weight = old[hidden] * trace[PROBABILITY]
                    weight *= emission(row, seen, reading, minutes)
                    belief[hidden_index(row, model_.n_levels)] += weight
            if not next_branch(draws, trace):
                break
    belief /= belief.sum()


@compiled
def looks_like(row: np.ndarray, seen: np.ndarray) -> bool:
    """Return whether the outcome of an action agrees with what is observed without noise."""
    same = row[RESPONSE] == seen[RESPONSE] and row[FEEDBACK] == seen[FEEDBACK]
    for topic in range(N_TOPICS):
        same = same and row[MODULES + topic] == seen[MODULES + topic]
        same = same and row[TESTED + topic] == seen[TESTED + topic]
        same = same and row[SCORE + topic] == seen[SCORE + topic]
    return bool(same)


@compiled
def emission(row: np.ndarray, seen: np.ndarray, reading: float, minutes: float) -> float:
    """Return the likelihood of the noisy measurements after a step."""
    likelihood = reading_likelihood(reading, row[ENGAGEMENT])
    if row[OPENED] >= 0:
        likelihood *= minutes_likelihood(minutes, row[OPENED])
    if row[RESPONSE] == model.ANSWERED:
        right = row[GOAL] == seen[ANSWER]
        likelihood *= model.ANSWER_RIGHT if right else 0.5 * (1.0 - model.ANSWER_RIGHT)
    return likelihood


@compiled
def qmdp_actions(
    seen: np.ndarray, beliefs: np.ndarray, model_: Model, values: np.ndarray
) -> np.ndarray:
    """Return (n,) argmax_a of Q_t(s, a), averaged over the beliefs (n, n_hidden)."""
    actions = np.empty(len(seen), dtype=np.int64)
    q_values, total, row = np.empty(N_ACTIONS), np.empty(N_ACTIONS), seen[0].copy()
    for i in range(len(seen)):
        total[:] = 0.0
        least = NEGLIGIBLE * beliefs[i].max()
        for hidden in range(beliefs.shape[1]):
            if beliefs[i, hidden] > least:
                row[:] = seen[i]
                set_hidden(row, hidden, model_.n_levels)
                action_values(row, model_, values[row[TIME], type_of(row)], q_values)
                total += beliefs[i, hidden] * q_values
        actions[i] = np.argmax(total)
    return actions
