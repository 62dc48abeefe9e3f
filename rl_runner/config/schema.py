"""The schema of a YAML config: one pydantic section per mapping.

Keys of ``algo`` other than ``name`` are the algorithm's own hyperparameters. This layer knows no
algorithm, so :mod:`rl_runner.agents.hyperparameters` checks them against its constructor.
"""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    model_validator,
)

from rl_runner.config.data import DataConfig, budget_from_log
from rl_runner.config.environment import EnvConfig, NamedClass, class_from_name
from rl_runner.config.section import Count, Section, Timesteps
from rl_runner.config.tune import TuneConfig
from rl_runner.config.yaml_text import SourceMap
from rl_runner.errors import ConfigError, Problem

DEFAULT_SEEDS = 5  # fewer cannot support a claim (Agarwal et al. 2021)
DEFAULT_GAMMA = 0.99  # SB3's

Seed = Annotated[int, Field(ge=0, lt=2**63)]

Engine = Literal["auto", "stock", "fast"]


class AlgoConfig(Section):
    """The algorithm's registry name and, on the same level, its hyperparameters.

    ``engine`` selects the implementation: ``stock`` is SB3 with torch, ``fast`` is our compiled
    twin of it, and ``auto`` takes the twin wherever it computes the same.
    """

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(min_length=1)]
    engine: Engine = "auto"

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The keys other than ``name``: as written, or all of them once the config is resolved."""
        return dict(self.__pydantic_extra__ or {})

    @property
    def discount(self) -> float:
        """The discount factor γ; the default for an algorithm without one (ARS).

        :raises ConfigError: if it is not a number from 0 to 1
        """
        gamma = self.hyperparameters.get("gamma", DEFAULT_GAMMA)
        if isinstance(gamma, bool) or not isinstance(gamma, int | float) or not 0 <= gamma <= 1:
            raise ConfigError(Problem("`gamma` is not a number from 0 to 1.", "algo.gamma"))
        return float(gamma)


def _seeds_from_count(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 1:
            message = (
                f"{value} is not a number of seeds; give a count of at least 1, or a list of seeds"
            )
            raise ValueError(message)
        if value > 10_000:
            message = f"{value} is a count of seeds; for the single seed {value} write [{value}]"
            raise ValueError(message)
        return tuple(range(value))
    if isinstance(value, list):
        return tuple(value)
    if not isinstance(value, tuple):
        message = "expected a count without quotes, 5, or a list of seeds, [0, 3, 7]"
        raise ValueError(message)
    return value


def _no_seed_twice(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if not seeds:
        message = "give at least 1 seed"
        raise ValueError(message)
    if len(set(seeds)) < len(seeds):
        message = "a seed is listed twice"
        raise ValueError(message)
    return seeds


Seeds = Annotated[
    tuple[Seed, ...],
    BeforeValidator(_seeds_from_count),
    AfterValidator(_no_seed_twice),
]


class TrainConfig(Section):
    """The budget of each run, in environment timesteps, and the seeds to run.

    A run that takes longer than ``max_hours`` is stopped and marked as failed. ``keep`` is the
    agent that `rl eval`, `rl record` and :func:`load_run` take by default: the one at the end of
    training, or the one with the best periodic evaluation. Both are saved.
    """

    total_timesteps: Timesteps
    seeds: Seeds = tuple(range(DEFAULT_SEEDS))
    max_hours: Annotated[float, Field(gt=0, le=1_000_000)] | None = None  # a century
    keep: Literal["last", "best"] = "last"


class EvalConfig(Section):
    """Evaluation during training and after it.

    ``every`` is in environment timesteps (default: a tenth of the budget); ``n_episodes`` are
    played each time, with the same episode seeds; ``final_episodes`` more are held out for the end.
    ``n_envs`` of them are played in parallel.
    """

    every: Timesteps | None = None
    n_episodes: Count = 20
    final_episodes: Count = 100
    deterministic: bool = True
    n_envs: Annotated[int, Field(ge=1, le=4096)] = 20


def _plain(value: Any) -> Any:
    """Return the value with all tuples in it, however deep, as lists."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


