import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import imageio_ffmpeg
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.toy_text.frozen_lake import FrozenLakeEnv
from PIL import Image

from rl_runner.config import EnvConfig
from rl_runner.envs.film import Frame
from rl_runner.errors import CheckpointError, ConfigError, EnvError, RunnerError
from rl_runner.evaluation.pictures.recording import (
    BACKGROUND,
    DEFAULT_FPS,
    Video,
    compose,
    frame_strip,
    panel_width,
    record_episode,
    record_video,
    render_fps,
)
from rl_runner.evaluation.pictures.video_files import check_picture_path, write_picture, write_video
from rl_runner.evaluation.play.loaded_run import load_checkpoints

Trained = Callable[[str], Any]
BACKGROUND_RGB = tuple(bytes.fromhex(BACKGROUND.removeprefix("#")))


def frame(step: int = 3, width: int = 300, ending: str = "") -> Frame:
    return Frame(np.full((200, width, 3), 7 * step, dtype=np.uint8), step, step / 2, ending)


class Blind(gym.Env[int, int]):
    """Draws nothing."""

    observation_space = action_space = spaces.Discrete(2)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode


gym.register("EvaluationTestBlind-v0", entry_point=Blind, max_episode_steps=5)


# --- frames ---------------------------------------------------------------------------------------


def written(sheet: Image.Image, top: int, bottom: int) -> int:
    """Count the pixels of a strip that are not background."""
    strip = np.asarray(sheet)[top:bottom]
    return int((strip != BACKGROUND_RGB).any(axis=2).sum())


def test_panels_stand_side_by_side_with_writing_above_and_below():
    sheet = compose([frame(3), frame(9)], ["untrained", "last"], "episode 1 of 2")
    assert sheet.width >= 600
    assert sheet.width % 2 == sheet.height % 2 == 0
    pixels = np.asarray(sheet)
    middle = sheet.height // 2
    assert (pixels[middle, 150] == 21).all()
    assert (pixels[middle, 460] == 63).all()
    picture_rows = np.flatnonzero((pixels[:, 0] == 21).all(axis=1))
    above, below = picture_rows[0], picture_rows[-1] + 1
    assert below - above == 200
    assert written(sheet, 0, above) > 100
    assert written(sheet, below, sheet.height) > 100


def test_what_is_written_depends_on_step_return_ending_and_title():
    sheets = [
        compose([frame(3)], ["a"]),
        compose([frame(4)], ["a"]),
        compose([frame(3, ending="ended")], ["a"]),
        compose([frame(3)], ["b"]),
        compose([frame(3)], ["a"], "episode 1 of 3"),
    ]
    assert len({sheet.tobytes() for sheet in sheets}) == 5


@pytest.mark.parametrize("width", [16, 100, 240, 600])
def test_long_titles_fit_into_their_panel(width: int):
    sheet = compose([frame(width=width)], ["halfway through a very long training, 1,234,567 steps"])
    edges = np.asarray(sheet)[:10, [0, -1]]
    assert (edges == BACKGROUND_RGB).all()
    assert sheet.width >= max(width, 240)


def test_many_panels_are_narrower_than_few():
    widths = [panel_width(n) for n in (1, 2, 3, 4, 10)]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] == 960
    assert 3 * widths[2] <= 1440


def test_the_writing_grows_with_the_picture_only_so_far():
    heights = [compose([frame(width=width)], ["a"]).height - 200 for width in (240, 400, 600, 960)]
    assert heights[0] < heights[1] < heights[2] == heights[3]


# --- videos ---------------------------------------------------------------------------------------


