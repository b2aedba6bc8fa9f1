"""What a crash leaves open is put right: reservations nobody speaks for, turns whose run is lost."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio.client import ScheduleActionStartWorkflow

from activities.chat.activities import ChatActivities
from activities.chat.messages import OpenSessionRequest
from activities.chat.turn_events import turn_started_event
from activities.costs.bookkeeping import CostLedger
from activities.costs.joint_append import Companion
from activities.reconcile.activities import LOST_AFTER, ReconcileActivities
from activities.turn_ref import TurnRef
from domain.chat import turns
from domain.chat.events import TurnHeld
from domain.chat.views import TurnRow
from domain.content import content_hash
from domain.costs.aggregate import CallIntent
from domain.costs.policy import OVERDUE
from domain.events import Cause
from domain.ids import nested_session_id
from domain.ledger import Change
from runtime import temporal
from runtime.wiring.parts import now
from tests.scripted_model import ScriptedModel
from tests.system import AGENT, System, until
from workflows.chat.messages import ChatStart
from workflows.chat.workflow import ChatWorkflow
from workflows.reconcile.workflow import SCHEDULE_ID, ReconcileWorkflow
from workflows.task_queues import WORKFLOW_QUEUE

pytestmark = pytest.mark.asyncio(loop_scope="module")

LATER = timedelta(minutes=10)


class Aftermath:
    """Sessions as a crash leaves them, and the reconciliation ten minutes later."""

    def __init__(self, system: System) -> None:
        parts = system.parts
        self.system = system
        self.books = CostLedger(parts.ledger, parts.prices, now)
        self.chat = ChatActivities(parts.ledger, now, model_queue="nowhere")
        self.reconcile = self.at(lambda: now() + LATER)

    def at(self, clock: Callable[[], datetime]) -> ReconcileActivities:
        parts = self.system.parts
        return ReconcileActivities(
            self.books, self.chat, costs=parts.costs, chats=parts.chats, client=self.system.temporal, now=clock
        )

    def turn_begun(self, *, at: datetime, inside: str | None = None) -> str:
        """A session whose first turn has begun: its call is reserved. Returns the session's id.

        With `inside` it is an inner session of this run, which is never opened.
        """
        session_id = nested_session_id(inside, "antonio") if inside else f"session_{uuid4().hex}"
        workflow_id = inside or f"chat-{session_id}"
        if not inside:
            self.chat.open_session(OpenSessionRequest(session_id, AGENT, "anonymous", workflow_id, "req_1"))
        ref = TurnRef(session_id, 1, f"{session_id}-1", content_hash("Hello."), AGENT, 1, "anonymous", "req_1")
        begin = turn_started_event(ref, model="scripted", cause=Cause("anonymous", "req_1", at, "default"))
        intent = CallIntent(
            call_id=f"call-{session_id}",
            kind="chat",
            model="scripted",
            worst_case=Decimal("0.25"),
            price_version="none",
            prompt_tokens_bound=10,
            max_tokens=10,
            deadline=at + timedelta(seconds=30),
            agent_id=AGENT,
            session_id=session_id,
            workflow_id=workflow_id,
            key_id="anonymous",
        )
        companion = Companion(turns.turn_stream(session_id, 1), lambda known: [] if known else [begin])
        self.books.reserve(intent, companion, "req_1", untried=True)
        return session_id

    def held(self, session_id: str, *, at: datetime) -> None:
        """Let the first turn wait for a person."""
        stream = turns.turn_stream(session_id, 1)
        cause = Cause("anonymous", "req_1", at, "default").fields()
        held = TurnHeld(
            session_id=session_id, turn=1, message_id=f"{session_id}-1", approval_id=f"approval-{session_id}", **cause
        )
        stands = len(self.system.parts.ledger.read(stream))
        self.system.parts.ledger.append(Change(stream, stands, [held]), key=f"hold:{session_id}")

    async def turn(self, session_id: str) -> TurnRow:
        """The first turn as its view has it, once that has seen it all."""
        await self.states_of_all()
        [spoken] = self.system.parts.chats.turns(session_id, skip=0, limit=1)
        return spoken.row

    async def states_of_all(self) -> None:
        """Wait until the chats' view has seen all that was recorded."""
        assert await self.system.app.state.positions.wait("chat")

    async def states(self, session_id: str) -> tuple[str, str]:
        """The state of the call, the status of the turn."""
        [call] = await self.system.calls(session_id=session_id)
        [turn] = (await self.system.session(session_id))["turns"]
        return call["state"], turn["status"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def aftermath(unworked: System) -> Aftermath:
    return Aftermath(unworked)


async def test_a_reservation_nobody_speaks_for_becomes_unknown(aftermath: Aftermath) -> None:
    session_id = aftermath.turn_begun(at=now())
    assert await aftermath.states(session_id) == ("reserved", "running")
    assert aftermath.reconcile.reconcile_calls().calls >= 1
    assert (await aftermath.states(session_id))[0] == "unknown"
    [call] = await aftermath.system.calls(session_id=session_id)
    assert (call["error"], call["worst_case"], call["cost"]) == ("overdue", 0.25, 0.0)
    assert aftermath.reconcile.reconcile_calls().calls == 0


async def test_a_reservation_that_is_not_yet_overdue_is_left_alone(aftermath: Aftermath) -> None:
    began = now()
    session_id = aftermath.turn_begun(at=began)
    await aftermath.states(session_id)
    aftermath.at(lambda: began + timedelta(seconds=29) + OVERDUE).reconcile_calls()
    assert (await aftermath.states(session_id))[0] == "reserved"


async def test_a_turn_whose_run_is_gone_has_failed(aftermath: Aftermath) -> None:
    session_id = aftermath.turn_begun(at=now())
    await aftermath.states(session_id)
    assert (await aftermath.reconcile.reconcile_turns()).turns >= 1
    [turn] = (await aftermath.system.session(session_id))["turns"]
    assert (turn["status"], turn["error"]["code"]) == ("failed", "INTERNAL_ERROR")
    assert (await aftermath.reconcile.reconcile_turns()).turns == 0


async def test_a_turn_that_a_later_run_knows_nothing_of_has_failed(aftermath: Aftermath) -> None:
    session_id = aftermath.turn_begun(at=now() - timedelta(minutes=1))
    await opened(aftermath.system, session_id)
    await aftermath.states(session_id)
    await aftermath.reconcile.reconcile_turns()
    assert (await aftermath.states(session_id))[1] == "failed"


async def test_a_turn_that_its_run_works_on_is_left_alone(aftermath: Aftermath) -> None:
    begun = aftermath.turn_begun(at=now() + timedelta(seconds=1))
    await opened(aftermath.system, begun)
    await aftermath.states(begun)
    await aftermath.reconcile.reconcile_turns()
    assert (await aftermath.states(begun))[1] == "running"


async def test_a_young_turn_is_not_looked_up(aftermath: Aftermath) -> None:
    began = now()
    session_id = aftermath.turn_begun(at=began)
    await aftermath.states(session_id)
    await aftermath.at(lambda: began + LOST_AFTER - timedelta(seconds=1)).reconcile_turns()
    assert (await aftermath.states(session_id))[1] == "running"


async def test_a_held_turn_is_left_alone_while_its_run_lives(aftermath: Aftermath) -> None:
    session_id = aftermath.turn_begun(at=now() + timedelta(seconds=1))
    await opened(aftermath.system, session_id)
    aftermath.held(session_id, at=now())
    await aftermath.states_of_all()
    await aftermath.reconcile.reconcile_turns()
    assert (await aftermath.states(session_id))[1] == "awaiting_approval"
    assert (await aftermath.system.session(session_id))["status"] == "awaiting_approval"


async def test_a_held_turn_whose_run_is_gone_has_failed(aftermath: Aftermath) -> None:
    session_id = aftermath.turn_begun(at=now())
    aftermath.held(session_id, at=now())
    await aftermath.states_of_all()
    assert (await aftermath.reconcile.reconcile_turns()).turns >= 1
    assert (await aftermath.states(session_id))[1] == "failed"


async def test_a_turn_inside_a_run_is_lost_with_it(aftermath: Aftermath) -> None:
    task_id = f"task_{uuid4().hex}"
    session_id = aftermath.turn_begun(at=now(), inside=task_id)
    await aftermath.system.temporal.start_workflow("AnyRun", id=task_id, task_queue="nobody-works-here")
    await aftermath.states_of_all()
    await aftermath.reconcile.reconcile_turns()
    assert (await aftermath.turn(session_id)).status == "running"
    await aftermath.system.temporal.get_workflow_handle(task_id).terminate()
    await aftermath.reconcile.reconcile_turns()
    assert (await aftermath.turn(session_id)).status == "failed"


async def test_a_turn_inside_a_chat_is_worked_on_by_the_chats_run(aftermath: Aftermath) -> None:
    outer = f"session_{uuid4().hex}"
    session_id = aftermath.turn_begun(at=now() + timedelta(seconds=1), inside=outer)
    await opened(aftermath.system, outer)
    await aftermath.states_of_all()
    await aftermath.reconcile.reconcile_turns()
    assert (await aftermath.turn(session_id)).status == "running"


async def opened(system: System, session_id: str) -> None:
    start = ChatStart(session_id, AGENT, "anonymous", "req_1")
    await system.temporal.start_workflow(
        ChatWorkflow.run, start, id=f"chat-{session_id}", task_queue="nobody-works-here"
    )


@pytest.mark.asyncio(loop_scope="function")
async def test_a_message_in_the_works_is_not_disturbed(system: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"contains": "slow", "delay_s": 1})
    session_id = (await system.say("Be slow.", wait=False)).json()["session_id"]
    await scripted_model.until(lambda bill: len(bill) == 1)
    await until(lambda: system.session(session_id), lambda session: session["turns"] != [])
    done = await Aftermath(system).reconcile.reconcile_turns()
    assert done.turns == 0
    session = await system.settled(session_id)
    assert [turn["status"] for turn in session["turns"]] == ["completed"]
    reconciled = await system.temporal.execute_workflow(
        ReconcileWorkflow.run, id=f"reconcile-{uuid4()}", task_queue=WORKFLOW_QUEUE
    )
    assert (reconciled.calls, reconciled.turns) == (0, 0)


async def test_the_schedule_is_there_and_registering_again_changes_nothing(unworked: System) -> None:
    for _ in range(2):
        await temporal.register(unworked.temporal)
    schedule = (await unworked.temporal.get_schedule_handle(SCHEDULE_ID).describe()).schedule
    assert [interval.every for interval in schedule.spec.intervals] == [timedelta(minutes=1)]
    assert isinstance(schedule.action, ScheduleActionStartWorkflow)
    assert schedule.action.workflow == "Reconcile"
    assert schedule.action.task_queue == WORKFLOW_QUEUE
