"""The ledger compared with its bare parts: appends, the time from event to view, and rebuilding.

`python -m bench.ledger [--events 100000] [--seconds 2] [--rounds 8]`. On a PostgreSQL of its own, with fsync on. The
bare append calls the same SQL function through libpq with parameters prepared before; load is put on one at a time.
"""

import argparse
import asyncio
import itertools
import logging
import random
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from threading import Event as Flag

import orjson
import psutil
import structlog
from rich.console import Console
from rich.table import Table

from adapters.postgres.ledger import log
from adapters.postgres.ledger.group_commit import APPEND, Append, append_parameters
from adapters.postgres.ledger.pool import Database, connect
from adapters.postgres.ledger.prepared import execute_prepared
from adapters.postgres.ledger.recorder import LedgerRecorder
from adapters.postgres.migrate import migrate
from adapters.postgres.projections.positions import LivePositions
from adapters.postgres.projections.rebuild import Rebuild
from adapters.postgres.projections.runner import ProjectionRunner
from domain.analytics.projection import RatingsProjection
from domain.chat.events import SessionOpened, TurnAnswered, TurnRated, TurnStarted
from domain.chat.projection import ChatProjection
from domain.chat.ratings import stream as rating_stream
from domain.chat.sessions import session_stream
from domain.chat.turns import turn_stream
from domain.costs import aggregate as costs
from domain.costs.events import CallReserved, CallSettled
from domain.costs.projection import CostsProjection
from domain.events import Event
from domain.ids import random_id
from domain.ledger import Change, Ledger
from domain.projection import Projection
from domain.registry import event_registry
from runtime.embedded import Ports, PostgresServer, run_server

ROOT = Path(__file__).parents[1]
TURNS_PER_SESSION = 10
_MAX_OPERATIONS = 4_000  # operations prepared for one load
_WARM_UP = 20
START = datetime(2026, 1, 1, tzinfo=UTC)
CONSOLE = Console()


@dataclass
class LedgerMeasurement:
    """Seconds of single operations, and the client's CPU seconds for all of them."""

    times: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cpu: float = 0.0

    def row(self) -> list[str]:
        p99 = statistics.quantiles(self.times, n=100)[98]
        rate, each = len(self.times) / self.seconds, self.cpu / len(self.times)
        return [f"{rate:,.0f}", f"{self.p50 * 1e3:.2f}", f"{p99 * 1e3:.2f}", f"{each * 1e3:.3f}"]

    @property
    def p50(self) -> float:
        return statistics.median(self.times)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--events", type=int, default=100_000)
    options.add_argument("--seconds", type=float, default=2)
    options.add_argument("--rounds", type=int, default=8)
    options.add_argument("--project", help="(for itself) run the projections of this database")
    given = options.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    if given.project:
        ProjectionRunner(given.project, event_registry(), [ChatProjection(), CostsProjection()]).run(Flag())
    with tempfile.TemporaryDirectory(prefix="convergio-bench-") as directory:
        Path(directory).chmod(0o755)
        server = PostgresServer(Path(directory), Ports().pick())
        with run_server(server, Path(directory) / "log"):
            migrate(server.url)
            database = Database(server.url, size=16)
            database.open()
            _appends(database, given.seconds, given.rounds)
            _to_view(database)
            _rebuilds(database, given.events)
            database.close()


