"""Runs loaded from their folders, ready to play: config, record and agent."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from stable_baselines3.common.vec_env import VecEnv

from rl_runner.agents.build import build_agent, choose_policy
from rl_runner.agents.hyperparameters.constructor import check_hyperparameters
from rl_runner.agents.protocol import Agent
from rl_runner.agents.registry import find_algorithm
from rl_runner.agents.saving import load_agent
from rl_runner.config import EnvConfig, ExperimentConfig, load_config
from rl_runner.envs import build_evaluation_env, build_training_env
from rl_runner.envs.code import code_note, use_code
from rl_runner.errors import Problem, RunFolderError
from rl_runner.evaluation.play.episodes import Episodes, play_episodes
from rl_runner.evaluation.play.return_bounds import check_returns
from rl_runner.layout import CONFIG
from rl_runner.local_code import keeping_working_directory
from rl_runner.runs.agents import CheckpointName
from rl_runner.runs.find import find_runs
from rl_runner.runs.folder import RunFolder
from rl_runner.runs.record import RunRecord
from rl_runner.seeding import SeedTree


@dataclass(frozen=True)
class Run:
    """A run loaded from its folder, finished or not, with the agent of one of its checkpoints.

    ``agent.predict(obs)`` returns the agent's actions; :meth:`evaluate` plays episodes.
    """

    path: Path
    config: ExperimentConfig
    seed: int
    record: RunRecord
    agent: Agent
    checkpoint: CheckpointName
    note: str = ""  # that the code has changed since it was trained

    @property
    def env(self) -> EnvConfig:
        """The environment that it was trained in."""
        return self.config.env

    def player(self, env: VecEnv) -> Agent:  # noqa: ARG002 - a baseline has one for each
        """Return what plays in these copies of the environment: the agent."""
        return self.agent

    @keeping_working_directory()
    def evaluate(
        self, n_episodes: int | None = None, *, deterministic: bool | None = None
    ) -> Episodes:
        """Play held-out episodes, those of the run's final evaluation first.

        :param n_episodes: at least 1; default: the config's ``eval.final_episodes``
        :param deterministic: default: the config's ``eval.deterministic``
        :raises ValueError: if ``n_episodes`` is below 1
        :raises OutOfBoundsError: if a return lies outside the environment's bounds
        """
        n_episodes = self.config.eval.final_episodes if n_episodes is None else n_episodes
        if n_episodes < 1:
            message = f"at least one episode must be played, not {n_episodes}"
            raise ValueError(message)
        # The seeds of the final evaluation come first, so that its results are repeated.
        seeds = SeedTree(self.seed)
        episode_seeds = seeds.final_evaluation(n_episodes)
        if deterministic is None:
            deterministic = self.config.eval.deterministic
        with closing(
            build_evaluation_env(self.config.env, episode_seeds, self.config.eval.n_envs)
        ) as env:
            episodes = play_episodes(
                self.agent,
                env,
                episode_seeds,
                deterministic=deterministic,
                sampling_seed=seeds.policy_sampling,
            )
        check_returns(episodes.returns, self.config.env)
        return episodes


@keeping_working_directory()
def load_run(path: str | Path, checkpoint: CheckpointName | None = None) -> Run:
    """Load a run's trained agent. Nothing is unpickled: the config builds it, arrays fill it.

    :param path: a ``seed-…`` folder
    :param checkpoint: ``last``, the agent at the end; ``best``, the one with the best periodic
        evaluation; ``halfway`` through the budget; ``untrained``; or timesteps in digits. Default:
        the config's ``train.keep``
    :raises RunFolderError: if ``path`` is not a run
    :raises ConfigError: if its config.yaml was edited and is no longer valid
    :raises CheckpointError: if the agent is missing or damaged
    """
    # Read the config and the record.
    path = Path(path).absolute()
    if not (path.parent / CONFIG).is_file():
        cure = "A run is a `seed-…` folder inside an experiment that holds a config.yaml."
        raise RunFolderError(Problem("This is not a run.", str(path), cure))
    config = load_config(path.parent)
    if config.data is not None:
        cure = "Judge it by a log: `rl eval RUN --data LOG`."
        raise RunFolderError(Problem("This run learned from a log.", str(path), cure))
    use_code(config)
    checkpoint = checkpoint or config.train.keep
    algorithm = find_algorithm(config.algo.name, config.source.locate(("algo", "name")))
    folder = RunFolder(path, algorithm.weights_file)
    record = folder.read_record()
    if record is None or record.seed is None:
        raise RunFolderError(Problem("This run has never started.", str(path)))
    seed = record.seed
    # Check the hyperparameters again: config.yaml may have been edited.
    checked = check_hyperparameters(algorithm, config.algo.hyperparameters, config.source)
    # Build the agent as training did, and load the checkpoint's arrays into it.
    files = None if checkpoint == "untrained" else folder.agents.find(checkpoint)
    env = build_training_env(config.env.in_this_process, config.algo, SeedTree(seed))
    complete = choose_policy(algorithm, checked, env.observation_space, config.source)
    agent = build_agent(algorithm, complete, env, SeedTree(seed).model, config.algo.engine)
    if config.env.max_copies is not None:  # what plays the agent needs them
        env.close()
    if files is not None:
        load_agent(agent, files, algorithm.weights_file)
    return Run(path, config, seed, record, agent, checkpoint, code_note(config))


def load_checkpoints(path: Path, checkpoints: Sequence[str | None]) -> tuple[list[Run], list[str]]:
    """Load several checkpoints of one run, and return a title for each.

    :param path: a run, or an experiment, whose first run is taken
    :param checkpoints: as :func:`load_run` takes them
    :raises RunnerError: if it is neither, or a checkpoint was not kept
    """
    first = find_runs(path)[0]
    runs = [load_run(first, name) for name in checkpoints]
    return runs, [_title(run) for run in runs]


def _title(run: Run) -> str:
    """Return e.g. ``best, 12,800 steps``."""
    if run.checkpoint == "untrained":
        return run.checkpoint
    if run.checkpoint.isdigit():
        return f"{int(run.checkpoint):,} steps"
    return f"{run.checkpoint}, {run.agent.num_timesteps:,} steps"


def evaluate(
    run: Run | str | Path, n_episodes: int | None = None, *, deterministic: bool | None = None
) -> Episodes:
    """Play held-out episodes with a run's agent; see :meth:`Run.evaluate`."""
    run = run if isinstance(run, Run) else load_run(run)
    return run.evaluate(n_episodes, deterministic=deterministic)
