"""How events are named, stored and read again."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.errors import Invalid
from domain.events import Cause, Event, EventRegistry, UnknownEvent

AT = datetime(2026, 11, 1, 12, 0, 0, 123456, tzinfo=UTC)
CAUSE = {"by": "key_1", "because": "req_1", "at": AT, "tenant_id": "default"}
Upcasts = Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]


class Paid(Event):
    """Money changed hands."""

    NAME = "toy.paid"
    amount: Decimal
    due: datetime
    to: str = ""
    extra: Mapping[str, Any] = {}


def _with_currency(fields: dict[str, Any]) -> dict[str, Any]:
    return {**fields, "amount": {"value": fields["amount"], "currency": "USD"}}


def _flat(fields: dict[str, Any]) -> dict[str, Any]:
    amount = fields.pop("amount")
    return {**fields, "value": Decimal(amount["value"]) * 100, "currency": amount["currency"]}


class Paid2(Event):
    """The same fact, one release later."""

    NAME = "toy.paid"
    VERSION = 2
    UPCASTS: ClassVar[Upcasts] = {1: _with_currency}
    amount: Mapping[str, Any]
    due: datetime


class Paid3(Event):
    """The same fact, two releases later."""

    NAME = "toy.paid"
    VERSION = 3
    UPCASTS: ClassVar[Upcasts] = {1: _with_currency, 2: _flat}
    value: Decimal
    currency: str
    due: datetime


def paid(**fields: Any) -> Paid:
    return Paid(**{"amount": Decimal("1.10"), "due": AT, **CAUSE, **fields})


def test_an_event_is_stored_under_its_name_and_version_and_read_again_the_same() -> None:
    topic, state = EventRegistry([Paid]).encode(paid())
    assert topic == "toy.paid/1"
    assert EventRegistry([Paid]).decode(topic, state) == paid()


AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False)


def is_storable(amount: Decimal) -> bool:
    """Zero, or between 1e-30 and 1e30 without its sign."""
    return not amount or Decimal("1e-30") <= abs(amount) <= Decimal("1e30")


@given(
    amount=AMOUNTS.filter(is_storable),
    due=st.datetimes(timezones=st.integers(-840, 840).map(lambda m: timezone(timedelta(minutes=m)))),
    to=st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
)
def test_whatever_an_event_holds_comes_back_exactly(amount: Decimal, due: datetime, to: str) -> None:
    registry = EventRegistry([Paid])
    event = paid(amount=amount, due=due, to=to)
    again = registry.decode(*registry.encode(event))
    assert isinstance(again, Paid)
    assert (str(again.amount), again.due, again.to, again.at) == (str(amount), due, to, AT)


@given(
    amount=st.builds(
        lambda digits, exponent: Decimal(digits).scaleb(exponent),
        st.integers(-999, 999).filter(bool),
        st.integers(-9999, -34) | st.integers(31, 9999),
    )
)
@example(amount=Decimal("9.9e-31"))
@example(amount=Decimal("-1.1e30"))
def test_an_amount_that_is_too_small_or_too_large_is_refused(amount: Decimal) -> None:
    with pytest.raises(Invalid, match="amount is not a storable amount"):
        EventRegistry.encode(paid(amount=amount))


def test_json_that_looks_like_a_type_marker_is_only_json() -> None:
    registry = EventRegistry([Paid])
    extra = {"_type_": "uuid_hex", "_data_": "no uuid", "deep": [{"_type_": "x", "_data_": [1, None, 1.5, True]}]}
    assert registry.decode(*registry.encode(paid(extra=extra))) == paid(extra=extra)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        paid(at=datetime(2026, 11, 1))  # noqa: DTZ001  (that is the point)


def test_a_time_in_another_zone_is_the_same_instant() -> None:
    registry = EventRegistry([Paid])
    there = AT.astimezone(timezone(timedelta(hours=2)))
    assert registry.decode(*registry.encode(paid(at=there))).at == AT


@pytest.mark.parametrize("text", ["a\x00b", "\x00", "\\\x00", "half \ud83d of it"])
def test_a_text_that_views_could_not_store_is_refused(text: str) -> None:
    for event in (paid(to=text), paid(extra={"deep": [text]})):
        with pytest.raises(Invalid):
            EventRegistry.encode(event)


def test_a_name_that_views_could_not_store_is_refused() -> None:
    with pytest.raises(Invalid):
        EventRegistry.encode(paid(extra={"a\x00b": 1}))


@pytest.mark.parametrize("text", ["\\u0000", "\\\\u0000", "C:\\u0000", "u0000", "\x01", "😀", "\\"])
def test_a_text_that_only_looks_like_it_is_kept(text: str) -> None:
    registry = EventRegistry([Paid])
    assert registry.decode(*registry.encode(paid(to=text))) == paid(to=text)


class Numbered(Event):
    """Something was counted."""

    NAME = "toy.numbered"
    count: int | None = None
    amount: Decimal = Decimal(0)


def numbered(**fields: Any) -> Numbered:
    return Numbered(by="a", because="b", at=AT, **fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"count": 10**19},
        {"count": 2**53},
        {"count": -(2**63)},
        {"amount": Decimal("1e40")},
        {"amount": Decimal("-1e999999")},
        {"amount": Decimal("1e-100000")},
    ],
)
def test_a_number_that_views_could_not_store_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        EventRegistry.encode(numbered(**fields))


@pytest.mark.parametrize(
    "fields",
    [{"count": 2**53 - 1}, {"count": -1}, {"count": None}, {"amount": Decimal("123456789012.123456789")}],
)
def test_numbers_of_use_are_kept(fields: dict[str, Any]) -> None:
    registry = EventRegistry([Numbered])
    assert registry.decode(*registry.encode(numbered(**fields))) == numbered(**fields)


def test_an_event_cannot_be_changed_and_has_no_other_fields() -> None:
    with pytest.raises(ValidationError):
        paid().amount = Decimal(2)  # type: ignore[misc]
    with pytest.raises(ValidationError):
        paid(tip=1)


@pytest.mark.parametrize("topic", ["toy.unknown/1", "toy.paid/2", "toy.paid/0", "toy.paid", "", "toy.paid/-1"])
def test_what_this_release_cannot_read_is_said_to_be_unknown(topic: str) -> None:
    with pytest.raises(UnknownEvent):
        EventRegistry([Paid]).decode(topic, b"{}")


def test_a_state_that_is_not_of_the_event_is_refused() -> None:
    with pytest.raises(ValidationError):
        EventRegistry([Paid]).decode("toy.paid/1", b'{"amount": "1"}')


def test_older_versions_are_brought_up_one_by_one() -> None:
    topic, state = EventRegistry([Paid]).encode(Paid(amount=Decimal("1.10"), due=AT, **CAUSE))
    old = state.replace(b',"to":"","extra":{}', b"")
    two = EventRegistry([Paid2]).decode(topic, old)
    assert isinstance(two, Paid2)
    assert two.amount == {"value": "1.10", "currency": "USD"}
    three = EventRegistry([Paid3]).decode(topic, old)
    assert isinstance(three, Paid3)
    assert (three.value, three.currency, three.due, three.by) == (Decimal("110.00"), "USD", AT, "key_1")


def test_an_upcast_begins_at_the_version_that_was_stored() -> None:
    topic, state = EventRegistry([Paid2]).encode(Paid2(amount={"value": "2", "currency": "EUR"}, due=AT, **CAUSE))
    three = EventRegistry([Paid3]).decode(topic, state)
    assert isinstance(three, Paid3)
    assert (topic, three.value, three.currency) == ("toy.paid/2", Decimal(200), "EUR")


class Unnamed(Event):
    """An event whose name is none."""

    NAME = "Paid"


class Gap(Event):
    """An event that forgot how it was."""

    NAME = "toy.gap"
    VERSION = 2


@pytest.mark.parametrize(
    ("events", "because"),
    [([Unnamed], "not of the form"), ([Paid, Paid2], "names both"), ([Gap], "needs one upcast")],
)
def test_a_registry_refuses_what_it_could_not_read_later(events: list[type[Event]], because: str) -> None:
    with pytest.raises(ValueError, match=because):
        EventRegistry(events)


def test_a_registry_lists_what_it_knows() -> None:
    assert list(EventRegistry([Paid, Paid])) == [Paid]


def test_a_cause_gives_an_event_its_fields() -> None:
    assert Cause("key_1", "req_1", AT, "default").fields() == CAUSE
