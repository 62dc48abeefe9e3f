"""The pictures of a report, as data URIs, so that the page needs no other file."""

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rl_runner.errors import EnvError, RunnerError
from rl_runner.evaluation.comparison.compare import Comparison
from rl_runner.evaluation.comparison.experiments import Experiment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CAPTIONS = {
    "learning-curves": "Periodic evaluations during training: the interquartile mean over seeds, "
    "with 95 % intervals, or with every run if there are fewer than five. Every evaluation of a "
    "run plays the same episodes.",
    "intervals": "Final results: {measure} of each run. Dots are runs, bars are 95 % intervals "
    "over runs.",
    "performance-profiles": "The share of runs that reached at least a given return, with 95 % "
    "bands. Higher is better.",
    "probability-of-improvement": "The probability that a run of one experiment beats a run of "
    "another, with 95 % intervals. One half means no difference.",
}

MEASURES = {
    "held-out": "the mean return over held-out episodes",
    "exact": "the exact mean return",
}

# The ink of a figure on a dark page. Matplotlib writes colours into the elements' own styles.
STYLE_TAG = '<style type="text/css">'
LIGHT_INKS = {
    "#1b2733": "#dfe6ee",
    "#ebebeb": "#2c3742",
    "#000000": "#ffffff",
    "#0072b2": "#46a2dc",
}
DARK = (
    "@media screen and (prefers-color-scheme: dark) {svg {fill: #dfe6ee}"
    + "".join(
        f'[style*="{what}: {ink}"] {{{what}: {light} !important}}'
        for what in ("fill", "stroke")
        for ink, light in LIGHT_INKS.items()
    )
    + "}"
)

PLOTS_OF_ONE = {"learning-curves", "intervals"}  # the plots shown for a single experiment


@dataclass(frozen=True)
class Picture:
    """An image in the page, or a sentence in its place."""

    source: str  # data URI; empty if there is only a caption, which says why
    caption: str
    description: str  # alternative text
    narrow: str = ""  # the same, drawn for the width of a phone


def comparison_pictures(comparison: Comparison) -> Iterator[Picture]:
    """Yield every plot for which the comparison has data."""
    from rl_runner.evaluation.pictures.comparison_plots import draw_all
    from rl_runner.evaluation.pictures.plot_style import PHONE, WIDE

    alone = len(comparison.rows) == 1
    measure = MEASURES[comparison.measure]
    plots = zip(draw_all(comparison, WIDE), draw_all(comparison, PHONE), strict=True)
    for (name, wide), (_, narrow) in plots:
        if alone and name not in PLOTS_OF_ONE:
            continue
        caption = CAPTIONS[name].format(measure=measure)
        yield Picture(svg(wide), caption, name.replace("-", " "), svg(narrow))


def agent_pictures(experiment: Experiment) -> Iterator[Picture]:
    """Yield pictures of the first finished run's agent: its policy on a map, and an episode.

    If the environment cannot draw pictures, or its package is missing, a sentence says so.
    """
    from rl_runner.evaluation.pictures.policy_maps import policy_maps
    from rl_runner.evaluation.pictures.recording import frame_strip
    from rl_runner.evaluation.play.loaded_run import load_checkpoints

    if not experiment.finished:
        return
    run = experiment.finished[0]
    # A report is written even if this agent cannot be shown; the reason takes the picture's place.
    try:
        agents, titles = load_checkpoints(run.path, _stages(run.path))
        seed = f"Seed {run.seed}"
        if (drawn := policy_maps(agents, titles, "svg")) is not None:
            text = f"{seed}: state values and greedy actions."
            yield Picture(data_uri("image/svg+xml", drawn), text, "policy over the map")
        strip = frame_strip(agents, titles)
    except EnvError as error:
        yield Picture("", f"No pictures of the agent: {error.problems[0].what}", "")
        return
    except RunnerError as error:
        yield Picture("", f"The agent could not be loaded: {error.problems[0].what}", "")
        return
    file = io.BytesIO()
    strip.save(file, format="PNG", optimize=True)
    text = f"{seed}: evenly spaced frames of the first held-out episode."
    yield Picture(data_uri("image/png", file.getvalue()), text, "frames of an episode")


def _stages(run_path: Path) -> list[str]:
    """Return the checkpoints that show how the agent learned, as far as they were kept."""
    from rl_runner.runs.folder import RunFolder

    halfway = ["halfway"] if RunFolder(run_path).agents.halfway_timesteps() else []
    return ["untrained", *halfway, "last"]


def svg(figure: "Figure") -> str:
    """Return a figure as a data URI; text becomes shapes, since the reader may lack the font.

    The figure has no background, and on a dark page its ink is light.
    """
    import matplotlib as mpl

    file = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "rl_runner"}):
        figure.savefig(file, format="svg", metadata={"Date": None}, transparent=True)
    text = file.getvalue().decode("utf-8")
    return data_uri("image/svg+xml", text.replace(STYLE_TAG, f"{STYLE_TAG}{DARK}", 1).encode())


def data_uri(kind: str, data: bytes) -> str:
    """Return a file as a URI that holds it."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
