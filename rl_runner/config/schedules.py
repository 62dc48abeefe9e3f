"""Schedules: a hyperparameter's value as a function of training progress."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from rl_runner.config.section import Section


class ScheduleConfig(Section):
    """``{schedule: linear, initial: 1e-3, final: 0}`` in a config.

    The value goes from ``initial`` (progress 0) to ``final`` (at ``fraction`` of the budget) and
    stays there. ``linear`` changes by equal differences, ``exponential`` by equal ratios,
    ``cosine`` along half a cosine (Loshchilov & Hutter 2017, eq. 5 with one period).
    """

    schedule: Literal["linear", "exponential", "cosine"]
    initial: float
    final: float = 0.0
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0

    @model_validator(mode="after")
    def _exponential_needs_positive_ends(self) -> "ScheduleConfig":
        if self.schedule == "exponential" and (self.initial <= 0 or self.final <= 0):
            message = "an exponential schedule needs `initial` and `final` above 0"
            raise ValueError(message)
        return self
