"""A reserved attempt at a model call, and the event of each of its ends."""

from dataclasses import dataclass
from typing import Never

from activities.costs.joint_append import Companion
from domain.chat.model_port import ModelFailure, ModelReply, Usage
from domain.content import content_hash
from domain.costs import aggregate
from domain.costs.aggregate import CallIntent
from domain.costs.events import CallCut, CallFailed, CallSettled
from domain.costs.ports import Price
from domain.errors import VersionConflict
from domain.events import Cause, Event
from domain.ledger import Ledger
from domain.revocations import Revoked


@dataclass(frozen=True, slots=True)
class Reservation:
    """An attempt that may be made now, and the streams as they were when it was reserved."""

    intent: CallIntent
    attempt: int
    call_events: tuple[Event, ...]
    companion_events: tuple[Event, ...]

    @property
    def request_id(self) -> str:
        """The call's id as sent to the provider."""
        return f"{self.intent.call_id}.{self.attempt}"


def settled_event(reservation: Reservation, reply: ModelReply, price: Price, cause: Cause) -> CallSettled:
    """Build the event of an attempt that was answered."""
    intent, usage = reservation.intent, reply.usage
    return CallSettled(
        call_id=intent.call_id,
        attempt=reservation.attempt,
        model=reply.model or intent.model,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cached_prompt_tokens=usage.cached_prompt_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        estimated=usage.estimated,
        cost=price.cost,
        price_version=price.price_version,
        price_known=price.known,
        provider_call_id=reply.provider_call_id,
        reply_hash=content_hash(reply.text),
        finish=reply.finish,
        stands=True,
        **cause.fields(),
    )


def cut_event(reservation: Reservation, failure: ModelFailure, usage: Usage, price: Price, cause: Cause) -> CallCut:
    """Build the event of an attempt whose answer broke off; it costs what arrived."""
    return CallCut(
        call_id=reservation.intent.call_id,
        attempt=reservation.attempt,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        estimated=usage.estimated,
        cost=price.cost,
        price_version=price.price_version,
        price_known=price.known,
        provider_call_id=failure.provider_call_id,
        error=failure.kind,
        refused=failure.refused_part,
        cached_prompt_tokens=usage.cached_prompt_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        **cause.fields(),
    )


def failed_event(reservation: Reservation, failure: ModelFailure, cause: Cause) -> CallFailed:
    """Build the event of an attempt that costs nothing."""
    return CallFailed(
        call_id=reservation.intent.call_id,
        attempt=reservation.attempt,
        error=failure.kind,
        refused=failure.refused_part,
        **cause.fields(),
    )


def refuse_used_key(
    ledger: Ledger, intent: CallIntent, attempt: int, companion: Companion, known: list[Event]
) -> Never:
    """Tell apart the uses of an attempt's idempotency key.

    Raises:
        Revoked: the key is used and the streams are as they were: a revocation came first.
        VersionConflict: the attempt was reserved, or its turn begun, meanwhile.
    """
    if attempt == 1 and not ledger.read(aggregate.stream(intent.call_id)):
        if len(ledger.read(companion.stream)) == len(known):
            raise Revoked
        raise VersionConflict(f"{companion.stream}: changed meanwhile")
    raise VersionConflict(f"attempt {attempt} was reserved meanwhile")
