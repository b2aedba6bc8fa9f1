"""Record the facts of a chat: sessions opened and ended, turns that failed."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import reduce

from temporalio import activity

from activities.chat.messages import (
    Ancestor,
    EndSessionRequest,
    KnownTurn,
    OpenSessionRequest,
    SessionHead,
    TurnFailure,
)
from activities.chat.turn_events import turn_started_event
from domain.chat import policy, sessions, turns
from domain.chat.events import ForkOrigin, SessionOpened, SessionSummarised, TurnFailed
from domain.chat.forks import inherited_count
from domain.errors import VersionConflict
from domain.events import Cause, Event
from domain.ledger import Change, Ledger, retry_on_conflict
from domain.revocations import Revoked, first_attempt_key
from domain.tenant_ids import tenant_of

_MOST_SUMMARIES = 1_000
"""Limit on the summaries of a session that are searched for the one a fork starts from."""


class ChatActivities:
    """Ledger commands of chats. All are idempotent: a repeat changes nothing and returns the current state."""

    def __init__(self, ledger: Ledger, now: Callable[[], datetime], *, model_queue: str) -> None:
        self._ledger = ledger
        self._now = now
        self._model_queue = model_queue

    def all(self) -> list[Callable[..., object]]:
        return [self.open_session, self.fail_turn, self.end_session]

    @activity.defn(name="open_session", no_thread_cancel_exception=True)
    def open_session(self, opening: OpenSessionRequest) -> SessionHead:
        """Open the session unless it is open, and return its state."""
        stream = sessions.session_stream(opening.session_id)
        known = self._ledger.read(stream)
        wanted = sessions.SessionOpening(
            opening.session_id,
            opening.agent_id,
            opening.key_id,
            opening.workflow_id,
            opening.user_id,
            opening.project_id,
        )
        cause = Cause(opening.key_id, opening.because, self._now(), tenant_of(opening.session_id))
        events = sessions.open_session(sessions.load_session(known), wanted, cause)
        if events:
            self._ledger.append(Change(stream, 0, events), key=f"open:{opening.session_id}")
            known = self._ledger.read(stream)
        return self._head(opening.session_id, known)

    def _head(self, session_id: str, known: Sequence[Event]) -> SessionHead:
        session = sessions.load_session(known)
        recent = [
            turns.load_turn(events)
            for events in self._ledger.read_last(
                turns.turn_stream_prefix(session_id), policy.REMEMBERED_MESSAGES
            ).values()
        ]
        summary = self._summary(session_id, session.lineage)
        return SessionHead(
            agent_id=session.agent_id,
            key_id=session.key_id,
            ended=session.ended,
            turn=max((turn.number for turn in recent), default=inherited_count(session.lineage)),
            first=summary.upto + 1 if summary else 1,
            summary_hash=summary.summary_hash if summary else None,
            recent=[_to_known_turn(turn) for turn in recent],
            model_queue=self._model_queue,
            project_id=next((event.project_id for event in known if isinstance(event, SessionOpened)), None),
            lineage=[Ancestor(origin.session_id, origin.upto) for origin in session.lineage],
        )

    def _summary(self, session_id: str, lineage: Sequence[ForkOrigin]) -> SessionSummarised | None:
        """Return the session's last summary; a fork without one gets the last that its origins had by then."""
        summaries = self._ledger.read_last(sessions.summary_stream(session_id, 0)[:-8], 1)
        for origin in reversed(lineage):
            if summaries:
                break
            made = self._ledger.read_last(sessions.summary_stream(origin.session_id, 0)[:-8], _MOST_SUMMARIES)
            fitting = [name for name in sorted(made) if name <= sessions.summary_stream(origin.session_id, origin.upto)]
            summaries = {name: made[name] for name in fitting[-1:]}
        return next((e for events in summaries.values() for e in events if isinstance(e, SessionSummarised)), None)

    @activity.defn(name="fail_turn", no_thread_cancel_exception=True)
    def fail_turn(self, given_up: TurnFailure) -> None:
        """Record that a turn failed.

        Raises:
            Revoked: the message was revoked before its turn started, so there is no turn.
        """
        retry_on_conflict(lambda: self._fail_turn(given_up))

    def _fail_turn(self, given_up: TurnFailure) -> None:
        ref = given_up.turn
        cause = Cause("platform", ref.because, self._now(), tenant_of(ref.session_id))
        stream = turns.turn_stream(ref.session_id, ref.turn)
        turn = turns.load_turn(self._ledger.read(stream))
        events: list[Event] = []
        key = f"fail:{ref.session_id}:{ref.turn}:{turn.version}"
        if turn.status is None or turn.visits < given_up.visit:
            # it failed before its model call was reserved, so its start is not recorded yet
            events += turns.start(turn, turn_started_event(ref, model="", cause=cause))
            key = first_attempt_key(ref.message_id, given_up.visit) if events else key
        failed = TurnFailed(
            session_id=ref.session_id,
            turn=ref.turn,
            message_id=ref.message_id,
            code=given_up.code,
            message=given_up.message,
            **cause.fields(),
        )
        events += turns.fail(reduce(turns.evolve_turn, events, turn), failed)
        # None: the key was used before, by a repeat of this append or by a revocation
        if events and self._ledger.append(Change(stream, turn.version, events), key=key) is None:
            self._refuse_revoked(stream, turn)

    def _refuse_revoked(self, stream: str, turn: turns.Turn) -> None:
        r"""Tell apart the uses of this append's idempotency key: a repeat, a reservation, or a revocation.

        Raises:
            Revoked: the turn was revoked.
            VersionConflict: another append came first.
        """
        if turns.load_turn(self._ledger.read(stream)).version == turn.version:
            raise Revoked
        raise VersionConflict(f"{stream}: changed meanwhile")

    @activity.defn(name="end_session", no_thread_cancel_exception=True)
    def end_session(self, ending: EndSessionRequest) -> None:
        """Record that the session takes no more messages."""
        stream = sessions.session_stream(ending.session_id)
        session = sessions.load_session(self._ledger.read(stream))
        cause = Cause(ending.key_id, ending.because, self._now(), tenant_of(ending.session_id))
        if events := sessions.end_session(session, ending.session_id, cause):
            self._ledger.append(Change(stream, session.version, events), key=f"end:{ending.session_id}")


def _to_known_turn(turn: turns.Turn) -> KnownTurn:
    return KnownTurn(
        turn=turn.number,
        message_id=turn.message_id,
        completed=turn.status == "completed",
        visits=turn.visits,
        running=turn.status in {"running", "awaiting_approval"},
        reply_hash=turn.reply_hash,
        model=turn.model,
        prompt_tokens=turn.prompt_tokens,
        completion_tokens=turn.completion_tokens,
        cost=str(turn.cost),
        code=turn.code,
        error=turn.error,
        finish=turn.finish or "stop",
    )
