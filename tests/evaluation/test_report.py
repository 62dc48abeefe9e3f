import base64
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from synthetic_experiments import write_experiment

from rl_runner.config import load_config
from rl_runner.errors import ConfigError, RunFolderError
from rl_runner.evaluation.comparison.compare import compare
from rl_runner.evaluation.comparison.confidence_bands import band_of
from rl_runner.evaluation.comparison.experiments import load_experiments
from rl_runner.evaluation.report import check_report_path, write_report
from rl_runner.evaluation.report.write import duration, number

VOID = {"meta", "img", "br", "source"}


class Page(HTMLParser):
    """Reads a page strictly: every tag is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.headings: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)
        if self.open and self.open[-1] in {"h1", "h2", "h3"} and data.strip():
            self.headings.append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture
def runs(trained: Callable[[str], Any], tmp_path: Path) -> Path:
    """A tabular and a PPO experiment of one seed each, to change at will."""
    for name in ("q_learning", "ppo"):
        shutil.copytree(trained(name).path.parent, tmp_path / "runs" / name)
    return tmp_path / "runs"


def fail(experiment: Path, error: str) -> None:
    """Add a seed that failed."""
    shutil.copytree(experiment / "seed-3", experiment / "seed-4")
    path = experiment / "seed-4" / "run.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    del record["results"]
    record |= {"seed": 4, "status": "failed", "error": error, "traceback": f"Traceback\n{error}"}
    path.write_text(json.dumps(record), encoding="utf-8")


def written(*experiments: Path, pictures: bool = False) -> Page:
    out = experiments[0].parent / "report.html"
    write_report(experiments, out, with_pictures=pictures)
    page = Page(out.read_text(encoding="utf-8"))
    assert page.open == []
    return page


def test_a_report_says_what_was_run_and_what_came_of_it(runs: Path):
    page = written(runs / "q_learning", runs / "ppo")
    assert page.headings[:2] == ["2 experiments on", "What was run"]
    assert {"q_learning", "ppo", "Each experiment", "Packages, machine and code"} <= set(
        page.headings
    )
    record = json.loads((runs / "ppo" / "seed-3" / "run.json").read_text(encoding="utf-8"))
    last = record["results"]["last"]
    assert number(last["mean_reward"]) in page.text
    assert f"± {number(last['std_reward'])}" in page.text
    for version in record["versions"].values():
        assert version in page.text
    assert record["machine"]["processor"] in page.text
    assert "a single seed says nothing about other seeds" in page.text
    config = load_config(runs / "ppo").to_dict()
    assert f"learning_rate: {config['algo']['learning_rate']}" in page.text
    assert f"total_timesteps: {config['train']['total_timesteps']}" in page.text


def test_exact_returns_and_regret_are_shown(runs: Path):
    record = json.loads((runs / "q_learning" / "seed-3" / "run.json").read_text(encoding="utf-8"))
    last = record["results"]["last"]
    text = written(runs / "q_learning").text
    assert f"{last['exact_mean_reward']:.4f}" in text
    assert f"{last['regret']:.4f}" in text
    assert "Exact returns are computed" in text
    assert "regret" not in written(runs / "ppo").text


def test_the_caption_of_the_intervals_names_their_measure(runs: Path):
    assert "the mean return over held-out episodes of each run" in written(runs / "ppo").text
    assert "the exact mean return of each run" in written(runs / "q_learning").text


def test_the_probability_of_improvement_has_its_interval(tmp_path: Path):
    paths = [
        write_experiment(tmp_path, name, [base + i for i in range(5)])
        for name, base in (("a", 100.0), ("b", 300.0))
    ]
    estimate = compare(load_experiments(paths)).pairs[0].probability_of_improvement
    assert estimate.ci95 is not None
    low, high = estimate.ci95
    assert f"{estimate.value:.2f} {low:.2f} to {high:.2f}" in written(*paths).text


def test_nothing_is_fetched_when_it_is_read(runs: Path):
    page = written(runs / "q_learning", runs / "ppo", pictures=True)
    for tag, name, value in page.attributes:
        if name in {"src", "href", "srcset", "data", "action"}:
            assert value.startswith(("data:image/", "data:text/csv;", "#")), (tag, name, value[:60])
    raw = (runs / "report.html").read_text(encoding="utf-8")
    assert "<script" not in raw
    assert "<link" not in raw
    assert "url(" not in raw
    assert "@import" not in raw


def test_every_link_leads_somewhere(runs: Path):
    page = written(runs / "q_learning", runs / "ppo")
    places = {value for _, name, value in page.attributes if name == "id"}
    links = [value for _, name, value in page.attributes if name == "href"]
    inside = {link.removeprefix("#") for link in links if link.startswith("#")}
    assert len(inside) == 2
    assert inside <= places


def test_the_learning_curves_are_there_as_tables(runs: Path):
    page = written(runs / "ppo")
    files = [value for tag, name, value in page.attributes if (tag, name) == ("a", "download")]
    assert files == ["curves.csv", "curves_by_seed.csv"]
    (curves, _) = (value for _, name, value in page.attributes if value.startswith("data:text/csv"))
    table = base64.b64decode(curves.partition("base64,")[2]).decode()
    assert table.startswith("experiment,timesteps,runs,interquartile_mean,")
    comparison = compare(load_experiments([runs / "ppo"]))
    band = band_of(comparison.rows[0].experiment)
    assert band is not None
    assert len(table.splitlines()) == 1 + len(band.x)


def test_figures_are_drawn_for_phones_and_for_dark_pages_too(runs: Path):
    page = written(runs / "ppo")
    narrow = [value for tag, name, value in page.attributes if (tag, name) == ("source", "srcset")]
    wide = [value for tag, name, value in page.attributes if (tag, name) == ("img", "src")]
    assert len(narrow) == len(wide) == 2
    for source, most in [*((each, 3.95) for each in narrow), *((each, 8.0) for each in wide)]:
        svg = base64.b64decode(source.partition("base64,")[2]).decode()
        width = re.search(r'<svg[^>]* width="([\d.]+)pt"', svg)
        assert width is not None
        assert float(width[1]) <= 72 * most
        assert "prefers-color-scheme: dark" in svg
        assert 'style="fill: #ffffff' not in svg.partition("axes_1")[0]  # no white background


def test_pictures_of_the_agent_are_part_of_the_page(runs: Path):
    without = written(runs / "q_learning")
    page = written(runs / "q_learning", pictures=True)
    described = {value for tag, name, value in page.attributes if (tag, name) == ("img", "alt")}
    assert {"policy over the map", "frames of an episode", "learning curves"} <= described
    n_images = [sum(tag == "img" and name == "src" for tag, name, _ in p.attributes)
                for p in (without, page)]  # fmt: skip
    assert n_images[1] == n_images[0] + 2


def test_failures_stand_at_the_top_and_are_in_no_mean(runs: Path):
    fail(runs / "ppo", "ValueError('the loss <b>exploded</b> & more')")
    page = written(runs / "ppo")
    assert "1 of them without a result" in page.text
    assert "1 run has no result" in page.headings
    assert "the loss <b>exploded</b> & more" in page.text  # as text, not as a tag
    assert "1 of 2" in page.text
    raw = (runs / "report.html").read_text(encoding="utf-8")
    assert "<b>exploded</b>" not in raw


def test_an_experiment_without_any_result_is_reported_too(runs: Path):
    fail(runs / "ppo", "out of memory")
    shutil.rmtree(runs / "ppo" / "seed-3")
    config = (runs / "ppo" / "config.yaml").read_text(encoding="utf-8")
    (runs / "ppo" / "config.yaml").write_text(config.replace("- 3\n", "- 4\n"), encoding="utf-8")
    page = written(runs / "ppo", pictures=True)
    assert "No run here has a result yet." in page.text
    assert "out of memory" in page.text


def test_runs_on_different_machines_are_listed_separately(runs: Path):
    path = runs / "ppo" / "seed-3" / "run.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["versions"]["torch"] = "9.9"
    path.write_text(json.dumps(record), encoding="utf-8")
    text = written(runs / "q_learning", runs / "ppo").text
    assert "9.9 (1 run)" in text


def test_an_environment_without_pictures_says_so(runs: Path, monkeypatch: pytest.MonkeyPatch):
    from rl_runner.errors import EnvError, Problem

    def refuse(*_: Any, **__: Any) -> None:
        raise EnvError(Problem("It draws no pictures."))

    monkeypatch.setattr("rl_runner.evaluation.pictures.recording.frame_strip", refuse)
    assert (
        "No pictures of the agent: It draws no pictures."
        in written(runs / "ppo", pictures=True).text
    )


def test_wrong_names_are_refused_before_anything_is_read(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"report\.html"):
        check_report_path(tmp_path / "report.pdf")
    with pytest.raises(ConfigError, match="no such folder"):
        check_report_path(tmp_path / "nowhere" / "report.html")
    with pytest.raises(RunFolderError, match="no such folder"):
        write_report([tmp_path / "nothing"], tmp_path / "report.html")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.5, "0.500"), (-3.14159, "−3.142"), (1234.56, "1,234.6"), (500.0, "500.0")],
)
def test_numbers_are_written_with_the_digits_that_tell_something(value: float | None, text: str):
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0.4, "0 s"), (59.6, "1 min 0 s"), (245, "4 min 5 s"), (7400, "2 h 3 min")],
)
def test_times_are_written_for_people(seconds: float | None, text: str):
    assert duration(seconds) == text


def test_the_style_has_rules_for_paper_and_phones(runs: Path):
    written(runs / "ppo")
    raw = (runs / "report.html").read_text(encoding="utf-8")
    assert re.search(r"@media print", raw)
    assert re.search(r"@media \(max-width", raw)
    assert 'name="viewport"' in raw
