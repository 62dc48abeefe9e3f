"""The straight road: one config and one seed in, one folder of results out."""

import time
import traceback
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.vec_env import VecEnv

from rl_runner.agents.protocol import Agent
from rl_runner.agents.registry import find_algorithm
from rl_runner.config import ExperimentConfig, dump_config, experiment_hash, load_config
from rl_runner.envs import time_limit_of
from rl_runner.evaluation.episodes import Episodes, play_episodes, share_normalization
from rl_runner.evaluation.exact import exact_mean_reward
from rl_runner.evaluation.pictures import grid_tiles
from rl_runner.evaluation.saved_agent import (
    build_evaluation_env,
    build_training_env,
    load_agent,
    save_agent,
)
from rl_runner.evaluation.statistics import Summary, summarize
from rl_runner.runs.folder import ExperimentFolder, RunFolder
from rl_runner.runs.provenance import now, provenance
from rl_runner.seeding import SeedTree
from rl_runner.training.callbacks import GridPolicyPicture, PeriodicEvaluation, ProgressTicker
from rl_runner.training.episode_log import Episode, EpisodeLog
from rl_runner.training.reporting import Progress, Reporter
from rl_runner.training.resolve import build_config_agent, resolve
from rl_runner.training.tensorboard import build_logger, log_config, log_results

RUNS_DIR = Path("runs")


@dataclass(frozen=True)
class RunResult:
    """How one seed ended."""

    seed: int
    path: Path
    record: Mapping[str, Any]

    @property
    def status(self) -> str:
        """``finished``, ``failed``, ``interrupted``, or ``running`` in another process."""
        return str(self.record.get("status", "running"))

    @property
    def mean_reward(self) -> float | None:
        """The last agent's mean return over the held-out episodes; None if it did not finish."""
        value: float | None = self.record.get("results", {}).get("last", {}).get("mean_reward")
        return value


@dataclass(frozen=True)
class ExperimentResult:
    """How an experiment ended."""

    path: Path
    name: str
    hash: str
    runs: tuple[RunResult, ...]

    @property
    def summary(self) -> Summary | None:
        """Mean and interval over the finished runs; None if there are none."""
        means = [run.mean_reward for run in self.runs if run.status == "finished"]
        return summarize([mean for mean in means if mean is not None]) if means else None


def train(
    config: ExperimentConfig | str | Path,
    *,
    runs_dir: str | Path = RUNS_DIR,
    seeds: Sequence[int] | None = None,
    fresh: bool = False,
    reporter: Reporter | None = None,
) -> ExperimentResult:
    """Train every seed of an experiment that is not finished yet.

    :param config: a config, or the YAML file to load it from
    :param seeds: instead of the config's ``train.seeds``
    :param fresh: train finished seeds anew too
    :raises RunnerError: if the config is wrong or the folder cannot be written; an exception
        inside a run is recorded in its run.json instead, and the other seeds go on
    """
    reporter = reporter or Reporter()
    loaded = config if isinstance(config, ExperimentConfig) else load_config(config)
    resolved = resolve(loaded)
    digest = experiment_hash(resolved)
    weights_file = find_algorithm(resolved.algo.name).weights_file
    folder = ExperimentFolder.place(Path(runs_dir), resolved.name, digest, weights_file)
    chosen = tuple(seeds if seeds is not None else resolved.train.seeds)

    folder.write_config(dump_config(resolved))
    reporter.experiment_started(resolved, folder.path, chosen)
    limit, chosen_by_us = time_limit_of(loaded.env)
    if chosen_by_us:
        reporter.note(f"{resolved.env.id} has no time limit; episodes are cut at {limit} steps.")
    runs = tuple(_claim_and_train(resolved, seed, folder, fresh, reporter) for seed in chosen)
    return ExperimentResult(folder.path, resolved.name, digest, runs)


def _claim_and_train(
    config: ExperimentConfig, seed: int, folder: ExperimentFolder, fresh: bool, reporter: Reporter
) -> RunResult:
    """Train one seed unless it is finished, or another process is at it."""
    run = folder.run(seed)
    if not run.claim():
        reporter.note(f"Seed {seed} is being trained by another process; left to it.")
        return RunResult(seed, run.path, {"status": "running"})
    try:
        record = {} if fresh else run.read_record()
        if record.get("status") != "finished":
            run.clear()
            reporter.run_started(seed)
            record = _train_and_record(config, seed, run, reporter)
        reporter.run_ended(seed, record)
        return RunResult(seed, run.path, record)
    finally:
        run.release()


def _train_and_record(
    config: ExperimentConfig, seed: int, run: RunFolder, reporter: Reporter
) -> dict[str, Any]:
    """Train one seed and keep its run.json true to what happens."""
    record: dict[str, Any] = {
        "format": 1,
        "status": "running",
        "name": config.name,
        "env": config.env.id,
        "algo": config.algo.name,
        "seed": seed,
        "started": now(),
        **provenance(),
    }
    run.write_record(record)
    started = time.monotonic()
    try:
        record |= train_run(config, seed, run, reporter)
        record["status"] = "finished"
    except KeyboardInterrupt:
        record["status"] = "interrupted"
        raise
    except Exception as error:  # noqa: BLE001 - recorded with its traceback; other seeds go on
        record |= {"status": "failed", "error": repr(error), "traceback": traceback.format_exc()}
    finally:
        record |= {"finished": now(), "seconds": round(time.monotonic() - started, 3)}
        run.write_record(record)
    return record


