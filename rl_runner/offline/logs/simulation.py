"""Simulated logs: the interactions of simulated people with a policy.

Each person has all of their sessions, so that states occur in the proportions that the policy
causes. The log is reduced to its size by leaving out people, not days, and then sorted by time.
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
MORE_SESSIONS = 2.5  # per person on average, after the first
USERS_AT_ONCE = 20_000

_HOUR = 3_600_000_000  # microseconds
_FIRST_HOUR = np.array([6, 12, 18, 0]) * _HOUR  # when each time of day begins
_HOURS_TO_BEGIN = 5.0  # from the first hour, in which sessions begin
_STEP_MINUTES = (1.0, 6.0)  # from one recommendation to the next


@dataclass(frozen=True)
class LogPlan:
    """The plan of a simulated log.

    :param interactions: rows of the log
    :param days: the number of days over which they are spread
    :param end: the end of the last of these days
    :param policy_id: the name of the policy in the log
    :param model_version: its version in the log
    """

    interactions: int
    seed: int = 0
    days: int = 14
    end: datetime = DEFAULT_END
    policy_id: str = "simulated"
    model_version: str = "1"

    @property
    def tag(self) -> str:
        """Four hex digits in the ids of people and events, which differ between plans."""
        return f"{zlib.crc32(repr(self).encode()) & 0xFFFF:04x}"


def check_simulated(config: ExperimentConfig) -> None:
    """Raise ConfigError if an experiment's environment cannot be simulated as a log."""
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
    """Return the log of simulated people who get a policy's recommendations, in order of time.

    :param policy: (n_states, n_actions) P(a | s)
    """
    rng = np.random.default_rng(plan.seed)
    cdf = np.cumsum(policy, axis=1)
    frames: list[pl.DataFrame] = []
    n_rows = n_users = n_sessions = 0
    # Simulate groups of people until there are enough interactions.
    while n_rows < plan.interactions:
        size = int(np.clip((plan.interactions - n_rows) / 30, 50, USERS_AT_ONCE))
        frame = _simulate_people(size, (n_users, n_sessions), policy, cdf, plan, rng)
        frames.append(frame)
        n_rows, n_users = n_rows + len(frame), n_users + size
        n_sessions = 1 + int(frame["session_id"].max())  # type: ignore[arg-type]  # still numbers
    # Cut the log to size by leaving out the last people.
    people = pl.concat(frames).sort("user_id", "ts", "step").head(plan.interactions)
    return _named(people.sort("ts", "user_id", "step"), plan)


def _simulate_people(
    n_users: int,
    first: tuple[int, int],
    policy: np.ndarray,
    cdf: np.ndarray,
    plan: LogPlan,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Return all interactions of ``n_users`` people.

    :param first: numbers of the first user and the first session
    :param cdf: (n_states, n_actions) cumulative sums of the policy
    """
    # People, their sessions, and how these begin.
    people = People(default_population())
    bins, tastes = people.draw_people(n_users, rng)
    user = np.repeat(np.arange(n_users), 1 + rng.poisson(MORE_SESSIONS, n_users))
    session = np.arange(len(user))
    states = people.begin_sessions(bins[user], rng)
    ts = _beginnings(states[:, TIME], plan, rng)
    # One step of all sessions at a time: an action is drawn, and the person responds.
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
        # Sessions that continue, with the person's new mood and a pause.
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
    # A random day, and an hour that fits the time of day.
    day = rng.integers(plan.days, size=len(time_of_day)) * 24 * _HOUR
    within = rng.random(len(time_of_day)) * _HOURS_TO_BEGIN * _HOUR
    moments: np.ndarray = start + day + _FIRST_HOUR[time_of_day] + within.astype(np.int64)
    return moments


def _frame(
    steps: list[_Steps], traits: np.ndarray, first: tuple[int, int], plan: LogPlan
) -> pl.DataFrame:
    """Return the steps as one table, with users and sessions as numbers for now."""

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
    """Return the log with the words, ids and types of the schema instead of numbers."""
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
