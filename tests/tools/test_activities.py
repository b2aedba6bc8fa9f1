"""What tool calls leave in the ledger, whatever happens to the tool, its worker, or the database."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest
from temporalio.activity import ActivityCancellationDetails
from temporalio.testing import ActivityEnvironment

from activities.tools.activities import ToolActivities
from activities.tools.messages import CloseToolRequest, ToolCallResult, ToolRun
from activities.tools.toolbox.registry import JoinedToolbox
from domain.content import Content
from domain.errors import NotFound, Unavailable
from domain.ids import root_of
from domain.tools import aggregate, policy
from domain.tools.events import ToolEnded, ToolStarted
from domain.tools.ports import ToolFailed, ToolResult
from domain.tools.spec import ToolSpec
from runtime.wiring.parts import now
from tests.outages import database_away
from tests.tools.calls import Scripted, asked_for, spec
from tests.tools.conftest import Store

Outcome = ToolResult | BaseException | Callable[[], Awaitable[ToolResult]]

LOOK = spec("look", parameters={"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]})
SEND = replace(LOOK, name="send", effect="write")
BOTH = [LOOK, SEND]


@dataclass
class Bench:
    """A tool, its activities, and one call of it."""

    store: Store
    tool: Scripted
    activities: ToolActivities
    run: ToolRun

    async def call(self, attempt: int = 1) -> ToolCallResult:
        return await self.calling(attempt)

    def calling(
        self, attempt: int = 1, environment: ActivityEnvironment | None = None
    ) -> "asyncio.Task[ToolCallResult]":
        """One attempt of the activity, as a worker makes it."""
        environment = environment or ActivityEnvironment()
        environment.info = replace(environment.info, attempt=attempt)
        return asyncio.create_task(environment.run(self.activities.call_tool, self.run))

    def events(self) -> list[Any]:
        return self.store.ledger.read(aggregate.stream(self.run.tool_call_id))

    def text(self, text_hash: str) -> str:
        return self.store.content.get(root_of(self.run.turn.session_id), [text_hash])[text_hash]

    def told(self, done: ToolCallResult) -> str:
        return self.text(done.result_hash)


@pytest.fixture
def make(store: Store) -> Callable[..., Bench]:
    def made(tool_spec: ToolSpec, *outcomes: Outcome, arguments: str = '{"at": "the moon"}', **fields: Any) -> Bench:
        tool = Scripted(tool_spec, *outcomes)
        run = asked_for(store.content, tool_spec.name, arguments, **fields)
        return Bench(store, tool, ToolActivities(store.ledger, store.content, JoinedToolbox([tool]), now), run)

    return made


Make = Callable[..., Bench]


def hanging(started: asyncio.Event) -> Callable[[], Awaitable[ToolResult]]:
    async def hang() -> ToolResult:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    return hang


async def killed(bench: Bench) -> None:
    """An attempt that ends between the tool's call and its record, as by `kill -9`: nothing more is written."""
    started = asyncio.Event()
    bench.tool.outcomes.append(hanging(started))
    before = bench.store.ledger.append

    def dead(*_: Any, **__: Any) -> int | None:
        raise RuntimeError("killed")

    task = bench.calling()
    await started.wait()
    bench.store.ledger.append = dead  # type: ignore[method-assign]
    try:
        task.cancel()
        with pytest.raises((RuntimeError, asyncio.CancelledError)):
            await task
    finally:
        bench.store.ledger.append = before  # type: ignore[method-assign]


async def test_a_call_is_begun_done_and_ended(make: Make) -> None:
    bench = make(LOOK, ToolResult("It is there.", ("projection:moons",)))
    done = await bench.call()
    assert done.outcome == "ok"
    assert bench.told(done) == "It is there."
    started, ended = bench.events()
    assert isinstance(started, ToolStarted)
    assert isinstance(ended, ToolEnded)
    assert (started.name, started.turn, started.step, started.effect) == ("look", 3, 2, "read")
    assert (started.by, started.because, started.workflow_id) == ("key_1", "req_1", bench.run.workflow_id)
    assert bench.text(started.arguments_hash) == '{"at": "the moon"}'
    assert ended.sources == ("projection:moons",)
    arguments, context = bench.tool.calls[0]
    assert arguments == {"at": "the moon"}
    assert (context.tool_call_id, context.agent_id, context.project_id) == (bench.run.tool_call_id, "ada", "project_1")


