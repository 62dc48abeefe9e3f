import hashlib
import json
from dataclasses import replace
from pathlib import Path

from rl_runner import Reporter, config_from_dict, train
from rl_runner.layout import CHECKSUMS
from rl_runner.runs.record import write_record

LAKE = {
    "env": {"id": "FrozenLake-v1"},
    "algo": {"name": "q_learning"},
    "train": {"total_timesteps": 600, "seeds": [0]},
    "eval": {"n_episodes": 2, "final_episodes": 3},
}


def test_a_checkpoint_of_another_version_is_skipped_with_a_note(tmp_path: Path):
    class Listener(Reporter):
        def __init__(self) -> None:
            self.notes: list[str] = []

        def note(self, text: str) -> None:
            self.notes.append(text)

    config = config_from_dict(LAKE)
    (run,) = train(config, runs_dir=tmp_path).runs
    for place in (run.path / "checkpoints").glob("[0-9]*"):
        (place / "progress.json").write_text('{"timesteps": 1}', encoding="utf-8")
        # Whole, but written by another version.
        digest = hashlib.sha256((place / "progress.json").read_bytes()).hexdigest()
        (place / CHECKSUMS).write_text(json.dumps({"progress.json": digest}), encoding="utf-8")
    write_record(run.path, replace(run.record, status="interrupted"))
    listener = Listener()
    (again,) = train(config, runs_dir=tmp_path, reporter=listener).runs
    assert any("another version" in note for note in listener.notes), listener.notes
    assert again.status == "finished"
    assert again.record.results == run.record.results