def _appends(database: Database, seconds: float, rounds: int) -> None:
    ledger = Ledger(LedgerRecorder(database), event_registry())
    table = Table("append of 2 events", "threads", "per s", "p50 ms", "p99 ms", "CPU ms", "p50 ratio", title="Appends")
    ways = {"SQL function": lambda: _bare_operations(database), "Ledger.append": lambda: _append_operations(ledger)}
    for threads in (1, 8):
        found = {name: LedgerMeasurement() for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                drive(found[name], way, threads, seconds / rounds)
        reference = found["SQL function"].p50
        for name, measured in found.items():
            table.add_row(name, str(threads), *measured.row(), f"{measured.p50 / reference:.2f}")
    reads = LedgerMeasurement()
    drive(reads, lambda: _read_operations(ledger), 1, seconds / 2)
    table.add_row("Ledger.read", "1", *reads.row(), "")
    CONSOLE.print(table)


def drive(
    found: LedgerMeasurement, way: Callable[[], Iterator[Callable[[], object]]], threads: int, seconds: float
) -> None:
    """Run a thread's prepared operations until they are done or time is up. The first few warm it up."""
    ready = [list(itertools.islice(way(), _WARM_UP + _MAX_OPERATIONS // threads)) for _ in range(threads)]
    for acts in ready:
        for act in acts[:_WARM_UP]:
            act()

    def work(acts: list[Callable[[], object]]) -> list[float]:
        times, end = [], time.perf_counter() + seconds
        for act in acts[_WARM_UP:]:
            begun = time.perf_counter()
            if begun > end:
                break
            act()
            times.append(time.perf_counter() - begun)
        return times

    cpu, started = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        for times in pool.map(work, ready):
            found.times += times
    found.seconds += time.perf_counter() - started
    found.cpu += time.process_time() - cpu


def _changes(session: str, turn: int, call_id: str) -> list[Change]:
    begun = _call_reserved(session, turn, call_id, START), _turn_started(session, turn, call_id, START)
    return [Change(costs.stream(call_id), 0, begun[:1]), Change(turn_stream(session, turn), 0, begun[1:])]


def _append_operations(ledger: Ledger) -> Iterator[Callable[[], object]]:
    session = random_id("s")
    for turn in itertools.count(1):
        call_id = f"{session}-{turn}"
        yield partial(ledger.append, *_changes(session, turn, call_id), key=f"reserve:{call_id}:1")


def _bare_operations(database: Database) -> Iterator[Callable[[], object]]:
    """Return the same appends as encoded parameters."""
    session, prepared = random_id("s"), set[bytes]()
    connection = connect(database.dsn)
    ledger = Ledger(LedgerRecorder(database), event_registry())
    for turn in itertools.count(1):
        call_id = f"{session}-{turn}"
        stored = [ledger.mapper.to_stored_event(e) for c in _changes(session, turn, call_id) for e in c.stream_events()]
        yield partial(
            execute_prepared, connection, prepared, APPEND, append_parameters([Append(f"bare:{call_id}", stored, [])])
        )


def _read_operations(ledger: Ledger) -> Iterator[Callable[[], object]]:
    streams = [recorded.stream for recorded in ledger.after(0, 500)]
    while True:
        yield partial(ledger.read, random.choice(streams))  # noqa: S311  (no secret)


def _to_view(database: Database) -> None:
    """Measure one append at a time, with the runner in a process of its own, until readers would be notified."""
    table = Table("from append to view", "p50 ms", "p99 ms", "runner's share of a core", title="Event to view")
    ledger = Ledger(LedgerRecorder(database), event_registry())
    with connect(database.dsn) as ears:
        _empty(ears)
    with _run_projections(database) as runner, connect(database.dsn) as ears, _positions(database) as positions:
        ears.execute("LISTEN projected")
        session, opened = _session_opened(random_id("s"), START)
        ledger.append(Change(session_stream(session), 0, [opened]), key=session)
        _wait_until_projected(ears, ledger.head())
        turns = iter(range(1, 10**9))

        def append() -> int:
            turn = next(turns)
            return ledger.append(*_changes(session, turn, f"{session}-{turn}"), key=f"{session}-{turn}") or 0

        async def asked() -> None:
            append()
            if not await positions.wait("costs"):
                raise SystemExit("the runner does not keep up")

        with asyncio.Runner() as loop:
            ways = {
                "with a waiting reader": lambda: loop.run(asked()),
                "without one": lambda: _wait_until_projected(ears, append()),
            }
            for name, way in ways.items():
                table.add_row(name, *_measure_visibility(way, runner))
    CONSOLE.print(table)


def _measure_visibility(way: Callable[[], None], runner: psutil.Process) -> list[str]:
    waits, cpu, started = [], _cpu(runner), time.perf_counter()
    for _ in range(150):
        time.sleep(random.uniform(0, 0.04))  # noqa: S311  (no secret)
        waits.append(_measure_seconds(way))
    busy = (_cpu(runner) - cpu) / (time.perf_counter() - started)
    cuts = statistics.quantiles(waits, n=100)
    return [f"{cuts[49] * 1e3:.1f}", f"{cuts[98] * 1e3:.1f}", f"{busy:.0%}"]


@contextmanager
def _positions(database: Database) -> Iterator[LivePositions]:
    positions = LivePositions(database.dsn, database)
    positions.start()
    try:
        yield positions
    finally:
        positions.close()


def _empty(connection: log.Connection) -> None:
    connection.execute("TRUNCATE ledger_events RESTART IDENTITY")
    connection.execute("TRUNCATE ledger_keys, projection_positions, projection_dead_letters")
    connection.execute("TRUNCATE chat_sessions, chat_turns, cost_calls, cost_usage, turn_ratings")


def _wait_until_projected(ears: log.Connection, position: int) -> None:
    if log.read_positions(ears, ["costs"]).get("costs", -1) >= position:
        return
    while True:
        select.select([ears.fileno()], [], [], 5)
        for notice in ears.notifies(timeout=0):
            if orjson.loads(notice.payload).get("costs", 0) >= position:
                return


@contextmanager
def _run_projections(database: Database) -> Iterator[psutil.Process]:
    command = [sys.executable, "-m", "bench.ledger", "--project", database.dsn]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _rebuilds(database: Database, events: int) -> None:
    with connect(database.dsn) as connection:
        _empty(connection)
        copied = _measure_seconds(lambda: _copy(connection, events))
        read = _measure_seconds(lambda: _read(connection))
        names = ["chat", "costs", "ratings"]
        log.register(connection, names)
        log.advance(connection, names, events)
    table = Table("", "s", "events/s", "a million takes s", title=f"Rebuilding from {events:,} events")
    _rate(table, "writing them by COPY", copied, events)
    _rate(table, "only reading them", read, events)
    projections: list[Projection] = [ChatProjection(), CostsProjection(), RatingsProjection()]
    for projection in projections:
        anew = Rebuild(database.dsn, event_registry(), projection)
        _rate(
            table,
            f"{projection.name}, into empty tables",
            _measure_seconds(lambda a=anew: a.run(compare=False)),
            events,
        )
    for projection in projections:
        again = Rebuild(database.dsn, event_registry(), projection)
        started = time.perf_counter()
        done = again.run()
        _rate(table, f"{projection.name}, compared and swapped", time.perf_counter() - started, events)
        if not all(comparison.equal for comparison in done.comparisons):
            raise SystemExit(f"{projection.name} differs: {done.comparisons}")
    CONSOLE.print(table)
    CONSOLE.print(
        "all views byte-equal to the live tables;", f"memory {psutil.Process().memory_info().rss / 2**20:,.0f} MiB"
    )


def _rate(table: Table, name: str, seconds: float, events: int) -> None:
    table.add_row(name, f"{seconds:.1f}", f"{events / seconds:,.0f}", f"{seconds / events * 1e6:.1f}")


def _measure_seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _read(connection: log.Connection) -> None:
    position = 0
    while rows := log.read_after(connection, position, 10_000):
        position = rows[-1][0]


def _copy(connection: log.Connection, events: int) -> None:
    encode = event_registry().encode
    statement = "COPY ledger_events (originator_id, originator_version, topic, state) FROM STDIN (FORMAT binary)"
    with connection.cursor().copy(statement) as copy:
        copy.set_types(["text", "int8", "text", "bytea"])
        for stream, version, event in _history(events):
            copy.write_row((stream, version, *encode(event)))
    connection.execute("ANALYZE ledger_events")


def _history(events: int) -> Iterator[tuple[str, int, Event]]:
    """Write sessions of ten turns, each with its model call, like the system; the last turn is rated."""
    written, number = 0, 0
    while True:
        number += 1
        session, at = f"session_{number:032x}", START + timedelta(seconds=40 * number)
        for stream, version, event in _conversation(session, at):
            if written == events:
                return
            written += 1
            yield stream, version, event


def _conversation(session: str, at: datetime) -> Iterator[tuple[str, int, Event]]:
    yield session_stream(session), 1, _session_opened(session, at)[1]
    for turn in range(1, TURNS_PER_SESSION + 1):
        call_id, now = f"{session[8:]}-{turn:04d}", at + timedelta(seconds=turn)
        yield costs.stream(call_id), 1, _call_reserved(session, turn, call_id, now)
        yield turn_stream(session, turn), 1, _turn_started(session, turn, call_id, now)
        yield costs.stream(call_id), 2, _call_settled(turn, call_id, now)
        yield turn_stream(session, turn), 2, _turn_answered(session, turn, call_id, now)
    yield rating_stream(session, TURNS_PER_SESSION), 1, _turn_rated(session, TURNS_PER_SESSION, at)


def _session_opened(session: str, at: datetime) -> tuple[str, SessionOpened]:
    return session, SessionOpened(
        session_id=session, agent_id=_agent(session), key_id=_key(session), workflow_id=f"chat-{session}", **_cause(at)
    )


def _turn_rated(session: str, turn: int, at: datetime) -> TurnRated:
    rating = 1 + sum(session.encode()) % 5
    return TurnRated(session_id=session, turn=turn, agent_id=_agent(session), rating=rating, **_cause(at))


def _agent(session: str) -> str:
    return f"agent_{sum(session.encode()) % 48}"


def _key(session: str) -> str:
    return f"key_{sum(session.encode()) % 7}"


def _cause(at: datetime) -> dict[str, object]:
    return {"by": "key_1", "because": "req_0123456789abcdef0123456789abcdef", "at": at}


def _call_reserved(session: str, turn: int, call_id: str, at: datetime) -> CallReserved:
    return CallReserved(
        call_id=call_id,
        attempt=1,
        kind="chat",
        model="gpt-5-mini",
        worst_case=Decimal("0.002125"),
        price_version="genai-prices 2026-11-01",
        prompt_tokens_bound=400 + turn,
        max_tokens=1024,
        deadline=at + timedelta(minutes=2),
        agent_id=_agent(session),
        session_id=session,
        workflow_id=f"chat-{session}",
        key_id=_key(session),
        **_cause(at),
    )


def _call_settled(turn: int, call_id: str, at: datetime) -> CallSettled:
    return CallSettled(
        call_id=call_id,
        attempt=1,
        model="gpt-5-mini",
        prompt_tokens=120 * turn,
        completion_tokens=80,
        cached_prompt_tokens=0,
        estimated=False,
        cost=Decimal("0.00000025") * 120 * turn,
        price_version="genai-prices 2026-11-01",
        price_known=True,
        provider_call_id=f"chatcmpl-{call_id}",
        reply_hash="b" * 64,
        finish="stop",
        stands=True,
        **_cause(at),
    )


def _turn_started(session: str, turn: int, message_id: str, at: datetime) -> TurnStarted:
    return TurnStarted(
        session_id=session,
        turn=turn,
        message_id=message_id,
        message_hash="a" * 64,
        agent_id=_agent(session),
        agent_version=1,
        model="gpt-5-mini",
        **_cause(at),
    )


def _turn_answered(session: str, turn: int, message_id: str, at: datetime) -> TurnAnswered:
    return TurnAnswered(
        session_id=session,
        turn=turn,
        message_id=message_id,
        reply_hash="b" * 64,
        finish="stop",
        model="gpt-5-mini",
        prompt_tokens=120 * turn,
        completion_tokens=80,
        cost=Decimal("0.00000025") * 120 * turn,
        **_cause(at),
    )


if __name__ == "__main__":
    main()
