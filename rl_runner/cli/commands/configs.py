"""Writing a config: ``rl init``, ``rl check``, ``rl algos`` and ``rl envs``."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rl_runner.cli import options
from rl_runner.cli.display.console import (
    duration,
    number,
    show,
    show_json,
    show_message,
    show_text,
)
from rl_runner.cli.display.tables import Column, table
from rl_runner.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rl_runner.training.commands.check import CheckReport


def init(
    algo: Annotated[
        str,
        typer.Argument(
            metavar="ALGO",
            help="A name from `rl algos`; or the word `env`.",
            autocompletion=options.complete_algorithm,
        ),
    ],
    env: Annotated[
        str,
        typer.Argument(
            metavar="ENV", help="A Gymnasium id, see `rl envs`; after `env`, the file to write."
        ),
    ],
) -> None:
    """Print a commented, valid config; or write an environment of your own to start from.

    Example: rl init ppo CartPole-v1 > mine.yaml

    `rl init env my_env.py` writes a small environment, its tests, and a config that trains at once.
    """
    if algo == "env":
        from rl_runner.training.commands.environment_starter import write_environment

        written = write_environment(Path(env))
        show_message(f"Wrote {', '.join(map(str, written))}")
        config, tests = written[2], written[1]
        show_message(f"Next: `rl check {config}`, `rl train {config}`, `pytest {tests}`.")
        return
    from rl_runner.training.commands.starter import starter_config

    show_text(starter_config(algo, env))


def check(
    configs: options.Configs,
    overrides: options.Overrides = None,
    seeds: options.SeedList = None,
    as_json: options.AsJson = False,
) -> None:
    """Check configs: build environment and agent, train for a few seconds, and write nothing.

    Example: rl check configs/cartpole/*.yaml
    """
    from rl_runner.config import load_config

    changes = options.with_seeds(overrides, seeds)
    loaded = [load_config(path, changes) for path in configs]
    from rl_runner.training.commands.check import check_experiment  # these load torch
    from rl_runner.training.resolve import resolve

    # Check all of them, before any is trained.
    resolutions = [resolve(config) for config in loaded]
    if any(config.tune is not None for config in loaded):
        from rl_runner.tuning.tune import check_tuning

        for config in loaded:
            check_tuning(config)
    # Train each for a few seconds.
    reports = []
    for resolution in resolutions:
        show_message(f"Training {resolution.config.name} for a few seconds …")
        for note in resolution.notes:
            show_message(f"Note: {note}")
        reports.append(check_experiment(resolution))
    # Show what was found.
    if as_json:
        documents = [asdict(report) for report in reports]
        show_json(documents[0] if len(documents) == 1 else documents)
        return
    _show_table(reports)
    _show_warnings(reports)
    has_wrappers = any(resolution.config.env.wrappers for resolution in resolutions)
    _show_code(reports, has_wrappers=has_wrappers)


def _show_table(reports: "Sequence[CheckReport]") -> None:
    """Print a row per experiment: its spaces, and what a run will cost."""
    columns = (
        "experiment", Column("observations", 1), Column("actions", 1), Column(">time limit", 3),
        ">time per seed", Column(">memory", 2),
    )  # fmt: skip
    rows = [
        (
            report.experiment,
            report.observation_space,
            report.action_space,
            f"{report.time_limit} (default)" if report.time_limit_is_ours else report.time_limit,
            f"{duration(report.seconds_per_run)} × {report.n_runs}",
            f"{report.megabytes:,.0f} MB",
        )
        for report in reports
    ]
    show(table(columns, rows))


def _show_warnings(reports: "Sequence[CheckReport]") -> None:
    """Print the warnings and the verdict."""
    for report in reports:
        for warning in report.warnings:
            show(f"Warning: {report.env}: {warning}")
    n_warnings = sum(len(report.warnings) for report in reports)
    verdict = (
        f"It can be trained, with {n_warnings} warning{'s' * (n_warnings > 1)}."
        if n_warnings
        else "Valid."
    )
    show(f"{verdict} Times are estimated from a few seconds of training, without evaluations.")
    for report in reports:
        alone, learning = report.env_steps_per_second, report.steps_per_second
        show(f"{report.env}: {alone:,.0f} steps/s alone, {learning:,.0f} with learning.")


def _show_code(reports: "Sequence[CheckReport]", *, has_wrappers: bool) -> None:
    """Print which code besides rl_runner's was run, and that nothing was written."""
    code = dict.fromkeys(each for report in reports for each in report.code)
    if code:
        show("It runs code of yours and of other packages:", *(f"  {each}" for each in code))
        show("`--no-local-code` refuses modules that are not installed packages.")
    theirs = ""
    if code or has_wrappers:
        theirs = " What an environment or a wrapper writes is its own."
    show(f"rl_runner wrote nothing.{theirs}")


def algos(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="ALGO",
            help="Show one algorithm's hyperparameters.",
            autocompletion=options.complete_algorithm,
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """List the algorithms and the spaces they support, or one algorithm's hyperparameters.

    Example: rl algos ppo
    """
    if name is None:
        _list_algorithms(as_json)
    else:
        _list_hyperparameters(name, as_json)


def _list_algorithms(as_json: bool) -> None:
    from rl_runner.agents.registry import ALGORITHMS
    from rl_runner.agents.spaces import supported_spaces

    spaces = {name: supported_spaces(name) for name in ALGORITHMS}
    if as_json:
        show_json(
            [
                {
                    "name": row.name,
                    "class": row.import_path,
                    "reference": row.reference,
                    "observation_spaces": spaces[row.name][0],
                    "action_spaces": spaces[row.name][1],
                }
                for row in ALGORITHMS.values()
            ]
        )
        return
    rows = [
        (row.name, *(", ".join(kinds) for kinds in reversed(spaces[row.name])), row.reference)
        for row in ALGORITHMS.values()
    ]
    show(table(("algorithm", "actions", "observations", "reference"), rows))


def _list_hyperparameters(name: str, as_json: bool) -> None:
    from rl_runner.agents.hyperparameters.constructor import hyperparameters_of
    from rl_runner.agents.registry import find_algorithm

    algorithm = find_algorithm(name)
    known = hyperparameters_of(algorithm).values()
    # For programs: defaults keep their types.
    if as_json:
        items: list[dict[str, Any]] = [
            {
                "name": item.name,
                "type": item.type_name,
                "default": item.default,
                "description": item.description,
            }
            for item in known
        ]
        show_json({"name": name, "class": algorithm.import_path, "hyperparameters": items})
        return
    # For readers: defaults as a config spells them.
    rows = [
        (
            item.name,
            item.type_name,
            "null" if item.default is None else item.default,
            item.description,
        )
        for item in known
    ]
    title = f"{name}: {algorithm.import_path} ({algorithm.reference})"
    show(table(("hyperparameter", "type", ">default", "description"), rows, title))


def envs(
    pattern: Annotated[
        str,
        typer.Argument(
            metavar="[TEXT]", help="List only ids that contain this text; or the word `show`."
        ),
    ] = "",
    env_id: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="After `show`: the environment to describe."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """List the installed environments, their spaces, time limits and reward thresholds.

    Example: rl envs frozen

    `rl envs show Taxi-v4` describes one: its spaces, its text, and what acting at random earns.
    """
    if env_id is not None:
        _show_environment(pattern, env_id, as_json=as_json)
        return
    import rl_runner.envs  # noqa: F401 - registers our own
    from rl_runner.envs.catalog import installed_environments

    entries = list(installed_environments(pattern))
    if as_json:
        show_json([asdict(entry) for entry in entries])
        return
    columns = ("environment", "observations", "actions", ">time limit", ">reward threshold")
    rows = [
        (e.id, e.observation_space, e.action_space, e.time_limit or "none", e.reward_threshold)
        for e in entries
    ]
    show(table(columns, rows) if rows else f"No installed environment contains {pattern!r}.")


def _show_environment(word: str, env_id: str, *, as_json: bool) -> None:
    """Describe one environment.

    :raises ConfigError: if the word before the id is not `show`
    """
    if word != "show":
        what = f"`rl envs` takes one text, not `{word}` and `{env_id}`."
        raise ConfigError(Problem(what, "TEXT", f"Write `rl envs {word}`, or `rl envs show ID`."))
    from rl_runner.evaluation.play.env_description import N_EPISODES, describe_environment

    found = describe_environment(env_id)
    if as_json:
        show_json(asdict(found))
        return
    show(found.id)
    for name, lines in (("Observations", found.observations), ("Actions", found.actions)):
        show(f"{name}:", *(f"  {line}" for line in lines))
    limit = "none of its own" if found.time_limit is None else f"{found.time_limit:,} steps"
    threshold = "none" if found.reward_threshold is None else number(found.reward_threshold)
    show(f"Time limit: {limit}. Reward threshold: {threshold}.")
    show(
        f"Acting at random: return {number(found.random_return)} ± "
        f"{number(found.random_return_std)} (standard deviation), {found.random_length:.0f} steps, "
        f"over {N_EPISODES} episodes."
    )
    show(f"Baselines for `rl eval --env {env_id} --policy NAME`: {', '.join(found.baselines)}.")
    if "rgb_array" in found.render_modes:
        show(f"See it: `rl record --env {env_id} --policy random --out random.gif`.")
    if found.text:
        show("")
        show_text(found.text)
