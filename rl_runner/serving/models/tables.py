"""The tables of versions and aliases, in the same database as decisions and outcomes."""

import sqlalchemy as sa

from rl_runner.offline.store.tables import metadata

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
