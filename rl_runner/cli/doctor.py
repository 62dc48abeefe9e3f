"""``rl doctor``."""

from typing import Annotated

import typer

from rl_runner.cli import _options as options
from rl_runner.cli._console import show, show_json, tell
from rl_runner.cli._exit_codes import FAILED


def doctor(
    configs: options.Configs,
    resume: Annotated[
        bool, typer.Option("--resume", help="Prove that a stopped run goes on exactly.")
    ] = True,
    overrides: options.Overrides = None,
    as_json: options.AsJson = False,
) -> None:
    """Prove on your own config that a stopped run goes on exactly where it was.

    Trains a few seconds of it whole, and again stopped as by Ctrl-C, broken off as by a power cut,
    and resumed; compares weights, episodes, evaluations and TensorBoard curves bit by bit.

    Example: rl doctor --resume configs/cartpole/ppo.yaml
    """
    from dataclasses import asdict

    from rl_runner.config import load_config
    from rl_runner.training.doctor import prove_resume

    del resume  # the only examination so far
    loaded = [load_config(path, overrides or []) for path in configs]
    documents = []
    for config in loaded:
        tell(f"Examining {config.name}: a few seconds whole, and stopped and resumed …")
        proof = prove_resume(config)
        documents.append({"name": config.name, "exact": not proof.differences, **asdict(proof)})
        if not as_json:
            left = f"stopped at {proof.stopped_at:,} and " if proof.stopped_at else ""
            broken = f"{left}broken off at {proof.broken_off_at:,}"
            pieces = f"{proof.total_timesteps:,} timesteps, {broken}"
            show(f"{config.name}: {_verdict(proof.differences)} ({pieces})")
    if as_json:
        show_json(documents[0] if len(documents) == 1 else documents)
    if not all(document["exact"] for document in documents):
        raise typer.Exit(FAILED)


def _verdict(differences: list[str]) -> str:
    if not differences:
        return "resumes exactly: weights, episodes, evaluations and curves are bit-equal"
    listed = "; ".join(differences[:6])
    return (
        f"does NOT resume exactly. Different: {listed}. Do the environment's episodes follow from "
        "its seed alone?"
    )
