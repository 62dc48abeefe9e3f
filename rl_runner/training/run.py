"""The straight road: one config and one seed in, one folder of results out."""

import json
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import CallbackList
from stable_baselines3.common.vec_env import VecEnv

from rl_runner.agents.protocol import Agent
from rl_runner.agents.state import load_state, save_state
from rl_runner.arrays import load_arrays, save_arrays
from rl_runner.config import ExperimentConfig
from rl_runner.evaluation.exact import ExactScorer
from rl_runner.evaluation.pictures import grid_tiles
from rl_runner.evaluation.saved_agent import (
    build_evaluation_env,
    build_training_env,
    load_agent,
    save_agent,
)
from rl_runner.runs.folder import RunFolder
from rl_runner.seeding import SeedTree
from rl_runner.training.callbacks import (
    EveryTimesteps,
    GridPolicyPicture,
    PeriodicEvaluation,
    ProgressTicker,
)
from rl_runner.training.episode_log import Episode, EpisodeLog
from rl_runner.training.judge import judge
from rl_runner.training.reporting import Evaluated, Progress, Reporter, RunId, StopRequest
from rl_runner.training.resolve import build_config_agent
from rl_runner.training.segments import (
    Interrupted,
    SegmentCallback,
    SegmentEnd,
    pending_metrics,
    restore_metrics,
)
from rl_runner.training.tensorboard import build_logger, log_config, log_results

