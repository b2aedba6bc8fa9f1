"""A call's reservation and settlement under limits, beside the bare SQL calls, and what counting costs in these.

`python -m bench.limits [--seconds 2] [--rounds 8]`. On a PostgreSQL of its own, with fsync on. The bare appends call
the same SQL function through libpq with parameters prepared before. Uncounted ones append the same bytes under a topic
that no limit counts.
"""

import argparse
import itertools
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

from eventsourcing.persistence import StoredEvent
from rich.table import Table

from activities.costs.bookkeeping import CostLedger
from activities.costs.joint_append import Companion
from activities.costs.reservation import Reservation, settled_event
from adapters.postgres.ledger.group_commit import APPEND, Append, append_parameters
from adapters.postgres.ledger.pool import Database, connect
from adapters.postgres.ledger.prepared import execute_prepared
from adapters.postgres.ledger.recorder import LedgerRecorder
from adapters.postgres.migrate import migrate
from bench.ledger import CONSOLE, LedgerMeasurement, drive
from domain.chat.model_port import ModelReply, Usage
from domain.costs import aggregate
from domain.costs.aggregate import CallIntent
from domain.costs.limits.commands import LimitChange, LimitCommands
from domain.costs.ports import Price
from domain.events import Cause
from domain.ids import random_id
from domain.ledger import Ledger
from domain.registry import event_registry
from runtime.embedded import Ports, PostgresServer, run_server

PRICE = Price(Decimal("0.00123"), "bench")
REPLY = ModelReply("Yes.", "stop", Usage(120, 80), model="gpt-5-mini")
ALONE = Companion("turn:none", lambda _: [])
Operations = Iterator[Callable[[], object]]


class OnePrice:
    """Every call costs the same."""

    def price(self, model: str, **tokens: object) -> Price:
        del model, tokens
        return PRICE


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=2)
    options.add_argument("--rounds", type=int, default=8)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="convergio-bench-") as directory:
        Path(directory).chmod(0o755)
        server = PostgresServer(Path(directory), Ports().pick())
        with run_server(server, Path(directory) / "log"):
            migrate(server.url)
            database = Database(server.url, size=16)
            database.open()
            ledger = Ledger(LedgerRecorder(database), event_registry())
            _set_limits(ledger)
            _measure(database, ledger, given.seconds, given.rounds)
            database.close()


def _set_limits(ledger: Ledger) -> None:
    """Set four limits that every call counts in, and that none reaches."""
    scopes = ("global", "tenant:default", "key:default/key_1", "agent:default/ada")
    cause = Cause("key_1", "req_1", datetime.now(UTC), "default")
    wanted = [LimitChange(scope, "month", Decimal(1_000_000)) for scope in scopes]
    LimitCommands(ledger).set_limits(wanted, cause, check=lambda _: None)


def _measure(database: Database, ledger: Ledger, seconds: float, rounds: int) -> None:
    table = Table("one call", "threads", "per s", "p50 ms", "p99 ms", "CPU ms", "p50 ratio", title="Reserve and settle")
    ways: dict[str, Callable[[], Operations]] = {
        "SQL calls, not counted": lambda: _bare_operations(database, counted=False),
        "SQL calls": lambda: _bare_operations(database, counted=True),
        "CostLedger": lambda: _ledger_operations(ledger),
    }
    for threads in (1, 8):
        found = {name: LedgerMeasurement() for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                drive(found[name], way, threads, seconds / rounds)
        reference = found["SQL calls"].p50
        for name, measured in found.items():
            table.add_row(name, str(threads), *measured.row(), f"{measured.p50 / reference:.2f}")
    CONSOLE.print(table)


def _intent(call_id: str) -> CallIntent:
    now = datetime.now(UTC)
    return CallIntent(
        call_id=call_id,
        kind="chat",
        model="gpt-5-mini",
        worst_case=Decimal("0.002125"),
        price_version="bench",
        prompt_tokens_bound=400,
        max_tokens=1024,
        deadline=now + timedelta(minutes=2),
        agent_id="ada",
        session_id="s1",
        workflow_id=f"chat-{call_id[:8]}",
        key_id="key_1",
        priced_at=now,
    )


def _ledger_operations(ledger: Ledger) -> Operations:
    books, prefix = CostLedger(ledger, OnePrice(), lambda: datetime.now(UTC)), random_id("b")

    def call(number: int) -> None:
        reserved = books.reserve(_intent(f"{prefix}-{number}"), ALONE, "req_1", untried=True)
        if isinstance(reserved, Reservation):
            books.settle(reserved, REPLY, ALONE, "req_1")

    for number in itertools.count(1):
        yield partial(call, number)


def _bare_operations(database: Database, *, counted: bool) -> Operations:
    """Return the same two appends as encoded parameters."""
    prefix, prepared, registry = random_id("b"), set[bytes](), event_registry()
    connection = connect(database.dsn)

    def call(appends: list[tuple[bytes, ...]]) -> None:
        for parameters in appends:
            execute_prepared(connection, prepared, APPEND, parameters)

    for number in itertools.count(1):
        intent = _intent(f"{prefix}-{number}")
        cause = Cause("key_1", "req_1", datetime.now(UTC), "default")
        [reserved] = aggregate.reserve(aggregate.Call(), intent, cause)
        settled = settled_event(Reservation(intent, 1, (), ()), REPLY, PRICE, cause)
        appends = []
        for version, event in enumerate((reserved, settled), 1):
            topic, state = registry.encode(event)
            stored = StoredEvent(f"call:{intent.call_id}", version, topic if counted else f"not.{topic}", state)
            appends.append(append_parameters([Append(f"bare:{intent.call_id}:{version}", [stored], [])]))
        yield partial(call, appends)


if __name__ == "__main__":
    main()
