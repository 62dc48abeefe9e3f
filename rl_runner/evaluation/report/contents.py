"""The data of a report, gathered from experiment folders. The templates decide how it looks."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata

from rl_runner.config import ExperimentConfig, dump_config
from rl_runner.evaluation.comparison.caveats import caveats
from rl_runner.evaluation.comparison.compare import Comparison, Row, compare
from rl_runner.evaluation.comparison.experiments import AgentName, Experiment, SeedRun
from rl_runner.evaluation.comparison.export import curve_tables
from rl_runner.evaluation.comparison.pairs import Pair, verdict
from rl_runner.evaluation.comparison.scales import Scale, load_scale_or_reason
from rl_runner.evaluation.report.pictures import (
    Picture,
    agent_pictures,
    comparison_pictures,
    data_uri,
)
from rl_runner.redaction import redacted, redacted_yaml
from rl_runner.runs.record import GitState, RunRecord, read_record
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


def gather(
    experiments: Sequence[Experiment],
    *,
    agent: AgentName = "last",
    with_pictures: bool = True,
    studies: Sequence[StudyPart] = (),
    logs: Sequence[LogPart] = (),
) -> Report:
    """Gather a report's data; experiments on the same environment are compared.

    :param with_pictures: play an episode per experiment for pictures of its agent
    :param studies: the hyperparameter searches of the report
    :param logs: its experiments that learned from logs
    """
    from rl_runner.runs.provenance import now

    # Experiments on the same environment form one part.
    groups: dict[str, list[Experiment]] = {}
    for experiment in experiments:
        groups.setdefault(_environment_name(experiment), []).append(experiment)
    environments = [
        _environment(name, group, agent, with_pictures) for name, group in groups.items()
    ]
    # What all runs ran on
    version = metadata.version("rl-runner")
    runs = [run for e in experiments for run in e.runs if run.status != "unreadable"]
    records = [*map(_record, runs), *(record for study in studies for record in study.records)]
    records += [record for part in logs for record in part.records.values()]
    return Report(now(), version, agent, environments, _surroundings(records), studies, logs)


def _environment(
    name: str, experiments: list[Experiment], agent: AgentName, with_pictures: bool
) -> EnvironmentPart:
    # Compare the experiments, if any run has a result.
    first = experiments[0]
    scale, problem = load_scale_or_reason(first.config.env, first.path.resolve().parent)
    comparison = None
    if any(experiment.finished for experiment in experiments):
        comparison = compare(experiments, scale=scale, scale_problem=problem, agent=agent)
    labels = [e.path.name for e in experiments] if comparison is None else [
        row.label for row in comparison.rows
    ]  # fmt: skip
    # Describe each experiment, and list the runs without a result.
    parts = [
        _experiment(label, experiment, scale, with_pictures)
        for label, experiment in zip(labels, experiments, strict=True)
    ]
    failures = [
        Failure(run, _trace(run)) for experiment in experiments for run in experiment.missing
    ]
    pictures = () if comparison is None else tuple(comparison_pictures(comparison))
    return EnvironmentPart(name, scale, comparison, parts, failures, pictures)


def _experiment(
    label: str, experiment: Experiment, scale: Scale | None, with_pictures: bool
) -> ExperimentPart:
    results = {run.seed: _record(run) for run in experiment.finished}
    pictures = tuple(agent_pictures(experiment)) if with_pictures else ()
    optimum = scale.best if scale is not None and scale.best_is == "optimum" else None
    text = redacted_yaml(dump_config(experiment.config))
    return ExperimentPart(label, experiment, results, text, optimum, pictures)


def _environment_name(experiment: Experiment) -> str:
    """Return a name that tells environments apart: id, arguments, time limit."""
    env = experiment.config.env
    settings = [f"{key}={value!r}" for key, value in sorted(env.kwargs.items())]
    if env.time_limit is not None:
        settings.append(f"at most {env.time_limit:,} steps")
    return redacted(f"{env.id} ({', '.join(settings)})") if settings else env.id


def _record(run: SeedRun) -> RunRecord:
    return read_record(run.path) or RunRecord()


def _trace(run: SeedRun) -> str:
    """Return a failed run's traceback or the end of its log; empty if there is neither."""
    if run.status == "unreadable":
        return ""
    record = _record(run)
    return redacted((record.traceback or "\n".join(record.log_tail)).strip())


def _surroundings(
    records: Sequence[RunRecord],
) -> dict[str, list[tuple[str, list[str]]]]:
    """Return what the runs ran on: section → (name, values).

    If runs differ, each value comes with its number of runs, the most frequent first.
    """
    flat = [dict(_facts(record)) for record in records if record != RunRecord()]
    found: dict[str, list[tuple[str, list[str]]]] = {}
    for section, name in dict.fromkeys(key for facts in flat for key in facts):
        counts = Counter(facts[section, name] for facts in flat if (section, name) in facts)
        shown = [
            value if len(counts) == 1 else f"{value} ({n} run{'s' if n > 1 else ''})"
            for value, n in counts.most_common()
        ]
        found.setdefault(section, []).append((name, shown))
    return found


def _facts(record: RunRecord) -> Iterator[tuple[tuple[str, str], str]]:
    for name, version in record.versions.items():
        yield ("Packages", name), version
    for name, value in record.machine.items():
        yield ("Machine", name), str(value)
    git, commit = record.git or GitState(), "not in a repository"
    if git.commit is not None:
        commit = git.commit[:12] + (" with uncommitted changes" if git.dirty else "")
    yield ("Code and command", f"commit of {git.of}"), commit
    if record.command is not None:
        yield ("Code and command", "command"), redacted(record.command)  # older versions kept all
