"""Augmented random search whose schedules follow absolute progress."""

from sb3_contrib import ARS
from sb3_contrib.common.vec_env import AsyncEval
from stable_baselines3.common.callbacks import BaseCallback


class AbsoluteARS(ARS):
    """sb3-contrib's ARS, with two corrections that make it exact to resume from a checkpoint.

    ``ARS.learn`` measures progress against the remaining timesteps; every other SB3 algorithm
    measures it against all of them. It also calls ``on_rollout_start`` only after it has drawn its
    candidates: a run that is interrupted there would lose them.
    """

    def _update_current_progress_remaining(self, num_timesteps: int, total_timesteps: int) -> None:
        del total_timesteps
        super()._update_current_progress_remaining(num_timesteps, self._total_timesteps)

    def _do_one_update(self, callback: BaseCallback, async_eval: AsyncEval | None) -> None:
        callback.on_rollout_start()
        super()._do_one_update(_WithoutStart(callback), async_eval)


class _WithoutStart(BaseCallback):
    """Forwards the events of a rollout, except for its start, which has been called already."""

    def __init__(self, inner: BaseCallback) -> None:
        super().__init__()
        self.inner = inner

    def on_rollout_start(self) -> None:
        pass

    def on_step(self) -> bool:
        return self.inner.on_step()

    def _on_step(self) -> bool:
        return self.inner.on_step()

    def on_rollout_end(self) -> None:
        self.inner.on_rollout_end()
