"""Commands on API keys, through the ledger, and the lookup of a key by its text."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from secrets import token_bytes

from domain.content import Content, ContentStore
from domain.errors import Invalid, NotFound, Unauthenticated
from domain.events import Cause
from domain.ids import derived_hex, random_id
from domain.keys.aggregate import ApiKey, Validity, create, evolve_all, revoke, rotate, stream
from domain.keys.events import KeyEvent
from domain.keys.policy import SECRET_BYTES, ParsedKey, key_hash, key_text, refuse_more_scopes
from domain.keys.ports import StoredKey, TenantStates
from domain.ledger import Change, Ledger, retry_on_conflict
from domain.tenant_ids import run_id, tenant_of

Check = Callable[[int], None]
"""Refuses if the key's version is not the one the caller knows."""


@dataclass(frozen=True, slots=True)
class WantedKey:
    """A key to create."""

    name: str
    scopes: Collection[str]
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A key after a command; `text` is its new text, which is known to nobody later. A repeat has none."""

    id: str
    key: ApiKey
    text: str | None = None


@dataclass(frozen=True, slots=True)
class KeyInForce:
    """A key and how long the text that it was found by, or the key itself, is valid."""

    key: StoredKey
    validity: Validity


class KeyCommands:
    """What administrators do to keys. All raise `domain.errors.Unavailable` where the ledger cannot be reached."""

    def __init__(self, ledger: Ledger, content: ContentStore, tenants: TenantStates) -> None:
        self._ledger = ledger
        self._content = content
        self._tenants = tenants

    def name(self, key_id: str, key: ApiKey) -> str | None:
        """Return the key's name; None if it is erased."""
        return self._content.get(key_id, [key.name_hash]).get(key.name_hash)

    def create(self, wanted: WantedKey, own_scopes: Collection[str], cause: Cause, *, key: str | None) -> KeyChange:
        """Create a key of the tenant that the cause names; under the idempotency key `key` it has always the same id.

        Raises:
            Forbidden: the creator does not have all the scopes.
            Invalid: there is no such tenant, or the key would have expired already.
        """
        refuse_more_scopes(wanted.scopes, own_scopes)
        if not self._tenants.is_active(cause.tenant_id):
            reason = f"there is no tenant {cause.tenant_id}"
            raise Invalid(f"tenant_id: {reason}", field="tenant_id", reason=reason)
        key_id = run_id("key", cause.tenant_id, derived_hex("key", key) if key else None)
        text, name = key_text(key_id, token_bytes(SECRET_BYTES)), Content(key_id, wanted.name)
        events = create(name.hash, wanted.scopes, key_hash(text), wanted.expires_at, cause)
        is_new = self._ledger.append(Change(stream(key_id), 0, events), key=f"key.create:{key_id}", content=[name])
        return KeyChange(key_id, self.load(cause.tenant_id, key_id), text if is_new is not None else None)

    def load(self, tenant_id: str, key_id: str) -> ApiKey:
        """The key of this tenant, as it stands.

        Raises:
            NotFound: there is none of this id.
        """
        found = evolve_all(ApiKey(), self._ledger.read(stream(key_id))) if tenant_of(key_id) == tenant_id else ApiKey()
        if found.created_at is None:
            raise NotFound("there is no such key")
        return found

    def rotate(
        self, key_id: str, overlap_s: int, own_scopes: Collection[str], cause: Cause, *, key: str | None
    ) -> KeyChange:
        """Give the key a new text. Its earlier ones are valid for `overlap_s` more seconds.

        Raises:
            NotFound: the tenant has no such key.
            Forbidden: the caller does not have all the key's scopes, which it would get with the text.
            Conflict: the key is revoked or expired.
        """
        text = key_text(key_id, token_bytes(SECRET_BYTES))

        def decide(found: ApiKey) -> Sequence[KeyEvent]:
            refuse_more_scopes(found.scopes, own_scopes)
            return rotate(found, key_hash(text), overlap_s, cause)

        once = f"key.rotate:{key or random_id('rotate')}"
        is_new = self._change(key_id, decide, cause, once)
        return KeyChange(key_id, self.load(cause.tenant_id, key_id), text if is_new else None)

    def revoke(self, key_id: str, cause: Cause, *, check: Check) -> KeyChange:
        """Revoke the key: none of its texts is valid any more.

        Raises:
            NotFound: the tenant has no such key.
        """

        def decide(found: ApiKey) -> Sequence[KeyEvent]:
            check(found.changes)
            return revoke(found, cause)

        self._change(key_id, decide, cause, f"key.revoke:{random_id('revoke')}")
        return KeyChange(key_id, self.load(cause.tenant_id, key_id))

    def _change(self, key_id: str, decide: Callable[[ApiKey], Sequence[KeyEvent]], cause: Cause, once: str) -> bool:
        """Append what is decided; return whether anything was."""

        def write() -> bool:
            found = self.load(cause.tenant_id, key_id)
            events = decide(found)
            if not events:
                return False
            return self._ledger.append(Change(stream(key_id), found.changes, events), key=once) is not None

        return retry_on_conflict(write)


class KeyLookup:
    """Finds keys in the ledger itself, so that one is valid as soon as it is created, and no longer once revoked."""

    def __init__(self, ledger: Ledger, tenants: TenantStates) -> None:
        self._ledger = ledger
        self._tenants = tenants

    def by_text(self, parsed: ParsedKey) -> KeyInForce | None:
        """Return the key of this text with the end of its validity, which may have passed; None if there is none.

        Raises:
            domain.errors.Unavailable: the ledger cannot be reached.
        """
        found = self._load(parsed.id)
        validity = found.end_of(parsed.hash)
        return KeyInForce(found.as_stored_key(parsed.id), validity) if validity and self._is_active(found) else None

    def refuse_ended(self, caller_id: str, tenant_id: str, at: datetime) -> None:
        """Return if a caller whose work begins without a request may still act in the tenant.

        Ids of no stored key pass: nobody, a key of the settings, and a subject of an identity provider, which cannot be
        asked about it.

        Raises:
            Unauthenticated: the key is revoked or expired, or the tenant was deleted.
            domain.errors.Unavailable: the ledger cannot be reached.
        """
        found = self._load(caller_id)
        if found.created_at is not None and not found.is_in_force(at):
            raise Unauthenticated(f"the key {caller_id} is {'expired' if found.revoked_at is None else 'revoked'}")
        if self._tenants.is_deleted(tenant_id):
            raise Unauthenticated(f"the tenant {tenant_id} was deleted")

    def _load(self, key_id: str) -> ApiKey:
        return evolve_all(ApiKey(), self._ledger.read(stream(key_id)))

    def _is_active(self, key: ApiKey) -> bool:
        return self._tenants.is_active(key.tenant_id)
