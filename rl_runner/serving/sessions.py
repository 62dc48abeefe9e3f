"""What recurrent models remember of sessions, so that each request continues where the last ended.

The memory is a cache: the store has every context of a session, and a session that is not in the
cache (after a restart, or after another version became the champion) is replayed from there.
"""

import asyncio
import json
import random
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from rl_runner.offline.store.tables import decisions
from rl_runner.serving.models.protocol import Model

MOST_SESSIONS = 10_000

Session = tuple[str, str]  # user and session


@dataclass
class Memory:
    """What a model version remembers of one session."""

    version: str
    step: int = 0  # the next one
    value: Any = None


@dataclass
class SessionMemories:
    """The memories of the sessions that were active last."""

    engine: sa.Engine
    memories: OrderedDict[Session, Memory] = field(default_factory=OrderedDict)
    locks: dict[Session, asyncio.Lock] = field(default_factory=dict)

    def lock(self, session: Session) -> asyncio.Lock:
        """Return the lock under which one session's requests follow each other."""
        return self.locks.setdefault(session, asyncio.Lock())

    def recall(self, session: Session, version: str, model: Model) -> Memory:
        """Return the memory of a session, replayed from the store if it is not at hand."""
        found = self.memories.get(session)
        if found is None or found.version != version:
            found = self._replay(session, version, model)
        return found

    def remember(self, session: Session, memory: Memory) -> None:
        """Keep a memory, and forget the oldest ones."""
        self.memories[session] = memory
        self.memories.move_to_end(session)
        while len(self.memories) > MOST_SESSIONS:
            oldest, _ = self.memories.popitem(last=False)
            self.locks.pop(oldest, None)

    def forget(self, session: Session) -> None:
        """Forget a session, so that the next request replays it."""
        self.memories.pop(session, None)

    def _replay(self, session: Session, version: str, model: Model) -> Memory:
        """Show the model every context of the session again, in their order."""
        c = decisions.c
        query = (
            sa.select(c.step, c.context)
            .where(c.user_id == session[0], c.session_id == session[1])
            .order_by(c.step)
        )
        memory, unused = Memory(version), random.Random(0)  # noqa: S311 - actions are not used
        with self.engine.connect() as connection:
            for row in connection.execute(query):
                encoded = model.encode(json.loads(row.context))
                _, memory.value = model.draw(encoded, None, unused, memory.value)
                memory.step = row.step + 1
        return memory
