"""Who changed what: one row per change by an administrator, in the transaction of the change."""

import sqlalchemy as sa

from rl_runner.offline.store.tables import audit
from rl_runner.runs.provenance import now
from rl_runner.serving.messages import AuditEntry

COMMAND_LINE = "command line"
SERVER = "server"  # by itself, at the first start


def note_change(connection: sa.Connection, actor: str, action: str, subject: str) -> None:
    """Add a row in the transaction that makes the change."""
    row = {"ts": now(), "actor": actor, "action": action, "subject": subject}
    connection.execute(audit.insert(), row)


def latest_changes(connection: sa.Connection, limit: int) -> list[AuditEntry]:
    """Return the latest rows, newest first."""
    columns = audit.c.ts, audit.c.actor, audit.c.action, audit.c.subject
    rows = connection.execute(sa.select(*columns).order_by(audit.c.id.desc()).limit(limit))
    return [AuditEntry(**row) for row in rows.mappings()]
