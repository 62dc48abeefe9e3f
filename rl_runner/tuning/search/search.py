"""The search loop: ask Optuna for trials, train them, and tell Optuna their results."""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import TrialState

from rl_runner.config import ExperimentConfig
from rl_runner.config.tune import TuneConfig
from rl_runner.errors import ConfigError, DiskFullError
from rl_runner.training.processes.launcher import POLL_SECONDS, Launcher
from rl_runner.training.reporting import RunId
from rl_runner.training.task import RunResult
from rl_runner.tuning.objective import RunOutcome, load_curve
from rl_runner.tuning.optuna_log import optuna_silenced
from rl_runner.tuning.report.tensorboard_log import log_trial
from rl_runner.tuning.search.ending import has_trials_left, refuse_hopeless
from rl_runner.tuning.search.running_trial import (
    CAUSE,
    OUTCOME,
    RunningTrial,
    trial_number,
    trial_report,
)
from rl_runner.tuning.search.samplers import build_sampler, shuffled_grid
from rl_runner.tuning.space.search_space import SearchSpace
from rl_runner.tuning.study.storage import (
    HEARTBEAT_SECONDS,
    queue_abandoned_trials,
    queue_again,
    send_heartbeat,
)
from rl_runner.tuning.study.study_folder import StudyFolder
from rl_runner.tuning.study_reporter import EvaluationRelay, Outcome, StudyReporter, TrialReport
from rl_runner.tuning.trial_runs import (
    RETRIES,
    config_with_values,
    disk_full_error,
    failure_cause,
    search_config,
    was_interrupted,
    write_experiment,
)

CHECK_SECONDS = 2.0  # between two checks of what other processes have done


@dataclass(frozen=True)
class SearchTask:
    """What is searched, where it is stored, and when to stop."""

    start: ExperimentConfig  # from resolve_start
    tune: TuneConfig
    space: SearchSpace
    folder: StudyFolder
    study: optuna.Study
    storage: BaseStorage
    timeout: float | None = None  # seconds after which no trial begins


