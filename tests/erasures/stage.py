"""A search for a text in every place where the platform could have kept it, and erasures that are over."""

from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier, Literal
from redis import Redis

from tests.system import System, until

ERASURES = "/api/v1/erasures"
COLUMNS = """
    SELECT table_name, column_name, data_type FROM information_schema.columns
    WHERE table_schema = 'public' ORDER BY table_name, ordinal_position
"""
_OF_VALKEY = {
    b"hash": "hgetall",
    b"list": lambda store, key: store.lrange(key, 0, -1),
    b"set": "smembers",
    b"stream": "xrange",
    b"string": "get",
    b"zset": lambda store, key: store.zrange(key, 0, -1, withscores=True),
}


async def erased(system: System, kind: str, subject: str, **headers: str) -> dict[str, Any]:
    """The erasure of a subject, once it is completed."""
    asked = await system.http.post(ERASURES, json={"kind": kind, "id": subject}, headers=headers)
    assert asked.status_code == 202, asked.text
    return await completed(system, asked.headers["location"], **headers)


async def completed(system: System, location: str, *, seconds: float = 90, **headers: str) -> dict[str, Any]:
    answer = await until(
        lambda: system.http.get(location, headers=headers),
        lambda answer: answer.status_code == 200 and answer.json()["status"] == "completed",
        seconds=seconds,
    )
    return dict(answer.json())


async def places(system: System, mark: str) -> list[str]:
    """The places that hold a text: columns of all tables, histories of workflows, keys of Valkey."""
    return [*in_tables(system, mark), *await in_temporal(system, mark), *in_valkey(system, mark)]


def in_tables(system: System, mark: str) -> list[str]:
    found: list[str] = []
    with psycopg.connect(str(system.settings.database_url), autocommit=True) as connection:
        for table, column, kind in connection.execute(COLUMNS).fetchall():
            if kind == "bytea":
                holds = SQL("position(convert_to({}, 'UTF8') IN {}) > 0").format(Literal(mark), Identifier(column))
            else:
                holds = SQL("position({} IN {}::text) > 0").format(Literal(mark), Identifier(column))
            rows = connection.execute(
                SQL("SELECT count(*) FROM {} WHERE ").format(Identifier(table)) + holds
            ).fetchone()
            if rows and rows[0]:
                found.append(f"{table}.{column}: {rows[0]}")
    return found


async def in_temporal(system: System, mark: str) -> list[str]:
    found: list[str] = []
    async for run in system.temporal.list_workflows():
        history = await system.temporal.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
        if any(mark.encode() in event.SerializeToString() for event in history.events) or mark in run.id:
            found.append(f"workflow {run.id}")
    return found


def in_valkey(system: System, mark: str) -> list[str]:
    found: list[str] = []
    with Redis.from_url(str(system.settings.redis_url)) as store:
        for key in store.scan_iter():
            read = _OF_VALKEY[store.type(key)]
            value = getattr(store, read)(key) if isinstance(read, str) else read(store, key)
            if mark in repr(key) or mark in repr(value):
                found.append(f"valkey {key!r}")
    return found


def figures(system: System) -> list[tuple[Any, ...]]:
    """Sums of cost and tokens, and the number of calls."""
    with psycopg.connect(str(system.settings.database_url)) as connection:
        return connection.execute(
            "SELECT tenant_id, count(*), sum(cost), sum(total_tokens), sum(prompt_tokens) FROM cost_calls"
            " GROUP BY tenant_id ORDER BY tenant_id"
        ).fetchall()
