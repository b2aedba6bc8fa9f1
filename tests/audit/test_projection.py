"""The audit on real tables: every event has its row, and reading stays cheap however long the ledger is."""

import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from adapters.postgres.audit import PostgresAudit
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from adapters.postgres.projections.rebuild import Rebuild
from adapters.postgres.projections.runner import ProjectionRunner
from api.audit.export import to_csv, to_json_lines
from domain.agents.events import AgentRetired, NameClaimed
from domain.audit.ports import MOST_COUNTED, AuditFilter
from domain.audit.projection import AuditProjection, subject_of
from domain.events import Cause
from domain.ledger import Change, Ledger
from domain.registry import event_registry
from domain.signatures.ports import NO_SIGNER

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
ROWS = 30_000
_FILL = """
    INSERT INTO audit SELECT n, CASE n %% 3 WHEN 0 THEN 'acme' ELSE 'default' END,
        timestamptz '2026-01-01Z' + (n - n %% 7) * interval '1 second',
        'kind.k' || n %% 11, 'subject-' || n %% 5000, 'key_' || n %% 13, 'req_' || n
    FROM generate_series(1, %s) AS n
"""


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, size=2)
    database.open()
    yield database
    database.close()


@pytest.fixture
def filled(database_url: str, database: Database) -> PostgresAudit:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_FILL.encode(), (ROWS,))
        connection.execute("VACUUM ANALYZE audit")
    return PostgresAudit(database)


@pytest.mark.parametrize(
    ("stream", "subject"),
    [
        ("agent:ada", "ada"),
        ("agent~acme:ada", "ada"),
        ("turn:acme~my-session:00000001", "my-session:00000001"),
        ("run:exec_acme~12", "exec_acme~12"),
        ("revoked-12", "revoked-12"),
    ],
)
def test_a_subject_is_the_id_that_its_tenant_knows(stream: str, subject: str) -> None:
    assert subject_of(stream) == subject


def test_each_event_but_a_claim_is_listed_and_a_rebuild_gives_the_same(database_url: str, database: Database) -> None:
    registry = event_registry()
    ledger = Ledger(LedgerRecorder(database), registry)
    cause = Cause("key_7", "req_1", AT, "acme")
    retired, claimed = AgentRetired(**cause.fields()), NameClaimed(agent_id="ada", **cause.fields())
    ledger.append(
        Change("agent~acme:ada", 0, [retired]), Change("agent_name~acme:name:ada lovelace", 0, [claimed]), key="1"
    )
    ProjectionRunner(database_url, registry, [AuditProjection()]).catch_up()
    (entry,) = PostgresAudit(database).page(AuditFilter("acme"), skip=0, limit=10).entries
    assert (entry.kind, entry.subject, entry.by, entry.because, entry.at) == (
        "agent.retired",
        "ada",
        "key_7",
        "req_1",
        AT,
    )
    assert all(comparison.equal for comparison in Rebuild(database_url, registry, AuditProjection()).run().comparisons)


FILTERS = [
    AuditFilter("default"),
    AuditFilter("acme", before=3000),
    AuditFilter("default", by="key_3"),
    AuditFilter("default", kind="kind.k3", before=20_000),
    AuditFilter("default", subject="subject-17"),
    AuditFilter("default", since=AT - timedelta(days=400), until=AT),
    AuditFilter("nobodys"),
]


@pytest.mark.parametrize("wanted", FILTERS, ids=range(len(FILTERS)))
def test_a_page_is_read_from_an_index_in_its_order(
    filled: PostgresAudit, database: Database, wanted: AuditFilter, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    execute = psycopg.Connection.execute

    def explain(self: psycopg.Connection[object], query: bytes, parameters: object = None, **_: object) -> object:
        plan = execute(self, b"EXPLAIN " + query, parameters).fetchall()  # type: ignore[arg-type]
        asked.append("\n".join(str(row[0]) for row in plan))
        return execute(self, query, parameters)  # type: ignore[arg-type]

    monkeypatch.setattr(psycopg.Connection, "execute", explain)
    filled.page(wanted, skip=0, limit=100)
    page, total = asked
    assert "Seq Scan" not in page + total
    assert "Sort" not in page + total, page + total


def test_pages_by_position_hold_each_entry_once_also_where_times_are_equal(filled: PostgresAudit) -> None:
    seen: list[int] = []
    before: int | None = None
    while entries := filled.page(AuditFilter("acme", kind="kind.k3", before=before), skip=0, limit=97).entries:
        seen += [entry.position for entry in entries]
        before = entries[-1].position
    expected = [n for n in range(1, ROWS + 1) if n % 3 == 0 and n % 11 == 3]
    assert sorted(seen) == expected
    assert seen == sorted(seen, key=lambda n: (n - n % 7, n), reverse=True)


def test_a_cursor_of_another_tenant_leads_nowhere(filled: PostgresAudit) -> None:
    assert filled.page(AuditFilter("acme", before=1000), skip=0, limit=1).entries == []


def test_a_total_is_counted_up_to_a_bound(filled: PostgresAudit) -> None:
    assert filled.page(AuditFilter("default"), skip=0, limit=1).total == MOST_COUNTED
    assert filled.page(AuditFilter("default", subject="subject-17"), skip=0, limit=1).total == 4


def csv_of(reads: PostgresAudit, wanted: AuditFilter) -> Iterator[bytes]:
    return (text.encode() for text in to_csv(reads.export(wanted)))


def json_lines_of(reads: PostgresAudit, wanted: AuditFilter) -> Iterator[bytes]:
    return to_json_lines(reads.export(wanted), wanted, NO_SIGNER)


@pytest.mark.parametrize("written", [csv_of, json_lines_of], ids=["csv", "jsonl"])
def test_an_export_has_every_entry_in_flat_memory(
    filled: PostgresAudit, written: Callable[[PostgresAudit, AuditFilter], Iterator[bytes]]
) -> None:
    tracemalloc.start()
    lines = sum(part.count(b"\n") for part in written(filled, AuditFilter("default")))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert lines - 1 == ROWS * 2 // 3, "and a header or an end"
    assert peak < 12 * 2**20


def test_an_export_ends_at_the_entries_of_its_beginning(database_url: str, filled: PostgresAudit) -> None:
    export = filled.export(AuditFilter("default"))
    first = next(export)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO audit VALUES (%s, 'default', '2026-01-01Z', 'k.k', 's', 'b', 'r')", (ROWS + 1,))
    assert len(first) + sum(len(batch) for batch in export) == ROWS * 2 // 3
