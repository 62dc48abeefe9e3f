"""Films and pictures into files: GIF, MP4, PNG."""

import itertools
from pathlib import Path

import numpy as np
from PIL import Image

from rl_runner.errors import ConfigError, Problem, RunnerError
from rl_runner.evaluation.pictures.recording import Film
from rl_runner.runs.disk import write_aside

FILMS = (".gif", ".mp4")
PICTURES = (".png",)


def check_film_path(path: Path, kinds: tuple[str, ...] = (*FILMS, *PICTURES)) -> None:
    """Refuse a file that cannot be written before anything is played.

    :raises RunnerError: if its kind is unknown, its folder is missing, or mp4 needs a package
    """
    if path.suffix not in kinds:
        what = f"`{path.name}` ends with none of {', '.join(kinds)}."
        cure = f"Write e.g. `--out {path.stem or 'agent'}{kinds[0]}`."
        raise ConfigError(Problem(what, f"--out {path}", cure))
    if not path.absolute().parent.is_dir():
        raise ConfigError(Problem("There is no such folder.", str(path.absolute().parent)))
    if path.suffix == ".mp4":
        try:
            import imageio_ffmpeg  # noqa: F401
        except ModuleNotFoundError:
            what = "MP4 needs the package `imageio-ffmpeg`, which is not installed."
            cure = "`pip install 'rl-runner[video]'`, or write a .gif, which needs nothing."
            raise RunnerError(Problem(what, f"--out {path}", cure)) from None


def write_film(path: Path, film: Film) -> None:
    """Write a film frame by frame.

    :raises RunnerError: see :func:`check_film_path`
    """
    check_film_path(path, FILMS)
    write = _write_gif if path.suffix == ".gif" else _write_mp4
    write_aside(path, lambda aside: write(aside, film))


def write_picture(path: Path, picture: Image.Image) -> None:
    """Write a PNG."""
    write_aside(path, lambda aside: picture.save(aside, format="PNG", optimize=True))


def _write_gif(path: Path, film: Film) -> None:
    frames = (_few_colours(frame) for frame in film.frames)
    first = next(frames)
    duration = round(100 / film.frames_per_second) * 10  # milliseconds, as GIF counts them
    first.save(
        path,
        format="GIF",
        save_all=True,
        append_images=frames,
        duration=max(20, duration),  # browsers slow anything faster down to a tenth of a second
        loop=0,
    )


def _few_colours(frame: Image.Image) -> Image.Image:
    """Reduce to a palette, without dithering, which moves and costs space."""
    return frame.quantize(128, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


def _write_mp4(path: Path, film: Film) -> None:
    import imageio_ffmpeg

    first = next(film.frames)
    writer = imageio_ffmpeg.write_frames(
        str(path),
        first.size,
        fps=film.frames_per_second,
        quality=8,
        macro_block_size=2,
        output_params=["-f", "mp4", "-movflags", "+faststart"],
    )
    writer.send(None)
    try:
        for frame in itertools.chain([first], film.frames):
            writer.send(np.ascontiguousarray(frame))
    finally:
        writer.close()
