"""Everything that watches a run while it learns, opened, restored and closed together."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from rl_runner.agents.protocol import Agent
from rl_runner.config import ExperimentConfig
from rl_runner.envs import borrow_for_evaluation, build_evaluation_env
from rl_runner.runs.folder import RunFolder
from rl_runner.seeding import SeedTree
from rl_runner.training.observers.callbacks import (
    EveryTimesteps,
    OpenEnv,
    ProgressTicker,
    build_evaluation_callback,
    build_picture_callback,
)
from rl_runner.training.observers.episode_log import EpisodeRecorder
from rl_runner.training.observers.own_callbacks import OwnCallback
from rl_runner.training.observers.tensorboard import build_logger
from rl_runner.training.reporting import Evaluated, Progress, Reporter, RunId


class Observers:
    """The files a run's measurements go to, and the callbacks that measure.

    :param run: its folder, whose episodes.csv is opened for appending
    :param training_env: whose copies evaluations borrow by ``lend``, if the config says so
    """

    def __init__(
        self,
        config: ExperimentConfig,
        seed: int,
        run: RunFolder,
        reporter: Reporter,
        training_env: VecEnv,
        lend: OpenEnv,
    ) -> None:
        seeds = SeedTree(seed)
        self._run_id = RunId(config.name, seed)
        self._total = config.train.total_timesteps
        self._reporter = reporter
        self._callbacks = config.callbacks
        self._noted: set[tuple[str, str]] = set()  # callbacks and attributes
        with ExitStack() as opened:  # closes what is open already if a later step fails
            # The environment of periodic evaluations.
            if config.env.shares_copies:
                self.eval_env = borrow_for_evaluation(config.env, training_env)
            else:
                eval_seeds = seeds.evaluation(config.eval.n_episodes)
                self.eval_env = build_evaluation_env(config.env, eval_seeds, config.eval.n_envs)
                opened.callback(self.eval_env.close)
            # The user's callbacks, as the newest checkpoint has them.
            self._callback_states: Sequence[Mapping[str, Any]] = ()
            self._own: list[OwnCallback] = []
            # What is written: metrics, and finished episodes.
            self.logger = build_logger(
                run.measurements.tensorboard_dir, reporter.metrics_file, reporter.note
            )
            opened.callback(self.logger.close)
            self.episodes = EpisodeRecorder(run.measurements.open_episodes())
            opened.callback(self.episodes.close)
            # What looks at training while it runs.
            self._build_periodic(config, run, seeds)
            if config.env.shares_copies:
                self.evaluation.open_env = lend
                self.evaluation.is_borrowing = True
            self._opened = opened.pop_all()

    def _build_periodic(self, config: ExperimentConfig, run: RunFolder, seeds: SeedTree) -> None:
        """Build the callbacks that act after so many timesteps and write to what is open."""
        self.evaluation = build_evaluation_callback(
            config, self.eval_env, run, seeds, self._report_evaluation, self._reporter.note
        )
        self.periodic: dict[str, EveryTimesteps] = {"evaluation": self.evaluation}
        if (picture := build_picture_callback(self.eval_env, self.evaluation.every)) is not None:
            self.periodic["picture"] = picture
        self._ticker = ProgressTicker(self._total, self._report_progress)

    def build_callbacks(self) -> list[BaseCallback]:
        """Return the callbacks for the ``learn`` of a segment, the user's own first.

        Those are built anew. An evaluation at the same timestep sees what they have done.
        """
        states: Sequence[Mapping[str, Any] | None] = self._callback_states
        states = states or [None] * len(self._callbacks)
        self._own = [
            OwnCallback(callback, state)
            for callback, state in zip(self._callbacks, states, strict=True)
        ]
        return [*self._own, *self.periodic.values(), self._ticker]

    @property
    def stopped_by(self) -> str:
        """The name of the callback that has ended training; no text while none has."""
        return next((callback.name for callback in self._own if callback.has_stopped), "")

    def callback_states(self) -> Sequence[Mapping[str, Any]]:
        """Return what the user's callbacks remember, for a checkpoint."""
        if not self._own:
            return self._callback_states
        states = []
        for callback in self._own:
            state, lost = callback.state()
            self._note_lost_attributes(callback.name, lost)
            states.append(state)
        return states

    def restore_callbacks(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Let the next segment's callbacks continue from what :meth:`callback_states` returned."""
        self._callback_states = states

    def _note_lost_attributes(self, callback: str, names: Sequence[str]) -> None:
        new = [name for name in names if (callback, name) not in self._noted]
        self._noted.update((callback, name) for name in new)
        if new:
            self._reporter.note(
                f"No checkpoint can hold {', '.join(f'`{name}`' for name in new)} of the callback "
                f"`{callback}`; after each checkpoint it is built anew, also in a run that is not "
                "interrupted."
            )

    def evaluate_untrained(self, agent: Agent) -> None:
        """Evaluate an agent that has learned nothing, so that its curve begins at timestep 0."""
        if agent.num_timesteps > 0:
            return
        if why := self.evaluation.evaluate_untrained(agent):
            seed = self._run_id.seed
            self._reporter.note(f"Seed {seed}: its curve begins after timestep 0. {why}")

    def note_early_end(self, timesteps: int) -> None:
        """Say which of the user's callbacks has ended training, if one has."""
        if self.stopped_by:
            self._reporter.note(
                f"Seed {self._run_id.seed}: `{self.stopped_by}` ended training after "
                f"{timesteps:,} of {self._total:,} timesteps."
            )

    def close(self) -> None:
        """Close files and the evaluation's environment."""
        self._opened.close()

    def _report_evaluation(self, timesteps: int, mean_reward: float) -> None:
        self._reporter.run_evaluated(Evaluated(self._run_id, timesteps, mean_reward))

    def _report_progress(self, timesteps: int, steps_per_second: float) -> None:
        self._reporter.run_progress(
            Progress(
                self._run_id,
                timesteps,
                self._total,
                steps_per_second,
                self.episodes.mean_return,
                self.evaluation.last_mean_reward,
            )
        )
