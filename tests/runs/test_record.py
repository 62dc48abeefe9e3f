import json
from pathlib import Path
from typing import Any

import pytest

from rl_runner.errors import RunFolderError
from rl_runner.runs.folder import read_record
from rl_runner.runs.record import wrong_in_record

FINISHED = {"status": "finished", "seed": 0, "results": {"last": {"mean_reward": 1.5}}}

SOUND: list[dict[str, Any]] = [
    {},
    *({"status": status} for status in ("pending", "running", "failed", "interrupted", "pruned")),
    FINISHED,
    {**FINISHED, "timesteps": 300, "seconds": 1.5, "written by": "somebody", "git": None},
    {**FINISHED, "results": {"last": {"mean_reward": None}, "best": {}}},
]
DAMAGED: list[tuple[Any, str]] = [
    ([], "no JSON object"),
    ("finished", "no JSON object"),
    (None, "no JSON object"),
    ({"status": "done"}, "`done` is no status"),
    ({"status": ["finished"]}, "is no status"),
    ({"status": None}, "is no status"),
    ({"status": "finished"}, "has no results"),
    ({"status": "finished", "results": {}}, "has no results"),
    ({"status": "finished", "seed": 0, "results": 5}, "`results` is not"),
    ({**FINISHED, "results": None}, "`results` is not"),
    ({**FINISHED, "results": {"last": 5}}, "`results` is not"),
    ({**FINISHED, "results": {"last": {"mean_reward": "much"}}}, "`results` is not"),
    ({**FINISHED, "seed": "0"}, "`seed` is no number"),
    ({**FINISHED, "timesteps": [300]}, "`timesteps` is no number"),
    ({"status": "failed", "seconds": True}, "`seconds` is no number"),
]


@pytest.mark.parametrize("record", SOUND, ids=str)
def test_what_a_run_writes_is_sound(record: dict[str, Any]):
    assert wrong_in_record(record) is None


@pytest.mark.parametrize(("record", "told"), DAMAGED, ids=[str(record) for record, _ in DAMAGED])
def test_what_was_edited_is_named_with_its_file_and_the_cure(
    tmp_path: Path, record: Any, told: str
):
    (tmp_path / "run.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(RunFolderError) as caught:
        read_record(tmp_path)
    (problem,) = caught.value.problems
    assert told in problem.what
    assert problem.where == str(tmp_path / "run.json")
    assert "--fresh" in problem.cure
