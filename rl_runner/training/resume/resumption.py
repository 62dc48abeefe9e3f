"""The one object in training that knows how a run resumes."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, unwrap_vec_normalize

from rl_runner.agents.open_episodes import restore_open_episodes
from rl_runner.agents.protocol import Agent
from rl_runner.agents.registry import find_algorithm
from rl_runner.agents.saving import load_agent
from rl_runner.agents.state import end_open_trajectories, load_state
from rl_runner.config import ExperimentConfig
from rl_runner.envs import borrow_for_evaluation, build_training_env
from rl_runner.envs.normalization import load_statistics, set_statistics, statistics
from rl_runner.errors import CheckpointError, EnvError, Problem
from rl_runner.layout import NORMALIZATION
from rl_runner.runs.folder import RunFolder
from rl_runner.seeding import SeedTree
from rl_runner.training.observers.callbacks import ProgressTicker
from rl_runner.training.observers.observers import Observers
from rl_runner.training.reporting import Interrupted, Progress, Reporter, RunId, StopRequest
from rl_runner.training.resume.checkpoint import (
    SavedProgress,
    is_exit,
    newest_checkpoint,
    pending_metrics,
    read_evaluations,
    read_open_segment,
    restore_metrics,
    write_contents,
    write_open_segment,
)
from rl_runner.training.resume.logging_interval import LoggingInterval
from rl_runner.training.resume.replay import ReplayableEnv, ReplayMismatch
from rl_runner.training.resume.segments import (
    Segment,
    SegmentCallback,
    SegmentEnd,
)


class LearnArguments(NamedTuple):
    """What ``learn`` must be given so that it ends with its segment."""

    callback: SegmentCallback
    log_interval: LoggingInterval


class Resumption:
    """Lets a run resume exactly where it was interrupted; :mod:`.segments` says why that works.

    Call :meth:`restore` and :meth:`restore_observers` once. Then, segment by segment, build an
    agent, let it learn within :meth:`next_segment`, and call :meth:`checkpoint`. When the run is
    asked to stop, :meth:`write_exit_checkpoint` writes what is needed to resume mid-segment.

    :param stop: set when somebody asks the run to stop
    """

    def __init__(
        self,
        config: ExperimentConfig,
        seed: int,
        run: RunFolder,
        reporter: Reporter,
        stop: StopRequest,
    ) -> None:
        self._config = config
        self._seed = seed
        self._run = run
        self._reporter = reporter
        self._stop = stop
        self._seeds = SeedTree(seed)
        self._total = config.train.total_timesteps
        self._started = time.monotonic()
        self._checkpoint: Path | None = None  # from which the next agent is filled
        self._replay_buffer: object = None  # of the last segment, if this process has it
        self.progress = SavedProgress()  # when this process took the run up
        self._segment = Segment()
        # Set by the method in the comment, before anything reads them:
        self._env: ReplayableEnv  # restore
        self._observers: Observers  # restore_observers
        self._log_interval: LoggingInterval  # next_segment

    @property
    def seconds(self) -> float:
        """How long the run has trained, without what was lost when it was interrupted."""
        return self.progress.seconds + time.monotonic() - self._started

    # --- opening ------------------------------------------------------------------------------

    def restore(self) -> ReplayableEnv:
        """Bring the folder back to the newest checkpoint; return an environment in the same state.

        A new run begins at 0 timesteps, in an empty folder. If the environment does not return to
        the open episodes of a checkpoint, that one is removed and the one before it is taken.

        :raises Interrupted: if the run is asked to stop while actions are replayed
        :raises RunFolderError: if files have lost what every checkpoint relies on
        """
        while True:
            self._restore_folder()
            env = ReplayableEnv(
                build_training_env(
                    self._config.env,
                    self._config.algo,
                    self._seeds,
                    minus_infinity=find_algorithm(self._config.algo.name).minus_infinity,
                )
            )
            try:
                mismatch = self._replay(env)
            except BaseException:
                env.close()
                raise
            if mismatch is None:
                self._env = env
                return env
            env.close()
            self._discard_checkpoint(mismatch)

    def restore_observers(self, observers: Observers) -> None:
        """Give the observers their state at the newest checkpoint; in a new run they have none."""
        self._observers = observers
        if self._checkpoint is None:
            return
        for name, state in self.progress.periodic.items():
            observers.periodic[name].restore(state)
        observers.restore_callbacks(self.progress.callbacks)
        evaluations = read_evaluations(self._checkpoint)
        observers.evaluation.restore_arrays(evaluations, self._kept_best())
        observers.episodes.recent.extend(self.progress.recent_returns)
        observers.logger.last_rollout_at = self.progress.last_rollout_at
        restore_metrics(observers.logger, self.progress.metrics)

    @property
    def is_trained(self) -> bool:
        """Whether nothing is left to learn: all that is missing is the end of the run."""
        return self.progress.timesteps >= self._total or bool(self.progress.stopped_by)

    def restore_trained(self, agent: Agent) -> None:
        """Give a new agent the state at the end of training.

        Without calling ``learn``: it would reset the environment, and normalisation would learn
        from the observations.
        """
        self._fill(agent)

    @contextmanager
    def lend_copies(self) -> Iterator[VecEnv]:
        """Lend the environment's copies to an evaluation, for an environment without further ones.

        Afterwards the open episodes are back where they were: their actions are replayed, as after
        an interruption.

        :raises EnvError: if the environment does not return to them
        """
        vec_normalize = unwrap_vec_normalize(self._env)
        now = None if vec_normalize is None else statistics(vec_normalize)
        history = self._env.history
        yield borrow_for_evaluation(self._config.env, self._env)
        # Replay from the segment's first statistics, and continue with the present ones.
        if vec_normalize is not None:
            set_statistics(vec_normalize, self._segment.statistics)
        self._env.begin_segment(self._env_seeds)
        mismatch = self._env.replay(history, lambda _: None)
        self._env.allow_resets()
        if vec_normalize is not None and now is not None:
            set_statistics(vec_normalize, now)
        if mismatch is not None:
            what = f"`{self._config.env.id}` did not return to its open episodes: {mismatch}."
            cure = "Let `env.max_copies` leave room for a copy of the evaluation's own."
            raise EnvError(Problem(what, "env.max_copies", cure))

    # --- segment by segment -------------------------------------------------------------------

    @contextmanager
    def next_segment(self, agent: Agent) -> Iterator[LearnArguments]:
        """Prepare a new agent for the next segment, and end its ``learn`` with the segment.

        :param agent: built from the config, in the environment of :meth:`restore`
        :raises Interrupted: if the run is asked to stop
        """
        # Begin new episodes, or resume those that an exit checkpoint left open.
        mid_segment = self._is_mid_segment
        if not mid_segment:
            self._env.begin_segment(self._env_seeds)
        self._fill(agent)
        restore = self._restore_open_episodes if mid_segment else None

        # Learn (in the caller's block) until the next checkpoint is due.
        segment = self._segment
        ends_at = segment.ends_at(self._config.checkpoint.every or self._total, self._total)
        self._log_interval = LoggingInterval.of(agent, segment.last_counted)
        callback = SegmentCallback(ends_at, self._stop, self.write_exit_checkpoint, restore)
        try:
            yield LearnArguments(callback, self._log_interval)
        except SegmentEnd:
            # Not an error: the callback raises it, the only way out of any algorithm's `learn`. The
            # caller's block ends here as if `learn` had returned. Whatever else is raised in it
            # (an interruption, an environment's exception) passes through.
            pass
        else:
            self._check_finished(agent)

        # Write metrics now if the logging interval is longer than the segment.
        if self._observers.logger.last_rollout_at <= segment.began_at < agent.num_timesteps:
            agent.dump_logs()

    def checkpoint(self, agent: Agent) -> None:
        """Write all that the next segment needs, after a segment."""
        self._segment = Segment(self._segment.index + 1, agent.num_timesteps)
        self._replay_buffer = getattr(agent, "replay_buffer", None)
        name = str(agent.num_timesteps)
        checkpoints = self._run.checkpoints
        self._checkpoint = checkpoints.write(name, lambda place: self._write(place, agent))
        self._observers.restore_callbacks(self._observers.callback_states())
        checkpoints.keep_newest(self._config.checkpoint.keep_last)

    def write_exit_checkpoint(self, agent: Agent) -> None:
        """Write all that the rest of this segment needs.

        Call it at a rollout start only, because nothing is half-done there.
        """
        self._segment.last_counted = self._log_interval.last

        def save(place: Path) -> None:
            self._write(place, agent)
            write_open_segment(place, agent, self._env.history, self._segment.statistics)

        self._run.checkpoints.write_exit(agent.num_timesteps, save)

    # --- steps of restore ---------------------------------------------------------------------

    def _restore_folder(self) -> None:
        """Bring the folder back to its newest checkpoint, or empty it."""
        self._checkpoint, self.progress = newest_checkpoint(self._run, self._reporter.note)
        self._segment = Segment(
            self.progress.segment, self.progress.segment_began_at, self.progress.last_counted
        )
        if self._checkpoint is None:
            self._run.clear()
            return
        self._run.measurements.outputs.cut(self.progress.outputs)
        timesteps = f"{self.progress.timesteps:,}"
        self._reporter.note(f"Seed {self._seed} resumes from {timesteps} timesteps.")

    def _kept_best(self) -> int:
        """Return the timesteps of the agent kept as the best; 0 if there is none, or it is lost."""
        try:
            return self._run.agents.best_timesteps()
        except CheckpointError as error:
            what = " ".join(problem.what for problem in error.problems)
            self._reporter.note(
                f"Seed {self._seed}: the best agent so far is lost. {what} "
                f"({error.problems[0].where}) The agent of the next evaluation, if there is one, "
                "counts as the best so far."
            )
            return 0

    def _replay(self, env: ReplayableEnv) -> ReplayMismatch | None:
        """Bring the environment back into the open episodes of an exit checkpoint."""
        if self._checkpoint is None or not self._is_mid_segment:
            return None
        history, self._segment.statistics = read_open_segment(self._checkpoint)
        vec_normalize = unwrap_vec_normalize(env)
        if vec_normalize is not None:  # stacked frames are normalised as they were then
            set_statistics(vec_normalize, self._segment.statistics)
        env.begin_segment(self._env_seeds)
        mismatch = env.replay(history, self._watch_replay(env.num_envs))
        if vec_normalize is not None:
            load_statistics(vec_normalize, self._checkpoint / NORMALIZATION)
        return mismatch

    def _watch_replay(self, n_envs: int) -> Callable[[int], None]:
        """Return what reports progress before each replayed step, and raises if asked to stop."""
        began = last = time.monotonic()
        recent = self.progress.recent_returns
        mean_return = float(np.mean(recent)) if recent else None

        def before_step(n_steps: int) -> None:
            nonlocal last
            if self._stop.is_set():
                raise Interrupted(self._run.checkpoints.newest_timesteps())
            if (now := time.monotonic()) - last < ProgressTicker.SECONDS:
                return
            last = now
            replayed = n_steps * n_envs
            self._reporter.run_progress(
                Progress(
                    RunId(self._config.name, self._seed),
                    self.progress.segment_began_at + replayed,
                    self._total,
                    replayed / (now - began),
                    mean_return,
                    mean_evaluation=None,
                )
            )

        return before_step

    def _discard_checkpoint(self, mismatch: ReplayMismatch) -> None:
        """Remove an exit checkpoint that the environment does not return to, and say why."""
        if self._checkpoint is not None:
            self._run.checkpoints.remove(self._checkpoint)
        self._reporter.note(
            f"Seed {self._seed}: it cannot resume exactly where it was interrupted, because its "
            f"environment did not behave the same when its actions were replayed: {mismatch}. "
            "(Do its episodes follow from its seed alone?) It resumes from the checkpoint before, "
            "if there is one."
        )

    # --- steps of next_segment and checkpoint -------------------------------------------------

    @property
    def _env_seeds(self) -> list[int]:
        """The seeds on which the segment's first episodes begin."""
        return self._seeds.train_envs(self._config.env.n_envs, self._segment.index)

    @property
    def _is_mid_segment(self) -> bool:
        """Whether the next agent resumes in episodes that were left open."""
        return self._checkpoint is not None and is_exit(self._checkpoint)

    def _fill(self, agent: Agent) -> None:
        """Give an agent the state of the newest checkpoint; without one it stays as it is."""
        if self._checkpoint is not None:
            load_agent(agent, self._checkpoint, self._run.weights_file)
            load_state(agent, self._checkpoint, self._replay_buffer)
        if not self._is_mid_segment:
            end_open_trajectories(agent)
            if (vec_normalize := agent.get_vec_normalize_env()) is not None:
                self._segment.statistics = statistics(vec_normalize)

    def _check_finished(self, agent: Agent) -> None:
        """Refuse an agent whose ``learn`` returned before the budget was used up."""
        if agent.num_timesteps < self._total and not self._observers.stopped_by:
            message = (
                f"{type(agent).__name__}.learn returned after {agent.num_timesteps:,} of "
                f"{self._total:,} timesteps; see `Agent` in rl_runner/agents/protocol.py"
            )
            raise RuntimeError(message)

    def _restore_open_episodes(self, agent: Agent) -> None:
        """Put the agent back into its open episodes, at the first rollout start."""
        self._env.allow_resets()
        if self._checkpoint is not None:
            restore_open_episodes(agent, self._checkpoint)

    def _write(self, place: Path, agent: Agent) -> None:
        """Fill a checkpoint's folder, but for what belongs to open episodes."""
        observers = self._observers
        observers.logger.flush()  # its file is one of the outputs whose sizes are noted
        # The state of everything around the agent.
        progress = SavedProgress(
            timesteps=agent.num_timesteps,
            segment=self._segment.index,
            segment_began_at=self._segment.began_at,
            last_counted=self._segment.last_counted,
            last_rollout_at=observers.logger.last_rollout_at,
            seconds=self.seconds,
            outputs=self._run.measurements.outputs.sizes(),
            periodic={name: callback.state() for name, callback in observers.periodic.items()},
            callbacks=observers.callback_states(),
            stopped_by=observers.stopped_by,
            recent_returns=tuple(observers.episodes.recent),
            metrics=pending_metrics(observers.logger),
        )
        write_contents(
            place,
            agent,
            self._run.weights_file,
            observers.evaluation.arrays(),
            progress,
            replay_buffer=self._config.checkpoint.replay_buffer,
        )
