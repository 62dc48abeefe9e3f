"""The service: it draws actions from the champion, stores what it answered, and swaps versions."""

import asyncio
import contextlib
import gc
import hashlib
import itertools
import json
import random
import secrets
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from pydantic import BaseModel, RootModel

from rl_runner.errors import ConfigError, Problem, describe_exception
from rl_runner.offline.domains.protocol import Domain, check_value
from rl_runner.runs.provenance import now
from rl_runner.serving.config import ServeConfig
from rl_runner.serving.environment_domain import service_domain
from rl_runner.serving.messages import EVENT_ID, DecisionRequest, OutcomeReports
from rl_runner.serving.models.protocol import Drawn, Model
from rl_runner.serving.models.registry import CHAMPION, LoadedVersion, Registry
from rl_runner.serving.problems import ApiError
from rl_runner.serving.sessions import Memory, SessionMemories
from rl_runner.serving.store.audit import SERVER
from rl_runner.serving.store.jobs import (
    DecisionJob,
    NewOutcome,
    OutcomeCounts,
    OutcomeJob,
    ShownJob,
    StoredDecision,
    no_decision,
)
from rl_runner.serving.store.setup import Store, claim_store, open_store
from rl_runner.serving.store.statements import Statements
from rl_runner.serving.store.writer import Writer
from rl_runner.serving.summary import Summaries
from rl_runner.serving.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Sequence

_PROCESS = secrets.token_hex(8)  # 64 random bits: no two processes share ids
_counter = itertools.count()

_SORTED = json.JSONEncoder(separators=(",", ":"), sort_keys=True)
LAST_ERRORS = 20  # that the operations page shows


@dataclass(frozen=True)
class Snapshot:
    """All that one decision uses; a swap replaces it as a whole."""

    version: str
    policy_id: str
    model: Model
    registered: str
    arm: str = CHAMPION


