"""What-if and export of the cost ledger, compared with what PostgreSQL alone needs for the same rows.

`python -m bench billing [--calls 1000000]`. On a PostgreSQL of its own, filled by SQL. What-if is measured over a tenth
of the calls, beside one bare sum over them; the export beside `COPY` of the same columns, with the memory before and
after.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import astuple, fields
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from adapters.postgres.billing.call_export import PostgresCallExport
from adapters.postgres.figures.what_if import PostgresWhatIf
from adapters.postgres.ledger.pool import Database
from adapters.postgres.migrate import migrate
from api.costs.call_documents import to_csv, to_focus, to_json_lines
from domain.costs.projection import CallRow
from domain.costs.tariff import Rates, Tariff
from runtime.embedded import Ports, PostgresServer, run_server

AT = datetime(2026, 11, 3, 12, tzinfo=UTC)
FIRST, LAST = date(2026, 11, 1), date(2026, 11, 30)
TARIFF = Tariff("m", "v2", "operator", (Rates(Decimal(1), Decimal("0.1"), Decimal(10)),))
COLUMNS = [field.name for field in fields(CallRow)]
CALL = CallRow(
    call_id="c",
    attempt=1,
    tenant_id="some",
    state="settled",
    kind="chat",
    provider_call_id="resp_1",
    model="some/model",
    prompt_tokens=1_000,
    completion_tokens=100,
    total_tokens=1_100,
    estimated=False,
    cost=Decimal("0.000512"),
    worst_case=Decimal(1),
    price_version="v1",
    price_known=True,
    agent_id="agent",
    session_id="s1",
    workflow_id="chat-s1",
    key_id="key_1",
    project_id=None,
    error=None,
    at=AT,
    deadline=AT,
    ended_at=AT,
)
_VARIED = {"call_id": "'call-' || n", "agent_id": "'agent-' || n %% 48", "at": "at + n * interval '1 second'"}


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--calls", type=int, default=1_000_000)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="convergio-bench-") as directory:
        Path(directory).chmod(0o755)
        server = PostgresServer(Path(directory), Ports().pick())
        with run_server(server, Path(directory) / "log"):
            migrate(server.url)
            database = Database(server.url, size=2)
            database.open()
            _fill(database, "a", given.calls // 10)
            _what_if(database, given.calls // 10)
            _fill(database, "b", given.calls)
            _exports(database, given.calls)
            database.close()


def _fill(database: Database, tenant_id: str, calls: int) -> None:
    names = ", ".join(COLUMNS)
    marks = ", ".join(["%s"] * len(COLUMNS))
    varied = ", ".join(_VARIED.get(name, "%s" if name == "tenant_id" else name) for name in COLUMNS)
    varied = varied.replace("'call-'", f"'{tenant_id}-'")
    with database.connection() as connection:
        connection.execute("DELETE FROM cost_calls WHERE tenant_id = 'some'")
        connection.execute(f"INSERT INTO cost_calls ({names}) VALUES ({marks})".encode(), astuple(CALL))  # noqa: S608
        connection.execute(
            f"INSERT INTO cost_calls ({names}) SELECT {varied} FROM cost_calls, generate_series(1, %s) AS n"  # noqa: S608
            " WHERE tenant_id = 'some'".encode(),
            (tenant_id, calls),
        )
        connection.execute("ANALYZE cost_calls")


def _what_if(database: Database, calls: int) -> None:
    started = time.perf_counter()
    with database.connection() as connection:
        connection.execute("SELECT agent_id, sum(cost) FROM cost_calls WHERE tenant_id = 'a' GROUP BY 1").fetchall()
    bare = time.perf_counter() - started
    started = time.perf_counter()
    found = PostgresWhatIf(database).reprice("a", FIRST, LAST, TARIFF, "key")
    took = time.perf_counter() - started
    table = Table("what-if", "calls", "s", "ratio to one bare sum")
    table.add_row("repriced", f"{found.total.usage.requests:,}", f"{took:.2f}", f"{took / bare:.1f}")
    table.add_row("bare sum", f"{calls:,}", f"{bare:.2f}", "1.0")
    Console().print(table)


def _exports(database: Database, calls: int) -> None:
    table = Table("export", "rows", "s", "rows/s", "ratio to COPY", "client CPU s", "memory MiB before", "after")
    own = psutil.Process()
    bare, size = _copied(database)
    table.add_row(
        "COPY", f"{calls:,}", f"{bare:.1f}", f"{calls / bare:,.0f}", "1.0", "", "", f"({size >> 20} MiB read)"
    )
    reads = PostgresCallExport(database)
    ways = {"csv": to_csv, "jsonl": to_json_lines, "focus": lambda found: to_focus(found, "provider")}
    for name, way in ways.items():
        before, cpu, started = own.memory_info().rss >> 20, time.process_time(), time.perf_counter()
        for _ in way(reads.batches("b", FIRST, LAST)):
            pass
        took, cpu = time.perf_counter() - started, time.process_time() - cpu
        after = own.memory_info().rss >> 20
        rate, ratio = f"{calls / took:,.0f}", f"{took / bare:.1f}"
        table.add_row(name, f"{calls:,}", f"{took:.1f}", rate, ratio, f"{cpu:.1f}", str(before), str(after))
    Console().print(table)


def _copied(database: Database) -> tuple[float, int]:
    started = time.perf_counter()
    size = sum(len(block) for block in _blocks(database))
    return time.perf_counter() - started, size


def _blocks(database: Database) -> Iterator[bytes]:
    statement = f"COPY (SELECT {', '.join(COLUMNS)} FROM cost_calls WHERE tenant_id = 'b' ORDER BY at) TO STDOUT"  # noqa: S608
    with database.connection() as connection, connection.cursor().copy(statement.encode()) as copy:
        yield from map(bytes, copy)


if __name__ == "__main__":
    main()
