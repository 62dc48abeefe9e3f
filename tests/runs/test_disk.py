from pathlib import Path

import pytest

from rl_runner.errors import RunFolderError
from rl_runner.runs.disk import write_aside


def test_a_refusal_names_the_file_that_was_asked_for(tmp_path: Path):
    place = tmp_path / "nowhere" / "report.html"
    with pytest.raises(RunFolderError) as caught:
        write_aside(place, lambda path: path.write_text("x"))
    assert [problem.where for problem in caught.value.problems] == [str(place)]
