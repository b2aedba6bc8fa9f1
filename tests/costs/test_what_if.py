"""Repricing in the database: tiers, cached tokens, calls that cannot be repriced, and the tenants' own calls."""

from collections.abc import Iterator
from dataclasses import astuple, fields, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.genai_prices import GenaiPrices
from adapters.postgres.figures.what_if import PostgresWhatIf
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from domain.costs.projection import CallRow
from domain.costs.tariff import Rates, Tariff, Tokens
from domain.ledger import Change, Ledger
from domain.registry import event_registry
from tests.costs.test_projection import settled

MIGRATION = Path(__file__).parents[2] / "adapters/postgres/migrations/0033_cached_tokens.sql"

AT = datetime(2026, 11, 3, 12, tzinfo=UTC)
DAY = date(2026, 11, 3)
CALL = CallRow(
    call_id="c1",
    attempt=1,
    tenant_id="acme",
    state="settled",
    kind="chat",
    provider_call_id=None,
    model="some/model",
    prompt_tokens=1_000,
    completion_tokens=100,
    total_tokens=1_100,
    estimated=False,
    cost=Decimal("0.5"),
    worst_case=Decimal(1),
    price_version="v",
    price_known=True,
    agent_id="ada",
    session_id="acme~s1",
    workflow_id="chat-acme~s1",
    key_id="key_1",
    project_id=None,
    error=None,
    at=AT,
    deadline=AT,
    ended_at=AT,
)
TARIFF = Tariff("m", "v2", "operator", (Rates(Decimal(1), Decimal("0.1"), Decimal(10)),))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, size=2)
    database.open()
    yield database
    database.close()


def insert(database: Database, *rows: CallRow) -> None:
    names = ", ".join(field.name for field in fields(CallRow))
    marks = ", ".join(["%s"] * len(fields(CallRow)))
    statement = f"INSERT INTO cost_calls ({names}) VALUES ({marks})"  # noqa: S608  (the fields of a row)
    with database.connection() as connection, connection.cursor() as cursor:
        cursor.executemany(statement.encode(), [astuple(row) for row in rows])


@pytest.mark.parametrize("model", ["gemini-2.5-pro", "gpt-4o", "gpt-5.6-sol"])
def test_a_call_costs_in_sql_what_it_costs_by_its_tariff(database: Database, model: str) -> None:
    tariff = GenaiPrices().tariff(model, AT)
    assert tariff is not None
    sizes = [(1, 0, 1), (200_000, 0, 5), (272_001, 150_000, 9_000), (1_000_000, 1_000_000, 1), (7, 9, 9)]
    calls = [
        replace(
            CALL,
            call_id=f"c{number}",
            agent_id=f"agent-{number}",
            prompt_tokens=prompt,
            cached_prompt_tokens=cached,
            cache_write_tokens=written,
        )
        for number, (prompt, cached, written) in enumerate(sizes)
    ]
    insert(database, *calls)
    found = PostgresWhatIf(database).reprice("acme", DAY, DAY, tariff, None)
    expected = [
        tariff.cost(Tokens.of_call(prompt, 100, cached=cached, written=written)) for prompt, cached, written in sizes
    ]
    assert [group.repriced for group in found.by_agent] == expected
    assert found.total.repriced == sum(expected)


def test_only_calls_with_known_tokens_are_repriced(database: Database) -> None:
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "cost": Decimal(0)}
    insert(
        database,
        CALL,
        replace(CALL, call_id="c2", state="cut", price_known=False, cost=Decimal(0)),
        replace(CALL, call_id="c3", state="unknown", **nothing),
        replace(CALL, call_id="c4", state="reserved", **nothing),
        replace(CALL, call_id="c5", state="failed", **nothing),
        replace(CALL, call_id="c6", kind="embedding", completion_tokens=0, total_tokens=1_000),
    )
    tariff = replace(TARIFF, per_request=Decimal("0.001"))
    total = PostgresWhatIf(database).reprice("acme", DAY, DAY, tariff, None).total
    assert total.repriced == 2 * Decimal("0.003") + CALL.cost
    assert total.usage.cost == 2 * CALL.cost
    assert (total.usage.requests, total.kept, total.unpriced) == (3, 1, 1)
    assert (total.usage.reserved, total.usage.unknown, total.usage.failed, total.usage.open_cost) == (1, 1, 1, 2)


def test_a_tenants_calls_and_days_are_its_own(database: Database) -> None:
    insert(
        database,
        CALL,
        replace(CALL, call_id="c2", tenant_id="zeta"),
        replace(CALL, call_id="c3", at=AT + timedelta(days=1)),
        replace(CALL, call_id="c4", at=AT - timedelta(days=1)),
    )
    with database.connection() as connection:
        connection.execute(
            b"INSERT INTO cost_usage SELECT tenant, %s, 'ada', model, 'key_1', 1, 1, 1, 1, 0, 0, 0, 0"
            b" FROM (VALUES ('acme', 'some/model'), ('zeta', 'another/model')) AS used (tenant, model)",
            (DAY,),
        )
    reads = PostgresWhatIf(database)
    found = reads.reprice("acme", DAY, DAY, TARIFF, "session")
    assert (found.total.usage.requests, [group.usage.name for group in found.groups or ()]) == (1, ["s1"])
    assert [group.usage.name for group in found.daily] == ["2026-11-03"]
    assert [reads.used_models(tenant) for tenant in ("acme", "zeta")] == [{"some/model"}, {"another/model"}]
    assert reads.reprice("nobody", DAY, DAY, TARIFF, None).total.usage.requests == 0


def test_the_update_finds_the_cached_tokens_of_older_calls(database: Database) -> None:
    ledger = Ledger(LedgerRecorder(database), event_registry())
    for attempt, cached in ((1, 0), (2, 30)):
        event = settled("c1", attempt, cached_prompt_tokens=cached, finish='odd "finish" \\u0041')
        ledger.append(Change("call:c1", attempt - 1, [event]), key=f"end:{attempt}")
    insert(database, CALL, replace(CALL, attempt=2))
    [_, update] = MIGRATION.read_text().split(";", 1)
    with database.connection() as connection:
        connection.execute(update.encode())
        rows = connection.execute(b"SELECT attempt, cached_prompt_tokens FROM cost_calls ORDER BY 1").fetchall()
    assert rows == [(1, 0), (2, 30)]


def test_many_calls_of_many_agents_are_all_repriced(database: Database) -> None:
    insert(database, CALL)
    names = ", ".join(field.name for field in fields(CallRow) if field.name not in {"call_id", "agent_id"})
    with database.connection() as connection:
        connection.execute(
            f"INSERT INTO cost_calls (call_id, agent_id, {names}) SELECT 'n' || n, 'agent-' || n % 48, {names}"  # noqa: S608
            " FROM cost_calls, generate_series(1, 2000) AS n".encode()
        )
    found = PostgresWhatIf(database).reprice("acme", DAY, DAY, TARIFF, "key")
    assert found.total.usage.requests == 2_001
    assert found.total.repriced == 2_001 * Decimal("0.002")
