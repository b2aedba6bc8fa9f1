"""Prices of the deployment: those of operators from the ledger, before those of its file and its list."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from threading import Lock

from domain.costs import price_book
from domain.costs.ports import Price
from domain.costs.price_book import ModelPrice, PriceBook
from domain.costs.tariff import Tariff, Tariffs, Tokens
from domain.events import Cause
from domain.ids import random_id
from domain.ledger import Change, Ledger, retry_on_conflict

REFRESH = timedelta(seconds=1)
"""The book is read again for moments later than this after it was read; less than `NOTICE`, so none is missed.

The rest of `NOTICE` is for the clocks of the machines, and for the append.
"""
_NEVER = datetime.min.replace(tzinfo=UTC)


class OperatorPrices:
    """Implements `domain.costs.tariff.Tariffs`. Thread-safe.

    Reads the ledger at most once a second. A moment before the last read needs none: so a call is settled, by the price
    of the moment of its reservation, without any I/O. All raise `domain.errors.Unavailable` where the ledger is needed
    and cannot be reached: a call could not be reserved either.
    """

    def __init__(self, ledger: Ledger, listed: Tariffs, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._listed = listed
        self._now = now
        self._book = PriceBook()
        self._read_at = _NEVER
        self._lock = Lock()

    def price(
        self,
        model: str,
        *,
        prompt_tokens: int,
        completion_tokens: int,
        cached_prompt_tokens: int = 0,
        cache_write_tokens: int = 0,
        at: datetime,
    ) -> Price:
        """Return the cost of a call with these tokens at `at`; see the port."""
        if own := self._book_for(at).in_force(model, at):
            cached, written = cached_prompt_tokens, cache_write_tokens
            return own.price(Tokens.of_call(prompt_tokens, completion_tokens, cached=cached, written=written))
        return self._listed.price(
            model,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            cached_prompt_tokens=cached_prompt_tokens,
            cache_write_tokens=cache_write_tokens,
            at=at,
        )

    def tariff(self, model: str, at: datetime) -> Tariff | None:
        """Return the price of a model in force at `at`; see the port."""
        return self._book_for(at).in_force(model, at) or self._listed.tariff(model, at)

    def listed_tariff(self, model: str, at: datetime) -> Tariff | None:
        """Return the price of a model in force at `at` where no operator has set one."""
        return self._listed.tariff(model, at)

    def own_models(self) -> frozenset[str]:
        """Return the models of operators and of the file."""
        return self.book().models() | self._listed.own_models()

    def book(self) -> PriceBook:
        """Return the book as the ledger has it now."""
        with self._lock:
            return self._read()

    def set_prices(
        self,
        prices: Iterable[ModelPrice],
        withdrawn: Iterable[str],
        cause: Cause,
        *,
        check: Callable[[int], None],
    ) -> PriceBook:
        """Set prices and withdraw others, all or none. Returns the book after it.

        `check` refuses if the version is not the one the caller knows.

        Raises:
            Invalid: the deployment would have too many prices.
        """
        wanted, unwanted = list(prices), list(withdrawn)

        def write() -> PriceBook:
            book = self.book()
            check(book.version)
            if events := price_book.set_prices(book, wanted, unwanted, cause):
                self._ledger.append(Change(price_book.STREAM, book.version, events), key=random_id("change"))
            return self.book()

        return retry_on_conflict(write)

    def _book_for(self, at: datetime) -> PriceBook:
        if at <= self._read_at + REFRESH:
            return self._book
        with self._lock:  # whoever waited for it finds the book read
            return self._book if at <= self._read_at + REFRESH else self._read()

    def _read(self) -> PriceBook:
        began = self._now()
        if events := self._ledger.read(price_book.STREAM, after=self._book.version):
            self._book = price_book.fold(self._book, events)
        self._read_at = began
        return self._book
