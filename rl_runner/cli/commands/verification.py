"""Verifying: ``rl doctor`` and ``rl reproduce``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rl_runner.cli import FAILED, options
from rl_runner.cli.display.console import duration, number, show, show_json, show_message
from rl_runner.cli.display.tables import table
from rl_runner.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rl_runner.config import ExperimentConfig
    from rl_runner.evaluation.reproduction import Reproduction

MEANINGS = {
    "bit-equal": "weights, episodes, evaluations and curves are the same to the last bit",
    "statistically equal": "not the same bits, but the held-out episodes do not tell them apart",
    "different": "the held-out episodes tell the two agents apart",
}


def doctor(
    configs: Annotated[
        list[Path] | None, typer.Argument(metavar="[CONFIGS]...", help="YAML files.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Prove on CONFIGS that an interrupted run resumes exactly."),
    ] = False,
    overrides: options.Overrides = None,
    runs_dir: options.RunsDir = options.DEFAULT_RUNS_DIR,
    as_json: options.AsJson = False,
) -> None:
    """Check this installation, or prove on your config that an interrupted run resumes exactly.

    The proof trains the config for a few seconds without interruption, and again with two: one as
    by Ctrl-C, one as by a power cut. It compares weights, episodes, evaluations and TensorBoard
    curves bit for bit. The exit code is 1 if something is wrong.

    Example: rl doctor --resume configs/cartpole/ppo.yaml
    """
    from rl_runner.config import load_config

    if resume != bool(configs) or (overrides and not configs):
        what = "`--resume` needs a config." if resume else "`rl doctor CONFIG` needs `--resume`."
        cure = "Write `rl doctor --resume CONFIG`, or `rl doctor` for the installation."
        raise ConfigError(Problem(what, "rl doctor", cure))
    if configs:
        is_well = _prove_resume([load_config(path, overrides or []) for path in configs], as_json)
    else:
        is_well = _examine_installation(runs_dir, as_json)
    if not is_well:
        raise typer.Exit(FAILED)


def _examine_installation(runs_dir: Path, as_json: bool) -> bool:
    """Check the installation and show the findings; return False if something is wrong."""
    from dataclasses import asdict

    from rl_runner.training.commands.installation import examine_installation

    findings = list(examine_installation(runs_dir))
    if as_json:
        show_json([asdict(finding) for finding in findings])
    else:
        rows = [(finding.what, finding.found, finding.cure or "—") for finding in findings]
        show(table(("checked", "found", "what to do"), rows))
    return not any(finding.cure for finding in findings)


def _prove_resume(configs: "Sequence[ExperimentConfig]", as_json: bool) -> bool:
    """Prove it for every config and show the results; return False if one is not exact."""
    from dataclasses import asdict

    from rl_runner.training.commands.doctor import prove_resume

    documents = []
    for config in configs:
        show_message(f"Training {config.name} for a few seconds, with and without interruptions …")
        proof = prove_resume(config)
        documents.append({"name": config.name, "exact": not proof.differences, **asdict(proof)})
        if not as_json:
            stopped = f"stopped at {proof.stopped_at:,}, " if proof.stopped_at else ""
            interruptions = f"{stopped}ended by an exception at {proof.broken_off_at:,}"
            show(f"{config.name}: {_verdict(proof.differences)}")
            show(f"  ({proof.total_timesteps:,} timesteps, {interruptions})")
    if as_json:
        show_json(documents[0] if len(documents) == 1 else documents)
    return all(document["exact"] for document in documents)


def _verdict(differences: list[str]) -> str:
    if not differences:
        return "resumes exactly: weights, episodes, evaluations and curves are bit-equal."
    listed = "; ".join(differences[:6])
    return (
        f"does NOT resume exactly. Different: {listed}. Are the environment's episodes determined "
        "by its seed alone?"
    )


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
