"""One run from start to end: one config and one seed in, one folder of results out."""

import functools
from contextlib import ExitStack, closing

import torch
from stable_baselines3.common.callbacks import CallbackList

from rl_runner.agents.protocol import Agent
from rl_runner.agents.saving import save_agent
from rl_runner.config import ExperimentConfig
from rl_runner.runs.folder import RunFolder
from rl_runner.runs.record import Completion
from rl_runner.seeding import SeedTree
from rl_runner.training.final_evaluation import evaluate_last_and_best
from rl_runner.training.observers.episode_log import EpisodeRecordingEnv
from rl_runner.training.observers.observers import Observers
from rl_runner.training.observers.tensorboard import log_config, log_results
from rl_runner.training.reporting import Reporter, StopRequest
from rl_runner.training.resolve import build_config_agent
from rl_runner.training.resume.resumption import Resumption


def train_run(
    config: ExperimentConfig,
    seed: int,
    run: RunFolder,
    reporter: Reporter,
    stop: StopRequest | None = None,
    *,
    has_hparams: bool = True,
) -> Completion:
    """Train one seed of a resolved config in its claimed folder, from where it was interrupted.

    :param stop: set it to ask the run to stop
    :param has_hparams: whether the run is a row of TensorBoard's HPARAMS page
    :return: what to add to run.json
    :raises Interrupted: if it stopped because it was asked to
    """
    torch.set_num_threads(1)  # small networks: more threads cost more than they give
    seeds = SeedTree(seed)
    total = config.train.total_timesteps
    resumption = Resumption(config, seed, run, reporter, stop or StopRequest())
    with ExitStack() as opened:
        # Open: bring the folder and the environment to the run's last state. A new run begins at 0.
        env = opened.enter_context(closing(resumption.restore()))
        observers = opened.enter_context(
            closing(Observers(config, seed, run, reporter, env, resumption.lend_copies))
        )
        resumption.restore_observers(observers)
        start = resumption.progress
        if start.timesteps == 0:
            log_config(observers.logger, config)

        # Build: record every episode where it happens, whatever the algorithm does.
        recorded_env = EpisodeRecordingEnv(
            env, observers.episodes.record, timestep=start.timesteps, seconds=start.seconds
        )

        # Learn segment by segment, with a checkpoint after each. Every segment begins with a new
        # agent that is filled from the newest checkpoint, so that a run that is never interrupted
        # computes what an interrupted and resumed one does.
        while True:
            agent = build_config_agent(config, recorded_env, seeds.model)
            agent.set_logger(observers.logger)
            if resumption.is_trained:
                resumption.restore_trained(agent)
                break
            with resumption.next_segment(agent) as segment:
                observers.evaluate_untrained(agent)
                agent.learn(
                    total - agent.num_timesteps,
                    CallbackList([segment.callback, *observers.build_callbacks()]),
                    log_interval=segment.log_interval,
                    reset_num_timesteps=False,
                )
            _keep_halfway(agent, run, total)
            resumption.checkpoint(agent)
            observers.note_early_end(agent.num_timesteps)
            if agent.num_timesteps >= total or observers.stopped_by:
                break

        # Save the finished agent, before the best one is loaded over it.
        run.agents.save_final(functools.partial(save_agent, agent, weights_file=run.weights_file))
        timesteps, seconds = agent.num_timesteps, resumption.seconds

        # Evaluate the last and the best agent on episodes that nothing was selected on.
        results = evaluate_last_and_best(
            agent, config, run, seeds, observers.evaluation, reporter.note
        )
        log_results(agent.logger, config, seed, timesteps, results, has_hparams=has_hparams)
        return Completion(timesteps, results, training_seconds=seconds)


def _keep_halfway(agent: Agent, run: RunFolder, total: int) -> None:
    """Keep the agent of the first checkpoint from half of the budget on, to show learning.

    Before the checkpoint is written: a run that is killed in between does this again.
    """
    if run.agents.halfway_timesteps() < total / 2 <= agent.num_timesteps < total:
        save = functools.partial(save_agent, agent, weights_file=run.weights_file)
        run.agents.save_halfway(agent.num_timesteps, save)
