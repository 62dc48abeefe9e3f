"""Results of learning from logs, for `rl train`, `rl eval` and `rl convert`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rl_runner.cli.display.console import duration, interval, number, show, show_message, table
from rl_runner.cli.display.results import run_document
from rl_runner.errors import Problem, RunFolderError
from rl_runner.runs.layout import RECORD
from rl_runner.runs.record import EDITED, Results, RunRecord

if TYPE_CHECKING:
    from rl_runner.offline.judging.run_evaluation import Evaluation
    from rl_runner.training.experiment import ExperimentResult

Document = dict[str, Any]


def log_result_document(result: "ExperimentResult") -> Document:
    """Describe an experiment on logs, run by run, for JSON."""
    runs = []
    for run in result.runs:
        results = run.record.results or Results()
        learned = {
            "log": results.log,
            "coverage": results.coverage,
            "judgement": results.judgement,
            "checklist": results.checklist,
        }
        runs.append({**run_document(run.seed, str(run.path), run.record), **learned})
    return {
        "experiment": str(result.path),
        "name": result.name,
        "hash": result.hash,
        "runs": runs,
    }


def show_log_result(result: "ExperimentResult") -> None:
    """Print what each run learned from its log, and how it was judged."""
    for run in result.runs:
        _show_run(run.path, run.record)


def show_log_evaluation(evaluation: "Evaluation") -> None:
    """Print how a run is judged by a log."""
    document = evaluation.to_dict()
    show(f"{evaluation.run.path}, evaluated on the interactions from {evaluation.window}")
    show_refused_rows(document["refusals"])
    show_judgement(document)
    show(f"Figures and pictures: {evaluation.folder}")


def show_judgement(judgement: Document) -> None:
    """Print the support, the estimates (or why there are none), and the outcome rates."""
    n, users = judgement["interactions"], judgement["users"]
    logged = _with_interval(judgement["logged_reward"], judgement["logged_reward_ci95"])
    show(f"{n:,} interactions of {users:,} users; the logging policy earned {logged}.")
    support = judgement["support"]
    weight = _with_interval(support["mean_weight"], support["mean_weight_ci95"])
    show(
        f"Effective sample size {support['effective_sample']:,.0f}, from "
        f"{support['effective_users']:,.0f} effective users; largest weight "
        f"{support['largest_weight']:.1f}, mean weight {weight}, actions without support "
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
            interval(e["ci95"], 3),
            *_difference(e["versus_logging"], e["versus_logging_ci95"]),
            *_difference(e["versus_rule_based"], e["versus_rule_based_ci95"]),
        )
        for name, e in judgement["estimates"].items()
    ]
    show(table(columns, rows))
    show("* Not for claims: this relies on a linear model, whose error no interval covers.")
    show(
        "The table is about single recommendations, in states that the logging policy reached.",
        "Over whole sessions *:",
    )
    show(_sessions(judgement["sessions"], judgement.get("no_sessions")))
    rates = [
        (name, f"{r['logged']:.3f}", f"{r['policy']:.3f}", interval(r["policy_ci95"], 3))
        for name, r in judgement["rates"].items()
    ]
    show(table(["outcome", ">logged", ">this policy", "95 % interval"], rates))
    for warning in judgement["warnings"]:
        show_message(f"Warning: {warning}.")


def _sessions(sessions: Document | None, no_sessions: str | None) -> str:
    if sessions is None:
        return f"  no estimate: {no_sessions or 'too few sessions begin in the log'}."
    value = _with_interval(sessions["value"], sessions["ci95"])
    logging = _with_interval(sessions["logging"], sessions["logging_ci95"])
    rule = (
        f"{sessions['versus_rule_based']:+.3f} ({interval(sessions['versus_rule_based_ci95'], 3)})"
    )
    return (
        f"  {value}, by a linear model of {sessions['sessions']:,} sessions; the logging policy "
        f"earned {logging}; difference to the rule-based policy {rule}."
    )


def _show_run(path: Path, record: RunRecord) -> None:
    """Print one run; raises RunFolderError if the details in its run.json were edited."""
    try:
        _show_details(path, record)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        what = f"The results of learning from a log cannot be shown ({error!r})."
        raise RunFolderError(Problem(what, str(path / RECORD), EDITED)) from error


def _show_details(path: Path, record: RunRecord) -> None:
    results = record.results
    if not record.is_finished or results is None:
        return  # the command names it with the others that did not finish
    log, coverage = results.log or {}, results.coverage or {}
    show(
        f"{record.algo} learned from {log['interactions']:,} interactions of {log['users']:,} "
        f"users, {log['window'][0]} to {log['window'][1]} ({duration(record.seconds)}) → {path}"
    )
    show_refused_rows(log["refusals"])
    if beyond := log.get("beyond_budget"):
        show(
            f"{beyond:,} older interactions were left out, as `train.total_timesteps` limits them."
        )
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
        show_message(
            f"Warning: {coverage['values_outside']:,} values are outside the range of rewards."
        )
    if results.judgement is None:
        show("Nothing was held out; evaluate the run with `rl eval RUN --data LOG`.")
    else:
        show(f"Evaluated on held-out interactions, {log['holdout'][0]} to {log['holdout'][1]}:")
        show_judgement(dict(results.judgement))
    for item, holds in (results.checklist or {}).items():
        mark = {True: "yes", False: "no", None: "not shown"}[holds]
        by_a_model = " *" if item.endswith("over_sessions") else ""
        show(f"  {item.replace('_', ' ')}{by_a_model}: {mark}")


def show_refused_rows(refusals: Document) -> None:
    """Say how many rows of a log were refused and why, with some examples."""
    if not refusals["refused"]:
        return
    show_message(f"{refusals['refused']:,} of {refusals['rows']:,} rows refused:")
    for reason, count in refusals["reasons"].items():
        show_message(f"  {count:,} × {reason}")
    for example in refusals["examples"]:
        show_message(f"  {example['file']}:{example['line']}: {example['reason']}")


def _difference(value: float | None, ends: Sequence[float] | None) -> tuple[str, str]:
    return ("—", "") if value is None or ends is None else (f"{value:+.3f}", interval(ends, 3))


def _with_interval(value: float, ends: Sequence[float]) -> str:
    return f"{value:.3f} ({interval(ends, 3)})"
