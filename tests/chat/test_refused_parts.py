"""What a model refuses of a request is a fact: it stands with the attempt, and is told where people look."""

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from activities.chat.history import ChatHistory
from activities.chat.model_step import ModelStepActivities
from activities.chat.tool_offers import ToolOffers
from activities.costs.bookkeeping import CostLedger
from activities.costs.call_request import refused_part
from activities.costs.model_call import ModelCalls
from api.agents.model_status import AgentModels, ModelStatus
from domain.chat.policy import REFUSAL_TTL_S
from domain.chat.ports import ModelFailure
from domain.tools.ports import ToolState
from runtime.wiring.parts import now
from tests.chat.test_activities import environment
from tests.chat.test_broken_steps import thought_in
from tests.scripted_model import ScriptedModel
from tests.system import System, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

NO_TOOLS = {"message": "this model does not support tools", "type": "invalid_request_error"}
NO_USAGE = {"message": "stream_options: extra fields not permitted"}
NO_CAP = {"message": "'max_tokens' is not supported; use 'max_completion_tokens' instead.", "param": "max_tokens"}
LOW_CAP = {"message": "max_tokens must be less than or equal to 128"}
NO_SYSTEM = {"message": "Developer instruction is not enabled for this model"}


def refusal(error: dict[str, Any], status: int = 400) -> dict[str, Any]:
    return {"status": status, "error": error}


async def thought(system: System, model: str) -> list[dict[str, Any]]:
    """A turn of the first agent on this model: its attempts as the ledger lists them, oldest first."""
    parts = system.parts
    books = CostLedger(parts.ledger, parts.prices, now)
    thinking = ModelStepActivities(
        ChatHistory(parts.ledger, parts.content, parts.agents),
        parts.content,
        books,
        ModelCalls(books, parts.model, now, timeout=timedelta(seconds=10)),
        offers=ToolOffers(parts.toolbox),
        now=now,
        default_model=model,
        max_answer_tokens=256,
    )
    asked = thought_in(system)
    await environment().run(thinking.think, asked)
    return (await system.calls(session_id=asked.turn.session_id))[::-1]


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (NO_TOOLS, "tools"),
        (NO_USAGE, "stream_options"),
        (NO_CAP, "max_tokens"),
        (LOW_CAP, "max_tokens"),
        (NO_SYSTEM, "system"),
    ],
)
async def test_what_a_model_refused_stands_with_the_attempt_in_the_ledgers_listing(
    unworked: System, scripted_model: ScriptedModel, error: dict[str, Any], refused: str
) -> None:
    scripted_model.script(refusal(error))
    failed, settled = await thought(unworked, f"model-{uuid4().hex}")
    assert (failed["state"], failed["error"], failed["refused"]) == ("failed", "unsupported", refused)
    assert (settled["state"], settled["refused"]) == ("settled", None)


