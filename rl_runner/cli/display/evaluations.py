"""Results of `rl eval`, as a table and as JSON."""

from typing import TYPE_CHECKING, Any

from rl_runner.cli.display.console import number, show
from rl_runner.cli.display.results import Document, mean_document, run_document, verdict
from rl_runner.cli.display.tables import Column, table

if TYPE_CHECKING:
    from rl_runner.evaluation.play.targets import EvaluatedGroup

OPTIONAL = {  # columns shown if any run has a value: key → column
    "timesteps": Column(">timesteps", 2),
    "success_rate": Column(">success"),
    "exact_mean_reward": Column(">exact mean"),
    "regret": Column(">regret", 3),
}


def evaluation_document(group: "EvaluatedGroup") -> Document:
    """Describe a group of evaluations, and their mean with its interval.

    The sample is the runs; for a policy without training it is the episodes.
    """
    import numpy as np

    from rl_runner.evaluation.play.return_bounds import return_bounds, within_policies
    from rl_runner.evaluation.statistics.summary import summarize
    from rl_runner.runs.record import RunRecord, read_record

    # What run.json says of each run comes first, what was measured now replaces it.
    runs = [evaluation.describe() for evaluation in group.evaluations]
    trained = all(evaluation.timesteps is not None for evaluation in group.evaluations)
    if group.paths:
        records = [(path, read_record(path) or RunRecord()) for path in group.paths]
        known = [
            run_document(-1 if record.seed is None else record.seed, str(path), record)
            for path, record in records
        ]
        runs = [before | now for before, now in zip(known, runs, strict=True)]
    head = {"experiment": group.path, "name": group.name, "hash": group.digest, "runs": runs}
    if trained:
        agents = {evaluation.policy for evaluation in group.evaluations}
        agent = agents.pop() if len(agents) == 1 and agents <= {"last", "best"} else None
        means = mean_document(runs, group.env)
        return head | means | {"agent": agent, "interval_over": "runs"}
    # Without training there are no seeds to average over: the episodes are the sample.
    bounds = None if group.env is None else return_bounds(group.env)
    returns = np.concatenate([each.episodes.returns for each in group.evaluations])
    summary = summarize(returns.tolist(), bounds)
    ends = summary.ci95
    if group.env is not None:
        ends = within_policies(ends, summary.mean, group.env)
    return head | {
        "mean_reward": summary.mean,
        "ci95": list(ends) if ends else None,
        "bounds": None if bounds is None else [bounds.low, bounds.high],
        "interval_over": "episodes",
    }


def show_evaluations(document: Document) -> None:
    """Draw the table of evaluations and, below it, their mean with its interval."""
    runs: list[dict[str, Any]] = document["runs"]
    optional = {
        key: column
        for key, column in OPTIONAL.items()
        if any(run.get(key) is not None for run in runs)
    }
    columns: list[str | Column] = [
        "seed", "policy", Column(">episodes", 2), ">mean reward", Column(">± std", 1),
        Column(">mean length", 3),
    ]  # fmt: skip
    rows = [
        [
            run["seed"],
            run["policy"],
            number(run["n_episodes"], 0),
            number(run["mean_reward"]),
            number(run["std_reward"]),
            number(run["mean_ep_length"], 1),
            *(_cell(key, run.get(key)) for key in optional),
        ]
        for run in runs
    ]
    show(table([*columns, *optional.values()], rows, document["name"]))
    show(*_notes(runs), verdict(document))


def _notes(runs: list[dict[str, Any]]) -> list[str]:
    """Return a line about the environment's own metrics, and one about the optimum, if known."""
    lines = []
    sums: dict[str, list[float]] = {}
    for run in runs:
        for name, value in run.get("info", {}).items():
            sums.setdefault(name, []).append(value)
    if sums:
        kinds = {name: kind for run in runs for name, kind in run.get("info_values", {}).items()}
        means = (_info_text(name, sum(v) / len(v), kinds) for name, v in sorted(sums.items()))
        lines.append(f"Means over episodes: {', '.join(means)}.")
    if "raw_return" in sums:
        lines.append("Rewards are those that the wrappers return; raw_return is the environment's.")
    optima = {run["optimal_mean_reward"] for run in runs if "optimal_mean_reward" in run}
    lines += [f"The optimal policy's exact mean reward is {number(best, 4)}." for best in optima]
    return lines


def _info_text(name: str, mean: float, kinds: dict[str, dict[str, str]]) -> str:
    """Return the mean of one of the environment's numbers, under its label; a rate in percent."""
    kind = kinds.get(name, {})
    label = kind.get("label") or name
    return f"{label} {mean:.1%}" if kind.get("kind") == "rate" else f"{label} {number(mean)}"


def _cell(key: str, value: float | None) -> str:
    digits = {"timesteps": 0, "exact_mean_reward": 4, "regret": 4}
    return number(value, digits.get(key))
