"""Several processes that know the same run, each as it stood when it looked last."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from activities.graphflow.execution_stream import RunChanges, RunStreams
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from domain.errors import Conflict
from domain.events import Cause
from domain.graphflow.execution.aggregate import WorkflowRun, begin, load, stream
from domain.graphflow.execution.events import NodeBegun, RunPaused, RunResumed
from domain.ledger import Ledger
from domain.registry import event_registry

CAUSE: dict[str, Any] = Cause("key_1", "req_1", datetime(2026, 11, 23, tzinfo=UTC), "default").fields()
RUN = "exec_1"


def a_ledger(database: Database) -> Ledger:
    """The ledger as a process of its own has it."""
    return Ledger(LedgerRecorder(database), event_registry())


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    database.open()
    yield database
    database.close()


@pytest.fixture
def two(database: Database) -> tuple[RunStreams, RunStreams]:
    return RunStreams(a_ledger(database)), RunStreams(a_ledger(database))


def pause(run: WorkflowRun) -> RunChanges:
    return ([] if run.paused else [RunPaused(execution_id=RUN, **CAUSE)]), []


def resume(run: WorkflowRun) -> RunChanges:
    return ([RunResumed(execution_id=RUN, **CAUSE)] if run.paused else []), []


def resume_or_refuse(run: WorkflowRun) -> RunChanges:
    if not run.paused:
        raise Conflict("it is not paused")
    return resume(run)


@pytest.mark.parametrize("goes_on", [resume, resume_or_refuse])
def test_nothing_to_do_is_decided_on_what_others_have_written(
    two: tuple[RunStreams, RunStreams], goes_on: Callable[[WorkflowRun], RunChanges]
) -> None:
    here, there = two
    here.write(RUN, pause, key="1")
    there.write(RUN, resume, key="2")
    here.write(RUN, pause, key="3")
    assert here.read(RUN).paused
    assert not there.write(RUN, goes_on, key="4").paused
    assert here.write(RUN, pause, key="5").version == 5


def test_what_is_refused_stays_refused(two: tuple[RunStreams, RunStreams]) -> None:
    with pytest.raises(Conflict):
        two[0].write(RUN, resume_or_refuse, key="1")


def test_what_was_just_read_is_not_read_again_to_find_that_there_is_nothing_to_do(
    two: tuple[RunStreams, RunStreams], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = two
    here.write(RUN, pause, key="1")
    reads: list[str] = []
    read = Ledger.read
    monkeypatch.setattr(
        Ledger, "read", lambda self, stream, after=0: reads.append(stream) or read(self, stream, after=after)
    )
    assert there.write(RUN, pause, key="2").paused
    assert reads == [f"run:{RUN}"]
    assert there.write(RUN, pause, key="3").paused
    assert len(reads) == 2, "what was read before may have moved on since"


def test_an_entry_is_decided_again_on_what_others_have_written(two: tuple[RunStreams, RunStreams]) -> None:
    """Somebody else appends it, so a conflict shows there; the next try asks for a fresh one."""
    here, there = two
    here.write(RUN, pause, key="1")
    there.write(RUN, resume, key="2")
    with here.open_writer(RUN) as writing:
        stale = writing.entry(resume)
        assert stale.changes[0].expected == 1
        fresh = writing.entry(pause, fresh=True)
        assert fresh.changes[0].expected == 2
        assert writing.entry(resume).changes == (), "nothing to do: so it was found on what stands"


def held(database_url: str) -> AbstractContextManager[object]:
    """Nobody can append while this is open."""
    holder = psycopg.connect(database_url, autocommit=True)
    holder.execute("SELECT pg_advisory_lock(7152348)")
    return closing(holder)


def begins(node: str) -> Callable[[WorkflowRun], RunChanges]:
    event = NodeBegun(execution_id=RUN, node=node, visit=1, attempt=1, **CAUSE)
    return lambda run: (begin(run, event), [])


def test_a_node_goes_on_from_what_another_is_about_to_append(
    two: tuple[RunStreams, RunStreams], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, _ = two
    here.write(RUN, pause, key="0")
    tried: list[str] = []
    append = Ledger.append

    def noted(self: Ledger, *changes: Any, key: str, **more: Any) -> int | None:
        tried.append(key)
        return append(self, *changes, key=key, **more)

    monkeypatch.setattr(Ledger, "append", noted)
    nodes = [f"n{at}" for at in range(6)]
    with ThreadPoolExecutor(6) as pool, held(database_url):
        done = [pool.submit(here.write, RUN, begins(node), key=node) for node in nodes]
        while len(tried) < len(nodes):
            time.sleep(0.01)
        assert here.read(RUN).version == 1, "what does not stand yet is known to nobody"
    assert sorted(run.result().version for run in done) == [2, 3, 4, 5, 6, 7]
    assert len(tried) == len(nodes), "none was tried again"


def test_what_did_not_come_to_stand_is_known_to_nobody(two: tuple[RunStreams, RunStreams], database: Database) -> None:
    """Two processes begin the nodes of one run at once, each going on from what it is about to append itself."""
    nodes = [f"n{at}" for at in range(40)]
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda at: two[at % 2].write(RUN, begins(nodes[at]), key=nodes[at]), range(len(nodes))))
    stands = load(a_ledger(database).read(stream(RUN)))
    assert sorted(stands.nodes) == sorted(nodes)
    for journal in two:
        assert journal.read(RUN, seen=len(nodes)) == stands
