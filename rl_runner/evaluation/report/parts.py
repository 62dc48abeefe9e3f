"""What a report consists of, as data. The templates decide how it looks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rl_runner.config import ExperimentConfig
from rl_runner.evaluation.comparison.caveats import caveats
from rl_runner.evaluation.comparison.compare import Comparison, Row
from rl_runner.evaluation.comparison.experiments import AgentName, Experiment, SeedRun
from rl_runner.evaluation.comparison.export import curve_tables
from rl_runner.evaluation.comparison.pairs import Pair, verdict
from rl_runner.evaluation.comparison.scales import Scale
from rl_runner.evaluation.report.pictures import Picture, data_uri
from rl_runner.runs.record import RunRecord
from rl_runner.runs.study_summary import ConfirmedSummary, StudySummary, TrialSummary

MOST_PAIRS_UNFOLDED = 6  # longer tables of pairs are folded


@dataclass(frozen=True)
class Failure:
    """A run without a result, and the reason."""

    run: SeedRun
    trace: str  # the traceback, or the end of its log; may be empty


@dataclass(frozen=True)
class ExperimentPart:
    """One experiment's part of the report."""

    label: str
    experiment: Experiment
    results: Mapping[int, RunRecord]  # by seed, of finished runs
    config_text: str
    optimum: float | None = None  # the best mean return of any policy, where it is known exactly
    pictures: Sequence[Picture] = ()

    @property
    def has_exact(self) -> bool:
        """Whether any run has an exact return."""
        return any(run.last.exact_mean_reward is not None for run in self.results.values())

    def regret(self, seed: int) -> float | None:
        """Return how far the last agent's exact return is below the optimum; None if unknown."""
        exact = self.results[seed].last.exact_mean_reward
        return None if exact is None or self.optimum is None else self.optimum - exact

    @property
    def seconds(self) -> float:
        """The sum of all runs' durations."""
        return sum(run.seconds or 0.0 for run in self.experiment.runs)


@dataclass(frozen=True)
class EnvironmentPart:
    """All experiments on one environment."""

    name: str
    scale: Scale | None
    comparison: Comparison | None  # None if no run has a result
    experiments: Sequence[ExperimentPart]
    failures: Sequence[Failure]
    pictures: Sequence[Picture] = ()

    @property
    def tables(self) -> Mapping[str, str]:
        """The learning curves as CSV files, by name, as data URIs; empty if there are none."""
        if self.comparison is None:
            return {}
        tables = curve_tables(self.comparison)
        return {name: data_uri("text/csv", text.encode()) for name, text in tables.items() if text}

    @property
    def rows(self) -> Sequence[Row]:
        """The rows of the table of results; empty if no run has a result."""
        return () if self.comparison is None else self.comparison.rows

    @property
    def pairs(self) -> Sequence[tuple[Pair, str]]:
        """Each pair with its verdict."""
        pairs = () if self.comparison is None else self.comparison.pairs
        return [(pair, verdict(pair)) for pair in pairs]

    @property
    def are_pairs_folded(self) -> bool:
        """Whether the table of pairs is too long to be shown unfolded."""
        return len(self.pairs) > MOST_PAIRS_UNFOLDED

    @property
    def caveats(self) -> list[str]:
        """The limits of the comparison, a sentence each."""
        return [] if self.comparison is None else caveats(self.comparison)


@dataclass(frozen=True)
class StudyPart:
    """A hyperparameter search: its trials, and the winner's results on fresh seeds."""

    label: str
    config: ExperimentConfig  # that the search started from
    document: StudySummary
    start_text: str
    best_text: str  # the winner's config; empty if there is none
    records: Sequence[RunRecord]  # of every run of it
    pictures: Sequence[Picture] = ()

    @property
    def failed(self) -> list[TrialSummary]:
        """The trials that came to no result because something broke."""
        return [trial for trial in self.document.trials if trial.outcome == "failed"]

    @property
    def winner(self) -> ConfirmedSummary | None:
        """What fresh seeds say of the winner."""
        return self.document.confirmed_winner


@dataclass(frozen=True)
class LogPart:
    """An experiment that learned from logs: its runs, and what logs say about their policies."""

    label: str
    folder: str
    config: ExperimentConfig
    config_text: str
    records: Mapping[int, RunRecord]  # by seed; with the status that a list of runs shows
    pictures: Mapping[int, Sequence[Picture]]  # by seed

    @property
    def finished(self) -> Mapping[int, RunRecord]:
        """The runs that have results, by seed."""
        return {seed: record for seed, record in self.records.items() if record.is_finished}


@dataclass(frozen=True)
class Report:
    """All data of a report."""

    written: str
    version: str
    agent: AgentName
    environments: Sequence[EnvironmentPart]
    surroundings: Mapping[str, Sequence[tuple[str, list[str]]]] = field(default_factory=dict)
    studies: Sequence[StudyPart] = ()
    logs: Sequence[LogPart] = ()

    @property
    def labels(self) -> list[str]:
        """The names of all experiments and searches."""
        on_logs = [part.label for part in self.logs]
        searches = [part.label for part in self.studies]
        return [*(part.label for part in self.experiments), *on_logs, *searches]

    @property
    def title(self) -> str:
        """The title: the name of a single experiment or search, or how many there are."""
        return self.labels[0] if len(self.labels) == 1 else self.counted

    @property
    def counted(self) -> str:
        """How many experiments and searches there are, e.g. ``2 experiments and 1 search``."""
        counts = (
            (len(self.experiments) + len(self.logs), "experiment", "experiments"),
            (len(self.studies), "search", "searches"),
        )
        return " and ".join(f"{n} {one if n == 1 else many}" for n, one, many in counts if n)

    @property
    def experiments(self) -> list[ExperimentPart]:
        """All experiments, in order."""
        return [part for environment in self.environments for part in environment.experiments]

    @property
    def environment_ids(self) -> list[str]:
        """The ids of the environments, each once."""
        configs = [part.experiment.config for part in self.experiments]
        configs += [part.config for part in self.logs]
        configs += [part.config for part in self.studies]
        return list(dict.fromkeys(config.env.id for config in configs))

    @property
    def has_exact(self) -> bool:
        """Whether any run has an exact return."""
        return any(part.has_exact for part in self.experiments)

    @property
    def n_runs(self) -> int:
        """The number of runs, with and without a result."""
        runs = sum(len(part.experiment.runs) for part in self.experiments)
        return runs + sum(len(part.records) for part in self.logs)

    @property
    def n_failures(self) -> int:
        """The number of runs without a result."""
        failures = sum(len(environment.failures) for environment in self.environments)
        return failures + sum(len(part.records) - len(part.finished) for part in self.logs)
