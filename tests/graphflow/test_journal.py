"""Several processes that know the same run, each as it stood when it looked last."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from activities.graphflow.journal import Decided, Journal
from adapters.postgres.pool import Database
from adapters.postgres.recorder import LedgerRecorder
from domain.errors import Conflict
from domain.events import Cause
from domain.graphflow.run import Run
from domain.graphflow.run_events import RunPaused, RunResumed
from domain.ledger import Ledger
from domain.registry import registry

CAUSE: dict[str, Any] = Cause("key_1", "req_1", datetime(2026, 11, 23, tzinfo=UTC)).fields()
RUN = "exec_1"


@pytest.fixture
def two(database_url: str) -> Iterator[tuple[Journal, Journal]]:
    database = Database(database_url)
    database.open()
    ledger = Ledger(LedgerRecorder(database), registry())
    yield Journal(ledger), Journal(ledger)
    database.close()


def pause(run: Run) -> Decided:
    return ([] if run.paused else [RunPaused(execution_id=RUN, **CAUSE)]), []


def resume(run: Run) -> Decided:
    return ([RunResumed(execution_id=RUN, **CAUSE)] if run.paused else []), []


def resume_or_refuse(run: Run) -> Decided:
    if not run.paused:
        raise Conflict("it is not paused")
    return resume(run)


@pytest.mark.parametrize("goes_on", [resume, resume_or_refuse])
def test_nothing_to_do_is_decided_on_what_others_have_written(
    two: tuple[Journal, Journal], goes_on: Callable[[Run], Decided]
) -> None:
    here, there = two
    here.write(RUN, pause, key="1")
    there.write(RUN, resume, key="2")
    here.write(RUN, pause, key="3")
    assert here.read(RUN).paused
    assert not there.write(RUN, goes_on, key="4").paused
    assert here.write(RUN, pause, key="5").version == 5


def test_what_is_refused_stays_refused(two: tuple[Journal, Journal]) -> None:
    with pytest.raises(Conflict):
        two[0].write(RUN, resume_or_refuse, key="1")


def test_what_was_just_read_is_not_read_again_to_find_that_there_is_nothing_to_do(
    two: tuple[Journal, Journal], monkeypatch: pytest.MonkeyPatch
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


def test_an_entry_is_decided_again_on_what_others_have_written(two: tuple[Journal, Journal]) -> None:
    """Somebody else appends it, so a conflict shows there; the next try asks for a fresh one."""
    here, there = two
    here.write(RUN, pause, key="1")
    there.write(RUN, resume, key="2")
    with here.writing(RUN) as writing:
        stale = writing.entry(resume)
        assert stale.changes[0].expected == 1
        fresh = writing.entry(pause, fresh=True)
        assert fresh.changes[0].expected == 2
        assert writing.entry(resume).changes == (), "nothing to do: so it was found on what stands"
