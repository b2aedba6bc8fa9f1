"""Events of the signing keys. Private parts are never in an event."""

from pydantic import AwareDatetime

from domain.events import Event

STREAM = "signing_keys"


class SigningKeyCreated(Event):
    """There is a new key, and signatures are made with it from now on. `public_key` is the raw key in base64url."""

    NAME = "signatures.key_created"
    key_id: str
    public_key: str


class SigningKeyRevoked(Event):
    """The key is revoked: signatures dated `invalid_from` or later are invalid, earlier ones stay valid."""

    NAME = "signatures.key_revoked"
    key_id: str
    invalid_from: AwareDatetime


EVENTS: tuple[type[Event], ...] = (SigningKeyCreated, SigningKeyRevoked)
