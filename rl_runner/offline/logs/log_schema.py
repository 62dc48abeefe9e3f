"""The columns of a log, their types, and the version of this schema; a row per recommendation.

==================== ========== ====================================================================
``schema_version``   integer    1
``event_id``         text       unique
``ts``               time       with time zone, when the recommendation was made
``user_id``          text
``session_id``       text       unique per user
``step``             integer    0, 1, 2 … within the session
the five traits      number     0 to 100
``content_type``     word       music, video, game
``mood``             word       as the policy observed it
``time_of_day``      word       morning, afternoon, evening, night
``action``           integer    0 to 26
``pscore``           number     (0, 1], the probability with which the action was chosen
``policy_id``        text       who chose it
``model_version``    text
``like`` … ``share`` true/false the five outcomes
``completion_rate``  number     0 to 1
``mood_before``      word
``mood_after``       word
``terminal``         true/false whether the person left after this recommendation
==================== ========== ====================================================================

There is no column for the reward, since it is computed from the outcomes when a log is read.
"""

import polars as pl

from rl_runner.envs.recommender.domain import (
    CONTENT_TYPES,
    MOODS,
    N_ACTIONS,
    TIMES_OF_DAY,
    TRAITS,
)
from rl_runner.envs.recommender.rewards import OUTCOMES

__all__ = ["ACTIONS", "COLUMNS", "OUTCOMES", "RANGES", "SCHEMA_VERSION", "TIME", "WORDS"]

SCHEMA_VERSION = 1
ACTIONS = N_ACTIONS  # how many there are, numbered from 0

TIME = pl.Datetime("us", "UTC")

WORDS = {  # columns that hold one of a few words
    "content_type": CONTENT_TYPES,
    "mood": MOODS,
    "time_of_day": TIMES_OF_DAY,
    "mood_before": MOODS,
    "mood_after": MOODS,
}
RANGES = {  # inclusive
    **dict.fromkeys(TRAITS, (0.0, 100.0)),
    "action": (0.0, ACTIONS - 1.0),
    "completion_rate": (0.0, 1.0),
}

COLUMNS: dict[str, pl.DataType] = {
    "schema_version": pl.Int16(),
    "event_id": pl.String(),
    "ts": TIME,
    "user_id": pl.String(),
    "session_id": pl.String(),
    "step": pl.Int32(),
    **dict.fromkeys(TRAITS, pl.Float32()),
    "content_type": pl.Enum(CONTENT_TYPES),
    "mood": pl.Enum(MOODS),
    "time_of_day": pl.Enum(TIMES_OF_DAY),
    "action": pl.Int16(),
    "pscore": pl.Float64(),
    "policy_id": pl.String(),
    "model_version": pl.String(),
    **dict.fromkeys(OUTCOMES, pl.Boolean()),
    "completion_rate": pl.Float32(),
    "mood_before": pl.Enum(MOODS),
    "mood_after": pl.Enum(MOODS),
    "terminal": pl.Boolean(),
}
