"""How many durable decisions a service makes, how fast, and for how much CPU time.

    python benchmarks/serving.py --seconds 5 --connections 16 64 --repeat 5
    python benchmarks/serving.py --rows 1_000_000 10_000_000    # as the store grows; 6 GB of disk
    python benchmarks/serving.py --storage postgresql+psycopg://user@localhost/serving

It trains the recommender from a small simulated log, serves it in a process of its own, and sends
decisions from this one. It prints a table in Markdown, each line with the medians of its runs. On a
machine with other work the CPU time per decision is what to compare.

The store is in a temporary folder (`TMPDIR`), which is removed. A database server must be on this
machine, and the database empty; its tables are removed.
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
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import median

import numpy as np
import sqlalchemy as sa

from rl_runner.offline.domains.recommender import RecommenderDomain
from rl_runner.offline.store.database import StoreUrl, open_for_writing
from rl_runner.offline.store.tables import decisions, metadata

CONTEXT = RecommenderDomain.example[0]
RL = [sys.executable, "-m", "rl_runner"]
EXPERIMENT = """
name: from-logs
env: {id: Recommender-v0}
algo: {name: q_learning}
data: {path: log.parquet, holdout: null, min_interactions_per_user: 1, window: 30d}
"""
ROWS_AT_ONCE = 100_000  # in one transaction


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
    """Add old decisions to a store until it has so many, by copies of one of its own."""
    engine = open_for_writing(url)
    columns = [column.name for column in decisions.c if column.name != "id"]
    copied = ", ".join(columns)
    new = {
        "event_id": "'old-' || n",
        # People are spread over the index. (A driver would take % for the mark of a value.)
        "user_id": "'user-' || (n * 7919 - n * 7919 / 999983 * 999983)",
        "session_id": "'old-' || n",
        "step": "0",
        "ts": "n",
    }
    values = ", ".join(new.get(name, name) for name in columns)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS numbers")
        connection.exec_driver_sql("CREATE TABLE numbers (n bigint)")
        several = ", ".join(f"({n})" for n in range(ROWS_AT_ONCE))
        connection.exec_driver_sql(f"INSERT INTO numbers VALUES {several}")
        one = connection.execute(sa.select(sa.func.min(decisions.c.id))).scalar_one()
        before = connection.execute(sa.select(sa.func.count()).select_from(decisions)).scalar_one()
    template = f"(SELECT {copied} FROM decisions WHERE id = {one}) AS one"
    for first in range(before, n_rows, ROWS_AT_ONCE):
        last = min(first + ROWS_AT_ONCE, n_rows) - first
        source = f"SELECT n + {first} AS n FROM numbers WHERE n < {last}"
        text = f"INSERT INTO decisions ({copied}) SELECT {values} FROM ({source}) AS m, {template}"
        with engine.begin() as connection:
            connection.exec_driver_sql(text)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE numbers")
    engine.dispose()


def size_mib(url: StoreUrl) -> float:
    """Return the size of a store."""
    if url.path is not None:
        return sum(each.stat().st_size for each in url.path.parent.glob("service.db*")) / 2**20
    engine = open_for_writing(url)
    with engine.connect() as connection:
        query = "SELECT pg_database_size(current_database())"
        found = connection.exec_driver_sql(query).scalar_one() / 2**20
    engine.dispose()
    return float(found)


@dataclass(frozen=True)
class Measured:
    """One run, or the medians of several."""

    rate: float  # decisions per second
    cpu: float  # microseconds of each decision
    p50: float  # milliseconds
    p99: float
    memory: float  # MiB
    started: float  # seconds

    @classmethod
    def median(cls, runs: "list[Measured]") -> "Measured":
        """Return the median of each number."""
        return cls(**{f.name: median(getattr(run, f.name) for run in runs) for f in fields(cls)})


def measure(config: Path, seconds: float, connections: int) -> Measured:
    """Start the server, measure, and stop it."""
    process, url, key, started = start(config)
    try:
        asyncio.run(ask(url, key, 0.5, connections))  # what is done only once is not measured
        before = cpu_seconds(process.pid)
        took = asyncio.run(ask(url, key, seconds, connections))
        used = cpu_seconds(process.pid) - before
        memory = memory_mib(process.pid)
    finally:
        stop(process)
    p50, p99 = np.quantile(took, [0.5, 0.99]) * 1e3
    n = len(took)
    return Measured(n / seconds, used / n * 1e6, float(p50), float(p99), memory, started)


TITLE = """\
| store | rows | connections | decisions/s | CPU of a decision | p50 | p99 | memory | start |
|---|---|---|---|---|---|---|---|---|"""


def line(store: str, n_rows: int, connections: int, found: Measured) -> str:
    """Return one line of the table."""
    cells = [store, f"{n_rows:,}", f"{connections}", f"{found.rate:,.0f}", f"{found.cpu:.0f} µs"]
    cells += [f"{found.p50:.1f} ms", f"{found.p99:.1f} ms"]
    cells += [f"{found.memory:,.0f} MiB", f"{found.started:.1f} s"]
    return f"| {' | '.join(cells)} |"


def remove_tables(url: StoreUrl) -> None:
    """Remove what a run has left on a database server."""
    engine = open_for_writing(url)
    metadata.drop_all(engine)
    engine.dispose()


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="of one run (default: 5)")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each line (default: 1)")
    parser.add_argument("--connections", type=int, nargs="+", default=[16])
    parser.add_argument("--storage", help="the URL of a database; default: SQLite in a new folder")
    parser.add_argument(
        "--rows", type=int, nargs="*", default=[], help="also with so many decisions in the store"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        config = prepare(options.storage)
        url = StoreUrl(options.storage or "sqlite:///serve/bench/service.db")
        store = "SQLite" if url.path else "PostgreSQL"
        print(
            f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {options.repeat} runs a line"
        )
        print(TITLE)
        for n_rows in (0, *options.rows):
            if n_rows:
                fill(url, n_rows)
                print(f"{n_rows:,} rows: {size_mib(url):,.0f} MiB", file=sys.stderr)
            for connections in options.connections:
                runs = [
                    measure(config, options.seconds, connections) for _ in range(options.repeat)
                ]
                print(line(store, n_rows, connections, Measured.median(runs)), flush=True)
        if url.path is None:
            remove_tables(url)


if __name__ == "__main__":
    main()
