"""The risk policy in force: one versioned record in the ledger, written by `convergio migrate` only.

Each process has its own environment and files. If each used its own policy, one without the operator's file would
approve everything by the defaults.
"""

from datetime import datetime
from typing import Literal

from domain.approvals.rules import RiskPolicy
from domain.errors import Conflict
from domain.events import Cause, Event
from domain.ledger import Change, Ledger, retry_on_conflict
from domain.tenant_ids import DEFAULT

STREAM = "risk_policy"
Source = Literal["packaged", "own"]
"""The policy is the platform's default (`packaged`), or the operator's own (`own`)."""


class RiskPolicySet(Event):
    """New approvals follow this policy from now on. Its version is its place in the stream."""

    NAME = "risk_policy.set"
    policy: RiskPolicy
    source: Source


EVENTS: tuple[type[Event], ...] = (RiskPolicySet,)


def put_in_force(ledger: Ledger, policy: RiskPolicy, source: Source, at: datetime) -> int | None:
    """Put this policy into force. Returns its version, None if it is in force already.

    Raises:
        Conflict: it would replace the operator's own policy by the packaged one.
        domain.errors.Unavailable: the ledger cannot be reached.
    """
    return retry_on_conflict(lambda: _record(ledger, policy, source, at))


def _record(ledger: Ledger, policy: RiskPolicy, source: Source, at: datetime) -> int | None:
    version, standing = _newest(ledger)
    if standing is not None and standing.policy == policy and standing.source == source:
        return None
    if standing is not None and (standing.source, source) == ("own", "packaged"):
        raise Conflict(
            f"the ledger has a risk policy of your own (version {version}), and CONVERGIO_RISK_POLICY names none: name"
            " it again, or, to go back to the one that comes with the platform, a file that contains {}"
        )
    event = RiskPolicySet(policy=policy, source=source, **Cause("platform", "convergio migrate", at, DEFAULT).fields())
    ledger.append(Change(STREAM, version, [event]), key=f"{STREAM}:{version + 1}")
    return version + 1


def policy_in_force(ledger: Ledger) -> RiskPolicy:
    """Return the policy for new approvals.

    Raises:
        Conflict: there is none.
        domain.errors.Unavailable: the ledger cannot be reached.
    """
    _, standing = _newest(ledger)
    if standing is None:
        raise Conflict("the ledger has no risk policy: run convergio migrate")
    return standing.policy


def refuse_other(ledger: Ledger, own: RiskPolicy) -> None:
    """Return if the policy of this process equals the ledger's; else the process must not start.

    Raises:
        Conflict: it does not, or the ledger has none.
        domain.errors.Unavailable: the ledger cannot be reached.
    """
    if policy_in_force(ledger) != own:
        raise Conflict(
            "the risk policy of this process is not the one in the ledger: give it the file that convergio migrate had"
            " (CONVERGIO_RISK_POLICY), or run convergio migrate with this one"
        )


def _newest(ledger: Ledger) -> tuple[int, RiskPolicySet | None]:
    version, event = ledger.read_latest(STREAM)
    if event is None:
        return version, None
    assert isinstance(event, RiskPolicySet)  # noqa: S101  (for the type checker: nothing else is in this stream)
    return version, event
