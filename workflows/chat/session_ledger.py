"""Records of a session in the ledger: its beginning, which loads what an earlier run left, and its end."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.chat.activities import ChatActivities
    from activities.chat.messages import EndSessionRequest, OpenSessionRequest, SessionHead
    from workflows.chat.messages import ChatStart
    from workflows.timeouts import LEDGER_RETRY, LEDGER_TIMEOUT


async def load_session_head(start: ChatStart) -> SessionHead:
    """Open the session, or load what the ledger has of it: an earlier run may have ended long ago."""
    return await workflow.execute_local_activity_method(
        ChatActivities.open_session,
        OpenSessionRequest(
            session_id=start.session_id,
            agent_id=start.agent_id,
            key_id=start.key_id,
            workflow_id=workflow.info().workflow_id,
            because=start.because,
            user_id=start.user_id,
            project_id=start.project_id,
        ),
        start_to_close_timeout=LEDGER_TIMEOUT,
        retry_policy=LEDGER_RETRY,
    )


async def record_session_end(ending: EndSessionRequest) -> None:
    """Record the end of the session."""
    await workflow.execute_activity_method(
        ChatActivities.end_session,
        ending,
        start_to_close_timeout=LEDGER_TIMEOUT,
        retry_policy=LEDGER_RETRY,
        summary="end the session",
    )
