"""Records the ends of attempts that have no whole answer."""

from functools import partial
from typing import Any

from activities.costs import model_errors as failures
from activities.costs.bookkeeping import CostLedger
from activities.costs.reservation import Reservation
from activities.durable_write import write_durably
from domain.chat.model_port import ModelFailure
from domain.costs.aggregate import Call


class AttemptRecorder:
    """Records each end durably; what cannot be recorded as it is, is recorded as unknown."""

    def __init__(self, books: CostLedger, log: Any) -> None:
        self._books = books
        self._log = log

    async def record_failure(self, reserved: Reservation, failure: ModelFailure, because: str) -> Call:
        """Record an attempt's failure; if that cannot be recorded, record the attempt as unknown.

        Raises:
            ApplicationError: neither can be recorded. The provider is not called again for this step.
        """
        call_id, attempt = reserved.intent.call_id, reserved.attempt
        try:
            return await write_durably(partial(self._books.fail, reserved, failure, because), self._log)
        except Exception:  # noqa: BLE001  (the failure itself cannot be recorded; `unknown` below needs less)
            self._log.exception("a failure cannot be recorded", call_id=call_id, attempt=attempt)
        try:
            return await write_durably(
                partial(self._books.lose, reserved, failure.kind, because, failed=True), self._log
            )
        except Exception:  # noqa: BLE001  (a retry would be charged again)
            self._log.exception("an attempt stays open", call_id=call_id, attempt=attempt)
            raise failures.unexpected_error(final=True) from None

    async def record_cancelled(self, reserved: Reservation, arrived: ModelFailure | None, because: str) -> None:
        """Record that the attempt was cancelled: as cut if a part of its answer had `arrived`, else as unknown.

        No error of this may hide the cancellation.
        """
        end = (
            partial(self._books.fail, reserved, arrived, because)
            if arrived is not None
            else partial(self._books.lose, reserved, "cancelled", because)
        )
        try:
            await write_durably(end, self._log)
        except Exception:  # noqa: BLE001  (it stays open until it is overdue)
            self._log.exception("an attempt stays open", call_id=reserved.intent.call_id, attempt=reserved.attempt)
