"""`rl dashboard`, without looking at TensorBoard's own pages."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Rl = Callable[..., Any]


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number: int = server.getsockname()[1]
    return number


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def test_a_port_that_is_taken_is_refused_with_the_way_out(rl: Rl, tmp_path: Path, port: int):
    with socket.create_server(("127.0.0.1", port)):
        outcome = rl("dashboard", tmp_path, "--port", port)
    assert outcome.exit_code == 2
    assert f"--port {port}" in outcome.message
    assert "already in use" in outcome.message
    assert f"--port {port + 1}" in outcome.message
    assert "shows" not in outcome.message


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 70])
def test_an_invalid_host_is_refused(rl: Rl, tmp_path: Path, host: str):
    outcome = rl("dashboard", tmp_path, "--host", host)
    assert outcome.exit_code == 2
    assert "cannot listen on this address" in outcome.message


@pytest.mark.skipif(os.name != "posix", reason="signals between processes")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_as_well(tmp_path: Path, port: int, number: signal.Signals):
    command = [sys.executable, "-m", "rl_runner", "dashboard", str(tmp_path), "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as dashboard:
        try:
            assert wait_until(lambda: answers(port), 60)
            dashboard.send_signal(number)
            assert dashboard.wait(30) == 0
            assert not answers(port)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(dashboard.pid, signal.SIGKILL)
