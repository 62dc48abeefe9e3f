"""Learning from the logs of one config, as tests do it."""

from pathlib import Path

from rl_runner.config import ExperimentConfig
from rl_runner.offline.learning.training import train_many_on_logs
from rl_runner.training.experiment import ExperimentResult
from rl_runner.training.reporting import Reporter


def train_on_logs(
    config: ExperimentConfig, *, runs_dir: Path, fresh: bool = False, jobs: int | None = None
) -> ExperimentResult:
    (result,) = train_many_on_logs(
        [config], runs_dir=runs_dir, fresh=fresh, jobs=jobs, reporter=Reporter()
    )
    return result
