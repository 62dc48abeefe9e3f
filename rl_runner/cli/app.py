"""The command line ``rl``: the list of its commands, and the one place that catches errors."""

import contextlib
import functools
import inspect
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from rl_runner import __version__
from rl_runner.cli import INTERRUPTED, USER_MISTAKE, options
from rl_runner.cli.commands import Command, CommandGroup
from rl_runner.cli.commands.compare import compare
from rl_runner.cli.commands.configs import algos, check, envs, init
from rl_runner.cli.commands.dashboard import dashboard
from rl_runner.cli.commands.eval import evaluate
from rl_runner.cli.commands.export import export
from rl_runner.cli.commands.interaction_logs import convert, simulate
from rl_runner.cli.commands.models import MODELS
from rl_runner.cli.commands.report import report
from rl_runner.cli.commands.runs import runs
from rl_runner.cli.commands.serve import SERVE
from rl_runner.cli.commands.train import train
from rl_runner.cli.commands.tune import tune
from rl_runner.cli.commands.verification import doctor, reproduce
from rl_runner.cli.commands.videos import record, watch
from rl_runner.cli.display.console import only_results, separate_results, show, show_error
from rl_runner.cli.help_words import PlainCommand, PlainHelp
from rl_runner.errors import ConfigError, Problem, RunnerError
from rl_runner.local_code import forbid_local_code
from rl_runner.startup import collect_rarely

# The headings and commands of `rl --help`, in its order.
GROUPS: dict[str, dict[str, Command | CommandGroup]] = {
    "Train": {"train": train, "tune": tune},
    "Look at results": {
        "runs": runs,
        "eval": evaluate,
        "compare": compare,
        "report": report,
        "record": record,
        "watch": watch,
        "dashboard": dashboard,
    },
    "Write a config": {"init": init, "check": check, "algos": algos, "envs": envs},
    "Verify": {"doctor": doctor, "reproduce": reproduce},
    "Logs of interactions": {"simulate": simulate, "convert": convert, "export": export},
    "Serve a policy": {"serve": SERVE, "models": MODELS},
}
# The commands that run environments, and with them the modules that configs name.
RUN_CODE = {
    "train", "tune", "eval", "compare", "report", "record", "watch", "check", "reproduce", "envs",
}  # fmt: skip
COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Train, evaluate and compare reinforcement learning agents (Stable-Baselines3) over many "
    "seeds, each experiment from one YAML file.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        show(f"rl_runner {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    del version


def _with_error_boundary(command: Command) -> Command:
    """Wrap a command so that errors become exit codes.

    A user's mistake is printed as one panel, with exit code 2. Ctrl-C ends with 130. Any other
    exception is a bug and keeps its traceback.
    """

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        try:
            _check_names([os.getcwd(), *options.values()])  # noqa: PTH109 - a text
            with only_results():
                command(*arguments, **options)
        except RunnerError as error:
            show_error(error)
            raise typer.Exit(USER_MISTAKE) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None

    return run


def _check_names(values: Iterable[object]) -> None:
    """Refuse names that are not UTF-8: neither run.json nor TensorBoard could hold them.

    :raises ConfigError: with the first one, its other bytes as escapes
    """
    for value in values:
        if isinstance(value, list | tuple):
            _check_names(value)
        elif isinstance(value, str | Path):
            try:
                str(value).encode()
            except UnicodeEncodeError:
                what = "This name is not UTF-8, so no file of a run could hold it."
                cure = "Rename it. If your files have such names in UTF-8, `export LC_ALL=C.UTF-8`."
                raise ConfigError(Problem(what, str(value), cure)) from None


def _with_no_local_code(command: Command) -> Command:
    """Give a command that loads configs the option to refuse modules that are not installed."""

    @functools.wraps(command)
    def run(*arguments: Any, no_local_code: bool = False, **keywords: Any) -> None:
        if no_local_code:
            forbid_local_code()
        command(*arguments, **keywords)

    signature = inspect.signature(command)
    kind = inspect.Parameter.KEYWORD_ONLY
    option = inspect.Parameter("no_local_code", kind, default=False, annotation=options.NoLocalCode)
    parameters = [*signature.parameters.values(), option]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {**command.__annotations__, "no_local_code": options.NoLocalCode}
    return run


def _add_group(name: str, group: CommandGroup, heading: str) -> None:
    """Add a command that consists of commands."""
    kind = type("PlainGroup", (PlainHelp, group.kind), {})
    inner = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", cls=kind)
    for each, command in group.commands.items():
        inner.command(each, cls=PlainCommand)(_with_error_boundary(command))
    app.add_typer(inner, name=name, help=group.help, rich_help_panel=heading)


for _heading, _group in GROUPS.items():
    for _name, _command in _group.items():
        if isinstance(_command, CommandGroup):
            _add_group(_name, _command, _heading)
            continue
        _whole = _with_no_local_code(_command) if _name in RUN_CODE else _command
        app.command(_name, cls=PlainCommand, rich_help_panel=_heading)(_with_error_boundary(_whole))


def main() -> None:
    """Run ``rl``."""
    collect_rarely()
    separate_results()
    try:
        app(prog_name="rl")
    finally:
        # What is printed while the interpreter exits is no result either.
        results, sys.stdout = sys.stdout, sys.stderr
        with contextlib.suppress(BrokenPipeError):  # the reader has seen enough, e.g. `head`
            results.flush()
