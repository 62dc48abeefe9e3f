"""Gather the data of a report from experiment folders."""

from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import metadata

from rl_runner.config import dump_config
from rl_runner.evaluation.comparison.compare import compare
from rl_runner.evaluation.comparison.experiments import AgentName, Experiment, SeedRun
from rl_runner.evaluation.comparison.scales import Scale, load_scale_or_reason
from rl_runner.evaluation.report.parts import (
    EnvironmentPart,
    ExperimentPart,
    Failure,
    LogPart,
    Report,
    StudyPart,
)
from rl_runner.evaluation.report.pictures import agent_pictures, comparison_pictures
from rl_runner.redaction import redacted, redacted_yaml
from rl_runner.runs.record import GitState, RunRecord, read_record


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
