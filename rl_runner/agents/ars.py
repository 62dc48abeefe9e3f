"""Augmented random search whose schedules follow absolute progress."""

from sb3_contrib import ARS


class AbsoluteARS(ARS):
    """sb3-contrib's ARS, with its schedules right when training goes on from a checkpoint.

    ``ARS.learn`` measures progress against the timesteps that are left, and not, as every other
    SB3 algorithm does, against all of them.
    """

    def _update_current_progress_remaining(self, num_timesteps: int, total_timesteps: int) -> None:
        del total_timesteps
        super()._update_current_progress_remaining(num_timesteps, self._total_timesteps)
