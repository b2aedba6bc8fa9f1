"""Revocation of work that was reported as not accepted, so that it never starts.

A client that sends work to Temporal and gets no reply cannot know if the work will arrive. The work is revoked in the
ledger, under the very idempotency key that its first append uses. The first of the two appends counts: work that
arrives later finds the key used and nothing started, and a revocation that comes too late reports so. The ids of
revoked work are never used again: a repeat of the request is its next `generation`.
"""

from dataclasses import dataclass

from domain.errors import Conflict
from domain.events import Cause, Event
from domain.ids import call_id, derived_id
from domain.ledger import MANY_TRIES, Change, Ledger, retry_on_conflict


class WorkRevoked(Event):
    """The work was not confirmed, and its sender was informed. `key` is that of its first append."""

    NAME = "work.revoked"
    request: str
    key: str


EVENTS: tuple[type[Event], ...] = (WorkRevoked,)


class Revoked(Conflict):
    """The work arrived after its sender had been informed that it was not accepted."""

    def __init__(self) -> None:
        super().__init__("this was revoked: its sender was informed that it was not accepted")


@dataclass(frozen=True, slots=True)
class RevocableWork:
    """One piece of work: the idempotency key of its first append, and of its request, if it has one."""

    key: str
    wanted_by: str | None

    @property
    def request(self) -> str:
        """The id of the request, which is never repeated unless it has a key."""
        return derived_id("request", self.key if self.wanted_by is None else self.wanted_by)


class Revocations:
    """The revoked work of each request."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def id_base(self, idempotency_key: str | None) -> str | None:
        """Return the base of a keyed request's ids: the key, or a derived text once its work was revoked."""
        if idempotency_key is None:
            return None
        generation, _ = self._ledger.read_latest(_stream(derived_id("request", idempotency_key)))
        return idempotency_key if generation == 0 else derived_id("generation", idempotency_key, generation)

    def revoke(self, work: RevocableWork, cause: Cause) -> bool:
        """Keep the work from starting, for good. Returns False if it has started.

        Raises:
            Unavailable: the ledger cannot be reached, so the outcome is unknown.
        """
        return retry_on_conflict(lambda: self._revoke(work, cause), tries=MANY_TRIES)

    def _revoke(self, work: RevocableWork, cause: Cause) -> bool:
        stream = _stream(work.request)
        known = self._ledger.read(stream)
        if any(isinstance(event, WorkRevoked) and event.key == work.key for event in known):
            return True
        event = WorkRevoked(request=work.request, key=work.key, **cause.fields())
        return self._ledger.append(Change(stream, len(known), [event]), key=work.key) is not None


def first_attempt_key(message_id: str, visit: int) -> str:
    """Return the idempotency key of the append that starts the `visit`-th attempt at a message."""
    return attempt_key(call_id(attempt_intent(message_id, visit), 1), 1)


def attempt_key(call: str, attempt: int) -> str:
    """Return the idempotency key of the append that reserves an attempt at a model call."""
    return f"reserve:{call}:{attempt}"


def attempt_intent(message_id: str, visit: int) -> str:
    """Return the intent id of the `visit`-th attempt at a message: the first one's is the message id."""
    return message_id if visit == 1 else derived_id(message_id, visit)


def _stream(request: str) -> str:
    return f"revoked-{request}"
