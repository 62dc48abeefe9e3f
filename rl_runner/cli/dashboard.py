"""``rl dashboard``."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from rl_runner.cli import _options as options
from rl_runner.cli._console import tell
from rl_runner.cli._exit_codes import FAILED
from rl_runner.errors import Problem, RunFolderError


def dashboard(
    directory: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Results to show.")
    ] = options.DEFAULT_RUNS_DIR,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; the default is this machine only.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port.")] = 6006,
) -> None:
    """Show results in TensorBoard, on this machine only unless told otherwise.

    Example: rl dashboard runs --port 6007
    """
    if not os.path.isdir(directory):  # noqa: PTH112 - no exception for any text
        cure = "Train something first, or name another folder."
        raise RunFolderError(Problem("There is no such folder.", str(directory), cure))
    tell(f"TensorBoard on http://{host}:{port}/ shows {directory} (Ctrl-C ends it)")
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(directory)]
    try:
        result = subprocess.run(  # noqa: S603 - our interpreter, a module of ours
            [*command, "--host", host, "--port", str(port)], check=False
        )
    except KeyboardInterrupt:
        return
    if result.returncode:
        raise typer.Exit(FAILED)
