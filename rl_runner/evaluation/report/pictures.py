"""The pictures of a report, as data URIs: nothing is fetched when it is read."""

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
    "learning-curves": "Periodic evaluations while training: interquartile mean over seeds, with "
    "95 % intervals, or with every run where there are fewer than five. Every evaluation of a run "
    "plays the same episodes.",
    "intervals": "What the runs reached: {measure} of each. Dots are runs, bars 95 % intervals "
    "over runs.",
    "performance-profiles": "How large a share of the runs reached at least a return, with 95 % "
    "bands. Higher is better everywhere.",
    "probability-of-improvement": "How probable it is that a run of one experiment beats a run of "
    "another, with 95 % intervals. One half is no difference.",
}

MEASURES = {
    "held-out": "the mean return over held-out episodes",
    "exact": "the exact mean return",
}

TELLING_ALONE = {"learning-curves", "intervals"}  # where there is nothing to compare with


@dataclass(frozen=True)
class Picture:
    """An image that is part of the page."""

    source: str  # data URI; empty where there is only something to say
    caption: str
    description: str  # for those who do not see it


def comparison_pictures(comparison: Comparison) -> Iterator[Picture]:
    """Yield every picture that the data of a comparison allow."""
    from rl_runner.evaluation.pictures.comparison_plots import draw_all

    alone = len(comparison.rows) == 1
    measure = MEASURES[comparison.measure]
    for name, figure in draw_all(comparison):
        if alone and name not in TELLING_ALONE:
            continue
        yield Picture(svg(figure), CAPTIONS[name].format(measure=measure), name.replace("-", " "))


def agent_pictures(experiment: Experiment) -> Iterator[Picture]:
    """Yield pictures of the first finished run's agent: its policy on a map, and an episode.

    An environment that draws nothing, or whose package is missing, is said to.
    """
    from rl_runner.evaluation.pictures.policy_maps import policy_maps
    from rl_runner.evaluation.pictures.recording import frame_strip
    from rl_runner.evaluation.play.loaded_run import load_checkpoints

    if not experiment.finished:
        return
    run = experiment.finished[0]
    try:
        agents, titles = load_checkpoints(run.path, _stages(run.path))
        whose = f"Seed {run.seed}"
        if (drawn := policy_maps(agents, titles, "svg")) is not None:
            text = f"{whose}: state values and greedy actions."
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
    text = f"{whose}: moments of the first held-out episode, evenly spread."
    yield Picture(_uri("png", file.getvalue()), text, "frames of an episode")


def _stages(run_path: Path) -> list[str]:
    """Return which of a run's agents show how it learned: those that are kept."""
    from rl_runner.runs.folder import RunFolder

    halfway = ["halfway"] if RunFolder(run_path).halfway_timesteps() else []
    return ["untrained", *halfway, "last"]


def svg(figure: "Figure") -> str:
    """Return a figure as a data URI; letters are shapes, since the reader may lack the font."""
    import matplotlib as mpl

    file = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "rl_runner"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return _uri("svg+xml", file.getvalue())


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