class Search:
    """A search under way.

    :param jobs: how many runs at a time, each in a process of its own
    """

    def __init__(self, task: SearchTask, reporter: StudyReporter, jobs: int) -> None:
        self.task = task
        self.study = task.study
        self.reporter = reporter
        self.relay = EvaluationRelay(reporter)
        self.launcher = Launcher(self.relay, jobs=jobs)
        self.trials: list[RunningTrial] = []
        self.held_elsewhere: list[RunningTrial] = []  # another process still holds their runs
        self.others_are_running = False  # whether other processes have trials under way
        self.n_failed = 0  # trials that failed in this process
        self.started = time.monotonic()
        self.next_check = self.next_heartbeat = 0.0
        is_grid = task.tune.sampler == "grid"
        self.n_points = len(shuffled_grid(task.tune, task.space)) if is_grid else None

    def run(self) -> bool:
        """Search until there are enough trials; return False if it was interrupted before.

        :raises StudyError: if every trial fails, or no combination can be trained
        :raises DiskFullError: if a run or the storage cannot be written
        """
        with self.launcher.session():
            try:
                # What an earlier process left comes first.
                self._resume_trials()
                self._start_trials()
                while self._is_under_way:
                    time.sleep(POLL_SECONDS)
                    self._take_reports()
                    self._send_heartbeats()
                    self._start_trials()
            except BaseException as error:
                self.launcher.stop_and_wait()
                # A full disk takes no trial away: they are resumed later.
                if isinstance(error, DiskFullError):
                    with contextlib.suppress(StorageInternalError):  # its disk is full, too
                        self._queue_unfinished()
                raise
        self._queue_unfinished()
        return not self.launcher.stop_requests

    @property
    def _is_under_way(self) -> bool:
        """Whether any trial is under way, here or in another process."""
        if self.launcher.stop_requests:
            return self.launcher.busy
        return self.launcher.busy or self.others_are_running or bool(self.held_elsewhere)

    def _queue_unfinished(self) -> None:
        """Queue the trials that were interrupted, so that they are resumed later."""
        for running in self.trials:
            queue_again(self.study, self.task.storage, running.trial)

    # --- trials that were interrupted in an earlier session -------------------------------------

    def _resume_trials(self) -> None:
        """Resume the trials that were under way when this study's process ended."""
        if isinstance(self.task.storage, RDBStorage):
            return  # they may belong to another process; Optuna's heartbeats show which do not
        for frozen in self.study.get_trials(states=(TrialState.RUNNING,)):
            self._seed_sampler(frozen.number)
            with optuna_silenced():
                trial = optuna.Trial(self.study, frozen._trial_id)  # noqa: SLF001 - has no other name
                self._replay_draws(trial)
            self._begin(trial)

    def _replay_draws(self, trial: optuna.Trial) -> None:
        """Draw again what a trial had drawn before, so that its remaining draws are the same.

        A process may be killed after a trial has drawn only some of its values.
        """
        for name, distribution in trial.distributions.items():
            if not distribution.single() and name not in trial.relative_params:
                frozen = self.study.get_trials(deepcopy=False)[trial.number]
                self.study.sampler.sample_independent(self.study, frozen, name, distribution)

    # --- new trials -----------------------------------------------------------------------------

    def _start_trials(self) -> None:
        """Start as many trials as there are free processes and trials left, every few seconds."""
        if self.launcher.stop_requests or time.monotonic() < self.next_check:
            return
        self.next_check = time.monotonic() + CHECK_SECONDS
        # Try the runs again that another process held.
        while self.held_elsewhere:
            self.launcher.add(self.held_elsewhere.pop().next_task())
        # Fill the free processes with new trials.
        while self.launcher.n_free and not self._is_out_of_time:
            queue_abandoned_trials(self.study)
            outcomes = self._outcomes()
            refuse_hopeless(self.study, self.task.folder, outcomes, self.n_failed)
            if not has_trials_left(self.study, self.task.tune, outcomes, self.n_points):
                break
            self._ask()
        # Other processes may still die and leave trials to this one.
        were_running, self.others_are_running = self.others_are_running, self._others_have_trials()
        if self.others_are_running and not were_running and not self.launcher.busy:
            self.reporter.note("Waiting for other processes to finish their trials.")

    @property
    def _is_out_of_time(self) -> bool:
        timeout = self.task.timeout
        return timeout is not None and time.monotonic() - self.started > timeout

    def _outcomes(self) -> list[Outcome]:
        """Return the outcome of every trial of the study, in Optuna's order."""
        reports = (trial_report(frozen, self.task.space) for frozen in self.study.get_trials())
        return [report.outcome for report in reports]

    def _others_have_trials(self) -> bool:
        running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return len(running) > len(self.trials)

    def _ask(self) -> None:
        """Ask Optuna for the next trial and begin it."""
        with optuna_silenced():
            trial = self.study.ask()
        self._seed_sampler(trial.number)
        self._begin(trial)

    def _seed_sampler(self, number: int) -> None:
        """Give the study the sampler of the trial that has this number in Optuna's list."""
        before = self.study.get_trials(deepcopy=False)[:number]
        index = sum(trial_number(earlier) == earlier.number for earlier in before)
        self.study.sampler = build_sampler(self.task.tune, self.task.space, index)

    def _begin(self, trial: optuna.Trial) -> None:
        """Draw a trial's values and start the run of its first seed, unless it is infeasible."""
        task = self.task
        with optuna_silenced():
            values = task.space.suggest(trial)
        # A combination that cannot be trained ends the trial.
        number = trial_number(self.study.get_trials(deepcopy=False)[trial.number])
        try:
            resolved = config_with_values(task.start, values)
        except ConfigError as error:
            self._tell(trial, "infeasible", cause=" ".join(p.what for p in error.problems))
            return
        # All others get a folder, and the run of their first seed.
        config = search_config(resolved, task.tune, number, values)
        folder = write_experiment(config, task.folder.trial(number))
        running = RunningTrial(trial, number, values, config, task.tune, folder)
        self.trials.append(running)
        self.reporter.trial_started(number, values)
        self.launcher.add(running.next_task())

    # --- trials under way -----------------------------------------------------------------------

    def _take_reports(self) -> None:
        """Take the evaluations and the ended runs since the last call."""
        ended = self.launcher.poll()
        # Evaluations first: they may show that a trial is hopeless.
        for evaluated in self.relay.take_evaluations():
            for running in self.trials:
                if (
                    running.task is not None
                    and running.is_training(evaluated.run)
                    and running.add_evaluation(evaluated)
                ):
                    self.launcher.give_up(running.task)
        # Each ended run leads to the trial's next seed, or to its end.
        for run_task, result in ended:
            running = next(running for running in self.trials if running.task is run_task)
            self._take_result(running, result)
            self.next_check = 0.0  # a process is free

    def _send_heartbeats(self) -> None:
        if time.monotonic() >= self.next_heartbeat:
            self.next_heartbeat = time.monotonic() + HEARTBEAT_SECONDS
            for running in self.trials:
                send_heartbeat(self.task.storage, running.trial)

    def _take_result(self, running: RunningTrial, result: RunResult) -> None:
        """Continue a trial after a run of it has ended: next seed, retry, or end of the trial."""
        # The rest of the curve: what was evaluated after the last report of progress.
        run = running.folder.run(result.seed)
        if result.status == "finished":
            curve = load_curve(run)
            running.add_missed_evaluations(RunId(running.config.name, result.seed), curve)
        # The end of a run.
        if running.hopeless and result.status in {"pruned", "finished"}:
            self._end(running, "pruned")
        elif result.status == "finished":
            running.add_outcome(RunOutcome.of(run))
            if running.is_complete:
                self._end(running, "complete")
            else:
                self.launcher.add(running.next_task())
        # A run that did not end by itself.
        elif result.status in {"interrupted", "pending"} and self.launcher.stop_requests:
            return  # the search is stopping; the trial is resumed later
        elif result.elsewhere:  # a session that was killed still writes its checkpoint
            self.held_elsewhere.append(running)
        elif result.record.disk_full:
            raise disk_full_error(result)  # the trial stays as it is and is resumed later
        elif was_interrupted(result) and running.retries < RETRIES:
            running.retries += 1
            self.reporter.note(f"Trial {running.number}: {failure_cause(result)}; trying again.")
            self.launcher.add(running.next_task())
        else:
            self.n_failed += 1
            self._end(running, "failed", failure_cause(result))

    def _end(self, running: RunningTrial, outcome: Outcome, cause: str = "") -> None:
        """Record how a trial ended: in TensorBoard first, since Optuna's record makes it final."""
        for key, value in running.attributes().items():
            running.trial.set_user_attr(key, value)
        scores = running.scores() if outcome == "complete" else None
        report = replace(self._report(running.trial), outcome=outcome, scores=tuple(scores or ()))
        log_trial(running.folder.path, report, self.task.tune)
        self.trials.remove(running)
        self._tell(running.trial, outcome, scores, cause)

    def _tell(
        self,
        trial: optuna.Trial,
        outcome: Outcome,
        scores: Sequence[float] | None = None,
        cause: str = "",
    ) -> None:
        """Tell Optuna and the reporter how a trial ended."""
        trial.set_user_attr(OUTCOME, outcome)
        if cause:
            trial.set_user_attr(CAUSE, cause)
        if outcome == "infeasible":  # samplers learn to avoid it
            trial.set_constraint("infeasible", 1.0)
        states = {"complete": TrialState.COMPLETE, "failed": TrialState.FAIL}
        with optuna_silenced():
            self.study.tell(trial, scores, states.get(outcome, TrialState.PRUNED))
        self.reporter.trial_ended(self._report(trial))

    def _report(self, trial: optuna.Trial) -> TrialReport:
        return trial_report(self.study.get_trials()[trial.number], self.task.space)
