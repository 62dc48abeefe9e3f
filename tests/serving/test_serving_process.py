"""A server in a process of its own: it starts, is killed, drains, and loses nothing."""

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import polars as pl
import pytest

from rl_runner.offline.domains.recommender import RecommenderDomain
from rl_runner.offline.store.database import StoreUrl
from rl_runner.offline.store.export import Export
from rl_runner.serving.client import Client, ServiceError
from rl_runner.serving.service import new_event_id

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


class World:
    """People who use a service that may be gone at any time, and what they were told."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, int] = {}
        self.reported: set[str] = set()
        self.stop = threading.Event()
        self.url = self.key = ""

    def person(self, number: int) -> None:
        """Decide and report without pause; repeat what was not answered, three times."""
        with httpx.Client(timeout=5) as http:
            while not self.stop.is_set():
                event_id = new_event_id()
                for _ in range(3):
                    try:
                        self._once(number, event_id, http)
                        break
                    except (httpx.TransportError, ServiceError):
                        time.sleep(0.1)

    def _once(self, number: int, event_id: str, http: httpx.Client) -> None:
        client = Client(self.url, self.key, attempts=1, http=http)
        decision = client.decide(
            CONTEXT, user_id=f"u{number}", session_id=f"s{number}", event_id=event_id
        )
        self.acknowledged[event_id] = decision.action
        client.report(event_id, like=True)
        self.reported.add(event_id)

    def wait_for(self, n_more: int) -> None:
        wanted, until = len(self.acknowledged) + n_more, time.monotonic() + 60
        while len(self.acknowledged) < wanted and time.monotonic() < until:
            time.sleep(0.02)
        assert len(self.acknowledged) >= wanted


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_or_doubled_when_the_server_is_killed(config):
    world = World()
    people = [threading.Thread(target=world.person, args=(i,)) for i in range(4)]
    port = 0
    for kill in range(4):
        with server(config, port) as (process, url, lines):
            world.url, port = url, int(url.rpartition(":")[2])
            if kill == 0:
                world.key = key_in(lines)
                for each in people:
                    each.start()
            world.wait_for(40)
            if kill < 3:
                process.kill()
                process.wait()
                continue
            world.stop.set()
            for each in people:
                each.join()
    export = Export(StoreUrl("sqlite:///serve/p/service.db"), now=time.time_ns() // 1000 + 10**7)
    frame = pl.concat(export.frames(RecommenderDomain()))
    stored = dict(zip(frame["event_id"], frame["action"], strict=True))
    assert len(stored) == len(frame)
    assert {event: stored.get(event) for event in world.acknowledged} == world.acknowledged
    liked = set(frame.filter(pl.col("like"))["event_id"])
    assert world.reported <= liked
    steps = frame.sort("user_id", "step").group_by("user_id", maintain_order=True).agg("step")
    assert all(each == list(range(len(each))) for each in steps["step"].to_list())
