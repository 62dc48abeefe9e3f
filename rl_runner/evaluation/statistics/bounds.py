"""The range of the returns that are possible, and the error if a return lies outside of it."""

from dataclasses import dataclass

import numpy as np

from rl_runner.errors import Problem, RunnerError

TOLERANCE = 1e-6  # relative to the larger bound: rewards are often single-precision numbers


class OutOfBoundsError(RunnerError):
    """A return lies outside the range that was declared or derived for it."""


@dataclass(frozen=True)
class Bounds:
    """The smallest and the largest possible value of a quantity, and how they are known."""

    low: float
    high: float
    source: str  # e.g. "transition table", for tables and error messages

    @property
    def width(self) -> float:
        """The distance between the bounds."""
        return self.high - self.low

    def checked(self, values: np.ndarray) -> np.ndarray:
        """Return the values, clipped to the bounds where rounding put them outside.

        :param values: of any shape
        :raises OutOfBoundsError: if a value lies outside by more than rounding
        """
        slack = TOLERANCE * max(abs(self.low), abs(self.high))
        outside = values[(values < self.low - slack) | (values > self.high + slack)]
        if outside.size:
            what = (
                f"A return of {outside.flat[0]:g} was observed, but the {self.source} says that "
                f"returns lie between {self.low:g} and {self.high:g}."
            )
            cure = (
                "Correct the bounds: `env.return_bounds: [low, high]` in the config comes before "
                "all other sources."
            )
            raise OutOfBoundsError(Problem(what, "env.return_bounds", cure))
        return np.asarray(np.clip(values, self.low, self.high))
