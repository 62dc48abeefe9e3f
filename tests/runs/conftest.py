from collections.abc import Iterator
from pathlib import Path

import pytest

from rl_runner.runs.folder import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    folder = RunFolder(tmp_path / "exp-0123abcd" / "seed-0", "model.zip")
    assert folder.claim()
    yield folder
    folder.release()
