"""What can happen to an API key. Its stream is `key:<key id>`; the id names the tenant."""

from pydantic import AwareDatetime

from domain.events import Event


class KeyCreated(Event):
    """A key was created. `name_hash` is the content that names it, `secret_hash` the SHA-256 of its text, in hex."""

    NAME = "key.created"

    name_hash: str
    scopes: tuple[str, ...]
    secret_hash: str
    expires_at: AwareDatetime | None = None


class KeyRotated(Event):
    """The key has a new text; earlier ones are valid until `overlap_until` at the latest."""

    NAME = "key.rotated"

    secret_hash: str
    overlap_until: AwareDatetime


class KeyRevoked(Event):
    """None of the key's texts is valid any more."""

    NAME = "key.revoked"


KeyEvent = KeyCreated | KeyRotated | KeyRevoked
EVENTS = (KeyCreated, KeyRotated, KeyRevoked)
