"""The search itself: ask Optuna, race, tell Optuna, until there are enough trials."""

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
from rl_runner.errors import ConfigError, DiskFullError, Problem, StudyError
from rl_runner.training.processes.launcher import POLL_SECONDS, Launcher
from rl_runner.training.reporting import RunId
from rl_runner.training.task import RunResult
from rl_runner.tuning.ends import RETRIES, cause_of, disk_full, ended_from_outside
from rl_runner.tuning.objective import RunOutcome, load_curve
from rl_runner.tuning.report.tensorboard_log import log_trial
from rl_runner.tuning.search.running_trial import Race
from rl_runner.tuning.search.samplers import build_sampler, quietly, shuffled_grid
from rl_runner.tuning.space.search_space import SearchSpace
from rl_runner.tuning.study.storage import HEARTBEAT_SECONDS, beat, queue_again, retire_abandoned
from rl_runner.tuning.study.study_folder import StudyFolder
from rl_runner.tuning.study.trial_report import CAUSE, OUTCOME, trial_number, trial_report
from rl_runner.tuning.study_reporter import Outcome, Relay, StudyReporter, TrialReport
from rl_runner.tuning.trial_runs import for_search, with_values, write_experiment

MOST_INFEASIBLE = 100  # in a row, until the space counts as impossible
MOST_FAILURES = 5  # without any result, until the search gives up
LOOK_SECONDS = 2.0  # between two looks at what other processes have done


