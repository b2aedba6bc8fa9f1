"""The status of a session, from its view and from what Temporal says of it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from api.chat.schemas import to_session
from api.http.dependencies import Page
from domain.chat.views import SessionRow, SessionStatus

AT = datetime(2026, 11, 3, 12, tzinfo=UTC)
OPENED = SessionRow(
    session_id="s1",
    tenant_id="default",
    agent_id="ada",
    key_id="key_1",
    workflow_id="chat-s1",
    user_id=None,
    project_id=None,
    status="idle",
    turns=0,
    opened_at=AT,
    last_at=AT,
    ended_at=None,
    origin_session_id=None,
    origin_turn=None,
)
FORKED = replace(OPENED, origin_session_id="s0", origin_turn=1)


@pytest.mark.parametrize(
    ("row", "pending", "status"),
    [
        (OPENED, 1, "running"),
        (OPENED, 0, "idle"),  # its message was refused
        (OPENED, None, "running"),
        (replace(OPENED, turns=1), 1, "running"),
        (replace(OPENED, turns=1), None, "idle"),
        (replace(OPENED, status="ended"), None, "ended"),
        (replace(OPENED, status="awaiting_approval", turns=1), 1, "awaiting_approval"),
        (FORKED, None, "idle"),
        (FORKED, 2, "running"),
        (None, 1, "running"),
    ],
)
def test_a_session_is_idle_only_if_no_accepted_message_can_be_missing(
    row: SessionRow | None, pending: int | None, status: SessionStatus
) -> None:
    session = to_session("s1", row, pending, [], Page(0, 100))
    assert (session.status, session.pending) == (status, pending)
