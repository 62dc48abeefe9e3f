"""Callbacks that run while an agent learns: periodic evaluation, pictures, progress.

Frequencies are in environment timesteps; SB3 calls back once per step of all environments, so the
conversion is made here, once, in :class:`EveryTimesteps`.
"""

import math
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Figure
from stable_baselines3.common.vec_env import SubprocVecEnv, VecEnv

from rl_runner.agents.parameters import check_finite_parameters
from rl_runner.agents.protocol import Agent
from rl_runner.agents.saving import save_agent
from rl_runner.config import ExperimentConfig
from rl_runner.config.schema import EvalConfig
from rl_runner.errors import EnvError
from rl_runner.evaluation.pictures.grid_policies import draw_grid_policy, grid_tiles
from rl_runner.evaluation.play.episodes import Episodes, play_episodes
from rl_runner.evaluation.play.exact_returns import ExactScorer
from rl_runner.evaluation.play.return_bounds import bounds_to_check
from rl_runner.runs.folder import RunFolder
from rl_runner.seeding import SeedTree
from rl_runner.training.observers.evaluation_notes import EvaluationNotes
from rl_runner.training.observers.tensorboard import ONLY_TENSORBOARD

if TYPE_CHECKING:
    from rl_runner.evaluation.statistics.bounds import Bounds

OpenEnv = Callable[[], AbstractContextManager[VecEnv]]
NOT_TENSORBOARD = ("tensorboard",)


