"""Results of learning from logs, for `rl train`, `rl eval` and `rl convert`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rl_runner.cli.display.console import duration, interval, number, show, show_message
from rl_runner.cli.display.results import run_document
from rl_runner.cli.display.tables import Column, table
from rl_runner.runs.json_objects import JsonObject
from rl_runner.runs.log_results import (
    Checklist,
    Coverage,
    Estimate,
    Judgement,
    LogReport,
    RefusedRows,
    SessionJudgement,
)
from rl_runner.runs.record import Results

if TYPE_CHECKING:
    from rl_runner.offline.judging.run_evaluation import Evaluation
    from rl_runner.training.experiment import ExperimentResult
    from rl_runner.training.task import RunResult


def log_result_document(result: "ExperimentResult") -> dict[str, Any]:
    """Describe an experiment on logs, run by run, for JSON."""
    runs = []
    for run in result.runs:
        results = run.record.results or Results()
        learned = {
            "log": _document(results.log),
            "coverage": _document(results.coverage),
            "judgement": _document(results.judgement),
            "checklist": results.checklist,
        }
        runs.append({**run_document(run.seed, str(run.path), run.record), **learned})
    return {
        "experiment": str(result.path),
        "name": result.name,
        "hash": result.hash,
        "runs": runs,
    }


def _document(section: JsonObject | None) -> dict[str, Any] | None:
    return None if section is None else section.to_json()


def show_log_result(result: "ExperimentResult") -> None:
    """Print what each run learned from its log, and how it was judged."""
    for run in result.runs:
        if run.record.is_finished:  # the command names those that did not finish
            _show_run(run)


def show_log_evaluation(evaluation: "Evaluation") -> None:
    """Print how a run is judged by a log."""
    show(f"{evaluation.run.path}, evaluated on the interactions from {evaluation.window}")
    show_refused_rows(evaluation.refusals)
    show_judgement(evaluation.judgement)
    show(f"Figures and pictures: {evaluation.folder}")


def show_judgement(judgement: Judgement) -> None:
    """Print the support, the estimates (or why there are none), and the outcome rates."""
    # What the log holds, and how well it covers the policy.
    logged = _with_interval(judgement.logged_reward, judgement.logged_reward_ci95)
    show(
        f"{judgement.interactions:,} interactions of {judgement.users:,} users; the logging policy "
        f"earned {logged}."
    )
    support = judgement.support
    show(
        f"Effective sample size {support.effective_sample:,.0f}, from "
        f"{support.effective_users:,.0f} effective users; largest weight "
        f"{support.largest_weight:.1f}, mean weight "
        f"{_with_interval(support.mean_weight, support.mean_weight_ci95)}, actions without support "
        f"{support.unsupported:.1%}."
    )
    if judgement.refusal is not None:
        show(f"No estimate: {judgement.refusal}")
        return
    # The reward of a recommendation, and of a whole session.
    columns = (
        "estimator", ">reward", "95 % interval", ">vs logging", "95 % interval",
        Column(">vs rule-based", 1), Column("95 % interval", 1),
    )  # fmt: skip
    show(table(columns, [_estimate_row(*named) for named in judgement.estimates.items()]))
    show("* Not for claims: this relies on a linear model, whose error no interval covers.")
    show(
        "The table is about single recommendations, in states that the logging policy reached.",
        "Over whole sessions *:",
    )
    show(_sessions(judgement.sessions, judgement.no_sessions))
    # How often each outcome occurs.
    rates = [
        (name, f"{rate.logged:.3f}", f"{rate.policy:.3f}", interval(rate.policy_ci95, 3))
        for name, rate in judgement.rates.items()
    ]
    show(table(["outcome", ">logged", ">this policy", "95 % interval"], rates))
    for warning in judgement.warnings:
        show_message(f"Warning: {warning}.")


def _estimate_row(name: str, estimate: Estimate) -> tuple[str, ...]:
    return (
        name if estimate.for_claims else f"{name} *",
        number(estimate.value),
        interval(estimate.ci95, 3),
        *_difference(estimate.versus_logging, estimate.versus_logging_ci95),
        *_difference(estimate.versus_rule_based, estimate.versus_rule_based_ci95),
    )


def _sessions(sessions: SessionJudgement | None, no_sessions: str | None) -> str:
    if sessions is None:
        return f"  no estimate: {no_sessions or 'too few sessions begin in the log'}."
    value = _with_interval(sessions.value, sessions.ci95)
    logging = _with_interval(sessions.logging, sessions.logging_ci95)
    rule = f"{sessions.versus_rule_based:+.3f} ({interval(sessions.versus_rule_based_ci95, 3)})"
    return (
        f"  {value}, by a linear model of {sessions.sessions:,} sessions; the logging policy "
        f"earned {logging}; difference to the rule-based policy {rule}."
    )


def _show_run(run: "RunResult") -> None:
    """Print what a finished run learned, and how it was judged."""
    results = run.record.results
    if results is None:
        return
    if results.log is not None:
        log = results.log
        show(
            f"{run.record.algo} learned from {log.interactions:,} interactions of {log.users:,} "
            f"users, {log.window[0]} to {log.window[1]} ({duration(run.record.seconds)}) → "
            f"{run.path}"
        )
        _show_left_out(log)
    if results.coverage is not None:
        _show_coverage(results.coverage)
    if results.judgement is None:
        show("Nothing was held out; evaluate the run with `rl eval RUN --data LOG`.")
    else:
        if results.log is not None and results.log.holdout is not None:
            start, end = results.log.holdout
            show(f"Evaluated on held-out interactions, {start} to {end}:")
        show_judgement(results.judgement)
    _show_checklist(results.checklist or {})


def _show_left_out(log: LogReport) -> None:
    """Print which rows, interactions and users were left out of training."""
    show_refused_rows(log.refusals)
    if log.beyond_budget:
        show(
            f"{log.beyond_budget:,} older interactions were left out, as `train.total_timesteps` "
            "limits them."
        )
    show(
        f"Users with too few interactions: {log.users_dropped:,} dropped "
        f"({log.users_dropped_share:.1%} of users, "
        f"{log.interactions_dropped_share:.1%} of interactions)."
    )


def _show_coverage(coverage: Coverage) -> None:
    """Print how much of the domain was seen, and the range of the values."""
    for name, level in coverage.levels.items():
        show(
            f"  {name:7} {level.states:>9,} of {level.of_states:,} states, "
            f"{level.state_actions:,} of {level.of_state_actions:,} state-actions, "
            f"{level.visits_per_state_action:,.1f} visits each"
        )
    show(
        f"Q: average {coverage.avg_q_value:.3f}, max {coverage.max_q_value:.3f}; "
        f"ε {coverage.epsilon:.3f}."
    )
    if coverage.values_outside:
        show_message(
            f"Warning: {coverage.values_outside:,} values are outside the range of rewards."
        )


def _show_checklist(checklist: Checklist) -> None:
    """Print what should hold before the policy is deployed, and whether it does."""
    for item, holds in checklist.items():
        mark = {True: "yes", False: "no", None: "not shown"}[holds]
        by_a_model = " *" if item.endswith("over_sessions") else ""
        show(f"  {item.replace('_', ' ')}{by_a_model}: {mark}")


def show_refused_rows(refusals: RefusedRows) -> None:
    """Say how many rows of a log were refused and why, with some examples."""
    if not refusals.refused:
        return
    show_message(f"{refusals.refused:,} of {refusals.rows:,} rows refused:")
    for reason, count in refusals.reasons.items():
        show_message(f"  {count:,} × {reason}")
    for example in refusals.examples:
        show_message(f"  {example.file}:{example.line}: {example.reason}")


def _difference(value: float | None, ends: Sequence[float] | None) -> tuple[str, str]:
    return ("—", "") if value is None or ends is None else (f"{value:+.3f}", interval(ends, 3))


def _with_interval(value: float, ends: Sequence[float]) -> str:
    return f"{value:.3f} ({interval(ends, 3)})"