def test_a_video_shows_the_held_out_episodes_of_the_run(trained: Trained):
    (run,), titles = load_checkpoints(trained("ppo").path, ["last"])
    assert titles == ["last, 256 steps"]
    video = record_video([run], titles, n_episodes=2)
    assert video.frames_per_second == 25  # CartPole says 50
    sizes = [frame.size for frame in video.frames]
    lengths = run.evaluate(2).lengths
    shown = [1 + length // 2 + (length % 2 > 0) for length in lengths]
    assert len(sizes) == sum(shown) + 2 * 25  # the last frame stays for a second
    assert len(set(sizes)) == 1


def test_the_frames_count_up_to_the_return(trained: Trained):
    (run,), _ = load_checkpoints(trained("ppo").path, ["last"])
    episodes = run.evaluate(3)
    for seed, episode_return in zip(episodes.seeds, episodes.returns, strict=True):
        frames = record_episode(run, run.config.env, int(seed), 5, 100, deterministic=True)
        assert frames[-1].episode_return == episode_return
        assert frames[-1].step == episode_return
        assert frames[-1].ending in {"ended", "time limit"}


def test_agents_side_by_side_wait_for_the_slowest(trained: Trained):
    runs, titles = load_checkpoints(trained("ppo").path, ["untrained", "last"])
    assert titles[0] == "untrained"
    video = record_video(runs, titles, n_episodes=1, speed=0.5)
    lengths = [run.evaluate(1).lengths[0] for run in runs]
    assert len(list(video.frames)) == 1 + max(lengths) + 25


def test_a_strip_has_a_row_per_agent(trained: Trained):
    runs, titles = load_checkpoints(trained("ppo").path, ["untrained", "last"])
    one = frame_strip(runs[:1], titles[:1])
    two = frame_strip(runs, titles)
    assert two.size == (one.width, 2 * one.height)


def test_a_checkpoint_that_is_not_there_is_named(trained: Trained):
    with pytest.raises(CheckpointError, match="no `halfway` agent"):
        load_checkpoints(trained("ppo").path, ["halfway"])


def test_what_draws_nothing_cannot_be_recorded():
    with pytest.raises(EnvError, match="cannot draw pictures"):
        render_fps(EnvConfig(id="EvaluationTestBlind-v0"))
    assert render_fps(EnvConfig(id="CartPole-v1")) == 50
    assert render_fps(EnvConfig(id="FrozenLake-v1")) == 4


@pytest.mark.parametrize("fps", ["fast", None, 0, -3, float("nan"), float("inf"), 10**400])
def test_a_rate_that_is_no_number_of_frames_is_replaced_by_ours(
    fps: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(FrozenLakeEnv.metadata, "render_fps", fps)
    assert render_fps(EnvConfig(id="FrozenLake-v1")) == DEFAULT_FPS


# --- files ----------------------------------------------------------------------------------------


def blue_video(n: int, fps: float) -> Video:
    frames = (Image.new("RGB", (64, 48), (20 * i, 0, 200)) for i in range(n))
    return Video(frames, fps)


def test_a_gif_holds_every_frame_at_its_speed(tmp_path: Path):
    write_video(tmp_path / "x.gif", blue_video(8, 12.5))
    with Image.open(tmp_path / "x.gif") as gif:
        assert gif.n_frames == 8
        assert gif.info["duration"] == 80
        assert gif.info["loop"] == 0
        gif.seek(5)
        red, _, blue = gif.convert("RGB").getpixel((10, 10))
        assert (abs(red - 100), abs(blue - 200)) < (12, 12)
    assert [path.name for path in tmp_path.iterdir()] == ["x.gif"]


def test_an_mp4_holds_every_frame_at_its_speed(tmp_path: Path):
    write_video(tmp_path / "x.mp4", blue_video(10, 5.0))
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "x.mp4"))
    assert frames == 10
    assert seconds == pytest.approx(2.0, abs=0.25)
    assert [path.name for path in tmp_path.iterdir()] == ["x.mp4"]


def test_a_picture_is_a_png(tmp_path: Path):
    write_picture(tmp_path / "x.png", Image.new("RGB", (5, 4), "red"))
    with Image.open(tmp_path / "x.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (5, 4))


def test_a_file_of_another_kind_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"none of \.gif, \.mp4, \.png"):
        check_picture_path(tmp_path / "x.avi")
    with pytest.raises(ConfigError, match="no such folder"):
        check_picture_path(tmp_path / "nowhere" / "x.gif")


def test_without_its_package_mp4_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(RunnerError, match="imageio-ffmpeg") as caught:
        check_picture_path(tmp_path / "x.mp4")
    assert "pip install 'rl-runner[video]'" in str(caught.value)
    check_picture_path(tmp_path / "x.gif")