@dataclass
class Service:
    """One running service."""

    config: ServeConfig
    domain: Domain
    store: Store
    registry: Registry
    writer: Writer
    lock: FileLock | None
    snapshot: Snapshot
    started: float = field(default_factory=time.time)
    errors: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=LAST_ERRORS))
    is_draining: bool = False
    tasks: Tasks = field(init=False)
    summaries: Summaries = field(init=False)
    rng: random.Random = field(default_factory=random.Random)  # seeded by the system

    def __post_init__(self) -> None:
        self._model_thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self.tasks = Tasks(self.config, self.store, self.registry)
        self.summaries = Summaries(self.store, self.domain)
        self._memories = SessionMemories(self.store.reading)
        self._swapping = threading.Lock()
        self._statements = Statements(self.store.reading.dialect)
        self.parameters = lru_cache(maxsize=4096)(self._parameters)

    @classmethod
    def open(cls, config: ServeConfig) -> "Service":
        """Open the store, load the champion and begin to write.

        The config's ``champion`` counts at the first start; later the registry's alias does, so
        that a restart does not undo a promotion.

        :raises RunnerError: if the store, the champion or the config is at fault
        """
        with contextlib.ExitStack() as opened:  # closed again if anything is refused
            lock = claim_store(config)
            if lock is not None:
                opened.callback(lock.release)
            store = open_store(config)
            opened.callback(store.close)
            domain = service_domain(config)
            registry = Registry(config, store)
            loaded = _champion(config, registry)
            writer = Writer(store.writing, domain, keeps_steps=lock is not None)
            service = cls(config, domain, store, registry, writer, lock, snapshot_of(loaded))
            if lock is not None:
                service.tasks.note_interrupted()
            writer.start()
            opened.pop_all()
            return service

    def close(self) -> None:
        """Store what waits, and let go of everything."""
        self.is_draining = True
        self.writer.close()
        self._model_thread.shutdown()
        self.store.close()
        if self.lock is not None:
            self.lock.release()

    # --- decide -----------------------------------------------------------------------------------

    async def decide(self, request: DecisionRequest) -> StoredDecision:
        """Draw an action, store it, and return what is stored under the request's event id.

        :raises ApiError: if the request is refused, or cannot be stored
        """
        return await self.begin_decision(request)

    def begin_decision(self, request: DecisionRequest) -> "asyncio.Future[StoredDecision]":
        """Do the same without a task where the model allows it; return what will be stored.

        :raises ApiError: if the request is refused; the future raises it if it cannot be stored
        """
        snapshot = self.snapshot
        encoded, context = self._read(request, snapshot.model)
        if snapshot.model.is_recurrent:
            deciding = self._decide_in_session(request, snapshot, encoded, context)
            return asyncio.ensure_future(deciding)
        if snapshot.model.is_slow:
            return asyncio.ensure_future(self._decide_aside(request, snapshot, encoded, context))
        drawn, _ = snapshot.model.draw(encoded, request.eligible, self.rng)
        return self._submit(request, snapshot, drawn, context)

    def check(self, request: DecisionRequest) -> None:
        """Refuse a request that the champion cannot answer; nothing is drawn or stored.

        :raises ApiError: with the reason
        """
        self._read(request, self.snapshot.model)

    def _read(self, request: DecisionRequest, model: Model) -> tuple[Any, str]:
        """Return the model's input, and the context as JSON."""
        given: BaseModel = request.context
        try:
            encoded = model.encode(given.model_dump())
            if request.eligible is not None:
                model.check_eligible(request.eligible)
        except ValueError as error:
            raise ApiError("invalid-request", f"{error}.") from None
        # The same context is the same text: a domain's parts have an order, others are sorted.
        if isinstance(given, RootModel):
            return encoded, _SORTED.encode(given.root)
        return encoded, given.model_dump_json()

    async def _decide_aside(
        self, request: DecisionRequest, snapshot: Snapshot, encoded: Any, context: str
    ) -> StoredDecision:
        """Decide with a model that would hold up other requests."""
        loop, draw = asyncio.get_running_loop(), snapshot.model.draw
        thread = self._model_thread
        drawn, _ = await loop.run_in_executor(thread, draw, encoded, request.eligible, self.rng)
        return await self._submit(request, snapshot, drawn, context)

    async def _decide_in_session(
        self, request: DecisionRequest, snapshot: Snapshot, encoded: Any, context: str
    ) -> StoredDecision:
        """Decide with a recurrent model: one request of a session after the other."""
        session = request.user_id, request.session_id
        loop = asyncio.get_running_loop()

        def draw() -> tuple[Drawn, Memory]:
            memory = self._memories.recall(session, snapshot.version, snapshot.model)
            drawn, value = snapshot.model.draw(encoded, request.eligible, self.rng, memory.value)
            return drawn, Memory(snapshot.version, memory.step + 1, value)

        async with self._memories.lock(session):
            # A repeated request must not advance the memory a second time.
            if request.event_id is not None and (known := self.find(request.event_id)) is not None:
                return known.answer_to(digest(request, context))
            drawn, after = await loop.run_in_executor(self._model_thread, draw)
            self._memories.forget(session)
            stored = await self._submit(request, snapshot, drawn, context)
            if stored.step + 1 == after.step:
                self._memories.remember(session, after)
            return stored

    def _submit(
        self, request: DecisionRequest, snapshot: Snapshot, drawn: Drawn, context: str
    ) -> "asyncio.Future[StoredDecision]":
        action = drawn.action
        job = DecisionJob(
            future=asyncio.get_running_loop().create_future(),
            event_id=request.event_id or new_event_id(),
            is_clients_id=request.event_id is not None,
            user_id=request.user_id,
            session_id=request.session_id,
            context=context,
            action=str(action) if type(action) is int else json.dumps(action),
            pscore=drawn.probability,
            policy_id=snapshot.policy_id,
            model_version=snapshot.version,
            arm=snapshot.arm,
            is_deferred=request.deferred,
            request=digest(request, context),
        )
        self.writer.submit(job)
        return job.future

    def _parameters(self, action: str) -> str:
        """Return an action's parameters as JSON."""
        return json.dumps(self.domain.parameters(json.loads(action)))

    def find(self, event_id: str) -> StoredDecision | None:
        """Return a stored decision."""
        with self.store.reading.connect() as connection:
            cursor = connection.connection.cursor()
            return self._statements.find(cursor, [event_id]).get(event_id)

    # --- report -----------------------------------------------------------------------------------

    async def report(self, event_id: str, reports: OutcomeReports) -> OutcomeCounts:
        """Store outcomes of a decision: all, or none.

        :raises ApiError: if a kind or value is wrong, or contradicts what is known
        """
        return await self.begin_report(event_id, reports)

    def begin_report(
        self, event_id: str, reports: OutcomeReports
    ) -> "asyncio.Future[OutcomeCounts]":
        """Do the same, and return what will be stored.

        :raises ApiError: if a kind or value is wrong; the future raises it for contradictions
        """
        new: list[NewOutcome] = []
        for i, each in enumerate(reports.outcomes):
            try:
                check_value(self.domain, each.kind, each.value)
            except ValueError as error:
                place = {"pointer": f"/outcomes/{i}", "detail": f"{error}"}
                raise ApiError("invalid-request", f"{error}.", [place]) from None
            new.append(NewOutcome(each.outcome_id or each.kind, each.kind, each.value, each.ts))
        named = [outcome.outcome_id for outcome in new]
        if len(set(named)) < len(named):
            what = "Two outcomes have the same id; without `outcome_id`, that is their kind."
            raise ApiError("invalid-request", what)
        future: asyncio.Future[OutcomeCounts] = asyncio.get_running_loop().create_future()
        self.writer.submit(OutcomeJob(future, _possible(event_id), new))
        return future

    def begin_shown(self, event_id: str, *, is_shown: bool) -> "asyncio.Future[bool]":
        """Store whether a decision was shown, and return what will be stored.

        :raises ApiError: if it is unknown; the future raises it if the opposite was reported
        """
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.writer.submit(ShownJob(future, _possible(event_id), is_shown))
        return future

    # --- versions ---------------------------------------------------------------------------------

    def use(self, loaded: LoadedVersion) -> None:
        """Decide with another version from now on."""
        self.snapshot = snapshot_of(loaded)

    def promote(self, name: str, actor: str) -> LoadedVersion:
        """Make a version the champion, and decide with it from now on.

        :param name: the version, its first digits or an alias
        :raises RunnerError: if there is no such version, or it is damaged; then nothing changes
        """
        with self._swapping:
            loaded = self.registry.promote(self.registry.find(name), actor=actor)
            self._replace(loaded)
        return loaded

    def roll_back(self, actor: str) -> LoadedVersion:
        """Make the previous champion the champion again, and decide with it from now on.

        :raises RunnerError: if there is none, or it is damaged; then nothing changes
        """
        with self._swapping:
            loaded = self.registry.rollback(actor)
            self._replace(loaded)
        return loaded

    def _replace(self, loaded: LoadedVersion) -> None:
        """Use another version, and free the memory of the former one now.

        Agents refer to themselves, and arrays of any size count as one object, so Python would
        collect them long after the memory was needed.
        """
        self.use(loaded)
        gc.collect()

    def follow_champion(self) -> None:
        """Load the champion if the alias names another version; keep the old one if it cannot be.

        A promotion on the command line takes effect by this.
        """
        with self._swapping:  # a version that is being promoted here is not followed as well
            named = self.registry.aliases().get(CHAMPION)
            if named is not None and named != self.snapshot.version:
                self._replace(self.registry.load(named))

    def example(self) -> Any:
        """Return a context that can be sent."""
        context = self.snapshot.model.example()
        return self.domain.example[0] if context is None else context

    def example_outcome(self) -> dict[str, Any]:
        """Return an outcome that can be reported."""
        kind, value = self.domain.example[1]
        return {"kind": kind, "value": value}

    def note_error(self, error: BaseException | str) -> None:
        """Keep an error for the operations page."""
        text = error if isinstance(error, str) else describe_exception(error)
        self.errors.append((now(), text))

    def why_not_ready(self) -> str:
        """Return why no decision can be made now; empty if one can."""
        if self.is_draining:
            return "The server is shutting down."
        if not self.writer.is_alive:
            return "The writer of the store has ended."
        return self.writer.last_error and f"The store is not available: {self.writer.last_error}"


