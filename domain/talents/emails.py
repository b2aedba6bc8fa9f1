"""E-mail addresses of talents: their equality, and their owners.

Each address is a stream with one owner at a time: of two concurrent claims one is refused. The stream is named by a
keyed hash, so that the address is not in the ledger.
"""

import hmac
from collections.abc import Iterable, Mapping, Sequence

from domain.errors import Conflict
from domain.events import Cause, Event
from domain.ledger import Change
from domain.records.documents import fold_text
from domain.talents.aggregate import TalentRecord
from domain.talents.events import EmailClaimed, EmailReleased
from domain.tenant_ids import stream_prefix

PURPOSE = "talent_email"
"""The purpose of the tenant's secret."""


def email_key(secret: bytes, email: str) -> str:
    """Return the keyed hash of an address: the same for addresses that differ in case or Unicode form only."""
    return hmac.digest(secret, fold_text(email).encode(), "sha256").hex()


def email_stream(tenant_id: str, key: str) -> str:
    """Return the stream that records whose an address is."""
    return f"{stream_prefix('talent_email', tenant_id)}{key}"


def owner_of(claims: Iterable[Event]) -> int | None:
    """Return the owner of an address, by the events of its stream; None if it is free."""
    talent_id = None
    for event in claims:
        if isinstance(event, EmailClaimed):
            talent_id = event.talent_id
        elif isinstance(event, EmailReleased):
            talent_id = None
    return talent_id


def refuse_taken(talent_id: int, claims: Iterable[Event]) -> None:
    """Return if no other talent has the address.

    Raises:
        Conflict: another one has; `talent_id` says which.
    """
    owner = owner_of(claims)
    if owner not in {None, talent_id}:
        raise Conflict("another talent has this e-mail address", field="email", talent_id=owner)


def owned_key(talent: TalentRecord) -> str | None:
    """Return the key of the address that the talent owns; None if it owns none."""
    return talent.email_key if talent.is_visible else None


def claim(talent_id: int, key: str, expected: int, cause: Cause) -> Change:
    """Return the claim of an address whose stream is at version `expected`."""
    event = EmailClaimed(talent_id=talent_id, **cause.fields())
    return Change(email_stream(cause.tenant_id, key), expected, [event])


def email_changes(
    before: TalentRecord, after: TalentRecord, claims: Mapping[str, Sequence[Event]], cause: Cause
) -> list[Change]:
    """Return the changes to the streams of addresses: a new one is claimed, the former one released.

    `claims` has the events of both streams.
    """
    changes = []
    had, has = owned_key(before), owned_key(after)
    for key, event in ((had, EmailReleased), (has, EmailClaimed)):
        if key is not None and had != has:
            stream = email_stream(cause.tenant_id, key)
            stands = claims.get(stream, ())
            changes.append(Change(stream, len(stands), [event(talent_id=after.id, **cause.fields())]))
    return changes
