"""The oracle: acts on the exact values of :mod:`.dynamic_programming`, which are kept on disk.

It sees the learner's hidden state, so its value is an upper bound for every policy that does not.
"""

import hashlib
import itertools
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rl_runner.compiled import cache_folder, compiled, source_digest
from rl_runner.envs.tutor.options import Model, TutorOptions
from rl_runner.envs.tutor.planning.dynamic_programming import (
    Progress,
    action_values,
    optimal_values,
    type_of,
)
from rl_runner.envs.tutor.planning.policies import Tutor
from rl_runner.envs.tutor.simulator import model
from rl_runner.envs.tutor.simulator.model import N_ACTIONS, N_TOPICS
from rl_runner.envs.tutor.simulator.state import (
    ENGAGEMENT,
    GOAL,
    KNOWLEDGE,
    N_COLUMNS,
    PACE,
    TIME,
)
from rl_runner.errors import EnvError, Problem

MOST_BYTES = 2 * 10**9
# What the values depend on: a change in one of these files makes them outdated.
SOLVED_SOURCES = (
    "simulator/branches.py",
    "simulator/model.py",
    "options.py",
    "simulator/state.py",
    "simulator/kernel.py",
    "planning/dynamic_programming.py",
)

FullStates = Callable[[], np.ndarray]  # returns (n, N_COLUMNS) the learners' rows, hidden part too


class Oracle(Tutor):
    """Chooses the best action for each learner's full state; no policy is better on average.

    :param full_states: returns the learners' rows at the moment of :meth:`act`
    :param values: from :func:`load_values`
    """

    def __init__(self, options: TutorOptions, full_states: FullStates, values: np.ndarray) -> None:
        self._model = options.build_model()
        self._full_states = full_states
        self._values = values

    def act(self, observations: np.ndarray) -> np.ndarray:
        """Return (n,) actions for the learners' full states; the observations are not used."""
        del observations
        return best_actions(self._full_states(), self._model, self._values)


def load_values(options: TutorOptions, progress: Progress | None = None) -> np.ndarray:
    """Return the optimal values for these options, from disk if they were computed before.

    Computing them takes about five seconds and 100 MB with the default options. See
    :func:`.dynamic_programming.optimal_values` for the shape and ``progress``.

    :raises EnvError: if the problem is too large to be solved exactly
    """
    model_ = options.build_model()
    _refuse_too_large(options)
    folder = cache_folder("tutor")
    if folder is None:
        return optimal_values(model_, progress)
    path = folder / f"values-{_digest(model_)}.npy"
    try:
        values: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):  # not computed yet, or damaged
        values = optimal_values(model_, progress)
        _save(path, values)
    return values


def load_values_shown(options: TutorOptions) -> np.ndarray:
    """Return :func:`load_values`, with a progress bar on the terminal while they are computed."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Computing the oracle's values", visible=False)
        return load_values(
            options,
            lambda done, total: bar.update(task, completed=done, total=total, visible=True),
        )


def start_value(options: TutorOptions, values: np.ndarray) -> float:
    """Return the oracle's expected return: V_0, averaged over the population of learners."""
    model_ = options.build_model()
    goals = model.goal_probabilities().mean(axis=0)
    levels = model.level_probabilities(model_.n_levels)
    row, total = np.zeros(N_COLUMNS, dtype=np.int32), 0.0
    q_values = np.empty(N_ACTIONS)
    for experience, share in enumerate(model.EXPERIENCE_PROBABILITIES):
        fast = model.FAST_PROBABILITIES[experience]
        knowledges = itertools.product(range(model_.n_levels + 1), repeat=N_TOPICS)
        kinds = itertools.product(model.FIRST_ENGAGEMENTS, range(N_TOPICS), (0, 1))
        for knowledge, (engagement, goal, pace) in itertools.product(knowledges, kinds):
            # One kind of new learner: its state, how frequent it is, and its value.
            row[KNOWLEDGE : KNOWLEDGE + N_TOPICS] = knowledge
            row[ENGAGEMENT], row[GOAL], row[PACE] = engagement, goal, pace
            probability = share * levels[experience, list(knowledge)].prod() * goals[goal]
            probability *= (fast if pace == model.FAST else 1.0 - fast) / 2.0
            action_values(row, model_, values[0, type_of(row)], q_values)
            total += float(probability * q_values.max())
    return total


@compiled
def best_actions(rows: np.ndarray, model_: Model, values: np.ndarray) -> np.ndarray:
    """Return (n,) the best actions for learners (n, N_COLUMNS) whose full state is known."""
    actions, q_values = np.empty(len(rows), dtype=np.int64), np.empty(N_ACTIONS)
    for i in range(len(rows)):
        action_values(rows[i], model_, values[rows[i, TIME], type_of(rows[i])], q_values)
        actions[i] = np.argmax(q_values)
    return actions


def _refuse_too_large(options: TutorOptions) -> None:
    levels = options.modules_per_topic
    n_states = (levels + 1) ** 3 * (2 * levels + 1) ** 3 * 30
    if 4 * n_states * 6 * options.horizon > MOST_BYTES:
        what = f"{n_states:,} states over {options.horizon} steps are too many to solve exactly."
        cure = "Set `modules_per_topic` to at most 2, and a shorter `horizon`."
        raise EnvError(Problem(what, "env.kwargs", cure))


def _digest(model_: Model) -> str:
    sources = source_digest(Path(__file__).parents[1] / name for name in SOLVED_SOURCES)
    digest = hashlib.sha256(sources.encode())
    for part in model_:
        digest.update(np.asarray(part, dtype=float).tobytes())
    return digest.hexdigest()[:16]


def _save(path: Path, values: np.ndarray) -> None:
    """Write the values to a temporary file and rename it: no process reads an incomplete file."""
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    with os.fdopen(handle, "wb") as file:
        np.save(file, values, allow_pickle=False)
    Path(name).replace(path)
