"""From a run's folder to the model that a service asks."""

from pathlib import Path

from rl_runner.config import load_config
from rl_runner.errors import ConfigError, Problem
from rl_runner.evaluation.play.loaded_run import load_run
from rl_runner.offline.learning.trained_run import load_trained
from rl_runner.serving.config import ServeConfig
from rl_runner.serving.models.agents import AgentModel
from rl_runner.serving.models.artifacts import Kind
from rl_runner.serving.models.protocol import Model
from rl_runner.serving.models.recommender import LogPolicyModel

DEFAULT_EPSILON = 0.05  # of services with a domain; agents are greedy by default


class Loader:
    """Loads models for one service."""

    def __init__(self, config: ServeConfig) -> None:
        self._config = config

    @property
    def epsilon(self) -> float:
        """The share of exploring decisions."""
        given = self._config.exploration.epsilon
        default = DEFAULT_EPSILON if self._config.domain else 0.0
        return default if given is None else given

    def __call__(self, kind: Kind, run: Path) -> Model:
        """Load a run's model.

        :raises RunnerError: if it is damaged, or cannot explore as the service's config says
        """
        if kind == "log":
            return LogPolicyModel(load_trained(run).learner, self.epsilon)
        try:
            return AgentModel(load_run(run).agent, self.epsilon)
        except ValueError as error:
            raise ConfigError(Problem(f"{error}.", "exploration.epsilon")) from None

    def check_fits(self, run: Path) -> None:
        """Refuse a run that answers something else than the service is asked.

        :raises ConfigError: naming what it was trained for
        """
        trained, config = load_config(run.parent), self._config
        learned_from_log = trained.data is not None
        if config.domain is not None and not learned_from_log:
            what = f"This run was trained in {trained.env.id}, not from a log of {config.domain}."
            cure = "Serve it with `env: …` instead of `domain: …`."
            raise ConfigError(Problem(what, str(run), cure))
        if config.env is not None and learned_from_log:
            what, cure = "This run learned from a log.", "Serve it with `domain: recommender`."
            raise ConfigError(Problem(what, str(run), cure))
        if config.env is not None and trained.env.id != config.env:
            what = f"This run was trained in {trained.env.id}; the service is for {config.env}."
            raise ConfigError(Problem(what, str(run), f"Set `env: {trained.env.id}`."))