async def test_each_refusal_of_a_model_that_has_several_is_told(
    unworked: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(refusal(NO_USAGE), refusal(NO_TOOLS), refusal(NO_CAP, 422))
    calls = await thought(unworked, f"model-{uuid4().hex}")
    assert [call["refused"] for call in calls] == ["stream_options", "tools", "max_tokens", None]


@pytest.mark.parametrize("tools", [True, False])
@pytest.mark.parametrize("schema", [True, False])
async def test_a_refusal_that_names_nothing_is_one_of_what_was_asked_for_besides(*, tools: bool, schema: bool) -> None:
    named = {(True, True): "schema_with_tools", (True, False): "tools", (False, True): "schema"}
    ask = SimpleNamespace(request=SimpleNamespace(tools=(1,) if tools else (), reply_schema=1 if schema else None))
    failure = ModelFailure("unsupported", "no", charge="none", permanent=False)
    assert refused_part(failure, ask) == named.get((tools, schema))  # type: ignore[arg-type]


async def test_a_failure_of_another_kind_refuses_nothing() -> None:
    ask = SimpleNamespace(request=SimpleNamespace(tools=(1,), reply_schema=1))
    for kind in ("rate_limited", "unavailable", "bad_request"):
        assert refused_part(ModelFailure(kind, "no", charge="none", permanent=False), ask) is None  # type: ignore[arg-type]


async def on_model(system: System, model: str) -> str:
    """The id of a deployed agent on this model."""
    about = {"name": f"On {model} {uuid4().hex[:8]}", "description": "Made for a test.", "capabilities": []}
    body = {**about, "tools": ["query_costs", "web_fetch"], "system_prompt": "You answer.", "model": model}
    made = await system.http.post("/api/v1/agent-management/create", json=body)
    assert made.status_code == 201, made.text
    agent_id = str(made.json()["id"])
    deployed = await system.http.post(f"/api/v1/agent-management/{agent_id}/deploy", json={})
    assert deployed.status_code == 200, deployed.text
    return agent_id


async def tools_of(system: System, agent_id: str) -> dict[str, Any]:
    """The tools of an agent, once the views have caught up."""
    response = await until(
        lambda: system.http.get(f"/api/v1/agents/{agent_id}/tools"),
        lambda response: response.is_success and "x-convergio-stale" not in response.headers,
    )
    return dict(response.json())


async def test_tools_that_an_agents_model_refused_are_told_as_unavailable_with_the_reason(
    unworked: System, scripted_model: ScriptedModel
) -> None:
    agent_id = await on_model(unworked, "gpt-4o")
    before = await tools_of(unworked, agent_id)
    assert (before["model"], before["model_refusals"]) == ("gpt-4o", [])
    assert [tool["state"] for tool in before["tools"]] == ["offered", "not_configured"]
    scripted_model.script(refusal(NO_TOOLS))
    failed, _ = await thought(unworked, "gpt-4o")
    told = await tools_of(unworked, agent_id)
    [refused] = told["model_refusals"]
    assert (refused["refused"], refused["at"]) == ("tools", failed["ended_at"])
    costs, fetch = told["tools"]
    assert (costs["name"], costs["state"], fetch["state"]) == ("query_costs", "unavailable", "not_configured")
    assert costs["reason"] == f"its model gpt-4o refused tools at {failed['ended_at'][:19]}Z"


async def test_a_parameter_that_a_model_refused_is_told_and_its_tools_stay_offered(
    unworked: System, scripted_model: ScriptedModel
) -> None:
    agent_id = await on_model(unworked, "gpt-4.1-mini")
    scripted_model.script(refusal(NO_USAGE))
    await thought(unworked, "gpt-4.1-mini")
    told = await tools_of(unworked, agent_id)
    assert [refused["refused"] for refused in told["model_refusals"]] == ["stream_options"]
    assert told["tools"][0]["state"] == "offered"


async def test_an_agent_on_another_model_is_not_told_of_it(unworked: System, scripted_model: ScriptedModel) -> None:
    agent_id = await on_model(unworked, "gpt-4.1-nano")
    scripted_model.script(refusal(NO_TOOLS))
    await thought(unworked, "gpt-4.1")
    told = await tools_of(unworked, agent_id)
    assert (told["model_refusals"], told["tools"][0]["state"]) == ([], "offered")


async def test_a_refusal_is_told_as_long_as_it_is_believed(unworked: System, scripted_model: ScriptedModel) -> None:
    agent_id = await on_model(unworked, "gpt-4o-mini")
    scripted_model.script(refusal(NO_TOOLS))
    failed, _ = await thought(unworked, "gpt-4o-mini")
    agent, ended = unworked.parts.agents.get("default", agent_id), datetime.fromisoformat(failed["ended_at"])

    def at(seconds: float) -> ModelStatus:
        return AgentModels(
            unworked.parts.costs, "scripted", lambda: ended + timedelta(seconds=seconds), takes_tools=True
        ).status(agent)

    assert [refusal.until for refusal in at(REFUSAL_TTL_S - 1).refusals] == [ended + timedelta(seconds=REFUSAL_TTL_S)]
    assert at(REFUSAL_TTL_S).refusals == ()
    assert at(REFUSAL_TTL_S).reason_without_tools is None


async def test_where_no_model_is_offered_tools_their_state_says_so() -> None:
    status = ModelStatus("a-model", takes_tools=False, refusals=())
    states = [ToolState("query_costs", "offered"), ToolState("odd__x", "quarantined", "it is odd")]
    told = list(status.states(states))
    assert [state.state for state in told] == ["unavailable", "quarantined"]
    assert "CONVERGIO_MODEL_TOOLS" in (told[0].reason or "")
    assert told[1].reason == "it is odd"
