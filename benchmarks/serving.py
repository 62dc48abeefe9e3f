"""How many durable decisions a service makes, how fast, and for how much CPU time.

    python benchmarks/serving.py --seconds 5 --connections 16
    python benchmarks/serving.py --storage postgresql+psycopg://user@localhost/serving
    python benchmarks/serving.py --rows 10000000    # how a store that has grown compares

It trains the recommender from a small simulated log, serves it in a process of its own, and sends
decisions from this one. On a machine with other work the CPU time per decision is what to compare.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from rl_runner.offline.domains.recommender import RecommenderDomain
from rl_runner.offline.store.database import StoreUrl, open_for_writing
from rl_runner.offline.store.tables import decisions

CONTEXT = RecommenderDomain.example[0]
RL = [sys.executable, "-m", "rl_runner"]
EXPERIMENT = """
name: from-logs
env: {id: Recommender-v0}
algo: {name: q_learning}
data: {path: log.parquet, holdout: null, min_interactions_per_user: 1, window: 30d}
"""
ROWS_AT_ONCE = 100_000


def prepare(storage: str | None) -> Path:
    """Train a champion in the current folder, and return the service's config."""
    _train("log.parquet", 0, "runs")
    raw = {"name": "bench", "domain": "recommender", "champion": "runs/from-logs-*"}
    if storage:
        raw["storage"] = storage
    path = Path("serve.yaml")
    path.write_text(json.dumps(raw), encoding="utf-8")
    return path


def train_another() -> Path:
    """Train from another log in the current folder, and return the run."""
    _train("other.parquet", 1, "other-runs")
    return next(Path("other-runs").glob("*/seed-0"))


def _train(log: str, seed: int, runs_dir: str) -> None:
    """Simulate a log, and learn from it."""
    Path("experiment.yaml").write_text(EXPERIMENT, encoding="utf-8")
    simulate = ["simulate", "experiment.yaml", "--interactions", "20000", "--out", log]
    train = ["train", "experiment.yaml", "-q", "--runs-dir", runs_dir]
    for command in (
        [*simulate, "--seed", str(seed)],
        [*train, "--set", f"data.path={Path(log).absolute()}"],
    ):
        subprocess.run([*RL, *command], check=True, stdout=subprocess.DEVNULL)  # noqa: S603


def start(config: Path, port: int = 0) -> tuple["subprocess.Popen[str]", str, str, float]:
    """Start the server; return its process, address, key and the seconds it took."""
    began = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*RL, "serve", str(config), "--port", str(port)], stdout=subprocess.PIPE, text=True
    )
    text = ""
    for line in process.stdout or ():
        text += line
        if line.startswith("curl") and "/outcomes" in line:
            break
    seconds = time.perf_counter() - began
    url = re.search(r"http://127\.0\.0\.1:\d+", text)
    key = re.search(r"rlk_[\w\-]+", text) or re.search(r"rlk_[\w\-]+", Path("key").read_text())
    if url is None or key is None:
        message = f"the server has not started: {text}"
        raise RuntimeError(message)
    Path("key").write_text(key[0], encoding="utf-8")
    return process, url[0], key[0], seconds


def stop(process: "subprocess.Popen[str]", number: signal.Signals = signal.SIGTERM) -> None:
    """Send a signal to the server, and wait until it has ended."""
    process.send_signal(number)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int) -> float:
    """Return the memory that a process holds (Linux)."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))
    return int(found[1]) / 1024 if found else float("nan")


async def ask(url: str, key: str, seconds: float, connections: int) -> np.ndarray:
    """Send decisions over so many connections; return (n,) seconds to each answer."""
    host, port = url.removeprefix("http://").split(":")
    until = time.perf_counter() + seconds

    async def one(number: int) -> list[float]:
        reader, writer = await asyncio.open_connection(host, int(port))
        took = []
        i = 0
        while time.perf_counter() < until:
            fields = {"user_id": f"u{number}", "session_id": f"s{number}-{i // 10}"}
            body = json.dumps({**fields, "context": CONTEXT}).encode()
            head = f"POST /v1/decisions HTTP/1.1\r\nHost: b\r\nX-API-Key: {key}\r\n"
            head += f"Content-Length: {len(body)}\r\n\r\n"
            began = time.perf_counter()
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", answer)
            if length is None or not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(answer.decode())
            await reader.readexactly(int(length[1]))
            took.append(time.perf_counter() - began)
            i += 1
        writer.close()
        return took

    parts = await asyncio.gather(*(one(number) for number in range(connections)))
    return np.concatenate([np.array(part) for part in parts])


def fill(url: StoreUrl, n_rows: int) -> None:
    """Add old decisions to a store until it has so many."""
    engine = open_for_writing(url)
    with engine.begin() as connection:
        (row,) = connection.execute(sa.select(decisions).limit(1)).mappings().all()
    template = {name: value for name, value in row.items() if name != "id"}
    for first in range(0, n_rows, ROWS_AT_ONCE):
        rows = [
            {**template, "event_id": f"old-{i}", "session_id": f"old-{i}", "ts": i + 1}
            for i in range(first, min(n_rows, first + ROWS_AT_ONCE))
        ]
        with engine.begin() as connection:
            connection.execute(decisions.insert(), rows)
    engine.dispose()


def measure(config: Path, seconds: float, connections: int) -> None:
    """Start the server, measure, stop it, and print one line."""
    process, url, key, started = start(config)
    try:
        asyncio.run(ask(url, key, 0.5, connections))  # what is done only once is not measured
        before = cpu_seconds(process.pid)
        took = asyncio.run(ask(url, key, seconds, connections))
        used = cpu_seconds(process.pid) - before
        memory = memory_mib(process.pid)
    finally:
        stop(process)
    print(
        f"{len(took) / seconds:8,.0f} decisions/s  p50 {np.quantile(took, 0.5) * 1e3:6.2f} ms  "
        f"p99 {np.quantile(took, 0.99) * 1e3:6.2f} ms  "
        f"{used / len(took) * 1e6:6.0f} µs of CPU each  "
        f"{memory:,.0f} MiB  started in {started:.1f} s"
    )


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--storage", help="the URL of a database; default: SQLite in a new folder")
    parser.add_argument("--rows", type=int, default=0, help="decisions to add before a second run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        config = prepare(options.storage)
        measure(config, options.seconds, options.connections)
        if options.rows:
            fill(StoreUrl(options.storage or "sqlite:///serve/bench/service.db"), options.rows)
            measure(config, options.seconds, options.connections)


if __name__ == "__main__":
    main()
