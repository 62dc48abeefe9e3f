import csv
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from synthetic_experiments import write_experiment

from rl_runner.errors import RunFolderError
from rl_runner.evaluation.comparison.compare import Comparison, compare
from rl_runner.evaluation.comparison.experiments import load_experiments
from rl_runner.evaluation.comparison.export import to_document, to_latex, write_comparison
from rl_runner.evaluation.comparison.scales import Scale

SCALE = Scale(20.0, 1.0, 200, 475.0, "reward_threshold", 475.0)
PICTURES = {
    "learning-curves",
    "intervals",
    "performance-profiles",
    "probability-of-improvement",
}


def _comparison(runs_dir: Path, n_experiments: int, n_seeds: int) -> Comparison:
    rng = np.random.default_rng(0)
    paths = [
        write_experiment(runs_dir, f"under_score-{i}", rng.uniform(100, 500, n_seeds).tolist())
        for i in range(n_experiments)
    ]
    return compare(load_experiments(paths), scale=SCALE)


def _read_csv(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))


def test_a_comparison_becomes_json_tables_latex_and_pictures(tmp_path: Path):
    comparison = _comparison(tmp_path / "runs", 3, 5)
    files = write_comparison(comparison, tmp_path / "new" / "out")
    names = {file.name for file in files}
    assert names == {path.name for path in (tmp_path / "new" / "out").iterdir()}
    assert {name.rpartition(".")[0] for name in names if name.endswith("svg")} == PICTURES
    by_name = {file.name: file for file in files}
    document = json.loads(by_name["comparison.json"].read_text(encoding="utf-8"))
    assert document == json.loads(json.dumps(to_document(comparison)))
    lines = _read_csv(by_name["experiments.csv"])
    assert [line["experiment"] for line in lines] == [row.label for row in comparison.rows]
    assert float(lines[0]["mean"]) == comparison.rows[0].scores.mean()
    assert len(_read_csv(by_name["pairs.csv"])) == 3
    assert len(_read_csv(by_name["runs.csv"])) == 15
    for name in PICTURES:
        assert ET.parse(by_name[f"{name}.svg"]).getroot().tag.endswith("svg")  # noqa: S314 - ours
        assert np.asarray(Image.open(by_name[f"{name}.png"])).std() > 0


def test_the_same_comparison_gives_the_same_files(tmp_path: Path):
    comparison = _comparison(tmp_path / "runs", 2, 5)
    for place in ("a", "b"):
        write_comparison(comparison, tmp_path / place)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_latex_escapes_names_and_holds_the_caveats(tmp_path: Path):
    text = to_latex(_comparison(tmp_path, 1, 2))
    assert r"under\_score-0 & 2 & $" in text
    assert "% under_score-0: 2 seeds are too few" in text
    assert text.count(r"\\") == 2


def test_a_folder_that_cannot_be_written_is_explained(tmp_path: Path):
    comparison = _comparison(tmp_path / "runs", 1, 2)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(RunFolderError, match="Cannot write"):
        write_comparison(comparison, tmp_path / "file")
