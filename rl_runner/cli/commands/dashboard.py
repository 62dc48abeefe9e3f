"""``rl dashboard``."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from rl_runner.cli import FAILED, options
from rl_runner.cli.display.console import show_message
from rl_runner.errors import Problem, RunFolderError, RunnerError
from rl_runner.layout import CONFIG, RECORD
from rl_runner.runs.labelled_links import update_links

UPDATE_SECONDS = 5.0  # between two looks for new experiments
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
    """Show results in TensorBoard; experiments of one name are called by what differs.

    Example: rl dashboard runs --port 6007
    """
    if not os.path.isdir(directory):  # noqa: PTH112 - no exception for any text
        cure = "Train something first, or name another folder."
        raise RunFolderError(Problem("There is no such folder.", str(directory), cure))
    _check_address(host, port)
    show_message(f"TensorBoard shows {directory} at http://{host}:{port}/ (press Ctrl-C to stop)")
    with _labelled(directory) as shown:
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(shown)]
        if _serve([*command, "--host", host, "--port", str(port)]):
            raise typer.Exit(FAILED)


@contextlib.contextmanager
def _labelled(directory: Path) -> Iterator[Path]:
    """Yield a folder of links to experiments, named by what differs between them.

    TensorBoard names runs by their folders. The links follow what is trained meanwhile. An
    experiment or a run is shown as it is.
    """
    if (directory / CONFIG).is_file() or (directory / RECORD).is_file():
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="rl-dashboard-") as folder:
        links, ended = Path(folder), threading.Event()
        update_links(directory, links)
        thread = threading.Thread(target=_keep_up, args=(directory, links, ended), daemon=True)
        thread.start()
        try:
            yield links
        finally:
            ended.set()
            thread.join()


def _keep_up(directory: Path, links: Path, ended: threading.Event) -> None:
    """Update the links whenever a folder appears or vanishes."""
    before = _entries(directory)
    while not ended.wait(UPDATE_SECONDS):
        if (now := _entries(directory)) != before:
            before = now
            update_links(directory, links)


def _entries(directory: Path) -> set[tuple[str, bool]]:
    """Return the names of the folders, and whether each has become an experiment."""
    with contextlib.suppress(OSError):
        return {(entry.name, (entry / CONFIG).is_file()) for entry in directory.iterdir()}
    return set()


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
