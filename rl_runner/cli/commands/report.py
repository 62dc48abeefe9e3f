"""``rl report``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from rl_runner.cli import options
from rl_runner.cli.display.console import show_message
from rl_runner.errors import count


def report(
    experiments: Annotated[
        list[Path],
        typer.Argument(
            metavar="EXPERIMENT",
            help="Folders of experiments and of `rl tune` studies.",
            show_default=False,
            autocompletion=options.complete_experiment_or_study,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="The HTML file to write.")
    ] = Path("report.html"),
    checkpoint: Annotated[
        Literal["last", "best"],
        typer.Option(
            "--checkpoint", help="Compare the agents at the end of training, or the best ones."
        ),
    ] = "last",
    pictures: Annotated[
        bool,
        typer.Option(
            "--pictures/--no-pictures",
            help="Play one episode of each experiment for pictures of its agent.",
        ),
    ] = True,
) -> None:
    """Write one HTML report: configs, results, comparison, pictures and failures.

    The file works offline and prints well. Each environment gets a section, and so does each
    study of `rl tune`: its trials, the important hyperparameters and the results on fresh seeds.
    So does each experiment that learned from logs: its log, its estimates and its checklist.

    Example: rl report runs/cartpole-ppo-f502fd63 runs/cartpole-dqn-7f91b108 --out cartpole.html
    """
    from rl_runner.evaluation.report import check_report_path, write_report
    from rl_runner.offline.judging.log_report import learned_from_logs, log_part
    from rl_runner.tuning.report.html import is_study, study_part

    check_report_path(out)
    # Experiments, studies and runs on logs are described in different parts of the report.
    studies = list(dict.fromkeys(path for path in experiments if is_study(path)))
    on_logs = [path for path in experiments if path not in studies and learned_from_logs(path)]
    written = write_report(
        [path for path in experiments if path not in studies and path not in on_logs],
        out,
        agent=checkpoint,
        with_pictures=pictures,
        studies=[study_part(path) for path in studies],
        logs=[log_part(path) for path in dict.fromkeys(on_logs)],
    )
    # Say what the report holds.
    size = f"{out.stat().st_size / 1e6:.1f} MB"
    without = f", {written.n_failures} without a result" if written.n_failures else ""
    runs = f", {count(written.n_runs, 'run')}{without}" if written.n_runs else ""
    show_message(f"{written.counted}{runs} → {out}, {size}")
