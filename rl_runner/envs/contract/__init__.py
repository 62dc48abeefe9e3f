"""The contract of a Gymnasium environment, checked where its results come in.

An algorithm believes what an environment returns. One NaN makes every weight NaN; an observation
of shape (1,) is spread over the four numbers of its space; a negative number in a space of bytes
wraps around. :class:`ContractGuard` looks at every result of one copy before anything is computed
from it.
"""

from rl_runner.envs.contract.guard import ContractGuard

__all__ = ["ContractGuard"]
