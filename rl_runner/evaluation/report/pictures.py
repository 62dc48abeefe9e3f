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

PLOTS_OF_ONE = {"learning-curves", "intervals"}  # the plots shown for a single experiment


@dataclass(frozen=True)
class Picture:
    """An image in the page, or a sentence in its place."""

    source: str  # data URI; empty if there is only a caption, which says why
    caption: str
    description: str  # alternative text


def comparison_pictures(comparison: Comparison) -> Iterator[Picture]:
    """Yield every plot for which the comparison has data."""
    from rl_runner.evaluation.pictures.comparison_plots import draw_all

    alone = len(comparison.rows) == 1
    measure = MEASURES[comparison.measure]
    for name, figure in draw_all(comparison):
        if alone and name not in PLOTS_OF_ONE:
            continue
        yield Picture(svg(figure), CAPTIONS[name].format(measure=measure), name.replace("-", " "))


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
            yield Picture(_uri("svg+xml", drawn), text, "policy over the map")
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
    yield Picture(_uri("png", file.getvalue()), text, "frames of an episode")


def _stages(run_path: Path) -> list[str]:
    """Return the checkpoints that show how the agent learned, as far as they were kept."""
    from rl_runner.runs.folder import RunFolder

    halfway = ["halfway"] if RunFolder(run_path).agents.halfway_timesteps() else []
    return ["untrained", *halfway, "last"]


def svg(figure: "Figure") -> str:
    """Return a figure as a data URI; text becomes shapes, since the reader may lack the font."""
    import matplotlib as mpl

    file = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "rl_runner"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return _uri("svg+xml", file.getvalue())


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
