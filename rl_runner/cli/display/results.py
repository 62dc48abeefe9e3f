"""Results of `rl train`, as tables, messages and JSON; `rl eval` and `rl runs` share them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rl_runner.cli import INCOMPLETE, INTERRUPTED
from rl_runner.cli.display.console import duration, number, show, show_message
from rl_runner.cli.display.tables import Column, table
from rl_runner.runs.record import RunRecord

if TYPE_CHECKING:
    from rl_runner.config import EnvConfig
    from rl_runner.evaluation.statistics.summary import Summary
    from rl_runner.training.experiment import ExperimentResult
    from rl_runner.training.task import RunResult

Document = dict[str, Any]
FEWEST_SEEDS = 5  # for a claim, as in rl_runner.evaluation.statistics.differences


def result_document(result: "ExperimentResult") -> Document:
    """Describe an experiment that `rl train` has just trained: its runs, and their mean."""
    runs = [run_document(run.seed, str(run.path), run.record) for run in result.runs]
    head = {"experiment": str(result.path), "name": result.name, "hash": result.hash}
    document = {**head, "runs": runs, **mean_document(runs, result.env), "agent": "last"}
    # Where the best agents are the ones to use, their mean belongs beside that of the last ones.
    if result.keep == "best":
        document["best_agents"] = _best_document(result)
    return document


def _best_document(result: "ExperimentResult") -> Document:
    """Describe the mean of the best agents as that of the last ones."""
    best = [(run.seed, run.record.best) for run in result.runs]
    runs: list[Document] = [
        {
            "seed": seed,
            "mean_reward": agent.mean_reward,
            "exact_mean_reward": agent.exact_mean_reward,
        }
        for seed, agent in best
    ]
    return {"agent": "best", "runs": runs, **mean_document(runs, result.env)}


def mean_document(runs: Sequence[Document], env: "EnvConfig | None") -> Document:
    """Describe the mean over runs and its interval, as `rl compare` would.

    :param env: for the bounds of its returns; None if they are not known
    """
    from rl_runner.evaluation.comparison.scores import summarize_scores

    sampled = [run["mean_reward"] for run in runs]
    exact = [run.get("exact_mean_reward") for run in runs]
    found = summarize_scores(sampled, [None] * len(runs), env)
    document: Document = {
        "mean_reward": found.summary.mean if found else None,
        "ci95": _ends_of_sampled(found.summary, env) if found else None,
    }
    # The exact mean, where every run has one, replaces the sampled one in words.
    scored = summarize_scores(sampled, exact, env)
    if scored is None:
        return document
    if scored.measure == "exact":
        document["exact_mean_reward"] = scored.summary.mean
        document["exact_ci95"] = list(scored.summary.ci95) if scored.summary.ci95 else None
    bounds = scored.bounds
    return document | {
        "bounds": None if bounds is None else [bounds.low, bounds.high],
        "remark": scored.remark,
    }


def _ends_of_sampled(summary: "Summary", env: "EnvConfig | None") -> list[float] | None:
    """Return the interval of a mean over sampled returns, within what policies can reach."""
    from rl_runner.evaluation.play.return_bounds import within_policies

    ends = summary.ci95
    if env is not None:
        ends = within_policies(ends, summary.mean, env)
    return list(ends) if ends else None


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
    columns: list[str | Column] = [
        "seed", "status", Column(">timesteps", 3), ">mean reward", Column(">± std", 2),
        Column(">best agent", 1), Column(">optimism", 4),
    ]  # fmt: skip
    # Columns that only some experiments have: wrappers that change rewards, exact means.
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
    columns += [Column(">exact mean"), Column(">regret", 4)] if exactly else []
    columns += [Column(">time", 3)] if seconds else []
    show(table(columns, rows, document["name"]))
    show(verdict(document))
    if "best_agents" in document:
        show(verdict(document["best_agents"]))


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
    # Exact returns, which no episode's chance affects, come before sampled ones.
    prefix, key, digits = ("Mean", "", None)
    if document.get("exact_mean_reward") is not None:
        prefix, key, digits = "Exact mean", "exact_", 4
    agents = document.get("agent")
    of = "" if agents is None else f" of the {agents} agent{'' if len(finished) == 1 else 's'}"
    mean = f"{prefix} reward{of} {number(document[f'{key}mean_reward'], digits)}"
    n, ends = len(finished), document[f"{key}ci95"]
    if n == 1:
        return f"{mean} from a single seed: this says nothing about other seeds."
    if ends is None and n < FEWEST_SEEDS:
        runs = ", ".join(number(run[f"{key}mean_reward"], digits) for run in finished)
        return f"{mean} over {n} seeds ({runs}): too few seeds for an interval."
    remark = f" Note: {document['remark']}." if document.get("remark") else ""
    if ends is None:
        return f"{mean} over {n} seeds, without an interval.{remark}"
    few = " Too few seeds for a claim: comparisons need five." if n < FEWEST_SEEDS else ""
    return f"{mean} over {n} seeds, {_interval_text(document, ends, digits)}.{few}{remark}"


def _interval_text(document: Document, ends: Sequence[float], digits: int | None = None) -> str:
    low, high = (number(end, digits) for end in ends)
    text = f"95 % confidence interval {low} to {high}"
    bounds = document.get("bounds")
    if bounds is None:
        return text
    return f"{text} (possible: {number(bounds[0], digits)} to {number(bounds[1], digits)})"


def _over_episodes(document: Document) -> str:
    """Say what the episodes of a policy without training show: they are the sample."""
    n = sum(run["n_episodes"] for run in document["runs"])
    mean = f"Mean reward {number(document['mean_reward'])} over {n:,} episodes"
    exact = [run.get("exact_mean_reward") for run in document["runs"]]
    if len(exact) == 1 and exact[0] is not None:
        return f"{mean}. The exact mean is {number(exact[0], 4)}."
    if document["ci95"] is None:
        same = n > 1 and all(run["std_reward"] == 0.0 for run in document["runs"])
        return f"{mean}, the same in all of them." if same else f"{mean}: too few for an interval."
    return f"{mean}, {_interval_text(document, document['ci95'])}."


def show_failures(results: "Sequence[ExperimentResult]") -> bool:
    """Say which runs failed, why, and where to look; return whether there are any."""
    failed = [run for result in results for run in result.runs if run.status == "failed"]
    for run in failed:
        reason = run.record.error
        show_message(f"Failed: {run.path}: {reason} (details in its run.json and log.txt)")
    if any(run.record.disk_full for run in failed):
        show_message("The disk or your quota is full: free some space first.")
    if failed:
        show_message("Run the same command again to retry the failed runs only.")
    return bool(failed)


def show_unfinished(results: "Sequence[ExperimentResult]") -> int:
    """Say which runs were interrupted and where, and which another process trains.

    :return: the exit code that follows: INTERRUPTED if this command left runs unfinished,
        INCOMPLETE if only other processes have, 0 if every run ended by itself
    """
    # Sort the runs by who trains them, and by what became of them.
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
    training = [(label, run) for label, run in theirs if run.status == "running"]
    left = [
        f"{label} {_where(run)}" if run.status == "interrupted" else label
        for label, run in theirs
        if run.status in {"interrupted", "pending"}
    ]
    # Name each of them, and say what to do.
    for heading, parts in (
        ("Interrupted", stopped),
        ("Not started", not_begun),
        ("Left to another process, which was interrupted", left),
        ("In training by another process", [_held(label, run) for label, run in training]),
        ("Trained by another process", _labels(theirs, "finished")),
    ):
        if parts:
            show_message(f"{heading}: {'; '.join(parts)}.")
    if training:
        show_message("If that process hangs, end it and run the same command again.")
    if stopped or not_begun or left:
        show_message("Run the same command again to resume.")
    if stopped or not_begun:
        return INTERRUPTED
    return INCOMPLETE if left or training else 0


def _held(label: str, run: "RunResult") -> str:
    """Name a run and the process that trains it."""
    return f"{label} ({run.holder})" if run.holder else label


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
