"""Records a model call in the cost ledger: reserved before it is made, ended after, each in one append.

A call's events are appended together with those of the turn or summary it is made for, so that neither exists without
the other.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from activities.costs.joint_append import NO_JOINT_APPEND, Companion, JointAppend, JointChanges, with_gate
from activities.costs.reservation import Reservation, cut_event, failed_event, refuse_used_key, settled_event
from activities.costs.run_budget import RunBudgets
from domain.chat import policy
from domain.chat.model_port import ModelFailure, ModelReply, Usage
from domain.content import Content
from domain.costs import aggregate
from domain.costs.aggregate import Call, CallIntent, SettledReply
from domain.costs.events import CallCut, CallFailed
from domain.costs.ports import Price, Prices, worst_price
from domain.errors import OverBudget, UpstreamFailed, VersionConflict
from domain.events import Cause, Event
from domain.ids import root_of
from domain.ledger import Change, Ledger, retry_on_conflict
from domain.revocations import attempt_key
from domain.tenant_ids import DEFAULT, tenant_of


class CostLedger:
    """The ledger side of model calls. Every method is idempotent; none calls a provider."""

    def __init__(self, ledger: Ledger, prices: Prices, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._prices = prices
        self._now = now
        self._budgets = RunBudgets(ledger)

    def worst_price(self, model: str, prompt_tokens: int, completion_tokens: int, *, at: datetime) -> Price:
        """Return the highest cost of these tokens at a moment."""
        return worst_price(self._prices, model, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens, at=at)

    def price_of(self, intent: CallIntent, usage: Usage) -> Price:
        """Return the cost of a call's usage, by the price of the moment of its reservation."""
        return self._prices.price(
            intent.model,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cached_prompt_tokens=usage.cached_prompt_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            at=intent.priced_at or self._now(),
        )

    def reserve(
        self,
        intent: CallIntent,
        companion: Companion,
        because: str,
        *,
        untried: bool,
        beside: JointAppend = NO_JOINT_APPEND,
        most_failures: int = policy.MOST_ATTEMPTS,
    ) -> Reservation | SettledReply:
        """Reserve the next attempt, or return the recorded reply.

        With `untried` the streams are assumed to be empty; if they are not, they are read and the decision is repeated.
        The same is done when the budget seems not to cover a call, which may have been paid for already. `beside` is
        appended together with it.

        Raises:
            OverBudget: the run's budget, or a limit, does not cover it; nothing is recorded.
            Revoked: the call is the first of work that was revoked.
            UpstreamFailed: the limit of failed attempts at this model, or of all attempts, is reached.
        """
        cause = self._cause(intent, because)
        stream = aggregate.stream(intent.call_id)

        def write(called: list[Event], known: list[Event], *, fresh: bool) -> Reservation | SettledReply:
            call = aggregate.load(called)
            # replay safety: a lost activity result must not lead to a second paid call
            if call.reply is not None:
                return call.reply
            if call.failures_of(intent.model) >= most_failures or call.next_attempt > policy.MOST_ATTEMPTS:
                raise UpstreamFailed("the limit of attempts at the model provider is reached")
            return self._reserve(intent, companion, cause, called, known, more=beside.reservation_changes(fresh=fresh))

        def again() -> Reservation | SettledReply:
            return write(self._ledger.read(stream), self._ledger.read(companion.stream), fresh=True)

        if untried:
            try:
                # optimistic: no read before the first append; a version conflict shows that the streams exist
                return self._budgets.run_exclusively(intent, with_gate(beside, lambda: write([], [], fresh=False)))
            except (VersionConflict, OverBudget):
                pass
        return self._budgets.retry(intent, with_gate(beside, again), shared=beside is not NO_JOINT_APPEND)

    def _reserve(
        self,
        intent: CallIntent,
        companion: Companion,
        cause: Cause,
        called: list[Event],
        known: list[Event],
        *,
        more: JointChanges,
    ) -> Reservation:
        call = aggregate.load(called)
        events = aggregate.reserve(call, intent, cause)
        turn = companion.decide(known)
        changes = [Change(aggregate.stream(intent.call_id), len(called), events)]
        if turn:
            changes.append(Change(companion.stream, len(known), turn))
        attempt = call.next_attempt
        changes += self._budgets.reservation_changes(intent, attempt, cause)
        texts = [*(companion.texts if turn else ()), *more.texts]
        # one reservation per attempt: a second append under this key is refused by the ledger
        key = attempt_key(intent.call_id, attempt)
        if attempt == 1 and known and not turn:
            key = f"{key}:begun"  # the start of the turn, recorded before, used the key
        if self._ledger.append(*changes, *more.changes, key=key, content=texts, underway=more.underway) is None:
            refuse_used_key(self._ledger, intent, attempt, companion, known)
        more.appended()
        return Reservation(intent, attempt, (*called, *events), (*known, *turn))

    def begin_without_call(self, intent: CallIntent, companion: Companion) -> None:
        """Record the start of a call's turn although no call can be reserved yet; nothing if it was recorded before.

        Raises:
            Revoked: the turn is the first of work that was revoked.
        """

        def write() -> None:
            known = self._ledger.read(companion.stream)
            if turn := companion.decide(known):
                change = Change(companion.stream, len(known), turn)
                key = attempt_key(intent.call_id, 1)
                if self._ledger.append(change, key=key, content=companion.texts) is None:
                    refuse_used_key(self._ledger, intent, 1, companion, known)

        retry_on_conflict(write)

    def read(self, call_id: str) -> Call:
        """Return a call as the ledger has it."""
        return aggregate.load(self._ledger.read(aggregate.stream(call_id)))

    def settle(
        self,
        reservation: Reservation,
        reply: ModelReply,
        companion: Companion,
        because: str,
        beside: JointAppend = NO_JOINT_APPEND,
    ) -> SettledReply:
        """Record the reply, store its text, and return the settled reply: this one, unless another came first."""
        intent = reservation.intent
        settled = settled_event(reservation, reply, self.price_of(intent, reply.usage), self._cause(intent, because))
        text = Content(root_of(intent.session_id), reply.text)
        call = self._end(reservation, lambda call: aggregate.end(call, settled), companion, text, beside)
        if call.reply is None:
            raise LookupError(f"{intent.call_id} was settled and has no reply")
        return call.reply

    def fail(self, reservation: Reservation, failure: ModelFailure, because: str) -> Call:
        """Record an attempt without a whole answer as failed, cut, or unknown."""
        intent, usage = reservation.intent, failure.usage
        if failure.charge == "none":
            ended: CallFailed | CallCut = failed_event(reservation, failure, self._cause(intent, because))
        elif failure.charge == "partial" and usage is not None:
            price = self.price_of(intent, usage)
            ended = cut_event(reservation, failure, usage, price, self._cause(intent, because))
        else:
            return self.lose(reservation, failure.kind, because, failed=True)
        return self._end(reservation, lambda call: aggregate.end(call, ended))

    def lose(self, reservation: Reservation, error: str, because: str, *, failed: bool = False) -> Call:
        """Record an attempt as unknown: the provider may charge for it. `failed`: the attempt itself failed."""
        cause = self._cause(reservation.intent, because)
        attempt = reservation.attempt
        return self._end(reservation, lambda call: aggregate.lose(call, attempt, error, cause, failed=failed))

    def lose_overdue(self, call_id: str, attempt: int, because: str) -> bool:
        """Record an overdue attempt, of which only the id is known, as unknown.

        Returns False if it has ended after all.
        """
        stream = aggregate.stream(call_id)

        def write() -> bool:
            called = self._ledger.read(stream)
            cause = Cause("platform", because, self._now(), called[0].tenant_id if called else DEFAULT)
            events = aggregate.lose(aggregate.load(called), attempt, "overdue", cause)
            if events:
                key = f"end:{call_id}.{attempt}:{len(called)}:overdue"
                self._ledger.append(Change(stream, len(called), events), key=key)
            return bool(events)

        return retry_on_conflict(write)

    def _end(
        self,
        reservation: Reservation,
        decide: Callable[[Call], list[Event]],
        companion: Companion | None = None,
        text: Content | None = None,
        beside: JointAppend = NO_JOINT_APPEND,
    ) -> Call:
        """Append the end of an attempt to the streams as last read; after a version conflict decide again."""
        intent = reservation.intent
        stream = aggregate.stream(intent.call_id)

        def write(called: Sequence[Event], known: Sequence[Event], *, fresh: bool) -> Call:
            events = decide(aggregate.load(called))
            changes = [Change(stream, len(called), events)] if events else []
            turn = companion.decide(known) if companion else []
            if companion and turn:
                changes.append(Change(companion.stream, len(known), turn))
            changes += self._budgets.settlement_changes(intent, events)
            if changes:
                more = beside.settlement_changes(turn, text.text if text else "", fresh=fresh)
                # the versions are part of the key: a decision on other versions is another append
                key = f"end:{reservation.request_id}:{len(called)}:{len(known)}"
                texts = [*([text] if text else []), *more.texts]
                done = self._ledger.append(*changes, *more.changes, key=key, content=texts, underway=more.underway)
                if done is not None:
                    more.appended()
            return aggregate.load([*called, *events])

        def again() -> Call:
            known = self._ledger.read(companion.stream) if companion else []
            return write(self._ledger.read(stream), known, fresh=True)

        def first() -> Call:
            return write(reservation.call_events, reservation.companion_events, fresh=False)

        try:
            return self._budgets.run_exclusively(intent, with_gate(beside, first))
        except VersionConflict:
            return self._budgets.retry(intent, with_gate(beside, again), shared=beside is not NO_JOINT_APPEND)

    def _cause(self, intent: CallIntent, because: str) -> Cause:
        return Cause(intent.key_id, because, self._now(), tenant_of(intent.session_id))
