"""``rl doctor``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rl_runner.cli import options
from rl_runner.cli.display.console import show, show_json, show_message
from rl_runner.cli.display.tables import table
from rl_runner.cli.exit_codes import FAILED
from rl_runner.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rl_runner.config import ExperimentConfig


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
    curves bit by bit. The exit code is 1 if something is wrong.

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
