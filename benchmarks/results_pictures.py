"""Draws the pictures of README and docs from the runs of ``make results``."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tutor_pictures import draw_pages, moments

CURVES = tuple(f"cartpole/{name}" for name in ("ppo", "a2c", "dqn", "reinforce"))


def draw_pictures(find: Callable[[str], Path | None], images: Path) -> Iterator[Path]:
    """Draw the pictures whose experiments are there; yield each one's file.

    :param find: from the name of a config below configs/ to its experiment's folder
    :param images: the folder of the pictures
    """
    found = [folder for folder in map(find, CURVES) if folder is not None]
    if len(found) == len(CURVES):
        yield _draw_curves(found, images / "compare-cartpole.png")
        if (browser := shutil.which("chromium")) is not None:
            yield _draw_report(found, images / "report.png", browser)
        else:
            print("There is no chromium, so docs/images/report.png stays as it is.")
    if (cartpole := find("cartpole/ppo")) is not None:
        yield _record_learning(cartpole, images / "learning.gif")
    if (lake := find("frozenlake/q_learning")) is not None:
        yield _draw_policy(lake, images / "frozenlake-policy.png")
    yield from draw_pages(images, moments())


def _draw_curves(folders: Sequence[Path], out: Path) -> Path:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from rl_runner.evaluation.comparison.compare import compare
    from rl_runner.evaluation.comparison.experiments import load_experiments
    from rl_runner.evaluation.comparison.scales import load_scale_or_reason
    from rl_runner.evaluation.pictures.band_plots import draw_learning_curves

    experiments = load_experiments(folders)
    scale, _ = load_scale_or_reason(experiments[0].config.env, folders[0].parent)
    figure = draw_learning_curves(compare(experiments, scale=scale))
    FigureCanvasAgg(figure)
    figure.savefig(out, dpi=150)
    return out


def _draw_report(folders: Sequence[Path], out: Path, browser: str) -> Path:
    """Take a picture of the first page of a report."""
    from rl_runner.evaluation.report import write_report

    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        write_report(folders, page, with_pictures=False)
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        size = ["--window-size=1160,1570", "--blink-settings=preferredColorScheme=1"]
        command = [browser, *options, *size, f"--screenshot={out}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - the page is ours
    return out


def _record_learning(experiment: Path, out: Path) -> Path:
    """Record three checkpoints of the first seed side by side."""
    from rl_runner.evaluation.pictures.recording import record_video
    from rl_runner.evaluation.pictures.video_files import write_video
    from rl_runner.evaluation.play.loaded_run import load_checkpoints

    runs, titles = load_checkpoints(experiment, ["untrained", "halfway", "last"])
    write_video(out, record_video(runs, titles, n_episodes=1))
    return out


def _draw_policy(experiment: Path, out: Path) -> Path:
    from rl_runner.evaluation.pictures.policy_maps import write_policy_maps
    from rl_runner.evaluation.play.loaded_run import load_checkpoints

    write_policy_maps(out, *load_checkpoints(experiment, ["last"]))
    return out