class EveryTimesteps(BaseCallback):
    """Calls :meth:`_on_time` whenever ``every`` more timesteps have passed, and at the end.

    A :class:`rl_runner.agents.protocol.PacedCallback`: it says when it is due.
    """

    def __init__(self, every: int) -> None:
        super().__init__()
        self.every = every
        self._next_at = every
        self._last_at = -1

    @property
    def next_timestep(self) -> int:
        """When it has to be called again, in environment timesteps."""
        return self._next_at

    def _on_step(self) -> bool:
        if self.num_timesteps >= self._next_at:
            self._next_at = (self.num_timesteps // self.every + 1) * self.every
            self._trigger()
        return True

    def _on_training_end(self) -> None:
        self.num_timesteps = self.model.num_timesteps
        if self._last_at != self.num_timesteps:
            self._trigger()

    def _trigger(self) -> None:
        self._last_at = self.num_timesteps
        self._on_time()

    @abstractmethod
    def _on_time(self) -> None:
        """Do what the callback exists for; the agent is at ``self.num_timesteps``."""

    def state(self) -> dict[str, Any]:
        """Return when it was last called and will be next, for a checkpoint."""
        return {"next_at": self._next_at, "last_at": self._last_at}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state` returned."""
        self._next_at, self._last_at = state["next_at"], state["last_at"]


def _ignore(timesteps: int, mean_reward: float) -> None:
    pass


class PeriodicEvaluation(EveryTimesteps):
    """Plays the same fixed episodes each time, logs under SB3's tags, keeps the best agent.

    :param config: the episodes to play; the frequency is resolved already, hence ``every``
    :param report: is given the timesteps and the mean return of each evaluation, exact if available
    """

    def __init__(
        self,
        env: VecEnv,
        run: RunFolder,
        seeds: SeedTree,
        *,
        every: int,
        config: EvalConfig,
        scorer: ExactScorer | None = None,
        report: Callable[[int, float], None] = _ignore,
    ) -> None:
        super().__init__(every)
        self.env = env
        self.open_env: OpenEnv = lambda: nullcontext(env)  # or borrows copies from training
        self.is_borrowing = False
        self.notes: EvaluationNotes | None = None  # is shown the episodes of every evaluation
        self.run = run
        self.episode_seeds = seeds.evaluation(config.n_episodes)
        self.sampling_seed = seeds.periodic_sampling
        self.deterministic = config.deterministic
        self.bounds: Bounds | None = None  # of the returns; one outside of them ends the run
        self.report = report
        self.scorer = scorer
        self.exact: list[float] = []
        self.timesteps: list[int] = []
        self.episodes: list[Episodes] = []
        self.best_mean_reward = -np.inf
        self.best_timesteps = 0

    @property
    def last_mean_reward(self) -> float | None:
        """The mean return of the last evaluation."""
        return self.episodes[-1].mean_reward if self.episodes else None

    def evaluate_untrained(self, agent: Agent) -> str:
        """Evaluate the agent at timestep 0, where learning curves begin.

        It is neither reported nor kept: the best agent is one that training made. Where it earns a
        reward that is not finite, which training itself may allow, it is left out.

        :return: why it is left out; empty if it is not
        """
        self.model = agent  # type: ignore[assignment]  # as `learn` will do
        self.num_timesteps = 0
        try:
            self._on_time()
        except (EnvError, FloatingPointError) as error:
            # Copies in other processes, or borrowed from training, are now where nobody expects.
            if self.is_borrowing or isinstance(self.env.unwrapped, SubprocVecEnv):
                raise
            return str(error)
        return ""

    def _on_time(self) -> None:
        # Play the evaluation episodes.
        check_finite_parameters(self.model)
        with self.open_env() as env:
            episodes = play_episodes(
                self.model,
                env,
                self.episode_seeds,
                deterministic=self.deterministic,
                sampling_seed=self.sampling_seed,
            )
        episodes.check_finite()
        if self.bounds is not None:
            self.bounds.checked(episodes.returns)
        if self.notes is not None:
            self.notes.look_at_periodic(episodes)
        # Record them: for the run, for TensorBoard, on disk.
        self.timesteps.append(self.num_timesteps)
        self.episodes.append(episodes)
        self._log(episodes)
        self.run.measurements.save_evaluations(self.arrays())
        if self.num_timesteps == 0:
            return
        # Keep the agent if it is the best so far.
        if episodes.mean_reward > self.best_mean_reward or not self.best_timesteps:
            self.best_mean_reward = episodes.mean_reward
            self.best_timesteps = self.num_timesteps
            self.run.agents.save_best(self.num_timesteps, self._save_agent)
        self.report(self.num_timesteps, self.exact[-1] if self.exact else episodes.mean_reward)

    def _save_agent(self, folder: Path) -> None:
        save_agent(self.model, folder, self.run.weights_file)

    def _log(self, episodes: Episodes) -> None:
        self.logger.record("eval/mean_reward", episodes.mean_reward)
        self.logger.record("eval/mean_ep_length", float(episodes.lengths.mean()))
        if not np.isnan(episodes.successes).all():
            self.logger.record("eval/success_rate", float(np.nanmean(episodes.successes)))
        if self.scorer is not None and (score := self.scorer.score(self.model)) is not None:
            self.exact.append(score.mean_reward)
            self.logger.record("eval/exact_mean_reward", score.mean_reward)
            self.logger.record("eval/regret", score.regret)
        self.logger.record("time/total_timesteps", self.num_timesteps, exclude=NOT_TENSORBOARD)
        self.logger.dump(self.num_timesteps)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the n evaluations so far, of m episodes each."""
        n, m = len(self.episodes), len(self.episode_seeds)
        return {
            "timesteps": np.array(self.timesteps, dtype=np.int64),  # (n,)
            "returns": np.array([e.returns for e in self.episodes]).reshape(n, m),
            "lengths": np.array([e.lengths for e in self.episodes], dtype=np.int64).reshape(n, m),
            "successes": np.array([e.successes for e in self.episodes]).reshape(n, m),
            "seeds": np.array(self.episode_seeds, dtype=np.int64),  # (m,)
            "exact": np.array(self.exact),  # (n,) exact mean returns; (0,) where there are none
        }

    def restore_arrays(self, arrays: Mapping[str, np.ndarray], kept_best: int) -> None:
        """Continue from what :meth:`arrays` returned, and find out which evaluation was the best.

        If that one's agent has been lost, or replaced by one that this run may not produce again,
        the agent of the next evaluation counts as the best so far.

        :param kept_best: timesteps of the agent that is kept as the best; 0 if there is none
        """
        self.timesteps = [int(t) for t in arrays["timesteps"]]
        parts = (arrays["returns"], arrays["lengths"], arrays["successes"])
        self.episodes = [Episodes(arrays["seeds"], *rows) for rows in zip(*parts, strict=True)]
        self.exact = [float(value) for value in arrays.get("exact", ())]
        means = [episodes.mean_reward for episodes in self.episodes]
        trained = [i for i, timesteps in enumerate(self.timesteps) if timesteps > 0]
        if trained:
            best = max(trained, key=means.__getitem__)  # the first of equals
            if self.timesteps[best] == kept_best:
                self.best_mean_reward, self.best_timesteps = means[best], self.timesteps[best]
        shown = self.exact or means
        for i in trained:
            self.report(self.timesteps[i], shown[i])


class GridPolicyPicture(EveryTimesteps):
    """Shows a table's greedy policy over the map in TensorBoard."""

    def __init__(self, tiles: np.ndarray, every: int) -> None:
        super().__init__(every)
        self.tiles = tiles

    def _on_time(self) -> None:
        q_table = getattr(self.model, "q_table", None)
        if q_table is not None:
            figure = draw_grid_policy(q_table, self.tiles)
            self.logger.record("q_table/policy", Figure(figure, close=True), ONLY_TENSORBOARD)
            self.logger.dump(self.num_timesteps)


class ProgressTicker(BaseCallback):
    """Reports progress a few times a second.

    Steps per second are those since this process began to train, with updates, evaluations and
    checkpoints: of a segment's first rollout alone they would be several times as many.
    """

    SECONDS = 0.2
    next_timestep = math.inf  # it needs no call of its own

    def __init__(self, total_timesteps: int, report: Callable[[int, float], None]) -> None:
        super().__init__()
        self.total_timesteps = total_timesteps
        self.report = report
        self._began: tuple[int, float] | None = None  # timesteps, seconds
        self._last = time.monotonic()

    def _on_training_start(self) -> None:
        if self._began is None:
            self._began = (self.num_timesteps, time.monotonic())

    def _on_step(self) -> bool:
        now = time.monotonic()
        if self._began is not None and now - self._last >= self.SECONDS:
            self._last = now
            timesteps, began = self._began
            self.report(self.num_timesteps, (self.num_timesteps - timesteps) / (now - began))
        return True


def build_evaluation_callback(
    config: ExperimentConfig,
    eval_env: VecEnv,
    run: RunFolder,
    seeds: SeedTree,
    report: Callable[[int, float], None],
    note: Callable[[str], None],
) -> PeriodicEvaluation:
    """Build the periodic evaluation that the config asks for.

    :param note: is given what the evaluations show about the environment
    """
    every = config.eval.every or config.train.total_timesteps
    evaluation = PeriodicEvaluation(
        eval_env,
        run,
        seeds,
        every=every,
        config=config.eval,
        scorer=ExactScorer.for_env(config.env) if config.eval.deterministic else None,
        report=report,
    )
    evaluation.notes = EvaluationNotes(config.env, note)
    evaluation.bounds = bounds_to_check(config.env)
    return evaluation


def build_picture_callback(eval_env: VecEnv, every: int) -> GridPolicyPicture | None:
    """Build the picture of the policy over the map; None if the environment has no map."""
    first = getattr(eval_env.unwrapped, "envs", [None])[0]
    tiles = None if first is None else grid_tiles(first)
    return None if tiles is None else GridPolicyPicture(tiles, every)
