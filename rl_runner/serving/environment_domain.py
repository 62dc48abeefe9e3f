"""The domain of a service, and that of one with ``env``: observations in, rewards as outcomes."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from pydantic import RootModel

from rl_runner.offline.domains import find_domain
from rl_runner.offline.domains.protocol import Decided, Domain, Outcome, OutcomeKind, latest
from rl_runner.serving.config import ServeConfig


class Observation(RootModel[Any]):
    """A number, a list of numbers, or an object of them, as the environment's space says."""


class EnvironmentDomain:
    """Contexts, actions and outcomes of an environment.

    :param env_id: Gymnasium's id
    """

    context_model = Observation
    kinds: Mapping[str, OutcomeKind] = {
        "reward": OutcomeKind("reward"),
        "terminated": OutcomeKind("terminated", is_flag=True),
        "truncated": OutcomeKind("truncated", is_flag=True),
    }

    example = (None, ("reward", 1.0))  # the model has observations

    def __init__(self, env_id: str) -> None:
        self.name = f"env:{env_id}"

    def parameters(self, action: Any) -> dict[str, Any]:  # noqa: ARG002 - the protocol's signature
        """Return nothing: the action is what the environment takes."""
        return {}

    def check_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Accept all: rewards add up, and an episode may be terminated and truncated."""

    def reward(self, context: Any, outcomes: Sequence[Outcome]) -> float:  # noqa: ARG002 - as above
        """Return the sum of the reported rewards."""
        return float(sum(outcome.value for outcome in outcomes if outcome.kind == "reward"))  # type: ignore[misc]  # numbers

    def rows(self, decisions: Sequence[tuple[Decided, Sequence[Outcome]]]) -> pl.DataFrame:
        """Return one row per decision; observations and actions are JSON texts."""
        rows = [
            {
                **decided._asdict(),
                "context": json.dumps(decided.context),
                "action": json.dumps(decided.action),
                "reward": self.reward(decided.context, outcomes),
                "terminated": latest(outcomes, "terminated") or False,
                "truncated": latest(outcomes, "truncated") or False,
            }
            for decided, outcomes in decisions
        ]
        frame = pl.DataFrame(rows, infer_schema_length=None).drop("is_last")
        return frame.with_columns(pl.from_epoch("ts", time_unit="us").dt.replace_time_zone("UTC"))


def service_domain(config: ServeConfig) -> Domain:
    """Return the domain of a service."""
    if config.domain is not None:
        return find_domain(config.domain, config.name)
    return EnvironmentDomain(config.env or "")
