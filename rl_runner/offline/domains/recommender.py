"""The recommender's domain: a person and a moment, 27 ways to recommend, eight outcomes."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, create_model

from rl_runner.envs.recommender.domain import (
    BINS,
    CONTENT_TYPES,
    MOODS,
    STATE_STRIDES,
    TIMES_OF_DAY,
    TRAITS,
    RecommendationAction,
)
from rl_runner.envs.recommender.rewards import OUTCOMES, rewards
from rl_runner.offline.domains.protocol import Decided, Outcome, OutcomeKind, latest
from rl_runner.offline.logs.log_schema import COLUMNS, SCHEMA_VERSION

_Trait = Annotated[float, Field(ge=0, le=100)]
_WORDS = {"content_type": CONTENT_TYPES, "mood": MOODS, "time_of_day": TIMES_OF_DAY}
_TRAIT_STRIDES = tuple(zip(TRAITS, STATE_STRIDES.tolist(), strict=False))
_WORD_NUMBERS = tuple(
    (name, {word: i * stride for i, word in enumerate(words)})
    for (name, words), stride in zip(
        _WORDS.items(), STATE_STRIDES[len(TRAITS) :].tolist(), strict=True
    )
)
_EXCLUSIVE = (("like", "dislike"), ("complete", "skip"))

RecommenderContext: type[BaseModel] = create_model(  # type: ignore[call-overload]  # by name
    "RecommenderContext",
    __config__=ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False),
    **dict.fromkeys(TRAITS, (_Trait, ...)),
    **{name: (Literal[words], ...) for name, words in _WORDS.items()},
)


class RecommenderDomain:
    """Contexts, actions and outcomes of the recommender.

    ``terminal`` says whether the person left. Where nobody reported it, the last decision of a
    session is terminal: the exporter waits until no other can follow.
    """

    name = "recommender"
    context_model = RecommenderContext
    kinds: Mapping[str, OutcomeKind] = {
        **{name: OutcomeKind(name, is_flag=True) for name in OUTCOMES},
        "completion_rate": OutcomeKind("completion_rate", low=0.0, high=1.0),
        "mood_after": OutcomeKind("mood_after", words=MOODS),
        "terminal": OutcomeKind("terminal", is_flag=True),
    }

    example = (
        {
            **dict(zip(TRAITS, (75, 60, 40, 80, 30), strict=True)),
            "content_type": "music",
            "mood": "calm",
            "time_of_day": "evening",
        },
        ("like", True),
    )

    def parameters(self, action: Any) -> dict[str, Any]:
        """Return the parameters of a catalogue's API."""
        return RecommendationAction.from_index(action).to_recommendation_params()

    def check_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Refuse a like with a dislike, and a complete with a skip."""
        happened = {outcome.kind for outcome in outcomes if outcome.value is True}
        for one, other in _EXCLUSIVE:
            if {one, other} <= happened:
                message = f"`{one}` and `{other}` exclude each other"
                raise ValueError(message)

    def reward(self, context: Mapping[str, Any], outcomes: Sequence[Outcome]) -> float:
        """Return the reward by the default weights, in [−1.8, 3.3]."""
        found = _combined(context, outcomes, is_last=False)
        columns = {name: np.array([found[name]]) for name in (*OUTCOMES, "completion_rate")}
        before, after = (np.array([MOODS.index(found[f"mood_{t}"])]) for t in ("before", "after"))
        return float(rewards(columns, before, after)[0])

    def rows(self, decisions: Sequence[tuple[Decided, Sequence[Outcome]]]) -> pl.DataFrame:
        """Return rows of the schema in :mod:`rl_runner.offline.logs.log_schema`."""
        # Every column from the decision, its context or its outcomes.
        rows = [
            {
                "schema_version": SCHEMA_VERSION,
                **decided._asdict(),
                **decided.context,
                **_combined(decided.context, outcomes, is_last=decided.is_last),
            }
            for decided, outcomes in decisions
        ]
        columns = {
            name: pl.Series(name, [row[name] for row in rows], pl.Int64() if name == "ts" else kind)
            for name, kind in COLUMNS.items()
        }
        # Times as instants in UTC.
        frame = pl.DataFrame(columns)
        return frame.with_columns(
            pl.from_epoch("ts", time_unit="us").dt.replace_time_zone("UTC")
        ).select(*COLUMNS)


def state_of(context: Mapping[str, Any]) -> int:
    """Return the number of the state that a checked context describes.

    It is :attr:`RecommendationState.index`, without arrays: a service asks for it at each decision.
    """
    row = 0
    for name, stride in _TRAIT_STRIDES:
        row += min(int(context[name] * BINS // 100), BINS - 1) * stride
    for name, numbers in _WORD_NUMBERS:
        row += numbers[context[name]]
    return row


def _combined(
    context: Mapping[str, Any], outcomes: Sequence[Outcome], *, is_last: bool
) -> dict[str, Any]:
    """Return the outcome columns: a flag if any report says so, otherwise the latest report."""
    happened = {outcome.kind for outcome in outcomes if outcome.value is True}
    terminal = latest(outcomes, "terminal")
    return {
        **{name: name in happened for name in OUTCOMES},
        "completion_rate": latest(outcomes, "completion_rate") or 0.0,
        "mood_before": context["mood"],
        "mood_after": latest(outcomes, "mood_after") or context["mood"],
        "terminal": is_last if terminal is None else terminal,
    }
