"""Record turns that wait for an approval: held, resumed, released or rejected."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from temporalio import activity

from activities.chat.turn_signature import TurnSigner, find_previous_answer
from activities.turn_ref import TurnRef
from domain.chat import sessions, turns
from domain.chat.events import TurnFailed, TurnHeld, TurnResumed
from domain.chat.turns import Turn
from domain.events import Cause, Event
from domain.ledger import Change, Ledger, retry_on_conflict
from domain.signatures.ports import NO_SIGNER, Signer
from domain.tenant_ids import tenant_of


@dataclass(frozen=True)
class TurnHold:
    """A turn and the approval that it waits for. `refused_tool` is the name of a tool whose call was rejected."""

    turn: TurnRef
    approval_id: str
    refused_tool: str | None = None


@dataclass(frozen=True)
class TurnRelease:
    """The decision on a held answer: `reply_hash` is the approved text; None if rejected, for the given `reason`."""

    turn: TurnRef
    approval_id: str
    reply_hash: str | None
    reason: str = ""


class TurnHoldActivities:
    """Ledger commands of turns that wait for an approval. All are idempotent."""

    def __init__(self, ledger: Ledger, now: Callable[[], datetime], signer: Signer = NO_SIGNER) -> None:
        self._ledger = ledger
        self._signer = TurnSigner(signer, partial(find_previous_answer, ledger))
        self._now = now

    def all(self) -> list[Callable[..., object]]:
        return [self.hold_turn, self.resume_turn, self.release_turn]

    @activity.defn(name="hold_turn", no_thread_cancel_exception=True)
    def hold_turn(self, holding: TurnHold) -> None:
        """Record that the turn waits for an approval, which can be decided from now on."""
        held = TurnHeld(approval_id=holding.approval_id, **self._fields(holding.turn))
        self._record(holding.turn, f"hold:{holding.approval_id}", partial(turns.hold, held=held))

    @activity.defn(name="resume_turn", no_thread_cancel_exception=True)
    def resume_turn(self, holding: TurnHold) -> None:
        """Record that the turn is resumed."""
        resumed = TurnResumed(
            approval_id=holding.approval_id, refused_tool=holding.refused_tool, **self._fields(holding.turn)
        )
        self._record(holding.turn, f"resume:{holding.approval_id}", partial(turns.resume, resumed=resumed))

    @activity.defn(name="release_turn", no_thread_cancel_exception=True)
    def release_turn(self, release: TurnRelease) -> None:
        """Record the decision on the held answer."""
        self._record(release.turn, f"release:{release.approval_id}", partial(self._decide_release, release=release))

    def _decide_release(self, turn: Turn, release: TurnRelease) -> list[Event]:
        ref = release.turn
        if release.reply_hash is None:
            return turns.fail(turn, TurnFailed(code="REJECTED", message=release.reason, **self._fields(ref)))
        released = turns.release(
            turn, release.approval_id, release.reply_hash, self._cause(ref), session_id=ref.session_id
        )
        lineage = sessions.load_session(self._ledger.read(sessions.session_stream(ref.session_id))).lineage
        return self._signer.sign(turn, released, session_id=ref.session_id, lineage=lineage)

    def _record(self, ref: TurnRef, key: str, decide: Callable[[Turn], list[Event]]) -> None:
        stream = turns.turn_stream(ref.session_id, ref.turn)

        # read inside the retried command: a version conflict needs a decision on the newer turn
        def write() -> None:
            turn = turns.load_turn(self._ledger.read(stream))
            if events := decide(turn):
                self._ledger.append(Change(stream, turn.version, events), key=f"{key}:{turn.version}")

        retry_on_conflict(write)

    def _fields(self, ref: TurnRef) -> dict[str, object]:
        return {
            "session_id": ref.session_id,
            "turn": ref.turn,
            "message_id": ref.message_id,
            **self._cause(ref).fields(),
        }

    def _cause(self, ref: TurnRef) -> Cause:
        return Cause(ref.key_id, ref.because, self._now(), tenant_of(ref.session_id))
