"""The checks of `convergio doctor`: each yields one or more findings."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import httpx2
from psycopg import Connection
from redis import Redis
from redis.exceptions import RedisError
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, GetSystemInfoRequest
from temporalio.client import Client
from temporalio.service import RPCError

from adapters.postgres.ledger.pool import Database, connect
from adapters.postgres.ledger.recorder import LedgerRecorder
from adapters.postgres.migrate import applied_migrations, known_migrations
from domain.errors import Unavailable
from domain.ledger import Ledger
from domain.registry import event_registry
from runtime import temporal
from runtime.settings import Settings
from runtime.wiring.model_provider import Provider, providers
from runtime.wiring.parts import now
from runtime.wiring.signatures import make_signatures
from workflows import task_queues as queues

_PATIENCE_S = 3.0
_BEHIND = """
    SELECT projection, position, (SELECT coalesce(max(notification_id), 0) FROM ledger_events) AS head,
        (SELECT count(*) FROM ledger_events WHERE notification_id > position) AS behind,
        (SELECT count(*) FROM projection_dead_letters AS d WHERE d.projection = p.projection) AS dead
    FROM projection_positions AS p ORDER BY projection
"""
_LARGE_LAG = 1000
_CALLERS = """
    SELECT count(*) FILTER (WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())), count(*),
        (SELECT count(*) + 1 FROM tenants WHERE deleted_at IS NULL)
    FROM api_keys
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `wrong` ones make the doctor's exit code 1; `absent` ones are optional."""

    what: str
    state: Literal["ok", "wrong", "absent"]
    detail: str


def all_findings(settings: Settings) -> Iterator[Finding]:
    """Run all checks, one server after the other."""
    yield from _database(settings)
    yield from asyncio.run(_temporal(settings))
    yield _valkey(settings.redis_url)
    yield from (_model(each) for each in providers(settings))


def _database(settings: Settings) -> Iterator[Finding]:
    if settings.database_url is None:
        yield Finding("PostgreSQL", "wrong", "DATABASE_URL is not set, and no convergio up runs here")
        return
    try:
        with connect(settings.database_url) as connection:
            yield _versions(connection)
            missing = [name for name in known_migrations() if name not in applied_migrations(settings.database_url)]
            yield _finding("migrations", not missing, f"missing: {', '.join(missing)}" if missing else "current")
            if not missing:
                yield from _projections(connection)
                yield _authentication(settings, connection)
                yield _check_signing_keys(settings)
    except Unavailable as error:
        yield Finding("PostgreSQL", "wrong", f"{error.message}: {_first_line(error.__cause__)}")


def _versions(connection: Connection[Any]) -> Finding:
    row = connection.execute(
        "SELECT current_setting('server_version'), (SELECT extversion FROM pg_extension WHERE extname = 'vector')"
    ).fetchone()
    server, vector = row or ("?", None)
    return Finding("PostgreSQL", "ok", f"{server}, pgvector {vector or 'not installed'}")


def _projections(connection: Connection[Any]) -> Iterator[Finding]:
    rows = connection.execute(_BEHIND).fetchall()
    if not rows:
        yield Finding("projections", "wrong", "none has ever run: start convergio projections")
    for name, position, head, behind, dead in rows:
        good = behind <= _LARGE_LAG and not dead
        set_aside = f", {dead} events set aside" if dead else ""
        yield _finding(f"projection {name}", good, f"at {position} of {head}, {behind} behind{set_aside}")


def _authentication(settings: Settings, connection: Connection[Any]) -> Finding:
    """Return who may call; `off` is no fault where only this machine can call."""
    active, keys, tenants = connection.execute(_CALLERS).fetchone() or (0, 0, 0)
    known = f"{active} of {keys} created keys valid, {tenants} tenants with default"
    if not settings.auth_on:
        return Finding(
            "authentication", "absent", f"off in this environment: callers on this machine need no key; {known}"
        )
    tokens = "and tokens" if settings.oidc_issuers else "no tokens"
    return Finding("authentication", "ok", f"keys, {tokens} of identity providers; {known}")


def _check_signing_keys(settings: Settings) -> Finding:
    database = Database(settings.database_url or "", size=1)
    database.open()
    try:
        signatures = make_signatures(settings, Ledger(LedgerRecorder(database), event_registry()), database, now)
        ring = signatures.reader.ring(fresh=True)
        if signatures.keys is None:
            state: Literal["wrong", "absent"] = "wrong" if ring.keys else "absent"
            others = ", though this deployment signs: no process starts" if ring.keys else ""
            return Finding("signatures", state, f"answers are not signed: CONVERGIO_SIGNING_KEY is not set{others}")
        if ring.current is None:
            return Finding("signatures", "ok", "the first process that starts makes the key that signs")
        opens = signatures.keys.opens(ring.current)
        fault = "" if opens else ", which CONVERGIO_SIGNING_KEY does not open"
        return _finding("signatures", opens, f"answers are signed by {ring.current.key_id}{fault}")
    finally:
        database.close()


async def _temporal(settings: Settings) -> list[Finding]:
    if settings.temporal_address is None:
        return [Finding("Temporal", "wrong", "TEMPORAL_ADDRESS is not set, and no convergio up runs here")]
    try:
        async with asyncio.timeout(_PATIENCE_S):
            client = await temporal.connect(settings)
            info = await client.workflow_service.get_system_info(GetSystemInfoRequest())
            return [
                Finding("Temporal", "ok", f"{info.server_version}, namespace {client.namespace}"),
                await _search_attributes(client),
                await _workers(client),
            ]
    except (RPCError, RuntimeError, TimeoutError) as error:
        return [Finding("Temporal", "wrong", f"no answer from {settings.temporal_address}: {_first_line(error)}")]


async def _search_attributes(client: Client) -> Finding:
    missing = await temporal.missing_attributes(client)
    return _finding("search attributes", not missing, f"missing: {', '.join(missing)}" if missing else "registered")


async def _workers(client: Client) -> Finding:
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=queues.WORKFLOW_QUEUE),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    pollers = (await client.workflow_service.describe_task_queue(request)).pollers
    return _finding("workers", bool(pollers), f"{len(pollers)} on {queues.WORKFLOW_QUEUE}")


def _valkey(url: str | None) -> Finding:
    if url is None:
        return Finding("Valkey", "wrong", "REDIS_URL is not set, and no convergio up runs here")
    try:
        with Redis.from_url(url, socket_timeout=_PATIENCE_S, socket_connect_timeout=_PATIENCE_S) as client:
            info: Any = client.info("server")
    except RedisError as error:
        return Finding("Valkey", "wrong", _first_line(error))
    return Finding("Valkey", "ok", f"{info.get('valkey_version') or info['redis_version']}")


def _model(named: Provider) -> Finding:
    if named.url is None:
        return Finding("model", "absent", "neither OPENAI_API_KEY nor OPENAI_BASE_URL is set")
    url = f"{named.url.rstrip('/')}/models"
    try:
        response = httpx2.get(url, headers={"Authorization": f"Bearer {named.key or 'none'}"}, timeout=_PATIENCE_S)
    except httpx2.HTTPError as error:
        return Finding("model", "wrong", f"no answer from {url}: {_first_line(error)}")
    return _finding("model", response.is_success, f"{url} answers {response.status_code}")


def _finding(what: str, good: object, detail: str) -> Finding:
    return Finding(what, "ok" if good else "wrong", detail)


def _first_line(error: BaseException | None) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
