import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.text import Text
from PIL import Image
from synthetic_experiments import write_experiment

from rl_runner.errors import RunFolderError
from rl_runner.evaluation.comparison.compare import Comparison, compare
from rl_runner.evaluation.comparison.experiments import load_experiments
from rl_runner.evaluation.comparison.export import to_document, to_latex, write_comparison
from rl_runner.evaluation.comparison.scales import Scale
from rl_runner.evaluation.pictures.comparison_plots import (
    draw_all,
    draw_intervals,
    draw_learning_curves,
    draw_performance_profiles,
)

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


def test_latex_escapes_names_and_tells_what_the_numbers_cannot_carry(tmp_path: Path):
    text = to_latex(_comparison(tmp_path, 1, 2))
    assert r"under\_score-0 & 2 & $" in text
    assert "% under_score-0: 2 seeds are too few" in text
    assert text.count(r"\\") == 2


@pytest.mark.parametrize("scores", [[300.0], [300.0, 300.0], [math.nan, 5.0], [0.0] * 5])
def test_few_or_equal_runs_can_be_drawn(tmp_path: Path, scores: list[float]):
    comparison = compare(load_experiments([write_experiment(tmp_path, "a", scores)]))
    names = {name for name, figure in draw_all(comparison) if not figure.canvas.draw()}
    assert names == PICTURES - {"probability-of-improvement"}


def test_the_corners_of_a_profile_have_no_dots(tmp_path: Path):
    comparison = compare(load_experiments([write_experiment(tmp_path, "a", [300.0])]))
    (axes,) = draw_performance_profiles(comparison).axes
    assert {line.get_marker() for line in axes.lines} == {"None"}


def test_without_curves_there_is_no_picture_of_them(tmp_path: Path):
    path = write_experiment(tmp_path, "a", [1.0, 2.0])
    for file in path.glob("seed-*/evaluations.npz"):
        file.unlink()
    names = {name for name, _ in draw_all(compare(load_experiments([path])))}
    assert names == {"intervals", "performance-profiles"}


def test_a_folder_that_cannot_be_written_is_explained(tmp_path: Path):
    comparison = _comparison(tmp_path / "runs", 1, 2)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(RunFolderError, match="Cannot write"):
        write_comparison(comparison, tmp_path / "file")


def test_twenty_experiments_of_ten_seeds_are_drawn(tmp_path: Path):
    paths = [
        write_experiment(
            tmp_path, f"e{i:02}", np.random.default_rng(i).uniform(100, 500, 10), n_evaluations=50
        )
        for i in range(20)
    ]
    comparison = compare(load_experiments(paths), scale=SCALE)
    for _, figure in draw_all(comparison):
        figure.savefig(tmp_path / "picture.png")
    assert len(comparison.pairs) == 190


@pytest.mark.parametrize("n_seeds", [1, 2, 5])
@pytest.mark.parametrize("n_experiments", [1, 6])
def test_a_curve_of_one_evaluation_is_seen(tmp_path: Path, n_experiments: int, n_seeds: int):
    scores = np.linspace(200, 300, n_seeds).tolist()
    paths = [
        write_experiment(tmp_path, f"e{i}", scores, n_evaluations=1) for i in range(n_experiments)
    ]
    figure = draw_learning_curves(compare(load_experiments(paths), scale=None))
    for axes in figure.axes:
        bare = [line for line in axes.lines if line.get_marker() in {"None", ""}]
        assert axes.lines
        assert not bare
    bars = [
        bar
        for collection in figure.findobj(LineCollection)
        for bar in collection.get_segments()
        if len(bar) == 2 and np.ptp(bar[:, 1]) > 0
    ]
    assert len(bars) == (n_experiments if n_seeds >= 5 else 0)


@pytest.mark.parametrize("n_experiments", [1, 6])
def test_baselines_are_lines_across_the_learning_curves(tmp_path: Path, n_experiments: int):
    paths = [write_experiment(tmp_path, f"e{i}", [200.0, 250.0]) for i in range(n_experiments)]
    scale = replace(SCALE, references={"rule_of_thumb": 111.0})
    figure = draw_learning_curves(compare(load_experiments(paths), scale=scale))
    for axes in figure.axes:
        levels = [np.unique(np.asarray(line.get_ydata())) for line in axes.lines]
        assert sum(level.tolist() == [111.0] for level in levels) == 1
    named = [text.get_text() for text in figure.findobj(Text)]
    assert any("rule of thumb" in text for text in named)


def test_equal_runs_each_have_a_dot_of_their_own(tmp_path: Path):
    path = write_experiment(tmp_path, "equal", [200.0] * 5)
    figure = draw_intervals(compare(load_experiments([path]), scale=SCALE))
    for axes in figure.axes:
        (dots,) = (line for line in axes.lines if line.get_marker() == "o")
        assert len(np.unique(np.asarray(dots.get_ydata()))) == 5
        assert (np.asarray(dots.get_xdata()) == 200.0).all()
