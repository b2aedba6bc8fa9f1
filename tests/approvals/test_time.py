"""What time does to approvals, on a server that skips it."""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from adapters.postgres.ledger.pool import Database
from domain.approvals.events import ApprovalEscalated
from tests.approvals.stage import Stage, risks
from tests.system import until
from workflows.approvals.workflow import ApprovalWorkflow
from workflows.search_attributes import ALL_ATTRIBUTES

TEST_SERVER = Path(sys.executable).with_name("temporal-test-server")
HOUR = 3600


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    opened.open()
    yield opened
    opened.close()


@asynccontextmanager
async def skipping(database: Database, **rules: Any) -> AsyncIterator[tuple[Stage, WorkflowEnvironment]]:
    """A stage whose clock jumps to whatever is next."""
    async with await WorkflowEnvironment.start_time_skipping(
        data_converter=pydantic_data_converter, test_server_existing_path=str(TEST_SERVER)
    ) as environment:
        keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
        await environment.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace="default", search_attributes={key.name: keyword for key in ALL_ATTRIBUTES}
            )
        )
        stage = Stage(environment.client, database, risks(**rules))
        async with stage.working():
            yield stage, environment


async def test_nobody_decides_and_it_expires(database: Database) -> None:
    rules = {"expires_after_s": 24 * HOUR, "remind_after_s": 6 * HOUR, "escalate_after_s": None}
    async with skipping(database, **rules) as (stage, _):
        ask = stage.ask()
        heard = await (await stage.waiting(ask)).result()
        assert (heard.decided.outcome, heard.decided.by, heard.told) == ("expired", "platform", 1)
        assert stage.names(ask) == ["requested", "reminded", "expired"]
        asked, reminded, expired = stage.events(ask)
        assert abs(reminded.at - asked.at - timedelta(hours=6)) < timedelta(minutes=1)
        assert abs(expired.at - asked.at - timedelta(hours=24)) < timedelta(minutes=1)
        assert (await stage.run_of(ask).result()).outcome == "expired"


async def test_nobody_decides_and_it_goes_up_before_it_ends(database: Database) -> None:
    rules = {"expires_after_s": 24 * HOUR, "remind_after_s": 6 * HOUR, "escalate_after_s": 12 * HOUR}
    async with skipping(database, **rules, escalate_to=("key_boss",)) as (stage, _):
        ask = stage.ask()
        heard = await (await stage.waiting(ask)).result()
        assert heard.decided.outcome == "expired"
        assert stage.names(ask) == ["requested", "reminded", "escalated", "reminded", "expired"]
        escalated = stage.events(ask)[2]
        assert isinstance(escalated, ApprovalEscalated)
        assert (escalated.why, escalated.deciders) == ("undecided", ("key_boss",))


async def test_what_went_up_because_it_expired_can_still_be_decided(database: Database) -> None:
    rules = {"expires_after_s": 24 * HOUR, "remind_after_s": None, "on_expiry": "escalate"}
    async with skipping(database, **rules) as (stage, environment):
        ask = stage.ask()
        waiter = await stage.waiting(ask)
        await environment.sleep(timedelta(hours=30))
        assert stage.names(ask) == ["requested", "escalated"]
        await stage.run_of(ask).signal("approve", "at last")
        heard = await waiter.result()
        assert (heard.decided.outcome, heard.decided.by) == ("approved", "claimed:temporal")


async def test_delegation_starts_the_reminder_anew(database: Database) -> None:
    rules = {"expires_after_s": 24 * HOUR, "remind_after_s": 6 * HOUR}
    async with skipping(database, **rules) as (stage, environment):
        ask = stage.ask()
        waiter = await stage.waiting(ask)
        await environment.sleep(timedelta(hours=5))
        await stage.run_of(ask).execute_update(
            ApprovalWorkflow.delegate, stage.order(ask, "delegate", to="key_b"), id="d"
        )
        await environment.sleep(timedelta(hours=5))
        assert stage.names(ask) == ["requested", "delegated"]
        assert (await waiter.result()).decided.outcome == "expired"
        assert stage.names(ask) == ["requested", "delegated", "reminded", "expired"]


async def test_a_waiter_that_hears_nothing_looks_for_itself(database: Database) -> None:
    async with skipping(database, expires_after_s=48 * HOUR) as (stage, _):
        ask = stage.ask()
        waiter = await stage.waiting(ask, deaf=True)
        await stage.run_of(ask).signal("approve")
        heard = await waiter.result()
        assert (heard.decided.outcome, heard.told) == ("approved", 1)
        run = await waiter.describe()
        assert run.close_time
        assert run.close_time - run.start_time < timedelta(hours=1, minutes=5)


async def test_an_approval_that_lost_its_run_is_given_another_one(database: Database) -> None:
    async with skipping(database, expires_after_s=2 * HOUR, remind_after_s=None) as (stage, _):
        ask = stage.ask()
        waiter, lost = await stage.waiting(ask), stage.run_of(ask)
        assert (await lost.query(ApprovalWorkflow.state)).status == "pending"
        # the server that skips time does not while an activity of a terminated run is under way
        await until(lambda: pending_activities(lost), lambda count: count == 0, seconds=20)
        before = (await lost.describe()).run_id
        await lost.terminate("an accident")
        assert (await waiter.result()).decided.outcome == "expired"
        assert (await stage.run_of(ask).describe()).run_id != before
        assert stage.names(ask) == ["requested", "expired"]


async def pending_activities(run: WorkflowHandle[Any, Any]) -> int:
    return len((await run.describe()).raw_description.pending_activities)


async def test_a_long_wait_is_a_short_history(database: Database) -> None:
    async with skipping(database, expires_after_s=30 * 24 * HOUR, remind_after_s=24 * HOUR) as (stage, _):
        waiter = await stage.waiting(stage.ask())
        assert (await waiter.result()).decided.outcome == "expired"
        history = await waiter.fetch_history()
        assert len(history.events) < 2_000
