"""What is asked of people, and what they have decided, by ids only."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ApprovalAsk:
    """What a person is to decide.

    `kind` is `agent_response`, `tool_call`, `swarm_result` or `request`; `risk` is `low`, `medium`, `high` or
    `critical`. `owner` and `content_hash` name the text to look at; `payload_hash` one more, which is JSON.
    `workflow_id` is the run that waits and gets the signal `approval_decided`; `root_id` the root run, by which people
    know it.
    """

    approval_id: str
    kind: str
    risk: str
    title: str
    agent_id: str
    owner: str
    content_hash: str
    workflow_id: str
    root_id: str
    key_id: str
    because: str
    payload_hash: str | None = None
    project_id: str | None = None
    session_id: str | None = None
    turn: int | None = None


@dataclass(frozen=True)
class Decided:
    """What was decided: `approved`, `rejected`, `expired` or `withdrawn`.

    `content_hash` is the text as a person edited it, `comment_hash` what they said; both belong to the ask's owner.
    """

    approval_id: str
    outcome: str
    by: str
    content_hash: str | None = None
    comment_hash: str | None = None
