"""Results of `rl train`, as tables, messages and JSON; `rl eval` and `rl runs` share them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rl_runner.cli.display.console import duration, number, show, show_message, table
from rl_runner.runs.record import RunRecord

if TYPE_CHECKING:
    from rl_runner.training.experiment import ExperimentResult
    from rl_runner.training.task import RunResult

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


def result_document(result: "ExperimentResult") -> Document:
    """Describe an experiment that `rl train` has just trained, run by run."""
    runs = [run_document(run.seed, str(run.path), run.record) for run in result.runs]
    return experiment_document(str(result.path), result.name, result.hash, runs)


def run_document(seed: int, path: str, record: RunRecord) -> Document:
    """Describe one run by its run.json; the rewards are means over held-out episodes."""
    last, best = record.last, record.best
    exact, optimum = last.exact_mean_reward, last.optimal_mean_reward
    return {
        "seed": seed,
        "path": path,
        "status": record.status,
        "timesteps": record.timesteps,
        "mean_reward": last.mean_reward,
        "raw_mean_reward": last.info.get("raw_return"),  # if wrappers change it
        "std_reward": last.std_reward,
        "best_mean_reward": best.mean_reward,
        "selection_optimism": best.selection_optimism,
        "exact_mean_reward": exact,
        "regret": None if exact is None or optimum is None else optimum - exact,
    }


def show_experiment(document: Document, seconds: dict[int, float | None] | None = None) -> None:
    """Draw the table of runs and, below it, their mean with its interval."""
    columns = [
        "seed", "status", ">timesteps", ">mean reward", ">± std", ">best agent", ">optimism",
    ]  # fmt: skip
    is_wrapped = any(run.get("raw_mean_reward") is not None for run in document["runs"])
    if is_wrapped:
        columns.insert(4, ">without wrappers")
    exactly = any(run["exact_mean_reward"] is not None for run in document["runs"])
    rows = [
        [
            run["seed"],
            run["status"],
            number(run["timesteps"], 0),
            number(run["mean_reward"]),
            *([number(run.get("raw_mean_reward"))] if is_wrapped else []),
            number(run["std_reward"]),
            number(run["best_mean_reward"]),
            number(run["selection_optimism"]),
            *([number(run["exact_mean_reward"], 4), number(run["regret"], 4)] if exactly else []),
            *([duration(seconds[run["seed"]])] if seconds else []),
        ]
        for run in document["runs"]
    ]
    columns += [">exact mean", ">regret"] if exactly else []
    show(table([*columns, *([">time"] if seconds else [])], rows, document["name"]))
    show(verdict(document))


def show_result(result: "ExperimentResult", document: Document) -> None:
    """Draw the table of an experiment that was just trained, with the time that each run took."""
    show_experiment(document, {run.seed: run.record.seconds for run in result.runs})


def verdict(document: Document) -> str:
    """Say in one sentence what the runs of a document show."""
    if document.get("interval_over") == "episodes":
        return _over_episodes(document)
    finished = [run for run in document["runs"] if run["mean_reward"] is not None]
    if not finished:
        return "No run has finished."
    mean = number(document["mean_reward"])
    if document["ci95"] is None:
        return f"Mean reward {mean} from a single seed: this says nothing about other seeds."
    low, high = (number(end) for end in document["ci95"])
    few = " Interpret with care: these are fewer than five seeds." if len(finished) < 5 else ""
    return (
        f"Mean reward {mean} over {len(finished)} seeds, "
        f"95 % confidence interval {low} to {high}.{few}{_exactly(finished)}"
    )


def _exactly(runs: Sequence[Document]) -> str:
    """Say the same of the exact means, which no episode's chance affects, if every run has one."""
    from rl_runner.evaluation.statistics.summary import summarize

    means = [run.get("exact_mean_reward") for run in runs]
    known = [mean for mean in means if mean is not None]
    if len(known) < len(runs):
        return ""
    exact = summarize(known)
    between = (
        f", interval {number(exact.ci95[0], 4)} to {number(exact.ci95[1], 4)}" if exact.ci95 else ""
    )
    return f" The exact mean is {number(exact.mean, 4)}{between}."


def _over_episodes(document: Document) -> str:
    """Say what the episodes of a policy without training show: they are the sample."""
    n = sum(run["n_episodes"] for run in document["runs"])
    mean = f"Mean reward {number(document['mean_reward'])} over {n:,} episodes"
    if document["ci95"] is None:
        return f"{mean}."
    low, high = document["ci95"]
    if low == high:
        return f"{mean}, the same in all of them."
    return f"{mean}, 95 % confidence interval {number(low)} to {number(high)}."


def show_failures(results: "Sequence[ExperimentResult]") -> bool:
    """Say which runs failed, why, and where to look; return whether there are any."""
    failed = [run for result in results for run in result.runs if run.status == "failed"]
    for run in failed:
        reason = run.record.error
        show_message(f"Failed: {run.path}: {reason} (details in its run.json and log.txt)")
    if failed:
        show_message("Run the same command again to retry the failed runs only.")
    return bool(failed)


def show_unfinished(results: "Sequence[ExperimentResult]") -> bool:
    """Say which runs were interrupted and where, and which another process trains.

    :return: whether the same command would resume or start any of them
    """
    several = len(results) > 1
    runs = [
        (f"{result.name} seed {run.seed}" if several else f"seed {run.seed}", run)
        for result in results
        for run in result.runs
    ]
    ours = [(label, run) for label, run in runs if not run.elsewhere]
    theirs = [(label, run) for label, run in runs if run.elsewhere]
    stopped = [f"{label} {_where(run)}" for label, run in ours if run.status == "interrupted"]
    not_begun = [label for label, run in ours if run.status == "pending"]
    left = [
        f"{label} {_where(run)}" if run.status == "interrupted" else label
        for label, run in theirs
        if run.status in {"interrupted", "pending"}
    ]
    for heading, parts in (
        ("Interrupted", stopped),
        ("Not started", not_begun),
        ("Left to another process, which was interrupted", left),
        ("In training by another process", _labels(theirs, "running")),
        ("Trained by another process", _labels(theirs, "finished")),
    ):
        if parts:
            show_message(f"{heading}: {'; '.join(parts)}.")
    if stopped or not_begun or left:
        show_message("Run the same command again to resume.")
    return bool(stopped or not_begun or left)


def _labels(runs: "Sequence[tuple[str, RunResult]]", status: str) -> list[str]:
    return [label for label, run in runs if run.status == status]


def _where(run: "RunResult") -> str:
    """Say where a run was interrupted, and from where it will resume if that is earlier."""
    saved, stopped_at = run.record.timesteps or 0, run.record.stopped_at
    if stopped_at == 0:
        return "at the beginning"
    if saved == stopped_at:
        return f"at {saved:,} timesteps (saved)"
    was_at = "" if stopped_at is None else f"at {stopped_at:,} timesteps, "
    resumes = f"the checkpoint at {saved:,}" if saved else "the beginning"
    return f"{was_at}will resume from {resumes}"
