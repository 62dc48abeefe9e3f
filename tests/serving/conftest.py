import asyncio
import functools
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from small_experiments import EXPERIMENTS, TAXI

from rl_runner.config import config_from_dict
from rl_runner.serving.api.app import build_app
from rl_runner.serving.config import ServeConfig
from rl_runner.serving.keys import SCOPES, add_key, load_keys
from rl_runner.serving.service import Service
from rl_runner.training.train import train

LOG_CONFIG = """
name: from-logs
env: {id: Recommender-v0}
algo: {name: q_learning}
data: {path: log.parquet, holdout: null, min_interactions_per_user: 1, window: 30d}
"""


class InProcess:
    """An HTTP client that calls an application in this process."""

    def __init__(self, app: Any, token: str) -> None:
        self.runner = asyncio.Runner()
        transport = httpx.ASGITransport(app=app)
        self.client = httpx.AsyncClient(
            transport=transport, base_url="http://test", headers={"X-API-Key": token}
        )

    def request(self, method: str, path: str, **fields: Any) -> httpx.Response:
        return self.runner.run(self.client.request(method, path, **fields))

    def get(self, path: str, **fields: Any) -> httpx.Response:
        return self.request("GET", path, **fields)

    def post(self, path: str, **fields: Any) -> httpx.Response:
        return self.request("POST", path, **fields)

    def close(self) -> None:
        self.runner.run(self.client.aclose())
        self.runner.close()


class Served:
    """A service in this process, and a client with a key for everything."""

    def __init__(self, config: ServeConfig) -> None:
        self.config = config
        self.is_closed = False
        self.service = Service.open(config)
        self.token = add_key(
            config.keys_file, f"all-{len(load_keys(config.keys_file).keys)}", SCOPES
        )
        self.app, self.protocol = build_app(self.service, load_keys(config.keys_file))
        self.http = InProcess(self.app, self.token)

    def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        response = self.http.post(path, json=body)
        assert response.status_code == status, response.text
        return response.json()

    def get(self, path: str, status: int = 200) -> Any:
        response = self.http.get(path)
        assert response.status_code == status, response.text
        return response.json()

    def decide(self, status: int = 200, **fields: Any) -> Any:
        body = {"user_id": "u1", "session_id": "s1", "context": self.service.example(), **fields}
        return self.post("/v1/decisions", body, status)

    def close(self) -> None:
        if not self.is_closed:
            self.http.close()
            self.service.close()
        self.is_closed = True


# The URL of a PostgreSQL server on which these tests may create databases, instead of SQLite.
POSTGRES = os.environ.get("RL_RUNNER_TEST_POSTGRES")


def new_database() -> str:
    """Create an empty database, and return its URL."""
    name = f"serving_{uuid.uuid4().hex}"
    url = sa.make_url(POSTGRES or "")
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return url.set(database=name).render_as_string(hide_password=False)


Serve = Callable[..., Served]


@pytest.fixture(scope="session")
def log_runs(tmp_path_factory: pytest.TempPathFactory, invoke_rl: Any) -> list[Path]:
    """Two runs that learned from different logs."""
    folder = tmp_path_factory.mktemp("log-runs")
    found = []
    for seed in (0, 1):
        log, config = folder / f"log-{seed}.parquet", folder / f"config-{seed}.yaml"
        text = LOG_CONFIG.replace("log.parquet", str(log))
        config.write_text(text, encoding="utf-8")
        plan = ["--interactions", 2000, "--seed", seed, "--out", log]
        assert invoke_rl("simulate", config, *plan).exit_code == 0
        runs_dir = folder / f"runs-{seed}"
        assert invoke_rl("train", config, "--runs-dir", runs_dir, "-q").exit_code == 0
        found += list(runs_dir.glob("*/seed-0"))
    return found


@pytest.fixture
def storage() -> dict[str, str]:
    """Return the part of a service's config that names an empty database; none for SQLite."""
    return {"storage": new_database()} if POSTGRES else {}


@pytest.fixture
def serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage: dict[str, str]
) -> Iterator[Serve]:
    """Serve a config in an empty folder; by default the recommender."""
    monkeypatch.chdir(tmp_path)
    opened: list[Served] = []

    def start(champion: Path | str, **fields: Any) -> Served:
        subject = {} if "env" in fields else {"domain": "recommender"}
        raw = {"name": "test", "champion": str(champion), **subject, **storage, **fields}
        opened.append(Served(ServeConfig.model_validate(raw)))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


@pytest.fixture
def served(serve: Serve, log_runs: list[Path]) -> Served:
    """The recommender, served."""
    return serve(log_runs[0])


Trained = Callable[..., Path]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Train a small experiment; each is trained once."""

    @functools.cache
    def train_once(name: str, *, normalize: bool = False) -> Path:
        section, hyperparameters, budget = EXPERIMENTS[name]
        section = {**TAXI, "n_envs": 2} if section["id"].startswith("tiny_envs") else section
        raw = {
            "env": {**section, "normalize": normalize},
            "algo": {"name": name, **hyperparameters},
            "train": {"total_timesteps": budget, "seeds": 1},
            "eval": {"every": 10**6, "final_episodes": 1},
        }
        folder = tmp_path_factory.mktemp("agent-runs")
        return train(config_from_dict(raw), runs_dir=folder, jobs=1).runs[0].path

    return train_once
