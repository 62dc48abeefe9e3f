"""Tasks of a service: training from its own store, started by hand. Each leaves a row.

The table has the columns task_name, executed_at, status, users_processed, records_processed and
metadata, so that dashboards which know these keep working. Training runs in a process of its own.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from rl_runner.errors import bounded, describe_exception
from rl_runner.offline.learning.trained_run import load_trained
from rl_runner.offline.store.tables import system_tasks
from rl_runner.serving.config import ServeConfig
from rl_runner.serving.models.registry import Registry
from rl_runner.serving.problems import ApiError
from rl_runner.serving.store.audit import note_change
from rl_runner.serving.store.setup import Store

RL_TRAINING = "rl_training"
RUNNING, COMPLETED, FAILED = "running", "completed", "failed"
STOP_SECONDS = 10  # for a training to write its checkpoint
INTERRUPTED = "The server ended while the task was running."


@dataclass(frozen=True)
class TaskRow:
    """One execution of a task."""

    id: int
    task_name: str
    executed_at: str
    status: str
    users_processed: int | None
    records_processed: int | None
    metadata: dict[str, Any]


class Tasks:
    """The tasks of one service."""

    def __init__(self, config: ServeConfig, store: Store, registry: Registry) -> None:
        self._config = config
        self._store = store
        self._registry = registry
        self._process: subprocess.Popen[str] | None = None  # that trains
        self._is_stopping = False

    def note_interrupted(self) -> None:
        """Mark the tasks of a server that ended before they did."""
        failed = {"status": FAILED, "metadata": {"error": INTERRUPTED}}
        with self._store.writing.begin() as connection:
            running = system_tasks.update().where(system_tasks.c.status == RUNNING)
            connection.execute(running.values(failed))

    def latest(self, limit: int) -> Sequence[TaskRow]:
        """Return the latest executions, newest first."""
        query = sa.select(system_tasks).order_by(system_tasks.c.id.desc()).limit(limit)
        with self._store.reading.connect() as connection:
            rows = connection.execute(query).all()
        return [
            TaskRow(
                row.id,
                row.task_name,
                row.executed_at.replace(tzinfo=row.executed_at.tzinfo or UTC).isoformat(),
                row.status,
                row.users_processed,
                row.records_processed,
                row.metadata,
            )
            for row in rows
        ]

    def begin_training(self, actor: str) -> int:
        """Note that training begins, and return the number of its row.

        :param actor: whom the audit names
        :raises ApiError: if the service does not train, or is training already
        """
        if self._config.training is None:
            what = "This service does not train: its config has no `training`, an experiment."
            raise ApiError("not-found", what)
        with self._store.writing.begin() as connection:
            query = sa.select(system_tasks.c.id).where(system_tasks.c.status == RUNNING)
            if connection.execute(query).first() is not None:
                raise ApiError("conflict", "Training is running already.")
            row = {"task_name": RL_TRAINING, "status": RUNNING, "metadata": {}}
            made = connection.execute(system_tasks.insert(), {**row, "executed_at": _now()})
            number = int((made.inserted_primary_key or [0])[0])
            note_change(connection, actor, f"started {RL_TRAINING}", str(number))
            return number

    def train(self, number: int) -> None:
        """Train from the store, and register what was learned as a version; it is not promoted."""
        try:
            self._finish(number, COMPLETED, **self._train())
        except Exception as error:  # noqa: BLE001 - a row that stays "running" blocks the next one
            said = INTERRUPTED if self._is_stopping else describe_exception(error)
            self._finish(number, FAILED, metadata={"error": said})

    def stop(self) -> None:
        """End a training that is running, because the server ends.

        It is asked to stop, and killed if it has not after :data:`STOP_SECONDS`.
        """
        self._is_stopping = True
        if (process := self._process) is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()

    def _train(self) -> dict[str, Any]:
        """Run `rl train` in a process of its own, and describe its result."""
        runs_dir = self._config.folder / "runs"
        command = [sys.executable, "-m", "rl_runner", "train", str(self._config.training)]
        command += ["--set", f"data.path={json.dumps(self._config.store.url)}"]
        command += ["--runs-dir", str(runs_dir), "--json"]
        pipe = subprocess.PIPE
        if self._is_stopping:
            raise RuntimeError(INTERRUPTED)
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:  # noqa: S603 - ours
            self._process = process
            try:
                _, errors = process.communicate()
            finally:
                self._process = None
        if process.returncode != 0:
            raise RuntimeError(bounded(errors.strip()[-1500:]))
        newest = max(runs_dir.glob("*/seed-*/run.json"), key=lambda file: file.stat().st_mtime)
        trained = load_trained(newest.parent)
        artifact = self._registry.register(trained.path, RL_TRAINING)
        results = trained.record.results
        coverage = None if results is None else results.coverage
        last = None if results is None else results.last
        training = {
            "average_reward": None if last is None else last.mean_reward,
            "users_trained": trained.log.users,
            "agent_stats": None if coverage is None else coverage.to_json(),
        }
        return {
            "users_processed": trained.log.users,
            "records_processed": trained.log.interactions,
            "metadata": {"training": training, "version": artifact.version},
        }

    def _finish(self, number: int, status: str, **columns: Any) -> None:
        row = system_tasks.update().where(system_tasks.c.id == number)
        with self._store.writing.begin() as connection:
            connection.execute(row.values(status=status, **columns))


def _now() -> datetime:
    return datetime.now(UTC)
