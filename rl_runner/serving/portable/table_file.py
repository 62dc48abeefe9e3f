"""Writing a table of action values as JSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from rl_runner.agents.algorithms.q_learning import QLearning
from rl_runner.envs.recommender.domain import (
    BINS,
    CONTENT_TYPES,
    MOODS,
    N_ACTIONS,
    N_STATES,
    STATE_STRIDES,
    TIMES_OF_DAY,
    TRAITS,
    RecommendationAction,
)
from rl_runner.offline.learning.learners import LogLearner

FORMAT = 1
UNTRIED = 1e9  # instead of the infinite bonus of an action that was never tried (`ucb`)


def agent_table(agent: QLearning) -> dict[str, Any]:
    """Return the table of an agent: observations by number, and their action values."""
    states = agent.states
    return {
        "observation": {
            "components": len(states.starts),
            "starts": states.starts.tolist(),
            "strides": states.strides.tolist(),
            "row": "sum((component - start) * stride)",
        },
        "actions": {"number": agent.n_actions, "first": agent.first_action},
        **_without_repetitions(agent.q_table),
    }


def log_table(learner: LogLearner) -> dict[str, Any]:
    """Return the table of a policy learned from a log: contexts by number, and action values."""
    preferences = learner.preferences(np.arange(N_STATES))
    numbers, words = len(TRAITS), {}
    listed = {"content_type": CONTENT_TYPES, "mood": MOODS, "time_of_day": TIMES_OF_DAY}
    for (name, each), stride in zip(listed.items(), STATE_STRIDES[numbers:], strict=True):
        words[name] = {"words": list(each), "stride": int(stride)}
    return {
        "observation": {
            "traits": dict(zip(TRAITS, STATE_STRIDES[:numbers].tolist(), strict=True)),
            "words": words,
            "bins": BINS,
            "row": f"sum(min(trait * {BINS} // 100, {BINS - 1}) * stride) "
            "+ sum(index of the word * stride)",
        },
        "actions": {
            "number": N_ACTIONS,
            "first": 0,
            "parameters": [
                RecommendationAction.from_index(i).to_recommendation_params()
                for i in range(N_ACTIONS)
            ],
        },
        **_without_repetitions(np.minimum(preferences, UNTRIED)),
    }


def _without_repetitions(values: np.ndarray) -> dict[str, Any]:
    """Return the different rows of (n, k) values, and which of them each row is."""
    rows, which = np.unique(values, axis=0, return_inverse=True)
    return {"row_of": which.reshape(-1).tolist(), "values": rows.tolist()}


def write_table(path: Path, document: dict[str, Any]) -> None:
    """Write a table with its origin."""
    with path.open("w", encoding="utf-8") as file:
        whole = {"format": FORMAT, **document}
        json.dump(whole, file, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        file.write("\n")
