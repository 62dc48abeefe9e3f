"""What `rl train` and `rl eval` say about logs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rl_runner.cli.display.console import duration, number, show, show_json, table, tell
from rl_runner.cli.display.results import run_document
from rl_runner.errors import ConfigError, Problem

if TYPE_CHECKING:
    from rl_runner.config import ExperimentConfig

Document = dict[str, Any]


def learn_from_logs(
    configs: "Sequence[ExperimentConfig]",
    *,
    runs_dir: Path,
    fresh: bool,
    extend: bool,
    as_json: bool,
) -> None:
    """Train experiments that have a `data` section, and print what came of it."""
    from rl_runner.offline.learning.training import train_many_on_logs

    if any(config.data is None for config in configs):
        what = "Some of these configs learn from logs, others in an environment."
        raise ConfigError(Problem(what, "CONFIG...", "Train them by two commands."))
    if extend:
        cure = "To go on from an earlier table, name its run in `data.continue_from`."
        raise ConfigError(Problem("Learning from logs has no budget to extend.", "--extend", cure))
    documents, failed = [], False
    for result in train_many_on_logs(configs, runs_dir=runs_dir, fresh=fresh):
        runs = []
        for run in result.runs:
            runs.append(
                {**run_document(run.seed, str(run.path), dict(run.record)), **_results(run)}
            )
            failed |= run.record.get("status") == "failed"
            if not as_json:
                _show_run(run.path, dict(run.record))
        documents.append(
            {
                "experiment": str(result.path),
                "name": result.name,
                "hash": result.hash,
                "runs": runs,
            }
        )
    if as_json:
        show_json(documents[0] if len(documents) == 1 else documents)
    if failed:
        raise typer.Exit(1)


def judge_by_logs(
    runs: Sequence[Path],
    data: Sequence[str],
    window: str | None,
    *,
    without: Sequence[str],
    as_json: bool,
) -> None:
    """Judge trained runs by a log, and print the verdicts.

    :param without: options that were given and say nothing about logs
    """
    if without:
        cure = "Leave it out, or leave out --data to play episodes."
        raise ConfigError(Problem("Judging by a log plays no episodes.", without[0], cure))
    if not runs:
        cure = "Name one that `rl train` has made of a config with a `data` section."
        raise ConfigError(Problem("There is no run to judge.", "--data", cure))
    from rl_runner.offline.judging.run_evaluation import evaluate_on_logs

    documents = []
    for run in runs:
        evaluation = evaluate_on_logs(run, data, window)
        document = evaluation.to_dict()
        documents.append(document)
        if not as_json:
            show(f"{evaluation.run.path}, judged by what happened from {evaluation.window}")
            tell_refused_rows(document["refusals"])
            show_judgement(document)
            show(f"Figures and pictures: {evaluation.folder}")
    if as_json:
        show_json(documents[0] if len(documents) == 1 else documents)


def show_judgement(judgement: Document) -> None:
    """Draw the verdict: estimates, or the refusal; support; outcome rates."""
    n, users = judgement["interactions"], judgement["users"]
    logged = _with_interval(judgement["logged_reward"], judgement["logged_reward_ci95"])
    show(f"{n:,} interactions of {users:,} users; the logging policy earned {logged}.")
    support = judgement["support"]
    weight = _with_interval(support["mean_weight"], support["mean_weight_ci95"])
    show(
        f"Effective sample {support['effective_sample']:,.0f}, of "
        f"{support['effective_users']:,.0f} effective users; largest weight "
        f"{support['largest_weight']:.1f}, mean weight {weight}, without support "
        f"{support['unsupported']:.1%}."
    )
    if judgement["refusal"] is not None:
        show(f"No estimate: {judgement['refusal']}")
        return
    columns = ["estimator", ">reward", "95 % interval", ">vs logging", "", ">vs rule-based", ""]
    rows = [
        (
            name if e.get("for_claims", True) else f"{name} *",
            number(e["value"]),
            _interval(e["ci95"]),
            *_difference(e["versus_logging"], e["versus_logging_ci95"]),
            *_difference(e["versus_rule_based"], e["versus_rule_based_ci95"]),
        )
        for name, e in judgement["estimates"].items()
    ]
    show(table(columns, rows))
    show("* not for claims: trusts the form of a linear model, whose error no interval holds.")
    show("One recommendation where the logging policy had brought people; over whole sessions *:")
    show(_sessions(judgement["sessions"]))
    rates = [
        (name, f"{r['logged']:.3f}", f"{r['policy']:.3f}", _interval(r["policy_ci95"]))
        for name, r in judgement["rates"].items()
    ]
    show(table(["outcome", ">logged", ">this policy", "95 % interval"], rates))
    for warning in judgement["warnings"]:
        tell(f"Warning: {warning}.")


def _sessions(told: Document | None) -> str:
    if told is None:
        return "  too few sessions begin in the log to say anything."
    value = _with_interval(told["value"], told["ci95"])
    logging = _with_interval(told["logging"], told["logging_ci95"])
    rule = f"{told['versus_rule_based']:+.3f} ({_interval(told['versus_rule_based_ci95'])})"
    return (
        f"  {value} by a linear model of {told['sessions']:,} sessions; the logging policy "
        f"{logging}; against the rule-based policy {rule}."
    )


def _show_run(path: Path, record: Document) -> None:
    if record.get("status") != "finished":
        tell(f"{record.get('status')}: {path}: {record.get('error', '')}")
        return
    results = record["results"]
    log, coverage = results["log"], results["coverage"]
    show(
        f"{record['algo']} learned from {log['interactions']:,} interactions of {log['users']:,} "
        f"users, {log['window'][0]} to {log['window'][1]} ({duration(record['seconds'])}) → {path}"
    )
    tell_refused_rows(log["refusals"])
    if beyond := log.get("beyond_budget"):
        show(f"{beyond:,} older ones lie beyond `train.total_timesteps`.")
    show(
        f"Users with too few interactions: {log['users_dropped']:,} dropped "
        f"({log['users_dropped_share']:.1%} of users, "
        f"{log['interactions_dropped_share']:.1%} of interactions)."
    )
    for name, level in coverage.get("levels", {}).items():
        show(
            f"  {name:7} {level['states']:>9,} of {level['of_states']:,} states, "
            f"{level['state_actions']:,} of {level['of_state_actions']:,} state-actions, "
            f"{level['visits_per_state_action']:,.1f} visits each"
        )
    show(
        f"Q: average {coverage['avg_q_value']:.3f}, max {coverage['max_q_value']:.3f}; "
        f"ε {coverage['epsilon']:.3f}."
    )
    if coverage["values_outside"]:
        tell(f"Warning: {coverage['values_outside']:,} values lie outside what rewards can be.")
    if results["judgement"] is None:
        show("Nothing was held out: judge it with `rl eval RUN --data LOG`.")
    else:
        show(f"Held out, {log['holdout'][0]} to {log['holdout'][1]}:")
        show_judgement(results["judgement"])
    for item, holds in results["checklist"].items():
        mark = {True: "yes", False: "NO", None: "not known"}[holds]
        by_a_model = " *" if item.endswith("over_sessions") else ""
        show(f"  {item.replace('_', ' ')}{by_a_model}: {mark}")


def tell_refused_rows(refusals: Document) -> None:
    """Say how many rows of a log were refused, why, and name the first of them."""
    if not refusals["refused"]:
        return
    tell(f"{refusals['refused']:,} of {refusals['rows']:,} rows refused:")
    for reason, count in refusals["reasons"].items():
        tell(f"  {count:,} × {reason}")
    for example in refusals["examples"]:
        tell(f"  {example['file']}:{example['line']}: {example['reason']}")


def _results(run: Any) -> Document:
    results = run.record.get("results", {})
    return {key: results.get(key) for key in ("log", "coverage", "judgement", "checklist")}


def _difference(value: float | None, ends: Sequence[float] | None) -> tuple[str, str]:
    return ("—", "") if value is None or ends is None else (f"{value:+.3f}", _interval(ends))


def _interval(ends: Sequence[float]) -> str:
    return f"{ends[0]:.3f} to {ends[1]:.3f}"


def _with_interval(value: float, ends: Sequence[float]) -> str:
    return f"{value:.3f} ({_interval(ends)})"
