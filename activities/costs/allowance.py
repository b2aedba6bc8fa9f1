"""Allowances: what a person lets a run spend beyond a limit."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from temporalio import activity

from domain.approvals import commands
from domain.approvals.aggregate import Approval
from domain.content import Content, ContentStore
from domain.costs.limits.breach import LimitBreach
from domain.costs.limits.events import AllowanceGranted
from domain.costs.limits.scopes import scope_of
from domain.errors import Conflict, Invalid, NotFound
from domain.events import Cause
from domain.ledger import Change, Ledger, retry_on_conflict

KIND = "budget"
"""The kind of an approval that grants an allowance."""
MOST_USD = 1_000_000
_SCHEMA = json.dumps({"type": "number", "exclusiveMinimum": 0, "maximum": MOST_USD})


@dataclass(frozen=True)
class AllowanceRequest:
    """The texts to be stored for an approval: they belong to `owner`. `breach` has the values of a `LimitBreach`."""

    owner: str
    agent_id: str
    breach: dict[str, str]


@dataclass(frozen=True)
class AllowanceTexts:
    """The texts of an approval, by their hashes: the amount that is asked for, what is known of it, and its schema."""

    amount_hash: str
    payload_hash: str
    schema_hash: str


@dataclass(frozen=True)
class AllowanceGrant:
    """The approval by which an allowance is granted."""

    approval_id: str
    because: str


class AllowanceActivities:
    """Commands on allowances. All are idempotent.

    The amount and the limit are read from the approval in the ledger: the arguments come through Temporal, where
    anybody who can reach the server can put anything.
    """

    def __init__(self, ledger: Ledger, content: ContentStore, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._content = content
        self._now = now

    def all(self) -> list[Callable[..., object]]:
        return [self.describe_allowance, self.grant_allowance]

    @activity.defn(name="describe_allowance", no_thread_cancel_exception=True)
    def describe_allowance(self, wanted: AllowanceRequest) -> AllowanceTexts:
        """Store what a person decides about: the amount, which they may edit, and the limit that was reached."""
        breach = LimitBreach.of(wanted.breach)
        payload = {**breach.details(), "agent_id": wanted.agent_id}
        return AllowanceTexts(
            self._put(wanted.owner, f"{Decimal(breach.asked_usd):f}"),
            self._put(wanted.owner, json.dumps(payload, sort_keys=True)),
            self._put(wanted.owner, _SCHEMA),
        )

    @activity.defn(name="grant_allowance", no_thread_cancel_exception=True)
    def grant_allowance(self, grant: AllowanceGrant) -> None:
        """Record the allowance that a person approved.

        Raises:
            Conflict: the approval is none of a budget, or was not granted.
            Invalid: its amount is none.
            NotFound: its texts were erased.
        """
        retry_on_conflict(lambda: self._grant(grant))

    def _grant(self, grant: AllowanceGrant) -> None:
        approval = commands.load(self._ledger, grant.approval_id)
        if approval.standing is None or approval.request.kind != KIND or approval.standing.status != "approved":
            raise Conflict(f"{grant.approval_id} grants no allowance")
        granted = self._read_grant(approval, grant)
        stream = f"allowance:{granted.run_id}"
        version, _ = self._ledger.read_latest(stream)
        self._ledger.append(Change(stream, version, [granted]), key=f"allowance:{grant.approval_id}")

    def _read_grant(self, approval: Approval, grant: AllowanceGrant) -> AllowanceGranted:
        asked, standing = approval.request, approval.standing
        decided_by, edited = (standing.by, standing.content_hash) if standing else ("", None)
        hashes = edited or asked.content_hash, asked.payload_hash or ""
        texts = self._content.get(asked.owner, hashes)
        if not all(each in texts for each in hashes):
            raise NotFound("the amount of this allowance was erased")
        limit: dict[str, Any] = json.loads(texts[hashes[1]])
        cause = Cause(decided_by, grant.because, self._now(), asked.tenant_id)
        return AllowanceGranted.model_validate(
            {
                "run_id": limit["run_id"],
                "scope": scope_of(limit["scope"], asked.tenant_id),
                "window": limit["window"],
                "starts": limit["starts"],
                "amount_usd": read_amount(texts[hashes[0]]),
                "approval_id": grant.approval_id,
                **cause.fields(),
            },
        )

    def _put(self, owner: str, text: str) -> str:
        return self._content.put(Content(owner, text))


def read_amount(text: str) -> Decimal:
    """Return an amount of US dollars, exactly as a person wrote it.

    Raises:
        Invalid: it is no positive number, or too large.
    """
    try:
        amount = Decimal(text.strip())
    except InvalidOperation:
        amount = Decimal(0)
    if not amount.is_finite() or not 0 < amount <= MOST_USD:
        raise Invalid(f"an allowance is an amount between 0 and {MOST_USD} US dollars")
    return amount
