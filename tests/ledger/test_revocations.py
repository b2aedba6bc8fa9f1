"""Work and its revocation: the ledger takes one of the two, whichever comes first."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from activities.swarm.messages import SwarmMember, SwarmRunRequest
from activities.swarm.request import record_request
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from domain.events import Cause
from domain.ledger import Ledger
from domain.registry import event_registry
from domain.revocations import RevocableWork, Revocations, Revoked
from domain.swarm.aggregate import request_key, stream

AT = datetime(2026, 11, 1, tzinfo=UTC)
CAUSE = Cause("key_1", "req_1", AT, "default")


@pytest.fixture
def ledger(database_url: str) -> Iterator[Ledger]:
    database = Database(database_url)
    database.open()
    yield Ledger(LedgerRecorder(database), event_registry())
    database.close()


def swarm(task_id: str) -> SwarmRunRequest:
    seat = SwarmMember("amy_cfo", 1)
    return SwarmRunRequest(task_id, "parallel", [seat], seat, "key_1", "req_1", "hash", 1)


def work(task_id: str, wanted_by: str | None = None) -> RevocableWork:
    return RevocableWork(request_key(task_id), wanted_by)


def test_revoked_work_never_begins(ledger: Ledger) -> None:
    assert Revocations(ledger).revoke(work("task_1"), CAUSE)
    for _ in range(2):
        with pytest.raises(Revoked):
            record_request(ledger, swarm("task_1"), AT)
    assert ledger.read(stream("task_1")) == []


def test_work_that_has_begun_cannot_be_revoked(ledger: Ledger) -> None:
    record_request(ledger, swarm("task_1"), AT)
    assert not Revocations(ledger).revoke(work("task_1"), CAUSE)
    record_request(ledger, swarm("task_1"), AT)
    assert len(ledger.read(stream("task_1"))) == 1


def test_work_is_revoked_once_however_often_that_is_tried(ledger: Ledger) -> None:
    revocations = Revocations(ledger)
    assert all(revocations.revoke(work("task_1", "a key"), CAUSE) for _ in range(3))
    assert ledger.head() == 1


def test_a_key_stands_for_new_work_once_its_work_was_revoked_and_for_the_same_until_then(ledger: Ledger) -> None:
    revocations, keys = Revocations(ledger), []
    for number in range(3):
        keys.append(revocations.id_base("a key"))
        assert revocations.id_base("a key") == keys[-1]
        assert revocations.revoke(work(f"task_{number}", "a key"), CAUSE)
    assert keys[0] == "a key"
    assert len({*keys, revocations.id_base("a key")}) == 4
    assert revocations.id_base("another key") == "another key"
    assert revocations.id_base(None) is None


def test_work_and_its_revocation_at_once_end_in_one_of_the_two(ledger: Ledger) -> None:
    def begins(task_id: str) -> bool:
        try:
            record_request(ledger, swarm(task_id), AT)
        except Revoked:
            return False
        return True

    revocations = Revocations(ledger)
    with ThreadPoolExecutor(8) as threads:
        for number in range(50):
            task_id = f"task_{number}"
            begun = threads.submit(begins, task_id)
            revoked = [threads.submit(revocations.revoke, work(task_id), CAUSE) for _ in range(2)]
            assert {each.result() for each in revoked} == {not begun.result()}
            assert bool(ledger.read(stream(task_id))) is begun.result()
