"""What the page on approvals says is so."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from standardwebhooks import Webhook

from adapters.files.risk_policy import load_risk_policy
from adapters.web.webhooks import HttpWebhooks
from domain.approvals.aggregate import Status
from domain.approvals.rules import ApprovalRules
from tests.approvals.conftest import SECRET, Receiver
from tests.servers import ROOT
from workflows.approvals.workflow import ApprovalWorkflow

PAGE = (ROOT / "docs/approvals.md").read_text()
SHOWN = [json.loads(text) for text in re.findall(r"```json\n(.+?)```", PAGE, re.DOTALL)]


def test_the_policy_that_is_shown_can_be_used(tmp_path: Path) -> None:
    path = tmp_path / "risk.json"
    path.write_text(json.dumps(SHOWN[0]))
    policy = load_risk_policy(path)
    assert (policy.high.quorum, policy.medium.expires_after_s) == (2, 7200)


def test_every_rule_and_status_is_explained() -> None:
    rows = set(re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.MULTILINE))
    assert rows == {*ApprovalRules.model_fields, *get_args(Status)}


def test_the_packaged_times_are_as_the_table_has_them() -> None:
    units = {"minutes": 60, "hour": 3600, "hours": 3600, "day": 86400, "days": 86400}

    def seconds(cell: str) -> int | None:
        count, _, unit = cell.strip().partition(" ")
        return int(count) * units[unit] if unit else None

    policy = load_risk_policy()
    risks = [policy.low, policy.medium, policy.high, policy.critical]
    for title, name in (
        ("expires after", "expires_after_s"),
        ("one reminder after", "remind_after_s"),
        ("escalates after", "escalate_after_s"),
    ):
        [row] = re.findall(rf"^\| {title} \| (.+) \|$", PAGE, re.MULTILINE)
        assert [seconds(cell) for cell in row.split("|")] == [getattr(rules, name) for rules in risks]


def test_the_signals_that_are_shown_are_those_there_are() -> None:
    shown = set(re.findall(r"--name (\w+)", PAGE))
    assert shown == {"approve", "reject", "withdraw"}
    assert all(hasattr(ApprovalWorkflow, name) for name in shown)


async def test_a_notice_is_verified_as_it_is_shown(webhooks: HttpWebhooks, receiver: Receiver) -> None:
    body = json.dumps(SHOWN[1])
    assert await webhooks.deliver("n1", body) == "delivered"
    assert receiver.taken == [SHOWN[1]]
    at = datetime.now(UTC)
    signature = Webhook(SECRET).sign("n1", at, body)
    headers = {"webhook-id": "n1", "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}
    assert Webhook(SECRET).verify(body, headers) == SHOWN[1]
