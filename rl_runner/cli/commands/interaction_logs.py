"""Logs of interactions: ``rl simulate`` and ``rl convert``."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from rl_runner.cli import options
from rl_runner.cli.display.console import show, show_json
from rl_runner.cli.display.logs import show_refused_rows
from rl_runner.errors import ConfigError, Problem, count

RecommenderConfig = Annotated[
    Path,
    typer.Argument(metavar="CONFIG", help="A config for the environment Recommender-v0."),
]
NewLog = Annotated[
    Path,
    typer.Option("--out", metavar="FILE", help="The log to write: FILE.parquet or FILE.jsonl."),
]
Policy = Annotated[
    str,
    typer.Option(
        "--policy",
        help="The policy: random, rule_based, myopic, optimal, or a run's folder.",
    ),
]
Epsilon = Annotated[
    float,
    typer.Option("--epsilon", min=0, max=1, help="The share of random actions."),
]
Interactions = Annotated[
    int, typer.Option("--interactions", min=1, max=10**9, help="The number of rows in the log.")
]
Days = Annotated[
    int, typer.Option("--days", min=1, max=3650, help="The number of days that the log covers.")
]
End = Annotated[
    datetime | None,
    typer.Option("--end", help="The end of the last day, in UTC; default: 2025-06-30."),
]
Seed = Annotated[
    int, typer.Option("--seed", min=0, help="The seed; it determines the simulated people.")
]


def simulate(
    config: RecommenderConfig,
    out: NewLog,
    policy: Policy = "random",
    epsilon: Epsilon = 0.0,
    interactions: Interactions = 10_000,
    days: Days = 14,
    end: End = None,
    seed: Seed = 0,
    overrides: options.Overrides = None,
    as_json: options.AsJson = False,
) -> None:
    """Simulate people who follow a policy's recommendations, and write the log.

    Example: rl simulate configs/recommender/q_learning.yaml --interactions 100000 --out log.parquet
    """
    from rl_runner.config import load_config
    from rl_runner.offline.judging.named_policies import named_policy
    from rl_runner.offline.logs.log_files import check_suffix, write_log
    from rl_runner.offline.logs.simulation import (
        DEFAULT_END,
        LogPlan,
        check_simulated,
        simulate_log,
    )

    # Check what was given, before anything is computed.
    check_suffix(out)
    check_simulated(load_config(config, overrides or []))
    end_in_utc = DEFAULT_END if end is None else _past_time(end.replace(tzinfo=UTC))
    target = named_policy(policy, epsilon)
    # Simulate, and write the log.
    plan = LogPlan(
        interactions,
        seed=seed,
        days=days,
        end=end_in_utc,
        policy_id=target.name,
        model_version=target.version,
    )
    log = simulate_log(target.probabilities, plan)
    write_log(log, out)
    # Describe it.
    n_users, exact = log["user_id"].n_unique(), target.exact_mean_reward()
    if as_json:
        document = {"log": str(out), "interactions": len(log), "users": n_users}
        show_json({**document, "policy": target.name, "exact_mean_reward": exact})
        return
    show(
        f"Wrote {count(len(log), 'interaction')} of {count(n_users, 'user')} to {out}",
        f"Exact mean reward of {target.name}: {exact:.4f} per interaction.",
    )


def _past_time(end: datetime) -> datetime:
    """Return a time that has passed; raises ConfigError for any other."""
    if end > datetime.now(UTC):
        what = "The log would end in the future, and readers refuse timestamps in the future."
        raise ConfigError(Problem(what, f"--end {end:%Y-%m-%d}"))
    return end


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="LOG", help="A log, or another tool's .csv, .jsonl or .parquet file."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FILE", help="The file to write: .parquet, .jsonl, .npz or .vw."
        ),
    ],
    columns: Annotated[
        Path | None,
        typer.Option(
            "--columns", metavar="YAML", help="A file that maps our column names to those of LOG."
        ),
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option("--timezone", help="The time zone of timestamps without one, e.g. UTC."),
    ] = None,
    ambiguous_times: Annotated[
        Literal["earliest", "latest"] | None,
        typer.Option(
            "--ambiguous-times",
            help="Which instant a local time means that occurs twice, when clocks go back.",
        ),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option("--encoding", help="The encoding of a CSV, e.g. latin-1. Default: UTF-8."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Convert logs from other tools, or to Open Bandit arrays or Vowpal Wabbit text.

    Example: rl convert clicks.csv --columns columns.yaml --out log.parquet
    """
    from rl_runner.offline.logs.log_conversion import convert_log

    n_rows, refusals = convert_log(source, out, columns, timezone, ambiguous_times, encoding)
    refused = refusals.report()
    if as_json:
        show_json({"out": str(out), "written": n_rows, "refusals": refused.to_json()})
        return
    show_refused_rows(refused)
    show(f"Wrote {count(n_rows, 'interaction')} to {out}")
