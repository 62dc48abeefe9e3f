"""What a service asks of a model."""

import random
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

Arrays = dict[str, np.ndarray]


class Drawn(NamedTuple):
    """One action, drawn from the model's distribution."""

    action: Any  # plain JSON: a number, or a list of numbers
    probability: float  # with which it was drawn


class Model(Protocol):
    """A loaded model version, which never changes."""

    note: str  # that the code behind it has changed since it was trained; empty if not
    is_recurrent: bool  # whether actions depend on earlier contexts of the session
    is_slow: bool  # whether a forward pass would hold up other requests

    def encode(self, context: Mapping[str, Any] | Any) -> Any:
        """Return a checked context as the model's input; raises ValueError if it does not fit."""

    def check_eligible(self, eligible: Sequence[int]) -> None:
        """Raise ValueError if a model cannot choose from these actions."""

    def draw(
        self, encoded: Any, eligible: Sequence[int] | None, rng: random.Random, memory: Any = None
    ) -> tuple[Drawn, Any]:
        """Draw an action.

        :param encoded: from :meth:`encode`
        :param eligible: numbers of the actions to choose from; None means all
        :param memory: of a recurrent model: what the last call in this session returned
        :return: the action, and the memory for the next call
        """

    def example(self) -> Any:
        """Return a context that the model can answer, as JSON; None if the domain has one."""

    def golden_inputs(self) -> Arrays:
        """Return inputs for :meth:`answers`, always the same ones of this class and domain."""

    def answers(self, inputs: Arrays) -> np.ndarray:
        """Return (n, …) what the model makes of inputs, to compare with later answers."""


def draw_from(
    best: int, n: int, eligible: Sequence[int] | None, epsilon: float, rng: random.Random
) -> Drawn:
    """Draw the best action with probability 1 − ε, otherwise any eligible one uniformly.

    The probability returned is that of the action: (1 − ε) [a = best] + ε / n.
    """
    n_eligible = n if eligible is None else len(eligible)
    action = best
    if epsilon > 0 and rng.random() < epsilon:
        chosen = rng.randrange(n_eligible)
        action = chosen if eligible is None else eligible[chosen]
    return Drawn(action, (1.0 - epsilon) * (action == best) + epsilon / n_eligible)