class CheckpointConfig(Section):
    """Checkpoints from which an interrupted run resumes exactly.

    ``every`` is in environment timesteps (default: a tenth of the budget, at most 100,000, but at
    least two of the longest episodes). A checkpoint ends the open training episodes, whether or not
    the run is interrupted there. It therefore changes results, and ``every`` is part of the
    experiment's hash. The newest ``keep_last`` checkpoints are kept. Without ``replay_buffer``
    they are smaller, but an off-policy agent then resumes with an empty buffer, which is not exact.
    """

    every: Timesteps | None = None
    keep_last: Annotated[int, Field(ge=1, le=1000)] = 2
    replay_buffer: bool = True


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")


def plain_name(name: str) -> str:
    """Return the name if it can name a folder.

    :raises ValueError: for any other name
    """
    if not _NAME.match(name):
        message = "use at most 100 letters, digits, `.`, `_` and `-` (it names a folder)"
        raise ValueError(message)
    return name


def _tuple_of_texts(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class CodeConfig(Section):
    """The user's own modules: where they are, and the source that the experiment was made with.

    ``path`` lists folders in which modules are looked up, relative to the config's own; that folder
    itself need not be listed. ``modules`` is written by rl_runner: the hash of the source of every
    local module that is imported. An edited module makes another experiment.
    """

    path: Annotated[tuple[str, ...], BeforeValidator(_tuple_of_texts), Field(strict=False)] = ()
    modules: dict[str, str] = Field(default_factory=dict)


class ExperimentConfig(Section):
    """A whole experiment: one algorithm on one environment, over several seeds.

    ``callbacks`` are of stable-baselines3's kind, the user's own or those that it ships.

    With a ``data`` section it learns from logs instead (:mod:`rl_runner.offline`).
    """

    name: Annotated[str, AfterValidator(plain_name)]
    description: str = ""
    env: EnvConfig
    algo: AlgoConfig
    train: TrainConfig
    callbacks: Annotated[
        tuple[Annotated[NamedClass, BeforeValidator(class_from_name)], ...], Field(strict=False)
    ] = ()
    eval: EvalConfig = EvalConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    tune: TuneConfig | None = None
    data: DataConfig | None = None
    code: CodeConfig | None = None

    _source: SourceMap = PrivateAttr(default_factory=SourceMap)

    @model_validator(mode="before")
    @classmethod
    def _budget_from_log(cls, raw: Any) -> Any:
        return budget_from_log(raw)

    @model_validator(mode="after")
    def _no_callbacks_without_environment(self) -> Self:
        if self.data is not None and self.callbacks:
            message = "`callbacks` watch an agent in an environment; learning from a log has none"
            raise ValueError(message)
        return self

    @property
    def source(self) -> SourceMap:
        """Where each value was written, for error messages."""
        return self._source

    def with_source(self, source: SourceMap) -> Self:
        """Attach positions; they do not affect comparisons, the hash or the written file."""
        self._source = source
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for YAML or JSON, in the order a person writes them."""
        absent = {name for name in ("tune", "data", "code") if getattr(self, name) is None}
        plain: dict[str, Any] = _plain(self.model_dump(exclude=absent))
        if self.env.return_bounds is None:
            del plain["env"]["return_bounds"]
        if self.env.max_copies is None:
            del plain["env"]["max_copies"]
        if self.env.entry_point is None:
            del plain["env"]["entry_point"]
        if not self.env.vec_wrappers:
            del plain["env"]["vec_wrappers"]
        if not self.callbacks:
            del plain["callbacks"]
        if self.train.keep == "last":
            del plain["train"]["keep"]
        return plain


def default_name(env_id: str, algo: str) -> str:
    """Return e.g. ``cartpole-ppo`` for ``CartPole-v1`` and ``ppo``."""
    env = re.sub(r"-v\d+\Z", "", env_id.rsplit(":", 1)[-1])
    return re.sub(r"[^a-z0-9._]+", "-", f"{env}-{algo}".lower()).strip("-._") or "experiment"
