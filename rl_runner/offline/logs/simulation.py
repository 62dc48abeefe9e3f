"""Logs of simulated people: what a log would hold had a policy recommended to them.

Every person lives through all of her sessions, so that the log has the states in the proportions
that the policy brings about. The log is cut to size by leaving out people, not days, and only then
put in the order of time.
"""

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from rl_runner.config import ExperimentConfig
from rl_runner.envs.recommender.domain import TRAITS, state_index
from rl_runner.envs.recommender.env import TIME_LIMIT
from rl_runner.envs.recommender.kernel import CONTENT, MOOD, TIME, People, traits_within
from rl_runner.envs.recommender.people import default_population
from rl_runner.envs.recommender.rewards import OUTCOMES
from rl_runner.errors import ConfigError, Problem
from rl_runner.offline.logs.log_schema import COLUMNS, SCHEMA_VERSION, WORDS

DEFAULT_END = datetime(2025, 6, 30, tzinfo=UTC)
MORE_SESSIONS = 2.5  # a person has one session and this many more on average
USERS_AT_ONCE = 20_000

_HOUR = 3_600_000_000  # microseconds
_FIRST_HOUR = np.array([6, 12, 18, 0]) * _HOUR  # when each time of day begins
_HOURS_TO_BEGIN = 5.0  # sessions begin within these hours
_STEP_MINUTES = (1.0, 6.0)  # from one recommendation to the next


@dataclass(frozen=True)
class LogPlan:
    """What to simulate.

    :param interactions: rows of the log
    :param days: over how many days they are spread
    :param end: the end of the last of these days
    :param policy_id: what the log calls the policy
    """

    interactions: int
    seed: int = 0
    days: int = 14
    end: datetime = DEFAULT_END
    policy_id: str = "simulated"
    model_version: str = "1"

    @property
    def tag(self) -> str:
        """Four hex digits that keep the people and events of one plan apart from another's."""
        return f"{zlib.crc32(repr(self).encode()) & 0xFFFF:04x}"


def check_simulated(config: ExperimentConfig) -> None:
    """Refuse an experiment whose people we do not simulate."""
    if config.env.id.rpartition(":")[2] != "Recommender-v0":
        what = f"Logs can be simulated for Recommender-v0, not for {config.env.id}."
        where = config.source.locate(("env", "id"))
        raise ConfigError(Problem(what, where, "Name a config of configs/recommender/."))


@dataclass
class _Steps:
    """The interactions of one step of many sessions."""

    user: np.ndarray
    session: np.ndarray
    step: np.ndarray
    ts: np.ndarray
    states: np.ndarray
    action: np.ndarray
    pscore: np.ndarray
    outcome: dict[str, np.ndarray]


def simulate_log(policy: np.ndarray, plan: LogPlan) -> pl.DataFrame:
    """Let simulated people live with a policy; return the log in the order of time.

    :param policy: (262500, 27) P(a | s)
    """
    rng = np.random.default_rng(plan.seed)
    cdf = np.cumsum(policy, axis=1)
    frames: list[pl.DataFrame] = []
    n_rows = n_users = n_sessions = 0
    while n_rows < plan.interactions:
        size = int(np.clip((plan.interactions - n_rows) / 30, 50, USERS_AT_ONCE))
        frame = _live(size, (n_users, n_sessions), policy, cdf, plan, rng)
        frames.append(frame)
        n_rows, n_users = n_rows + len(frame), n_users + size
        n_sessions = 1 + int(frame["session_id"].max())  # type: ignore[arg-type]  # still numbers
    people = pl.concat(frames).sort("user_id", "ts", "step").head(plan.interactions)
    return _named(people.sort("ts", "user_id", "step"), plan)


