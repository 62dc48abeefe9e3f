"""The straight road: one config and one seed in, one folder of results out."""

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.callbacks import CallbackList

from rl_runner.agents.protocol import Agent
from rl_runner.agents.saving import load_agent, save_agent
from rl_runner.agents.state import end_open_trajectories, load_state
from rl_runner.config import ExperimentConfig
from rl_runner.envs import build_evaluation_env, build_training_env
from rl_runner.envs.normalization import statistics
from rl_runner.runs.folder import RunFolder
from rl_runner.seeding import SeedTree
from rl_runner.training.final_evaluation import judge
from rl_runner.training.observers.callbacks import (
    EveryTimesteps,
    ProgressTicker,
    build_evaluation_callback,
    build_picture_callback,
)
from rl_runner.training.observers.episode_log import EpisodeLog, EpisodeRecorder
from rl_runner.training.observers.tensorboard import build_logger, log_config, log_results
from rl_runner.training.reporting import Evaluated, Progress, Reporter, RunId, StopRequest
from rl_runner.training.resolve import build_config_agent
from rl_runner.training.resume.checkpoint import (
    SavedProgress,
    newest_checkpoint,
    read_evaluations,
    write_contents,
)
from rl_runner.training.resume.exits import (
    NotRepeatable,
    begin_episodes,
    is_exit,
    load_statistics_then,
    put_back,
    save_exit,
)
from rl_runner.training.resume.segments import (
    Interrupted,
    Leaving,
    LoggingInterval,
    Segment,
    SegmentCallback,
    SegmentEnd,
    pending_metrics,
    restore_metrics,
)


def train_run(
    config: ExperimentConfig,
    seed: int,
    run: RunFolder,
    reporter: Reporter,
    stop: StopRequest | None = None,
) -> dict[str, Any]:
    """Train one seed of a resolved config in its claimed folder, from where it stopped.

    :param stop: set it to ask the run to stop
    :return: ``timesteps``, ``training_seconds`` (of all sessions) and ``results``, for run.json
    :raises Interrupted: if it stopped because it was asked to
    """
    torch.set_num_threads(1)  # small networks: more threads cost more than they give
    stop = stop or StopRequest()
    while True:
        training = Training(config, seed, run, reporter, stop)
        try:
            agent = training.learn()
            run.save_final(functools.partial(save_agent, agent, weights_file=run.weights_file))
            seconds = training.seconds
            timesteps = agent.num_timesteps  # before the best agent is loaded over it
            results = judge(agent, config, run, training.seeds, training.evaluation)
            log_results(agent.logger, config, seed, timesteps, results)
        except NotRepeatable as error:  # begin again, at the checkpoint before
            run.checkpoints.remove(error.checkpoint)
            reporter.note(f"Seed {seed}: {error}")
        else:
            return {"timesteps": timesteps, "training_seconds": seconds, "results": results}
        finally:
            training.close()


