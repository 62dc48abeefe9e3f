"""The tables of a service's database: decisions, outcomes, model versions, tasks.

Rewards are never stored: they follow from outcomes.

Times are microseconds since 1970 (UTC) of the server's clock. Contexts and actions are JSON text.
"""

import sqlalchemy as sa

STORE_VERSION = 1

metadata = sa.MetaData()

_Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite counts INTEGER keys only

# What holds for the whole store: `store_version`, `domain`, `wait_seconds`.
service = sa.Table(
    "service",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("id", _Key, primary_key=True, autoincrement=True),  # in the order of commits
    sa.Column("event_id", sa.Text, nullable=False, unique=True),
    sa.Column("ts", sa.BigInteger, nullable=False),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("session_id", sa.Text, nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("context", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("pscore", sa.Float(53), nullable=False),  # the probability of the action in its arm
    sa.Column("policy_id", sa.Text, nullable=False),
    sa.Column("model_version", sa.Text, nullable=False),
    sa.Column("arm", sa.Text, nullable=False),
    sa.Column("arm_share", sa.Float(53), nullable=False),
    sa.Column("rollout_id", sa.Text),
    sa.Column("mode", sa.Text, nullable=False),  # live or shadow
    sa.Column("request", sa.Text, nullable=False),  # digest: the same event id, the same request
    sa.Column("is_shown", sa.Boolean),  # null: deferred, nothing reported yet
    sa.Column("shown_at", sa.BigInteger),
    sa.UniqueConstraint("user_id", "session_id", "step"),
    sa.Index("decisions_by_time", "ts"),
)

outcomes = sa.Table(
    "outcomes",
    metadata,
    sa.Column("id", _Key, primary_key=True, autoincrement=True),
    sa.Column("event_id", sa.Text, sa.ForeignKey("decisions.event_id"), nullable=False),
    sa.Column("outcome_id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("value", sa.Text, nullable=False),  # JSON
    sa.Column("ts", sa.BigInteger, nullable=False),  # when it happened, by the client
    sa.Column("received", sa.BigInteger, nullable=False),  # when it was reported, by the server
    sa.UniqueConstraint("event_id", "outcome_id"),
)


model_versions = sa.Table(
    "model_versions",
    metadata,
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("manifest", sa.Text, nullable=False),  # JSON
    sa.Column("registered", sa.Text, nullable=False),
    sa.Column("removed", sa.Text),  # when; decisions still name it
)

aliases = sa.Table(
    "aliases",
    metadata,
    sa.Column("alias", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, nullable=False),
)

alias_history = sa.Table(
    "alias_history",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("ts", sa.Text, nullable=False),
    sa.Column("alias", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("before", sa.Text),
    sa.Column("reason", sa.Text, nullable=False),
)

system_tasks = sa.Table(
    "system_tasks",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("task_name", sa.Text, nullable=False),
    sa.Column("executed_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("users_processed", sa.Integer),
    sa.Column("records_processed", sa.Integer),
    sa.Column("metadata", sa.JSON, nullable=False, default=dict),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("ts", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),  # the name of an API key, `server`, …
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
)
