"""Chats whose turns take steps: tools, another agent, a person, and replies that have to be put right."""

from uuid import uuid4

from tests.scripted_model import ScriptedModel
from tests.system import CHAT, System

APPROVALS = "/api/v1/approvals"
BOOKS = '[[call query_costs {"period": "today", "group_by": "agent"}]]'
KNOWLEDGE = '[[call search_knowledge {"query": "rain"}]]'
AMY = '[[call delegate {"agent_id": "amy_cfo", "task": "What does it cost?"}]]'
PERSON = '[[call request_approval {"title": "May I?", "content": "Dear customer", "risk_level": "medium"}]]'


async def chat_with_tools(system: System, model: ScriptedModel) -> str:
    """Tools side by side, calls that cannot be made, another agent, and a request that a person edits."""
    session_id = f"session_{uuid4().hex}"
    for asked in (BOOKS + KNOWLEDGE, "[[badcall query_costs {period]]", AMY):
        (await system.say(f"Go on. {asked}", session_id)).raise_for_status()
    waiting = (await system.say(f"Send it. {PERSON}", session_id)).raise_for_status().json()
    await _decide(system, waiting["approval_id"], "approve", comment="Nice.", edited_content="Dearest customer")
    return await _end(system, session_id)


async def chat_held(system: System, model: ScriptedModel) -> str:
    """An answer that a person edits, and one that a person refuses."""
    session_id = f"session_{uuid4().hex}"
    for decision, body in (("approve", {"edited_content": "As I see it."}), ("reject", {"reason": "No."})):
        waiting = (await system.say("What do you think?", session_id, require_approval=True)).raise_for_status().json()
        await _decide(system, waiting["approval_id"], decision, **body)
        await system.settled(session_id)
    return await _end(system, session_id)


async def chat_withdrawn(system: System, model: ScriptedModel) -> str:
    """Cancelled while its answer is held."""
    session_id = f"session_{uuid4().hex}"
    (await system.say("What do you think?", session_id, require_approval=True)).raise_for_status()
    handle = system.temporal.get_workflow_handle(f"chat-{session_id}")
    await handle.cancel()
    await system.settled(session_id, seconds=20)
    return handle.id


async def _decide(system: System, approval_id: str, decision: str, **body: str) -> None:
    (await system.http.post(f"{APPROVALS}/{approval_id}/{decision}", json=body)).raise_for_status()


async def _end(system: System, session_id: str) -> str:
    await system.settled(session_id)
    (await system.http.delete(f"{CHAT}/{session_id}")).raise_for_status()
    return f"chat-{session_id}"


SCENES = (chat_with_tools, chat_held, chat_withdrawn)