@pytest.mark.parametrize("tool", BOTH, ids=["read", "write"])
async def test_a_call_that_has_ended_is_not_made_again(make: Make, tool: ToolSpec) -> None:
    bench = make(tool)
    first = await bench.call()
    assert await bench.call(2) == first
    assert await bench.call(1) == first
    assert len(bench.tool.calls) == 1
    assert len(bench.events()) == 2


async def test_a_write_whose_worker_was_killed_is_unknown_and_never_run_again(make: Make) -> None:
    bench = make(SEND)
    await killed(bench)
    assert len(bench.events()) == 1
    done = await bench.call(2)
    assert done.outcome == "unknown"
    assert "not known whether send was carried out" in bench.told(done)
    assert len(bench.tool.calls) == 1
    assert await bench.call(3) == done


async def test_a_read_whose_worker_was_killed_runs_again(make: Make) -> None:
    bench = make(LOOK)
    await killed(bench)
    done = await bench.call(2)
    assert done.outcome == "ok"
    assert len(bench.tool.calls) == 2
    assert [type(event) for event in bench.events()] == [ToolStarted, ToolEnded]


async def test_two_workers_that_have_the_same_write_run_it_once(make: Make) -> None:
    bench = make(SEND)
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> ToolResult:
        begun.set()
        await goes_on.wait()
        return ToolResult("Sent.")

    bench.tool.outcomes += [slowly]
    first = bench.calling()
    await begun.wait()
    second = await bench.call(2)
    goes_on.set()
    assert second.outcome == "unknown"
    assert await first == second  # the end that came first stands
    assert len(bench.tool.calls) == 1


@pytest.mark.parametrize("tool", BOTH, ids=["read", "write"])
async def test_ten_workers_at_once_record_one_end(make: Make, tool: ToolSpec) -> None:
    bench = make(tool)
    ends = await asyncio.gather(*(bench.call(1) for _ in range(10)))
    assert len(set(ends)) == 1
    assert sum(isinstance(event, ToolEnded) for event in bench.events()) == 1
    if tool.effect == "write":
        assert len(bench.tool.calls) == 1


@pytest.mark.parametrize(
    ("tool", "failure", "outcome"),
    [
        (LOOK, ToolFailed("There is no moon."), "error"),
        (SEND, ToolFailed("There is no moon."), "error"),
        (SEND, ToolFailed("There is no moon.", unknown=True), "unknown"),
        (LOOK, ToolFailed("There is no moon.", unknown=True), "error"),
    ],
)
async def test_what_a_tool_says_of_its_failure_is_told(
    make: Make, tool: ToolSpec, failure: ToolFailed, outcome: str
) -> None:
    bench = make(tool, failure)
    done = await bench.call()
    assert done.outcome == outcome
    assert bench.told(done).startswith("There is no moon.")
    assert ("not known whether" in bench.told(done)) == (outcome == "unknown")


@pytest.mark.parametrize(("tool", "outcome"), [(LOOK, "error"), (SEND, "unknown")])
async def test_a_tool_that_breaks_ends_its_call_and_not_the_turn(make: Make, tool: ToolSpec, outcome: str) -> None:
    bench = make(tool, ValueError("a secret of the tool"))
    done = await bench.call()
    assert done.outcome == outcome
    assert "fault of its own" in bench.told(done)
    assert "secret" not in bench.told(done)


@pytest.mark.parametrize(("tool", "outcome"), [(LOOK, "error"), (SEND, "unknown")])
async def test_a_tool_that_is_too_slow_is_left(make: Make, tool: ToolSpec, outcome: str) -> None:
    bench = make(replace(tool, timeout_s=0.05), hanging(asyncio.Event()))
    done = await bench.call()
    assert done.outcome == outcome
    assert "no answer within 0.05 seconds" in bench.told(done)


async def test_a_tools_own_timeout_is_a_fault_of_its_own(make: Make) -> None:
    bench = make(LOOK, TimeoutError())
    assert "fault of its own" in bench.told(await bench.call())


