"""Videos and pictures as files: GIF, MP4, PNG."""

import itertools
from pathlib import Path

import numpy as np
from PIL import Image

from rl_runner.errors import ConfigError, Problem, RunnerError
from rl_runner.evaluation.pictures.recording import Video
from rl_runner.runs.disk import write_aside

VIDEOS = (".gif", ".mp4")
PICTURES = (".png",)


def check_picture_path(path: Path, suffixes: tuple[str, ...] = (*VIDEOS, *PICTURES)) -> None:
    """Refuse a file that could not be written, before any episode is played.

    :raises RunnerError: if its suffix is unknown, its folder is missing, or MP4 needs a package
    """
    if path.suffix not in suffixes:
        what = f"`{path.name}` ends with none of {', '.join(suffixes)}."
        cure = f"Use e.g. `--out {path.stem or 'agent'}{suffixes[0]}`."
        raise ConfigError(Problem(what, f"--out {path}", cure))
    if not path.absolute().parent.is_dir():
        raise ConfigError(Problem("There is no such folder.", str(path.absolute().parent)))
    if path.suffix == ".mp4":
        try:
            import imageio_ffmpeg  # noqa: F401 - only whether it is installed
        except ModuleNotFoundError:
            what = "MP4 needs the package `imageio-ffmpeg`, which is not installed."
            cure = "Run `pip install 'rl-runner[video]'`, or write a .gif, which needs no package."
            raise RunnerError(Problem(what, f"--out {path}", cure)) from None


def write_video(path: Path, video: Video) -> None:
    """Write a video frame by frame; the episodes are played and drawn as it is written.

    :raises RunnerError: see :func:`check_picture_path`
    """
    check_picture_path(path, VIDEOS)
    write = _write_gif if path.suffix == ".gif" else _write_mp4
    write_aside(path, lambda aside: write(aside, video))


def write_picture(path: Path, picture: Image.Image) -> None:
    """Write a picture as PNG, whatever the file is called."""
    write_aside(path, lambda aside: picture.save(aside, format="PNG", optimize=True))


def _write_gif(path: Path, video: Video) -> None:
    frames = (_few_colours(frame) for frame in video.frames)
    first = next(frames)
    duration = round(100 / video.frames_per_second) * 10  # milliseconds; GIF stores hundredths
    first.save(
        path,
        format="GIF",
        save_all=True,
        append_images=frames,
        duration=max(20, duration),  # browsers show shorter frames for a tenth of a second
        loop=0,
    )


def _few_colours(frame: Image.Image) -> Image.Image:
    """Reduce to a palette, without dithering, which would flicker and take space."""
    return frame.quantize(128, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


def _write_mp4(path: Path, video: Video) -> None:
    import imageio_ffmpeg

    first = next(video.frames)
    writer = imageio_ffmpeg.write_frames(
        str(path),
        first.size,
        fps=video.frames_per_second,
        quality=8,
        macro_block_size=2,
        output_params=["-f", "mp4", "-movflags", "+faststart"],
    )
    writer.send(None)
    try:
        for frame in itertools.chain([first], video.frames):
            writer.send(np.ascontiguousarray(frame))
    finally:
        writer.close()
