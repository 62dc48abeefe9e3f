"""Summaries of studies, as `rl tune` writes them, made up."""

from typing import Any

from rl_runner.config.tune import ObjectiveConfig
from rl_runner.runs.study_summary import FORMAT, StudySummary

Document = dict[str, Any]


def objective(**changes: Any) -> Document:
    base = ObjectiveConfig(**changes)
    direction = "maximize" if base.maximized else "minimize"
    return {**base.model_dump(), "direction": direction, "description": base.measure}


def trial(number: int, outcome: str = "complete", **values: Any) -> Document:
    return {
        "number": number,
        "outcome": outcome,
        "values": {"gamma": 0.9, "network": [64, 64], **values},
        "scores": [float(number)] * 2 if outcome == "complete" else [],
        "seeds": [[number - 1.0, number + 1.0]] if outcome == "complete" else [],
        "curve": [[50, 1.0], [100, float(number)]],
        "seconds": 1.0,
    }


def document(trials: list[Document], **changes: Any) -> Document:
    return {
        "format": FORMAT,
        "study": "x",
        "path": "runs/x",
        "stopped": False,
        "total_timesteps": 50,
        "seeds_per_trial": 1,
        "objectives": [objective()],
        "search_space": {name: {"log": name == "rate"} for t in trials for name in t["values"]},
        "n_trials": {"complete": len(trials)},
        "best_trial": 1,
        "pareto_front": None,
        "winner": None,
        "best_config": None,
        "confirmed": [],
        "importances": {},
        "trials": trials,
        **changes,
    }


def summary(trials: list[Document], **changes: Any) -> StudySummary:
    return StudySummary.from_json(document(trials, **changes))


CONFIRMED = [
    {
        "candidate": label,
        "values": {},
        "search_scores": searched,
        "scores": [4.0],
        "seeds": [[3.0, 5.0]],
        "mean": 4.0,
        "ci95": [3.0, 5.0],
        "gain": gain,
        "gain_ci95": gain_ci95,
        "optimism": 1.0,
        "optimism_ci95": None,
        "failures": [],
    }
    for label, searched, gain, gain_ci95 in (
        ("start", None, None, None),
        ("trial-0001", [5.0], 0.5, [-1.25, 2.25]),
    )
]
TRIALS = [
    trial(0, rate=1e-5),
    trial(1, rate=1e-2, network=[8]),
    trial(2, "pruned", rate=1e-3),
    trial(3, "failed"),
    trial(4, "infeasible"),
    trial(5, rate=1e-4, extra=True),
]