async def test_a_read_that_needs_what_is_away_is_tried_again_later(make: Make) -> None:
    bench = make(LOOK, Unavailable("the database cannot be reached"))
    with pytest.raises(Unavailable):
        await bench.call()
    assert (await bench.call(2)).outcome == "ok"


async def test_a_write_that_meets_something_away_is_unknown(make: Make) -> None:
    bench = make(SEND, Unavailable("the other side cannot be reached"))
    assert (await bench.call()).outcome == "unknown"


async def test_a_tool_that_is_gone_is_an_error_that_the_model_can_read(make: Make) -> None:
    bench = make(LOOK)
    bench.run = replace(bench.run, name="look_away")
    done = await bench.call()
    assert done.outcome == "error"
    assert bench.told(done) == "There is no tool look_away here."
    assert [type(event) for event in bench.events()] == [ToolEnded]


async def test_a_write_that_had_begun_is_unknown_even_if_its_tool_is_gone(make: Make) -> None:
    bench = make(SEND)
    await killed(bench)
    bench.run = replace(bench.run, name="sent_away")
    assert (await bench.call(2)).outcome == "unknown"


async def test_arguments_that_a_person_made_wrong_are_told(make: Make) -> None:
    bench = make(SEND)
    edited = bench.store.content.put(Content(bench.run.turn.session_id, '{"at": 5}'))
    bench.run = replace(bench.run, arguments_hash=edited)
    done = await bench.call()
    assert done.outcome == "error"
    assert "at: 5 is not of type 'string'" in bench.told(done)
    assert bench.tool.calls == []


async def test_the_arguments_that_a_person_let_go_are_used(make: Make) -> None:
    bench = make(SEND)
    edited = bench.store.content.put(Content(bench.run.turn.session_id, '{"at": "mars"}'))
    bench.run = replace(bench.run, arguments_hash=edited)
    await bench.call()
    assert bench.tool.calls[0][0] == {"at": "mars"}
    assert bench.events()[0].arguments_hash == edited


async def test_texts_of_an_inner_session_belong_to_its_root(make: Make) -> None:
    task = f"task_{uuid4().hex}"
    bench = make(LOOK, session_id=f"{task}/ada")
    done = await bench.call()
    assert bench.store.content.get(task, [done.result_hash]) == {done.result_hash: "Done."}
    assert bench.events()[0].session_id == f"{task}/ada"


async def test_what_was_erased_cannot_be_called(make: Make) -> None:
    bench = make(LOOK)
    bench.run = replace(bench.run, reply_hash="0" * 64)
    with pytest.raises(NotFound, match="erased"):
        await bench.call()


async def test_a_result_that_cannot_be_stored_is_made_so(make: Make) -> None:
    bench = make(LOOK, ToolResult("a\x00b\ud800" + "x" * 30_000))
    told = bench.told(await bench.call())
    assert told.startswith("ab?x")
    assert len(told) == policy.MOST_CHARACTERS


async def test_a_tool_without_a_text_says_so(make: Make) -> None:
    bench = make(LOOK, ToolResult(" \n"))
    assert bench.told(await bench.call()) == "The tool gave no text."


async def cancelled(bench: Bench, **why: bool) -> None:
    """Cancel the activity while the tool works."""
    started, made = asyncio.Event(), ActivityEnvironment()
    bench.tool.outcomes.append(hanging(started))
    task = bench.calling(environment=made)
    await started.wait()
    made.cancel(cancellation_details=ActivityCancellationDetails(**why))
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_write_that_is_stopped_is_unknown(make: Make) -> None:
    bench = make(SEND)
    await cancelled(bench, worker_shutdown=True)
    assert bench.events()[-1].outcome == "unknown"
    assert (await bench.call(2)).outcome == "unknown"
    assert len(bench.tool.calls) == 1


async def test_a_read_that_is_stopped_with_its_run_was_not_carried_out(make: Make) -> None:
    bench = make(LOOK)
    await cancelled(bench, cancel_requested=True)
    assert bench.events()[-1].outcome == "error"
    assert "the work was stopped" in bench.text(bench.events()[-1].result_hash)


