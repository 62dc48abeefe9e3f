"""``rl report``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from rl_runner.cli._console import tell


def report(
    experiments: Annotated[
        list[Path],
        typer.Argument(metavar="EXPERIMENT...", help="Experiment folders.", show_default=False),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="The HTML file to write.")
    ] = Path("report.html"),
    checkpoint: Annotated[
        Literal["last", "best"],
        typer.Option("--checkpoint", help="Compare the agents at the end, or the best ones."),
    ] = "last",
    pictures: Annotated[
        bool,
        typer.Option(
            "--pictures/--no-pictures", help="Play an episode of each for pictures of the agent."
        ),
    ] = True,
) -> None:
    """Write one HTML file on experiments: what was run, results, comparison, pictures, failures.

    It needs no network to be read, and prints well. Experiments on different environments get a
    section each.

    Example: rl report runs/cartpole-ppo-c340ea73 runs/cartpole-dqn-7f91b108 --out cartpole.html
    """
    from rl_runner.evaluation.report import write_report

    written = write_report(experiments, out, agent=checkpoint, with_pictures=pictures)
    without = f", {written.n_failures} without a result" if written.n_failures else ""
    n = len(written.experiments)
    said = f"{n} experiment{'s' if n > 1 else ''}, {written.n_runs} runs{without}"
    tell(f"{said} → {out}, {out.stat().st_size / 1e6:.1f} MB")