def _live(
    n_users: int,
    first: tuple[int, int],
    policy: np.ndarray,
    cdf: np.ndarray,
    plan: LogPlan,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Return all interactions of ``n_users`` people, numbered from ``first`` user and session."""
    people = People(default_population())
    bins, tastes = people.draw_people(n_users, rng)
    user = np.repeat(np.arange(n_users), 1 + rng.poisson(MORE_SESSIONS, n_users))
    session = np.arange(len(user))
    states = people.begin_sessions(bins[user], rng)
    ts = _beginnings(states[:, TIME], plan, rng)
    steps: list[_Steps] = []
    for step in range(TIME_LIMIT):
        rows = state_index(states)
        action = (rng.random(len(rows))[:, None] >= cdf[rows, :-1]).sum(axis=1)
        outcome = people.respond(states, tastes[user], action, rng)
        steps.append(
            _Steps(
                user=user,
                session=session,
                step=np.full(len(user), step),
                ts=ts,
                states=states,
                action=action,
                pscore=policy[rows, action],
                outcome=vars(outcome),
            )
        )
        stays = ~outcome.terminal
        if not stays.any():
            break
        user, session = user[stays], session[stays]
        states = states[stays].copy()
        states[:, MOOD] = outcome.mood_after[stays]
        pause = rng.uniform(*_STEP_MINUTES, len(user)) * _HOUR / 60
        ts = ts[stays] + pause.astype(np.int64)
    return _frame(steps, traits_within(bins, rng), first, plan)


def _beginnings(time_of_day: np.ndarray, plan: LogPlan, rng: np.random.Generator) -> np.ndarray:
    """Return when sessions begin, in microseconds since 1970."""
    start = int((plan.end - timedelta(days=plan.days)).timestamp() * 1e6)
    day = rng.integers(plan.days, size=len(time_of_day)) * 24 * _HOUR
    within = rng.random(len(time_of_day)) * _HOURS_TO_BEGIN * _HOUR
    moments: np.ndarray = start + day + _FIRST_HOUR[time_of_day] + within.astype(np.int64)
    return moments


def _frame(
    steps: list[_Steps], traits: np.ndarray, first: tuple[int, int], plan: LogPlan
) -> pl.DataFrame:
    """Put the steps below each other; identities stay numbers for now."""

    def column(name: str) -> np.ndarray:
        return np.concatenate([getattr(step, name) for step in steps])

    user, states = column("user"), column("states")
    # Cut to hundredths from below, so that no trait is rounded into the next bin.
    traits = np.floor(traits * 100) / 100
    data = {
        "ts": column("ts"),
        "user_id": user + first[0],
        "session_id": column("session") + first[1],
        "step": column("step").astype(np.int32),
        **{name: traits[user, i].astype(np.float32) for i, name in enumerate(TRAITS)},
        "content_type": states[:, CONTENT].astype(np.uint8),
        "mood": states[:, MOOD].astype(np.uint8),
        "time_of_day": states[:, TIME].astype(np.uint8),
        "action": column("action").astype(np.int16),
        "pscore": column("pscore"),
        **{
            name: np.concatenate([step.outcome[name] for step in steps])
            for name in (*OUTCOMES, "completion_rate", "mood_before", "mood_after", "terminal")
        },
    }
    end = int(plan.end.timestamp() * 1e6)
    return pl.DataFrame(data).filter(pl.col("ts") < end)


def _named(log: pl.DataFrame, plan: LogPlan) -> pl.DataFrame:
    """Turn numbers into the words and types of the schema."""
    return log.with_columns(
        pl.lit(SCHEMA_VERSION, pl.Int16).alias("schema_version"),
        *(
            pl.concat_str(pl.lit(f"{name[0]}{plan.tag}-"), number).alias(name)
            for name, number in (
                ("event_id", pl.int_range(pl.len())),
                ("user_id", pl.col("user_id")),
                ("session_id", pl.col("session_id")),
            )
        ),
        pl.from_epoch("ts", time_unit="us").dt.replace_time_zone("UTC"),
        *(
            pl.col(name).replace_strict(range(len(known)), known, return_dtype=pl.Enum(known))
            for name, known in WORDS.items()
        ),
        pl.col("completion_rate").round(4).cast(pl.Float32),
        pl.lit(plan.policy_id).alias("policy_id"),
        pl.lit(plan.model_version).alias("model_version"),
    ).select(*COLUMNS)
