"""Keys and tenants: given these events, when this, then those events."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import Conflict, Forbidden, Invalid, NotFound
from domain.events import Cause
from domain.keys import aggregate as keys
from domain.keys.aggregate import ApiKey
from domain.keys.events import KeyEvent
from domain.keys.policy import key_hash, key_prefix, key_text, parse_key, refuse_more_scopes
from domain.tenants import aggregate as tenants
from domain.tenants.aggregate import TenantRecord

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
CAUSE = Cause("key_admin", "req_1", AT, "acme")
HOUR = timedelta(hours=1)
FIRST, SECOND, THIRD = key_hash("first"), key_hash("second"), key_hash("third")


def at(moment: datetime) -> Cause:
    return Cause("key_admin", "req_1", moment, "acme")


def made(*more: KeyEvent, expires_at: datetime | None = None) -> ApiKey:
    created = keys.create("0" * 64, ["write", "read", "read"], FIRST, expires_at, CAUSE)
    return keys.evolve_all(ApiKey(), [*created, *more])


def valid(key: ApiKey, secret: bytes, moment: datetime) -> bool:
    validity = key.end_of(secret)
    return validity is not None and validity.includes(moment)


def test_a_created_key_has_its_scopes_once_and_its_tenant() -> None:
    key = made()
    assert (key.scopes, key.tenant_id, key.created_by) == (("read", "write"), "acme", "key_admin")
    assert valid(key, FIRST, AT)
    assert key.end_of(SECOND) is None


def test_a_key_is_valid_until_the_moment_it_expires_and_not_at_it() -> None:
    key = made(expires_at=AT + HOUR)
    assert valid(key, FIRST, AT + HOUR - timedelta(microseconds=1))
    assert not valid(key, FIRST, AT + HOUR)
    assert not key.is_in_force(AT + HOUR)


def test_a_key_that_has_expired_already_is_not_created() -> None:
    with pytest.raises(Invalid, match="past"):
        keys.create("0" * 64, ["read"], FIRST, AT, CAUSE)


def test_a_rotated_key_has_both_texts_until_the_overlap_ends() -> None:
    key = made()
    key = keys.evolve_all(key, keys.rotate(key, SECOND, 60, at(AT)))
    assert valid(key, FIRST, AT + timedelta(seconds=59))
    assert not valid(key, FIRST, AT + timedelta(seconds=60))
    assert valid(key, SECOND, AT + timedelta(days=9))


def test_a_rotation_without_overlap_ends_every_earlier_text() -> None:
    key = made()
    key = keys.evolve_all(key, keys.rotate(key, SECOND, 3600, at(AT)))
    key = keys.evolve_all(key, keys.rotate(key, THIRD, 0, at(AT + timedelta(seconds=1))))
    assert [valid(key, secret, AT + timedelta(seconds=1)) for secret in (FIRST, SECOND, THIRD)] == [False, False, True]


def test_a_later_rotation_prolongs_no_text() -> None:
    key = made()
    key = keys.evolve_all(key, keys.rotate(key, SECOND, 10, at(AT)))
    key = keys.evolve_all(key, keys.rotate(key, THIRD, 3600, at(AT)))
    assert not valid(key, FIRST, AT + timedelta(seconds=10))


def test_a_key_can_have_no_more_than_twenty_texts_at_a_time() -> None:
    key = made()
    for number in range(19):
        key = keys.evolve_all(key, keys.rotate(key, key_hash(str(number)), 600, at(AT)))
    with pytest.raises(Conflict, match="overlap_s 0"):
        keys.rotate(key, SECOND, 600, at(AT))
    assert keys.rotate(key, SECOND, 0, at(AT))


def test_a_revoked_or_expired_key_is_not_rotated_and_not_valid() -> None:
    key = made(expires_at=AT + HOUR)
    revoked = keys.evolve_all(key, keys.revoke(key, CAUSE))
    assert revoked.end_of(FIRST) is None
    assert keys.revoke(revoked, CAUSE) == []
    for cause, gone in ((at(AT), revoked), (at(AT + HOUR), key)):
        with pytest.raises(Conflict, match="revoked or expired"):
            keys.rotate(gone, SECOND, 0, cause)


def test_what_was_never_created_is_not_found() -> None:
    with pytest.raises(NotFound):
        keys.revoke(ApiKey(), CAUSE)
    with pytest.raises(NotFound):
        keys.rotate(ApiKey(), SECOND, 0, CAUSE)


@pytest.mark.parametrize("key_id", ["key_" + "a1" * 16, "key_acme~" + "0f" * 16, "key_a-b-1~" + "99" * 16])
def test_the_text_of_a_key_says_its_id_and_its_tenant(key_id: str) -> None:
    text = key_text(key_id, bytes(range(32)))
    parsed = parse_key(text)
    assert parsed is not None
    assert (parsed.id, parsed.hash) == (key_id, key_hash(text))
    assert parsed.tenant_id == (key_id[4:].partition("~")[0] if "~" in key_id else "default")
    assert key_prefix(key_id) == f"cvg_{key_id[-32:][:8]}"


@pytest.mark.parametrize(
    "text", ["", "cvg_", "cvg_first", "cvg_" + "a" * 32 + "_" + "b" * 42, "cvg_" + "A" * 32 + "_" + "b" * 43,
             "cvg_No~" + "a" * 32 + "_" + "b" * 43, "cvg_" + "a" * 32 + "_" + "b" * 43 + "\n"]
)  # fmt: skip
def test_a_text_of_another_form_is_no_key(text: str) -> None:
    assert parse_key(text) is None


def test_nobody_grants_a_scope_that_they_do_not_have() -> None:
    refuse_more_scopes(["read"], {"read", "admin"})
    with pytest.raises(Forbidden, match="approve, write"):
        refuse_more_scopes(["read", "write", "approve"], {"read", "admin"})


def test_an_id_of_a_tenant_is_given_once() -> None:
    tenant = tenants.evolve_all(TenantRecord(), tenants.create(TenantRecord(), "acme", "0" * 64, CAUSE))
    assert tenant.is_active
    with pytest.raises(Conflict, match="already"):
        tenants.create(tenant, "acme", "0" * 64, CAUSE)
    deleted = tenants.evolve_all(tenant, tenants.delete(tenant, "acme", CAUSE))
    assert not deleted.is_active
    assert tenants.delete(deleted, "acme", CAUSE) == []
    with pytest.raises(Conflict, match="not given again"):
        tenants.create(deleted, "acme", "0" * 64, CAUSE)


def test_the_tenant_default_is_neither_created_nor_deleted() -> None:
    with pytest.raises(Conflict, match="already"):
        tenants.create(TenantRecord(), "default", "0" * 64, CAUSE)
    with pytest.raises(Conflict, match="cannot be deleted"):
        tenants.delete(TenantRecord(), "default", CAUSE)
    with pytest.raises(NotFound):
        tenants.delete(TenantRecord(), "acme", CAUSE)
    with pytest.raises(Invalid, match="tenant's id"):
        tenants.create(TenantRecord(), "No Such", "0" * 64, CAUSE)
