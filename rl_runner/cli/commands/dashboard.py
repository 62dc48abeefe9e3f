"""``rl dashboard``."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from rl_runner.cli import options
from rl_runner.cli.display.console import show_message
from rl_runner.cli.exit_codes import FAILED
from rl_runner.errors import Problem, RunFolderError, RunnerError

GRACE_SECONDS = 1.0  # in which TensorBoard may stop by itself: Ctrl-C reaches it too


def dashboard(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder of results to show.")
    ] = options.DEFAULT_RUNS_DIR,
    host: Annotated[
        str,
        typer.Option(
            "--host", help="The address to listen on; by default only this machine can connect."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=1, max=65535, help="The port to listen on.")
    ] = 6006,
) -> None:
    """Show results in TensorBoard.

    Example: rl dashboard runs --port 6007
    """
    if not os.path.isdir(directory):  # noqa: PTH112 - no exception for any text
        cure = "Train something first, or name another folder."
        raise RunFolderError(Problem("There is no such folder.", str(directory), cure))
    _check_address(host, port)
    show_message(f"TensorBoard shows {directory} at http://{host}:{port}/ (press Ctrl-C to stop)")
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(directory)]
    if _serve([*command, "--host", host, "--port", str(port)]):
        raise typer.Exit(FAILED)


def _check_address(host: str, port: int) -> None:
    """Raise RunnerError if no server can listen on this address."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server(address[:2], family=family).close()
    except (OSError, UnicodeError) as error:
        reason, _, _ = str(getattr(error, "strerror", None) or error).partition(" (while")
        what = f"TensorBoard cannot listen on this address: {reason}."
        cure = f"Name another port, e.g. `--port {port % 65535 + 1}`, or another `--host`."
        raise RunnerError(Problem(what, f"--host {host} --port {port}", cure)) from None


def _serve(command: Sequence[str]) -> int:
    """Run a server until it exits, or until Ctrl-C or SIGTERM stops it; return its exit code.

    A shell starts background commands with SIGINT ignored, so both handlers are set here.
    """
    stopping = (signal.SIGINT, signal.SIGTERM)
    before = [(number, signal.signal(number, signal.default_int_handler)) for number in stopping]
    try:
        with subprocess.Popen(command) as server:  # noqa: S603 - our interpreter, a module of ours
            try:
                return server.wait()
            except KeyboardInterrupt:
                with contextlib.suppress(subprocess.TimeoutExpired):  # it is ended below
                    server.wait(GRACE_SECONDS)
                server.terminate()
                return 0
    finally:
        for number, handler in before:
            signal.signal(number, handler)