def train_run(
    config: ExperimentConfig, seed: int, run: RunFolder, reporter: Reporter
) -> dict[str, Any]:
    """Train one seed of a resolved config into its claimed, empty folder.

    :return: ``timesteps`` and ``results``, for run.json
    """
    torch.set_num_threads(1)  # small networks: more threads cost more than they give
    seeds = SeedTree(seed)
    with run.open_episodes() as episodes_file:
        recorder = EpisodeRecorder(episodes_file)
        env = EpisodeLog(build_training_env(config.env, config.algo, seeds), recorder.record)
        eval_env = build_evaluation_env(config, seeds.evaluation(config.eval.n_episodes))
        try:
            agent = build_config_agent(config, env, seeds.model)
            agent.set_logger(build_logger(run.tensorboard_dir, reporter.metrics_file))
            log_config(agent.logger, config)

            evaluation = build_evaluation_callback(config, eval_env, run, seeds)
            callbacks: list[BaseCallback] = [evaluation]
            if (tiles := _tiles_of(eval_env)) is not None:
                callbacks.append(GridPolicyPicture(tiles, evaluation.every))
            total = config.train.total_timesteps

            def report(timesteps: int, steps_per_second: float) -> None:
                last = evaluation.last_mean_reward
                progress = Progress(
                    seed, timesteps, total, steps_per_second, recorder.mean_return, last
                )
                reporter.run_progress(progress)

            callbacks.append(ProgressTicker(total, report))
            agent.learn(total, CallbackList(callbacks))
            run.save_final(lambda path: save_agent(agent, path, run.weights_file))
            timesteps = agent.num_timesteps  # before the best agent's are loaded over it

            results = judge(agent, config, run, seeds, evaluation)
            log_results(agent.logger, config, seed, timesteps, results)
            agent.logger.close()
            return {"timesteps": timesteps, "results": results}
        finally:
            env.close()
            eval_env.close()


class EpisodeRecorder:
    """Writes each finished training episode to episodes.csv and remembers the last hundred."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._recent: deque[float] = deque(maxlen=100)

    def record(self, episode: Episode) -> None:
        """Take one finished episode."""
        self._recent.append(episode.episode_return)
        self._file.write(
            f"{episode.timestep},{episode.episode_return},{episode.length},"
            f"{int(episode.terminated)},{episode.wall_time:.3f}\n"
        )

    @property
    def mean_return(self) -> float | None:
        """The mean return of the last hundred episodes; None before the first has ended."""
        return float(np.mean(self._recent)) if self._recent else None


def build_evaluation_callback(
    config: ExperimentConfig, eval_env: VecEnv, run: RunFolder, seeds: SeedTree
) -> PeriodicEvaluation:
    """Build the periodic evaluation that the config asks for."""
    every = config.eval.every or config.train.total_timesteps
    return PeriodicEvaluation(
        eval_env,
        run,
        seeds,
        every=every,
        n_episodes=config.eval.n_episodes,
        deterministic=config.eval.deterministic,
    )


def judge(
    agent: Agent,
    config: ExperimentConfig,
    run: RunFolder,
    seeds: SeedTree,
    evaluation: PeriodicEvaluation,
) -> dict[str, Any]:
    """Judge the last and the best agent on held-out episodes that nothing selected on.

    The best was chosen for its periodic mean, which therefore flatters it; ``selection_optimism``
    is by how much. Leaves the best agent's parameters in ``agent``.
    """
    episode_seeds = seeds.final_evaluation(config.eval.final_episodes)
    env = build_evaluation_env(config, episode_seeds)

    def play() -> dict[str, Any]:
        share_normalization(agent, env)
        episodes = play_episodes(
            agent,
            env,
            episode_seeds,
            deterministic=config.eval.deterministic,
            sampling_seed=seeds.policy_sampling,
        )
        described = describe_episodes(episodes)
        exact = exact_mean_reward(agent, config.env) if config.eval.deterministic else None
        return described if exact is None else {**described, "exact_mean_reward": exact}

    try:
        last = play()
        load_agent(agent, run.checkpoint("best"), run.weights_file)
        best = play()
    finally:
        env.close()
    return {
        "last": last,
        "best": {
            "timesteps": evaluation.best_timesteps,
            "periodic_mean_reward": evaluation.best_mean_reward,
            **best,
            "selection_optimism": evaluation.best_mean_reward - best["mean_reward"],
        },
    }


def describe_episodes(episodes: Episodes) -> dict[str, Any]:
    """Return the numbers that run.json keeps of an evaluation.

    :raises FloatingPointError: if a return is not a finite number
    """
    if not np.isfinite(episodes.returns).all():
        message = "an evaluation episode's return is not a finite number"
        raise FloatingPointError(message)
    described = {
        "mean_reward": episodes.mean_reward,
        "std_reward": episodes.std_reward,
        "mean_ep_length": float(episodes.lengths.mean()),
        "n_episodes": len(episodes.returns),
    }
    if not np.isnan(episodes.successes).all():
        described["success_rate"] = float(np.nanmean(episodes.successes))
    return described


def _tiles_of(env: VecEnv) -> np.ndarray | None:
    """Return the map of the first evaluation environment, if it has one."""
    first = getattr(env.unwrapped, "envs", [None])[0]
    return None if first is None else grid_tiles(first)
