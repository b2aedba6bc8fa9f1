"""An erasure of a session, in two passes."""

from tests.scripted_model import ScriptedModel
from tests.system import System, until

ERASURES = "/api/v1/erasures"


async def erased_session(system: System, model: ScriptedModel) -> str:
    """A session that has one turn."""
    session_id = (await system.say("Hello.")).json()["session_id"]
    asked = await system.http.post(ERASURES, json={"kind": "session", "id": session_id})
    location = asked.raise_for_status().headers["location"]
    await until(lambda: system.http.get(location), lambda answer: answer.json()["status"] == "completed", seconds=60)
    workflow_id = f"erasure-{asked.json()['id']}"
    await system.temporal.get_workflow_handle(workflow_id).result()
    return workflow_id


SCENES = (erased_session,)
