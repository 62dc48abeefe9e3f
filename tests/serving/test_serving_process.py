"""A server in a process of its own: it starts, is killed, drains, and loses nothing."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from rl_runner.offline.domains.recommender import RecommenderDomain
from rl_runner.offline.store.database import StoreUrl
from rl_runner.offline.store.export import Export

CONTEXT = RecommenderDomain.example[0]


@pytest.fixture
def config(tmp_path: Path, log_runs: list[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "serve.yaml"
    raw = {"name": "p", "domain": "recommender", "champion": str(log_runs[0]), "wait": "1s"}
    path.write_text(json.dumps(raw), encoding="utf-8")
    return path


@contextmanager
def server(config: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """Start a server; yield its process, its address and what it printed."""
    command = [sys.executable, "-m", "rl_runner", "serve", str(config), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    lines: list[str] = []
    try:
        for line in process.stdout:
            lines.append(line)
            if line.startswith("curl") and "/outcomes" in line:
                break
        found = re.search(r"http://127\.0\.0\.1:(\d+)", "".join(lines))
        assert found, lines
        yield process, found[0], lines
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


def key_in(lines: list[str]) -> str:
    found = re.search(r"rlk_[\w\-]+", "".join(lines))
    assert found
    return found[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_printed_commands_work_as_typed_and_a_signal_stops_it_cleanly(config, number):
    with server(config) as (process, _, lines):
        for command, word in zip(lines[-2:], ("probability", "stored"), strict=True):
            done = subprocess.run(
                ["bash", "-c", command],  # noqa: S607
                capture_output=True,
                text=True,
                check=True,
            )
            assert word in json.loads(done.stdout)
        process.send_signal(number)
        assert process.wait(timeout=60) == 0
    store = StoreUrl("sqlite:///serve/p/service.db")
    frame = pl.concat(Export(store, now=time.time_ns() // 1000 + 10**7).frames(RecommenderDomain()))
    assert frame["like"].to_list() == [True]


def test_a_taken_port_and_a_missing_champion_are_explained(config, tmp_path):
    with server(config) as (_, url, _):
        port = url.rpartition(":")[2]
        command = [sys.executable, "-m", "rl_runner", "serve", str(config), "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "cannot listen" in done.stderr
    raw = {"name": "q", "domain": "recommender", "champion": "nowhere"}
    other = tmp_path / "other.yaml"
    other.write_text(json.dumps(raw), encoding="utf-8")
    command = [sys.executable, "-m", "rl_runner", "serve", str(other), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "neither a run" in " ".join(done.stderr.split())


@pytest.mark.parametrize("package", ["fastapi", "uvicorn", "prometheus_client"])
def test_a_missing_extra_is_named(config, rl, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    done = rl("serve", config, "--port", 0)
    assert done.exit_code == 2
    assert f"needs the package {package}" in done.message
    assert "pip install 'rl-runner[serve]'" in done.message


def test_a_table_is_served_without_loading_torch(config):
    code = (
        "import sys; from pathlib import Path\n"
        "from rl_runner.serving.config import load_serve_config\n"
        "from rl_runner.serving.service import Service\n"
        "Service.open(load_serve_config(Path(sys.argv[1]))).close()\n"
        "print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "False", done.stderr
