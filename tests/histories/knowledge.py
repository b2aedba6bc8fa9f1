"""Documents that are indexed, replaced meanwhile, and that cannot be read."""

from temporalio.client import WorkflowExecutionStatus

from tests.scripted_model import ScriptedModel
from tests.system import System, until

PATH = "/api/v1/vector"


async def ingested(system: System, model: ScriptedModel) -> str:
    """A document of two versions, the second submitted while the first is indexed."""
    text = "\n\n".join(f"# Part {number}\n\nText {number}." for number in range(100))
    for version in range(2):
        body = {"title": "Guide", "content": f"{text}\n\nVersion {version}.", "document_id": "guide"}
        (await system.http.post(f"{PATH}/index", json=body)).raise_for_status()
    return await _ended(system, "guide")


async def ingest_failed(system: System, model: ScriptedModel) -> str:
    """A document that cannot be read."""
    form = {"file": ("a.pdf", b"%PDF-1.4 broken", "application/pdf")}
    sent = await system.http.post(f"{PATH}/index/file", data={"document_id": "broken"}, files=form)
    sent.raise_for_status()
    return await _ended(system, "broken")


async def _ended(system: System, document_id: str) -> str:
    handle = system.temporal.get_workflow_handle(f"ingest-{document_id}")
    await until(handle.describe, lambda it: it.status is not WorkflowExecutionStatus.RUNNING, seconds=60)
    return handle.id


SCENES = (ingested, ingest_failed)
