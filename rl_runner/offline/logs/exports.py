"""Exports: logs in the formats of other libraries.

*Open Bandit* (Saito et al. 2021): the bandit feedback of ``obp``, as an npz file of arrays
``n_rounds, n_actions, action, position, reward, pscore, context`` and ``action_context``.

*Vowpal Wabbit*: one line per interaction for ``--cb 27``, ``action:cost:probability | features``,
actions from 1, the cost being the negative reward.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rl_runner.arrays import save_arrays
from rl_runner.envs.recommender.domain import (
    ACTION_PARTS,
    CONTENT_TYPES,
    MOODS,
    N_ACTIONS,
    TIMES_OF_DAY,
    TRAITS,
    state_parts,
)
from rl_runner.envs.recommender.env import one_hot
from rl_runner.offline.logs.interactions import Interactions
from rl_runner.runs.disk import write_aside

_LINES_AT_ONCE = 100_000


def open_bandit_arrays(log: Interactions) -> dict[str, np.ndarray]:
    """Return bandit feedback by name; the context is (n, 39), the state as one-hot vectors."""
    return {
        "n_rounds": np.array(len(log)),
        "n_actions": np.array(N_ACTIONS),
        "action": log.action.astype(np.int64),
        "position": np.zeros(len(log), dtype=np.int64),  # one recommendation at a time
        "reward": log.reward,
        "pscore": log.pscore,
        "context": one_hot(state_parts(log.state)),
        "action_context": ACTION_PARTS.astype(np.int64),
    }


def write_open_bandit(log: Interactions, path: Path) -> None:
    """Write :func:`open_bandit_arrays` to an npz file."""
    write_aside(path, lambda aside: save_arrays(aside, open_bandit_arrays(log)))


def vowpal_wabbit_lines(log: Interactions) -> Iterator[str]:
    """Yield one line per interaction, without line breaks."""
    # In batches, so that only a part of the log is held as Python objects.
    for first in range(0, len(log), _LINES_AT_ONCE):
        part = slice(first, first + _LINES_AT_ONCE)
        parts = state_parts(log.state[part]).tolist()
        outcome = zip(
            log.action[part].tolist(),
            log.reward[part].tolist(),
            log.pscore[part].tolist(),
            parts,
            strict=True,
        )
        for action, reward, pscore, state in outcome:
            traits = " ".join(f"{name}={b}" for name, b in zip(TRAITS, state, strict=False))
            content, mood, time = state[len(TRAITS) :]
            yield (
                f"{action + 1}:{-reward:.6g}:{pscore:.6g} |person {traits} "
                f"|moment content={CONTENT_TYPES[content]} mood={MOODS[mood]} "
                f"time={TIMES_OF_DAY[time]}"
            )


def write_vowpal_wabbit(log: Interactions, path: Path) -> None:
    """Write :func:`vowpal_wabbit_lines` to a text file."""

    def write(aside: Path) -> None:
        with aside.open("w", encoding="utf-8") as file:
            file.writelines(line + "\n" for line in vowpal_wabbit_lines(log))

    write_aside(path, write)
