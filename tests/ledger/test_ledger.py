"""The one event store, on a real PostgreSQL."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from threading import Event as Flag
from threading import Thread

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.postgres.ledger.content import PostgresContent
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from domain.content import Content
from domain.errors import Invalid, Unavailable, VersionConflict
from domain.ledger import Change, Ledger, retry_on_conflict
from runtime.embedded import PostgresServer, run_server
from tests.ledger.toys import AT, CAUSE, REGISTRY, Counted, Foreseen, Platform

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8", min_codepoint=1)),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["_type_", "_data_", "a"]), inner),
    max_leaves=8,
)


def counted(counter: str, step: int = 1, **note: object) -> Counted:
    return Counted(counter=counter, step=step, note=note, **CAUSE)


def test_what_was_appended_is_read_in_order(platform: Platform) -> None:
    ledger = platform.ledger
    assert ledger.read("a") == []
    first = ledger.append(Change("a", 0, [counted("a", 1), counted("a", 2)]), key="k1")
    second = ledger.append(Change("a", 2, [counted("a", 3)]), key="k2")
    assert ledger.read("a") == [counted("a", 1), counted("a", 2), counted("a", 3)]
    assert ledger.read("a", after=2) == [counted("a", 3)]
    assert ledger.read("a", after=3) == []
    assert first is not None
    assert second == first + 1 == ledger.head()


def test_an_empty_ledger_has_its_head_at_zero(platform: Platform) -> None:
    assert platform.ledger.head() == 0
    assert platform.ledger.after(0, 10) == []


def test_events_stand_in_the_ledger_in_the_order_of_their_appends(platform: Platform) -> None:
    platform.ledger.append(Change("b", 0, [counted("b")]), Change("a", 0, [counted("a", 1), counted("a", 2)]), key="k")
    platform.count("b")
    seen = platform.ledger.after(0, 10)
    assert [(r.stream, r.version, r.event.counter) for r in seen if isinstance(r.event, Counted)] == [
        ("b", 1, "b"),
        ("a", 1, "a"),
        ("a", 2, "a"),
        ("b", 2, "b"),
    ]
    assert [r.position for r in platform.ledger.after(seen[1].position, 1)] == [seen[2].position]


def test_several_streams_change_together_or_not_at_all(platform: Platform) -> None:
    platform.count("a")
    with pytest.raises(VersionConflict):
        platform.ledger.append(
            Change("b", 0, [counted("b")]),
            Change("a", 0, [counted("a")]),
            key="k",
            content=[Content("somebody", "text of a change that did not happen")],
        )
    assert platform.ledger.read("b") == []
    assert platform.rows("SELECT count(*) FROM content") == [(0,)]
    assert platform.ledger.append(Change("b", 0, [counted("b")]), key="k") is not None, "the key was not used up"


@pytest.mark.parametrize("expected", [0, 1, 3, 17])
def test_a_stream_that_stands_elsewhere_is_a_conflict(platform: Platform, expected: int) -> None:
    platform.count("a", 2)
    with pytest.raises(VersionConflict):
        platform.ledger.append(Change("a", expected, [counted("a")]), key="k")
    assert len(platform.ledger.read("a")) == 2


def test_a_stream_may_have_two_changes_in_one_append(platform: Platform) -> None:
    platform.ledger.append(Change("a", 0, [counted("a", 1)]), Change("a", 1, [counted("a", 2)]), key="k")
    assert platform.ledger.read("a") == [counted("a", 1), counted("a", 2)]


def test_a_key_used_twice_writes_nothing_the_second_time(platform: Platform) -> None:
    append = platform.ledger.append
    assert append(Change("a", 0, [counted("a")]), key="k") is not None
    assert append(Change("a", 0, [counted("a")]), key="k") is None
    assert append(Change("other", 0, [counted("other")]), key="k") is None
    assert (platform.ledger.head(), platform.ledger.read("other")) == (1, [])


def test_of_many_appends_under_one_key_exactly_one_counts(platform: Platform) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda n: platform.ledger.append(Change(f"s{n}", 0, [counted("a")]), key="k"), range(24))
        )
    assert [answer for answer in answers if answer is not None] == [1]
    assert platform.rows("SELECT count(*) FROM ledger_events") == [(1,)]


def test_an_append_needs_events_and_a_key(platform: Platform) -> None:
    with pytest.raises(ValueError, match="nothing to append"):
        platform.ledger.append(Change("a", 0, []), key="k")
    with pytest.raises(ValueError, match="idempotency key"):
        platform.ledger.append(Change("a", 0, [counted("a")]), key="")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(note=st.dictionaries(st.text(st.characters(codec="utf-8", min_codepoint=1)), JSON))
def test_whatever_json_a_user_sends_comes_back(platform: Platform, note: dict[str, object]) -> None:
    stream = platform.rows("SELECT gen_random_uuid()::text")[0][0]
    platform.count(stream, note=note)
    (event,) = platform.ledger.read(stream)
    assert isinstance(event, Counted)
    assert event.note == {"note": note}


def test_json_that_looks_like_the_librarys_type_markers_survives(platform: Platform) -> None:
    marker = {"_type_": "datetime_iso", "_data_": "not a time"}
    platform.count("a", poison=marker)
    assert platform.ledger.read("a") == [counted("a", poison=marker)]
    assert platform.ledger.after(0, 1)[0].event == counted("a", poison=marker)


def test_eight_megabytes_are_appended_and_do_not_hold_up_others(platform: Platform) -> None:
    big = counted("a", text="x" * 8_000_000)
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(platform.ledger.append, Change("a", 0, [big]), key="big")
        other = pool.submit(platform.ledger.append, Change("b", 0, [counted("b")]), key="small")
        assert slow.result(timeout=20) is not None
        assert other.result(timeout=20) is not None
    assert platform.ledger.read("a") == [big]


def test_two_thousand_events_go_into_one_append(platform: Platform) -> None:
    platform.count("a", 2_000, padding="x" * 1_000)
    assert len(platform.ledger.read("a")) == 2_000


def test_a_reader_that_follows_four_writers_passes_nothing_over(platform: Platform) -> None:
    """Positions become visible in their own order, whoever commits when."""
    done, seen = Flag(), []

    def write(writer: int) -> None:
        with _ledger(platform.dsn) as ledger:
            for n in range(100):
                changes = [Change(f"{writer}.{n}.{m}", 0, [counted("a")]) for m in range(1 + (writer + n) % 3)]
                ledger.append(*changes, key=f"{writer}.{n}")

    def follow() -> None:
        position = 0
        while True:
            ended = done.is_set()
            batch = platform.ledger.after(position, 7)
            seen.extend(recorded.position for recorded in batch)
            position = batch[-1].position if batch else position
            if ended and not batch:
                return

    reader = Thread(target=follow)
    reader.start()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    done.set()
    reader.join()
    assert seen == [row[0] for row in platform.rows("SELECT notification_id FROM ledger_events ORDER BY 1")]
    assert len(seen) == sum(1 + (writer + n) % 3 for writer in range(4) for n in range(100))


def test_texts_are_stored_once_and_with_the_append(platform: Platform) -> None:
    hello = Content("session-1", "Hello, wörld")
    platform.ledger.append(Change("a", 0, [counted("a")]), key="k1", content=[hello, Content("session-2", hello.text)])
    platform.ledger.append(Change("a", 1, [counted("a")]), key="k2", content=[hello])
    store = PostgresContent(platform.database)
    assert store.put(hello) == hello.hash == sha256("Hello, wörld".encode()).hexdigest()
    assert store.get("session-1", [hello.hash, "0" * 64]) == {hello.hash: "Hello, wörld"}
    assert store.get("session-3", [hello.hash]) == {}
    assert store.get("session-1", []) == {}
    assert platform.rows("SELECT count(*) FROM content") == [(2,)]


@pytest.mark.parametrize("text", ["a\x00b", "half \ud83d"])
def test_a_text_that_cannot_be_stored_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        Content("somebody", text)


@pytest.mark.parametrize("bad", ["a\x00b", "half \ud83d"])
def test_names_that_cannot_be_stored_are_refused(platform: Platform, bad: str) -> None:
    with pytest.raises(Invalid):
        platform.ledger.append(Change(bad, 0, [counted("a")]), key="k")
    with pytest.raises(Invalid):
        platform.ledger.append(Change("a", 0, [counted("a")]), key=bad)
    with pytest.raises(Invalid):
        platform.ledger.append(Change("a", 0, [counted(bad)]), key="k")
    assert platform.ledger.append(Change("a", 0, [counted("a")]), key="k") is not None, "the connection still works"


def test_several_streams_are_read_at_once(platform: Platform) -> None:
    platform.count("a", 2)
    platform.count("b")
    assert platform.ledger.read_many(["b", "nobody", "a"]) == {
        "a": [counted("a"), counted("a")],
        "b": [counted("b")],
    }
    assert platform.ledger.read_many([]) == {}


def test_the_last_streams_of_a_prefix_are_read(platform: Platform) -> None:
    for stream in ("turn:a:01", "turn:a:02", "turn:a:02", "turn:a:03", "turn:ab:01", "turn:b:01", "turn:a"):
        platform.count(stream)
    last = platform.ledger.read_last("turn:a:", 2)
    assert {stream: len(events) for stream, events in last.items()} == {"turn:a:02": 2, "turn:a:03": 1}
    assert list(last) == ["turn:a:02", "turn:a:03"]
    assert platform.ledger.read_last("turn:c:", 2) == {}


def test_an_event_of_a_later_release_is_not_read_as_something_else(database_url: str, platform: Platform) -> None:
    platform.append("a", Foreseen(counter="a", **CAUSE))
    with _ledger(database_url) as older, pytest.raises(Exception, match=r"cannot read 'toy.foreseen/1'"):
        older.read("a")


def test_a_command_is_tried_again_when_somebody_was_first(platform: Platform) -> None:
    def add(_: int) -> int | None:
        def decide_and_append() -> int | None:
            stands = len(platform.ledger.read("a"))
            return platform.ledger.append(Change("a", stands, [counted("a", stands)]), key=f"at {stands} by {_}")

        return retry_on_conflict(decide_and_append, tries=100)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(20)))
    steps = [event.step for event in platform.ledger.read("a") if isinstance(event, Counted)]
    assert steps == list(range(20))


def test_a_command_that_never_comes_through_says_so() -> None:
    tries = []

    def conflict() -> None:
        tries.append(1)
        raise VersionConflict("again")

    with pytest.raises(VersionConflict):
        retry_on_conflict(conflict, tries=3)
    assert len(tries) == 3


def test_a_database_that_is_not_there_is_said_within_seconds() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with _ledger(f"postgresql://u:p@127.0.0.1:{nobody.getsockname()[1]}/d") as ledger:
            _refuses(ledger, within_s=1)
            with pytest.raises(Unavailable):
                ledger.read("a")
            with pytest.raises(Unavailable):
                ledger.head()


def test_a_database_that_does_not_answer_is_said_within_seconds() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        with _ledger(f"postgresql://u:p@127.0.0.1:{mute.getsockname()[1]}/d") as ledger:
            _refuses(ledger, within_s=6)


def test_a_database_that_comes_back_is_used_at_once(private_server: PostgresServer, tmp_path: Path) -> None:
    with run_server(private_server, tmp_path / "log"):
        database = Database(private_server.url)
        database.open()
        with database.connection() as one, database.connection() as another:
            one.execute("SELECT 1")
            another.execute("SELECT 1")
    _is_away(database)
    with run_server(private_server, tmp_path / "log"):
        for _ in range(3):
            with database.connection() as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
        database.close()


def test_a_statement_whose_connection_dies_says_that_the_database_is_away(platform: Platform) -> None:
    with platform.database.connection() as connection:
        pid = connection.info.backend_pid
    with ThreadPoolExecutor(1) as pool:
        asleep = pool.submit(_sleep, platform.database)
        time.sleep(0.3)
        platform.rows("SELECT pg_terminate_backend(%s)", pid)
        with pytest.raises(Unavailable):
            asleep.result(timeout=5)
    assert platform.count("a") == 1


def test_connections_that_were_cut_while_idle_are_not_handed_out(platform: Platform) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: platform.count(f"c{n}"), range(8)))
    platform.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    time.sleep(0.05)
    assert [platform.count(f"d{n}") for n in range(4)] == [9, 10, 11, 12]


def test_a_connection_left_in_a_transaction_is_not_handed_out(platform: Platform) -> None:
    with platform.database.connection() as connection:
        connection.execute("BEGIN")
        first = connection.info.backend_pid
    with platform.database.connection() as connection:
        assert connection.info.backend_pid != first


def test_a_pool_that_is_used_up_says_so_within_seconds(platform: Platform) -> None:
    database = Database(platform.dsn, size=1)
    database.open()
    with database.connection():
        _is_away(database)
    with database.connection() as connection:
        assert connection.execute("SHOW timezone").fetchone() == ("UTC",)
    database.close()


def test_settings_in_the_databases_url_are_kept(platform: Platform) -> None:
    joint = "&" if "?" in platform.dsn else "?"
    database = Database(f"{platform.dsn}{joint}options=-c%20search_path%3Delsewhere%20-c%20statement_timeout%3D7s")
    database.open()
    with database.connection() as connection:
        assert connection.execute("SHOW search_path").fetchone() == ("elsewhere",)
        assert connection.execute("SHOW statement_timeout").fetchone() == ("7s",)
        assert connection.execute("SHOW timezone").fetchone() == ("UTC",)
    database.close()


def test_a_closed_pool_gives_no_connection_and_keeps_none(platform: Platform) -> None:
    database = Database(platform.dsn)
    database.open()
    with database.connection() as lent:
        database.close()
    assert lent.closed
    _is_away(database)


def test_a_statement_that_takes_too_long_is_ended(platform: Platform) -> None:
    with platform.database.connection() as connection:
        connection.execute("SET statement_timeout = '50ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(5)")


def test_the_librarys_own_reads_see_the_same_events(platform: Platform) -> None:
    platform.count("a", 3)
    recorder = platform.ledger.recorder
    assert [e.originator_version for e in recorder.select_events("a", gt=1, lte=2)] == [2]
    assert [e.originator_version for e in recorder.select_events("a", desc=True, limit=1)] == [3]
    assert [n.id for n in recorder.select_notifications(2, 5, topics=["toy.counted/1"])] == [2, 3]
    assert [n.id for n in recorder.select_notifications(1, 5, stop=2, inclusive_of_start=False)] == [2]
    assert recorder.select_notifications(1, 5, topics=["toy.other/1"]) == []
    with pytest.raises(NotImplementedError):
        recorder.subscribe()


def test_events_keep_who_why_and_when(platform: Platform) -> None:
    platform.count("a")
    (event,) = platform.ledger.read("a")
    assert (event.by, event.because, event.at) == ("key_1", "req_1", AT)


def _sleep(database: Database) -> None:
    with database.connection() as connection:
        connection.execute("SELECT pg_sleep(20)")


def _is_away(database: Database) -> None:
    started = time.monotonic()
    with pytest.raises(Unavailable), database.connection():
        pass
    assert time.monotonic() - started < 5


def _refuses(ledger: Ledger, *, within_s: float) -> None:
    started = time.monotonic()
    with pytest.raises(Unavailable) as refused:
        ledger.append(Change("a", 0, [counted("a")]), key="k")
    assert time.monotonic() - started < within_s
    assert refused.value.details["retry_after"] > 0


@contextmanager
def _ledger(dsn: str) -> Iterator[Ledger]:
    database = Database(dsn)
    database.open()
    try:
        yield Ledger(LedgerRecorder(database), REGISTRY)
    finally:
        database.close()
