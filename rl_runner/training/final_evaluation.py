"""The end of a run: its last and its best agent, evaluated on held-out episodes."""

from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path

from stable_baselines3.common.vec_env import VecEnv

from rl_runner.agents.protocol import Agent
from rl_runner.agents.saving import load_agent
from rl_runner.config import ExperimentConfig
from rl_runner.envs import build_evaluation_env
from rl_runner.errors import CheckpointError, Problem
from rl_runner.evaluation.play.episodes import play_episodes
from rl_runner.evaluation.play.exact_returns import ExactScorer
from rl_runner.runs.checkpoints import TRAIN_AGAIN
from rl_runner.runs.folder import RunFolder
from rl_runner.runs.record import AgentResult, Results
from rl_runner.seeding import SeedTree
from rl_runner.training.observers.callbacks import PeriodicEvaluation


def evaluate_last_and_best(
    agent: Agent,
    config: ExperimentConfig,
    run: RunFolder,
    seeds: SeedTree,
    evaluation: PeriodicEvaluation,
    note: Callable[[str], None],
) -> Results:
    """Evaluate the last and the best agent on held-out episodes that no selection has seen.

    The best was chosen for its periodic mean, which therefore flatters it; ``selection_optimism``
    is by how much. If its files are damaged, it has no result.

    :param agent: the last agent; afterwards it has the best agent's parameters
    :param evaluation: the periodic evaluation that chose the best agent
    :param note: is given a message if the best agent was lost
    """
    episode_seeds = seeds.final_evaluation(config.eval.final_episodes)
    scorer = ExactScorer.for_env(config.env) if config.eval.deterministic else None

    def play(env: VecEnv) -> AgentResult:
        episodes = play_episodes(
            agent,
            env,
            episode_seeds,
            deterministic=config.eval.deterministic,
            sampling_seed=seeds.policy_sampling,
        )
        episodes.check_finite()
        if evaluation.bounds is not None:
            evaluation.bounds.checked(episodes.returns)
        if evaluation.notes is not None:
            evaluation.notes.look_at_final(episodes)
        # An exact return replaces nothing: both are recorded.
        exact = scorer.score(agent) if scorer is not None else None
        described = episodes.describe() | ({} if exact is None else exact.describe())
        return AgentResult(**described)

    # Open an environment for held-out episodes.
    opened = (
        nullcontext(evaluation.env)  # no more may be open; training is over and needs none back
        if config.env.max_copies is not None
        else closing(build_evaluation_env(config.env, episode_seeds, config.eval.n_envs))
    )
    with opened as env:
        # Play the last agent, then the best one in its place.
        last = play(env)
        try:
            load_agent(agent, _best_checkpoint(run, evaluation), run.weights_file)
        except CheckpointError as error:
            seed, why = seeds.run_seed, " ".join(str(error).split())
            note(f"Seed {seed}: there is no result of the best agent. {why}")
            return Results(last=last)
        best = play(env)
    # Say how much the selection flattered the best agent.
    best = best.selected_for(evaluation.best_mean_reward, evaluation.best_timesteps)
    return Results(last=last, best=best)


def _best_checkpoint(run: RunFolder, evaluation: PeriodicEvaluation) -> Path:
    """Return the folder of the agent that a periodic evaluation selected.

    :raises CheckpointError: if it is lost
    """
    kept = run.agents.best_timesteps()
    if not kept or kept != evaluation.best_timesteps:
        what = "The agent with the best periodic evaluation is no longer kept."
        raise CheckpointError(Problem(what, str(run.checkpoints.path), TRAIN_AGAIN))
    return run.agents.find("best")
