"""Erasures as events, and what ends with them in a chat."""

from datetime import UTC, datetime

import pytest

from adapters.postgres.erasures.search import kind_of
from domain.chat.events import SessionErased, SessionOpened
from domain.chat.projection import ChatProjection
from domain.chat.sessions import Session, SessionOpening, erase_session, load_session, open_session
from domain.chat.views import SessionRow
from domain.erasures import aggregate, users
from domain.erasures.aggregate import Erasure, ErasureCounts
from domain.errors import NotFound
from domain.events import Cause, Event, RecordedEvent
from domain.projection import Row

CAUSE = Cause("key_1", "req_1", datetime(2026, 11, 28, tzinfo=UTC), "acme")
COUNTS = ErasureCounts(1, 2, 3, 4)
OPENED = open_session(Session(), SessionOpening("acme~s1", "ada", "key_1", "chat-acme~s1", user_id="u1"), CAUSE)


class Rows:
    """Rows in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[object, ...], Row] = {}

    def get(self, kind: type, *key: object) -> object:
        return self.kept.get((kind, *key))

    def put(self, row: Row) -> None:
        self.kept[type(row), *(getattr(row, name) for name in row.KEY)] = row


def test_an_erasure_is_completed_once() -> None:
    requested = aggregate.request("erasure_acme~1", "session", "acme~s1", CAUSE)
    erasure = aggregate.load(requested)
    completed = aggregate.complete(erasure, COUNTS, CAUSE)
    assert len(completed) == 1
    assert aggregate.complete(aggregate.load([*requested, *completed]), COUNTS, CAUSE) == []


def test_an_erasure_that_nobody_requested_is_not_completed() -> None:
    with pytest.raises(NotFound):
        aggregate.complete(Erasure(), COUNTS, CAUSE)


def test_the_same_key_gives_the_same_erasure_in_its_tenant() -> None:
    assert aggregate.erasure_id_of("acme", "k") == aggregate.erasure_id_of("acme", "k")
    assert aggregate.erasure_id_of("acme", "k") != aggregate.erasure_id_of("zeta", "k")
    assert aggregate.erasure_id_of("acme", None) != aggregate.erasure_id_of("acme", None)


def test_a_pseudonym_depends_on_user_and_secret_and_names_nobody() -> None:
    named = users.pseudonym(b"secret", "ada")
    assert named == users.pseudonym(b"secret", "ada")
    assert len({named, users.pseudonym(b"other", "ada"), users.pseudonym(b"secret", "grace")}) == 3


def test_an_erased_session_has_ended_and_is_erased_once() -> None:
    erased = erase_session(load_session(OPENED), "acme~s1", CAUSE)
    assert [type(event) for event in erased] == [SessionErased]
    session = load_session([*OPENED, *erased])
    assert (session.ended, session.erased) == (True, True)
    assert erase_session(session, "acme~s1", CAUSE) == []


def test_a_session_that_was_never_opened_is_opened_and_erased() -> None:
    erased = erase_session(Session(), "acme~s1", CAUSE)
    assert [type(event) for event in erased] == [SessionOpened, SessionErased]
    assert load_session(erased).tenant_id == "acme"


def test_the_view_of_an_erased_session_names_no_user() -> None:
    rows, events = Rows(), [*OPENED, *erase_session(load_session(OPENED), "acme~s1", CAUSE)]
    for place, event in enumerate(events, 1):
        ChatProjection().project(_recorded(place, event), rows)  # type: ignore[arg-type]  # (no more of it is used)
    row = rows.get(SessionRow, "acme~s1")
    assert isinstance(row, SessionRow)
    assert (row.user_id, row.status, row.ended_at) == (None, "ended", CAUSE.at)


def _recorded(place: int, event: Event) -> RecordedEvent:
    return RecordedEvent(place, "session:acme~s1", place, event)


@pytest.mark.parametrize(
    ("owner", "kind"),
    [
        ("session_0f", "session"),
        ("acme~s1", "session"),
        ("exec_acme~0f", "run"),
        ("task_0f", "run"),
        ("schedule_acme~0f", "schedule"),
        ("talent~acme:17", "record"),
        ("project:17", "record"),
        ("component_acme~c", "record"),
        ("key_acme~0f", "record"),
        ("tenant_acme~name", "record"),
    ],
)
def test_the_id_of_an_owner_says_its_kind(owner: str, kind: str) -> None:
    assert kind_of(owner) == kind
