"""The evaluation of one policy in one environment, and the table of its episodes as a file."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rl_runner.errors import ConfigError, Problem
from rl_runner.evaluation.play.episodes import Episodes
from rl_runner.evaluation.play.exact_returns import ExactScore, exact_score
from rl_runner.evaluation.play.loaded_run import Run
from rl_runner.local_code import keeping_working_directory
from rl_runner.runs.disk import write_aside

TABLE_FORMATS = (".csv", ".json")


@dataclass(frozen=True)
class Evaluation:
    """The episodes of one run, one baseline or one external agent, and its exact score if known."""

    label: str  # experiment or environment
    policy: str  # checkpoint or baseline
    seed: int
    episodes: Episodes
    exact: ExactScore | None = None
    timesteps: int | None = None  # of training; None if it was not trained here
    note: str = ""  # what may be wrong with it

    def describe(self) -> dict[str, Any]:
        """Return the numbers for tables and JSON.

        :raises FloatingPointError: if a return is not a finite number
        """
        exact = {} if self.exact is None else self.exact.describe()
        head = {"seed": self.seed, "policy": self.policy, "timesteps": self.timesteps}
        described = self.episodes.describe()
        if "info" in described:
            kinds = {name: self.episodes.info_values[name] for name in described["info"]}
            described["info_values"] = {name: asdict(kind) for name, kind in kinds.items()}
        return head | described | exact

    def rows(self) -> dict[str, Sequence[Any]]:
        """Return one row per episode as columns of equal length, for a table."""
        n = len(self.episodes.returns)
        columns: dict[str, Sequence[Any]] = {
            "experiment": [self.label] * n,
            "seed": [self.seed] * n,
            "policy": [self.policy] * n,
            "episode": list(range(n)),
            "episode_seed": self.episodes.seeds.tolist(),
            "return": self.episodes.returns.tolist(),
            "length": self.episodes.lengths.tolist(),
        }
        # Columns that only some environments have
        if not np.isnan(self.episodes.successes).all():
            columns["is_success"] = self.episodes.successes.tolist()
        # What the environment reports, which may have the name of one of these columns
        extras = sorted(self.episodes.extras.items())
        return columns | {f"info/{k}" if k in columns else k: v.tolist() for k, v in extras}


@keeping_working_directory()
def evaluate_run(
    run: Run, n_episodes: int | None = None, *, deterministic: bool | None = None
) -> Evaluation:
    """Play a run's held-out episodes, and score its deterministic policy exactly where possible.

    :param n_episodes: at least 1; default: the config's ``eval.final_episodes``
    :param deterministic: default: the config's ``eval.deterministic``
    """
    deterministic = run.config.eval.deterministic if deterministic is None else deterministic
    episodes = run.evaluate(n_episodes, deterministic=deterministic)
    exact = exact_score(run.agent, run.config.env) if deterministic else None
    timesteps = 0 if run.checkpoint == "untrained" else run.agent.num_timesteps
    return Evaluation(run.path.parent.name, run.checkpoint, run.seed, episodes, exact, timesteps)


def check_table_path(path: Path) -> None:
    """Refuse a file name that cannot be written as a table.

    :raises ConfigError: if its suffix is not .csv or .json, or its folder does not exist
    """
    if path.suffix not in TABLE_FORMATS:
        what = f"A table of episodes is written as {' or '.join(TABLE_FORMATS)}."
        raise ConfigError(Problem(what, f"--out {path}", f"Write `--out {path.stem}.csv`."))
    if not path.absolute().parent.is_dir():
        raise ConfigError(Problem("There is no such folder.", str(path.absolute().parent)))


def write_episode_table(path: Path, evaluations: Iterable[Evaluation]) -> None:
    """Write every episode of several evaluations as a row; missing columns stay empty.

    :raises ConfigError: see :func:`check_table_path`
    :raises RunFolderError: if it cannot be written
    """
    import polars as pl

    check_table_path(path)
    # JSON and CSV have no NaN: a missing number is null in one and empty in the other.
    frames = [pl.DataFrame(evaluation.rows()).fill_nan(None) for evaluation in evaluations]
    table = pl.concat(frames, how="diagonal_relaxed")
    # As text, because Polars itself overlooks a full disk when it writes little JSON.
    text = table.write_csv() if path.suffix == ".csv" else table.write_json()
    write_aside(path, lambda aside: aside.write_text(text, encoding="utf-8", newline=""))
