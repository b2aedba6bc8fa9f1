"""Builds the event of an approval request."""

from datetime import datetime
from typing import cast

from activities.approvals.messages import ApprovalRequest
from domain.approvals import escalation
from domain.approvals.events import ApprovalRequested
from domain.approvals.rules import ApprovalRules, Risk
from domain.events import Cause
from domain.tenant_ids import tenant_of

MOST_TITLE = 200


def build_request(ask: ApprovalRequest, rules: ApprovalRules, at: datetime) -> ApprovalRequested:
    """Build the request by the rules in force at this time, which it keeps."""
    return ApprovalRequested(
        approval_id=ask.approval_id,
        kind=ask.kind,
        risk=cast("Risk", ask.risk),
        title=ask.title[:MOST_TITLE],
        agent_id=ask.agent_id,
        owner=ask.owner,
        content_hash=ask.content_hash,
        payload_hash=ask.payload_hash,
        workflow_id=ask.workflow_id,
        root_id=ask.root_id,
        requested_by=ask.key_id,
        project_id=ask.project_id,
        session_id=ask.session_id,
        turn=ask.turn,
        schema_hash=ask.schema_hash,
        rules=rules,
        **escalation.deadlines(rules, at),
        **Cause(ask.key_id, ask.because, at, tenant_of(ask.owner)).fields(),
    )
