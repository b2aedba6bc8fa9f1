"""Ids that name their tenant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import derived_hex, derived_id, nested_session_id
from domain.tenant_ids import (
    DEFAULT,
    TENANT_ID,
    qualified,
    refuse_invalid,
    run_id,
    stream_prefix,
    tenant_of,
    unqualified,
)

TENANTS = st.from_regex(TENANT_ID, fullmatch=True)
SESSIONS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", fullmatch=True)


@given(TENANTS, SESSIONS)
def test_a_session_is_its_tenants_whatever_it_is_called(tenant_id: str, name: str) -> None:
    session_id = qualified(tenant_id, name)
    assert (tenant_of(session_id), unqualified(session_id)) == (tenant_id, name)
    assert qualified(tenant_id, session_id) == session_id
    assert tenant_of(nested_session_id(session_id, "member/1")) == tenant_id


@given(st.lists(st.tuples(TENANTS, SESSIONS), min_size=2, max_size=2, unique=True))
def test_no_two_tenants_have_the_same_session(two: list[tuple[str, str]]) -> None:
    first, second = (qualified(*each) for each in two)
    assert first != second


@given(TENANTS, st.sampled_from(["exec", "task"]))
def test_a_run_is_its_tenants_and_is_called_the_same_by_everybody(tenant_id: str, prefix: str) -> None:
    execution_id = run_id(prefix, tenant_id)
    assert execution_id.startswith(f"{prefix}_")
    assert (tenant_of(execution_id), unqualified(execution_id)) == (tenant_id, execution_id)
    assert tenant_of(nested_session_id(execution_id, "node")) == tenant_id


def test_ids_of_the_tenant_default_are_what_they_were() -> None:
    assert qualified(DEFAULT, "session_1") == "session_1"
    assert run_id("exec", DEFAULT, "1") == "exec_1"
    assert stream_prefix("agent", DEFAULT) == "agent:"
    assert (tenant_of("task_1/member"), tenant_of("session-1")) == (DEFAULT, DEFAULT)


@given(TENANTS, st.text(max_size=40), st.text(max_size=40))
def test_streams_of_names_that_may_be_anything_do_not_meet_those_of_another_tenant(
    tenant_id: str, name: str, other: str
) -> None:
    assert tenant_id == DEFAULT or f"{stream_prefix('agent', tenant_id)}{name}" != f"agent:{other}"


@pytest.mark.parametrize("tenant_id", ["", "Acme", "a_b", "a~b", "-a", "*", "a" * 64, "a/b", "a\n"])
def test_a_tenants_id_is_small_letters_digits_and_hyphens(tenant_id: str) -> None:
    with pytest.raises(ValueError, match="lower-case letters"):
        refuse_invalid(tenant_id)


def test_ids_derived_from_stored_ones_stay_what_they_are() -> None:
    assert derived_id("execution", "key") == "b5e9918e-62ea-5f07-a9ec-fae8ce5ac3ab"
    assert derived_hex("execution", "key") == "b5e9918e62ea5f07a9ecfae8ce5ac3ab"