def _champion(config: ServeConfig, registry: Registry) -> LoadedVersion:
    """Load the champion: by its alias, or at the first start as the config says."""
    named = registry.aliases().get(CHAMPION)
    if named is not None:
        return registry.load(named)
    run = _named_run(config)
    if run is not None:
        return registry.promote(registry.register(run, SERVER).version, "first start", SERVER)
    try:
        return registry.promote(registry.find(config.champion), "first start", SERVER)
    except ConfigError as error:
        what = f"`champion: {config.champion}` is neither a run's folder nor a registered version."
        cure = "The path is relative to the current folder; `rl train` makes runs."
        raise ConfigError(Problem(what, config.name, cure)) from error


def _named_run(config: ServeConfig) -> Path | None:
    """Return the run's folder that `champion` names; None if it names no folder.

    :raises ConfigError: if a pattern matches several
    """
    path = Path(config.champion)
    if path.is_dir():
        return path
    try:
        found = [] if path.is_absolute() else sorted(Path().glob(config.champion))
    except ValueError:  # no pattern
        found = []
    if len(found) > 1:
        what = f"`champion: {config.champion}` matches {len(found)} folders."
        raise ConfigError(Problem(what, config.name, f"Name one, for example {found[-1]}."))
    return found[0] if found else None


def snapshot_of(loaded: LoadedVersion) -> Snapshot:
    """Return what decisions use of a version."""
    manifest = loaded.artifact.manifest
    return Snapshot(manifest.version, manifest.policy_id, loaded.model, manifest.registered)


def new_event_id() -> str:
    """Return an id that no other decision has; later ids are larger, which keeps indexes dense."""
    return f"{time.time_ns() // 1000:014x}-{_PROCESS}-{next(_counter):x}"


def _possible(event_id: str) -> str:
    """Return the event id of a path, if a decision can have it.

    A database need not even understand others: PostgreSQL refuses some characters.

    :raises ApiError: if no decision can have it
    """
    if EVENT_ID.fullmatch(event_id) is None:
        raise no_decision(event_id)
    return event_id


def digest(request: DecisionRequest, context: str) -> str:
    """Return what makes two requests the same, but for their event ids."""
    parts: Sequence[Any] = (
        request.user_id,
        request.session_id,
        context,
        request.eligible,
        request.deferred,
    )
    return hashlib.blake2b(repr(parts).encode("utf-8", "replace"), digest_size=12).hexdigest()
