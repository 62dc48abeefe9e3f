"""One study, two processes, a real PostgreSQL."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import optuna
import pytest

from rl_runner.config import config_from_dict, dump_config

URL = os.environ.get("RL_TEST_POSTGRESQL", "")
ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(not URL, reason="RL_TEST_POSTGRESQL names no database; `.ci/run` starts one")
def test_two_processes_work_on_one_study(tmp_path: Path):
    config = tmp_path / "cliff.yaml"
    experiment = config_from_dict(
        {
            "name": "cliff",
            "env": {"id": "CliffWalking-v1", "time_limit": 20},
            "algo": {"name": "q_learning"},
            "train": {"total_timesteps": 120, "seeds": 2},
            "eval": {"every": 40, "n_episodes": 2, "final_episodes": 2},
            "tune": {"trials": 6, "seeds": 1, "confirm": {"trials": 0}},
        }
    )
    config.write_text(dump_config(experiment), encoding="utf-8")
    name = f"shared-{uuid.uuid4().hex[:8]}"
    command = [sys.executable, "-m", "rl_runner", "tune", str(config), "--jobs", "1", "--json"]
    processes = [
        subprocess.Popen(
            [*command, "--storage", URL, "--study", name, "--runs-dir", str(tmp_path / which)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for which in ("here", "there")
    ]
    outputs = [process.communicate(timeout=300) for process in processes]
    errors = "\n".join(err for _, err in outputs)
    assert [process.returncode for process in processes] == [0, 0], errors
    summaries = [json.loads(out) for out, _ in outputs]
    assert summaries[0]["trials"] == summaries[1]["trials"]
    assert 6 <= summaries[0]["n_trials"]["complete"] <= 7  # both may begin the last one
    trained = [
        sorted(path.name for path in (tmp_path / which / name / "trials").iterdir())
        for which in ("here", "there")
    ]
    assert all(trained)  # both had a part in it
    assert not set(trained[0]) & set(trained[1])  # and no trial was trained twice
    storage = optuna.storages.RDBStorage(URL)
    states = {t.state.name for t in optuna.load_study(study_name=name, storage=storage).trials}
    storage.engine.dispose()
    assert states == {"COMPLETE"}
