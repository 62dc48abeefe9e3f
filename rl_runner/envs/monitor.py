"""Episode statistics with exact sums."""

import math
from typing import Any

from stable_baselines3.common.monitor import Monitor


class ExactMonitor(Monitor):
    """SB3's Monitor, whose returns are exact sums.

    SB3's own rounds each return to six decimals: returns of 1e-8 were all 0.
    """

    def step(self, action: Any) -> Any:
        """Step; at the end of an episode ``info["episode"]["r"]`` is the exact return.

        :raises FloatingPointError: if the return is too large for a float
        """
        result = super().step(action)
        if self.needs_reset:
            result[4]["episode"]["r"] = exact_sum(self.rewards)
        return result


def exact_sum(rewards: list[float]) -> float:
    """Return the sum of finite rewards, rounded once (Shewchuk 1997).

    :raises FloatingPointError: if it is too large for a float
    """
    try:
        return math.fsum(rewards)
    except OverflowError:
        message = "the return of an episode is too large for a float: scale the rewards down"
        raise FloatingPointError(message) from None