async def test_a_read_that_is_stopped_with_its_worker_runs_on_another(make: Make) -> None:
    bench = make(LOOK)
    await cancelled(bench, worker_shutdown=True)
    assert len(bench.events()) == 1
    assert (await bench.call(2)).outcome == "ok"


async def test_a_write_that_is_stopped_before_it_began_was_not_carried_out(make: Make) -> None:
    bench = make(SEND)
    before, held = bench.store.ledger.append, asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(*changes: Any, **more: Any) -> int | None:
        position = before(*changes, **more)
        loop.call_soon_threadsafe(held.set)
        return position

    bench.store.ledger.append = slow  # type: ignore[method-assign]
    try:
        made = ActivityEnvironment()
        task = bench.calling(environment=made)
        while not task.done() and not held.is_set():
            await asyncio.sleep(0)
            made.cancel(cancellation_details=ActivityCancellationDetails(cancel_requested=True))
        with pytest.raises(asyncio.CancelledError):
            await task
    finally:
        bench.store.ledger.append = before  # type: ignore[method-assign]
    assert bench.tool.calls == []


@pytest.mark.parametrize("tool", BOTH, ids=["read", "write"])
async def test_an_end_is_written_when_the_database_is_back(make: Make, tool: ToolSpec, postgres_server: str) -> None:
    bench = make(tool)
    away = database_away(postgres_server, bench.store.url)

    async def goes_away() -> ToolResult:
        await asyncio.to_thread(away.__enter__)
        asyncio.get_running_loop().call_later(0.5, lambda: away.__exit__(None, None, None))
        return ToolResult("Done in the dark.")

    bench.tool.outcomes.append(goes_away)
    done = await bench.call()
    assert done.outcome == "ok"
    assert bench.told(done) == "Done in the dark."


async def test_a_database_that_is_away_at_first_is_for_temporal_to_wait_for(make: Make, postgres_server: str) -> None:
    bench = make(SEND)
    with database_away(postgres_server, bench.store.url), pytest.raises(Unavailable):
        await bench.call()
    assert (await bench.call(2)).outcome == "ok"


def closing(bench: Bench, outcome: str, text: str = "", **more: Any) -> ToolCallResult:
    return bench.activities.close_tool(CloseToolRequest(bench.run, outcome, text, **more))


def test_what_was_not_let_go_is_closed_as_refused(make: Make) -> None:
    bench = make(SEND)
    done = closing(bench, "refused", "A person said no.")
    assert (done.outcome, bench.told(done)) == ("refused", "A person said no.")
    assert closing(bench, "ok", "Something else.") == done
    (ended,) = bench.events()
    assert bench.text(ended.arguments_hash) == '{"at": "the moon"}'


def test_a_call_that_the_workflow_did_has_the_result_that_is_there(make: Make) -> None:
    bench = make(SEND)
    answer = bench.store.content.put(Content(bench.run.turn.session_id, "Another agent's answer."))
    done = closing(bench, "ok", result_hash=answer, sources=["agent:amy_cfo"])
    assert done == ToolCallResult("ok", answer)
    assert bench.events()[0].sources == ("agent:amy_cfo",)


def test_what_people_wrote_is_told_below(make: Make) -> None:
    bench = make(SEND)
    words = [bench.store.content.put(Content(bench.run.turn.session_id, text)) for text in ("The edit.", "A comment.")]
    erased = "0" * 64
    done = closing(bench, "ok", "A person approved it.", added=[words[0], erased, words[1]])
    assert bench.told(done) == "A person approved it.\n\nThe edit.\n\nA comment."


async def test_a_write_that_had_begun_is_closed_as_unknown(make: Make) -> None:
    bench = make(SEND)
    await killed(bench)
    done = closing(bench, "error", "It did not end in time.")
    assert done.outcome == "unknown"
    assert "not known whether send was carried out" in bench.told(done)


async def test_a_tool_may_have_a_name_that_cannot_be_stored(make: Make) -> None:
    bench = make(SEND)
    bench.run = replace(bench.run, name="se\x00nd" + "d" * 90)
    done = closing(bench, "error", "There is no such tool.")
    assert done.outcome == "error"
    assert bench.events()[0].name == "send" + "d" * 60
