"""The results of an experiment, as a table and as JSON; `rl train` and `rl eval` share them."""

from collections.abc import Sequence
from typing import Any

from rl_runner.cli.display.console import duration, number, show, table

Document = dict[str, Any]


def experiment_document(path: str, name: str, digest: str, runs: Sequence[Document]) -> Document:
    """Describe an experiment: its runs, and the mean over the finished ones with its interval."""
    from rl_runner.evaluation.statistics.summary import summarize

    means = [run["mean_reward"] for run in runs if run["mean_reward"] is not None]
    summary = summarize(means) if means else None
    return {
        "experiment": path,
        "name": name,
        "hash": digest,
        "runs": list(runs),
        "mean_reward": summary.mean if summary else None,
        "ci95": list(summary.ci95) if summary and summary.ci95 else None,
    }


def run_document(seed: int, path: str, record: dict[str, Any]) -> Document:
    """Describe one run by its run.json; the rewards are means over held-out episodes."""
    results = record.get("results", {})
    last, best = results.get("last", {}), results.get("best", {})
    exact, optimum = last.get("exact_mean_reward"), last.get("optimal_mean_reward")
    return {
        "seed": seed,
        "path": path,
        "status": record.get("status", "running"),
        "timesteps": record.get("timesteps"),
        "mean_reward": last.get("mean_reward"),
        "std_reward": last.get("std_reward"),
        "best_mean_reward": best.get("mean_reward"),
        "selection_optimism": best.get("selection_optimism"),
        "exact_mean_reward": exact,
        "regret": None if exact is None or optimum is None else optimum - exact,
    }


def show_experiment(document: Document, seconds: dict[int, float | None] | None = None) -> None:
    """Draw the table of runs and, below it, what they amount to."""
    columns = [
        "seed", "status", ">timesteps", ">mean reward", ">± std", ">best agent", ">optimism",
    ]  # fmt: skip
    exactly = any(run["exact_mean_reward"] is not None for run in document["runs"])
    rows = [
        [
            run["seed"],
            run["status"],
            number(run["timesteps"], 0),
            number(run["mean_reward"]),
            number(run["std_reward"]),
            number(run["best_mean_reward"]),
            number(run["selection_optimism"]),
            *([number(run["exact_mean_reward"], 4), number(run["regret"], 4)] if exactly else []),
            *([duration(seconds[run["seed"]])] if seconds else []),
        ]
        for run in document["runs"]
    ]
    columns += [">exactly", ">regret"] if exactly else []
    show(table([*columns, *([">time"] if seconds else [])], rows, document["name"]))
    show(verdict(document))


def verdict(document: Document) -> str:
    """Say in one sentence what the runs of a document amount to."""
    if document.get("interval_over") == "episodes":
        return _over_episodes(document)
    finished = [run for run in document["runs"] if run["mean_reward"] is not None]
    if not finished:
        return "No run finished."
    mean = number(document["mean_reward"])
    if document["ci95"] is None:
        return f"Mean reward {mean} from a single seed, which says nothing about the next one."
    low, high = (number(end) for end in document["ci95"])
    few = " Fewer than five: read it with care." if len(finished) < 5 else ""
    return (
        f"Mean reward {mean} over {len(finished)} seeds, "
        f"95 % confidence interval {low} to {high}.{few}{_exactly(finished)}"
    )


def _exactly(runs: Sequence[Document]) -> str:
    """Say the same of the exact means, free of the luck of episodes, if every run has one."""
    from rl_runner.evaluation.statistics.summary import summarize

    means = [run.get("exact_mean_reward") for run in runs]
    known = [mean for mean in means if mean is not None]
    if len(known) < len(runs):
        return ""
    exact = summarize(known)
    between = (
        f", interval {number(exact.ci95[0], 4)} to {number(exact.ci95[1], 4)}" if exact.ci95 else ""
    )
    return f" Computed exactly: mean {number(exact.mean, 4)}{between}."


def _over_episodes(document: Document) -> str:
    """Say what a policy that was never trained amounts to: its episodes are the sample."""
    n = sum(run["n_episodes"] for run in document["runs"])
    said = f"Mean reward {number(document['mean_reward'])} over {n:,} episodes"
    if document["ci95"] is None:
        return f"{said}."
    low, high = document["ci95"]
    if low == high:
        return f"{said}, all of them alike."
    return f"{said}, 95 % confidence interval {number(low)} to {number(high)}."
