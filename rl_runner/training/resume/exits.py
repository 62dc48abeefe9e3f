"""Leaving a segment in its midst, and coming back to the very same place.

An exit checkpoint is a checkpoint and, beside it, what belongs to the open episodes: what the agent
knows of them, what the environments were told since the segment began, and the normalisation
statistics of that moment. To come back, environments that begin the segment anew are told the same
again; nothing is learned or recorded meanwhile. That takes a fraction of the time that learning
took. Where they end up elsewhere, the environment's episodes do not follow from its seeds, and the
run goes on from the checkpoint before.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from rl_runner.agents.open_episodes import put_back_open_episodes, save_open_episodes
from rl_runner.agents.protocol import Agent
from rl_runner.arrays import load_arrays, save_arrays
from rl_runner.envs.normalization import load_statistics, set_statistics
from rl_runner.runs.layout import HISTORY, NORMALIZATION
from rl_runner.training.observers.episode_log import EpisodeLog
from rl_runner.training.resume.env_history import EnvHistory, Otherwise

OF_STATISTICS = "statistics/"


class NotRepeatable(Exception):  # noqa: N818 - nothing failed that cannot be done another way
    """The environments did other things when they were told the same again."""

    def __init__(self, checkpoint: Path, otherwise: Otherwise) -> None:
        super().__init__(
            "it cannot go on exactly where it was stopped, since its environment did other things "
            f"when told the same again: {otherwise}. (Do its episodes follow from its seed alone?) "
            "It goes on from the checkpoint before, if there is one."
        )
        self.checkpoint = checkpoint


def is_exit(checkpoint: Path) -> bool:
    """Whether a checkpoint leaves its episodes open."""
    return (checkpoint / HISTORY).exists()


def save_exit(
    agent: Agent, folder: Path, history: EnvHistory, statistics: Mapping[str, np.ndarray]
) -> None:
    """Add to a checkpoint what belongs to the open episodes.

    :param statistics: of normalisation, when the segment began
    """
    save_open_episodes(agent, folder)
    then = {f"{OF_STATISTICS}{name}": array for name, array in statistics.items()}
    save_arrays(folder / HISTORY, {**history.arrays(), **then})


def load_statistics_then(folder: Path) -> dict[str, np.ndarray]:
    """Return the statistics of normalisation when the segment began."""
    return {
        name.removeprefix(OF_STATISTICS): array
        for name, array in load_arrays(folder / HISTORY).items()
        if name.startswith(OF_STATISTICS)
    }


def put_back(
    agent: Agent,
    folder: Path,
    env: EpisodeLog,
    seeds: Sequence[int],
    before_step: Callable[[int], None],
) -> None:
    """Bring environments and agent back to where :func:`save_exit` found them.

    :param agent: filled from the same folder, and about to collect new experience
    :param seeds: on which the segment's first episodes began
    :param before_step: called before each that is repeated, with the run's timesteps; may raise
    :raises NotRepeatable: if the environments end up elsewhere
    """
    vec_normalize = agent.get_vec_normalize_env()
    if vec_normalize is not None:  # stacked frames are normalised as they were then
        set_statistics(vec_normalize, load_statistics_then(folder))
    begin_episodes(env, seeds)
    history = EnvHistory.from_arrays(load_arrays(folder / HISTORY))
    began_at = agent.num_timesteps - history.n_steps * env.num_envs
    try:
        history.repeat(env.venv, lambda t: before_step(began_at + t * env.num_envs))
    except Otherwise as otherwise:
        raise NotRepeatable(folder, otherwise) from otherwise
    if vec_normalize is not None:
        load_statistics(vec_normalize, folder / NORMALIZATION)
    env.history = history
    put_back_open_episodes(agent, folder)


def begin_episodes(env: EpisodeLog, seeds: Sequence[int]) -> None:
    """Let the next reset of each copy begin on its seed, and a new history with it."""
    env.history = EnvHistory()
    for i, seed in enumerate(seeds):
        env.env_method("begin_episodes", [seed], indices=[i])
