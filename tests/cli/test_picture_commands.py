"""`rl record`, `rl watch`, `rl report` and `rl reproduce`, as a person calls them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rl_runner.evaluation.pictures.window import DISPLAYS

Rl = Callable[..., Any]

LAKE = """
    name: lake
    env: {id: FrozenLake-v1, kwargs: {desc: [SFF, FFH, FFG]}, time_limit: 12}
    algo: {name: q_learning}
    train: {total_timesteps: 1000, seeds: 2}
    eval: {every: 250, n_episodes: 5, final_episodes: 10}
    checkpoint: {every: 250}
"""


@pytest.fixture(scope="module")
def lake(invoke_rl: Rl, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lake")
    (folder / "lake.yaml").write_text(LAKE, encoding="utf-8")
    outcome = invoke_rl("train", folder / "lake.yaml", "--runs-dir", folder / "runs", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    return Path(outcome.document["experiment"])


def test_record_writes_a_video_of_several_checkpoints(rl: Rl, lake: Path):
    arguments = ("--checkpoint", "untrained,halfway,last", "--episodes", 1, "--out", "lake.gif")
    outcome = rl("record", lake, *arguments)
    assert outcome.exit_code == 0, outcome.stderr
    assert "untrained, halfway, 500 steps, last, 1,000 steps" in outcome.stderr
    with Image.open("lake.gif") as video:
        assert video.n_frames > 3
        assert video.width > 3 * 240


def test_record_writes_moments_and_maps_as_pictures(rl: Rl, lake: Path):
    assert rl("record", lake / "seed-1", "--out", "moments.png").exit_code == 0
    assert rl("record", lake / "seed-1", "--map", "--out", "map.svg").exit_code == 0
    with Image.open("moments.png") as picture:
        assert picture.width > 4 * 240
    assert "<svg" in Path("map.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("record", "nowhere"), "no such folder"),
        (("record", "nowhere", "--out", "x.avi"), "none of .gif, .mp4, .png"),
        (("record", "nowhere", "--out", "nowhere/x.gif"), "no such folder"),
        (("record", "nowhere", "--map", "--out", "x.gif"), "none of .png, .svg"),
        (("record", "nowhere", "--checkpoint", "first"), "Usage: rl record"),
        (("record", "nowhere", "--checkpoint", "last,"), "Usage: rl record"),
        (("record",), "No agent is named"),
        (("report", "nowhere"), "no such folder"),
        (("report", "nowhere", "--out", "x.pdf"), "x.html"),
        (("report",), "Usage: rl report"),
        (("reproduce", "nowhere"), "no such folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_is_refused_and_writes_nothing(
    rl: Rl, arguments: tuple[str, ...], expected: str
):
    outcome = rl(*arguments)
    assert outcome.exit_code == 2
    assert expected in outcome.message
    assert not list(Path().iterdir())


def test_a_checkpoint_that_is_not_kept_writes_nothing(rl: Rl, lake: Path):
    outcome = rl("record", lake, "--checkpoint", "123")
    assert outcome.exit_code == 2
    assert "Kept are" in outcome.message
    assert not list(Path().iterdir())


def test_watch_needs_a_display(rl: Rl, lake: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.platform", "linux")
    for name in DISPLAYS:
        monkeypatch.delenv(name, raising=False)
    outcome = rl("watch", lake)
    assert outcome.exit_code == 2
    assert "rl record RUN --out agent.gif" in outcome.message


def test_watch_tells_what_was_seen(rl: Rl, lake: Path, monkeypatch: pytest.MonkeyPatch):
    import pygame
    from gymnasium.envs.toy_text.frozen_lake import FrozenLakeEnv

    pygame.quit()
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setitem(FrozenLakeEnv.metadata, "render_fps", 1000)
    outcome = rl("watch", lake, "--episodes", 1)
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stdout.startswith("Return ")
    assert "steps" in outcome.stdout


def test_report_writes_one_page(rl: Rl, lake: Path):
    outcome = rl("report", lake, "--no-pictures")
    assert outcome.exit_code == 0, outcome.stderr
    assert "1 experiment, 2 runs → report.html" in outcome.stderr
    assert [path.name for path in Path().iterdir()] == ["report.html"]
    assert "lake" in Path("report.html").read_text(encoding="utf-8")


def test_reproduce_says_bit_equal(rl: Rl, lake: Path):
    outcome = rl("reproduce", lake / "seed-1", "-q")
    assert outcome.exit_code == 0, outcome.stderr
    assert "bit-equal: weights, episodes, evaluations and curves are the same" in outcome.stdout
    document = rl("reproduce", lake / "seed-1", "-q", "--json").document
    assert document["verdict"] == "bit-equal"
    assert document["weights"][0] == document["weights"][1]


def test_reproduce_of_another_agent_exits_with_1(rl: Rl, lake: Path):
    path = lake / "seed-0" / "run.json"
    before = path.read_text(encoding="utf-8")
    record = json.loads(before)
    record["results"]["last"] |= {"mean_reward": -5.0, "std_reward": 0.1}
    path.write_text(json.dumps(record), encoding="utf-8")
    try:
        outcome = rl("reproduce", lake / "seed-0", "-q")
    finally:
        path.write_text(before, encoding="utf-8")
    assert outcome.exit_code == 1
    assert "different: the held-out episodes tell the two agents apart" in outcome.stdout
