"""``rl reproduce``."""

from typing import TYPE_CHECKING

import typer

from rl_runner.cli import options
from rl_runner.cli.display.console import duration, number, show, show_json, show_message
from rl_runner.cli.display.tables import table
from rl_runner.cli.exit_codes import FAILED

if TYPE_CHECKING:
    from rl_runner.evaluation.reproduction import Reproduction

MEANINGS = {
    "bit-equal": "weights, episodes, evaluations and curves are the same to the last bit",
    "statistically equal": "not the same bits, but the held-out episodes do not tell them apart",
    "different": "the held-out episodes tell the two agents apart",
}


def reproduce(
    run: options.OneRun,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Run a finished run again from its own config, and compare.

    It happens in a temporary folder; the run itself is only read. The exit code is 1 if the two
    are different.

    Example: rl reproduce runs/cartpole-ppo-3f9a1c2e/seed-0
    """
    from rl_runner.cli.display.progress import choose_reporter
    from rl_runner.training.commands.reproduce import find_finished
    from rl_runner.training.commands.reproduce import reproduce as run_again

    # Train the seed again.
    finished = find_finished(run)
    path = finished.task.folder.path
    show_message(f"Running {path} again; it took {duration(finished.seconds)} …")
    reporter = choose_reporter(quiet=quiet, verbose=False)
    try:
        found = run_again(finished, reporter)
    finally:
        reporter.close()
    # Show how the two differ, if they do.
    if as_json:
        show_json({"run": str(path), **found.to_dict()})
    else:
        _show(str(path), found)
    if found.verdict == "different":
        raise typer.Exit(FAILED)


def _show(path: str, found: "Reproduction") -> None:
    rows = [
        [m.name, number(m.before, 4), number(m.after, 4), number(m.p_value)] for m in found.metrics
    ]
    rows.append(["SHA-256 of the weights", *(digest[:12] for digest in found.weights), ""])
    show(table(("", ">then", ">now", ">p value"), rows, path))
    show(f"{found.verdict}: {MEANINGS[found.verdict]}.")
    if found.differences:
        listed, more = found.differences[:6], len(found.differences) - 6
        show(f"Not bit-equal: {'; '.join(listed)}{f'; and {more} more' if more > 0 else ''}.")
    if found.surroundings:
        show("What it ran on differs:", *(f"  {line}" for line in found.surroundings))
    else:
        show("The code, packages, machine and commit recorded are the same.")