@dataclass(frozen=True)
class SearchTask:
    """What is searched, where it is kept, and when it is enough."""

    start: ExperimentConfig  # from complete_start
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
        self.relay = Relay(reporter)
        self.launcher = Launcher(self.relay, jobs=jobs)
        self.races: list[Race] = []
        self.began = time.monotonic()
        self.others = False  # whether other processes have trials under way
        self.later: list[Race] = []  # whose run another process is still at
        self.failed_here = 0
        self.next_look = self.next_beat = 0.0
        grid = task.tune.sampler == "grid"
        self.n_points = len(shuffled_grid(task.tune, task.space)) if grid else None

    def run(self) -> bool:
        """Search until there are enough trials; False if it was stopped before.

        :raises StudyError: if nothing that is tried can be trained
        """
        with self.launcher.stopping_on_signals():
            try:
                self._take_up_again()
                while self._goes_on():
                    time.sleep(POLL_SECONDS)
                    self._look()
            except BaseException as error:
                self.launcher.stop_and_wait()
                if isinstance(error, DiskFullError):
                    with contextlib.suppress(StorageInternalError):  # full on its side, too
                        self._give_back()
                raise
        self._give_back()
        return not self.launcher.stop_requests

    def _give_back(self) -> None:
        """Queue the trials again that were stopped, to go on another time."""
        for race in self.races:
            queue_again(self.study, self.task.storage, race.trial)

    # --- beginning ------------------------------------------------------------------------------

    def _take_up_again(self) -> None:
        """Go on with trials that were under way when this study's process ended."""
        if isinstance(self.task.storage, RDBStorage):
            return  # they may be another process's; Optuna's heartbeats will tell
        for frozen in self.study.get_trials(states=(TrialState.RUNNING,)):
            self._seed_sampler(frozen.number)
            with quietly():
                trial = optuna.Trial(self.study, frozen._trial_id)  # noqa: SLF001 - has no other name
                self._draw_again(trial)
            self._begin(trial)

    def _draw_again(self, trial: optuna.Trial) -> None:
        """Draw what a trial had drawn when it was cut off, so that the rest is what it would be."""
        for name, distribution in trial.distributions.items():
            if not distribution.single() and name not in trial.relative_params:
                frozen = self.study.get_trials(deepcopy=False)[trial.number]
                self.study.sampler.sample_independent(self.study, frozen, name, distribution)

    def _goes_on(self) -> bool:
        """Begin what can begin; tell whether anything is under way, here or elsewhere."""
        if self.launcher.stop_requests:
            return self.launcher.busy
        if time.monotonic() >= self.next_look:
            self.next_look = time.monotonic() + LOOK_SECONDS
            while self.later:
                self.launcher.add(self.later.pop().next_task())
            while self.launcher.n_free and self._wants_another():
                self._ask()
            waited, self.others = self.others, self._others_are_at_work()
            if self.others and not waited and not self.launcher.busy:
                self.reporter.note("Waiting for the trials of other processes, or to take them up.")
        return self.launcher.busy or self.others or bool(self.later)

    def _wants_another(self) -> bool:
        if self.task.timeout is not None and time.monotonic() - self.began > self.task.timeout:
            return False
        retire_abandoned(self.study)
        reports = [trial_report(frozen, self.task.space) for frozen in self.study.get_trials()]
        self._check_for_hope([report.outcome for report in reports])
        n_begun = sum(r.outcome not in {"infeasible", "waiting", "abandoned"} for r in reports)
        if self.n_points is not None and self._n_fresh() >= self.n_points:
            return any(report.outcome == "waiting" for report in reports)
        return n_begun < self.task.tune.trials

    def _check_for_hope(self, outcomes: Sequence[Outcome]) -> None:
        """Give up if the space is impossible, or whatever is tried fails."""
        ended = [o for o in outcomes if o in {"complete", "pruned", "failed"}]
        if self.failed_here >= MOST_FAILURES and set(ended) == {"failed"}:
            what = f"All {len(ended)} trials failed, so there is no result."
            last = [t for t in self.study.get_trials() if t.user_attrs.get(CAUSE)][-1]
            path = self.task.folder.trial(trial_number(last))
            raise StudyError(Problem(what, str(path), f"The last: {last.user_attrs[CAUSE]}"))
        recent = [o for o in outcomes if o != "running"][-MOST_INFEASIBLE:]
        if len(recent) == MOST_INFEASIBLE and set(recent) == {"infeasible"}:
            what = f"The last {MOST_INFEASIBLE} trials were combinations that cannot be trained."
            last = self.study.get_trials()[-1]
            raise StudyError(Problem(what, "tune.search_space", str(last.user_attrs[CAUSE])))

    def _n_fresh(self) -> int:
        trials = self.study.get_trials(deepcopy=False)
        return sum(trial_number(trial) == trial.number for trial in trials)

    def _ask(self) -> None:
        with quietly():
            trial = self.study.ask()
        self._seed_sampler(trial.number)
        self._begin(trial)

    def _seed_sampler(self, number: int) -> None:
        """Give the study the sampler of the trial that has this number in Optuna's list."""
        before = self.study.get_trials(deepcopy=False)[:number]
        index = sum(trial_number(earlier) == earlier.number for earlier in before)
        self.study.sampler = build_sampler(self.task.tune, self.task.space, index)

    def _begin(self, trial: optuna.Trial) -> None:
        task = self.task
        with quietly():
            values = task.space.suggest(trial)
        number = trial_number(self.study.get_trials(deepcopy=False)[trial.number])
        try:
            resolved = with_values(task.start, values)
        except ConfigError as error:
            self._tell(trial, "infeasible", cause=" ".join(p.what for p in error.problems))
            return
        config = for_search(resolved, task.tune, number, values)
        folder = write_experiment(config, task.folder.trial(number))
        race = Race(trial, number, values, config, task.tune, folder)
        self.races.append(race)
        self.reporter.trial_started(number, values)
        self.launcher.add(race.next_task())

    # --- under way ------------------------------------------------------------------------------

    def _look(self) -> None:
        """Take what has happened since the last look."""
        ended = self.launcher.poll()
        heard, self.relay.evaluations = self.relay.evaluations, []
        for evaluated in heard:
            for race in self.races:
                if race.is_about(evaluated.run) and race.hear(evaluated) and race.task:
                    self.launcher.give_up(race.task)
        for run_task, result in ended:
            race = next(race for race in self.races if race.task is run_task)
            self._take(race, result)
            self.next_look = 0.0
        if time.monotonic() >= self.next_beat:
            self.next_beat = time.monotonic() + HEARTBEAT_SECONDS
            for race in self.races:
                beat(self.task.storage, race.trial)

    def _take(self, race: Race, result: RunResult) -> None:
        """Take a run's end: the trial's next seed, or its own end."""
        if result.status == "finished":
            curve = load_curve(race.folder.run(result.seed))
            race.catch_up(RunId(race.config.name, result.seed), curve)
        if race.hopeless and result.status in {"pruned", "finished"}:
            self._end(race, "pruned")
        elif result.status == "finished":
            if race.seed_finished(RunOutcome.of(race.folder.run(result.seed))):
                self._end(race, "complete")
            else:
                self.launcher.add(race.next_task())
        elif result.status in {"interrupted", "pending"} and self.launcher.stop_requests:
            return  # it goes on another time
        elif result.elsewhere:  # of a session that was killed, and that writes its checkpoint
            self.later.append(race)
        elif result.record.disk_full:
            raise disk_full(result)  # the trial stays as it is, and goes on another time
        elif ended_from_outside(result) and race.tries < RETRIES:
            race.tries += 1
            self.reporter.note(f"Trial {race.number}: {cause_of(result)}; tried again.")
            self.launcher.add(race.next_task())
        else:
            self.failed_here += 1
            self._end(race, "failed", cause_of(result))

    def _end(self, race: Race, outcome: Outcome, cause: str = "") -> None:
        for key, value in race.attributes().items():
            race.trial.set_user_attr(key, value)
        scores = race.scores() if outcome == "complete" else None
        report = replace(self._report(race.trial), outcome=outcome, scores=tuple(scores or ()))
        log_trial(race.folder.path, report, self.task.tune)  # before it counts as ended
        self.races.remove(race)
        self._tell(race.trial, outcome, scores, cause)

    def _tell(
        self,
        trial: optuna.Trial,
        outcome: Outcome,
        scores: Sequence[float] | None = None,
        cause: str = "",
    ) -> None:
        trial.set_user_attr(OUTCOME, outcome)
        if cause:
            trial.set_user_attr(CAUSE, cause)
        if outcome == "infeasible":  # samplers learn to stay away from it
            trial.set_constraint("infeasible", 1.0)
        states = {"complete": TrialState.COMPLETE, "failed": TrialState.FAIL}
        with quietly():
            self.study.tell(trial, scores, states.get(outcome, TrialState.PRUNED))
        self.reporter.trial_ended(self._report(trial))

    def _report(self, trial: optuna.Trial) -> TrialReport:
        return trial_report(self.study.get_trials()[trial.number], self.task.space)

    def _others_are_at_work(self) -> bool:
        running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return len(running) > len(self.races)
