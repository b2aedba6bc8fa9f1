"""Work that its sender was told is not accepted, revoked so that it never begins.

Whoever hands work to Temporal and gets no word from it cannot know whether the work will arrive. It is revoked in the
ledger, under the very idempotency key that the work's first append uses. Whichever of the two appends comes first
stands: work that arrives later finds the key used and nothing begun, and a revocation that comes too late says so.

The ids of revoked work are never used again: a repeat of the request is the next `generation` of it.
"""

from dataclasses import dataclass

from domain.errors import Conflict
from domain.events import Cause, Event
from domain.ids import call_id, derived
from domain.ledger import MANY_TRIES, Change, Ledger, retrying


class WorkRevoked(Event):
    """Nobody had confirmed the work, and whoever asked for it was told so. `key` is that of its first append."""

    NAME = "work.revoked"
    request: str
    key: str


EVENTS: tuple[type[Event], ...] = (WorkRevoked,)


class Revoked(Conflict):
    """The work arrived after its sender had been told that it was not accepted."""

    def __init__(self) -> None:
        super().__init__("this was revoked: its sender has been told that nothing was accepted")


@dataclass(frozen=True, slots=True)
class Work:
    """One piece of work: the idempotency key of its first append, and of the request that wants it, if it has one."""

    key: str
    wanted_by: str | None

    @property
    def request(self) -> str:
        """The request, which nobody repeats unless it has a key."""
        return derived("request", self.key if self.wanted_by is None else self.wanted_by)


class Revocations:
    """The revoked work of each request."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def key(self, idempotency_key: str | None) -> str | None:
        """What the ids of a keyed request are made of: the key, or another text once its work was revoked."""
        if idempotency_key is None:
            return None
        generation, _ = self._ledger.read_latest(_stream(derived("request", idempotency_key)))
        return idempotency_key if generation == 0 else derived("generation", idempotency_key, generation)

    def revoke(self, work: Work, cause: Cause) -> bool:
        """Keep the work from beginning, for good. False: it has begun.

        Raises:
            Unavailable: the ledger cannot be reached, so nobody can say.
        """
        return retrying(lambda: self._revoke(work, cause), tries=MANY_TRIES)

    def _revoke(self, work: Work, cause: Cause) -> bool:
        stream = _stream(work.request)
        known = self._ledger.read(stream)
        if any(isinstance(event, WorkRevoked) and event.key == work.key for event in known):
            return True
        event = WorkRevoked(request=work.request, key=work.key, **cause.fields())
        return self._ledger.append(Change(stream, len(known), [event]), key=work.key) is not None


def first_attempt_key(message_id: str, visit: int) -> str:
    """The key of the append by which the work on a message's `visit`-th try begins."""
    return attempt_key(call_id(visited(message_id, visit), 1), 1)


def attempt_key(call: str, attempt: int) -> str:
    """The key of the append that reserves an attempt at a model call."""
    return f"reserve:{call}:{attempt}"


def visited(message_id: str, visit: int) -> str:
    """The intent of a message's `visit`-th try as a whole: the first is the message itself."""
    return message_id if visit == 1 else derived(message_id, visit)


def _stream(request: str) -> str:
    return f"revoked-{request}"