PROGRESS = "progress.json"
EVALUATIONS = "evaluations.npz"
FORMAT = 1  # of checkpoints; raise it when what they hold changes


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
    training = Training(config, seed, run, reporter, stop or StopRequest())
    try:
        agent = training.learn()
        run.save_final(lambda path: save_agent(agent, path, run.weights_file))
        seconds = training.seconds
        timesteps = agent.num_timesteps  # before the best agent's parameters are loaded over it
        results = judge(agent, config, run, training.seeds, training.evaluation)
        log_results(agent.logger, config, seed, timesteps, results)
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
        self.seconds_before = 0.0

        self.checkpoint = self._newest_checkpoint()
        progress = self._begin_at(self.checkpoint)
        self.segment: int = progress.get("segment", 0)
        self.episodes = EpisodeRecorder(run.open_episodes())
        self.env = EpisodeLog(
            build_training_env(config.env, config.algo, self.seeds),
            self.episodes.record,
            timestep=progress.get("timesteps", 0),
            seconds=self.seconds_before,
        )
        self.eval_env = build_evaluation_env(config, self.seeds.evaluation(config.eval.n_episodes))
        self.logger = build_logger(run.tensorboard_dir, reporter.metrics_file, reporter.note)
        if self.checkpoint is None:
            log_config(self.logger, config)
        self.evaluation = build_evaluation_callback(config, self.eval_env, run, self.seeds)
        self.evaluation.report = self._report_evaluation
        self.periodic: dict[str, EveryTimesteps] = {"evaluation": self.evaluation}
        if (tiles := _tiles_of(self.eval_env)) is not None:
            self.periodic["picture"] = GridPolicyPicture(tiles, self.evaluation.every)
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
            agent: Agent = self._open_segment()
            if buffer is not None:
                agent.replay_buffer = buffer  # type: ignore[attr-defined]  # it has one
            finished = self._learn_segment(agent)
            self.segment += 1
            self._save_checkpoint(agent)
            if finished:
                return agent
            if self.stop.is_set():
                raise Interrupted
            if not self.config.checkpoint.replay_buffer:
                buffer = getattr(agent, "replay_buffer", None)

    def close(self) -> None:
        """Close environments and files."""
        self.logger.close()
        self.episodes.close()
        self.eval_env.close()
        self.env.close()

    def _newest_checkpoint(self) -> Path | None:
        """Return the newest whole checkpoint that this version wrote; None if there is none."""
        too_long = None
        for place in self.run.checkpoints.whole_ones(self.reporter.note):
            progress = read_progress(place)
            if progress.get("format") != FORMAT:
                self.reporter.note(f"{place} was written by another version; it is passed over.")
            elif missing := self.run.outputs.missing(progress["outputs"]):
                self.reporter.note(f"{missing[0]} is too short for {place}; it is passed over.")
                too_long = place
            else:
                return place
        return too_long  # its outputs cannot be restored, and the error will say so

    def _begin_at(self, checkpoint: Path | None) -> dict[str, Any]:
        """Bring the folder back to the checkpoint, or empty it; return the saved progress."""
        if checkpoint is None:
            self.run.clear()
            return {}
        progress = read_progress(checkpoint)
        self.run.outputs.cut(progress["outputs"])
        self.seconds_before = progress["seconds"]
        self.reporter.note(f"Seed {self.seed} goes on from {progress['timesteps']:,} timesteps.")
        return progress

    def _restore_callbacks(self, progress: Mapping[str, Any]) -> None:
        if self.checkpoint is None:
            return
        for name, state in progress["periodic"].items():
            self.periodic[name].restore(state)
        self.evaluation.restore_arrays(load_arrays(self.checkpoint / EVALUATIONS))
        self.episodes.recent.extend(progress["recent_returns"])
        restore_metrics(self.logger, progress["metrics"])

    def _open_segment(self) -> Agent:
        """Build a fresh agent and fill it from the checkpoint; begin new episodes."""
        env_seeds = self.seeds.train_envs(self.config.env.n_envs, self.segment)
        for i, env_seed in enumerate(env_seeds):
            self.env.env_method("begin_episodes", [env_seed], indices=[i])
        agent = build_config_agent(self.config, self.env, self.seeds.model)
        agent.set_logger(self.logger)
        if self.checkpoint is not None:
            load_agent(agent, self.checkpoint, self.run.weights_file)
            load_state(agent, self.checkpoint)
        return agent

    def _learn_segment(self, agent: Agent) -> bool:
        """Learn until the next checkpoint is due; True if the budget is used up."""
        every = self.config.checkpoint.every or self.total
        ends_at = min(self.total, (agent.num_timesteps // every + 1) * every)
        callbacks = [SegmentCallback(ends_at, self.stop), *self.periodic.values(), self.ticker]
        began_at, finished = agent.num_timesteps, True
        try:
            agent.learn(self.total - began_at, CallbackList(callbacks), reset_num_timesteps=False)
        except SegmentEnd:
            finished = False
        # Its logging interval may be longer than the segment. (A finished run has nothing to add.)
        if self.logger.last_rollout_at <= began_at < agent.num_timesteps:
            agent.dump_logs()
        return finished

    def _save_checkpoint(self, agent: Agent) -> None:
        """Write all that the next segment needs."""
        if self.checkpoint is not None and self.checkpoint.name == str(agent.num_timesteps):
            return

        self._keep_halfway(agent)

        def save(folder: Path) -> None:
            save_agent(agent, folder, self.run.weights_file)
            save_state(agent, folder, replay_buffer=self.config.checkpoint.replay_buffer)
            save_arrays(folder / EVALUATIONS, self.evaluation.arrays())
            progress = {
                "format": FORMAT,
                "timesteps": agent.num_timesteps,
                "segment": self.segment,
                "seconds": self.seconds,
                "outputs": self.run.outputs.sizes(),
                "periodic": {name: callback.state() for name, callback in self.periodic.items()},
                "recent_returns": list(self.episodes.recent),
                "metrics": pending_metrics(self.logger),
            }
            (folder / PROGRESS).write_text(json.dumps(progress), encoding="utf-8")

        self.checkpoint = self.run.checkpoints.write(str(agent.num_timesteps), save)
        self.run.checkpoints.keep_newest(self.config.checkpoint.keep_last)

    def _keep_halfway(self, agent: Agent) -> None:
        """Keep the agent of the first checkpoint from half of the budget on, to show learning.

        Before the checkpoint is written: a run that dies in between comes here again.
        """
        if (
            2 * self.run.halfway_timesteps()
            < self.total
            <= 2 * agent.num_timesteps
            < 2 * self.total
        ):
            self.run.save_halfway(
                agent.num_timesteps, lambda path: save_agent(agent, path, self.run.weights_file)
            )

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


def read_progress(checkpoint: Path) -> dict[str, Any]:
    """Return how far a whole checkpoint is, and what of the run belongs to it."""
    progress: dict[str, Any] = json.loads((checkpoint / PROGRESS).read_text(encoding="utf-8"))
    return progress


class EpisodeRecorder:
    """Writes each finished training episode to episodes.csv and remembers the last hundred."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.recent: deque[float] = deque(maxlen=100)

    def record(self, episode: Episode) -> None:
        """Take one finished episode."""
        self.recent.append(episode.episode_return)
        self._file.write(
            f"{episode.timestep},{episode.episode_return},{episode.length},"
            f"{int(episode.terminated)},{episode.wall_time:.3f}\n"
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def mean_return(self) -> float | None:
        """The mean return of the last hundred episodes; None before the first has ended."""
        return float(np.mean(self.recent)) if self.recent else None


def build_evaluation_callback(
    config: ExperimentConfig,
    eval_env: VecEnv,
    run: RunFolder,
    seeds: SeedTree,
) -> PeriodicEvaluation:
    """Build the periodic evaluation that the config asks for."""
    every = config.eval.every or config.train.total_timesteps
    return PeriodicEvaluation(
        eval_env,
        run,
        seeds,
        every=every,
        config=config.eval,
        scorer=ExactScorer.for_env(config.env) if config.eval.deterministic else None,
    )


def _tiles_of(env: VecEnv) -> np.ndarray | None:
    """Return the map of the first evaluation environment, if it has one."""
    first = getattr(env.unwrapped, "envs", [None])[0]
    return None if first is None else grid_tiles(first)
