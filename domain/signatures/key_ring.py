"""The signing keys of a deployment: one signs, all that were ever made verify."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import reduce
from hashlib import sha256

from domain.errors import NotFound
from domain.events import Cause, Event
from domain.signatures.events import SigningKeyCreated, SigningKeyRevoked
from domain.signatures.statements import timestamp

ALGORITHM = "EdDSA"
PROPAGATION = timedelta(seconds=10)
"""Time for every process to learn of a revocation before it counts: a process rereads the keys every two seconds."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The public part of a key. Once revoked, it signs nothing more; signatures before `invalid_from` stay valid."""

    key_id: str
    public_key: bytes
    created_at: datetime
    invalid_from: datetime | None = None

    def jwk(self) -> dict[str, str]:
        """Return the key as a JWK (RFC 8037), with the times of its creation and its revocation."""
        known = {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": b64(self.public_key),
            "kid": self.key_id,
            "use": "sig",
            "alg": ALGORITHM,
            "created_at": timestamp(self.created_at),
        }
        return known if self.invalid_from is None else {**known, "invalid_from": timestamp(self.invalid_from)}


@dataclass(frozen=True, slots=True)
class KeyRing:
    """All keys, oldest first."""

    version: int = 0
    keys: tuple[SigningKey, ...] = ()

    @property
    def current(self) -> SigningKey | None:
        """The key that signs: the newest, unless it is revoked."""
        newest = self.keys[-1] if self.keys else None
        return newest if newest is not None and newest.invalid_from is None else None

    def find(self, key_id: str) -> SigningKey | None:
        return next((key for key in self.keys if key.key_id == key_id), None)

    def by_id(self) -> Mapping[str, SigningKey]:
        return {key.key_id: key for key in self.keys}

    def jwks(self) -> list[dict[str, str]]:
        """Return all public keys, oldest first."""
        return [key.jwk() for key in self.keys]


def evolve(ring: KeyRing, event: Event) -> KeyRing:
    version = ring.version + 1
    match event:
        case SigningKeyCreated():
            made = SigningKey(event.key_id, unb64(event.public_key), event.at)
            return KeyRing(version, (*ring.keys, made))
        case SigningKeyRevoked():
            return KeyRing(
                version,
                tuple(
                    replace(key, invalid_from=event.invalid_from) if key.key_id == event.key_id else key
                    for key in ring.keys
                ),
            )
        case _:
            return replace(ring, version=version)


def load(ring: KeyRing, events: Iterable[Event]) -> KeyRing:
    return reduce(evolve, events, ring)


def key_created(public_key: bytes, cause: Cause) -> SigningKeyCreated:
    """Build the event of a new key."""
    return SigningKeyCreated(key_id=thumbprint(public_key), public_key=b64(public_key), **cause.fields())


def made_because(events: Iterable[Event], because: str) -> str | None:
    """Return the id of the key that was made for this cause; None if there is none."""
    made = (event.key_id for event in events if isinstance(event, SigningKeyCreated) and event.because == because)
    return next(made, None)


def revoke(ring: KeyRing, key_id: str, invalid_from: datetime, cause: Cause) -> list[Event]:
    """Revoke a key; a second revocation may only bring the time forward.

    Raises:
        NotFound: there is no such key.
    """
    key = ring.find(key_id)
    if key is None:
        raise NotFound(f"there is no signing key {key_id}")
    if key.invalid_from is not None and key.invalid_from <= invalid_from:
        return []
    return [SigningKeyRevoked(key_id=key_id, invalid_from=invalid_from, **cause.fields())]


def thumbprint(public_key: bytes) -> str:
    """Return the JWK thumbprint (RFC 7638) of an Ed25519 key, which is its id."""
    return b64(sha256(b'{"crv":"Ed25519","kty":"OKP","x":"%s"}' % b64(public_key).encode()).digest())


def b64(raw: bytes) -> str:
    """Return base64url without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """Decode base64url without padding, in its one canonical form.

    Raises:
        ValueError: it is not that. A lenient decoder ignores the last bits, so that two texts would be one signature.
    """
    raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    if b64(raw) != text:
        raise ValueError("not canonical base64url")
    return raw