class Training:
    """What a run holds while it learns: environments, logger and callbacks, beside its agent."""

    def __init__(
        self,
        config: ExperimentConfig,
        seed: int,
        run: RunFolder,
        reporter: Reporter,
        stop: StopRequest,
    ) -> None:
        self.config = config
        self.seed = seed
        self.run = run
        self.reporter = reporter
        self.stop = stop
        self.seeds = SeedTree(seed)
        self.total = config.train.total_timesteps
        self.started = time.monotonic()

        self.checkpoint, progress = newest_checkpoint(run, reporter.note)
        self.seconds_before = progress.seconds
        self._bring_back(progress)
        self.segment = self._segment_at(progress)
        self.episodes = EpisodeRecorder(run.open_episodes())
        self.env = EpisodeLog(
            build_training_env(config.env, config.algo, self.seeds),
            self.episodes.record,
            timestep=progress.timesteps,
            seconds=self.seconds_before,
        )
        self.eval_env = build_evaluation_env(
            config.env, self.seeds.evaluation(config.eval.n_episodes), config.eval.n_envs
        )
        self.logger = build_logger(run.tensorboard_dir, reporter.metrics_file, reporter.note)
        if self.checkpoint is None:
            log_config(self.logger, config)
        self.evaluation = build_evaluation_callback(
            config, self.eval_env, run, self.seeds, self._report_evaluation
        )
        self.periodic: dict[str, EveryTimesteps] = {"evaluation": self.evaluation}
        if (picture := build_picture_callback(self.eval_env, self.evaluation.every)) is not None:
            self.periodic["picture"] = picture
        self.ticker = ProgressTicker(self.total, self._report)
        self._restore_callbacks(progress)

    @property
    def seconds(self) -> float:
        """How long it has trained, without what was lost when it was stopped."""
        return self.seconds_before + time.monotonic() - self.started

    def learn(self) -> Agent:
        """Learn segment by segment until the budget is used up; return the finished agent."""
        buffer = None
        while True:
            agent = self._open_segment(buffer)
            finished = self._learn_segment(agent)
            self.segment = Segment(self.segment.index + 1, agent.num_timesteps)
            self._save_checkpoint(agent)
            if finished:
                return agent
            if self.stop.is_set():
                raise Interrupted(agent.num_timesteps)
            buffer = getattr(agent, "replay_buffer", None)

    def close(self) -> None:
        """Close environments and files."""
        self.logger.close()
        self.episodes.close()
        self.eval_env.close()
        self.env.close()

    def _bring_back(self, progress: SavedProgress) -> None:
        """Bring the folder back to the checkpoint, or empty it."""
        if self.checkpoint is None:
            self.run.clear()
            return
        self.run.outputs.cut(progress.outputs)
        self.reporter.note(f"Seed {self.seed} goes on from {progress.timesteps:,} timesteps.")

    def _segment_at(self, progress: SavedProgress) -> Segment:
        return Segment(
            progress.segment,
            progress.segment_began_at,
            progress.last_counted,
            load_statistics_then(self.checkpoint) if self.checkpoint and self._is_open else {},
        )

    def _restore_callbacks(self, progress: SavedProgress) -> None:
        if self.checkpoint is None:
            return
        for name, state in progress.periodic.items():
            self.periodic[name].restore(state)
        self.evaluation.restore_arrays(read_evaluations(self.checkpoint))
        self.episodes.recent.extend(progress.recent_returns)
        restore_metrics(self.logger, progress.metrics)
        self.logger.last_rollout_at = progress.last_rollout_at

    def _open_segment(self, buffer: Any) -> Agent:
        """Build a fresh agent and fill it from the checkpoint; begin new episodes.

        :param buffer: the replay buffer at the end of the last segment, if this process has it
        """
        begin_episodes(self.env, self._env_seeds)
        agent = build_config_agent(self.config, self.env, self.seeds.model)
        agent.set_logger(self.logger)
        if self.checkpoint is not None:
            load_agent(agent, self.checkpoint, self.run.weights_file)
            load_state(agent, self.checkpoint, buffer)
        if not self._is_open:
            end_open_trajectories(agent)
            if (vec_normalize := agent.get_vec_normalize_env()) is not None:
                self.segment.statistics = statistics(vec_normalize)
        return agent

    @property
    def _env_seeds(self) -> list[int]:
        return self.seeds.train_envs(self.config.env.n_envs, self.segment.index)

    @property
    def _is_open(self) -> bool:
        """Whether the run goes on in the midst of a segment."""
        return self.checkpoint is not None and is_exit(self.checkpoint)

    def _learn_segment(self, agent: Agent) -> bool:
        """Learn until the next checkpoint is due; True if the budget is used up."""
        segment, finished = self.segment, True
        ends_at = segment.ends_at(self.config.checkpoint.every or self.total, self.total)
        callbacks = [
            SegmentCallback(ends_at, self.stop, self._way_back()),
            *self.periodic.values(),
            self.ticker,
        ]
        log_interval = LoggingInterval.of(agent, segment.last_counted)
        try:
            agent.learn(
                self.total - agent.num_timesteps,
                CallbackList(callbacks),
                log_interval=log_interval,
                reset_num_timesteps=False,
            )
        except SegmentEnd:
            finished = False
        except Leaving:
            segment.last_counted = log_interval.last
            self._save_exit(agent)
            raise Interrupted(agent.num_timesteps) from None
        # Its logging interval may be longer than the segment. (A finished run has nothing to add.)
        if self.logger.last_rollout_at <= segment.began_at < agent.num_timesteps:
            agent.dump_logs()
        return finished

    def _way_back(self) -> Callable[[Agent], None] | None:
        """Return what leads back into episodes that were left open; None if there are none."""
        place = self.checkpoint
        if place is None or not self._is_open:
            return None
        began = last = time.monotonic()

        def before_step(timesteps: int) -> None:
            nonlocal last
            if self.stop.is_set():
                raise Interrupted(self.run.checkpoints.newest_timesteps())
            if (now := time.monotonic()) - last >= ProgressTicker.SECONDS:
                last = now
                self._report(timesteps, (timesteps - self.segment.began_at) / (now - began))

        seeds = self._env_seeds
        return lambda agent: put_back(agent, place, self.env, seeds, before_step)

    def _save_checkpoint(self, agent: Agent) -> None:
        """Write all that the next segment needs."""
        if self.checkpoint is not None and self.checkpoint.name == str(agent.num_timesteps):
            return
        self._keep_halfway(agent)
        self.checkpoint = self.run.checkpoints.write(
            str(agent.num_timesteps), lambda folder: self._write_contents(folder, agent)
        )
        self.run.checkpoints.keep_newest(self.config.checkpoint.keep_last)

    def _save_exit(self, agent: Agent) -> None:
        """Write all that the rest of this segment needs."""

        def save(folder: Path) -> None:
            self._write_contents(folder, agent)
            save_exit(agent, folder, self.env.history, self.segment.statistics)

        self.run.checkpoints.write_exit(agent.num_timesteps, save)

    def _write_contents(self, folder: Path, agent: Agent) -> None:
        self.logger.flush()  # its file is one of the outputs whose sizes are noted
        progress = SavedProgress(
            timesteps=agent.num_timesteps,
            segment=self.segment.index,
            segment_began_at=self.segment.began_at,
            last_counted=self.segment.last_counted,
            last_rollout_at=self.logger.last_rollout_at,
            seconds=self.seconds,
            outputs=self.run.outputs.sizes(),
            periodic={name: callback.state() for name, callback in self.periodic.items()},
            recent_returns=tuple(self.episodes.recent),
            metrics=pending_metrics(self.logger),
        )
        write_contents(
            folder,
            agent,
            self.run.weights_file,
            self.evaluation.arrays(),
            progress,
            replay_buffer=self.config.checkpoint.replay_buffer,
        )

    def _keep_halfway(self, agent: Agent) -> None:
        """Keep the agent of the first checkpoint from half of the budget on, to show learning.

        Before the checkpoint is written: a run that dies in between comes here again.
        """
        half = self.total / 2
        if self.run.halfway_timesteps() < half <= agent.num_timesteps < self.total:
            save = functools.partial(save_agent, agent, weights_file=self.run.weights_file)
            self.run.save_halfway(agent.num_timesteps, save)

    def _report_evaluation(self, timesteps: int, mean_reward: float) -> None:
        run = RunId(self.config.name, self.seed)
        self.reporter.run_evaluated(Evaluated(run, timesteps, mean_reward))

    def _report(self, timesteps: int, steps_per_second: float) -> None:
        self.reporter.run_progress(
            Progress(
                RunId(self.config.name, self.seed),
                timesteps,
                self.total,
                steps_per_second,
                self.episodes.mean_return,
                self.evaluation.last_mean_reward,
            )
        )
