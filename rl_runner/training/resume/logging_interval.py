"""The one workaround that exact resuming needs of Stable-Baselines3's logging.

How often an SB3 algorithm writes its own metrics is an argument of ``learn``: it asks
``counter % log_interval == 0`` after each iteration (A2C, PPO and the like) or each episode (DQN,
SAC and the like). The counter of the second kind is an attribute and resumes with the agent. The
counter of the first kind is a local variable of ``learn``, starts at 0 in every call, and cannot be
set from outside. A run that resumes mid-segment calls ``learn`` again in the middle of what an
uninterrupted run does in one call, so it would log after other iterations.

The only thing that reaches the comparison from outside is ``log_interval`` itself. It is therefore
an integer that counts through both calls, by answering the ``%`` of SB3's comparison.
"""

import inspect
from typing import Self

from rl_runner.agents.protocol import Agent


class LoggingInterval(int):
    """The number of iterations or episodes between two writes of an algorithm's own metrics.

    ``counter % interval`` is computed as if there had been one ``learn`` only. ``last`` is the
    counter, counted through, when it was last asked for; a checkpoint keeps it.
    """

    last: int | None = None
    _offset: int | None = None  # what this call's counter lags behind; known when first asked

    @classmethod
    def of(cls, agent: Agent, last: int | None) -> Self:
        """Return an algorithm's own interval, counted on from ``last``; None starts again."""
        interval = cls(inspect.signature(agent.learn).parameters["log_interval"].default)
        interval.last = last
        return interval

    def __rmod__(self, counter: int) -> int:
        """Return the remainder of ``counter``, which is one more than when last asked."""
        if self._offset is None:
            self._offset = 0 if self.last is None else self.last + 1 - counter
        self.last = counter + self._offset
        return self.last % int(self)
