"""One API key: its scopes, its valid texts, and the decisions on it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import cast

from domain.errors import Conflict, Invalid, NotFound
from domain.events import Cause, Event
from domain.keys.events import KeyCreated, KeyEvent, KeyRevoked, KeyRotated
from domain.keys.policy import MAX_SECRETS
from domain.keys.ports import Scope, StoredKey


@dataclass(frozen=True, slots=True)
class Secret:
    """The hash of a text of the key; valid until `until`, if that is set."""

    hash: bytes
    until: datetime | None = None

    def is_valid(self, at: datetime) -> bool:
        return self.until is None or at < self.until


@dataclass(frozen=True, slots=True)
class ApiKey:
    """`secrets` are all its texts, newest last. `changes` counts the events."""

    tenant_id: str = ""
    name_hash: str = ""
    scopes: tuple[str, ...] = ()
    secrets: tuple[Secret, ...] = ()
    created_at: datetime | None = None
    created_by: str = ""
    expires_at: datetime | None = None
    rotated_at: datetime | None = None
    revoked_at: datetime | None = None
    changes: int = 0

    def is_in_force(self, at: datetime) -> bool:
        return self.created_at is not None and self.revoked_at is None and not self._is_expired(at)

    def _is_expired(self, at: datetime) -> bool:
        return self.expires_at is not None and at >= self.expires_at

    def as_stored_key(self, key_id: str) -> StoredKey:
        """Return what a caller with this key is and may do."""
        return StoredKey(key_id, frozenset(cast("tuple[Scope, ...]", self.scopes)), self.tenant_id)

    def end_of(self, secret_hash: bytes) -> "Validity | None":
        """Return the end of the validity of a text, None if it is none of the key's. Every hash is compared."""
        found = [secret for secret in self.secrets if compare_digest(secret.hash, secret_hash)]
        if not found or self.revoked_at is not None:
            return None
        ends = [end for end in (found[0].until, self.expires_at) if end is not None]
        return Validity(min(ends, default=None))


@dataclass(frozen=True, slots=True)
class Validity:
    """How long something is valid: until `until`, which is no longer part of it, or without an end."""

    until: datetime | None

    def includes(self, at: datetime) -> bool:
        return self.until is None or at < self.until


def stream(key_id: str) -> str:
    return f"key:{key_id}"


def evolve(key: ApiKey, event: Event) -> ApiKey:
    key = replace(key, changes=key.changes + 1)
    match event:
        case KeyCreated(secret_hash=secret):
            return replace(
                key,
                tenant_id=event.tenant_id,
                name_hash=event.name_hash,
                scopes=event.scopes,
                secrets=(Secret(bytes.fromhex(secret)),),
                created_at=event.at,
                created_by=event.by,
                expires_at=event.expires_at,
            )
        case KeyRotated(secret_hash=secret, overlap_until=until, at=at):
            earlier = tuple(Secret(known.hash, min(known.until or until, until)) for known in key.secrets)
            return replace(key, secrets=(*earlier, Secret(bytes.fromhex(secret))), rotated_at=at)
        case KeyRevoked(at=at):
            return replace(key, revoked_at=at)
        case _:
            return key


def evolve_all(key: ApiKey, events: Iterable[Event]) -> ApiKey:
    for event in events:
        key = evolve(key, event)
    return key


def create(
    name_hash: str, scopes: Iterable[str], secret_hash: bytes, expires_at: datetime | None, cause: Cause
) -> list[KeyEvent]:
    """Create a key; its scopes are kept without repeats, in order.

    Raises:
        Invalid: it would have expired already.
    """
    if expires_at is not None and expires_at <= cause.at:
        reason = "lies in the past"
        raise Invalid(f"expires_at {reason}", field="expires_at", reason=reason)
    granted = tuple(sorted(set(scopes)))
    return [
        KeyCreated(
            name_hash=name_hash,
            scopes=granted,
            secret_hash=secret_hash.hex(),
            expires_at=expires_at,
            **cause.fields(),
        )
    ]


def rotate(key: ApiKey, secret_hash: bytes, overlap_s: int, cause: Cause) -> list[KeyEvent]:
    """Give the key a new text. All others end after the overlap, those that end earlier anyway excepted.

    Raises:
        NotFound: there is no such key.
        Conflict: it is revoked or expired, or has too many valid texts.
    """
    if key.created_at is None:
        raise NotFound("there is no such key")
    if not key.is_in_force(cause.at):
        raise Conflict("the key is revoked or expired: create another one")
    if overlap_s and sum(secret.is_valid(cause.at) for secret in key.secrets) >= MAX_SECRETS:
        raise Conflict("the key has too many texts whose overlap has not ended: rotate it with overlap_s 0")
    until = cause.at + timedelta(seconds=overlap_s)
    return [KeyRotated(secret_hash=secret_hash.hex(), overlap_until=until, **cause.fields())]


def revoke(key: ApiKey, cause: Cause) -> list[KeyEvent]:
    """Revoke the key; nothing if it is revoked already.

    Raises:
        NotFound: there is no such key.
    """
    if key.created_at is None:
        raise NotFound("there is no such key")
    return [] if key.revoked_at is not None else [KeyRevoked(**cause.fields())]
