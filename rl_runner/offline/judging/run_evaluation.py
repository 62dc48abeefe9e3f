"""A trained run judged by a log that it has not learned from."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rl_runner.config.data import parse_duration
from rl_runner.errors import ConfigError, Problem
from rl_runner.layout import JUDGED, JUDGEMENT
from rl_runner.offline.judging.judgement import judge
from rl_runner.offline.judging.judgement_plot import write_judgement
from rl_runner.offline.learning.trained_run import TrainedRun, load_trained
from rl_runner.offline.logs.interactions import read_interactions
from rl_runner.offline.logs.log_files import LogReader
from rl_runner.offline.logs.sources import find_files
from rl_runner.offline.logs.windows import Window, evaluation_window
from rl_runner.runs.disk import write_aside, writing
from rl_runner.runs.log_results import Judgement, RefusedRows


@dataclass(frozen=True)
class Evaluation:
    """The judgement of a run by a log, and the folder where it is stored."""

    run: TrainedRun
    window: Window
    judgement: Judgement
    refusals: RefusedRows
    folder: Path

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "run": str(self.run.path),
            "window": str(self.window),
            **self.judgement.to_json(),
            "refusals": self.refusals.to_json(),
            "folder": str(self.folder),
        }


def evaluate_on_logs(
    run: Path, paths: Sequence[str], window: str | None = None, now: datetime | None = None
) -> Evaluation:
    """Judge a run by the last ``window`` of a log, or by all that the run has not learned from.

    :param paths: files or globs
    :param window: e.g. ``3d``
    :raises RunnerError: if the run, the log or the window is at fault
    """
    if window is not None:
        try:
            parse_duration(window)
        except ValueError as error:
            raise ConfigError(Problem(f"{error}.", f"--window {window}")) from None
    # The run, and the log in its terms: time zone and reward weights.
    trained = load_trained(run)
    data = trained.config.data
    times = (data.timezone, data.ambiguous_times) if data else (None, None)
    reader = LogReader(*times, now or datetime.now(UTC))
    log = read_interactions(find_files(paths), reader, trained.weights)
    # Judge by what it has not learned from.
    chosen = evaluation_window(log, window, trained.log.learned_until)
    rows = log.take(chosen.mask(log))
    judgement = judge(
        rows,
        trained.policy_table(),
        seed=trained.record.seed or 0,
        reward_bounds=trained.weights.bounds,
    )
    folder = trained.path / JUDGED / rows.fingerprint()
    evaluation = Evaluation(trained, chosen, judgement, reader.refusals.report(), folder)
    _write(evaluation)
    return evaluation


def _write(evaluation: Evaluation) -> None:
    folder = evaluation.folder
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_judgement(evaluation.judgement, folder)
    text = json.dumps(evaluation.to_dict(), indent=2, ensure_ascii=False) + "\n"
    write_aside(folder / JUDGEMENT, lambda aside: aside.write_text(text, encoding="utf-8"))
