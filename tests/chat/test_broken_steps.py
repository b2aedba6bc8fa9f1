"""Whatever breaks on the way of a model call, and whenever: the provider is asked a stated number of times at most."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs
from temporalio.exceptions import ApplicationError

from activities.chat.activities import ChatActivities
from activities.chat.history import ChatHistory
from activities.chat.messages import OpenSessionRequest, StepRequest
from activities.chat.model_step import ModelStepActivities
from activities.chat.tool_offers import ToolOffers
from activities.costs.bookkeeping import CostLedger
from activities.costs.model_call import ModelCalls
from activities.costs.model_errors import refusal_error
from domain.chat.model_port import ModelFailure, ModelReply
from domain.chat.policy import MOST_ATTEMPTS, MOST_FAILURES
from domain.errors import Conflict, DomainError, UpstreamFailed, VersionConflict
from runtime.wiring.parts import now
from tests.chat.test_activities import Talk, environment
from tests.scripted_model import ScriptedModel
from tests.system import AGENT, System

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOST_TRIES = MOST_FAILURES + 2
FAULTS: tuple[Callable[[], Exception], ...] = (
    lambda: RuntimeError("a secret of ours"),
    lambda: OverflowError("a secret of ours"),
    lambda: UnicodeEncodeError("utf-8", "a secret of ours", 0, 1, "no"),
    lambda: RecursionError("a secret of ours"),
    lambda: VersionConflict("a secret of ours"),
    lambda: Conflict("a secret of ours"),
    lambda: KeyError("a secret of ours"),
    lambda: TimeoutError("a secret of ours"),
)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """What breaks is logged at length, and there is much of it."""
    with capture_logs():
        yield


@dataclass
class Seams:
    """Every place where something outside is touched, in order. From touch `at` on `faults` of them break."""

    at: int = 10**9
    faults: int = 10**9
    after: bool = False
    touched: list[str] = field(default_factory=list)

    def around(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def touch(*args: Any, **more: Any) -> Any:
            number = len(self.touched)
            self.touched.append(name)
            breaks = self.at <= number < self.at + self.faults
            if breaks and not self.after:
                raise self.fault(number)
            done = work(*args, **more)
            if breaks:
                raise self.fault(number)
            return done

        return touch

    def fault(self, number: int) -> Exception:
        return FAULTS[number % len(FAULTS)]()


class Seamed:
    """Something outside, each of whose methods is a seam."""

    def __init__(self, seams: Seams, inner: Any) -> None:
        self._seams, self._inner = seams, inner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        return self._seams.around(name, value) if callable(value) else value


class BreakingModel:
    """A model that is asked, answers, and only then breaks."""

    default = "scripted"
    takes_tools = True

    def __init__(self, seams: Seams, inner: Any) -> None:
        self._seams, self._inner = seams, inner

    async def complete(self, *args: Any) -> ModelReply:
        reply = await self._inner.complete(*args)
        return self._seams.around("complete", lambda: reply)()  # type: ignore[no-any-return]

    async def window(self, model: str) -> int:
        return int(await self._inner.window(model))


def seamed(system: System, seams: Seams) -> ModelStepActivities:
    parts = system.parts
    ledger, content = Seamed(seams, parts.ledger), Seamed(seams, parts.content)
    books = CostLedger(ledger, Seamed(seams, parts.prices), now)  # type: ignore[arg-type]
    model = BreakingModel(seams, parts.model)
    return ModelStepActivities(
        ChatHistory(ledger, content, parts.agents),  # type: ignore[arg-type]
        content,  # type: ignore[arg-type]
        books,
        ModelCalls(books, model, now, timeout=timedelta(seconds=10)),  # type: ignore[arg-type]
        offers=ToolOffers(parts.toolbox),
        now=now,
        default_model="scripted",
        max_answer_tokens=256,
    )


def thought_in(system: System) -> StepRequest:
    session_id = f"session_{uuid4().hex}"
    chat = ChatActivities(system.parts.ledger, now, model_queue="a-queue")
    chat.open_session(OpenSessionRequest(session_id, AGENT, "anonymous", f"chat-{session_id}", "req_1"))
    talk = Talk(system, None, chat, None, None, session_id)  # type: ignore[arg-type]
    return talk.said("Hello.")


async def tried_out(thinking: ModelStepActivities, thought: StepRequest) -> str:
    """The step as Temporal takes it: again until it is done, or is not to be tried again."""
    for attempt in range(1, MOST_TRIES + 1):
        try:
            await environment(attempt).run(thinking.think, thought)
        except (ApplicationError, DomainError) as error:
            if (refusal_error(error) if isinstance(error, DomainError) else error).non_retryable:
                return "failed"
        except Exception:  # noqa: BLE001, S112  (a worker's interceptor makes it one that is tried again)
            continue
        else:
            return "done"
    return "tried for ever"


async def healthy(system: System) -> int:
    """How many seams a step has where nothing breaks."""
    seams = Seams()
    assert await tried_out(seamed(system, seams), thought_in(system)) == "done"
    assert {"append", "price", "complete"} <= set(seams.touched)
    return len(seams.touched)


@pytest.mark.parametrize(("faults", "after"), [(1, False), (1, True), (10**9, False), (10**9, True)])
async def test_whatever_breaks_the_provider_is_asked_five_times_at_most(
    unworked: System, scripted_model: ScriptedModel, faults: int, *, after: bool
) -> None:
    for at in range(await healthy(unworked)):
        scripted_model.reset()
        seams = Seams(at, faults, after)
        await tried_out(seamed(unworked, seams), thought_in(unworked))
        asked = len(scripted_model.bill())
        assert asked <= MOST_FAILURES, f"{asked} calls where {seams.touched[at]} broke"


@pytest.mark.parametrize("name", ["append", "price", "complete"])
async def test_what_always_breaks_behind_the_reply_ends_the_step(
    unworked: System, scripted_model: ScriptedModel, name: str
) -> None:
    seams = Seams()
    assert await tried_out(seamed(unworked, seams), thought_in(unworked)) == "done"
    last = len(seams.touched) - 1 - seams.touched[::-1].index(name)
    scripted_model.reset()
    broken = Seams(at=last)
    assert await tried_out(seamed(unworked, broken), thought_in(unworked)) == "failed"
    assert 1 <= len(scripted_model.bill()) <= MOST_FAILURES


class Refusing:
    """A model that always has another reason to be asked differently."""

    default = "scripted"
    takes_tools = True

    def __init__(self, **failure: Any) -> None:
        self._failure = failure
        self.asked = 0

    async def complete(self, *_: Any) -> ModelReply:
        self.asked += 1
        raise ModelFailure(**self._failure)

    async def window(self, _: str) -> int:
        return 8192


@pytest.mark.parametrize(
    "failure",
    [
        {"kind": "unsupported", "refuses": "parameter", "permanent": False, "charge": "none"},
        {"kind": "unsupported", "refuses": "tools", "permanent": False, "charge": "none"},
        {"kind": "unsupported", "permanent": False, "charge": "none"},
        {"kind": "too_long", "permanent": True, "charge": "none"},
        {"kind": "rate_limited", "permanent": False, "charge": "none", "retry_after": 1e300},
        {"kind": "unavailable", "permanent": False, "charge": "partial"},
        {"kind": "cut", "permanent": False, "charge": "partial", "provider_call_id": "a\x00b"},
    ],
)
async def test_no_kind_of_failure_is_asked_for_ever(unworked: System, failure: dict[str, Any]) -> None:
    model, parts = Refusing(message="no", **failure), unworked.parts
    books = CostLedger(parts.ledger, parts.prices, now)
    thinking = ModelStepActivities(
        ChatHistory(parts.ledger, parts.content, parts.agents),
        parts.content,
        books,
        ModelCalls(books, model, now, timeout=timedelta(seconds=10)),
        offers=ToolOffers(parts.toolbox),
        now=now,
        default_model="scripted",
        max_answer_tokens=256,
    )
    assert await tried_out(thinking, thought_in(unworked)) == "failed"
    assert model.asked <= MOST_ATTEMPTS
    if failure["kind"] != "unsupported":
        assert model.asked <= MOST_FAILURES


async def test_a_step_whose_workers_always_die_is_given_up(unworked: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"hang": True, "times": None})
    thinking, thought = seamed(unworked, Seams()), thought_in(unworked)
    for attempt in range(1, MOST_ATTEMPTS + 1):
        task = asyncio.create_task(environment(attempt).run(thinking.think, thought))
        await scripted_model.until(lambda bill, least=attempt: len(bill) >= least)  # type: ignore[misc]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    with pytest.raises(UpstreamFailed, match="the limit of attempts"):
        await environment(MOST_ATTEMPTS + 1).run(thinking.think, thought)
    assert len(scripted_model.bill()) == MOST_ATTEMPTS
