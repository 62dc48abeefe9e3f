"""A whole study: search for better hyperparameters, confirm the best on fresh seeds, report."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.study import StudyDirection
from sqlalchemy.exc import SQLAlchemyError

from rl_runner.config import ExperimentConfig, dump_config, load_config
from rl_runner.config.identity import meaning_of, short_hash
from rl_runner.config.schema import plain_name
from rl_runner.config.tune import TuneConfig
from rl_runner.errors import ConfigError, DiskFullError, Problem, StudyError
from rl_runner.layout import STUDY_BEST, STUDY_START
from rl_runner.tuning.confirm import Candidate, Confirmed, candidates, confirm, winner_of
from rl_runner.tuning.objective import describe_objective
from rl_runner.tuning.report.study_report import write_report
from rl_runner.tuning.report.study_summary import TuneResult, importances_of
from rl_runner.tuning.search.running_trial import trial_report
from rl_runner.tuning.search.samplers import build_pruner
from rl_runner.tuning.search.search import Search, SearchTask
from rl_runner.tuning.space.check_space import complete_tuning
from rl_runner.tuning.space.search_space import SearchSpace, parents_first
from rl_runner.tuning.study.storage import (
    close_storage,
    differences,
    open_storage,
    open_study,
    opening_explained,
    storage_lost,
)
from rl_runner.tuning.study.study_folder import StudyFolder
from rl_runner.tuning.study_reporter import StudyPlan, StudyReporter, TrialReport
from rl_runner.tuning.trial_runs import resolve_start

MAXIMIZE, MINIMIZE = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE
NOT_IDENTIFYING = ("trials", "confirm")  # keys of `tune` that may change when a study is resumed

RESUMABLE = "Nothing is lost. Free some space and run the same command again to resume."


def tune(
    config: ExperimentConfig | str | Path,
    *,
    runs_dir: str | Path = Path("runs"),
    jobs: int = 1,
    study: str | None = None,
    storage: str | None = None,
    timeout: float | None = None,
    reporter: StudyReporter | None = None,
) -> TuneResult:
    """Search for better hyperparameters, confirm the best on fresh seeds, and write best.yaml.

    Called again, it resumes the study. (A script needs Python's usual
    ``if __name__ == "__main__":``, because the runs' processes import it.)

    :param config: a config with a ``tune`` section, or the YAML file to load it from
    :param jobs: how many runs at a time
    :param study: the name of the study and its folder; default: the config's name and a hash
    :param storage: the URL of a database that several processes share, as Optuna writes it
    :param timeout: seconds after which no trial begins
    :param reporter: receives the progress of the search and its runs; default: it is ignored
    :raises RunnerError: if the config, the search space or the storage is wrong
    """
    reporter = reporter or StudyReporter()
    loaded = config if isinstance(config, ExperimentConfig) else load_config(config)
    start = resolve_start(loaded)
    settings = complete_tuning(start)
    # From here on there are files: the study is opened, and closed whatever happens.
    task = _open(start, settings, Path(runs_dir), study, storage, timeout)
    try:
        return _search_and_confirm(task, reporter, jobs)
    except DiskFullError as error:
        raise DiskFullError(*(replace(p, cure=RESUMABLE) for p in error.problems)) from error
    except (StorageInternalError, SQLAlchemyError) as error:
        raise storage_lost(storage or str(task.folder.journal), error) from error
    finally:
        close_storage(task.storage)
        task.folder.release()


def check_tuning(config: ExperimentConfig) -> None:
    """Check a config's ``tune`` section, if it has one, as :func:`tune` does before it starts.

    :raises ConfigError: if the search space is wrong, or none of its combinations can be trained
    """
    if config.tune is not None:
        complete_tuning(resolve_start(config))


def _search_and_confirm(task: SearchTask, reporter: StudyReporter, jobs: int) -> TuneResult:
    """Run the stages of a study, each of which may be interrupted and resumed."""
    # Search.
    reporter.search_started(_plan(task))
    if not Search(task, reporter, jobs).run():
        return _result(task, (), stopped=True)
    trials = _reports(task)
    if not any(trial.outcome == "complete" for trial in trials):
        what = "No trial was completed, so there is nothing to choose from."
        cure = "Allow more trials or time, or use `--pruner none`."
        raise StudyError(Problem(what, str(task.folder.path), cure))
    # Choose the starting config and the best trials.
    chosen = candidates(task.start, task.tune, trials)
    if not task.tune.confirm.trials:  # the user chose to skip the confirmation
        task.folder.write(STUDY_BEST, _best_yaml(task, chosen[1], None))
        return _finished(task, ())
    # Train them on fresh seeds, and let these decide.
    confirmed = confirm(chosen, task.tune, task.folder, reporter, jobs)
    if confirmed is None:
        return _result(task, (), stopped=True)
    winner = winner_of(task.tune, confirmed)
    if winner is not None:
        task.folder.write(STUDY_BEST, _best_yaml(task, winner.candidate, winner))
    return _finished(task, confirmed)


def _finished(task: SearchTask, confirmed: Sequence[Confirmed]) -> TuneResult:
    """Write the results: as data, as pictures, and in TensorBoard."""
    result = _result(task, confirmed, stopped=False)
    write_report(task.folder, result.summary)
    return result


def _open(
    start: ExperimentConfig,
    settings: TuneConfig,
    runs_dir: Path,
    name: str | None,
    url: str | None,
    timeout: float | None,
) -> SearchTask:
    """Open the study; without a database, claim it for this process."""
    # A study is identified by its config and what is searched, and its folder named by that.
    description = _description(start, settings)
    identity = short_hash(description)
    folder = StudyFolder(runs_dir / (_valid_name(name) or f"{start.name}-tune-{identity}"))
    directions = [MAXIMIZE if o.maximized else MINIMIZE for o in settings.objective]
    folder.check()
    _check_earlier_runs(folder, description)
    # Claim the folder.
    if url is None:  # with a database, nothing is written before it has been reached
        folder.create()
        folder.claim()
    # Open the storage and the study, and write what it started from.
    storage = None
    try:
        with opening_explained(url, folder):
            storage = open_storage(url, folder)
            study = open_study(storage, folder.name, directions, identity, description)
        study.pruner = build_pruner(settings, start)
        written = start.model_copy(update={"tune": settings})
        folder.write(STUDY_START, dump_config(written))
    except BaseException:
        if storage is not None:
            close_storage(storage)
        folder.release()
        raise
    # Put together what the search needs.
    space = SearchSpace(parents_first(settings.parameters))
    plain = start.model_copy(update={"tune": None}).with_source(start.source)
    return SearchTask(plain, settings, space, folder, study, storage, timeout)


def _check_earlier_runs(folder: StudyFolder, description: dict[str, Any]) -> None:
    """Refuse a folder whose runs were made of another starting config or search.

    Runs are found by their places. If Optuna's storage has lost a study, or another one is named,
    the runs that are here already would be taken for those of the new study.

    :raises StudyError: with what differs
    """
    if not folder.has_runs:
        return
    cure = "Give this study another name with `--study`, or remove the folder."
    try:
        written = load_config(folder.path / STUDY_START)
    except ConfigError as error:
        what = "This folder has runs, but its start.yaml does not say of which config: "
        what += error.problems[0].what
        raise StudyError(Problem(what, str(folder.path), cure)) from None
    tune = TuneConfig() if written.tune is None else written.tune
    before = _description(written.model_copy(update={"tune": None}), tune)
    if before != description:
        listed = "; ".join(differences(before, description))
        what = f"The study `{folder.name}` was started with a different config: {listed}."
        cure += " With the earlier config it is resumed."
        raise StudyError(Problem(what, f"--study {folder.name}", cure))


def _valid_name(name: str | None) -> str | None:
    try:
        return name if name is None else plain_name(name)
    except ValueError as error:
        what = f"`{name}` is not a valid name for a study: {error}."
        raise StudyError(Problem(what, f"--study {name}")) from None


def _description(start: ExperimentConfig, settings: TuneConfig) -> dict[str, Any]:
    """Return what identifies a study, flat: the config, what is searched, and how."""
    left_out = set(NOT_IDENTIFYING)
    search = start.model_copy(update={"tune": settings}).to_dict()["tune"]
    search = {key: value for key, value in search.items() if key not in left_out}
    return dict(_flat({**meaning_of(start), "tune": search}))


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, value


def _reports(task: SearchTask) -> list[TrialReport]:
    """Return the report of every trial, except those that were abandoned and queued again."""
    reports = (trial_report(trial, task.space) for trial in task.study.get_trials())
    return [report for report in reports if report.outcome != "abandoned"]


def _plan(task: SearchTask) -> StudyPlan:
    return StudyPlan(
        path=task.folder.path,
        study=task.folder.name,
        n_trials=task.tune.trials,
        n_seeds=task.tune.seeds,
        total_timesteps=task.start.train.total_timesteps,
        objectives=tuple(describe_objective(objective) for objective in task.tune.objective),
        maximized=task.tune.objective[0].maximized,
        done=_reports(task),
    )


def _result(task: SearchTask, confirmed: Sequence[Confirmed], *, stopped: bool) -> TuneResult:
    winner = winner_of(task.tune, confirmed)
    written = not stopped and (winner is not None or not task.tune.confirm.trials)
    return TuneResult(
        path=task.folder.path,
        study=task.folder.name,
        tune=task.tune,
        total_timesteps=task.start.train.total_timesteps,
        trials=_reports(task),
        confirmed=confirmed,
        winner=winner,
        best_config=task.folder.best if written else None,
        stopped=stopped,
        importances=importances_of(task.study, task.tune),
    )


def _best_yaml(task: SearchTask, candidate: Candidate, confirmed: Confirmed | None) -> str:
    """Return the winner's config as YAML, below a comment that says where it comes from."""
    origin = "the starting config" if candidate.trial is None else f"trial {candidate.trial.number}"
    lines = [f"# Found by `rl tune` in the study {task.folder.name}: {origin}."]
    if confirmed is None:
        lines.append("# It was not confirmed on fresh seeds.")
    else:
        what = describe_objective(task.tune.objective[0])
        lines.append(f"# {len(confirmed.seeds[0])} fresh seeds: {what} {confirmed.scores[0]:.6g}.")
    return "\n".join(lines) + "\n" + dump_config(candidate.config)
